/* Many idle MQTT connections against one server. */
#ifndef BENCH_IDLE_H
#define BENCH_IDLE_H

#include "bench/bench.h"

typedef struct idle_result { int connected; double kib_each, rss_kib, cpu_us_each, per_s; } idle_result;
/* devices_of: folder whose devices/<i>.crt and .key name client "bench-<i>" (mutual TLS only). */
mc_err idle_run(const bench_server *s, const char *devices_of, int count, bool tls, idle_result *out, mc_why *why);

#endif
