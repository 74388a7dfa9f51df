/* Access keys: their secrets come back after a restart, only under the keys that they were made with; a new master key takes over; revoking ends them. */
#include <unistd.h>

#include "base/log.h"
#include "registry_fixture.h"
#include "scratch.h"

static const char *folder;
static mc_db *db;
static mc_registry *r;
static mc_why why;

static mc_master *key_file(const char *name)
{
  char source[400];
  mc_master *m = NULL;
  snprintf(source, sizeof source, "file:%s/%s", folder, name);
  mc_master_create_file(source + 5, NULL);
  if (mc_master_open(source, &m, &why))
    printf("# %s\n", why.text);
  return m;
}

static bool open_with(mc_master *master, mc_master *file)
{
  char path[400];
  snprintf(path, sizeof path, "%s/db", folder);
  if (!fixture_ca_cert.len)
    mc_pki_create_ca("test ca", 365, &fixture_ca_cert, &fixture_ca_key, &why);
  if (!db && mc_db_open_sqlite(path, &db, &why))
    return false;
  mc_registry_config config = {.db = db, .ca_cert_pem = mc_buf_slice(&fixture_ca_cert), .ca_key_pem = mc_buf_slice(&fixture_ca_key), .secrets = {master, file}};
  return mc_registry_open(&config, &r, &why) == MC_OK;
}

static void close_all(void)
{
  mc_registry_close(&r);
  mc_db_close(&db);
}

static bool finds(const mc_access_key *k, const char *secret)
{
  mc_principal who;
  char found[MC_ACCESS_KEY_SECRET];
  return mc_registry_access_key_find(r, mc_slice_str(k->key_id), &who, found, &why) == MC_OK && strcmp(found, secret) == 0 && who.kind == MC_PRINCIPAL_KEY && who.id == k->id &&
         who.tenant == k->tenant && who.role == k->role;
}

static void test_a_secret_lives_through_a_restart_enciphered(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_master *file = key_file("access.key"), *other = key_file("other.key");
  mc_access_key k, *list;
  char secret[MC_ACCESS_KEY_SECRET];
  size_t n;
  CHECK(file && other && open_with(NULL, file));
  CHECK_OK(mc_registry_access_key_create(r, 1, MC_LIT("ci"), MC_ROLE_OPERATOR, secret, &k, &why));
  CHECK_INT(strlen(secret), 43);
  CHECK(strlen(k.key_id) == 20 && strncmp(k.key_id, "AKMC", 4) == 0);
  CHECK(finds(&k, secret));
  close_all();
  /* nothing in the database's file is the secret */
  mc_buf bytes = {0};
  char path[400];
  snprintf(path, sizeof path, "%s/db", folder);
  CHECK_OK(mc_fs_read(mc_fs_posix(), path, 1 << 24, &bytes, &why));
  CHECK(!memmem(bytes.data, bytes.len, secret, 43));
  mc_buf_free(&bytes);
  CHECK(open_with(NULL, file));
  CHECK(finds(&k, secret));
  close_all();
  /* another file, or none: listed as unusable, refused, and the start goes on */
  for (int i = 0; i < 2; i++) {
    CHECK(open_with(NULL, i ? other : NULL));
    CHECK(!finds(&k, secret));
    CHECK(mc_registry_access_key_known(r, mc_slice_str(k.key_id)));
    CHECK_OK(mc_registry_access_key_list(r, 1, &arena, &list, &n, &why));
    CHECK(n == 1 && !list[0].usable);
    close_all();
  }
  mc_master_close(&file);
  mc_master_close(&other);
}

static void test_a_new_master_key_takes_over(void)
{
  mc_master *file = key_file("access2.key"), *master = key_file("master.key"), *foreign = key_file("foreign.key");
  mc_access_key k;
  char secret[MC_ACCESS_KEY_SECRET];
  CHECK(file && master && foreign && open_with(NULL, file));
  CHECK_OK(mc_registry_access_key_create(r, 1, MC_LIT("first"), MC_ROLE_ADMIN, secret, &k, &why));
  close_all();
  CHECK(open_with(master, file));
  CHECK(finds(&k, secret));
  close_all();
  CHECK(open_with(master, NULL)); /* the file is not needed any more */
  CHECK(finds(&k, secret));
  close_all();
  CHECK(open_with(NULL, file));
  CHECK(!finds(&k, secret));
  close_all();
  CHECK(open_with(foreign, file));
  CHECK(!finds(&k, secret));
  close_all();
  mc_master_close(&file);
  mc_master_close(&master);
  mc_master_close(&foreign);
}

static void test_a_row_that_was_changed_does_not_open(void)
{
  static const char *const change[] = {"UPDATE access_key SET role = 3", "UPDATE access_key SET tenant = 2", "UPDATE access_key SET secret = zeroblob(60)", "UPDATE access_key SET secret = x'00'"};
  for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
    mc_master *file = key_file("access3.key");
    mc_access_key k;
    char secret[MC_ACCESS_KEY_SECRET], path[400];
    uint32_t second;
    snprintf(path, sizeof path, "%s/db", folder);
    unlink(path);
    CHECK(open_with(NULL, file));
    CHECK_OK(mc_registry_tenant_create(r, MC_LIT("second"), &second, &why));
    CHECK_OK(mc_registry_access_key_create(r, 1, MC_LIT("k"), MC_ROLE_VIEWER, secret, &k, &why));
    CHECK_OK(mc_db_run(db, &why, change[i], ""));
    mc_registry_close(&r);
    CHECK(open_with(NULL, file));
    CHECK(!finds(&k, secret));
    close_all();
    mc_master_close(&file);
  }
}

static void test_revoking_ends_a_key_and_other_tenants_cannot(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_master *file = key_file("access4.key");
  mc_access_key k, *list;
  char secret[MC_ACCESS_KEY_SECRET], path[400];
  uint32_t second;
  size_t n;
  snprintf(path, sizeof path, "%s/db", folder);
  unlink(path);
  CHECK(open_with(NULL, file));
  CHECK_OK(mc_registry_tenant_create(r, MC_LIT("second"), &second, &why));
  CHECK_OK(mc_registry_access_key_create(r, 1, MC_LIT("k"), MC_ROLE_VIEWER, secret, &k, &why));
  CHECK_OK(mc_registry_access_key_list(r, second, &arena, &list, &n, &why));
  CHECK_INT(n, 0);
  CHECK_INT(mc_registry_access_key_revoke(r, second, k.id, &why), MC_ERR_NOT_FOUND);
  CHECK(finds(&k, secret));
  mc_registry_access_key_used(r, mc_slice_str(k.key_id));
  CHECK_OK(mc_registry_access_key_list(r, 1, &arena, &list, &n, &why));
  CHECK(n == 1 && list[0].usable && list[0].last_used_us > 0);
  CHECK_OK(mc_registry_access_key_revoke(r, 1, k.id, &why));
  CHECK(!finds(&k, secret));
  CHECK_INT(mc_registry_access_key_revoke(r, 1, k.id, &why), MC_ERR_NOT_FOUND);
  mc_registry_close(&r);
  CHECK(open_with(NULL, file));
  CHECK(!finds(&k, secret));
  close_all();
  mc_master_close(&file);
}

static void test_refuses_what_cannot_be_a_key(void)
{
  mc_master *file = key_file("access5.key");
  mc_access_key k;
  char secret[MC_ACCESS_KEY_SECRET];
  CHECK(open_with(NULL, file));
  CHECK_INT(mc_registry_access_key_create(r, 1, MC_LIT(""), MC_ROLE_VIEWER, secret, &k, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_access_key_create(r, 1, MC_LIT("\xff"), MC_ROLE_VIEWER, secret, &k, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_access_key_create(r, 1, MC_LIT("k"), (mc_access_role)4, secret, &k, &why), MC_ERR_INVALID);
  CHECK_INT(mc_registry_access_key_create(r, 77, MC_LIT("k"), MC_ROLE_VIEWER, secret, &k, &why), MC_ERR_NOT_FOUND);
  CHECK(!secret[0]);
  close_all();
  CHECK(open_with(NULL, NULL));
  CHECK_INT(mc_registry_access_key_create(r, 1, MC_LIT("k"), MC_ROLE_VIEWER, secret, &k, &why), MC_ERR_UNSUPPORTED);
  mc_principal who;
  CHECK_INT(mc_registry_access_key_find(r, MC_LIT("AKMCAAAAAAAAAAAAAAAA"), &who, secret, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(mc_registry_access_key_find(r, (mc_slice){0}, &who, secret, &why), MC_ERR_UNAUTHENTICATED);
  close_all();
  mc_master_close(&file);
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  folder = scratch_folder("access-key");
  RUN(test_a_secret_lives_through_a_restart_enciphered);
  RUN(test_a_new_master_key_takes_over);
  RUN(test_a_row_that_was_changed_does_not_open);
  RUN(test_revoking_ends_a_key_and_other_tenants_cannot);
  RUN(test_refuses_what_cannot_be_a_key);
  mc_buf_free(&fixture_ca_cert);
  mc_buf_free(&fixture_ca_key);
  return tap_done();
}
