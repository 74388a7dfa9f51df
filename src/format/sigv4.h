/* What both sides of AWS Signature Version 4 compute alike: who signs (object) and who verifies (aws). Pure; any thread.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
#ifndef MC_FORMAT_SIGV4_H
#define MC_FORMAT_SIGV4_H

#include "base/slice.h"

#define MC_SIGV4_ALGORITHM "AWS4-HMAC-SHA256"
enum { MC_SIGV4_HEX = 65 };
/* What a credential is good for. day: 20130524 */
typedef struct mc_sigv4_scope { mc_slice day, region, service; } mc_sigv4_scope;
/* "<day>/<region>/<service>/aws4_request", appended. */
mc_err mc_sigv4_scope_append(const mc_sigv4_scope *scope, mc_buf *out);
/* One byte as URIs are written canonically: unreserved characters (RFC 3986, 2.3) as they are, others as %XX. */
mc_err mc_sigv4_escape(uint8_t c, mc_buf *out);
void mc_sigv4_sha256(mc_slice bytes, char hex[MC_SIGV4_HEX]);
/* The signing key of a secret within a scope. */
mc_err mc_sigv4_key(mc_slice secret, const mc_sigv4_scope *scope, uint8_t out[32]);
/* The signature of a canonical request; time: 20130524T000000Z. */
mc_err mc_sigv4_sign(mc_slice canonical, mc_slice time, const mc_sigv4_scope *scope, mc_slice secret, char hex[MC_SIGV4_HEX]);

#endif
