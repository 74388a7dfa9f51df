/* Signature Version 4: was this request signed with this secret, as it stands? Verification only, of headers and of presigned queries. Pure: the clock, the
 * secret and the request are given. Facts: AWS's documentation "Create a signed AWS API request" and its published examples (tests/aws).
 *
 * Two steps, since the secret is found by what the request says: sigv4_read takes it apart, sigv4_verify computes. Private to this module. */
#ifndef MC_AWS_SIGV4_H
#define MC_AWS_SIGV4_H

#include "net/net.h"

enum { SIGV4_SKEW_S = 300, SIGV4_EXPIRES_MAX_S = 604800 };

/* What the faults of AWS's services are called. */
typedef enum sigv4_fault {
  SIGV4_OK,
  SIGV4_MISSING,    /* MissingAuthenticationTokenException */
  SIGV4_INCOMPLETE, /* IncompleteSignatureException: what should say who signed says it wrongly */
  SIGV4_UNKNOWN,    /* UnrecognizedClientException */
  SIGV4_INVALID,    /* InvalidSignatureException: wrong signature, date, scope, or something unsigned */
  SIGV4_MEMORY
} sigv4_fault;

/* A request as it arrived. Names of headers in lower case; the target is neither decoded nor cleaned. */
typedef struct sigv4_request {
  mc_slice method, target;
  const mc_http_header *header;
  size_t header_count;
  mc_slice body;
} sigv4_request;

/* All slices borrow from the request, or from `text`. */
typedef struct sigv4 {
  mc_slice key_id, day /* 8 digits */, region, service;
  mc_slice time;           /* 20261130T150000Z */
  mc_slice signed_headers; /* as said: a;b;c */
  mc_slice signature;      /* 64 hex digits */
  bool presigned;
  int64_t time_us, expires_s; /* presigned */
  mc_buf text;                /* decoded query parameters; owned */
} sigv4;

/* Who says to have signed, when, and for what. */
sigv4_fault sigv4_read(const sigv4_request *r, sigv4 *out, mc_why *why);
/* Is it so? UNSIGNED-PAYLOAD is refused: S3 alone takes it. Constant time where the secret matters. */
sigv4_fault sigv4_verify(const sigv4_request *r, const sigv4 *s, mc_slice secret, int64_t now_us, mc_why *why);
void sigv4_free(sigv4 *s);

#endif
