/* What a campaign would have sent of what is stored: the agent's own evaluation over the store, wired as the platform wires it. */
#include "app/motorcade/dry_run.h"
#include "campaign/campaign_case.h"
#include "store/store.h"

#define SECOND 1000000LL
static const int64_t T0 = 1700000000000000LL / 3600000000LL * 3600000000LL;
static char store_dir[256];
static mc_store *store;
static uint64_t next_offset;

static bool open_all(void)
{
  mc_why why = {0};
  mc_dbc_import_report report;
  snprintf(store_dir, sizeof store_dir, "/tmp/mc-dry-run-%d", (int)getpid());
  next_offset = 1;
  if (!begin() || import(dbc_text, "", &report, &why) || give_manifest() || mc_store_open(&(mc_store_config){.fs = mc_fs_posix(), .dir = store_dir}, &store, &why)) {
    printf("# %s\n", why.text);
    return false;
  }
  return true;
}

static void close_all(void)
{
  char command[400];
  mc_store_close(&store);
  end();
  snprintf(command, sizeof command, "rm -rf '%s'", store_dir);
  if (system(command))
    printf("# cannot remove %s\n", store_dir);
}

/* One sample a second, from T0 on. */
static mc_err keep(const char *fqn, int seconds, double (*value)(int second))
{
  uint32_t signal;
  mc_block_builder b = {0};
  MC_TRY(mc_registry_signal_lookup(registry, 1, mc_slice_str(fqn), &signal));
  for (int i = 0; i < seconds; i++)
    MC_TRY(mc_block_builder_add(&b, car.id, signal, 0, T0 + i * SECOND, MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = value(i)}));
  mc_block block = mc_block_builder_view(&b);
  block.tenant = 1;
  block.next_offset = ++next_offset;
  mc_err err = mc_store_append(store, &block, NULL);
  mc_block_builder_free(&b);
  return err;
}

static double rpm(int second) { return 800 + second; }
static double temperature(int second) { return 80 + second % 20; } /* above 90 from 11 to 19 of each 20 */

static mc_campaign_collect collect = {.fqn = MC_LIT("Vehicle.ENGINE.Rpm")};
static mc_campaign of_time(void)
{
  return (mc_campaign){.tenant = 1, .name = MC_LIT("t"), .target_kind = MC_LIT("all"), .period_ms = 10000, .signal = &collect, .signal_count = 1};
}
static mc_campaign of_condition(void)
{
  mc_campaign g = of_time();
  g.condition_based = true;
  g.rising_edge = true;
  g.expression = MC_LIT("$variable.`Vehicle.ENGINE.Temp` > 90");
  return g;
}

static mc_dry_run_report report;
static mc_why reason;
static mc_arena memory;
static mc_err try(const mc_campaign *g, mc_dry_run_ask ask)
{
  mc_arena_reset(&memory);
  reason = (mc_why){0};
  ask.campaign = g;
  ask.store = store;
  ask.engine = &dry_run_by_agent;
  if (!ask.to_us)
    ask.to_us = T0 + 100 * SECOND;
  if (!ask.from_us)
    ask.from_us = T0;
  return mc_campaign_dry_run(c, &ask, &memory, &report, &reason);
}

static int64_t rows_of(const char *table)
{
  char sql[100];
  mc_stmt *s;
  snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM %s", table);
  int64_t n = -1;
  if (mc_db_begin(db, false, NULL) == MC_OK && mc_db_prepare(db, sql, &s, NULL) == MC_OK) {
    if (mc_stmt_step(s, NULL) == MC_OK)
      n = mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return n;
}

static void test_counts_what_a_period_would_have_sent(void)
{
  CHECK(open_all());
  CHECK_OK(keep("Vehicle.ENGINE.Rpm", 100, rpm));
  mc_campaign g = of_time();
  int64_t versions = rows_of("scheme_version"), campaigns = rows_of("campaign");
  CHECK_OK(try(&g, (mc_dry_run_ask){.triggers = 4, .per_mb = 2, .per_message = 0.5}));
  CHECK_INT(report.vehicle_count, 1);
  CHECK_SLICE(report.vehicle[0].state, "done");
  CHECK_INT(report.vehicle[0].signals, 1);
  CHECK_INT(report.vehicle[0].with_data, 1);
  CHECK_INT(report.samples_read, 100);
  CHECK_INT(report.triggers, 10);
  CHECK_INT(report.messages, 10);
  CHECK_INT(report.rows, 100);
  CHECK_INT(report.trigger_count, 4);
  CHECK_INT(report.trigger[0].time_us, T0 + 10 * SECOND);
  CHECK_INT(report.trigger[3].time_us, T0 + 40 * SECOND);
  CHECK_INT(report.trigger[0].rows, 10);
  CHECK(report.bytes > 10 * (10 * 9 + 40)); /* ten doubles, and the packet around them */
  CHECK_DOUBLE(report.money, 5 + (double)report.bytes / 1e6 * 2, 1e-9);
  CHECK_DOUBLE(report.days, 100.0 / 86400, 1e-9);
  CHECK_DOUBLE(report.messages_a_day, 8640, 1e-6);
  CHECK(report.complete);
  CHECK_INT(rows_of("scheme_version"), versions); /* nothing is left of it */
  CHECK_INT(rows_of("campaign"), campaigns);
  CHECK_INT(sent_count, 0);
  close_all();
}

static void test_triggers_when_the_condition_would_have(void)
{
  CHECK(open_all());
  CHECK_OK(keep("Vehicle.ENGINE.Rpm", 100, rpm));
  CHECK_OK(keep("Vehicle.ENGINE.Temp", 100, temperature));
  mc_campaign g = of_condition();
  CHECK_OK(try(&g, (mc_dry_run_ask){.triggers = 10}));
  CHECK_INT(report.triggers, 5);
  CHECK_INT(report.trigger_count, 5);
  for (int i = 0; i < 5; i++)
    CHECK_INT(report.trigger[i].time_us, T0 + (11 + 20 * i) * SECOND);
  CHECK_INT(report.rows, 92); /* of the one signal that is collected, up to the last edge */
  CHECK_INT(report.vehicle[0].signals, 2);
  CHECK_OK(mc_store_flush(store, NULL)); /* the same from segments */
  mc_dry_run_report before = report;
  CHECK_OK(try(&g, (mc_dry_run_ask){.triggers = 10}));
  CHECK_INT(report.rows, before.rows);
  CHECK_INT(report.bytes, before.bytes);
  close_all();
}

static void test_tells_what_it_cannot_judge(void)
{
  CHECK(open_all());
  mc_campaign g = of_condition();
  CHECK_OK(try(&g, (mc_dry_run_ask){.triggers = 10}));
  CHECK_SLICE(report.vehicle[0].state, "no_data");
  CHECK_INT(report.vehicle[0].with_data, 0);
  CHECK_DOUBLE(report.messages_a_day, 0, 0);
  mc_vehicle bare = {.tenant = 1, .name = "car-2"};
  CHECK_OK(mc_registry_vehicle_create(registry, &bare, NULL));
  mc_slice names[] = {MC_LIT("car-2"), MC_LIT("nobody")};
  CHECK_OK(try(&g, (mc_dry_run_ask){.vehicle = names, .vehicle_count = 1}));
  CHECK_SLICE(report.vehicle[0].state, "not_reached");
  CHECK_SLICE(report.vehicle[0].text, "the vehicle has no decoder manifest");
  CHECK_INT(report.targeted, 2);
  CHECK_INT(try(&g, (mc_dry_run_ask){.vehicle = names, .vehicle_count = 2}), MC_ERR_INVALID);
  CHECK_WHY(reason, "vehicles[1]: there is no vehicle \"nobody\"");
  close_all();
}

static void test_ends_when_the_time_is_up(void)
{
  CHECK(open_all());
  CHECK_OK(keep("Vehicle.ENGINE.Rpm", 100, rpm));
  mc_campaign g = of_time();
  CHECK_OK(try(&g, (mc_dry_run_ask){.budget_us = -1}));
  CHECK_SLICE(report.vehicle[0].state, "cut");
  CHECK(!report.complete);
  CHECK_INT(report.messages, 0);
  close_all();
}

/* A condition that stayed true fires each millisecond of a year without samples: the time that was given counts there, too. */
static void test_ends_in_the_middle_of_a_stretch_without_samples(void)
{
  CHECK(open_all());
  CHECK_OK(keep("Vehicle.ENGINE.Temp", 2, temperature));
  mc_campaign g = of_condition();
  g.expression = MC_LIT("$variable.`Vehicle.ENGINE.Temp` > 0");
  g.rising_edge = false;
  g.min_interval_ms = g.after_ms = 1;
  CHECK_OK(try(&g, (mc_dry_run_ask){.to_us = T0 + 300 * 86400 * SECOND, .budget_us = 200000}));
  CHECK_SLICE(report.vehicle[0].state, "cut");
  CHECK(!report.complete);
  CHECK(report.vehicle[0].covered_us < T0 + 300 * 86400 * SECOND);
  close_all();
}

static void test_refuses_what_makes_no_sense(void)
{
  CHECK(open_all());
  mc_campaign g = of_time();
  CHECK_INT(try(&g, (mc_dry_run_ask){.from_us = T0 + SECOND, .to_us = T0}), MC_ERR_INVALID);
  CHECK_WHY(reason, "later than from");
  CHECK_INT(try(&g, (mc_dry_run_ask){.from_us = 1, .to_us = T0}), MC_ERR_INVALID);
  CHECK_WHY(reason, "366 days");
  CHECK_INT(try(&g, (mc_dry_run_ask){.per_mb = -1}), MC_ERR_INVALID);
  CHECK_INT(try(&g, (mc_dry_run_ask){.most = 101}), MC_ERR_INVALID);
  g.period_ms = 1;
  CHECK_INT(try(&g, (mc_dry_run_ask){0}), MC_ERR_INVALID);
  CHECK_WHY(reason, "period_ms");
  g = of_condition();
  g.expression = MC_LIT("$variable.`Vehicle.Nothing` > 1");
  CHECK(try(&g, (mc_dry_run_ask){0}) != MC_OK);
  CHECK_WHY(reason, "Vehicle.Nothing");
  g = of_time();
  CHECK_OK(try(&g, (mc_dry_run_ask){0})); /* a refusal leaves nothing locked */
  close_all();
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_counts_what_a_period_would_have_sent);
  RUN(test_triggers_when_the_condition_would_have);
  RUN(test_tells_what_it_cannot_judge);
  RUN(test_ends_when_the_time_is_up);
  RUN(test_ends_in_the_middle_of_a_stretch_without_samples);
  RUN(test_refuses_what_makes_no_sense);
  mc_arena_free(&memory);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
