/* Who sends a request: an API token by header, or a browser session by cookie. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "api/inside.h"

#define COOKIE "mc_session"

static bool has_prefix_nocase(mc_slice s, const char *prefix)
{
  for (size_t i = 0; prefix[i]; i++)
    if (i >= s.len || (s.data[i] | 0x20) != (uint8_t)prefix[i])
      return false;
  return true;
}

mc_err identity_read(api_call *c)
{
  mc_slice authorization = mc_http_request_header(c->request, "authorization");
  if (authorization.data) { /* a header speaks louder than a cookie, also when it is wrong */
    if (!has_prefix_nocase(authorization, "bearer ") ||
        mc_registry_token_check(c->api->config.registry, mc_slice_trim(mc_slice_sub(authorization, 7, SIZE_MAX)), &c->who))
      return mc_err_set(&c->why, MC_ERR_UNAUTHENTICATED, "this API token is unknown, revoked or expired; create one in the settings and send it as \"Authorization: Bearer mct_...\"");
    return MC_OK;
  }
  mc_slice secret;
  if (!mc_http_cookie(c->request, COOKIE, &secret))
    return MC_OK;
  if (mc_registry_session_check(c->api->config.registry, secret, &c->who, c->csrf))
    return mc_err_set(&c->why, MC_ERR_UNAUTHENTICATED, "this session has ended; sign in again");
  c->by_cookie = true;
  c->session = secret;
  return MC_OK;
}

/* A browser sends the cookie by itself; only our own pages know the second secret. */
bool identity_csrf_ok(const api_call *c)
{
  mc_slice sent = mc_http_request_header(c->request, "x-csrf-token");
  size_t want = strlen(c->csrf);
  return !c->by_cookie || (want && sent.len == want && CRYPTO_memcmp(sent.data, c->csrf, want) == 0);
}

void identity_set_cookie(api_call *c, const char *secret)
{
  char text[256];
  snprintf(text, sizeof text, COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s", secret, secret[0] ? 7 * 24 * 3600 : 0, c->tls ? "; Secure" : "");
  reply_header(c, "Set-Cookie", mc_slice_str(text));
}

bool identity_same_origin(const mc_http_request *r)
{
  mc_slice origin = mc_http_request_header(r, "origin"), host = mc_http_request_header(r, "host");
  if (!origin.data)
    return true; /* not a browser */
  size_t at = 0;
  while (at + 3 <= origin.len && memcmp(origin.data + at, "://", 3) != 0)
    at++;
  return at + 3 <= origin.len && host.len && mc_slice_eq(mc_slice_sub(origin, at + 3, SIZE_MAX), host);
}
