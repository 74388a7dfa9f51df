/* net-internal: what a server's TLS context keeps beside OpenSSL's: ticket keys, the cache of verified chains, revocation lists, the staple,
 * and the thread that looks after their files. */
#ifndef MC_NET_TLS_SERVER_H
#define MC_NET_TLS_SERVER_H

#include <stdatomic.h>
#include <time.h>

#include "base/metric.h"
#include "net/chain_cache.h"
#include "net/openssl_glue.h"
#include "net/revocation.h"
#include "net/staple.h"
#include "net/ticket.h"

/* To see that a file is another one now. */
typedef struct mc_file_stamp {
  int64_t size, inode;
  struct timespec changed;
} mc_file_stamp;

struct mc_tls_server {
  mc_tls_server_config config; /* slices are not kept */
  char *crl_path, *staple_path, *ticket_path;
  mc_tickets *tickets;
  mc_chain_cache chains;
  STACK_OF(X509) *authority; /* for client certificates */
  X509 *leaf, *issuer;       /* issuer NULL: not known */
  pthread_rwlock_t lock;     /* revocation, staple. A leaf */
  mc_revocation *revocation;
  mc_buf staple;
  int64_t staple_until_us;
  /* the keeper's own */
  pthread_mutex_t tend_lock; /* one looks after the files at a time */
  mc_file_stamp crl_seen, staple_seen;
  bool crl_bad, crl_old_told, staple_bad, staple_old_told;
  int64_t fetch_at_us;
  pthread_t keeper;
  pthread_mutex_t stop_lock;
  pthread_cond_t stop_cond;
  bool keeping, stop;
  struct { mc_metric *full, *resumed, *chain_hits, *chain_misses, *crl_entries, *crl_errors, *staple_errors; } metric;
};

/* keeper.c */
mc_err mc_keeper_start(struct mc_tls_server *s, mc_why *why); /* first look at the files: what cannot be read is an error */
void mc_keeper_stop(struct mc_tls_server *s);

#endif
