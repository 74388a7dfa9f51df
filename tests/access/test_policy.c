#include "access/access.h"
#include "tap.h"

static mc_principal thing(const char *name)
{
  mc_principal who = {.tenant = 1, .kind = MC_PRINCIPAL_THING, .id = 1};
  snprintf(who.name, sizeof who.name, "%s", name);
  return who;
}

static bool vehicle_may(const char *name, mc_action action, const char *resource)
{
  mc_principal who = thing(name);
  return mc_policy_allows(mc_policy_vehicle(), &who, action, mc_slice_str(resource));
}

static void test_vehicle_uses_its_own_topics(void)
{
  static const char *const own[] = {
      "$aws/iotfleetwise/vehicles/truck-7/signals", "$aws/iotfleetwise/vehicles/truck-7/checkins", "cms/fleetwise/vehicles/truck-7/signals",
      "$aws/things/truck-7/shadow/update", "$aws/things/truck-7/jobs/start-next", "$aws/commands/things/truck-7/executions/1/response/protobuf",
      "cms/commands/things/truck-7/executions/1/response/json", "vehicles/truck-7/anything/at/all", "dt/truck-7/a", "cmd/truck-7/lock/res",
      "$aws/things/truck-7/shadow/name/config/get", "$aws/things/truck-7/jobs/$next/update", "$aws/things/truck-7/defender/metrics/json"};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
    CHECK(vehicle_may("truck-7", MC_ACTION_PUBLISH, own[i]));
    CHECK(vehicle_may("truck-7", MC_ACTION_SUBSCRIBE, own[i]));
    CHECK(vehicle_may("truck-7", MC_ACTION_RECEIVE, own[i]));
    CHECK(!vehicle_may("truck-8", MC_ACTION_PUBLISH, own[i]));
    CHECK(!vehicle_may("truck-8", MC_ACTION_SUBSCRIBE, own[i]));
    CHECK(!vehicle_may("truck-8", MC_ACTION_RECEIVE, own[i]));
    CHECK(!vehicle_may("truck", MC_ACTION_PUBLISH, own[i]));
    CHECK(!vehicle_may("truck-77", MC_ACTION_PUBLISH, own[i]));
  }
}

static void test_vehicle_cannot_publish_what_it_is_meant_to_receive(void)
{
  static const char *const down[] = {
      "$aws/iotfleetwise/vehicles/truck-7/decoder_manifests", "$aws/iotfleetwise/vehicles/truck-7/collection_schemes", "$aws/iotfleetwise/vehicles/truck-7/last_known_states/config",
      "cms/fleetwise/vehicles/truck-7/decoder_manifests", "cms/fleetwise/vehicles/truck-7/collection_schemes", "cms/fleetwise/vehicles/truck-7/new_in_a_later_release",
      "$aws/things/truck-7/shadow/update/accepted", "$aws/things/truck-7/shadow/update/delta", "$aws/things/truck-7/shadow/update/documents",
      "$aws/things/truck-7/shadow/name/config/update/delta", "$aws/things/truck-7/jobs/notify", "$aws/things/truck-7/jobs/notify-next",
      "$aws/things/truck-7/jobs/get/accepted", "$aws/things/truck-7/jobs/7/update/rejected", "$aws/things/truck-7/tunnels/notify",
      "$aws/things/truck-7/streams/1/data/cbor", "$aws/things/truck-7/defender/metrics/json/accepted",
      "$aws/commands/things/truck-7/executions/1/request/json", "$aws/commands/things/truck-7/executions/1/request", "$aws/commands/things/truck-7/executions/1/response/accepted/json",
      "cms/commands/things/truck-7/executions/1/request/json", "cmd/truck-7/lock", "cmd/truck-7/lock/req", "cmd/truck-7"};
  mc_principal dev = thing("truck-7");
  dev.kind = MC_PRINCIPAL_DEV;
  for (size_t i = 0; i < sizeof down / sizeof down[0]; i++) {
    if (vehicle_may("truck-7", MC_ACTION_PUBLISH, down[i]))
      TAP_FAIL("a vehicle may publish %s", down[i]);
    CHECK(vehicle_may("truck-7", MC_ACTION_SUBSCRIBE, down[i]));
    CHECK(vehicle_may("truck-7", MC_ACTION_RECEIVE, down[i]));
    if (down[i][0] == '$')
      CHECK(!mc_policy_allows(mc_policy_all(), &dev, MC_ACTION_PUBLISH, mc_slice_str(down[i])));
  }
  /* What needs more says so in a policy of its own. */
  mc_policy *p = NULL;
  CHECK_OK(mc_policy_parse(MC_LIT("{\"publish\":[\"cmd/${thing}/#\"]}"), &p, NULL));
  mc_principal who = thing("truck-7");
  CHECK(mc_policy_allows(p, &who, MC_ACTION_PUBLISH, MC_LIT("cmd/truck-7/lock")));
  mc_policy_release(p);
}

static void test_vehicle_connects_under_its_own_name_only(void)
{
  CHECK(vehicle_may("truck-7", MC_ACTION_CONNECT, "truck-7"));
  CHECK(!vehicle_may("truck-7", MC_ACTION_CONNECT, "truck-8"));
  CHECK(!vehicle_may("truck-7", MC_ACTION_CONNECT, "truck-7-b"));
  CHECK(!vehicle_may("truck-7", MC_ACTION_CONNECT, ""));
  CHECK(!vehicle_may("truck-7", MC_ACTION_CONNECT, "+"));
}

static void test_a_filter_must_lie_inside_what_is_allowed(void)
{
  CHECK(vehicle_may("a", MC_ACTION_SUBSCRIBE, "vehicles/a/#"));
  CHECK(vehicle_may("a", MC_ACTION_SUBSCRIBE, "vehicles/a"));
  CHECK(vehicle_may("a", MC_ACTION_SUBSCRIBE, "vehicles/a/+/x/#"));
  CHECK(vehicle_may("a", MC_ACTION_SUBSCRIBE, "$share/group/vehicles/a/#"));
  CHECK(vehicle_may("a", MC_ACTION_SUBSCRIBE, "$aws/events/job/+/cancellation_in_progress"));
  CHECK(vehicle_may("a", MC_ACTION_RECEIVE, "$aws/events/job/17/cancellation_in_progress"));
  static const char *const wide[] = {"#", "+", "+/#", "vehicles/#", "vehicles/+/x", "vehicles/+/#", "+/a/#", "$aws/#", "$aws/things/+/shadow/update",
                                     "$share/g/#", "$share//vehicles/a/#", "$share/g", "$share/g/", "$share/+/vehicles/a/#", "vehicles", "vehicles/",
                                     "vehicles//a", "/vehicles/a/x", "$aws/events/job/#", "$aws/events/job/+/+", "", "$SYS/#"};
  for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
    if (vehicle_may("a", MC_ACTION_SUBSCRIBE, wide[i]))
      TAP_FAIL("filter %s was let through", wide[i]);
  CHECK(!vehicle_may("a", MC_ACTION_PUBLISH, "$aws/events/job/17/cancellation_in_progress"));
  CHECK(!vehicle_may("a", MC_ACTION_PUBLISH, "vehicles/a/#"));
  CHECK(!vehicle_may("a", MC_ACTION_PUBLISH, "vehicles/a/+"));
}

static void test_hostile_names_never_widen_a_topic(void)
{
  static const char *const hostile[] = {"+", "#", "*", "?", "$", "a+", "#a", "a/b", "/", "a/#", "${thing}", "$aws", "", "\x01", "a\x7f"};
  static const char *const resource[] = {"vehicles/b/x", "vehicles/+/x", "vehicles/#/#", "$aws/things/b/shadow/update", "vehicles/+/#",
                                         "vehicles/#", "dt/a/b/x", "dt/a/b/c", "vehicles/${thing}/x", "vehicles//x", "$aws/things/+/#"};
  for (size_t h = 0; h < sizeof hostile / sizeof hostile[0]; h++) {
    for (size_t r = 0; r < sizeof resource / sizeof resource[0]; r++)
      for (int action = MC_ACTION_PUBLISH; action <= MC_ACTION_RECEIVE; action++)
        if (vehicle_may(hostile[h], (mc_action)action, resource[r]))
          TAP_FAIL("name \"%s\" opened %s (action %d)", hostile[h], resource[r], action);
    CHECK(!vehicle_may(hostile[h], MC_ACTION_CONNECT, hostile[h]));
  }
  mc_policy *p = NULL;
  CHECK_OK(mc_policy_parse(MC_LIT("{\"publish\":[\"x/${thing}/y\"],\"subscribe\":[\"x/${thing}/y\",\"pre-${thing}/#\"]}"), &p, NULL));
  for (size_t h = 0; h < sizeof hostile / sizeof hostile[0]; h++) {
    mc_principal who = thing(hostile[h]);
    CHECK(!mc_policy_allows(p, &who, MC_ACTION_SUBSCRIBE, MC_LIT("x/+/y")));
    CHECK(!mc_policy_allows(p, &who, MC_ACTION_PUBLISH, MC_LIT("x/b/y")));
    CHECK(!mc_policy_allows(p, &who, MC_ACTION_SUBSCRIBE, MC_LIT("pre-a/#")));
  }
  mc_policy_release(p);
}

static void test_service_policy_names_what_it_may(void)
{
  mc_policy *p = NULL;
  mc_why why = {0};
  CHECK_OK(mc_policy_parse(MC_LIT("{\"publish\":[\"a/#\",\"out/${thing}/${thing}-x\"],\"subscribe\":[\"b/+/c\",\"+/open\"],\"connect\":[\"pool-1\"]}"), &p, &why));
  mc_principal who = thing("svc");
  who.kind = MC_PRINCIPAL_SERVICE;
  CHECK(mc_policy_allows(p, &who, MC_ACTION_PUBLISH, MC_LIT("a")));
  CHECK(mc_policy_allows(p, &who, MC_ACTION_PUBLISH, MC_LIT("a/b/c")));
  CHECK(mc_policy_allows(p, &who, MC_ACTION_PUBLISH, MC_LIT("out/svc/svc-x")));
  CHECK(!mc_policy_allows(p, &who, MC_ACTION_PUBLISH, MC_LIT("out/svc/other-x")));
  CHECK(!mc_policy_allows(p, &who, MC_ACTION_PUBLISH, MC_LIT("b/1/c")));
  CHECK(mc_policy_allows(p, &who, MC_ACTION_SUBSCRIBE, MC_LIT("b/+/c")));
  CHECK(mc_policy_allows(p, &who, MC_ACTION_SUBSCRIBE, MC_LIT("b/7/c")));
  CHECK(mc_policy_allows(p, &who, MC_ACTION_RECEIVE, MC_LIT("b/7/c")));
  CHECK(!mc_policy_allows(p, &who, MC_ACTION_SUBSCRIBE, MC_LIT("b/#")));
  CHECK(!mc_policy_allows(p, &who, MC_ACTION_SUBSCRIBE, MC_LIT("b/+/c/d")));
  CHECK(mc_policy_allows(p, &who, MC_ACTION_SUBSCRIBE, MC_LIT("x/open")));
  CHECK(!mc_policy_allows(p, &who, MC_ACTION_SUBSCRIBE, MC_LIT("$aws/open")));
  CHECK(mc_policy_allows(p, &who, MC_ACTION_CONNECT, MC_LIT("svc")));
  CHECK(mc_policy_allows(p, &who, MC_ACTION_CONNECT, MC_LIT("svc/2")));
  CHECK(mc_policy_allows(p, &who, MC_ACTION_CONNECT, MC_LIT("pool-1")));
  CHECK(!mc_policy_allows(p, &who, MC_ACTION_CONNECT, MC_LIT("svc-2")));
  mc_policy_retain(p);
  mc_policy_release(p);
  CHECK(mc_policy_allows(p, &who, MC_ACTION_PUBLISH, MC_LIT("a/b")));
  mc_policy_release(p);
  CHECK(!mc_policy_allows(NULL, &who, MC_ACTION_PUBLISH, MC_LIT("a/b")));
}

static void test_policy_refusals_say_where(void)
{
  static const struct {
    const char *json, *part;
  } bad[] = {
      {"", "JSON"},
      {"[]", "object"},
      {"{\"publish\":\"a\"}", "/publish"},
      {"{\"publish\":[1]}", "/publish/0"},
      {"{\"publish\":[\"\"]}", "/publish/0"},
      {"{\"subscribe\":[\"a\",\"a/#/b\"]}", "/subscribe/1"},
      {"{\"subscribe\":[\"a+/b\"]}", "stand alone"},
      {"{\"subscribe\":[\"${iot:ClientId}\"]}", "${thing}"},
      {"{\"subscribe\":[\"a\\u0000b\"]}", "JSON"},
      {"{\"deny\":[]}", "/deny"},
      {"{\"publish\":[],\"publish\":[]}", "JSON"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    mc_policy *p = NULL;
    mc_why why = {0};
    CHECK(mc_policy_parse(mc_slice_str(bad[i].json), &p, &why) != MC_OK);
    CHECK(p == NULL);
    CHECK_WHY(why, bad[i].part);
  }
  char big[1200];
  memset(big, 'a', sizeof big);
  mc_buf b = {0};
  mc_buf_printf(&b, "{\"publish\":[\"%.*s\"]}", 1100, big);
  mc_policy *p = NULL;
  CHECK_INT(mc_policy_parse(mc_buf_slice(&b), &p, NULL), MC_ERR_INVALID);
  mc_buf_free(&b);
}

static void test_all_policy_keeps_devices_out_of_each_others_reserved_topics(void)
{
  mc_principal dev = thing("me");
  dev.kind = MC_PRINCIPAL_DEV;
  const mc_policy *all = mc_policy_all();
  CHECK(mc_policy_allows(all, &dev, MC_ACTION_PUBLISH, MC_LIT("any/thing")));
  CHECK(mc_policy_allows(all, &dev, MC_ACTION_SUBSCRIBE, MC_LIT("#")));
  CHECK(mc_policy_allows(all, &dev, MC_ACTION_PUBLISH, MC_LIT("$aws/things/me/shadow/update")));
  CHECK(!mc_policy_allows(all, &dev, MC_ACTION_PUBLISH, MC_LIT("$aws/things/you/shadow/update")));
  CHECK(!mc_policy_allows(all, &dev, MC_ACTION_SUBSCRIBE, MC_LIT("$aws/#")));
  CHECK(!mc_policy_allows(all, &dev, MC_ACTION_PUBLISH, MC_LIT("$SYS/x")));
  CHECK(!mc_policy_allows(all, &dev, MC_ACTION_PUBLISH, MC_LIT("a/+")));
  mc_principal platform = {.kind = MC_PRINCIPAL_NONE};
  CHECK(mc_policy_allows(all, &platform, MC_ACTION_PUBLISH, MC_LIT("$aws/things/you/jobs/notify")));
}

int main(void)
{
  RUN(test_vehicle_uses_its_own_topics);
  RUN(test_vehicle_cannot_publish_what_it_is_meant_to_receive);
  RUN(test_vehicle_connects_under_its_own_name_only);
  RUN(test_a_filter_must_lie_inside_what_is_allowed);
  RUN(test_hostile_names_never_widen_a_topic);
  RUN(test_service_policy_names_what_it_may);
  RUN(test_policy_refusals_say_where);
  RUN(test_all_policy_keeps_devices_out_of_each_others_reserved_topics);
  return tap_done();
}
