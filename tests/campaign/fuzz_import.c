/* A DBC and a map from outside through the one-command import, with a real registry and database: a report or an error that says why, and
 * a module that works on. Input: two bytes of length, the map (JSON), then the DBC. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "campaign/campaign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RENEW = 200 }; /* imports until the database is made anew, so that it stays small */
static mc_db *db;
static mc_registry *registry;
static mc_campaigns *campaigns;

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why) { return MC_OK; }

static void begin(void)
{
  static mc_buf ca, ca_key;
  mc_why why;
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  mc_vehicle car = {.tenant = 1, .name = "car-1", .manifest = "m"};
  if ((!ca.len && mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why)) || mc_db_open_sqlite(":memory:", &db, &why) ||
      mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, &why) ||
      mc_campaigns_open(&(mc_campaigns_config){.db = db, .registry = registry, .publish = publish}, &campaigns, &why) || mc_registry_vehicle_create(registry, &car, &why))
    abort();
}

static void end(void)
{
  mc_campaigns_close(&campaigns);
  mc_registry_close(&registry);
  mc_db_close(&db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static int runs;
  static bool stays;
  if (size < 2 || size > 20000)
    return 0;
  if (!stays)
    stays = !atexit(end);
  if (runs++ % RENEW == 0) {
    end();
    begin();
  }
  mc_slice rest = mc_slice_of(data + 2, size - 2);
  size_t map = mc_load_le16(data) % (rest.len + 1);
  mc_dbc_import in = {.tenant = 1, .name = MC_LIT("m"), .interface_id = MC_LIT("can0"), .dbc_name = "a.dbc",
                      .map_json = mc_slice_sub(rest, 0, map), .dbc_text = mc_slice_sub(rest, map, rest.len)};
  mc_dbc_import_report report;
  mc_why why = {0};
  if (mc_campaign_import_dbc(campaigns, &in, &report, &why)) {
    if (!why.text[0])
      abort(); /* a refusal without a reason */
    return 0;
  }
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  uint32_t *ids;
  size_t count;
  if (!report.manifest_sync_id[0] || mc_campaign_manifest_signals(campaigns, 1, MC_LIT("m"), &arena, &ids, &count, &why) || count > report.signals)
    abort();
  return 0;
}
