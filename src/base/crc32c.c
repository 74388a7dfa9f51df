#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

/* Two ways to the same number: the processor's instruction (three independent streams hide its latency
 * of three cycles; their results are joined by "advance over n zero bytes" tables), and slicing by 8. */

#define POLYNOMIAL 0x82F63B78u
enum { LONG_RUN = 1024, SHORT_RUN = 128, TINY_RUN = 64 /* a journal record of a small message */ }; /* bytes of each of three streams */

static uint32_t slice_table[8][256];
static uint32_t advance_long[4][256], advance_short[4][256], advance_tiny[4][256];

static uint32_t crc_by_table(uint32_t crc, const uint8_t *p, size_t len)
{
  while (len >= 8) {
    uint64_t v;
    memcpy(&v, p, 8);
    v ^= crc;
    crc = slice_table[7][v & 255] ^ slice_table[6][(v >> 8) & 255] ^ slice_table[5][(v >> 16) & 255] ^
          slice_table[4][(v >> 24) & 255] ^ slice_table[3][(v >> 32) & 255] ^ slice_table[2][(v >> 40) & 255] ^
          slice_table[1][(v >> 48) & 255] ^ slice_table[0][v >> 56];
    p += 8;
    len -= 8;
  }
  while (len--)
    crc = slice_table[0][(crc ^ *p++) & 255] ^ (crc >> 8);
  return crc;
}

static void build_advance(uint32_t table[4][256], size_t zeros)
{
  uint32_t bit[32];
  for (int i = 0; i < 32; i++) {
    bit[i] = 1u << i;
    for (size_t n = 0; n < zeros; n++)
      bit[i] = slice_table[0][bit[i] & 255] ^ (bit[i] >> 8);
  }
  for (int k = 0; k < 4; k++)
    for (int v = 0; v < 256; v++) {
      uint32_t sum = 0;
      for (int b = 0; b < 8; b++)
        if (v >> b & 1)
          sum ^= bit[8 * k + b];
      table[k][v] = sum;
    }
}

#if defined(__x86_64__)
static inline uint32_t advance(uint32_t table[4][256], uint32_t crc)
{
  return table[0][crc & 255] ^ table[1][crc >> 8 & 255] ^ table[2][crc >> 16 & 255] ^ table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static inline uint64_t step8(uint64_t crc, const uint8_t *p)
{
  uint64_t v;
  memcpy(&v, p, 8);
  return _mm_crc32_u64(crc, v);
}

__attribute__((target("sse4.2"))) static uint32_t three_streams(uint32_t crc, const uint8_t *p, size_t run,
                                                               uint32_t table[4][256])
{
  uint64_t a = crc, b = 0, c = 0;
  for (size_t i = 0; i < run; i += 8) {
    a = step8(a, p + i);
    b = step8(b, p + run + i);
    c = step8(c, p + 2 * run + i);
  }
  uint32_t joined = advance(table, (uint32_t)a) ^ (uint32_t)b;
  return advance(table, joined) ^ (uint32_t)c;
}

__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
  for (; len >= 3 * LONG_RUN; p += 3 * LONG_RUN, len -= 3 * LONG_RUN)
    crc = three_streams(crc, p, LONG_RUN, advance_long);
  for (; len >= 3 * SHORT_RUN; p += 3 * SHORT_RUN, len -= 3 * SHORT_RUN)
    crc = three_streams(crc, p, SHORT_RUN, advance_short);
  if (len >= 3 * TINY_RUN) {
    crc = three_streams(crc, p, TINY_RUN, advance_tiny);
    p += 3 * TINY_RUN;
    len -= 3 * TINY_RUN;
  }
  uint64_t wide = crc;
  for (; len >= 8; p += 8, len -= 8)
    wide = step8(wide, p);
  crc = (uint32_t)wide;
  while (len--)
    crc = _mm_crc32_u8(crc, *p++);
  return crc;
}
#endif

static uint32_t (*crc_run)(uint32_t crc, const uint8_t *p, size_t len) = crc_by_table;

__attribute__((constructor)) static void choose(void)
{
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int k = 0; k < 8; k++)
      crc = (crc >> 1) ^ (POLYNOMIAL & (0u - (crc & 1)));
    slice_table[0][i] = crc;
  }
  for (int t = 1; t < 8; t++)
    for (int i = 0; i < 256; i++)
      slice_table[t][i] = slice_table[0][slice_table[t - 1][i] & 255] ^ (slice_table[t - 1][i] >> 8);
  build_advance(advance_long, LONG_RUN);
  build_advance(advance_short, SHORT_RUN);
  build_advance(advance_tiny, TINY_RUN);
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2"))
    crc_run = crc_by_instruction;
#endif
}

uint32_t mc_crc32c(uint32_t crc, const void *data, size_t len)
{
  return ~crc_run(~crc, data, len);
}

uint32_t mc_crc32c_portable(uint32_t crc, const void *data, size_t len)
{
  return ~crc_by_table(~crc, data, len);
}
