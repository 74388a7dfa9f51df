/* FleetWise's operations by name, a line each: "Operation {json}". Whatever comes is answered with a JSON object, or with one of FleetWise's exceptions, whose members are
 * JSON too; what an operation was refused for is never our own failure. */
#include <jansson.h>
#include <stdlib.h>

#include "base/log.h"
#include "campaign/campaign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_A_DATABASE = 64, LINES = 128 };
static mc_db *db;
static mc_registry *registry;
static mc_campaigns *campaigns;
static mc_buf ca, ca_key, answer;
static unsigned inputs;

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why) { return MC_OK; }

static void close_all(void)
{
  mc_campaigns_close(&campaigns);
  mc_registry_close(&registry);
  mc_db_close(&db);
}

static void end(void)
{
  close_all();
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  mc_buf_free(&answer);
}

static void open_all(void)
{
  mc_why why;
  if (!ca.len) {
    mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
    if (mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why) || atexit(end))
      abort();
  }
  if (mc_db_open_sqlite(":memory:", &db, &why) ||
      mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, &why) ||
      mc_campaigns_open(&(mc_campaigns_config){.db = db, .registry = registry, .publish = publish}, &campaigns, &why))
    abort();
}

static void require_object(mc_slice before, mc_slice text, mc_slice after)
{
  mc_buf whole = {0};
  if (mc_buf_append_slice(&whole, before) || mc_buf_append_slice(&whole, text) || mc_buf_append_slice(&whole, after))
    abort();
  json_t *value = json_loadb((const char *)whole.data, whole.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
  if (!json_is_object(value))
    abort();
  json_decref(value);
  mc_buf_free(&whole);
}

static void call(mc_slice line)
{
  size_t space = mc_slice_find(line, ' ', 0);
  mc_control_error error;
  mc_why why;
  mc_control_request request = {.tenant = 1, .operation = mc_slice_sub(line, 0, space), .input = mc_slice_sub(line, space + 1, line.len), .actor = MC_LIT("fuzz")};
  mc_buf_clear(&answer);
  mc_err err = mc_control_call(campaigns, &request, &answer, &error, &why);
  if (!err != (error.fault == MC_CONTROL_OK) || error.fault == MC_CONTROL_INTERNAL)
    abort();
  if (err)
    require_object(MC_LIT("{"), mc_buf_slice(&error.members), MC_LIT("}"));
  else
    require_object((mc_slice){0}, mc_buf_slice(&answer), (mc_slice){0});
  mc_control_error_free(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (inputs++ % INPUTS_A_DATABASE == 0) {
    close_all();
    open_all();
  }
  mc_slice rest = mc_slice_of(data, size);
  for (int i = 0; i < LINES && rest.len; i++) {
    size_t end_of_line = mc_slice_find(rest, '\n', 0);
    call(mc_slice_sub(rest, 0, end_of_line));
    rest = mc_slice_sub(rest, end_of_line + 1, rest.len);
  }
  return 0;
}
