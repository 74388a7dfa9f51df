#include <malloc.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "net/conn.h"

/* OpenSSL's memory, counted a thread: the difference over a call is what the call took for its connection. Its allocator must be set before
 * OpenSSL allocates anything, hence before main. */

static _Thread_local int64_t held;

static void *counted_malloc(size_t size, const char *file, int line)
{
  void *p = malloc(size);
  held += (int64_t)malloc_usable_size(p);
  return p;
}

static void *counted_realloc(void *old, size_t size, const char *file, int line)
{
  int64_t before = (int64_t)malloc_usable_size(old);
  void *p = realloc(old, size);
  if (p || !size)
    held += (int64_t)malloc_usable_size(p) - before;
  return p;
}

static void counted_free(void *p, const char *file, int line)
{
  held -= (int64_t)malloc_usable_size(p);
  free(p);
}

__attribute__((constructor)) static void count_memory(void) { CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free); }

int64_t mc_tls_memory(void) { return held; }
