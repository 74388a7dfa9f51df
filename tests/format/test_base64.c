/* RFC 4648, 10, and what is no base64. */
#include "format/base64.h"
#include "tap.h"

static bool round_trip(const char *plain, const char *standard, const char *url)
{
  mc_buf a = {0}, b = {0}, c = {0}, d = {0};
  size_t size = 99;
  bool ok = mc_base64_append(&a, mc_slice_str(plain)) == MC_OK && mc_slice_eq_str(mc_buf_slice(&a), standard) &&
            mc_base64url_append(&b, mc_slice_str(plain)) == MC_OK && mc_slice_eq_str(mc_buf_slice(&b), url) &&
            mc_base64_size(mc_buf_slice(&a), &size) && size == strlen(plain) && mc_base64_decode(mc_buf_slice(&a), &c) == MC_OK &&
            mc_slice_eq_str(mc_buf_slice(&c), plain) && mc_base64url_decode(mc_buf_slice(&b), &d) == MC_OK && mc_slice_eq_str(mc_buf_slice(&d), plain);
  mc_buf_free(&a);
  mc_buf_free(&b);
  mc_buf_free(&c);
  mc_buf_free(&d);
  return ok;
}

static void test_vectors_of_the_rfc(void)
{
  static const char *const vector[][3] = {{"", "", ""},
                                          {"f", "Zg==", "Zg"},
                                          {"fo", "Zm8=", "Zm8"},
                                          {"foo", "Zm9v", "Zm9v"},
                                          {"foob", "Zm9vYg==", "Zm9vYg"},
                                          {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                                          {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                                          {"\xfb\xef\xff", "++//", "--__"}};
  for (size_t i = 0; i < sizeof vector / sizeof vector[0]; i++)
    CHECK(round_trip(vector[i][0], vector[i][1], vector[i][2]));
}

static void test_refuses_what_is_no_base64(void)
{
  static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v\n", "Zm 9", "Zm9v=", "-_--", "Zg==Zg==", "Zm9\x80"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    mc_buf out = {0};
    size_t size;
    CHECK(!mc_base64_size(mc_slice_str(bad[i]), &size));
    CHECK(mc_base64_decode(mc_slice_str(bad[i]), &out) == MC_ERR_MALFORMED);
    CHECK(out.len == 0);
    mc_buf_free(&out);
  }
  static const char *const bad_url[] = {"Z", "Zg==", "++//", "Zh", "Zm9vZ"};
  for (size_t i = 0; i < sizeof bad_url / sizeof bad_url[0]; i++) {
    mc_buf out = {0};
    CHECK(mc_base64url_decode(mc_slice_str(bad_url[i]), &out) == MC_ERR_MALFORMED);
    mc_buf_free(&out);
  }
}

int main(void)
{
  RUN(test_vectors_of_the_rfc);
  RUN(test_refuses_what_is_no_base64);
  return tap_done();
}
