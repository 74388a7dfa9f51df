#include "registry_fixture.h"

static void test_groups_and_their_members(void)
{
  char path[] = "/tmp/mc-group-XXXXXX";
  CHECK(mkstemp(path) >= 0);
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, path);
  mc_why why = {0};
  mc_vehicle v;
  mc_thing t;
  mc_thing_group fleet, tests, *list;
  mc_arena arena = MC_ARENA(0);
  size_t n;
  char profile[32];
  CHECK_OK(fixture_vehicle(r, 1, "truck-1", &v, &why));
  CHECK_OK(fixture_vehicle(r, 1, "truck-2", &v, &why));
  CHECK_OK(mc_registry_thing_find(r, 1, MC_LIT("truck-1"), &t));
  CHECK_OK(mc_registry_group_create(r, 1, MC_LIT("fleet"), MC_LIT("aws-compat"), &fleet, &why));
  CHECK_OK(mc_registry_group_create(r, 1, MC_LIT("a-tests"), (mc_slice){0}, &tests, &why));
  CHECK_INT(mc_registry_thing_profile(r, 1, t.id, profile), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_registry_group_add(r, 1, tests.id, MC_LIT("truck-1"), &why));
  CHECK_INT(mc_registry_thing_profile(r, 1, t.id, profile), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_registry_group_add(r, 1, fleet.id, MC_LIT("truck-1"), &why));
  CHECK_OK(mc_registry_group_add(r, 1, fleet.id, MC_LIT("truck-2"), &why));
  CHECK_INT(mc_registry_group_add(r, 1, fleet.id, MC_LIT("truck-2"), &why), MC_ERR_EXISTS);
  CHECK_OK(mc_registry_thing_profile(r, 1, t.id, profile));
  CHECK_STR(profile, "aws-compat");
  CHECK_INT(mc_registry_thing_profile(r, 2, t.id, profile), MC_ERR_NOT_FOUND);
  mc_registry_close(&r); /* it is there after a restart */
  r = fixture_open(&db, path);
  CHECK_OK(mc_registry_thing_profile(r, 1, t.id, profile));
  CHECK_OK(mc_registry_group_list(r, 1, &arena, &list, &n, &why));
  CHECK_INT(n, 2);
  CHECK_STR(list[0].name, "a-tests");
  CHECK_INT(list[1].things, 2);
  CHECK_OK(mc_registry_group_list(r, 2, &arena, &list, &n, &why));
  CHECK_INT(n, 0);
  mc_thing *things;
  CHECK_OK(mc_registry_group_things(r, 1, fleet.id, MC_LIT("truck-1"), 10, &arena, &things, &n, &why));
  CHECK_INT(n, 1);
  CHECK_STR(things[0].name, "truck-2");
  CHECK_OK(mc_registry_group_remove(r, 1, fleet.id, MC_LIT("truck-1"), &why));
  CHECK_INT(mc_registry_group_remove(r, 1, fleet.id, MC_LIT("truck-1"), &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_thing_profile(r, 1, t.id, profile), MC_ERR_NOT_FOUND);
  mc_arena_free(&arena);
  mc_registry_close(&r);
  mc_db_close(&db);
  remove(path);
}

static void test_a_thing_has_one_profile(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_why why = {0};
  mc_vehicle v;
  mc_thing_group a, b, same;
  CHECK_OK(fixture_vehicle(r, 1, "truck-1", &v, &why));
  CHECK_OK(mc_registry_group_create(r, 1, MC_LIT("a"), MC_LIT("aws-compat"), &a, &why));
  CHECK_OK(mc_registry_group_create(r, 1, MC_LIT("b"), MC_LIT("standard"), &b, &why));
  CHECK_OK(mc_registry_group_create(r, 1, MC_LIT("same"), MC_LIT("aws-compat"), &same, &why));
  CHECK_OK(mc_registry_group_add(r, 1, a.id, MC_LIT("truck-1"), &why));
  CHECK_OK(mc_registry_group_add(r, 1, same.id, MC_LIT("truck-1"), &why));
  CHECK_INT(mc_registry_group_add(r, 1, b.id, MC_LIT("truck-1"), &why), MC_ERR_CONFLICT);
  CHECK_WHY(why, "take it out there");
  CHECK_OK(mc_registry_group_remove(r, 1, a.id, MC_LIT("truck-1"), &why)); /* the other still gives it */
  char profile[32];
  mc_thing t;
  CHECK_OK(mc_registry_thing_find(r, 1, MC_LIT("truck-1"), &t));
  CHECK_OK(mc_registry_thing_profile(r, 1, t.id, profile));
  CHECK_INT(mc_registry_group_add(r, 1, b.id, MC_LIT("truck-1"), &why), MC_ERR_CONFLICT);
  mc_registry_close(&r);
  mc_db_close(&db);
}

static void test_what_groups_refuse(void)
{
  mc_db *db = NULL;
  mc_registry *r = fixture_open(&db, ":memory:");
  mc_why why = {0};
  mc_thing_group g;
  CHECK_INT(mc_registry_group_create(r, 1, MC_LIT(""), (mc_slice){0}, &g, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_group_create(r, 1, MC_LIT("a/b"), (mc_slice){0}, &g, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_group_create(r, 1, MC_LIT("a"), MC_LIT("no\"json"), &g, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_group_create(r, 9, MC_LIT("a"), (mc_slice){0}, &g, &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_registry_group_create(r, 1, MC_LIT("a"), (mc_slice){0}, &g, &why));
  CHECK_INT(mc_registry_group_create(r, 1, MC_LIT("a"), (mc_slice){0}, &g, &why), MC_ERR_EXISTS);
  CHECK_INT(mc_registry_group_add(r, 1, 1, MC_LIT("nobody"), &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_group_add(r, 2, 1, MC_LIT("nobody"), &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_group_get(r, 1, 77, &g), MC_ERR_NOT_FOUND);
  mc_registry_close(&r);
  mc_db_close(&db);
}

int main(void)
{
  RUN(test_groups_and_their_members);
  RUN(test_a_thing_has_one_profile);
  RUN(test_what_groups_refuse);
  return tap_done();
}
