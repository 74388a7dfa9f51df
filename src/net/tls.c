#include "net/openssl_glue.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/ticket.h"

/* TLS contexts. The server never breaks a handshake because of the client's certificate: the verdict is kept in
 * the session (and so in the ticket), and the protocol above refuses with words. */

enum { SESSION_SECONDS = MC_TICKET_LIFE_S };

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

int mc_tls_choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
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
mc_err mc_tls_use_certificate(SSL_CTX *ctx, mc_slice cert_pem, mc_slice key_pem, mc_why *why)
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

mc_err mc_tls_trust(SSL_CTX *ctx, mc_slice pem, bool announce, mc_why *why)
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

static int client_session(SSL *ssl, SSL_SESSION *session)
{
  mc_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  pthread_mutex_lock(&tls->lock);
  SSL_SESSION_free(tls->session);
  tls->session = session; /* 1: we keep the reference */
  pthread_mutex_unlock(&tls->lock);
  return 1;
}

mc_err mc_tls_create(bool server, bool tls13_only, mc_tls **out, mc_why *why)
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
  MC_TRY(mc_tls_create(false, false, &tls, why));
  SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(tls->ctx, client_session);
  mc_err err = MC_OK;
  if (config->ca_pem.len) {
    err = mc_tls_trust(tls->ctx, config->ca_pem, false, why);
  } else if (SSL_CTX_set_default_verify_paths(tls->ctx) != 1) {
    err = mc_openssl_why(why, MC_ERR_TLS, "system certificate store");
  }
  if (err == MC_OK && (config->cert_pem.len || config->key_pem.len)) {
    err = mc_tls_use_certificate(tls->ctx, config->cert_pem, config->key_pem, why);
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
  mc_tls_server_free(t->at_server); /* its thread first: it uses the context */
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

/* ---- the handshake, and what is left of it ---- */

/* Where the callbacks of the handshake in progress on this thread leave the certificate. */
static _Thread_local mc_conn_cert **handshaking;

mc_conn_cert **mc_tls_handshaking(void) { return handshaking; }

int mc_tls_handshake(SSL *ssl, mc_conn_cert **cert)
{
  handshaking = cert;
  int r = SSL_do_handshake(ssl);
  handshaking = NULL;
  return r;
}

static void take_from_ticket(SSL *ssl, mc_conn_cert **cert)
{
  void *data = NULL;
  size_t len = 0;
  if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &data, &len) == 1 && data)
    mc_peer_cert_read(mc_slice_of(data, len), cert); /* what cannot be read was not resumed: tls_server.c */
}

void mc_tls_slim(SSL *ssl, mc_conn_cert **cert)
{
  X509 *x = SSL_get0_peer_certificate(ssl);
  if (!SSL_is_server(ssl)) {
    *cert = x ? mc_peer_cert_of(x, NULL, (int)SSL_get_verify_result(ssl), INT64_MAX) : NULL;
    return;
  }
  if (!*cert && SSL_session_reused(ssl))
    take_from_ticket(ssl, cert);
  STACK_OF(X509) *stack[2] = {SSL_get_peer_cert_chain(ssl), SSL_get0_verified_chain(ssl)};
  for (int i = 0; i < 2; i++)
    while (stack[i] && sk_X509_num(stack[i]) > 0)
      X509_free(sk_X509_pop(stack[i]));
  if (x) /* no ticket was made */
    mc_session_drop_cert(SSL_get_session(ssl));
  SSL_set_tlsext_status_ocsp_resp(ssl, NULL, 0);
  mc_tls_server_count(ssl);
}
