/* Peers of the FleetWise benches, by a Python of this machine; 0 where none has them. */
#ifndef BENCH_FLEETWISE_PEERS_H
#define BENCH_FLEETWISE_PEERS_H

#include "base/slice.h"
#include "bench/bench.h"

double bench_upb_samples_per_s(const bench_options *o, const mc_buf *framed); /* framed: each message behind its length, four bytes, little endian */
double bench_cantools_seconds(const bench_options *o, mc_slice dbc);

#endif
