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

struct mc_tls {
  SSL_CTX *ctx;
  bool server;
  /* Client: the newest session, offered at the next connect to the same host and port. */
  pthread_mutex_t lock;
  SSL_SESSION *session;
  char session_host[256];
  uint16_t session_port;
};

/* A new SSL over a socket; host is NULL on the server side. Any thread. */
mc_err mc_tls_start(mc_tls *tls, int fd, const char *host, uint16_t port, SSL **out, mc_why *why);
/* Ticket of a client session: called from OpenSSL's callback through the SSL's mc_tls. */
mc_alpn mc_tls_alpn(const SSL *ssl, bool server);

/* What is kept of a peer's certificate after the handshake (one allocation). */
typedef struct mc_conn_cert {
  uint8_t fingerprint[MC_FINGERPRINT];
  int64_t not_before_us, not_after_us;
  long verify_result;
  uint8_t name_len, serial_len;
  char text[]; /* common name, then serial */
} mc_conn_cert;
/* Reads the peer's certificate into a compact form and frees OpenSSL's copy (3 to 5 KiB). NULL when there is none. */
mc_conn_cert *mc_tls_take_peer(SSL *ssl);

#endif
