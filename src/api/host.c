/* The name that a request was sent to.
 *
 * Without TLS anybody's web page can point its own name at 127.0.0.1 and then count as our origin in the browser (DNS rebinding): such a request still
 * names the foreign host, and is refused with 421 (RFC 9110, 15.5.20). Over TLS the certificate already binds the name. */
#include <arpa/inet.h>
#include <string.h>

#include "api/inside.h"

/* A name without port, dot at the end and brackets; empty when it is not a host. */
static mc_slice bare(mc_slice host)
{
  host = mc_slice_trim(host);
  if (host.len && host.data[0] == '[') {
    size_t end = mc_slice_find(host, ']', 0);
    bool port = end + 1 < host.len && host.data[end + 1] != ':';
    return end >= host.len || port ? (mc_slice){0} : mc_slice_sub(host, 1, end - 1);
  }
  size_t colon = mc_slice_find(host, ':', 0);
  if (mc_slice_find(host, ':', colon + 1) >= host.len) /* two colons: an address as the settings write it */
    host = mc_slice_sub(host, 0, colon);
  return host.len && host.data[host.len - 1] == '.' ? mc_slice_sub(host, 0, host.len - 1) : host;
}

static bool same(mc_slice a, mc_slice b)
{
  return a.len == b.len && a.len && strncasecmp((const char *)a.data, (const char *)b.data, a.len) == 0;
}

/* An address or a name that only ever means this machine (RFC 6761, 6.3). */
static bool is_loopback(mc_slice name, bool *address)
{
  char text[64];
  struct in_addr v4;
  struct in6_addr v6;
  *address = false;
  if (!mc_slice_to_str(name, text, sizeof text))
    return false;
  if (inet_pton(AF_INET, text, &v4) == 1) {
    *address = true;
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  if (inet_pton(AF_INET6, text, &v6) == 1) {
    *address = true;
    return IN6_IS_ADDR_LOOPBACK(&v6);
  }
  mc_slice local = MC_LIT("localhost"), below = MC_LIT(".localhost");
  return same(name, local) || (name.len > below.len && same(mc_slice_sub(name, name.len - below.len, below.len), below));
}

bool host_allowed(const char *names, mc_slice host)
{
  mc_slice name = bare(host), list = mc_slice_str(names);
  bool address;
  if (!name.len)
    return false;
  if (is_loopback(name, &address))
    return true;
  for (size_t at = 0; at < list.len;) {
    size_t end = mc_slice_find(list, ',', at);
    if (same(name, bare(mc_slice_sub(list, at, end - at))))
      return true;
    at = end + 1;
  }
  return false;
}

bool host_wants_tls(const mc_http_request *r)
{
  mc_peer peer;
  bool address;
  mc_conn_peer(r->conn, &peer);
  mc_slice name = bare(mc_http_request_header(r, "host"));
  return peer.tls && name.len && !is_loopback(name, &address) && !address;
}
