/* Any payload on a vehicle's topics: counted as undecodable or made into samples; the reader goes on. Input: a mode byte (bit 0: check-in
 * instead of signals, bit 1: the other prefix), then the payload. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/campaign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char dbc_text[] = "VERSION \"\"\nBU_: ECU\nBO_ 256 ENGINE: 8 ECU\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] \"rpm\" ECU\n";
static mc_db *db;
static mc_registry *registry;
static mc_campaigns *campaigns;
static mc_thing thing;

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why) { return MC_OK; }

static mc_err take(void *ctx, const mc_block *b, mc_why *why)
{
  for (uint32_t i = 0; i < b->count; i++)
    if (b->kind[i] > MC_SAMPLE_STRING || (b->kind[i] == MC_SAMPLE_STRING && b->value[i].str.len > b->text.len))
      abort();
  return MC_OK;
}
static const mc_block_sink sink = {NULL, take};

static void end(void)
{
  mc_campaigns_close(&campaigns);
  mc_registry_close(&registry);
  mc_db_close(&db);
}

static void begin(void)
{
  mc_buf ca = {0}, ca_key = {0};
  mc_why why;
  mc_dbc_import_report report;
  mc_dbc_import in = {.tenant = 1, .name = MC_LIT("m"), .interface_id = MC_LIT("can0"), .dbc_name = "a.dbc", .dbc_text = mc_slice_str(dbc_text)};
  mc_vehicle car = {.tenant = 1, .name = "car-1"};
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  if (mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why) || mc_db_open_sqlite(":memory:", &db, &why) ||
      mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, &why) ||
      mc_campaigns_open(&(mc_campaigns_config){.db = db, .registry = registry, .publish = publish, .sink = &sink, .sink_count = 1}, &campaigns, &why) ||
      mc_registry_vehicle_create(registry, &car, &why) || mc_registry_thing_find(registry, 1, MC_LIT("car-1"), &thing) ||
      mc_campaign_import_dbc(campaigns, &in, &report, &why))
    abort();
  /* what check-ins are compared with, and what states and answers name */
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_signal_info *signal;
  size_t n;
  snprintf(car.manifest, sizeof car.manifest, "m");
  if (mc_registry_vehicle_update(registry, &car, &why) || mc_campaign_signals(campaigns, 1, (mc_slice){0}, (mc_slice){0}, 1, &arena, &signal, &n, &why) || !n)
    abort();
  mc_campaign_collect collect = {.fqn = signal[0].fqn};
  mc_campaign g = {.tenant = 1, .name = MC_LIT("c"), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = &collect, .signal_count = 1};
  mc_state_template t = {.tenant = 1, .name = MC_LIT("t"), .signal = &signal[0].fqn, .signal_count = 1};
  if (mc_campaign_create(campaigns, &g, true, &arena, &why) || mc_template_create(campaigns, &t, &why) || mc_template_give(campaigns, 1, car.id, MC_LIT("t"), 0, &why))
    abort();
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  atexit(end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const topics[] = {"$aws/iotfleetwise/vehicles/car-1/signals", "$aws/iotfleetwise/vehicles/car-1/checkins",
                                       "cms/fleetwise/vehicles/car-1/signals", "cms/fleetwise/vehicles/car-1/checkins",
                                       "$aws/iotfleetwise/vehicles/car-1/last_known_states/data", "$aws/commands/things/car-1/executions/e1/response/protobuf",
                                       "cms/fleetwise/vehicles/car-1/last_known_states/data", "cms/commands/things/car-1/executions//response/protobuf"};
  static uint64_t offset = 1000;
  if (!size)
    return 0;
  if (!campaigns)
    begin();
  mc_slice name;
  mc_record r = {.offset = offset, .tenant = 1, .principal = thing.id, .time_us = mc_clock_wall_us(), .topic = mc_slice_str(topics[data[0] & 7]),
                 .payload = mc_slice_of(data + 1, size - 1)};
  r.stream = mc_campaign_stream_of_topic(r.topic, &name);
  mc_why why = {0};
  offset += 100;
  if (mc_campaign_record(campaigns, &r, offset, &why))
    abort(); /* a record from a vehicle must never stop the reader */
  return 0;
}
