/* Expressions: what can be said of a tree before it runs - types, depth - and its shape for agents that read few levels. */
#include "signal/expr_inside.h"

/* ---- types: bool and number convert freely, text only meets text (contract fleetwise 6.2) ---- */

typedef enum expr_class { CLASS_ANY, CLASS_NUMBER, CLASS_TEXT } expr_class;

static const char *const operator_text[] = {[MC_OP_LT] = "<",  [MC_OP_GT] = ">",   [MC_OP_LE] = "<=", [MC_OP_GE] = ">=", [MC_OP_EQ] = "==",
                                            [MC_OP_NE] = "!=", [MC_OP_AND] = "&&", [MC_OP_OR] = "||", [MC_OP_NOT] = "!", [MC_OP_ADD] = "+",
                                            [MC_OP_SUB] = "-", [MC_OP_MUL] = "*",  [MC_OP_DIV] = "/"};

static uint32_t first_byte(const mc_expr *e)
{
  uint32_t at = e->at;
  if (e->kind == MC_EXPR_OP && e->left && e->op != MC_OP_NOT && first_byte(e->left) < at)
    at = first_byte(e->left);
  return at;
}

static expr_class class_of_type(mc_type type)
{
  return type == MC_TYPE_NULL ? CLASS_ANY : type == MC_TYPE_STRING ? CLASS_TEXT : CLASS_NUMBER;
}

static mc_err judge(const mc_expr *e, expr_class *out, mc_why *why);

static mc_err judge_operator(const mc_expr *e, expr_class *out, mc_why *why)
{
  expr_class left, right = CLASS_NUMBER;
  MC_TRY(judge(e->left, &left, why));
  if (e->right)
    MC_TRY(judge(e->right, &right, why));
  *out = CLASS_NUMBER;
  bool takes_text = e->op == MC_OP_EQ || e->op == MC_OP_NE || e->op == MC_OP_ADD;
  const mc_expr *text = left == CLASS_TEXT ? e->left : right == CLASS_TEXT ? e->right : NULL;
  if (text && !takes_text)
    return mc_err_set(why, MC_ERR_INVALID, "expression, byte %u: %s takes numbers, and this is text; text takes ==, != and + only", first_byte(text),
                      operator_text[e->op]);
  if (text && left != right && left != CLASS_ANY && right != CLASS_ANY)
    return mc_err_set(why, MC_ERR_INVALID, "expression, byte %u: %s has a number on one side and text on the other: that is never true", e->at,
                      operator_text[e->op]);
  if (e->op == MC_OP_ADD)
    *out = text ? CLASS_TEXT : left == CLASS_ANY && right == CLASS_ANY ? CLASS_ANY : CLASS_NUMBER;
  return MC_OK;
}

static mc_err judge_call(const mc_expr *e, expr_class *out, mc_why *why)
{
  const expr_function *f = expr_function_of(e->text);
  *out = f ? CLASS_NUMBER : CLASS_ANY; /* an agent may have functions of its own */
  for (uint32_t i = 0; i < e->param_count; i++) {
    expr_class c;
    MC_TRY(judge(e->param[i], &c, why));
    if (!f || c == CLASS_ANY)
      continue;
    bool wants_text = !f->run && i % 2 == 0;
    if ((c == CLASS_TEXT) != wants_text)
      return mc_err_set(why, MC_ERR_INVALID, "expression, byte %u: %.*s takes %s, and this is %s", first_byte(e->param[i]), MC_FMT(e->text), f->takes,
                        c == CLASS_TEXT ? "text" : "no text");
  }
  if (f && (e->param_count < f->least || e->param_count > f->most || (!f->run && e->param_count % 2)))
    return mc_err_set(why, MC_ERR_INVALID, "expression, byte %u: %.*s takes %s, found %u arguments", e->at, MC_FMT(e->text), f->takes, e->param_count);
  return MC_OK;
}

static mc_err judge(const mc_expr *e, expr_class *out, mc_why *why)
{
  *out = CLASS_NUMBER;
  switch (e->kind) {
  case MC_EXPR_OP:
    return judge_operator(e, out, why);
  case MC_EXPR_CUSTOM:
    return judge_call(e, out, why);
  case MC_EXPR_WINDOW:
    if (e->type == MC_TYPE_STRING)
      return mc_err_set(why, MC_ERR_INVALID, "expression, byte %u: a window is over numbers, and this signal is text", e->at);
    return MC_OK;
  case MC_EXPR_SIGNAL:
    *out = class_of_type(e->type);
    return MC_OK;
  case MC_EXPR_STRING:
    *out = CLASS_TEXT;
    return MC_OK;
  case MC_EXPR_IS_NULL:
  case MC_EXPR_NUMBER:
  case MC_EXPR_BOOL:
    return MC_OK;
  }
  return MC_OK;
}

mc_err mc_expr_parse_names(mc_slice text, const mc_expr_names *names, mc_arena *arena, mc_expr **out, mc_why *why)
{
  expr_class c;
  MC_TRY(expr_parse(text, names, arena, out, why));
  mc_err err = judge(*out, &c, why);
  if (!err && c == CLASS_TEXT)
    err = mc_err_set(why, MC_ERR_INVALID, "expression, byte %u: this is text, and a condition is true or false: compare it with == or !=", first_byte(*out));
  if (err)
    *out = NULL;
  return err;
}

/* ---- depth ---- */

uint32_t mc_expr_depth(const mc_expr *e)
{
  if (!e)
    return 0;
  uint32_t deepest = mc_expr_depth(e->left), d = mc_expr_depth(e->right);
  deepest = d > deepest ? d : deepest;
  for (uint32_t i = 0; i < e->param_count; i++) {
    d = mc_expr_depth(e->param[i]);
    deepest = d > deepest ? d : deepest;
  }
  return deepest + 1;
}

/* The first node of the text that has no room in so many levels; NULL: all have. */
static const mc_expr *too_deep(const mc_expr *e, uint32_t levels)
{
  if (!e || !levels)
    return e;
  const mc_expr *found = too_deep(e->left, levels - 1);
  if (!found)
    found = too_deep(e->right, levels - 1);
  for (uint32_t i = 0; i < e->param_count && !found; i++)
    found = too_deep(e->param[i], levels - 1);
  return found;
}

mc_err mc_expr_fits_foreign(const mc_expr *e, mc_why *why)
{
  const mc_expr *deep = too_deep(e, MC_EXPR_FOREIGN_DEPTH);
  if (!deep)
    return MC_OK;
  return mc_err_set(why, MC_ERR_UNSUPPORTED,
                    "expression, byte %u: its tree has %u levels; AWS's agent drops what lies deeper than %d and would never fire: use fewer nested "
                    "brackets, or several campaigns",
                    first_byte(deep), mc_expr_depth(e), MC_EXPR_FOREIGN_DEPTH);
}

/* ---- balance ---- */

enum { BEST_OF = 256 };
typedef MC_VEC(mc_expr *) expr_vec;

static mc_err flatten(mc_expr *e, mc_expr_op op, mc_arena *arena, expr_vec *out)
{
  if (e->kind == MC_EXPR_OP && e->op == op) {
    MC_TRY(flatten(e->left, op, arena, out));
    return flatten(e->right, op, arena, out);
  }
  mc_expr *balanced;
  MC_TRY(mc_expr_balance(e, arena, &balanced));
  return mc_vec_push(out, balanced);
}

/* The two shallowest under one node, again and again: no tree of these operands is shallower (Golumbic 1976). */
static mc_err join_neighbours(expr_vec *v, const mc_expr *like, mc_arena *arena, size_t most)
{
  while (v->len > most) { /* so many that the best tree costs too much to find: halve them */
    size_t kept = 0;
    for (size_t i = 0; i < v->len; i += 2) {
      mc_expr *node = v->at[i];
      if (i + 1 < v->len) {
        node = mc_arena_alloc(arena, sizeof *node);
        if (!node)
          return MC_ERR_MEMORY;
        *node = (mc_expr){.kind = MC_EXPR_OP, .op = like->op, .left = v->at[i], .right = v->at[i + 1], .at = like->at};
      }
      v->at[kept++] = node;
    }
    v->len = kept;
  }
  return MC_OK;
}

static mc_err join(expr_vec *v, const mc_expr *like, mc_arena *arena, mc_expr **out)
{
  MC_TRY(join_neighbours(v, like, arena, BEST_OF));
  while (v->len > 1) {
    size_t least[2] = {0, 1};
    if (mc_expr_depth(v->at[1]) < mc_expr_depth(v->at[0])) {
      least[0] = 1;
      least[1] = 0;
    }
    for (size_t i = 2; i < v->len; i++) {
      uint32_t d = mc_expr_depth(v->at[i]);
      if (d < mc_expr_depth(v->at[least[0]])) {
        least[1] = least[0];
        least[0] = i;
      } else if (d < mc_expr_depth(v->at[least[1]])) {
        least[1] = i;
      }
    }
    mc_expr *node = mc_arena_alloc(arena, sizeof *node);
    if (!node)
      return MC_ERR_MEMORY;
    size_t first = least[0] < least[1] ? least[0] : least[1], second = least[0] < least[1] ? least[1] : least[0];
    *node = (mc_expr){.kind = MC_EXPR_OP, .op = like->op, .left = v->at[first], .right = v->at[second], .at = like->at};
    v->at[first] = node;
    memmove(&v->at[second], &v->at[second + 1], (v->len - second - 1) * sizeof *v->at);
    v->len--;
  }
  *out = v->at[0];
  return MC_OK;
}

mc_err mc_expr_balance(mc_expr *e, mc_arena *arena, mc_expr **out)
{
  *out = e;
  if (!e || e->kind != MC_EXPR_OP)
    return MC_OK;
  if (e->op == MC_OP_AND || e->op == MC_OP_OR) {
    expr_vec v = {0};
    mc_err err = flatten(e, e->op, arena, &v);
    if (!err)
      err = join(&v, e, arena, out);
    mc_vec_free(&v);
    return err;
  }
  mc_expr *copy = mc_arena_alloc(arena, sizeof *copy);
  if (!copy)
    return MC_ERR_MEMORY;
  *copy = *e;
  MC_TRY(mc_expr_balance(e->left, arena, &copy->left));
  MC_TRY(mc_expr_balance(e->right, arena, &copy->right));
  *out = copy;
  return MC_OK;
}
