#include "format/dbc_read.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 256 << 20 };

mc_err mc_dbc_reader_warn(mc_dbc_reader *r, uint32_t line, const char *format, ...)
{
  if (r->warning.len > MC_DBC_WARNINGS_MAX)
    return MC_OK;
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (r->warning.len == MC_DBC_WARNINGS_MAX)
    snprintf(text, sizeof text, "more warnings follow and are not listed");
  mc_dbc_warning w = {.line = line};
  MC_TRY(mc_arena_copy(r->arena, mc_slice_str(text), &w.text));
  return mc_vec_push(&r->warning, w);
}

bool mc_dbc_reader_signal(const mc_dbc_reader *r, uint32_t raw_id, mc_slice short_name, size_t *at)
{
  uint8_t key[4 + 256];
  if (short_name.len > 256)
    return false;
  memcpy(key, &raw_id, 4);
  memcpy(key + 4, short_name.data, short_name.len);
  uint64_t i;
  bool found = mc_strmap_get(&r->by_signal, mc_slice_of(key, 4 + short_name.len), &i);
  if (found)
    *at = (size_t)i;
  return found;
}

static mc_err read_version(mc_dbc_reader *r)
{
  MC_TRY(mc_dbc_lexer_next(&r->lx));
  return mc_dbc_lexer_string(&r->lx, &r->version, "VERSION", "a text in quotes");
}

/* NS_ : followed by section names, each alone on its line. */
static mc_err read_new_symbols(mc_dbc_reader *r)
{
  MC_TRY(mc_dbc_lexer_next(&r->lx));
  if (mc_dbc_lexer_is_mark(&r->lx, ':'))
    MC_TRY(mc_dbc_lexer_next(&r->lx));
  while ((r->lx.now.kind == MC_DBC_TOKEN_WORD || r->lx.now.kind == MC_DBC_TOKEN_KEYWORD) && r->lx.now.first_on_line &&
         r->lx.now.last_on_line)
    MC_TRY(mc_dbc_lexer_next(&r->lx));
  return MC_OK;
}

/* BU_ and BS_ have no ';': on to the next section. */
static mc_err read_to_next_section(mc_dbc_reader *r)
{
  do
    MC_TRY(mc_dbc_lexer_next(&r->lx));
  while (r->lx.now.kind != MC_DBC_TOKEN_KEYWORD && r->lx.now.kind != MC_DBC_TOKEN_END);
  return MC_OK;
}

static mc_err skip_statement(mc_dbc_reader *r)
{
  MC_TRY(mc_dbc_lexer_next(&r->lx));
  return mc_dbc_lexer_skip(&r->lx);
}

static const struct section {
  const char *keyword;
  mc_err (*read)(mc_dbc_reader *r);
} sections[] = {
    {"SG_", mc_dbc_read_signal},
    {"BO_", mc_dbc_read_message},
    {"VAL_", mc_dbc_read_values},
    {"CM_", mc_dbc_read_comment},
    {"BA_", mc_dbc_read_attribute},
    {"BA_DEF_", mc_dbc_read_attribute_definition},
    {"BA_DEF_DEF_", mc_dbc_read_attribute_default},
    {"SG_MUL_VAL_", mc_dbc_read_mux_values},
    {"SIG_VALTYPE_", mc_dbc_read_float_type},
    {"VAL_TABLE_", mc_dbc_read_value_table},
    {"BO_TX_BU_", mc_dbc_read_transmitters},
    {"VERSION", read_version},
    {"NS_", read_new_symbols},
    {"BU_", read_to_next_section},
    {"BS_", read_to_next_section},
};

static mc_err read_section(mc_dbc_reader *r)
{
  mc_dbc_token t = r->lx.now;
  if (t.kind == MC_DBC_TOKEN_KEYWORD) {
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
      if (mc_slice_eq_str(t.text, sections[i].keyword))
        return sections[i].read(r);
    return skip_statement(r); /* a known section that holds nothing for us */
  }
  if (mc_dbc_lexer_is_mark(&r->lx, ';'))
    return mc_dbc_lexer_next(&r->lx);
  if (r->message.len && t.kind != MC_DBC_TOKEN_WORD)
    return mc_dbc_lexer_unexpected(&r->lx, "after the last section", "a section (BO_, SG_, CM_, ...)");
  MC_TRY(mc_dbc_reader_warn(r, t.line, "unknown section '%.*s' passed over", MC_FMT(mc_slice_sub(t.text, 0, 60))));
  return skip_statement(r);
}

/* A muxed signal without SG_MUL_VAL_ hangs on the message's only root switch. */
static mc_err settle_mux(mc_dbc_reader *r, const mc_dbc_open_message *om)
{
  uint32_t end = om->first + om->m.signal_count;
  int64_t root = -1;
  uint32_t roots = 0;
  for (uint32_t i = om->first; i < end; i++)
    if (r->signal.at[i].s.mux == MC_DBC_SWITCH) {
      root = i;
      roots++;
    }
  for (uint32_t i = om->first; i < end; i++) {
    mc_dbc_open_signal *o = &r->signal.at[i];
    if ((o->s.mux != MC_DBC_MUXED && o->s.mux != MC_DBC_MUXED_SWITCH) || o->switch_at >= 0)
      continue;
    if (roots != 1) {
      o->left_out = true;
      MC_TRY(mc_dbc_reader_warn(r, o->s.line,
                                "signal %.*s is multiplexed (m%u), but message %.*s has %u switches (M) and no SG_MUL_VAL_ says "
                                "which; left out",
                                MC_FMT(o->s.name), o->mux_value, MC_FMT(om->m.name), roots));
      continue;
    }
    o->switch_at = root;
    o->s.mux_range = mc_arena_alloc(r->arena, sizeof *o->s.mux_range);
    if (!o->s.mux_range)
      return MC_ERR_MEMORY;
    o->s.mux_range[0] = (mc_dbc_range){o->mux_value, o->mux_value};
    o->s.mux_range_count = 1;
  }
  return MC_OK;
}

/* Walks each chain of switches to its root; a ring or a missing link leaves the signal out. */
static mc_err check_mux_chains(mc_dbc_reader *r, const mc_dbc_open_message *om)
{
  for (uint32_t i = om->first; i < om->first + om->m.signal_count; i++) {
    mc_dbc_open_signal *o = &r->signal.at[i];
    if (o->switch_at >= 0) {
      if (o->s.mux == MC_DBC_PLAIN)
        o->s.mux = MC_DBC_MUXED;
      else if (o->s.mux == MC_DBC_SWITCH)
        o->s.mux = MC_DBC_MUXED_SWITCH;
    }
    int64_t at = o->switch_at;
    uint32_t steps = 0;
    while (at >= 0 && steps <= 16 && !r->signal.at[at].left_out) {
      at = r->signal.at[at].switch_at;
      steps++;
    }
    if (at >= 0 && !o->left_out) {
      o->left_out = true;
      MC_TRY(mc_dbc_reader_warn(r, o->s.line, "signal %.*s: its switches form a ring or hang on one that was left out; left out",
                                MC_FMT(o->s.name)));
    }
  }
  return MC_OK;
}

static void settle_frame(const mc_dbc_reader *r, mc_dbc_open_message *om)
{
  mc_dbc_frame_kind kind = om->frame != MC_DBC_FRAME_UNSET ? om->frame : r->default_frame;
  bool protocol = r->protocol_set ? r->protocol_j1939 : r->protocol_default_j1939;
  om->m.fd = kind == MC_DBC_FRAME_FD;
  /* 0xFE is the null address of SAE J1939-81: no node sends with it, files write it for "any sender". */
  om->m.j1939 = om->m.extended && !om->m.fd && (kind == MC_DBC_FRAME_J1939 || protocol || (om->m.id & 0xFF) == 0xFE);
  if (om->m.cycle_ms == 0)
    om->m.cycle_ms = r->default_cycle_ms;
}

static mc_err finish_message(mc_dbc_reader *r, mc_dbc_open_message *om, mc_dbc_message *out)
{
  MC_TRY(settle_mux(r, om));
  MC_TRY(check_mux_chains(r, om));
  settle_frame(r, om);
  *out = om->m;
  out->signal = mc_arena_array(r->arena, om->m.signal_count, sizeof *out->signal);
  if (!out->signal)
    return MC_ERR_MEMORY;
  out->signal_count = 0;
  for (uint32_t i = om->first; i < om->first + om->m.signal_count; i++) {
    mc_dbc_open_signal *o = &r->signal.at[i];
    if (o->left_out)
      continue;
    if (!o->initial_set)
      o->s.initial = r->default_initial;
    if (o->switch_at >= 0)
      o->s.mux_switch = r->signal.at[o->switch_at].s.name;
    out->signal[out->signal_count++] = o->s;
  }
  return MC_OK;
}

static mc_err finish(mc_dbc_reader *r, mc_dbc *out)
{
  *out = (mc_dbc){.version = r->version};
  out->message = mc_arena_array(r->arena, r->message.len, sizeof *out->message);
  if (!out->message)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < r->message.len; i++)
    MC_TRY(finish_message(r, &r->message.at[i], &out->message[i]));
  out->message_count = (uint32_t)r->message.len;
  out->warning = mc_arena_array(r->arena, r->warning.len, sizeof *out->warning);
  if (!out->warning)
    return MC_ERR_MEMORY;
  if (r->warning.len)
    memcpy(out->warning, r->warning.at, r->warning.len * sizeof *out->warning);
  out->warning_count = (uint32_t)r->warning.len;
  return MC_OK;
}

mc_err mc_dbc_parse(mc_slice text, const char *name, mc_arena *arena, mc_dbc *out, mc_why *why)
{
  *out = (mc_dbc){0};
  if (text.len > TEXT_MAX)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "%s: %zu bytes; expected a DBC file of at most %d", name, text.len, TEXT_MAX);
  mc_dbc_reader r = {.arena = arena};
  if (why)
    why->err = MC_OK;
  mc_err err = mc_dbc_lexer_start(&r.lx, text, name, arena, why);
  while (!err && r.lx.now.kind != MC_DBC_TOKEN_END)
    err = read_section(&r);
  if (!err && r.message.len == 0)
    err = mc_err_set(why, MC_ERR_MALFORMED, "%s: no message (BO_) in it; expected a DBC file", name);
  if (!err)
    err = finish(&r, out);
  if (err == MC_ERR_MEMORY)
    mc_err_set(why, err, "%s: out of memory while reading", name);
  if (err)
    *out = (mc_dbc){0};
  mc_vec_free(&r.message);
  mc_vec_free(&r.signal);
  mc_vec_free(&r.warning);
  mc_vec_free(&r.value_table);
  mc_vec_free(&r.frame_format);
  mc_map_free(&r.by_id);
  mc_strmap_free(&r.by_signal);
  mc_strmap_free(&r.table);
  return err;
}

const mc_dbc_message *mc_dbc_find(const mc_dbc *dbc, mc_slice message)
{
  for (uint32_t i = 0; i < dbc->message_count; i++)
    if (mc_slice_eq(dbc->message[i].name, message) || mc_slice_eq(dbc->message[i].short_name, message))
      return &dbc->message[i];
  return NULL;
}

const mc_dbc_signal *mc_dbc_message_find(const mc_dbc_message *m, mc_slice signal)
{
  for (uint32_t i = 0; i < m->signal_count; i++)
    if (mc_slice_eq(m->signal[i].name, signal) || mc_slice_eq(m->signal[i].short_name, signal))
      return &m->signal[i];
  return NULL;
}

uint32_t mc_j1939_pgn(uint32_t id)
{
  uint32_t pgn = id >> 8 & 0x3FFFF; /* EDP, DP, PF, PS */
  return (pgn >> 8 & 0xFF) < 240 ? pgn & 0x3FF00 : pgn;
}
