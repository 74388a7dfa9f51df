#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct mc_arena_chunk {
  struct mc_arena_chunk *next;
  size_t cap;
  size_t used;
  size_t pad; /* keeps bytes[] on a 16-byte boundary */
  uint8_t bytes[];
};

void *mc_arena_alloc(mc_arena *a, size_t size)
{
  size_t want;
  if (mc_add_overflows(size, 15, &want))
    return NULL;
  want &= ~(size_t)15;
  if (want == 0)
    want = 16;
  if (a->limit && (want > a->limit || a->used > a->limit - want))
    return NULL;
  struct mc_arena_chunk *c = a->chunk;
  if (!c || c->cap - c->used < want) {
    size_t cap = c ? c->cap * 2 : 1024;
    if (cap > (1u << 20))
      cap = 1u << 20;
    if (cap < want)
      cap = want;
    size_t total;
    if (mc_add_overflows(cap, sizeof *c, &total))
      return NULL;
    struct mc_arena_chunk *fresh = malloc(total);
    if (!fresh)
      return NULL;
    *fresh = (struct mc_arena_chunk){.next = c, .cap = cap};
    a->chunk = c = fresh;
  }
  void *p = c->bytes + c->used;
  c->used += want;
  a->used += want;
  memset(p, 0, want);
  return p;
}

void *mc_arena_array(mc_arena *a, size_t count, size_t size)
{
  size_t total;
  return mc_mul_overflows(count, size, &total) ? NULL : mc_arena_alloc(a, total);
}

mc_err mc_arena_copy(mc_arena *a, mc_slice from, mc_slice *out)
{
  char *p = mc_arena_str(a, from);
  if (!p)
    return MC_ERR_MEMORY;
  *out = mc_slice_of(p, from.len);
  return MC_OK;
}

char *mc_arena_str(mc_arena *a, mc_slice from)
{
  size_t size;
  char *p = mc_add_overflows(from.len, 1, &size) ? NULL : mc_arena_alloc(a, size);
  if (p && from.len)
    memcpy(p, from.data, from.len);
  return p;
}

char *mc_arena_printf(mc_arena *a, const char *format, ...)
{
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *p = n < 0 ? NULL : mc_arena_alloc(a, (size_t)n + 1);
  if (p)
    vsnprintf(p, (size_t)n + 1, format, again);
  va_end(again);
  return p;
}

void mc_arena_reset(mc_arena *a)
{
  struct mc_arena_chunk *keep = a->chunk;
  if (keep) {
    struct mc_arena_chunk *c = keep->next;
    while (c) {
      struct mc_arena_chunk *next = c->next;
      free(c);
      c = next;
    }
    keep->next = NULL;
    keep->used = 0;
  }
  a->used = 0;
}

void mc_arena_free(mc_arena *a)
{
  if (!a)
    return;
  mc_arena_reset(a);
  free(a->chunk);
  a->chunk = NULL;
}
