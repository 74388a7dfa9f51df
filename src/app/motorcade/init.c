/* Keys, certificates and the first admin of a data folder. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "app/motorcade/access_key_file.h"
#include "app/motorcade/command.h"
#include "base/file.h"
#include "registry/registry.h"

enum { CA_DAYS = 3650 * 2, SERVER_DAYS = 825 };

static bool there(const settings *s, const char *name)
{
  char path[700];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", s->data, name);
  return stat(path, &st) == 0;
}

static mc_err put(const settings *s, const char *name, const mc_buf *content, unsigned mode, mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/%s", s->data, name);
  return mc_fs_replace(mc_fs_posix(), path, mc_buf_slice(content), mode, why);
}

static mc_err get(const settings *s, const char *name, mc_buf *content, mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/%s", s->data, name);
  return mc_fs_read(mc_fs_posix(), path, 1 << 20, content, why);
}

static mc_err make_certificates(const settings *s, bool *created, mc_why *why)
{
  mc_buf ca = {0}, ca_key = {0}, cert = {0}, key = {0};
  mc_err err = MC_OK;
  if (there(s, "ca.pem") && there(s, "ca.key")) {
    err = get(s, "ca.pem", &ca, why);
    if (!err)
      err = get(s, "ca.key", &ca_key, why);
  } else {
    *created = true;
    err = mc_pki_create_ca("motorcade CA", CA_DAYS, &ca, &ca_key, why);
    if (!err)
      err = put(s, "ca.key", &ca_key, 0600, why); /* the key first: a certificate without it would be of no use */
    if (!err)
      err = put(s, "ca.pem", &ca, 0644, why);
  }
  if (!err && !(there(s, "server.pem") && there(s, "server.key"))) {
    *created = true;
    err = mc_pki_issue_server(mc_buf_slice(&ca), mc_buf_slice(&ca_key), "motorcade", s->names, SERVER_DAYS, &cert, &key, why);
    if (!err)
      err = put(s, "server.key", &key, 0600, why);
    if (!err)
      err = put(s, "server.pem", &cert, 0644, why);
  }
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  return err;
}

/* 20 characters of 5 bits: no letters that look alike. */
static mc_err make_password(char *out, size_t size)
{
  static const char alphabet[] = "abcdefghjkmnpqrstuvwxyz23456789";
  uint8_t random[20];
  if (size < 24 || getrandom(random, sizeof random, 0) != sizeof random)
    return MC_ERR_IO;
  size_t n = 0;
  for (size_t i = 0; i < sizeof random; i++) {
    if (i && i % 5 == 0)
      out[n++] = '-';
    out[n++] = alphabet[random[i] % (sizeof alphabet - 1)];
  }
  out[n] = 0;
  return MC_OK;
}

static mc_err make_admin(const settings *s, const char *admin, char *password, size_t size, bool *created, mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/motorcade.db", s->data);
  mc_db *db = NULL;
  mc_registry *registry = NULL;
  mc_buf ca = {0}, ca_key = {0};
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_err err = get(s, "ca.pem", &ca, why);
  if (!err)
    err = get(s, "ca.key", &ca_key, why);
  if (!err)
    err = mc_db_open_sqlite(path, &db, why);
  if (!err)
    err = mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, why);
  mc_user *users = NULL, user;
  size_t count = 0;
  if (!err)
    err = mc_registry_user_list(registry, MC_TENANT_DEFAULT, &arena, &users, &count, why);
  if (!err && count == 0) {
    *created = true;
    if (!password[0])
      err = make_password(password, size);
    if (!err)
      err = mc_registry_user_create(registry, MC_TENANT_DEFAULT, mc_slice_str(admin), mc_slice_str(password), MC_ROLE_ADMIN, &user, why);
  } else {
    password[0] = 0;
  }
  mc_registry_close(&registry);
  mc_db_close(&db);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return err;
}

mc_err init_data(const settings *s, const char *admin, char *password, size_t size, bool *created, mc_why *why)
{
  *created = false;
  MC_TRY(mc_fs_mkdirs(mc_fs_posix(), s->data, why));
  MC_TRY(make_certificates(s, created, why));
  mc_master *access_keys;
  MC_TRY(access_key_file_open(s->data, &access_keys, why));
  mc_master_close(&access_keys);
  return make_admin(s, admin, password, size, created, why);
}

int command_init(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade init [--data DIR] [--names host,address,...] [--admin NAME] [--password-file FILE]\n"
      "Makes a certificate authority, a server certificate for the names, and the first admin. What is there already stays.\n";
  if (option_flag(&argc, argv, "--help") || option_flag(&argc, argv, "-h"))
    return fputs(usage, stdout), 0;
  settings s;
  if (!command_settings(&argc, argv, &s))
    return 1;
  const char *admin = option_take(&argc, argv, "--admin", "admin");
  const char *password_file = option_take(&argc, argv, "--password-file", NULL);
  if (option_left(argc, argv, usage))
    return 2;
  char password[300] = "";
  mc_why why = {0};
  if (password_file) {
    mc_buf text = {0};
    if (mc_fs_read(mc_fs_posix(), password_file, sizeof password - 1, &text, &why))
      return command_fail("init", why.text);
    mc_slice_to_str(mc_slice_trim(mc_buf_slice(&text)), password, sizeof password);
    mc_buf_free(&text);
  }
  bool created;
  if (init_data(&s, admin, password, sizeof password, &created, &why))
    return command_fail("init", why.text);
  if (!created)
    printf("%s is ready already; nothing was changed.\n", s.data);
  else
    printf("%s is ready.\n  certificate authority  %s/ca.pem (give it to vehicles)\n  server certificate     for %s\n", s.data, s.data,
           s.names);
  if (password[0] && !password_file)
    printf("  admin                  %s, password %s (shown once)\n", admin, password);
  printf("Start with: motorcade serve --data %s\n", s.data);
  return 0;
}
