/* Any values in the registry's tables and key rows: the registry opens and answers within its ranges, or refuses and names the table. Input:
 * changes of values as tests/db/row_damage.h reads them. */
#include "base/clock.h"
#include "base/log.h"
#include "db/row_damage.h"
#include "registry/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_db *db;
static mc_buf ca, ca_key, cert, cert_key;
static mc_master *master;
static damage_columns columns;
static char session[64], csrf[64], token[64];
static uint8_t fingerprint[MC_FINGERPRINT];
static mc_registry_config config;

static void end(void)
{
  mc_db_close(&db);
  mc_master_close(&master);
  mc_vec_free(&columns);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  mc_buf_free(&cert);
  mc_buf_free(&cert_key);
}

/* One row at least in every table. */
static void furnish(mc_registry *r, mc_keyring *k)
{
  mc_why why = {0};
  mc_vehicle v = {.tenant = 1, .year = 2024, .name = "car-1", .vin = "WDB11111111111111", .kind = "car"}, w = {.tenant = 1, .name = "car-2"};
  mc_user ada;
  mc_token made;
  mc_access_key key;
  mc_cert_info info;
  mc_thing_group group;
  mc_device_policy policy;
  mc_attribute depot = {MC_LIT("depot"), MC_LIT("north")};
  uint32_t id, service;
  mc_principal who = {.tenant = 1, .kind = MC_PRINCIPAL_USER, .role = MC_ROLE_ADMIN, .name = "ada"};
  char link[64];
  if (mc_registry_vehicle_create(r, &v, &why) || mc_registry_vehicle_create(r, &w, &why) ||
      mc_registry_certificate_issue(r, 1, MC_LIT("car-1"), 10, &cert, &cert_key, &why) || mc_cert_read_pem(mc_buf_slice(&cert), &info, &why) ||
      mc_registry_user_create(r, 1, MC_LIT("ada"), MC_LIT("correct horse battery"), MC_ROLE_ADMIN, &ada, &why) ||
      mc_registry_token_create(r, 1, MC_LIT("t"), MC_ROLE_VIEWER, 0, token, &made, &why) || mc_registry_link_create(r, 1, ada.id, link, &why) ||
      mc_registry_access_key_create(r, 1, MC_LIT("k"), MC_ROLE_VIEWER, link, &key, &why) ||
      mc_registry_service_create(r, 1, MC_LIT("service"), MC_LIT("{\"publish\":[\"a/#\"]}"), &service, &why) ||
      mc_registry_service_set_password(r, 1, service, MC_LIT("correct-horse-battery"), &why) ||
      mc_registry_signal_id(r, 1, MC_LIT("Vehicle.Speed"), &id, &why) || mc_registry_encoding_id(r, 1, 0.1, 0, &id, &why) ||
      mc_keyring_ensure(k, 1, MC_SUBJECT_VEHICLE, &v.id, 1, &why) || mc_registry_group_create(r, 1, MC_LIT("g"), (mc_slice){0}, &group, &why) ||
      mc_registry_group_add(r, 1, group.id, MC_LIT("car-1"), &why) || mc_registry_vehicle_set_attributes(r, 1, v.id, &depot, 1, false, &why) ||
      mc_registry_certificate_register(r, 1, MC_LIT("car-2"), mc_buf_slice(&ca), &why) ||
      mc_registry_policy_create(r, 1, MC_LIT("p"), MC_LIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":"
                                                          "\"arn:aws:iot:a:b:topic/${iot:Connection.Thing.Attributes[depot]}\"}]}"), &policy, &why) ||
      mc_registry_policy_attach(r, 1, MC_LIT("p"), &(mc_policy_target){.group = group.id}, &why)) {
    fprintf(stderr, "%s\n", why.text);
    abort();
  }
  who.id = ada.id;
  if (mc_registry_session_create(r, &who, session, csrf, &why))
    abort();
  memcpy(fingerprint, info.fingerprint, sizeof fingerprint);
  mc_policy_target target = {.group = 0};
  memcpy(target.fingerprint, fingerprint, sizeof fingerprint);
  if (mc_registry_policy_attach(r, 1, MC_LIT("p"), &target, &why))
    abort();
}

static void begin(void)
{
  mc_why why = {0};
  mc_registry *r;
  mc_keyring *k;
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  setenv("MC_TEST_MASTER", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
  if (mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why) || mc_db_open_sqlite(":memory:", &db, &why) || mc_master_open("env:MC_TEST_MASTER", &master, &why) ||
      mc_keyring_open(db, master, true, &k, &why))
    abort();
  config = (mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key), .secrets = {master, NULL}};
  if (mc_registry_open(&config, &r, &why))
    abort();
  furnish(r, k);
  mc_registry_close(&r);
  mc_keyring_close(&k);
  damage_columns_read(db, &columns);
  if (!columns.len || atexit(end))
    abort();
}

/* What is read everywhere: nothing of it may lie outside of its range. */
static void look(mc_registry *r)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_vehicle *vehicles;
  mc_certificate *certificates;
  mc_user *users;
  mc_token *tokens;
  mc_access_key *keys;
  size_t n;
  mc_why why = {0};
  mc_principal who;
  char text[64], name[64];
  for (uint32_t tenant = 1; tenant < 4; tenant++) {
    mc_registry_tenant_name(r, tenant, name);
    if (mc_registry_vehicle_list(r, tenant, (mc_slice){0}, MC_LIT("1"), 100, &arena, &vehicles, &n, &why) == MC_OK)
      for (size_t i = 0; i < n; i++)
        if (!vehicles[i].id || !vehicles[i].name[0])
          abort();
    if (mc_registry_certificate_list(r, tenant, MC_LIT("car-1"), &arena, &certificates, &n, &why) == MC_OK)
      for (size_t i = 0; i < n; i++)
        if (certificates[i].state > MC_CERT_REVOKED)
          abort();
    if (mc_registry_user_list(r, tenant, &arena, &users, &n, &why) == MC_OK)
      for (size_t i = 0; i < n; i++)
        if (users[i].role < MC_ROLE_VIEWER || users[i].role > MC_ROLE_ADMIN)
          abort();
    if (mc_registry_token_list(r, tenant, &arena, &tokens, &n, &why) == MC_OK)
      for (size_t i = 0; i < n; i++)
        if (tokens[i].role < MC_ROLE_VIEWER || tokens[i].role > MC_ROLE_ADMIN)
          abort();
    if (mc_registry_access_key_list(r, tenant, &arena, &keys, &n, &why) == MC_OK)
      for (size_t i = 0; i < n; i++)
        if (keys[i].role < MC_ROLE_VIEWER || keys[i].role > MC_ROLE_ADMIN || strlen(keys[i].key_id) != 20 ||
            (keys[i].usable && mc_registry_access_key_find(r, mc_slice_str(keys[i].key_id), &who, text, &why)))
          abort();
    for (uint32_t id = 0; id < 4; id++) {
      mc_registry_vehicle_of_thing(r, tenant, id, INT64_MAX);
      mc_registry_signal_fqn(r, tenant, id);
    }
  }
  mc_registry_token_check(r, mc_slice_str(token), &who);
  mc_registry_session_check(r, mc_slice_str(session), &who, text);
  mc_peer peer = {.tls = true, .has_cert = true, .cert_verified = true};
  memcpy(peer.cert.fingerprint, fingerprint, sizeof fingerprint);
  const mc_policy *policy = NULL;
  if (mc_registry_authenticate(r, &peer, &who, &policy, &why) == MC_OK) {
    mc_policy_release(policy);
    mc_policy_connection c = mc_policy_connection_of(&peer, mc_slice_str(who.name));
    if (mc_registry_policy_for(r, &who, &c, &policy, &why) == MC_OK) {
      mc_policy_allows(policy, &who, MC_ACTION_PUBLISH, MC_LIT("north"));
      mc_policy_release(policy);
    }
  }
  mc_device_policy *policies;
  mc_policy_version *versions;
  mc_policy_target *targets;
  mc_registry_policy_list(r, 1, &arena, &policies, &n, &why);
  mc_registry_policy_versions(r, 1, MC_LIT("p"), &arena, &versions, &n, &why);
  mc_registry_policy_targets(r, 1, MC_LIT("p"), &arena, &targets, &n, &why);
  mc_service *services;
  mc_scram_verifier verifier;
  mc_registry_service_list(r, 1, &arena, &services, &n, &why);
  if (mc_registry_service_find(r, MC_LIT("service"), &verifier, &who, &policy) == MC_OK)
    mc_policy_release(policy);
  double factor, offset;
  int type;
  for (uint32_t id = 0; id < 3; id++)
    mc_registry_encoding_get(r, id, &type, &factor, &offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_registry *r = NULL;
  mc_keyring *k = NULL;
  mc_why why = {0};
  if (!db)
    begin();
  damage_rows(db, &columns, mc_slice_of(data, size));
  mc_err err = mc_registry_open(&config, &r, &why);
  if (err && (!strstr(why.text, "table ") || err == MC_ERR_MEMORY)) {
    fprintf(stderr, "%s\n", why.text);
    abort();
  }
  if (r)
    look(r);
  mc_registry_close(&r);
  why = (mc_why){0};
  err = mc_keyring_open(db, master, false, &k, &why);
  if (err && !why.text[0])
    abort();
  if (k)
    mc_keyring_find(k, 1, MC_SUBJECT_VEHICLE, 1);
  mc_keyring_close(&k);
  damage_undo(db);
  return 0;
}
