/* Published vectors of Signature Version 4, and every way of bending a signed request. */
#include "aws/sigv4.h"
#include "base/clock.h"
#include "tap.h"

#define KEY "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DATE "20150830T123600Z"
static const int64_t NOW = INT64_C(1440938160000000);

enum { MAX = 12 };
typedef struct wire {
  sigv4_request r;
  mc_http_header header[MAX];
  char authorization[512];
} wire;

static void put(wire *w, const char *name, const char *value)
{
  w->header[w->r.header_count++] = (mc_http_header){mc_slice_str(name), mc_slice_str(value)};
  w->r.header = w->header;
}

static void set(wire *w, const char *name, const char *value)
{
  for (size_t i = 0; i < w->r.header_count; i++)
    if (mc_slice_eq_str(w->header[i].name, name))
      w->header[i].value = mc_slice_str(value);
}

static void begin(wire *w, const char *method, const char *target, const char *body)
{
  *w = (wire){.r = {.method = mc_slice_str(method), .target = mc_slice_str(target), .body = mc_slice_str(body)}};
}

static void authorize(wire *w, const char *service, const char *signed_headers, const char *signature)
{
  snprintf(w->authorization, sizeof w->authorization, "AWS4-HMAC-SHA256 Credential=" KEY "/20150830/us-east-1/%s/aws4_request, SignedHeaders=%s, Signature=%s", service,
           signed_headers, signature);
  put(w, "authorization", w->authorization);
}

static sigv4_fault check_at(wire *w, int64_t now, const char *secret)
{
  sigv4 s;
  mc_why why = {0};
  w->r.header = w->header;
  sigv4_fault fault = sigv4_read(&w->r, &s, &why);
  if (!fault) {
    fault = sigv4_verify(&w->r, &s, mc_slice_str(secret), now, &why);
    sigv4_free(&s);
  }
  if (!fault != !why.err) /* a fault has its text, none has none */
    printf("# fault %d, text %s\n", fault, why.text);
  return fault;
}

static sigv4_fault check(wire *w) { return check_at(w, NOW, SECRET); }

/* A request of the SDK's: target, content type, a header with spaces in its value. */
static void sdk(wire *w)
{
  begin(w, "POST", "/aws/", "{\"a\":1}");
  put(w, "host", "example.amazonaws.com");
  put(w, "x-amz-date", DATE);
  put(w, "content-type", "application/x-amz-json-1.0");
  put(w, "x-amz-target", "IoTAutobahnControlPlane.ListFleets");
  put(w, "x-multi", "a   b  c");
  authorize(w, "iotfleetwise", "content-type;host;x-amz-date;x-amz-target;x-multi", "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792");
}

#define PRESIGNED                                                                                                                              \
  "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fiotfleetwise%2Faws4_request&X-Amz-Date=" DATE         \
  "&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-amz-target"
#define PRESIGNATURE "&X-Amz-Signature=e9b52a8bd67dad10288becfd3ac2e09c49e7f3123b2d17f8ad56da38fc04d5b3"

static void presigned(wire *w, const char *target)
{
  begin(w, "POST", target, "");
  put(w, "host", "example.amazonaws.com");
  put(w, "x-amz-target", "IoTAutobahnControlPlane.ListFleets");
}

static void test_accepts_published_vectors(void)
{
  static const struct {
    const char *method, *target, *service, *signature;
  } vector[] = {
      {"GET", "/", "service", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"GET", "/?Param2=value2&Param1=value1", "service", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"POST", "/", "service", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"GET", "//example//", "service", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
      {"GET", "/example%20space/", "service", "446b817944c553435b35e813c261ff4e161fff982d1bacdef1c87f6785dd1662"},
  };
  wire w;
  for (size_t i = 0; i < sizeof vector / sizeof vector[0]; i++) {
    begin(&w, vector[i].method, vector[i].target, "");
    put(&w, "host", "example.amazonaws.com");
    put(&w, "x-amz-date", DATE);
    authorize(&w, vector[i].service, "host;x-amz-date", vector[i].signature);
    CHECK_INT(check(&w), SIGV4_OK);
  }
  begin(&w, "GET", "/?Action=ListUsers&Version=2010-05-08", "");
  put(&w, "content-type", "application/x-www-form-urlencoded; charset=utf-8");
  put(&w, "host", "iam.amazonaws.com");
  put(&w, "x-amz-date", DATE);
  authorize(&w, "iam", "content-type;host;x-amz-date", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
  CHECK_INT(check(&w), SIGV4_OK);
  sdk(&w);
  CHECK_INT(check(&w), SIGV4_OK);
  presigned(&w, "/aws/?" PRESIGNED PRESIGNATURE);
  CHECK_INT(check(&w), SIGV4_OK);
}

static void test_whatever_was_signed_cannot_change(void)
{
  wire w;
  sdk(&w);
  CHECK_INT(check_at(&w, NOW, SECRET "x"), SIGV4_INVALID);
  CHECK_INT(check_at(&w, NOW, ""), SIGV4_INVALID);
  w.r.body = MC_LIT("{\"a\":2}");
  CHECK_INT(check(&w), SIGV4_INVALID);
  sdk(&w);
  w.r.method = MC_LIT("PUT");
  CHECK_INT(check(&w), SIGV4_INVALID);
  static const char *const path[] = {"/", "/aws", "/aws/x", "/%61ws/", "/AWS/", "/aws/?a=1", "/aws/%2e"};
  for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
    sdk(&w);
    w.r.target = mc_slice_str(path[i]);
    CHECK_INT(check(&w), SIGV4_INVALID);
  }
  static const char *const header[][2] = {{"host", "other.example"},
                                          {"x-amz-date", "20150830T123601Z"},
                                          {"content-type", "application/x-amz-json-1.1"},
                                          {"x-multi", "a b cc"},
                                          {"x-amz-target", "IoTAutobahnControlPlane.DeleteFleet"}};
  for (size_t i = 0; i < sizeof header / sizeof header[0]; i++) {
    sdk(&w);
    set(&w, header[i][0], header[i][1]);
    CHECK_INT(check(&w), SIGV4_INVALID);
  }
}

static void test_paths_that_mean_the_same_are_the_same(void) /* AWS's own normalisation: nothing is served at the longer ones but the same operation */
{
  static const char *const path[] = {"//aws/", "/aws//", "/./aws/", "/x/../aws/", "/aws/?"};
  for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
    wire w;
    sdk(&w);
    w.r.target = mc_slice_str(path[i]);
    CHECK_INT(check(&w), SIGV4_OK);
  }
}

static void test_what_decides_must_be_signed_and_there_once(void)
{
  wire w;
  static const char *const once[] = {"x-amz-target", "x-amz-date", "host", "content-type", "authorization"};
  for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
    sdk(&w);
    put(&w, once[i], "IoTAutobahnControlPlane.DeleteFleet");
    CHECK_INT(check(&w), SIGV4_INCOMPLETE);
  }
  sdk(&w); /* one more header of AWS's, unsigned */
  put(&w, "x-amz-extra", "1");
  CHECK_INT(check(&w), SIGV4_INVALID);
  sdk(&w); /* a signed one twice: its values are joined, so the signature is another */
  put(&w, "x-multi", "d");
  CHECK_INT(check(&w), SIGV4_INVALID);
  sdk(&w); /* others do not matter */
  put(&w, "user-agent", "anything");
  CHECK_INT(check(&w), SIGV4_OK);
  sdk(&w); /* signed and gone */
  w.header[4].name = MC_LIT("x-other");
  CHECK_INT(check(&w), SIGV4_INVALID);
  static const char *const list[] = {"host", "x-amz-date;x-amz-target", "host;x-amz-date", "x-amz-date;host;x-amz-target", "host;host;x-amz-date;x-amz-target", "Host;x-amz-date;x-amz-target",
                                     "host;;x-amz-date;x-amz-target", ";host;x-amz-date;x-amz-target", "host;x-amz-date;x-amz-target;"};
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
    sdk(&w);
    w.r.header_count--;
    authorize(&w, "iotfleetwise", list[i], "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792");
    CHECK(check(&w) != SIGV4_OK);
  }
}

static void test_refuses_an_authorization_that_is_none(void)
{
  static const char *const bad[] = {
      "", "Bearer mct_x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 Credential=a/20150830/r/s/aws4_request, SignedHeaders=host, Signature=0",
      "AWS4-HMAC-SHA256 Credential=" KEY "/20150830/us-east-1/iotfleetwise/aws4_request, SignedHeaders=host",
      "AWS4-HMAC-SHA256 Credential=" KEY "/20150830/us-east-1/iotfleetwise/aws4_request, SignedHeaders=host, Signature=00",
      "AWS4-HMAC-SHA256 Credential=" KEY "/20150830/us-east-1/iotfleetwise/aws4_request, SignedHeaders=host, Signature="
      "08100AA61DFF7BC82519528B9BCE175795E297A10548CA7463D67946D8B11792",
      "AWS4-HMAC-SHA256 Credential=" KEY "/20150830/us-east-1/iotfleetwise, SignedHeaders=host, Signature="
      "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792",
      "AWS4-HMAC-SHA256 Credential=" KEY "/20150830/us-east-1/iotfleetwise/aws4_request/x, SignedHeaders=host, Signature="
      "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792",
      "AWS4-HMAC-SHA256 Credential=/20150830/us-east-1/iotfleetwise/aws4_request, SignedHeaders=host, Signature="
      "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792",
      "AWS4-HMAC-SHA256 Credential=" KEY "/2015083a/us-east-1/iotfleetwise/aws4_request, SignedHeaders=host, Signature="
      "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792",
      "AWS4-HMAC-SHA256 Credential=" KEY "/20150830/US-east-1/iotfleetwise/aws4_request, SignedHeaders=host, Signature="
      "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792",
      "AWS4-HMAC-SHA256 Credential=" KEY "/20150830/us-east-1/iotfleetwise/aws4_request, SignedHeaders=host, SignedHeaders=host, Signature="
      "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792",
      "AWS4-HMAC-SHA256 Credential=" KEY "/20150830/us-east-1/iotfleetwise/aws4_request, SignedHeaders=host, Other=1, Signature="
      "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    wire w;
    sdk(&w);
    set(&w, "authorization", bad[i]);
    CHECK_INT(check(&w), SIGV4_INCOMPLETE);
  }
  wire w;
  sdk(&w);
  w.r.header_count--;
  CHECK_INT(check(&w), SIGV4_MISSING);
  static const char *const date[] = {"", "2015-08-30T12:36:00Z", "20150830T123600", "20150830T1236000", "20151330T123600Z", "Sun, 30 Aug 2015 12:36:00 GMT"};
  for (size_t i = 0; i < sizeof date / sizeof date[0]; i++) {
    sdk(&w);
    set(&w, "x-amz-date", date[i]);
    CHECK_INT(check(&w), SIGV4_INCOMPLETE);
  }
  sdk(&w);
  put(&w, "x-amz-security-token", "FwoGZXIvYXdzE");
  CHECK_INT(check(&w), SIGV4_UNKNOWN);
}

static void test_a_signature_is_good_for_five_minutes(void)
{
  static const struct {
    int64_t seconds;
    sigv4_fault want;
  } at[] = {{0, SIGV4_OK}, {299, SIGV4_OK}, {300, SIGV4_OK}, {301, SIGV4_INVALID}, {-300, SIGV4_OK}, {-301, SIGV4_INVALID}, {86400, SIGV4_INVALID}, {-86400, SIGV4_INVALID}};
  for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
    wire w;
    sdk(&w);
    CHECK_INT(check_at(&w, NOW + at[i].seconds * 1000000, SECRET), at[i].want);
  }
}

static void test_a_presigned_request_ends_when_it_says(void)
{
  static const struct {
    int64_t seconds;
    sigv4_fault want;
  } at[] = {{0, SIGV4_OK}, {60, SIGV4_OK}, {61, SIGV4_INVALID}, {-300, SIGV4_OK}, {-301, SIGV4_INVALID}};
  wire w;
  for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
    presigned(&w, "/aws/?" PRESIGNED PRESIGNATURE);
    CHECK_INT(check_at(&w, NOW + at[i].seconds * 1000000, SECRET), at[i].want);
  }
}

static void test_a_presigned_query_cannot_be_bent(void)
{
  static const struct {
    const char *target;
    bool ok;
  } query[] = {
      /* the same parameters in another order, or escaped in another way, are the same request */
      {"/aws/?X-Amz-Signature=e9b52a8bd67dad10288becfd3ac2e09c49e7f3123b2d17f8ad56da38fc04d5b3&" PRESIGNED, true},
      {"/aws/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=" DATE "&X-Amz-Credential=AKIDEXAMPLE/20150830/us-east-1/iotfleetwise/aws4_request"
       "&X-Amz-SignedHeaders=host;x-amz-target&X-Amz-Expires=60" PRESIGNATURE,
       true},
      {"/aws/?" PRESIGNED "&a=1" PRESIGNATURE, false},
      {"/aws/?" PRESIGNED PRESIGNATURE "&X-Amz-Expires=604800", false},
      {"/aws/?" PRESIGNED PRESIGNATURE "&X-Amz-Security-Token=x", false},
      {"/aws/?" PRESIGNED PRESIGNATURE PRESIGNATURE, false},
      {"/aws/?" PRESIGNED "&X-Amz-Signature=00", false},
      {"/aws/?" PRESIGNED, false},
      {"/?" PRESIGNED PRESIGNATURE, false},
      {"/aws/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fiotfleetwise%2Faws4_request&X-Amz-Date=" DATE
       "&X-Amz-Expires=61&X-Amz-SignedHeaders=host%3Bx-amz-target" PRESIGNATURE,
       false},
      {"/aws/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fiotfleetwise%2Faws4_request&X-Amz-Date=" DATE
       "&X-Amz-Expires=0&X-Amz-SignedHeaders=host%3Bx-amz-target" PRESIGNATURE,
       false},
      {"/aws/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fiotfleetwise%2Faws4_request&X-Amz-Date=" DATE
       "&X-Amz-Expires=604801&X-Amz-SignedHeaders=host%3Bx-amz-target" PRESIGNATURE,
       false},
  };
  wire w;
  for (size_t i = 0; i < sizeof query / sizeof query[0]; i++) {
    presigned(&w, query[i].target);
    if ((check(&w) == SIGV4_OK) != query[i].ok)
      TAP_FAIL("%s", query[i].target);
  }
  presigned(&w, "/aws/?" PRESIGNED PRESIGNATURE);
  set(&w, "x-amz-target", "IoTAutobahnControlPlane.DeleteFleet");
  CHECK_INT(check(&w), SIGV4_INVALID);
  presigned(&w, "/aws/?" PRESIGNED PRESIGNATURE);
  w.r.body = MC_LIT("{\"a\":1}");
  CHECK_INT(check(&w), SIGV4_INVALID);
  sdk(&w); /* both ways at once */
  w.r.target = MC_LIT("/aws/?" PRESIGNED PRESIGNATURE);
  CHECK_INT(check(&w), SIGV4_INCOMPLETE);
}

static void test_the_body_is_hashed_whatever_the_header_says(void)
{
  static const char *const said[] = {"UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x", "",
                                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"};
  for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
    wire w;
    sdk(&w);
    w.r.header_count--;
    put(&w, "x-amz-content-sha256", said[i]);
    authorize(&w, "iotfleetwise", "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target;x-multi", "08100aa61dff7bc82519528b9bce175795e297a10548ca7463d67946d8b11792");
    CHECK_INT(check(&w), SIGV4_INVALID);
  }
}

static void test_a_secret_of_any_length_is_no_overrun(void)
{
  char secret[400];
  memset(secret, 'a', sizeof secret);
  secret[sizeof secret - 1] = 0;
  wire w;
  sdk(&w);
  CHECK(check_at(&w, NOW, secret) != SIGV4_OK);
}

int main(int argc, char **argv)
{
  RUN(test_accepts_published_vectors);
  RUN(test_whatever_was_signed_cannot_change);
  RUN(test_paths_that_mean_the_same_are_the_same);
  RUN(test_what_decides_must_be_signed_and_there_once);
  RUN(test_refuses_an_authorization_that_is_none);
  RUN(test_a_signature_is_good_for_five_minutes);
  RUN(test_a_presigned_request_ends_when_it_says);
  RUN(test_a_presigned_query_cannot_be_bent);
  RUN(test_the_body_is_hashed_whatever_the_header_says);
  RUN(test_a_secret_of_any_length_is_no_overrun);
  return tap_done();
}
