#include <pthread.h>
#include <unistd.h>

#include "registry_fixture.h"

static void test_creating_a_vehicle_makes_its_device_and_fits_it(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  CHECK(r);
  mc_vehicle v, got;
  mc_thing t;
  mc_why why = {0};
  CHECK_OK(fixture_vehicle(r, 1, "truck-7", &v, &why));
  CHECK_INT(v.id, 1);
  CHECK_OK(mc_registry_vehicle_get(r, 1, v.id, &got));
  CHECK_STR(got.name, "truck-7");
  CHECK_STR(got.make, "Acme");
  CHECK_OK(mc_registry_vehicle_find(r, 1, MC_LIT("truck-7"), &got));
  CHECK_OK(mc_registry_thing_find(r, 1, MC_LIT("truck-7"), &t));
  CHECK_INT(t.vehicle, v.id);
  CHECK_INT(mc_registry_vehicle_of_thing(r, 1, t.id, v.created_us), v.id);
  CHECK_INT(mc_registry_vehicle_of_thing(r, 1, t.id, v.created_us - 1), 0);
  CHECK_INT(mc_registry_vehicle_of_thing(r, 2, t.id, v.created_us), 0);
  CHECK_INT(mc_registry_vehicle_count(r, 1), 1);
  CHECK_INT(mc_registry_vehicle_get(r, 2, v.id, &got), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_vehicle_get(r, 1, 4000000000u, &got), MC_ERR_NOT_FOUND);
  mc_registry_close(&r);
  mc_db_close(&db);
}

/* A damaged file, or another program: what would become an index, a state or a name is looked at before. */
static void test_rows_that_it_would_not_have_written_are_refused_with_their_table(void)
{
  static const char *const change[][2] = {
      {"UPDATE vehicle SET id = 4294967295", "table vehicle"},
      {"UPDATE vehicle SET id = -1", "table vehicle"},
      {"UPDATE vehicle SET name = ''", "table vehicle"},
      {"UPDATE vehicle SET vin = '123456789012345678'", "table vehicle"},
      {"UPDATE thing SET policy = '{'", "table thing"},
      {"UPDATE fitting SET vehicle = 9", "table fitting"},
      {"UPDATE certificate SET state = 3", "table certificate"},
      {"UPDATE certificate SET thing = 9", "table certificate"},
      {"UPDATE certificate SET fingerprint = 'short'", "table certificate"},
      {"UPDATE account SET role = 9", "table account"},
      {"UPDATE account SET last_sign_in_us = -9223372036854775807", "table account"},
      {"UPDATE token SET digest = 7", "table token"},
      {"UPDATE signal SET id = 1e9", "table signal"},
      {"UPDATE encoding SET shift = 'x'", "table encoding"},
  };
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_vehicle v;
  mc_user ada;
  mc_token token;
  char secret[64];
  uint32_t id;
  mc_why why = {0};
  mc_buf cert = {0}, key = {0};
  CHECK_OK(fixture_vehicle(r, 1, "a", &v, &why));
  CHECK_OK(mc_registry_certificate_issue(r, 1, MC_LIT("a"), 10, &cert, &key, &why));
  CHECK_OK(mc_registry_user_create(r, 1, MC_LIT("ada"), MC_LIT("correct horse battery"), MC_ROLE_ADMIN, &ada, &why));
  CHECK_OK(mc_registry_token_create(r, 1, MC_LIT("t"), MC_ROLE_VIEWER, 0, secret, &token, &why));
  CHECK_OK(mc_registry_signal_id(r, 1, MC_LIT("Vehicle.Speed"), &id, &why));
  CHECK_OK(mc_registry_encoding_id(r, 1, 0.5, 0, &id, &why));
  mc_registry_close(&r);
  mc_registry_config config = {.db = db, .ca_cert_pem = mc_buf_slice(&fixture_ca_cert), .ca_key_pem = mc_buf_slice(&fixture_ca_key)};
  for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
    CHECK_OK(mc_db_begin(db, true, &why));
    CHECK_OK(mc_db_run(db, &why, "PRAGMA defer_foreign_keys = ON", ""));
    CHECK_OK(mc_db_run(db, &why, change[i][0], ""));
    mc_err err = mc_registry_open(&config, &r, &why);
    CHECK_OK(mc_db_end(db, false, NULL));
    CHECK(err != MC_OK);
    CHECK(!r);
    CHECK_WHY(why, change[i][1]);
  }
  CHECK_OK(mc_registry_open(&config, &r, &why));
  mc_registry_close(&r);
  mc_db_close(&db);
  mc_buf_free(&cert);
  mc_buf_free(&key);
}

static void test_clashes_name_what_clashes(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_vehicle v, w;
  mc_why why = {0};
  CHECK_OK(fixture_vehicle(r, 1, "a", &v, &why));
  CHECK_INT(fixture_vehicle(r, 1, "a", &w, &why), MC_ERR_EXISTS);
  CHECK_WHY(why, "vehicle \"a\" already");
  uint32_t service;
  CHECK_OK(mc_registry_service_create(r, 1, MC_LIT("backend"), MC_LIT("{\"publish\":[\"x\"]}"), &service, &why));
  CHECK_INT(fixture_vehicle(r, 1, "backend", &w, &why), MC_ERR_EXISTS);
  CHECK_WHY(why, "device \"backend\" already");
  snprintf(v.vin, sizeof v.vin, "1HGCM82633A004352");
  CHECK_OK(mc_registry_vehicle_update(r, &v, &why));
  w = (mc_vehicle){.tenant = 1, .name = "b", .vin = "1HGCM82633A004352"};
  CHECK_INT(mc_registry_vehicle_create(r, &w, &why), MC_ERR_EXISTS);
  CHECK_WHY(why, "1HGCM82633A004352");
  CHECK_INT(mc_registry_vehicle_count(r, 1), 1);
  CHECK_INT(fixture_vehicle(r, 77, "c", &w, &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "tenant 77");
  uint32_t other;
  CHECK_OK(mc_registry_tenant_create(r, MC_LIT("second"), &other, &why));
  CHECK_OK(fixture_vehicle(r, other, "a", &w, &why)); /* names are the tenant's own */
  CHECK_INT(mc_registry_tenant_create(r, MC_LIT("second"), &other, &why), MC_ERR_EXISTS);
  CHECK_INT(mc_registry_tenant_create(r, MC_LIT("No Such"), &other, &why), MC_ERR_INVALID);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_hostile_names_and_facts_are_refused(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_vehicle v;
  mc_why why = {0};
  static const char *const hostile[] = {"", "+", "#", "a/b", "a+", "$aws", "a b", "a\n", "*", "?", "\xC3\xA4", "${thing}", "a\"b", "a'; DROP TABLE vehicle; --"};
  for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
    if (fixture_vehicle(r, 1, hostile[i], &v, &why) != MC_ERR_INVALID)
      TAP_FAIL("name \"%s\" was taken", hostile[i]);
  CHECK_WHY(why, "A-Z");
  v = (mc_vehicle){.tenant = 1};
  memset(v.name, 'x', sizeof v.name); /* no terminator at all */
  CHECK_INT(mc_registry_vehicle_create(r, &v, &why), MC_ERR_INVALID);
  static const char *const vins[] = {"1", "1HGCM82633A00435", "1HGCM82633A00435I", "1hgcm82633a004352", "1HGCM82633A00435O"};
  for (size_t i = 0; i < sizeof vins / sizeof vins[0]; i++) {
    v = (mc_vehicle){.tenant = 1, .name = "ok"};
    snprintf(v.vin, sizeof v.vin, "%s", vins[i]);
    CHECK_INT(mc_registry_vehicle_create(r, &v, &why), MC_ERR_INVALID);
    CHECK_WHY(why, "vin");
  }
  v = (mc_vehicle){.tenant = 1, .name = "ok", .make = "bad\xff"};
  CHECK_INT(mc_registry_vehicle_create(r, &v, &why), MC_ERR_INVALID);
  v = (mc_vehicle){.tenant = 1, .name = "ok", .year = 12};
  CHECK_INT(mc_registry_vehicle_create(r, &v, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "year");
  CHECK_INT(mc_registry_vehicle_count(r, 1), 0);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_lists_pages_and_filters(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_vehicle v, *list;
  size_t n;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  static const char *const names[] = {"delta", "alpha", "charlie", "bravo", "al_ha"};
  for (size_t i = 0; i < 5; i++)
    CHECK_OK(fixture_vehicle(r, 1, names[i], &v, NULL));
  CHECK_OK(mc_registry_vehicle_list(r, 1, MC_LIT(""), MC_LIT(""), 2, &arena, &list, &n, NULL));
  CHECK_INT(n, 2);
  CHECK_STR(list[0].name, "al_ha");
  CHECK_STR(list[1].name, "alpha");
  CHECK_OK(mc_registry_vehicle_list(r, 1, MC_LIT("alpha"), MC_LIT(""), 100, &arena, &list, &n, NULL));
  CHECK_INT(n, 3);
  CHECK_STR(list[0].name, "bravo");
  CHECK_OK(mc_registry_vehicle_list(r, 1, MC_LIT(""), MC_LIT("l_h"), 100, &arena, &list, &n, NULL));
  CHECK_INT(n, 1); /* _ is a letter here, not LIKE's wildcard */
  CHECK_OK(mc_registry_vehicle_list(r, 1, MC_LIT(""), MC_LIT("%"), 100, &arena, &list, &n, NULL));
  CHECK_INT(n, 0);
  CHECK_OK(mc_registry_vehicle_list(r, 1, MC_LIT(""), MC_LIT("ACME"), 100, &arena, &list, &n, NULL));
  CHECK_INT(n, 5);
  CHECK_OK(mc_registry_vehicle_list(r, 2, MC_LIT(""), MC_LIT(""), SIZE_MAX, &arena, &list, &n, NULL));
  CHECK_INT(n, 0);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_a_device_moves_between_vehicles_and_history_stays(void)
{
  mc_db *db = NULL;
  fixture_now_us = 1000000;
  mc_clock_set_source(fixture_clock, fixture_clock);
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_vehicle a, b;
  mc_thing t;
  mc_why why = {0};
  CHECK_OK(fixture_vehicle(r, 1, "a", &a, NULL));
  CHECK_OK(fixture_vehicle(r, 1, "b", &b, NULL));
  CHECK_OK(mc_registry_thing_find(r, 1, MC_LIT("a"), &t));
  fixture_now_us = 5000000;
  CHECK_OK(mc_registry_refit(r, 1, t.id, b.id, &why));
  fixture_now_us = 4000000; /* the clock steps back: spans stay in order */
  CHECK_OK(mc_registry_refit(r, 1, t.id, a.id, &why));
  CHECK_INT(mc_registry_refit(r, 1, t.id, 99, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_refit(r, 1, 99, a.id, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_refit(r, 2, t.id, a.id, &why), MC_ERR_NOT_FOUND);
  for (int round = 0; round < 2; round++) {
    CHECK_INT(mc_registry_vehicle_of_thing(r, 1, t.id, 999999), 0);
    CHECK_INT(mc_registry_vehicle_of_thing(r, 1, t.id, 1000000), a.id);
    CHECK_INT(mc_registry_vehicle_of_thing(r, 1, t.id, 4999999), a.id);
    CHECK_INT(mc_registry_vehicle_of_thing(r, 1, t.id, 5000000), b.id);
    CHECK_INT(mc_registry_vehicle_of_thing(r, 1, t.id, 5000001), a.id);
    mc_registry_close(&r); /* and the same after a restart */
    r = fixture_open(&db, ":memory:");
  }
  mc_clock_set_source(NULL, NULL);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_signal_ids_are_dense_stable_and_the_tenants_own(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  uint32_t id, many[4], second;
  mc_why why = {0};
  CHECK_OK(mc_registry_signal_id(r, 1, MC_LIT("Vehicle.Speed"), &id, &why));
  CHECK_INT(id, 1);
  mc_slice names[] = {MC_LIT("Vehicle.A"), MC_LIT("Vehicle.Speed"), MC_LIT("Vehicle.B"), MC_LIT("Vehicle.A")};
  CHECK_OK(mc_registry_signal_ids(r, 1, names, 4, many, &why));
  CHECK_INT(many[0], 2);
  CHECK_INT(many[1], 1);
  CHECK_INT(many[2], 3);
  CHECK_INT(many[3], 2);
  CHECK_OK(mc_registry_tenant_create(r, MC_LIT("second"), &second, &why));
  CHECK_OK(mc_registry_signal_id(r, second, MC_LIT("Vehicle.B"), &id, &why));
  CHECK_INT(id, 1);
  CHECK_INT(mc_registry_signal_id(r, 99, MC_LIT("x"), &id, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_signal_id(r, 1, MC_LIT(""), &id, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_signal_id(r, 1, MC_LIT("a b"), &id, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_signal_lookup(r, 1, MC_LIT("Vehicle.Nope"), &id), MC_ERR_NOT_FOUND);
  mc_slice bad[] = {MC_LIT("Vehicle.C"), MC_LIT("\xff")};
  CHECK_INT(mc_registry_signal_ids(r, 1, bad, 2, many, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_signal_lookup(r, 1, MC_LIT("Vehicle.C"), &id), MC_ERR_NOT_FOUND);
  uint32_t e1, e2;
  CHECK_OK(mc_registry_encoding_id(r, 3, 0.1, -40, &e1, &why));
  CHECK_OK(mc_registry_encoding_id(r, 3, 0.1, -40, &e2, &why));
  CHECK_INT(e1, e2);
  CHECK_OK(mc_registry_encoding_id(r, 3, 0.1 + 1e-17, -40.5, &e2, &why));
  CHECK(e1 != e2);
  CHECK_INT(mc_registry_encoding_id(r, 3, 0, 1, &e2, &why), MC_ERR_INVALID);
  mc_registry_close(&r);
  r = fixture_open(&db, ":memory:");
  CHECK_SLICE(mc_registry_signal_fqn(r, 1, 3), "Vehicle.B");
  CHECK_INT(mc_registry_signal_fqn(r, 1, 400).len, 0);
  CHECK_INT(mc_registry_signal_fqn(r, 1, 0).len, 0);
  int type;
  double factor, offset;
  CHECK_OK(mc_registry_encoding_get(r, e1, &type, &factor, &offset));
  CHECK(type == 3 && factor == 0.1 && offset == -40);
  CHECK_INT(mc_registry_encoding_get(r, 0, &type, &factor, &offset), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_encoding_get(r, 77, &type, &factor, &offset), MC_ERR_NOT_FOUND);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_writers_refuse_the_callers_transaction(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_vehicle v;
  mc_why why = {0};
  CHECK_OK(mc_db_begin(db, true, &why));
  CHECK_INT(fixture_vehicle(r, 1, "a", &v, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "another open transaction");
  CHECK_OK(mc_db_end(db, false, &why));
  CHECK_OK(fixture_vehicle(r, 1, "a", &v, &why));
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_changes_are_journaled_with_their_kind(void)
{
  char dir[] = "/tmp/mc-registry-XXXXXX", path[64], rm[64];
  CHECK(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/journal", dir);
  mc_why why = {0};
  mc_db *db = NULL;
  mc_journal *journal = NULL;
  mc_registry *r = NULL;
  mc_journal_config journal_config = {.fs = mc_fs_posix(), .dir = path, .segment_bytes = 1 << 20};
  CHECK_OK(mc_db_open_sqlite(":memory:", &db, &why));
  CHECK_OK(mc_journal_open(&journal_config, &journal, &why));
  mc_registry_config config = {.db = db, .journal = journal};
  CHECK_OK(mc_registry_open(&config, &r, &why));
  mc_vehicle v;
  uint32_t signal;
  CHECK_OK(fixture_vehicle(r, 1, "truck-7", &v, &why));
  CHECK_INT(fixture_vehicle(r, 1, "truck-7", &v, &why), MC_ERR_EXISTS); /* what did not happen is not announced */
  CHECK_OK(mc_registry_signal_id(r, 1, MC_LIT("Vehicle.Speed"), &signal, &why));
  mc_journal_reader *reader;
  mc_record record;
  CHECK_OK(mc_journal_reader_create(journal, 0, (mc_journal_filter){.streams = 1u << MC_STREAM_REGISTRY}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &record, &why));
  CHECK_SLICE(record.topic, "vehicle.created");
  CHECK_INT(record.tenant, 1);
  CHECK_INT(record.partition, mc_journal_partition_of(MC_LIT("truck-7")));
  CHECK(memmem(record.payload.data, record.payload.len, "\"name\":\"truck-7\"", 16));
  CHECK_OK(mc_journal_reader_next(reader, &record, &why));
  CHECK_SLICE(record.topic, "signal.created");
  CHECK_SLICE(record.payload, "[{\"id\":1,\"fqn\":\"Vehicle.Speed\"}]");
  CHECK_INT(mc_journal_reader_next(reader, &record, &why), MC_ERR_END);
  mc_journal_reader_destroy(&reader);
  mc_registry_close(&r);
  mc_db_close(&db);
  mc_journal_close(&journal);
  snprintf(rm, sizeof rm, "rm -rf %s", dir);
  CHECK(system(rm) == 0);
}

static void test_opens_ten_thousand_vehicles_quickly(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  CHECK_OK(mc_db_run(db, NULL,
                     "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO vehicle (id, tenant, name, vin, make,"
                     " model, kind, manifest, year, created_us) SELECT i, 1, 'v' || i, '', 'Acme',"
                     " 'One', 'car', 'm', 2024, 5 FROM n", ""));
  CHECK_OK(mc_db_run(db, NULL, "INSERT INTO thing (id, tenant, name, is_service, disabled, created_us) SELECT id, 1, name, 0, 0, 5 FROM vehicle", ""));
  CHECK_OK(mc_db_run(db, NULL, "INSERT INTO fitting (thing, vehicle, from_us) SELECT id, id, 5 FROM vehicle", ""));
  CHECK_OK(mc_db_run(db, NULL, "INSERT INTO certificate SELECT randomblob(32), 1, id, 0, 0, 9000000000000000, 5, 5 FROM thing", ""));
  mc_registry_close(&r);
  int64_t best = INT64_MAX;
  for (int i = 0; i < 3; i++) {
    int64_t t0 = mc_clock_mono_us();
    r = fixture_open(&db, ":memory:");
    CHECK(r);
    int64_t took = mc_clock_mono_us() - t0;
    best = took < best ? took : best;
    CHECK_INT(mc_registry_vehicle_count(r, 1), 10000);
    mc_thing t;
    CHECK_OK(mc_registry_thing_find(r, 1, MC_LIT("v9999"), &t));
    CHECK_INT(t.vehicle, 9999);
    mc_registry_close(&r);
  }
  printf("# opened 10,000 vehicles in %.1f ms\n", (double)best / 1000);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  CHECK(best < 10000000); /* the promise is for the real build; here only that it does not grow with the square */
#else
  CHECK(best < 150000);
#endif
  mc_db_close(&db);
}

static mc_registry *shared;
static void *create_some(void *arg)
{
  char name[32];
  mc_vehicle v;
  long failed = 0;
  for (int i = 0; i < 40; i++) {
    snprintf(name, sizeof name, "t%d-%d", *(int *)arg, i);
    failed += fixture_vehicle(shared, 1, name, &v, NULL) != MC_OK;
    failed += mc_registry_vehicle_get(shared, 1, v.id, &v) != MC_OK;
    uint32_t id;
    snprintf(name, sizeof name, "Signal.%d", i);
    failed += mc_registry_signal_id(shared, 1, mc_slice_str(name), &id, NULL) != MC_OK;
  }
  return (void *)failed;
}

static void test_threads_create_at_once(void)
{
  mc_db *db = NULL;
  shared = fixture_open(&db, ":memory:");
  pthread_t t[3];
  int number[3] = {0, 1, 2};
  for (int i = 0; i < 3; i++)
    pthread_create(&t[i], NULL, create_some, &number[i]);
  for (int i = 0; i < 3; i++) {
    void *failed;
    pthread_join(t[i], &failed);
    CHECK(failed == NULL);
  }
  CHECK_INT(mc_registry_vehicle_count(shared, 1), 120);
  uint32_t id;
  CHECK_OK(mc_registry_signal_lookup(shared, 1, MC_LIT("Signal.39"), &id));
  CHECK(id <= 40); /* no number was spent twice on one name */
  mc_registry_close(&shared);
  mc_db_close(&db);
}

int main(void)
{
  RUN(test_creating_a_vehicle_makes_its_device_and_fits_it);
  RUN(test_rows_that_it_would_not_have_written_are_refused_with_their_table);
  RUN(test_clashes_name_what_clashes);
  RUN(test_hostile_names_and_facts_are_refused);
  RUN(test_lists_pages_and_filters);
  RUN(test_a_device_moves_between_vehicles_and_history_stays);
  RUN(test_signal_ids_are_dense_stable_and_the_tenants_own);
  RUN(test_writers_refuse_the_callers_transaction);
  RUN(test_changes_are_journaled_with_their_kind);
  RUN(test_opens_ten_thousand_vehicles_quickly);
  RUN(test_threads_create_at_once);
  return tap_done();
}
