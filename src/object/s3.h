/* One signed request to an S3, with retries. Private. */
#ifndef MC_OBJECT_S3_H
#define MC_OBJECT_S3_H

#include <curl/curl.h>
#include <pthread.h>

#include "object/kind.h"
#include "object/sigv4.h"

enum { S3_IDLE_MAX = 4, S3_ANSWER_MAX = 16 << 20 };

typedef struct s3 {
  mc_object_store base;
  char *scheme, *host, *root; /* "https", "s3.example.org:9000", path before the bucket ("" or "/minio") */
  char *region, *access_key, *secret, *token, *ca_file, *proxy;
  bool virtual_host;
  uint64_t part_bytes;
  uint32_t tries, pause_ms, stall_ms;
  pthread_mutex_t lock; /* of idle */
  CURL *idle[S3_IDLE_MAX]; /* with their open connections */
  size_t idle_count;
} s3;

typedef struct s3_request {
  const char *method; /* GET, HEAD, PUT, POST, DELETE */
  mc_slice bucket, key; /* key may be empty */
  sigv4_pair query[4];
  size_t query_count;
  mc_slice body;
  const char *content_type; /* NULL: none */
  const char *range;        /* "bytes=0-9" or NULL */
  bool if_absent;
  size_t limit; /* bytes of answer taken */
} s3_request;

typedef struct s3_answer {
  mc_buf body; /* owned */
  long status;
  char etag[128];
  uint64_t length; /* Content-Length */
  int64_t changed_us;
} s3_answer;

/* Sends, again where that helps. Status 2xx: MC_OK. Otherwise the error, said with the server's own words. */
mc_err s3_send(s3 *s, const s3_request *r, s3_answer *out, mc_why *why);
void s3_answer_free(s3_answer *a);

mc_err s3_put_parts(s3 *s, mc_slice bucket, mc_slice key, const char *path, uint64_t size, const char *content_type, mc_why *why);

/* XML as S3 writes it. The text of the next element of this name from *at on, *at behind it; MC_ERR_END: none. */
mc_err s3_xml_next(mc_slice xml, size_t *at, const char *name, mc_slice *text);
/* The text with its entities resolved, appended. */
mc_err s3_xml_text(mc_slice text, mc_buf *out);
/* One page of ListObjectsV2: visits what it holds. *more: there are further pages, `token` continues. */
mc_err s3_list_page(mc_slice xml, mc_object_visit visit, void *ctx, size_t *left, bool *more, mc_buf *token, mc_why *why);

#endif
