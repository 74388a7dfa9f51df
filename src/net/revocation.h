/* net-internal: certificate revocation lists (RFC 5280, 5) in a form that is cheap to ask. */
#ifndef MC_NET_REVOCATION_H
#define MC_NET_REVOCATION_H

#include "net/openssl_glue.h"

enum { MC_CRL_FILE_MAX = 64 << 20 };

/* What the lists of one file say. Immutable once loaded. */
typedef struct mc_revocation mc_revocation;
/* PEM (any number of lists) or DER (one). Every list must be signed by an authority; delta and partial lists are refused. */
mc_err mc_revocation_load(mc_slice file, STACK_OF(X509) *authority, mc_revocation **out, mc_why *why);
void mc_revocation_free(mc_revocation **r);
size_t mc_revocation_count(const mc_revocation *r); /* certificates on it */
int64_t mc_revocation_next_update_us(const mc_revocation *r); /* the earliest; 0: none says when */

typedef enum mc_revocation_verdict { MC_REVOCATION_GOOD, MC_REVOCATION_LISTED, MC_REVOCATION_NO_LIST /* none of its authority, or one past its next update */ } mc_revocation_verdict;
/* r may be NULL. text (may be NULL): in words, unless good. */
mc_revocation_verdict mc_revocation_ask(const mc_revocation *r, const uint8_t key[MC_REVOCATION_KEY], int64_t now_us, char *text, size_t size);

#endif
