/* The document of a device shadow: what one request does to it, and the texts that answer. Pure: no time of its own, no disk.
 * AWS IoT Device Shadow: https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html */
#ifndef MC_TWIN_SHADOW_DOCUMENT_H
#define MC_TWIN_SHADOW_DOCUMENT_H

#include <jansson.h>

#include "base/slice.h"

enum { SHADOW_TOKEN = 64 };

typedef struct shadow_limits {
  uint32_t bytes; /* of the state, written without blanks; metadata is not counted */
  uint32_t depth; /* levels below desired and reported */
} shadow_limits;

/* What a refusal says: code as AWS has them (400, 404, 409, 413, 415, 429, 500). */
typedef struct shadow_fault {
  int code;
  char message[160];
} shadow_fault;

/* version counts accepted updates and outlives a deletion. A section that is NULL is not there; metadata mirrors it, with {"timestamp": s} for each leaf. */
enum { DESIRED, REPORTED, SECTIONS };
typedef struct shadow_document {
  json_t *state[SECTIONS], *metadata[SECTIONS];
  uint64_t version;
  bool exists;
} shadow_document;
void shadow_document_clear(shadow_document *d); /* as one that never was */

/* {"state":{...},"metadata":{...},"version":n,"exists":b}: as it is kept. */
mc_err shadow_document_write(const shadow_document *d, mc_buf *out);
mc_err shadow_document_read(mc_slice text, shadow_document *out);

typedef struct shadow_request {
  json_t *root;              /* owned; NULL: an empty one */
  json_t *state[SECTIONS];   /* borrowed; NULL: not in it; JSON null: the section goes */
  mc_slice token;            /* borrowed; empty: none */
  bool has_version;
  uint64_t version;
} shadow_request;
/* update: state is required. Other requests may be empty, and only their token is looked at. False: fault says why; the token is read as far as there is one.
 * Free it either way. */
bool shadow_request_read(mc_slice payload, bool update, const shadow_limits *limits, shadow_request *out, shadow_fault *fault);
void shadow_request_free(shadow_request *r);

/* The texts of an accepted update. delta is empty when nothing is outstanding. Owned by the caller. */
typedef struct shadow_texts {
  mc_buf accepted, documents, delta;
} shadow_texts;
void shadow_texts_free(shadow_texts *t);
/* False: the document is as it was. */
bool shadow_document_update(shadow_document *d, const shadow_request *r, const shadow_limits *limits, int64_t now_s, shadow_texts *out, shadow_fault *fault);
/* The whole document with its delta. False: there is none, or no memory. */
bool shadow_document_get(const shadow_document *d, mc_slice token, int64_t now_s, mc_buf *out, shadow_fault *fault);
/* Its version stays. */
bool shadow_document_delete(shadow_document *d, const shadow_request *r, int64_t now_s, mc_buf *out, shadow_fault *fault);
/* {"code":,"message":,"timestamp":,"clientToken":} */
mc_err shadow_fault_write(const shadow_fault *fault, mc_slice token, int64_t now_s, mc_buf *out);

#endif
