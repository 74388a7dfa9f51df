/* CDR messages by complex types: every kind of number, texts, lists, alignment, both byte orders; what is damaged is told, never read past. */
#include "format/cdr.h"
#include "tap.h"

/* 1 u8, 2 f64, 3 text, 4 wide text of at most 4, 5 i16 x 0.5 + 1, 6 {x: f64, id: u8}, 7 list of 6, 8 fixed 3 of u8, 9 bool,
 * 10 {stamp: u8, distance: f64, name: text, wide: text, objects: list, bytes: fixed, flag: bool, scaled: i16} */
static const mc_fw_complex_member object[] = {{2, {0}}, {1, {0}}};
static mc_fw_complex_member root[8];
static mc_fw_complex_type list[10];
static mc_cdr_types types;
static mc_arena arena = MC_ARENA(1 << 20);
static mc_why why;

static mc_err make(void)
{
  static mc_fw_complex_member named[2];
  const char *const names[] = {"stamp", "distance", "name", "wide", "objects", "bytes", "flag", "scaled"};
  const uint32_t ids[] = {1, 2, 3, 4, 7, 8, 9, 5};
  for (int k = 0; k < 8; k++)
    root[k] = (mc_fw_complex_member){ids[k], mc_slice_str(names[k])};
  memcpy(named, object, sizeof named);
  named[0].name = MC_LIT("x");
  list[0] = (mc_fw_complex_type){.type_id = 10, .kind = MC_FW_COMPLEX_STRUCT, .member = root, .member_count = 8};
  list[1] = (mc_fw_complex_type){.type_id = 1, .kind = MC_FW_COMPLEX_PRIMITIVE, .type = MC_FW_TYPE_UINT8, .scaling = 1};
  list[2] = (mc_fw_complex_type){.type_id = 2, .kind = MC_FW_COMPLEX_PRIMITIVE, .type = MC_FW_TYPE_FLOAT64};
  list[3] = (mc_fw_complex_type){.type_id = 3, .kind = MC_FW_COMPLEX_STRING};
  list[4] = (mc_fw_complex_type){.type_id = 4, .kind = MC_FW_COMPLEX_STRING, .encoding = 1, .size = 4};
  list[5] = (mc_fw_complex_type){.type_id = 5, .kind = MC_FW_COMPLEX_PRIMITIVE, .type = MC_FW_TYPE_INT16, .scaling = 0.5, .offset = 1};
  list[6] = (mc_fw_complex_type){.type_id = 6, .kind = MC_FW_COMPLEX_STRUCT, .member = named, .member_count = 2};
  list[7] = (mc_fw_complex_type){.type_id = 7, .kind = MC_FW_COMPLEX_ARRAY, .size = -4, .element_type = 6};
  list[8] = (mc_fw_complex_type){.type_id = 8, .kind = MC_FW_COMPLEX_ARRAY, .size = 3, .element_type = 1};
  list[9] = (mc_fw_complex_type){.type_id = 9, .kind = MC_FW_COMPLEX_PRIMITIVE, .type = MC_FW_TYPE_BOOL};
  return mc_cdr_types_of(list, 10, &arena, &types, &why);
}

/* Written by hand, so that the reader is not tested with its own idea of alignment. */
typedef struct writer {
  mc_buf out;
  bool big;
} writer;

static void put(writer *w, size_t size, uint64_t v)
{
  while ((w->out.len - 4) % size)
    mc_buf_append_u8(&w->out, 0xEE); /* padding says nothing */
  for (size_t k = 0; k < size; k++)
    mc_buf_append_u8(&w->out, (uint8_t)(v >> 8 * (w->big ? size - 1 - k : k)));
}

static void put_double(writer *w, double d)
{
  uint64_t bits;
  memcpy(&bits, &d, 8);
  put(w, 8, bits);
}

static writer message(bool big)
{
  writer w = {.big = big};
  mc_buf_append_slice(&w.out, big ? mc_slice_of("\0\0\0\0", 4) : mc_slice_of("\0\1\0\0", 4));
  put(&w, 1, 7);
  put_double(&w, 1.5);
  put(&w, 4, 4);
  mc_buf_append_slice(&w.out, mc_slice_of("ab\xc3", 3));
  w.out.data[w.out.len - 1] = 'c';
  mc_buf_append_u8(&w.out, 0);
  put(&w, 4, 3); /* one letter and a pair */
  put(&w, 4, 0xE4);
  put(&w, 4, 0xD83D);
  put(&w, 4, 0xDE97);
  put(&w, 4, 2);
  put_double(&w, 10.25);
  put(&w, 1, 1);
  put_double(&w, -3);
  put(&w, 1, 2);
  for (int k = 1; k <= 3; k++)
    put(&w, 1, (uint64_t)(k * 10));
  put(&w, 1, 1);
  put(&w, 2, (uint16_t)-8);
  return w;
}

static const char json[] = "{\"stamp\":7,\"distance\":1.5,\"name\":\"abc\",\"wide\":\"\xc3\xa4\xf0\x9f\x9a\x97\",\"objects\":[{\"x\":10.25,\"1\":1},{\"x\":-3,\"1\":2}],\"bytes\":[10,20,30],"
                           "\"flag\":true,\"scaled\":-3}";

static void test_a_whole_message_is_json_in_both_byte_orders(void)
{
  CHECK_OK(make());
  CHECK_OK(mc_cdr_check(&types, 10, &why));
  for (int big = 0; big < 2; big++) {
    writer w = message(big);
    mc_buf out = {0};
    CHECK_OK(mc_cdr_json(&types, 10, mc_buf_slice(&w.out), 1000, &out, &why));
    CHECK_SLICE(mc_buf_slice(&out), json);
    mc_buf_append_slice(&w.out, mc_slice_of("\0\0\0", 3)); /* padding to four */
    mc_buf_clear(&out);
    CHECK_OK(mc_cdr_json(&types, 10, mc_buf_slice(&w.out), 1000, &out, &why));
    mc_buf_append_u8(&w.out, 0);
    mc_buf_clear(&out);
    CHECK_INT(mc_cdr_json(&types, 10, mc_buf_slice(&w.out), 1000, &out, &why), MC_ERR_MALFORMED);
    CHECK_INT(out.len, 0);
    w.out.len -= 4;
    CHECK_INT(mc_cdr_json(&types, 10, mc_buf_slice(&w.out), 50, &out, &why), MC_ERR_TOO_LARGE);
    mc_buf_free(&out);
    mc_buf_free(&w.out);
  }
}

static void test_paths_lead_to_numbers_and_texts(void)
{
  static const struct { uint32_t path[3], steps; mc_err err; mc_fw_type type; double number; const char *text; } row[] = {
      {{0}, 1, MC_OK, MC_FW_TYPE_UINT8, 7, NULL},
      {{1}, 1, MC_OK, MC_FW_TYPE_FLOAT64, 1.5, NULL},
      {{2}, 1, MC_OK, MC_FW_TYPE_STRING, 0, "abc"},
      {{3}, 1, MC_OK, MC_FW_TYPE_STRING, 0, "\xc3\xa4\xf0\x9f\x9a\x97"},
      {{4, 1, 0}, 3, MC_OK, MC_FW_TYPE_FLOAT64, -3, NULL},
      {{4, 1, 1}, 3, MC_OK, MC_FW_TYPE_UINT8, 2, NULL},
      {{4, 2, 0}, 3, MC_ERR_NOT_FOUND, MC_FW_TYPE_NULL, 0, NULL},
      {{5, 2}, 2, MC_OK, MC_FW_TYPE_UINT8, 30, NULL},
      {{5, 3}, 2, MC_ERR_NOT_FOUND, MC_FW_TYPE_NULL, 0, NULL},
      {{6}, 1, MC_OK, MC_FW_TYPE_BOOL, 1, NULL},
      {{7}, 1, MC_OK, MC_FW_TYPE_FLOAT64, -3, NULL},
      {{8}, 1, MC_ERR_INVALID, MC_FW_TYPE_NULL, 0, NULL},
      {{4}, 1, MC_ERR_INVALID, MC_FW_TYPE_NULL, 0, NULL},
      {{0, 0}, 2, MC_ERR_INVALID, MC_FW_TYPE_NULL, 0, NULL},
      {{0}, 0, MC_ERR_INVALID, MC_FW_TYPE_NULL, 0, NULL},
  };
  CHECK_OK(make());
  writer w = message(false);
  mc_buf text = {0};
  for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
    mc_fw_value v;
    CHECK_INT(mc_cdr_find(&types, 10, mc_buf_slice(&w.out), row[k].path, row[k].steps, &v, &text, &why), row[k].err);
    CHECK_INT(v.type, row[k].type);
    if (row[k].text)
      CHECK_SLICE(v.text, row[k].text);
    else if (v.type == MC_FW_TYPE_FLOAT64)
      CHECK_DOUBLE(v.d, row[k].number, 0);
    else if (!row[k].err)
      CHECK_INT(v.u, row[k].number);
  }
  mc_buf_free(&text);
  mc_buf_free(&w.out);
}

static void test_every_cut_and_every_wrong_count_is_told(void)
{
  CHECK_OK(make());
  writer w = message(false);
  mc_buf out = {0};
  for (size_t n = 0; n < w.out.len; n++) {
    why = (mc_why){0};
    mc_err err = mc_cdr_json(&types, 10, mc_slice_of(w.out.data, n), 1000, &out, &why);
    CHECK((err == MC_ERR_TRUNCATED || err == MC_ERR_MALFORMED) && why.text[0] && !out.len);
  }
  w.out.data[1] = 2; /* parameter lists */
  CHECK_INT(mc_cdr_json(&types, 10, mc_buf_slice(&w.out), 1000, &out, &why), MC_ERR_UNSUPPORTED);
  mc_buf_free(&w.out);
  w = (writer){0};
  mc_buf_append_slice(&w.out, mc_slice_of("\0\1\0\0", 4));
  put(&w, 4, 5);
  CHECK_INT(mc_cdr_json(&types, 7, mc_buf_slice(&w.out), 1000, &out, &why), MC_ERR_MALFORMED); /* at most 4 */
  w.out.data[4] = 4;
  CHECK_INT(mc_cdr_json(&types, 7, mc_buf_slice(&w.out), 1000, &out, &why), MC_ERR_TRUNCATED);
  memset(w.out.data + 4, 0xFF, 4);
  CHECK_INT(mc_cdr_json(&types, 3, mc_buf_slice(&w.out), 1000, &out, &why), MC_ERR_TRUNCATED);
  CHECK_INT(mc_cdr_json(&types, 4, mc_buf_slice(&w.out), 1000, &out, &why), MC_ERR_TRUNCATED);
  memset(w.out.data + 4, 0, 4);
  w.out.data[4] = 1;
  put(&w, 4, 0xD800); /* half a pair */
  CHECK_INT(mc_cdr_json(&types, 4, mc_buf_slice(&w.out), 1000, &out, &why), MC_ERR_MALFORMED);
  w.out.data[8] = 0xFF; /* a text that is no UTF-8 */
  CHECK_INT(mc_cdr_json(&types, 3, mc_slice_of(w.out.data, 9), 1000, &out, &why), MC_ERR_MALFORMED);
  mc_buf_free(&w.out);
  mc_buf_free(&out);
}

static void test_types_that_cannot_be_are_refused(void)
{
  mc_fw_complex_member self = {20, {0}}, missing = {99, {0}};
  const struct { mc_fw_complex_type type; mc_err err; } row[] = {
      {{.type_id = 20, .kind = MC_FW_COMPLEX_STRUCT, .member = &self, .member_count = 1}, MC_ERR_INVALID},
      {{.type_id = 20, .kind = MC_FW_COMPLEX_STRUCT, .member = &missing, .member_count = 1}, MC_ERR_INVALID},
      {{.type_id = 20, .kind = MC_FW_COMPLEX_STRUCT}, MC_ERR_INVALID},
      {{.type_id = 20, .kind = MC_FW_COMPLEX_ARRAY, .element_type = 20}, MC_ERR_INVALID},
      {{.type_id = 20, .kind = MC_FW_COMPLEX_NONE}, MC_ERR_UNSUPPORTED},
      {{.type_id = 20, .kind = MC_FW_COMPLEX_PRIMITIVE, .type = MC_FW_TYPE_STRING}, MC_ERR_UNSUPPORTED},
      {{.type_id = 20, .kind = MC_FW_COMPLEX_PRIMITIVE, .type = MC_FW_TYPE_NULL}, MC_ERR_UNSUPPORTED},
      {{.type_id = 20, .kind = MC_FW_COMPLEX_STRING, .encoding = 2}, MC_ERR_UNSUPPORTED},
  };
  mc_cdr_types t;
  for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
    why = (mc_why){0};
    CHECK_OK(mc_cdr_types_of(&row[k].type, 1, &arena, &t, &why));
    CHECK_INT(mc_cdr_check(&t, 20, &why), row[k].err);
    CHECK(why.text[0]);
  }
  mc_fw_complex_type twice[] = {list[1], list[1]};
  CHECK_INT(mc_cdr_types_of(twice, 2, &arena, &t, &why), MC_ERR_INVALID);
  static mc_fw_complex_type deep[40];
  for (uint32_t k = 0; k < 40; k++)
    deep[k] = (mc_fw_complex_type){.type_id = k + 1, .kind = k ? MC_FW_COMPLEX_ARRAY : MC_FW_COMPLEX_PRIMITIVE, .type = MC_FW_TYPE_UINT8, .size = 1, .element_type = k};
  CHECK_OK(mc_cdr_types_of(deep, 40, &arena, &t, &why));
  CHECK_OK(mc_cdr_check(&t, 32, &why));
  CHECK_INT(mc_cdr_check(&t, 40, &why), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_cdr_check(&t, 41, &why), MC_ERR_INVALID);
}

/* Deeper than any stack: a manifest of a megabyte may hold it. */
static void test_an_endless_chain_of_types_is_refused(void)
{
  enum { COUNT = 200000 };
  static mc_fw_complex_type chain[COUNT];
  mc_arena own MC_ARENA_AUTO = MC_ARENA(0);
  mc_cdr_types t;
  for (uint32_t k = 0; k < COUNT; k++)
    chain[k] = (mc_fw_complex_type){.type_id = k + 1, .kind = MC_FW_COMPLEX_ARRAY, .size = 1, .element_type = k};
  CHECK_OK(mc_cdr_types_of(chain, COUNT, &own, &t, &why));
  CHECK_INT(mc_cdr_check(&t, COUNT, &why), MC_ERR_TOO_LARGE);
}

int main(void)
{
  RUN(test_a_whole_message_is_json_in_both_byte_orders);
  RUN(test_paths_lead_to_numbers_and_texts);
  RUN(test_every_cut_and_every_wrong_count_is_told);
  RUN(test_types_that_cannot_be_are_refused);
  RUN(test_an_endless_chain_of_types_is_refused);
  mc_arena_free(&arena);
  return tap_done();
}
