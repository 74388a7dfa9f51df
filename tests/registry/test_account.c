#include "registry_fixture.h"

static mc_db *db;
static mc_registry *r;
static mc_user admin;

static void open_world(void)
{
  db = NULL;
  fixture_now_us = INT64_C(1700000000000000);
  mc_clock_set_source(fixture_clock, fixture_clock);
  r = fixture_open(&db, ":memory:");
  mc_registry_user_create(r, 1, MC_LIT("ada"), MC_LIT("correct horse battery"), MC_ROLE_ADMIN, &admin, NULL);
}

static void close_world(void)
{
  mc_registry_close(&r);
  mc_db_close(&db);
  mc_clock_set_source(NULL, NULL);
}

static void reopen(void)
{
  mc_registry_close(&r);
  r = fixture_open(&db, ":memory:");
}

static mc_err sign_in(const char *name, const char *password, const char *address, mc_why *why)
{
  mc_principal who;
  return mc_registry_sign_in(r, 1, mc_slice_str(name), mc_slice_str(password), mc_slice_str(address), &who, why);
}

static void test_signs_in_and_gives_one_answer_for_all_refusals(void)
{
  open_world();
  mc_why a = {0}, b = {0}, c = {0};
  mc_principal who;
  mc_user u;
  CHECK_OK(mc_registry_sign_in(r, 1, MC_LIT("ada"), MC_LIT("correct horse battery"), MC_LIT("192.0.2.1"), &who, &a));
  CHECK_STR(who.name, "ada");
  CHECK_INT(who.role, MC_ROLE_ADMIN);
  CHECK_OK(mc_registry_user_get(r, 1, who.id, &u));
  CHECK(u.last_sign_in_us == fixture_now_us);
  CHECK_INT(sign_in("ada", "wrong", "192.0.2.1", &a), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(sign_in("nobody", "wrong", "192.0.2.1", &b), MC_ERR_UNAUTHENTICATED);
  CHECK_OK(mc_registry_user_create(r, 1, MC_LIT("bob"), MC_LIT("correct horse battery"), MC_ROLE_VIEWER, &u, NULL));
  u.disabled = true;
  CHECK_OK(mc_registry_user_update(r, &u, MC_LIT(""), NULL));
  CHECK_INT(sign_in("bob", "correct horse battery", "192.0.2.1", &c), MC_ERR_UNAUTHENTICATED);
  CHECK_STR(a.text, b.text);
  CHECK_STR(a.text, c.text);
  CHECK_INT(mc_registry_sign_in(r, 2, MC_LIT("ada"), MC_LIT("correct horse battery"), MC_LIT("x"), &who, &a), MC_ERR_UNAUTHENTICATED);
  close_world();
}

static void test_guessing_is_slowed_by_name_and_by_address(void)
{
  open_world();
  mc_why why = {0};
  for (int i = 0; i < 5; i++)
    CHECK_INT(sign_in("ada", "guess", "192.0.2.1", &why), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(sign_in("ada", "correct horse battery", "192.0.2.2", &why), MC_ERR_FULL); /* right password, too soon */
  CHECK_WHY(why, "wait 1 s");
  CHECK(mc_registry_sign_in_wait_us(r, 1, MC_LIT("ada"), MC_LIT("192.0.2.2")) == 1000000);
  CHECK_INT(sign_in("bob", "guess", "192.0.2.1", &why), MC_ERR_FULL); /* same address, other name */
  fixture_now_us += 1000000;
  CHECK_INT(sign_in("ada", "guess", "192.0.2.3", &why), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(sign_in("ada", "guess", "192.0.2.3", &why), MC_ERR_FULL);
  CHECK_WHY(why, "wait 2 s");
  fixture_now_us += 2000000;
  CHECK_OK(sign_in("ada", "correct horse battery", "192.0.2.3", &why));
  CHECK_OK(sign_in("ada", "correct horse battery", "192.0.2.3", &why)); /* success clears the name */
  for (int i = 0; i < 30; i++) {
    sign_in("ghost", "guess", "", &why);
    fixture_now_us += 61000000; /* at most a minute for a name, known or not */
    CHECK(mc_registry_sign_in_wait_us(r, 1, MC_LIT("ghost"), MC_LIT("")) == 0);
  }
  close_world();
}

static void test_many_names_and_huge_ones_leave_the_throttle_working(void)
{
  open_world();
  char name[32];
  mc_why why = {0};
  for (int i = 0; i < 5; i++)
    sign_in("ada", "guess", "", &why);

  for (int i = 0; i < 40; i++) {
    snprintf(name, sizeof name, "n%d", i);
    CHECK_INT(sign_in(name, "guess", "", &why), MC_ERR_UNAUTHENTICATED);
  }
  CHECK_INT(sign_in("ada", "guess", "", &why), MC_ERR_FULL);
  char huge[400];
  memset(huge, 'a', sizeof huge);
  mc_principal who;
  CHECK_INT(mc_registry_sign_in(r, 1, mc_slice_of(huge, sizeof huge), MC_LIT("x"), mc_slice_of(huge, sizeof huge), &who, &why), MC_ERR_UNAUTHENTICATED);
  close_world();
}

static void test_a_link_works_once_and_for_fifteen_minutes(void)
{
  open_world();
  char link[64];
  mc_principal who;
  mc_why why = {0};
  CHECK_OK(mc_registry_link_create(r, 1, admin.id, link, &why));
  reopen();
  CHECK_OK(mc_registry_link_redeem(r, mc_slice_str(link), &who, &why));
  CHECK_STR(who.name, "ada");
  CHECK_INT(mc_registry_link_redeem(r, mc_slice_str(link), &who, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_WHY(why, "ask for a new one");
  CHECK_OK(mc_registry_link_create(r, 1, admin.id, link, &why));
  fixture_now_us += INT64_C(15) * 60 * 1000000;
  CHECK_INT(mc_registry_link_redeem(r, mc_slice_str(link), &who, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(mc_registry_link_redeem(r, MC_LIT(""), &who, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(mc_registry_link_create(r, 2, admin.id, link, &why), MC_ERR_NOT_FOUND);
  close_world();
}

static void test_sessions_idle_out_end_and_follow_the_account(void)
{
  open_world();
  char secret[64], csrf[64], again[64];
  mc_principal who = {.tenant = 1, .kind = MC_PRINCIPAL_USER, .id = admin.id, .role = MC_ROLE_ADMIN}, got;
  mc_why why = {0};
  CHECK_OK(mc_registry_session_create(r, &who, secret, csrf, &why));
  CHECK(strcmp(secret, csrf) != 0 && strlen(csrf) == 60);
  reopen();
  CHECK_OK(mc_registry_session_check(r, mc_slice_str(secret), &got, again));
  CHECK_STR(csrf, again);
  CHECK_STR(got.name, "ada");
  CHECK_INT(mc_registry_session_check(r, MC_LIT("mcs_x"), &got, again), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(mc_registry_session_check(r, MC_LIT(""), &got, again), MC_ERR_UNAUTHENTICATED);
  const int64_t hour = INT64_C(3600) * 1000000;
  for (int i = 0; i < 15; i++) { /* used every 11 hours it lives, up to seven days */
    fixture_now_us += 11 * hour;
    CHECK_OK(mc_registry_session_check(r, mc_slice_str(secret), &got, again));
  }
  reopen(); /* last use was saved */
  CHECK_OK(mc_registry_session_check(r, mc_slice_str(secret), &got, again));
  fixture_now_us += 4 * hour;
  CHECK_INT(mc_registry_session_check(r, mc_slice_str(secret), &got, again), MC_ERR_UNAUTHENTICATED);
  CHECK_OK(mc_registry_session_create(r, &who, secret, csrf, &why));
  fixture_now_us += 12 * hour;
  CHECK_INT(mc_registry_session_check(r, mc_slice_str(secret), &got, again), MC_ERR_UNAUTHENTICATED);
  CHECK_OK(mc_registry_session_create(r, &who, secret, csrf, &why));
  CHECK_OK(mc_registry_session_end(r, mc_slice_str(secret)));
  CHECK_INT(mc_registry_session_end(r, mc_slice_str(secret)), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_registry_session_check(r, mc_slice_str(secret), &got, again), MC_ERR_UNAUTHENTICATED);
  CHECK_OK(mc_registry_session_create(r, &who, secret, csrf, &why));
  CHECK_OK(mc_registry_user_update(r, &admin, MC_LIT("another long password"), &why)); /* a new password ends what was open */
  CHECK_INT(mc_registry_session_check(r, mc_slice_str(secret), &got, again), MC_ERR_UNAUTHENTICATED);
  CHECK_OK(sign_in("ada", "another long password", "", &why));
  who.kind = MC_PRINCIPAL_TOKEN;
  CHECK_INT(mc_registry_session_create(r, &who, secret, csrf, &why), MC_ERR_INVALID);
  close_world();
}

static void test_tokens_are_checked_listed_revoked_and_expire(void)
{
  open_world();
  char secret[64], second[64];
  mc_token t, u, *list;
  mc_principal who;
  size_t n;
  mc_why why = {0};
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  CHECK_OK(mc_registry_token_create(r, 1, MC_LIT("grafana"), MC_ROLE_VIEWER, 0, secret, &t, &why));
  CHECK_OK(mc_registry_token_create(r, 1, MC_LIT("short"), MC_ROLE_ADMIN, fixture_now_us + 5000000, second, &u, &why));
  reopen();
  CHECK_OK(mc_registry_token_check(r, mc_slice_str(secret), &who));
  CHECK_INT(who.role, MC_ROLE_VIEWER);
  CHECK_INT(who.kind, MC_PRINCIPAL_TOKEN);
  CHECK_OK(mc_registry_token_check(r, mc_slice_str(second), &who));
  fixture_now_us += 5000000;
  CHECK_INT(mc_registry_token_check(r, mc_slice_str(second), &who), MC_ERR_UNAUTHENTICATED);
  CHECK_OK(mc_registry_token_list(r, 1, &arena, &list, &n, &why));
  CHECK_INT(n, 2);
  CHECK_STR(list[0].name, "grafana");
  CHECK(list[0].last_used_us > 0);
  CHECK_INT(mc_registry_token_revoke(r, 2, t.id, &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_registry_token_check(r, mc_slice_str(secret), &who));
  CHECK_OK(mc_registry_token_revoke(r, 1, t.id, &why));
  CHECK_INT(mc_registry_token_check(r, mc_slice_str(secret), &who), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(mc_registry_token_revoke(r, 1, t.id, &why), MC_ERR_NOT_FOUND);
  reopen();
  CHECK_INT(mc_registry_token_check(r, mc_slice_str(secret), &who), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(mc_registry_token_create(r, 1, MC_LIT(""), MC_ROLE_VIEWER, 0, secret, &t, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_token_create(r, 1, MC_LIT("x"), MC_ROLE_VIEWER, 5, secret, &t, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_token_create(r, 9, MC_LIT("x"), MC_ROLE_VIEWER, 0, secret, &t, &why), MC_ERR_NOT_FOUND);
  CHECK_STR(secret, "");
  close_world();
}

static void test_users_are_refused_with_the_rule_and_the_last_admin_stays(void)
{
  open_world();
  mc_user u, *list;
  size_t n;
  mc_why why = {0};
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  CHECK_INT(mc_registry_user_create(r, 1, MC_LIT("ada"), MC_LIT("correct horse battery"), MC_ROLE_VIEWER, &u, &why), MC_ERR_EXISTS);
  CHECK_INT(mc_registry_user_create(r, 1, MC_LIT("a b"), MC_LIT("correct horse battery"), MC_ROLE_VIEWER, &u, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_user_create(r, 1, MC_LIT(""), MC_LIT("correct horse battery"), MC_ROLE_VIEWER, &u, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_user_create(r, 1, MC_LIT("bob"), MC_LIT("short"), MC_ROLE_VIEWER, &u, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "at least 10");
  CHECK_INT(mc_registry_user_create(r, 1, MC_LIT("bob"), MC_LIT("correct horse battery"), (mc_access_role)7, &u, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_user_create(r, 5, MC_LIT("bob"), MC_LIT("correct horse battery"), MC_ROLE_VIEWER, &u, &why), MC_ERR_NOT_FOUND);
  u = admin;
  u.role = MC_ROLE_VIEWER;
  CHECK_INT(mc_registry_user_update(r, &u, MC_LIT(""), &why), MC_ERR_CONFLICT);
  CHECK_WHY(why, "last admin");
  u = admin;
  u.disabled = true;
  CHECK_INT(mc_registry_user_update(r, &u, MC_LIT(""), &why), MC_ERR_CONFLICT);
  mc_user second;
  CHECK_OK(mc_registry_user_create(r, 1, MC_LIT("eve"), MC_LIT("correct horse battery"), MC_ROLE_ADMIN, &second, &why));
  CHECK_OK(mc_registry_user_update(r, &u, MC_LIT(""), &why));
  CHECK_OK(mc_registry_user_list(r, 1, &arena, &list, &n, &why));
  CHECK_INT(n, 2);
  CHECK_STR(list[0].name, "ada");
  CHECK(list[0].disabled && !list[1].disabled);
  u.id = 99;
  CHECK_INT(mc_registry_user_update(r, &u, MC_LIT(""), &why), MC_ERR_NOT_FOUND);
  close_world();
}

int main(void)
{
  RUN(test_signs_in_and_gives_one_answer_for_all_refusals);
  RUN(test_guessing_is_slowed_by_name_and_by_address);
  RUN(test_many_names_and_huge_ones_leave_the_throttle_working);
  RUN(test_a_link_works_once_and_for_fifteen_minutes);
  RUN(test_sessions_idle_out_end_and_follow_the_account);
  RUN(test_tokens_are_checked_listed_revoked_and_expire);
  RUN(test_users_are_refused_with_the_rule_and_the_last_admin_stays);
  return tap_done();
}
