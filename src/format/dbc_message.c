/* DBC: BO_, SG_, BO_TX_BU_, SIG_VALTYPE_, SG_MUL_VAL_. */
#include "format/dbc_read.h"

#include <stdio.h>

enum { INDEPENDENT_SIGNALS = 0x40000000 }; /* VECTOR__INDEPENDENT_SIG_MSG: signals that sit in no frame */

static mc_err index_signal(mc_dbc_reader *r, uint32_t raw_id, mc_slice name, uint64_t at)
{
  mc_buf key = {0};
  mc_err err = mc_buf_append(&key, &raw_id, sizeof raw_id);
  if (!err)
    err = mc_buf_append_slice(&key, name);
  if (!err)
    err = mc_strmap_put(&r->by_signal, mc_buf_slice(&key), at);
  mc_buf_free(&key);
  return err;
}

/* False: no frame can have this id. */
static bool split_id(mc_dbc_reader *r, uint32_t raw_id, mc_dbc_message *m, mc_err *err)
{
  m->extended = raw_id >> 31;
  m->id = raw_id & 0x7FFFFFFF;
  if (m->id > 0x1FFFFFFF) {
    *err = mc_dbc_reader_warn(r, m->line,
                              "message %.*s: no frame can have the id %u; expected 0..2047, or 2147483648 + a 29-bit id for an "
                              "extended frame; left out",
                              MC_FMT(m->name), raw_id);
    return false;
  }
  if (!m->extended && m->id > 0x7FF) {
    m->extended = true;
    *err = mc_dbc_reader_warn(
        r, m->line, "message %.*s: id %u has more than 11 bits but no extended flag (2147483648); taken as extended",
        MC_FMT(m->name), raw_id);
  }
  return true;
}

mc_err mc_dbc_read_message(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  mc_dbc_open_message o = {.m.line = lx->now.line, .first = (uint32_t)r->signal.len};
  uint32_t size;
  MC_TRY(mc_dbc_lexer_next(lx));
  MC_TRY(mc_dbc_lexer_u32(lx, &o.raw_id, "message (BO_)", "a message id (a whole number below 4294967296)"));
  MC_TRY(mc_dbc_lexer_name(lx, &o.m.name, "message (BO_)", "a message name"));
  char where[96];
  snprintf(where, sizeof where, "message %.*s", MC_FMT(mc_slice_sub(o.m.name, 0, 80)));
  MC_TRY(mc_dbc_lexer_mark(lx, ':', where));
  MC_TRY(mc_dbc_lexer_u32(lx, &size, where, "a size in bytes"));
  if (size > UINT16_MAX)
    return mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: %s: size %u bytes; expected at most 65535 (a frame has up to 64)",
                      lx->name, o.m.line, where, size);
  MC_TRY(mc_dbc_lexer_name(lx, &o.m.sender, where, "the sender's name (Vector__XXX when there is none)"));
  o.m.short_name = o.m.name;
  o.m.size = (uint16_t)size;
  r->passing = true;
  if ((o.raw_id & 0x7FFFFFFF) == INDEPENDENT_SIGNALS)
    return MC_OK;
  mc_err err = MC_OK;
  if (!split_id(r, o.raw_id, &o.m, &err) || err)
    return err;
  uint64_t twin;
  uint32_t key = o.m.id | (o.m.extended ? 0x80000000u : 0u);
  if (mc_map_get(&r->by_id, key, &twin))
    return mc_dbc_reader_warn(r, o.m.line, "%s: the id %u is taken by message %.*s (line %u); this one is left out", where,
                              o.raw_id, MC_FMT(r->message.at[twin].m.name), r->message.at[twin].m.line);
  r->passing = false;
  MC_TRY(mc_map_put(&r->by_id, key, r->message.len));
  if (key != o.raw_id)
    MC_TRY(mc_map_put(&r->by_id, o.raw_id, r->message.len));
  return mc_vec_push(&r->message, o);
}

/* M, m<n>, m<n>M before the colon. */
static mc_err read_mux_mark(mc_dbc_reader *r, mc_dbc_open_signal *o, const char *where)
{
  mc_dbc_lexer *lx = &r->lx;
  if (lx->now.kind != MC_DBC_TOKEN_WORD)
    return MC_OK;
  mc_slice t = lx->now.text;
  if (mc_slice_eq(t, MC_LIT("M"))) {
    o->s.mux = MC_DBC_SWITCH;
    return mc_dbc_lexer_next(lx);
  }
  bool both = t.len > 2 && t.data[t.len - 1] == 'M';
  uint64_t value;
  if (t.data[0] != 'm' || mc_slice_to_u64(mc_slice_sub(t, 1, t.len - 1 - both), &value) || value > UINT32_MAX)
    return mc_dbc_lexer_unexpected(lx, where, "':' or a multiplexing mark (M, m<number> or m<number>M)");
  o->s.mux = both ? MC_DBC_MUXED_SWITCH : MC_DBC_MUXED;
  o->mux_value = (uint32_t)value;
  return mc_dbc_lexer_next(lx);
}

/* `start|length@order sign`; bit positions per contract fleetwise 15.2. */
static mc_err read_layout(mc_dbc_reader *r, mc_dbc_signal *s, const char *where)
{
  mc_dbc_lexer *lx = &r->lx;
  uint32_t start, length, order;
  MC_TRY(mc_dbc_lexer_u32(lx, &start, where, "a start bit"));
  MC_TRY(mc_dbc_lexer_mark(lx, '|', where));
  uint32_t line = lx->now.line;
  MC_TRY(mc_dbc_lexer_u32(lx, &length, where, "a length in bits"));
  MC_TRY(mc_dbc_lexer_mark(lx, '@', where));
  if (lx->now.kind != MC_DBC_TOKEN_NUMBER || lx->now.text.len != 1 || lx->now.text.data[0] > '1')
    return mc_dbc_lexer_unexpected(lx, where, "a byte order (0 = Motorola, 1 = Intel)");
  order = lx->now.text.data[0] - '0';
  MC_TRY(mc_dbc_lexer_next(lx));
  if (!mc_dbc_lexer_is_mark(lx, '+') && !mc_dbc_lexer_is_mark(lx, '-'))
    return mc_dbc_lexer_unexpected(lx, where, "a sign ('+' unsigned, '-' signed)");
  s->is_signed = mc_dbc_lexer_is_mark(lx, '-');
  MC_TRY(mc_dbc_lexer_next(lx));
  if (length < 1 || length > 64)
    return mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: %s: length %u bits; expected 1..64", lx->name, line, where, length);
  s->big_endian = order == 0;
  uint32_t lsb = start;
  if (s->big_endian) {
    uint32_t last = start - start % 8 + (7 - start % 8) + length - 1;
    lsb = last - last % 8 + (7 - last % 8);
  }
  if (start > UINT16_MAX - 128)
    return mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: %s: start bit %u; expected a bit of the message", lx->name, line, where, start);
  s->start_bit = (uint16_t)start;
  s->length = (uint16_t)length;
  s->lsb = (uint16_t)lsb;
  return MC_OK;
}

static mc_err read_scaling(mc_dbc_reader *r, mc_dbc_signal *s, const char *where)
{
  mc_dbc_lexer *lx = &r->lx;
  MC_TRY(mc_dbc_lexer_mark(lx, '(', where));
  uint32_t line = lx->now.line;
  MC_TRY(mc_dbc_lexer_double(lx, &s->factor, where, "a factor"));
  MC_TRY(mc_dbc_lexer_mark(lx, ',', where));
  MC_TRY(mc_dbc_lexer_double(lx, &s->offset, where, "an offset"));
  MC_TRY(mc_dbc_lexer_mark(lx, ')', where));
  MC_TRY(mc_dbc_lexer_mark(lx, '[', where));
  MC_TRY(mc_dbc_lexer_double(lx, &s->min, where, "a minimum"));
  MC_TRY(mc_dbc_lexer_mark(lx, '|', where));
  MC_TRY(mc_dbc_lexer_double(lx, &s->max, where, "a maximum"));
  MC_TRY(mc_dbc_lexer_mark(lx, ']', where));
  if (s->factor == 0) {
    s->factor = 1;
    return mc_dbc_reader_warn(r, line, "%s: factor 0 would make every value %g; taken as 1", where, s->offset);
  }
  return MC_OK;
}

static mc_err check_fit(mc_dbc_reader *r, const mc_dbc_message *m, const mc_dbc_signal *s, const char *where)
{
  uint32_t last = s->big_endian ? s->lsb / 8u : (s->lsb + s->length - 1u) / 8u;
  if (last < m->size)
    return MC_OK;
  return mc_dbc_reader_warn(r, s->line, "%s: reaches byte %u of message %.*s, which has %u; decoded only from longer frames",
                            where, last + 1, MC_FMT(m->name), m->size);
}

static mc_err take_signal(mc_dbc_reader *r, mc_dbc_open_signal *o, const char *where)
{
  if (r->passing)
    return MC_OK;
  mc_dbc_open_message *om = &r->message.at[r->message.len - 1];
  size_t twin;
  if (mc_dbc_reader_signal(r, om->raw_id, o->s.name, &twin))
    return mc_dbc_reader_warn(r, o->s.line, "%s: message %.*s has a signal of this name already (line %u); this one is left out",
                              where, MC_FMT(om->m.name), r->signal.at[twin].s.line);
  o->message = (uint32_t)r->message.len - 1;
  o->s.short_name = o->s.name;
  MC_TRY(check_fit(r, &om->m, &o->s, where));
  MC_TRY(index_signal(r, om->raw_id, o->s.name, r->signal.len));
  om->m.signal_count++;
  return mc_vec_push(&r->signal, *o);
}

mc_err mc_dbc_read_signal(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  mc_dbc_open_signal o = {.s.line = lx->now.line, .switch_at = -1};
  if (r->message.len == 0 && !r->passing)
    return mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: signal (SG_) before any message; expected a BO_ line above it", lx->name,
                      lx->now.line);
  MC_TRY(mc_dbc_lexer_next(lx));
  MC_TRY(mc_dbc_lexer_name(lx, &o.s.name, "signal (SG_)", "a signal name"));
  char where[96];
  snprintf(where, sizeof where, "signal %.*s", MC_FMT(mc_slice_sub(o.s.name, 0, 80)));
  MC_TRY(read_mux_mark(r, &o, where));
  MC_TRY(mc_dbc_lexer_mark(lx, ':', where));
  MC_TRY(read_layout(r, &o.s, where));
  MC_TRY(read_scaling(r, &o.s, where));
  if (lx->now.kind == MC_DBC_TOKEN_STRING && mc_slice_find(lx->now.text, '\n', 0) < lx->now.text.len)
    return mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: %s: the unit starts with \" and does not end; expected a closing \"",
                      lx->name, lx->now.line, where);
  MC_TRY(mc_dbc_lexer_string(lx, &o.s.unit, where, "a unit in quotes (\"\" when there is none)"));
  while (lx->now.kind == MC_DBC_TOKEN_WORD || mc_dbc_lexer_is_mark(lx, ','))
    MC_TRY(mc_dbc_lexer_next(lx)); /* receivers: nobody asks for them */
  if (lx->now.kind != MC_DBC_TOKEN_END && lx->now.kind != MC_DBC_TOKEN_KEYWORD)
    return mc_dbc_lexer_unexpected(lx, where, "receivers or the end of the line");
  return take_signal(r, &o, where);
}

/* BO_TX_BU_ id : node, node ; */
mc_err mc_dbc_read_transmitters(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  uint32_t id;
  uint64_t at;
  MC_TRY(mc_dbc_lexer_next(lx));
  MC_TRY(mc_dbc_lexer_u32(lx, &id, "BO_TX_BU_", "a message id"));
  if (mc_dbc_lexer_is_mark(lx, ':'))
    MC_TRY(mc_dbc_lexer_next(lx));
  if (lx->now.kind == MC_DBC_TOKEN_WORD && mc_map_get(&r->by_id, id, &at)) {
    mc_dbc_message *m = &r->message.at[at].m;
    if (mc_slice_eq(m->sender, MC_LIT("Vector__XXX")))
      MC_TRY(mc_dbc_lexer_name(lx, &m->sender, "BO_TX_BU_", "a node name"));
  }
  return mc_dbc_lexer_skip(lx);
}

/* SIG_VALTYPE_ id signal : 1|2 ; */
mc_err mc_dbc_read_float_type(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  uint32_t id, kind, line = lx->now.line;
  mc_slice name;
  size_t at;
  MC_TRY(mc_dbc_lexer_next(lx));
  if (lx->now.kind == MC_DBC_TOKEN_END || lx->now.kind == MC_DBC_TOKEN_KEYWORD)
    return MC_OK; /* the bare word, as in NS_ */
  MC_TRY(mc_dbc_lexer_u32(lx, &id, "SIG_VALTYPE_", "a message id"));
  MC_TRY(mc_dbc_lexer_name(lx, &name, "SIG_VALTYPE_", "a signal name"));
  if (mc_dbc_lexer_is_mark(lx, ':'))
    MC_TRY(mc_dbc_lexer_next(lx));
  MC_TRY(mc_dbc_lexer_u32(lx, &kind, "SIG_VALTYPE_", "0 (integer), 1 (32-bit float) or 2 (64-bit float)"));
  MC_TRY(mc_dbc_lexer_skip(lx));
  if (!mc_dbc_reader_signal(r, id, name, &at))
    return mc_dbc_reader_warn(r, line, "SIG_VALTYPE_: message %u has no signal %.*s", id, MC_FMT(name));
  mc_dbc_signal *s = &r->signal.at[at].s;
  uint8_t bits = kind == 1 ? 32 : kind == 2 ? 64 : 0;
  if (kind > 2 || (bits && bits != s->length))
    return mc_err_set(lx->why, MC_ERR_MALFORMED,
                      "%s:%u: signal %.*s: value type %u with a length of %u bits; expected 0, 1 with 32 bits, or 2 with 64 bits",
                      lx->name, line, MC_FMT(name), kind, s->length);
  s->float_bits = bits;
  return MC_OK;
}

static mc_err read_range(mc_dbc_lexer *lx, mc_dbc_range *range)
{
  static const char what[] = "a range of switch values (low-high)";
  MC_TRY(mc_dbc_lexer_u32(lx, &range->low, "SG_MUL_VAL_", what));
  range->high = range->low;
  if (mc_dbc_lexer_is_mark(lx, '-')) { /* "1 - 3" */
    MC_TRY(mc_dbc_lexer_next(lx));
    return mc_dbc_lexer_u32(lx, &range->high, "SG_MUL_VAL_", what);
  }
  if (lx->now.kind == MC_DBC_TOKEN_NUMBER && lx->now.text.data[0] == '-') { /* "1-3": the lexer saw 1 and -3 */
    lx->now.text = mc_slice_sub(lx->now.text, 1, lx->now.text.len);
    return mc_dbc_lexer_u32(lx, &range->high, "SG_MUL_VAL_", what);
  }
  return MC_OK;
}

/* SG_MUL_VAL_ id signal switch low-high, low-high ; */
mc_err mc_dbc_read_mux_values(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  uint32_t id, line = lx->now.line;
  mc_slice name, on;
  MC_TRY(mc_dbc_lexer_next(lx));
  if (lx->now.kind == MC_DBC_TOKEN_END || lx->now.kind == MC_DBC_TOKEN_KEYWORD)
    return MC_OK;
  MC_TRY(mc_dbc_lexer_u32(lx, &id, "SG_MUL_VAL_", "a message id"));
  MC_TRY(mc_dbc_lexer_name(lx, &name, "SG_MUL_VAL_", "a signal name"));
  MC_TRY(mc_dbc_lexer_name(lx, &on, "SG_MUL_VAL_", "the name of its switch"));
  MC_VEC(mc_dbc_range) ranges = {0};
  mc_err err = MC_OK;
  do {
    mc_dbc_range range;
    if (ranges.len && (err = mc_dbc_lexer_next(lx)))
      break;
    if ((err = read_range(lx, &range)))
      break;
    if (range.low > range.high)
      err = mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: SG_MUL_VAL_ of %.*s: range %u-%u runs backwards", lx->name, line,
                       MC_FMT(name), range.low, range.high);
    else
      err = mc_vec_push(&ranges, range);
  } while (!err && mc_dbc_lexer_is_mark(lx, ','));
  if (!err)
    err = mc_dbc_lexer_mark(lx, ';', "SG_MUL_VAL_");
  size_t at, switch_at;
  if (!err && (!mc_dbc_reader_signal(r, id, name, &at) || !mc_dbc_reader_signal(r, id, on, &switch_at))) {
    err = mc_dbc_reader_warn(r, line, "SG_MUL_VAL_: message %u has no signals %.*s and %.*s", id, MC_FMT(name), MC_FMT(on));
  } else if (!err) {
    mc_dbc_signal *s = &r->signal.at[at].s;
    s->mux_range = mc_arena_array(r->arena, ranges.len, sizeof *ranges.at);
    if (s->mux_range && ranges.at) {
      memcpy(s->mux_range, ranges.at, ranges.len * sizeof *ranges.at);
      s->mux_range_count = (uint32_t)ranges.len;
      r->signal.at[at].switch_at = (int64_t)switch_at;
    } else {
      err = MC_ERR_MEMORY;
    }
  }
  mc_vec_free(&ranges);
  return err;
}
