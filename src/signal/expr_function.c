/* Expressions: the functions that conditions may call (contract fleetwise 6.2), one table for what is checked at writing and what is computed. */
#include "signal/expr_inside.h"

#include <math.h>

static mc_value number(double d) { return isnan(d) ? (mc_value){0} : (mc_value){.kind = MC_VALUE_NUMBER, .number = d}; }

static mc_value do_abs(const double *a, uint32_t count) { return number(fabs(a[0])); }
static mc_value do_ceil(const double *a, uint32_t count) { return number(ceil(a[0])); }
static mc_value do_floor(const double *a, uint32_t count) { return number(floor(a[0])); }
static mc_value do_pow(const double *a, uint32_t count) { return number(pow(a[0], a[1])); }
static mc_value do_log(const double *a, uint32_t count) { return a[0] > 0 && a[0] != 1 && a[1] > 0 ? number(log(a[1]) / log(a[0])) : (mc_value){0}; }

static mc_value do_min(const double *a, uint32_t count)
{
  double least = a[0];
  for (uint32_t i = 1; i < count; i++)
    least = fmin(least, a[i]);
  return number(least);
}

static mc_value do_max(const double *a, uint32_t count)
{
  double most = a[0];
  for (uint32_t i = 1; i < count; i++)
    most = fmax(most, a[i]);
  return number(most);
}

static const expr_function functions[] = {
    {"abs", "one number", 1, 1, do_abs},
    {"ceil", "one number", 1, 1, do_ceil},
    {"floor", "one number", 1, 1, do_floor},
    {"pow", "two numbers", 2, 2, do_pow},
    {"log", "two numbers, the base first", 2, 2, do_log},
    {"min", "at least one number", 1, EXPR_ARGUMENTS_MAX, do_min},
    {"max", "at least one number", 1, EXPR_ARGUMENTS_MAX, do_max},
    {"MULTI_RISING_EDGE_TRIGGER", "pairs of a name in quotes and a condition", 2, EXPR_ARGUMENTS_MAX, NULL},
};

const char mc_expr_builtin_list[] = "abs, ceil, floor, pow, log, min, max and MULTI_RISING_EDGE_TRIGGER";

const expr_function *expr_function_of(mc_slice name)
{
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
    if (mc_slice_eq_str(name, functions[i].name))
      return &functions[i];
  return NULL;
}

bool mc_expr_builtin_known(mc_slice name) { return expr_function_of(name) != NULL; }

bool expr_as_number(const mc_value *v, double *out)
{
  *out = v->kind == MC_VALUE_BOOL ? v->boolean : v->number;
  return v->kind == MC_VALUE_BOOL || v->kind == MC_VALUE_NUMBER;
}

/* True at the moment when one of the conditions becomes true that was seen to be false. A byte of memory a condition: 1 while the last that was seen of it is
 * false. What is undefined was not seen to be false. */
static mc_value rising_edges(const mc_value *argument, uint32_t count, uint8_t *low)
{
  bool rises = false;
  double truth;
  if (!low || count < 2 || count % 2)
    return (mc_value){0};
  for (uint32_t i = 0; i < count; i += 2) /* all of them first: nothing is remembered of a call that makes no sense */
    if (argument[i].kind != MC_VALUE_STRING || argument[i + 1].kind == MC_VALUE_STRING)
      return (mc_value){0};
  for (uint32_t i = 0; i < count; i += 2) {
    bool known = expr_as_number(&argument[i + 1], &truth);
    rises |= known && truth != 0 && low[i / 2];
    low[i / 2] = known && truth == 0;
  }
  return (mc_value){.kind = MC_VALUE_BOOL, .boolean = rises};
}

mc_value expr_call(const mc_expr *call, const mc_value *argument, uint8_t *memory)
{
  double a[EXPR_ARGUMENTS_MAX];
  const expr_function *f = expr_function_of(call->text);
  uint32_t count = call->param_count;
  if (!f || count < f->least || count > f->most)
    return (mc_value){0};
  if (!f->run)
    return rising_edges(argument, count, memory ? memory + call->memory : NULL);
  for (uint32_t i = 0; i < count; i++)
    if (!expr_as_number(&argument[i], &a[i]))
      return (mc_value){0};
  return f->run(a, count);
}

static void number_memory(mc_expr *e, uint32_t *used)
{
  if (!e)
    return;
  const expr_function *f = e->kind == MC_EXPR_CUSTOM ? expr_function_of(e->text) : NULL;
  if (f && !f->run) {
    e->memory = *used;
    *used += e->param_count / 2;
  }
  number_memory(e->left, used);
  number_memory(e->right, used);
  for (uint32_t i = 0; i < e->param_count; i++)
    number_memory(e->param[i], used);
}

uint32_t mc_expr_memory(mc_expr *e)
{
  uint32_t used = 0;
  number_memory(e, &used);
  return used;
}
