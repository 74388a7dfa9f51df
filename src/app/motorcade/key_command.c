#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/motorcade/command.h"
#include "base/clock.h"
#include "base/file.h"
#include "registry/registry.h"

/* Keys of an enciphered data folder. */

static const char usage[] = "usage: motorcade key create FILE\n"
                            "       motorcade key list [--data DIR]\n"
                            "       motorcade key rewrap --to SOURCE [--data DIR]\n"
                            "       motorcade key check RECEIPT [--data DIR]\n"
                            "create makes a master key in a file that only its owner reads; name it in motorcade.conf: master_key = file:FILE, and keep a copy elsewhere.\n"
                            "rewrap puts every data key under another master key (file:PATH, env:NAME, credential:NAME, pkcs11:URI); the server must be stopped.\n"
                            "check verifies a receipt of an erasure.\n";

static int done(mc_err err, const mc_why *why)
{
  return err ? command_fail("key", why->text) : 0;
}

static mc_err open_db(const settings *s, mc_db **db, mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/motorcade.db", s->data);
  if (access(path, F_OK))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "%s is missing: is --data the right folder?", path);
  return mc_db_open_sqlite(path, db, why);
}

static mc_err list_tenant(mc_keyring *ring, uint32_t tenant, mc_why *why)
{
  static const char *const subject[] = {"", "tenant", "vehicle", "person"};
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_key_info *key;
  size_t count;
  MC_TRY(mc_keyring_list(ring, tenant, &arena, &key, &count, why));
  for (size_t i = 0; i < count; i++) {
    char made[MC_CLOCK_TEXT], gone[MC_CLOCK_TEXT] = "in use";
    mc_clock_format_us(key[i].created_us, made);
    if (key[i].destroyed_us)
      mc_clock_format_us(key[i].destroyed_us, gone);
    printf("%-8u %-8u %-8s %-10u %-28s %s\n", key[i].key_id, key[i].tenant, key[i].subject <= MC_SUBJECT_PERSON ? subject[key[i].subject] : "?", key[i].subject_id, made, gone);
  }
  return MC_OK;
}

static mc_err last_tenant(mc_db *db, uint32_t *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT COALESCE(MAX(id), 1) FROM tenant", &s, why);
  if (!err) {
    err = mc_stmt_step(s, why);
    *out = err ? MC_TENANT_DEFAULT : (uint32_t)mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err;
}

static mc_err list_keys(const settings *s, mc_why *why)
{
  mc_db *db = NULL;
  mc_master *master = NULL;
  mc_keyring *ring = NULL;
  mc_err err = s->master_key[0] ? open_db(s, &db, why) : mc_err_set(why, MC_ERR_INVALID, "no master_key is set: nothing is enciphered here");
  if (!err)
    err = mc_master_open(s->master_key, &master, why);
  if (!err)
    err = mc_keyring_open(db, master, s->subject_keys, &ring, why);
  if (!err)
    printf("%-8s %-8s %-8s %-10s %-28s %s\n", "key", "tenant", "subject", "id", "made", "destroyed");
  uint32_t last = 0;
  if (!err)
    err = last_tenant(db, &last, why);
  for (uint32_t tenant = 0; !err && tenant <= last; tenant++)
    err = list_tenant(ring, tenant, why);
  mc_keyring_close(&ring);
  mc_master_close(&master);
  mc_db_close(&db);
  return err;
}

/* A running server would go on making keys under the old one. */
static mc_err lock_folder(const settings *s, mc_file **lock, mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/journal/lock", s->data);
  MC_TRY(mc_file_open(mc_fs_posix(), path, MC_FILE_READ | MC_FILE_WRITE, lock, why));
  return mc_file_lock(*lock, why) ? mc_err_set(why, MC_ERR_CONFLICT, "a server runs on %s: stop it first", s->data) : MC_OK;
}

static mc_err rewrap(const settings *s, const char *to, mc_why *why)
{
  mc_db *db = NULL;
  mc_master *master = NULL, *fresh = NULL;
  mc_keyring *ring = NULL;
  mc_file *lock = NULL;
  mc_err err = s->master_key[0] ? lock_folder(s, &lock, why) : mc_err_set(why, MC_ERR_INVALID, "no master_key is set: nothing is enciphered here");
  if (!err)
    err = open_db(s, &db, why);
  if (!err)
    err = mc_master_open(s->master_key, &master, why);
  if (!err)
    err = mc_master_open(to, &fresh, why);
  if (!err)
    err = mc_keyring_open(db, master, s->subject_keys, &ring, why);
  if (!err)
    err = mc_keyring_rewrap(ring, fresh, why);
  if (!err)
    printf("all keys are wrapped by %s now: put master_key = %s into %s/motorcade.conf, then start\n", to, to, s->data);
  mc_keyring_close(&ring);
  mc_master_close(&fresh);
  mc_master_close(&master);
  mc_db_close(&db);
  mc_file_close(&lock);
  return err;
}

static mc_err check_receipt(const settings *s, const char *path, mc_why *why)
{
  char ca_path[700];
  mc_buf receipt = {0}, ca = {0};
  snprintf(ca_path, sizeof ca_path, "%s/ca.pem", s->data);
  mc_err err = mc_fs_read(mc_fs_posix(), path, 1 << 20, &receipt, why);
  if (!err)
    err = mc_fs_read(mc_fs_posix(), ca_path, 1 << 20, &ca, why);
  if (!err)
    err = mc_registry_receipt_check(mc_buf_slice(&ca), mc_buf_slice(&receipt), why);
  if (!err)
    printf("%.*s\nsigned by the certificate authority of %s, unchanged\n", MC_FMT(mc_slice_sub(mc_buf_slice(&receipt), 0, mc_slice_find(mc_buf_slice(&receipt), '\n', 0))), s->data);
  mc_buf_free(&receipt);
  mc_buf_free(&ca);
  return err;
}

int command_key(int argc, char **argv)
{
  int ended;
  settings s;
  mc_why why = {0};
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  const char *to = option_take(&argc, argv, "--to", NULL);
  if (!command_settings(&argc, argv, &s))
    return 1;
  const char *what = option_word(&argc, argv), *file = option_word(&argc, argv);
  if (option_left(argc, argv, usage))
    return 2;
  if (what && !strcmp(what, "create") && file) {
    mc_err err = mc_master_create_file(file, &why);
    if (!err)
      printf("%s is made. Keep a copy where the data is not: without it nothing that is enciphered can be read.\nSet: master_key = file:%s\n", file, file);
    return done(err, &why);
  }
  if (what && !strcmp(what, "list") && !file)
    return done(list_keys(&s, &why), &why);
  if (what && !strcmp(what, "rewrap") && to && !file)
    return done(rewrap(&s, to, &why), &why);
  if (what && !strcmp(what, "check") && file)
    return done(check_receipt(&s, file, &why), &why);
  fputs(usage, stderr);
  return 2;
}
