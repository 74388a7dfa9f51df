#include "base/clock.h"
#include "tap.h"

static void test_formats_and_parses_back(void)
{
  const struct { int64_t us; const char *text; } each[] = {{0, "1970-01-01T00:00:00.000Z"},
                                                          {1700000000123000, "2023-11-14T22:13:20.123Z"},
                                                          {951782400000000, "2000-02-29T00:00:00.000Z"},
                                                          {-1000, "1969-12-31T23:59:59.999Z"},
                                                          {253402300799999000, "9999-12-31T23:59:59.999Z"}};
  for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
    char text[MC_CLOCK_TEXT];
    int64_t back;
    mc_clock_format_us(each[i].us, text);
    CHECK_STR(text, each[i].text);
    CHECK_OK(mc_clock_parse_us(mc_slice_str(text), &back));
    CHECK_INT(back, each[i].us);
  }
  char text[MC_CLOCK_TEXT];
  mc_clock_format_us(-1, text); /* rounds down, never into the future */
  CHECK_STR(text, "1969-12-31T23:59:59.999Z");
  mc_clock_format_us(INT64_MAX, text);
  CHECK_STR(text, "out-of-range");
  mc_clock_format_us(INT64_MIN, text);
  CHECK_STR(text, "out-of-range");
}

static void test_takes_zones_and_fractions(void)
{
  int64_t us;
  CHECK_OK(mc_clock_parse_us(MC_LIT("2023-11-15T00:13:20.1234567+02:00"), &us));
  CHECK_INT(us, 1700000000123456);
  CHECK_OK(mc_clock_parse_us(MC_LIT("2023-11-14t17:43:20-04:30"), &us));
  CHECK_INT(us, 1700000000000000);
}

static void test_refuses_what_is_no_time(void)
{
  const char *const malformed[] = {"", "2023", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13:20.Z", "2023-11-14T22:13:20Zx",
                                   "2023-11-14 22:13:20Z", "2023-1-14T22:13:20Z", "2023-11-14T22:13:20+2:00", "2023-11-14T22:13:20+25:00"};
  const char *const invalid[] = {"2023-02-30T00:00:00Z", "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z", "2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z"};
  int64_t us;
  for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
    if (mc_clock_parse_us(mc_slice_str(malformed[i]), &us) != MC_ERR_MALFORMED)
      TAP_FAIL("taken: %s", malformed[i]);
  for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
    if (mc_clock_parse_us(mc_slice_str(invalid[i]), &us) != MC_ERR_INVALID)
      TAP_FAIL("taken: %s", invalid[i]);
}

static void test_monotonic_time_does_not_go_back(void)
{
  int64_t last = mc_clock_mono_us();
  for (int i = 0; i < 1000; i++) {
    int64_t now = mc_clock_mono_us();
    CHECK(now >= last);
    last = now;
  }
}

int main(void)
{
  RUN(test_formats_and_parses_back);
  RUN(test_takes_zones_and_fractions);
  RUN(test_refuses_what_is_no_time);
  RUN(test_monotonic_time_does_not_go_back);
  return tap_done();
}
