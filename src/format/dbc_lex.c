#include "format/dbc_lex.h"

static const char *const keywords[] = {
    "VERSION", "NS_", "BS_", "BU_", "BO_", "SG_", "CM_", "VAL_", "VAL_TABLE_", "BA_DEF_", "BA_DEF_DEF_", "BA_",
    "SIG_VALTYPE_", "SG_MUL_VAL_", "BO_TX_BU_", "EV_", "EV_DATA_", "ENVVAR_DATA_", "SIG_GROUP_", "SGTYPE_",
    "SGTYPE_VAL_", "BA_DEF_SGTYPE_", "BA_SGTYPE_", "SIG_TYPE_REF_", "SIGTYPE_VALTYPE_", "BA_DEF_REL_", "BA_REL_",
    "BA_DEF_DEF_REL_", "BU_SG_REL_", "BU_EV_REL_", "BU_BO_REL_", "CAT_DEF_", "CAT_", "FILTER",
};

static bool is_keyword(mc_slice word)
{
  for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
    if (mc_slice_eq_str(word, keywords[i]))
      return true;
  return false;
}

static bool is_word_byte(uint8_t c)
{
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static void skip_space(mc_dbc_lexer *lx)
{
  for (; lx->p < lx->end; lx->p++) {
    uint8_t c = *lx->p;
    if (c == '\n') {
      lx->line++;
      lx->line_start = true;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\f' && c != '\v' && c != 0) {
      return;
    }
  }
}

static bool rest_of_line_is_empty(const mc_dbc_lexer *lx)
{
  for (const uint8_t *p = lx->p; p < lx->end && *p != '\n'; p++)
    if (*p != ' ' && *p != '\t' && *p != '\r')
      return false;
  return true;
}

/* [+-]digits[.digits][e[+-]digits]; NULL when p does not start one. */
static const uint8_t *number_end(const uint8_t *p, const uint8_t *end)
{
  if (p < end && (*p == '-' || *p == '+'))
    p++;
  const uint8_t *digits = p;
  while (p < end && is_digit(*p))
    p++;
  bool any = p > digits;
  if (p < end && *p == '.') {
    const uint8_t *fraction = ++p;
    while (p < end && is_digit(*p))
      p++;
    any = any || p > fraction;
  }
  if (!any)
    return NULL;
  if (p < end && (*p == 'e' || *p == 'E')) {
    const uint8_t *q = p + 1;
    if (q < end && (*q == '-' || *q == '+'))
      q++;
    if (q < end && is_digit(*q)) {
      while (q < end && is_digit(*q))
        q++;
      p = q;
    }
  }
  return p;
}

static mc_err lex_string(mc_dbc_lexer *lx)
{
  const uint8_t *start = ++lx->p;
  for (; lx->p < lx->end && *lx->p != '"'; lx->p++) {
    if (*lx->p == '\n') {
      lx->line++;
    } else if (*lx->p == '\\' && lx->p + 1 < lx->end && lx->p[1] == '"') {
      lx->now.escaped = true;
      lx->p++;
    }
  }
  if (lx->p >= lx->end)
    return mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: a string starts here and never ends; expected a closing \"",
                      lx->name, lx->now.line);
  lx->now.kind = MC_DBC_TOKEN_STRING;
  lx->now.text = mc_slice_of(start, (size_t)(lx->p - start));
  lx->p++;
  return MC_OK;
}

mc_err mc_dbc_lexer_next(mc_dbc_lexer *lx)
{
  lx->last_line = lx->now.line ? lx->now.line : 1;
  skip_space(lx);
  lx->now = (mc_dbc_token){.line = lx->line, .first_on_line = lx->line_start};
  lx->line_start = false;
  if (lx->p >= lx->end)
    return MC_OK;
  const uint8_t *start = lx->p;
  const uint8_t *number = number_end(start, lx->end);
  if (*start == '"') {
    MC_TRY(lex_string(lx));
  } else if (number && (number == lx->end || !is_word_byte(*number))) {
    lx->p = number;
    lx->now.kind = MC_DBC_TOKEN_NUMBER;
    lx->now.text = mc_slice_of(start, (size_t)(number - start));
  } else if (is_word_byte(*start)) {
    while (lx->p < lx->end && is_word_byte(*lx->p))
      lx->p++;
    lx->now.kind = MC_DBC_TOKEN_WORD;
    lx->now.text = mc_slice_of(start, (size_t)(lx->p - start));
    if (lx->now.first_on_line && is_keyword(lx->now.text))
      lx->now.kind = MC_DBC_TOKEN_KEYWORD;
  } else {
    lx->p++;
    lx->now.kind = MC_DBC_TOKEN_MARK;
    lx->now.text = mc_slice_of(start, 1);
  }
  lx->now.last_on_line = rest_of_line_is_empty(lx);
  return MC_OK;
}

mc_err mc_dbc_lexer_start(mc_dbc_lexer *lx, mc_slice text, const char *name, mc_arena *arena, mc_why *why)
{
  if (mc_slice_starts(text, MC_LIT("\xEF\xBB\xBF")))
    text = mc_slice_sub(text, 3, text.len);
  *lx = (mc_dbc_lexer){
      .p = text.data, .end = text.data + text.len, .line = 1, .line_start = true, .name = name, .arena = arena, .why = why};
  return mc_dbc_lexer_next(lx);
}

bool mc_dbc_lexer_is_word(const mc_dbc_lexer *lx, const char *word)
{
  return (lx->now.kind == MC_DBC_TOKEN_WORD || lx->now.kind == MC_DBC_TOKEN_KEYWORD) && mc_slice_eq_str(lx->now.text, word);
}

bool mc_dbc_lexer_is_mark(const mc_dbc_lexer *lx, char mark)
{
  return lx->now.kind == MC_DBC_TOKEN_MARK && lx->now.text.data[0] == (uint8_t)mark;
}

mc_err mc_dbc_lexer_unexpected(mc_dbc_lexer *lx, const char *where, const char *what)
{
  mc_slice t = mc_slice_sub(lx->now.text, 0, 60);
  switch (lx->now.kind) {
  case MC_DBC_TOKEN_END:
    return mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: %s: expected %s, but the file ends", lx->name, lx->last_line, where, what);
  case MC_DBC_TOKEN_KEYWORD: /* the section before it is cut short: blame that line */
    return mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: %s: expected %s, but the next section (%.*s) begins", lx->name,
                      lx->last_line, where, what, MC_FMT(t));
  default:
    return mc_err_set(lx->why, MC_ERR_MALFORMED, "%s:%u: %s: expected %s, got %s%.*s%s", lx->name, lx->now.line, where, what,
                      lx->now.kind == MC_DBC_TOKEN_STRING ? "the string \"" : "'", MC_FMT(t),
                      lx->now.kind == MC_DBC_TOKEN_STRING ? "\"" : "'");
  }
}

mc_err mc_dbc_lexer_mark(mc_dbc_lexer *lx, char mark, const char *where)
{
  if (!mc_dbc_lexer_is_mark(lx, mark)) {
    char what[4] = {'\'', mark, '\'', 0};
    return mc_dbc_lexer_unexpected(lx, where, what);
  }
  return mc_dbc_lexer_next(lx);
}

/* Windows-1252 0x80..0x9F; 0 marks the five undefined codes, which map to U+FFFD. */
static const uint16_t cp1252[32] = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

static size_t put_utf8(uint8_t *out, uint32_t c)
{
  if (c < 0x80) {
    out[0] = (uint8_t)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (uint8_t)(0xC0 | c >> 6);
    out[1] = (uint8_t)(0x80 | (c & 0x3F));
    return 2;
  }
  out[0] = (uint8_t)(0xE0 | c >> 12);
  out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
  out[2] = (uint8_t)(0x80 | (c & 0x3F));
  return 3;
}

/* Copy into the arena as UTF-8, \" undone. Each text is judged alone: files mix both encodings. */
static mc_err keep_text(mc_dbc_lexer *lx, mc_slice raw, bool escaped, mc_slice *out)
{
  if (raw.len == 0) {
    *out = MC_LIT("");
    return MC_OK;
  }
  bool utf8 = mc_slice_is_utf8(raw);
  size_t room;
  if (mc_mul_overflows(raw.len, utf8 ? 1 : 3, &room))
    return MC_ERR_MEMORY;
  uint8_t *text = mc_arena_alloc(lx->arena, room);
  if (!text)
    return mc_err_set(lx->why, MC_ERR_MEMORY, "%s: out of memory for its texts", lx->name);
  size_t n = 0;
  for (size_t i = 0; i < raw.len; i++) {
    uint8_t c = raw.data[i];
    if (escaped && c == '\\' && i + 1 < raw.len && raw.data[i + 1] == '"')
      continue;
    if (utf8 || c < 0x80)
      text[n++] = c;
    else
      n += put_utf8(text + n, c >= 0xA0 ? c : cp1252[c - 0x80] ? cp1252[c - 0x80] : 0xFFFD);
  }
  *out = mc_slice_of(text, n);
  return MC_OK;
}

mc_err mc_dbc_lexer_name(mc_dbc_lexer *lx, mc_slice *out, const char *where, const char *what)
{
  if (lx->now.kind != MC_DBC_TOKEN_WORD)
    return mc_dbc_lexer_unexpected(lx, where, what);
  MC_TRY(keep_text(lx, lx->now.text, false, out));
  return mc_dbc_lexer_next(lx);
}

mc_err mc_dbc_lexer_string(mc_dbc_lexer *lx, mc_slice *out, const char *where, const char *what)
{
  if (lx->now.kind != MC_DBC_TOKEN_STRING)
    return mc_dbc_lexer_unexpected(lx, where, what);
  MC_TRY(keep_text(lx, lx->now.text, lx->now.escaped, out));
  return mc_dbc_lexer_next(lx);
}

mc_err mc_dbc_lexer_double(mc_dbc_lexer *lx, double *out, const char *where, const char *what)
{
  if (lx->now.kind != MC_DBC_TOKEN_NUMBER || mc_slice_to_double(lx->now.text, out))
    return mc_dbc_lexer_unexpected(lx, where, what);
  return mc_dbc_lexer_next(lx);
}

mc_err mc_dbc_lexer_u32(mc_dbc_lexer *lx, uint32_t *out, const char *where, const char *what)
{
  uint64_t v;
  if (lx->now.kind != MC_DBC_TOKEN_NUMBER || mc_slice_to_u64(lx->now.text, &v) || v > UINT32_MAX)
    return mc_dbc_lexer_unexpected(lx, where, what);
  *out = (uint32_t)v;
  return mc_dbc_lexer_next(lx);
}

mc_err mc_dbc_lexer_skip(mc_dbc_lexer *lx)
{
  while (lx->now.kind != MC_DBC_TOKEN_END && lx->now.kind != MC_DBC_TOKEN_KEYWORD) {
    bool done = mc_dbc_lexer_is_mark(lx, ';');
    MC_TRY(mc_dbc_lexer_next(lx));
    if (done)
      break;
  }
  return MC_OK;
}
