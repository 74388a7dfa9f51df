#include "format/candump.h"
#include "tap.h"

static mc_bus_frame f;
static mc_why why;

static mc_err line(const char *text)
{
  why = (mc_why){0};
  return mc_candump_line(mc_slice_str(text), 7, &f, &why);
}

static void test_reads_classic_frames(void)
{
  CHECK_OK(line("(1436509052.249713) vcan0 044#2A366C2BBA"));
  CHECK_INT(f.time_us, 1436509052249713);
  CHECK_SLICE(f.channel_name, "vcan0");
  CHECK_INT(f.channel, MC_BUS_CHANNEL_NONE);
  CHECK_INT(f.id, 0x44);
  CHECK(!f.extended && !f.fd && !f.rtr && !f.error && !f.sent);
  CHECK_INT(f.len, 5);
  CHECK_INT(f.data[4], 0xBA);
  CHECK_INT(f.data[5], 0);
  CHECK_OK(line("(0.5) can1 18FEF100#"));
  CHECK_INT(f.time_us, 500000);
  CHECK(f.extended);
  CHECK_INT(f.id, 0x18FEF100);
  CHECK_INT(f.len, 0);
  CHECK_OK(line("  (12) can1 7ff#11.22.33 T \r"));
  CHECK_INT(f.time_us, 12000000);
  CHECK_INT(f.len, 3);
  CHECK(f.sent);
  CHECK_OK(line("(1.123456789) can1 001#1122334455667788_9 R"));
  CHECK_INT(f.time_us, 1123456);
  CHECK_INT(f.len, 8);
}

static void test_reads_fd_frames(void)
{
  CHECK_OK(line("(1.000000) can0 12345678##300112233445566778899AA0A"));
  CHECK(f.fd && f.brs && f.esi && f.extended);
  CHECK_INT(f.len, 12);
  CHECK_INT(f.data[11], 0x0A);
  CHECK_OK(line("(1.000000) can0 123##0"));
  CHECK(f.fd && !f.brs);
  char text[200] = "(1.0) can0 123##1";
  for (int i = 0; i < 64; i++)
    strcat(text, "AB");
  CHECK_OK(line(text));
  CHECK_INT(f.len, 64);
}

static void test_reads_remote_and_error_frames(void)
{
  CHECK_OK(line("(1.0) can0 123#R"));
  CHECK(f.rtr);
  CHECK_INT(f.len, 0);
  CHECK_OK(line("(1.0) can0 123#R8"));
  CHECK_INT(f.len, 8);
  CHECK_OK(line("(1.0) can0 20000080#0000000000000000"));
  CHECK(f.error && !f.extended);
  CHECK_INT(f.id, 0x80);
}

static void test_passes_over_comments(void)
{
  CHECK_INT(line(""), MC_ERR_END);
  CHECK_INT(line("   \r"), MC_ERR_END);
  CHECK_INT(line("# recorded by us"), MC_ERR_END);
  CHECK_INT(line("; note"), MC_ERR_END);
  CHECK_INT(line("// note"), MC_ERR_END);
}

static void refused(const char *text, const char *part, int at)
{
  mc_bus_frame before = {.id = 77};
  f = before;
  mc_err err = line(text);
  if (err != MC_ERR_MALFORMED || !strstr(why.text, part) || !strstr(why.text, "line 7") || f.id != 77) {
    tap_this_failed = 1;
    printf("# line %d: error %d, '%s' does not hold '%s'\n", at, err, why.text, part);
  }
}
#define REFUSED(text, part) refused(text, part, __LINE__)

static void test_says_line_byte_and_what_was_expected(void)
{
  REFUSED("1.0 can0 123#11", "byte 0: expected a time in brackets");
  REFUSED("(x) can0 123#11", "byte 1: expected a time in seconds");
  REFUSED("(1.) can0 123#11", "digits after the point");
  REFUSED("(1.0 can0 123#11", "expected ')'");
  REFUSED("(99999999999999999999) can0 123#11", "time in seconds");
  REFUSED("(-1.0) can0 123#11", "time in seconds");
  REFUSED("(1.0)", "an interface name and a frame");
  REFUSED("(1.0) can0", "but the line ends");
  REFUSED("(1.0) can0 12#11", "an id of 3 (standard) or 8 (extended) hex digits");
  REFUSED("(1.0) can0 1234#11", "an id of 3");
  REFUSED("(1.0) can0 123456789#11", "an id of 3");
  REFUSED("(1.0) can0 800#11", "at most 11 bits");
  REFUSED("(1.0) can0 9FFFFFFF#11", "at most 29 bits");
  REFUSED("(1.0) can0 123 11", "expected '#'");
  REFUSED("(1.0) can0 123#1", "the second hex digit");
  REFUSED("(1.0) can0 123#1G", "the second hex digit");
  REFUSED("(1.0) can0 123#GG", "hex digits or the end of the line");
  REFUSED("(1.0) can0 123#112233445566778899", "at most 8 bytes");
  REFUSED("(1.0) can0 123##", "FD flags");
  REFUSED("(1.0) can0 123##0112233445566778899", "an FD length");
  REFUSED("(1.0) can0 123#11 X", "the end of the line");
  REFUSED("(1.0) can0 123#11_2", "raw DLC");
}

static void test_reads_a_log_and_goes_on_after_a_bad_line(void)
{
  mc_candump_reader r = mc_candump_reader_of(MC_LIT("# log\n(1.0) can0 123#11\n\nbroken\n(2.0) can1 124#2233"));
  CHECK_OK(mc_candump_next(&r, &f, &why));
  CHECK_INT(r.line, 2);
  CHECK_INT(mc_candump_next(&r, &f, &why), MC_ERR_MALFORMED);
  CHECK_INT(r.line, 4);
  CHECK_WHY(why, "line 4, byte 0");
  CHECK_OK(mc_candump_next(&r, &f, &why));
  CHECK_INT(f.id, 0x124);
  CHECK_INT(mc_candump_next(&r, &f, &why), MC_ERR_END);
  CHECK_INT(mc_candump_next(&r, &f, &why), MC_ERR_END);
}

static void test_writes_what_it_reads(void)
{
  static const char *const lines[] = {"(1436509052.249713) vcan0 044#2A366C2BBA\n", "(0.000001) can1 18FEF100#\n", "(1.000000) can0 123#R4\n",
                                      "(1.000000) can0 123#R\n", "(1.000000) can0 123##3001122\n", "(1.000000) can0 20000080#01\n"};
  char out[300];
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    CHECK_OK(line(lines[i]));
    size_t n = mc_candump_format(&f, out, sizeof out);
    CHECK_INT(n, strlen(lines[i]));
    CHECK_STR(out, lines[i]);
    CHECK_INT(mc_candump_format(&f, out, n), 0);
  }
}

static void test_reads_a_real_log_to_its_end(void)
{
  const char *dir = tap_data_dir();
  static uint8_t text[1 << 20];
  char path[1200];
  if (!dir)
    SKIP("the data folder is absent; set MOTORCADE_DATA");
  snprintf(path, sizeof path, "%s/canlog/savvycan_candump.log", dir);
  FILE *in = fopen(path, "rb");
  CHECK(in != NULL);
  size_t n = fread(text, 1, sizeof text, in), frames = 0, lines = 0;
  fclose(in);
  for (size_t i = 0; i < n; i++)
    lines += text[i] == '\n';
  mc_candump_reader r = mc_candump_reader_of(mc_slice_of(text, n));
  mc_err err;
  char out[300];
  for (size_t at = 0; !(err = mc_candump_next(&r, &f, &why)); frames++, at = r.at) {
    size_t len = mc_candump_format(&f, out, sizeof out);
    mc_slice raw = mc_slice_trim(mc_slice_sub(mc_slice_of(text, n), at, r.at - at));
    CHECK(mc_slice_eq(mc_slice_trim(mc_slice_of(out, len)), raw));
  }
  CHECK_INT(err, MC_ERR_END);
  CHECK_INT(frames, lines);
}

int main(void)
{
  RUN(test_reads_classic_frames);
  RUN(test_reads_fd_frames);
  RUN(test_reads_remote_and_error_frames);
  RUN(test_passes_over_comments);
  RUN(test_says_line_byte_and_what_was_expected);
  RUN(test_reads_a_log_and_goes_on_after_a_bad_line);
  RUN(test_writes_what_it_reads);
  RUN(test_reads_a_real_log_to_its_end);
  return tap_done();
}
