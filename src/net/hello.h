/* net-internal: is a whole ClientHello there? Looks at framing only (RFC 8446, 5.1 and 4). */
#ifndef MC_NET_HELLO_H
#define MC_NET_HELLO_H

#include "base/slice.h"

enum { MC_HELLO_MAX = 32 * 1024 };

/* bytes: all that came, from the connection's first. MC_OK: OpenSSL has a whole message to work on. MC_ERR_AGAIN: more must come.
 * MC_ERR_MALFORMED: this is no TLS client. A hello of several records is followed through them; one that is not whole within MC_HELLO_MAX
 * bytes is MC_ERR_TOO_LARGE. */
mc_err mc_hello_check(mc_slice bytes);

#endif
