/* Fleets, attributes, vehicles that come to a device and vehicles that go. */
#include <unistd.h>

#include "registry_fixture.h"

static mc_err fleet(mc_registry *r, const char *id, mc_why *why)
{
  return mc_registry_fleet_create(r, 1, &(mc_fleet){.id = mc_slice_str(id), .description = MC_LIT("those"), .catalog = MC_LIT("cat")}, why);
}

static void test_fleets_and_their_vehicles_survive_a_restart(void)
{
  char path[] = "/tmp/mc-fleet-XXXXXX";
  CHECK(mkstemp(path) >= 0);
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, path);
  mc_why why = {0};
  mc_vehicle v[3], *list;
  mc_fleet f, *fleets;
  mc_slice *ids;
  size_t n;
  mc_arena arena = MC_ARENA(0);
  for (int i = 0; i < 3; i++) {
    char name[32];
    snprintf(name, sizeof name, "truck-%d", i);
    CHECK_OK(fixture_vehicle(r, 1, name, &v[i], &why));
  }
  CHECK_OK(fleet(r, "north", &why));
  CHECK_OK(fleet(r, "all", &why));
  for (int i = 0; i < 3; i++)
    CHECK_OK(mc_registry_fleet_add(r, 1, MC_LIT("all"), v[i].id, &why));
  CHECK_OK(mc_registry_fleet_add(r, 1, MC_LIT("north"), v[1].id, &why));
  CHECK_OK(mc_registry_fleet_add(r, 1, MC_LIT("north"), v[1].id, &why)); /* twice is no mistake */
  mc_registry_close(&r);
  mc_db_close(&db);
  r = fixture_open(&db, path);
  CHECK(mc_registry_fleet_has(r, 1, MC_LIT("north"), v[1].id));
  CHECK(!mc_registry_fleet_has(r, 1, MC_LIT("north"), v[0].id));
  CHECK(!mc_registry_fleet_has(r, 2, MC_LIT("north"), v[1].id));
  CHECK_OK(mc_registry_fleet_get(r, 1, MC_LIT("all"), &arena, &f, &why));
  CHECK_INT(f.vehicles, 3);
  CHECK_SLICE(f.description, "those");
  CHECK_SLICE(f.catalog, "cat");
  CHECK_OK(mc_registry_fleet_list(r, 1, (mc_slice){0}, 1, &arena, &fleets, &n, &why));
  CHECK_INT(n, 1);
  CHECK_SLICE(fleets[0].id, "all");
  CHECK_OK(mc_registry_fleet_list(r, 1, MC_LIT("all"), 10, &arena, &fleets, &n, &why));
  CHECK_INT(n, 1);
  CHECK_OK(mc_registry_fleet_list(r, 2, (mc_slice){0}, 10, &arena, &fleets, &n, &why));
  CHECK_INT(n, 0);
  CHECK_OK(mc_registry_fleet_vehicles(r, 1, MC_LIT("all"), MC_LIT("truck-0"), 1, &arena, &list, &n, &why));
  CHECK_INT(n, 1);
  CHECK_STR(list[0].name, "truck-1");
  CHECK_OK(mc_registry_fleets_of_vehicle(r, 1, v[1].id, (mc_slice){0}, 10, &arena, &ids, &n, &why));
  CHECK_INT(n, 2);
  CHECK_SLICE(ids[1], "north");
  CHECK_OK(mc_registry_fleets_of_vehicle(r, 2, v[1].id, (mc_slice){0}, 10, &arena, &ids, &n, &why));
  CHECK_INT(n, 0);
  CHECK_INT(mc_registry_fleet_delete(r, 1, MC_LIT("north"), &why), MC_ERR_CONFLICT);
  CHECK_WHY(why, "take them out first");
  CHECK_OK(mc_registry_fleet_remove(r, 1, MC_LIT("north"), v[1].id, &why));
  CHECK_OK(mc_registry_fleet_remove(r, 1, MC_LIT("north"), v[1].id, &why));
  CHECK_OK(mc_registry_fleet_delete(r, 1, MC_LIT("north"), &why));
  CHECK(!mc_registry_fleet_exists(r, 1, MC_LIT("north")));
  CHECK_INT(mc_registry_fleet_get(r, 1, MC_LIT("north"), &arena, &f, &why), MC_ERR_NOT_FOUND);
  mc_arena_free(&arena);
  mc_registry_close(&r);
  mc_db_close(&db);
  remove(path);
}

static void test_what_fleets_refuse(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_why why = {0};
  mc_vehicle v, *list;
  size_t n;
  mc_arena arena = MC_ARENA(0);
  CHECK_OK(fixture_vehicle(r, 1, "truck-1", &v, &why));
  CHECK_INT(fleet(r, "", &why), MC_ERR_INVALID);
  CHECK_INT(fleet(r, "a/b", &why), MC_ERR_INVALID);
  CHECK_OK(fleet(r, "a", &why));
  CHECK_INT(fleet(r, "a", &why), MC_ERR_EXISTS);
  CHECK_INT(mc_registry_fleet_add(r, 1, MC_LIT("b"), v.id, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_fleet_add(r, 1, MC_LIT("a"), 99, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_fleet_add(r, 2, MC_LIT("a"), v.id, &why), MC_ERR_NOT_FOUND); /* another tenant's */
  CHECK_INT(mc_registry_fleet_update(r, 2, MC_LIT("a"), MC_LIT("x"), &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_fleet_delete(r, 2, MC_LIT("a"), &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_fleet_vehicles(r, 2, MC_LIT("a"), (mc_slice){0}, 10, &arena, &list, &n, &why), MC_ERR_NOT_FOUND);
  mc_arena_free(&arena);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static bool only_odd(void *ctx, const mc_vehicle *v) { return (v->name[strlen(v->name) - 1] - '0') % 2 == 1; }

static void test_attributes_are_set_merged_and_searched(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_why why = {0};
  mc_vehicle v, *list;
  mc_attribute *got;
  size_t n;
  mc_arena arena = MC_ARENA(0);
  for (int i = 0; i < 6; i++) {
    char name[32];
    snprintf(name, sizeof name, "car-%d", i);
    CHECK_OK(fixture_vehicle(r, 1, name, &v, &why));
    mc_attribute a[] = {{MC_LIT("colour"), i < 4 ? MC_LIT("red") : MC_LIT("blue")}, {MC_LIT("engine"), MC_LIT("v6")}};
    CHECK_OK(mc_registry_vehicle_set_attributes(r, 1, v.id, a, 2, false, &why));
  }
  mc_attribute merge = {MC_LIT("colour"), MC_LIT("green")};
  CHECK_OK(mc_registry_vehicle_set_attributes(r, 1, v.id, &merge, 1, false, &why));
  CHECK_OK(mc_registry_vehicle_attributes(r, 1, v.id, &arena, &got, &n, &why));
  CHECK_INT(n, 2);
  CHECK_SLICE(got[0].value, "green");
  CHECK_OK(mc_registry_vehicle_set_attributes(r, 1, v.id, &merge, 1, true, &why));
  CHECK_OK(mc_registry_vehicle_attributes(r, 1, v.id, &arena, &got, &n, &why));
  CHECK_INT(n, 1);
  CHECK_OK(mc_registry_vehicle_attributes(r, 2, v.id, &arena, &got, &n, &why));
  CHECK_INT(n, 0);
  CHECK_OK(mc_registry_vehicle_get(r, 1, v.id, &v));
  CHECK(v.updated_us > 0);
  mc_attribute red[] = {{MC_LIT("colour"), MC_LIT("red")}, {MC_LIT("engine"), MC_LIT("v6")}};
  CHECK_OK(mc_registry_vehicle_search(r, 1, red, 2, NULL, NULL, MC_LIT("car-0"), 2, &arena, &list, &n, &why));
  CHECK_INT(n, 2);
  CHECK_STR(list[0].name, "car-1");
  CHECK_OK(mc_registry_vehicle_search(r, 1, red, 1, only_odd, NULL, (mc_slice){0}, 10, &arena, &list, &n, &why));
  CHECK_INT(n, 2);
  CHECK_STR(list[1].name, "car-3");
  CHECK_OK(mc_registry_vehicle_search(r, 2, red, 1, NULL, NULL, (mc_slice){0}, 10, &arena, &list, &n, &why));
  CHECK_INT(n, 0);
  mc_attribute bad = {MC_LIT("a b"), MC_LIT("x")};
  CHECK_INT(mc_registry_vehicle_set_attributes(r, 1, v.id, &bad, 1, false, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_vehicle_set_attributes(r, 2, v.id, &merge, 1, false, &why), MC_ERR_NOT_FOUND);
  mc_attribute many[1001];
  char names[1001][16];
  for (int i = 0; i < 1001; i++) {
    snprintf(names[i], sizeof names[i], "a%d", i);
    many[i] = (mc_attribute){mc_slice_str(names[i]), MC_LIT("x")};
  }
  CHECK_INT(mc_registry_vehicle_set_attributes(r, 1, v.id, many, 1001, true, &why), MC_ERR_TOO_LARGE);
  CHECK_OK(mc_registry_vehicle_set_attributes(r, 1, v.id, many, 1000, true, &why));
  CHECK_INT(mc_registry_vehicle_set_attributes(r, 1, v.id, &merge, 1, false, &why), MC_ERR_TOO_LARGE); /* with those it has */
  CHECK_OK(mc_registry_vehicle_attributes(r, 1, v.id, &arena, &got, &n, &why));
  CHECK_INT(n, 1000); /* and nothing was changed */
  mc_arena_free(&arena);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_a_vehicle_goes_and_its_device_can_sit_in_a_new_one(void)
{
  char path[] = "/tmp/mc-fleet-XXXXXX";
  CHECK(mkstemp(path) >= 0);
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, path);
  mc_why why = {0};
  mc_vehicle v, fresh = {.tenant = 1}, other;
  mc_thing t;
  uint32_t service;
  mc_attribute a = {MC_LIT("k"), MC_LIT("v")};
  CHECK_OK(fixture_vehicle(r, 1, "car-1", &v, &why));
  CHECK_OK(fleet(r, "f", &why));
  CHECK_OK(mc_registry_fleet_add(r, 1, MC_LIT("f"), v.id, &why));
  CHECK_OK(mc_registry_vehicle_set_attributes(r, 1, v.id, &a, 1, false, &why));
  snprintf(fresh.name, sizeof fresh.name, "car-1");
  CHECK_INT(mc_registry_vehicle_create_on_thing(r, &fresh, &why), MC_ERR_CONFLICT);
  CHECK_INT(mc_registry_vehicle_delete(r, 2, v.id, &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_registry_vehicle_delete(r, 1, v.id, &why));
  CHECK_INT(mc_registry_vehicle_delete(r, 1, v.id, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_vehicle_count(r, 1), 0);
  CHECK(!mc_registry_fleet_has(r, 1, MC_LIT("f"), v.id));
  CHECK_OK(mc_registry_thing_find(r, 1, MC_LIT("car-1"), &t));
  CHECK_INT(t.vehicle, 0);
  CHECK_OK(mc_registry_vehicle_create_on_thing(r, &fresh, &why));
  CHECK(fresh.id > v.id);
  CHECK_INT(mc_registry_vehicle_of_thing(r, 1, t.id, mc_clock_wall_us() + 1000000), fresh.id);
  mc_registry_close(&r);
  mc_db_close(&db);
  r = fixture_open(&db, path);
  CHECK(r);
  CHECK_OK(mc_registry_vehicle_find(r, 1, MC_LIT("car-1"), &other));
  CHECK_INT(other.id, fresh.id);
  CHECK_INT(mc_registry_vehicle_count(r, 1), 1);
  snprintf(fresh.name, sizeof fresh.name, "car-2");
  CHECK_INT(mc_registry_vehicle_create_on_thing(r, &fresh, &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_registry_service_create(r, 1, MC_LIT("car-2"), MC_LIT("{\"publish\":[\"x\"]}"), &service, &why));
  CHECK_INT(mc_registry_vehicle_create_on_thing(r, &fresh, &why), MC_ERR_CONFLICT);
  mc_registry_close(&r);
  mc_db_close(&db);
  remove(path);
}

static void test_encodings_come_many_at_once(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_why why = {0};
  uint32_t id[4], again;
  int type;
  double factor, offset;
  mc_encoding_value v[] = {{3, 0.25, 0}, {2, 1, -40}, {3, 0.25, 0}, {11, 0.5, 1}};
  CHECK_OK(mc_registry_encoding_ids(r, v, 4, id, &why));
  CHECK_INT(id[0], id[2]);
  CHECK(id[0] != id[1] && id[1] != id[3]);
  CHECK_OK(mc_registry_encoding_id(r, 2, 1, -40, &again, &why));
  CHECK_INT(again, id[1]);
  CHECK_OK(mc_registry_encoding_get(r, id[3], &type, &factor, &offset));
  CHECK_DOUBLE(factor, 0.5, 0);
  v[1].factor = 0;
  CHECK_INT(mc_registry_encoding_ids(r, v, 4, id, &why), MC_ERR_INVALID);
  mc_registry_close(&r);
  mc_db_close(&db);
}

int main(void)
{
  RUN(test_fleets_and_their_vehicles_survive_a_restart);
  RUN(test_what_fleets_refuse);
  RUN(test_attributes_are_set_merged_and_searched);
  RUN(test_a_vehicle_goes_and_its_device_can_sit_in_a_new_one);
  RUN(test_encodings_come_many_at_once);
  return tap_done();
}
