/* Reader, writer, tick and people at once: nothing is counted twice or lost, and nothing races (the sanitizer's say). */
#include <stdatomic.h>

#include "campaign/cost.h"
#include "campaign/state.h"
#include "campaign_case.h"

enum { MESSAGES = 600 };

static mc_campaign g;
static mc_arena memory;
static mc_dbc_import_report report;
static uint32_t rpm;
static atomic_bool over;
static atomic_uint failed;

static void *read_records(void *arg)
{
  mc_fw_sample sample = {.signal_id = rpm, .number = 800};
  mc_slice ids[] = {mc_slice_str(report.manifest_sync_id), g.sync_id};
  for (uint64_t i = 0; i < MESSAGES; i++) {
    mc_fw_vehicle_data d = {.campaign_sync_id = g.sync_id, .manifest_sync_id = mc_slice_str(report.manifest_sync_id), .event_id = (uint32_t)i, .event_time_ms = (uint64_t)(mc_clock_wall_us() / 1000),
                            .sample = &sample, .sample_count = 1};
    failed += telemetry(&d, false, 100 + i) != MC_OK;
    if (i % 50 == 0)
      failed += checkin(ids, 2, true) != MC_OK;
  }
  over = true;
  return NULL;
}

static void *save(void *arg)
{
  while (!over) {
    failed += mc_campaign_tick(c, mc_clock_wall_us(), NULL) != MC_OK;
    failed += mc_campaign_checkpoint(c, 100, NULL) != MC_OK;
  }
  return NULL;
}

static void *look(void *arg)
{
  while (!over) {
    mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
    mc_campaign_rollout r;
    mc_campaign_costs_report costs;
    mc_campaign_vehicle *list;
    size_t n;
    failed += mc_campaign_rollout_of(c, 1, g.id, &arena, &r, NULL) != MC_OK;
    failed += mc_campaign_costs(c, 1, g.id, 2, 10, &arena, &costs, NULL) != MC_OK;
    failed += mc_campaign_vehicles(c, 1, g.id, 10, &arena, &list, &n, NULL) != MC_OK;
  }
  return NULL;
}

static void *change(void *arg)
{
  for (uint32_t i = 0; !over; i++) {
    mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
    mc_campaign own = g;
    own.cap_vehicle.messages = 1 + i % 100;
    failed += mc_campaign_update(c, &own, &arena, NULL) != MC_OK;
    failed += mc_campaign_rollout_set(c, 1, g.id, i % 2 ? MC_CAMPAIGN_REST : MC_CAMPAIGN_FIRST, NULL) != MC_OK;
  }
  return NULL;
}

static void test_everybody_at_once(void)
{
  static mc_campaign_collect collect = {.fqn = MC_LIT("Vehicle.ENGINE.Rpm")};
  static void *(*const work[])(void *) = {read_records, save, look, change};
  pthread_t thread[4];
  mc_campaign_costs_report costs;
  mc_why why = {0};
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  g = (mc_campaign){.tenant = 1, .name = MC_LIT("one"), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = &collect, .signal_count = 1, .cap_vehicle = {.messages = 5},
                    .rollout = MC_LIT("{\"vehicles\":[\"car-1\"],\"hold_s\":0,\"by_itself\":true}")};
  CHECK_OK(mc_campaign_create(c, &g, true, &memory, &why));
  CHECK_OK(mc_campaign_get(c, 1, g.id, &memory, &g));
  for (int i = 0; i < 4; i++)
    CHECK_INT(pthread_create(&thread[i], NULL, work[i], NULL), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(thread[i], NULL);
  CHECK_INT(failed, 0);
  CHECK_OK(mc_campaign_costs(c, 1, g.id, 2, 10, &memory, &costs, &why));
  uint64_t messages = 0;
  for (size_t i = 0; i < costs.days; i++)
    messages += costs.day[i].messages;
  CHECK_INT(messages, MESSAGES);
  end();
}

static atomic_uint ticks;

static void *tick(void *arg)
{
  for (; !over; ticks++)
    failed += mc_campaign_tick(c, mc_clock_wall_us(), NULL) != MC_OK;
  return NULL;
}

static uint32_t pace_behind(uint64_t cap)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  g.cap_vehicle.messages = cap;
  failed += mc_campaign_update(c, &g, &arena, NULL) != MC_OK;
  for (unsigned begin = ticks; ticks - begin < 2;) /* one that began behind the change has ended */
    usleep(100);
  pthread_mutex_lock(&c->lock);
  uint32_t pace = campaign_pace(c, g.id, car.id);
  pthread_mutex_unlock(&c->lock);
  return pace;
}

/* A cap that is raised while it is judged does not leave the pace of the old one until midnight. */
static void test_a_raised_cap_counts_at_once(void)
{
  static mc_campaign_collect collect = {.fqn = MC_LIT("Vehicle.ENGINE.Rpm")};
  pthread_t thread;
  mc_why why = {0};
  over = false;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  g = (mc_campaign){.tenant = 1, .name = MC_LIT("one"), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = &collect, .signal_count = 1};
  CHECK_OK(mc_campaign_create(c, &g, true, &memory, &why));
  CHECK_OK(mc_campaign_get(c, 1, g.id, &memory, &g));
  read_records(NULL);
  over = false;
  CHECK_INT(pthread_create(&thread, NULL, tick, NULL), 0);
  for (int i = 0; i < 100; i++) {
    CHECK_INT(pace_behind(5), COST_PACES - 1);
    CHECK_INT(pace_behind(1000000), 0);
  }
  over = true;
  pthread_join(thread, NULL);
  CHECK_INT(failed, 0);
  end();
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_everybody_at_once);
  RUN(test_a_raised_cap_counts_at_once);
  mc_arena_free(&memory);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
