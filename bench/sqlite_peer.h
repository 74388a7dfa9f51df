/* The same rows in SQLite: WAL, synchronous FULL, WITHOUT ROWID, key (vehicle, signal, ts). */
#ifndef BENCH_SQLITE_PEER_H
#define BENCH_SQLITE_PEER_H

#include "bench/bench.h"
#include "signal/signal.h"

typedef struct sqlite_peer sqlite_peer;
mc_err sqlite_peer_open(const char *dir, sqlite_peer **out, mc_why *why);
void sqlite_peer_close(sqlite_peer **peer);
/* One transaction, durable when it returns. */
mc_err sqlite_peer_insert(sqlite_peer *p, const mc_block *block, mc_why *why);
mc_err sqlite_peer_bytes(sqlite_peer *p, double *bytes, mc_why *why); /* after a checkpoint */
/* Count, min, max, mean a minute; returns the number of minutes. */
mc_err sqlite_peer_minutes(sqlite_peer *p, uint32_t vehicle, uint32_t signal, int64_t from_us, int64_t to_us, size_t *minutes, mc_why *why);

#endif
