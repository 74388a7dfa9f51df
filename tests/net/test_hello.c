#include "net/hello.h"
#include "tap.h"

/* A ClientHello of body bytes, cut into records of at most piece bytes. */
static size_t make(uint8_t *out, size_t body, size_t piece)
{
  uint8_t message[40000] = {1, (uint8_t)(body >> 16), (uint8_t)(body >> 8), (uint8_t)body};
  size_t len = 4 + body, n = 0;
  for (size_t at = 0; at < len;) {
    size_t part = len - at < piece ? len - at : piece;
    out[n] = 22;
    out[n + 1] = 3;
    out[n + 2] = 1;
    mc_store_be16(out + n + 3, (uint16_t)part);
    memcpy(out + n + 5, message + at, part);
    n += 5 + part;
    at += part;
  }
  return n;
}

static uint8_t bytes[300000];

static void test_every_prefix_asks_for_more_and_the_whole_is_enough(void)
{
  static const size_t pieces[] = {1, 2, 3, 4, 5, 100, 16384};
  for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
    size_t len = make(bytes, 517, pieces[p]);
    for (size_t n = 0; n < len; n++)
      CHECK_INT(mc_hello_check(mc_slice_of(bytes, n)), MC_ERR_AGAIN);
    CHECK_INT(mc_hello_check(mc_slice_of(bytes, len)), MC_OK);
    CHECK_INT(mc_hello_check(mc_slice_of(bytes, len + 100)), MC_OK); /* what follows is not looked at */
  }
}

static void test_what_is_no_greeting_is_refused_at_once(void)
{
  static const struct { const char *bytes; size_t len; } wrong[] = {
      {"GET / HTTP/1.1\r\n\r\n", 18}, {"\x10\x0c\x00\x04MQTT", 8}, {"\x80\x2e\x01\x03\x01", 5} /* SSL 2 */, {"\x16\x02\x00", 3},
      {"\x15\x03\x01\x00\x02\x02\x0a", 7} /* an alert */, {"\x17\x03\x03\x00\x05hello", 10}, {"\x16\x03\x01\x00\x00", 5} /* empty record */,
      {"\x16\x03\x01\x40\x01\x01", 6} /* longer than a record may be */, {"\x16\x03\x03\x00\x04\x02\x00\x00\x00", 9} /* ServerHello */};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    CHECK_INT(mc_hello_check(mc_slice_of(wrong[i].bytes, wrong[i].len)), MC_ERR_MALFORMED);
}

static void test_a_greeting_has_an_end(void)
{
  static const uint8_t huge[] = {22, 3, 1, 0, 4, 1, 1, 0, 0}; /* 65,536 bytes are announced */
  CHECK_INT(mc_hello_check(mc_slice_of(huge, sizeof huge)), MC_ERR_TOO_LARGE);
  size_t len = make(bytes, 30000, 1); /* six bytes for each */
  CHECK_INT(mc_hello_check(mc_slice_of(bytes, MC_HELLO_MAX - 1)), MC_ERR_AGAIN);
  CHECK_INT(mc_hello_check(mc_slice_of(bytes, MC_HELLO_MAX)), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_hello_check(mc_slice_of(bytes, len)), MC_OK);
}

int main(void)
{
  RUN(test_every_prefix_asks_for_more_and_the_whole_is_enough);
  RUN(test_what_is_no_greeting_is_refused_at_once);
  RUN(test_a_greeting_has_an_end);
  return tap_done();
}
