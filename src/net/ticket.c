#include "net/ticket.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/log.h"

/* RFC 5077, 4: AES-256-CBC and HMAC-SHA-256, the sealing that OpenSSL itself uses for its tickets. */

enum { HEAD = 8, ENTRY = 88, VERSION = 1, FILE_MAX = HEAD + MC_TICKET_KEYS_MAX * ENTRY + 4 };
#define MAGIC "MCTK"

typedef struct ticket_key {
  uint8_t name[16], cipher[32], mac[32];
  int64_t made_us;
} ticket_key;

struct mc_tickets {
  pthread_rwlock_t lock; /* key, count */
  ticket_key key[MC_TICKET_KEYS_MAX]; /* newest first: it seals */
  size_t count;
  const mc_fs *fs;
  char *path;
  EVP_CIPHER *aes; /* fetched once: an implicit fetch takes OpenSSL's global locks each time */
};

/* ---- the file: README, "Ticket keys" ---- */
static size_t write_keys(const mc_tickets *t, uint8_t out[FILE_MAX])
{
  memcpy(out, MAGIC, 4);
  out[4] = VERSION;
  out[5] = (uint8_t)t->count;
  out[6] = out[7] = 0;
  uint8_t *p = out + HEAD;
  for (size_t i = 0; i < t->count; i++, p += ENTRY) {
    memcpy(p, t->key[i].name, 16);
    memcpy(p + 16, t->key[i].cipher, 32);
    memcpy(p + 48, t->key[i].mac, 32);
    mc_store_le64(p + 80, (uint64_t)t->key[i].made_us);
  }
  size_t len = (size_t)(p - out);
  mc_store_le32(p, mc_crc32c(0, out, len));
  return len + 4;
}

static mc_err read_keys(mc_tickets *t, mc_slice in)
{
  if (in.len < HEAD + 4 || memcmp(in.data, MAGIC, 4) != 0 || in.data[4] != VERSION)
    return MC_ERR_MALFORMED;
  size_t count = in.data[5];
  if (count < 1 || count > MC_TICKET_KEYS_MAX || in.len != HEAD + count * ENTRY + 4 || mc_load_le32(in.data + in.len - 4) != mc_crc32c(0, in.data, in.len - 4))
    return MC_ERR_MALFORMED;
  const uint8_t *p = in.data + HEAD;
  for (size_t i = 0; i < count; i++, p += ENTRY) {
    memcpy(t->key[i].name, p, 16);
    memcpy(t->key[i].cipher, p + 16, 32);
    memcpy(t->key[i].mac, p + 48, 32);
    t->key[i].made_us = (int64_t)mc_load_le64(p + 80);
  }
  t->count = count;
  return MC_OK;
}

static mc_err save(mc_tickets *t, mc_why *why)
{
  if (!t->path)
    return MC_OK;
  uint8_t bytes[FILE_MAX];
  pthread_rwlock_rdlock(&t->lock);
  size_t len = write_keys(t, bytes);
  pthread_rwlock_unlock(&t->lock);
  mc_err err = mc_fs_replace(t->fs, t->path, mc_slice_of(bytes, len), 0600, why);
  OPENSSL_cleanse(bytes, sizeof bytes);
  return err;
}

/* Keys that others could read are no keys. */
static bool readable_by_others(const char *path)
{
  struct stat st;
  return stat(path, &st) == 0 && (st.st_mode & 077) != 0;
}

static void load(mc_tickets *t)
{
  mc_buf text = {0};
  mc_why why;
  mc_err err = mc_fs_read(t->fs, t->path, FILE_MAX, &text, &why);
  if (err == MC_OK && readable_by_others(t->path))
    mc_log(MC_LOG_WARN, "net", "ticket keys could be read by other users: made anew; devices handshake in full once", MC_KZ("file", t->path));
  else if (err == MC_OK && read_keys(t, mc_buf_slice(&text)) != MC_OK)
    mc_log(MC_LOG_WARN, "net", "ticket keys cannot be read (damaged, or of another version): made anew; devices handshake in full once", MC_KZ("file", t->path));
  else if (err != MC_OK && err != MC_ERR_NOT_FOUND)
    mc_log(MC_LOG_WARN, "net", "ticket keys cannot be read: made anew; devices handshake in full once", MC_KZ("why", why.text));
  if (text.data)
    OPENSSL_cleanse(text.data, text.cap);
  mc_buf_free(&text);
}

/* ---- life ---- */
static mc_err make_key(ticket_key *key, int64_t now_us)
{
  key->made_us = now_us;
  return RAND_bytes(key->name, sizeof key->name) == 1 && RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
                 RAND_priv_bytes(key->mac, sizeof key->mac) == 1
             ? MC_OK
             : MC_ERR_TLS;
}

/* A key opens tickets for their life after its successor was made. */
static size_t still_needed(const mc_tickets *t, int64_t now_us)
{
  size_t n = t->count ? 1 : 0;
  while (n < t->count && t->key[n - 1].made_us + (int64_t)MC_TICKET_LIFE_S * 1000000 > now_us)
    n++;
  return n;
}

static bool rotate(mc_tickets *t, int64_t now_us, const ticket_key *fresh)
{
  size_t needed = still_needed(t, now_us);
  bool changed = needed != t->count;
  if (needed < t->count)
    OPENSSL_cleanse(&t->key[needed], (t->count - needed) * sizeof t->key[0]);
  t->count = needed;
  if (fresh) {
    size_t keep = t->count < MC_TICKET_KEYS_MAX ? t->count : MC_TICKET_KEYS_MAX - 1;
    memmove(t->key + 1, t->key, keep * sizeof t->key[0]);
    t->key[0] = *fresh;
    t->count = keep + 1;
  }
  return changed || fresh;
}

static bool is_due(mc_tickets *t, int64_t now_us)
{
  return !t->count || t->key[0].made_us + (int64_t)MC_TICKET_ROTATE_S * 1000000 <= now_us || still_needed(t, now_us) != t->count;
}

mc_err mc_tickets_tend(mc_tickets *t, mc_why *why)
{
  int64_t now = mc_clock_wall_us();
  ticket_key fresh;
  pthread_rwlock_rdlock(&t->lock);
  bool due = is_due(t, now);
  bool old = !t->count || t->key[0].made_us + (int64_t)MC_TICKET_ROTATE_S * 1000000 <= now;
  pthread_rwlock_unlock(&t->lock);
  if (!due)
    return MC_OK;
  if (old && make_key(&fresh, now) != MC_OK)
    return mc_err_set(why, MC_ERR_TLS, "ticket keys: the system gives no random bytes");
  pthread_rwlock_wrlock(&t->lock);
  rotate(t, now, old ? &fresh : NULL);
  pthread_rwlock_unlock(&t->lock);
  OPENSSL_cleanse(&fresh, sizeof fresh);
  return save(t, why);
}

mc_err mc_tickets_open(const mc_fs *fs, const char *path, mc_tickets **out, mc_why *why)
{
  *out = NULL;
  mc_tickets *t = calloc(1, sizeof *t);
  if (!t)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for ticket keys");
  pthread_rwlock_init(&t->lock, NULL);
  t->fs = fs;
  t->path = path ? strdup(path) : NULL;
  t->aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
  mc_err err = MC_OK;
  if (!t->aes || (path && !t->path))
    err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for ticket keys");
  if (err == MC_OK) {
    if (t->path)
      load(t);
    mc_why unsaved;
    mc_err kept = mc_tickets_tend(t, &unsaved);
    if (!t->count)
      err = mc_err_set(why, kept, "%s", unsaved.text);
    else if (kept)
      mc_log(MC_LOG_WARN, "net", "ticket keys are not saved: after a restart devices handshake in full", MC_KZ("why", unsaved.text));
  }
  if (err)
    mc_tickets_close(&t);
  *out = t;
  return err;
}

void mc_tickets_close(mc_tickets **tickets)
{
  mc_tickets *t = *tickets;
  *tickets = NULL;
  if (!t)
    return;
  EVP_CIPHER_free(t->aes);
  OPENSSL_cleanse(t->key, sizeof t->key);
  pthread_rwlock_destroy(&t->lock);
  free(t->path);
  free(t);
}

size_t mc_tickets_count(mc_tickets *t)
{
  pthread_rwlock_rdlock(&t->lock);
  size_t n = t->count;
  pthread_rwlock_unlock(&t->lock);
  return n;
}

/* ---- sealing and opening ---- */
static int set_up(const mc_tickets *t, const ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
  OSSL_PARAM params[2] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0), OSSL_PARAM_construct_end()};
  return EVP_MAC_init(mac, key->mac, sizeof key->mac, params) == 1 && EVP_CipherInit_ex2(cipher, t->aes, key->cipher, iv, seal, NULL) == 1;
}

int mc_tickets_key(mc_tickets *t, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
  int64_t now = mc_clock_wall_us();
  if (seal && !t->path) { /* nobody tends a context without files */
    mc_why ignored;
    mc_tickets_tend(t, &ignored);
  }
  ticket_key key;
  size_t at = 0;
  pthread_rwlock_rdlock(&t->lock);
  size_t usable = still_needed(t, now);
  while (!seal && at < usable && CRYPTO_memcmp(name, t->key[at].name, sizeof key.name) != 0)
    at++;
  bool found = at < usable;
  if (found)
    key = t->key[at];
  pthread_rwlock_unlock(&t->lock);
  if (!found)
    return seal ? -1 : 0; /* 0: the client handshakes in full */
  if (seal) {
    memcpy(name, key.name, sizeof key.name);
    if (RAND_bytes(iv, 16) != 1)
      return -1;
  }
  int ok = set_up(t, &key, iv, cipher, mac, seal);
  OPENSSL_cleanse(&key, sizeof key);
  return !ok ? -1 : at == 0 ? 1 : 2; /* 2: open it, and give a new one */
}
