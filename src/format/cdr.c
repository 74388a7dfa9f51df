#include "format/cdr.h"

#include <stdio.h>
#include <stdlib.h>

#include "format/json.h"

enum { DEPTH_MAX = 32, HEAD = 4 };

/* ---- types ---- */
static int by_id(const void *a, const void *b)
{
  uint32_t x = ((const mc_fw_complex_type *)a)->type_id, y = ((const mc_fw_complex_type *)b)->type_id;
  return x < y ? -1 : x > y;
}

mc_err mc_cdr_types_of(const mc_fw_complex_type *type, uint32_t count, mc_arena *arena, mc_cdr_types *out, mc_why *why)
{
  *out = (mc_cdr_types){0};
  mc_fw_complex_type *copy = mc_arena_array(arena, count ? count : 1, sizeof *copy);
  if (!copy)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %u complex types", count);
  for (uint32_t k = 0; k < count; k++) {
    copy[k] = type[k];
    mc_fw_complex_member *member = mc_arena_array(arena, type[k].member_count ? type[k].member_count : 1, sizeof *member);
    if (!member)
      return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %u complex types", count);
    for (uint32_t m = 0; m < type[k].member_count; m++) {
      member[m].type_id = type[k].member[m].type_id;
      if (mc_arena_copy(arena, type[k].member[m].name, &member[m].name))
        return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %u complex types", count);
    }
    copy[k].member = member;
  }
  if (count)
    qsort(copy, count, sizeof *copy, by_id);
  for (uint32_t k = 1; k < count; k++)
    if (copy[k].type_id == copy[k - 1].type_id)
      return mc_err_set(why, MC_ERR_INVALID, "complex type %u stands there twice", copy[k].type_id);
  *out = (mc_cdr_types){copy, count};
  return MC_OK;
}

static const mc_fw_complex_type *type_of(const mc_cdr_types *t, uint32_t id)
{
  mc_fw_complex_type key = {.type_id = id};
  return t->count ? bsearch(&key, t->type, t->count, sizeof key, by_id) : NULL;
}

/* Height of what lies below a type, each type once: height 0 not known, UINT8_MAX being looked at. */
static mc_err check_type(const mc_cdr_types *t, uint32_t id, unsigned depth, uint8_t *height, mc_why *why) // NOLINT(misc-no-recursion)
{
  if (depth == DEPTH_MAX) /* told before the stack is at its end */
    return mc_err_set(why, MC_ERR_TOO_LARGE, "complex type %u lies below %d levels", id, DEPTH_MAX);
  const mc_fw_complex_type *x = type_of(t, id);
  if (!x)
    return mc_err_set(why, MC_ERR_INVALID, "complex type %u is not there", id);
  uint8_t *own = &height[x - t->type], most = 0;
  if (*own == UINT8_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "complex type %u holds itself", id);
  if (*own)
    return MC_OK;
  *own = UINT8_MAX;
  bool is_struct = x->kind == MC_FW_COMPLEX_STRUCT;
  uint32_t parts = is_struct ? x->member_count : x->kind == MC_FW_COMPLEX_ARRAY ? 1 : 0;
  if (is_struct && !parts)
    return mc_err_set(why, MC_ERR_INVALID, "complex type %u has no members", id);
  if (x->kind < MC_FW_COMPLEX_PRIMITIVE || x->kind > MC_FW_COMPLEX_STRING || (x->kind == MC_FW_COMPLEX_PRIMITIVE && (x->type < MC_FW_TYPE_BOOL || x->type > MC_FW_TYPE_FLOAT64)) ||
      (x->kind == MC_FW_COMPLEX_STRING && x->encoding > 1))
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "complex type %u is of a kind that is not known", id);
  for (uint32_t m = 0; m < parts; m++) {
    uint32_t part = is_struct ? x->member[m].type_id : x->element_type;
    MC_TRY(check_type(t, part, depth + 1, height, why));
    uint8_t below = height[type_of(t, part) - t->type];
    most = below > most ? below : most;
  }
  *own = (uint8_t)(most + 1);
  return *own <= DEPTH_MAX ? MC_OK : mc_err_set(why, MC_ERR_TOO_LARGE, "complex type %u: more than %d levels", id, DEPTH_MAX);
}

mc_err mc_cdr_check(const mc_cdr_types *t, uint32_t root, mc_why *why)
{
  uint8_t *height = calloc(t->count ? t->count : 1, 1);
  if (!height)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  mc_err err = check_type(t, root, 0, height, why);
  free(height);
  return err;
}

/* ---- reading ---- */
typedef struct run {
  const mc_cdr_types *t;
  mc_slice in; /* behind the head: places count from here */
  size_t at;
  bool big;
  mc_json *json; /* NULL: find or pass over */
  size_t limit;
  mc_buf *text;
  mc_fw_value *found;
  mc_why *why;
} run;

static mc_err cut_off(const run *r, size_t need)
{
  return mc_err_set(r->why, MC_ERR_TRUNCATED, "CDR message, byte %zu: %zu bytes are missing", r->at + HEAD, need);
}

static mc_err align(run *r, size_t size)
{
  size_t to = (r->at + size - 1) & ~(size - 1);
  if (to > r->in.len)
    return cut_off(r, size);
  r->at = to;
  return MC_OK;
}

static mc_err take(run *r, size_t size, uint64_t *out)
{
  MC_TRY(align(r, size));
  if (size > r->in.len - r->at)
    return cut_off(r, size);
  const uint8_t *p = r->in.data + r->at;
  *out = size == 1 ? *p : size == 2 ? (r->big ? mc_load_be16(p) : mc_load_le16(p)) : size == 4 ? (r->big ? mc_load_be32(p) : mc_load_le32(p)) : r->big ? mc_load_be64(p) : mc_load_le64(p);
  r->at += size;
  return MC_OK;
}

static size_t size_of(uint32_t type)
{
  static const uint8_t size[] = {[MC_FW_TYPE_BOOL] = 1,  [MC_FW_TYPE_UINT8] = 1, [MC_FW_TYPE_UINT16] = 2, [MC_FW_TYPE_UINT32] = 4,  [MC_FW_TYPE_UINT64] = 8, [MC_FW_TYPE_INT8] = 1,
                                 [MC_FW_TYPE_INT16] = 2, [MC_FW_TYPE_INT32] = 4, [MC_FW_TYPE_INT64] = 8,  [MC_FW_TYPE_FLOAT32] = 4, [MC_FW_TYPE_FLOAT64] = 8};
  return type < sizeof size ? size[type] : 0;
}

static mc_fw_value value_of(uint32_t type, uint64_t bits)
{
  mc_fw_value v = {.type = (mc_fw_type)type, .u = bits};
  uint32_t low = (uint32_t)bits;
  switch (type) {
  case MC_FW_TYPE_BOOL:
    v.u = bits != 0;
    break;
  case MC_FW_TYPE_INT8:
    v.i = (int8_t)bits;
    break;
  case MC_FW_TYPE_INT16:
    v.i = (int16_t)bits;
    break;
  case MC_FW_TYPE_INT32:
    v.i = (int32_t)bits;
    break;
  case MC_FW_TYPE_FLOAT32:
    v.u = 0;
    memcpy(&v.f, &low, sizeof v.f);
    break;
  case MC_FW_TYPE_FLOAT64:
    memcpy(&v.d, &bits, sizeof v.d);
    break;
  default:
    break;
  }
  return v;
}

static double number_of(const mc_fw_value *v)
{
  if (v->type == MC_FW_TYPE_FLOAT64)
    return v->d;
  if (v->type == MC_FW_TYPE_FLOAT32)
    return (double)v->f;
  return v->type >= MC_FW_TYPE_INT8 && v->type <= MC_FW_TYPE_INT64 ? (double)v->i : (double)v->u;
}

static void write_number(mc_json *j, const mc_fw_value *v)
{
  if (v->type == MC_FW_TYPE_BOOL)
    mc_json_bool(j, v->u != 0);
  else if (v->type == MC_FW_TYPE_FLOAT32 || v->type == MC_FW_TYPE_FLOAT64)
    mc_json_double(j, number_of(v));
  else if (v->type >= MC_FW_TYPE_INT8)
    mc_json_int(j, v->i);
  else
    mc_json_uint(j, v->u);
}

static mc_err take_number(run *r, const mc_fw_complex_type *x)
{
  uint64_t bits;
  MC_TRY(take(r, size_of(x->type), &bits));
  mc_fw_value v = value_of(x->type, bits);
  double scaling = x->scaling == 0 ? 1 : x->scaling; /* 0 is how the wire says nothing */
  if (scaling != 1 || x->offset != 0)
    v = (mc_fw_value){.type = MC_FW_TYPE_FLOAT64, .d = number_of(&v) * scaling + x->offset};
  if (r->json)
    write_number(r->json, &v);
  else if (r->found)
    *r->found = v;
  return MC_OK;
}

/* One code point of UTF-16; halves that stand alone are damage. */
static mc_err put_point(run *r, uint32_t unit, uint32_t next, bool *pair)
{
  uint8_t b[4];
  uint32_t c = unit;
  *pair = unit >= 0xD800 && unit < 0xDC00 && next >= 0xDC00 && next < 0xE000;
  if (*pair)
    c = 0x10000 + ((unit - 0xD800) << 10) + (next - 0xDC00);
  else if (unit > 0xFFFF || (unit >= 0xD800 && unit < 0xE000))
    return mc_err_set(r->why, MC_ERR_MALFORMED, "CDR message, byte %zu: %x is no UTF-16", r->at + HEAD, unit);
  size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t k = n; k-- > 1; c >>= 6)
    b[k] = (uint8_t)(0x80 | (c & 0x3F));
  b[0] = (uint8_t)(lead[n] | c);
  return mc_buf_append_slice(r->text, mc_slice_of(b, n));
}

static mc_err take_wide(run *r, uint64_t units)
{
  if (units * 4 > r->in.len - r->at) /* a count of 32 bits: no overflow */
    return cut_off(r, units * 4);
  const uint8_t *p = r->in.data + r->at;
  mc_buf_clear(r->text);
  for (uint64_t k = 0; k < units; k++) {
    bool pair;
    uint32_t unit = r->big ? mc_load_be32(p + 4 * k) : mc_load_le32(p + 4 * k), next = 0;
    if (k + 1 < units)
      next = r->big ? mc_load_be32(p + 4 * k + 4) : mc_load_le32(p + 4 * k + 4);
    MC_TRY(put_point(r, unit, next, &pair));
    k += pair;
  }
  r->at += units * 4;
  return MC_OK;
}

static mc_err take_text(run *r, const mc_fw_complex_type *x)
{
  uint64_t n;
  mc_slice text;
  MC_TRY(take(r, 4, &n));
  if (x->encoding == 1) {
    MC_TRY(take_wide(r, n));
    text = mc_buf_slice(r->text);
  } else {
    if (n > r->in.len - r->at)
      return cut_off(r, n);
    text = mc_slice_sub(r->in, r->at, n);
    r->at += n;
    if (n && text.data[n - 1] == 0)
      text.len--;
    if (!mc_slice_is_utf8(text))
      return mc_err_set(r->why, MC_ERR_MALFORMED, "CDR message, byte %zu: a text that is not UTF-8", r->at - (size_t)n + HEAD);
    n = text.len;
  }
  if (x->size > 0 && n > (uint64_t)x->size)
    return mc_err_set(r->why, MC_ERR_MALFORMED, "CDR message, byte %zu: a text of %llu units, at most %lld are allowed", r->at + HEAD, (unsigned long long)n, (long long)x->size);
  if (r->json)
    mc_json_text(r->json, text);
  else if (r->found)
    *r->found = (mc_fw_value){.type = MC_FW_TYPE_STRING, .text = text};
  return MC_OK;
}

static mc_err take_any(run *r, uint32_t id, const uint32_t *path, uint32_t steps, unsigned depth);

/* Passed over without being looked at. */
static mc_err pass(run *r, uint32_t id, unsigned depth) // NOLINT(misc-no-recursion)
{
  run over = *r;
  over.json = NULL;
  over.found = NULL;
  mc_err err = take_any(&over, id, NULL, 0, depth);
  r->at = over.at;
  return err;
}

static mc_err count_of(run *r, const mc_fw_complex_type *x, uint64_t *count)
{
  *count = (uint64_t)x->size;
  if (x->size > 0)
    return MC_OK;
  MC_TRY(take(r, 4, count));
  if (x->size < 0 && *count > 0 - (uint64_t)x->size)
    return mc_err_set(r->why, MC_ERR_MALFORMED, "CDR message, byte %zu: a list of %llu, at most %llu are allowed", r->at - 4 + HEAD, (unsigned long long)*count,
                      (unsigned long long)(0 - (uint64_t)x->size));
  return MC_OK;
}

/* Numbers lie side by side: in one step. */
static mc_err pass_many(run *r, uint32_t id, uint64_t count, unsigned depth) // NOLINT(misc-no-recursion)
{
  const mc_fw_complex_type *e = type_of(r->t, id);
  if (e && e->kind == MC_FW_COMPLEX_PRIMITIVE && count) {
    size_t size = size_of(e->type);
    MC_TRY(align(r, size));
    if (count > (r->in.len - r->at) / size)
      return cut_off(r, size);
    r->at += count * size;
    return MC_OK;
  }
  for (uint64_t k = 0; k < count; k++) /* each takes at least one byte: mc_cdr_check */
    MC_TRY(pass(r, id, depth));
  return MC_OK;
}

static mc_err take_list(run *r, const mc_fw_complex_type *x, const uint32_t *path, uint32_t steps, unsigned depth) // NOLINT(misc-no-recursion)
{
  uint64_t count;
  MC_TRY(count_of(r, x, &count));
  if (steps) {
    if (path[0] >= count)
      return mc_err_set(r->why, MC_ERR_NOT_FOUND, "a list of %llu has no element %u", (unsigned long long)count, path[0]);
    MC_TRY(pass_many(r, x->element_type, path[0], depth));
    return take_any(r, x->element_type, path + 1, steps - 1, depth);
  }
  if (!r->json)
    return pass_many(r, x->element_type, count, depth);
  mc_json_array(r->json);
  for (uint64_t k = 0; k < count; k++)
    MC_TRY(take_any(r, x->element_type, NULL, 0, depth));
  mc_json_array_end(r->json);
  return MC_OK;
}

static mc_err take_struct(run *r, const mc_fw_complex_type *x, const uint32_t *path, uint32_t steps, unsigned depth) // NOLINT(misc-no-recursion)
{
  if (steps && path[0] >= x->member_count)
    return mc_err_set(r->why, MC_ERR_INVALID, "a struct of %u members has no member %u", x->member_count, path[0]);
  if (r->json)
    mc_json_object(r->json);
  for (uint32_t m = 0; m < x->member_count; m++) {
    const mc_fw_complex_member *member = &x->member[m];
    if (steps && m == path[0])
      return take_any(r, member->type_id, path + 1, steps - 1, depth);
    if (steps) {
      MC_TRY(pass(r, member->type_id, depth));
      continue;
    }
    char index[16];
    if (r->json && member->name.len)
      mc_json_key_slice(r->json, member->name);
    else if (r->json && snprintf(index, sizeof index, "%u", m) > 0)
      mc_json_key(r->json, index);
    MC_TRY(take_any(r, member->type_id, NULL, 0, depth));
  }
  if (r->json)
    mc_json_object_end(r->json);
  return MC_OK;
}

static mc_err take_any(run *r, uint32_t id, const uint32_t *path, uint32_t steps, unsigned depth) // NOLINT(misc-no-recursion)
{
  const mc_fw_complex_type *x = type_of(r->t, id);
  if (!x || depth >= DEPTH_MAX)
    return mc_err_set(r->why, MC_ERR_INVALID, "complex type %u is not there, or lies too deep", id);
  if (r->json && r->json->out->len > r->limit)
    return mc_err_set(r->why, MC_ERR_TOO_LARGE, "more than %zu bytes of JSON", r->limit);
  bool leaf = x->kind == MC_FW_COMPLEX_PRIMITIVE || x->kind == MC_FW_COMPLEX_STRING;
  if (r->found && (leaf ? steps > 0 : steps == 0))
    return mc_err_set(r->why, MC_ERR_INVALID, "the path does not lead to a number or a text");
  switch (x->kind) {
  case MC_FW_COMPLEX_PRIMITIVE:
    return take_number(r, x);
  case MC_FW_COMPLEX_STRING:
    return take_text(r, x);
  case MC_FW_COMPLEX_ARRAY:
    return take_list(r, x, path, steps, depth + 1);
  default:
    return take_struct(r, x, path, steps, depth + 1);
  }
}

static mc_err begin(run *r, mc_slice cdr)
{
  if (cdr.len < HEAD)
    return mc_err_set(r->why, MC_ERR_TRUNCATED, "CDR message of %zu bytes: its head has 4", cdr.len);
  if (cdr.data[0] || cdr.data[1] > 1)
    return mc_err_set(r->why, MC_ERR_UNSUPPORTED, "CDR message: encapsulation %02x %02x; 00 00 and 00 01 (plain CDR) are known", cdr.data[0], cdr.data[1]);
  r->big = !cdr.data[1];
  r->in = mc_slice_sub(cdr, HEAD, cdr.len);
  return MC_OK;
}

mc_err mc_cdr_find(const mc_cdr_types *t, uint32_t root, mc_slice cdr, const uint32_t *path, uint32_t steps, mc_fw_value *out, mc_buf *text, mc_why *why)
{
  run r = {.t = t, .text = text, .found = out, .why = why};
  *out = (mc_fw_value){0};
  MC_TRY(begin(&r, cdr));
  return take_any(&r, root, path, steps, 0);
}

mc_err mc_cdr_json(const mc_cdr_types *t, uint32_t root, mc_slice cdr, size_t limit, mc_buf *out, mc_why *why)
{
  mc_json j = mc_json_to(out);
  mc_buf text = {0};
  run r = {.t = t, .json = &j, .limit = out->len + limit, .text = &text, .why = why};
  size_t start = out->len;
  mc_err err = begin(&r, cdr);
  if (!err)
    err = take_any(&r, root, NULL, 0, 0);
  if (!err && r.in.len - r.at > 3)
    err = mc_err_set(why, MC_ERR_MALFORMED, "CDR message: %zu bytes behind its end; is it of another type?", r.in.len - r.at);
  if (!err)
    err = mc_json_end(&j);
  if (!err && out->len > r.limit)
    err = mc_err_set(why, MC_ERR_TOO_LARGE, "more than %zu bytes of JSON", limit);
  if (err)
    out->len = start;
  mc_buf_free(&text);
  return err;
}
