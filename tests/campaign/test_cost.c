/* What campaigns send is counted once each, kill -9 or not; caps slow what sends too much; paces change the document, nothing else. */
#include "campaign/cost.h"
#include "campaign/state.h"
#include "campaign_case.h"

#define DAY_US 86400000000LL
static int64_t day; /* yesterday: what is older than 400 days goes */

static cost_book *book;
static mc_err note(uint32_t campaign, uint32_t vehicle, int64_t on, uint64_t offset)
{
  return cost_book_note(book, 1, campaign, vehicle, on * DAY_US + 5, offset, offset + 10, (cost_amount){1, 100, 7});
}
static cost_amount sum(uint32_t campaign, uint32_t vehicle, int64_t from, int64_t to)
{
  cost_amount a = {0};
  if (cost_book_sum(book, db, 1, campaign, vehicle, from, to, &a, NULL))
    a.messages = UINT64_MAX;
  return a;
}

static void test_adds_up_by_day_campaign_and_vehicle(void)
{
  CHECK(begin());
  CHECK((book = cost_book_create()) != NULL);
  for (uint64_t i = 0; i < 100; i++)
    CHECK_OK(note(1 + i % 2, 1 + (uint32_t)(i % 5), day + (int64_t)(i / 50), 10 * i));
  for (int pass = 0; pass < 2; pass++) { /* noted, then written */
    CHECK_INT(sum(1, 0, day, day + 1).messages, 50);
    CHECK_INT(sum(1, 0, day, day).messages, 25);
    CHECK_INT(sum(1, 1, day, day).messages, 5);
    CHECK_INT(sum(1, 1, day, day).bytes, 500);
    CHECK_INT(sum(2, 2, day, day + 1).samples, 70);
    CHECK_INT(sum(3, 0, 0, day + 9).messages, 0);
    mc_why why = {0};
    CHECK_OK(cost_book_write(book, db, &why));
  }
  cost_book_destroy(book);
  end();
}

/* A reader that died begins at its last checkpoint; whatever was written in between is not counted again. */
static void test_what_is_read_again_counts_once(void)
{
  for (uint64_t written = 0; written <= 30; written += 3)
    for (uint64_t begins = 0; begins <= written; begins += 5) {
      CHECK(begin());
      CHECK((book = cost_book_create()) != NULL);
      for (uint64_t i = 0; i < 40; i++) {
        if (i == written)
          CHECK_OK(cost_book_write(book, db, NULL));
        CHECK_OK(note(1, 1 + (uint32_t)(i % 3), day, 10 * i));
      }
      cost_book_destroy(book); /* killed */
      CHECK((book = cost_book_create()) != NULL);
      CHECK_OK(cost_book_load(book, db, 10 * begins, NULL));
      for (uint64_t i = begins; i < 60; i++) {
        CHECK_OK(note(1, 1 + (uint32_t)(i % 3), day, 10 * i));
        if (i % 7 == 0)
          CHECK_OK(cost_book_write(book, db, NULL));
      }
      CHECK_OK(cost_book_write(book, db, NULL));
      CHECK_INT(sum(1, 0, day, day).messages, 60);
      CHECK_INT(sum(1, 2, day, day).samples, 140);
      cost_book_destroy(book);
      end();
    }
}

/* The disk was full behind the counting: the reader takes the record again, and the counts were written meanwhile. */
static void test_a_record_that_is_taken_again_counts_once(void)
{
  CHECK(begin());
  CHECK((book = cost_book_create()) != NULL);
  CHECK_OK(note(1, 1, day, 100));
  CHECK_OK(note(1, 2, day, 110));
  for (int i = 0; i < 3; i++) {
    CHECK_OK(cost_book_write(book, db, NULL));
    CHECK_OK(note(1, 2, day, 110));
  }
  CHECK_OK(note(1, 2, day, 120));
  CHECK_INT(sum(1, 1, day, day).messages, 1);
  CHECK_INT(sum(1, 2, day, day).messages, 2);
  cost_book_destroy(book);
  end();
}

static void test_messages_of_vehicles_are_counted_with_their_repeats(void)
{
  mc_why why = {0};
  mc_dbc_import_report report;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_campaign *list;
  mc_campaign_costs_report costs;
  size_t n;
  uint32_t rpm;
  CHECK(begin());
  CHECK_OK(import(dbc_text, "", &report, &why));
  CHECK_OK(create("one", "Vehicle.ENGINE.Rpm", NULL, &why));
  CHECK_OK(mc_campaign_list(c, 1, &arena, &list, &n, &why));
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  mc_fw_sample sample[3] = {{.signal_id = rpm, .number = 800}, {.signal_id = rpm, .number = 801, .relative_ms = 5}, {.signal_id = rpm, .number = 802, .relative_ms = 9}};
  mc_fw_vehicle_data d = {.campaign_sync_id = list[0].sync_id, .manifest_sync_id = mc_slice_str(report.manifest_sync_id), .event_id = 1,
                          .event_time_ms = (uint64_t)(mc_clock_wall_us() / 1000), .sample = sample, .sample_count = 3};
  CHECK_OK(telemetry(&d, false, 100));
  CHECK_OK(telemetry(&d, false, 200)); /* the same again, at another place of the journal */
  CHECK_OK(telemetry(&d, false, 200)); /* the same record, read again */
  CHECK_OK(mc_campaign_costs(c, 1, list[0].id, 2, 10, &arena, &costs, &why));
  CHECK_INT(costs.vehicles, 1);
  CHECK_INT(costs.vehicle[0].vehicle, car.id);
  CHECK_INT(costs.vehicle[0].messages, 2);
  CHECK_INT(costs.vehicle[0].samples, 6);
  CHECK(costs.vehicle[0].bytes > 2 * 80);
  CHECK_INT(costs.days, 1);
  CHECK_OK(mc_campaign_costs(c, 2, list[0].id, 2, 10, &arena, &costs, &why));
  CHECK_INT(costs.vehicles, 0); /* another tenant's */
  end();
}

static void test_an_erased_vehicle_leaves_sums_and_no_trace(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_campaign_costs_report r;
  mc_why why = {0};
  CHECK(begin());
  book = c->costs;
  for (uint64_t i = 0; i < 10; i++)
    CHECK_OK(note(1, 1 + (uint32_t)(i % 2), day, 10 * i));
  CHECK_OK(mc_campaign_costs_erase(c, 1, 1, &why));
  CHECK_OK(note(1, 2, day, 100));
  CHECK_OK(note(1, 1, day, 110)); /* it sends again, under a new key */
  CHECK_OK(mc_campaign_costs_erase(c, 1, 2, &why));
  CHECK_OK(mc_campaign_costs(c, 1, 1, 2, 10, &arena, &r, &why));
  CHECK_INT(r.day[0].messages, 12);
  CHECK_INT(r.vehicles, 2);
  CHECK_INT(r.vehicle[0].vehicle, 0);
  CHECK_INT(r.vehicle[0].messages, 11);
  CHECK_INT(r.vehicle[1].vehicle, 1);
  CHECK_INT(r.vehicle[1].messages, 1);
  end();
}

static int64_t single(const char *sql)
{
  mc_stmt *s;
  int64_t value = -1;
  if (mc_db_begin(db, false, NULL) == MC_OK && mc_db_prepare(db, sql, &s, NULL) == MC_OK) {
    if (mc_stmt_step(s, NULL) == MC_OK)
      value = mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return value;
}

/* Deleting reads the whole table, so that it is done once a day and not with each of its writings. */
static void test_what_is_older_than_400_days_goes_once_a_day(void)
{
  static const char old[] = "INSERT INTO campaign_cost(tenant, day, campaign, vehicle, messages, bytes, samples, upto) VALUES (1,$1,9,9,1,1,1,1)";
  mc_why why = {0};
  CHECK(begin());
  for (int start = 0; start < 2; start++) {
    CHECK((book = cost_book_create()) != NULL);
    CHECK_OK(mc_db_run(db, &why, old, "i", day - 500 - start));
    CHECK_OK(note(1, 1, day, 1000));
    CHECK_OK(cost_book_write(book, db, &why));
    CHECK_INT(sum(9, 9, 0, day).messages, 0);
    CHECK_OK(mc_db_run(db, &why, old, "i", day - 600 - start));
    CHECK_OK(note(1, 1, day, 2000));
    CHECK_OK(cost_book_write(book, db, &why));
    CHECK_INT(sum(9, 9, 0, day).messages, 1);
    cost_book_destroy(book);
  }
  end();
}

/* A restore takes counts back to the journal's new end, and takes a database from before there were any. */
static void test_a_restore_rewinds_counts_and_databases_without_them(void)
{
  mc_why why = {0};
  CHECK(begin());
  book = c->costs;
  CHECK_OK(note(1, 1, day, 1000));
  CHECK_OK(mc_campaign_checkpoint(c, 1010, &why));
  mc_campaigns_close(&c);
  CHECK_OK(mc_campaign_rewind(db, 500, &why));
  CHECK_INT(single("SELECT upto FROM campaign_cost"), 500);
  CHECK_INT(single("SELECT messages FROM campaign_cost"), 1);
  CHECK_OK(mc_db_run(db, &why, "DROP TABLE campaign_cost", ""));
  CHECK_OK(mc_db_run(db, &why, "DELETE FROM schema_migration WHERE module = 'campaign.cost'", ""));
  CHECK_OK(mc_campaign_rewind(db, 400, &why));
  CHECK(open_module());
  CHECK_INT(single("SELECT COUNT(*) FROM campaign_cost"), 0);
  end();
}

static void test_a_packet_is_as_long_as_the_protocol_says(void)
{
  CHECK_INT(cost_packet_bytes(3, 0), 1 + 1 + 2 + 3 + 2 + 1);
  CHECK_INT(cost_packet_bytes(3, 119), 2 + 127);  /* one byte of remaining length holds 127 */
  CHECK_INT(cost_packet_bytes(3, 120), 3 + 128);
  CHECK_INT(cost_packet_bytes(3, 16375), 3 + 16383);
  CHECK_INT(cost_packet_bytes(3, 16376), 4 + 16384);
}

/* A day of a vehicle that sends at a constant rate at pace 0, looked at every minute. */
static double spend_a_day(double messages_a_day, uint64_t cap_messages, uint32_t *last_pace, int *changes)
{
  const cost_amount cap = {.messages = cap_messages};
  cost_pacing now = {0};
  double spent = 0;
  *changes = 0;
  for (int minute = 1; minute < 1440; minute++) {
    spent += messages_a_day / 1440 / (double)(1u << now.pace);
    cost_amount sofar = {.messages = (uint64_t)spent};
    uint32_t pace = cost_pace(&cap, &now, &sofar, minute * 60000000LL);
    if (pace != now.pace) {
      now = (cost_pacing){pace, minute * 60000000LL, sofar};
      (*changes)++;
    }
  }
  *last_pace = now.pace;
  return spent;
}

static void test_caps_slow_as_much_as_it_takes(void)
{
  uint32_t pace;
  int changes;
  CHECK(spend_a_day(9000, 10000, &pace, &changes) <= 10000);
  CHECK_INT(pace, 0); /* it fits: nothing is touched */
  CHECK(spend_a_day(20000, 10000, &pace, &changes) <= 10050);
  CHECK(pace >= 1);
  CHECK(changes <= 3); /* each change is a document to send */
  CHECK(spend_a_day(200000, 10000, &pace, &changes) <= 10500);
  CHECK(spend_a_day(1000000, 0, &pace, &changes) > 900000);
  CHECK_INT(pace, 0); /* no cap */
  CHECK_INT(cost_pace(&(cost_amount){.bytes = 100}, &(cost_pacing){0}, &(cost_amount){.bytes = 100}, 1), COST_PACES - 1);
}

static void test_a_pace_lengthens_period_or_interval_and_thins_samples(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_campaign_collect collect[] = {{.fqn = MC_LIT("a"), .max_samples = 7}, {.fqn = MC_LIT("b"), .min_period_ms = 4000}};
  mc_campaign g = {.period_ms = 10000, .min_interval_ms = 5, .priority = 3, .signal = collect, .signal_count = 2}, out;
  CHECK_OK(cost_paced(&g, 0, &arena, &out));
  CHECK_INT(out.period_ms, 10000);
  CHECK(out.signal == collect);
  CHECK_OK(cost_paced(&g, 3, &arena, &out));
  CHECK_INT(out.period_ms, 80000);
  CHECK_INT(out.min_interval_ms, 5);
  CHECK_INT(out.priority, 3);
  CHECK_INT(out.signal[0].min_period_ms, 10000); /* eight samples a message */
  CHECK_INT(out.signal[0].max_samples, 7);
  CHECK_INT(out.signal[1].min_period_ms, 32000);
  CHECK_INT(collect[0].min_period_ms, 0);
  CHECK_OK(cost_paced(&g, 6, &arena, &out));
  CHECK_INT(out.signal[0].min_period_ms, out.period_ms); /* one */
  g.condition_based = true;
  CHECK_OK(cost_paced(&g, 2, &arena, &out));
  CHECK_INT(out.min_interval_ms, 4000);
  CHECK_INT(out.period_ms, 10000);
  CHECK_INT(out.signal[0].min_period_ms, 0); /* events are rarer, not coarser */
  g = (mc_campaign){.period_ms = 80000000};
  CHECK_OK(cost_paced(&g, 6, &arena, &out));
  CHECK_INT(out.period_ms, 86400000);
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  day = mc_clock_wall_us() / DAY_US - 1;
  RUN(test_adds_up_by_day_campaign_and_vehicle);
  RUN(test_what_is_read_again_counts_once);
  RUN(test_a_record_that_is_taken_again_counts_once);
  RUN(test_messages_of_vehicles_are_counted_with_their_repeats);
  RUN(test_an_erased_vehicle_leaves_sums_and_no_trace);
  RUN(test_what_is_older_than_400_days_goes_once_a_day);
  RUN(test_a_restore_rewinds_counts_and_databases_without_them);
  RUN(test_a_packet_is_as_long_as_the_protocol_says);
  RUN(test_caps_slow_as_much_as_it_takes);
  RUN(test_a_pace_lengthens_period_or_interval_and_thins_samples);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
