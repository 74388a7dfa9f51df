#include "base/keep.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks of 64 KiB, at addresses that are multiples of that, each cut into places of one size; a place's block is found by its address. A class lists the blocks that
 * have a free place. One empty block a class is kept, so that one thing that comes and goes does not map and unmap. */

enum { BLOCK = 64 << 10, STEP = 32, CLASSES = 64 /* beyond 2 KiB: malloc */ };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static bool blocks = false;
#else
static bool blocks = true;
#endif
static atomic_size_t held;

typedef struct place {
  struct place *next;
} place;

typedef struct block {
  struct block *prev, *next; /* of those with a free place */
  place *free;
  uint32_t used, fresh; /* places given out; places that were never given out begin here, in bytes */
} block;

static struct class {
  pthread_mutex_t lock;
  block *open;
  uint32_t empty; /* blocks without anything in them: 0 or 1 */
} classes[CLASSES];

__attribute__((constructor)) static void init(void)
{
  for (int i = 0; i < CLASSES; i++)
    pthread_mutex_init(&classes[i].lock, NULL);
}

static uint32_t head_of(uint32_t size) { return (uint32_t)((sizeof(block) + size - 1) / size * size); } /* places keep the alignment of their size */

/* mmap aligns to pages only: twice as much is taken, and what is too much given back. */
static block *map_block(uint32_t size)
{
  uint8_t *at = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED)
    return NULL;
  size_t before = -(uintptr_t)at & (BLOCK - 1);
  if (before)
    munmap(at, before);
  munmap(at + before + BLOCK, BLOCK - before);
  block *b = (block *)(at + before);
  b->fresh = head_of(size);
  atomic_fetch_add_explicit(&held, BLOCK, memory_order_relaxed);
  return b;
}

static void link_block(struct class *c, block *b)
{
  b->prev = NULL;
  b->next = c->open;
  if (b->next)
    b->next->prev = b;
  c->open = b;
}

static void unlink_block(struct class *c, block *b)
{
  if (b->prev)
    b->prev->next = b->next;
  else
    c->open = b->next;
  if (b->next)
    b->next->prev = b->prev;
}

static bool full(const block *b, uint32_t size) { return !b->free && b->fresh + size > BLOCK; }

static void *take_place(struct class *c, uint32_t size)
{
  block *b = c->open;
  if (!b && (b = map_block(size)))
    link_block(c, b);
  else if (b && !b->used)
    c->empty--;
  if (!b)
    return NULL;
  void *p = b->free;
  if (p) {
    b->free = b->free->next;
  } else {
    p = (uint8_t *)b + b->fresh;
    b->fresh += size;
  }
  b->used++;
  if (full(b, size))
    unlink_block(c, b);
  return p;
}

static size_t class_of(size_t size) { return (size + STEP - 1) / STEP - 1; }

void *mc_keep_alloc(size_t size)
{
  size = size ? size : 1;
  size_t at = class_of(size);
  if (!blocks || at >= CLASSES)
    return calloc(1, size);
  struct class *c = &classes[at];
  pthread_mutex_lock(&c->lock);
  void *p = take_place(c, (uint32_t)(at + 1) * STEP);
  pthread_mutex_unlock(&c->lock);
  return p ? memset(p, 0, size) : NULL;
}

void mc_keep_free(void *p, size_t size)
{
  size = size ? size : 1;
  size_t at = class_of(size);
  if (!blocks || at >= CLASSES || !p) {
    free(p);
    return;
  }
  struct class *c = &classes[at];
  block *b = (block *)((uintptr_t)p & ~(uintptr_t)(BLOCK - 1)), *gone = NULL;
  pthread_mutex_lock(&c->lock);
  if (full(b, (uint32_t)(at + 1) * STEP))
    link_block(c, b);
  ((place *)p)->next = b->free;
  b->free = p;
  if (!--b->used && c->empty++) {
    unlink_block(c, b);
    c->empty--;
    gone = b;
  }
  pthread_mutex_unlock(&c->lock);
  if (gone) {
    munmap(gone, BLOCK);
    atomic_fetch_sub_explicit(&held, BLOCK, memory_order_relaxed);
  }
}

void mc_keep_use_blocks(bool on) { blocks = on; }
size_t mc_keep_held(void) { return atomic_load_explicit(&held, memory_order_relaxed); }

char *mc_keep_str(const char *text)
{
  size_t size = strlen(text) + 1;
  char *copy = mc_keep_alloc(size);
  return copy ? memcpy(copy, text, size) : NULL;
}

void mc_keep_str_free(char *text)
{
  if (text)
    mc_keep_free(text, strlen(text) + 1);
}
