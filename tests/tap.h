/* The whole test harness: a test program lists its cases in TESTS and prints TAP.
 *
 *   static void test_joins_two_slices(void) { CHECK_INT(1 + 1, 2); }
 *   int main(int argc, char **argv) { RUN(test_joins_two_slices); return tap_done(); }
 *
 * A failed CHECK reports file, line and both values, and leaves the test function. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

__attribute__((unused)) static int tap_count, tap_failed, tap_this_failed, tap_this_skipped;

#define RUN(fn)                                                            \
  do {                                                                     \
    tap_this_failed = tap_this_skipped = 0;                                \
    fn();                                                                  \
    tap_count++;                                                           \
    if (tap_this_failed)                                                   \
      tap_failed++;                                                        \
    if (!tap_this_skipped || tap_this_failed)                              \
      printf("%s %d - %s\n", tap_this_failed ? "not ok" : "ok", tap_count, #fn); \
    fflush(stdout);                                                        \
  } while (0)

#define TAP_FAIL(...)                                       \
  do {                                                      \
    tap_this_failed = 1;                                    \
    printf("# %s:%d: ", __FILE__, __LINE__);                \
    printf(__VA_ARGS__);                                    \
    printf("\n");                                           \
    return;                                                 \
  } while (0)

#define SKIP(reason)                                                        \
  do {                                                                      \
    tap_this_skipped = 1;                                                   \
    printf("ok %d - %s # SKIP %s\n", tap_count + 1, __func__, (reason));     \
    return;                                                                 \
  } while (0)

#define CHECK(condition)                                \
  do {                                                  \
    if (!(condition))                                   \
      TAP_FAIL("expected: %s", #condition);             \
  } while (0)

#define CHECK_INT(got, want)                                                             \
  do {                                                                                   \
    long long tap_got_ = (long long)(got), tap_want_ = (long long)(want);                \
    if (tap_got_ != tap_want_)                                                           \
      TAP_FAIL("%s: got %lld, want %lld", #got, tap_got_, tap_want_);                    \
  } while (0)

#define CHECK_DOUBLE(got, want, tolerance)                                               \
  do {                                                                                   \
    double tap_got_ = (got), tap_want_ = (want);                                         \
    double tap_diff_ = tap_got_ > tap_want_ ? tap_got_ - tap_want_ : tap_want_ - tap_got_; \
    if (!(tap_diff_ <= (tolerance)))                                                     \
      TAP_FAIL("%s: got %.17g, want %.17g", #got, tap_got_, tap_want_);                  \
  } while (0)

#define CHECK_STR(got, want)                                                             \
  do {                                                                                   \
    const char *tap_got_ = (got), *tap_want_ = (want);                                   \
    if (!tap_got_ || strcmp(tap_got_, tap_want_))                                        \
      TAP_FAIL("%s: got \"%s\", want \"%s\"", #got, tap_got_ ? tap_got_ : "(null)", tap_want_); \
  } while (0)

#define CHECK_SLICE(got, want_text)                                                      \
  do {                                                                                   \
    mc_slice tap_got_ = (got);                                                           \
    if (!mc_slice_eq_str(tap_got_, (want_text)))                                         \
      TAP_FAIL("%s: got \"%.*s\", want \"%s\"", #got, MC_FMT(tap_got_), (want_text));    \
  } while (0)

/* The error text must hold a part: refusals are tested by what they tell. */
#define CHECK_WHY(why, part)                                                             \
  do {                                                                                   \
    if (!strstr((why).text, (part)))                                                     \
      TAP_FAIL("error text \"%s\" does not hold \"%s\"", (why).text, (part));            \
  } while (0)

#define CHECK_OK(expr)                                                                   \
  do {                                                                                   \
    mc_err tap_err_ = (expr);                                                            \
    if (tap_err_ != MC_OK)                                                               \
      TAP_FAIL("%s: %s", #expr, mc_err_text(tap_err_));                                  \
  } while (0)

static inline int tap_done(void)
{
  printf("1..%d\n", tap_count);
  return tap_failed ? 1 : 0;
}

/* The folder of real inputs ($MOTORCADE_DATA, else ../shared/data beside the checkout), or NULL: then skip loudly. */
static inline const char *tap_data_dir(void)
{
  static char path[1024];
  const char *env = getenv("MOTORCADE_DATA");
  snprintf(path, sizeof path, "%s", env && *env ? env : MC_SOURCE_DIR "/../shared/data");
  char probe[1100];
  snprintf(probe, sizeof probe, "%s/README.md", path);
  FILE *f = fopen(probe, "r");
  if (!f)
    return NULL;
  fclose(f);
  return path;
}

#endif
