/* Decode plans. A frame's id finds its group list in an open hash; a group is the signals that share one chain of
 * multiplexor values, so that a chain is tested once and the signals behind it run without branches. */
#include "signal/decode_layout.h"

#include <math.h>
#include <stdlib.h>

typedef enum op_kind { OP_INTEGER, OP_UNSIGNED64, OP_FLOAT32, OP_FLOAT64 } op_kind;

typedef struct op {
  mc_layout at;
  uint64_t sign;   /* top bit of a signed field, else 0 */
  uint64_t absent; /* raw values from here on are SAE "error" and "not available"; UINT64_MAX: none */
  double factor, offset;
  uint32_t signal_id, encoding_id;
  uint8_t kind;
} op;

typedef struct test {
  mc_layout at;
  uint32_t first_range, range_count;
} test;

typedef struct group {
  uint32_t first_test, test_count;
  uint32_t first_op, op_count;
} group;

typedef struct slot {
  uint64_t key; /* 0: free */
  uint32_t first_group, group_count;
} slot;

struct mc_decode_plan {
  slot *slot;
  uint64_t slot_mask;
  group *group;
  op *op;
  test *test;
  struct mc_mux_range *range;
  bool has_pgn;
  size_t max_per_frame;
};

enum { KEY_USED = 1 }; /* bit 63; 62: parameter group, 61: extended, 32..47: channel */

static uint64_t key_of(uint16_t channel, bool extended, mc_id_match match, uint32_t id)
{
  bool pgn = match == MC_ID_J1939_PGN;
  return (uint64_t)KEY_USED << 63 | (uint64_t)pgn << 62 | (uint64_t)(extended && !pgn) << 61 | (uint64_t)channel << 32 |
         (pgn ? mc_j1939_pgn(id) : id);
}

static inline const slot *find(const mc_decode_plan *p, uint64_t key)
{
  uint64_t h = key * 0x9E3779B97F4A7C15ULL;
  for (uint64_t i = (h >> 32) & p->slot_mask;; i = (i + 1) & p->slot_mask) {
    const slot *s = &p->slot[i];
    if (s->key == key)
      return s;
    if (s->key == 0)
      return NULL;
  }
}

/* SAE J1939-71: from 8 bits on 0xFE.. is error and 0xFF.. not available; of 2-bit states 2 and 3; of other short
 * fields only all ones is set aside (4-bit modes use 14 as a value, SPN 899); a single bit says what it says. */
static uint64_t absent_from(const mc_can_signal *s)
{
  if (s->match != MC_ID_J1939_PGN || s->is_float || s->length == 1)
    return UINT64_MAX;
  if (s->length >= 8)
    return (uint64_t)0xFE << (s->length - 8);
  return s->length == 2 ? 2 : ((uint64_t)1 << s->length) - 1;
}

static mc_err refuse(mc_why *why, const mc_can_signal *s, size_t i, const char *what)
{
  return mc_err_set(why, MC_ERR_INVALID, "signal %u (number %zu, message 0x%X, start bit %u, length %u): %s", s->signal_id, i + 1,
                    s->message_id, s->start_bit, s->length, what);
}

static mc_err check(const mc_can_signal *s, size_t i, mc_why *why)
{
  mc_layout l;
  if (s->signal_id == 0 || s->signal_id >> 31)
    return refuse(why, s, i, "the id must not be 0 nor have its top bit set");
  if (s->length < 1 || s->length > 64)
    return refuse(why, s, i, "length must be 1..64 bits");
  if (!mc_layout_of(s->start_bit, s->length, s->big_endian, &l))
    return refuse(why, s, i, "its bits reach outside a frame of 64 bytes; the start bit is that of the least significant bit");
  if (s->is_float && s->length != 32 && s->length != 64)
    return refuse(why, s, i, "an IEEE float must have 32 or 64 bits");
  if (s->factor == 0 || !isfinite(s->factor) || !isfinite(s->offset))
    return refuse(why, s, i, "factor must be a number other than 0, offset a number");
  if (s->message_id > (s->extended ? 0x1FFFFFFFu : 0x7FFu))
    return refuse(why, s, i, "the message id does not fit (11 bits, or 29 when extended)");
  if (s->match == MC_ID_J1939_PGN && !s->extended)
    return refuse(why, s, i, "a J1939 parameter group needs a 29-bit id");
  if (s->mux_count > 4)
    return refuse(why, s, i, "at most 4 multiplexors in a chain");
  for (int m = 0; m < s->mux_count; m++)
    if (!mc_layout_of(s->mux[m].start_bit, s->mux[m].length, s->mux[m].big_endian, &l) ||
        (s->mux[m].range_count && !s->mux[m].ranges))
      return refuse(why, s, i, "a multiplexor reaches outside a frame of 64 bytes, or has no ranges");
  return MC_OK;
}

static op compile(const mc_can_signal *s)
{
  op o = {.factor = s->factor, .offset = s->offset, .signal_id = s->signal_id, .encoding_id = s->encoding_id};
  mc_layout_of(s->start_bit, s->length, s->big_endian, &o.at);
  o.absent = absent_from(s);
  if (s->is_float)
    o.kind = s->length == 32 ? OP_FLOAT32 : OP_FLOAT64;
  else if (s->is_signed)
    o.sign = (uint64_t)1 << (s->length - 1);
  else if (s->length == 64)
    o.kind = OP_UNSIGNED64;
  return o;
}

static int compare_u64(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int compare_chain(const mc_can_signal *a, const mc_can_signal *b)
{
  int c = compare_u64(a->mux_count, b->mux_count);
  for (int m = 0; m < a->mux_count && !c; m++) {
    c = compare_u64(a->mux[m].start_bit, b->mux[m].start_bit);
    if (!c)
      c = compare_u64(a->mux[m].length, b->mux[m].length);
    if (!c)
      c = compare_u64(a->mux[m].big_endian, b->mux[m].big_endian);
    if (!c)
      c = compare_u64(a->mux[m].range_count, b->mux[m].range_count);
    for (uint32_t r = 0; r < a->mux[m].range_count && !c; r++) {
      c = compare_u64(a->mux[m].ranges[r].low, b->mux[m].ranges[r].low);
      if (!c)
        c = compare_u64(a->mux[m].ranges[r].high, b->mux[m].ranges[r].high);
    }
  }
  return c;
}

typedef struct entry { uint64_t key; const mc_can_signal *s; } entry;

static int compare_entries(const void *pa, const void *pb)
{
  const entry *a = pa, *b = pb;
  int c = compare_u64(a->key, b->key);
  if (!c)
    c = compare_chain(a->s, b->s);
  return c ? c : compare_u64((uintptr_t)a->s, (uintptr_t)b->s); /* keeps the caller's order */
}

static void insert_slot(mc_decode_plan *p, slot s)
{
  uint64_t i = ((s.key * 0x9E3779B97F4A7C15ULL) >> 32) & p->slot_mask;
  while (p->slot[i].key)
    i = (i + 1) & p->slot_mask;
  p->slot[i] = s;
}

static mc_err reserve(mc_decode_plan *p, const mc_can_signal *signal, size_t count)
{
  size_t tests = 0, ranges = 0, slots = 16;
  for (size_t i = 0; i < count; i++) {
    tests += signal[i].mux_count;
    for (int m = 0; m < signal[i].mux_count; m++)
      if (mc_add_overflows(ranges, signal[i].mux[m].range_count, &ranges))
        return MC_ERR_TOO_LARGE;
  }
  if (count >= UINT32_MAX / 4 || tests >= UINT32_MAX || ranges >= UINT32_MAX)
    return MC_ERR_TOO_LARGE;
  while (slots < count * 2)
    slots *= 2;
  p->slot = calloc(slots, sizeof *p->slot);
  p->slot_mask = slots - 1;
  p->group = calloc(count + 1, sizeof *p->group);
  p->op = calloc(count + 1, sizeof *p->op);
  p->test = calloc(tests + 1, sizeof *p->test);
  p->range = calloc(ranges + 1, sizeof *p->range);
  return p->slot && p->group && p->op && p->test && p->range ? MC_OK : MC_ERR_MEMORY;
}

static void add_chain(mc_decode_plan *p, group *g, const mc_can_signal *s, uint32_t *tests, uint32_t *ranges)
{
  g->first_test = *tests;
  g->test_count = s->mux_count;
  for (int m = 0; m < s->mux_count; m++) {
    test *t = &p->test[(*tests)++];
    mc_layout_of(s->mux[m].start_bit, s->mux[m].length, s->mux[m].big_endian, &t->at);
    t->first_range = *ranges;
    t->range_count = s->mux[m].range_count;
    for (uint32_t r = 0; r < s->mux[m].range_count; r++)
      p->range[(*ranges)++] = s->mux[m].ranges[r];
  }
}

static void fill(mc_decode_plan *p, const entry *e, size_t count)
{
  uint32_t groups = 0, tests = 0, ranges = 0;
  size_t most_exact = 0, most_pgn = 0;
  for (size_t i = 0; i < count;) {
    slot s = {.key = e[i].key, .first_group = groups};
    size_t start = i;
    while (i < count && e[i].key == s.key) {
      group *g = &p->group[groups++];
      const mc_can_signal *chain = e[i].s;
      g->first_op = (uint32_t)i;
      add_chain(p, g, chain, &tests, &ranges);
      for (; i < count && e[i].key == s.key && compare_chain(e[i].s, chain) == 0; i++)
        p->op[i] = compile(e[i].s);
      g->op_count = (uint32_t)i - g->first_op;
    }
    s.group_count = groups - s.first_group;
    insert_slot(p, s);
    size_t *most = s.key >> 62 & 1 ? &most_pgn : &most_exact;
    *most = i - start > *most ? i - start : *most;
  }
  p->has_pgn = most_pgn > 0;
  p->max_per_frame = most_exact + most_pgn; /* a frame may meet both an exact id and its parameter group */
}

mc_err mc_decode_plan_create(const mc_can_signal *signal, size_t count, mc_decode_plan **out, mc_why *why)
{
  *out = NULL;
  for (size_t i = 0; i < count; i++)
    MC_TRY(check(&signal[i], i, why));
  mc_decode_plan *p = calloc(1, sizeof *p);
  entry *e = calloc(count + 1, sizeof *e);
  mc_err err = p && e ? reserve(p, signal, count) : MC_ERR_MEMORY;
  if (err) {
    mc_err_set(why, err, "decode plan of %zu signals: %s", count, mc_err_text(err));
  } else {
    for (size_t i = 0; i < count; i++)
      e[i] = (entry){key_of(signal[i].channel, signal[i].extended, signal[i].match, signal[i].message_id), &signal[i]};
    qsort(e, count, sizeof *e, compare_entries);
    fill(p, e, count);
    *out = p;
    p = NULL;
  }
  free(e);
  mc_decode_plan_destroy(&p);
  return err;
}

void mc_decode_plan_destroy(mc_decode_plan **plan)
{
  mc_decode_plan *p = plan ? *plan : NULL;
  if (!p)
    return;
  free(p->slot);
  free(p->group);
  free(p->op);
  free(p->test);
  free(p->range);
  free(p);
  *plan = NULL;
}

size_t mc_decode_plan_max_per_frame(const mc_decode_plan *plan) { return plan->max_per_frame; }

static bool passes(const mc_decode_plan *p, const group *g, const mc_can_frame *f)
{
  for (uint32_t i = 0; i < g->test_count; i++) {
    const test *t = &p->test[g->first_test + i];
    if (t->at.need > f->len)
      return false;
    uint64_t v = mc_layout_get(&t->at, f->data);
    const struct mc_mux_range *r = p->range + t->first_range, *end = r + t->range_count;
    while (r < end && (v < r->low || v > r->high))
      r++;
    if (r == end)
      return false;
  }
  return true;
}

/* The kinds that are not plain integers; false: no value (NaN and infinities are no measurement). */
static bool finish_rare(const op *o, uint64_t raw, mc_decoded *d)
{
  if (o->kind == OP_UNSIGNED64) {
    d->is_raw = raw <= INT64_MAX; /* the upper half has no int64 */
    d->value = (double)raw * o->factor + o->offset;
    return true;
  }
  double v;
  if (o->kind == OP_FLOAT32) {
    uint32_t bits = (uint32_t)raw;
    float f;
    memcpy(&f, &bits, sizeof f);
    v = (double)f;
  } else {
    memcpy(&v, &raw, sizeof v);
  }
  d->is_raw = 0;
  d->raw = 0;
  d->value = v * o->factor + o->offset;
  return isfinite(d->value);
}

static inline size_t run_group(const mc_decode_plan *p, const group *g, const mc_can_frame *f, mc_decoded *out, size_t cap)
{
  const op *o = p->op + g->first_op, *end = o + g->op_count;
  size_t n = 0;
  for (; o < end && n < cap; o++) {
    uint64_t raw = mc_layout_get(&o->at, f->data);
    bool present = (o->at.need <= f->len) & ((raw < o->absent) | (o->absent == UINT64_MAX));
    int64_t k = (int64_t)((raw ^ o->sign) - o->sign);
    out[n] = (mc_decoded){o->signal_id, o->encoding_id, 1, k, (double)k * o->factor + o->offset};
    if (__builtin_expect(o->kind != OP_INTEGER, 0) && present)
      present = finish_rare(o, raw, &out[n]);
    n += present;
  }
  return n;
}

static size_t run_slot(const mc_decode_plan *p, const slot *s, const mc_can_frame *f, mc_decoded *out, size_t cap)
{
  size_t n = 0;
  const group *g = p->group + s->first_group, *end = g + s->group_count;
  for (; g < end; g++)
    if (g->test_count == 0 || passes(p, g, f))
      n += run_group(p, g, f, out + n, cap - n);
  return n;
}

size_t mc_decode_plan_run(const mc_decode_plan *plan, const mc_can_frame *frame, mc_decoded *out, size_t cap)
{
  size_t n = 0;
  const slot *s = find(plan, key_of(frame->channel, frame->extended, MC_ID_EXACT, frame->id));
  if (s)
    n = run_slot(plan, s, frame, out, cap);
  if (plan->has_pgn && frame->extended) {
    s = find(plan, key_of(frame->channel, true, MC_ID_J1939_PGN, frame->id));
    if (s)
      n += run_slot(plan, s, frame, out + n, cap - n);
  }
  return n;
}

static uint64_t raw_of(const mc_can_signal *s, double physical)
{
  double v = (physical - s->offset) / s->factor;
  uint64_t raw = 0;
  if (s->is_float && s->length == 32) {
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
  }
  if (s->is_float) {
    memcpy(&raw, &v, sizeof raw);
    return raw;
  }
  v = isnan(v) ? 0 : nearbyint(v);
  double top = ldexp(1, s->is_signed ? s->length - 1 : s->length), bottom = s->is_signed ? -top : 0;
  if (v <= bottom)
    return s->is_signed ? (uint64_t)1 << (s->length - 1) : 0;
  if (v >= top)
    return s->is_signed ? ((uint64_t)1 << (s->length - 1)) - 1 : UINT64_MAX;
  return s->is_signed ? (uint64_t)(int64_t)v : (uint64_t)v;
}

void mc_can_signal_encode(const mc_can_signal *s, double physical, uint8_t data[64])
{
  mc_layout l;
  if (s->factor != 0 && mc_layout_of(s->start_bit, s->length, s->big_endian, &l))
    mc_layout_put(&l, data, raw_of(s, physical));
}
