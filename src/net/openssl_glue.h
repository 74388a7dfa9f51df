/* net-internal: what pki.c, tls.c and conn.c share of OpenSSL. Not for other modules. */
#ifndef MC_NET_OPENSSL_GLUE_H
#define MC_NET_OPENSSL_GLUE_H

#include <pthread.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/net.h"

/* Oldest entry of this thread's OpenSSL error queue as text; the queue is emptied. */
mc_err mc_openssl_why(mc_why *why, mc_err err, const char *doing);
mc_err mc_cert_from_x509(const X509 *x, mc_cert_info *out);
mc_err mc_pem_read_cert(mc_slice pem, X509 **out, mc_why *why); /* caller frees */
/* For every PEM_read_*: a certificate or request may claim to be encrypted, too, and OpenSSL then asks on the terminal, and waits. */
int mc_pem_no_pass_phrase(char *buf, int size, int rwflag, void *u);
mc_err mc_pem_read_key(mc_slice pem, EVP_PKEY **out, mc_why *why);
bool mc_host_is_ip(const char *host);

/* What a revocation list is asked for: a digest of the issuer (8 bytes), then one of issuer and serial number. */
enum { MC_REVOCATION_ISSUER = 8, MC_REVOCATION_KEY = 24 };

/* What is kept of a peer's certificate: made while OpenSSL verifies it, carried in tickets, then one allocation a connection. */
typedef struct mc_conn_cert {
  uint8_t fingerprint[MC_FINGERPRINT];
  uint8_t revocation[MC_REVOCATION_KEY];
  int64_t not_before_us, not_after_us;
  int64_t chain_until_us;   /* the first of its chain to expire; INT64_MAX unknown */
  int32_t verify_result;    /* X509_V_... */
  uint8_t name_len, serial_len;
  char text[]; /* common name, then serial */
} mc_conn_cert;
static inline size_t mc_conn_cert_size(const mc_conn_cert *c) { return c ? sizeof *c + c->name_len + c->serial_len : 0; }

struct mc_tls {
  SSL_CTX *ctx;
  bool server;
  struct mc_tls_server *at_server; /* tls_server.c */
  /* Client: the newest session, offered at the next connect to the same host and port. */
  pthread_mutex_t lock;
  SSL_SESSION *session;
  char session_host[256];
  uint16_t session_port;
};

/* ---- tls.c ---- */
/* Makes the context that both kinds share. */
mc_err mc_tls_create(bool server, bool tls13_only, mc_tls **out, mc_why *why);
mc_err mc_tls_use_certificate(SSL_CTX *ctx, mc_slice cert_pem, mc_slice key_pem, mc_why *why);
mc_err mc_tls_trust(SSL_CTX *ctx, mc_slice pem, bool announce, mc_why *why);
/* A new SSL over a socket; host is NULL on the server side. Any thread. */
mc_err mc_tls_start(mc_tls *tls, int fd, const char *host, uint16_t port, SSL **out, mc_why *why);
int mc_tls_choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg);
/* Where callbacks of the handshake in progress on this thread leave the peer's certificate; NULL outside. */
mc_conn_cert **mc_tls_handshaking(void);
/* One step of the handshake, as SSL_do_handshake. *cert gets the peer's certificate, once it is known. */
int mc_tls_handshake(SSL *ssl, mc_conn_cert **cert);
/* After the handshake: drops what OpenSSL holds of the peer's certificate (3 to 5 KiB a connection) and of the staple. */
void mc_tls_slim(SSL *ssl, mc_conn_cert **cert);
mc_alpn mc_tls_alpn(const SSL *ssl, bool server);

/* ---- tls_server.c ---- */
void mc_tls_server_free(struct mc_tls_server *s);
void mc_tls_server_count(const SSL *ssl); /* a handshake is done */
/* Is the certificate on the list of its authority? text: in words, when it is. */
bool mc_tls_is_revoked(const mc_tls *tls, const mc_conn_cert *cert, char *text, size_t size);

/* ---- peer_cert.c ---- */
/* NULL: no memory, or not a certificate that can be read. authority (may be NULL): names are compared with theirs. */
mc_conn_cert *mc_peer_cert_of(const X509 *x, STACK_OF(X509) *authority, int verify_result, int64_t chain_until_us);
void mc_revocation_key(const X509_NAME *issuer, const ASN1_INTEGER *serial, STACK_OF(X509) *authority, uint8_t out[MC_REVOCATION_KEY]);
/* The form in a ticket (README, "What a ticket carries"); c NULL: the client showed none. */
mc_err mc_peer_cert_write(const mc_conn_cert *c, mc_buf *out);
/* MC_ERR_NOT_FOUND: the client showed none. */
mc_err mc_peer_cert_read(mc_slice in, mc_conn_cert **out);
/* Makes OpenSSL free the X509 that a session holds. */
void mc_session_drop_cert(SSL_SESSION *session);
int64_t mc_asn1_time_us(const ASN1_TIME *t);

#endif
