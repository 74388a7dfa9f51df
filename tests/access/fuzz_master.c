/* Any bytes as a master key file, any text behind "pkcs11:", any bytes as a sealed text: a master key that opens what it sealed, or a refusal that
 * says why. Input: a mode byte, then the bytes. Mode bit 0: a PKCS#11 URI; bit 1: the file may be read by others; bit 2: a sealed text. */
#include <sys/stat.h>

#include "access/access.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_it(mc_master *m)
{
  uint8_t key[MC_KEY_BYTES] = {7}, wrapped[MC_WRAPPED_BYTES], back[MC_KEY_BYTES];
  mc_why why = {0};
  if (mc_master_wrap(m, MC_LIT("key 1"), key, wrapped, &why) || mc_master_unwrap(m, MC_LIT("key 1"), wrapped, back, &why) || memcmp(key, back, sizeof key) != 0)
    abort();
  if (mc_master_unwrap(m, MC_LIT("key 2"), wrapped, back, &why) != MC_ERR_CHECKSUM)
    abort();
}

/* Nobody knows the key: whatever opens was guessed. */
static void unseal(mc_slice sealed)
{
  uint8_t key[MC_KEY_BYTES] = {9}, out[4096];
  mc_sealer *s;
  if (sealed.len > sizeof out || mc_sealer_create(key, &s))
    return;
  mc_slice aad = MC_LIT("aad");
  mc_err err = mc_unseal(s, &aad, 1, sealed, out);
  if (err != MC_ERR_CHECKSUM && err != MC_ERR_MALFORMED && err != MC_ERR_UNSUPPORTED && err != MC_ERR_TRUNCATED)
    abort();
  mc_sealer_destroy(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_master *m = NULL;
  mc_why why = {0};
  char source[1200];
  if (size < 1)
    return 0;
  scratch_folder("master");
  mc_slice bytes = mc_slice_of(data + 1, size - 1);
  if (data[0] & 4) {
    unseal(bytes);
    return 0;
  }
  if (data[0] & 1) {
    char uri[1000];
    mc_slice_to_str(bytes, uri, sizeof uri);
    snprintf(source, sizeof source, "pkcs11:%s", uri);
    if (strstr(uri, "module")) /* would be loaded into this process */
      return 0;
  } else {
    scratch_write("key", bytes);
    if (chmod(scratch_path("key"), data[0] & 2 ? 0640 : 0600))
      abort();
    snprintf(source, sizeof source, "file:%s", scratch_path("key"));
  }
  mc_err err = mc_master_open(source, &m, &why);
  if (err ? !why.text[0] || m : !m)
    abort();
  if (!err && (data[0] & 2) && !(data[0] & 1))
    abort(); /* others could read it */
  if (m)
    try_it(m);
  mc_master_close(&m);
  return 0;
}
