/* The trie against a plain evaluator: random documents and questions, each verdict the same. The evaluator below goes through the JSON itself, statement by
 * statement, and knows nothing of what access makes of it. */
#include <jansson.h>
#include <stdlib.h>

#include "document_rig.h"

static uint64_t seed = 88172645463325252ULL;
static unsigned below(unsigned n)
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (unsigned)(seed >> 33) % n;
}

/* ---- the plain evaluator ---- */

static const known_value *known;
static size_t known_count;

static const char *value_of(const char *name, size_t len)
{
  for (size_t i = 0; i < known_count; i++)
    if (strlen(known[i].name) == len && !strncmp(known[i].name, name, len))
      return known[i].value;
  return NULL;
}

/* p is a pattern with its variables as written; t the text. By recursion, as the definition reads. */
static bool plain_match(const char *p, const char *t)
{
  if (!*p)
    return !*t;
  if (p[0] == '$' && p[1] == '{') {
    const char *end = strchr(p, '}');
    size_t len = (size_t)(end - p) - 2;
    if (len == 1 && strchr("*?$", p[2]))
      return *t == p[2] && plain_match(end + 1, t + 1);
    const char *v = value_of(p + 2, len);
    if (!v || !*v || strpbrk(v, "*$+?#"))
      return false;
    return !strncmp(t, v, strlen(v)) && plain_match(end + 1, t + strlen(v));
  }
  if (*p == '*') {
    for (const char *at = t;; at++) {
      if (plain_match(p + 1, at))
        return true;
      if (!*at)
        return false;
    }
  }
  if (*p == '?')
    return *t && plain_match(p + 1, t + 1);
  return *p == *t && plain_match(p + 1, t + 1);
}

static bool any_matches(const json_t *one_or_list, const char *text)
{
  size_t n = json_is_array(one_or_list) ? json_array_size(one_or_list) : 1;
  for (size_t i = 0; i < n; i++)
    if (plain_match(json_string_value(json_is_array(one_or_list) ? json_array_get(one_or_list, i) : one_or_list), text))
      return true;
  return false;
}

static bool condition_of(const json_t *block)
{
  const char *name, *key;
  json_t *keys, *want;
  json_object_foreach ((json_t *)(uintptr_t)block, name, keys)
    json_object_foreach (keys, key, want) {
      const char *v = value_of(key, strlen(key));
      bool negated = strstr(name, "Not") != NULL, missing = !v;
      bool good = missing ? negated || strstr(name, "IfExists") : any_matches(want, v) != negated;
      if (!good)
        return false;
    }
  return true;
}

/* 1 allowed, -1 explicitly denied, 0 neither. */
static int plain_verdict(json_t *const *document, size_t count, mc_action action, const char *resource)
{
  static const char *const prefix[] = {"client/", "topic/", "topicfilter/", "topic/", "topic/"};
  char whole[300];
  int verdict = 0;
  snprintf(whole, sizeof whole, "arn:aws:iot:r:a:%s%s", prefix[action], resource);
  for (size_t d = 0; d < count; d++) {
    size_t i;
    json_t *s;
    json_array_foreach (json_object_get(document[d], "Statement"), i, s) {
      const json_t *condition = json_object_get(s, "Condition");
      if (!any_matches(json_object_get(s, "Action"), mc_action_name(action)) || !any_matches(json_object_get(s, "Resource"), whole) || (condition && !condition_of(condition)))
        continue;
      if (!strcmp(json_string_value(json_object_get(s, "Effect")), "Deny"))
        return -1;
      verdict = 1;
    }
  }
  return verdict;
}

/* ---- random documents ---- */

static const char *const action_text[] = {"iot:Publish", "iot:Subscribe", "iot:Receive", "iot:Connect", "iot:RetainPublish", "iot:*", "iot:*ublish", "*", "iot:?onnect"};
static const char *const kind[] = {"topic/", "topicfilter/", "client/", "topic", "*", "t*/", ""};
static const char *const piece[] = {"a", "b", "ab", "aa", "/", "*", "?", "a/b", "**", "+", "#", "${iot:ClientId}", "${iot:Connection.Thing.ThingName}",
                                    "${iot:Connection.Thing.Attributes[x]}", "${*}", "${$}",
                                    "*a", "b*"};
static const char *const condition_text[] = {"{\"StringEquals\":{\"iot:ClientId\":[\"a\",\"ab\"]}}", "{\"StringNotEquals\":{\"iot:ClientId\":\"${iot:Connection.Thing.ThingName}\"}}",
                                             "{\"StringLike\":{\"iot:Connection.Thing.ThingName\":\"a*\"}}", "{\"StringNotLike\":{\"iot:Connection.Thing.Attributes[x]\":\"?\"}}",
                                             "{\"StringEqualsIfExists\":{\"iot:Connection.Thing.Attributes[x]\":\"b\"}}"};
#define PICK(list) list[below(sizeof list / sizeof *list)]

static void put_resource(mc_buf *out)
{
  mc_buf_printf(out, "\"arn:aws:iot:r:a:%s", PICK(kind));
  for (unsigned n = 1 + below(6); n; n--)
    mc_buf_append_str(out, PICK(piece));
  mc_buf_append_str(out, "\"");
}

static void put_document(mc_buf *out)
{
  mc_buf_clear(out);
  mc_buf_append_str(out, "{\"Version\":\"2012-10-17\",\"Statement\":[");
  for (unsigned n = 1 + below(6), i = 0; i < n; i++) {
    mc_buf_printf(out, "%s{\"Effect\":\"%s\",\"Action\":[\"%s\"", i ? "," : "", below(4) ? "Allow" : "Deny", PICK(action_text));
    if (below(2))
      mc_buf_printf(out, ",\"%s\"", PICK(action_text));
    mc_buf_append_str(out, "],\"Resource\":[");
    put_resource(out);
    for (unsigned more = below(4); more; more--) {
      mc_buf_append_str(out, ",");
      put_resource(out);
    }
    mc_buf_append_str(out, "]");
    if (below(3) == 0)
      mc_buf_printf(out, ",\"Condition\":%s", PICK(condition_text));
    mc_buf_append_str(out, "}");
  }
  mc_buf_append_str(out, "]}");
  mc_buf_append_u8(out, 0);
}

static void put_resource_asked(char out[64])
{
  static const char *const letter[] = {"a", "b", "ab", "/", "a/b", "+", "#", "*", "$", "aa"};
  out[0] = 0;
  for (unsigned n = 1 + below(5); n; n--)
    strcat(out, PICK(letter));
}

static const char *const id[] = {"a", "b", "ab", "a/b", "+", "", "a*"};

static void test_trie_and_plain_evaluator_agree(void)
{
  enum { ROUNDS = 3000, QUESTIONS = 40, DOCUMENTS = 3 };
  unsigned allowed = 0, denied = 0, neither = 0, wrong = 0;
  for (int round = 0; round < ROUNDS; round++) {
    mc_buf text[DOCUMENTS] = {0};
    const char *as_text[DOCUMENTS];
    json_t *json[DOCUMENTS];
    size_t count = 1 + below(DOCUMENTS);
    known_value values[3] = {{"iot:ClientId", PICK(id)}, {"iot:Connection.Thing.ThingName", PICK(id)}, {"iot:Connection.Thing.Attributes[x]", PICK(id)}};
    known = values;
    known_count = 1 + below(3);
    for (size_t i = 0; i < count; i++) {
      put_document(&text[i]);
      as_text[i] = (const char *)text[i].data;
      json[i] = json_loads(as_text[i], 0, NULL);
    }
    mc_policy *p = bind_texts(as_text, count, known, known_count);
    for (int q = 0; p && q < QUESTIONS; q++) {
      mc_action action = (mc_action)below(5);
      char resource[64];
      put_resource_asked(resource);
      bool topic = action == MC_ACTION_PUBLISH || action == MC_ACTION_RECEIVE || action == MC_ACTION_RETAIN_PUBLISH;
      if (topic && strpbrk(resource, "+#")) /* no topic */
        continue;
      int want = plain_verdict(json, count, action, resource);
      allowed += want > 0;
      denied += want < 0;
      neither += want == 0;
      mc_arena arena = MC_ARENA(0);
      mc_policy_explanation e;
      mc_policy_question asked = {action, mc_slice_str(resource), 0, false};
      bool told = mc_policy_explain(p, &asked, &arena, &e, NULL) == MC_OK && e.allowed == (want > 0) && e.denied == (want < 0) && (want == 0) == !e.decided;
      if ((may(p, action, resource) != (want > 0) || !told) && wrong++ < 5)
        printf("# %s %s: expected %d, decided %d, client %s\n# %s\n", mc_action_name(action), resource, want, may(p, action, resource), values[0].value, as_text[0]);
      mc_arena_free(&arena);
    }
    mc_policy_release(p);
    for (size_t i = 0; i < count; i++) {
      json_decref(json[i]);
      mc_buf_free(&text[i]);
    }
  }
  printf("# %u allowed, %u denied, %u neither\n", allowed, denied, neither);
  CHECK(wrong == 0 && allowed > 1000 && denied > 1000 && neither > 1000);
}

int main(void)
{
  RUN(test_trie_and_plain_evaluator_agree);
  return tap_done();
}
