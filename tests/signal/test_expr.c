#include <math.h>

#include "signal/signal.h"
#include "tap.h"

/* Signals by one letter: A = 1, B = 2, ... */
static uint32_t lookup(void *ctx, mc_slice fqn)
{
  if (fqn.len == 1 && fqn.data[0] >= 'A' && fqn.data[0] <= 'Z')
    return fqn.data[0] - 'A' + 1u;
  return mc_slice_eq_str(fqn, "Vehicle.Speed") ? 100 : 0;
}

static mc_slice name(void *ctx, uint32_t id)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return id == 100 ? MC_LIT("Vehicle.Speed") : mc_slice_of(letters + (id - 1) % 26, 1);
}

/* A = 5, B = -2.5, C = "on", D = true, E = 0, F = infinity; the rest is undefined. */
static mc_value signal_value(void *ctx, uint32_t id)
{
  switch (id) {
  case 1:
    return (mc_value){MC_VALUE_NUMBER, false, 5, {NULL, 0}};
  case 2:
    return (mc_value){MC_VALUE_NUMBER, false, -2.5, {NULL, 0}};
  case 3:
    return (mc_value){MC_VALUE_STRING, false, 0, MC_LIT("on")};
  case 4:
    return (mc_value){MC_VALUE_BOOL, true, 0, {NULL, 0}};
  case 5:
    return (mc_value){MC_VALUE_NUMBER, false, 0, {NULL, 0}};
  case 6:
    return (mc_value){MC_VALUE_NUMBER, false, INFINITY, {NULL, 0}};
  default:
    return (mc_value){MC_VALUE_UNDEFINED, false, 0, {NULL, 0}};
  }
}

static bool is_new(void *ctx, uint32_t id) { return id == 1; }

static mc_value window(void *ctx, uint32_t id, mc_window which)
{
  if (id != 1)
    return (mc_value){MC_VALUE_UNDEFINED, false, 0, {NULL, 0}};
  return (mc_value){MC_VALUE_NUMBER, false, -10.0 - which, {NULL, 0}};
}

static const mc_expr_env env = {.signal = signal_value, .is_new = is_new, .window = window};

static char why_text[MC_WHY_TEXT];

static mc_err parse(const char *text, bool foreign, mc_arena *a, mc_expr **e)
{
  mc_why why = {0};
  mc_err err = mc_expr_parse(mc_slice_str(text), lookup, NULL, foreign, a, e, &why);
  strcpy(why_text, why.text);
  return err;
}

/* "true", "false", a number as %g, "'text'", "undefined" or the error */
static const char *result(const char *text)
{
  static char out[MC_WHY_TEXT + 8];
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_expr *e;
  if (parse(text, false, &a, &e)) {
    snprintf(out, sizeof out, "%s", why_text);
    return out;
  }
  mc_value v = mc_expr_eval(e, &env);
  if (v.kind == MC_VALUE_UNDEFINED)
    return "undefined";
  if (v.kind == MC_VALUE_BOOL)
    return v.boolean ? "true" : "false";
  if (v.kind == MC_VALUE_NUMBER)
    snprintf(out, sizeof out, "%g", v.number);
  else
    snprintf(out, sizeof out, "'%.*s'", MC_FMT(v.text));
  return out;
}

#define A "$variable.`A`"
#define B "$variable.`B`"
#define C "$variable.`C`"
#define D "$variable.`D`"
#define E "$variable.`E`"
#define F "$variable.`F`"
#define Z "$variable.`Z`"

static void test_computes_with_usual_precedence(void)
{
  CHECK_STR(result("1 + 2 * 3"), "7");
  CHECK_STR(result("(1 + 2) * 3"), "9");
  CHECK_STR(result("10 - 4 - 3"), "3");
  CHECK_STR(result("16 / 4 / 2"), "2");
  CHECK_STR(result("-2 * -3"), "6");
  CHECK_STR(result("2 - -3"), "5");
  CHECK_STR(result("-(" A ")"), "-5");
  CHECK_STR(result("1.5e3 + .5"), "1500.5");
  CHECK_STR(result("1 + 2 < 4 && 2 * 2 == 4"), "true");
  CHECK_STR(result("false && false || true"), "true");
  CHECK_STR(result("!false && false"), "false");
  CHECK_STR(result("1 < 2 == true"), "true");
}

static void test_reads_signals_and_compares(void)
{
  CHECK_STR(result(A " > 4.9"), "true");
  CHECK_STR(result(B " <= -2.5"), "true");
  CHECK_STR(result(A " + " B), "2.5");
  CHECK_STR(result(D), "true");
  CHECK_STR(result(D " + 1"), "2");
  CHECK_STR(result("!" E), "true");
  CHECK_STR(result(" \t" A "\n>=\r\n5"), "true");
}

static void test_numbers_are_equal_within_a_thousandth(void)
{
  CHECK_STR(result("1 == 1.0009"), "true");
  CHECK_STR(result("1 != 1.0009"), "false");
  CHECK_STR(result("1 == 1.002"), "false");
  CHECK_STR(result(F " == " F), "true");
}

static void test_strings_only_compare_and_join(void)
{
  CHECK_STR(result(C " == 'on'"), "true");
  CHECK_STR(result(C " != \"off\""), "true");
  CHECK_STR(result("'a' + \"b\" + " C), "'abon'");
  CHECK_STR(result("('a' + 'b') == 'ab'"), "true");
  CHECK_STR(result(C " < 'z'"), "undefined");
  CHECK_STR(result(C " == 1"), "undefined");
  CHECK_STR(result("!(" C " == 1)"), "undefined");
  CHECK_STR(result(C " && true"), "undefined");
  CHECK_STR(result("'it\\'s' + '\\\\'"), "'it's\\'");
  CHECK_STR(result("\"say \\\"x\\\"\""), "'say \"x\"'");
}

static void test_undefined_spreads_and_is_false_at_the_top(void)
{
  CHECK_STR(result(Z " > 1"), "undefined");
  CHECK_STR(result("!" Z), "undefined");
  CHECK_STR(result("true || " Z), "undefined");
  CHECK_STR(result("false && " Z), "undefined");
  CHECK_STR(result("0 / 0"), "undefined");
  CHECK(!mc_value_is_true((mc_value){.kind = MC_VALUE_UNDEFINED}));
  CHECK(!mc_value_is_true((mc_value){.kind = MC_VALUE_STRING, .text = MC_LIT("true")}));
  CHECK(mc_value_is_true((mc_value){.kind = MC_VALUE_NUMBER, .number = -1}));
}

static void test_is_null_asks_for_an_unused_sample(void)
{
  CHECK_STR(result("isNull(" A ")"), "false");
  CHECK_STR(result("isNull(" B ")"), "true");
}

static void test_reads_windows(void)
{
  CHECK_STR(result("last_window_min(" A ")"), "-10");
  CHECK_STR(result("last_window_max(" A ")"), "-11");
  CHECK_STR(result("last_window_avg(" A ") < 0"), "true");
  CHECK_STR(result("prev_last_window_min(" A ")"), "-13");
  CHECK_STR(result("prev_last_window_avg( " A " )"), "-15");
  CHECK_STR(result("last_window_max(" B ") > 0"), "undefined");
}

static void test_knows_the_built_in_functions(void)
{
  CHECK_STR(result("custom_function('abs', " B ")"), "2.5");
  CHECK_STR(result("custom_function('min', 3, 1, 2)"), "1");
  CHECK_STR(result("custom_function(\"max\", 3, " A ")"), "5");
  CHECK_STR(result("custom_function('pow', 2, 10)"), "1024");
  CHECK_STR(result("custom_function('log', 10, 1000)"), "3");
  CHECK_STR(result("custom_function('ceil', 1.2) + custom_function('floor', -1.2)"), "0");
  CHECK_STR(result("custom_function('log', 1, 10)"), "undefined");
  CHECK_STR(result("custom_function('teleport')"), "undefined");
  CHECK_STR(result("custom_function('abs', 'x')"), "undefined");
}

static void refused(const char *text, const char *part, int line)
{
  const char *got = result(text);
  if (!strstr(got, part)) {
    tap_this_failed = 1;
    printf("# line %d: '%s': error '%s' does not hold '%s'\n", line, text, got, part);
  }
}
#define REFUSED(text, part) refused(text, part, __LINE__)

static void test_errors_name_the_byte_and_what_was_expected(void)
{
  REFUSED("", "byte 0: expected a value");
  REFUSED("1 +", "byte 3: expected a value");
  REFUSED("1 + * 2", "byte 4: expected a value");
  REFUSED("1 2", "byte 2: expected an operator");
  REFUSED("(1", "byte 2: expected ')', but the text ends");
  REFUSED("1)", "byte 1: expected an operator");
  REFUSED("1 = 1", "byte 2: expected an operator");
  REFUSED("1 & 1", "byte 2: expected an operator");
  REFUSED("1.2.3", "byte 0: expected a number");
  REFUSED("12abc", "byte 0: expected a number");
  REFUSED("1e", "byte 0: expected a number");
  REFUSED("1e999", "byte 0: expected a number");
  REFUSED("speed > 1", "byte 0: expected a value");
  REFUSED("TRUE", "byte 0: expected a value");
  REFUSED("$variable.`No.Such`", "byte 11: there is no signal `No.Such`");
  REFUSED("$variable.``", "there is no signal");
  REFUSED("$variable.Speed", "backticks");
  REFUSED("$variable.`A", "closing backtick");
  REFUSED("$input.x", "$variable.");
  REFUSED("'abc", "closing '");
  REFUSED("\"abc", "closing \"");
  REFUSED("isNull(1)", "byte 7: expected a signal");
  REFUSED("isNull(" A, "expected ')'");
  REFUSED("last_window_min(1 + 2)", "expected a signal");
  REFUSED("last_window_med(" A ")", "expected a value");
  REFUSED("custom_function(abs, 1)", "name in quotes");
  REFUSED("custom_function('abs', )", "expected a value");
  REFUSED("custom_function('abs'", "expected ')'");
  REFUSED("1 + \xFF", "not valid UTF-8");
}

static void test_refuses_too_long_and_too_deep(void)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  static char text[20000];
  mc_expr *e;
  memset(text, ' ', 8191);
  strcpy(text + 8191, "1");
  CHECK_OK(parse(text, false, &a, &e));
  strcpy(text + 8192, "1");
  CHECK_INT(parse(text, false, &a, &e), MC_ERR_TOO_LARGE);
  memset(text, '(', 2000);
  text[2000] = 0;
  CHECK_INT(parse(text, false, &a, &e), MC_ERR_TOO_LARGE);
  memset(text, '!', 2000);
  CHECK_INT(parse(text, false, &a, &e), MC_ERR_TOO_LARGE);
  strcpy(text, "1");
  for (int i = 0; i < 1000; i++)
    strcat(text, "+1");
  CHECK_OK(parse(text, false, &a, &e));
  CHECK_INT(mc_expr_depth(e), 1001);
  CHECK_DOUBLE(mc_expr_eval(e, &env).number, 1001, 0);
}

static void test_foreign_agents_get_at_most_ten_levels(void)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_expr *e;
  CHECK_OK(parse("1+1+1+1+1+1+1+1+1+1", true, &a, &e));
  CHECK_INT(mc_expr_depth(e), 10);
  CHECK_INT(parse("1+1+1+1+1+1+1+1+1+1+1", true, &a, &e), MC_ERR_UNSUPPORTED);
  CHECK(strstr(why_text, "11 levels") != NULL);
  CHECK(e == NULL);
  CHECK_OK(parse("1+1+1+1+1+1+1+1+1+1+1", false, &a, &e));
}

static void test_long_joins_end_undefined_and_leave_the_next_alone(void)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  static char text[2100];
  mc_expr *e;
  strcpy(text, C);
  for (int i = 0; i < 120; i++) /* sums of 2, 4, 6, ... bytes: over 8 KiB together */
    strcat(text, "+" C);
  CHECK_OK(parse(text, false, &a, &e));
  CHECK_INT(mc_expr_eval(e, &env).kind, MC_VALUE_UNDEFINED);
  CHECK_STR(result("'a' + 'b'"), "'ab'");
}

/* ---- functions that remember ---- */

static mc_value a_value, b_value;
static mc_value of_a_or_b(void *ctx, uint32_t id) { return id == 'A' ? a_value : b_value; }
static uint32_t letter(void *ctx, mc_slice fqn) { return fqn.data[0]; }
static mc_value is(int truth) { return truth < 0 ? (mc_value){0} : (mc_value){.kind = MC_VALUE_BOOL, .boolean = truth}; }

static void test_multi_rising_edge_trigger_tells_the_moment_of_any_edge(void)
{
  static const struct {
    int a, b; /* -1: undefined */
    bool rises;
  } steps[] = {
      {1, 1, false}, /* true from the beginning: no edge was seen */
      {0, 1, false}, {1, 1, true},  {1, 1, false}, {1, 0, false}, {1, 1, true}, {0, 0, false}, {1, 1, true},  {0, 1, false},
      {-1, 1, false}, /* what was false is unknown now: */
      {1, 1, false},  /* no edge */
      {0, -1, false}, {1, -1, true}, /* the other one is unknown */
  };
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_expr *e;
  uint8_t memory[8] = {0};
  mc_why why;
  CHECK_OK(mc_expr_parse(MC_LIT("custom_function('MULTI_RISING_EDGE_TRIGGER', 'one', " A ", 'other', " B ")"), letter, NULL, false, &a, &e, &why));
  CHECK_INT(mc_expr_memory(e), 2);
  mc_expr_env own = {.signal = of_a_or_b, .memory = memory};
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    a_value = is(steps[i].a);
    b_value = is(steps[i].b);
    if (mc_value_is_true(mc_expr_eval(e, &own)) != steps[i].rises)
      TAP_FAIL("step %zu: want %d", i, steps[i].rises);
  }
  CHECK_INT(memory[2], 0);
}

static void test_each_trigger_of_an_expression_remembers_its_own(void)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_expr *e;
  uint8_t memory[4] = {0};
  mc_why why;
  CHECK_OK(mc_expr_parse(MC_LIT("custom_function('MULTI_RISING_EDGE_TRIGGER', 'x', " A ") && !custom_function('MULTI_RISING_EDGE_TRIGGER', 'y', " B ")"), letter, NULL, false, &a, &e,
                         &why));
  CHECK_INT(mc_expr_memory(e), 2);
  mc_expr_env own = {.signal = of_a_or_b, .memory = memory};
  a_value = b_value = is(0);
  CHECK(!mc_value_is_true(mc_expr_eval(e, &own)));
  a_value = b_value = is(1);
  CHECK(!mc_value_is_true(mc_expr_eval(e, &own)));
  a_value = is(0);
  CHECK(!mc_value_is_true(mc_expr_eval(e, &own)));
  a_value = is(1);
  CHECK(mc_value_is_true(mc_expr_eval(e, &own)));
}

static void test_multi_rising_edge_trigger_refuses_what_makes_no_sense(void)
{
  CHECK_STR(result("custom_function('MULTI_RISING_EDGE_TRIGGER', 'a', true)"), "undefined"); /* nowhere to remember */
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  static const char *const bad[] = {"custom_function('MULTI_RISING_EDGE_TRIGGER')", "custom_function('MULTI_RISING_EDGE_TRIGGER', 'a')",
                                    "custom_function('MULTI_RISING_EDGE_TRIGGER', 1, true)", "custom_function('MULTI_RISING_EDGE_TRIGGER', 'a', 'b')",
                                    "custom_function('MULTI_RISING_EDGE_TRIGGER', 'a', true, 'b')"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    mc_expr *e;
    uint8_t memory[4] = {0};
    CHECK_OK(mc_expr_parse(mc_slice_str(bad[i]), letter, NULL, false, &a, &e, NULL));
    CHECK(mc_expr_memory(e) <= 4);
    mc_expr_env own = {.signal = of_a_or_b, .memory = memory};
    if (mc_expr_eval(e, &own).kind != MC_VALUE_UNDEFINED)
      TAP_FAIL("%s", bad[i]);
  }
}

static const char *printed(const mc_expr *e)
{
  static char out[16384];
  mc_buf b = {0};
  mc_err err = mc_expr_print(e, name, NULL, &b);
  snprintf(out, sizeof out, "%.*s", err ? 7 : (int)b.len, err ? "(error)" : b.data ? (const char *)b.data : "");
  mc_buf_free(&b);
  return out;
}

static const char *reprinted(const char *text)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_expr *e;
  return parse(text, false, &a, &e) ? why_text : printed(e);
}

static void test_prints_brackets_only_where_needed(void)
{
  CHECK_STR(reprinted("((1+2)*3)"), "(1 + 2) * 3");
  CHECK_STR(reprinted("1-(2-3)"), "1 - (2 - 3)");
  CHECK_STR(reprinted("(1-2)-3"), "1 - 2 - 3");
  CHECK_STR(reprinted("!(" A ">1)"), "!($variable.`A` > 1)");
  CHECK_STR(reprinted("!!" D), "!!$variable.`D`");
  CHECK_STR(reprinted("0.1+1e300"), "0.1 + 1e+300");
  CHECK_STR(reprinted("custom_function( \"f\" ,1,'it\\'s')"), "custom_function('f', 1, 'it\\'s')");
  CHECK_STR(reprinted("prev_last_window_avg($variable.`Vehicle.Speed`)"), "prev_last_window_avg($variable.`Vehicle.Speed`)");
}

/* Found by fuzzing: 0 - (0 - ...) took twice the nesting of --... */
static void test_deep_signs_can_be_printed_and_read_again(void)
{
  char text[200] = "";
  for (int i = 0; i < 60; i++)
    strcat(text, "-!");
  strcat(text, A);
  const char *first = reprinted(text);
  char kept[16384];
  strcpy(kept, first);
  CHECK(strncmp(kept, "0 - !(0 - !", 11) == 0);
  CHECK_STR(reprinted(kept), kept);
}

static void test_refuses_to_print_what_text_cannot_say(void)
{
  mc_expr nan_node = {.kind = MC_EXPR_NUMBER, .number = NAN};
  mc_expr no_children = {.kind = MC_EXPR_OP, .op = MC_OP_ADD};
  mc_expr bad_op = {.kind = MC_EXPR_OP, .op = (mc_expr_op)77, .left = &nan_node, .right = &nan_node};
  CHECK_STR(printed(&nan_node), "(error)");
  CHECK_STR(printed(&no_children), "(error)");
  CHECK_STR(printed(&bad_op), "(error)");
  CHECK_STR(printed(NULL), "(error)");
  CHECK_INT(mc_expr_eval(&no_children, &env).kind, MC_VALUE_UNDEFINED);
  CHECK_INT(mc_expr_eval(NULL, &env).kind, MC_VALUE_UNDEFINED);
}

/* ---- property: print and parse undo each other ---- */

static uint64_t seed = 42;
static uint32_t roll(uint32_t n)
{
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (uint32_t)(seed >> 33) % n;
}

static mc_expr *grow(mc_arena *a, int depth)
{
  mc_expr *e = mc_arena_alloc(a, sizeof *e);
  static const double numbers[] = {0, 1, -1, 0.1, -2.5e-7, 1e300, 123456.789, -0.0};
  static const char *texts[] = {"", "a", "it's", "back\\slash", "say \"hi\"", "\xC3\xA9"};
  switch (depth <= 0 ? 4 + roll(4) : roll(8)) {
  case 0:
  case 1:
  case 2:
    e->kind = MC_EXPR_OP;
    e->op = (mc_expr_op)roll(13);
    e->left = grow(a, depth - 1);
    e->right = e->op == MC_OP_NOT ? NULL : grow(a, depth - 1);
    break;
  case 3:
    e->kind = MC_EXPR_CUSTOM;
    e->text = mc_slice_str(texts[roll(6)]);
    e->param_count = roll(4);
    e->param = mc_arena_array(a, e->param_count, sizeof *e->param);
    for (uint32_t i = 0; i < e->param_count; i++)
      e->param[i] = grow(a, depth - 1);
    break;
  case 4:
    e->kind = MC_EXPR_NUMBER;
    e->number = numbers[roll(8)];
    break;
  case 5:
    e->kind = roll(2) ? MC_EXPR_SIGNAL : MC_EXPR_WINDOW;
    e->signal_id = 1 + roll(26);
    e->window = (mc_window)(e->kind == MC_EXPR_WINDOW ? roll(6) : 0);
    break;
  case 6:
    e->kind = roll(2) ? MC_EXPR_BOOL : MC_EXPR_IS_NULL;
    e->boolean = e->kind == MC_EXPR_BOOL && roll(2);
    if (e->kind == MC_EXPR_IS_NULL) {
      e->left = mc_arena_alloc(a, sizeof *e);
      *e->left = (mc_expr){.kind = MC_EXPR_SIGNAL, .signal_id = 1 + roll(26)};
    }
    break;
  default:
    e->kind = MC_EXPR_STRING;
    e->text = mc_slice_str(texts[roll(6)]);
  }
  return e;
}

static bool same(const mc_expr *a, const mc_expr *b)
{
  if (!a || !b)
    return a == b;
  if (a->kind != b->kind || a->op != b->op || a->signal_id != b->signal_id || a->window != b->window || a->boolean != b->boolean ||
      memcmp(&a->number, &b->number, sizeof a->number) != 0 || !mc_slice_eq(a->text, b->text) || a->param_count != b->param_count)
    return false;
  for (uint32_t i = 0; i < a->param_count; i++)
    if (!same(a->param[i], b->param[i]))
      return false;
  return same(a->left, b->left) && same(a->right, b->right);
}

static void test_parsing_what_was_printed_gives_the_same_tree(void)
{
  int compared = 0;
  for (int i = 0; i < 20000; i++) {
    MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
    mc_expr *e = grow(&a, 1 + (int)roll(5)), *back;
    const char *text = printed(e);
    if (strlen(text) > 2048)
      continue;
    if (parse(text, false, &a, &back) || !same(e, back))
      printf("# %s\n# %s\n", text, why_text);
    CHECK(back != NULL);
    CHECK(same(e, back));
    compared++;
  }
  CHECK(compared > 15000);
}

int main(void)
{
  RUN(test_computes_with_usual_precedence);
  RUN(test_reads_signals_and_compares);
  RUN(test_numbers_are_equal_within_a_thousandth);
  RUN(test_strings_only_compare_and_join);
  RUN(test_undefined_spreads_and_is_false_at_the_top);
  RUN(test_is_null_asks_for_an_unused_sample);
  RUN(test_reads_windows);
  RUN(test_knows_the_built_in_functions);
  RUN(test_errors_name_the_byte_and_what_was_expected);
  RUN(test_refuses_too_long_and_too_deep);
  RUN(test_foreign_agents_get_at_most_ten_levels);
  RUN(test_long_joins_end_undefined_and_leave_the_next_alone);
  RUN(test_multi_rising_edge_trigger_tells_the_moment_of_any_edge);
  RUN(test_each_trigger_of_an_expression_remembers_its_own);
  RUN(test_multi_rising_edge_trigger_refuses_what_makes_no_sense);
  RUN(test_prints_brackets_only_where_needed);
  RUN(test_deep_signs_can_be_printed_and_read_again);
  RUN(test_refuses_to_print_what_text_cannot_say);
  RUN(test_parsing_what_was_printed_gives_the_same_tree);
  return tap_done();
}
