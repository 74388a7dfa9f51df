/* Any values in the module's tables: it opens and answers within its ranges, or refuses and says why. Input: changes of values as
 * tests/db/row_damage.h reads them. */
#include "base/clock.h"
#include "base/log.h"
#include "campaign/campaign.h"
#include "db/row_damage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_db *db;
static mc_registry *registry;
static mc_buf ca, ca_key;
static damage_columns columns;
static mc_campaigns_config config;
static mc_vehicle car = {.tenant = 1, .name = "car-1", .manifest = "model-a"};

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why) { return MC_OK; }
static mc_err take(void *ctx, const mc_block *b, mc_why *why) { return MC_OK; }
static const mc_block_sink sink = {NULL, take};

static void end(void)
{
  mc_registry_close(&registry);
  mc_db_close(&db);
  mc_vec_free(&columns);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
}

static const char dbc[] = "BO_ 256 ENGINE: 8 X\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] \"rpm\" X\n SG_ Gear : 16|8@1+ (1,0) [0|9] \"\" X\nVAL_ 256 Gear 0 \"P\" 1 \"D\" ;\n";

/* One row at least in every table; what a vehicle sent makes check-ins and events. */
static void furnish(mc_campaigns *c)
{
  mc_why why = {0};
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_dbc_import_report report;
  mc_dbc_import in = {.tenant = 1, .name = MC_LIT("model-a"), .interface_id = MC_LIT("can0"), .dbc_name = "a.dbc", .dbc_text = mc_slice_str(dbc)};
  mc_campaign_collect collect = {.fqn = MC_LIT("Vehicle.ENGINE.Rpm")};
  mc_campaign g = {.tenant = 1, .name = MC_LIT("c"), .target_kind = MC_LIT("all"), .condition_based = true, .expression = MC_LIT("$variable.`Vehicle.ENGINE.Rpm` > 3.0"),
                   .signal = &collect, .signal_count = 1};
  if (mc_campaign_import_dbc(c, &in, &report, &why) || mc_registry_vehicle_create(registry, &car, &why) || mc_campaign_create(c, &g, true, &arena, &why)) {
    fprintf(stderr, "%s\n", why.text);
    abort();
  }
  mc_slice fqn = MC_LIT("Vehicle.ENGINE.Rpm");
  mc_state_template t = {.tenant = 1, .name = MC_LIT("t"), .signal = &fqn, .signal_count = 1};
  char command[27];
  if (mc_template_create(c, &t, &why) || mc_template_give(c, 1, car.id, MC_LIT("t"), 0, &why))
    abort();
  mc_campaign_vehicle_changed(c, 1, car.id);
  static const uint8_t checkin[] = {0x0A, 3, 'x', '-', '1', 0x10, 1}; /* holds a document x-1 */
  mc_record r = {.stream = MC_STREAM_CHECKIN, .tenant = 1, .time_us = mc_clock_wall_us(), .topic = MC_LIT("$aws/iotfleetwise/vehicles/car-1/checkins"),
                 .payload = mc_slice_of(checkin, sizeof checkin), .offset = 10};
  if (mc_campaign_record(c, &r, 20, &why) || mc_template_command(c, 1, car.id, MC_LIT("t"), MC_STATE_ACTIVATE, 0, 0, command, &why) || mc_campaign_checkpoint(c, 20, &why))
    abort();
}

static void begin(void)
{
  mc_why why = {0};
  mc_campaigns *c;
  damage_columns all = {0};
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  if (mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why) || mc_db_open_sqlite(":memory:", &db, &why) ||
      mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, &why))
    abort();
  config = (mc_campaigns_config){.db = db, .registry = registry, .publish = publish, .sink = &sink, .sink_count = 1};
  if (mc_campaigns_open(&config, &c, &why))
    abort();
  furnish(c);
  mc_campaigns_close(&c);
  damage_columns_read(db, &all);
  for (size_t i = 0; i < all.len; i++) /* the registry's own are its own target's */
    if ((!strncmp(all.at[i].table, "campaign", 8) || !strcmp(all.at[i].table, "catalog_node") || !strcmp(all.at[i].table, "decoder_manifest") ||
         !strcmp(all.at[i].table, "scheme_version") || !strcmp(all.at[i].table, "state_template") || !strcmp(all.at[i].table, "template_version") ||
         !strcmp(all.at[i].table, "state_command") || !strcmp(all.at[i].table, "vehicle_template") || !strcmp(all.at[i].table, "vehicle_model")) &&
        mc_vec_push(&columns, all.at[i]))
      abort();
  mc_vec_free(&all);
  if (columns.len < 40 || atexit(end))
    abort();
}

static void look(mc_campaigns *c)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)256 << 20);
  mc_why why = {0};
  size_t n, m;
  mc_signal_info *signals, one;
  mc_manifest_info *manifests;
  mc_campaign *campaigns;
  mc_campaign_vehicle *vehicles;
  mc_event_info *events;
  uint32_t *ids;
  if (mc_campaign_signals(c, 1, (mc_slice){0}, MC_LIT("e"), 100, &arena, &signals, &n, &why) == MC_OK)
    for (size_t i = 0; i < n; i++)
      if (!signals[i].type.len || (signals[i].value_count && !signals[i].value_name))
        abort();
  mc_campaign_signal(c, 1, 1, &arena, &one);
  if (mc_campaign_manifests(c, 1, &arena, &manifests, &n, &why) == MC_OK)
    for (size_t i = 0; i < n; i++)
      mc_campaign_manifest_signals(c, 1, manifests[i].name, &arena, &ids, &m, &why);
  if (mc_campaign_list(c, 1, &arena, &campaigns, &n, &why) == MC_OK)
    for (size_t i = 0; i < n; i++) {
      if (campaigns[i].status > MC_CAMPAIGN_ENDED)
        abort();
      mc_campaign_vehicles(c, 1, campaigns[i].id, 10, &arena, &vehicles, &m, &why);
    }
  mc_campaign_events(c, 1, car.id, 10, &arena, &events, &n, &why);
  mc_state_template *templates;
  mc_vehicle_template *held;
  mc_state_command *commands;
  mc_vehicle_campaign *standing;
  mc_vehicle_agent agent;
  mc_template_list(c, 1, &arena, &templates, &n, &why);
  mc_templates_of_vehicle(c, 1, car.id, &arena, &held, &n, &why);
  mc_template_commands(c, 1, car.id, 10, &arena, &commands, &n, &why);
  mc_campaign_of_vehicle(c, 1, car.id, &arena, &standing, &n, &agent, &why);
  mc_campaign_vehicle_changed(c, 1, car.id);
  mc_record r = {.stream = MC_STREAM_TELEMETRY, .tenant = 1, .time_us = mc_clock_wall_us(), .topic = MC_LIT("$aws/iotfleetwise/vehicles/car-1/signals"),
                 .payload = MC_LIT("\x0A\x03x-1"), .offset = 30};
  mc_campaign_record(c, &r, 40, &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_campaigns *c = NULL;
  mc_why why = {0};
  if (!db)
    begin();
  damage_rows(db, &columns, mc_slice_of(data, size));
  mc_err err = mc_campaigns_open(&config, &c, &why);
  if (err && !why.text[0])
    abort(); /* a refusal without a reason */
  if (c)
    look(c);
  mc_campaigns_close(&c);
  damage_undo(db);
  return 0;
}
