/* The platform in one process: opens every module, wires them, runs their threads. */
#ifndef APP_SERVER_H
#define APP_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "app/motorcade/settings.h"
#include "aws/aws.h"
#include "campaign/campaign.h"
#include "fleet/fleet.h"
#include "gateway/gateway.h"
#include "geo/geo.h"
#include "journal/journal.h"
#include "object/object.h"
#include "registry/registry.h"
#include "store/store.h"
#include "twin/twin.h"

enum { SERVER_MAX_LOOPS = 64 };

typedef struct server_loop {
  struct server *server;
  mc_loop *loop;
  pthread_t thread;
  bool running;
  void *gateway_ctx;
  mc_listener *http, *shared;
} server_loop;

typedef struct server {
  settings set;
  mc_db *db;
  mc_master *master;   /* with the setting master_key */
  mc_keyring *keyring;
  mc_master *access_key_file; /* secrets of access keys, without master_key */
  mc_journal *journal;
  mc_registry *registry;
  mc_twin *twin;
  mc_store *store;
  mc_campaigns *campaigns;
  mc_object_store *objects;
  mc_delivery *delivery;
  mc_fleet *fleet;
  mc_shadows *shadows;
  mc_gateway *gateway;
  mc_api *api;
  mc_aws *aws;
  mc_http_mount mount[1]; /* what the HTTP server gives to other faces than api */
  mc_geo_map *map;
  mc_geo_graph *graph; /* of the same source; demo drives on it */
  mc_tls *tls;
  mc_gate *gate;
  _Atomic(mc_gateway *) recheck; /* for the thread that reads revocation lists; NULL: there is none yet, or no more */
  server_loop loop[SERVER_MAX_LOOPS];
  size_t loops;
  /* decoder thread */
  pthread_t decoder;
  bool decoder_running;
  mc_journal_reader *decoder_reader;
  _Atomic uint64_t taken; /* journal offset behind the last record that it took */
  pthread_t saver;        /* writes events and checkpoints beside it */
  bool saver_running;
  _Atomic bool stopping;
  _Atomic int64_t lag_ms;
  /* one more sink, told of each block before the platform's own (demo measures with it); may be zero */
  mc_block_sink observer;
  uint16_t http_port, mqtt_port, tls_port, dev_port; /* as bound */
  bool want_graph;
  pthread_t map_maker; /* unless want_graph: the map is made when somebody first wants to see it */
  bool map_making;
} server;

mc_err server_shadows_open(server *s, mc_why *why); /* in device_shadow.c */
/* Reads keys and certificates of the data folder: see init.c. */
mc_err server_open(server *s, mc_why *why);
mc_err server_start(server *s, mc_why *why);
/* Accepts nothing more, finishes what was taken, writes checkpoints, closes all. Safe on a half-opened server. */
void server_stop(server *s);

/* decoder.c */
mc_err server_decoder_start(server *s, mc_why *why);
void server_decoder_stop(server *s);

#endif
