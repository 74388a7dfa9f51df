/* Protocol buffers' wire format: fields of every type both ways, and broken input. */
#include <math.h>

#include "format/proto.h"
#include "tap.h"

static void test_fields_come_back_the_same(void)
{
  static const uint64_t numbers[] = {0, 1, 127, 128, 300, UINT32_MAX, 1ULL << 63, UINT64_MAX};
  static const int64_t signeds[] = {0, -1, 1, -64, 63, INT64_MIN, INT64_MAX};
  static const uint32_t tags[] = {1, 15, 16, 2047, 2048, 1000, 0x1FFFFFFF};
  for (size_t t = 0; t < sizeof tags / sizeof tags[0]; t++) {
    mc_buf out = {0};
    for (size_t i = 0; i < 8; i++)
      CHECK_OK(mc_proto_put_varint(&out, tags[t], numbers[i]));
    for (size_t i = 0; i < 7; i++)
      CHECK_OK(mc_proto_put_zigzag(&out, tags[t], signeds[i]));
    CHECK_OK(mc_proto_put_double(&out, tags[t], -0.1));
    CHECK_OK(mc_proto_put_float(&out, tags[t], 1.5f));
    CHECK_OK(mc_proto_put_bytes(&out, tags[t], MC_LIT("bytes")));
    CHECK_OK(mc_proto_put_bytes(&out, tags[t], (mc_slice){0}));
    mc_proto_field f;
    size_t at = 0;
    for (size_t i = 0; i < 8; i++) {
      CHECK_OK(mc_proto_next(mc_buf_slice(&out), &at, &f));
      CHECK(f.tag == tags[t] && f.wire == MC_WIRE_VARINT && f.number == numbers[i]);
    }
    for (size_t i = 0; i < 7; i++) {
      CHECK_OK(mc_proto_next(mc_buf_slice(&out), &at, &f));
      CHECK(mc_proto_zigzag(f.number) == signeds[i]);
    }
    CHECK_OK(mc_proto_next(mc_buf_slice(&out), &at, &f));
    CHECK(f.wire == MC_WIRE_I64 && mc_proto_double(f.number) == -0.1);
    CHECK_OK(mc_proto_next(mc_buf_slice(&out), &at, &f));
    CHECK(f.wire == MC_WIRE_I32 && mc_proto_float(f.number) == 1.5f);
    CHECK_OK(mc_proto_next(mc_buf_slice(&out), &at, &f));
    CHECK_SLICE(f.bytes, "bytes");
    CHECK_OK(mc_proto_next(mc_buf_slice(&out), &at, &f));
    CHECK(f.wire == MC_WIRE_LEN && f.bytes.len == 0);
    CHECK_INT(mc_proto_next(mc_buf_slice(&out), &at, &f), MC_ERR_END);
    mc_buf_free(&out);
  }
}

static void test_nested_messages_get_lengths_of_every_width(void)
{
  static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 2097152};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    mc_buf out = {0};
    size_t outer, inner;
    CHECK_OK(mc_proto_open(&out, 1, &outer));
    CHECK_OK(mc_proto_open(&out, 2, &inner));
    for (size_t k = 0; k < sizes[i]; k++)
      CHECK_OK(mc_buf_append_u8(&out, (uint8_t)k));
    CHECK_OK(mc_proto_close(&out, inner));
    CHECK_OK(mc_proto_put_varint(&out, 3, 7));
    CHECK_OK(mc_proto_close(&out, outer));
    mc_proto_field f;
    size_t at = 0, within = 0;
    CHECK_OK(mc_proto_next(mc_buf_slice(&out), &at, &f));
    CHECK_INT(at, out.len);
    mc_slice message = f.bytes;
    CHECK_OK(mc_proto_next(message, &within, &f));
    CHECK(f.tag == 2 && f.bytes.len == sizes[i]);
    for (size_t k = 0; k < sizes[i]; k++)
      CHECK(f.bytes.data[k] == (uint8_t)k);
    CHECK_OK(mc_proto_next(message, &within, &f));
    CHECK(f.tag == 3 && f.number == 7);
    mc_buf_free(&out);
  }
}

static void test_refuses_broken_fields(void)
{
  static const struct {
    mc_err err;
    mc_slice in;
  } cases[] = {
      {MC_ERR_TRUNCATED, {(const uint8_t *)"\x80", 1}},         {MC_ERR_TRUNCATED, {(const uint8_t *)"\x08", 1}},
      {MC_ERR_TRUNCATED, {(const uint8_t *)"\x08\xff\xff", 3}}, {MC_ERR_TRUNCATED, {(const uint8_t *)"\x09\0\0\0\0\0\0\0", 8}},
      {MC_ERR_TRUNCATED, {(const uint8_t *)"\x0d\0\0\0", 4}},   {MC_ERR_TRUNCATED, {(const uint8_t *)"\x0a\x02z", 3}},
      {MC_ERR_TRUNCATED, {(const uint8_t *)"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}},
      {MC_ERR_MALFORMED, {(const uint8_t *)"\x00", 1}},         {MC_ERR_MALFORMED, {(const uint8_t *)"\x0b", 1}},
      {MC_ERR_MALFORMED, {(const uint8_t *)"\x0c", 1}},         {MC_ERR_MALFORMED, {(const uint8_t *)"\x0e", 1}},
      {MC_ERR_MALFORMED, {(const uint8_t *)"\x0f", 1}},         {MC_ERR_MALFORMED, {(const uint8_t *)"\x07", 1}},
      {MC_ERR_MALFORMED, {(const uint8_t *)"\x80\x80\x80\x80\x10", 5}},
      {MC_ERR_MALFORMED, {(const uint8_t *)"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}},
      {MC_ERR_MALFORMED, {(const uint8_t *)"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t *exact = malloc(cases[i].in.len);
    CHECK(exact);
    memcpy(exact, cases[i].in.data, cases[i].in.len);
    mc_proto_field f;
    size_t at = 0;
    mc_err err = mc_proto_next(mc_slice_of(exact, cases[i].in.len), &at, &f);
    free(exact);
    if (err != cases[i].err || at != 0)
      TAP_FAIL("case %zu: %s at %zu", i, mc_err_text(err), at);
  }
}

static void test_writers_refuse_impossible_tags(void)
{
  mc_buf out = {0};
  size_t mark;
  CHECK_INT(mc_proto_put_varint(&out, 0, 1), MC_ERR_INVALID);
  CHECK_INT(mc_proto_put_double(&out, 0x20000000, 1), MC_ERR_INVALID);
  CHECK_INT(mc_proto_put_float(&out, 0, 1), MC_ERR_INVALID);
  CHECK_INT(mc_proto_put_bytes(&out, 0, MC_LIT("a")), MC_ERR_INVALID);
  CHECK_INT(mc_proto_put_bytes(&out, 1, (mc_slice){NULL, SIZE_MAX}), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_proto_open(&out, 0, &mark), MC_ERR_INVALID);
  CHECK_INT(mc_proto_close(&out, 0), MC_ERR_INVALID);
  CHECK_INT(mc_proto_close(&out, 5), MC_ERR_INVALID);
  CHECK_INT(out.len, 0);
  mc_buf_free(&out);
}

int main(int argc, char **argv)
{
  RUN(test_fields_come_back_the_same);
  RUN(test_nested_messages_get_lengths_of_every_width);
  RUN(test_refuses_broken_fields);
  RUN(test_writers_refuse_impossible_tags);
  return tap_done();
}
