/* The twin on disk: layout in README.md. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "twin/vehicle_table.h"

static const char magic[8] = {'M', 'C', 'T', 'W', 'I', 'N', '0', '1'};
enum { HEADER = 24, MAX_FILE = 1 << 30 };

static mc_err put32(mc_buf *b, uint32_t v)
{
  return mc_buf_append(b, &v, 4);
}
static mc_err put64(mc_buf *b, uint64_t v)
{
  return mc_buf_append(b, &v, 8);
}

static mc_err put_value(mc_buf *b, const twin_value *v)
{
  MC_TRY(put32(b, v->signal));
  MC_TRY(put32(b, v->encoding));
  MC_TRY(put32(b, v->kind));
  MC_TRY(put64(b, (uint64_t)v->time_us));
  MC_TRY(put64(b, (uint64_t)v->arrival_us));
  if (v->kind != MC_SAMPLE_STRING)
    return put64(b, (uint64_t)v->raw);
  MC_TRY(put32(b, v->str.len));
  return mc_buf_append(b, v->str.bytes, v->str.len);
}

static mc_err put_vehicle(mc_buf *b, const twin_vehicle *v)
{
  MC_TRY(put32(b, v->tenant));
  MC_TRY(put32(b, v->now.vehicle));
  MC_TRY(put64(b, (uint64_t)v->now.heard_us));
  MC_TRY(put32(b, (uint32_t)v->value.len));
  for (size_t i = 0; i < v->value.len; i++)
    MC_TRY(put_value(b, &v->value.at[i]));
  return MC_OK;
}

/* The offset first, then shard by shard while the writer goes on: values may be newer than the offset says, and reading the journal again
 * from there ends at the same values. */
mc_err twin_serialise(mc_twin *t, mc_buf *out)
{
  uint64_t vehicles = 0;
  MC_TRY(mc_buf_append(out, magic, sizeof magic));
  MC_TRY(put64(out, atomic_load(&t->offset)));
  MC_TRY(put64(out, 0)); /* count, set below */
  for (int i = 0; i < TWIN_SHARDS; i++) {
    mc_err err = MC_OK;
    size_t at = 0;
    uint64_t value;
    pthread_mutex_lock(&t->shard[i].lock);
    while (!err && mc_map_next(&t->shard[i].by_key, &at, NULL, &value)) {
      err = put_vehicle(out, (const twin_vehicle *)(uintptr_t)value);
      vehicles++;
    }
    pthread_mutex_unlock(&t->shard[i].lock);
    MC_TRY(err);
  }
  mc_store_le64(out->data + 16, vehicles);
  return put32(out, mc_crc32c(0, out->data, out->len));
}

static mc_err read_vehicle(mc_twin *t, mc_cursor *c)
{
  uint32_t tenant = mc_cursor_le32(c);
  uint32_t vehicle = mc_cursor_le32(c);
  int64_t heard = (int64_t)mc_cursor_le64(c);
  uint32_t count = mc_cursor_le32(c);
  if (!c->ok)
    return MC_ERR_TRUNCATED;
  twin_vehicle *v;
  MC_TRY(twin_find_or_add(t, tenant, vehicle, &v));
  v->now.heard_us = heard;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t signal = mc_cursor_le32(c);
    uint32_t encoding = mc_cursor_le32(c);
    uint32_t kind = mc_cursor_le32(c);
    int64_t time_us = (int64_t)mc_cursor_le64(c);
    int64_t arrival_us = (int64_t)mc_cursor_le64(c);
    mc_sample_value value = {0};
    mc_slice text = {0};
    if (kind == MC_SAMPLE_STRING) {
      value.str.len = mc_cursor_le32(c);
      text = mc_cursor_bytes(c, value.str.len);
    } else {
      value.raw = (int64_t)mc_cursor_le64(c);
    }
    if (!c->ok || kind > MC_SAMPLE_STRING)
      return MC_ERR_MALFORMED;
    MC_TRY(twin_put(t, v, signal, encoding, (uint8_t)kind, time_us, arrival_us, value, text));
  }
  return MC_OK;
}

static mc_err read_all(mc_twin *t, mc_slice in)
{
  if (in.len < HEADER + 4 || memcmp(in.data, magic, sizeof magic) != 0)
    return MC_ERR_MALFORMED;
  if (mc_crc32c(0, in.data, in.len - 4) != mc_load_le32(in.data + in.len - 4))
    return MC_ERR_CHECKSUM;
  uint64_t vehicles = mc_load_le64(in.data + 16);
  mc_cursor c = mc_cursor_of(mc_slice_of(in.data + HEADER, in.len - HEADER - 4));
  atomic_store(&t->tick, 1);
  for (uint64_t i = 0; i < vehicles; i++)
    MC_TRY(read_vehicle(t, &c));
  if (mc_cursor_left(&c))
    return MC_ERR_MALFORMED;
  atomic_store(&t->offset, mc_load_le64(in.data + 8));
  return MC_OK;
}

mc_err twin_load(mc_twin *t, mc_why *why)
{
  mc_buf bytes = {0};
  mc_err err = mc_fs_read(t->config.fs, t->path, MAX_FILE, &bytes, why);
  if (err == MC_ERR_NOT_FOUND)
    return MC_OK;
  if (!err)
    err = read_all(t, mc_buf_slice(&bytes));
  mc_buf_free(&bytes);
  if (err == MC_ERR_MALFORMED || err == MC_ERR_CHECKSUM || err == MC_ERR_TRUNCATED) {
    /* The CRC is checked before anything is taken in, so the tables are still empty unless a writer of ours was wrong. */
    char aside[4096];
    snprintf(aside, sizeof aside, "%s.damaged", t->path);
    mc_log(MC_LOG_WARN, "twin", "checkpoint is damaged; set aside, the twin is rebuilt from the journal", MC_KZ("file", aside),
           MC_KZ("reason", mc_err_text(err)));
    return mc_fs_rename(t->config.fs, t->path, aside, why);
  }
  return err;
}
