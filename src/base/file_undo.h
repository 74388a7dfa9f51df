/* How the fault-injecting twin undoes what no sync has made durable: per inode a list of changes with the bytes that they
 * replaced. Private to base; the caller holds the twin's lock. */
#ifndef MC_BASE_FILE_UNDO_H
#define MC_BASE_FILE_UNDO_H

#include <sys/types.h>

#include "base/vec.h"

typedef enum mc_change_state { MC_CHANGE_UNSYNCED, MC_CHANGE_DOOMED, MC_CHANGE_DURABLE } mc_change_state;

typedef struct mc_change {
  bool truncate; /* else a write */
  mc_change_state state;
  uint64_t offset, len; /* truncate: offset is the new size */
  uint64_t old_size;
  uint8_t *fresh;  /* owned; NULL means zeros */
  uint8_t *before; /* owned; what stood in [offset, offset + before_len) */
  uint64_t before_len;
} mc_change;

typedef struct mc_inode {
  struct mc_inode *next;
  dev_t dev;
  ino_t ino;
  int fd; /* keeps the inode alive and its number unique */
  unsigned opens;
  MC_VEC(mc_change) change;
} mc_inode;

/* The inode behind fd, found in or added to *list; NULL when memory or descriptors are exhausted. */
mc_inode *mc_inode_of(mc_inode **list, int fd);
void mc_inode_free(mc_inode *n);
/* Remembers what [offset, offset + len) held (truncate: what lies beyond offset). Takes over fresh. n may be NULL: fails. */
mc_err mc_inode_remember(mc_inode *n, bool truncate, uint64_t offset, uint64_t len, uint8_t *fresh, mc_why *why);
/* Writes data (NULL: zeros) to the real file. */
bool mc_inode_put(int fd, const uint8_t *data, uint64_t len, uint64_t offset);
/* A sync was asked for: what is unsynced becomes durable, or, when it failed, doomed. */
void mc_inode_settle(mc_inode *n, bool synced);
/* The power was cut: back to the last sync, then a seeded selection of what came after. */
bool mc_inode_cut(mc_inode *n, uint64_t *seed);
/* splitmix64: one seed, the same power cut every time. */
uint64_t mc_undo_draw(uint64_t *seed);

#endif
