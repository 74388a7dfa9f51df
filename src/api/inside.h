/* inside: what the files of api share. Private to the module. */
#ifndef MC_API_INSIDE_H
#define MC_API_INSIDE_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "api/operations_gen.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/pool.h"
#include "format/json.h"

enum { API_PARAMS = 4, API_HEADERS = 8 };

typedef struct api_limiter api_limiter;
typedef struct api_audit api_audit;
typedef struct api_assets api_assets;
typedef struct api_live api_live;
typedef struct api_patterns api_patterns;

/* Two readings of a counter, to tell a rate. */
typedef struct api_rate {
  pthread_mutex_t lock;
  int64_t at_us;
  uint64_t messages, samples;
  double messages_per_s, samples_per_s;
} api_rate;

struct mc_api {
  mc_api_config config;
  mc_http_server *http;
  mc_pool *pool;
  api_limiter *limiter;
  api_audit *audit;
  api_assets *assets;
  api_live *live;
  api_patterns *patterns;
  api_rate rate;
  _Atomic(mc_geo_map *) map;
  _Atomic int map_state; /* api_map_state */
  char map_reason[256];  /* why there is none; written before map_state says so */
  int64_t started_us; /* monotonic */
  _Atomic int waiting; /* handlers that wait for an offset */
  _Atomic bool stopping;
  mc_metric **requests; /* by operation: answered */
  mc_metric *refused, *duration;
};

/* One request on its way. Made on the loop, run by a worker, answered exactly once. */
struct api_call {
  mc_job job; /* first: in the pool's queue */
  mc_api *api;
  mc_http_request *request;
  const api_operation *op;
  char address[56]; /* of the peer, without port */
  bool tls, loopback;
  mc_principal who; /* kind NONE: not signed in */
  bool by_cookie;
  char csrf[64]; /* of the browser session */
  mc_slice session; /* its secret, borrowed from the request */
  mc_slice param[API_PARAMS];
  json_t *body;
  mc_arena arena;
  /* the answer */
  int status; /* 0: the operation's own */
  mc_buf out;
  mc_json json; /* writes to out */
  const char *content_type; /* NULL: application/json */
  mc_http_header header[API_HEADERS];
  size_t header_count;
  /* the problem, when run() failed */
  mc_why why;
  char field[160];
  mc_buf members; /* more members of its document, with commas between them */
};

/* ---- router.c ---- */
/* On the loop. */
void router_request(void *ctx, mc_http_request *r);
/* Its first half: what a worker has to run, or NULL when it is answered already. */
api_call *router_begin(mc_api *api, mc_http_request *r);
/* On a worker: checks, runs and answers. */
void router_run(api_call *c);
int router_wait_s(mc_api *api, const mc_principal *who, const char *address); /* one request more: 0, or seconds to wait */
/* Finds the operation of a path; *known_path tells a wrong method from a wrong path. params filled. */
const api_operation *router_match(mc_slice method, mc_slice path, mc_slice param[API_PARAMS], bool *known_path);

/* ---- sign-in of a request: identity.c ---- */
/* MC_OK with kind NONE: no credentials at all. MC_ERR_UNAUTHENTICATED: some, but wrong. */
mc_err identity_read(api_call *c);
bool identity_csrf_ok(const api_call *c);
/* False: a browser sends it for a page of another site. */
bool identity_same_origin(const mc_http_request *r);
void identity_set_cookie(api_call *c, const char *secret); /* empty: forget */

/* ---- reply.c ---- */
void reply_header(api_call *c, const char *name, mc_slice value); /* value is copied into the arena */
/* Answers with what is in c and frees it. */
void reply_send(api_call *c);
/* Answers with a problem document (RFC 9457) and frees c. */
void reply_problem(api_call *c, int status);
int reply_status_of(mc_err err);
void call_free(api_call *c);
/* Sets field and text of a refusal. Always MC_ERR_INVALID. */
mc_err call_refuse(api_call *c, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Path parameter as a dense id; 404 otherwise. */
mc_err call_id(api_call *c, size_t param, const char *what, uint32_t *out);

/* The vehicle that path parameter 0 names, in the caller's tenant; 404 otherwise. In vehicle.c. */
mc_err call_vehicle(api_call *c, mc_vehicle *out);

/* ---- destination.c: a campaign's destinations and dimensions, in FleetWise's JSON inside, in ours outside ---- */
mc_err destinations_read(api_call *c, mc_slice *destinations, mc_slice *dimensions); /* of the body */
void destinations_write(mc_json *j, mc_slice destinations, mc_slice dimensions);     /* members of an open object */

/* ---- schema.c ---- */
mc_err patterns_create(api_patterns **out);
void patterns_destroy(api_patterns **p);
/* Checks a body; on failure field holds the path ("/signals/0/fqn") and why the reason. */
mc_err schema_check(const api_patterns *p, const api_schema *s, json_t *value, char *field, size_t field_size, mc_why *why);
/* Checks the query string against what the operation takes. */
mc_err schema_check_query(api_call *c);
/* Query parameters, already checked. */
bool query_text(const api_call *c, const char *name, mc_buf *out);
int64_t query_int(const api_call *c, const char *name, int64_t fallback);
/* Query text copied into the call's arena; empty when absent. */
mc_slice query_slice(api_call *c, const char *name);

/* Members of the checked body. */
mc_slice body_text(const api_call *c, const char *name); /* empty when absent */
bool body_has(const api_call *c, const char *name);
int64_t body_int(const api_call *c, const char *name, int64_t fallback);
bool body_bool(const api_call *c, const char *name, bool fallback);
mc_err body_time(api_call *c, const char *name, int64_t *out); /* 0 when absent */

/* ---- limit.c ---- */
mc_err limiter_create(api_limiter **out);
void limiter_destroy(api_limiter **l);
/* 0: let through; else seconds to wait. */
int limiter_take(api_limiter *l, const char *key, double per_s, double burst);

/* ---- idempotency.c ---- */
extern const mc_migration api_migration[];
extern const size_t api_migration_count;
typedef enum idem_verdict { IDEM_RUN, IDEM_REPLAYED, IDEM_REFUSED } idem_verdict;
/* RUN: go on and call idem_finish. REPLAYED: the stored answer is in c. REFUSED: c->status and c->why say it. */
idem_verdict idem_begin(api_call *c, mc_slice key);
void idem_finish(api_call *c, mc_slice key, bool ok);
mc_err idem_clean(mc_db *db, mc_why *why); /* at start: what never finished, and what is older than a day */

/* ---- audit.c ---- */
mc_err audit_open(mc_api *api, api_audit **out, mc_why *why);
void audit_close(api_audit **a);
mc_err audit_record(api_audit *a, const mc_desk_record *record, mc_why *why);

/* ---- device.c ---- */
/* /mqtt and /topics/...: answered, or taken over. False: another address. On the loop. */
bool device_answer(mc_api *api, mc_http_request *r);
/* The message of a POST /topics/...; m borrows from r and props. NULL, or what is wrong with the request. */
const char *device_message(const mc_http_request *r, mc_gateway_message *m, mc_buf *props);

/* ---- asset.c ---- */
mc_err assets_load(const char *dir, api_assets **out, mc_why *why);
void assets_free(api_assets **a);
/* Answers with a file, the page of the portal (then *page), or false. On the loop. */
bool assets_answer(api_assets *a, mc_http_request *r, bool *page);

/* ---- map.c ---- */
typedef enum api_map_state { API_MAP_SETTLED /* a map, or none */, API_MAP_UNASKED, API_MAP_COMING } api_map_state;
/* Somebody needs the base map: the first one has it made. Any thread. */
void map_wanted(mc_api *api);
const char *map_text(const mc_api *api); /* for people: whether there is one */

/* ---- host.c ---- */
/* May a request without TLS name this host? Loopback names always, others when the settings list them. */
bool host_allowed(const char *names, mc_slice host);
/* It came over TLS to a name that browsers should not ask without TLS again. Never for loopback: HSTS holds for all ports of a name,
 * and port 8080 there has no TLS. */
bool host_wants_tls(const mc_http_request *r);
#define API_HSTS {MC_LIT("Strict-Transport-Security"), MC_LIT("max-age=31536000")} /* RFC 6797 */

/* ---- live.c ---- */
/* As mc_twin_changed, without the vehicles that were deleted since, which the twin remembers. */
uint64_t api_vehicles_changed(const mc_api *api, uint32_t tenant, uint64_t since, mc_vehicle_now_vec *out);
mc_err live_create(mc_api *api, api_live **out);
/* On the connection's loop, in request(). Takes the request over in any case; c is signed in and freed here. */
void live_accept(api_live *live, api_call *c);
void live_stop(api_live *live);
void live_destroy(api_live **live);

/* ---- fields that several operations write ---- */
void json_time(mc_json *j, const char *key, int64_t time_us);
void json_time_if(mc_json *j, const char *key, int64_t time_us); /* nothing when 0 */
void json_client(mc_json *j, const mc_client_info *info);
void json_signal(mc_json *j, const mc_signal_info *s);
/* Facts of a signal; one that only the registry knows gets its name and nothing else. */
mc_err call_signal(api_call *c, uint32_t signal, mc_signal_info *out);

#endif
