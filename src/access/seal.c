#include "access/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

/* A nonce is 4 random bytes of this sealer and a 64-bit count from a random start. One sealer never repeats one; two sealers of one key (after a
 * restart) meet only when both their 96-bit starts lie within what either counts, which is as unlikely as for random nonces, and cheaper. */

enum { TAG = 16, CACHED = 64, ALGORITHM = 1 };

struct mc_sealer {
  uint64_t serial; /* of the process; never 0, never again */
  uint8_t key[MC_KEY_BYTES];
  uint8_t nonce_head[4];
  _Atomic uint64_t count;
};

/* Setting a key up costs more than sealing a message with it, so a thread keeps the contexts that it used last. */
typedef struct context {
  uint64_t serial; /* of the sealer whose key is set; 0 none */
  EVP_CIPHER_CTX *c;
} context;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void cache_free(void *cache)
{
  for (context *c = cache; c < (context *)cache + CACHED; c++)
    EVP_CIPHER_CTX_free(c->c); /* wipes its key schedule */
  free(cache);
}

static void cache_init(void) { pthread_key_create(&cache_key, cache_free); }

mc_err mc_key_random(uint8_t key[MC_KEY_BYTES])
{
  return getrandom(key, MC_KEY_BYTES, 0) == MC_KEY_BYTES ? MC_OK : MC_ERR_IO;
}

void mc_key_wipe(void *key, size_t size) { OPENSSL_cleanse(key, size); }

mc_err mc_sealer_create(const uint8_t key[MC_KEY_BYTES], mc_sealer **out)
{
  uint64_t start;
  mc_sealer *s = calloc(1, sizeof *s);
  *out = NULL;
  if (!s)
    return MC_ERR_MEMORY;
  if (getrandom(s->nonce_head, sizeof s->nonce_head, 0) != sizeof s->nonce_head || getrandom(&start, sizeof start, 0) != sizeof start) {
    free(s);
    return MC_ERR_IO;
  }
  static _Atomic uint64_t serial;
  s->serial = ++serial;
  memcpy(s->key, key, MC_KEY_BYTES);
  s->count = start;
  *out = s;
  return MC_OK;
}

void mc_sealer_destroy(mc_sealer **sealer)
{
  mc_sealer *s = *sealer;
  if (!s)
    return;
  mc_key_wipe(s, sizeof *s);
  free(s);
  *sealer = NULL;
}

/* This thread's context with the key set. NULL: no memory. */
static EVP_CIPHER_CTX *context_of(mc_sealer *s)
{
  pthread_once(&cache_once, cache_init);
  context *cache = pthread_getspecific(cache_key);
  if (!cache && (!(cache = calloc(CACHED, sizeof *cache)) || pthread_setspecific(cache_key, cache))) {
    free(cache);
    return NULL;
  }
  context *c = &cache[s->serial % CACHED];
  if (c->serial == s->serial)
    return c->c;
  if (!c->c && !(c->c = EVP_CIPHER_CTX_new()))
    return NULL;
  bool ready = EVP_CipherInit_ex(c->c, EVP_aes_256_gcm(), NULL, s->key, NULL, 1) == 1;
  c->serial = ready ? s->serial : 0;
  return ready ? c->c : NULL;
}

/* Nothing of a failed operation is left for the next. */
static void context_spoil(mc_sealer *s)
{
  context *cache = pthread_getspecific(cache_key);
  cache[s->serial % CACHED].serial = 0;
}

static bool add_all(EVP_CIPHER_CTX *c, const mc_slice *part, size_t count, uint8_t *out)
{
  int n;
  for (size_t i = 0; i < count; i++) {
    if (!part[i].len)
      continue;
    if (part[i].len > INT32_MAX || EVP_CipherUpdate(c, out, &n, part[i].data, (int)part[i].len) != 1)
      return false;
    if (out)
      out += n;
  }
  return true;
}

static size_t sum(const mc_slice *part, size_t count)
{
  size_t n = 0;
  for (size_t i = 0; i < count; i++)
    n += part[i].len;
  return n;
}

mc_err mc_seal(mc_sealer *s, const mc_slice *aad, size_t aad_count, const mc_slice *text, size_t text_count, uint8_t *out)
{
  EVP_CIPHER_CTX *c = context_of(s);
  if (!c)
    return MC_ERR_MEMORY;
  int n;
  size_t len = sum(text, text_count);
  memcpy(out, (const uint8_t[4]){1, ALGORITHM, 0, 0}, 4);
  memcpy(out + 4, s->nonce_head, 4);
  mc_store_le64(out + 8, s->count++);
  bool ok = EVP_CipherInit_ex(c, NULL, NULL, NULL, out + 4, 1) == 1 && add_all(c, aad, aad_count, NULL) && add_all(c, text, text_count, out + MC_SEAL_HEAD) &&
            EVP_CipherFinal_ex(c, out + MC_SEAL_HEAD + len, &n) == 1 && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, out + MC_SEAL_HEAD + len) == 1;
  if (!ok)
    context_spoil(s);
  return ok ? MC_OK : MC_ERR_MEMORY;
}

mc_err mc_unseal(mc_sealer *s, const mc_slice *aad, size_t aad_count, mc_slice sealed, uint8_t *out)
{
  if (sealed.len < MC_SEAL_EXTRA)
    return MC_ERR_MALFORMED;
  if (sealed.data[0] != 1 || sealed.data[1] != ALGORITHM)
    return MC_ERR_UNSUPPORTED;
  EVP_CIPHER_CTX *c = context_of(s);
  if (!c)
    return MC_ERR_MEMORY;
  int n;
  mc_slice text = mc_slice_sub(sealed, MC_SEAL_HEAD, sealed.len - MC_SEAL_EXTRA);
  uint8_t tag[TAG], none[1];
  memcpy(tag, sealed.data + sealed.len - TAG, TAG);
  bool ready = EVP_CipherInit_ex(c, NULL, NULL, NULL, sealed.data + 4, 0) == 1 && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 &&
               add_all(c, aad, aad_count, NULL) && add_all(c, &text, 1, text.len ? out : none);
  bool genuine = ready && EVP_CipherFinal_ex(c, text.len ? out + text.len : none, &n) == 1;
  if (!genuine && text.len)
    memset(out, 0, text.len); /* nothing unauthenticated is handed out */
  if (!ready)
    context_spoil(s);
  return genuine ? MC_OK : MC_ERR_CHECKSUM;
}
