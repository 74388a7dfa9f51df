/* WebSocket frames: RFC 6455's own examples (5.7), both sides, fragments, control frames and refusals. */
#include "format/websocket.h"
#include "tap.h"

static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};

/* Reads from an exact copy; the copy is leaked into *keep for the caller to free. */
static mc_err read_all(mc_ws_reader *r, mc_slice in, size_t *used, mc_ws_message *out, mc_why *why, uint8_t **keep)
{
  *keep = malloc(in.len ? in.len : 1);
  if (!*keep)
    abort();
  if (in.len)
    memcpy(*keep, in.data, in.len);
  return mc_ws_read(r, *keep, in.len, used, out, why);
}

static void test_reads_the_examples_of_the_rfc(void)
{
  static const struct {
    bool client;
    mc_slice bytes;
    mc_ws_type type;
    const char *text;
  } cases[] = {
      {false, {(const uint8_t *)"\x81\x05Hello", 7}, MC_WS_TEXT, "Hello"},
      {true, {(const uint8_t *)"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11}, MC_WS_TEXT, "Hello"},
      {false, {(const uint8_t *)"\x01\x03Hel\x80\x02lo", 9}, MC_WS_TEXT, "Hello"},
      {false, {(const uint8_t *)"\x89\x05Hello", 7}, MC_WS_PING, "Hello"},
      {true, {(const uint8_t *)"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11}, MC_WS_PONG, "Hello"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    mc_ws_reader r = mc_ws_reader_of(cases[i].client, 100);
    mc_ws_message m;
    mc_why why = {0};
    size_t used;
    uint8_t *keep;
    CHECK_OK(read_all(&r, cases[i].bytes, &used, &m, &why, &keep));
    CHECK(m.type == cases[i].type && used == cases[i].bytes.len);
    CHECK_SLICE(m.payload, cases[i].text);
    free(keep);
    mc_ws_reader_free(&r);
  }
}

static void test_writes_the_examples_of_the_rfc(void)
{
  mc_buf out = {0};
  CHECK_OK(mc_ws_write(&out, MC_WS_TEXT, true, MC_LIT("Hello"), MASK));
  CHECK_SLICE(mc_buf_slice(&out), "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
  mc_buf_clear(&out);
  CHECK_OK(mc_ws_write(&out, MC_WS_TEXT, false, MC_LIT("Hel"), NULL));
  CHECK_OK(mc_ws_write(&out, MC_WS_CONTINUATION, true, MC_LIT("lo"), NULL));
  CHECK_SLICE(mc_buf_slice(&out), "\x01\x03Hel\x80\x02lo");
  mc_buf_free(&out);
}

/* Every size at which the length form changes, written, cut at each byte of the header, read back. */
static void test_sizes_come_back_the_same_however_they_arrive(void)
{
  static const size_t sizes[] = {0, 1, 7, 8, 125, 126, 127, 65535, 65536, 70000};
  static uint8_t data[70000];
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (uint8_t)(i * 31);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (int client = 0; client < 2; client++) {
      mc_buf out = {0};
      mc_ws_reader r = mc_ws_reader_of(client, sizes[i]);
      mc_ws_message m;
      mc_why why = {0};
      size_t used;
      uint8_t *keep;
      CHECK_OK(mc_ws_write(&out, MC_WS_BINARY, true, mc_slice_of(data, sizes[i]), client ? MASK : NULL));
      for (size_t cut = 0; cut < out.len && cut < 20; cut++) {
        CHECK_INT(read_all(&r, mc_slice_of(out.data, cut), &used, &m, &why, &keep), MC_ERR_AGAIN);
        CHECK_INT(used, 0);
        free(keep);
      }
      CHECK_OK(read_all(&r, mc_buf_slice(&out), &used, &m, &why, &keep));
      CHECK(used == out.len && mc_slice_eq(m.payload, mc_slice_of(data, sizes[i])));
      free(keep);
      mc_buf_free(&out);
      mc_ws_reader_free(&r);
    }
}

static void test_control_frames_pass_between_fragments(void)
{
  mc_ws_reader r = mc_ws_reader_of(false, 100);
  mc_ws_message m;
  mc_why why = {0};
  size_t used;
  uint8_t in[] = "\x01\x02\xc3\xa4\x89\x01p\x80\x01!\x82\x01z"; /* text fragment, ping, last fragment, binary */
  size_t len = sizeof in - 1, at = 0;
  CHECK_OK(mc_ws_read(&r, in, len, &used, &m, &why));
  CHECK(m.type == MC_WS_PING && used == 7);
  at += used;
  CHECK_OK(mc_ws_read(&r, in + at, len - at, &used, &m, &why));
  CHECK(m.type == MC_WS_TEXT && used == 3);
  CHECK_SLICE(m.payload, "\xc3\xa4!");
  at += used;
  CHECK_OK(mc_ws_read(&r, in + at, len - at, &used, &m, &why));
  CHECK(m.type == MC_WS_BINARY && at + used == len);
  mc_ws_reader_free(&r);
}

static void test_a_character_may_be_split_between_fragments(void)
{
  mc_ws_reader r = mc_ws_reader_of(false, 100);
  mc_ws_message m;
  size_t used;
  uint8_t in[] = "\x01\x01\xc3\x80\x01\xa4";
  CHECK_OK(mc_ws_read(&r, in, sizeof in - 1, &used, &m, NULL));
  CHECK_SLICE(m.payload, "\xc3\xa4");
  mc_ws_reader_free(&r);
}

static void test_refuses_with_the_right_close_code(void)
{
  static const struct {
    bool client;
    uint16_t code;
    mc_slice bytes;
    const char *why;
  } cases[] = {
      {false, 1002, {(const uint8_t *)"\xc1\x00", 2}, "reserved bit"},
      {false, 1002, {(const uint8_t *)"\x83\x00", 2}, "opcode"},
      {false, 1002, {(const uint8_t *)"\x8b\x00", 2}, "opcode"},
      {false, 1002, {(const uint8_t *)"\x8f\x00", 2}, "opcode"},
      {true, 1002, {(const uint8_t *)"\x81\x01" "a", 3}, "not masked"},
      {false, 1002, {(const uint8_t *)"\x81\x81" "aaaaa", 7}, "is masked"},
      {false, 1002, {(const uint8_t *)"\x09\x00", 2}, "control frame"},
      {false, 1002, {(const uint8_t *)"\x89\x7e\x00\x7e", 4}, "control frame"},
      {false, 1002, {(const uint8_t *)"\x80\x00", 2}, "continuation"},
      {false, 1002, {(const uint8_t *)"\x01\x00\x81\x00", 4}, "new message"},
      {false, 1002, {(const uint8_t *)"\x82\x7e\x00\x7d", 4}, "shortest"},
      {false, 1002, {(const uint8_t *)"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10}, "shortest"},
      {false, 1002, {(const uint8_t *)"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 10}, "top bit"},
      {false, 1009, {(const uint8_t *)"\x82\x65", 2}, "larger than the limit"},
      {false, 1009, {(const uint8_t *)"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10}, "larger than the limit"},
      {false, 1009, {(const uint8_t *)"\x02\x01" "a\x80\x64", 5}, "larger than the limit"},
      {false, 1007, {(const uint8_t *)"\x81\x01\xff", 3}, "UTF-8"},
      {false, 1007, {(const uint8_t *)"\x01\x01\xc3\x80\x01" "a", 6}, "UTF-8"},
      {false, 1002, {(const uint8_t *)"\x88\x01\x03", 3}, "close code"},
      {false, 1002, {(const uint8_t *)"\x88\x02\x03\xed", 4}, "close code"}, /* 1005 */
      {false, 1002, {(const uint8_t *)"\x88\x02\x00\x00", 4}, "close code"},
      {false, 1007, {(const uint8_t *)"\x88\x03\x03\xe8\xff", 5}, "reason"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    mc_ws_reader r = mc_ws_reader_of(cases[i].client, 100);
    mc_ws_message m = {0};
    mc_why why = {0};
    size_t used;
    uint8_t *keep;
    mc_err err = read_all(&r, cases[i].bytes, &used, &m, &why, &keep);
    free(keep);
    mc_ws_reader_free(&r);
    if ((err != MC_ERR_MALFORMED && err != MC_ERR_TOO_LARGE) || m.close_code != cases[i].code || !strstr(why.text, cases[i].why))
      TAP_FAIL("case %zu: %s, code %u, \"%s\"; want %u, \"%s\"", i, mc_err_text(err), m.close_code, why.text, cases[i].code, cases[i].why);
  }
}

static void test_reads_close_and_nothing_after_it(void)
{
  mc_ws_reader r = mc_ws_reader_of(false, 100);
  mc_ws_message m;
  size_t used;
  uint8_t in[] = "\x88\x05\x03\xe9" "bye\x81\x00";
  CHECK_OK(mc_ws_read(&r, in, sizeof in - 1, &used, &m, NULL));
  CHECK(m.type == MC_WS_CLOSE && m.close_code == 1001 && used == 7);
  CHECK_SLICE(m.payload, "bye");
  CHECK_INT(mc_ws_read(&r, in + used, 2, &used, &m, NULL), MC_ERR_CLOSED);
  mc_ws_reader_free(&r);
  r = mc_ws_reader_of(false, 100);
  uint8_t empty[] = "\x88\x00";
  CHECK_OK(mc_ws_read(&r, empty, 2, &used, &m, NULL));
  CHECK_INT(m.close_code, MC_WS_NO_CODE);
  mc_ws_reader_free(&r);
}

static void test_writers_refuse_what_no_frame_may_say(void)
{
  mc_buf out = {0};
  static uint8_t big[126];
  CHECK_INT(mc_ws_write(&out, MC_WS_PING, false, (mc_slice){0}, NULL), MC_ERR_INVALID);
  CHECK_INT(mc_ws_write(&out, MC_WS_PING, true, mc_slice_of(big, 126), NULL), MC_ERR_INVALID);
  CHECK_INT(mc_ws_write(&out, (mc_ws_type)3, true, (mc_slice){0}, NULL), MC_ERR_INVALID);
  CHECK_INT(mc_ws_write(&out, (mc_ws_type)16, true, (mc_slice){0}, NULL), MC_ERR_INVALID);
  CHECK_INT(mc_ws_write(&out, MC_WS_BINARY, true, (mc_slice){big, SIZE_MAX - 3}, NULL), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_ws_write_close(&out, 1005, (mc_slice){0}, NULL), MC_ERR_INVALID);
  CHECK_INT(mc_ws_write_close(&out, 1000, MC_LIT("\xff"), NULL), MC_ERR_INVALID);
  CHECK_INT(out.len, 0);
  mc_buf_free(&out);
}

static void test_a_long_close_reason_is_cut_at_a_character(void)
{
  char reason[200];
  for (size_t i = 0; i < sizeof reason; i += 2)
    memcpy(reason + i, "\xc3\xa4", 2);
  mc_buf out = {0};
  mc_ws_reader r = mc_ws_reader_of(false, 10);
  mc_ws_message m;
  mc_why why = {0};
  size_t used;
  uint8_t *keep;
  CHECK_OK(mc_ws_write_close(&out, 1008, mc_slice_of(reason, sizeof reason), NULL));
  CHECK_OK(read_all(&r, mc_buf_slice(&out), &used, &m, &why, &keep));
  CHECK(m.close_code == 1008 && m.payload.len == 122);
  free(keep);
  mc_buf_free(&out);
  mc_ws_reader_free(&r);
}

int main(int argc, char **argv)
{
  RUN(test_reads_the_examples_of_the_rfc);
  RUN(test_writes_the_examples_of_the_rfc);
  RUN(test_sizes_come_back_the_same_however_they_arrive);
  RUN(test_control_frames_pass_between_fragments);
  RUN(test_a_character_may_be_split_between_fragments);
  RUN(test_refuses_with_the_right_close_code);
  RUN(test_reads_close_and_nothing_after_it);
  RUN(test_writers_refuse_what_no_frame_may_say);
  RUN(test_a_long_close_reason_is_cut_at_a_character);
  return tap_done();
}
