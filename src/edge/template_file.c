/* State templates on disk: README, "State templates on disk". */
#include <stdlib.h>

#include "base/arena.h"
#include "base/crc32c.h"
#include "edge/template.h"

enum { HEAD = 20, ONE = 28, FLAG_PERIODIC = 1, FLAG_ACTIVE = 2 };
static const char magic[4] = {'M', 'C', 'L', '1'};

static mc_err write_one(const state_template *t, mc_buf *out)
{
  size_t at = out->len;
  MC_TRY(mc_buf_reserve(out, ONE + t->bytes.len + 4 * (size_t)t->slot_count));
  uint8_t *p = out->data + at;
  memset(p, 0, ONE);
  mc_store_le16(p, (uint16_t)t->sync_id.len);
  mc_store_le16(p + 2, (uint16_t)t->manifest_id.len);
  p[4] = (uint8_t)((t->periodic ? FLAG_PERIODIC : 0) | (t->active ? FLAG_ACTIVE : 0));
  mc_store_le32(p + 8, t->slot_count);
  mc_store_le64(p + 12, (uint64_t)t->period_us);
  mc_store_le64(p + 20, (uint64_t)t->deactivate_us);
  memcpy(p + ONE, t->bytes.data, t->bytes.len);
  for (uint32_t k = 0; k < t->slot_count; k++)
    mc_store_le32(p + ONE + t->bytes.len + 4 * (size_t)k, t->slot[k].signal_id);
  out->len += ONE + t->bytes.len + 4 * (size_t)t->slot_count;
  return MC_OK;
}

mc_err mc_edge_templates_write(const state_templates *s, mc_buf *out)
{
  MC_TRY(mc_buf_reserve(out, HEAD));
  memset(out->data, 0, HEAD);
  memcpy(out->data, magic, sizeof magic);
  mc_store_le64(out->data + 8, s->version);
  mc_store_le32(out->data + 16, (uint32_t)s->at.len);
  out->len = HEAD;
  for (size_t k = 0; k < s->at.len; k++)
    MC_TRY(write_one(s->at.at[k], out));
  mc_store_le32(out->data + 4, mc_crc32c(0, out->data + 8, out->len - 8));
  return MC_OK;
}

static mc_err read_one(state_templates *s, mc_slice *rest, mc_arena *arena, mc_why *why)
{
  const uint8_t *p = rest->data;
  if (rest->len < ONE)
    return mc_err_set(why, MC_ERR_TRUNCATED, "state templates on disk: a template is cut off");
  size_t id = mc_load_le16(p), manifest = mc_load_le16(p + 2), count = mc_load_le32(p + 8), size = ONE + id + manifest + 4 * count;
  if (size > rest->len)
    return mc_err_set(why, MC_ERR_TRUNCATED, "state templates on disk: a template of %zu bytes is cut off", size);
  uint32_t *signal = mc_arena_array(arena, count ? count : 1, sizeof *signal);
  if (!signal)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  for (size_t k = 0; k < count; k++)
    signal[k] = mc_load_le32(p + ONE + id + manifest + 4 * k);
  uint64_t period = mc_load_le64(p + 12);
  mc_fw_state_template from = {.sync_id = mc_slice_sub(*rest, ONE, id), .periodic = p[4] & FLAG_PERIODIC, .period_ms = period / 1000, .signal = signal, .signal_count = (uint32_t)count};
  state_template *t;
  MC_TRY(mc_edge_template_add(s, mc_slice_sub(*rest, ONE + id, manifest), &from, &t, why));
  t->active = p[4] & FLAG_ACTIVE;
  t->deactivate_us = (int64_t)mc_load_le64(p + 20);
  *rest = mc_slice_sub(*rest, size, rest->len);
  return MC_OK;
}

mc_err mc_edge_templates_read(state_templates *s, mc_slice in, mc_why *why)
{
  if (in.len < HEAD || memcmp(in.data, magic, sizeof magic) != 0)
    return mc_err_set(why, MC_ERR_MALFORMED, "state templates on disk: no such file of this agent");
  if (mc_crc32c(0, in.data + 8, in.len - 8) != mc_load_le32(in.data + 4))
    return mc_err_set(why, MC_ERR_MALFORMED, "state templates on disk: damaged, the check sum is wrong");
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)64 << 20);
  mc_slice rest = mc_slice_sub(in, HEAD, in.len);
  mc_err err = MC_OK;
  for (uint32_t n = mc_load_le32(in.data + 16); n-- > 0 && !err;)
    err = read_one(s, &rest, &arena, why);
  if (!err && rest.len)
    err = mc_err_set(why, MC_ERR_MALFORMED, "state templates on disk: %zu bytes too many", rest.len);
  if (!err) {
    s->version = mc_load_le64(in.data + 8);
    return MC_OK;
  }
  mc_edge_templates_free(s);
  *s = (state_templates){.due_us = INT64_MAX};
  return err;
}
