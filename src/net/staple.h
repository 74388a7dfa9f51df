/* net-internal: the OCSP answer about our own certificate that is stapled to handshakes (RFC 6066, 8; RFC 6960). */
#ifndef MC_NET_STAPLE_H
#define MC_NET_STAPLE_H

#include "net/openssl_glue.h"

enum { MC_STAPLE_MAX = 64 * 1024, MC_STAPLE_FETCH_S = 5 };

/* Is this DER answer one to staple: signed for the issuer, about this certificate, "good", and current? *until_us: when it must be gone.
 * MC_ERR_TIMEOUT: it was, and is out of date. */
mc_err mc_staple_check(mc_slice der, X509 *cert, X509 *issuer, int64_t now_us, int64_t *from_us, int64_t *until_us, mc_why *why);
/* Asks the responder that the certificate names, over HTTP, without a proxy; blocks for at most MC_STAPLE_FETCH_S. */
mc_err mc_staple_fetch(X509 *cert, X509 *issuer, mc_buf *out, mc_why *why);

#endif
