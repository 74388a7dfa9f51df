/* Operations by name over a registry and a database of their own, in memory or in a file. */
#ifndef TESTS_CONTROL_RIG_H
#define TESTS_CONTROL_RIG_H

#include <jansson.h>
#include <stdio.h>

#include "base/log.h"
#include "campaign/campaign.h"
#include "tap.h"

static mc_db *db;
static mc_registry *registry;
static mc_campaigns *c;
static mc_buf ca, ca_key, answer;
static mc_control_error fault;
static mc_why why;
static const uint64_t *rig_limits; /* NULL: the defaults */

static inline mc_err rig_publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *w) { return MC_OK; }

static inline bool begin_at(const char *path)
{
  if (!ca.len && mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why))
    return false;
  mc_campaigns_config config = {.publish = rig_publish, .limit = rig_limits};
  bool ok = mc_db_open_sqlite(path, &db, &why) == MC_OK &&
            mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, &why) == MC_OK;
  config.db = db;
  config.registry = registry;
  ok = ok && mc_campaigns_open(&config, &c, &why) == MC_OK;
  if (!ok)
    printf("# %s\n", why.text);
  return ok;
}

static inline bool begin(void) { return begin_at(":memory:"); }

static inline void end(void)
{
  mc_control_error_free(&fault);
  mc_buf_free(&answer);
  mc_campaigns_close(&c);
  mc_registry_close(&registry);
  mc_db_close(&db);
}

/* Single quotes in the input stand for double ones. */
static inline mc_err call_as(uint32_t tenant, const char *operation, const char *input)
{
  mc_control_error_free(&fault);
  mc_buf_clear(&answer);
  char *text = strdup(input);
  for (char *p = text; p && *p; p++)
    if (*p == '\'')
      *p = '"';
  mc_control_request request = {.tenant = tenant, .operation = mc_slice_str(operation), .input = mc_slice_str(text), .region = MC_LIT("eu-central-1"), .actor = MC_LIT("test")};
  mc_err err = mc_control_call(c, &request, &answer, &fault, &why);
  free(text);
  return err;
}

static inline mc_err call(const char *operation, const char *input) { return call_as(1, operation, input); }

static inline bool holds(const mc_buf *b, const char *part)
{
  char want[2000];
  snprintf(want, sizeof want, "%s", part);
  for (char *p = want; *p; p++)
    if (*p == '\'')
      *p = '"';
  bool ok = b->len && memmem(b->data, b->len, want, strlen(want));
  if (!ok)
    printf("# no %s in: %.*s (%s)\n", want, MC_FMT(mc_buf_slice(b)), why.text);
  return ok;
}

static inline bool answers(const char *part) { return holds(&answer, part); }
/* The last call failed so, and its members hold the part. */
static inline bool failed(mc_control_fault kind, const char *part)
{
  if (fault.fault != kind)
    printf("# fault %d (%s), members %.*s\n", fault.fault, why.text, MC_FMT(mc_buf_slice(&fault.members)));
  return fault.fault == kind && holds(&fault.members, part);
}

static inline size_t count_of(const char *part)
{
  size_t n = 0;
  for (const uint8_t *p = answer.data, *stop = answer.data + answer.len; p && (p = memmem(p, (size_t)(stop - p), part, strlen(part))); p++)
    n++;
  return n;
}

/* The token of the last answer, "" without one. */
static inline const char *next_token(void)
{
  static char token[600];
  json_t *o = json_loadb((const char *)answer.data, answer.len, 0, NULL);
  const char *text = json_string_value(json_object_get(o, "nextToken"));
  snprintf(token, sizeof token, "%s", text ? text : "");
  json_decref(o);
  return token;
}

/* A whole list by pages: how many items, or -1. */
static inline int pages(const char *operation, const char *members, const char *list, int size)
{
  char input[1200], token[600] = "";
  int total = 0;
  do {
    snprintf(input, sizeof input, "{%s%s'maxResults':%d%s%s%s}", members, *members ? "," : "", size, *token ? ",'nextToken':'" : "", token, *token ? "'" : "");
    if (call(operation, input))
      return -1;
    json_t *o = json_loadb((const char *)answer.data, answer.len, 0, NULL);
    int n = (int)json_array_size(json_object_get(o, list));
    json_decref(o);
    if (n > size)
      return -1;
    total += n;
    snprintf(token, sizeof token, "%s", next_token());
  } while (*token);
  return total;
}

#define ARN(kind, name) "arn:aws:iotfleetwise:eu-central-1:000000000000:" kind "/" name

#endif
