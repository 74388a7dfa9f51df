#include "access/master.h"

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/file.h"

/* A master key that never leaves its token: AES-GCM inside of it (PKCS#11 v3.0, 5.10; CKM_AES_GCM, 2.13.4), named by an RFC 7512 URI. */

enum { NONCE = 12, TAG = 16, SLOTS_MAX = 64 };

typedef struct token_master {
  mc_master base;
  CK_FUNCTION_LIST *module;
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE key;
  bool initialized, open;
  pthread_mutex_t lock; /* a session does one thing at a time */
} token_master;

static mc_err fail(mc_why *why, CK_RV rv, const char *doing)
{
  mc_err err = rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED || rv == CKR_USER_NOT_LOGGED_IN ? MC_ERR_DENIED : MC_ERR_IO;
  return mc_err_set(why, err, "PKCS#11 token: %s failed: %s", doing, p11_kit_strerror(rv));
}

static CK_MECHANISM gcm(CK_GCM_PARAMS *p, const uint8_t *nonce, mc_slice what)
{
  memset(p, 0, sizeof *p);
  p->pIv = (CK_BYTE_PTR)(uintptr_t)nonce;
  p->ulIvLen = NONCE;
  p->ulIvBits = NONCE * 8;
  p->pAAD = (CK_BYTE_PTR)(uintptr_t)what.data;
  p->ulAADLen = what.len;
  p->ulTagBits = TAG * 8;
  return (CK_MECHANISM){CKM_AES_GCM, p, sizeof *p};
}

static mc_err token_wrap(mc_master *master, mc_slice what, const uint8_t key[MC_KEY_BYTES], uint8_t out[MC_WRAPPED_BYTES], mc_why *why)
{
  token_master *m = (token_master *)master;
  CK_GCM_PARAMS params;
  if (getrandom(out, NONCE, 0) != NONCE)
    return mc_err_errno(why, "random bytes");
  CK_MECHANISM mechanism = gcm(&params, out, what);
  CK_ULONG len = MC_WRAPPED_BYTES - NONCE;
  pthread_mutex_lock(&m->lock);
  CK_RV rv = m->module->C_EncryptInit(m->session, &mechanism, m->key);
  if (rv == CKR_OK)
    rv = m->module->C_Encrypt(m->session, (CK_BYTE_PTR)(uintptr_t)key, MC_KEY_BYTES, out + NONCE, &len);
  pthread_mutex_unlock(&m->lock);
  return rv != CKR_OK || len != MC_WRAPPED_BYTES - NONCE ? fail(why, rv, "wrapping a key with AES-GCM") : MC_OK;
}

static mc_err token_unwrap(mc_master *master, mc_slice what, const uint8_t wrapped[MC_WRAPPED_BYTES], uint8_t key[MC_KEY_BYTES], mc_why *why)
{
  token_master *m = (token_master *)master;
  CK_GCM_PARAMS params;
  CK_MECHANISM mechanism = gcm(&params, wrapped, what);
  uint8_t text[MC_WRAPPED_BYTES];
  CK_ULONG len = sizeof text;
  pthread_mutex_lock(&m->lock);
  CK_RV rv = m->module->C_DecryptInit(m->session, &mechanism, m->key);
  if (rv == CKR_OK)
    rv = m->module->C_Decrypt(m->session, (CK_BYTE_PTR)(uintptr_t)wrapped + NONCE, MC_WRAPPED_BYTES - NONCE, text, &len);
  pthread_mutex_unlock(&m->lock);
  if (rv == CKR_OK && len == MC_KEY_BYTES)
    memcpy(key, text, MC_KEY_BYTES);
  mc_key_wipe(text, sizeof text);
  if (rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED)
    return mc_err_set(why, MC_ERR_CHECKSUM, "%.*s does not open under this master key: is it the one that the data was made with?", MC_FMT(what));
  return rv != CKR_OK || len != MC_KEY_BYTES ? fail(why, rv, "opening a key with AES-GCM") : MC_OK;
}

static void token_close(mc_master *master)
{
  token_master *m = (token_master *)master;
  if (m->open)
    m->module->C_CloseSession(m->session);
  if (m->initialized)
    p11_kit_module_finalize(m->module);
  if (m->module)
    p11_kit_module_release(m->module);
  pthread_mutex_destroy(&m->lock);
  free(m);
}

static const mc_master_kind token = {token_wrap, token_unwrap, token_close};

/* ---- opening ---- */
static mc_err find_slot(token_master *m, const P11KitUri *uri, CK_SLOT_ID *out, mc_why *why)
{
  CK_SLOT_ID slot[SLOTS_MAX];
  CK_ULONG count = SLOTS_MAX, found = 0;
  CK_RV rv = m->module->C_GetSlotList(CK_TRUE, slot, &count);
  if (rv != CKR_OK)
    return fail(why, rv, "listing the slots");
  for (CK_ULONG i = 0; i < count; i++) {
    CK_TOKEN_INFO info;
    if (m->module->C_GetTokenInfo(slot[i], &info) == CKR_OK && p11_kit_uri_match_token_info(uri, &info)) {
      *out = slot[i];
      found++;
    }
  }
  if (found == 1)
    return MC_OK;
  return mc_err_set(why, found ? MC_ERR_CONFLICT : MC_ERR_NOT_FOUND, "PKCS#11: %lu of %lu tokens match the URI, one must: name it by token= or serial=", found, count);
}

static mc_err log_in(token_master *m, P11KitUri *uri, mc_why *why)
{
  const char *value = p11_kit_uri_get_pin_value(uri), *source = p11_kit_uri_get_pin_source(uri);
  mc_buf pin = {0};
  if (source) {
    const char *path = !strncmp(source, "file:", 5) ? source + 5 : source;
    MC_TRY(mc_fs_read(mc_fs_posix(), path, 256, &pin, why));
  } else if (!value) {
    return mc_err_set(why, MC_ERR_INVALID, "PKCS#11: the URI names no PIN: add pin-source=file:/path behind its question mark");
  }
  mc_slice text = source ? mc_slice_trim(mc_buf_slice(&pin)) : mc_slice_str(value);
  CK_RV rv = m->module->C_Login(m->session, CKU_USER, (CK_UTF8CHAR_PTR)(uintptr_t)text.data, text.len);
  if (pin.data)
    mc_key_wipe(pin.data, pin.len);
  mc_buf_free(&pin);
  return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ? MC_OK : fail(why, rv, "logging in");
}

static mc_err find_key(token_master *m, P11KitUri *uri, mc_why *why)
{
  CK_ULONG count;
  CK_OBJECT_HANDLE found[2];
  CK_ULONG found_count = 0;
  CK_ATTRIBUTE wanted[16];
  const CK_ATTRIBUTE *given = p11_kit_uri_get_attributes(uri, &count);
  CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
  CK_ULONG n = 0;
  for (CK_ULONG i = 0; given && i < count && n < 15; i++)
    if (given[i].type != CKA_CLASS)
      wanted[n++] = given[i];
  wanted[n++] = (CK_ATTRIBUTE){CKA_CLASS, &secret, sizeof secret};
  CK_RV rv = m->module->C_FindObjectsInit(m->session, wanted, n);
  if (rv == CKR_OK)
    rv = m->module->C_FindObjects(m->session, found, 2, &found_count);
  m->module->C_FindObjectsFinal(m->session);
  if (rv != CKR_OK)
    return fail(why, rv, "looking for the key");
  if (found_count != 1)
    return mc_err_set(why, found_count ? MC_ERR_CONFLICT : MC_ERR_NOT_FOUND,
                      found_count ? "PKCS#11: several secret keys match the URI: name one by object= or id="
                                  : "PKCS#11: no secret key matches the URI: make one in the token (AES, 32 bytes, allowed to encrypt and decrypt) and name it by object=");
  m->key = found[0];
  return MC_OK;
}

static mc_err open_token(token_master *m, P11KitUri *uri, mc_why *why)
{
  const char *path = p11_kit_uri_get_module_path(uri);
  CK_SLOT_ID slot = 0;
  if (!path)
    return mc_err_set(why, MC_ERR_INVALID, "PKCS#11: the URI names no module: add module-path=/path/to/module.so behind its question mark");
  m->module = p11_kit_module_load(path, 0);
  if (!m->module)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "PKCS#11 module %s: %s", path, p11_kit_message());
  CK_RV rv = p11_kit_module_initialize(m->module);
  if (rv != CKR_OK)
    return fail(why, rv, "starting the module");
  m->initialized = true;
  MC_TRY(find_slot(m, uri, &slot, why));
  rv = m->module->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &m->session);
  if (rv != CKR_OK)
    return fail(why, rv, "opening a session");
  m->open = true;
  MC_TRY(log_in(m, uri, why));
  return find_key(m, uri, why);
}

mc_err mc_master_open_pkcs11(const char *text, mc_master **out, mc_why *why)
{
  token_master *m = calloc(1, sizeof *m);
  P11KitUri *uri = p11_kit_uri_new();
  mc_err err = m && uri ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "out of memory for the master key");
  int parsed = err ? 0 : p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri);
  if (parsed)
    err = mc_err_set(why, MC_ERR_INVALID, "master key source: not a PKCS#11 URI (RFC 7512): %s", p11_kit_uri_message(parsed));
  if (m) {
    pthread_mutex_init(&m->lock, NULL);
    m->base.kind = &token;
  }
  if (!err)
    err = open_token(m, uri, why);
  p11_kit_uri_free(uri);
  if (err && m)
    token_close(&m->base);
  *out = err ? NULL : &m->base;
  return err;
}
