/* Builds small MDF4 files for tests, block by block (ASAM MDF 4.1.1). */
#ifndef TESTS_FORMAT_MDF4_BUILD_H
#define TESTS_FORMAT_MDF4_BUILD_H

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/slice.h"

typedef struct mdf_file { mc_buf b; } mdf_file;

static inline uint64_t mdf_block(mdf_file *f, const char *id, size_t links, const void *body, size_t size)
{
  while (f->b.len % 8)
    mc_buf_append_u8(&f->b, 0);
  uint64_t at = f->b.len;
  uint8_t head[24] = {'#', '#', (uint8_t)id[0], (uint8_t)id[1]};
  mc_store_le64(head + 8, 24 + 8 * links + size);
  mc_store_le64(head + 16, links);
  mc_buf_append(&f->b, head, 24);
  for (size_t i = 0; i < links; i++)
    mc_buf_append(&f->b, "\0\0\0\0\0\0\0\0", 8);
  mc_buf_append(&f->b, body, size);
  return at;
}

static inline void mdf_link(mdf_file *f, uint64_t block, size_t i, uint64_t to) { mc_store_le64(f->b.data + block + 24 + 8 * i, to); }

static inline uint64_t mdf_text(mdf_file *f, const char *text) { return mdf_block(f, "TX", 0, text, strlen(text) + 1); }

static inline uint64_t mdf_linear(mdf_file *f, double offset, double factor)
{
  uint8_t body[40] = {1};
  mc_store_le16(body + 6, 2);
  memcpy(body + 24, &offset, 8);
  memcpy(body + 32, &factor, 8);
  return mdf_block(f, "CC", 4, body, sizeof body);
}

/* kind, sync, data type; position in bits */
static inline uint64_t mdf_channel(mdf_file *f, const char *name, int kind, int sync, int type, uint32_t bit, uint32_t bits, uint64_t cc, uint64_t data)
{
  uint8_t body[72] = {(uint8_t)kind, (uint8_t)sync, (uint8_t)type, (uint8_t)(bit % 8)};
  mc_store_le32(body + 4, bit / 8);
  mc_store_le32(body + 8, bits);
  uint64_t text = mdf_text(f, name), at = mdf_block(f, "CN", 8, body, sizeof body);
  mdf_link(f, at, 2, text);
  mdf_link(f, at, 4, cc);
  mdf_link(f, at, 5, data);
  return at;
}

static inline uint64_t mdf_group(mdf_file *f, uint64_t record_id, uint64_t cycles, uint16_t flags, uint32_t bytes, uint64_t first_cn)
{
  uint8_t body[32] = {0};
  mc_store_le64(body, record_id);
  mc_store_le64(body + 8, cycles);
  mc_store_le16(body + 16, flags);
  mc_store_le32(body + 24, bytes);
  uint64_t at = mdf_block(f, "CG", 6, body, sizeof body);
  mdf_link(f, at, 1, first_cn);
  return at;
}

static inline uint64_t mdf_data_group(mdf_file *f, uint8_t id_size, uint64_t first_cg, uint64_t data)
{
  uint8_t body[8] = {id_size};
  uint64_t at = mdf_block(f, "DG", 4, body, sizeof body);
  mdf_link(f, at, 1, first_cg);
  mdf_link(f, at, 2, data);
  return at;
}

/* Identification and header; links of HD are set by the caller (block 64). */
static inline mdf_file mdf_start(bool finalised, uint16_t unfinished, uint64_t start_ns, int16_t zone_min, uint8_t time_flags)
{
  mdf_file f = {{0}};
  uint8_t id[64] = {0}, body[32] = {0};
  memcpy(id, finalised ? "MDF     4.11    test    " : "UnFinMF 4.11    test    ", 24);
  mc_store_le16(id + 28, 411);
  mc_store_le16(id + 60, unfinished);
  mc_buf_append(&f.b, id, 64);
  mc_store_le64(body, start_ns);
  mc_store_le16(body + 8, (uint16_t)zone_min);
  body[12] = time_flags;
  mdf_block(&f, "HD", 6, body, sizeof body);
  return f;
}

/* CAN_DataFrame with: time u64 at 0 (ns), id u32 at 8 (IDE in bit 31), length u8 at 12, bus u8 at 13, data from 14. */
static inline uint64_t mdf_can_channels(mdf_file *f, bool variable, uint64_t heap)
{
  uint64_t cc = mdf_linear(f, 0, 1e-9);
  uint64_t time = mdf_channel(f, "Timestamp", 2, 1, 0, 0, 64, cc, 0);
  uint64_t frame = mdf_channel(f, "CAN_DataFrame", 0, 0, 10, 64, variable ? 80 : 112, 0, 0);
  uint64_t id = mdf_channel(f, "CAN_DataFrame.ID", 0, 0, 0, 64, 32, 0, 0);
  uint64_t len = mdf_channel(f, "CAN_DataFrame.DataLength", 0, 0, 0, 96, 8, 0, 0);
  uint64_t bus = mdf_channel(f, "CAN_DataFrame.BusChannel", 0, 0, 0, 104, 8, 0, 0);
  uint64_t data = mdf_channel(f, "CAN_DataFrame.DataBytes", variable ? 1 : 0, 0, 10, 112, variable ? 32 : 64, 0, heap);
  mdf_link(f, time, 0, frame);
  mdf_link(f, frame, 1, id);
  mdf_link(f, id, 0, len);
  mdf_link(f, len, 0, bus);
  mdf_link(f, bus, 0, data);
  return time;
}

enum { MDF_FIXED_RECORD = 22, MDF_VARIABLE_RECORD = 18 };

static inline void mdf_record(mc_buf *to, int record_id, uint64_t time_ns, uint32_t id, uint8_t len, uint8_t bus, const void *data, size_t size)
{
  uint8_t r[14];
  if (record_id >= 0)
    mc_buf_append_u8(to, (uint8_t)record_id);
  mc_store_le64(r, time_ns);
  mc_store_le32(r + 8, id);
  r[12] = len;
  r[13] = bus;
  mc_buf_append(to, r, sizeof r);
  mc_buf_append(to, data, size);
}

/* Deflated data block; columns 0: not transposed. */
static inline uint64_t mdf_zipped(mdf_file *f, const char *kind, uint32_t columns, mc_slice data)
{
  uint8_t *swapped = malloc(data.len + 1);
  uLongf n = compressBound((uLong)data.len);
  uint8_t *body = calloc(1, 24 + n);
  size_t rows = columns ? data.len / columns : 0;
  memcpy(swapped, data.data, data.len);
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++)
      swapped[c * rows + r] = data.data[r * columns + c];
  compress2(body + 24, &n, swapped, (uLong)data.len, 6);
  body[0] = (uint8_t)kind[0];
  body[1] = (uint8_t)kind[1];
  body[2] = columns != 0;
  mc_store_le32(body + 4, columns);
  mc_store_le64(body + 8, data.len);
  mc_store_le64(body + 16, n);
  uint64_t at = mdf_block(f, "DZ", 0, body, 24 + n);
  free(body);
  free(swapped);
  return at;
}

static inline uint64_t mdf_list(mdf_file *f, const uint64_t *blocks, size_t count)
{
  uint8_t body[16] = {0};
  mc_store_le32(body + 4, (uint32_t)count);
  uint64_t at = mdf_block(f, "DL", 1 + count, body, sizeof body);
  for (size_t i = 0; i < count; i++)
    mdf_link(f, at, 1 + i, blocks[i]);
  return at;
}

#endif
