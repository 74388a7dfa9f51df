/* AWS Signature Version 4, the client's side (contract store 11.2); what the verifier computes, too, is in format/sigv4.h. Private.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html */
#ifndef MC_OBJECT_SIGV4_H
#define MC_OBJECT_SIGV4_H

#include "format/sigv4.h"

typedef struct sigv4_pair { mc_slice name, value; } sigv4_pair;
typedef struct sigv4_request {
  const char *method;
  mc_slice path;           /* not encoded, from the slash on */
  const sigv4_pair *query; /* not encoded, any order */
  size_t query_count;
  const sigv4_pair *header; /* names in lower case, any order; host among them */
  size_t header_count;
  mc_slice payload_hash; /* hex, or UNSIGNED-PAYLOAD */
} sigv4_request;
typedef struct sigv4_key { mc_slice access_key, secret, token /* empty: none */, region, service; } sigv4_key;

enum { SIGV4_PAIRS_MAX = 24, SIGV4_TIME = 17 };
void sigv4_time(int64_t time_us, char out[SIGV4_TIME]); /* 20130524T000000Z */
/* Percent-encoding: unreserved characters stay; slashes too when keep_slash. */
mc_err sigv4_encode(mc_slice in, bool keep_slash, mc_buf *out);
/* name=value&..., encoded and sorted; a bare key gets its "=". */
mc_err sigv4_query(const sigv4_pair *query, size_t count, mc_buf *out);
mc_err sigv4_canonical(const sigv4_request *r, mc_buf *out);
/* The value of the Authorization header, appended. time as sigv4_time writes it. */
mc_err sigv4_authorization(const sigv4_key *key, const sigv4_request *r, const char *time, mc_buf *out);
/* The query of a URL that carries its own signature, appended. Of r: method, path, query, and host as the only header. */
mc_err sigv4_presign(const sigv4_key *key, const sigv4_request *r, const char *time, uint32_t expires_s, mc_buf *out);

#endif
