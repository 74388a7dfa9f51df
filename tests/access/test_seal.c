#include "access/seal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

typedef struct folder { char path[200]; } folder;

static folder folder_make(void)
{
  folder f;
  const char *base = getenv("TMPDIR");
  snprintf(f.path, sizeof f.path, "%s/mc-seal-XXXXXX", base && *base ? base : "/tmp");
  if (!mkdtemp(f.path))
    abort();
  return f;
}

static void folder_remove(const folder *f)
{
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", f->path);
  if (system(command))
    abort();
}

static const uint8_t key_a[MC_KEY_BYTES] = {1, 2, 3}, key_b[MC_KEY_BYTES] = {1, 2, 4};

static void test_opens_what_was_sealed_and_nothing_else(void)
{
  mc_sealer *a, *b;
  uint8_t sealed[100 + MC_SEAL_EXTRA], open[100];
  mc_slice aad[2] = {MC_LIT("head"), MC_LIT("topic")}, text[2] = {MC_LIT("hello "), MC_LIT("world")};
  CHECK_OK(mc_sealer_create(key_a, &a));
  CHECK_OK(mc_sealer_create(key_b, &b));
  CHECK_OK(mc_seal(a, aad, 2, text, 2, sealed));
  mc_slice all = mc_slice_of(sealed, 11 + MC_SEAL_EXTRA);
  CHECK(!memmem(sealed, sizeof sealed, "hello", 5));
  CHECK_OK(mc_unseal(a, aad, 2, all, open));
  CHECK(memcmp(open, "hello world", 11) == 0);
  CHECK_INT(mc_unseal(b, aad, 2, all, open), MC_ERR_CHECKSUM);
  mc_slice joined[1] = {MC_LIT("headtopic")}, moved[2] = {MC_LIT("head"), MC_LIT("topiC")};
  CHECK_OK(mc_unseal(a, joined, 1, all, open)); /* the bytes count, not how they are handed over */
  CHECK_INT(mc_unseal(a, moved, 2, all, open), MC_ERR_CHECKSUM);
  for (size_t i = 4; i < all.len; i++) {
    sealed[i] ^= 1;
    CHECK_INT(mc_unseal(a, aad, 2, all, open), MC_ERR_CHECKSUM);
    CHECK(memcmp(open, "hello", 5) != 0);
    sealed[i] ^= 1;
  }
  sealed[0] = 2;
  CHECK_INT(mc_unseal(a, aad, 2, all, open), MC_ERR_UNSUPPORTED);
  CHECK_INT(mc_unseal(a, aad, 2, mc_slice_of(sealed, MC_SEAL_EXTRA - 1), open), MC_ERR_MALFORMED);
  mc_sealer_destroy(&a);
  mc_sealer_destroy(&b);
}

static void test_the_same_text_never_looks_the_same(void)
{
  mc_sealer *s, *again;
  enum { N = 1000 };
  static uint8_t sealed[N][4 + MC_SEAL_EXTRA];
  mc_slice text = MC_LIT("same");
  CHECK_OK(mc_sealer_create(key_a, &s));
  CHECK_OK(mc_sealer_create(key_a, &again));
  for (int i = 0; i < N; i++)
    CHECK_OK(mc_seal(i % 2 ? s : again, NULL, 0, &text, 1, sealed[i]));
  int twice = 0;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < i; k++)
      twice += !memcmp(sealed[i] + 4, sealed[k] + 4, 12);
  CHECK_INT(twice, 0);
  mc_sealer_destroy(&s);
  mc_sealer_destroy(&again);
}

static void test_an_empty_text_is_still_authenticated(void)
{
  mc_sealer *s;
  uint8_t sealed[MC_SEAL_EXTRA], open[1];
  CHECK_OK(mc_sealer_create(key_a, &s));
  CHECK_OK(mc_seal(s, NULL, 0, NULL, 0, sealed));
  CHECK_OK(mc_unseal(s, NULL, 0, mc_slice_of(sealed, sizeof sealed), open));
  sealed[20] ^= 1;
  CHECK_INT(mc_unseal(s, NULL, 0, mc_slice_of(sealed, sizeof sealed), open), MC_ERR_CHECKSUM);
  mc_sealer_destroy(&s);
}

/* ---- master keys ---- */
static void wraps(mc_master *m)
{
  uint8_t wrapped[MC_WRAPPED_BYTES], key[MC_KEY_BYTES];
  mc_why why = {0};
  CHECK_OK(mc_master_wrap(m, MC_LIT("key 1"), key_a, wrapped, &why));
  CHECK(!memmem(wrapped, sizeof wrapped, key_a, 4));
  CHECK_OK(mc_master_unwrap(m, MC_LIT("key 1"), wrapped, key, &why));
  CHECK(memcmp(key, key_a, sizeof key) == 0);
  CHECK_INT(mc_master_unwrap(m, MC_LIT("key 2"), wrapped, key, &why), MC_ERR_CHECKSUM);
  CHECK_WHY(why, "key 2");
  wrapped[20] ^= 1;
  CHECK_INT(mc_master_unwrap(m, MC_LIT("key 1"), wrapped, key, &why), MC_ERR_CHECKSUM);
}

static void test_a_master_key_comes_from_file_environment_or_credential(void)
{
  folder dir = folder_make();
  char path[300], source[320];
  mc_master *m;
  mc_why why = {0};
  snprintf(path, sizeof path, "%s/master.key", dir.path);
  snprintf(source, sizeof source, "file:%s", path);
  CHECK_INT(mc_master_open(source, &m, &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_master_create_file(path, &why));
  CHECK_INT(mc_master_create_file(path, &why), MC_ERR_EXISTS);
  CHECK_OK(mc_master_open(source, &m, &why));
  wraps(m);
  mc_master_close(&m);
  CHECK(chmod(path, 0640) == 0);
  CHECK_INT(mc_master_open(source, &m, &why), MC_ERR_DENIED);
  CHECK_WHY(why, "chmod 600");
  CHECK(chmod(path, 0400) == 0);
  setenv("CREDENTIALS_DIRECTORY", dir.path, 1);
  CHECK_OK(mc_master_open("credential:master.key", &m, &why));
  mc_master_close(&m);
  CHECK_INT(mc_master_open("credential:../master.key", &m, &why), MC_ERR_INVALID);
  unsetenv("CREDENTIALS_DIRECTORY");
  CHECK_INT(mc_master_open("credential:master.key", &m, &why), MC_ERR_NOT_FOUND);
  setenv("MC_TEST_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n", 1);
  CHECK_OK(mc_master_open("env:MC_TEST_KEY", &m, &why));
  wraps(m);
  mc_master_close(&m);
  setenv("MC_TEST_KEY", "0001", 1);
  CHECK_INT(mc_master_open("env:MC_TEST_KEY", &m, &why), MC_ERR_INVALID);
  CHECK_INT(mc_master_open("env:MC_TEST_NOTHING", &m, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_master_open("vault:x", &m, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "file:PATH");
  folder_remove(&dir);
}

static void test_another_master_key_opens_nothing(void)
{
  mc_master *a, *b;
  mc_why why = {0};
  uint8_t wrapped[MC_WRAPPED_BYTES], key[MC_KEY_BYTES];
  setenv("MC_A", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
  setenv("MC_B", "010102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
  CHECK_OK(mc_master_open("env:MC_A", &a, &why));
  CHECK_OK(mc_master_open("env:MC_B", &b, &why));
  CHECK_OK(mc_master_wrap(a, MC_LIT("k"), key_a, wrapped, &why));
  CHECK_INT(mc_master_unwrap(b, MC_LIT("k"), wrapped, key, &why), MC_ERR_CHECKSUM);
  CHECK_WHY(why, "master key");
  mc_master_close(&a);
  mc_master_close(&b);
}

/* A software token of our own, made by the tools that come with it. */
static void test_a_master_key_stays_in_its_token(void)
{
  static const char module[] = "/usr/lib/softhsm/libsofthsm2.so";
  if (access(module, R_OK) || system("command -v softhsm2-util pkcs11-tool >/dev/null 2>&1")) {
    SKIP("softhsm2 and opensc are not installed: no PKCS#11 token was tried");
    return;
  }
  folder dir = folder_make();
  char path[300], command[1500], uri[800];
  mc_master *m;
  mc_why why = {0};
  snprintf(path, sizeof path, "%s/softhsm2.conf", dir.path);
  snprintf(command, sizeof command,
           "mkdir -p %s/tokens && printf 'directories.tokendir = %s/tokens\\nobjectstore.backend = file\\nlog.level = ERROR\\n' > %s && printf 4711 > %s/pin",
           dir.path, dir.path, path, dir.path);
  CHECK(system(command) == 0);
  setenv("SOFTHSM2_CONF", path, 1);
  snprintf(command, sizeof command,
           "softhsm2-util --init-token --free --label fleet --pin 4711 --so-pin 4712 >/dev/null 2>&1 && "
           "pkcs11-tool --module %s --token-label fleet --login --pin 4711 --keygen --key-type AES:32 --label master --usage-decrypt >/dev/null 2>&1", module);
  CHECK(system(command) == 0);
  snprintf(uri, sizeof uri, "pkcs11:token=fleet;object=master;type=secret-key?module-path=%s&pin-source=file:%s/pin", module, dir.path);
  CHECK_OK(mc_master_open(uri, &m, &why));
  if (m)
    wraps(m);
  mc_master_close(&m);
  snprintf(uri, sizeof uri, "pkcs11:token=fleet;object=none?module-path=%s&pin-source=file:%s/pin", module, dir.path);
  CHECK_INT(mc_master_open(uri, &m, &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "secret key");
  snprintf(uri, sizeof uri, "pkcs11:token=other;object=master?module-path=%s&pin-value=4711", module);
  CHECK_INT(mc_master_open(uri, &m, &why), MC_ERR_NOT_FOUND);
  snprintf(uri, sizeof uri, "pkcs11:token=fleet;object=master?module-path=%s&pin-value=0000", module);
  CHECK_INT(mc_master_open(uri, &m, &why), MC_ERR_DENIED);
  snprintf(uri, sizeof uri, "pkcs11:token=fleet;object=master?module-path=%s", module);
  CHECK_INT(mc_master_open(uri, &m, &why), MC_ERR_INVALID);
  CHECK_INT(mc_master_open("pkcs11:token=fleet;object=master?module-path=/nowhere.so&pin-value=1", &m, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_master_open("pkcs11:token=fleet;object=master?pin-value=1", &m, &why), MC_ERR_INVALID);
  CHECK_INT(mc_master_open("pkcs11:tok;en", &m, &why), MC_ERR_INVALID);
  folder_remove(&dir);
}

int main(void)
{
  RUN(test_opens_what_was_sealed_and_nothing_else);
  RUN(test_the_same_text_never_looks_the_same);
  RUN(test_an_empty_text_is_still_authenticated);
  RUN(test_a_master_key_comes_from_file_environment_or_credential);
  RUN(test_another_master_key_opens_nothing);
  RUN(test_a_master_key_stays_in_its_token);
  return tap_done();
}
