/* Rows that are not in a segment yet: one run for each (tenant, vehicle, signal). Private; the caller locks. */
#ifndef MC_STORE_MEMTABLE_H
#define MC_STORE_MEMTABLE_H

#include "base/map.h"
#include "base/vec.h"
#include "store/block_codec.h"

typedef struct store_series {
  uint32_t tenant, vehicle, signal;
  bool disordered; /* a row came that is not later than the one before it */
  MC_VEC(store_row) row;
} store_series;

typedef struct store_tenant_index { uint32_t tenant; mc_map by_key; } store_tenant_index;

typedef struct store_memtable {
  MC_VEC(store_tenant_index) tenant;
  MC_VEC(store_series) series;
  mc_buf text;
  size_t bytes;
  uint64_t rows;
  uint64_t offset;       /* journal offset behind the last block taken in */
  int64_t first_mono_us; /* when the first row came; 0: empty */
} store_memtable;

mc_err store_memtable_append(store_memtable *m, const mc_block *block);
store_series *store_memtable_find(store_memtable *m, uint32_t tenant, uint32_t vehicle, uint32_t signal);
void store_memtable_free(store_memtable *m);

/* Orders by time, keeps the last row of each time. scratch holds as many rows. Returns the new count. */
size_t store_rows_settle(store_row *rows, size_t count, store_row *scratch);

#endif
