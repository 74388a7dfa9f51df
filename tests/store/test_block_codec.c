#include "store/block_codec.h"
#include "tap.h"

static uint64_t state = 42;
static uint64_t next_random(void)
{
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

/* Rows that grow more hostile with `wildness`: 0 = steady, 63 = any 64-bit jump. */
static void make_rows(store_row *rows, uint32_t count, uint8_t kind, unsigned wildness, int64_t tick)
{
  int64_t t = 1700000000000000LL;
  uint64_t word = 1000;
  for (uint32_t i = 0; i < count; i++) {
    t += tick * (int64_t)(1 + (next_random() & ((1ULL << (wildness / 4)) - 1)));
    word += next_random() & (wildness == 63 ? UINT64_MAX : (1ULL << wildness) - 1);
    rows[i] = (store_row){.time_us = t, .word = word, .encoding = 7, .kind = kind, .flags = 1};
  }
}

static void test_gives_back_every_row_bit_for_bit(void)
{
  static store_row rows[BLOCK_ROWS], back[BLOCK_ROWS];
  for (int round = 0; round < 2000; round++) {
    uint32_t count = 1 + (uint32_t)(next_random() % BLOCK_ROWS);
    make_rows(rows, count, (uint8_t)(round & 1), (unsigned)(round % 64), round % 3 == 0 ? 1 : round % 3 == 1 ? 1000 : 977);
    mc_buf out = {0}, text = {0};
    CHECK_OK(store_block_encode(rows, count, (mc_slice){0}, &out));
    CHECK_OK(store_block_decode(mc_buf_slice(&out), count, rows[0].time_us, 7, (uint8_t)(round & 1), 1, back, &text));
    CHECK(memcmp(rows, back, count * sizeof *rows) == 0);
    mc_buf_free(&out);
    mc_buf_free(&text);
  }
}

static void test_keeps_strings(void)
{
  store_row rows[3] = {{.time_us = 1, .word = 0 | 3ULL << 32, .kind = MC_SAMPLE_STRING},
                       {.time_us = 1, .word = 3, .kind = MC_SAMPLE_STRING},
                       {.time_us = 9, .word = 3 | 2ULL << 32, .kind = MC_SAMPLE_STRING}};
  store_row back[3];
  mc_buf out = {0}, text = {0};
  CHECK_OK(store_block_encode(rows, 3, MC_LIT("abcde"), &out));
  CHECK_OK(store_block_decode(mc_buf_slice(&out), 3, 1, 0, MC_SAMPLE_STRING, 0, back, &text));
  CHECK_SLICE(mc_buf_slice(&text), "abcde");
  CHECK_INT(back[1].word >> 32, 0);
  CHECK_INT(back[2].time_us, 9);
  mc_buf_free(&out);
  mc_buf_free(&text);
}

static void test_steady_integers_cost_little(void)
{
  static store_row rows[BLOCK_ROWS];
  for (uint32_t i = 0; i < BLOCK_ROWS; i++)
    rows[i] = (store_row){.time_us = 1700000000000000LL + i * 100000LL, .word = 500 + i % 4, .kind = MC_SAMPLE_RAW};
  mc_buf out = {0};
  CHECK_OK(store_block_encode(rows, BLOCK_ROWS, (mc_slice){0}, &out));
  CHECK(out.len < BLOCK_ROWS); /* under one byte a row */
  mc_buf_free(&out);
}

static void test_refuses_damaged_blocks(void)
{
  static store_row rows[300], back[BLOCK_ROWS];
  make_rows(rows, 300, MC_SAMPLE_RAW, 20, 1000);
  mc_buf out = {0}, text = {0};
  CHECK_OK(store_block_encode(rows, 300, (mc_slice){0}, &out));
  for (size_t cut = 0; cut < out.len; cut++) {
    uint8_t *exact = malloc(cut ? cut : 1);
    memcpy(exact, out.data, cut);
    mc_err err = store_block_decode(mc_slice_of(exact, cut), 300, 0, 0, MC_SAMPLE_RAW, 0, back, &text);
    free(exact);
    CHECK(err != MC_OK);
  }
  CHECK(store_block_decode(mc_buf_slice(&out), 0, 0, 0, 0, 0, back, &text) != MC_OK);
  CHECK(store_block_decode(mc_buf_slice(&out), BLOCK_ROWS + 1, 0, 0, 0, 0, back, &text) != MC_OK);
  mc_buf_free(&out);
  mc_buf_free(&text);
}

int main(void)
{
  RUN(test_gives_back_every_row_bit_for_bit);
  RUN(test_keeps_strings);
  RUN(test_steady_integers_cost_little);
  RUN(test_refuses_damaged_blocks);
  return tap_done();
}
