/* Policies of devices: versions, attachments, what decides at the door, and that every change moves the epoch. */
#include <stdatomic.h>
#include <unistd.h>

#include "registry_fixture.h"

#define ARN "arn:aws:iot:eu-central-1:123456789012:"
#define DOCUMENT(effect, action, resource) "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"" effect "\",\"Action\":\"" action "\",\"Resource\":\"" resource "\"}]}"

static mc_registry *r;
static mc_db *db;
static mc_why why;
static mc_vehicle truck;
static mc_thing thing;
static mc_thing_group group;
static mc_buf cert, key;
static mc_peer peer;

static void open_all(const char *path)
{
  r = fixture_open(&db, path);
  mc_buf_clear(&cert);
  mc_buf_clear(&key);
  if (fixture_vehicle(r, 1, "truck-1", &truck, &why) || mc_registry_thing_find(r, 1, MC_LIT("truck-1"), &thing) ||
      mc_registry_group_create(r, 1, MC_LIT("fleet"), (mc_slice){0}, &group, &why) || mc_registry_certificate_issue(r, 1, MC_LIT("truck-1"), 30, &cert, &key, &why)) {
    printf("Bail out! %s\n", why.text);
    exit(2);
  }
  peer = fixture_peer(mc_buf_slice(&cert), true);
  snprintf(peer.address, sizeof peer.address, "198.51.100.7:4711");
  snprintf(peer.server_name, sizeof peer.server_name, "fleet.example");
}

static void close_all(void)
{
  mc_registry_close(&r);
  mc_db_close(&db);
}

static bool allowed_for(const mc_peer *from, const char *client_id, mc_action action, const char *resource)
{
  mc_principal who;
  const mc_policy *policy;
  if (mc_registry_authenticate(r, from, &who, &policy, &why))
    return false;
  mc_policy_release(policy);
  mc_policy_connection c = mc_policy_connection_of(from, mc_slice_str(client_id));
  if (mc_registry_policy_for(r, &who, &c, &policy, &why))
    return false;
  bool yes = mc_policy_allows(policy, &who, action, mc_slice_str(resource));
  mc_policy_release(policy);
  return yes;
}

static bool allowed(mc_action action, const char *resource) { return allowed_for(&peer, "truck-1", action, resource); }

static uint64_t epoch(void) { return atomic_load(mc_registry_policy_epoch(r)); }

static mc_policy_target to_certificate(void)
{
  mc_policy_target t = {.group = 0};
  memcpy(t.fingerprint, peer.cert.fingerprint, MC_FINGERPRINT);
  return t;
}

static void test_documents_take_the_place_of_the_built_in_policy(void)
{
  mc_device_policy p;
  open_all(":memory:");
  mc_policy_target certificate = to_certificate(), members = {.group = group.id};
  CHECK(allowed(MC_ACTION_PUBLISH, "dt/truck-1/x") && !allowed(MC_ACTION_PUBLISH, "open/x"));
  CHECK_OK(mc_registry_policy_create(r, 1, MC_LIT("open"), MC_LIT(DOCUMENT("Allow", "iot:*", ARN "topic/open/*")), &p, &why));
  CHECK(p.version == 1 && p.versions == 1 && p.attachments == 0 && allowed(MC_ACTION_PUBLISH, "dt/truck-1/x"));
  uint64_t before = epoch();
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("open"), &certificate, &why));
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("open"), &certificate, &why)); /* twice is no mistake */
  CHECK(epoch() != before && allowed(MC_ACTION_PUBLISH, "open/x") && !allowed(MC_ACTION_PUBLISH, "dt/truck-1/x"));
  CHECK_OK(mc_registry_policy_create(r, 1, MC_LIT("no-secrets"), MC_LIT(DOCUMENT("Deny", "iot:Publish", ARN "topic/open/secret")), &p, &why));
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("no-secrets"), &members, &why));
  CHECK(allowed(MC_ACTION_PUBLISH, "open/secret"));
  before = epoch();
  CHECK_OK(mc_registry_group_add(r, 1, group.id, MC_LIT("truck-1"), &why));
  CHECK(epoch() != before && !allowed(MC_ACTION_PUBLISH, "open/secret") && allowed(MC_ACTION_PUBLISH, "open/x"));
  before = epoch();
  CHECK_OK(mc_registry_group_remove(r, 1, group.id, MC_LIT("truck-1"), &why));
  CHECK(epoch() != before && allowed(MC_ACTION_PUBLISH, "open/secret"));
  CHECK_OK(mc_registry_policy_detach(r, 1, MC_LIT("open"), &certificate, &why));
  CHECK(allowed(MC_ACTION_PUBLISH, "dt/truck-1/x") && !allowed(MC_ACTION_PUBLISH, "open/x"));
  CHECK_INT(mc_registry_policy_detach(r, 1, MC_LIT("open"), &certificate, &why), MC_ERR_NOT_FOUND);
  close_all();
}

static void test_the_default_version_decides(void)
{
  mc_device_policy p;
  uint32_t version;
  mc_policy_version *list;
  size_t n;
  mc_arena arena = MC_ARENA(0);
  open_all(":memory:");
  mc_policy_target certificate = to_certificate();
  CHECK_OK(mc_registry_policy_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:*", ARN "topic/one")), &p, &why));
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("p"), &certificate, &why));
  CHECK_OK(mc_registry_policy_version_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:*", ARN "topic/two")), false, &version, &why));
  CHECK(version == 2 && allowed(MC_ACTION_PUBLISH, "one") && !allowed(MC_ACTION_PUBLISH, "two"));
  uint64_t before = epoch();
  CHECK_OK(mc_registry_policy_version_default(r, 1, MC_LIT("p"), 2, &why));
  CHECK(epoch() != before && !allowed(MC_ACTION_PUBLISH, "one") && allowed(MC_ACTION_PUBLISH, "two"));
  CHECK_INT(mc_registry_policy_version_delete(r, 1, MC_LIT("p"), 2, &why), MC_ERR_CONFLICT);
  CHECK_OK(mc_registry_policy_version_delete(r, 1, MC_LIT("p"), 1, &why));
  CHECK_OK(mc_registry_policy_version_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:*", ARN "topic/three")), true, &version, &why));
  CHECK(version == 3 && allowed(MC_ACTION_PUBLISH, "three") && !allowed(MC_ACTION_PUBLISH, "two")); /* numbers do not come back */
  CHECK_OK(mc_registry_policy_versions(r, 1, MC_LIT("p"), &arena, &list, &n, &why));
  CHECK(n == 2 && list[0].version == 3 && list[0].is_default && list[1].version == 2 && strstr((const char *)list[1].document.data, "topic/two"));
  CHECK_INT(mc_registry_policy_version_default(r, 1, MC_LIT("p"), 1, &why), MC_ERR_NOT_FOUND);
  for (int i = 0; i < 18; i++)
    CHECK_OK(mc_registry_policy_version_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:*", "*")), false, &version, &why));
  CHECK_INT(mc_registry_policy_version_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:*", "*")), false, &version, &why), MC_ERR_FULL);
  CHECK(strstr(why.text, "policy_versions"));
  mc_arena_free(&arena);
  close_all();
}

static void test_refusals(void)
{
  mc_device_policy p;
  uint32_t version;
  open_all(":memory:");
  mc_policy_target certificate = to_certificate(), unknown = {.fingerprint = {1}}, nowhere = {.group = 99}, members = {.group = group.id};
  CHECK_INT(mc_registry_policy_create(r, 1, MC_LIT("a b"), MC_LIT(DOCUMENT("Allow", "iot:*", "*")), &p, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_policy_create(r, 1, MC_LIT(""), MC_LIT(DOCUMENT("Allow", "iot:*", "*")), &p, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_policy_create(r, 1, MC_LIT("p"), MC_LIT("{"), &p, &why), MC_ERR_MALFORMED);
  CHECK_INT(mc_registry_policy_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Maybe", "iot:*", "*")), &p, &why), MC_ERR_INVALID);
  CHECK(strstr(why.text, "Statement[0].Effect"));
  CHECK_INT(mc_registry_policy_create(r, 9, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:*", "*")), &p, &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_registry_policy_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:*", "*")), &p, &why));
  CHECK_INT(mc_registry_policy_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:*", "*")), &p, &why), MC_ERR_EXISTS);
  CHECK_INT(mc_registry_policy_attach(r, 1, MC_LIT("q"), &certificate, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_policy_attach(r, 1, MC_LIT("p"), &unknown, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_policy_attach(r, 1, MC_LIT("p"), &nowhere, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_policy_version_create(r, 1, MC_LIT("q"), MC_LIT(DOCUMENT("Allow", "iot:*", "*")), false, &version, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_policy_get(r, 2, MC_LIT("p"), &p, &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("p"), &members, &why));
  CHECK_INT(mc_registry_policy_delete(r, 1, MC_LIT("p"), &why), MC_ERR_CONFLICT);
  CHECK_OK(mc_registry_policy_detach(r, 1, MC_LIT("p"), &members, &why));
  CHECK_OK(mc_registry_policy_delete(r, 1, MC_LIT("p"), &why));
  CHECK_INT(mc_registry_policy_delete(r, 1, MC_LIT("p"), &why), MC_ERR_NOT_FOUND);
  char name[24];
  for (int i = 0; i <= 20; i++) {
    snprintf(name, sizeof name, "many-%u", (unsigned)i % 100);
    CHECK_OK(mc_registry_policy_create(r, 1, mc_slice_str(name), MC_LIT(DOCUMENT("Allow", "iot:*", "*")), &p, &why));
    CHECK_INT(mc_registry_policy_attach(r, 1, mc_slice_str(name), &certificate, &why), i < 20 ? MC_OK : MC_ERR_FULL);
  }
  close_all();
}

static void test_variables_follow_what_they_stand_for(void)
{
  mc_device_policy p;
  open_all(":memory:");
  mc_policy_target certificate = to_certificate();
  mc_attribute depot = {MC_LIT("depot"), MC_LIT("north")};
  CHECK_OK(mc_registry_vehicle_set_attributes(r, 1, truck.id, &depot, 1, false, &why));
  CHECK_OK(mc_registry_policy_create(r, 1, MC_LIT("p"),
                                     MC_LIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":["
                                            "\"" ARN "topic/d/${iot:Connection.Thing.Attributes[depot]}\",\"" ARN "topic/t/${iot:Connection.Thing.ThingTypeName}\","
                                            "\"" ARN "topic/c/${iot:ClientId}\",\"" ARN "topic/n/${iot:Connection.Thing.ThingName}\",\"" ARN "topic/i/${aws:SourceIp}\","
                                            "\"" ARN "topic/h/${iot:DomainName}\",\"" ARN "topic/cn/${iot:Certificate.Subject.CommonName}\","
                                            "\"" ARN "topic/ca/${iot:Certificate.Issuer.CommonName}\",\"" ARN "topic/s/${iot:Certificate.SerialNumber}\"]}]}"),
                                     &p, &why));
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("p"), &certificate, &why));
  char serial[60];
  snprintf(serial, sizeof serial, "s/%.43s", peer.cert.serial);
  CHECK(allowed(MC_ACTION_PUBLISH, "d/north") && allowed(MC_ACTION_PUBLISH, "c/truck-1") && allowed(MC_ACTION_PUBLISH, "n/truck-1") && allowed(MC_ACTION_PUBLISH, "i/198.51.100.7"));
  CHECK(allowed(MC_ACTION_PUBLISH, "h/fleet.example") && allowed(MC_ACTION_PUBLISH, "cn/truck-1") && allowed(MC_ACTION_PUBLISH, "ca/test ca") && allowed(MC_ACTION_PUBLISH, serial));
  CHECK(!allowed(MC_ACTION_PUBLISH, "t/truck"));
  /* Under another client id it is no attached thing (contract, "Policy variables"). */
  CHECK(allowed_for(&peer, "other", MC_ACTION_PUBLISH, "c/other") && !allowed_for(&peer, "other", MC_ACTION_PUBLISH, "n/truck-1") && !allowed_for(&peer, "other", MC_ACTION_PUBLISH, "d/north"));
  uint64_t before = epoch();
  mc_attribute moved = {MC_LIT("depot"), MC_LIT("south")}, other = {MC_LIT("colour"), MC_LIT("red")};
  CHECK_OK(mc_registry_vehicle_set_attributes(r, 1, truck.id, &moved, 1, false, &why));
  CHECK(epoch() != before && allowed(MC_ACTION_PUBLISH, "d/south") && !allowed(MC_ACTION_PUBLISH, "d/north"));
  CHECK_OK(mc_registry_vehicle_set_attributes(r, 1, truck.id, &other, 1, true, &why));
  CHECK(!allowed(MC_ACTION_PUBLISH, "d/south"));
  before = epoch();
  snprintf(truck.kind, sizeof truck.kind, "truck");
  CHECK_OK(mc_registry_vehicle_update(r, &truck, &why));
  CHECK(epoch() != before && allowed(MC_ACTION_PUBLISH, "t/truck"));
  before = epoch();
  CHECK_OK(mc_registry_vehicle_delete(r, 1, truck.id, &why));
  CHECK(epoch() != before && !allowed(MC_ACTION_PUBLISH, "t/truck") && allowed(MC_ACTION_PUBLISH, "n/truck-1"));
  close_all();
}

/* FleetWise's CreateVehicle and UpdateVehicle bring attributes along with the vehicle. */
static void test_attributes_that_come_along_with_a_vehicle(void)
{
  mc_device_policy p;
  open_all(":memory:");
  mc_policy_target certificate = to_certificate();
  CHECK_OK(mc_registry_policy_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:Publish", ARN "topic/d/${iot:Connection.Thing.Attributes[depot]}")), &p, &why));
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("p"), &certificate, &why));
  CHECK(!allowed(MC_ACTION_PUBLISH, "d/north"));
  mc_attribute depot = {MC_LIT("depot"), MC_LIT("north")};
  mc_registry_with with = {.attribute = &depot, .attribute_count = 1};
  uint64_t before = epoch();
  CHECK_OK(mc_registry_vehicle_update_with(r, &truck, &with, &why));
  CHECK(epoch() != before && allowed(MC_ACTION_PUBLISH, "d/north"));
  depot.value = MC_LIT("south");
  before = epoch();
  CHECK_OK(mc_registry_vehicle_update_with(r, &truck, &with, &why));
  CHECK(epoch() != before && !allowed(MC_ACTION_PUBLISH, "d/north") && allowed(MC_ACTION_PUBLISH, "d/south"));
  CHECK_OK(mc_registry_vehicle_update_with(r, &truck, &(mc_registry_with){.attribute = &depot, .attribute_count = 0, .replace = true}, &why));
  CHECK(!allowed(MC_ACTION_PUBLISH, "d/south"));
  CHECK_OK(mc_registry_vehicle_delete(r, 1, truck.id, &why)); /* its device stays, and gets the next one of its name */
  mc_vehicle next = {.tenant = 1, .name = "truck-1"};
  CHECK_OK(mc_registry_vehicle_create_with(r, &next, true, &with, &why));
  CHECK(allowed(MC_ACTION_PUBLISH, "d/south"));
  mc_vehicle fresh = {.tenant = 1, .name = "truck-2"};
  CHECK_OK(mc_registry_vehicle_create_with(r, &fresh, false, &with, &why));
  mc_buf_clear(&cert);
  mc_buf_clear(&key);
  CHECK_OK(mc_registry_certificate_issue(r, 1, MC_LIT("truck-2"), 30, &cert, &key, &why));
  peer = fixture_peer(mc_buf_slice(&cert), true);
  certificate = to_certificate();
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("p"), &certificate, &why));
  CHECK(allowed_for(&peer, "truck-2", MC_ACTION_PUBLISH, "d/south") && !allowed_for(&peer, "truck-2", MC_ACTION_PUBLISH, "d/north"));
  close_all();
}

static void test_fields_of_a_certificate_that_others_issued(void)
{
  mc_device_policy p;
  mc_buf other_ca = {0}, other_key = {0}, foreign = {0}, foreign_key = {0};
  open_all(":memory:");
  CHECK_OK(mc_pki_create_ca("Other authority", 30, &other_ca, &other_key, &why));
  CHECK_OK(mc_pki_issue_server(mc_buf_slice(&other_ca), mc_buf_slice(&other_key), "unit-77", "unit-77.example,192.0.2.9", 30, &foreign, &foreign_key, &why));
  CHECK_OK(mc_registry_certificate_register(r, 1, MC_LIT("truck-1"), mc_buf_slice(&foreign), &why));
  mc_peer from = fixture_peer(mc_buf_slice(&foreign), false);
  CHECK_OK(mc_registry_policy_create(r, 1, MC_LIT("p"),
                                     MC_LIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":["
                                            "\"" ARN "topic/cn/${iot:Certificate.Subject.CommonName}\",\"" ARN "topic/ca/${iot:Certificate.Issuer.CommonName}\","
                                            "\"" ARN "topic/dns/${iot:Certificate.Subject.AlternativeName.DNSName}\",\"" ARN "topic/ip/${iot:Certificate.Subject.AlternativeName.IPAddress}\"],"
                                            "\"Condition\":{\"ForAnyValue:StringEquals\":{\"iot:Certificate.AvailableKeys\":[\"Subject.CommonName\"]}}}]}"),
                                     &p, &why));
  mc_policy_target t = {.group = 0};
  memcpy(t.fingerprint, from.cert.fingerprint, MC_FINGERPRINT);
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("p"), &t, &why));
  CHECK(allowed_for(&from, "truck-1", MC_ACTION_PUBLISH, "cn/unit-77") && allowed_for(&from, "truck-1", MC_ACTION_PUBLISH, "ca/Other authority"));
  CHECK(allowed_for(&from, "truck-1", MC_ACTION_PUBLISH, "dns/unit-77.example") && allowed_for(&from, "truck-1", MC_ACTION_PUBLISH, "ip/192.0.2.9"));
  CHECK(!allowed_for(&from, "truck-1", MC_ACTION_PUBLISH, "cn/truck-1"));
  CHECK(allowed(MC_ACTION_PUBLISH, "dt/truck-1/x")); /* the other certificate has nothing attached */
  /* As in a database of before: nothing is known of its issuer, least of all that it was we. */
  CHECK_OK(mc_db_run(db, &why, "DELETE FROM certificate_field", ""));
  mc_registry_close(&r);
  r = fixture_open(&db, ":memory:");
  CHECK(r && allowed_for(&from, "truck-1", MC_ACTION_PUBLISH, "cn/unit-77"));
  CHECK(!allowed_for(&from, "truck-1", MC_ACTION_PUBLISH, "ca/test ca") && !allowed_for(&from, "truck-1", MC_ACTION_PUBLISH, "ca/Other authority"));
  mc_buf_free(&other_ca);
  mc_buf_free(&other_key);
  mc_buf_free(&foreign);
  mc_buf_free(&foreign_key);
  close_all();
}

static void test_all_is_there_after_a_restart(void)
{
  char path[] = "/tmp/mc-policy-XXXXXX";
  mc_device_policy p;
  mc_policy_target *target;
  size_t n;
  mc_arena arena = MC_ARENA(0);
  CHECK(mkstemp(path) >= 0);
  open_all(path);
  mc_policy_target certificate = to_certificate(), members = {.group = group.id};
  mc_attribute depot = {MC_LIT("depot"), MC_LIT("north")};
  CHECK_OK(mc_registry_vehicle_set_attributes(r, 1, truck.id, &depot, 1, false, &why));
  CHECK_OK(mc_registry_policy_create(r, 1, MC_LIT("p"), MC_LIT(DOCUMENT("Allow", "iot:*", ARN "topic/${iot:Connection.Thing.Attributes[depot]}/*")), &p, &why));
  CHECK_OK(mc_registry_policy_create(r, 1, MC_LIT("q"), MC_LIT(DOCUMENT("Deny", "iot:*", ARN "topic/*/b")), &p, &why));
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("p"), &certificate, &why));
  CHECK_OK(mc_registry_policy_attach(r, 1, MC_LIT("q"), &members, &why));
  CHECK_OK(mc_registry_group_add(r, 1, group.id, MC_LIT("truck-1"), &why));
  mc_registry_close(&r);
  r = fixture_open(&db, path);
  CHECK(r && allowed(MC_ACTION_PUBLISH, "north/a") && !allowed(MC_ACTION_PUBLISH, "north/b") && !allowed(MC_ACTION_PUBLISH, "dt/truck-1/x"));
  CHECK_OK(mc_registry_policy_targets(r, 1, MC_LIT("p"), &arena, &target, &n, &why));
  CHECK(n == 1 && !target[0].group && !strcmp(target[0].name, "truck-1"));
  CHECK_OK(mc_registry_policy_targets(r, 1, MC_LIT("q"), &arena, &target, &n, &why));
  CHECK(n == 1 && target[0].group == group.id && !strcmp(target[0].name, "fleet"));
  mc_arena_free(&arena);
  close_all();
  unlink(path);
}

int main(void)
{
  RUN(test_documents_take_the_place_of_the_built_in_policy);
  RUN(test_the_default_version_decides);
  RUN(test_refusals);
  RUN(test_variables_follow_what_they_stand_for);
  RUN(test_attributes_that_come_along_with_a_vehicle);
  RUN(test_fields_of_a_certificate_that_others_issued);
  RUN(test_all_is_there_after_a_restart);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  mc_buf_free(&fixture_ca_cert);
  mc_buf_free(&fixture_ca_key);
  return tap_done();
}
