/* Many MQTT clients on one machine, connecting in waves: one thread, epoll, OpenSSL of its own. */
#ifndef BENCH_FLEET_LOAD_H
#define BENCH_FLEET_LOAD_H

#include "bench/bench.h"

typedef struct fleet fleet;
/* devices_of: folder whose devices/<i>.crt and .key name client "bench-<i>"; NULL: plain TCP. count is cut to what the limit of open files allows. */
mc_err fleet_create(const char *devices_of, int count, fleet **out, mc_why *why);
void fleet_destroy(fleet **f); /* and all connections */
int fleet_count(const fleet *f);

typedef struct fleet_wave {
  uint16_t port;
  int from, to;      /* clients from..to-1 */
  int at_once;       /* so many are on their way at a time */
  bool handshake_only; /* ends when the server's session ticket came; else MQTT: ends with CONNACK */
  uint32_t session_s;  /* MQTT: the session outlives its connection by this */
  bool tickets;      /* each offers the ticket that it got last */
  double limit_s;
} fleet_wave;
typedef struct fleet_result {
  int admitted, resumed; /* resumed: TLS session; */
  int retries;           /* connections that broke and were opened again */
  double wall_s, p50_wait_s, p99_wait_s, max_wait_s; /* from the wave's begin to admission */
} fleet_result;
/* MC_ERR_TIMEOUT: not all were admitted in time; *out says how many. */
mc_err fleet_connect(fleet *f, const fleet_wave *wave, fleet_result *out, mc_why *why);
void fleet_drop(fleet *f); /* closes all, without a word */

#endif
