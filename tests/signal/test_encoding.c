#include <math.h>

#include "signal/signal.h"
#include "tap.h"

static void test_recovers_every_integer_of_common_steps(void)
{
  static const double factors[] = {1, 0.1, 0.01, 0.125, 0.00390625, -0.5, 1e-7, 1.0 / 3, 3.6};
  static const double offsets[] = {0, -40, -273, 0.05, 1e6};
  for (size_t f = 0; f < 9; f++)
    for (size_t o = 0; o < 5; o++) {
      mc_encoding e = {1, MC_TYPE_FLOAT64, factors[f], offsets[o]};
      for (int64_t k = -70000; k <= 70000; k += 7) {
        int64_t got = INT64_MIN;
        double value = mc_encoding_physical(&e, k);
        CHECK(mc_encoding_recover(&e, value, &got));
        if (got != k) /* two integers may give one double; then either stands for it */
          CHECK(mc_encoding_physical(&e, got) == value);
      }
    }
}

static void test_keeps_doubles_that_are_no_step(void)
{
  mc_encoding e = {1, MC_TYPE_FLOAT64, 0.01, 0};
  int64_t k = 5;
  CHECK(!mc_encoding_recover(&e, 0.005, &k));
  CHECK(!mc_encoding_recover(&e, nextafter(0.07, 1), &k));
  CHECK(!mc_encoding_recover(&e, NAN, &k));
  CHECK(!mc_encoding_recover(&e, INFINITY, &k));
  CHECK(!mc_encoding_recover(&e, 1e300, &k));
  CHECK(!mc_encoding_recover(&e, -0.0, &k)); /* 0 * 0.01 is +0 */
  CHECK_INT(k, 5);
}

/* 100 k is not k * 0.01: what an agent divides by 100 must be kept as it is when the bits differ. */
static void test_judges_by_bits_not_by_nearness(void)
{
  mc_encoding e = {1, MC_TYPE_FLOAT64, 0.01, 0};
  int kept = 0;
  for (int64_t k = 1; k < 10000; k++) {
    int64_t got;
    double divided = (double)k / 100;
    bool same = divided == (double)k * 0.01;
    CHECK_INT(mc_encoding_recover(&e, divided, &got), same);
    kept += !same;
  }
  CHECK(kept > 0);
}

static mc_type type_of(const char *layout, const char *extra)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  char text[300];
  mc_dbc dbc;
  mc_why why = {0};
  snprintf(text, sizeof text, "BO_ 1 M: 8 X\n SG_ S : %s [0|0] \"\" X\n%s", layout, extra);
  if (mc_dbc_parse(mc_slice_str(text), "t", &a, &dbc, &why)) {
    printf("# %s\n", why.text);
    return MC_TYPE_NULL;
  }
  return mc_signal_type_of_dbc(&dbc.message[0].signal[0]);
}

static void test_chooses_the_type_that_holds_the_physical_values(void)
{
  CHECK_INT(type_of("0|1@1+ (1,0)", ""), MC_TYPE_BOOL);
  CHECK_INT(type_of("0|1@1- (1,0)", ""), MC_TYPE_INT8);
  CHECK_INT(type_of("0|8@1+ (1,0)", ""), MC_TYPE_UINT8);
  CHECK_INT(type_of("0|8@1- (1,0)", ""), MC_TYPE_INT8);
  CHECK_INT(type_of("0|8@1+ (1,-40)", ""), MC_TYPE_INT16);
  CHECK_INT(type_of("0|8@1+ (10,0)", ""), MC_TYPE_UINT16);
  CHECK_INT(type_of("0|16@1- (1,0)", ""), MC_TYPE_INT16);
  CHECK_INT(type_of("0|16@1+ (-1,0)", ""), MC_TYPE_INT32);
  CHECK_INT(type_of("0|32@1+ (1,0)", ""), MC_TYPE_UINT32);
  CHECK_INT(type_of("0|32@1+ (100,0)", ""), MC_TYPE_UINT64);
  CHECK_INT(type_of("0|64@1+ (1,0)", ""), MC_TYPE_UINT64);
  CHECK_INT(type_of("0|64@1- (1,0)", ""), MC_TYPE_INT64);
  CHECK_INT(type_of("0|64@1+ (2,0)", ""), MC_TYPE_FLOAT64);
  CHECK_INT(type_of("0|16@1+ (0.1,0)", ""), MC_TYPE_FLOAT64);
  CHECK_INT(type_of("0|16@1+ (1,0.5)", ""), MC_TYPE_FLOAT64);
  CHECK_INT(type_of("0|32@1- (1,0)", "SIG_VALTYPE_ 1 S : 1;\n"), MC_TYPE_FLOAT32);
  CHECK_INT(type_of("0|64@1- (1,0)", "SIG_VALTYPE_ 1 S : 2;\n"), MC_TYPE_FLOAT64);
  CHECK_STR(mc_type_name(MC_TYPE_UINT8), "UINT8");
  CHECK_STR(mc_type_name((mc_type)99), "UNKNOWN");
}

static void test_block_builder_keeps_columns_together(void)
{
  mc_block_builder b = {0};
  for (uint32_t i = 0; i < 1000; i++) {
    CHECK_OK(mc_block_builder_add(&b, 1, i, 5, 1000 + i, MC_SAMPLE_RAW, 0, (mc_sample_value){.raw = -(int64_t)i}));
    if (i % 100 == 0)
      CHECK_OK(mc_block_builder_add_string(&b, 2, i, 7, MC_SAMPLE_QUARANTINED, MC_LIT("text")));
  }
  mc_block v = mc_block_builder_view(&b);
  CHECK_INT(v.count, 1010);
  CHECK_INT(v.kind[1], MC_SAMPLE_STRING);
  CHECK_INT(v.encoding[1], 0);
  CHECK_INT(v.flags[1], MC_SAMPLE_QUARANTINED);
  CHECK_SLICE(mc_slice_sub(v.text, v.value[1].str.offset, v.value[1].str.len), "text");
  CHECK_INT(v.signal[1009], 999);
  CHECK_INT(v.value[1009].raw, -999);
  CHECK_INT(v.time_us[1009], 1999);
  mc_block_builder_clear(&b);
  CHECK_INT(mc_block_builder_view(&b).count, 0);
  CHECK_OK(mc_block_builder_add_string(&b, 1, 1, 1, 0, (mc_slice){NULL, 0}));
  CHECK_INT(mc_block_builder_view(&b).value[0].str.len, 0);
  mc_block_builder_free(&b);
  mc_block_builder_free(&b);
  mc_block_builder_free(NULL);
}

int main(void)
{
  RUN(test_recovers_every_integer_of_common_steps);
  RUN(test_keeps_doubles_that_are_no_step);
  RUN(test_judges_by_bits_not_by_nearness);
  RUN(test_chooses_the_type_that_holds_the_physical_values);
  RUN(test_block_builder_keeps_columns_together);
  return tap_done();
}
