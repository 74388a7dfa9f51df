/* edge-internal: the documents of an agent on disk, so that a restart works without the cloud. */
#ifndef MC_EDGE_DOCUMENT_STORE_H
#define MC_EDGE_DOCUMENT_STORE_H

#include "edge/edge.h"

typedef struct mc_document_store {
  const mc_fs *fs;
  char dir[1000]; /* empty: nothing is kept */
} mc_document_store;

/* The content is as received. Atomic. */
mc_err mc_document_store_manifest(const mc_document_store *s, mc_slice protobuf, mc_why *why);
mc_err mc_document_store_states(const mc_document_store *s, mc_slice bytes, mc_why *why); /* state templates, README */
mc_err mc_document_store_schemes(const mc_document_store *s, mc_slice protobuf, mc_why *why);
/* Removes manifests whose sync id is not in the list. */
void mc_document_store_tidy(const mc_document_store *s, const mc_slice *keep, size_t count);
/* Gives all manifests, then the schemes, to the inspector. Broken files are reported and passed over. Returns how many were taken. */
size_t mc_document_store_load(const mc_document_store *s, mc_inspector *i, int64_t wall_us);

#endif
