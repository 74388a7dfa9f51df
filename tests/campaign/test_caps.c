/* Caps as vehicles meet them: what comes near one gets a slower document, keeps it over a start, and the written one at midnight. */
#include "campaign/cost.h"
#include "campaign/state.h"
#include "campaign_case.h"

#define DAY_US 86400000000LL

static mc_dbc_import_report report;
static mc_campaign g;
static mc_arena memory;
static mc_why reason;
static uint32_t rpm;
static uint64_t next_offset;

static bool make(mc_campaign_amount vehicle, mc_campaign_amount all)
{
  static mc_campaign_collect collect = {.fqn = MC_LIT("Vehicle.ENGINE.Rpm")};
  reason = (mc_why){0};
  next_offset = 100;
  if (!begin() || import(dbc_text, "", &report, &reason) || give_manifest())
    return false;
  g = (mc_campaign){.tenant = 1, .name = MC_LIT("one"), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = &collect, .signal_count = 1, .cap_vehicle = vehicle, .cap_all = all};
  if (mc_campaign_create(c, &g, true, &memory, &reason) || mc_campaign_get(c, 1, g.id, &memory, &g) || mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm)) {
    printf("# %s\n", reason.text);
    return false;
  }
  return true;
}

/* Messages of car-1 for the campaign, written to the database. */
static bool send(int messages)
{
  mc_fw_sample sample = {.signal_id = rpm, .number = 800};
  for (int i = 0; i < messages; i++) {
    mc_fw_vehicle_data d = {.campaign_sync_id = g.sync_id, .manifest_sync_id = mc_slice_str(report.manifest_sync_id), .event_id = (uint32_t)next_offset,
                            .event_time_ms = (uint64_t)(mc_clock_wall_us() / 1000), .sample = &sample, .sample_count = 1};
    if (telemetry(&d, false, next_offset++))
      return false;
  }
  return mc_campaign_checkpoint(c, next_offset, NULL) == MC_OK;
}

/* The period of the one scheme that was sent last; 0: none was sent. */
static uint32_t sent_period(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_schemes s;
  for (int i = sent_count - 1; i >= 0 && i >= sent_count - 32; i--) {
    sent *x = &outbox[i % 32];
    if (!strstr(x->topic, "collection_schemes"))
      continue;
    if (mc_fw_read_schemes(mc_buf_slice(&x->payload), &arena, &s, NULL) || s.scheme_count != 1)
      return 0;
    return (uint32_t)s.scheme[0].period_ms;
  }
  return 0;
}

static mc_campaign_vehicle stands(void)
{
  mc_campaign_vehicle *list;
  size_t n;
  if (mc_campaign_vehicles(c, 1, g.id, 10, &memory, &list, &n, NULL) || n != 1)
    return (mc_campaign_vehicle){.state = MC_LIT("?")};
  return list[0];
}

/* The vehicle confirms what it was sent last. */
static bool confirm(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_slice ids[2] = {mc_slice_str(report.manifest_sync_id)};
  mc_fw_schemes s;
  for (int i = sent_count - 1; i >= 0; i--)
    if (strstr(outbox[i % 32].topic, "collection_schemes")) {
      if (mc_fw_read_schemes(mc_buf_slice(&outbox[i % 32].payload), &arena, &s, NULL))
        return false;
      ids[1] = s.scheme_count ? s.scheme[0].campaign_sync_id : (mc_slice){0};
      return checkin(ids, s.scheme_count ? 2 : 1, true) == MC_OK;
    }
  return false;
}

static int64_t noon(void) { return mc_clock_wall_us() / DAY_US * DAY_US + DAY_US / 2; }

static void test_a_vehicle_at_its_cap_goes_slowest_until_midnight(void)
{
  CHECK(make((mc_campaign_amount){.messages = 10}, (mc_campaign_amount){0}));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK_INT(sent_period(), 1000);
  CHECK(confirm());
  CHECK(send(4));
  CHECK_OK(mc_campaign_tick(c, noon(), &reason));
  CHECK_INT(sent_period(), 1000); /* less than half: nothing */
  CHECK_SLICE(stands().reason, "confirmed");
  CHECK(send(6));
  CHECK_OK(mc_campaign_tick(c, noon(), &reason));
  CHECK_INT(sent_period(), 64000);
  CHECK_SLICE(stands().reason, "sent");
  CHECK_INT(stands().slower, 64);
  CHECK(confirm());
  CHECK_SLICE(stands().reason, "slowed");
  CHECK(strstr(mc_arena_str(&memory, stands().text), "64 times slower") != NULL);
  CHECK(strstr(mc_arena_str(&memory, stands().text), "10 messages") != NULL);
  int before = sent_count;
  CHECK_OK(mc_campaign_tick(c, noon() + 1000000, &reason));
  CHECK_INT(sent_count, before); /* one document a change */
  CHECK_OK(mc_campaign_tick(c, noon() + DAY_US, &reason)); /* another day */
  CHECK_INT(sent_period(), 1000);
  CHECK(confirm());
  CHECK_SLICE(stands().reason, "confirmed");
  end();
}

static void test_a_start_changes_no_pace(void)
{
  CHECK(make((mc_campaign_amount){.messages = 10}, (mc_campaign_amount){0}));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK(send(10));
  CHECK_OK(mc_campaign_tick(c, noon(), &reason));
  CHECK(confirm());
  CHECK_OK(mc_campaign_checkpoint(c, next_offset, &reason));
  mc_campaigns_close(&c);
  CHECK(open_module());
  CHECK_SLICE(stands().reason, "slowed");
  int before = sent_count;
  CHECK_OK(mc_campaign_tick(c, noon() + 60000000, &reason));
  CHECK_INT(sent_count, before);
  CHECK_INT(stands().slower, 64);
  end();
}

static void test_a_cap_of_all_slows_every_vehicle(void)
{
  CHECK(make((mc_campaign_amount){0}, (mc_campaign_amount){.samples = 12}));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK(send(12));
  CHECK_OK(mc_campaign_tick(c, noon(), &reason));
  CHECK_INT(sent_period(), 64000);
  CHECK(confirm());
  CHECK(strstr(mc_arena_str(&memory, stands().text), "the campaign as a whole") != NULL);
  mc_campaign_costs_report costs;
  CHECK_OK(mc_campaign_costs(c, 1, g.id, 1, 10, &memory, &costs, &reason));
  CHECK_INT(costs.slower, 64);
  CHECK_INT(costs.vehicle[0].slower, 64);
  end();
}

static void test_another_cap_is_judged_anew(void)
{
  CHECK(make((mc_campaign_amount){.messages = 10}, (mc_campaign_amount){0}));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK(send(10));
  CHECK_OK(mc_campaign_tick(c, noon(), &reason));
  CHECK_INT(sent_period(), 64000);
  g.cap_vehicle.messages = 1000;
  CHECK_OK(mc_campaign_update(c, &g, &memory, &reason));
  CHECK_INT(sent_period(), 1000);
  CHECK_OK(mc_campaign_tick(c, noon(), &reason));
  CHECK_INT(sent_period(), 1000);
  CHECK_OK(mc_campaign_get(c, 1, g.id, &memory, &g));
  CHECK_INT(g.cap_vehicle.messages, 1000);
  g.cap_vehicle.messages = 5;
  CHECK_OK(mc_campaign_update(c, &g, &memory, &reason));
  CHECK_OK(mc_campaign_tick(c, noon(), &reason));
  CHECK_INT(sent_period(), 64000);
  g.cap_vehicle.messages = 0; /* taken away */
  CHECK_OK(mc_campaign_update(c, &g, &memory, &reason));
  CHECK_INT(sent_period(), 1000);
  end();
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_vehicle_at_its_cap_goes_slowest_until_midnight);
  RUN(test_a_start_changes_no_pace);
  RUN(test_a_cap_of_all_slows_every_vehicle);
  RUN(test_another_cap_is_judged_anew);
  mc_arena_free(&memory);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
