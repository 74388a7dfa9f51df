/* DBC: CM_, VAL_, VAL_TABLE_, BA_DEF_, BA_DEF_DEF_, BA_. */
#include "format/dbc_read.h"

/* What a statement is about: nothing (the network), a message, a signal, or something passed over. */
typedef struct target {
  enum { NETWORK, MESSAGE, SIGNAL, OTHER } kind;
  uint32_t id;
  mc_slice name;
  uint64_t at;
  bool found;
} target;

static mc_err read_target(mc_dbc_reader *r, const char *where, target *t)
{
  mc_dbc_lexer *lx = &r->lx;
  *t = (target){.kind = NETWORK};
  if (mc_dbc_lexer_is_word(lx, "BO_")) {
    t->kind = MESSAGE;
    MC_TRY(mc_dbc_lexer_next(lx));
    MC_TRY(mc_dbc_lexer_u32(lx, &t->id, where, "a message id"));
    t->found = mc_map_get(&r->by_id, t->id, &t->at);
  } else if (mc_dbc_lexer_is_word(lx, "SG_")) {
    size_t at = 0;
    t->kind = SIGNAL;
    MC_TRY(mc_dbc_lexer_next(lx));
    MC_TRY(mc_dbc_lexer_u32(lx, &t->id, where, "a message id"));
    MC_TRY(mc_dbc_lexer_name(lx, &t->name, where, "a signal name"));
    t->found = mc_dbc_reader_signal(r, t->id, t->name, &at);
    t->at = at;
  } else if (mc_dbc_lexer_is_word(lx, "BU_") || mc_dbc_lexer_is_word(lx, "EV_")) {
    t->kind = OTHER;
    MC_TRY(mc_dbc_lexer_next(lx));
    MC_TRY(mc_dbc_lexer_next(lx));
  }
  return MC_OK;
}

static mc_err warn_missing(mc_dbc_reader *r, uint32_t line, const char *what, const target *t)
{
  bool independent = (t->id & 0x7FFFFFFF) == 0x40000000;
  if (independent || t->found || t->kind == NETWORK || t->kind == OTHER)
    return MC_OK;
  if (t->kind == MESSAGE)
    return mc_dbc_reader_warn(r, line, "%s: there is no message with id %u", what, t->id);
  return mc_dbc_reader_warn(r, line, "%s: message %u has no signal %.*s", what, t->id, MC_FMT(t->name));
}

mc_err mc_dbc_read_comment(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  uint32_t line = lx->now.line;
  target t;
  mc_slice text;
  MC_TRY(mc_dbc_lexer_next(lx));
  MC_TRY(read_target(r, "comment (CM_)", &t));
  MC_TRY(mc_dbc_lexer_string(lx, &text, "comment (CM_)", "a text in quotes"));
  MC_TRY(mc_dbc_lexer_mark(lx, ';', "comment (CM_)"));
  if (t.found && t.kind == MESSAGE)
    r->message.at[t.at].m.comment = text;
  else if (t.found && t.kind == SIGNAL)
    r->signal.at[t.at].s.comment = text;
  return warn_missing(r, line, "comment", &t);
}

static mc_err read_value(mc_dbc_reader *r, int64_t *out)
{
  mc_dbc_lexer *lx = &r->lx;
  uint64_t wide;
  double d;
  mc_slice t = lx->now.text;
  if (lx->now.kind != MC_DBC_TOKEN_NUMBER)
    return mc_dbc_lexer_unexpected(lx, "value table", "a number, or ';' at its end");
  if (mc_slice_to_i64(t, out)) {
    if (mc_slice_to_u64(t, &wide) == MC_OK)
      *out = (int64_t)wide; /* the upper half of an unsigned 64-bit signal */
    else if (mc_slice_to_double(t, &d) == MC_OK && d >= -9.2e18 && d <= 9.2e18 && d == (double)(int64_t)d)
      *out = (int64_t)d;
    else
      return mc_dbc_lexer_unexpected(lx, "value table", "a whole number of at most 64 bits");
  }
  return mc_dbc_lexer_next(lx);
}

/* number "text" ... ; */
static mc_err read_value_list(mc_dbc_reader *r, mc_dbc_value **out, uint32_t *count)
{
  MC_VEC(mc_dbc_value) list = {0};
  mc_err err = MC_OK;
  while (!err && !mc_dbc_lexer_is_mark(&r->lx, ';')) {
    if (list.len && (r->lx.now.kind == MC_DBC_TOKEN_KEYWORD || r->lx.now.kind == MC_DBC_TOKEN_END)) {
      err = mc_dbc_reader_warn(r, r->lx.last_line, "value table: ';' is missing at its end");
      break;
    }
    mc_dbc_value v = {0};
    err = read_value(r, &v.value);
    if (!err)
      err = mc_dbc_lexer_string(&r->lx, &v.text, "value table", "the value's text in quotes");
    if (!err)
      err = mc_vec_push(&list, v);
  }
  if (!err && mc_dbc_lexer_is_mark(&r->lx, ';'))
    err = mc_dbc_lexer_next(&r->lx);
  if (!err) {
    *out = mc_arena_array(r->arena, list.len, sizeof *list.at);
    if (*out && list.len)
      memcpy(*out, list.at, list.len * sizeof *list.at);
    *count = *out ? (uint32_t)list.len : 0;
    err = *out ? MC_OK : MC_ERR_MEMORY;
  }
  mc_vec_free(&list);
  return err;
}

/* VAL_ id signal (list | table name) ; or VAL_ environment-variable list ; */
mc_err mc_dbc_read_values(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  uint32_t line = lx->now.line;
  target t = {.kind = SIGNAL};
  size_t at = 0;
  mc_dbc_value *list = NULL;
  uint32_t count = 0;
  MC_TRY(mc_dbc_lexer_next(lx));
  if (lx->now.kind == MC_DBC_TOKEN_WORD)
    return mc_dbc_lexer_skip(lx); /* environment variables are not on the bus */
  MC_TRY(mc_dbc_lexer_u32(lx, &t.id, "value descriptions (VAL_)", "a message id"));
  MC_TRY(mc_dbc_lexer_name(lx, &t.name, "value descriptions (VAL_)", "a signal name"));
  t.found = mc_dbc_reader_signal(r, t.id, t.name, &at);
  if (lx->now.kind == MC_DBC_TOKEN_WORD) {
    mc_slice table;
    uint64_t which;
    MC_TRY(mc_dbc_lexer_name(lx, &table, "value descriptions (VAL_)", "a table name"));
    MC_TRY(mc_dbc_lexer_mark(lx, ';', "value descriptions (VAL_)"));
    if (!mc_strmap_get(&r->table, table, &which))
      return mc_dbc_reader_warn(r, line, "value descriptions: there is no VAL_TABLE_ %.*s", MC_FMT(table));
    list = r->value_table.at[which].value;
    count = r->value_table.at[which].value_count;
  } else {
    MC_TRY(read_value_list(r, &list, &count));
  }
  if (t.found) {
    r->signal.at[at].s.value = list;
    r->signal.at[at].s.value_count = count;
  }
  return warn_missing(r, line, "value descriptions", &t);
}

mc_err mc_dbc_read_value_table(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  mc_slice name;
  mc_dbc_signal table = {0};
  MC_TRY(mc_dbc_lexer_next(lx));
  MC_TRY(mc_dbc_lexer_name(lx, &name, "VAL_TABLE_", "a table name"));
  MC_TRY(read_value_list(r, &table.value, &table.value_count));
  MC_TRY(mc_strmap_put(&r->table, name, r->value_table.len));
  return mc_vec_push(&r->value_table, table);
}

static mc_dbc_frame_kind frame_kind(mc_slice text)
{
  if (mc_slice_eq(text, MC_LIT("J1939PG")))
    return MC_DBC_FRAME_J1939;
  if (mc_slice_eq(text, MC_LIT("StandardCAN_FD")) || mc_slice_eq(text, MC_LIT("ExtendedCAN_FD")))
    return MC_DBC_FRAME_FD;
  return MC_DBC_FRAME_PLAIN;
}

/* Only VFrameFormat's list is kept: files number its values differently. */
mc_err mc_dbc_read_attribute_definition(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  MC_TRY(mc_dbc_lexer_next(lx));
  while (lx->now.kind == MC_DBC_TOKEN_WORD || lx->now.kind == MC_DBC_TOKEN_KEYWORD)
    MC_TRY(mc_dbc_lexer_next(lx)); /* BU_, BO_, SG_, EV_ */
  mc_slice name;
  MC_TRY(mc_dbc_lexer_string(lx, &name, "attribute definition (BA_DEF_)", "an attribute name in quotes"));
  if (mc_slice_eq(name, MC_LIT("VFrameFormat")) && mc_dbc_lexer_is_word(lx, "ENUM")) {
    mc_vec_clear(&r->frame_format);
    MC_TRY(mc_dbc_lexer_next(lx));
    while (lx->now.kind == MC_DBC_TOKEN_STRING || mc_dbc_lexer_is_mark(lx, ',')) {
      if (lx->now.kind == MC_DBC_TOKEN_STRING)
        MC_TRY(mc_vec_push(&r->frame_format, frame_kind(lx->now.text)));
      MC_TRY(mc_dbc_lexer_next(lx));
    }
  }
  return mc_dbc_lexer_skip(lx);
}

/* VFrameFormat as an index into its list, or as the text itself. Without a definition: Vector's numbers. */
static mc_dbc_frame_kind read_frame_format(const mc_dbc_reader *r)
{
  uint64_t i;
  if (r->lx.now.kind == MC_DBC_TOKEN_STRING)
    return r->lx.now.text.len ? frame_kind(r->lx.now.text) : MC_DBC_FRAME_UNSET;
  if (mc_slice_to_u64(r->lx.now.text, &i))
    return MC_DBC_FRAME_UNSET;
  if (r->frame_format.len)
    return i < r->frame_format.len ? r->frame_format.at[i] : MC_DBC_FRAME_UNSET;
  return i == 3 ? MC_DBC_FRAME_J1939 : i == 14 || i == 15 ? MC_DBC_FRAME_FD : MC_DBC_FRAME_PLAIN;
}

static bool is_j1939_protocol(const mc_dbc_lexer *lx)
{
  return lx->now.kind == MC_DBC_TOKEN_STRING && mc_slice_starts(lx->now.text, MC_LIT("J1939"));
}

static double number_or(const mc_dbc_lexer *lx, double otherwise)
{
  double d;
  return lx->now.kind == MC_DBC_TOKEN_NUMBER && mc_slice_to_double(lx->now.text, &d) == MC_OK ? d : otherwise;
}

static uint32_t milliseconds(const mc_dbc_lexer *lx)
{
  double d = number_or(lx, 0);
  return d > 0 && d < 4e9 ? (uint32_t)d : 0;
}

mc_err mc_dbc_read_attribute_default(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  mc_slice name;
  MC_TRY(mc_dbc_lexer_next(lx));
  MC_TRY(mc_dbc_lexer_string(lx, &name, "attribute default (BA_DEF_DEF_)", "an attribute name in quotes"));
  if (mc_slice_eq(name, MC_LIT("VFrameFormat")))
    r->default_frame = read_frame_format(r);
  else if (mc_slice_eq(name, MC_LIT("ProtocolType")))
    r->protocol_default_j1939 = is_j1939_protocol(lx);
  else if (mc_slice_eq(name, MC_LIT("GenMsgCycleTime")))
    r->default_cycle_ms = milliseconds(lx);
  else if (mc_slice_eq(name, MC_LIT("GenSigStartValue")))
    r->default_initial = number_or(lx, 0);
  return mc_dbc_lexer_skip(lx);
}

static mc_err set_message(mc_dbc_reader *r, mc_dbc_open_message *o, mc_slice attribute)
{
  mc_dbc_lexer *lx = &r->lx;
  if (mc_slice_eq(attribute, MC_LIT("VFrameFormat")))
    o->frame = read_frame_format(r);
  else if (mc_slice_eq(attribute, MC_LIT("GenMsgCycleTime")))
    o->m.cycle_ms = milliseconds(lx);
  else if (mc_slice_eq(attribute, MC_LIT("SystemMessageLongSymbol")))
    return mc_dbc_lexer_string(lx, &o->m.name, "attribute SystemMessageLongSymbol", "a name in quotes");
  return MC_OK;
}

static mc_err set_signal(mc_dbc_reader *r, mc_dbc_open_signal *o, mc_slice attribute)
{
  mc_dbc_lexer *lx = &r->lx;
  if (mc_slice_eq(attribute, MC_LIT("GenSigStartValue"))) {
    o->s.initial = number_or(lx, 0);
    o->initial_set = true;
  } else if (mc_slice_eq(attribute, MC_LIT("SystemSignalLongSymbol"))) {
    return mc_dbc_lexer_string(lx, &o->s.name, "attribute SystemSignalLongSymbol", "a name in quotes");
  }
  return MC_OK;
}

mc_err mc_dbc_read_attribute(mc_dbc_reader *r)
{
  mc_dbc_lexer *lx = &r->lx;
  uint32_t line = lx->now.line;
  mc_slice name;
  target t;
  MC_TRY(mc_dbc_lexer_next(lx));
  MC_TRY(mc_dbc_lexer_string(lx, &name, "attribute (BA_)", "an attribute name in quotes"));
  MC_TRY(read_target(r, "attribute (BA_)", &t));
  if (lx->now.kind == MC_DBC_TOKEN_KEYWORD || lx->now.kind == MC_DBC_TOKEN_END || mc_dbc_lexer_is_mark(lx, ';'))
    return mc_dbc_lexer_unexpected(lx, "attribute (BA_)", "a value");
  if (t.kind == NETWORK && mc_slice_eq(name, MC_LIT("ProtocolType"))) {
    r->protocol_set = true;
    r->protocol_j1939 = is_j1939_protocol(lx);
  } else if (t.kind == MESSAGE && t.found) {
    MC_TRY(set_message(r, &r->message.at[t.at], name));
  } else if (t.kind == SIGNAL && t.found) {
    MC_TRY(set_signal(r, &r->signal.at[t.at], name));
  }
  MC_TRY(mc_dbc_lexer_skip(lx));
  return warn_missing(r, line, "attribute", &t);
}
