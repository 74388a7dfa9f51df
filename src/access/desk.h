/* What every face of the platform - our API, the AWS facade - asks of the one that keeps them: one rate for a principal, one chain of audit records. A struct
 * of functions, so that faces do not know each other; app hands it over. Any thread but a loop's. */
#ifndef MC_ACCESS_DESK_H
#define MC_ACCESS_DESK_H

#include "access/access.h"

typedef struct mc_desk_record {
  const mc_principal *who;
  const char *address; /* of the peer, without port */
  const char *operation;
  mc_slice path;
  int status;
  uint64_t request_id;
  const mc_slice *field; /* names of the input's members, never their values */
  size_t field_count;
  mc_slice reason; /* of what the platform did by itself; else empty */
} mc_desk_record;

typedef struct mc_desk {
  void *ctx;
  /* Counts one request. 0: let through; else seconds to wait. Strangers (kind NONE) count by address. */
  int (*wait_s)(void *ctx, const mc_principal *who, const char *address);
  /* On disk when it returns. */
  mc_err (*audit)(void *ctx, const mc_desk_record *record, mc_why *why);
} mc_desk;

#endif
