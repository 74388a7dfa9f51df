/* The fault-injecting twin's inside, shared by its files and its ring. Private to base. */
#ifndef MC_BASE_FILE_FAULT_H
#define MC_BASE_FILE_FAULT_H

#include <pthread.h>

#include "base/file_ring.h"
#include "base/file_undo.h"

typedef struct mc_fault_name {
  enum { NAME_CREATE, NAME_RENAME, NAME_UNLINK } kind;
  char *path;  /* owned; rename: from */
  char *to;    /* owned; rename only */
  char *grave; /* owned; where the replaced or removed file waits, or NULL */
} mc_fault_name;

typedef struct mc_fault_fs {
  mc_fs base;
  pthread_mutex_t lock;
  uint64_t calls, fault_at, generation, graves;
  mc_fault_kind kind, held;
  mc_fault_ring ring;
  bool dead;
  uint64_t free_bytes; /* as told; UINT64_MAX: as it is */
  mc_inode *inodes;
  struct mc_fault_file *files; /* open ones */
  MC_VEC(mc_fault_name) name;
  void (*slow)(void *ctx);
  void *slow_ctx;
} mc_fault_fs;

typedef struct mc_fault_file {
  mc_file base;
  mc_fault_fs *fs;
  struct mc_fault_file *next;
  mc_inode *node;
  uint64_t generation; /* of the power supply when it was opened */
} mc_fault_file;

static inline mc_fault_fs *mc_fault_twin(const mc_fs *fs)
{
  return (mc_fault_fs *)(uintptr_t)fs; /* made by mc_fs_fault_open, never const there */
}

static inline bool mc_fault_stale(const mc_fault_file *f) { return f->generation != f->fs->generation; }

/* Counts a call and tells what it must suffer. Lock held. */
mc_fault_kind mc_fault_fate(mc_fault_fs *fs, bool writes);
/* Lands the first `lands` bytes of fresh (owned). Lock held. */
mc_err mc_fault_land(mc_fault_file *f, uint8_t *fresh, uint64_t lands, uint64_t offset, mc_why *why);
/* What a sync suffered; it is done otherwise. Lock not held. */
mc_fault_kind mc_fault_sync(mc_fault_file *f);

#endif
