#include "tap.h"

#include "format/mqtt.h"
#include "gateway/subscription.h"

static size_t matches(mc_sub_tree *t, uint32_t tenant, const char *topic)
{
  return mc_sub_tree_match(t, tenant, mc_slice_str(topic), NULL) == MC_OK ? t->match.len : 999;
}

static mc_err add(mc_sub_tree *t, uint32_t tenant, const char *filter, mc_sub_owner *o, uint8_t options, uint32_t id)
{
  bool existed;
  return mc_sub_tree_add(t, tenant, mc_slice_str(filter), o, options, id, &existed);
}

static void test_matches_as_the_codec_says_for_every_filter_and_topic(void)
{
  static const char *const filters[] = {"a", "a/b", "+", "#", "a/+", "a/#", "+/b", "/+", "+/+", "a//b", "/", "a/+/c", "a/b/#", "$SYS/#", "$SYS/+", "+/SYS", "a/+/#", "sensor/#"};
  static const char *const topics[] = {"a", "a/b", "a/b/c", "/", "/b", "a/", "a//b", "$SYS/x", "$SYS", "b", "sensor", "sensor/", "sensor/a/b", "x/b", "a/b/c/d"};
  for (size_t f = 0; f < sizeof filters / sizeof *filters; f++)
    for (size_t k = 0; k < sizeof topics / sizeof *topics; k++) {
      mc_sub_tree t = {0};
      mc_sub_owner o = {0};
      CHECK_OK(add(&t, 1, filters[f], &o, 1, 0));
      bool want = mc_mqtt_topic_matches(mc_slice_str(filters[f]), mc_slice_str(topics[k]));
      size_t got = matches(&t, 1, topics[k]);
      mc_sub_tree_remove_all(&t, &o);
      CHECK_INT(t.topics.len, 0);
      mc_sub_tree_free(&t);
      if (got != (size_t)want)
        TAP_FAIL("filter %s, topic %s: got %zu, want %d", filters[f], topics[k], got, want);
    }
}

static void test_keeps_tenants_apart(void)
{
  mc_sub_tree t = {0};
  mc_sub_owner a = {0}, b = {0};
  CHECK_OK(add(&t, 1, "x/#", &a, 1, 0));
  CHECK_OK(add(&t, 2, "x/#", &b, 1, 0));
  CHECK_INT(matches(&t, 1, "x/y"), 1);
  CHECK(t.match.at[0].owner == &a);
  CHECK_INT(matches(&t, 2, "x/y"), 1);
  CHECK(t.match.at[0].owner == &b);
  CHECK_INT(matches(&t, 3, "x/y"), 0);
  mc_sub_tree_remove_all(&t, &a);
  CHECK_INT(matches(&t, 1, "x/y"), 0);
  mc_sub_tree_remove_all(&t, &b);
  mc_sub_tree_free(&t);
}

static void test_gives_an_owner_one_match_with_the_highest_qos_and_all_identifiers(void)
{
  mc_sub_tree t = {0};
  mc_sub_owner o = {0};
  CHECK_OK(add(&t, 1, "a/+", &o, 0, 7));
  CHECK_OK(add(&t, 1, "a/b", &o, 1 | MC_SUB_RETAIN_AS_PUBLISHED, 9));
  CHECK_OK(add(&t, 1, "#", &o, 0, 0));
  CHECK_INT(matches(&t, 1, "a/b"), 1);
  CHECK_INT(t.match.at[0].qos, 1);
  CHECK(t.match.at[0].retain_as_published);
  uint32_t sum = 0, n = 0;
  for (uint32_t i = t.match.at[0].ids; i != UINT32_MAX; i = t.id.at[i].next, n++)
    sum += t.id.at[i].id;
  CHECK_INT(n, 2);
  CHECK_INT(sum, 16);
  mc_sub_tree_remove_all(&t, &o);
  mc_sub_tree_free(&t);
}

static void test_skips_the_publisher_where_it_asked_for_no_local(void)
{
  mc_sub_tree t = {0};
  mc_sub_owner a = {0}, b = {0};
  CHECK_OK(add(&t, 1, "a/+", &a, 1 | MC_SUB_NO_LOCAL, 0));
  CHECK_OK(add(&t, 1, "a/+", &b, 1, 0));
  CHECK_OK(mc_sub_tree_match(&t, 1, MC_LIT("a/b"), &a));
  CHECK_INT(t.match.len, 1);
  CHECK(t.match.at[0].owner == &b);
  CHECK_OK(mc_sub_tree_match(&t, 1, MC_LIT("a/b"), &b));
  CHECK_INT(t.match.len, 2);
  mc_sub_tree_remove_all(&t, &a);
  mc_sub_tree_remove_all(&t, &b);
  mc_sub_tree_free(&t);
}

static void test_replaces_options_of_a_repeated_filter(void)
{
  mc_sub_tree t = {0};
  mc_sub_owner o = {0};
  bool existed;
  CHECK_OK(mc_sub_tree_add(&t, 1, MC_LIT("a"), &o, 0, 1, &existed));
  CHECK(!existed);
  CHECK_OK(mc_sub_tree_add(&t, 1, MC_LIT("a"), &o, 1, 2, &existed));
  CHECK(existed);
  CHECK_INT(t.count, 1);
  CHECK_INT(matches(&t, 1, "a"), 1);
  CHECK_INT(t.match.at[0].qos, 1);
  CHECK(!mc_sub_tree_remove(&t, 1, MC_LIT("b"), &o));
  CHECK(mc_sub_tree_remove(&t, 1, MC_LIT("a"), &o));
  CHECK(!mc_sub_tree_remove(&t, 1, MC_LIT("a"), &o));
  mc_sub_tree_remove_all(&t, &o);
  mc_sub_tree_free(&t);
}

static void test_refuses_filters_that_are_too_deep(void)
{
  mc_sub_tree t = {0};
  mc_sub_owner o = {0};
  char deep[2 * 200 + 1];
  for (size_t levels = 127; levels <= 130; levels++) {
    memset(deep, 0, sizeof deep);
    for (size_t i = 0; i < levels; i++)
      memcpy(deep + 2 * i, i + 1 < levels ? "+/" : "+", i + 1 < levels ? 2 : 1);
    CHECK_INT(add(&t, 1, deep, &o, 1, 0), levels <= MC_TOPIC_LEVELS_MAX ? MC_OK : MC_ERR_TOO_LARGE);
  }
  CHECK_INT(add(&t, 1, "", &o, 1, 0), MC_ERR_INVALID);
  static uint8_t slashes[65535];
  memset(slashes, '/', sizeof slashes);
  CHECK_OK(add(&t, 1, "#", &o, 1, 0));
  CHECK_OK(mc_sub_tree_match(&t, 1, mc_slice_of(slashes, sizeof slashes), NULL)); /* a topic may be deeper */
  CHECK_INT(t.match.len, 1);
  mc_sub_tree_remove_all(&t, &o);
  CHECK_INT(t.topics.len, 0);
  mc_sub_tree_free(&t);
}

enum { OWNERS = 200, STEPS = 20000 };
/* Against a plain list: random adding and leaving, every so often all topics compared. */
static void test_agrees_with_a_plain_list_through_random_changes(void)
{
  static const char *const filters[] = {"a/1", "a/2", "a/+", "a/#", "#", "b/+/c", "b/x/c", "+/x/+", "a/1/z", "+"};
  static const char *const topics[] = {"a/1", "a/2", "a/1/z", "b/x/c", "a", "q"};
  enum { F = sizeof filters / sizeof *filters, T = sizeof topics / sizeof *topics };
  static bool has[OWNERS][F];
  memset(has, 0, sizeof has);
  mc_sub_tree t = {0};
  mc_sub_owner owner[OWNERS] = {0};
  uint32_t seed = 12345;
  for (size_t step = 0; step < STEPS; step++) {
    seed = seed * 1664525u + 1013904223u;
    size_t o = (seed >> 8) % OWNERS, f = (seed >> 20) % F;
    if (seed >> 30 == 3) {
      mc_sub_tree_remove_all(&t, &owner[o]);
      memset(has[o], 0, sizeof has[o]);
    } else if (seed & 64) {
      CHECK_OK(add(&t, 1, filters[f], &owner[o], 1, 0));
      has[o][f] = true;
    } else {
      CHECK_INT(mc_sub_tree_remove(&t, 1, mc_slice_str(filters[f]), &owner[o]), has[o][f]);
      has[o][f] = false;
    }
    if (step % 500)
      continue;
    for (size_t k = 0; k < T; k++) {
      size_t want = 0;
      for (size_t i = 0; i < OWNERS; i++)
        for (size_t j = 0; j < F; j++)
          if (has[i][j] && mc_mqtt_topic_matches(mc_slice_str(filters[j]), mc_slice_str(topics[k]))) {
            want++;
            break;
          }
      CHECK_INT(matches(&t, 1, topics[k]), want);
    }
  }
  for (size_t i = 0; i < OWNERS; i++)
    mc_sub_tree_remove_all(&t, &owner[i]);
  CHECK_INT(t.topics.len, 0);
  CHECK_INT(t.count, 0);
  mc_sub_tree_free(&t);
}

/* What was found out for a topic must not outlive the filters it was found with. */
static void test_what_is_known_of_a_topic_follows_every_change(void)
{
  static const char *const filters[] = {"a/b", "a/+", "+/b", "a/#", "#", "+/+"}; /* more than are remembered */
  mc_sub_tree t = {0};
  mc_sub_owner o[6] = {0};
  for (size_t n = 0; n < 6; n++)
    for (size_t k = 0; k <= n; k++) { /* n filters come and go, asked twice between */
      CHECK_OK(add(&t, 1, filters[k], &o[k], 1, 0));
      CHECK_INT(matches(&t, 1, "a/b"), k + 1);
      CHECK_INT(matches(&t, 1, "a/b"), k + 1);
      CHECK_INT(matches(&t, 2, "a/b"), 0);
      for (size_t i = 0; k == n && i <= n; i++) {
        mc_sub_tree_remove_all(&t, &o[i]);
        CHECK_INT(matches(&t, 1, "a/b"), n - i);
        CHECK_INT(matches(&t, 1, "a/b"), n - i);
      }
    }
  CHECK_INT(t.topics.len, 0);
  CHECK_OK(add(&t, 1, "a/b", &o[0], 0, 0));
  CHECK_INT(matches(&t, 1, "a/b"), 1);
  CHECK_OK(add(&t, 1, "a/b", &o[0], 1 | MC_SUB_NO_LOCAL, 5)); /* new options count at once */
  CHECK_OK(mc_sub_tree_match(&t, 1, MC_LIT("a/b"), NULL));
  CHECK(t.match.len == 1 && t.match.at[0].qos == 1 && t.match.at[0].ids != UINT32_MAX);
  CHECK_OK(mc_sub_tree_match(&t, 1, MC_LIT("a/b"), &o[0]));
  CHECK_INT(t.match.len, 0);
  CHECK_OK(add(&t, 1, "a/b", &o[1], 1, 0)); /* a second owner of the same filter changes no filter */
  CHECK_INT(matches(&t, 1, "a/b"), 2);
  char longest[100];
  memset(longest, 'x', sizeof longest);
  for (size_t len = MC_SUB_KNOWN_TOPIC - 1; len <= MC_SUB_KNOWN_TOPIC + 1; len++) {
    longest[len] = 0;
    CHECK_INT(matches(&t, 1, longest), 0);
    CHECK_OK(add(&t, 1, longest, &o[2], 1, 0));
    CHECK_INT(matches(&t, 1, longest), 1);
    CHECK_INT(matches(&t, 1, longest), 1);
    mc_sub_tree_remove_all(&t, &o[2]);
    CHECK_INT(matches(&t, 1, longest), 0);
    longest[len] = 'x';
  }
  mc_sub_tree_remove_all(&t, &o[0]);
  mc_sub_tree_remove_all(&t, &o[1]);
  mc_sub_tree_free(&t);
}

int main(void)
{
  RUN(test_matches_as_the_codec_says_for_every_filter_and_topic);
  RUN(test_keeps_tenants_apart);
  RUN(test_gives_an_owner_one_match_with_the_highest_qos_and_all_identifiers);
  RUN(test_skips_the_publisher_where_it_asked_for_no_local);
  RUN(test_replaces_options_of_a_repeated_filter);
  RUN(test_refuses_filters_that_are_too_deep);
  RUN(test_agrees_with_a_plain_list_through_random_changes);
  RUN(test_what_is_known_of_a_topic_follows_every_change);
  return tap_done();
}
