/* What has to reach the database beside the reader: events and check-ins wait when it refuses, and never hold the reader up. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/campaign.h"
#include "format/fleetwise.h"
#include "tap.h"

static mc_db *db;
static mc_registry *registry;
static mc_campaigns *c;
static mc_buf ca, ca_key;
static mc_vehicle car;
static mc_thing thing;
static uint32_t signal_id;

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why)
{
  return MC_OK;
}

static bool begin(void)
{
  mc_why why = {0};
  car = (mc_vehicle){.tenant = 1, .name = "car-1"};
  if ((!ca.len && mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why)) || mc_db_open_sqlite(":memory:", &db, &why) ||
      mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, &why) ||
      mc_campaigns_open(&(mc_campaigns_config){.db = db, .registry = registry, .publish = publish}, &c, &why) ||
      mc_registry_vehicle_create(registry, &car, &why) || mc_registry_thing_find(registry, 1, MC_LIT("car-1"), &thing) ||
      mc_registry_signal_id(registry, 1, MC_LIT("Vehicle.Speed"), &signal_id, &why)) {
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
}

static mc_err take(mc_stream stream, const char *topic, const mc_buf *payload, uint64_t offset)
{
  mc_record r = {.offset = offset,
                 .stream = stream,
                 .tenant = 1,
                 .principal = thing.id,
                 .time_us = mc_clock_wall_us(),
                 .topic = mc_slice_str(topic),
                 .payload = mc_buf_slice(payload)};
  return mc_campaign_record(c, &r, offset + 1, NULL);
}

/* Event n, one message of one sample. */
static mc_err event(uint32_t n)
{
  mc_buf payload = {0};
  mc_fw_sample s = {.signal_id = signal_id, .number = n};
  mc_fw_vehicle_data d = {.campaign_sync_id = MC_LIT("x-1"),
                          .event_id = n,
                          .event_time_ms = (uint64_t)mc_clock_wall_us() / 1000,
                          .sample = &s,
                          .sample_count = 1};
  mc_err err = mc_fw_write_vehicle_data(&payload, &d);
  if (!err)
    err = take(MC_STREAM_TELEMETRY, "cms/fleetwise/vehicles/car-1/signals", &payload, n);
  mc_buf_free(&payload);
  return err;
}

static mc_err checkin(const char *sync_id, uint64_t offset)
{
  mc_buf payload = {0};
  mc_slice id = mc_slice_str(sync_id);
  mc_fw_checkin in = {.sync_id = &id, .sync_id_count = 1, .time_ms = 1};
  mc_err err = mc_fw_write_checkin(&payload, &in);
  if (!err)
    err = take(MC_STREAM_CHECKIN, "cms/fleetwise/vehicles/car-1/checkins", &payload, offset);
  mc_buf_free(&payload);
  return err;
}

static int64_t count(const char *sql)
{
  mc_stmt *s;
  int64_t n = -1;
  if (mc_db_prepare(db, sql, &s, NULL))
    return n;
  if (!mc_stmt_step(s, NULL))
    n = mc_stmt_int(s, 0);
  mc_stmt_release(&s);
  return n;
}

static const char count_events[] = "SELECT count(*) FROM campaign_event", count_samples[] = "SELECT sum(samples) FROM campaign_event";

static void test_events_are_written_when_there_are_enough(void)
{
  CHECK(begin());
  CHECK_OK(mc_campaign_events_save(c, 0, NULL));
  for (uint32_t n = 1; n <= 5; n++)
    CHECK_OK(event(n));
  CHECK_OK(mc_campaign_events_save(c, 6, NULL));
  CHECK_INT(count(count_events), 0);
  CHECK_OK(mc_campaign_events_save(c, 5, NULL));
  CHECK_INT(count(count_events), 5);
  end();
}

static void test_more_events_than_one_transaction_holds_are_all_written(void)
{
  CHECK(begin());
  for (uint32_t n = 1; n <= 5000; n++)
    if (event(n))
      break;
  CHECK_OK(mc_campaign_checkpoint(c, 5001, NULL));
  CHECK_INT(count(count_events), 5000);
  CHECK_INT(count(count_samples), 5000);
  end();
}

static void test_events_that_the_database_refused_wait_for_the_next_time(void)
{
  mc_why why;
  CHECK(begin());
  CHECK_OK(event(1));
  CHECK_OK(mc_db_run(db, &why, "ALTER TABLE campaign_event RENAME TO gone", ""));
  CHECK(mc_campaign_events_save(c, 1, &why) != MC_OK);
  CHECK_OK(event(2));
  CHECK(mc_campaign_checkpoint(c, 3, &why) != MC_OK);
  CHECK_INT(mc_campaign_offset(c), 0); /* what is not saved is not said to be */
  CHECK_OK(mc_db_run(db, &why, "ALTER TABLE gone RENAME TO campaign_event", ""));
  CHECK_OK(mc_campaign_checkpoint(c, 3, &why));
  CHECK_INT(count(count_events), 2);
  CHECK_INT(mc_campaign_offset(c), 1);
  end();
}

static void test_checkins_that_the_database_refused_wait_for_the_next_time(void)
{
  mc_why why;
  CHECK(begin());
  CHECK_OK(checkin("a-1", 1));
  CHECK_OK(mc_db_run(db, &why, "ALTER TABLE campaign_checkin RENAME TO gone", ""));
  CHECK(mc_campaign_checkpoint(c, 2, &why) != MC_OK);
  CHECK_OK(checkin("b-1", 2));
  CHECK_OK(mc_db_run(db, &why, "ALTER TABLE gone RENAME TO campaign_checkin", ""));
  CHECK_OK(mc_campaign_checkpoint(c, 3, &why));
  CHECK_INT(count("SELECT count(*) FROM campaign_checkin WHERE sync_ids = '[\"b-1\"]'"), 1);
  CHECK_OK(mc_db_run(db, &why, "DELETE FROM campaign_checkin", ""));
  CHECK_OK(mc_campaign_checkpoint(c, 3, &why)); /* nothing new: nothing is written */
  CHECK_INT(count("SELECT count(*) FROM campaign_checkin"), 0);
  end();
}

enum { MANY = 4000 };
static _Atomic bool reading;

static void *reader(void *arg)
{
  for (uint32_t n = 1; n <= MANY; n++)
    if (event(n) || (n % 16 == 0 && checkin("a-1", MANY + n)))
      return (void *)1;
  atomic_store(&reading, false);
  return NULL;
}

static void test_checkpoints_are_taken_beside_the_reader(void)
{
  pthread_t thread;
  void *failed = (void *)1;
  CHECK(begin());
  atomic_store(&reading, true);
  CHECK_INT(pthread_create(&thread, NULL, reader, NULL), 0);
  while (atomic_load(&reading)) {
    mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
    mc_event_info *list;
    size_t n;
    CHECK_OK(mc_campaign_checkpoint(c, 1, NULL));
    CHECK_OK(mc_campaign_events(c, 1, car.id, 10, &arena, &list, &n, NULL));
    CHECK_OK(mc_campaign_events_save(c, 100, NULL));
  }
  pthread_join(thread, &failed);
  CHECK(!failed);
  CHECK_OK(mc_campaign_checkpoint(c, 1, NULL));
  CHECK_INT(count(count_events), MANY);
  CHECK_INT(count(count_samples), MANY);
  end();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_events_are_written_when_there_are_enough);
  RUN(test_more_events_than_one_transaction_holds_are_all_written);
  RUN(test_events_that_the_database_refused_wait_for_the_next_time);
  RUN(test_checkins_that_the_database_refused_wait_for_the_next_time);
  RUN(test_checkpoints_are_taken_beside_the_reader);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
