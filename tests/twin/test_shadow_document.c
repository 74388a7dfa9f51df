/* Merge, delta, versions, metadata and refusals of a shadow's document: the vectors of the contract (S1 to S10), and what lies around them. */
#include <string.h>

#include "tap.h"
#include "twin/shadow_document.h"

static const shadow_limits wide = {.bytes = 1 << 20, .depth = 16};
static shadow_document doc;
static shadow_fault fault;
static shadow_texts texts;
static int64_t now_s = 1000;

/* An update as a device sends it; what was answered stays in texts or fault. */
static bool update_within(const char *payload, const shadow_limits *limits)
{
  shadow_request r;
  shadow_texts_free(&texts);
  texts = (shadow_texts){0};
  fault = (shadow_fault){0};
  bool good = shadow_request_read(mc_slice_str(payload), true, limits, &r, &fault) && shadow_document_update(&doc, &r, limits, now_s, &texts, &fault);
  shadow_request_free(&r);
  return good;
}

static bool update(const char *payload)
{
  return update_within(payload, &wide);
}

/* Two texts that say the same. path: the member to compare, as a/b, or empty for all. */
static bool says(const mc_buf *text, const char *path, const char *want)
{
  json_t *have = json_loadb((const char *)text->data, text->len, 0, NULL), *at = have;
  char copy[100], *save = NULL;
  snprintf(copy, sizeof copy, "%s", path);
  for (char *key = strtok_r(copy, "/", &save); key && at; key = strtok_r(NULL, "/", &save))
    at = json_object_get(at, key);
  json_t *wanted = want ? json_loads(want, JSON_DECODE_ANY, NULL) : NULL;
  bool same = want ? wanted && at && json_equal(at, wanted) : !at;
  if (!same)
    printf("# have %.*s\n# want %s: %s\n", (int)text->len, (const char *)text->data, path, want ? want : "(nothing)");
  json_decref(have);
  json_decref(wanted);
  return same;
}

static void begin(const char *first)
{
  shadow_document_clear(&doc);
  now_s = 1000;
  CHECK(update(first));
  now_s = 2000;
}

static bool get(mc_buf *out)
{
  mc_buf_clear(out);
  fault = (shadow_fault){0};
  return shadow_document_get(&doc, (mc_slice){0}, now_s, out, &fault);
}

static void test_vectors_of_the_contract(void)
{
  begin("{\"state\":{\"reported\":{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"c\":[1,2]}}}");
  CHECK(update("{\"state\":{\"desired\":{\"a\":1,\"b\":{\"x\":1,\"y\":3},\"c\":[1,3],\"d\":5}}}")); /* S1 */
  CHECK(says(&texts.delta, "state", "{\"b\":{\"y\":3},\"c\":[1,3],\"d\":5}"));
  CHECK(says(&texts.delta, "metadata", "{\"b\":{\"y\":{\"timestamp\":2000}},\"c\":{\"timestamp\":2000},\"d\":{\"timestamp\":2000}}"));
  CHECK(says(&texts.delta, "version", "2") && says(&texts.delta, "timestamp", "2000"));
  begin("{\"state\":{\"desired\":{\"a\":1},\"reported\":{\"a\":1,\"z\":9}}}");
  CHECK(update("{\"state\":{\"desired\":{\"a\":1}}}") && !texts.delta.len); /* S2 */
  begin("{\"state\":{\"desired\":{\"a\":1},\"reported\":{\"a\":1}}}");
  CHECK(update("{\"state\":{\"reported\":{\"a\":null}}}")); /* S3 */
  CHECK(says(&texts.delta, "state", "{\"a\":1}") && says(&texts.delta, "metadata", "{\"a\":{\"timestamp\":1000}}"));
  begin("{\"state\":{\"desired\":{\"a\":1,\"b\":2},\"reported\":{\"a\":0,\"b\":0}}}");
  CHECK(update("{\"state\":{\"reported\":{\"a\":1}}}") && says(&texts.delta, "state", "{\"b\":2}")); /* S4 */
  CHECK(update("{\"state\":{\"desired\":null,\"reported\":{\"a\":1}}}") && !texts.delta.len); /* S5 */
  CHECK(!doc.state[DESIRED] && !doc.metadata[DESIRED]);
  CHECK(!update("{\"state\":{\"desired\":{\"a\":[null,1]}}}")); /* S6 */
  CHECK_INT(fault.code, 400);
  uint64_t version = doc.version;
  CHECK(!update("{\"state\":{\"desired\":{\"a\":3}},\"version\":1}")); /* S7 */
  CHECK(fault.code == 409 && doc.version == version && !doc.state[DESIRED]);
  shadow_request empty = {0};
  mc_buf out = {0};
  CHECK(shadow_document_delete(&doc, &empty, now_s, &out, &fault));
  CHECK(says(&out, "", "{\"version\":3,\"timestamp\":2000}"));
  CHECK(!get(&out) && fault.code == 404); /* S9 */
  CHECK(!shadow_document_delete(&doc, &empty, now_s, &out, &fault) && fault.code == 404);
  CHECK(update("{\"state\":{\"desired\":{\"a\":3}}}") && doc.version > version); /* S8 */
  char long_token[200];
  snprintf(long_token, sizeof long_token, "{\"state\":{},\"clientToken\":\"%065d\"}", 0);
  CHECK(!update(long_token) && fault.code == 400); /* S10 */
  snprintf(long_token, sizeof long_token, "{\"state\":{\"desired\":{\"a\":4}},\"clientToken\":\"%064d\"}", 0);
  CHECK(update(long_token) && strstr((const char *)texts.accepted.data, "clientToken"));
  mc_buf_free(&out);
}

static void test_answers_hold_what_the_guide_says(void)
{
  begin("{\"state\":{\"desired\":{\"color\":\"red\"},\"reported\":{\"color\":\"blue\"}},\"clientToken\":\"t1\"}");
  CHECK(says(&texts.accepted, "",
             "{\"state\":{\"desired\":{\"color\":\"red\"},\"reported\":{\"color\":\"blue\"}},\"metadata\":{\"desired\":{\"color\":{\"timestamp\":1000}},"
             "\"reported\":{\"color\":{\"timestamp\":1000}}},\"version\":1,\"timestamp\":1000,\"clientToken\":\"t1\"}"));
  CHECK(says(&texts.documents, "previous", "{\"state\":{},\"metadata\":{},\"version\":0}"));
  CHECK(update("{\"state\":{\"desired\":{\"n\":{\"deep\":[1,2]}}},\"version\":1}"));
  CHECK(says(&texts.accepted, "state", "{\"desired\":{\"n\":{\"deep\":[1,2]}}}"));
  CHECK(says(&texts.accepted, "metadata", "{\"desired\":{\"n\":{\"deep\":{\"timestamp\":2000}}}}"));
  CHECK(says(&texts.documents, "previous/version", "1") && says(&texts.documents, "current/version", "2"));
  CHECK(says(&texts.documents, "current/metadata/desired", "{\"color\":{\"timestamp\":1000},\"n\":{\"deep\":{\"timestamp\":2000}}}"));
  mc_buf out = {0};
  CHECK(get(&out));
  CHECK(says(&out, "state", "{\"desired\":{\"color\":\"red\",\"n\":{\"deep\":[1,2]}},\"reported\":{\"color\":\"blue\"},\"delta\":{\"color\":\"red\",\"n\":{\"deep\":[1,2]}}}"));
  CHECK(update("{\"state\":{\"desired\":{\"color\":\"blue\",\"n\":null}}}") && !texts.delta.len);
  CHECK(says(&texts.accepted, "state/desired", "{\"color\":\"blue\",\"n\":null}") && says(&texts.accepted, "metadata/desired", "{\"color\":{\"timestamp\":2000}}"));
  CHECK(get(&out) && says(&out, "state/delta", NULL) && says(&out, "metadata/desired", "{\"color\":{\"timestamp\":2000}}"));
  CHECK(update("{\"state\":{\"desired\":{\"color\":null}}}") && !doc.state[DESIRED]); /* an empty section is none */
  CHECK(update("{\"state\":{}}") && doc.version == 5);                               /* nothing asked for is no mistake */
  mc_buf_free(&out);
}

static void test_kinds_that_change_and_numbers_that_are_the_same(void)
{
  begin("{\"state\":{\"desired\":{\"a\":{\"x\":1}},\"reported\":{\"a\":{\"x\":1.0}}}}");
  CHECK(!texts.delta.len);
  CHECK(update("{\"state\":{\"desired\":{\"a\":7}}}") && says(&texts.delta, "state", "{\"a\":7}"));
  CHECK(update("{\"state\":{\"desired\":{\"a\":{\"y\":null,\"z\":{\"w\":null,\"v\":true}}}}}")); /* a null in what is new deletes nothing */
  CHECK(says(&texts.documents, "current/state/desired", "{\"a\":{\"z\":{\"v\":true}}}") && says(&texts.documents, "current/metadata/desired", "{\"a\":{\"z\":{\"v\":{\"timestamp\":2000}}}}"));
  CHECK(says(&texts.delta, "state", "{\"a\":{\"z\":{\"v\":true}}}"));
  CHECK(update("{\"state\":{\"desired\":{\"l\":[{\"p\":1}]},\"reported\":{\"l\":[{\"p\":1.0}]}}}") && says(&texts.delta, "state/l", NULL));
  CHECK(update("{\"state\":{\"reported\":{\"l\":[{\"p\":2}]}}}") && says(&texts.delta, "state/l", "[{\"p\":1}]"));
}

static void test_refusals_say_what_is_wrong_and_change_nothing(void)
{
  static const struct { const char *payload; int code; const char *part; } cases[] = {
      {"", 400, "JSON"}, {"{", 400, "line 1"}, {"[]", 400, "object"}, {"{}", 400, "state"}, {"{\"state\":1}", 400, "state"}, {"{\"state\":null}", 400, "state"},
      {"{\"state\":{\"desired\":1}}", 400, "desired"}, {"{\"state\":{\"reported\":[]}}", 400, "reported"}, {"{\"state\":{\"wanted\":{}}}", 400, "desired and reported"},
      {"{\"state\":{},\"version\":-1}", 400, "version"}, {"{\"state\":{},\"version\":\"2\"}", 400, "version"}, {"{\"state\":{},\"version\":1.5}", 400, "version"},
      {"{\"state\":{},\"clientToken\":5}", 400, "clientToken"}, {"{\"state\":{\"desired\":{\"a\":[[null]]}}}", 400, "null"},
      {"{\"state\":{\"desired\":{\"a\":[{\"b\":null}]}}}", 400, "null"}, {"\xff\xfe", 415, "UTF-8"}, {"{\"state\":{\"desired\":{\"a\":\"\\u0000\"}}}", 400, "JSON"},
      {"{\"state\":{},\"version\":0}", 409, "Version"}, {"{\"state\":{},\"version\":9000000000000000000}", 409, "Version"}};
  begin("{\"state\":{\"desired\":{\"a\":1}}}");
  mc_buf before = {0}, after = {0};
  CHECK_OK(shadow_document_write(&doc, &before));
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    bool good = update(cases[i].payload);
    CHECK(!good && fault.code == cases[i].code && strstr(fault.message, cases[i].part));
    if (good || fault.code != cases[i].code || !strstr(fault.message, cases[i].part))
      printf("# %s: %d %s\n", cases[i].payload, fault.code, fault.message);
  }
  CHECK_OK(shadow_document_write(&doc, &after));
  CHECK(mc_slice_eq(mc_buf_slice(&before), mc_buf_slice(&after)));
  mc_buf_free(&before);
  mc_buf_free(&after);
}

static void test_size_and_depth_have_limits(void)
{
  const shadow_limits narrow = {.bytes = 40, .depth = 2};
  begin("{\"state\":{\"desired\":{\"a\":1}}}");
  CHECK(update_within("{\"state\":{\"desired\":{\"a\":{\"b\":{\"c\":1}}}}}", &narrow));
  CHECK(!update_within("{\"state\":{\"desired\":{\"a\":{\"b\":{\"c\":{}}}}}}", &narrow) && fault.code == 400);
  CHECK(!update_within("{\"state\":{\"desired\":{\"a\":{\"b\":[[]]}}}}", &narrow) && fault.code == 400);
  CHECK(update_within("{\"state\":{\"reported\":{\"k\":\"0123456789\"}}}", &narrow)); /* 19 and 18 bytes */
  CHECK(!update_within("{\"state\":{\"reported\":{\"l\":\"0\"}}}", &narrow) && fault.code == 413 && strstr(fault.message, "40 bytes"));
  CHECK(update_within("{\"state\":{\"reported\":{\"k\":null,\"l\":\"0\"}}}", &narrow));
  char bomb[6000] = "{\"state\":{\"desired\":{\"a\":";
  size_t n = strlen(bomb);
  memset(bomb + n, '[', 5000);
  bomb[n + 5000] = 0;
  CHECK(!update(bomb) && fault.code == 400);
  for (int i = 0; i < 40; i++)
    memcpy(bomb + n + i * 5, "{\"a\":", 5);
  bomb[n + 200] = 0;
  strcat(bomb, "1");
  for (int i = 0; i < 43; i++)
    strcat(bomb, "}");
  CHECK(!update(bomb) && fault.code == 400 && strstr(fault.message, "deep"));
}

static void test_what_is_kept_reads_back(void)
{
  begin("{\"state\":{\"desired\":{\"a\":{\"b\":[1,\"\xc3\xa4\",false]}},\"reported\":{\"c\":1e300}}}");
  mc_buf text = {0}, again = {0};
  shadow_document back;
  CHECK_OK(shadow_document_write(&doc, &text));
  CHECK_OK(shadow_document_read(mc_buf_slice(&text), &back));
  CHECK_OK(shadow_document_write(&back, &again));
  CHECK(mc_slice_eq(mc_buf_slice(&text), mc_buf_slice(&again)) && back.version == 1 && back.exists);
  shadow_document_clear(&back);
  static const char *const bad[] = {"", "{}", "{\"version\":-1,\"exists\":true}", "{\"version\":1,\"exists\":true,\"state\":{\"desired\":1},\"metadata\":{\"desired\":{}}}",
                                    "{\"version\":1,\"exists\":true,\"state\":{\"desired\":{}},\"metadata\":{}}"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK_INT(shadow_document_read(mc_slice_str(bad[i]), &back), MC_ERR_MALFORMED);
  mc_buf_free(&text);
  mc_buf_free(&again);
  shadow_texts_free(&texts);
  shadow_document_clear(&doc);
}

int main(void)
{
  RUN(test_vectors_of_the_contract);
  RUN(test_answers_hold_what_the_guide_says);
  RUN(test_kinds_that_change_and_numbers_that_are_the_same);
  RUN(test_refusals_say_what_is_wrong_and_change_nothing);
  RUN(test_size_and_depth_have_limits);
  RUN(test_what_is_kept_reads_back);
  return tap_done();
}
