#include "base/slice.h"
#include "tap.h"

static void test_compares_and_cuts(void)
{
  CHECK(mc_slice_compare(MC_LIT("a"), MC_LIT("b")) < 0);
  CHECK(mc_slice_compare(MC_LIT("ab"), MC_LIT("a")) > 0);
  CHECK_INT(mc_slice_compare(MC_LIT(""), (mc_slice){0}), 0);
  CHECK(mc_slice_compare(MC_LIT("\xFF"), MC_LIT("a")) > 0); /* bytes, not chars */
  CHECK(mc_slice_eq((mc_slice){0}, MC_LIT("")));
  CHECK(mc_slice_starts(MC_LIT("abc"), MC_LIT("ab")) && !mc_slice_starts(MC_LIT("a"), MC_LIT("ab")));
  CHECK_SLICE(mc_slice_sub(MC_LIT("hello"), 1, 3), "ell");
  CHECK_SLICE(mc_slice_sub(MC_LIT("hello"), 3, SIZE_MAX), "lo");
  CHECK_INT(mc_slice_sub(MC_LIT("hello"), SIZE_MAX, SIZE_MAX).len, 0);
  CHECK_INT(mc_slice_find(MC_LIT("a/b/c"), '/', 2), 3);
  CHECK_INT(mc_slice_find(MC_LIT("abc"), '/', 0), 3);
  CHECK_INT(mc_slice_find(MC_LIT("abc"), 'a', 99), 3);
  CHECK_SLICE(mc_slice_trim(MC_LIT(" \t a b\r\n")), "a b");
  CHECK_SLICE(mc_slice_trim(MC_LIT("  ")), "");
  char text[4];
  CHECK(mc_slice_to_str(MC_LIT("abc"), text, sizeof text));
  CHECK(!mc_slice_to_str(MC_LIT("abcd"), text, sizeof text));
  CHECK_STR(text, "abc");
}

static void test_tells_utf8_from_bytes(void)
{
  const char *const good[] = {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x9A\x9A", "\xF4\x8F\xBF\xBF", "\xEF\xBF\xBF"};
  const char *const bad[] = {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3", "\xE2\x82", "a\xFF"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    CHECK(mc_slice_is_utf8(mc_slice_str(good[i])));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK(!mc_slice_is_utf8(mc_slice_str(bad[i])));
}

static void test_reads_numbers_and_refuses_the_rest(void)
{
  uint64_t u;
  int64_t i;
  double d;
  CHECK(!mc_slice_to_u64(MC_LIT("18446744073709551615"), &u) && u == UINT64_MAX);
  CHECK_INT(mc_slice_to_u64(MC_LIT("18446744073709551616"), &u), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_slice_to_u64(MC_LIT(""), &u), MC_ERR_MALFORMED);
  CHECK_INT(mc_slice_to_u64(MC_LIT("-1"), &u), MC_ERR_MALFORMED);
  CHECK_INT(mc_slice_to_u64(MC_LIT("12 "), &u), MC_ERR_MALFORMED);
  CHECK(!mc_slice_to_i64(MC_LIT("-9223372036854775808"), &i) && i == INT64_MIN);
  CHECK(!mc_slice_to_i64(MC_LIT("+5"), &i) && i == 5);
  CHECK_INT(mc_slice_to_i64(MC_LIT("9223372036854775808"), &i), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_slice_to_i64(MC_LIT("-9223372036854775809"), &i), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_slice_to_i64(MC_LIT("--1"), &i), MC_ERR_MALFORMED);
  CHECK(!mc_slice_to_double(MC_LIT("-1.5e3"), &d) && d == -1500);
  const char *const bad[] = {"", " 1", "1 ", "inf", "nan", "0x10", "1,5", "e", "1e"};
  for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
    CHECK_INT(mc_slice_to_double(mc_slice_str(bad[k]), &d), MC_ERR_MALFORMED);
  CHECK_INT(mc_slice_to_double(MC_LIT("1e999"), &d), MC_ERR_TOO_LARGE);
}

static void test_hashes(void)
{
  CHECK(mc_slice_fnv1a(MC_LIT("foobar")) == 0x85944171f73967e8ULL); /* from the FNV authors' test vectors */
  CHECK(mc_slice_hash(MC_LIT("a")) == mc_slice_hash(MC_LIT("a")));
  CHECK(mc_slice_hash(MC_LIT("a")) != mc_slice_hash(MC_LIT("a\0")));
  CHECK(mc_slice_hash(MC_LIT("12345678a")) != mc_slice_hash(MC_LIT("12345678b")));
}

static void test_buffers_grow_print_and_drop(void)
{
  mc_buf b = {0};
  for (int n = 0; n < 1000; n++)
    CHECK_OK(mc_buf_printf(&b, "%d,", n));
  CHECK_INT(b.len, 3890);
  mc_buf_consume(&b, 3886);
  CHECK_SLICE(mc_buf_slice(&b), "999,");
  CHECK_OK(mc_buf_append_u8(&b, '!'));
  CHECK_OK(mc_buf_append_str(&b, "ab"));
  CHECK_OK(mc_buf_append(&b, NULL, 0));
  CHECK_OK(mc_buf_append_slice(&b, MC_LIT("c")));
  CHECK_SLICE(mc_buf_slice(&b), "999,!abc");
  CHECK_INT(mc_buf_reserve(&b, SIZE_MAX), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_buf_reserve(&b, SIZE_MAX / 2 + 1), MC_ERR_TOO_LARGE);
  CHECK_SLICE(mc_buf_slice(&b), "999,!abc");
  mc_buf_consume(&b, 99);
  CHECK_INT(b.len, 0);
  mc_buf_free(&b);
  mc_buf_free(&b);
  mc_buf_free(NULL);
}

static void test_a_cursor_never_reads_beyond_the_end(void)
{
  const uint8_t bytes[] = {1, 2, 0, 0, 3, 4, 0, 0, 0, 5};
  mc_cursor c = mc_cursor_of(mc_slice_of(bytes, sizeof bytes));
  CHECK_INT(mc_cursor_u8(&c), 1);
  CHECK_INT(mc_cursor_le16(&c), 2);
  CHECK_INT(mc_cursor_be16(&c), 3);
  CHECK_INT(mc_cursor_left(&c), 5);
  CHECK_INT(mc_cursor_bytes(&c, 6).len, 0);
  CHECK(!c.ok);
  CHECK_INT(mc_cursor_u8(&c), 0); /* stays failed */
  c = mc_cursor_of(mc_slice_of(bytes, 3));
  CHECK_INT(mc_cursor_le32(&c), 0);
  CHECK(!c.ok);
  c = mc_cursor_of((mc_slice){0});
  CHECK_INT(mc_cursor_bytes(&c, 0).len, 0);
  CHECK(c.ok);
  CHECK_INT(mc_cursor_be64(&c), 0);
  CHECK(!c.ok);
}

int main(void)
{
  RUN(test_compares_and_cuts);
  RUN(test_tells_utf8_from_bytes);
  RUN(test_reads_numbers_and_refuses_the_rest);
  RUN(test_hashes);
  RUN(test_buffers_grow_print_and_drop);
  RUN(test_a_cursor_never_reads_beyond_the_end);
  return tap_done();
}
