/* Expressions: tree -> canonical text. Brackets only where the tree needs them. */
#include "signal/signal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct printer {
  mc_slice (*name)(void *ctx, uint32_t signal_id);
  void *ctx;
  mc_buf *out;
} printer;

static mc_err print(const printer *p, const mc_expr *e);

static const struct { const char *text; int strength; } operators[] = {
    [MC_OP_OR] = {"||", 1}, [MC_OP_AND] = {"&&", 2}, [MC_OP_EQ] = {"==", 3}, [MC_OP_NE] = {"!=", 3},  [MC_OP_LE] = {"<=", 4},
    [MC_OP_GE] = {">=", 4}, [MC_OP_LT] = {"<", 4},   [MC_OP_GT] = {">", 4},  [MC_OP_ADD] = {"+", 5},  [MC_OP_SUB] = {"-", 5},
    [MC_OP_MUL] = {"*", 6}, [MC_OP_DIV] = {"/", 6},  [MC_OP_NOT] = {"!", 7},
};
static const char *const windows[] = {"last_window_min",      "last_window_max",      "last_window_avg",
                                      "prev_last_window_min", "prev_last_window_max", "prev_last_window_avg"};

static int strength(const mc_expr *e)
{
  return e->kind == MC_EXPR_OP ? operators[e->op].strength : 8;
}

static mc_err print_operand(const printer *p, const mc_expr *e, int least)
{
  if (!e)
    return MC_ERR_INVALID;
  if (e->kind == MC_EXPR_OP && (unsigned)e->op > MC_OP_DIV)
    return MC_ERR_INVALID;
  bool bracket = strength(e) < least;
  if (bracket)
    MC_TRY(mc_buf_append_u8(p->out, '('));
  MC_TRY(print(p, e));
  return bracket ? mc_buf_append_u8(p->out, ')') : MC_OK;
}

static mc_err print_operator(const printer *p, const mc_expr *e)
{
  int own = operators[e->op].strength;
  if (e->op == MC_OP_NOT) {
    MC_TRY(mc_buf_append_u8(p->out, '!'));
    return print_operand(p, e->left, own);
  }
  MC_TRY(print_operand(p, e->left, own));
  MC_TRY(mc_buf_printf(p->out, " %s ", operators[e->op].text));
  return print_operand(p, e->right, own + 1); /* all operators group to the left */
}

static mc_err print_signal(const printer *p, const mc_expr *e)
{
  mc_slice name = e->path_count ? e->text : p->name(p->ctx, e->signal_id);
  if (name.len == 0 || mc_slice_find(name, '`', 0) < name.len)
    return MC_ERR_INVALID;
  return mc_buf_printf(p->out, "$variable.`%.*s`", MC_FMT(name));
}

static mc_err print_string(const printer *p, mc_slice text)
{
  MC_TRY(mc_buf_append_u8(p->out, '\''));
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] == '\'' || text.data[i] == '\\')
      MC_TRY(mc_buf_append_u8(p->out, '\\'));
    MC_TRY(mc_buf_append_u8(p->out, text.data[i]));
  }
  return mc_buf_append_u8(p->out, '\'');
}

/* The shortest of 15, 16 or 17 digits that reads back as the same number. */
static mc_err print_number(const printer *p, double v)
{
  char text[40];
  if (!isfinite(v))
    return MC_ERR_INVALID;
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, v);
    double back;
    if (mc_slice_to_double(mc_slice_str(text), &back) == MC_OK && back == v)
      break;
  }
  return mc_buf_append_str(p->out, text);
}

static mc_err print_custom(const printer *p, const mc_expr *e)
{
  MC_TRY(mc_buf_append_str(p->out, "custom_function("));
  MC_TRY(print_string(p, e->text));
  for (uint32_t i = 0; i < e->param_count; i++) {
    MC_TRY(mc_buf_append_str(p->out, ", "));
    MC_TRY(print_operand(p, e->param[i], 0));
  }
  return mc_buf_append_u8(p->out, ')');
}

static mc_err print(const printer *p, const mc_expr *e)
{
  switch (e->kind) {
  case MC_EXPR_OP:
    return print_operator(p, e);
  case MC_EXPR_WINDOW:
    if ((unsigned)e->window > MC_PREV_LAST_AVG)
      return MC_ERR_INVALID;
    MC_TRY(mc_buf_printf(p->out, "%s(", windows[e->window]));
    MC_TRY(print_signal(p, e));
    return mc_buf_append_u8(p->out, ')');
  case MC_EXPR_CUSTOM:
    return print_custom(p, e);
  case MC_EXPR_IS_NULL:
    MC_TRY(mc_buf_append_str(p->out, "isNull("));
    MC_TRY(print_operand(p, e->left, 0));
    return mc_buf_append_u8(p->out, ')');
  case MC_EXPR_NUMBER:
    return print_number(p, e->number);
  case MC_EXPR_SIGNAL:
    return print_signal(p, e);
  case MC_EXPR_BOOL:
    return mc_buf_append_str(p->out, e->boolean ? "true" : "false");
  case MC_EXPR_STRING:
    return print_string(p, e->text);
  }
  return MC_ERR_INVALID;
}

mc_err mc_expr_print(const mc_expr *e, mc_slice (*name)(void *ctx, uint32_t signal_id), void *ctx, mc_buf *out)
{
  printer p = {name, ctx, out};
  size_t before = out->len;
  mc_err err = print_operand(&p, e, 0);
  if (err)
    out->len = before;
  return err;
}
