/* A registry, a database in memory and one vehicle, as the campaign tests need them. */
#ifndef TESTS_CAMPAIGN_CASE_H
#define TESTS_CAMPAIGN_CASE_H

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/campaign.h"
#include "format/fleetwise.h"
#include "tap.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"

static const char dbc_text[] =
    "VERSION \"\"\nBU_: ECU\n"
    "BO_ 256 ENGINE: 8 ECU\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] \"rpm\" ECU\n SG_ Temp : 16|8@1+ (1,-40) [-40|215] \"degC\" ECU\n SG_ "
    "Trim : 24|16@1- (1,0) [-1000|1000] \"\" ECU\n"
    "BO_ 512 MUX: 8 ECU\n SG_ Page M : 0|8@1+ (1,0) [0|3] \"\" ECU\n SG_ OnPageOne m1 : 8|8@1+ (1,0) [0|255] \"\" ECU\n"
    "VAL_ 512 Page 0 \"none\" 1 \"one\" ;\n";

typedef struct sent {
  char topic[300];
  mc_buf payload;
} sent;

static mc_db *db;
static mc_registry *registry;
static mc_campaigns *c;
static mc_buf ca, ca_key;
static sent outbox[32];
static int sent_count;
static mc_vehicle car;
static mc_thing thing;
/* what the sink got */
static uint32_t samples, raws, quarantined;
static int64_t last_raw, last_time;
static double last_double;

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why)
{
  sent *s = &outbox[sent_count++ % 32];
  mc_slice_to_str(topic, s->topic, sizeof s->topic);
  mc_buf_clear(&s->payload);
  return mc_buf_append_slice(&s->payload, payload);
}

static mc_err take(void *ctx, const mc_block *b, mc_why *why)
{
  for (uint32_t i = 0; i < b->count; i++) {
    samples++;
    raws += b->kind[i] == MC_SAMPLE_RAW;
    quarantined += b->flags[i] & MC_SAMPLE_QUARANTINED;
    last_time = b->time_us[i];
    if (b->kind[i] == MC_SAMPLE_RAW)
      last_raw = b->value[i].raw;
    else
      last_double = b->value[i].dbl;
  }
  return MC_OK;
}

static const mc_block_sink sink = {NULL, take};

static bool open_module(void)
{
  mc_why why;
  mc_campaigns_config config = {.db = db, .registry = registry, .publish = publish, .sink = &sink, .sink_count = 1};
  if (mc_campaigns_open(&config, &c, &why)) {
    printf("# %s\n", why.text);
    return false;
  }
  return true;
}

static bool begin(void)
{
  mc_why why = {0};
  samples = raws = quarantined = 0;
  sent_count = 0;
  car = (mc_vehicle){.tenant = 1};
  snprintf(car.name, sizeof car.name, "car-1");
  if (!ca.len && mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why))
    return false;
  if (mc_db_open_sqlite(":memory:", &db, &why) ||
      mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, &why) || !open_module() ||
      mc_registry_vehicle_create(registry, &car, &why) || mc_registry_thing_find(registry, 1, MC_LIT("car-1"), &thing)) {
    printf("# %s\n", why.text);
    return false;
  }
  return true;
}

static void end(void)
{
  mc_campaigns_close(&c);
  mc_registry_close(&registry);
  mc_db_close(&db);
  for (int i = 0; i < 32; i++)
    mc_buf_free(&outbox[i].payload);
}

static mc_err import(const char *text, const char *map, mc_dbc_import_report *report, mc_why *why)
{
  mc_dbc_import in = {.tenant = 1,
                      .name = MC_LIT("model-a"),
                      .dbc_text = mc_slice_str(text),
                      .dbc_name = "a.dbc",
                      .interface_id = MC_LIT("can0"),
                      .map_json = mc_slice_str(map)};
  return mc_campaign_import_dbc(c, &in, report, why);
}

static mc_err give_manifest(void)
{
  snprintf(car.manifest, sizeof car.manifest, "model-a");
  MC_TRY(mc_registry_vehicle_update(registry, &car, NULL));
  mc_campaign_vehicle_changed(c, 1, car.id);
  return MC_OK;
}

static mc_err create(const char *name, const char *fqn, const char *expression, mc_why *why)
{
  static mc_campaign_collect collect;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  collect = (mc_campaign_collect){.fqn = mc_slice_str(fqn)};
  mc_campaign g = {.tenant = 1,
                   .name = mc_slice_str(name),
                   .target_kind = MC_LIT("all"),
                   .condition_based = expression != NULL,
                   .period_ms = 1000,
                   .expression = mc_slice_str(expression),
                   .min_interval_ms = 500,
                   .compress = true,
                   .signal = &collect,
                   .signal_count = 1};
  return mc_campaign_create(c, &g, true, &arena, why);
}

static int64_t vehicle_clock_ms; /* of the vehicle's, minus ours */
static const mc_slice *checkin_error;
static uint32_t checkin_error_count;

/* payload as it comes from car-1 */
static mc_err checkin_bytes(mc_slice payload)
{
  mc_record r = {.offset = 1, .stream = MC_STREAM_CHECKIN, .tenant = 1, .principal = thing.id, .time_us = mc_clock_wall_us(),
                 .topic = MC_LIT("$aws/iotfleetwise/vehicles/car-1/checkins"), .payload = payload};
  return mc_campaign_record(c, &r, 2, NULL);
}

static mc_err checkin(const mc_slice *ids, uint32_t count, bool ours)
{
  mc_buf payload = {0};
  mc_fw_checkin in = {.sync_id = ids, .sync_id_count = count, .time_ms = (uint64_t)(mc_clock_wall_us() / 1000 + vehicle_clock_ms),
                      .error = checkin_error, .error_count = checkin_error_count};
  if (ours) {
    in.agent = MC_LIT("motorcade-edge/0");
    in.capabilities = MC_FW_CAN_MULTIPLEX | MC_FW_CAN_ID_MASK;
  }
  mc_err err = mc_fw_write_checkin(&payload, &in);
  if (!err)
    err = checkin_bytes(mc_buf_slice(&payload));
  mc_buf_free(&payload);
  return err;
}

static mc_err telemetry(const mc_fw_vehicle_data *d, bool compress, uint64_t offset)
{
  mc_buf plain = {0}, packed = {0};
  mc_err err = mc_fw_write_vehicle_data(&plain, d);
  if (!err && compress)
    err = mc_snappy_compress(mc_buf_slice(&plain), &packed);
  mc_record r = {.offset = offset,
                 .stream = MC_STREAM_TELEMETRY,
                 .tenant = 1,
                 .principal = thing.id,
                 .time_us = mc_clock_wall_us(),
                 .topic = MC_LIT("cms/fleetwise/vehicles/car-1/signals"),
                 .payload = mc_buf_slice(compress ? &packed : &plain)};
  if (!err)
    err = mc_campaign_record(c, &r, offset + 1, NULL);
  mc_buf_free(&plain);
  mc_buf_free(&packed);
  return err;
}

#pragma GCC diagnostic pop

#endif
