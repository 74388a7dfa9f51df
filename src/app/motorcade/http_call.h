/* A blocking HTTP call to the server on this machine's loopback, for commands. */
#ifndef APP_HTTP_CALL_H
#define APP_HTTP_CALL_H

#include <jansson.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct http_call {
  uint16_t port;
  char token[64];
} http_call;

mc_err http_call_open(const char *data_dir, http_call *out, mc_why *why);
/* body may be NULL. A status of 200..299 gives MC_OK and *reply (NULL for 204; the caller's reference). Others: the problem's detail. */
mc_err http_call_json(const http_call *call, const char *method, const char *path, json_t *body, json_t **reply, mc_why *why);
/* The same for a whole answer as it came; reply may be NULL. */
mc_err http_call_read_answer(mc_slice answer, json_t **reply, mc_why *why);

#endif
