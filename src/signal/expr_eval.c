/* Expressions: the evaluator (contract fleetwise 6.2, corrected as its section 13 says). */
#include "signal/expr_inside.h"

#include <math.h>

enum { JOINED_MAX = 8192 };

/* Joined strings of the running evaluation; the outermost mc_expr_eval on a thread starts it anew. */
static _Thread_local struct { uint32_t depth, used; uint8_t text[JOINED_MAX]; } joined;

static mc_value undefined(void) { return (mc_value){MC_VALUE_UNDEFINED, false, 0, {NULL, 0}}; }
static mc_value of_bool(bool b) { return (mc_value){MC_VALUE_BOOL, b, 0, {NULL, 0}}; }
static mc_value of_number(double d) /* 0/0 and the like say nothing */
{
  return isnan(d) ? undefined() : (mc_value){MC_VALUE_NUMBER, false, d, {NULL, 0}};
}

bool mc_value_is_true(mc_value v)
{
  return v.kind == MC_VALUE_BOOL ? v.boolean : v.kind == MC_VALUE_NUMBER && v.number != 0;
}

static mc_value join(mc_slice a, mc_slice b)
{
  if (a.len > JOINED_MAX - joined.used || b.len > JOINED_MAX - joined.used - a.len)
    return undefined();
  uint8_t *text = joined.text + joined.used;
  memcpy(text, a.data ? a.data : text, a.len);
  memcpy(text + a.len, b.data ? b.data : text, b.len);
  joined.used += (uint32_t)(a.len + b.len);
  return (mc_value){MC_VALUE_STRING, false, 0, mc_slice_of(text, a.len + b.len)};
}

static mc_value on_strings(mc_expr_op op, mc_slice a, mc_slice b)
{
  switch (op) {
  case MC_OP_EQ:
    return of_bool(mc_slice_eq(a, b));
  case MC_OP_NE:
    return of_bool(!mc_slice_eq(a, b));
  case MC_OP_ADD:
    return join(a, b);
  default:
    return undefined();
  }
}

/* FleetWise's fixed tolerance; equal infinities are equal. */
static bool nearly_equal(double a, double b) { return a == b || fabs(a - b) < 0.001; }

static mc_value on_numbers(mc_expr_op op, double a, double b)
{
  switch (op) {
  case MC_OP_LT:
    return of_bool(a < b);
  case MC_OP_GT:
    return of_bool(a > b);
  case MC_OP_LE:
    return of_bool(a <= b);
  case MC_OP_GE:
    return of_bool(a >= b);
  case MC_OP_EQ:
    return of_bool(nearly_equal(a, b));
  case MC_OP_NE:
    return of_bool(!nearly_equal(a, b));
  case MC_OP_AND:
    return of_bool(a != 0 && b != 0);
  case MC_OP_OR:
    return of_bool(a != 0 || b != 0);
  case MC_OP_ADD:
    return of_number(a + b);
  case MC_OP_SUB:
    return of_number(a - b);
  case MC_OP_MUL:
    return of_number(a * b);
  case MC_OP_DIV:
    return of_number(a / b);
  case MC_OP_NOT:
    break;
  }
  return undefined();
}

static mc_value eval(const mc_expr *e, const mc_expr_env *env);

/* No short circuit: both sides are evaluated, an undefined one makes the result undefined. */
static mc_value eval_operator(const mc_expr *e, const mc_expr_env *env)
{
  double a, b;
  if (!e->left || (!e->right && e->op != MC_OP_NOT))
    return undefined();
  mc_value left = eval(e->left, env);
  if (e->op == MC_OP_NOT)
    return expr_as_number(&left, &a) ? of_bool(a == 0) : undefined();
  mc_value right = eval(e->right, env);
  if (left.kind == MC_VALUE_STRING && right.kind == MC_VALUE_STRING)
    return on_strings(e->op, left.text, right.text);
  if (!expr_as_number(&left, &a) || !expr_as_number(&right, &b))
    return undefined();
  return on_numbers(e->op, a, b);
}

static mc_value eval_custom(const mc_expr *e, const mc_expr_env *env)
{
  mc_value argument[EXPR_ARGUMENTS_MAX];
  if (e->param_count > EXPR_ARGUMENTS_MAX)
    return undefined();
  for (uint32_t i = 0; i < e->param_count; i++)
    argument[i] = eval(e->param[i], env);
  return env->custom ? env->custom(env->ctx, e, argument, e->param_count) : expr_call(e, argument, env->memory);
}

static mc_value eval(const mc_expr *e, const mc_expr_env *env)
{
  switch (e->kind) {
  case MC_EXPR_OP:
    return eval_operator(e, env);
  case MC_EXPR_WINDOW:
    return env->window ? env->window(env->ctx, e->signal_id, e->window) : undefined();
  case MC_EXPR_CUSTOM:
    return eval_custom(e, env);
  case MC_EXPR_IS_NULL:
    if (!env->is_new || !e->left || e->left->kind != MC_EXPR_SIGNAL)
      return undefined();
    return of_bool(!env->is_new(env->ctx, e->left->signal_id));
  case MC_EXPR_NUMBER:
    return of_number(e->number);
  case MC_EXPR_SIGNAL:
    return env->signal ? env->signal(env->ctx, e->signal_id) : undefined();
  case MC_EXPR_BOOL:
    return of_bool(e->boolean);
  case MC_EXPR_STRING:
    return (mc_value){MC_VALUE_STRING, false, 0, e->text};
  }
  return undefined();
}

mc_value mc_expr_eval(const mc_expr *e, const mc_expr_env *env)
{
  if (joined.depth++ == 0)
    joined.used = 0;
  mc_value v = e ? eval(e, env) : undefined();
  joined.depth--;
  return v;
}
