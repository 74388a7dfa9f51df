#include "net/openssl_glue.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* TLS contexts. The server never breaks a handshake because of the client's certificate: the verdict is kept in
 * the session (and so in the ticket), and the protocol above refuses with words. */

enum { SESSION_SECONDS = 24 * 3600 };

bool mc_host_is_ip(const char *host)
{
  uint8_t bin[16];
  return inet_pton(AF_INET, host, bin) == 1 || inet_pton(AF_INET6, host, bin) == 1;
}

/* ---- ALPN (RFC 7301) ---- */
static const struct {
  const char *name;
  mc_alpn value;
} alpn_names[] = { /* in the order we prefer */
    {"x-amzn-mqtt-ca", MC_ALPN_MQTT_CERT}, {"mqtt", MC_ALPN_MQTT}, {"x-amzn-http-ca", MC_ALPN_HTTP_CERT}, {"http/1.1", MC_ALPN_HTTP11}};
enum { ALPN_NAMES = sizeof alpn_names / sizeof alpn_names[0] };

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
  for (size_t k = 0; k < ALPN_NAMES; k++) {
    size_t len = strlen(alpn_names[k].name);
    for (unsigned at = 0; at < in_len; at += 1u + in[at]) {
      if (in[at] > in_len - at - 1)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
      if (in[at] == len && memcmp(in + at + 1, alpn_names[k].name, len) == 0) {
        *out = in + at + 1;
        *out_len = (unsigned char)len;
        return SSL_TLSEXT_ERR_OK;
      }
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL; /* names given, none is ours: no_application_protocol (RFC 7301, 3.2) */
}

mc_alpn mc_tls_alpn(const SSL *ssl, bool server)
{
  const unsigned char *name = NULL;
  unsigned len = 0;
  SSL_get0_alpn_selected(ssl, &name, &len);
  if (!len)
    return MC_ALPN_NONE;
  for (size_t k = 0; k < ALPN_NAMES; k++)
    if (mc_slice_eq_str(mc_slice_of(name, len), alpn_names[k].name))
      return alpn_names[k].value;
  return MC_ALPN_OTHER;
}

/* ---- contexts ---- */
static mc_err use_certificate(SSL_CTX *ctx, mc_slice cert_pem, mc_slice key_pem, mc_why *why)
{
  X509 *leaf = NULL;
  EVP_PKEY *key = NULL;
  mc_err err = mc_pem_read_cert(cert_pem, &leaf, why);
  if (err == MC_OK)
    err = mc_pem_read_key(key_pem, &key, why);
  if (err == MC_OK && SSL_CTX_use_certificate(ctx, leaf) != 1)
    err = mc_openssl_why(why, MC_ERR_INVALID, "certificate is not usable for TLS");
  if (err == MC_OK && (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1))
    err = mc_openssl_why(why, MC_ERR_INVALID, "private key does not belong to the certificate");
  X509_free(leaf);
  EVP_PKEY_free(key);
  if (err)
    return err;
  BIO *bio = BIO_new_mem_buf(cert_pem.data, (int)cert_pem.len);
  X509 *x = bio ? PEM_read_bio_X509(bio, NULL, mc_pem_no_pass_phrase, NULL) : NULL; /* the leaf again */
  X509_free(x);
  while (x && (x = PEM_read_bio_X509(bio, NULL, mc_pem_no_pass_phrase, NULL)))
    if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
      X509_free(x);
      break;
    }
  BIO_free(bio);
  ERR_clear_error();
  return MC_OK;
}

static mc_err trust(SSL_CTX *ctx, mc_slice pem, bool announce, mc_why *why)
{
  BIO *bio = pem.len <= 4 << 20 ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
  X509_STORE *store = SSL_CTX_get_cert_store(ctx);
  size_t count = 0;
  for (X509 *x; bio && (x = PEM_read_bio_X509(bio, NULL, mc_pem_no_pass_phrase, NULL)); count++) {
    X509_STORE_add_cert(store, x);
    if (announce)
      SSL_CTX_add_client_CA(ctx, x);
    X509_free(x);
  }
  BIO_free(bio);
  if (!count)
    return mc_openssl_why(why, MC_ERR_MALFORMED, "no certificate authority can be read: expected PEM certificates");
  ERR_clear_error();
  return MC_OK;
}

/* The verdict is left in the store context, where OpenSSL copies it to the session. */
static int record_only(int ok, X509_STORE_CTX *store)
{
  return 1;
}

static int client_session(SSL *ssl, SSL_SESSION *session)
{
  mc_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  pthread_mutex_lock(&tls->lock);
  SSL_SESSION_free(tls->session);
  tls->session = session; /* 1: we keep the reference */
  pthread_mutex_unlock(&tls->lock);
  return 1;
}

static mc_err create(bool server, bool tls13_only, mc_tls **out, mc_why *why)
{
  *out = NULL;
  mc_tls *tls = calloc(1, sizeof *tls);
  if (!tls) {
    mc_err_set(why, MC_ERR_MEMORY, "out of memory for a TLS context");
    return MC_ERR_MEMORY;
  }
  tls->server = server;
  pthread_mutex_init(&tls->lock, NULL);
  tls->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
  if (!tls->ctx) {
    mc_tls_destroy(&tls);
    mc_openssl_why(why, MC_ERR_TLS, "creating a TLS context");
    return MC_ERR_TLS;
  }
  SSL_CTX *ctx = tls->ctx;
  SSL_CTX_set_app_data(ctx, tls);
  SSL_CTX_set_security_level(ctx, 2); /* 112 bits: RSA 2048, P-256 */
  SSL_CTX_set_min_proto_version(ctx, tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK"); /* TLS 1.2: forward secrecy and AEAD only */
  SSL_CTX_set_read_ahead(ctx, 1); /* one read(2) for header and body of a record */
  SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
  *out = tls;
  return MC_OK;
}

mc_err mc_tls_server_create(const mc_tls_server_config *config, mc_tls **out, mc_why *why)
{
  mc_tls *tls;
  *out = NULL;
  MC_TRY(create(true, config->tls13_only, &tls, why));
  SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept for absent clients */
  SSL_CTX_set_num_tickets(tls->ctx, 1);
  static const unsigned char scope[] = "motorcade";
  SSL_CTX_set_session_id_context(tls->ctx, scope, sizeof scope - 1);
  SSL_CTX_set_alpn_select_cb(tls->ctx, choose_alpn, NULL);
  mc_err err = use_certificate(tls->ctx, config->cert_pem, config->key_pem, why);
  if (err)
    mc_err_prefix(why, "server certificate");
  if (err == MC_OK && config->client_ca_pem.len) {
    err = trust(tls->ctx, config->client_ca_pem, true, why);
    if (err)
      mc_err_prefix(why, "client certificate authority");
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, record_only);
    SSL_CTX_set_verify_depth(tls->ctx, 4);
  }
  if (err) {
    mc_tls_destroy(&tls);
    return err;
  }
  *out = tls;
  return MC_OK;
}

static mc_err set_client_alpn(SSL_CTX *ctx, const char *alpn, mc_why *why)
{
  uint8_t wire[256];
  size_t len = strlen(alpn);
  if (!len || len > 255)
    return mc_err_set(why, MC_ERR_INVALID, "ALPN name has %zu bytes: 1 to 255 are allowed", len);
  wire[0] = (uint8_t)len;
  memcpy(wire + 1, alpn, len);
  return SSL_CTX_set_alpn_protos(ctx, wire, (unsigned)len + 1) == 0 ? MC_OK : MC_ERR_MEMORY;
}

mc_err mc_tls_client_create(const mc_tls_client_config *config, mc_tls **out, mc_why *why)
{
  mc_tls *tls;
  *out = NULL;
  MC_TRY(create(false, false, &tls, why));
  SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(tls->ctx, client_session);
  mc_err err = MC_OK;
  if (config->ca_pem.len) {
    err = trust(tls->ctx, config->ca_pem, false, why);
  } else if (SSL_CTX_set_default_verify_paths(tls->ctx) != 1) {
    err = mc_openssl_why(why, MC_ERR_TLS, "system certificate store");
  }
  if (err == MC_OK && (config->cert_pem.len || config->key_pem.len)) {
    err = use_certificate(tls->ctx, config->cert_pem, config->key_pem, why);
    if (err)
      mc_err_prefix(why, "client certificate");
  }
  if (err == MC_OK && config->alpn)
    err = set_client_alpn(tls->ctx, config->alpn, why);
  if (err) {
    mc_tls_destroy(&tls);
    return err;
  }
  *out = tls;
  return MC_OK;
}

void mc_tls_destroy(mc_tls **tls)
{
  mc_tls *t = *tls;
  *tls = NULL;
  if (!t)
    return;
  SSL_SESSION_free(t->session);
  SSL_CTX_free(t->ctx);
  pthread_mutex_destroy(&t->lock);
  free(t);
}

/* ---- one connection ---- */
static bool expect_name(SSL *ssl, const char *host)
{
  if (mc_host_is_ip(host))
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

/* The ticket of the last connection to the same place. */
static void offer_session(mc_tls *tls, SSL *ssl, const char *host, uint16_t port)
{
  pthread_mutex_lock(&tls->lock);
  if (tls->session && port == tls->session_port && strcmp(host, tls->session_host) == 0) {
    SSL_set_session(ssl, tls->session);
  } else {
    SSL_SESSION_free(tls->session);
    tls->session = NULL;
    tls->session_port = port;
    mc_slice_to_str(mc_slice_str(host), tls->session_host, sizeof tls->session_host);
  }
  pthread_mutex_unlock(&tls->lock);
}

mc_err mc_tls_start(mc_tls *tls, int fd, const char *host, uint16_t port, SSL **out, mc_why *why)
{
  ERR_clear_error();
  SSL *ssl = SSL_new(tls->ctx);
  bool ok = ssl && SSL_set_fd(ssl, fd) == 1;
  if (ok && tls->server)
    SSL_set_accept_state(ssl);
  if (ok && !tls->server) {
    SSL_set_connect_state(ssl);
    ok = expect_name(ssl, host);
    if (ok)
      offer_session(tls, ssl, host, port);
  }
  if (!ok) {
    SSL_free(ssl);
    return mc_openssl_why(why, MC_ERR_MEMORY, "starting TLS");
  }
  *out = ssl;
  return MC_OK;
}

/* ---- the peer's certificate ---- */

/* Steps over one DER element; false when it does not fit. */
static bool der_next(const uint8_t *p, size_t len, uint8_t *tag, size_t *head, size_t *size)
{
  if (len < 2)
    return false;
  *tag = p[0];
  size_t n = p[1];
  *head = 2;
  if (n & 0x80) {
    size_t bytes = n & 0x7F;
    if (bytes < 1 || bytes > 3 || len < 2 + bytes)
      return false;
    n = 0;
    for (size_t i = 0; i < bytes; i++)
      n = n << 8 | p[2 + i];
    *head += bytes;
  }
  *size = *head + n;
  return *size <= len;
}

/* Rewrites the session without its certificate (SSL_SESSION's ASN.1 form, field [3]) into the same object: the public way
 * to make OpenSSL free the decoded X509. Tickets have been written before, so resumption still carries the certificate. */
static void drop_session_certificate(SSL_SESSION *session)
{
  uint8_t *der = NULL;
  int der_len = i2d_SSL_SESSION(session, &der);
  uint8_t tag;
  size_t head, size;
  if (der_len <= 0 || !der_next(der, (size_t)der_len, &tag, &head, &size) || tag != 0x30) {
    OPENSSL_free(der);
    return;
  }
  size_t at = head, end = size;
  while (at < end && der_next(der + at, end - at, &tag, &head, &size) && tag != 0xA3)
    at += size;
  if (at < end && tag == 0xA3) {
    size_t body = end - size;
    memmove(der + at, der + at + size, end - at - size);
    /* The outer header keeps its length of 4 bytes (0x30 0x82 hi lo): a session with a certificate is longer than 255. */
    uint8_t outer_tag;
    size_t outer_head, outer_size;
    if (der[1] == 0x82 && body >= 4) {
      size_t content = body - 4;
      uint8_t *start = der;
      if (content >= 256) {
        der[2] = (uint8_t)(content >> 8);
        der[3] = (uint8_t)content;
      } else { /* shorter header: DER allows only the shortest */
        start = content >= 128 ? der + 1 : der + 2;
        start[0] = 0x30;
        if (content >= 128)
          start[1] = 0x81;
        start[content >= 128 ? 2 : 1] = (uint8_t)content;
      }
      if (der_next(start, body, &outer_tag, &outer_head, &outer_size)) {
        const uint8_t *in = start;
        SSL_SESSION *same = session;
        d2i_SSL_SESSION(&same, &in, (long)outer_size);
      }
    }
  }
  OPENSSL_free(der);
  ERR_clear_error();
}

mc_conn_cert *mc_tls_take_peer(SSL *ssl)
{
  X509 *x = SSL_get0_peer_certificate(ssl);
  if (!x)
    return NULL;
  mc_cert_info info;
  if (mc_cert_from_x509(x, &info))
    return NULL;
  size_t name_len = strlen(info.common_name), serial_len = strlen(info.serial);
  mc_conn_cert *c = malloc(sizeof *c + name_len + serial_len);
  if (!c)
    return NULL;
  memcpy(c->fingerprint, info.fingerprint, sizeof c->fingerprint);
  c->not_before_us = info.not_before_us;
  c->not_after_us = info.not_after_us;
  c->verify_result = SSL_get_verify_result(ssl);
  c->name_len = (uint8_t)name_len;
  c->serial_len = (uint8_t)serial_len;
  memcpy(c->text, info.common_name, name_len);
  memcpy(c->text + name_len, info.serial, serial_len);
  if (SSL_is_server(ssl)) {
    STACK_OF(X509) *stack[2] = {SSL_get_peer_cert_chain(ssl), SSL_get0_verified_chain(ssl)};
    for (int i = 0; i < 2; i++)
      while (stack[i] && sk_X509_num(stack[i]) > 0)
        X509_free(sk_X509_pop(stack[i]));
    drop_session_certificate(SSL_get_session(ssl));
  }
  return c;
}
