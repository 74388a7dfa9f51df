#include "net/conn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"

/* Who is at the other end: worked out when asked, so that a connection need not keep it. */

static void format_address(const struct sockaddr_storage *a, char *out, size_t size)
{
  char text[INET6_ADDRSTRLEN] = "?";
  if (a->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)a;
    inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
    snprintf(out, size, "%s:%u", text, ntohs(in->sin_port));
    return;
  }
  struct sockaddr_in6 in6;
  memcpy(&in6, a, sizeof in6);
  static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF}; /* IPv4 in IPv6: RFC 4291, 2.5.5.2 */
  if (memcmp(in6.sin6_addr.s6_addr, mapped, sizeof mapped) == 0) {
    inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, text, sizeof text);
    snprintf(out, size, "%s:%u", text, ntohs(in6.sin6_port));
    return;
  }
  inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
  snprintf(out, size, "[%s]:%u", text, ntohs(in6.sin6_port));
}

static void fill_cert(const mc_conn *c, mc_peer *out)
{
  const mc_conn_cert *cert = c->cert;
  out->has_cert = true;
  memcpy(out->cert.fingerprint, cert->fingerprint, sizeof cert->fingerprint);
  mc_slice_to_str(mc_slice_of(cert->text, cert->name_len), out->cert.common_name, sizeof out->cert.common_name);
  mc_slice_to_str(mc_slice_of(cert->text + cert->name_len, cert->serial_len), out->cert.serial, sizeof out->cert.serial);
  out->cert.not_before_us = cert->not_before_us;
  out->cert.not_after_us = cert->not_after_us;
  out->cert_verified = mc_conn_trusted(c, out->verify_error, sizeof out->verify_error);
  out->cert_revoked = c->ssl && mc_tls_is_revoked(SSL_CTX_get_app_data(SSL_get_SSL_CTX(c->ssl)), cert, NULL, 0);
  if (out->cert_verified && cert->verify_result != X509_V_OK) {
    out->cert_verified = false;
    snprintf(out->verify_error, sizeof out->verify_error, "%s", X509_verify_cert_error_string(cert->verify_result));
  }
}

/* The handshake judged the chain once; time has passed since, also before a resumed one. */
bool mc_conn_trusted(const mc_conn *conn, char *text, size_t size)
{
  const mc_conn_cert *cert = conn->cert;
  if (!cert || !conn->ssl)
    return true;
  if (mc_tls_is_revoked(SSL_CTX_get_app_data(SSL_get_SSL_CTX(conn->ssl)), cert, text, size))
    return false;
  int64_t now = mc_clock_wall_us();
  if (now <= cert->not_after_us && now <= cert->chain_until_us)
    return true;
  if (text)
    snprintf(text, size, "%s", X509_verify_cert_error_string(X509_V_ERR_CERT_HAS_EXPIRED));
  return false;
}

void mc_conn_peer(const mc_conn *conn, mc_peer *out)
{
  *out = (mc_peer){0};
  struct sockaddr_storage a = {0};
  socklen_t len = sizeof a;
  if (conn->watch.fd >= 0 && getpeername(conn->watch.fd, (struct sockaddr *)&a, &len) == 0)
    format_address(&a, out->address, sizeof out->address);
  else
    snprintf(out->address, sizeof out->address, "gone");
  out->alpn = (mc_alpn)conn->alpn;
  out->websocket = conn->stream != NULL;
  if (conn->ssl) {
    out->tls = true;
    out->resumed = SSL_session_reused(conn->ssl) == 1;
    snprintf(out->tls_version, sizeof out->tls_version, "%s", SSL_get_version(conn->ssl));
    const char *name = SSL_get_servername(conn->ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(out->server_name, sizeof out->server_name, "%s", name ? name : "");
  }
  if (conn->cert)
    fill_cert(conn, out);
}
