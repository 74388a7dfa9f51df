/* Signature Version 4 against AWS's own examples (contract store 11.3). */
#include "object/sigv4.h"
#include "tap.h"

static const sigv4_key key = {{(const uint8_t *)"AKIAIOSFODNN7EXAMPLE", 20},
                              {(const uint8_t *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40},
                              {NULL, 0},
                              {(const uint8_t *)"us-east-1", 9},
                              {(const uint8_t *)"s3", 2}};
static const char day[] = "20130524T000000Z";
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
static const char empty_hash[] = EMPTY;
#define HEADER(n, v) {{(const uint8_t *)(n), sizeof(n) - 1}, {(const uint8_t *)(v), sizeof(v) - 1}}
#define HOST HEADER("host", "examplebucket.s3.amazonaws.com")

static void check_signing_key(const char *secret, const char *date, const char *region, const char *service, const char *want)
{
  mc_sigv4_scope scope = {mc_slice_str(date), mc_slice_str(region), mc_slice_str(service)};
  uint8_t got[32];
  char text[65];
  CHECK_OK(mc_sigv4_key(mc_slice_str(secret), &scope, got));
  for (int i = 0; i < 32; i++)
    snprintf(text + 2 * i, 3, "%02x", got[i]);
  CHECK_STR(text, want);
}

static void test_signing_keys(void)
{
  check_signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3", "dbb893acc010964918f1fd433add87c70e8b0db6be30c1fbeafefa5ec6ba8378");
  check_signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam", "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
}

static void check_request(const sigv4_request *r, const char *canonical_hash, const char *signature)
{
  mc_buf canonical = {0}, authorization = {0};
  char hex[MC_SIGV4_HEX];
  CHECK_OK(sigv4_canonical(r, &canonical));
  mc_sigv4_sha256(mc_buf_slice(&canonical), hex);
  CHECK_STR(hex, canonical_hash);
  CHECK_OK(sigv4_authorization(&key, r, day, &authorization));
  CHECK(authorization.len > 64);
  mc_slice end = mc_slice_sub(mc_buf_slice(&authorization), authorization.len - 64, 64);
  CHECK_SLICE(end, signature);
  mc_buf_free(&canonical);
  mc_buf_free(&authorization);
}

static void test_get_with_a_range(void)
{
  static const sigv4_pair header[] = {HOST, HEADER("range", "bytes=0-9"), HEADER("x-amz-content-sha256", EMPTY), HEADER("x-amz-date", "20130524T000000Z")};
  sigv4_request r = {"GET", MC_LIT("/test.txt"), NULL, 0, header, 4, mc_slice_str(empty_hash)};
  check_request(&r, "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void test_put_with_an_encoded_key(void)
{
  char hash[MC_SIGV4_HEX];
  mc_sigv4_sha256(MC_LIT("Welcome to Amazon S3."), hash);
  CHECK_STR(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  sigv4_pair header[] = {HOST, HEADER("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                         HEADER("date", "Fri, 24 May 2013 00:00:00 GMT"), {MC_LIT("x-amz-content-sha256"), mc_slice_str(hash)}, HEADER("x-amz-date", "20130524T000000Z")};
  sigv4_request r = {"PUT", MC_LIT("/test$file.text"), NULL, 0, header, 5, mc_slice_str(hash)};
  check_request(&r, "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void test_queries_bare_and_sorted(void)
{
  static const sigv4_pair header[] = {HOST, HEADER("x-amz-content-sha256", EMPTY), HEADER("x-amz-date", "20130524T000000Z")};
  static const sigv4_pair bare[] = {{{(const uint8_t *)"lifecycle", 9}, {NULL, 0}}};
  static const sigv4_pair two[] = {HEADER("prefix", "J"), HEADER("max-keys", "2")};
  sigv4_request r = {"GET", MC_LIT("/"), bare, 1, header, 3, mc_slice_str(empty_hash)};
  check_request(&r, "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  r.query = two;
  r.query_count = 2;
  check_request(&r, "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void test_presigned_url(void)
{
  static const sigv4_pair header[] = {HOST};
  sigv4_request r = {.method = "GET", .path = MC_LIT("/test.txt"), .header = header, .header_count = 1};
  mc_buf out = {0};
  CHECK_OK(sigv4_presign(&key, &r, day, 86400, &out));
  CHECK_SLICE(mc_buf_slice(&out), "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date="
                                  "20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
                                  "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
  mc_buf_free(&out);
}

static void test_too_many_pairs_are_refused(void)
{
  sigv4_pair many[SIGV4_PAIRS_MAX + 1];
  for (size_t i = 0; i < sizeof many / sizeof many[0]; i++)
    many[i] = (sigv4_pair){MC_LIT("a"), MC_LIT("b")};
  sigv4_request r = {"GET", MC_LIT("/"), many, SIGV4_PAIRS_MAX + 1, many, 1, mc_slice_str(empty_hash)};
  mc_buf out = {0};
  CHECK_INT(sigv4_authorization(&key, &r, day, &out), MC_ERR_TOO_LARGE);
  r.query_count = 0;
  r.header_count = SIGV4_PAIRS_MAX + 1;
  CHECK_INT(sigv4_authorization(&key, &r, day, &out), MC_ERR_TOO_LARGE);
  r.query_count = SIGV4_PAIRS_MAX - 5;
  CHECK_INT(sigv4_presign(&key, &r, day, 60, &out), MC_ERR_TOO_LARGE);
  mc_buf_free(&out);
}

static void test_times(void)
{
  char text[SIGV4_TIME];
  sigv4_time(1369353600000000, text);
  CHECK_STR(text, day);
}

int main(int argc, char **argv)
{
  RUN(test_signing_keys);
  RUN(test_get_with_a_range);
  RUN(test_put_with_an_encoded_key);
  RUN(test_queries_bare_and_sorted);
  RUN(test_presigned_url);
  RUN(test_too_many_pairs_are_refused);
  RUN(test_times);
  return tap_done();
}
