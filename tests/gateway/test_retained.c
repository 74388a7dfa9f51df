#include "tap.h"

#include "format/mqtt.h"
#include "gateway/retained.h"

static char seen[4096];
static mc_err note(void *ctx, uint32_t tenant, mc_slice topic, const mc_retained *v)
{
  size_t n = strlen(seen);
  snprintf(seen + n, sizeof seen - n, "%.*s=%.*s ", MC_FMT(topic), (int)v->payload_len, (const char *)v->bytes + v->props_len);
  return MC_OK;
}

static mc_err put(mc_retained_store *s, uint32_t tenant, const char *topic, const char *payload, uint64_t offset)
{
  mc_retained v = {.offset = offset, .qos = 1};
  return mc_retained_put(s, tenant, mc_slice_str(topic), &v, MC_LIT("pp"), mc_slice_str(payload));
}

static const char *all(mc_retained_store *s, uint32_t tenant, const char *filter)
{
  seen[0] = 0;
  return mc_retained_match(s, tenant, mc_slice_str(filter), note, NULL) == MC_OK ? seen : "error";
}

static void test_keeps_the_last_message_of_a_topic(void)
{
  mc_retained_store s;
  CHECK_OK(mc_retained_init(&s));
  CHECK_OK(put(&s, 1, "a/b", "one", 10));
  CHECK_OK(put(&s, 1, "a/b", "two", 20));
  CHECK_STR(all(&s, 1, "a/b"), "a/b=two ");
  CHECK_STR(all(&s, 2, "a/b"), "");
  CHECK_INT(mc_retained_count(&s), 1);
  CHECK(!mc_retained_by_offset(&s, 10, note, NULL));
  seen[0] = 0;
  CHECK(mc_retained_by_offset(&s, 20, note, NULL));
  CHECK_STR(seen, "a/b=two ");
  mc_retained_free(&s);
}

static void test_an_empty_payload_removes_it(void)
{
  mc_retained_store s;
  CHECK_OK(mc_retained_init(&s));
  CHECK_OK(put(&s, 1, "a/b", "one", 10));
  CHECK_OK(put(&s, 1, "a/b", "", 20));
  CHECK_OK(put(&s, 1, "never/there", "", 30));
  CHECK_STR(all(&s, 1, "#"), "");
  CHECK_INT(mc_retained_count(&s), 0);
  CHECK_INT(s.topics.len, 0);
  CHECK_INT(s.bytes, 0);
  mc_retained_free(&s);
}

static void test_finds_by_wildcards_as_the_codec_matches(void)
{
  static const char *const topics[] = {"a", "a/b", "a/b/c", "/x", "$aws/t", "b/c", "a/", "$aws"};
  static const char *const filters[] = {"#", "+", "a/#", "a/+", "+/b", "+/+", "$aws/#", "$aws/+", "+/t", "/+", "a/b/c", "+/b/#"};
  mc_retained_store s;
  CHECK_OK(mc_retained_init(&s));
  for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
    CHECK_OK(put(&s, 1, topics[i], "v", i + 1));
  for (size_t f = 0; f < sizeof filters / sizeof *filters; f++) {
    const char *found = all(&s, 1, filters[f]);
    size_t want = 0, got = 0;
    for (const char *p = found; *p; p++)
      got += *p == ' ';
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
      want += mc_mqtt_topic_matches(mc_slice_str(filters[f]), mc_slice_str(topics[i]));
    if (got != want)
      TAP_FAIL("filter %s: found \"%s\", want %zu", filters[f], found, want);
  }
  mc_retained_free(&s);
}

static void test_refuses_empty_and_too_deep_topics(void)
{
  mc_retained_store s;
  char deep[400];
  memset(deep, '/', 300);
  deep[300] = 0;
  CHECK_OK(mc_retained_init(&s));
  CHECK_INT(put(&s, 1, "", "x", 1), MC_ERR_INVALID);
  CHECK_INT(put(&s, 1, deep, "x", 1), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_retained_count(&s), 0);
  CHECK_INT(s.topics.len, 0);
  mc_retained_free(&s);
}

int main(void)
{
  RUN(test_keeps_the_last_message_of_a_topic);
  RUN(test_an_empty_payload_removes_it);
  RUN(test_finds_by_wildcards_as_the_codec_matches);
  RUN(test_refuses_empty_and_too_deep_topics);
  return tap_done();
}
