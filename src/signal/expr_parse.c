/* Expressions: text -> tree (contract fleetwise 6.1). Precedence climbing over a cursor; each level of brackets,
 * function call or unary operator costs one step of NESTING_MAX, so that hostile text cannot exhaust the stack. What
 * mc_expr_print writes needs no more steps than the text that the tree came from. */
#include "signal/expr_inside.h"

enum { TEXT_MAX = 8192, NESTING_MAX = 128, PARAMS_MAX = 32, UNARY = 7 };

typedef struct parser {
  mc_slice in;
  size_t at;
  uint32_t nesting;
  const mc_expr_names *names;
  mc_arena *arena;
  mc_why *why;
} parser;

static mc_err parse_binary(parser *p, int least, mc_expr **out);
static mc_err parse_nested(parser *p, int least, mc_expr **out);

static void skip_space(parser *p)
{
  while (p->at < p->in.len && (p->in.data[p->at] == ' ' || (p->in.data[p->at] >= '\t' && p->in.data[p->at] <= '\r')))
    p->at++;
}

static mc_slice rest(const parser *p) { return mc_slice_sub(p->in, p->at, p->in.len); }
static bool sees(const parser *p, const char *text)
{
  mc_slice r = rest(p);
  return r.data && mc_slice_starts(r, mc_slice_str(text));
}

static bool take(parser *p, const char *text)
{
  skip_space(p);
  if (!sees(p, text))
    return false;
  p->at += strlen(text);
  return true;
}

static mc_err fail(parser *p, size_t at, const char *expected)
{
  mc_slice found = mc_slice_sub(p->in, at, 24);
  while (found.len && at + found.len < p->in.len && (p->in.data[at + found.len] & 0xC0) == 0x80)
    found.len--; /* not in the middle of a character */
  if (at >= p->in.len)
    mc_err_set(p->why, MC_ERR_MALFORMED, "expression, byte %zu: expected %s, but the text ends", at, expected);
  else
    mc_err_set(p->why, MC_ERR_MALFORMED, "expression, byte %zu: expected %s, found \"%.*s\"", at, expected, MC_FMT(found));
  return MC_ERR_MALFORMED;
}

static mc_err new_node(parser *p, mc_expr_kind kind, size_t at, mc_expr **out)
{
  *out = mc_arena_alloc(p->arena, sizeof **out);
  if (!*out) {
    mc_err_set(p->why, MC_ERR_MEMORY, "expression: out of memory");
    return MC_ERR_MEMORY;
  }
  (*out)->kind = kind;
  (*out)->at = (uint32_t)at;
  return MC_OK;
}

static bool is_name_byte(uint8_t c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* $variable.`FQN` */
static mc_err parse_signal(parser *p, mc_expr **out)
{
  skip_space(p);
  size_t start = p->at;
  if (!take(p, "$variable."))
    return fail(p, start, "a signal, written $variable.`Its.Name`");
  if (p->at >= p->in.len || p->in.data[p->at] != '`')
    return fail(p, p->at, "a signal name in backticks, as in $variable.`Vehicle.Speed`");
  size_t name_at = ++p->at, end = mc_slice_find(p->in, '`', name_at);
  if (end >= p->in.len)
    return fail(p, p->in.len, "a closing backtick after the signal name");
  mc_slice fqn = mc_slice_sub(p->in, name_at, end - name_at);
  p->at = end + 1;
  mc_expr_name found = {0};
  mc_why said = {0};
  mc_err err = p->names->find(p->names->ctx, fqn, &found, &said);
  if (err || !found.signal_id) {
    err = err ? err : MC_ERR_NOT_FOUND;
    if (said.text[0])
      return mc_err_set(p->why, err, "expression, byte %zu: %s", name_at, said.text);
    return mc_err_set(p->why, err, "expression, byte %zu: there is no signal `%.*s`; name one of the catalog", name_at,
                      MC_FMT(mc_slice_sub(fqn, 0, 200)));
  }
  MC_TRY(new_node(p, MC_EXPR_SIGNAL, start, out));
  (*out)->signal_id = found.signal_id;
  (*out)->type = found.type;
  (*out)->path = found.path;
  (*out)->path_count = found.path_count;
  if (found.path_count)
    return mc_arena_copy(p->arena, fqn, &(*out)->text);
  return MC_OK;
}

/* 'text' or "text"; \\ \' \" stand for the second byte, any other backslash for itself. */
static mc_err parse_string(parser *p, mc_expr **out)
{
  size_t start = p->at;
  uint8_t quote = p->in.data[p->at++];
  uint8_t *text = mc_arena_alloc(p->arena, p->in.len - p->at + 1);
  if (!text) {
    mc_err_set(p->why, MC_ERR_MEMORY, "expression: out of memory");
    return MC_ERR_MEMORY;
  }
  size_t n = 0;
  for (; p->at < p->in.len && p->in.data[p->at] != quote; p->at++) {
    uint8_t c = p->in.data[p->at];
    uint8_t next = p->at + 1 < p->in.len ? p->in.data[p->at + 1] : 0;
    if (c == '\\' && (next == '\\' || next == '\'' || next == '"'))
      c = p->in.data[++p->at];
    text[n++] = c;
  }
  if (p->at >= p->in.len)
    return fail(p, p->in.len, quote == '"' ? "a closing \" for the string" : "a closing ' for the string");
  p->at++;
  MC_TRY(new_node(p, MC_EXPR_STRING, start, out));
  (*out)->text = mc_slice_of(text, n);
  return MC_OK;
}

static mc_err parse_number(parser *p, mc_expr **out)
{
  size_t start = p->at, at = start;
  const uint8_t *d = p->in.data;
  size_t n = p->in.len;
  while (at < n && ((d[at] >= '0' && d[at] <= '9') || d[at] == '.'))
    at++;
  if (at < n && (d[at] == 'e' || d[at] == 'E')) {
    at++;
    if (at < n && (d[at] == '+' || d[at] == '-'))
      at++;
    while (at < n && d[at] >= '0' && d[at] <= '9')
      at++;
  }
  double v;
  if ((at < n && is_name_byte(d[at])) || mc_slice_to_double(mc_slice_sub(p->in, start, at - start), &v))
    return fail(p, start, "a number");
  p->at = at;
  MC_TRY(new_node(p, MC_EXPR_NUMBER, start, out));
  (*out)->number = v;
  return MC_OK;
}

static const char *const windows[] = {[MC_LAST_MIN] = "last_window_min",           [MC_LAST_MAX] = "last_window_max",
                                      [MC_LAST_AVG] = "last_window_avg",           [MC_PREV_LAST_MIN] = "prev_last_window_min",
                                      [MC_PREV_LAST_MAX] = "prev_last_window_max", [MC_PREV_LAST_AVG] = "prev_last_window_avg"};

static mc_err open_bracket(parser *p) { return take(p, "(") ? MC_OK : fail(p, p->at, "'('"); }
static mc_err close_bracket(parser *p) { return take(p, ")") ? MC_OK : fail(p, p->at, "')'"); }

static mc_err parse_custom(parser *p, size_t start, mc_expr **out)
{
  mc_expr *param[PARAMS_MAX], *name;
  uint32_t count = 0;
  MC_TRY(open_bracket(p));
  skip_space(p);
  if (p->at >= p->in.len || (!sees(p, "'") && !sees(p, "\"")))
    return fail(p, p->at, "the function's name in quotes");
  MC_TRY(parse_string(p, &name));
  while (take(p, ",")) {
    if (count == PARAMS_MAX)
      return fail(p, p->at, "at most 32 arguments");
    MC_TRY(parse_nested(p, 1, &param[count++]));
  }
  MC_TRY(close_bracket(p));
  MC_TRY(new_node(p, MC_EXPR_CUSTOM, start, out));
  (*out)->text = name->text;
  (*out)->param = mc_arena_array(p->arena, count, sizeof *(*out)->param);
  if (!(*out)->param)
    return mc_err_set(p->why, MC_ERR_MEMORY, "expression: out of memory");
  memcpy((*out)->param, param, count * sizeof *param);
  (*out)->param_count = count;
  return MC_OK;
}

/* true, false, isNull(signal), a window of a signal, custom_function('name', ...) */
static mc_err parse_word(parser *p, mc_expr **out)
{
  size_t start = p->at, end = start;
  while (end < p->in.len && is_name_byte(p->in.data[end]))
    end++;
  mc_slice word = mc_slice_sub(p->in, start, end - start);
  p->at = end;
  if (mc_slice_eq(word, MC_LIT("true")) || mc_slice_eq(word, MC_LIT("false"))) {
    MC_TRY(new_node(p, MC_EXPR_BOOL, start, out));
    (*out)->boolean = word.len == 4;
    return MC_OK;
  }
  if (mc_slice_eq(word, MC_LIT("custom_function")))
    return parse_custom(p, start, out);
  int window = -1;
  for (int i = 0; i < 6; i++)
    if (mc_slice_eq_str(word, windows[i]))
      window = i;
  if (window < 0 && !mc_slice_eq(word, MC_LIT("isNull"))) {
    p->at = start;
    return fail(p, start,
                "a value: $variable.`Name`, a number, a string, true, false, '(', '!', isNull(), custom_function(), "
                "last_window_min|max|avg() or prev_last_window_min|max|avg()");
  }
  mc_expr *signal;
  MC_TRY(open_bracket(p));
  MC_TRY(parse_signal(p, &signal));
  MC_TRY(close_bracket(p));
  MC_TRY(new_node(p, window < 0 ? MC_EXPR_IS_NULL : MC_EXPR_WINDOW, start, out));
  if (window < 0) {
    (*out)->left = signal;
  } else {
    (*out)->signal_id = signal->signal_id;
    (*out)->type = signal->type;
    (*out)->path = signal->path;
    (*out)->path_count = signal->path_count;
    (*out)->text = signal->text;
    (*out)->window = (mc_window)window;
  }
  return MC_OK;
}

/* -x: a literal takes the sign, anything else becomes 0 - x (the wire has no negation). */
static mc_err parse_minus(parser *p, mc_expr **out)
{
  size_t start = p->at++;
  mc_expr *x, *zero;
  MC_TRY(parse_nested(p, UNARY, &x));
  if (x->kind == MC_EXPR_NUMBER) {
    x->number = -x->number;
    *out = x;
    return MC_OK;
  }
  MC_TRY(new_node(p, MC_EXPR_NUMBER, start, &zero));
  MC_TRY(new_node(p, MC_EXPR_OP, start, out));
  (*out)->op = MC_OP_SUB;
  (*out)->left = zero;
  (*out)->right = x;
  return MC_OK;
}

static mc_err parse_unary(parser *p, mc_expr **out)
{
  skip_space(p);
  uint8_t c = p->at < p->in.len ? p->in.data[p->at] : 0;
  size_t start = p->at;
  switch (c) {
  case '!':
    p->at++;
    MC_TRY(new_node(p, MC_EXPR_OP, start, out));
    (*out)->op = MC_OP_NOT;
    return parse_nested(p, UNARY, &(*out)->left);
  case '-':
    return parse_minus(p, out);
  case '(':
    p->at++;
    MC_TRY(parse_nested(p, 1, out));
    return close_bracket(p);
  case '$':
    return parse_signal(p, out);
  case '\'':
  case '"':
    return parse_string(p, out);
  default:
    return (c >= '0' && c <= '9') || c == '.' ? parse_number(p, out) : parse_word(p, out);
  }
}

static const struct operator_text { const char *text; mc_expr_op op; int strength; } operators[] = {
    {"||", MC_OP_OR, 1}, {"&&", MC_OP_AND, 2}, {"==", MC_OP_EQ, 3}, {"!=", MC_OP_NE, 3}, {"<=", MC_OP_LE, 4}, {">=", MC_OP_GE, 4},
    {"<", MC_OP_LT, 4},  {">", MC_OP_GT, 4},   {"+", MC_OP_ADD, 5}, {"-", MC_OP_SUB, 5}, {"*", MC_OP_MUL, 6}, {"/", MC_OP_DIV, 6},
};

static const struct operator_text *next_operator(const parser *p)
{
  for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
    if (sees(p, operators[i].text))
      return &operators[i];
  return NULL;
}

/* least: the weakest operator that may be taken here; UNARY takes none. */
static mc_err parse_binary(parser *p, int least, mc_expr **out)
{
  *out = NULL;
  MC_TRY(parse_unary(p, out));
  for (;;) {
    skip_space(p);
    const struct operator_text *o = next_operator(p);
    if (!o || o->strength < least)
      break;
    mc_expr *node;
    MC_TRY(new_node(p, MC_EXPR_OP, p->at, &node));
    p->at += strlen(o->text);
    node->op = o->op;
    node->left = *out;
    *out = node;
    MC_TRY(parse_binary(p, o->strength + 1, &node->right));
  }
  return MC_OK;
}

static mc_err parse_nested(parser *p, int least, mc_expr **out)
{
  if (++p->nesting > NESTING_MAX) {
    mc_err_set(p->why, MC_ERR_TOO_LARGE, "expression, byte %zu: nested more than %d deep; expected a flatter condition", p->at,
               NESTING_MAX);
    return MC_ERR_TOO_LARGE;
  }
  MC_TRY(parse_binary(p, least, out));
  p->nesting--;
  return MC_OK;
}

static size_t count_characters(mc_slice s)
{
  size_t n = 0;
  for (size_t i = 0; i < s.len; i++)
    n += (s.data[i] & 0xC0) != 0x80;
  return n;
}

mc_err expr_parse(mc_slice text, const mc_expr_names *names, mc_arena *arena, mc_expr **out, mc_why *why)
{
  *out = NULL;
  if (!mc_slice_is_utf8(text))
    return mc_err_set(why, MC_ERR_MALFORMED, "expression: the text is not valid UTF-8");
  if (count_characters(text) > TEXT_MAX)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "expression: %zu characters; expected at most %d", count_characters(text), TEXT_MAX);
  parser p = {.in = text, .names = names, .arena = arena, .why = why};
  mc_expr *e = NULL;
  MC_TRY(parse_binary(&p, 1, &e));
  if (p.at < text.len)
    return fail(&p, p.at, "an operator (&& || == != < <= > >= + - * /) or the end");
  *out = e;
  return MC_OK;
}

typedef struct plain_names {
  uint32_t (*lookup)(void *ctx, mc_slice fqn);
  void *ctx;
} plain_names;

static mc_err find_plain(void *ctx, mc_slice name, mc_expr_name *out, mc_why *why)
{
  const plain_names *n = ctx;
  out->signal_id = n->lookup(n->ctx, name);
  return MC_OK;
}

mc_err mc_expr_parse(mc_slice text, uint32_t (*lookup)(void *ctx, mc_slice fqn), void *ctx, bool for_foreign_agent, mc_arena *arena, mc_expr **out, mc_why *why)
{
  plain_names plain = {lookup, ctx};
  mc_expr_names names = {&plain, find_plain};
  MC_TRY(expr_parse(text, &names, arena, out, why));
  mc_err err = for_foreign_agent ? mc_expr_fits_foreign(*out, why) : MC_OK;
  if (err)
    *out = NULL;
  return err;
}
