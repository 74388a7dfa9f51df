/* A database from before: what was taken away since is taken away again, as a newer database or a receipt tells it, and nothing else changes. */
#include <stdlib.h>
#include <unistd.h>

#include "registry_fixture.h"

static char folder[100], now_path[160], then_path[160];
static mc_master *master;
static mc_why why;
static mc_buf cert[3], cert_key[3], receipt;
static char token[2][64], session[64];
static uint32_t key[2];

static mc_registry *open_on(const char *path, mc_db **db, mc_keyring **ring)
{
  mc_registry *r = NULL;
  if (!fixture_ca_cert.len && mc_pki_create_ca("test ca", 365, &fixture_ca_cert, &fixture_ca_key, &why))
    abort();
  if (mc_db_open_sqlite(path, db, &why) || mc_keyring_open(*db, master, true, ring, &why))
    abort();
  mc_registry_config config = {.db = *db, .ca_cert_pem = mc_buf_slice(&fixture_ca_cert), .ca_key_pem = mc_buf_slice(&fixture_ca_key), .keyring = *ring};
  if (mc_registry_open(&config, &r, &why))
    printf("# %s\n", why.text);
  return r;
}

static void close_all(mc_registry **r, mc_keyring **ring, mc_db **db)
{
  mc_registry_close(r);
  mc_keyring_close(ring);
  mc_db_close(db);
}

static const char *const name[] = {"truck-0", "truck-1", "truck-2"};

/* Three vehicles, two users, two tokens, a sign-in; a copy of that; then half of it is taken away. */
static void make_world(void)
{
  mc_db *db;
  mc_keyring *ring;
  mc_user ada, bob;
  mc_token t[2];
  mc_vehicle v[3];
  mc_principal who;
  char csrf[64];
  mc_certificate c;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  snprintf(folder, sizeof folder, "/tmp/mc-restored-XXXXXX");
  setenv("MC_TEST_MASTER", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
  if (!mkdtemp(folder) || mc_master_open("env:MC_TEST_MASTER", &master, &why))
    abort();
  snprintf(now_path, sizeof now_path, "%s/now.db", folder);
  snprintf(then_path, sizeof then_path, "%s/then.db", folder);
  mc_registry *r = open_on(now_path, &db, &ring);
  CHECK(r);
  for (int i = 0; i < 3; i++) {
    mc_buf_clear(&cert[i]);
    mc_buf_clear(&cert_key[i]);
    CHECK_OK(fixture_vehicle(r, 1, name[i], &v[i], &why));
    CHECK_OK(mc_registry_certificate_issue(r, 1, mc_slice_str(name[i]), 30, &cert[i], &cert_key[i], &why));
  }
  CHECK_OK(mc_registry_user_create(r, 1, MC_LIT("ada"), MC_LIT("correct horse battery"), MC_ROLE_ADMIN, &ada, &why));
  CHECK_OK(mc_registry_user_create(r, 1, MC_LIT("bob"), MC_LIT("incorrect horse staple"), MC_ROLE_OPERATOR, &bob, &why));
  CHECK_OK(mc_registry_sign_in(r, 1, MC_LIT("bob"), MC_LIT("incorrect horse staple"), (mc_slice){0}, &who, &why));
  CHECK_OK(mc_registry_session_create(r, &who, session, csrf, &why));
  for (int i = 0; i < 2; i++) {
    CHECK_OK(mc_registry_token_create(r, 1, i ? MC_LIT("stays") : MC_LIT("goes"), MC_ROLE_OPERATOR, 0, token[i], &t[i], &why));
    key[i] = mc_keyring_find(ring, 1, MC_SUBJECT_VEHICLE, v[i].id);
  }
  CHECK_OK(mc_db_run(db, &why, "INSERT INTO access_key (id, tenant, key_id, name, role, secret, under_master, created_us, last_used_us, revoked) VALUES"
                               " (1, 1, 'AKMC1', 'goes', 1, x'0102', 1, 5, 0, 0), (2, 1, 'AKMC2', 'stays', 1, x'0304', 1, 5, 0, 0)", ""));
  CHECK_OK(mc_db_backup(db, then_path, &why));
  CHECK_OK(mc_db_run(db, &why, "UPDATE access_key SET revoked = 1, secret = x'' WHERE id = 1", ""));

  mc_certificate *list;
  size_t count;
  CHECK_OK(mc_registry_certificate_list(r, 1, mc_slice_str(name[0]), &arena, &list, &count, &why));
  c = list[0];
  CHECK_OK(mc_registry_certificate_set_state(r, 1, c.fingerprint, MC_CERT_REVOKED, &why));
  mc_thing thing;
  CHECK_OK(mc_registry_thing_find(r, 1, mc_slice_str(name[1]), &thing));
  CHECK_OK(mc_registry_thing_set_disabled(r, 1, thing.id, true, &why));
  CHECK_OK(mc_registry_token_revoke(r, 1, t[0].id, &why));
  CHECK_OK(mc_registry_user_update(r, &ada, MC_LIT("another long password"), &why));
  bob.disabled = true;
  CHECK_OK(mc_registry_user_update(r, &bob, (mc_slice){0}, &why));
  mc_buf_clear(&receipt);
  CHECK_OK(mc_registry_vehicle_erase(r, 1, v[0].id, MC_LIT("ada"), MC_LIT("sold"), &receipt, &why));
  CHECK_OK(fixture_vehicle(r, 1, "newcomer", &v[0], &why)); /* what came since is not brought over */
  close_all(&r, &ring, &db);
}

static void end_world(void)
{
  char command[200];
  mc_master_close(&master);
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (system(command))
    abort();
}

static mc_err opens(mc_keyring *ring, uint32_t id)
{
  uint8_t sealed[4 + MC_SEAL_EXTRA];
  mc_slice text = MC_LIT("text");
  return mc_keyring_seal(ring, id, NULL, 0, &text, 1, sealed);
}

static mc_err door(mc_registry *r, int vehicle)
{
  mc_peer peer = fixture_peer(mc_buf_slice(&cert[vehicle]), true);
  mc_principal who;
  const mc_policy *policy;
  mc_err err = mc_registry_authenticate(r, &peer, &who, &policy, &why);
  if (!err)
    mc_policy_release(policy);
  return err;
}

static void test_a_newer_database_takes_away_what_is_gone_since(void)
{
  mc_db *db, *newer;
  mc_keyring *ring;
  mc_principal who;
  char csrf[64];
  mc_taken_away taken = {0};
  uint64_t keys;
  make_world();
  if (tap_this_failed)
    return;
  CHECK_OK(mc_db_open_sqlite(then_path, &db, &why));
  CHECK_OK(mc_db_open_sqlite(now_path, &newer, &why));
  CHECK_OK(mc_registry_keys_left(db, &keys, &why));
  CHECK_INT(keys, 3);
  CHECK_OK(mc_registry_take_away_as(db, newer, &taken, &why));
  CHECK_INT(taken.keys, 1);
  CHECK_INT(taken.certificates, 1);
  CHECK_INT(taken.devices, 1);
  CHECK_INT(taken.tokens, 2); /* one of the API, one of the AWS face */
  CHECK_INT(taken.accounts, 2);
  mc_taken_away again = {0};
  CHECK_OK(mc_registry_take_away_as(db, newer, &again, &why)); /* there is nothing more */
  CHECK(!again.keys && !again.certificates && !again.devices && !again.tokens && !again.accounts);
  CHECK_OK(mc_registry_keys_left(db, &keys, &why));
  CHECK_INT(keys, 2);
  CHECK_OK(mc_registry_end_sessions(db, &why));
  mc_db_close(&newer);
  mc_stmt *left;
  CHECK_OK(mc_db_begin(db, false, &why));
  CHECK_OK(mc_db_prepare(db, "SELECT COUNT(*) FROM access_key WHERE revoked = 0", &left, &why));
  CHECK_OK(mc_stmt_step(left, &why));
  CHECK_INT(mc_stmt_int(left, 0), 1);
  mc_stmt_release(&left);
  CHECK_OK(mc_db_end(db, true, &why));
  CHECK_OK(mc_db_run(db, &why, "DELETE FROM access_key", "")); /* made-up secrets: the registry would not open them */
  mc_db_close(&db);
  mc_registry *r = open_on(then_path, &db, &ring);
  CHECK(r);
  CHECK_INT(opens(ring, key[0]), MC_ERR_NOT_FOUND);
  CHECK_OK(opens(ring, key[1]));
  CHECK(door(r, 0) != MC_OK);
  CHECK(door(r, 1) != MC_OK);
  CHECK_OK(door(r, 2));
  CHECK(mc_registry_token_check(r, mc_slice_str(token[0]), &who) != MC_OK);
  CHECK_OK(mc_registry_token_check(r, mc_slice_str(token[1]), &who));
  CHECK(mc_registry_session_check(r, mc_slice_str(session), &who, csrf) != MC_OK);
  CHECK_OK(mc_registry_sign_in(r, 1, MC_LIT("ada"), MC_LIT("another long password"), MC_LIT("192.0.2.1"), &who, &why));
  CHECK(mc_registry_sign_in(r, 1, MC_LIT("bob"), MC_LIT("incorrect horse staple"), MC_LIT("192.0.2.2"), &who, &why) != MC_OK);
  CHECK_INT(mc_registry_vehicle_count(r, 1), 3);
  close_all(&r, &ring, &db);
  end_world();
}

static void test_an_older_database_takes_nothing_away_from_a_newer_one(void)
{
  mc_db *then, *now;
  mc_taken_away taken = {0};
  make_world();
  if (tap_this_failed)
    return;
  CHECK_OK(mc_db_open_sqlite(then_path, &then, &why));
  CHECK_OK(mc_db_open_sqlite(now_path, &now, &why));
  CHECK_OK(mc_registry_take_away_as(now, then, &taken, &why));
  CHECK(!taken.keys && !taken.certificates && !taken.devices && !taken.tokens);
  mc_db_close(&then);
  mc_db_close(&now);
  end_world();
}

static void test_a_receipt_destroys_the_keys_that_it_tells_of(void)
{
  mc_db *db;
  mc_keyring *ring;
  mc_taken_away taken = {0};
  mc_buf forged = {0}, other_ca = {0}, other_key = {0};
  make_world();
  if (tap_this_failed)
    return;
  CHECK_OK(mc_db_open_sqlite(then_path, &db, &why));
  mc_slice ca = mc_buf_slice(&fixture_ca_cert);
  CHECK_OK(mc_buf_append_slice(&forged, mc_buf_slice(&receipt)));
  uint8_t *vehicle = memmem(forged.data, forged.len, "\"vehicle_id\":1", 14);
  CHECK(vehicle);
  vehicle[13] = '2';
  CHECK(mc_registry_take_away_by_receipt(db, ca, mc_buf_slice(&forged), &taken, &why) != MC_OK);
  CHECK_OK(mc_pki_create_ca("another", 365, &other_ca, &other_key, &why));
  CHECK(mc_registry_take_away_by_receipt(db, mc_buf_slice(&other_ca), mc_buf_slice(&receipt), &taken, &why) != MC_OK);
  CHECK_INT(mc_registry_take_away_by_receipt(db, ca, MC_LIT("no receipt"), &taken, &why), MC_ERR_MALFORMED);
  CHECK_OK(mc_registry_take_away_by_receipt(NULL, ca, mc_buf_slice(&receipt), &taken, &why));
  CHECK_INT(taken.keys, 0);
  CHECK_OK(mc_registry_take_away_by_receipt(db, ca, mc_buf_slice(&receipt), &taken, &why));
  CHECK_INT(taken.keys, 1);
  CHECK_OK(mc_registry_take_away_by_receipt(db, ca, mc_buf_slice(&receipt), &taken, &why)); /* twice is once */
  CHECK_INT(taken.keys, 1);
  CHECK_OK(mc_db_run(db, &why, "DELETE FROM access_key", ""));
  mc_db_close(&db);
  mc_registry *r = open_on(then_path, &db, &ring);
  CHECK(r);
  CHECK_INT(opens(ring, key[0]), MC_ERR_NOT_FOUND);
  CHECK_OK(opens(ring, key[1]));
  close_all(&r, &ring, &db);
  /* keys made after the erasure are not those of the receipt */
  CHECK_OK(mc_db_open_sqlite(now_path, &db, &why));
  taken = (mc_taken_away){0};
  CHECK_OK(mc_registry_take_away_by_receipt(db, ca, mc_buf_slice(&receipt), &taken, &why));
  CHECK_INT(taken.keys, 0);
  mc_db_close(&db);
  mc_buf_free(&forged);
  mc_buf_free(&other_ca);
  mc_buf_free(&other_key);
  end_world();
}

static void test_a_database_without_keys_has_none_to_destroy(void)
{
  mc_db *db = NULL, *other = NULL;
  mc_taken_away taken = {0};
  uint64_t keys = 9;
  mc_registry *r = fixture_open(&db, ":memory:"), *r2 = fixture_open(&other, ":memory:");
  CHECK(r && r2);
  CHECK_OK(mc_registry_keys_left(db, &keys, &why));
  CHECK_INT(keys, 0);
  CHECK_OK(mc_registry_take_away_as(db, other, &taken, &why));
  CHECK_INT(taken.keys, 0);
  mc_registry_close(&r);
  mc_registry_close(&r2);
  mc_db_close(&db);
  mc_db_close(&other);
}

int main(void)
{
  RUN(test_a_newer_database_takes_away_what_is_gone_since);
  RUN(test_an_older_database_takes_nothing_away_from_a_newer_one);
  RUN(test_a_receipt_destroys_the_keys_that_it_tells_of);
  RUN(test_a_database_without_keys_has_none_to_destroy);
  for (int i = 0; i < 3; i++) {
    mc_buf_free(&cert[i]);
    mc_buf_free(&cert_key[i]);
  }
  mc_buf_free(&receipt);
  mc_buf_free(&fixture_ca_cert);
  mc_buf_free(&fixture_ca_key);
  return tap_done();
}
