/* The JSON writer: commas, escapes, numbers that read back, and misuse. jansson is the reader that judges. */
#include <jansson.h>
#include <math.h>

#include "format/json.h"
#include "tap.h"

static void test_places_commas_and_nests(void)
{
  mc_buf out = {0};
  mc_json j = mc_json_to(&out);
  mc_json_object(&j);
  mc_json_int_field(&j, "a", -1);
  mc_json_key(&j, "b");
  mc_json_array(&j);
  mc_json_null(&j);
  mc_json_object(&j);
  mc_json_object_end(&j);
  mc_json_array(&j);
  mc_json_array_end(&j);
  mc_json_raw(&j, MC_LIT("{\"x\":1}"));
  mc_json_array_end(&j);
  mc_json_str_field(&j, "c", NULL);
  mc_json_bool_field(&j, "d", true);
  mc_json_uint_field(&j, "e", UINT64_MAX);
  mc_json_object_end(&j);
  CHECK_OK(mc_json_end(&j));
  CHECK_SLICE(mc_buf_slice(&out), "{\"a\":-1,\"b\":[null,{},[],{\"x\":1}],\"c\":null,\"d\":true,\"e\":18446744073709551615}");
  mc_buf_free(&out);
}

static void test_every_byte_string_becomes_valid_json(void)
{
  uint64_t x = 7;
  for (int i = 0; i < 20000; i++) {
    uint8_t text[12];
    for (size_t k = 0; k < sizeof text; k++) {
      x = x * 6364136223846793005ULL + 1442695040888963407ULL;
      uint8_t byte = (uint8_t)(x >> 56);
      text[k] = i % 2 ? byte : (uint8_t)(byte | 0x80);
    }
    mc_buf out = {0};
    mc_json j = mc_json_to(&out);
    mc_json_array(&j);
    mc_json_text(&j, mc_slice_of(text, sizeof text));
    mc_json_array_end(&j);
    CHECK_OK(mc_json_end(&j));
    json_error_t error;
    json_t *read = json_loadb((const char *)out.data, out.len, JSON_ALLOW_NUL, &error);
    if (!read)
      TAP_FAIL("round %d: %s in %.*s", i, error.text, MC_FMT(mc_buf_slice(&out)));
    if (mc_slice_is_utf8(mc_slice_of(text, sizeof text))) {
      json_t *s = json_array_get(read, 0);
      CHECK(json_string_length(s) == sizeof text && !memcmp(json_string_value(s), text, sizeof text));
    }
    json_decref(read);
    mc_buf_free(&out);
  }
}

static void test_escapes_and_replaces(void)
{
  static const struct {
    mc_slice in;
    const char *want;
  } cases[] = {
      {{(const uint8_t *)"\"\\\n\r\t\b\0", 7}, "\"\\\"\\\\\\n\\r\\t\\u0008\\u0000\""},
      {{(const uint8_t *)"stra\xc3\x9f" "e", 7}, "\"stra\xc3\x9f" "e\""},
      {{(const uint8_t *)"a\xff" "b", 3}, "\"a\xef\xbf\xbd" "b\""},
      {{(const uint8_t *)"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
      {{(const uint8_t *)"\xf0\x9f\x9a", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
      {{(const uint8_t *)"", 0}, "\"\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    mc_buf out = {0};
    mc_json j = mc_json_to(&out);
    mc_json_text(&j, cases[i].in);
    CHECK_OK(mc_json_end(&j));
    CHECK_SLICE(mc_buf_slice(&out), cases[i].want);
    mc_buf_free(&out);
  }
}

static void test_doubles_read_back_bit_for_bit(void)
{
  static const double fixed[] = {0.1, -0.1, 1e-300, 1e300, 5e-324, 1.7976931348623157e308, 123456789.123, 1e15, 1e16, 3, -7, 0.30000000000000004};
  uint64_t x = 99;
  for (int i = 0; i < 20000; i++) {
    double v;
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    uint64_t bits = x ^ x >> 29;
    memcpy(&v, &bits, sizeof v);
    if (i < (int)(sizeof fixed / sizeof fixed[0]))
      v = fixed[i];
    if (!isfinite(v))
      continue;
    mc_buf out = {0};
    mc_json j = mc_json_to(&out);
    mc_json_double(&j, v);
    CHECK_OK(mc_json_end(&j));
    CHECK_OK(mc_buf_append_u8(&out, 0));
    double back = strtod((const char *)out.data, NULL);
    if (back != v)
      TAP_FAIL("%a became %s", v, (const char *)out.data);
    mc_buf_free(&out);
  }
}

static void test_infinities_become_null(void)
{
  mc_buf out = {0};
  mc_json j = mc_json_to(&out);
  mc_json_array(&j);
  mc_json_double(&j, (double)INFINITY);
  mc_json_double(&j, (double)-INFINITY);
  mc_json_double(&j, (double)NAN);
  mc_json_array_end(&j);
  CHECK_OK(mc_json_end(&j));
  CHECK_SLICE(mc_buf_slice(&out), "[null,null,null]");
  mc_buf_free(&out);
}

static void test_misuse_is_told_at_the_end(void)
{
  mc_buf out = {0};
  mc_json j = mc_json_to(&out);
  mc_json_object(&j);
  CHECK_INT(mc_json_end(&j), MC_ERR_INVALID);
  j = mc_json_to(&out);
  mc_json_array_end(&j);
  CHECK_INT(mc_json_end(&j), MC_ERR_INVALID);
  j = mc_json_to(&out);
  mc_json_object(&j);
  mc_json_key(&j, "a");
  mc_json_object_end(&j);
  CHECK_INT(mc_json_end(&j), MC_ERR_INVALID);
  j = mc_json_to(&out);
  for (int i = 0; i < 65; i++)
    mc_json_array(&j);
  CHECK_INT(mc_json_end(&j), MC_ERR_TOO_LARGE);
  mc_buf_free(&out);
}

int main(int argc, char **argv)
{
  RUN(test_places_commas_and_nests);
  RUN(test_every_byte_string_becomes_valid_json);
  RUN(test_escapes_and_replaces);
  RUN(test_doubles_read_back_bit_for_bit);
  RUN(test_infinities_become_null);
  RUN(test_misuse_is_told_at_the_end);
  return tap_done();
}
