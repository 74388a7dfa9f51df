#include "access/access.h"
#include "tap.h"

static void test_password_is_checked_against_its_hash(void)
{
  char a[160], b[160];
  CHECK_OK(mc_access_password_hash(MC_LIT("correct horse battery"), a, NULL));
  CHECK_OK(mc_access_password_hash(MC_LIT("correct horse battery"), b, NULL));
  CHECK(strncmp(a, "scrypt$16384$8$1$", 17) == 0);
  CHECK(strcmp(a, b) != 0);
  CHECK(mc_access_password_check(MC_LIT("correct horse battery"), mc_slice_str(a)));
  CHECK(!mc_access_password_check(MC_LIT("correct horse batterz"), mc_slice_str(a)));
  CHECK(!mc_access_password_check(MC_LIT(""), mc_slice_str(a)));
}

static void test_weak_and_broken_passwords_are_refused_with_the_rule(void)
{
  char out[160];
  mc_why why = {0};
  CHECK_INT(mc_access_password_hash(MC_LIT("short"), out, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "at least 10");
  CHECK_INT(mc_access_password_hash(MC_LIT("\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4"), out, &why), MC_ERR_INVALID); /* 5 characters, 10 bytes */
  CHECK_INT(mc_access_password_hash(MC_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), out, &why), MC_ERR_INVALID);
  char huge[2000];
  memset(huge, 'x', sizeof huge);
  CHECK_INT(mc_access_password_hash(mc_slice_of(huge, sizeof huge), out, &why), MC_ERR_INVALID);
  CHECK_STR(out, "");
}

static void test_a_broken_stored_hash_never_matches(void)
{
  char good[160];
  CHECK_OK(mc_access_password_hash(MC_LIT("correct horse battery"), good, NULL));
  size_t len = strlen(good);
  CHECK(!mc_access_password_check(MC_LIT("correct horse battery"), mc_slice_of(good, len - 1)));
  CHECK(!mc_access_password_check(MC_LIT("correct horse battery"), MC_LIT("")));
  CHECK(!mc_access_password_check(MC_LIT(""), MC_LIT("")));
  CHECK(!mc_access_password_check(MC_LIT("x"), MC_LIT("scrypt$1073741824$8$1$AAAA$AAAA"))); /* costs are ours, not the text's */
  good[20] = '!';
  CHECK(!mc_access_password_check(MC_LIT("correct horse battery"), mc_slice_str(good)));
}

static void test_secrets_are_long_distinct_and_prefixed(void)
{
  char a[64], b[64];
  CHECK_OK(mc_access_secret_create("mct_", a));
  CHECK_OK(mc_access_secret_create("mct_", b));
  CHECK_INT(strlen(a), 47);
  CHECK(strncmp(a, "mct_", 4) == 0 && strcmp(a, b) != 0);
  CHECK_INT(strspn(a + 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
  CHECK_INT(mc_access_secret_create("much-too-long-a-prefix", a), MC_ERR_INVALID);
  uint8_t digest[32];
  mc_access_secret_digest(MC_LIT("abc"), digest);
  CHECK_INT(digest[0], 0xba); /* FIPS 180-2, B.1 */
  CHECK_INT(digest[31], 0xad);
  mc_access_secret_digest((mc_slice){0}, digest);
  CHECK_INT(digest[0], 0xe3);
}

static void test_roles_hold_what_they_name_and_nothing_unknown(void)
{
  mc_access_role role;
  mc_why why = {0};
  CHECK_OK(mc_access_role_parse(MC_LIT("operator"), &role, NULL));
  CHECK_INT(role, MC_ROLE_OPERATOR);
  CHECK_INT(mc_access_role_parse(MC_LIT("root"), &role, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "\"root\" is not a role");
  CHECK_INT(mc_access_role_parse(MC_LIT("Operator"), &role, NULL), MC_ERR_INVALID);
  CHECK(mc_access_role_allows(MC_ROLE_VIEWER, MC_LIT("vehicle:read")));
  CHECK(!mc_access_role_allows(MC_ROLE_VIEWER, MC_LIT("vehicle:write")));
  CHECK(!mc_access_role_allows(MC_ROLE_OPERATOR, MC_LIT("user:write")));
  CHECK(!mc_access_role_allows(MC_ROLE_ADMIN, MC_LIT("vehicle:destroy")));
  CHECK(!mc_access_role_allows(MC_ROLE_ADMIN, MC_LIT("")));
  CHECK(!mc_access_role_allows((mc_access_role)0, MC_LIT("vehicle:read")));
  CHECK(!mc_access_role_allows((mc_access_role)99, MC_LIT("vehicle:read")));
  for (size_t i = 0; i < mc_access_permission_count(); i++)
    CHECK(mc_access_role_allows(MC_ROLE_ADMIN, mc_slice_str(mc_access_permission_name(i))));
  CHECK(mc_access_permission_name(mc_access_permission_count()) == NULL);
}

int main(void)
{
  RUN(test_password_is_checked_against_its_hash);
  RUN(test_weak_and_broken_passwords_are_refused_with_the_rule);
  RUN(test_a_broken_stored_hash_never_matches);
  RUN(test_secrets_are_long_distinct_and_prefixed);
  RUN(test_roles_hold_what_they_name_and_nothing_unknown);
  return tap_done();
}
