#include "registry_fixture.h"

static mc_db *db;
static mc_registry *r;
static int revoked_calls;
static uint32_t revoked_thing;

static void on_revoked(void *ctx, uint32_t tenant, uint32_t thing, const uint8_t fingerprint[MC_FINGERPRINT])
{
  mc_vehicle v;
  revoked_calls++;
  revoked_thing = thing;
  mc_registry_vehicle_get(r, tenant, 1, &v); /* no lock is held: calling back in is fine */
}

static void open_world(void)
{
  db = NULL;
  r = fixture_open(&db, ":memory:");
  mc_vehicle v;
  fixture_vehicle(r, 1, "truck-7", &v, NULL);
  fixture_vehicle(r, 1, "truck-8", &v, NULL);
  revoked_calls = 0;
  mc_registry_on_revoked(r, on_revoked, NULL);
}

static void close_world(void)
{
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_an_issued_certificate_opens_the_door_for_its_thing_only(void)
{
  open_world();
  mc_buf cert = {0}, key = {0};
  mc_why why = {0};
  CHECK_OK(mc_registry_certificate_issue(r, 1, MC_LIT("truck-7"), 30, &cert, &key, &why));
  CHECK(memmem(key.data, key.len, "PRIVATE KEY", 11));
  for (int round = 0; round < 2; round++) {
    mc_peer peer = fixture_peer(mc_buf_slice(&cert), true);
    mc_principal who;
    const mc_policy *policy;
    CHECK_OK(mc_registry_authenticate(r, &peer, &who, &policy, &why));
    CHECK_STR(who.name, "truck-7");
    CHECK_INT(who.tenant, 1);
    CHECK_INT(who.kind, MC_PRINCIPAL_THING);
    CHECK(mc_policy_allows(policy, &who, MC_ACTION_PUBLISH, MC_LIT("vehicles/truck-7/x")));
    CHECK(!mc_policy_allows(policy, &who, MC_ACTION_PUBLISH, MC_LIT("vehicles/truck-8/x")));
    mc_policy_release(policy);
    mc_registry_close(&r); /* and after a restart */
    r = fixture_open(&db, ":memory:");
  }
  mc_buf_free(&cert);
  mc_buf_free(&key);
  close_world();
}

static void test_a_revoked_certificate_is_refused_and_the_text_says_what_to_do(void)
{
  open_world();
  mc_buf cert = {0}, key = {0};
  mc_why why = {0};
  mc_principal who;
  const mc_policy *policy;
  CHECK_OK(mc_registry_certificate_issue(r, 1, MC_LIT("truck-7"), 30, &cert, &key, &why));
  mc_peer peer = fixture_peer(mc_buf_slice(&cert), true);
  peer.resumed = true; /* resumed TLS is no way around */
  CHECK_OK(mc_registry_certificate_set_state(r, 1, peer.cert.fingerprint, MC_CERT_INACTIVE, &why));
  CHECK_INT(revoked_calls, 1);
  CHECK_INT(mc_registry_authenticate(r, &peer, &who, &policy, &why), MC_ERR_DENIED);
  CHECK_WHY(why, "inactive");
  CHECK_WHY(why, "activate it");
  CHECK_OK(mc_registry_certificate_set_state(r, 1, peer.cert.fingerprint, MC_CERT_ACTIVE, &why));
  CHECK_INT(revoked_calls, 1);
  CHECK_OK(mc_registry_authenticate(r, &peer, &who, &policy, &why));
  CHECK_OK(mc_registry_certificate_set_state(r, 1, peer.cert.fingerprint, MC_CERT_REVOKED, &why));
  CHECK_INT(revoked_calls, 2);
  CHECK_INT(revoked_thing, who.id);
  CHECK_INT(mc_registry_authenticate(r, &peer, &who, &policy, &why), MC_ERR_DENIED);
  CHECK_WHY(why, "is revoked: issue a new one and install it in the vehicle");
  CHECK_WHY(why, "truck-7");
  CHECK(policy == NULL && who.kind == MC_PRINCIPAL_NONE);
  CHECK_INT(mc_registry_certificate_set_state(r, 1, peer.cert.fingerprint, MC_CERT_ACTIVE, &why), MC_ERR_CONFLICT);
  CHECK_WHY(why, "stays so");
  CHECK_INT(mc_registry_certificate_set_state(r, 2, peer.cert.fingerprint, MC_CERT_ACTIVE, &why), MC_ERR_NOT_FOUND);
  mc_registry_close(&r);
  r = fixture_open(&db, ":memory:");
  CHECK_INT(mc_registry_authenticate(r, &peer, &who, &policy, &why), MC_ERR_DENIED);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  close_world();
}

static void test_strangers_and_expired_ones_are_told_why(void)
{
  open_world();
  mc_buf other_cert = {0}, other_key = {0}, cert = {0}, key = {0};
  mc_why why = {0};
  mc_principal who;
  const mc_policy *policy;
  CHECK_OK(mc_pki_create_ca("stranger", 30, &other_cert, &other_key, &why));
  CHECK_OK(mc_pki_issue_client(mc_buf_slice(&other_cert), mc_buf_slice(&other_key), "truck-7", 30, &cert, &key, &why));
  mc_peer peer = fixture_peer(mc_buf_slice(&cert), false);
  CHECK_INT(mc_registry_authenticate(r, &peer, &who, &policy, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_WHY(why, "not issued here (unable to get local issuer certificate)");
  peer.cert_verified = true;
  CHECK_INT(mc_registry_authenticate(r, &peer, &who, &policy, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_WHY(why, "not known here");
  mc_peer none = {.tls = true};
  CHECK_INT(mc_registry_authenticate(r, &none, &who, &policy, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_WHY(why, "no client certificate");
  CHECK_OK(mc_registry_certificate_register(r, 1, MC_LIT("truck-7"), mc_buf_slice(&cert), &why));
  peer.cert_verified = false; /* registered by its text: the fingerprint is what counts */
  CHECK_OK(mc_registry_authenticate(r, &peer, &who, &policy, &why));
  CHECK_INT(mc_registry_certificate_register(r, 1, MC_LIT("truck-8"), mc_buf_slice(&cert), &why), MC_ERR_EXISTS);
  CHECK_INT(mc_registry_certificate_register(r, 1, MC_LIT("nobody"), mc_buf_slice(&other_cert), &why), MC_ERR_NOT_FOUND);
  CHECK(mc_registry_certificate_register(r, 1, MC_LIT("truck-7"), MC_LIT("-----BEGIN CERTIFICATE-----\nAAAA"), &why) != MC_OK);
  CHECK_OK(mc_db_run(db, &why, "UPDATE certificate SET not_after_us = 1000000", ""));
  mc_registry_close(&r);
  r = fixture_open(&db, ":memory:");
  CHECK_INT(mc_registry_authenticate(r, &peer, &who, &policy, &why), MC_ERR_DENIED);
  CHECK_WHY(why, "expired at 1970-01-01T00:00:01");
  mc_buf_free(&other_cert);
  mc_buf_free(&other_key);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  close_world();
}

static void test_issue_refusals_leave_no_key_behind(void)
{
  open_world();
  mc_buf cert = {0}, key = {0};
  mc_why why = {0};
  CHECK_INT(mc_registry_certificate_issue(r, 1, MC_LIT("nobody"), 30, &cert, &key, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_certificate_issue(r, 1, MC_LIT("+"), 30, &cert, &key, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_certificate_issue(r, 1, MC_LIT("truck-7"), 0, &cert, &key, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_certificate_issue(r, 1, MC_LIT("truck-7"), 1000000, &cert, &key, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_certificate_issue(r, 2, MC_LIT("truck-7"), 30, &cert, &key, &why), MC_ERR_NOT_FOUND);
  CHECK(cert.len == 0 && key.len == 0);
  close_world();
}

static void test_lists_certificates_of_a_thing(void)
{
  open_world();
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_buf cert = {0}, key = {0};
  mc_certificate *list;
  size_t n;
  for (int i = 0; i < 3; i++)
    CHECK_OK(mc_registry_certificate_issue(r, 1, i == 2 ? MC_LIT("truck-8") : MC_LIT("truck-7"), 30, &cert, &key, NULL));
  CHECK_OK(mc_registry_certificate_list(r, 1, MC_LIT("truck-7"), &arena, &list, &n, NULL));
  CHECK_INT(n, 2);
  CHECK_STR(list[0].thing_name, "truck-7");
  CHECK(list[0].not_after_us > list[0].created_us);
  mc_certificate found;
  CHECK_OK(mc_registry_certificate_find(r, 1, list[1].fingerprint, &found));
  CHECK_INT(mc_registry_certificate_find(r, 2, list[1].fingerprint, &found), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_certificate_list(r, 2, MC_LIT("truck-7"), &arena, &list, &n, NULL), MC_ERR_NOT_FOUND);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  close_world();
}

static void test_a_disabled_thing_is_refused_and_its_sessions_end(void)
{
  open_world();
  mc_buf cert = {0}, key = {0};
  mc_why why = {0};
  mc_principal who;
  const mc_policy *policy;
  CHECK_OK(mc_registry_certificate_issue(r, 1, MC_LIT("truck-7"), 30, &cert, &key, NULL));
  mc_peer peer = fixture_peer(mc_buf_slice(&cert), true);
  CHECK_OK(mc_registry_authenticate(r, &peer, &who, &policy, NULL));
  CHECK_INT(mc_registry_thing_set_disabled(r, 2, who.id, true, &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_registry_thing_set_disabled(r, 1, who.id, true, &why));
  CHECK_INT(revoked_calls, 1);
  CHECK_INT(mc_registry_authenticate(r, &peer, &who, &policy, &why), MC_ERR_DENIED);
  CHECK_WHY(why, "disabled: enable it");
  mc_buf_free(&cert);
  mc_buf_free(&key);
  close_world();
}

static void test_a_service_gets_its_own_policy(void)
{
  open_world();
  mc_buf cert = {0}, key = {0};
  mc_why why = {0};
  mc_principal who;
  uint32_t id;
  CHECK_OK(mc_registry_service_create(r, 1, MC_LIT("backend"), MC_LIT("{\"publish\":[\"cmd/#\"],\"subscribe\":[\"dt/+/x\"]}"), &id, &why));
  CHECK_INT(mc_registry_service_create(r, 1, MC_LIT("broken"), MC_LIT("{\"publish\":[\"a/#/b\"]}"), &id, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_service_create(r, 1, MC_LIT("a/b"), MC_LIT("{}"), &id, &why), MC_ERR_INVALID);
  CHECK_OK(mc_registry_certificate_issue(r, 1, MC_LIT("backend"), 30, &cert, &key, &why));
  mc_peer peer = fixture_peer(mc_buf_slice(&cert), true);
  for (int round = 0; round < 2; round++) {
    const mc_policy *policy;
    CHECK_OK(mc_registry_authenticate(r, &peer, &who, &policy, &why));
    CHECK_INT(who.kind, MC_PRINCIPAL_SERVICE);
    mc_registry_close(&r); /* the policy lives on while somebody holds it */
    CHECK(mc_policy_allows(policy, &who, MC_ACTION_PUBLISH, MC_LIT("cmd/truck-7/x")));
    CHECK(!mc_policy_allows(policy, &who, MC_ACTION_PUBLISH, MC_LIT("dt/truck-7/x")));
    mc_policy_release(policy);
    r = fixture_open(&db, ":memory:");
  }
  mc_buf_free(&cert);
  mc_buf_free(&key);
  close_world();
}

/* The disk refuses, the thief is out all the same. */
static void test_revoking_acts_even_when_it_cannot_be_saved(void)
{
  open_world();
  mc_buf cert = {0}, key = {0};
  mc_why why = {0};
  mc_principal who;
  const mc_policy *policy;
  CHECK_OK(mc_registry_certificate_issue(r, 1, MC_LIT("truck-7"), 30, &cert, &key, NULL));
  mc_peer peer = fixture_peer(mc_buf_slice(&cert), true);
  CHECK_OK(mc_db_run(db, &why, "CREATE TRIGGER refuse BEFORE UPDATE ON certificate BEGIN SELECT RAISE(ABORT, 'disk'); END", ""));
  CHECK(mc_registry_certificate_set_state(r, 1, peer.cert.fingerprint, MC_CERT_REVOKED, &why) != MC_OK);
  CHECK_WHY(why, "refused from now on");
  CHECK_INT(revoked_calls, 1);
  CHECK_INT(mc_registry_authenticate(r, &peer, &who, &policy, &why), MC_ERR_DENIED);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  close_world();
}

int main(void)
{
  RUN(test_an_issued_certificate_opens_the_door_for_its_thing_only);
  RUN(test_a_revoked_certificate_is_refused_and_the_text_says_what_to_do);
  RUN(test_strangers_and_expired_ones_are_told_why);
  RUN(test_issue_refusals_leave_no_key_behind);
  RUN(test_lists_certificates_of_a_thing);
  RUN(test_a_disabled_thing_is_refused_and_its_sessions_end);
  RUN(test_a_service_gets_its_own_policy);
  RUN(test_revoking_acts_even_when_it_cannot_be_saved);
  mc_buf_free(&fixture_ca_cert);
  mc_buf_free(&fixture_ca_key);
  return tap_done();
}
