#include "access/master.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Master keys that are bytes in our memory: from a file, the environment or a systemd credential. */

enum { NONCE = 12, TEXT_MAX = 256 };

typedef struct plain_master {
  mc_master base;
  mc_sealer *sealer;
} plain_master;

static mc_err plain_wrap(mc_master *m, mc_slice what, const uint8_t key[MC_KEY_BYTES], uint8_t out[MC_WRAPPED_BYTES], mc_why *why)
{
  uint8_t sealed[MC_KEY_BYTES + MC_SEAL_EXTRA];
  mc_slice text = mc_slice_of(key, MC_KEY_BYTES);
  if (mc_seal(((plain_master *)m)->sealer, &what, 1, &text, 1, sealed))
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory while a key was wrapped");
  memcpy(out, sealed + 4, MC_WRAPPED_BYTES);
  return MC_OK;
}

static mc_err plain_unwrap(mc_master *m, mc_slice what, const uint8_t wrapped[MC_WRAPPED_BYTES], uint8_t key[MC_KEY_BYTES], mc_why *why)
{
  uint8_t sealed[MC_KEY_BYTES + MC_SEAL_EXTRA] = {1, 1};
  memcpy(sealed + 4, wrapped, MC_WRAPPED_BYTES);
  mc_err err = mc_unseal(((plain_master *)m)->sealer, &what, 1, mc_slice_of(sealed, sizeof sealed), key);
  return err ? mc_err_set(why, err, "%.*s does not open under this master key: is it the one that the data was made with?", MC_FMT(what)) : MC_OK;
}

static void plain_close(mc_master *m)
{
  mc_sealer_destroy(&((plain_master *)m)->sealer);
  free(m);
}

static const mc_master_kind plain = {plain_wrap, plain_unwrap, plain_close};

static int digit(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

/* 64 hex digits, white space around them. */
static bool read_hex(mc_slice text, uint8_t key[MC_KEY_BYTES])
{
  text = mc_slice_trim(text);
  if (text.len != (size_t)2 * MC_KEY_BYTES)
    return false;
  for (size_t i = 0; i < MC_KEY_BYTES; i++) {
    int high = digit(text.data[2 * i]), low = digit(text.data[2 * i + 1]);
    if (high < 0 || low < 0)
      return false;
    key[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

static mc_err read_key_text(const char *path, int fd, uint8_t key[MC_KEY_BYTES], mc_why *why)
{
  struct stat st;
  uint8_t text[TEXT_MAX];
  if (fstat(fd, &st))
    return mc_err_errno(why, "master key %s", path);
  if (st.st_mode & 077)
    return mc_err_set(why, MC_ERR_DENIED, "master key %s may be read by others (mode %03o): chmod 600 %s", path, (unsigned)st.st_mode & 0777, path);
  ssize_t n = read(fd, text, sizeof text);
  if (n < 0)
    return mc_err_errno(why, "master key %s", path);
  bool ok = n == MC_KEY_BYTES || read_hex(mc_slice_of(text, (size_t)n), key);
  if (n == MC_KEY_BYTES)
    memcpy(key, text, MC_KEY_BYTES);
  mc_key_wipe(text, sizeof text);
  return ok ? MC_OK : mc_err_set(why, MC_ERR_INVALID, "master key %s: expected 32 bytes or 64 hex digits, found %zd bytes", path, n);
}

static mc_err read_file(const char *path, uint8_t key[MC_KEY_BYTES], mc_why *why)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return mc_err_errno(why, "master key %s", path);
  mc_err err = read_key_text(path, fd, key, why);
  close(fd);
  return err;
}

static mc_err read_env(const char *name, uint8_t key[MC_KEY_BYTES], mc_why *why)
{
  const char *text = getenv(name);
  if (!text)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "the environment has no %s, which should hold the master key as 64 hex digits", name);
  return read_hex(mc_slice_str(text), key) ? MC_OK : mc_err_set(why, MC_ERR_INVALID, "%s: expected 64 hex digits, found %zu characters", name, strlen(text));
}

static mc_err read_credential(const char *name, uint8_t key[MC_KEY_BYTES], mc_why *why)
{
  const char *folder = getenv("CREDENTIALS_DIRECTORY");
  char path[4096];
  if (!folder)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "no credentials were passed: give the unit LoadCredential=%s:/path or SetCredentialEncrypted=%s:...", name, name);
  if (!*name || strchr(name, '/') || snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
    return mc_err_set(why, MC_ERR_INVALID, "\"%s\" is not the name of a credential", name);
  return read_file(path, key, why);
}

static const struct {
  const char *prefix;
  mc_err (*read)(const char *rest, uint8_t key[MC_KEY_BYTES], mc_why *why);
} source_kind[] = {{"file:", read_file}, {"env:", read_env}, {"credential:", read_credential}};

static mc_err open_plain(const uint8_t key[MC_KEY_BYTES], mc_master **out, mc_why *why)
{
  plain_master *m = calloc(1, sizeof *m);
  if (!m || mc_sealer_create(key, &m->sealer)) {
    free(m);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the master key");
  }
  m->base.kind = &plain;
  *out = &m->base;
  return MC_OK;
}

mc_err mc_master_open(const char *source, mc_master **out, mc_why *why)
{
  *out = NULL;
  if (!strncmp(source, "pkcs11:", 7))
    return mc_master_open_pkcs11(source, out, why);
  for (size_t i = 0; i < sizeof source_kind / sizeof source_kind[0]; i++) {
    size_t n = strlen(source_kind[i].prefix);
    if (strncmp(source, source_kind[i].prefix, n) != 0)
      continue;
    uint8_t key[MC_KEY_BYTES];
    mc_err err = source_kind[i].read(source + n, key, why);
    if (!err)
      err = open_plain(key, out, why);
    mc_key_wipe(key, sizeof key);
    return err;
  }
  return mc_err_set(why, MC_ERR_INVALID, "master key source \"%.40s\": expected file:PATH, env:NAME, credential:NAME or pkcs11:URI", source);
}

void mc_master_close(mc_master **master)
{
  if (*master)
    (*master)->kind->close(*master);
  *master = NULL;
}

mc_err mc_master_wrap(mc_master *m, mc_slice what, const uint8_t key[MC_KEY_BYTES], uint8_t out[MC_WRAPPED_BYTES], mc_why *why)
{
  return m->kind->wrap(m, what, key, out, why);
}

mc_err mc_master_unwrap(mc_master *m, mc_slice what, const uint8_t wrapped[MC_WRAPPED_BYTES], uint8_t key[MC_KEY_BYTES], mc_why *why)
{
  return m->kind->unwrap(m, what, wrapped, key, why);
}

mc_err mc_master_create_file(const char *path, mc_why *why)
{
  uint8_t key[MC_KEY_BYTES];
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return errno == EEXIST ? mc_err_set(why, MC_ERR_EXISTS, "%s is there already; data made with it opens with nothing else, so it is left as it is", path)
                           : mc_err_errno(why, "master key %s", path);
  bool ok = mc_key_random(key) == MC_OK && write(fd, key, sizeof key) == (ssize_t)sizeof key && fsync(fd) == 0;
  mc_err err = ok ? MC_OK : mc_err_errno(why, "master key %s", path);
  mc_key_wipe(key, sizeof key);
  close(fd);
  if (err)
    unlink(path);
  return err;
}
