/* Between the files of the expression compiler. Private to this module. */
#ifndef MC_SIGNAL_EXPR_INSIDE_H
#define MC_SIGNAL_EXPR_INSIDE_H

#include "signal/signal.h"

/* expr_parse.c: text -> tree, types not looked at */
mc_err expr_parse(mc_slice text, const mc_expr_names *names, mc_arena *arena, mc_expr **out, mc_why *why);

/* expr_function.c */
enum { EXPR_ARGUMENTS_MAX = 32 };
typedef struct expr_function {
  const char *name, *takes;
  uint32_t least, most;
  mc_value (*run)(const double *argument, uint32_t count); /* NULL: it takes names and conditions in turn, and remembers */
} expr_function;
const expr_function *expr_function_of(mc_slice name); /* NULL: none of ours */
bool expr_as_number(const mc_value *v, double *out);  /* false: text, or undefined */
mc_value expr_call(const mc_expr *call, const mc_value *argument, uint8_t *memory);

#endif
