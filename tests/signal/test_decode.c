#include <math.h>

#include "signal/signal.h"
#include "tap.h"

static mc_can_signal plain(uint16_t start, uint16_t length)
{
  return (mc_can_signal){.signal_id = 7, .encoding_id = 3, .message_id = 0x100, .start_bit = start, .length = length, .factor = 1, .type = MC_TYPE_FLOAT64};
}

static mc_can_frame frame_of(uint32_t id, const char *hex)
{
  mc_can_frame f = {.id = id, .len = (uint8_t)(strlen(hex) / 2)};
  for (size_t i = 0; i < f.len; i++) {
    unsigned byte;
    sscanf(hex + 2 * i, "%2x", &byte);
    f.data[i] = (uint8_t)byte;
  }
  return f;
}

static size_t run_one(const mc_can_signal *s, size_t count, const mc_can_frame *f, mc_decoded *out, size_t cap)
{
  mc_decode_plan *plan;
  mc_why why = {0};
  if (mc_decode_plan_create(s, count, &plan, &why)) {
    printf("# %s\n", why.text);
    return SIZE_MAX;
  }
  size_t n = mc_decode_plan_run(plan, f, out, cap);
  mc_decode_plan_destroy(&plan);
  return n;
}

static uint64_t raw_of(mc_can_signal s, const char *hex)
{
  mc_can_frame f = frame_of(s.message_id, hex);
  mc_decoded out[1] = {{.raw = -77}};
  return run_one(&s, 1, &f, out, 1) == 1 ? (uint64_t)out[0].raw : UINT64_MAX - 1;
}

/* Contract fleetwise 15.2 */
static void test_extracts_motorola_fields_from_their_lsb(void)
{
  static const char frame[] = "1234567890ABCDEF";
  static const struct { uint16_t dbc, length, lsb; uint64_t raw; } rows[] = {
      {7, 16, 8, 0x1234}, {3, 12, 8, 0x234}, {0, 1, 0, 0}, {7, 8, 0, 0x12}, {23, 32, 40, 0x567890AB}, {7, 64, 56, 0x1234567890ABCDEF}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    mc_can_signal s = plain(rows[i].lsb, rows[i].length);
    s.big_endian = 1;
    CHECK_INT(raw_of(s, frame), rows[i].raw);
    char text[200];
    MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
    mc_dbc dbc;
    snprintf(text, sizeof text, "BO_ 1 M: 8 X\n SG_ S : %u|%u@0+ (1,0) [0|0] \"\" X\n", rows[i].dbc, rows[i].length);
    CHECK_OK(mc_dbc_parse(mc_slice_str(text), "t", &a, &dbc, NULL));
    CHECK_INT(dbc.message[0].signal[0].lsb, rows[i].lsb);
  }
}

static void test_extracts_intel_fields_and_signs(void)
{
  mc_can_signal s = plain(4, 12);
  CHECK_INT(raw_of(s, "34F2000000000000"), 0xF23);
  s.is_signed = 1;
  CHECK_INT((int64_t)raw_of(s, "34F2000000000000"), 0xF23 - 0x1000);
  s = plain(0, 64);
  s.is_signed = 1;
  CHECK_INT((int64_t)raw_of(s, "FEFFFFFFFFFFFFFF"), -2);
  s = plain(63, 1);
  CHECK_INT(raw_of(s, "0000000000000080"), 1);
}

static void test_scales_and_names_the_encoding(void)
{
  mc_can_signal s = plain(0, 16);
  mc_can_frame f = frame_of(0x100, "E803");
  mc_decoded out[1];
  s.factor = 0.1;
  s.offset = -40;
  CHECK_INT(run_one(&s, 1, &f, out, 1), 1);
  CHECK_INT(out[0].raw, 1000);
  CHECK_INT(out[0].is_raw, 1);
  CHECK_INT(out[0].signal_id, 7);
  CHECK_INT(out[0].encoding_id, 3);
  CHECK(out[0].value == 1000 * 0.1 + -40);
}

static void test_unsigned_64_bits_beyond_int64_come_as_double(void)
{
  mc_can_signal s = plain(0, 64);
  mc_can_frame f = frame_of(0x100, "0000000000000080");
  mc_decoded out[1];
  CHECK_INT(run_one(&s, 1, &f, out, 1), 1);
  CHECK_INT(out[0].is_raw, 0);
  CHECK(out[0].value == 9223372036854775808.0);
}

static void test_reads_ieee_floats_and_drops_nan(void)
{
  mc_can_signal s = plain(0, 32);
  mc_can_frame f = frame_of(0x100, "0000C03F0000000000000000");
  mc_decoded out[1];
  s.is_float = 1;
  CHECK_INT(run_one(&s, 1, &f, out, 1), 1);
  CHECK(out[0].value == 1.5 && !out[0].is_raw);
  f = frame_of(0x100, "0000C07F");
  CHECK_INT(run_one(&s, 1, &f, out, 1), 0);
  s = plain(0, 64);
  s.is_float = 1;
  s.factor = 2;
  f = frame_of(0x100, "000000000000F83F");
  CHECK_INT(run_one(&s, 1, &f, out, 1), 1);
  CHECK(out[0].value == 3);
}

static void test_skips_what_lies_beyond_a_short_frame(void)
{
  mc_can_signal s[2] = {plain(0, 8), plain(8, 9)};
  mc_can_frame f = frame_of(0x100, "0102");
  mc_decoded out[2];
  s[1].signal_id = 8;
  CHECK_INT(run_one(s, 2, &f, out, 2), 1);
  CHECK_INT(out[0].signal_id, 7);
  f.len = 3;
  CHECK_INT(run_one(s, 2, &f, out, 2), 2);
  f.len = 0;
  CHECK_INT(run_one(s, 2, &f, out, 2), 0);
}

static void test_gives_no_more_than_there_is_room_for(void)
{
  mc_can_signal s[3] = {plain(0, 8), plain(8, 8), plain(16, 8)};
  mc_can_frame f = frame_of(0x100, "010203");
  mc_decoded out[3] = {{0}};
  CHECK_INT(run_one(s, 3, &f, out, 2), 2);
  CHECK_INT(out[2].signal_id, 0);
  CHECK_INT(run_one(s, 3, &f, out, 0), 0);
}

static void test_tells_channels_and_id_kinds_apart(void)
{
  mc_can_signal s[3] = {plain(0, 8), plain(0, 8), plain(0, 8)};
  mc_can_frame f = frame_of(0x100, "01");
  mc_decoded out[3];
  s[1].extended = 1;
  s[1].signal_id = 8;
  s[2].channel = 2;
  s[2].signal_id = 9;
  CHECK_INT(run_one(s, 3, &f, out, 3), 1);
  CHECK_INT(out[0].signal_id, 7);
  f.extended = 1;
  CHECK_INT(run_one(s, 3, &f, out, 3), 1);
  CHECK_INT(out[0].signal_id, 8);
  f.extended = 0;
  f.channel = 2;
  CHECK_INT(run_one(s, 3, &f, out, 3), 1);
  CHECK_INT(out[0].signal_id, 9);
  f.channel = 3;
  CHECK_INT(run_one(s, 3, &f, out, 3), 0);
}

static void test_matches_parameter_groups_whatever_the_sender(void)
{
  mc_can_signal s = plain(24, 16);
  mc_decoded out[2];
  s.message_id = 0x0CF004FE; /* EEC1 as DBC files write it */
  s.extended = 1;
  s.match = MC_ID_J1939_PGN;
  s.factor = 0.125;
  mc_can_frame f = frame_of(0x0CF00400, "FFFFFFE02EFFFFFF");
  f.extended = 1;
  CHECK_INT(run_one(&s, 1, &f, out, 2), 1);
  CHECK(out[0].value == 1500);
  f.id = 0x18F0043D; /* other priority and sender */
  CHECK_INT(run_one(&s, 1, &f, out, 2), 1);
  f.id = 0x0CF00500;
  CHECK_INT(run_one(&s, 1, &f, out, 2), 0);
  f.id = 0x0CF00400;
  f.extended = 0;
  CHECK_INT(run_one(&s, 1, &f, out, 2), 0);
  s.message_id = 0x18EAFFFE; /* PDU1: the destination is not part of the group */
  f.id = 0x18EA0021;
  f.extended = 1;
  CHECK_INT(run_one(&s, 1, &f, out, 2), 1);
  CHECK_INT(mc_j1939_pgn(0x18EA0021), 0xEA00);
  CHECK_INT(mc_j1939_pgn(0x18FEF100), 0xFEF1);
  CHECK_INT(mc_j1939_pgn(0x19FEF100), 0x1FEF1);
}

static void test_an_exact_id_and_its_group_may_both_decode(void)
{
  mc_can_signal s[2] = {plain(0, 8), plain(8, 8)};
  mc_decoded out[2];
  s[0].message_id = 0x18FEF100;
  s[1].message_id = 0x18FEF1FE;
  s[1].match = MC_ID_J1939_PGN;
  s[1].signal_id = 8;
  s[0].extended = s[1].extended = 1;
  mc_can_frame f = frame_of(0x18FEF100, "0102");
  f.extended = 1;
  CHECK_INT(run_one(s, 2, &f, out, 2), 2);
}

static size_t j1939_values(uint16_t length, const char *hex)
{
  mc_can_signal s = plain(0, length);
  mc_decoded out[1];
  s.message_id = 0x18FEF1FE;
  s.extended = 1;
  s.match = MC_ID_J1939_PGN;
  mc_can_frame f = frame_of(0x18FEF100, hex);
  f.extended = 1;
  return run_one(&s, 1, &f, out, 1);
}

static void test_skips_what_j1939_marks_not_available_or_error(void)
{
  CHECK_INT(j1939_values(16, "FFFF"), 0);
  CHECK_INT(j1939_values(16, "00FF"), 0);
  CHECK_INT(j1939_values(16, "00FE"), 0);
  CHECK_INT(j1939_values(16, "FFFD"), 1);
  CHECK_INT(j1939_values(8, "FF"), 0);
  CHECK_INT(j1939_values(8, "FE"), 0);
  CHECK_INT(j1939_values(8, "FD"), 1);
  CHECK_INT(j1939_values(32, "FFFFFFFF"), 0);
  CHECK_INT(j1939_values(32, "FFFFFFFD"), 1);
  CHECK_INT(j1939_values(2, "03"), 0);
  CHECK_INT(j1939_values(2, "02"), 0);
  CHECK_INT(j1939_values(2, "01"), 1);
  CHECK_INT(j1939_values(4, "0F"), 0);
  CHECK_INT(j1939_values(4, "0E"), 1);
  CHECK_INT(j1939_values(1, "01"), 1);
  CHECK_INT(j1939_values(64, "FFFFFFFFFFFFFFFF"), 0);
}

static const char cascaded[] = "BO_ 1 M: 8 X\n"
                               " SG_ A M : 0|8@1+ (1,0) [0|0] \"\" X\n"
                               " SG_ B m2M : 8|8@1+ (1,0) [0|0] \"\" X\n"
                               " SG_ C m1 : 8|8@1+ (1,0) [0|0] \"\" X\n"
                               " SG_ D m0 : 16|8@1+ (1,0) [0|0] \"\" X\n"
                               " SG_ E m1 : 16|8@1+ (1,0) [0|0] \"\" X\n"
                               "SG_MUL_VAL_ 1 B A 2-2;\n"
                               "SG_MUL_VAL_ 1 C A 1-1, 5-7;\n"
                               "SG_MUL_VAL_ 1 D B 0-0;\n"
                               "SG_MUL_VAL_ 1 E B 1 - 3;\n";

static bool by_letter(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *id, uint32_t *encoding)
{
  *id = s->name.data[0];
  *encoding = 0;
  return s->name.data[0] != 'X';
}

static void decoded_letters(const char *dbc_text, uint32_t id, const char *hex, char *out)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_dbc dbc;
  mc_why why = {0};
  mc_can_signal_vec v = {0};
  mc_decoded d[16];
  strcpy(out, "?");
  if (mc_dbc_parse(mc_slice_str(dbc_text), "t.dbc", &a, &dbc, &why) ||
      mc_signals_from_dbc(&dbc, 0, (mc_dbc_resolver){NULL, by_letter}, &a, &v, &why)) {
    printf("# %s\n", why.text);
    return;
  }
  mc_can_frame f = frame_of(id, hex);
  size_t n = run_one(v.at, v.len, &f, d, 16), at = 0;
  for (char c = 'A'; c <= 'Z'; c++)
    for (size_t i = 0; i < n; i++)
      if (d[i].signal_id == (uint32_t)c)
        out[at++] = c;
  out[at] = 0;
  mc_vec_free(&v);
}

static void test_follows_chains_of_multiplexors(void)
{
  char got[32];
  decoded_letters(cascaded, 1, "0200000000000000", got);
  CHECK_STR(got, "ABD");
  decoded_letters(cascaded, 1, "0203000000000000", got);
  CHECK_STR(got, "ABE");
  decoded_letters(cascaded, 1, "0209000000000000", got);
  CHECK_STR(got, "AB");
  decoded_letters(cascaded, 1, "0100000000000000", got);
  CHECK_STR(got, "AC");
  decoded_letters(cascaded, 1, "0600000000000000", got);
  CHECK_STR(got, "AC");
  decoded_letters(cascaded, 1, "0900000000000000", got);
  CHECK_STR(got, "A");
  decoded_letters(cascaded, 1, "02", got);
  CHECK_STR(got, "A");
}

static void test_leaves_out_what_the_resolver_does_not_name(void)
{
  char got[32];
  decoded_letters("BO_ 1 M: 8 X\n SG_ X : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ Y : 8|8@1+ (1,0) [0|0] \"\" X\n", 1, "0102", got);
  CHECK_STR(got, "Y");
}

static mc_err create(mc_can_signal s, mc_why *why)
{
  mc_decode_plan *plan;
  mc_err err = mc_decode_plan_create(&s, 1, &plan, why);
  if (err && plan)
    err = MC_OK; /* a refusal must leave nothing behind */
  mc_decode_plan_destroy(&plan);
  return err;
}

static void test_refuses_impossible_signals_by_name(void)
{
  mc_why why = {0};
  mc_can_signal s = plain(0, 0);
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "signal 7");
  CHECK_WHY(why, "1..64");
  s = plain(0, 65);
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s = plain(505, 8);
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "outside a frame");
  s = plain(65535, 64);
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s = plain(0, 9);
  s.big_endian = 1; /* would begin before byte 0 */
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s = plain(0, 16);
  s.factor = 0;
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "factor");
  s.factor = NAN;
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s = plain(0, 16);
  s.is_float = 1;
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s = plain(0, 16);
  s.signal_id = 0;
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s.signal_id = 0x80000001;
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s = plain(0, 16);
  s.message_id = 0x800;
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s = plain(0, 16);
  s.match = MC_ID_J1939_PGN;
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s = plain(0, 16);
  s.mux_count = 5;
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s.mux_count = 1;
  s.mux[0].start_bit = 512;
  s.mux[0].length = 4;
  CHECK_INT(create(s, &why), MC_ERR_INVALID);
  s = plain(0, 16);
  CHECK_OK(create(s, &why));
  mc_decode_plan *plan;
  CHECK_OK(mc_decode_plan_create(NULL, 0, &plan, &why));
  CHECK_INT(mc_decode_plan_max_per_frame(plan), 0);
  mc_decode_plan_destroy(&plan);
  mc_decode_plan_destroy(&plan);
}

/* ---- properties: against bit-by-bit arithmetic over the whole 64-byte frame ---- */

static uint64_t seed = 7;
static uint32_t roll(uint32_t n)
{
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (uint32_t)(seed >> 33) % n;
}

static int bit_at(const uint8_t *data, const mc_can_signal *s, int i) /* i from the LSB */
{
  int at = s->start_bit + i;
  if (s->big_endian) {
    int n = s->start_bit / 8 * 8 + 7 - s->start_bit % 8 - i;
    at = n / 8 * 8 + 7 - n % 8;
  }
  return data[at / 8] >> (at % 8) & 1;
}

static void test_decodes_random_layouts_as_bit_arithmetic_does(void)
{
  for (int round = 0; round < 20000; round++) {
    mc_can_signal s = plain(0, (uint16_t)(1 + roll(64)));
    s.big_endian = (uint8_t)roll(2);
    s.is_signed = (uint8_t)roll(2);
    uint32_t first = roll(513 - s.length), last = first + s.length - 1u;
    s.start_bit = (uint16_t)(s.big_endian ? last / 8 * 8 + 7 - last % 8 : first);
    mc_can_frame f = {.id = 0x100, .len = 64};
    for (int i = 0; i < 64; i++)
      f.data[i] = (uint8_t)roll(256);
    uint64_t want = 0;
    for (int i = 0; i < s.length; i++)
      want |= (uint64_t)bit_at(f.data, &s, i) << i;
    bool negative = s.is_signed && want >> (s.length - 1) & 1;
    if (negative && s.length < 64)
      want |= UINT64_MAX << s.length;
    mc_decoded out[1];
    CHECK_INT(run_one(&s, 1, &f, out, 1), 1);
    CHECK(out[0].value == (s.is_signed ? (double)(int64_t)want : (double)want));
    if (out[0].is_raw)
      CHECK_INT(out[0].raw, want);
    f.len = (uint8_t)(last / 8);
    CHECK_INT(run_one(&s, 1, &f, out, 1), 0);
  }
}

static void test_encode_sets_exactly_its_bits_and_decodes_back(void)
{
  for (int round = 0; round < 20000; round++) {
    mc_can_signal s = plain(0, (uint16_t)(1 + roll(52)));
    s.big_endian = (uint8_t)roll(2);
    s.is_signed = s.length > 1 && roll(2);
    s.factor = 0.25;
    s.offset = -3;
    uint32_t first = roll(513 - s.length), last = first + s.length - 1u;
    s.start_bit = (uint16_t)(s.big_endian ? last / 8 * 8 + 7 - last % 8 : first);
    mc_can_frame f = {.id = 0x100, .len = 64}, before;
    for (int i = 0; i < 64; i++)
      f.data[i] = (uint8_t)roll(256);
    before = f;
    uint64_t field = ((uint64_t)roll(1u << 30) << 30 | roll(1u << 30)) & (((uint64_t)1 << s.length) - 1);
    int64_t raw = s.is_signed && field >> (s.length - 1) ? (int64_t)(field | UINT64_MAX << s.length) : (int64_t)field;
    mc_can_signal_encode(&s, (double)raw * s.factor + s.offset, f.data);
    mc_decoded out[1];
    CHECK_INT(run_one(&s, 1, &f, out, 1), 1);
    CHECK_INT(out[0].raw, raw);
    for (int i = 0; i < s.length; i++) { /* nothing else moved: put the old bits back and compare */
      int n = s.big_endian ? s.start_bit / 8 * 8 + 7 - s.start_bit % 8 - i : 0;
      int at = s.big_endian ? n / 8 * 8 + 7 - n % 8 : s.start_bit + i;
      f.data[at / 8] = (uint8_t)((f.data[at / 8] & ~(1 << at % 8)) | (before.data[at / 8] & 1 << at % 8));
    }
    CHECK(memcmp(f.data, before.data, 64) == 0);
  }
}

static void test_encode_clamps_to_the_field(void)
{
  uint8_t data[64] = {0};
  mc_can_signal s = plain(0, 8);
  mc_can_signal_encode(&s, 1e9, data);
  CHECK_INT(data[0], 255);
  mc_can_signal_encode(&s, -1, data);
  CHECK_INT(data[0], 0);
  mc_can_signal_encode(&s, 2.6, data);
  CHECK_INT(data[0], 3);
  s.is_signed = 1;
  mc_can_signal_encode(&s, -1000, data);
  CHECK_INT(data[0], 0x80);
  mc_can_signal_encode(&s, 1000, data);
  CHECK_INT(data[0], 0x7F);
  mc_can_signal_encode(&s, NAN, data);
  CHECK_INT(data[0], 0);
  s = plain(0, 32);
  s.is_float = 1;
  mc_can_signal_encode(&s, 1.5, data);
  CHECK_INT(mc_load_le32(data), 0x3FC00000);
  s = plain(0, 64);
  mc_can_signal_encode(&s, 1e30, data);
  CHECK(mc_load_le64(data) == UINT64_MAX);
}

/* The first promise of the project: the truck log's ids decode with j1939_demo.dbc (tests/app replay the whole log). */
static void test_decodes_engine_speed_of_the_truck(void)
{
  char got[32];
  decoded_letters("BO_ 2364540158 EEC1: 8 Vector__XXX\n SG_ EngineSpeed : 24|16@1+ (0.125,0) [0|8031.875] \"rpm\" Vector__XXX\n"
                  "BA_DEF_ BO_  \"VFrameFormat\" ENUM  \"StandardCAN\",\"ExtendedCAN\",\"reserved\",\"J1939PG\";\n"
                  "BA_ \"VFrameFormat\" BO_ 2364540158 3;\n",
                  0x0CF00400, "FFFFFFE02EFFFFFF", got);
  CHECK_STR(got, ""); /* an 11-bit frame of the same number is another message */
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_dbc dbc;
  CHECK_OK(mc_dbc_parse(MC_LIT("BO_ 2364540158 EEC1: 8 X\n SG_ E : 24|16@1+ (0.125,0) [0|0] \"rpm\" X\n"), "t", &a, &dbc, NULL));
  mc_can_signal_vec v = {0};
  CHECK_OK(mc_signals_from_dbc(&dbc, 0, (mc_dbc_resolver){NULL, by_letter}, &a, &v, NULL));
  mc_can_frame f = frame_of(0x0CF00400, "FFFFFFE02EFFFFFF");
  f.extended = 1;
  mc_decoded out[1];
  CHECK_INT(run_one(v.at, v.len, &f, out, 1), 1);
  mc_vec_free(&v);
  CHECK(out[0].value == 1500);
}

int main(void)
{
  RUN(test_extracts_motorola_fields_from_their_lsb);
  RUN(test_extracts_intel_fields_and_signs);
  RUN(test_scales_and_names_the_encoding);
  RUN(test_unsigned_64_bits_beyond_int64_come_as_double);
  RUN(test_reads_ieee_floats_and_drops_nan);
  RUN(test_skips_what_lies_beyond_a_short_frame);
  RUN(test_gives_no_more_than_there_is_room_for);
  RUN(test_tells_channels_and_id_kinds_apart);
  RUN(test_matches_parameter_groups_whatever_the_sender);
  RUN(test_an_exact_id_and_its_group_may_both_decode);
  RUN(test_skips_what_j1939_marks_not_available_or_error);
  RUN(test_follows_chains_of_multiplexors);
  RUN(test_leaves_out_what_the_resolver_does_not_name);
  RUN(test_refuses_impossible_signals_by_name);
  RUN(test_decodes_random_layouts_as_bit_arithmetic_does);
  RUN(test_encode_sets_exactly_its_bits_and_decodes_back);
  RUN(test_encode_clamps_to_the_field);
  RUN(test_decodes_engine_speed_of_the_truck);
  return tap_done();
}
