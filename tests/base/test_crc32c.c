#include "base/crc32c.h"
#include "tap.h"

/* The definition, bit by bit. */
static uint32_t by_definition(const uint8_t *p, size_t len)
{
  uint32_t crc = ~0u;
  for (size_t i = 0; i < len; i++) {
    crc ^= p[i];
    for (int k = 0; k < 8; k++)
      crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
  }
  return ~crc;
}

static void test_gives_the_values_of_rfc_3720(void)
{
  uint8_t p[48];
  CHECK_INT(mc_crc32c(0, "123456789", 9), 0xE3069283);
  CHECK_INT(mc_crc32c(0, "", 0), 0);
  memset(p, 0, 32);
  CHECK_INT(mc_crc32c(0, p, 32), 0x8A9136AA);
  memset(p, 0xFF, 32);
  CHECK_INT(mc_crc32c(0, p, 32), 0x62A8AB43);
  for (int i = 0; i < 32; i++)
    p[i] = (uint8_t)i;
  CHECK_INT(mc_crc32c(0, p, 32), 0x46DD794E);
  for (int i = 0; i < 32; i++)
    p[i] = (uint8_t)(31 - i);
  CHECK_INT(mc_crc32c(0, p, 32), 0x113FDB5C);
}

static void test_both_ways_agree_with_the_definition_at_every_length_and_alignment(void)
{
  static uint8_t bytes[9000];
  uint32_t x = 12345;
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
  for (size_t len = 0; len <= 8200; len += len < 1200 ? 1 : 97)
    for (size_t shift = 0; shift < 8; shift += 3) {
      uint32_t want = by_definition(bytes + shift, len);
      CHECK_INT(mc_crc32c(0, bytes + shift, len), want);
      CHECK_INT(mc_crc32c_portable(0, bytes + shift, len), want);
    }
}

static void test_chains(void)
{
  static uint8_t bytes[5000];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * i);
  uint32_t whole = mc_crc32c(0, bytes, sizeof bytes);
  for (size_t cut = 0; cut <= sizeof bytes; cut += 61)
    CHECK_INT(mc_crc32c(mc_crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut), whole);
}

int main(void)
{
  RUN(test_gives_the_values_of_rfc_3720);
  RUN(test_both_ways_agree_with_the_definition_at_every_length_and_alignment);
  RUN(test_chains);
  return tap_done();
}
