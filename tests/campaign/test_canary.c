/* A campaign on its way: first vehicles, then the rest; a change leaves the others what they had; what goes wrong suspends it, with the reason. */
#include "campaign/state.h"
#include "campaign_case.h"

#define SECOND 1000000LL

static mc_campaign g;
static mc_arena memory;
static mc_why reason;
static mc_dbc_import_report report;
static char decided[400];
static mc_vehicle other; /* car-2: never first */

static void note_decision(void *ctx, uint32_t tenant, uint32_t campaign, const char *operation, const char *text)
{
  snprintf(decided, sizeof decided, "%u %u %s: %s", tenant, campaign, operation, text);
}

static bool open_with_ear(void)
{
  mc_campaigns_config config = {.db = db, .registry = registry, .publish = publish, .sink = &sink, .sink_count = 1, .by_itself = note_decision};
  return mc_campaigns_open(&config, &c, &reason) == MC_OK;
}

static bool make(const char *plan)
{
  static mc_campaign_collect collect = {.fqn = MC_LIT("Vehicle.ENGINE.Rpm")};
  decided[0] = 0;
  reason = (mc_why){0};
  checkin_error_count = 0;
  if (!begin())
    return false;
  mc_campaigns_close(&c);
  other = (mc_vehicle){.tenant = 1, .name = "car-2", .manifest = "model-a"};
  g = (mc_campaign){.tenant = 1, .name = MC_LIT("one"), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = &collect, .signal_count = 1, .rollout = mc_slice_str(plan)};
  bool made = open_with_ear() && !import(dbc_text, "", &report, &reason) && !give_manifest() && !mc_registry_vehicle_create(registry, &other, &reason) &&
              !mc_campaign_create(c, &g, true, &memory, &reason) && !mc_campaign_get(c, 1, g.id, &memory, &g);
  if (!made)
    printf("# %s\n", reason.text);
  return made;
}

static const mc_campaign_vehicle *stands(const char *name)
{
  mc_campaign_vehicle *list;
  size_t n;
  uint32_t id = !strcmp(name, "car-1") ? car.id : other.id;
  if (mc_campaign_vehicles(c, 1, g.id, 10, &memory, &list, &n, NULL))
    return NULL;
  for (size_t i = 0; i < n; i++)
    if (list[i].vehicle == id)
      return &list[i];
  return NULL;
}

static bool is(const char *name, const char *what)
{
  const mc_campaign_vehicle *at = stands(name);
  if (at && mc_slice_eq_str(at->reason, what))
    return true;
  printf("# %s: %.*s: %.*s\n", name, MC_FMT(at ? at->reason : MC_LIT("not listed")), MC_FMT(at ? at->text : (mc_slice){0}));
  return false;
}

/* What car-1 would list: the version as it is now. */
static mc_err confirm(void)
{
  mc_campaign now;
  MC_TRY(mc_campaign_get(c, 1, g.id, &memory, &now));
  mc_slice ids[] = {mc_slice_str(report.manifest_sync_id), now.sync_id};
  return checkin(ids, 2, true);
}

static mc_campaign_phase phase(void)
{
  mc_campaign now;
  return mc_campaign_get(c, 1, g.id, &memory, &now) ? MC_CAMPAIGN_FIRST : now.phase;
}

static void test_goes_to_the_first_and_then_to_the_rest(void)
{
  CHECK(make("{\"vehicles\":[\"car-1\"],\"hold_s\":600,\"by_itself\":true}"));
  int64_t now = mc_clock_wall_us();
  CHECK(is("car-1", "never_checked_in"));
  CHECK(is("car-2", "waits_for_first"));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK(is("car-1", "sent"));
  CHECK_OK(mc_campaign_tick(c, now, &reason));
  CHECK_INT(phase(), MC_CAMPAIGN_FIRST);
  CHECK_OK(confirm());
  CHECK_OK(mc_campaign_tick(c, now + 200 * SECOND, &reason)); /* far behind the one before: counting takes a twentieth of the time, also on a slow machine */
  CHECK_INT(phase(), MC_CAMPAIGN_FIRST); /* held */
  mc_campaign_rollout r;
  CHECK_OK(mc_campaign_rollout_of(c, 1, g.id, &memory, &r, &reason));
  CHECK(r.staged && !r.ready);
  CHECK_INT(r.reached, 1);
  CHECK_INT(r.confirmed, 1);
  CHECK_INT(r.held_us, now + 200 * SECOND);
  CHECK_OK(mc_campaign_checkpoint(c, 10, &reason));
  mc_campaigns_close(&c); /* the time goes on over a start */
  CHECK(open_with_ear());
  CHECK_OK(mc_campaign_tick(c, now + 600 * SECOND, &reason));
  CHECK_INT(phase(), MC_CAMPAIGN_FIRST);
  CHECK_OK(mc_campaign_tick(c, now + 1000 * SECOND, &reason));
  CHECK_INT(phase(), MC_CAMPAIGN_REST);
  CHECK(strstr(decided, "campaign_rollout: all 1 first vehicles do well") != NULL);
  CHECK(is("car-2", "never_checked_in"));
  CHECK(is("car-1", "confirmed"));
  end();
}

/* The time until the rest is one in which it ran: that of a suspension does not count. */
static void test_the_time_begins_anew_behind_a_suspension(void)
{
  CHECK(make("{\"vehicles\":[\"car-1\"],\"hold_s\":3600,\"by_itself\":true}"));
  int64_t now = mc_clock_wall_us();
  mc_campaign_rollout r;
  CHECK_OK(checkin(NULL, 0, true));
  CHECK_OK(confirm());
  CHECK_OK(mc_campaign_tick(c, now, &reason));
  CHECK_OK(mc_campaign_rollout_of(c, 1, g.id, &memory, &r, &reason));
  CHECK_INT(r.held_us, now);
  CHECK_OK(mc_campaign_set_status(c, 1, g.id, MC_CAMPAIGN_SUSPENDED, &reason));
  CHECK_OK(mc_campaign_set_status(c, 1, g.id, MC_CAMPAIGN_RUNNING, &reason)); /* car-1 was away and lists it still */
  CHECK_OK(mc_campaign_tick(c, now + 7200 * SECOND, &reason));
  CHECK_INT(phase(), MC_CAMPAIGN_FIRST);
  CHECK_OK(mc_campaign_tick(c, now + 14400 * SECOND, &reason));
  CHECK_INT(phase(), MC_CAMPAIGN_REST);
  end();
}

static void test_asks_a_person_when_it_is_told_to(void)
{
  CHECK(make("{\"vehicles\":[\"car-1\"],\"hold_s\":0}"));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK_OK(confirm());
  for (int i = 0; i < 3; i++)
    CHECK_OK(mc_campaign_tick(c, mc_clock_wall_us() + i * 600 * SECOND, &reason));
  CHECK_INT(phase(), MC_CAMPAIGN_FIRST);
  mc_campaign_rollout r;
  CHECK_OK(mc_campaign_rollout_of(c, 1, g.id, &memory, &r, &reason));
  CHECK(r.ready);
  CHECK_OK(mc_campaign_rollout_set(c, 1, g.id, MC_CAMPAIGN_REST, &reason));
  CHECK(is("car-2", "never_checked_in"));
  CHECK_OK(mc_campaign_rollout_set(c, 1, g.id, MC_CAMPAIGN_FIRST, &reason));
  CHECK(is("car-2", "waits_for_first"));
  CHECK_INT(mc_campaign_rollout_set(c, 2, g.id, MC_CAMPAIGN_REST, &reason), MC_ERR_NOT_FOUND); /* another tenant's */
  end();
}

static void test_a_refusal_suspends_it_and_says_so(void)
{
  CHECK(make("{\"vehicles\":[\"car-1\"],\"by_itself\":true}"));
  CHECK_OK(checkin(NULL, 0, true));
  char text[400];
  snprintf(text, sizeof text, "%.*s: no memory", MC_FMT(g.sync_id));
  mc_slice error = mc_slice_str(text), ids[] = {mc_slice_str(report.manifest_sync_id)};
  checkin_error = &error;
  checkin_error_count = 1;
  CHECK_OK(checkin(ids, 1, true));
  CHECK(is("car-1", "refused"));
  CHECK_OK(mc_campaign_tick(c, mc_clock_wall_us(), &reason));
  mc_campaign now;
  for (int start = 0; start < 2; start++) { /* and again behind a start */
    CHECK_OK(mc_campaign_get(c, 1, g.id, &memory, &now));
    CHECK_INT(now.status, MC_CAMPAIGN_SUSPENDED);
    CHECK_SLICE(now.stopped, "suspended by itself: 1 of 1 vehicles refused its document, more than 0 %");
    mc_campaigns_close(&c);
    CHECK(open_with_ear());
  }
  CHECK(strstr(decided, "campaign_suspend: suspended by itself: 1 of 1") != NULL);
  mc_campaign_rollout r;
  CHECK_OK(mc_campaign_rollout_of(c, 1, g.id, &memory, &r, &reason));
  CHECK(!r.ready && r.text.len);
  checkin_error_count = 0;
  CHECK_OK(checkin(ids, 1, true));
  CHECK_OK(mc_campaign_set_status(c, 1, g.id, MC_CAMPAIGN_RUNNING, &reason)); /* somebody mended it */
  CHECK_OK(mc_campaign_get(c, 1, g.id, &memory, &now));
  CHECK_INT(now.stopped.len, 0);
  CHECK_OK(confirm());
  CHECK_OK(mc_campaign_tick(c, mc_clock_wall_us(), &reason));
  CHECK_OK(mc_campaign_get(c, 1, g.id, &memory, &now));
  CHECK_INT(now.status, MC_CAMPAIGN_RUNNING);
  end();
}

static void test_errors_and_silence_suspend_it_too(void)
{
  CHECK(make("{\"vehicles\":[\"car-1\"],\"error_percent\":0}"));
  mc_slice error = MC_LIT("disk full"), ids[] = {mc_slice_str(report.manifest_sync_id), g.sync_id};
  CHECK_OK(checkin(NULL, 0, true));
  checkin_error = &error;
  checkin_error_count = 1;
  CHECK_OK(checkin(ids, 2, true));
  CHECK_OK(mc_campaign_tick(c, mc_clock_wall_us(), &reason));
  CHECK(strstr(decided, "report errors since") != NULL);
  end();
  CHECK(make("{\"vehicles\":[\"car-1\"],\"silent_percent\":10,\"silent_s\":60}"));
  CHECK_OK(checkin(NULL, 0, true));
  pthread_mutex_lock(&c->lock); /* sent two minutes ago, heard three minutes ago */
  vehicle_state *v = campaign_vehicle_state(c, 1, car.id, false);
  v->checkin_us -= 180 * SECOND;
  v->schemes.sent_us -= 120 * SECOND;
  pthread_mutex_unlock(&c->lock);
  CHECK_OK(mc_campaign_tick(c, mc_clock_wall_us(), &reason));
  CHECK(strstr(decided, "were not heard since it was sent") != NULL);
  end();
  CHECK(make("{\"vehicles\":[\"car-1\"],\"silent_percent\":0,\"silent_s\":60}")); /* parked long before: it says nothing */
  CHECK_OK(checkin(NULL, 0, true));
  pthread_mutex_lock(&c->lock);
  v = campaign_vehicle_state(c, 1, car.id, false);
  v->checkin_us -= 1800 * SECOND;
  v->schemes.sent_us -= 120 * SECOND;
  pthread_mutex_unlock(&c->lock);
  CHECK_OK(mc_campaign_tick(c, mc_clock_wall_us(), &reason));
  CHECK_SLICE(mc_slice_str(decided), "");
  end();
}

static void test_a_change_goes_to_the_first_and_leaves_the_others_theirs(void)
{
  CHECK(make("{\"vehicles\":[\"car-2\"]}")); /* car-1 is none of the first */
  CHECK_OK(mc_campaign_rollout_set(c, 1, g.id, MC_CAMPAIGN_REST, &reason));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK_OK(confirm());
  CHECK(is("car-1", "confirmed"));
  int before = sent_count;
  g.period_ms = 5000;
  CHECK_OK(mc_campaign_update(c, &g, &memory, &reason));
  CHECK_INT(phase(), MC_CAMPAIGN_FIRST);
  CHECK_INT(sent_count, before); /* nothing is new for car-1 */
  CHECK(is("car-1", "confirmed"));
  CHECK(stands("car-1")->former);
  CHECK(!stands("car-2")->former);
  mc_campaign_rollout r;
  CHECK_OK(mc_campaign_rollout_of(c, 1, g.id, &memory, &r, &reason));
  CHECK_INT(r.reached, 1);
  CHECK_INT(r.confirmed, 0);
  g.description = MC_LIT("only words"); /* no other document: no other phase */
  g.period_ms = 6000;
  CHECK_OK(mc_campaign_update(c, &g, &memory, &reason));
  CHECK(is("car-1", "confirmed")); /* still the one of before the first change */
  CHECK_OK(mc_campaign_checkpoint(c, 10, &reason));
  mc_campaigns_close(&c);
  CHECK(open_with_ear());
  CHECK(is("car-1", "confirmed"));
  CHECK(stands("car-1")->former);
  CHECK_OK(mc_campaign_rollout_set(c, 1, g.id, MC_CAMPAIGN_REST, &reason));
  CHECK(is("car-1", "sent"));
  CHECK(!stands("car-1")->former);
  CHECK_OK(confirm());
  CHECK(is("car-1", "confirmed"));
  g.description = MC_LIT("other words");
  CHECK_OK(mc_campaign_update(c, &g, &memory, &reason));
  CHECK_INT(phase(), MC_CAMPAIGN_REST);
  end();
}

static void test_without_first_vehicles_nothing_changes(void)
{
  CHECK(make(""));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK(is("car-1", "sent"));
  CHECK(is("car-2", "never_checked_in"));
  CHECK_INT(mc_campaign_rollout_set(c, 1, g.id, MC_CAMPAIGN_REST, &reason), MC_ERR_CONFLICT);
  mc_campaign_rollout r;
  CHECK_OK(mc_campaign_rollout_of(c, 1, g.id, &memory, &r, &reason));
  CHECK(!r.staged);
  g.rollout = MC_LIT("{\"percent\":0}");
  CHECK_INT(mc_campaign_update(c, &g, &memory, &reason), MC_ERR_INVALID);
  CHECK_WHY(reason, "rollout.percent");
  g.rollout = MC_LIT("{\"vehicles\":[\"car-2\"]}");
  CHECK_OK(mc_campaign_update(c, &g, &memory, &reason)); /* what all have stays with all */
  CHECK_INT(phase(), MC_CAMPAIGN_REST);
  CHECK(is("car-1", "sent"));
  end();
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_goes_to_the_first_and_then_to_the_rest);
  RUN(test_the_time_begins_anew_behind_a_suspension);
  RUN(test_asks_a_person_when_it_is_told_to);
  RUN(test_a_refusal_suspends_it_and_says_so);
  RUN(test_errors_and_silence_suspend_it_too);
  RUN(test_a_change_goes_to_the_first_and_leaves_the_others_theirs);
  RUN(test_without_first_vehicles_nothing_changes);
  mc_arena_free(&memory);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
