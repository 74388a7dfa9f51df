/* Names as the process sees them, and which of them are on the disk: a new file, a rename, a removal is durable when its folder was synced, or earlier, but
 * always in the order in which they were made. Until then a new file stands in its folder under a hidden name. Test only; under the layer's lock. */
#ifndef TESTS_POWER_NAMES_H
#define TESTS_POWER_NAMES_H

#include "base/file.h"
#include "base/map.h"
#include "base/vec.h"

typedef struct power_name_op {
  enum { POWER_CREATE, POWER_RENAME, POWER_UNLINK } kind;
  char *from; /* where it is on the disk when its turn comes: create: the hidden name */
  char *to;   /* unlink: NULL */
} power_name_op;

typedef struct power_names {
  mc_strmap now; /* path -> char * where that file is on the disk; 0: there is none of that name. Only names that differ */
  MC_VEC(power_name_op) op;
  uint64_t hidden;
} power_names;

/* Where the file is on the disk that the process knows as path; NULL: it has no such file. */
const char *power_names_find(const power_names *n, const char *path);
/* A hidden name for a file about to be made at path. Owned by n. */
const char *power_names_create(power_names *n, const char *path);
bool power_names_rename(power_names *n, const char *from, const char *to);
bool power_names_unlink(power_names *n, const char *path);
/* Makes the first `most` changes of a folder durable, in their order; folder NULL: of all folders. */
void power_names_land(power_names *n, const char *folder, size_t most);
/* The names in a folder as the process sees them, sorted. */
mc_err power_names_list(power_names *n, const char *folder, mc_err (*visit)(void *ctx, const char *name), void *ctx, mc_why *why);
const mc_fs *power_real(void);

#endif
