/* FleetWise telemetry of many vehicles over mutual TLS, as fast as it is acknowledged or at a given pace. One thread. */
#ifndef BENCH_TELEMETRY_LOAD_H
#define BENCH_TELEMETRY_LOAD_H

#include "bench/bench.h"
#include "net/net.h"

/* A message: ten samples of each of ten signals, 100 ms apart. */
enum { TELEMETRY_SIGNALS = 10, TELEMETRY_TIMES = 10, TELEMETRY_SAMPLES = TELEMETRY_SIGNALS * TELEMETRY_TIMES };

typedef struct telemetry_names {
  char campaign[160], manifest[160]; /* sync ids */
  uint32_t signal[TELEMETRY_SIGNALS];
} telemetry_names;

typedef struct telemetry_load telemetry_load;
/* Clients bench-0 .. bench-<n-1> with the certificates in <dir>/devices, all admitted when this returns. */
mc_err telemetry_load_open(const char *dir, uint16_t port, uint32_t vehicles, const telemetry_names *names, int64_t first_event_us, telemetry_load **out, mc_why *why);
void telemetry_load_close(telemetry_load **load);
/* For so many seconds; per_s 0: as fast as acknowledged. Then waits until all is acknowledged. each is called between turns (may be NULL). */
mc_err telemetry_load_run(telemetry_load *l, double seconds, double per_s, void (*each)(void *ctx), void *ctx, mc_why *why);
/* One message of vehicle 0 now: its event time (ms) is returned; false when its window is full. */
bool telemetry_load_probe(telemetry_load *l, int64_t *event_ms);
uint64_t telemetry_load_acked(const telemetry_load *l);
size_t telemetry_load_bytes(const telemetry_load *l); /* of a message's payload */

#endif
