#include <errno.h>

#include "base/err.h"
#include "tap.h"

static void test_every_code_has_a_text(void)
{
  for (int e = MC_OK; e <= MC_ERR_END; e++)
    CHECK(strcmp(mc_err_text((mc_err)e), "unknown error"));
  CHECK_STR(mc_err_text((mc_err)(MC_ERR_END + 1)), "unknown error");
  CHECK_STR(mc_err_text((mc_err)-1), "unknown error");
}

static void test_sets_and_prefixes(void)
{
  mc_why why = {0};
  CHECK_INT(mc_err_set(&why, MC_ERR_MALFORMED, "line %d: \"%s\"", 7, "x"), MC_ERR_MALFORMED);
  CHECK_STR(why.text, "line 7: \"x\"");
  CHECK_INT(mc_err_prefix(&why, "file %s", "a.dbc"), MC_ERR_MALFORMED);
  CHECK_STR(why.text, "file a.dbc: line 7: \"x\"");
  CHECK_INT(mc_err_set(NULL, MC_ERR_FULL, "nobody reads it"), MC_ERR_FULL);
  CHECK(mc_err_prefix(NULL, "x") != MC_OK);
}

static void test_cuts_long_text_at_a_character(void)
{
  char text[MC_WHY_TEXT * 2];
  mc_why why;
  for (size_t shift = 0; shift < 4; shift++) {
    memset(text, 'a', shift);
    for (size_t i = shift; i + 3 < sizeof text; i += 3)
      memcpy(text + i, "\xE2\x82\xAC", 4);
    mc_err_set(&why, MC_ERR_INVALID, "%s", text);
    CHECK(strlen(why.text) > MC_WHY_TEXT - 5);
    CHECK(mc_slice_is_utf8(mc_slice_str(why.text)));
  }
}

static void test_errno_becomes_the_right_code(void)
{
  const struct { int saved; mc_err want; } each[] = {{ENOSPC, MC_ERR_FULL}, {EDQUOT, MC_ERR_FULL}, {ENOENT, MC_ERR_NOT_FOUND}, {EEXIST, MC_ERR_EXISTS},
                                                     {EACCES, MC_ERR_DENIED}, {EPERM, MC_ERR_DENIED}, {ENOMEM, MC_ERR_MEMORY}, {EIO, MC_ERR_IO}};
  for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
    mc_why why;
    errno = each[i].saved;
    CHECK_INT(mc_err_errno(&why, "write %s", "f"), each[i].want);
    CHECK_INT(errno, each[i].saved);
    CHECK(!strncmp(why.text, "write f: ", 9) && strlen(why.text) > 9);
    CHECK_INT(mc_err_errno(NULL, "x"), each[i].want);
  }
}

int main(void)
{
  RUN(test_every_code_has_a_text);
  RUN(test_sets_and_prefixes);
  RUN(test_cuts_long_text_at_a_character);
  RUN(test_errno_becomes_the_right_code);
  return tap_done();
}
