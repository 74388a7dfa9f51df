/* net-internal: which client certificates were found to chain to a trusted authority, so that a device that comes back is not verified again. */
#ifndef MC_NET_CHAIN_CACHE_H
#define MC_NET_CHAIN_CACHE_H

#include <pthread.h>

#include "net/net.h"

enum { MC_CHAIN_CACHE_MAX = 1 << 17 /* entries; 5 MiB */, MC_CHAIN_CACHE_FIRST = 1 << 8 };

/* Only good verdicts are kept: a bad one may turn good when the client sends its intermediates. An entry holds until the first certificate
 * of the chain expires. Any thread. */
typedef struct mc_chain_cache {
  pthread_mutex_t lock; /* a leaf */
  struct mc_chain_entry *entry;
  size_t cap, len; /* cap: power of two, or 0 */
  uint64_t victim;
} mc_chain_cache;

void mc_chain_cache_init(mc_chain_cache *c);
void mc_chain_cache_free(mc_chain_cache *c);
/* Until when the chain of this certificate is good (us); false: not known, or not good any more. */
bool mc_chain_cache_get(mc_chain_cache *c, const uint8_t fingerprint[MC_FINGERPRINT], int64_t now_us, int64_t *until_us);
void mc_chain_cache_put(mc_chain_cache *c, const uint8_t fingerprint[MC_FINGERPRINT], int64_t until_us);

#endif
