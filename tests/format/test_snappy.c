/* Snappy blocks: both ways, and lengths that lie. */
#include "format/fleetwise.h"
#include "tap.h"

static void test_blocks_come_back_the_same(void)
{
  static uint8_t data[300000];
  uint64_t x = 1;
  for (size_t i = 0; i < sizeof data; i++) {
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    data[i] = i % 1000 < 500 ? (uint8_t)(x >> 60) : (uint8_t)(i / 7);
  }
  static const size_t sizes[] = {0, 1, 59, 60, 61, 65535, 65536, 65537, 300000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    mc_buf packed = {0}, back = {0};
    CHECK_OK(mc_buf_append_str(&packed, "before"));
    CHECK_OK(mc_snappy_compress(mc_slice_of(data, sizes[i]), &packed));
    CHECK_OK(mc_snappy_expand(mc_slice_sub(mc_buf_slice(&packed), 6, packed.len), sizes[i], &back));
    CHECK(mc_slice_eq(mc_buf_slice(&back), mc_slice_of(data, sizes[i])));
    mc_buf_free(&packed);
    mc_buf_free(&back);
  }
}

static void test_refuses_before_it_allocates(void)
{
  mc_buf out = {0};
  CHECK_INT(mc_snappy_expand((mc_slice){0}, 100, &out), MC_ERR_TRUNCATED);
  CHECK_INT(mc_snappy_expand(MC_LIT("\x65\x00z"), 100, &out), MC_ERR_TOO_LARGE);           /* 101 stated, 100 allowed */
  CHECK_INT(mc_snappy_expand(MC_LIT("\xff\xff\xff\xff\x0f\x00z"), SIZE_MAX, &out), MC_ERR_MALFORMED); /* 4 GiB in 7 bytes */
  CHECK_INT(mc_snappy_expand(MC_LIT("\xff\xff\xff\xff\x7f\x00z"), SIZE_MAX, &out), MC_ERR_MALFORMED);
  CHECK_INT(mc_snappy_expand(MC_LIT("\x80"), 100, &out), MC_ERR_MALFORMED);
  CHECK(out.data == NULL);
}

static void test_refuses_broken_blocks_and_leaves_the_buffer(void)
{
  static const mc_slice cases[] = {
      {(const uint8_t *)"\x05\x10" "abc", 5},     /* literal cut off */
      {(const uint8_t *)"\x04\x00" "a", 3},       /* fewer bytes than stated */
      {(const uint8_t *)"\x01\x08" "abc", 5},     /* more bytes than stated */
      {(const uint8_t *)"\x08\x00" "a\x11\x05", 5}, /* copy from before the start */
  };
  mc_buf out = {0};
  CHECK_OK(mc_buf_append_str(&out, "kept"));
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK_INT(mc_snappy_expand(cases[i], 1000, &out), MC_ERR_MALFORMED);
    CHECK_SLICE(mc_buf_slice(&out), "kept");
  }
  mc_buf_free(&out);
}

int main(int argc, char **argv)
{
  RUN(test_blocks_come_back_the_same);
  RUN(test_refuses_before_it_allocates);
  RUN(test_refuses_broken_blocks_and_leaves_the_buffer);
  return tap_done();
}
