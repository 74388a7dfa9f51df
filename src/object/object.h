/* object: blobs by name. Two implementations behind one struct of functions: a directory, and any S3 (own Signature Version 4 over libcurl).
 *
 * A name is a bucket and a key. Buckets: 3 to 63 of a-z, 0-9, dot and hyphen, beginning and ending with a letter or digit. Keys: 1 to 1,024 bytes of
 * UTF-8 without control characters; segments between slashes are not empty, not "." or "..", and at most 255 bytes: what both kinds can hold.
 * A put is whole or not there, and on disk (acknowledged by the S3) when it returns; a later put of the same name replaces it.
 * Threads: any; calls wait for disk or network, so not from a loop. Errors: MC_ERR_INVALID (name), NOT_FOUND, EXISTS, DENIED, FULL, CONFLICT (a key that
 * would have to be a folder and an object in a directory), TOO_LARGE, UNSUPPORTED, IO, TIMEOUT, TLS (tried again already where that helps). */
#ifndef MC_OBJECT_H
#define MC_OBJECT_H

#include "base/file.h"

typedef struct mc_object_store mc_object_store;

/* <root>/<bucket>/<key>; root is made when missing. Buckets come to be by putting. */
mc_err mc_object_open_directory(const mc_fs *fs, const char *root, mc_object_store **out, mc_why *why);

typedef struct mc_object_s3 { /* strings are copied */
  const char *endpoint;   /* "https://s3.example.org", "http://127.0.0.1:9000": scheme, host, perhaps port, perhaps a path before the bucket */
  const char *region;     /* NULL: "us-east-1" */
  const char *access_key, *secret;
  const char *token;      /* session token; NULL: none */
  bool virtual_host;      /* bucket.host instead of host/bucket */
  const char *ca_file;    /* PEM; NULL: the system's authorities */
  const char *proxy;      /* NULL: none, whatever the environment says */
  uint64_t part_bytes;    /* files larger than this go up in parts of it; 0: 16 MiB; at least 5 MiB */
  uint32_t tries;         /* of one request; 0: 5 */
  uint32_t pause_ms;      /* before the second try, doubling; 0: 200 */
  uint32_t stall_ms;      /* a request that moves nothing for so long has failed; 0: 30,000 */
} mc_object_s3;
mc_err mc_object_open_s3(const mc_object_s3 *config, mc_object_store **out, mc_why *why);
/* Requests on their way end with MC_ERR_CLOSED, and so do later ones: a server that does not answer holds no shutdown up. Any thread. */
void mc_object_stop(mc_object_store *store);
void mc_object_close(mc_object_store **store); /* NULL content is fine */
const char *mc_object_place(const mc_object_store *store); /* for people: the folder, or the endpoint */

enum { MC_OBJECT_IF_ABSENT = 1 /* MC_ERR_EXISTS when the name is taken */ };
mc_err mc_object_put(mc_object_store *s, mc_slice bucket, mc_slice key, mc_slice content, const char *content_type, unsigned flags, mc_why *why);
/* The content of a local file, of any size. */
mc_err mc_object_put_file(mc_object_store *s, mc_slice bucket, mc_slice key, const char *path, const char *content_type, mc_why *why);
/* Appends up to len bytes from offset (len UINT64_MAX: to the end). MC_ERR_TOO_LARGE when there are more than limit. */
mc_err mc_object_get(mc_object_store *s, mc_slice bucket, mc_slice key, uint64_t offset, uint64_t len, size_t limit, mc_buf *out, mc_why *why);
typedef struct mc_object_info {
  mc_slice key; /* borrowed for the call */
  uint64_t size;
  int64_t changed_us; /* UTC; S3 gives seconds */
} mc_object_info;
mc_err mc_object_head(mc_object_store *s, mc_slice bucket, mc_slice key, mc_object_info *out, mc_why *why); /* key is the caller's */
/* Keys with this prefix, behind `after`, in byte order, at most limit of them. visit returns an error to stop. A bucket that is not there: MC_ERR_NOT_FOUND. */
typedef mc_err (*mc_object_visit)(void *ctx, const mc_object_info *info);
mc_err mc_object_list(mc_object_store *s, mc_slice bucket, mc_slice prefix, mc_slice after, size_t limit, mc_object_visit visit, void *ctx, mc_why *why);
mc_err mc_object_remove(mc_object_store *s, mc_slice bucket, mc_slice key, mc_why *why); /* one that is not there is fine */
/* A URL that lets its holder read the object for a while (1 to 604,800 s), appended. Directories: MC_ERR_UNSUPPORTED. */
mc_err mc_object_presign(mc_object_store *s, mc_slice bucket, mc_slice key, uint32_t expires_s, mc_buf *url, mc_why *why);

bool mc_object_bucket_valid(mc_slice bucket);
bool mc_object_key_valid(mc_slice key);

#endif
