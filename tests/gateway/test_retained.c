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

static mc_err put_of(mc_retained_store *s, uint32_t principal, int topic, mc_slice payload)
{
  char name[40];
  snprintf(name, sizeof name, "t/%d", topic);
  mc_retained v = {.offset = (uint64_t)topic + 1, .qos = 1, .principal = principal};
  return mc_retained_put(s, 1, mc_slice_str(name), &v, (mc_slice){0}, payload);
}

static void test_one_thing_cannot_fill_the_memory(void)
{
  static uint8_t large[1 << 20];
  mc_retained_store s;
  memset(large, 'z', sizeof large);
  CHECK_OK(mc_retained_init(&s));
  int kept = 0;
  while (kept < 100 && put_of(&s, 7, kept, mc_slice_of(large, sizeof large)) == MC_OK)
    kept++;
  CHECK_INT(kept, 7); /* seven and their topics: the eighth would pass 8 MiB */
  CHECK(!mc_retained_fits(&s, 1, 7, MC_LIT("t/new"), sizeof large));
  CHECK(mc_retained_fits(&s, 1, 7, MC_LIT("t/3"), sizeof large)); /* in place of its own */
  CHECK_OK(put_of(&s, 7, 3, mc_slice_of(large, sizeof large)));
  CHECK_INT(put_of(&s, 7, 99, mc_slice_of(large, sizeof large)), MC_ERR_FULL);
  CHECK_STR(all(&s, 1, "t/99"), "");
  CHECK_OK(put_of(&s, 8, 200, MC_LIT("x"))); /* others are not disturbed */
  for (int i = 0; i < kept; i++)
    CHECK_OK(put_of(&s, 7, i, (mc_slice){0}));
  kept = 0;
  while (kept < 2000 && put_of(&s, 7, 1000 + kept, MC_LIT("x")) == MC_OK)
    kept++;
  CHECK_INT(kept, MC_RETAINED_PER_THING);
  CHECK_OK(put_of(&s, 8, 1000, MC_LIT("y"))); /* one of 7's topics now is 8's: 7 has room again */
  CHECK_OK(put_of(&s, 7, 5000, MC_LIT("x")));
  CHECK_OK(put_of(&s, 0, 6000, mc_slice_of(large, sizeof large))); /* the platform has no such limit */
  mc_retained_free(&s);
}

int main(void)
{
  RUN(test_keeps_the_last_message_of_a_topic);
  RUN(test_an_empty_payload_removes_it);
  RUN(test_finds_by_wildcards_as_the_codec_matches);
  RUN(test_refuses_empty_and_too_deep_topics);
  RUN(test_one_thing_cannot_fill_the_memory);
  return tap_done();
}
