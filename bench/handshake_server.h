/* OpenSSL and nothing else: what handshakes alone cost a server. */
#ifndef BENCH_HANDSHAKE_SERVER_H
#define BENCH_HANDSHAKE_SERVER_H

#include "bench/bench.h"

/* A process that accepts on a port of its own, does mutual TLS with the certificates of a motorcade folder, sends one ticket, and holds the
 * connection. As many threads as there are processors, one epoll each, one port shared by SO_REUSEPORT, as motorcade has. */
mc_err handshake_server_start(const char *ca_from, bench_server *out, mc_why *why);

#endif
