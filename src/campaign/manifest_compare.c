/* What differs between two compiled decoder manifests. Each decoder becomes a row of named texts, as people write them; rows of the same signal are compared
 * text by text, so that a new kind of decoder needs one function here and no rule of comparison. Documents are those for our agent: they hold all there is. */
#include <stdio.h>
#include <stdlib.h>

#include "campaign/state.h"

enum { MAX_FIELDS = 16, MAX_STRUCTURE = 4000, MAX_DEPTH = 24 };

typedef struct row {
  uint32_t signal;
  mc_slice place; /* tells decoders of one signal apart */
  struct {
    const char *name;
    mc_slice text;
  } field[MAX_FIELDS];
  size_t count;
  bool matched;
} row;
typedef MC_VEC(row) row_vec;

typedef struct side {
  mc_arena *arena;
  row_vec rows;
  bool failed; /* out of memory */
} side;

/* ---- rows ---- */

static void put(side *s, row *r, const char *name, const char *text)
{
  if (!text || r->count == MAX_FIELDS) {
    s->failed = true;
    return;
  }
  r->field[r->count].name = name;
  r->field[r->count++].text = mc_slice_str(text);
}

static void put_slice(side *s, row *r, const char *name, mc_slice text) { put(s, r, name, mc_arena_str(s->arena, text)); }
static void put_uint(side *s, row *r, const char *name, uint64_t value) { put(s, r, name, mc_arena_printf(s->arena, "%llu", (unsigned long long)value)); }
static void put_bool(side *s, row *r, const char *name, bool value) { put(s, r, name, value ? "yes" : "no"); }

/* A short text that reads back the same. */
static void put_number(side *s, row *r, const char *name, double value)
{
  char text[40];
  for (int digits = 6; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value)
      break;
  }
  put(s, r, name, mc_arena_printf(s->arena, "%s", text));
}

static const char *id_text(side *s, uint32_t id)
{
  uint32_t bare = id & 0x1FFFFFFF;
  return mc_arena_printf(s->arena, "0x%X%s", bare, id >> 31 && bare <= 0x7FF ? " extended" : "");
}

static row begin_row(side *s, uint32_t signal, const char *kind, mc_slice interface)
{
  row r = {.signal = signal};
  put(s, &r, "kind", kind);
  put_slice(s, &r, "interface", interface);
  return r;
}

static void end_row(side *s, row *r, const char *place)
{
  s->failed |= !place;
  r->place = mc_slice_str(place);
  if (mc_vec_push(&s->rows, *r))
    s->failed = true;
}

/* "0|8 big 1-3,7, 16|4 little 2" */
static const char *mux_text(side *s, const mc_fw_can_signal *f)
{
  char text[600] = "";
  size_t n = 0;
  for (uint32_t m = 0; m < f->mux_count && n < sizeof text - 80; m++) {
    n += (size_t)snprintf(text + n, sizeof text - n, "%s%u|%u %s", m ? ", " : "", f->mux[m].start_bit, f->mux[m].length, f->mux[m].big_endian ? "big" : "little");
    for (uint32_t k = 0; k < f->mux[m].range_count && n < sizeof text - 80; k++) {
      uint32_t low = f->mux[m].range[2 * k], high = f->mux[m].range[2 * k + 1];
      n += (size_t)snprintf(text + n, sizeof text - n, "%c%u", k ? ',' : ' ', low);
      if (high != low)
        n += (size_t)snprintf(text + n, sizeof text - n, "-%u", high);
    }
  }
  return mc_arena_str(s->arena, mc_slice_of(text, n));
}

static void can_row(side *s, const mc_fw_can_signal *f)
{
  row r = begin_row(s, f->signal_id, "CAN", f->interface_id);
  put(s, &r, "message", id_text(s, f->message_id));
  put_uint(s, &r, "start bit", f->start_bit);
  put_uint(s, &r, "length", f->length);
  put(s, &r, "byte order", f->big_endian ? "big" : "little");
  put_bool(s, &r, "signed", f->is_signed);
  put_number(s, &r, "factor", f->factor);
  put_number(s, &r, "offset", f->offset);
  put(s, &r, "type", mc_type_name((mc_type)f->type));
  put(s, &r, "values", f->value_type ? "IEEE 754" : "integer");
  put(s, &r, "id mask", f->id_mask ? mc_arena_printf(s->arena, "0x%X", f->id_mask) : "exact");
  put(s, &r, "multiplex", f->mux_count ? mux_text(s, f) : "none");
  end_row(s, &r, mc_arena_printf(s->arena, "%.*s %s", MC_FMT(f->interface_id), id_text(s, f->message_id)));
}

static void obd_row(side *s, const mc_fw_obd_signal *f)
{
  row r = begin_row(s, f->signal_id, "OBD", f->interface_id);
  put_uint(s, &r, "service mode", f->service_mode);
  put_uint(s, &r, "pid", f->pid);
  put_uint(s, &r, "response length", f->response_length);
  put_uint(s, &r, "start byte", f->start_byte);
  put_uint(s, &r, "byte length", f->byte_length);
  put_uint(s, &r, "bit right shift", f->bit_right_shift);
  put_uint(s, &r, "bit mask length", f->bit_mask_length);
  put_number(s, &r, "factor", f->scaling);
  put_number(s, &r, "offset", f->offset);
  put_bool(s, &r, "signed", f->is_signed);
  put(s, &r, "type", mc_type_name((mc_type)f->type));
  put(s, &r, "values", f->value_type ? "IEEE 754" : "integer");
  end_row(s, &r, mc_arena_printf(s->arena, "%.*s mode %u pid %u", MC_FMT(f->interface_id), f->service_mode, f->pid));
}

static void custom_row(side *s, const mc_fw_custom_signal *f)
{
  row r = begin_row(s, f->signal_id, "custom", f->interface_id);
  put_slice(s, &r, "decoding id", f->decoding_id);
  put(s, &r, "type", mc_type_name((mc_type)f->type));
  end_row(s, &r, mc_arena_printf(s->arena, "%.*s %.*s", MC_FMT(f->interface_id), MC_FMT(mc_slice_sub(f->decoding_id, 0, 150))));
}

/* ---- structured signals: the type spelled out, so that other numbers of the same types are no difference ---- */

typedef struct spelling {
  const mc_fw_manifest *m;
  mc_map index; /* type id -> index */
  mc_buf *out;
} spelling;

static mc_err spell(const spelling *p, uint32_t id, int depth)
{
  uint64_t at;
  char text[120];
  if (id == MC_FW_TYPE_ID_UTF8 || id == MC_FW_TYPE_ID_UTF16)
    return mc_buf_append_str(p->out, id == MC_FW_TYPE_ID_UTF8 ? "char8" : "char16");
  if (depth > MAX_DEPTH || p->out->len > MAX_STRUCTURE)
    return mc_buf_append_str(p->out, "...");
  if (!mc_map_get(&p->index, id, &at))
    return mc_buf_append_str(p->out, "?");
  const mc_fw_complex_type *t = &p->m->complex_type[at];
  switch (t->kind) {
  case MC_FW_COMPLEX_PRIMITIVE:
    MC_TRY(mc_buf_append_str(p->out, mc_type_name((mc_type)t->type)));
    if (t->scaling == 1 && t->offset == 0)
      return MC_OK;
    snprintf(text, sizeof text, "*%.9g+%.9g", t->scaling, t->offset);
    return mc_buf_append_str(p->out, text);
  case MC_FW_COMPLEX_STRUCT:
    MC_TRY(mc_buf_append_str(p->out, "{"));
    for (uint32_t i = 0; i < t->member_count; i++) {
      if (i)
        MC_TRY(mc_buf_append_str(p->out, ", "));
      MC_TRY(spell(p, t->member[i].type_id, depth + 1));
    }
    return mc_buf_append_str(p->out, "}");
  case MC_FW_COMPLEX_ARRAY:
    MC_TRY(spell(p, t->element_type, depth + 1));
    snprintf(text, sizeof text, "[%s%lld]", t->size > 0 ? "" : "up to ", (long long)(t->size < 0 ? -t->size : t->size)); /* up to 0: any */
    return mc_buf_append_str(p->out, text);
  default:
    snprintf(text, sizeof text, "text %s %lld", t->encoding ? "UTF-16" : "UTF-8", (long long)t->size);
    return mc_buf_append_str(p->out, text);
  }
}

static mc_err complex_rows(side *s, const mc_fw_manifest *m)
{
  mc_buf text = {0};
  spelling p = {.m = m, .out = &text};
  mc_err err = MC_OK;
  for (uint32_t i = 0; i < m->complex_type_count && !err; i++)
    err = mc_map_put(&p.index, m->complex_type[i].type_id, i);
  for (uint32_t i = 0; i < m->complex_count && !err; i++) {
    const mc_fw_complex_signal *f = &m->complex[i];
    row r = begin_row(s, f->signal_id, "structured", f->interface_id);
    mc_buf_clear(&text);
    err = spell(&p, f->root_type, 0);
    put_slice(s, &r, "topic", f->message_id);
    put_slice(s, &r, "structure", mc_slice_sub(mc_buf_slice(&text), 0, MAX_STRUCTURE));
    end_row(s, &r, mc_arena_printf(s->arena, "%.*s %.*s", MC_FMT(f->interface_id), MC_FMT(mc_slice_sub(f->message_id, 0, 200))));
  }
  mc_map_free(&p.index);
  mc_buf_free(&text);
  return err;
}

static int row_order(const void *a, const void *b)
{
  const row *x = a, *y = b;
  if (x->signal != y->signal)
    return x->signal < y->signal ? -1 : 1;
  return mc_slice_compare(x->place, y->place);
}

static mc_err read_side(side *s, mc_slice document, mc_why *why)
{
  mc_fw_manifest m;
  MC_TRY(mc_fw_read_manifest(document, s->arena, &m, why));
  for (uint32_t i = 0; i < m.can_count; i++)
    can_row(s, &m.can[i]);
  for (uint32_t i = 0; i < m.obd_count; i++)
    obd_row(s, &m.obd[i]);
  for (uint32_t i = 0; i < m.custom_count; i++)
    custom_row(s, &m.custom[i]);
  mc_err err = complex_rows(s, &m);
  if (err || s->failed)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a manifest of %u signals", m.can_count + m.obd_count + m.custom_count + m.complex_count);
  if (s->rows.len)
    qsort(s->rows.at, s->rows.len, sizeof *s->rows.at, row_order);
  return MC_OK;
}

/* ---- comparing ---- */

typedef struct comparison {
  mc_campaigns *c;
  uint32_t tenant;
  mc_arena *arena;
  mc_manifest_comparison *out;
  MC_VEC(mc_manifest_difference) list;
} comparison;

static mc_slice text_of(const row *r, const char *name)
{
  for (size_t i = 0; r && i < r->count; i++)
    if (!strcmp(r->field[i].name, name))
      return r->field[i].text;
  return (mc_slice){0};
}

static void add_field(mc_manifest_difference *d, const row *x, const row *y, const char *name)
{
  mc_slice before = text_of(x, name), after = text_of(y, name);
  if (!mc_slice_eq(before, after))
    d->field[d->field_count++] = (mc_manifest_field){name, before, after};
}

/* x or y may be NULL: it came, or it went. */
static mc_err compare_rows(comparison *p, const row *x, const row *y)
{
  const row *any = x ? x : y;
  mc_manifest_difference d = {.kind = !x ? MC_DIFFERENCE_ADDED : !y ? MC_DIFFERENCE_REMOVED : MC_DIFFERENCE_CHANGED, .signal = any->signal, .place = any->place};
  d.field = mc_arena_array(p->arena, (size_t)2 * MAX_FIELDS, sizeof *d.field);
  if (!d.field)
    return MC_ERR_MEMORY;
  for (size_t i = 0; x && i < x->count; i++)
    add_field(&d, x, y, x->field[i].name);
  for (size_t i = 0; y && i < y->count; i++)
    if (!text_of(x, y->field[i].name).data) /* another kind of decoder has other fields */
      add_field(&d, x, y, y->field[i].name);
  if (!d.field_count) {
    p->out->same++;
    return MC_OK;
  }
  p->out->added += !x;
  p->out->removed += !y;
  p->out->changed += x && y;
  d.fqn = mc_registry_signal_fqn(p->c->config.registry, p->tenant, d.signal);
  return mc_vec_push(&p->list, d);
}

static row *next_left(row *at, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (!at[i].matched)
      return &at[i];
  return NULL;
}

/* The decoders of one signal: those in the same place belong together, then what is left in their order. */
static mc_err compare_signal(comparison *p, row *x, size_t xs, row *y, size_t ys)
{
  for (size_t i = 0, k = 0; i < xs && k < ys;) { /* both are ordered by place */
    int order = mc_slice_compare(x[i].place, y[k].place);
    if (order == 0) {
      MC_TRY(compare_rows(p, &x[i], &y[k]));
      x[i].matched = y[k].matched = true;
    }
    i += order <= 0;
    k += order >= 0;
  }
  for (;;) {
    row *a = next_left(x, xs), *b = next_left(y, ys);
    if (!a && !b)
      return MC_OK;
    MC_TRY(compare_rows(p, a, b));
    if (a)
      a->matched = true;
    if (b)
      b->matched = true;
  }
}

static size_t run_of(const row_vec *v, size_t from)
{
  size_t n = 0;
  while (from + n < v->len && v->at[from + n].signal == v->at[from].signal)
    n++;
  return n;
}

static mc_err compare_all(comparison *p, row_vec *x, row_vec *y)
{
  for (size_t i = 0, k = 0; i < x->len || k < y->len;) {
    uint32_t a = i < x->len ? x->at[i].signal : UINT32_MAX, b = k < y->len ? y->at[k].signal : UINT32_MAX; /* ids have their top bit clear */
    size_t xs = a <= b ? run_of(x, i) : 0, ys = b <= a ? run_of(y, k) : 0;
    MC_TRY(compare_signal(p, xs ? x->at + i : NULL, xs, ys ? y->at + k : NULL, ys));
    i += xs;
    k += ys;
  }
  return MC_OK;
}

static int by_name(const void *a, const void *b)
{
  const mc_manifest_difference *x = a, *y = b;
  int order = mc_slice_compare(x->fqn, y->fqn);
  return order ? order : mc_slice_compare(x->place, y->place);
}

static mc_err find(mc_campaigns *c, uint32_t tenant, mc_slice name, const manifest_version **out, mc_why *why)
{
  *out = NULL;
  pthread_mutex_lock(&c->lock);
  *out = campaign_manifest_current(c, tenant, name);
  for (size_t i = 0; i < c->manifest.len && !*out; i++) /* seldom asked: no index */
    if (c->manifest.at[i]->tenant == tenant && (mc_slice_eq_str(name, c->manifest.at[i]->sync_id) || mc_slice_eq_str(name, c->manifest.at[i]->foreign_sync_id)))
      *out = c->manifest.at[i];
  pthread_mutex_unlock(&c->lock); /* versions are never freed before close */
  return *out ? MC_OK
              : mc_err_set(why, MC_ERR_NOT_FOUND, "there is no compiled decoder manifest \"%.*s\": name an ACTIVE one, or a version by its sync id",
                           MC_FMT(mc_slice_sub(name, 0, 160)));
}

mc_err mc_campaign_manifest_compare(mc_campaigns *c, uint32_t tenant, mc_slice before, mc_slice after, mc_arena *arena, mc_manifest_comparison *out, mc_why *why)
{
  const manifest_version *x, *y;
  *out = (mc_manifest_comparison){0};
  MC_TRY(find(c, tenant, before, &x, why));
  MC_TRY(find(c, tenant, after, &y, why));
  out->before = mc_slice_str(x->sync_id);
  out->after = mc_slice_str(y->sync_id);
  side a = {.arena = arena}, b = {.arena = arena};
  comparison p = {.c = c, .tenant = tenant, .arena = arena, .out = out};
  mc_err err = read_side(&a, mc_buf_slice(&x->extended), why);
  if (!err)
    err = read_side(&b, mc_buf_slice(&y->extended), why);
  if (!err)
    err = compare_all(&p, &a.rows, &b.rows);
  if (!err && p.list.len) {
    qsort(p.list.at, p.list.len, sizeof *p.list.at, by_name);
    out->difference = mc_arena_array(arena, p.list.len, sizeof *out->difference);
    if (out->difference)
      memcpy(out->difference, p.list.at, p.list.len * sizeof *p.list.at);
    out->count = p.list.len;
    err = out->difference ? MC_OK : MC_ERR_MEMORY;
  }
  mc_vec_free(&a.rows);
  mc_vec_free(&b.rows);
  mc_vec_free(&p.list);
  return err == MC_ERR_MEMORY ? mc_err_set(why, err, "out of memory: the manifests are too large to compare in one answer") : err;
}
