#include "net/tls_server.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

/* A server's context. It never breaks a handshake because of the client's certificate: the verdict is kept, in the connection and in its
 * ticket, and the protocol above refuses with words. Callbacks run on every loop at once: they touch what is immutable or locked only. */

static struct mc_tls_server *server_of(const SSL *ssl)
{
  mc_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  return tls->at_server;
}

/* ---- the client's chain ---- */
static int64_t chain_end_us(X509_STORE_CTX *store)
{
  int64_t end = INT64_MAX;
  STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
  for (int i = 0; chain && i < sk_X509_num(chain); i++) {
    int64_t until = mc_asn1_time_us(X509_get0_notAfter(sk_X509_value(chain, i)));
    end = until < end ? until : end;
  }
  return end;
}

static int record_only(int ok, X509_STORE_CTX *store) { return 1; }

static int verify_client(X509_STORE_CTX *store, void *arg)
{
  struct mc_tls_server *s = ((mc_tls *)arg)->at_server;
  mc_conn_cert **kept = mc_tls_handshaking();
  X509 *leaf = X509_STORE_CTX_get0_cert(store);
  mc_conn_cert *c = kept && leaf ? mc_peer_cert_of(leaf, s->authority, X509_V_OK, INT64_MAX) : NULL;
  if (!c) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
    return 0;
  }
  int64_t now = mc_clock_wall_us();
  if (mc_chain_cache_get(&s->chains, c->fingerprint, now, &c->chain_until_us)) {
    mc_metric_add(s->metric.chain_hits, 1);
    X509_STORE_CTX_set_error(store, X509_V_OK);
  } else {
    mc_metric_add(s->metric.chain_misses, 1);
    X509_STORE_CTX_set_verify_cb(store, record_only);
    X509_verify_cert(store);
    c->verify_result = X509_STORE_CTX_get_error(store);
    c->chain_until_us = chain_end_us(store);
    if (c->verify_result == X509_V_OK)
      mc_chain_cache_put(&s->chains, c->fingerprint, c->chain_until_us);
  }
  free(*kept);
  *kept = c;
  return 1;
}

/* ---- tickets ---- */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
  return mc_tickets_key(server_of(ssl)->tickets, name, iv, cipher, mac, seal);
}

/* Before a ticket is sealed: the certificate leaves the session, its compact form comes in. A session that was resumed has it already. */
static int fill_ticket(SSL *ssl, void *arg)
{
  mc_conn_cert **kept = mc_tls_handshaking();
  if (SSL_session_reused(ssl))
    return 1;
  mc_buf form = {0};
  SSL_SESSION *session = SSL_get_session(ssl);
  int ok = mc_peer_cert_write(kept ? *kept : NULL, &form) == MC_OK && SSL_SESSION_set1_ticket_appdata(session, form.data, form.len) == 1;
  mc_buf_free(&form);
  if (ok && SSL_get0_peer_certificate(ssl))
    mc_session_drop_cert(session);
  return ok;
}

/* A ticket whose certificate would be refused now is no short cut: the full handshake finds out how things stand. */
static SSL_TICKET_RETURN open_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
  if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
    return SSL_TICKET_RETURN_ABORT;
  void *data = NULL;
  size_t len = 0;
  mc_conn_cert *c = NULL;
  int64_t now = mc_clock_wall_us();
  mc_err err = SSL_SESSION_get0_ticket_appdata(session, &data, &len) == 1 ? mc_peer_cert_read(mc_slice_of(data, len), &c) : MC_ERR_MALFORMED;
  bool good = err == MC_ERR_NOT_FOUND ||
              (err == MC_OK && c->verify_result == X509_V_OK && now <= c->not_after_us && now <= c->chain_until_us &&
               !mc_tls_is_revoked(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)), c, NULL, 0));
  free(c);
  if (!good)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  bool renew = status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) >= TLS1_3_VERSION; /* there a ticket serves once: RFC 8446, C.4 */
  return renew ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

/* ---- what files say ---- */
bool mc_tls_is_revoked(const mc_tls *tls, const mc_conn_cert *cert, char *text, size_t size)
{
  struct mc_tls_server *s = tls->at_server;
  if (!s || !s->crl_path || !cert)
    return false;
  pthread_rwlock_rdlock(&s->lock);
  mc_revocation_verdict v = mc_revocation_ask(s->revocation, cert->revocation, mc_clock_wall_us(), text, size);
  pthread_rwlock_unlock(&s->lock);
  return v == MC_REVOCATION_LISTED || (v == MC_REVOCATION_NO_LIST && s->config.crl_required);
}

static int staple(SSL *ssl, void *arg)
{
  struct mc_tls_server *s = arg;
  uint8_t *copy = NULL;
  pthread_rwlock_rdlock(&s->lock);
  size_t len = s->staple_until_us > mc_clock_wall_us() ? s->staple.len : 0;
  if (len)
    copy = OPENSSL_memdup(s->staple.data, len);
  pthread_rwlock_unlock(&s->lock);
  if (!copy)
    return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)len); /* takes it */
  return SSL_TLSEXT_ERR_OK;
}

void mc_tls_server_count(const SSL *ssl)
{
  struct mc_tls_server *s = server_of(ssl);
  mc_metric_add(SSL_session_reused(ssl) ? s->metric.resumed : s->metric.full, 1);
}

/* ---- life ---- */
static STACK_OF(X509) *read_certificates(mc_slice pem)
{
  STACK_OF(X509) *all = sk_X509_new_null();
  BIO *bio = all ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
  for (X509 *x; bio && (x = PEM_read_bio_X509(bio, NULL, mc_pem_no_pass_phrase, NULL));)
    if (!sk_X509_push(all, x))
      X509_free(x);
  BIO_free(bio);
  ERR_clear_error();
  return all;
}

static X509 *issuer_in(STACK_OF(X509) *among, X509 *leaf)
{
  for (int i = 0; among && i < sk_X509_num(among); i++)
    if (X509_check_issued(sk_X509_value(among, i), leaf) == X509_V_OK && X509_cmp(sk_X509_value(among, i), leaf) != 0)
      return sk_X509_value(among, i);
  return NULL;
}

static void find_issuer(struct mc_tls_server *s, SSL_CTX *ctx)
{
  STACK_OF(X509) *chain = NULL;
  s->leaf = SSL_CTX_get0_certificate(ctx);
  X509_up_ref(s->leaf);
  SSL_CTX_get0_chain_certs(ctx, &chain);
  s->issuer = issuer_in(chain, s->leaf);
  s->issuer = s->issuer ? s->issuer : issuer_in(s->authority, s->leaf);
  if (s->issuer)
    X509_up_ref(s->issuer);
}

static void find_metrics(struct mc_tls_server *s)
{
  s->metric.full = mc_metric_get(MC_METRIC_COUNTER, "motorcade_tls_handshakes_total", "TLS handshakes done.", "kind=\"full\"");
  s->metric.resumed = mc_metric_get(MC_METRIC_COUNTER, "motorcade_tls_handshakes_total", "TLS handshakes done.", "kind=\"resumed\"");
  s->metric.chain_hits = mc_metric_get(MC_METRIC_COUNTER, "motorcade_tls_chain_total", "Client chains judged, by where the verdict came from.", "from=\"cache\"");
  s->metric.chain_misses = mc_metric_get(MC_METRIC_COUNTER, "motorcade_tls_chain_total", "Client chains judged, by where the verdict came from.", "from=\"verification\"");
  s->metric.crl_entries = mc_metric_get(MC_METRIC_GAUGE, "motorcade_tls_crl_certificates", "Certificates on the revocation lists in use.", NULL);
  s->metric.crl_errors = mc_metric_get(MC_METRIC_COUNTER, "motorcade_tls_crl_errors_total", "Revocation list files that could not be used.", NULL);
  s->metric.staple_errors = mc_metric_get(MC_METRIC_COUNTER, "motorcade_tls_staple_errors_total", "OCSP answers that could not be used or fetched.", NULL);
}

static char *copy_path(const char *path, bool *failed)
{
  char *copy = path && *path ? strdup(path) : NULL;
  *failed = *failed || (path && *path && !copy);
  return copy;
}

static mc_err server_new(mc_tls *tls, const mc_tls_server_config *config, mc_why *why)
{
  struct mc_tls_server *s = calloc(1, sizeof *s);
  if (!s)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a TLS context");
  bool failed = false;
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_rwlock_init(&s->lock, NULL);
  pthread_mutex_init(&s->tend_lock, NULL);
  pthread_mutex_init(&s->stop_lock, NULL);
  pthread_cond_init(&s->stop_cond, &monotonic);
  pthread_condattr_destroy(&monotonic);
  mc_chain_cache_init(&s->chains);
  s->config = *config;
  s->config.cert_pem = s->config.key_pem = s->config.client_ca_pem = (mc_slice){0};
  s->ticket_path = copy_path(config->ticket_path, &failed);
  s->crl_path = copy_path(config->crl_path, &failed);
  s->staple_path = copy_path(config->staple_path, &failed);
  find_metrics(s);
  tls->at_server = s;
  return failed ? mc_err_set(why, MC_ERR_MEMORY, "out of memory for a TLS context") : MC_OK;
}

void mc_tls_server_free(struct mc_tls_server *s)
{
  if (!s)
    return;
  mc_keeper_stop(s);
  mc_tickets_close(&s->tickets);
  mc_chain_cache_free(&s->chains);
  mc_revocation_free(&s->revocation);
  sk_X509_pop_free(s->authority, X509_free);
  X509_free(s->leaf);
  X509_free(s->issuer);
  mc_buf_free(&s->staple);
  pthread_rwlock_destroy(&s->lock);
  pthread_mutex_destroy(&s->tend_lock);
  pthread_mutex_destroy(&s->stop_lock);
  pthread_cond_destroy(&s->stop_cond);
  free(s->ticket_path);
  free(s->crl_path);
  free(s->staple_path);
  free(s);
}

void mc_tls_quiet(mc_tls *tls)
{
  if (tls && tls->at_server)
    mc_keeper_stop(tls->at_server);
}

/* Tickets hold where the same authorities are trusted: with others, the full handshake judges anew (README, "What a ticket carries"). */
static void set_scope(SSL_CTX *ctx, const mc_tls_server_config *config)
{
  uint8_t scope[SHA256_DIGEST_LENGTH];
  SHA256(config->client_ca_pem.len ? config->client_ca_pem.data : (const uint8_t *)"", config->client_ca_pem.len, scope);
  SSL_CTX_set_session_id_context(ctx, scope, sizeof scope);
}

static mc_err set_verification(mc_tls *tls, mc_slice client_ca_pem, mc_why *why)
{
  mc_err err = mc_tls_trust(tls->ctx, client_ca_pem, true, why);
  if (err)
    return mc_err_prefix(why, "client certificate authority");
  tls->at_server->authority = read_certificates(client_ca_pem);
  SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_verify_depth(tls->ctx, 4);
  SSL_CTX_set_cert_verify_callback(tls->ctx, verify_client, tls);
  return MC_OK;
}

static mc_err set_tickets(mc_tls *tls, mc_why *why)
{
  struct mc_tls_server *s = tls->at_server;
  MC_TRY(mc_tickets_open(mc_fs_posix(), s->ticket_path, &s->tickets, why));
  SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept for absent clients */
  SSL_CTX_set_num_tickets(tls->ctx, 1);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(tls->ctx, ticket_key);
  SSL_CTX_set_session_ticket_cb(tls->ctx, fill_ticket, open_ticket, NULL);
  return MC_OK;
}

mc_err mc_tls_server_create(const mc_tls_server_config *config, mc_tls **out, mc_why *why)
{
  mc_tls *tls;
  *out = NULL;
  MC_TRY(mc_tls_create(true, config->tls13_only, &tls, why));
  mc_err err = server_new(tls, config, why);
  if (err == MC_OK) {
    err = mc_tls_use_certificate(tls->ctx, config->cert_pem, config->key_pem, why);
    if (err)
      mc_err_prefix(why, "server certificate");
  }
  if (err == MC_OK && config->client_ca_pem.len)
    err = set_verification(tls, config->client_ca_pem, why);
  if (err == MC_OK)
    err = set_tickets(tls, why);
  if (err == MC_OK) {
    set_scope(tls->ctx, config);
    /* The chain is what the operator gave: else OpenSSL verifies our own certificate in every handshake, to send its root along. */
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_alpn_select_cb(tls->ctx, mc_tls_choose_alpn, NULL);
    find_issuer(tls->at_server, tls->ctx);
    if (tls->at_server->staple_path || config->staple_fetch) {
      SSL_CTX_set_tlsext_status_cb(tls->ctx, staple);
      SSL_CTX_set_tlsext_status_arg(tls->ctx, tls->at_server);
    }
    err = mc_keeper_start(tls->at_server, why);
  }
  if (err) {
    mc_tls_destroy(&tls);
    return err;
  }
  *out = tls;
  return MC_OK;
}
