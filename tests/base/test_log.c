#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "tap.h"

static int64_t frozen_wall(void) { return 1700000000123000; }
static int64_t frozen_mono(void) { return 0; }

static int reader = -1;
static char got[16384];

/* From now on log lines go into a pipe. */
static void catch_lines(mc_log_format format)
{
  int fd[2];
  if (pipe(fd) || fcntl(fd[0], F_SETFL, O_NONBLOCK) < 0)
    abort();
  mc_clock_set_source(frozen_wall, frozen_mono);
  mc_log_configure(MC_LOG_INFO, format, fd[1]);
  if (reader >= 0)
    close(reader);
  reader = fd[0];
}

static const char *caught(void)
{
  ssize_t n = read(reader, got, sizeof got - 1);
  got[n > 0 ? n : 0] = 0;
  return got;
}

static void test_writes_one_line_of_text_an_event(void)
{
  catch_lines(MC_LOG_TEXT);
  mc_log(MC_LOG_WARN, "gateway", "client refused", MC_KZ("client", "truck-1"), MC_KI("code", -135), MC_KU("n", UINT64_MAX), MC_KD("share", 0.25),
         MC_KZ("why", "has spaces \"and\" = quotes"), MC_KZ("empty", ""));
  CHECK_STR(caught(), "2023-11-14T22:13:20.123Z warn gateway client refused client=truck-1 code=-135 n=18446744073709551615 share=0.25 "
                      "why=\"has spaces \\\"and\\\" = quotes\" empty=\"\"\n");
  mc_log(MC_LOG_INFO, "base", "no fields");
  CHECK_STR(caught(), "2023-11-14T22:13:20.123Z info base no fields\n");
}

static void test_writes_json_that_stays_json_for_hostile_values(void)
{
  catch_lines(MC_LOG_JSON);
  mc_log(MC_LOG_ERROR, "net", "bad \"bytes\"", MC_KS("topic", mc_slice_of("a\n\x01\xFF\\", 5)), MC_KD("nan", 0.0 / 0.0), MC_KZ("utf8", "é"));
  CHECK_STR(caught(), "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"error\",\"module\":\"net\",\"message\":\"bad \\\"bytes\\\"\","
                      "\"topic\":\"a\\u000a\\u0001\\u00ff\\\\\",\"nan\":null,\"utf8\":\"é\"}\n");
}

static void test_a_line_break_in_a_value_cannot_forge_a_line(void)
{
  catch_lines(MC_LOG_TEXT);
  mc_log(MC_LOG_INFO, "gateway", "hello", MC_KZ("client", "x\n2023 error gateway forged"));
  const char *text = caught();
  CHECK(strchr(text, '\n') == text + strlen(text) - 1);
}

static void test_keeps_quiet_below_the_threshold(void)
{
  catch_lines(MC_LOG_TEXT);
  mc_log(MC_LOG_DEBUG, "base", "not told");
  mc_log_write(MC_LOG_OFF, "base", "not a level", NULL, 0);
  CHECK_STR(caught(), "");
  CHECK_INT(mc_log_threshold(), MC_LOG_INFO);
}

static void test_drops_fields_that_do_not_fit_and_says_so(void)
{
  char big[6000];
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = 0;
  catch_lines(MC_LOG_JSON);
  mc_log(MC_LOG_INFO, "base", "long", MC_KI("before", 1), MC_KZ("big", big), MC_KI("after", 2));
  const char *text = caught();
  CHECK(strstr(text, "\"before\":1,\"after\":2,\"truncated\":true}\n"));
  CHECK(strlen(text) <= 4096);
}

static void test_never_blocks_on_a_full_pipe_and_tells_what_was_lost(void)
{
  catch_lines(MC_LOG_TEXT);
  char text[3000];
  memset(text, 'y', sizeof text - 1);
  text[sizeof text - 1] = 0;
  for (int i = 0; i < 200; i++) /* far more than a pipe holds; a blocking write would hang here */
    mc_log(MC_LOG_INFO, "base", "many", MC_KZ("text", text));
  while (*caught())
    ;
  mc_log(MC_LOG_INFO, "base", "again");
  CHECK(strstr(caught(), "again lines_dropped="));
  mc_log(MC_LOG_INFO, "base", "clean");
  CHECK_STR(caught(), "2023-11-14T22:13:20.123Z info base clean\n");
}

int main(void)
{
  RUN(test_writes_one_line_of_text_an_event);
  RUN(test_writes_json_that_stays_json_for_hostile_values);
  RUN(test_a_line_break_in_a_value_cannot_forge_a_line);
  RUN(test_keeps_quiet_below_the_threshold);
  RUN(test_drops_fields_that_do_not_fit_and_says_so);
  RUN(test_never_blocks_on_a_full_pipe_and_tells_what_was_lost);
  return tap_done();
}
