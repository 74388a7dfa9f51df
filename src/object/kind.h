/* What a kind of store implements. Private. Names come checked. */
#ifndef MC_OBJECT_KIND_H
#define MC_OBJECT_KIND_H

#include <stdatomic.h>

#include "object/object.h"

typedef struct object_kind {
  mc_err (*put)(mc_object_store *s, mc_slice bucket, mc_slice key, mc_slice content, const char *content_type, unsigned flags, mc_why *why);
  mc_err (*put_file)(mc_object_store *s, mc_slice bucket, mc_slice key, const char *path, const char *content_type, mc_why *why);
  mc_err (*get)(mc_object_store *s, mc_slice bucket, mc_slice key, uint64_t offset, uint64_t len, size_t limit, mc_buf *out, mc_why *why);
  mc_err (*head)(mc_object_store *s, mc_slice bucket, mc_slice key, mc_object_info *out, mc_why *why);
  mc_err (*list)(mc_object_store *s, mc_slice bucket, mc_slice prefix, mc_slice after, size_t limit, mc_object_visit visit, void *ctx, mc_why *why);
  mc_err (*remove)(mc_object_store *s, mc_slice bucket, mc_slice key, mc_why *why);
  mc_err (*presign)(mc_object_store *s, mc_slice bucket, mc_slice key, uint32_t expires_s, mc_buf *url, mc_why *why);
  void (*close)(mc_object_store *s);
} object_kind;

/* First member of every kind's own struct. */
struct mc_object_store {
  const object_kind *kind;
  char *place; /* owned */
  _Atomic bool stopping;
};

#endif
