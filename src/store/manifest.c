/* The list of segments and the offset they reflect: text, replaced atomically (README). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/map.h"
#include "store/state.h"

enum { MAX_MANIFEST = 256 << 20 };

static mc_slice next_line(mc_slice *rest)
{
  size_t end = mc_slice_find(*rest, '\n', 0);
  mc_slice line = mc_slice_sub(*rest, 0, end);
  *rest = mc_slice_sub(*rest, end + 1, rest->len);
  return line;
}

static bool word_after(mc_slice line, const char *key, mc_slice *value)
{
  mc_slice k = mc_slice_str(key);
  if (!mc_slice_starts(line, k) || line.len <= k.len || line.data[k.len] != ' ')
    return false;
  *value = mc_slice_sub(line, k.len + 1, line.len);
  return true;
}

static mc_err check_sum(mc_slice text, mc_slice *body, mc_why *why)
{
  static const char mark[] = "crc ";
  size_t at = text.len > 13 ? text.len - 13 : 0;
  char hex[9] = {0};
  if (text.len < 14 || memcmp(text.data + at, mark, 4) != 0 || text.data[text.len - 1] != '\n')
    return mc_err_set(why, MC_ERR_TRUNCATED, "its last line is not the checksum");
  memcpy(hex, text.data + at + 4, 8);
  if (strtoul(hex, NULL, 16) != mc_crc32c(0, text.data, at))
    return mc_err_set(why, MC_ERR_CHECKSUM, "checksum differs");
  *body = mc_slice_sub(text, 0, at);
  return MC_OK;
}

static mc_err read_line(mc_store *s, mc_slice line, uint32_t number, mc_strmap *named, mc_why *why)
{
  mc_slice value;
  if (word_after(line, "offset", &value))
    return mc_slice_to_u64(value, &s->saved_offset);
  if (word_after(line, "sequence", &value))
    return mc_slice_to_u64(value, &s->sequence);
  if (!word_after(line, "segment", &value))
    return mc_err_set(why, MC_ERR_MALFORMED, "line %u: expected offset, sequence or segment, found \"%.*s\"", number,
                      MC_FMT(mc_slice_sub(line, 0, 40)));
  char name[SEGMENT_NAME];
  if (!mc_slice_to_str(mc_slice_sub(value, 0, mc_slice_find(value, ' ', 0)), name, sizeof name) || strchr(name, '/'))
    return mc_err_set(why, MC_ERR_MALFORMED, "line %u: bad segment name", number);
  store_segment *segment;
  MC_TRY(segment_open(s->config.fs, s->dir, name, &segment, why));
  if (mc_vec_push(&s->segment, segment)) {
    segment_release(segment);
    return MC_ERR_MEMORY;
  }
  return mc_strmap_put(named, mc_slice_str(name), 1);
}

static mc_err read_manifest(mc_store *s, mc_slice text, mc_strmap *named, mc_why *why)
{
  mc_slice rest;
  MC_TRY(check_sum(text, &rest, why));
  if (!mc_slice_eq_str(next_line(&rest), "motorcade-store 1"))
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "line 1: not a manifest of version 1");
  for (uint32_t number = 2; rest.len; number++)
    MC_TRY(read_line(s, next_line(&rest), number, named, why));
  return MC_OK;
}

typedef struct leftover_visit {
  mc_store *store;
  const mc_strmap *named;
} leftover_visit;

static mc_err visit_file(void *ctx, const char *name)
{
  const leftover_visit *v = ctx;
  size_t len = strlen(name);
  if (len < 4 || strcmp(name + len - 4, ".seg") != 0 || mc_strmap_get(v->named, mc_slice_str(name), NULL))
    return MC_OK;
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", v->store->dir, name);
  mc_log(MC_LOG_INFO, "store", "removing a segment that no manifest names", MC_KZ("file", path));
  return mc_fs_unlink(v->store->config.fs, path, NULL);
}

static mc_err load(mc_store *s, bool remove_leftovers, mc_why *why)
{
  char path[4096];
  snprintf(path, sizeof path, "%s/manifest", s->dir);
  mc_buf text = {0};
  mc_strmap named = {0};
  s->sequence = 1;
  mc_err err = mc_fs_read(s->config.fs, path, MAX_MANIFEST, &text, why);
  if (err == MC_ERR_NOT_FOUND) {
    err = MC_OK;
  } else if (!err) {
    err = read_manifest(s, mc_buf_slice(&text), &named, why);
    if (err)
      mc_err_prefix(why, "store manifest %s", path);
  }
  if (!err && remove_leftovers) {
    leftover_visit visit = {s, &named};
    err = mc_fs_list(s->config.fs, s->dir, visit_file, &visit, why);
  }
  mc_strmap_free(&named);
  mc_buf_free(&text);
  return err;
}

mc_err store_manifest_load(mc_store *s, mc_why *why)
{
  return load(s, true, why);
}

mc_err store_manifest_read(mc_store *s, mc_why *why)
{
  return load(s, false, why);
}

mc_err store_manifest_save(mc_store *s, const store_segment_vec *segments, uint64_t offset, uint64_t sequence, mc_why *why)
{
  mc_buf text = {0};
  mc_err err = mc_buf_printf(&text, "motorcade-store 1\noffset %" PRIu64 "\nsequence %" PRIu64 "\n", offset, sequence);
  for (size_t i = 0; i < segments->len && !err; i++)
    err =
        mc_buf_printf(&text, "segment %s %" PRIu64 " %" PRIu64 "\n", segments->at[i]->name, segments->at[i]->rows, segments->at[i]->bytes);
  if (!err)
    err = mc_buf_printf(&text, "crc %08x\n", mc_crc32c(0, text.data, text.len));
  char path[4096];
  snprintf(path, sizeof path, "%s/manifest", s->dir);
  if (!err)
    err = mc_fs_replace(s->config.fs, path, mc_buf_slice(&text), 0600, why);
  mc_buf_free(&text);
  return err;
}
