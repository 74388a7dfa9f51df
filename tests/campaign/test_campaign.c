/* From a DBC to a vehicle's documents, and from VehicleData to blocks, with a real registry and database in memory. */
#include "campaign_case.h"

static void test_tells_streams_by_topic(void)
{
  mc_slice name;
  CHECK_INT(mc_campaign_stream_of_topic(MC_LIT("$aws/iotfleetwise/vehicles/v1/signals"), &name), MC_STREAM_TELEMETRY);
  CHECK_SLICE(name, "v1");
  CHECK_INT(mc_campaign_stream_of_topic(MC_LIT("cms/fleetwise/vehicles/v 2/checkins"), &name), MC_STREAM_CHECKIN);
  CHECK_SLICE(name, "v 2");
  CHECK_INT(mc_campaign_stream_of_topic(MC_LIT("cms/fleetwise/vehicles//signals"), &name), MC_STREAM_MESSAGE);
  CHECK_INT(mc_campaign_stream_of_topic(MC_LIT("cms/fleetwise/vehicles/v1/signals/x"), &name), MC_STREAM_MESSAGE);
  CHECK_INT(mc_campaign_stream_of_topic(MC_LIT("cms/fleetwise/vehicles/v1"), &name), MC_STREAM_MESSAGE);
  CHECK_INT(mc_campaign_stream_of_topic(MC_LIT(""), &name), MC_STREAM_MESSAGE);
}

static void test_makes_catalog_and_manifest_from_a_dbc(void)
{
  mc_dbc_import_report report;
  mc_why why;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  CHECK(begin());
  CHECK_OK(import(dbc_text, "{\"Vehicle.Powertrain.CombustionEngine.Speed\":\"ENGINE.Rpm\"}", &report, &why));
  CHECK_INT(report.signals, 5);
  CHECK_INT(report.messages, 2);
  CHECK_INT(report.multiplexed, 1);
  mc_signal_info *list;
  size_t n;
  CHECK_OK(mc_campaign_signals(c, 1, (mc_slice){0}, (mc_slice){0}, 100, &arena, &list, &n, &why));
  CHECK_INT(n, 5);
  CHECK_SLICE(list[0].fqn, "Vehicle.ENGINE.Temp");
  CHECK_SLICE(list[4].fqn, "Vehicle.Powertrain.CombustionEngine.Speed");
  CHECK_SLICE(list[4].unit, "rpm");
  CHECK_OK(mc_campaign_signals(c, 1, (mc_slice){0}, MC_LIT("MUX.Page"), 100, &arena, &list, &n, &why));
  CHECK_INT(n, 1);
  CHECK_INT(list[0].value_count, 2);
  CHECK_SLICE(list[0].value_name[1], "one");
  CHECK_OK(mc_campaign_signals(c, 1, (mc_slice){0}, MC_LIT("_%"), 100, &arena, &list, &n, &why)); /* letters, not wildcards */
  CHECK_INT(n, 0);
  char first[160];
  snprintf(first, sizeof first, "%s", report.manifest_sync_id);
  CHECK_OK(import(dbc_text, "{\"Vehicle.Powertrain.CombustionEngine.Speed\":\"ENGINE.Rpm\"}", &report, &why));
  CHECK_STR(report.manifest_sync_id, first); /* same content, same id */
  end();
}

static void test_refuses_what_it_cannot_import(void)
{
  mc_dbc_import_report report;
  mc_why why;
  CHECK(begin());
  CHECK(import("BO_ 256 ENGINE: 8 ECU\n SG_ Rpm : 0|16@1+ (x,0) [0|1] \"\" ECU\n", "", &report, &why) != MC_OK);
  CHECK_WHY(why, "a.dbc:2");
  CHECK(import("", "", &report, &why) != MC_OK);
  CHECK_WHY(why, "no message");
  CHECK(import(dbc_text, "{\"Vehicle.Speed\":\"ENGINE.Nothing\"}", &report, &why) != MC_OK);
  CHECK_WHY(why, "ENGINE.Nothing");
  CHECK(import(dbc_text, "[1]", &report, &why) != MC_OK);
  CHECK(import(dbc_text, "{\"bad name\":\"ENGINE.Rpm\"}", &report, &why) != MC_OK);
  CHECK_WHY(why, "bad name");
  mc_dbc_import in = {
      .tenant = 1, .name = MC_LIT("a b"), .dbc_text = mc_slice_str(dbc_text), .dbc_name = "a", .interface_id = MC_LIT("can0")};
  CHECK(mc_campaign_import_dbc(c, &in, &report, &why) == MC_ERR_INVALID);
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_manifest_info *list;
  size_t n;
  CHECK_OK(mc_campaign_manifests(c, 1, &arena, &list, &n, &why));
  CHECK_INT(n, 0); /* nothing half-made */
  end();
}

/* They would share one id, and with it one history. */
static void test_two_signals_under_one_name_are_refused_and_both_named(void)
{
  mc_dbc_import_report report;
  mc_why why;
  uint32_t id;
  CHECK(begin());
  CHECK_INT(import(dbc_text, "{\"Vehicle.ENGINE.Temp\":\"ENGINE.Rpm\"}", &report, &why), MC_ERR_INVALID); /* the default name of another */
  CHECK_WHY(why, "ENGINE.Rpm");
  CHECK_WHY(why, "ENGINE.Temp");
  CHECK_WHY(why, "Vehicle.ENGINE.Temp");
  CHECK_INT(import(dbc_text, "{\"Vehicle.MUX.Page\":\"ENGINE.Trim\"}", &report, &why), MC_ERR_INVALID); /* of one in a later message */
  CHECK_WHY(why, "ENGINE.Trim and MUX.Page");
  CHECK_INT(import(dbc_text, "{\"Vehicle.A\":\"ENGINE.Rpm\",\"Vehicle.B\":\"ENGINE.Rpm\"}", &report, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "Vehicle.A");
  CHECK_WHY(why, "Vehicle.B");
  CHECK_WHY(why, "ENGINE.Rpm");
  char text[1000]; /* two names that differ behind what a name may hold */
  char n[161];
  memset(n, 'n', 160);
  n[160] = 0;
  snprintf(text, sizeof text, "BO_ 1 M: 8 X\n SG_ %s1 : 0|8@1+ (1,0) [0|1] \"\" X\n SG_ %s2 : 8|8@1+ (1,0) [0|1] \"\" X\n", n, n);
  CHECK_INT(import(text, "", &report, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "would both be named Vehicle.M.nnn");
  CHECK_INT(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &id), MC_ERR_NOT_FOUND); /* nothing half-made */
  CHECK_OK(import(dbc_text, "{\"Vehicle.ENGINE.Temp\":\"ENGINE.Rpm\",\"Vehicle.ENGINE.Rpm\":\"ENGINE.Temp\"}", &report, &why)); /* a swap is fine */
  CHECK_INT(report.signals, 5);
  end();
}

static void test_an_unknown_signal_is_named_with_the_nearest_one(void)
{
  mc_dbc_import_report report;
  mc_why why;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK(create("one", "Vehicle.ENGINE.Tmp", NULL, &why) == MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "did you mean \"Vehicle.ENGINE.Temp\"");
  CHECK(create("one", "Vehicle.ENGINE.Temp", "$variable.`Vehicle.ENGINE.Rpn` > 3", &why) != MC_OK);
  CHECK_WHY(why, "Vehicle.ENGINE.Rpm");
  CHECK(create("one", "Vehicle.ENGINE.Temp", "$variable.`Vehicle.ENGINE.Rpm` >", &why) != MC_OK);
  CHECK(create("a name", "Vehicle.ENGINE.Temp", NULL, &why) == MC_ERR_INVALID);
  CHECK_OK(create("one", "Vehicle.ENGINE.Temp", NULL, &why));
  CHECK(create("one", "Vehicle.ENGINE.Temp", NULL, &why) == MC_ERR_EXISTS);
  end();
}

static uint32_t schemes_sent_last(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_schemes s = {0};
  for (int i = sent_count - 1; i >= 0; i--)
    if (strstr(outbox[i].topic, "/collection_schemes"))
      return mc_fw_read_schemes(mc_buf_slice(&outbox[i].payload), &arena, &s, NULL) ? UINT32_MAX : s.scheme_count;
  return 0;
}

static void test_another_agent_gets_no_campaign_over_a_multiplexed_signal(void)
{
  mc_dbc_import_report report;
  mc_why why;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(create("temps", "Vehicle.ENGINE.Temp", NULL, &why));
  CHECK_OK(create("page", "Vehicle.MUX.OnPageOne", NULL, &why));
  CHECK_OK(create("reads", "Vehicle.ENGINE.Temp", "$variable.`Vehicle.MUX.OnPageOne` > 1", &why));
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(schemes_sent_last(), 1); /* its manifest is without the signal: the condition would be undefined for ever */
  CHECK_OK(checkin(NULL, 0, true));
  CHECK_INT(schemes_sent_last(), 3);
  end();
}

static void test_a_virgin_vehicle_gets_manifest_and_schemes_and_confirms(void)
{
  mc_dbc_import_report report;
  mc_why why;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(create("temps", "Vehicle.ENGINE.Temp", NULL, &why));
  CHECK_INT(sent_count, 0); /* never heard of it */
  CHECK_OK(checkin(NULL, 0, true));
  CHECK_INT(sent_count, 2);
  CHECK_STR(outbox[0].topic, "$aws/iotfleetwise/vehicles/car-1/decoder_manifests");
  CHECK_STR(outbox[1].topic, "$aws/iotfleetwise/vehicles/car-1/collection_schemes");
  mc_fw_manifest m;
  mc_fw_schemes s;
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&outbox[0].payload), &arena, &m, &why));
  CHECK_INT(m.can_count, 5);
  CHECK_OK(mc_fw_read_schemes(mc_buf_slice(&outbox[1].payload), &arena, &s, &why));
  CHECK_INT(s.scheme_count, 1);
  CHECK(mc_slice_eq(s.scheme[0].manifest_sync_id, m.sync_id));
  CHECK(s.time_ms > 0);
  CHECK(s.scheme[0].signal[0].sample_buffer_size > 0);
  CHECK_OK(checkin(NULL, 0, true)); /* the first check-in after sending is no proof of loss */
  CHECK_INT(sent_count, 2);
  mc_slice ids[2] = {m.sync_id, s.scheme[0].campaign_sync_id};
  CHECK_OK(checkin(ids, 2, true));
  CHECK_OK(checkin(ids, 2, true));
  CHECK_INT(sent_count, 2);
  mc_campaign_vehicle *v;
  size_t n;
  CHECK_OK(mc_campaign_vehicles(c, 1, 1, 10, &arena, &v, &n, &why));
  CHECK_INT(n, 1);
  CHECK_SLICE(v[0].state, "healthy");
  /* suspending takes it off, with an empty list that carries a time */
  CHECK_OK(mc_campaign_set_status(c, 1, 1, MC_CAMPAIGN_SUSPENDED, &why));
  CHECK_INT(sent_count, 3);
  CHECK_OK(mc_fw_read_schemes(mc_buf_slice(&outbox[2].payload), &arena, &s, &why));
  CHECK_INT(s.scheme_count, 0);
  CHECK(s.time_ms > 0);
  end();
}

/* A manifest of plain signals is one document for every agent, under one id. */
static void test_another_agent_confirms_a_manifest_that_is_the_same_for_all(void)
{
  mc_dbc_import_report report;
  mc_why why;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_manifest m;
  CHECK(begin());
  CHECK_OK(import("VERSION \"\"\nBU_: E\nBO_ 256 PLAIN: 8 E\n SG_ Level : 0|16@1+ (1,0) [0|100] \"\" E\n", "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(sent_count, 1);
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&outbox[0].payload), &arena, &m, &why));
  CHECK_SLICE(m.sync_id, report.manifest_sync_id);
  for (int i = 0; i < 3; i++)
    CHECK_OK(checkin(&m.sync_id, 1, i == 2)); /* the last one is of ours */
  CHECK_INT(sent_count, 1);
  end();
}

static void test_an_agent_that_never_confirms_is_not_flooded(void)
{
  mc_dbc_import_report report;
  mc_why why;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(create("temps", "Vehicle.ENGINE.Temp", NULL, &why));
  for (int i = 0; i < 40; i++)
    CHECK_OK(checkin(NULL, 0, true));
  CHECK_INT(sent_count, 10); /* five tries of two documents */
  end();
}

static void test_other_agents_get_no_multiplexing_and_no_int16(void)
{
  mc_dbc_import_report report;
  mc_why why;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(checkin(NULL, 0, false));
  mc_fw_manifest m;
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&outbox[0].payload), &arena, &m, &why));
  CHECK_INT(m.can_count, 4);
  for (uint32_t i = 0; i < m.can_count; i++) {
    CHECK_INT(m.can[i].mux_count, 0);
    CHECK_INT(m.can[i].id_mask, 0);
    CHECK(m.can[i].type != MC_TYPE_INT16);
    CHECK(m.can[i].signal_id != 0 && m.can[i].signal_id < 1u << 31);
  }
  CHECK(strcmp(report.manifest_sync_id, "") != 0 && !mc_slice_eq_str(m.sync_id, report.manifest_sync_id));
  end();
}

static void test_decodes_to_raw_integers_plain_and_compressed_once(void)
{
  mc_dbc_import_report report;
  mc_why why;
  uint32_t rpm;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  uint64_t now_ms = (uint64_t)mc_clock_wall_us() / 1000;
  mc_fw_sample s[3] = {{.relative_ms = -5, .signal_id = rpm, .number = 1234.25},
                       {.relative_ms = -3, .signal_id = rpm, .number = 0.1},
                       {.relative_ms = 0, .signal_id = 99999, .number = 1}};
  mc_fw_vehicle_data d = {.campaign_sync_id = MC_LIT("x-1"),
                          .manifest_sync_id = mc_slice_str(report.manifest_sync_id),
                          .event_id = 7,
                          .event_time_ms = now_ms,
                          .sample = s,
                          .sample_count = 1};
  CHECK_OK(telemetry(&d, false, 100));
  CHECK_INT(samples, 1);
  CHECK_INT(raws, 1);
  CHECK_INT(last_raw, 4937);
  CHECK_INT(last_time, (int64_t)(now_ms - 5) * 1000);
  CHECK_OK(telemetry(&d, false, 100)); /* the same record, read again after a restart: taken, the sinks know */
  CHECK_INT(samples, 2);
  CHECK_OK(telemetry(&d, false, 200)); /* sent again: a repeat */
  CHECK_INT(samples, 2);
  d.event_id = 8;
  d.sample_count = 3;
  CHECK_OK(telemetry(&d, true, 300));
  CHECK_INT(samples, 4); /* the unknown signal is left out */
  CHECK_INT(raws, 3);
  CHECK_DOUBLE(last_double, 0.1, 0); /* no multiple of the step: the double stays */
  mc_campaign_stats stats;
  mc_campaign_stats_get(c, &stats);
  CHECK_INT(stats.repeats, 1);
  CHECK_INT(stats.unknown_signals, 1);
  end();
}

static void test_parts_of_one_event_are_merged_in_the_event_list(void)
{
  mc_dbc_import_report report;
  mc_why why;
  uint32_t rpm;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  mc_fw_sample s = {.signal_id = rpm, .number = 1};
  mc_fw_vehicle_data d = {.campaign_sync_id = MC_LIT("x-1"),
                          .manifest_sync_id = mc_slice_str(report.manifest_sync_id),
                          .event_id = 7,
                          .event_time_ms = (uint64_t)mc_clock_wall_us() / 1000,
                          .sample = &s,
                          .sample_count = 1};
  CHECK_OK(telemetry(&d, false, 1));
  s.number = 2;
  CHECK_OK(telemetry(&d, false, 2));
  mc_event_info *list;
  size_t n;
  CHECK_OK(mc_campaign_events(c, 1, car.id, 10, &arena, &list, &n, &why));
  CHECK_INT(n, 1);
  CHECK_INT(list[0].messages, 2);
  CHECK_INT(list[0].samples, 2);
  CHECK_INT(list[0].event_id, 7);
  end();
}

static void test_hostile_telemetry_is_counted_and_disturbs_nothing(void)
{
  mc_dbc_import_report report;
  mc_why why;
  uint32_t rpm;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  static const uint8_t junk[] = {0xff, 0xff, 0xff, 0x7f, 1, 2, 3};
  mc_record r = {.offset = 1,
                 .stream = MC_STREAM_TELEMETRY,
                 .tenant = 1,
                 .principal = thing.id,
                 .topic = MC_LIT("$aws/iotfleetwise/vehicles/car-1/signals"),
                 .payload = {junk, sizeof junk}};
  CHECK_OK(mc_campaign_record(c, &r, 2, &why));
  r.payload.len = 0;
  CHECK_OK(mc_campaign_record(c, &r, 3, &why));
  mc_fw_sample s = {.relative_ms = INT64_MIN, .signal_id = rpm, .number = 1};
  mc_fw_vehicle_data d = {.campaign_sync_id = MC_LIT("x"), .event_time_ms = UINT64_MAX, .sample = &s, .sample_count = 1};
  CHECK_OK(telemetry(&d, false, 4));
  d.event_time_ms = 5;
  CHECK_OK(telemetry(&d, false, 5));
  CHECK_INT(samples, 0);
  d.event_time_ms = (uint64_t)mc_clock_wall_us() / 1000 + 3600 * 1000; /* an hour ahead */
  s.relative_ms = 0;
  CHECK_OK(telemetry(&d, false, 6));
  CHECK_INT(samples, 1);
  CHECK_INT(quarantined, 1);
  mc_record other = {.offset = 9, .tenant = 1, .topic = MC_LIT("cms/fleetwise/vehicles/nobody/signals")};
  CHECK_OK(mc_campaign_record(c, &other, 10, &why));
  end();
}

static void test_samples_spread_over_thousands_of_hours_open_only_a_bounded_number(void)
{
  enum { HOURS = 10000, LEGITIMATE = 1024 };
  static mc_fw_sample s[HOURS];
  mc_dbc_import_report report;
  mc_why why;
  uint32_t rpm;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  for (int i = 0; i < HOURS; i++)
    s[i] = (mc_fw_sample){.relative_ms = -3600000LL * i, .signal_id = rpm, .number = i};
  mc_fw_vehicle_data d = {.campaign_sync_id = MC_LIT("x"),
                          .manifest_sync_id = mc_slice_str(report.manifest_sync_id),
                          .event_time_ms = (uint64_t)mc_clock_wall_us() / 1000,
                          .sample = s,
                          .sample_count = 7 * 24 + 500};
  CHECK_OK(telemetry(&d, false, 1)); /* three weeks of backlog: all of it */
  CHECK_INT(samples, 7 * 24 + 500);
  d.event_id = 2;
  d.sample_count = HOURS;
  CHECK_OK(telemetry(&d, false, 2));
  d.event_id = 3;
  d.event_time_ms += 1000ull * 86400 * 365 * 200; /* and centuries ahead */
  CHECK_OK(telemetry(&d, false, 3));
  CHECK(samples <= 2 * (7 * 24 + 1) + LEGITIMATE + 1);
  mc_campaign_stats stats;
  mc_campaign_stats_get(c, &stats);
  CHECK_INT(stats.strayed + samples, 2 * HOURS + 7 * 24 + 500);
  samples = 0;
  d.event_id = 4;
  d.event_time_ms = (uint64_t)mc_clock_wall_us() / 1000;
  d.sample_count = 10;
  CHECK_OK(telemetry(&d, false, 4)); /* the present is never refused */
  CHECK_INT(samples, 10);
  end();
}

static void test_a_reader_always_begins_at_a_record(void)
{
  enum { WINDOW = 64 << 20, STEP = 5 << 20 };
  mc_dbc_import_report report;
  mc_why why;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(create("temps", "Vehicle.ENGINE.Temp", NULL, &why));
  mc_campaign g;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  uint32_t temp;
  CHECK_OK(mc_campaign_get(c, 1, 1, &arena, &g));
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Temp"), &temp));
  mc_fw_sample s = {.signal_id = temp, .number = 2.5};
  mc_fw_vehicle_data d = {.campaign_sync_id = g.sync_id, .manifest_sync_id = mc_slice_str(report.manifest_sync_id),
                          .event_time_ms = (uint64_t)mc_clock_wall_us() / 1000, .sample = &s, .sample_count = 1};
  for (uint64_t i = 0; i < 30; i++) { /* records at 104, 104 + STEP, ...: 150 MiB, more than is read again */
    d.event_id = (uint32_t)i + 1;
    CHECK_OK(telemetry(&d, true, 104 + i * STEP));
    CHECK_OK(mc_campaign_checkpoint(c, 104 + i * STEP + 200, &why));
    uint64_t from = mc_campaign_offset(c);
    CHECK_INT((from - 104) % STEP, 0); /* never between two records */
    CHECK(from <= 104 + i * STEP && 104 + i * STEP + 200 - from <= WINDOW);
    CHECK(i < 13 ? from == 104 : from > 104);
  }
  CHECK_OK(mc_campaign_checkpoint(c, (uint64_t)1 << 40, &why)); /* nothing remembered lies within the window */
  CHECK_INT(mc_campaign_offset(c), (uint64_t)1 << 40);
  end();
}

static void test_everything_is_there_after_a_restart(void)
{
  mc_dbc_import_report report;
  mc_why why;
  uint32_t rpm;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(create("temps", "Vehicle.ENGINE.Temp",
                  "$variable.`Vehicle.ENGINE.Rpm` > 3000 && last_window_avg($variable.`Vehicle.ENGINE.Temp`) > 90", &why));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK_OK(mc_campaign_checkpoint(c, 500, &why));
  mc_campaign before, after;
  CHECK_OK(mc_campaign_get(c, 1, 1, &arena, &before));
  mc_campaigns_close(&c);
  CHECK(open_module());
  CHECK_INT(mc_campaign_offset(c), 500);
  CHECK_OK(mc_campaign_get(c, 1, 1, &arena, &after));
  CHECK(mc_slice_eq(before.sync_id, after.sync_id));
  CHECK_SLICE(after.name, "temps");
  CHECK_INT(after.status, MC_CAMPAIGN_RUNNING);
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  mc_fw_sample s = {.signal_id = rpm, .number = 2.5};
  mc_fw_vehicle_data d = {.campaign_sync_id = after.sync_id,
                          .manifest_sync_id = mc_slice_str(report.manifest_sync_id),
                          .event_id = 1,
                          .event_time_ms = (uint64_t)mc_clock_wall_us() / 1000,
                          .sample = &s,
                          .sample_count = 1};
  CHECK_OK(telemetry(&d, true, 600));
  CHECK_INT(last_raw, 10);
  sent_count = 0;
  mc_slice manifest = mc_slice_str(report.manifest_sync_id);
  CHECK_OK(checkin(&manifest, 1, true));
  CHECK_INT(sent_count, 0); /* both went out before the restart: it has its chance */
  CHECK_OK(checkin(&manifest, 1, true));
  CHECK_INT(sent_count, 1); /* it says it has the manifest and not the scheme */
  end();
}

static void test_a_campaign_row_that_it_would_not_have_written_is_refused(void)
{
  static const char *const change[] = {"UPDATE campaign SET status = 4", "UPDATE campaign SET id = -1", "UPDATE campaign SET name = 'a b'", "UPDATE campaign SET document = '{'"};
  mc_dbc_import_report report;
  mc_why why = {0};
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(create("c", "Vehicle.ENGINE.Rpm", NULL, &why));
  mc_campaigns_close(&c);
  mc_campaigns_config config = {.db = db, .registry = registry, .publish = publish, .sink = &sink, .sink_count = 1};
  for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
    CHECK_OK(mc_db_begin(db, true, &why));
    CHECK_OK(mc_db_run(db, &why, change[i], ""));
    mc_err err = mc_campaigns_open(&config, &c, &why);
    CHECK_OK(mc_db_end(db, false, NULL));
    CHECK(err != MC_OK);
    CHECK_WHY(why, "in the database cannot be read");
  }
  CHECK(open_module());
  end();
}

static void test_a_vss_tree_adds_names_and_leaves_those_that_are_there(void)
{
  static const char tree[] = "{\"Vehicle\":{\"type\":\"branch\",\"description\":\"\",\"children\":{\"ENGINE\":{\"type\":\"branch\","
                             "\"description\":\"\",\"children\":{"
                             "\"Temp\":{\"type\":\"sensor\",\"datatype\":\"float\",\"unit\":\"K\",\"description\":\"in kelvin\"},"
                             "\"Oil\":{\"type\":\"sensor\",\"datatype\":\"uint8\",\"unit\":\"percent\",\"description\":\"level\"}}}}}}";
  mc_dbc_import_report report;
  mc_why why;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_catalog catalog = {0};
  uint32_t added, kept;
  mc_signal_info *list;
  size_t n;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(mc_catalog_read_vss_json(mc_slice_str(tree), &catalog, &why));
  CHECK_OK(mc_campaign_import_catalog(c, 1, &catalog, &added, &kept, &why));
  CHECK_INT(added, 1);
  CHECK_INT(kept, 1);
  CHECK_OK(mc_campaign_signals(c, 1, (mc_slice){0}, MC_LIT("ENGINE.Temp"), 10, &arena, &list, &n, &why));
  CHECK_SLICE(list[0].unit, "degC");
  CHECK_OK(mc_campaign_signals(c, 1, (mc_slice){0}, MC_LIT("ENGINE.Oil"), 10, &arena, &list, &n, &why));
  CHECK_INT(n, 1);
  mc_catalog_free(&catalog);
  end();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_tells_streams_by_topic);
  RUN(test_makes_catalog_and_manifest_from_a_dbc);
  RUN(test_a_vss_tree_adds_names_and_leaves_those_that_are_there);
  RUN(test_refuses_what_it_cannot_import);
  RUN(test_two_signals_under_one_name_are_refused_and_both_named);
  RUN(test_an_unknown_signal_is_named_with_the_nearest_one);
  RUN(test_another_agent_gets_no_campaign_over_a_multiplexed_signal);
  RUN(test_a_virgin_vehicle_gets_manifest_and_schemes_and_confirms);
  RUN(test_another_agent_confirms_a_manifest_that_is_the_same_for_all);
  RUN(test_an_agent_that_never_confirms_is_not_flooded);
  RUN(test_other_agents_get_no_multiplexing_and_no_int16);
  RUN(test_decodes_to_raw_integers_plain_and_compressed_once);
  RUN(test_parts_of_one_event_are_merged_in_the_event_list);
  RUN(test_hostile_telemetry_is_counted_and_disturbs_nothing);
  RUN(test_samples_spread_over_thousands_of_hours_open_only_a_bounded_number);
  RUN(test_a_reader_always_begins_at_a_record);
  RUN(test_everything_is_there_after_a_restart);
  RUN(test_a_campaign_row_that_it_would_not_have_written_is_refused);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
