/* Policy documents: what is refused and where, what is decided, and why. The cases of AWS's developer guide (Connect, Publish/Subscribe, certificate and thing
 * policy examples) are here as rules about a fleet of ours. */
#include <stdlib.h>

#include "base/clock.h"
#include "document_rig.h"

#define ONE(statement) "{\"Version\":\"2012-10-17\",\"Statement\":[" statement "]}"
#define ALLOW(action, resource) "{\"Effect\":\"Allow\",\"Action\":" action ",\"Resource\":" resource "}"
#define DENY(action, resource) "{\"Effect\":\"Deny\",\"Action\":" action ",\"Resource\":" resource "}"
#define IF(effect, action, resource, condition) "{\"Effect\":\"" effect "\",\"Action\":" action ",\"Resource\":" resource ",\"Condition\":" condition "}"
#define ARN "arn:aws:iot:eu-central-1:123456789012:"

static const known_value vehicle[] = {{"iot:ClientId", "veh-1"},
                                      {"aws:SourceIp", "198.51.100.20"},
                                      {"iot:DomainName", "fleet.example"},
                                      {"iot:Connection.Thing.ThingName", "veh-1"},
                                      {"iot:Connection.Thing.ThingTypeName", "truck"},
                                      {"iot:Connection.Thing.IsAttached", "true"},
                                      {"iot:Connection.Thing.Attributes[depot]", "north"},
                                      {"iot:Connection.Thing.Attributes[odd]", "a*b"},
                                      {"iot:Certificate.Subject.CommonName", "veh-1"},
                                      {"iot:Certificate.Subject.Country", "DE"},
                                      {"iot:Certificate.Subject.Country", "FR"},
                                      {"iot:Certificate.SerialNumber", "0a1b"}};
enum { KNOWN = sizeof vehicle / sizeof *vehicle };

static mc_policy *bound(const char *text) { return bind_texts(&text, 1, vehicle, KNOWN); }

static bool allows(const char *text, mc_action action, const char *resource)
{
  mc_policy *p = bound(text);
  bool yes = p && may(p, action, resource);
  mc_policy_release(p);
  return yes;
}

/* ---- reading ---- */

static void test_refusals_say_what_and_where(void)
{
  static const struct { const char *json, *says; } bad[] = {
      {"", "line 1"},
      {"{\"Version\":\"2012-10-17\",\n\"Statement\":[}", "line 2"},
      {"[]", "object with Version and Statement"},
      {"{\"Version\":\"2012-10-17\"}", "Statement: expected"},
      {"{\"Statement\":[]}", "Version: expected \"2012-10-17\""},
      {"{\"Version\":\"2008-10-17\",\"Statement\":[]}", "Version: expected"},
      {"{\"Version\":\"2012-10-17\",\"Statement\":[]}", "1 to 1000 statements, found 0"},
      {"{\"Version\":\"2012-10-17\",\"Statement\":[],\"Rules\":1}", "\"Rules\" is not known"},
      {"{\"Version\":\"2012-10-17\",\"Version\":\"2012-10-17\",\"Statement\":[]}", "duplicate"},
      {ONE("5"), "Statement[0]: expected an object"},
      {ONE("{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\"}"), "Statement[0]: Resource is missing"},
      {ONE(ALLOW("\"iot:Publish\"", "\"*\"") ",{\"Effect\":\"allow\",\"Action\":\"iot:Publish\",\"Resource\":\"*\"}"), "Statement[1].Effect: expected \"Allow\" or \"Deny\""},
      {ONE(ALLOW("\"iot:publish\"", "\"*\"")), "Statement[0].Action: \"iot:publish\" is no action"},
      {ONE(ALLOW("[\"iot:Publish\",\"s3:GetObject\"]", "\"*\"")), "Statement[0].Action[1]: \"s3:GetObject\""},
      {ONE(ALLOW("[]", "\"*\"")), "Statement[0].Action: expected 1 to 200 of them, found 0"},
      {ONE(ALLOW("7", "\"*\"")), "Statement[0].Action: expected the name of an action"},
      {ONE(ALLOW("\"iot:Publish\"", "\"topic/a\"")), "Statement[0].Resource: expected \"*\" or an ARN"},
      {ONE(ALLOW("\"iot:Publish\"", "[\"*\",\"arn:aws:iot:eu:1\"]")), "Statement[0].Resource[1]: an ARN has six parts"},
      {ONE(ALLOW("\"iot:Publish\"", "\"arn:aws:s3:::bucket\"")), "service of the ARN is \"s3\""},
      {ONE(ALLOW("\"iot:Publish\"", "\"arn:aws:s3*\"")), "service of the ARN is \"s3*\""},
      {ONE(ALLOW("\"iot:Publish\"", "\"arn:aws:s*:::*\"")), "service of the ARN is \"s*\""},
      {ONE(ALLOW("\"iot:Publish\"", "\"" ARN "\"")), "the ARN ends with its account"},
      {ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/${iot:Nobody}\"")), "\"iot:Nobody\" is not known"},
      {ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/${iot:Thing.ThingName}\"")), "iot:Connection.Thing.ThingName"},
      {ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/${iot:ClientId\"")), "is not closed by }"},
      {ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/${iot:Certificate.Subject.Country.List}\"")), "has several values"},
      {ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/${aws:CurrentTime}\"")), "key of a condition only"},
      {ONE("{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"*\",\"NotResource\":\"*\"}"), "NotResource is not part"},
      {ONE("{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"*\",\"Principal\":\"*\"}"), "whom it is attached to"},
      {ONE("{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"*\",\"Comment\":\"x\"}"), "\"Comment\" is not known"},
      {ONE("{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"*\",\"Sid\":\"\"}"), "Statement[0].Sid: expected a text"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "[]")), "Statement[0].Condition: expected an object"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"StringIs\":{\"iot:ClientId\":\"a\"}}")), "Condition.StringIs.iot:ClientId: \"StringIs\" is no operator"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"Bool\":5}")), "Condition.Bool: expected an object of keys"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"Bool\":{\"iot:Nothing\":\"true\"}}")), "\"iot:Nothing\" is not known"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"Bool\":{\"iot:Connection.Thing.IsAttached\":\"yes\"}}")), "expected \"true\" or \"false\", found \"yes\""},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"IpAddress\":{\"aws:SourceIp\":[\"192.0.2.0/24\",\"192.0.2.0/40\"]}}")), "aws:SourceIp[1]: expected an address"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"NumericLessThan\":{\"aws:EpochTime\":\"soon\"}}")), "expected a number"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"DateLessThan\":{\"aws:CurrentTime\":\"tomorrow\"}}")), "expected a time"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"StringEquals\":{\"aws:CurrentTime\":\"2026-01-01\"}}")), "compared by Date operators"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"NullIfExists\":{\"iot:ClientId\":\"true\"}}")), "Null stands alone"},
      {ONE(IF("Allow", "\"iot:Publish\"", "\"*\"", "{\"StringEquals\":{\"iot:ClientId\":[[\"a\"]]}}")), "iot:ClientId[0]: expected a text"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    mc_policy_document *d = NULL;
    mc_why why = {0};
    mc_err err = mc_policy_document_parse(mc_slice_str(bad[i].json), &d, &why);
    bool said = err && strstr(why.text, bad[i].says);
    CHECK(said && !d);
    if (!said)
      printf("# %s\n# says: %s\n", bad[i].json, why.text);
    mc_policy_document_release(d);
  }
}

static void test_limits_hold(void)
{
  mc_policy_document *d = NULL;
  mc_why why = {0};
  mc_buf text = {0};
  mc_buf_append_str(&text, "{\"Version\":\"2012-10-17\",\"Statement\":[");
  for (int i = 0; i <= MC_POLICY_STATEMENTS; i++)
    mc_buf_printf(&text, "%s" ALLOW("\"iot:Publish\"", "\"*\""), i ? "," : "");
  mc_buf_append_str(&text, "]}");
  CHECK(mc_policy_document_parse(mc_buf_slice(&text), &d, &why) == MC_ERR_INVALID && strstr(why.text, "found 1001"));
  mc_buf_clear(&text);
  mc_buf_append_str(&text, "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"" ARN "topic/");
  for (int i = 0; i <= MC_POLICY_RESOURCE_MARKS; i++)
    mc_buf_append_str(&text, "a*");
  mc_buf_append_str(&text, "\"}]}");
  CHECK(mc_policy_document_parse(mc_buf_slice(&text), &d, &why) == MC_ERR_INVALID && strstr(why.text, "more than 32 wildcards"));
  mc_buf_clear(&text);
  for (int i = 0; i <= MC_POLICY_DOCUMENT_BYTES; i++)
    mc_buf_append_u8(&text, ' ');
  CHECK(mc_policy_document_parse(mc_buf_slice(&text), &d, &why) == MC_ERR_INVALID && strstr(why.text, "at most"));
  mc_buf_free(&text);
  CHECK(mc_policy_document_length(MC_LIT("{ \"a\" :\n\t1 }")) == 7);
  CHECK(mc_policy_document_length(MC_LIT("\xc3\xbc \xc3\xbc")) == 2);
}

/* ---- deciding ---- */

static void test_nothing_is_allowed_that_no_statement_names(void)
{
  const char *text = ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/plant/line1\""));
  CHECK(allows(text, MC_ACTION_PUBLISH, "plant/line1"));
  CHECK(!allows(text, MC_ACTION_PUBLISH, "plant/line"));
  CHECK(!allows(text, MC_ACTION_PUBLISH, "plant/line11"));
  CHECK(!allows(text, MC_ACTION_PUBLISH, "plant"));
  CHECK(!allows(text, MC_ACTION_RECEIVE, "plant/line1"));
  CHECK(!allows(text, MC_ACTION_CONNECT, "plant/line1"));
  CHECK(!allows(text, MC_ACTION_RETAIN_PUBLISH, "plant/line1"));
  mc_policy *none = bind_texts(NULL, 0, vehicle, KNOWN);
  CHECK(none && !may(none, MC_ACTION_CONNECT, "veh-1"));
  mc_policy_release(none);
}

static void test_explicit_deny_wins_whatever_comes_first(void)
{
  const char *last = ONE(ALLOW("\"iot:*\"", "\"*\"") "," DENY("\"iot:Publish\"", "\"" ARN "topic/secret/*\""));
  const char *first = ONE(DENY("\"iot:Publish\"", "\"" ARN "topic/secret/*\"") "," ALLOW("\"iot:*\"", "\"*\""));
  const char *both[] = {ONE(ALLOW("\"*\"", "\"*\"")), ONE(DENY("\"*\"", "\"" ARN "*/keys\""))};
  CHECK(!allows(last, MC_ACTION_PUBLISH, "secret/a") && allows(last, MC_ACTION_PUBLISH, "public/a") && allows(last, MC_ACTION_RECEIVE, "secret/a"));
  CHECK(!allows(first, MC_ACTION_PUBLISH, "secret/a") && allows(first, MC_ACTION_PUBLISH, "public/a"));
  mc_policy *p = bind_texts(both, 2, vehicle, KNOWN);
  CHECK(p && !may(p, MC_ACTION_PUBLISH, "a/keys") && !may(p, MC_ACTION_RECEIVE, "x/y/keys") && may(p, MC_ACTION_RECEIVE, "x/y/key"));
  mc_policy_release(p);
}

static void test_wildcards_of_documents_are_not_those_of_mqtt(void)
{
  const char *star = ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/site/*/temp\""));
  CHECK(allows(star, MC_ACTION_PUBLISH, "site/a/temp") && allows(star, MC_ACTION_PUBLISH, "site/a/b/c/temp") && allows(star, MC_ACTION_PUBLISH, "site//temp"));
  CHECK(!allows(star, MC_ACTION_PUBLISH, "site/temp") && !allows(star, MC_ACTION_PUBLISH, "site/a/temp/x"));
  const char *one = ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/bay?/x\""));
  CHECK(allows(one, MC_ACTION_PUBLISH, "bay1/x") && allows(one, MC_ACTION_PUBLISH, "bay\xc3\xbc/x") && !allows(one, MC_ACTION_PUBLISH, "bay/x") && !allows(one, MC_ACTION_PUBLISH, "bay12/x"));
  /* A filter's + and # are letters (contract T13). */
  const char *filter = ONE(ALLOW("\"iot:Subscribe\"", "\"" ARN "topicfilter/some/+/topic\""));
  CHECK(allows(filter, MC_ACTION_SUBSCRIBE, "some/+/topic") && !allows(filter, MC_ACTION_SUBSCRIBE, "some/a/topic") && !allows(filter, MC_ACTION_SUBSCRIBE, "some/#"));
  const char *wide = ONE(ALLOW("\"iot:Subscribe\"", "\"" ARN "topicfilter/some/*\""));
  CHECK(allows(wide, MC_ACTION_SUBSCRIBE, "some/#") && allows(wide, MC_ACTION_SUBSCRIBE, "some/+/b") && !allows(wide, MC_ACTION_SUBSCRIBE, "#"));
  CHECK(allows(wide, MC_ACTION_SUBSCRIBE, "$share/group/some/#") && !allows(wide, MC_ACTION_SUBSCRIBE, "$share/some/x"));
  /* The resource's kind is part of it: what names topics names no filters. */
  CHECK(!allows(ONE(ALLOW("\"iot:*\"", "\"" ARN "topic/*\"")), MC_ACTION_SUBSCRIBE, "a"));
  CHECK(allows(ONE(ALLOW("\"iot:*\"", "\"" ARN "topic*\"")), MC_ACTION_SUBSCRIBE, "a"));
  CHECK(allows(ONE(ALLOW("\"iot:Pub*\"", "\"arn:aws:iot:*\"")), MC_ACTION_PUBLISH, "a/b"));
  CHECK(!allows(ONE(ALLOW("\"greengrass:*\"", "\"*\"")), MC_ACTION_PUBLISH, "a/b"));
  CHECK(allows(ONE(ALLOW("\"*\"", "\"arn:aws:io*:::topic/a\"")), MC_ACTION_PUBLISH, "a") && !allows(ONE(ALLOW("\"*\"", "\"arn:aws:green*\"")), MC_ACTION_PUBLISH, "a"));
}

static void test_escapes_stand_for_letters(void)
{
  const char *text = ONE(ALLOW("\"iot:Publish\"", "[\"" ARN "topic/a${*}b\",\"" ARN "topic/c${?}\",\"" ARN "topic/${$}{iot:ClientId}\",\"" ARN "topic/$aws/x\"]"));
  CHECK(allows(text, MC_ACTION_PUBLISH, "a*b") && !allows(text, MC_ACTION_PUBLISH, "axb") && !allows(text, MC_ACTION_PUBLISH, "ab"));
  CHECK(allows(text, MC_ACTION_PUBLISH, "c?") && !allows(text, MC_ACTION_PUBLISH, "cx"));
  CHECK(allows(text, MC_ACTION_PUBLISH, "${iot:ClientId}") && !allows(text, MC_ACTION_PUBLISH, "veh-1"));
  CHECK(allows(text, MC_ACTION_PUBLISH, "$aws/x"));
}

static void test_variables_are_those_of_the_connection(void)
{
  const char *text = ONE(ALLOW("\"iot:Publish\"", "[\"" ARN "topic/c/${iot:ClientId}\",\"" ARN "topic/t/${iot:Connection.Thing.ThingTypeName}/${iot:Connection.Thing.ThingName}/*\",\"" ARN
                                                  "topic/d/${iot:Connection.Thing.Attributes[depot]}\",\"" ARN "topic/n/${iot:DomainName}\",\"" ARN
                                                  "topic/s/${iot:Certificate.Subject.Country}\",\"" ARN "topic/s1/${iot:Certificate.Subject.Country.1}\",\"" ARN
                                                  "topic/s2/${iot:Certificate.Subject.Country.2}\",\"" ARN "topic/i/${aws:SourceIp}\"]"));
  CHECK(allows(text, MC_ACTION_PUBLISH, "c/veh-1") && !allows(text, MC_ACTION_PUBLISH, "c/veh-2"));
  CHECK(allows(text, MC_ACTION_PUBLISH, "t/truck/veh-1/a/b") && !allows(text, MC_ACTION_PUBLISH, "t/car/veh-1/a"));
  CHECK(allows(text, MC_ACTION_PUBLISH, "d/north") && !allows(text, MC_ACTION_PUBLISH, "d/south"));
  CHECK(allows(text, MC_ACTION_PUBLISH, "n/fleet.example") && allows(text, MC_ACTION_PUBLISH, "i/198.51.100.20"));
  /* Index 1 is the second value (T14); a third there is none. */
  CHECK(allows(text, MC_ACTION_PUBLISH, "s/DE") && allows(text, MC_ACTION_PUBLISH, "s1/FR") && !allows(text, MC_ACTION_PUBLISH, "s1/DE"));
  CHECK(!allows(text, MC_ACTION_PUBLISH, "s2/") && !allows(text, MC_ACTION_PUBLISH, "s2/${iot:Certificate.Subject.Country.2}"));
}

/* Contract A10, T12. */
static void test_a_value_with_wildcards_fails_closed(void)
{
  static const char *const hostile[] = {"+", "#", "*", "?", "$", "a+", "x/#", ""};
  const char *text = ONE(ALLOW("\"iot:*\"", "[\"" ARN "topicfilter/fleet/${iot:ClientId}/cmd\",\"" ARN "topic/fleet/${iot:ClientId}/*\",\"" ARN "client/${iot:ClientId}\"]"));
  for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
    known_value id = {"iot:ClientId", hostile[i]};
    mc_policy *p = bind_texts(&text, 1, &id, 1);
    char own[80];
    snprintf(own, sizeof own, "fleet/%s/cmd", hostile[i]);
    CHECK(!may(p, MC_ACTION_SUBSCRIBE, "fleet/+/cmd") && !may(p, MC_ACTION_SUBSCRIBE, "fleet/veh-9/cmd") && !may(p, MC_ACTION_SUBSCRIBE, own));
    CHECK(!may(p, MC_ACTION_PUBLISH, "fleet/veh-9/x") && !may(p, MC_ACTION_CONNECT, hostile[i]) && !may(p, MC_ACTION_SUBSCRIBE, "fleet/${iot:ClientId}/cmd"));
    mc_policy_release(p);
  }
  CHECK(!allows(ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/${iot:Connection.Thing.Attributes[odd]}\"")), MC_ACTION_PUBLISH, "a*b"));
  CHECK(!allows(ONE(ALLOW("\"iot:Publish\"", "\"" ARN "topic/${iot:Connection.Thing.Attributes[none]}*\"")), MC_ACTION_PUBLISH, "x"));
}

static void test_patterns_that_could_run_for_ever_end(void)
{
  mc_buf text = {0}, topic = {0};
  mc_buf_append_str(&text, "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"" ARN "topic/");
  for (int i = 0; i < MC_POLICY_RESOURCE_MARKS; i++)
    mc_buf_append_str(&text, "a*");
  mc_buf_append_str(&text, "b\"}]}");
  mc_buf_append_u8(&text, 0);
  for (int i = 0; i < 60000; i++)
    mc_buf_append_str(&topic, "a");
  mc_buf_append_u8(&topic, 0);
  CHECK(!allows((const char *)text.data, MC_ACTION_PUBLISH, (const char *)topic.data));
  topic.data[topic.len - 2] = 'b';
  CHECK(allows((const char *)text.data, MC_ACTION_PUBLISH, (const char *)topic.data));
  mc_buf_free(&text);
  mc_buf_free(&topic);
}

/* ---- conditions ---- */

static bool holds(const char *condition)
{
  char text[900];
  snprintf(text, sizeof text, "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"*\",\"Condition\":%s}]}", condition);
  return allows(text, MC_ACTION_PUBLISH, "a");
}

static void test_operators_compare_as_their_names_say(void)
{
  static const struct { const char *condition; bool holds; } cases[] = {
      {"{\"StringEquals\":{\"iot:ClientId\":\"veh-1\"}}", true},
      {"{\"StringEquals\":{\"iot:ClientId\":[\"a\",\"veh-1\"]}}", true},
      {"{\"StringEquals\":{\"iot:ClientId\":\"VEH-1\"}}", false},
      {"{\"StringEquals\":{\"iot:ClientId\":\"veh*\"}}", false},
      {"{\"StringEquals\":{\"iot:ClientId\":\"${iot:Connection.Thing.ThingName}\"}}", true},
      {"{\"StringEquals\":{\"iot:ClientId\":\"${iot:Connection.Thing.Attributes[none]}\"}}", false},
      {"{\"StringNotEquals\":{\"iot:ClientId\":[\"a\",\"veh-1\"]}}", false},
      {"{\"StringNotEquals\":{\"iot:ClientId\":[\"a\",\"b\"]}}", true},
      {"{\"StringEqualsIgnoreCase\":{\"iot:ClientId\":\"VEH-1\"}}", true},
      {"{\"StringNotEqualsIgnoreCase\":{\"iot:ClientId\":\"VEH-1\"}}", false},
      {"{\"StringLike\":{\"iot:ClientId\":\"veh-?\"}}", true},
      {"{\"StringLike\":{\"iot:ClientId\":[\"x*\",\"*1\"]}}", true},
      {"{\"StringNotLike\":{\"iot:ClientId\":\"veh*\"}}", false},
      {"{\"ArnLike\":{\"iot:ClientId\":\"veh-*\"}}", true},
      {"{\"ArnNotEquals\":{\"iot:ClientId\":\"truck-*\"}}", true},
      {"{\"Bool\":{\"iot:Connection.Thing.IsAttached\":\"true\"}}", true},
      {"{\"Bool\":{\"iot:Connection.Thing.IsAttached\":[true]}}", true},
      {"{\"Bool\":{\"iot:Connection.Thing.IsAttached\":false}}", false},
      {"{\"Bool\":{\"iot:ClientId\":\"true\"}}", false},
      {"{\"IpAddress\":{\"aws:SourceIp\":\"198.51.100.0/24\"}}", true},
      {"{\"IpAddress\":{\"aws:SourceIp\":[\"203.0.113.0/24\",\"198.51.100.20\"]}}", true},
      {"{\"IpAddress\":{\"aws:SourceIp\":\"198.51.100.16/29\"}}", true},
      {"{\"IpAddress\":{\"aws:SourceIp\":\"198.51.100.24/29\"}}", false},
      {"{\"IpAddress\":{\"aws:SourceIp\":\"2001:db8::/32\"}}", false},
      {"{\"NotIpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}}", true},
      {"{\"NotIpAddress\":{\"aws:SourceIp\":\"0.0.0.0/0\"}}", false},
      {"{\"Null\":{\"iot:Connection.Thing.Attributes[none]\":\"true\"}}", true},
      {"{\"Null\":{\"iot:ClientId\":\"true\"}}", false},
      {"{\"Null\":{\"iot:ClientId\":false}}", true},
      /* what is not there */
      {"{\"StringEquals\":{\"iot:Connection.Thing.Attributes[none]\":\"x\"}}", false},
      {"{\"StringEqualsIfExists\":{\"iot:Connection.Thing.Attributes[none]\":\"x\"}}", true},
      {"{\"StringNotEquals\":{\"iot:Connection.Thing.Attributes[none]\":\"x\"}}", true},
      {"{\"IpAddressIfExists\":{\"aws:SourceIp\":\"203.0.113.0/24\"}}", false},
      {"{\"ForAllValues:StringEquals\":{\"iot:Connection.Thing.Attributes[none]\":\"x\"}}", true},
      {"{\"ForAnyValue:StringEquals\":{\"iot:Connection.Thing.Attributes[none]\":\"x\"}}", false},
      /* several values */
      {"{\"ForAllValues:StringEquals\":{\"iot:Certificate.Subject.Country.List\":[\"DE\",\"FR\",\"IT\"]}}", true},
      {"{\"ForAllValues:StringEquals\":{\"iot:Certificate.Subject.Country.List\":[\"DE\"]}}", false},
      {"{\"ForAnyValue:StringEquals\":{\"iot:Certificate.Subject.Country.List\":[\"FR\"]}}", true},
      {"{\"ForAnyValue:StringEquals\":{\"iot:Certificate.Subject.Country.List\":[\"IT\"]}}", false},
      {"{\"ForAnyValue:StringNotEquals\":{\"iot:Certificate.Subject.Country.List\":[\"FR\"]}}", true},
      {"{\"ForAllValues:StringNotEquals\":{\"iot:Certificate.Subject.Country.List\":[\"FR\"]}}", false},
      {"{\"StringEquals\":{\"iot:Certificate.Subject.Country\":\"DE\"}}", true},
      /* all have to hold */
      {"{\"StringEquals\":{\"iot:ClientId\":\"veh-1\",\"iot:DomainName\":\"other.example\"}}", false},
      {"{\"StringEquals\":{\"iot:ClientId\":\"veh-1\"},\"Bool\":{\"iot:Connection.Thing.IsAttached\":\"false\"}}", false},
      {"{\"StringEquals\":{\"iot:ClientId\":\"veh-1\"},\"Bool\":{\"iot:Connection.Thing.IsAttached\":\"true\"}}", true},
      {"{\"StringEquals\":{\"iot:ClientId\":[]}}", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool got = holds(cases[i].condition);
    CHECK(got == cases[i].holds);
    if (got != cases[i].holds)
      printf("# %s\n", cases[i].condition);
  }
}

static int64_t clock_us;
static int64_t wall(void) { return clock_us; }

static void test_times_are_those_of_the_question(void)
{
  const char *text = ONE(IF("Allow", "\"iot:Publish\"", "\"*\"",
                            "{\"DateGreaterThanEquals\":{\"aws:CurrentTime\":\"2026-11-30T08:00:00Z\"},\"DateLessThan\":{\"aws:EpochTime\":\"1796040000\"}}"));
  mc_policy *p = bound(text);
  CHECK(p && mc_policy_is_timed(p));
  mc_clock_set_source(wall, NULL);
  CHECK(mc_clock_parse_us(MC_LIT("2026-11-30T07:59:59Z"), &clock_us) == MC_OK && !may(p, MC_ACTION_PUBLISH, "a"));
  clock_us += 1000000;
  CHECK(may(p, MC_ACTION_PUBLISH, "a"));
  clock_us = 1796040000LL * 1000000 - 1;
  CHECK(may(p, MC_ACTION_PUBLISH, "a"));
  clock_us = 1796040000LL * 1000000;
  CHECK(!may(p, MC_ACTION_PUBLISH, "a"));
  mc_clock_set_source(NULL, NULL);
  mc_policy_release(p);
  p = bound(ONE(ALLOW("\"iot:Publish\"", "\"*\"")));
  CHECK(p && !mc_policy_is_timed(p) && mc_policy_is_bound(p) && !mc_policy_is_bound(mc_policy_vehicle()));
  mc_policy_release(p);
}

/* ---- connecting ---- */

static bool connects(const mc_policy *p, uint8_t attributes, bool named)
{
  mc_principal who = {.tenant = 1, .kind = MC_PRINCIPAL_THING, .id = 1, .name = "veh-1"};
  mc_policy_question q = {MC_ACTION_CONNECT, MC_LIT("veh-1"), attributes, named};
  return mc_policy_permits(p, &who, &q);
}

static void test_connect_attributes(void)
{
  mc_policy *plain = bound(ONE(ALLOW("\"iot:Connect\"", "\"*\"")));
  mc_policy *kept = bound(ONE(IF("Allow", "\"iot:Connect\"", "\"*\"", "{\"ForAllValues:StringEquals\":{\"iot:ConnectAttributes\":[\"PersistentConnect\"]}}")));
  mc_policy *no_will = bound(ONE(ALLOW("\"iot:Connect\"", "\"*\"") "," IF("Deny", "\"iot:Connect\"", "\"*\"", "{\"ForAnyValue:StringEquals\":{\"iot:ConnectAttributes\":[\"LastWill\"]}}")));
  const uint8_t both = MC_ASKED_PERSISTENT | MC_ASKED_WILL;
  CHECK(connects(plain, 0, false) && connects(plain, both, false));
  CHECK(connects(plain, 0, true) && !connects(plain, MC_ASKED_PERSISTENT, true) && !connects(plain, MC_ASKED_WILL, true));
  for (int named = 0; named < 2; named++) {
    CHECK(connects(kept, 0, named) && connects(kept, MC_ASKED_PERSISTENT, named));
    CHECK(!connects(kept, MC_ASKED_WILL, named) && !connects(kept, both, named));
    CHECK(connects(no_will, 0, named) && !connects(no_will, MC_ASKED_WILL, named));
  }
  mc_policy_release(plain);
  mc_policy_release(kept);
  mc_policy_release(no_will);
}

static void test_only_an_attached_thing_connects_by_its_name(void)
{
  const char *text = ONE(DENY("\"iot:Connect\"", "[\"" ARN "client/pool-1\",\"" ARN "client/pool-2\"]") ","
                         IF("Allow", "[\"iot:Connect\"]", "[\"" ARN "client/${iot:Connection.Thing.ThingName}\"]", "{\"Bool\":{\"iot:Connection.Thing.IsAttached\":\"true\"}}"));
  CHECK(allows(text, MC_ACTION_CONNECT, "veh-1") && !allows(text, MC_ACTION_CONNECT, "veh-2") && !allows(text, MC_ACTION_CONNECT, "pool-1"));
  static const known_value stranger[] = {{"iot:ClientId", "veh-1"}, {"iot:Connection.Thing.IsAttached", "false"}};
  mc_policy *p = bind_texts(&text, 1, stranger, 2);
  CHECK(!may(p, MC_ACTION_CONNECT, "veh-1"));
  mc_policy_release(p);
}

/* A device of a factory line: publishes below the name in its certificate, when its certificate is of the fleet's organisation. */
static void test_certificate_fields_open_what_they_name(void)
{
  const char *text = ONE(IF("Allow", "\"iot:Publish\"", "\"" ARN "topic/${iot:Certificate.Subject.CommonName}/*\"", "{\"StringEquals\":{\"iot:Certificate.Subject.Country\":\"DE\"},"
                            "\"StringLike\":{\"iot:Certificate.SerialNumber\":\"0a*\"}}"));
  CHECK(allows(text, MC_ACTION_PUBLISH, "veh-1/speed") && !allows(text, MC_ACTION_PUBLISH, "veh-2/speed"));
  static const known_value other[] = {{"iot:Certificate.Subject.CommonName", "veh-1"}, {"iot:Certificate.Subject.Country", "FR"}, {"iot:Certificate.SerialNumber", "0a"}};
  mc_policy *p = bind_texts(&text, 1, other, 3);
  CHECK(!may(p, MC_ACTION_PUBLISH, "veh-1/speed"));
  mc_policy_release(p);
}

static void test_shadows_jobs_and_others_have_resources_of_their_own(void)
{
  const char *text = ONE(ALLOW("[\"iot:GetThingShadow\",\"iot:UpdateThingShadow\"]", "[\"" ARN "thing/${iot:Connection.Thing.ThingName}\",\""
                           ARN "thing/${iot:Connection.Thing.ThingName}/config\"]") ","
                         ALLOW("\"iot:DescribeJobExecution\"", "\"" ARN "thing/veh-*\"") "," ALLOW("\"iot:ListRetainedMessages\"", "\"*\""));
  CHECK(allows(text, MC_ACTION_GET_SHADOW, "veh-1") && allows(text, MC_ACTION_GET_SHADOW, "veh-1/config") && !allows(text, MC_ACTION_GET_SHADOW, "veh-1/other"));
  CHECK(!allows(text, MC_ACTION_DELETE_SHADOW, "veh-1") && !allows(text, MC_ACTION_GET_SHADOW, "veh-2"));
  CHECK(allows(text, MC_ACTION_DESCRIBE_JOB, "veh-7") && !allows(text, MC_ACTION_UPDATE_JOB, "veh-7"));
  CHECK(allows(text, MC_ACTION_LIST_RETAINED, "") && !allows(text, MC_ACTION_GET_RETAINED, "a"));
  CHECK(!allows(ONE(ALLOW("\"iot:ListRetainedMessages\"", "\"" ARN "topic/a\"")), MC_ACTION_LIST_RETAINED, ""));
  CHECK(may(mc_policy_vehicle(), MC_ACTION_GET_SHADOW, "veh-1") && may(mc_policy_vehicle(), MC_ACTION_UPDATE_JOB, "veh-1"));
  CHECK(!may(mc_policy_vehicle(), MC_ACTION_GET_SHADOW, "veh-2/x") && !may(mc_policy_vehicle(), MC_ACTION_DELETE_CONNECTION, "veh-1"));
  CHECK(may(mc_policy_vehicle(), MC_ACTION_RETAIN_PUBLISH, "vehicles/veh-1/a") && !may(mc_policy_vehicle(), MC_ACTION_RETAIN_PUBLISH, "vehicles/veh-2/a"));
}

static void test_names_of_actions_and_resources(void)
{
  mc_action a;
  mc_slice resource;
  mc_why why;
  for (int i = 0; i < MC_ACTIONS; i++)
    CHECK(mc_action_parse(mc_slice_str(mc_action_name((mc_action)i)), &a, &why) == MC_OK && a == (mc_action)i);
  CHECK(mc_action_parse(MC_LIT("Publish"), &a, &why) == MC_ERR_INVALID && strstr(why.text, "iot:Connect"));
  CHECK(mc_action_resource(MC_ACTION_PUBLISH, MC_LIT(ARN "topic/a:b/c"), &resource, &why) == MC_OK && mc_slice_eq_str(resource, "a:b/c"));
  CHECK(mc_action_resource(MC_ACTION_PUBLISH, MC_LIT("topic/a"), &resource, &why) == MC_OK && mc_slice_eq_str(resource, "a"));
  CHECK(mc_action_resource(MC_ACTION_PUBLISH, MC_LIT("client/a"), &resource, &why) == MC_ERR_INVALID && strstr(why.text, "topic/<name>"));
  CHECK(mc_action_resource(MC_ACTION_PUBLISH, MC_LIT("arn:aws:iot:a"), &resource, &why) == MC_ERR_INVALID);
  CHECK(mc_action_resource(MC_ACTION_LIST_RETAINED, MC_LIT("*"), &resource, &why) == MC_OK && resource.len == 0);
}

/* ---- saying why ---- */

static void test_explain_names_the_statement_that_decided(void)
{
  const char *text[] = {"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"Own\",\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"" ARN "topic/dt/${iot:ClientId}/*\"},"
                        "{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"" ARN "topic/dt/*\",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}}}]}",
                        ONE(DENY("\"iot:Publish\"", "[\"" ARN "topic/*/secret\",\"" ARN "topic/x/${iot:Connection.Thing.Attributes[none]}\"]"))};
  mc_policy *p = bind_texts(text, 2, vehicle, KNOWN);
  mc_arena arena = MC_ARENA(0);
  mc_policy_explanation e;
  mc_why why;
  mc_policy_question q = {MC_ACTION_PUBLISH, MC_LIT("dt/veh-1/a"), 0, false};
  CHECK(mc_policy_explain(p, &q, &arena, &e, &why) == MC_OK && e.allowed && !e.denied && e.decided && mc_slice_eq_str(e.decided->sid, "Own"));
  CHECK(mc_slice_eq_str(e.decided->policy, "p0") && e.decided->version == 1 && e.decided->statement == 0 && strstr((const char *)e.decided->resource.data, "dt/${iot:ClientId}/*"));
  CHECK(e.count == 2 && e.finding[1].reason == MC_REASON_CONDITION && mc_slice_eq_str(e.finding[1].condition, "IpAddress aws:SourceIp"));
  CHECK(e.without_count == 1 && mc_slice_eq_str(e.without_value[0], "iot:Connection.Thing.Attributes[none]"));
  q.resource = MC_LIT("dt/veh-1/secret");
  CHECK(mc_policy_explain(p, &q, &arena, &e, &why) == MC_OK && !e.allowed && e.denied && e.decided && e.decided->deny && mc_slice_eq_str(e.decided->policy, "p1") && e.decided->version == 2);
  q.resource = MC_LIT("other");
  CHECK(mc_policy_explain(p, &q, &arena, &e, &why) == MC_OK && !e.allowed && !e.denied && !e.decided && e.count == 0);
  q.resource = MC_LIT("a/#");
  CHECK(mc_policy_explain(p, &q, &arena, &e, &why) == MC_ERR_INVALID);
  CHECK(mc_policy_explain(mc_policy_vehicle(), &q, &arena, &e, &why) == MC_ERR_UNSUPPORTED);
  mc_arena_free(&arena);
  mc_policy_release(p);
}

static void test_the_ready_made_document_is_for_the_agent_and_no_more(void)
{
  mc_slice made = mc_policy_document_vehicle();
  char text[8000];
  CHECK(mc_slice_to_str(made, text, sizeof text));
  mc_policy *p = bound(text);
  CHECK(connects(p, MC_ASKED_PERSISTENT, true) && connects(p, 0, true) && !connects(p, MC_ASKED_WILL, false) && !may(p, MC_ACTION_CONNECT, "veh-2"));
  CHECK(may(p, MC_ACTION_PUBLISH, "$aws/iotfleetwise/vehicles/veh-1/signals") && may(p, MC_ACTION_PUBLISH, "$aws/iotfleetwise/vehicles/veh-1/checkins"));
  CHECK(may(p, MC_ACTION_SUBSCRIBE, "$aws/iotfleetwise/vehicles/veh-1/collection_schemes") && may(p, MC_ACTION_RECEIVE, "$aws/iotfleetwise/vehicles/veh-1/collection_schemes"));
  CHECK(may(p, MC_ACTION_SUBSCRIBE, "$aws/commands/things/veh-1/executions/+/request/protobuf") && may(p, MC_ACTION_RECEIVE, "$aws/commands/things/veh-1/executions/e-1/request/protobuf"));
  CHECK(may(p, MC_ACTION_PUBLISH, "$aws/commands/things/veh-1/executions/e-1/response/protobuf"));
  CHECK(!may(p, MC_ACTION_PUBLISH, "$aws/iotfleetwise/vehicles/veh-2/signals") && !may(p, MC_ACTION_PUBLISH, "$aws/iotfleetwise/vehicles/veh-1/collection_schemes"));
  CHECK(!may(p, MC_ACTION_SUBSCRIBE, "$aws/iotfleetwise/vehicles/veh-1/#") && !may(p, MC_ACTION_SUBSCRIBE, "#") && !may(p, MC_ACTION_PUBLISH, "dt/veh-1/x"));
  CHECK(!may(p, MC_ACTION_RETAIN_PUBLISH, "$aws/iotfleetwise/vehicles/veh-1/signals"));
  mc_policy_release(p);
}

int main(void)
{
  RUN(test_refusals_say_what_and_where);
  RUN(test_limits_hold);
  RUN(test_nothing_is_allowed_that_no_statement_names);
  RUN(test_explicit_deny_wins_whatever_comes_first);
  RUN(test_wildcards_of_documents_are_not_those_of_mqtt);
  RUN(test_escapes_stand_for_letters);
  RUN(test_variables_are_those_of_the_connection);
  RUN(test_a_value_with_wildcards_fails_closed);
  RUN(test_patterns_that_could_run_for_ever_end);
  RUN(test_operators_compare_as_their_names_say);
  RUN(test_times_are_those_of_the_question);
  RUN(test_connect_attributes);
  RUN(test_only_an_attached_thing_connects_by_its_name);
  RUN(test_certificate_fields_open_what_they_name);
  RUN(test_shadows_jobs_and_others_have_resources_of_their_own);
  RUN(test_names_of_actions_and_resources);
  RUN(test_explain_names_the_statement_that_decided);
  RUN(test_the_ready_made_document_is_for_the_agent_and_no_more);
  return tap_done();
}
