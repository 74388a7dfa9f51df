#include "registry/registry.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "tap.h"

static char path[200], folder[160];
static mc_master *master;
static mc_why why;

static void fresh(void)
{
  snprintf(folder, sizeof folder, "/tmp/mc-keyring-XXXXXX");
  if (!mkdtemp(folder))
    abort();
  snprintf(path, sizeof path, "%s/motorcade.db", folder);
  setenv("MC_TEST_MASTER", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
  if (mc_master_open("env:MC_TEST_MASTER", &master, &why))
    abort();
}

static void gone(void)
{
  char command[300];
  mc_master_close(&master);
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (system(command))
    abort();
}

static bool seals(mc_keyring *k, uint32_t id, uint8_t sealed[4 + MC_SEAL_EXTRA])
{
  mc_slice text = MC_LIT("text");
  return mc_keyring_seal(k, id, NULL, 0, &text, 1, sealed) == MC_OK;
}

static mc_err opens(mc_keyring *k, uint32_t id, uint8_t sealed[4 + MC_SEAL_EXTRA])
{
  uint8_t out[4];
  return mc_keyring_unseal(k, id, NULL, 0, mc_slice_of(sealed, 4 + MC_SEAL_EXTRA), out);
}

static void test_keys_outlive_the_process(void)
{
  mc_db *db;
  mc_keyring *k;
  uint8_t sealed[2][4 + MC_SEAL_EXTRA];
  fresh();
  CHECK_OK(mc_db_open_sqlite(path, &db, &why));
  CHECK_OK(mc_keyring_open(db, master, true, &k, &why));
  static uint32_t many[2500];
  for (uint32_t i = 0; i < 2500; i++)
    many[i] = i + 1;
  CHECK_OK(mc_keyring_ensure(k, 1, MC_SUBJECT_VEHICLE, many, 2500, &why));
  CHECK_OK(mc_keyring_ensure(k, 1, MC_SUBJECT_VEHICLE, many, 2500, &why)); /* nothing to do */
  uint32_t a = mc_keyring_find(k, 1, MC_SUBJECT_VEHICLE, 1), b = mc_keyring_find(k, 1, MC_SUBJECT_VEHICLE, 2500);
  CHECK(a && b && a != b);
  CHECK_INT(mc_keyring_find(k, 2, MC_SUBJECT_VEHICLE, 1), 0);
  CHECK_INT(mc_keyring_find(k, 1, MC_SUBJECT_PERSON, 1), 0);
  CHECK(seals(k, a, sealed[0]) && seals(k, b, sealed[1]));
  CHECK_INT(opens(k, b, sealed[0]), MC_ERR_CHECKSUM);
  mc_keyring_close(&k);
  mc_db_close(&db);
  CHECK_OK(mc_db_open_sqlite(path, &db, &why));
  CHECK_OK(mc_keyring_open(db, master, true, &k, &why));
  CHECK_INT(mc_keyring_find(k, 1, MC_SUBJECT_VEHICLE, 1), a);
  CHECK_OK(opens(k, a, sealed[0]));
  CHECK_OK(opens(k, b, sealed[1]));
  mc_keyring_close(&k);
  mc_db_close(&db);
  gone();
}

/* Every file of the database is searched for the wrapped key. */
static bool on_disk(const uint8_t *bytes, size_t len)
{
  static const char *const part[] = {"", "-wal", "-shm"};
  bool found = false;
  for (size_t i = 0; i < 3; i++) {
    char name[260];
    mc_buf all = {0};
    snprintf(name, sizeof name, "%s%s", path, part[i]);
    if (mc_fs_read(mc_fs_posix(), name, 1 << 26, &all, NULL) == MC_OK && all.len)
      found |= memmem(all.data, all.len, bytes, len) != NULL;
    mc_buf_free(&all);
  }
  return found;
}

static void test_a_destroyed_key_is_gone_from_every_file(void)
{
  mc_db *db;
  mc_keyring *k;
  uint8_t sealed[4 + MC_SEAL_EXTRA], wrapped[MC_WRAPPED_BYTES], digest[32], again[32];
  size_t count;
  fresh();
  CHECK_OK(mc_db_open_sqlite(path, &db, &why));
  CHECK_OK(mc_keyring_open(db, master, true, &k, &why));
  CHECK_OK(mc_keyring_ensure(k, 1, MC_SUBJECT_VEHICLE, (const uint32_t[]){7, 8}, 2, &why));
  uint32_t id = mc_keyring_find(k, 1, MC_SUBJECT_VEHICLE, 7), other = mc_keyring_find(k, 1, MC_SUBJECT_VEHICLE, 8);
  CHECK(seals(k, id, sealed));
  mc_stmt *s;
  CHECK_OK(mc_db_begin(db, false, &why));
  CHECK_OK(mc_db_prepare(db, "SELECT wrapped FROM data_key WHERE id = $1", &s, &why));
  mc_stmt_bind_int(s, 1, id);
  CHECK_OK(mc_stmt_step(s, &why));
  memcpy(wrapped, mc_stmt_blob(s, 0).data, sizeof wrapped);
  mc_stmt_release(&s);
  CHECK_OK(mc_db_end(db, true, &why));
  CHECK(on_disk(wrapped, sizeof wrapped));
  CHECK_OK(mc_keyring_destroy(k, 1, MC_SUBJECT_VEHICLE, 7, &count, digest, &why));
  CHECK_INT(count, 1);
  CHECK(!on_disk(wrapped, sizeof wrapped));
  CHECK(!on_disk(wrapped + 12, 16));
  CHECK_INT(opens(k, id, sealed), MC_ERR_NOT_FOUND);
  CHECK(seals(k, other, sealed));
  CHECK_INT(mc_keyring_destroy(k, 1, MC_SUBJECT_VEHICLE, 7, &count, again, &why), MC_ERR_NOT_FOUND);
  /* a new key is another one */
  CHECK_OK(mc_keyring_ensure(k, 1, MC_SUBJECT_VEHICLE, (const uint32_t[]){7}, 1, &why));
  CHECK(mc_keyring_find(k, 1, MC_SUBJECT_VEHICLE, 7) > other);
  CHECK_OK(mc_keyring_destroy(k, 1, MC_SUBJECT_VEHICLE, 7, &count, again, &why));
  CHECK(memcmp(digest, again, 32) != 0);
  mc_arena arena = MC_ARENA(1 << 20);
  mc_key_info *list;
  CHECK_OK(mc_keyring_list(k, 1, &arena, &list, &count, &why));
  CHECK_INT(count, 3);
  CHECK(list[0].key_id == id && list[0].destroyed_us >= list[0].created_us && list[0].created_us > 0 && list[1].destroyed_us == 0);
  mc_arena_free(&arena);
  mc_keyring_close(&k);
  mc_db_close(&db);
  gone();
}

static void test_another_master_key_is_refused_and_a_new_one_takes_over(void)
{
  mc_db *db;
  mc_keyring *k;
  mc_master *fresh_master;
  uint8_t sealed[4 + MC_SEAL_EXTRA];
  fresh();
  setenv("MC_TEST_OTHER", "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
  CHECK_OK(mc_master_open("env:MC_TEST_OTHER", &fresh_master, &why));
  CHECK_OK(mc_db_open_sqlite(path, &db, &why));
  CHECK_OK(mc_keyring_open(db, master, true, &k, &why));
  CHECK_OK(mc_keyring_ensure(k, 1, MC_SUBJECT_TENANT, (const uint32_t[]){0}, 1, &why));
  uint32_t id = mc_keyring_find(k, 1, MC_SUBJECT_TENANT, 0);
  CHECK(seals(k, id, sealed));
  mc_keyring *wrong;
  CHECK_INT(mc_keyring_open(db, fresh_master, true, &wrong, &why), MC_ERR_CHECKSUM);
  CHECK_WHY(why, "master key");
  CHECK(!wrong);
  CHECK_OK(mc_keyring_rewrap(k, fresh_master, &why));
  CHECK_OK(opens(k, id, sealed));
  mc_keyring_close(&k);
  CHECK_OK(mc_keyring_open(db, fresh_master, true, &k, &why));
  CHECK_OK(opens(k, id, sealed));
  CHECK_INT(mc_keyring_open(db, master, true, &wrong, &why), MC_ERR_CHECKSUM);
  mc_keyring_close(&k);
  mc_db_close(&db);
  mc_master_close(&fresh_master);
  gone();
}

static void test_a_key_moved_to_another_row_does_not_open(void)
{
  mc_db *db;
  mc_keyring *k;
  fresh();
  CHECK_OK(mc_db_open_sqlite(path, &db, &why));
  CHECK_OK(mc_keyring_open(db, master, true, &k, &why));
  CHECK_OK(mc_keyring_ensure(k, 1, MC_SUBJECT_VEHICLE, (const uint32_t[]){7, 8}, 2, &why));
  mc_keyring_close(&k);
  CHECK_OK(mc_db_run(db, &why, "UPDATE data_key SET wrapped = (SELECT wrapped FROM data_key WHERE subject_id = 7) WHERE subject_id = 8", ""));
  CHECK_INT(mc_keyring_open(db, master, true, &k, &why), MC_ERR_CHECKSUM);
  CHECK_WHY(why, "subject 2/8");
  CHECK_OK(mc_db_run(db, &why, "UPDATE data_key SET wrapped = $1 WHERE subject_id = 8", "b", MC_LIT("short")));
  CHECK_INT(mc_keyring_open(db, master, true, &k, &why), MC_ERR_CHECKSUM);
  mc_db_close(&db);
  gone();
}

static void test_keys_are_not_made_inside_a_transaction(void)
{
  mc_db *db;
  mc_keyring *k;
  fresh();
  CHECK_OK(mc_db_open_sqlite(path, &db, &why));
  CHECK_OK(mc_keyring_open(db, master, true, &k, &why));
  CHECK_OK(mc_db_begin(db, true, &why));
  CHECK_INT(mc_keyring_ensure(k, 1, MC_SUBJECT_VEHICLE, (const uint32_t[]){7}, 1, &why), MC_ERR_INVALID);
  CHECK_OK(mc_db_end(db, false, &why));
  mc_keyring_close(&k);
  mc_db_close(&db);
  gone();
}

int main(void)
{
  RUN(test_keys_outlive_the_process);
  RUN(test_a_destroyed_key_is_gone_from_every_file);
  RUN(test_another_master_key_is_refused_and_a_new_one_takes_over);
  RUN(test_a_key_moved_to_another_row_does_not_open);
  RUN(test_keys_are_not_made_inside_a_transaction);
  return tap_done();
}
