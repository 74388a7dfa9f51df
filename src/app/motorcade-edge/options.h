/* motorcade-edge: what the command line and the configuration file say. */
#ifndef MOTORCADE_EDGE_OPTIONS_H
#define MOTORCADE_EDGE_OPTIONS_H

#include "base/arena.h"
#include "base/log.h"

typedef struct edge_options {
  mc_arena arena; /* owns the strings */
  const char *host, *name, *cert, *key, *ca, *alpn, *topic_prefix, *commands_prefix, *data_dir, *replay, *channel_map, *bus;
  uint16_t port;
  bool plain, loop, keep_times, help, version;
  double speed;
  uint32_t checkin_s, checkin_ms, keep_alive_s;
  uint64_t spool_mib;
  mc_log_level log_level;
  mc_log_format log_format;
  mc_slice cert_pem, key_pem, ca_pem; /* inline in FleetWise's file */
} edge_options;

void edge_options_help(void);
/* Flags win over the file. Errors say option, value and what is allowed. */
mc_err edge_options_read(int argc, char **argv, edge_options *out, mc_why *why);
/* What an option takes when the configuration file names it; its name is spelled with '-'. */
typedef enum edge_key { EDGE_KEY_UNKNOWN, EDGE_KEY_TEXT, EDGE_KEY_PATH, EDGE_KEY_NUMBER, EDGE_KEY_FLAG } edge_key;
edge_key edge_options_key(const char *name);
/* One option that edge_options_key knows; flags become true whatever the text. */
mc_err edge_options_set(edge_options *o, const char *name, const char *text, mc_why *why);
/* FleetWise's JSON keys (contract fleetwise 8.1) and our own; relative paths are relative to the file. */
mc_err edge_options_read_json(const char *path, edge_options *out, mc_why *why);

#endif
