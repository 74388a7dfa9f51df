/* Between the files of the expression compiler. Private to this module. */
#ifndef MC_SIGNAL_EXPR_INSIDE_H
#define MC_SIGNAL_EXPR_INSIDE_H

#include "signal/signal.h"

/* expr_parse.c: text -> tree, types not looked at */
mc_err expr_parse(mc_slice text, const mc_expr_names *names, mc_arena *arena, mc_expr **out, mc_why *why);

#endif
