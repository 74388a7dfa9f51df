/* Many vehicles, and many certificates, in one call. */
#include <unistd.h>

#include "registry_fixture.h"

static mc_vehicle_row row_of(const char *name, const char *vin)
{
  mc_vehicle_row r = {.vehicle = {.year = 2024}};
  snprintf(r.vehicle.name, sizeof r.vehicle.name, "%s", name);
  snprintf(r.vehicle.vin, sizeof r.vehicle.vin, "%s", vin);
  return r;
}

static void test_a_thousand_vehicles_are_created_with_their_devices(void)
{
  static mc_vehicle_row row[MC_VEHICLE_ROWS];
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_why why = {0};
  CHECK(r);
  for (int i = 0; i < MC_VEHICLE_ROWS; i++) {
    char name[32], vin[24];
    snprintf(name, sizeof name, "car-%d", i);
    snprintf(vin, sizeof vin, "WVWZZZ1KZ%08d", i);
    row[i] = row_of(name, vin);
  }
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, row, MC_VEHICLE_ROWS, &why));
  CHECK_INT(mc_registry_vehicle_count(r, 1), MC_VEHICLE_ROWS);
  for (int i = 0; i < MC_VEHICLE_ROWS; i += 333) {
    mc_vehicle v;
    mc_thing t;
    CHECK_INT(row[i].state, MC_ROW_CREATED);
    CHECK_OK(mc_registry_vehicle_get(r, 1, row[i].vehicle.id, &v));
    CHECK_STR(v.vin, row[i].vehicle.vin);
    CHECK_OK(mc_registry_thing_find(r, 1, mc_slice_str(v.name), &t));
    CHECK_INT(mc_registry_vehicle_of_thing(r, 1, t.id, v.created_us), v.id);
  }
  mc_registry_close(&r);
  r = fixture_open(&db, NULL); /* the same database, read again */
  CHECK_INT(mc_registry_vehicle_count(r, 1), MC_VEHICLE_ROWS);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_rows_that_do_not_fit_are_refused_and_the_others_created(void)
{
  enum { ROWS = 9 };
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_vehicle there;
  uint32_t service;
  mc_why why = {0};
  CHECK_OK(fixture_vehicle(r, 1, "there", &there, &why));
  snprintf(there.vin, sizeof there.vin, "1HGCM82633A004352");
  CHECK_OK(mc_registry_vehicle_update(r, &there, &why));
  CHECK_OK(mc_registry_service_create(r, 1, MC_LIT("backend"), MC_LIT("{\"publish\":[\"x\"]}"), &service, &why));
  mc_vehicle_row row[ROWS] = {row_of("a", "2HGCM82633A004352"), row_of("no/slash", ""), row_of("b", "1HGCM82633A004352"),
                              row_of("a", ""),                  row_of("c", "2HGCM82633A004352"), row_of("there", ""),
                              row_of("backend", ""),            row_of("d", ""),       row_of("e", "TOO-SHORT")};
  row[7].state = MC_ROW_REFUSED; /* whoever read the row found it wrong */
  mc_err_set(&row[7].why, MC_ERR_INVALID, "told before");
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, row, ROWS, &why));
  static const struct {
    mc_row_state state;
    const char *fact, *text;
  } expected[ROWS] = {{MC_ROW_CREATED, NULL, NULL},
                      {MC_ROW_REFUSED, NULL, "no/slash"},
                      {MC_ROW_REFUSED, "vin", "vehicle 1 has VIN"},
                      {MC_ROW_REFUSED, "name", "the list has a vehicle \"a\" before"},
                      {MC_ROW_REFUSED, "vin", "vehicle \"a\" of the same list has VIN"},
                      {MC_ROW_REFUSED, "name", "already (id 1) with other facts"},
                      {MC_ROW_REFUSED, "name", "device \"backend\" already"},
                      {MC_ROW_REFUSED, NULL, "told before"},
                      {MC_ROW_REFUSED, NULL, "vin: 17 capital"}};
  for (int i = 0; i < ROWS; i++) {
    CHECK_INT(row[i].state, expected[i].state);
    if (expected[i].text)
      CHECK_WHY(row[i].why, expected[i].text);
    if (expected[i].fact)
      CHECK_STR(row[i].fact, expected[i].fact);
  }
  CHECK_INT(mc_registry_vehicle_count(r, 1), 2);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_the_same_list_again_changes_nothing(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_why why = {0};
  mc_vehicle_row row[3] = {row_of("a", "2HGCM82633A004352"), row_of("b", ""), row_of("c", "")};
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, row, 2, &why));
  uint32_t first = row[0].vehicle.id;
  mc_vehicle_row again[3] = {row_of("a", "2HGCM82633A004352"), row_of("b", ""), row_of("c", "")};
  again[1].vehicle.year = 2025;
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, again, 3, &why));
  CHECK_INT(again[0].state, MC_ROW_UNCHANGED);
  CHECK_INT(again[0].vehicle.id, first);
  CHECK_INT(again[1].state, MC_ROW_REFUSED);
  CHECK_INT(again[2].state, MC_ROW_CREATED);
  CHECK_INT(mc_registry_vehicle_count(r, 1), 3);
  mc_vehicle_row same[1] = {row_of("c", "")};
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, same, 1, &why)); /* nothing to write at all */
  CHECK_INT(same[0].state, MC_ROW_UNCHANGED);
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, NULL, 0, &why));
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_a_batch_is_created_whole_or_not_at_all(void)
{
  static mc_vehicle_row many[MC_VEHICLE_ROWS + 1];
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_vehicle v;
  mc_why why = {0};
  mc_vehicle_row row[2] = {row_of("a", ""), row_of("b", "")};
  CHECK_INT(mc_registry_vehicle_create_many(r, 1, many, MC_VEHICLE_ROWS + 1, &why), MC_ERR_TOO_LARGE);
  CHECK_WHY(why, "1000");
  CHECK_INT(mc_registry_vehicle_create_many(r, 77, row, 2, &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "tenant 77");
  CHECK_OK(mc_db_begin(db, true, &why));
  CHECK(mc_registry_vehicle_create_many(r, 1, row, 2, &why) != MC_OK);
  CHECK_OK(mc_db_end(db, false, NULL));
  CHECK_OK(mc_db_run(db, &why, "ALTER TABLE fitting RENAME TO gone", "")); /* the last table that a vehicle is written to */
  CHECK(mc_registry_vehicle_create_many(r, 1, row, 2, &why) != MC_OK);
  CHECK_OK(mc_db_run(db, &why, "ALTER TABLE gone RENAME TO fitting", ""));
  CHECK_INT(mc_registry_vehicle_count(r, 1), 0);
  CHECK_INT(mc_registry_vehicle_find(r, 1, MC_LIT("a"), &v), MC_ERR_NOT_FOUND);
  mc_vehicle_row fresh[2] = {row_of("a", ""), row_of("b", "")};
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, fresh, 2, &why));
  CHECK_INT(mc_registry_vehicle_count(r, 1), 2);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_one_record_announces_the_batch(void)
{
  char dir[] = "/tmp/mc-batch-XXXXXX", rm[60];
  mc_db *db = NULL;
  mc_journal *j;
  mc_why why = {0};
  CHECK(mkdtemp(dir));
  CHECK_OK(mc_journal_open(&(mc_journal_config){.fs = mc_fs_posix(), .dir = dir}, &j, &why));
  mc_registry *plain = fixture_open(&db, ":memory:"); /* makes the CA and the tables */
  mc_registry_close(&plain);
  mc_registry *r;
  CHECK_OK(mc_registry_open(&(mc_registry_config){.db = db, .journal = j, .ca_cert_pem = mc_buf_slice(&fixture_ca_cert), .ca_key_pem = mc_buf_slice(&fixture_ca_key)}, &r, &why));
  mc_vehicle_row row[3] = {row_of("a", ""), row_of("no/slash", ""), row_of("b", "")};
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, row, 3, &why));
  mc_journal_reader *reader;
  mc_record record;
  CHECK_OK(mc_journal_reader_create(j, mc_journal_first_offset(j), (mc_journal_filter){0}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &record, &why));
  CHECK_SLICE(record.topic, "vehicles.created");
  CHECK(memmem(record.payload.data, record.payload.len, "\"name\":\"a\"", 10) && memmem(record.payload.data, record.payload.len, "\"name\":\"b\"", 10));
  CHECK(!memmem(record.payload.data, record.payload.len, "slash", 5));
  CHECK_INT(mc_journal_reader_next(reader, &record, &why), MC_ERR_END);
  mc_journal_reader_destroy(&reader);
  mc_registry_close(&r);
  mc_db_close(&db);
  mc_journal_close(&j);
  snprintf(rm, sizeof rm, "rm -rf %s", dir);
  CHECK_INT(system(rm), 0);
}

/* ---- certificates ---- */

typedef struct given {
  mc_buf cert[3];
  size_t count, fail_at;
} given;

static mc_err take(void *ctx, size_t index, mc_slice cert_pem, mc_slice key_pem, mc_why *why)
{
  given *g = ctx;
  if (g->count == g->fail_at)
    return mc_err_set(why, MC_ERR_IO, "no room for it");
  g->count++;
  return memmem(key_pem.data, key_pem.len, "PRIVATE KEY", 11) ? mc_buf_append_slice(&g->cert[index], cert_pem) : MC_ERR_INVALID;
}

static void test_each_of_many_certificates_opens_the_door_for_its_device(void)
{
  static const char *const name[] = {"a", "b", "c"};
  mc_slice thing[3] = {MC_LIT("a"), MC_LIT("b"), MC_LIT("c")};
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_why why = {0};
  mc_vehicle_row row[3] = {row_of("a", ""), row_of("b", ""), row_of("c", "")};
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, row, 3, &why));
  given g = {.fail_at = SIZE_MAX};
  CHECK_OK(mc_registry_certificate_issue_many(r, 1, thing, 3, 30, take, &g, &why));
  CHECK_INT(g.count, 3);
  for (int round = 0; round < 2; round++) { /* and after a restart */
    for (int i = 0; i < 3; i++) {
      mc_principal who;
      const mc_policy *policy;
      mc_peer peer = fixture_peer(mc_buf_slice(&g.cert[i]), true);
      CHECK_OK(mc_registry_authenticate(r, &peer, &who, &policy, &why));
      CHECK_STR(who.name, name[i]);
      mc_policy_release(policy);
    }
    mc_registry_close(&r);
    r = fixture_open(&db, NULL);
  }
  for (int i = 0; i < 3; i++)
    mc_buf_free(&g.cert[i]);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_of_many_certificates_none_is_issued_when_one_cannot_be(void)
{
  mc_slice thing[2] = {MC_LIT("a"), MC_LIT("nobody")};
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_why why = {0};
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_certificate *list;
  size_t n;
  mc_vehicle_row row[1] = {row_of("a", "")};
  CHECK_OK(mc_registry_vehicle_create_many(r, 1, row, 1, &why));
  given g = {.fail_at = SIZE_MAX};
  CHECK_INT(mc_registry_certificate_issue_many(r, 1, thing, 2, 30, take, &g, &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "nobody");
  CHECK_INT(mc_registry_certificate_issue_many(r, 1, thing, 1, 0, take, &g, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_certificate_issue_many(r, 1, thing, MC_VEHICLE_ROWS + 1, 30, take, &g, &why), MC_ERR_TOO_LARGE);
  CHECK_INT(g.count, 0);
  CHECK_OK(mc_registry_certificate_list(r, 1, MC_LIT("a"), &arena, &list, &n, &why));
  CHECK_INT(n, 0);
  g.fail_at = 0;
  CHECK_INT(mc_registry_certificate_issue_many(r, 1, thing, 1, 30, take, &g, &why), MC_ERR_IO);
  CHECK_WHY(why, "no room for it");
  CHECK_OK(mc_registry_certificate_issue_many(r, 1, NULL, 0, 30, take, &g, &why));
  mc_registry_close(&r);
  mc_db_close(&db);
}

int main(void)
{
  RUN(test_a_thousand_vehicles_are_created_with_their_devices);
  RUN(test_rows_that_do_not_fit_are_refused_and_the_others_created);
  RUN(test_the_same_list_again_changes_nothing);
  RUN(test_a_batch_is_created_whole_or_not_at_all);
  RUN(test_one_record_announces_the_batch);
  RUN(test_each_of_many_certificates_opens_the_door_for_its_device);
  RUN(test_of_many_certificates_none_is_issued_when_one_cannot_be);
  return tap_done();
}
