/* described: how operations.json looks to C. tools/generate_api.py fills these tables; router, validation and tests read them. */
#ifndef MC_API_DESCRIBED_H
#define MC_API_DESCRIBED_H

#include "base/err.h"
#include "base/slice.h"

typedef struct api_call api_call;
typedef struct api_schema api_schema;

typedef enum api_type { API_STRING, API_INTEGER, API_NUMBER, API_BOOLEAN, API_ARRAY, API_OBJECT } api_type;

typedef struct api_field {
  const char *name;
  bool required;
  const api_schema *schema;
} api_field;

/* The part of JSON Schema that the description uses. Unknown members of an object are refused, unless it is open. */
struct api_schema {
  api_type type;
  const api_field *field; /* object */
  size_t field_count;
  bool open; /* object: other members are somebody else's matter */
  const api_schema *items;    /* array */
  size_t min_items, max_items; /* max 0: no limit */
  const char *const *values;  /* enum, ends with NULL */
  const char *pattern;        /* POSIX extended */
  size_t min_length, max_length; /* characters; max 0: no limit */
  bool date_time;
  bool has_minimum, has_maximum;
  double minimum, maximum;
};

typedef enum api_kind { API_JSON, API_RAW, API_WEBSOCKET } api_kind;

typedef struct api_operation {
  const char *id, *method, *path, *permission; /* permission "public": none needed */
  const api_field *query;
  size_t query_count;
  const api_schema *body, *reply;
  int status; /* of success */
  api_kind kind;
  bool mutates; /* audited */
  bool secret;  /* its answer is never stored */
  mc_err (*run)(api_call *c);
} api_operation;

extern const api_operation api_operation_table[];
extern const size_t api_operation_count;
extern const char api_openapi[];
extern const size_t api_openapi_len;

#endif
