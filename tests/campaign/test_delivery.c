/* Data out: what vehicles sent comes out once, in files and on topics, through failures and restarts at any place. */
#include <jansson.h>
#include <sys/stat.h>
#include <zlib.h>

#include "campaign_case.h"
#include "campaign/delivery.h"
#include "format/fleetwise_state.h"
#include "format/mqtt.h"
#include "object/object.h"
#include "store/store.h"

#define LIBRARY MC_SOURCE_DIR "/tools/duckdb/node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so"
static char dir[200];
static mc_journal *journal;
static mc_object_store *objects;
static mc_delivery *delivery;
static mc_why why;
static uint32_t every_s = 1;
static const char *duckdb_library;
static bool publish_refused;
static char sync_id[160];

static const char *in_dir(const char *name)
{
  static char path[400];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return path;
}

/* As the gateway: a message is there when it is in the journal. */
static mc_err publish_journaled(void *ctx, uint32_t tenant, mc_slice topic, mc_slice props, mc_slice payload, mc_why *reason)
{
  uint64_t offset;
  if (publish_refused)
    return mc_err_set(reason, MC_ERR_INVALID, "not today");
  mc_record r = {.stream = MC_STREAM_COMMAND, .flags = MC_RECORD_QOS1, .tenant = tenant, .time_us = mc_clock_wall_us(), .topic = topic, .props = props, .payload = payload};
  return mc_journal_append_sync(journal, &r, &offset, reason);
}

static bool open_delivery(void)
{
  static char outbox_dir[400];
  snprintf(outbox_dir, sizeof outbox_dir, "%s", in_dir("outbox"));
  mc_delivery_config config = {.campaigns = c, .journal = journal, .objects = objects, .dir = outbox_dir, .every_s = every_s, .duckdb = duckdb_library, .publish = publish_journaled};
  mc_err err = mc_delivery_open(&config, &delivery, &why);
  if (!err)
    err = mc_delivery_start(delivery, &why);
  if (err)
    printf("# %s\n", why.text);
  return !err;
}

static bool begin_delivery(void)
{
  static int n;
  snprintf(dir, sizeof dir, "/tmp/mc-delivery-test-%d-%d", (int)getpid(), n++);
  publish_refused = false;
  every_s = 1;
  char path[400];
  snprintf(path, sizeof path, "%s", in_dir("journal"));
  mc_journal_config jc = {.fs = mc_fs_posix(), .dir = path, .segment_bytes = 4 << 20};
  mc_dbc_import_report report;
  return begin() && !mc_fs_mkdirs(mc_fs_posix(), dir, &why) && !mc_journal_open(&jc, &journal, &why) &&
         !mc_object_open_directory(mc_fs_posix(), in_dir("objects"), &objects, &why) && !import(dbc_text, "", &report, &why) && !give_manifest();
}

static void end_delivery(void)
{
  char command[300];
  mc_delivery_close(&delivery);
  mc_object_close(&objects);
  end();
  mc_journal_close(&journal);
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  if (system(command))
    printf("# cannot remove %s\n", dir);
}

static mc_err create_with(const char *name, const char *destinations, const char *dimensions, uint32_t *id)
{
  static mc_campaign_collect collect[2];
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  collect[0].fqn = MC_LIT("Vehicle.ENGINE.Rpm");
  collect[1].fqn = MC_LIT("Vehicle.ENGINE.Temp");
  mc_campaign g = {.tenant = 1, .name = mc_slice_str(name), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = collect, .signal_count = 2,
                   .destinations = mc_slice_str(destinations), .dimensions = mc_slice_str(dimensions)};
  MC_TRY(mc_campaign_create(c, &g, true, &arena, &why));
  *id = g.id;
  mc_campaign made;
  campaign_reconcile(c, 1, car.id, true);
  MC_TRY(checkin(NULL, 0, false)); /* so that the scheme is compiled and its id known */
  MC_TRY(mc_campaign_get(c, 1, g.id, &arena, &made));
  for (int i = 0; i < sent_count && i < 32; i++) { /* what the vehicle was sent names the version */
    mc_fw_schemes list;
    mc_arena scratch MC_ARENA_AUTO = MC_ARENA(1 << 20);
    if (strstr(outbox[i].topic, "collection_schemes") && !mc_fw_read_schemes(mc_buf_slice(&outbox[i].payload), &scratch, &list, &why))
      for (uint32_t k = 0; k < list.scheme_count; k++)
        if (mc_slice_starts(list.scheme[k].campaign_sync_id, mc_slice_str(name)))
          mc_slice_to_str(list.scheme[k].campaign_sync_id, sync_id, sizeof sync_id);
  }
  return sync_id[0] ? MC_OK : MC_ERR_NOT_FOUND;
}

static uint32_t signal_id(const char *fqn)
{
  uint32_t id = 0;
  mc_slice name = mc_slice_str(fqn);
  mc_registry_signal_ids(registry, 1, &name, 1, &id, &why);
  return id;
}

/* One event of one message with two samples: rpm = value, temperature 21 */
static mc_err send_event(uint32_t event, double value, int64_t arrival_us)
{
  mc_fw_sample s[2] = {{.relative_ms = -5, .signal_id = signal_id("Vehicle.ENGINE.Rpm"), .number = value}, {.signal_id = signal_id("Vehicle.ENGINE.Temp"), .number = 21}};
  mc_fw_vehicle_data d = {.campaign_sync_id = mc_slice_str(sync_id), .manifest_sync_id = MC_LIT("x"), .event_id = event, .event_time_ms = 1700000000000ULL + event, .sample = s, .sample_count = 2};
  mc_buf plain = {0};
  uint64_t offset;
  mc_err err = mc_fw_write_vehicle_data(&plain, &d);
  mc_record r = {.stream = MC_STREAM_TELEMETRY, .tenant = 1, .principal = thing.id, .time_us = arrival_us ? arrival_us : mc_clock_wall_us(),
                 .topic = MC_LIT("$aws/iotfleetwise/vehicles/car-1/signals"), .payload = mc_buf_slice(&plain)};
  if (!err)
    err = mc_journal_append_sync(journal, &r, &offset, &why);
  mc_buf_free(&plain);
  return err;
}

/* ---- what came out ---- */
typedef struct seen {
  uint32_t rows, files, other;
  uint32_t of_event[5000];
  double sum;
  char first_key[400], first_row[1000];
} seen;

static void read_row(seen *s, mc_slice line)
{
  json_t *row = json_loadb((const char *)line.data, line.len, 0, NULL);
  if (!s->rows++)
    mc_slice_to_str(line, s->first_row, sizeof s->first_row);
  unsigned long event = strtoul(json_string_value(json_object_get(row, "eventId")) ? json_string_value(json_object_get(row, "eventId")) : "9999", NULL, 10);
  if (!json_is_string(json_object_get(row, "vehicleName")) || event >= 5000)
    s->other++;
  else
    s->of_event[event]++;
  s->sum += json_number_value(json_object_get(row, "measure_value_DOUBLE"));
  json_decref(row);
}

static mc_err read_file(void *ctx, const mc_object_info *info)
{
  seen *s = ctx;
  mc_buf packed = {0}, text = {0};
  if (!s->files++)
    mc_slice_to_str(info->key, s->first_key, sizeof s->first_key);
  mc_err err = mc_object_get(objects, MC_LIT("fleet-data"), info->key, 0, UINT64_MAX, 64 << 20, &packed, &why);
  if (!err && packed.len > 2 && packed.data[0] == 0x1F) {
    z_stream z = {.next_in = packed.data, .avail_in = (uInt)packed.len};
    err = mc_buf_reserve(&text, 1 << 22);
    if (!err && inflateInit2(&z, 15 + 16) == Z_OK) {
      z.next_out = text.data;
      z.avail_out = 1 << 22;
      err = inflate(&z, Z_FINISH) == Z_STREAM_END ? MC_OK : MC_ERR_MALFORMED;
      text.len = z.total_out;
      inflateEnd(&z);
    }
  } else if (!err) {
    err = mc_buf_append_slice(&text, mc_buf_slice(&packed));
  }
  for (mc_slice rest = mc_buf_slice(&text); !err && rest.len;) {
    size_t end = mc_slice_find(rest, '\n', 0);
    read_row(s, mc_slice_sub(rest, 0, end));
    rest = mc_slice_sub(rest, end + 1, rest.len);
  }
  mc_buf_free(&packed);
  mc_buf_free(&text);
  return err;
}

static void look(seen *s)
{
  memset(s, 0, sizeof *s);
  mc_object_list(objects, MC_LIT("fleet-data"), (mc_slice){0}, (mc_slice){0}, 10000, read_file, s, &why);
}

static bool comes_out(seen *s, uint32_t rows)
{
  for (int i = 0; i < 1200; i++) { /* a minute, on a disk that is slow */
    look(s);
    if (s->rows >= rows)
      return true;
    usleep(50000);
  }
  printf("# %u of %u rows\n", s->rows, rows);
  return false;
}

/* Messages that the journal holds: how many, and how many ids. */
static void count_messages(uint32_t *messages, uint32_t *ids, mc_buf *last)
{
  mc_journal_reader *reader;
  mc_record r;
  mc_strmap known = {0};
  *messages = *ids = 0;
  if (mc_journal_reader_create(journal, mc_journal_first_offset(journal), (mc_journal_filter){.streams = 1u << MC_STREAM_COMMAND}, &reader, &why))
    return;
  while (!mc_journal_reader_next(reader, &r, &why)) {
    mc_slice id = delivery_message_id_of(r.payload);
    if (!id.len)
      continue;
    ++*messages;
    *ids += !mc_strmap_get(&known, id, NULL);
    mc_strmap_put(&known, id, 1);
    mc_buf_clear(last);
    mc_buf_append_slice(last, r.payload);
  }
  mc_strmap_free(&known);
  mc_journal_reader_destroy(&reader);
}

/* The first destination, once as many of its objects are told as lie there: a file is seen before its row in the outbox is gone. */
static const mc_delivery_status *told(uint32_t campaign, uint64_t objects_there, mc_arena *arena)
{
  mc_delivery_status *list = NULL;
  size_t count = 0;
  for (int i = 0; i < 1200; i++) {
    if (mc_delivery_status_of(delivery, 1, campaign, arena, &list, &count, &why) || count != 1)
      return NULL;
    if (list->objects >= objects_there && !list->waiting)
      return list;
    usleep(50000);
  }
  printf("# %llu objects told, %llu wait\n", (unsigned long long)list->objects, (unsigned long long)list->waiting);
  return list;
}

static const char json_files[] = "[{\"s3Config\":{\"bucketArn\":\"arn:aws:s3:::fleet-data\",\"dataFormat\":\"JSON\",\"storageCompressionFormat\":\"GZIP\",\"prefix\":\"a/b/\"}}]";
static const char plain_files[] = "[{\"s3Config\":{\"bucketArn\":\"arn:aws:s3:::fleet-data\",\"dataFormat\":\"JSON\",\"storageCompressionFormat\":\"NONE\"}}]";
static const char default_files[] = "[{\"s3Config\":{\"bucketArn\":\"arn:aws:s3:::fleet-data\"}}]";
static const char topic[] = "[{\"mqttTopicConfig\":{\"mqttTopicArn\":\"arn:aws:iot:local:000000000000:topic/fleet/out\",\"executionRoleArn\":\"arn:aws:iam::000000000000:role/x\"}}]";
static seen s;

static void test_rows_come_out_once_with_fleetwises_columns_and_key(void)
{
  uint32_t id;
  CHECK(begin_delivery() && open_delivery());
  mc_attribute attribute = {MC_LIT("Vehicle.Color"), MC_LIT("deep red")};
  CHECK_OK(mc_registry_vehicle_set_attributes(registry, 1, car.id, &attribute, 1, true, &why));
  CHECK_OK(create_with("out", json_files, "[\"Vehicle.Color\",\"Vehicle.Unknown\"]", &id));
  for (uint32_t i = 0; i < 50; i++)
    CHECK_OK(send_event(i, 1000 + i, 1764468000000000 + i)); /* 2025-11-30T02:00 */
  CHECK(comes_out(&s, 100));
  CHECK_INT(s.rows, 100);
  CHECK(s.files >= 1); /* arrivals of last year: their window is over whenever the reader has caught up */
  CHECK_INT(s.other, 0);
  for (int i = 0; i < 50; i++)
    CHECK_INT(s.of_event[i], 2);
  CHECK(mc_slice_starts(mc_slice_str(s.first_key), MC_LIT("a/b/processed-data/year=2025/month=11/date=30/hour=02/part-0000-")));
  CHECK(strstr(s.first_key, ".json.gz"));
  CHECK_STR(s.first_row, "{\"campaignName\":\"out\",\"eventId\":\"0\",\"collectionEventTime\":1700000000000,\"vehicleName\":\"car-1\",\"measure_name\":\"Vehicle.ENGINE.Rpm\","
                         "\"time\":1699999999995,\"measure_value_DOUBLE\":1000,\"Vehicle.Color\":\"deep red\"}");
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  const mc_delivery_status *list = told(id, s.files, &arena);
  CHECK(list && list->rows == 100 && list->objects == s.files && list->waiting == 0 && !list->error.len && list->last_us);
  CHECK_SLICE(list->kind, "s3");
  CHECK_SLICE(list->place, "fleet-data/a/b");
  end_delivery();
}

static void test_a_repeat_and_what_is_not_ours_stay_out(void)
{
  uint32_t id;
  CHECK(begin_delivery() && open_delivery());
  CHECK_OK(create_with("out", plain_files, "", &id));
  CHECK_OK(send_event(1, 5, 0));
  CHECK_OK(send_event(1, 5, 0)); /* the agent sends a stored file again */
  CHECK_OK(send_event(2, 5, 0));
  char keep[160];
  snprintf(keep, sizeof keep, "%s", sync_id);
  snprintf(sync_id, sizeof sync_id, "nobody-0123456789abcdef");
  CHECK_OK(send_event(3, 5, 0));
  snprintf(sync_id, sizeof sync_id, "%s", keep);
  uint64_t offset;
  mc_record junk = {.stream = MC_STREAM_TELEMETRY, .tenant = 1, .principal = thing.id, .time_us = mc_clock_wall_us(),
                    .topic = MC_LIT("$aws/iotfleetwise/vehicles/car-1/signals"), .payload = MC_LIT("\xff\xff\xff")};
  CHECK_OK(mc_journal_append_sync(journal, &junk, &offset, &why));
  CHECK_OK(send_event(4, 5, 0));
  CHECK(comes_out(&s, 6));
  usleep(1500000);
  look(&s);
  CHECK_INT(s.rows, 6);
  CHECK(s.of_event[1] == 2 && s.of_event[2] == 2 && s.of_event[3] == 0 && s.of_event[4] == 2);
  end_delivery();
}

/* Stopped at any moment, as by kill -9 as far as files and database go: what is in memory is gone. */
static void test_restarts_lose_nothing_and_double_nothing(void)
{
  uint32_t id, messages, ids;
  mc_buf last = {0};
  char both[800];
  CHECK(begin_delivery());
  snprintf(both, sizeof both, "%.*s,%s", (int)(sizeof json_files - 2), json_files, topic + 1);
  CHECK(open_delivery());
  CHECK_OK(create_with("out", both, "", &id));
  uint32_t event = 0;
  for (int round = 0; round < 8; round++) {
    for (int i = 0; i < 40; i++, event++)
      CHECK_OK(send_event(event, event, 0));
    usleep((useconds_t)(round * 170000)); /* before, in and after a window */
    mc_delivery_close(&delivery);
    CHECK(open_delivery());
  }
  CHECK(comes_out(&s, event * 2));
  usleep(1200000);
  look(&s);
  CHECK_INT(s.rows, event * 2);
  for (uint32_t i = 0; i < event; i++)
    CHECK_INT(s.of_event[i], 2);
  for (int i = 0; i < 1200; i++) {
    count_messages(&messages, &ids, &last);
    if (ids >= event)
      break;
    usleep(50000);
  }
  CHECK_INT(ids, event);
  CHECK_INT(messages, event);
  mc_buf_free(&last);
  end_delivery();
}

static void test_a_store_that_is_away_holds_nothing_up(void)
{
  uint32_t id;
  CHECK(begin_delivery());
  mc_object_store *good = objects;
  static const mc_object_s3 away = {.endpoint = "http://127.0.0.1:1", .access_key = "k", .secret = "s", .tries = 1};
  CHECK_OK(mc_object_open_s3(&away, &objects, &why));
  CHECK(open_delivery());
  CHECK_OK(create_with("out", json_files, "", &id));
  for (uint32_t i = 0; i < 10; i++)
    CHECK_OK(send_event(i, i, 0));
  mc_delivery_status *list = NULL;
  size_t count;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  for (int i = 0; i < 1200 && !(list && list->waiting && list->error.len); i++) {
    usleep(50000);
    CHECK_OK(mc_delivery_status_of(delivery, 1, id, &arena, &list, &count, &why));
  }
  CHECK(list->waiting == 1 && list->objects == 0);
  CHECK(strstr((const char *)list->error.data, "127.0.0.1:1"));
  mc_delivery_close(&delivery); /* and when it is back, also after a restart */
  mc_object_close(&objects);
  objects = good;
  CHECK_OK(mc_db_run(db, &why, "UPDATE delivery_outbox SET due_us = 0", ""));
  CHECK(open_delivery());
  CHECK(comes_out(&s, 20));
  CHECK_INT(s.rows, 20);
  end_delivery();
}

static void test_messages_are_fleetwises_json(void)
{
  uint32_t id, messages, ids;
  mc_buf last = {0};
  CHECK(begin_delivery() && open_delivery());
  CHECK_OK(create_with("out", topic, "[\"Vehicle.Color\"]", &id));
  mc_attribute attribute = {MC_LIT("Vehicle.Color"), MC_LIT("red")};
  CHECK_OK(mc_registry_vehicle_set_attributes(registry, 1, car.id, &attribute, 1, true, &why));
  CHECK_OK(send_event(7, 812.5, 0));
  for (int i = 0; i < 3000; i++) {
    usleep(20000);
    count_messages(&messages, &ids, &last);
    if (messages)
      break;
  }
  CHECK_INT(messages, 1);
  json_t *m = json_loadb((const char *)last.data, last.len, 0, NULL);
  CHECK(json_is_object(m));
  CHECK_INT(json_object_size(m), 7);
  CHECK_STR(json_string_value(json_object_get(m, "campaignName")), "out");
  CHECK_STR(json_string_value(json_object_get(m, "vehicleName")), "car-1");
  CHECK_INT(json_integer_value(json_object_get(m, "eventId")), 7);
  CHECK(json_is_string(json_object_get(m, "msgId")));
  CHECK(json_integer_value(json_object_get(m, "collectionEventTime")) == 1700000000007);
  CHECK_STR(json_string_value(json_object_get(json_object_get(m, "dimensions"), "Vehicle.Color")), "red");
  json_t *rpm = json_array_get(json_object_get(json_object_get(m, "signals"), "Vehicle.ENGINE.Rpm"), 0);
  CHECK_DOUBLE(json_number_value(json_object_get(rpm, "value")), 812.5, 0);
  CHECK(json_integer_value(json_object_get(rpm, "time")) == 1700000000002);
  CHECK(json_is_string(json_object_get(rpm, "dataType")));
  CHECK_INT(json_object_size(rpm), 3);
  json_decref(m);
  mc_buf_free(&last);
  end_delivery();
}

static void test_a_topic_that_is_refused_is_told_and_passed_over(void)
{
  uint32_t id;
  CHECK(begin_delivery() && open_delivery());
  publish_refused = true;
  CHECK_OK(create_with("out", topic, "", &id));
  CHECK_OK(send_event(7, 1, 0));
  mc_delivery_status *list = NULL;
  size_t count;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  for (int i = 0; i < 3000 && !(list && list->error.len); i++) {
    usleep(20000);
    CHECK_OK(mc_delivery_status_of(delivery, 1, id, &arena, &list, &count, &why));
  }
  CHECK_SLICE(list->error, "not today");
  CHECK_INT(list->messages, 0);
  end_delivery();
}

static void test_without_duckdb_parquet_is_json_and_says_so(void)
{
  uint32_t id;
  CHECK(begin_delivery() && open_delivery());
  CHECK_OK(create_with("out", default_files, "", &id));
  CHECK_OK(send_event(1, 1, 0));
  CHECK(comes_out(&s, 2));
  CHECK(strstr(s.first_key, ".json.gz"));
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  const mc_delivery_status *list = told(id, s.files, &arena);
  CHECK(list && mc_slice_starts(list->error, MC_LIT("DuckDB")));
  end_delivery();
}

static void test_a_library_that_is_none_is_as_none(void)
{
  uint32_t id;
  duckdb_library = "/nonexistent/libduckdb.so";
  CHECK(begin_delivery() && open_delivery());
  duckdb_library = NULL;
  CHECK_OK(create_with("out", default_files, "", &id));
  CHECK_OK(send_event(1, 1, 0));
  CHECK(comes_out(&s, 2));
  CHECK(strstr(s.first_key, ".json.gz"));
  end_delivery();
}

static void test_every_destination_shape_is_read(void)
{
  uint32_t id;
  delivery_target *t;
  CHECK(begin_delivery());
  CHECK_OK(create_with("all", "[{\"s3Config\":{\"bucketArn\":\"arn:aws:s3:::one\",\"prefix\":\"/p/q//\"}},"
                              "{\"s3Config\":{\"bucketArn\":\"arn:aws:s3:::two\",\"dataFormat\":\"JSON\",\"storageCompressionFormat\":\"NONE\"}},"
                              "{\"timestreamConfig\":{\"timestreamTableArn\":\"arn:aws:timestream:local:000000000000:database/a/table/b\","
                              "\"executionRoleArn\":\"arn:aws:iam::000000000000:role/x\"}},"
                              "{\"mqttTopicConfig\":{\"mqttTopicArn\":\"arn:aws:iot:local:000000000000:topic/a/b/c\",\"executionRoleArn\":\"arn:aws:iam::000000000000:role/x\"}}]",
                       "[\"A\",\"B.c\"]", &id));
  CHECK_OK(delivery_target_read(c, 1, id, &t, &why));
  CHECK(t->to_count == 4 && t->dimension_count == 2 && t->files);
  CHECK_SLICE(t->to[0].bucket, "one");
  CHECK_SLICE(t->to[0].prefix, "p/q");
  CHECK(t->to[0].parquet && t->to[0].gzip);
  CHECK(t->to[1].kind == DESTINATION_S3 && !t->to[1].parquet && !t->to[1].gzip && !t->to[1].prefix.len);
  CHECK_INT(t->to[2].kind, DESTINATION_STORE);
  CHECK_SLICE(t->to[3].topic, "a/b/c");
  CHECK_SLICE(t->dimension[1], "B.c");
  delivery_target_free(t);
  CHECK_INT(delivery_target_read(c, 1, 99, &t, &why), MC_ERR_NOT_FOUND);
  end_delivery();
}

/* The vehicle's template as it was sent, and a state of it. */
static mc_err give_template(mc_slice *id, mc_arena *arena)
{
  mc_slice names[2] = {MC_LIT("Vehicle.ENGINE.Rpm"), MC_LIT("Vehicle.ENGINE.Temp")};
  mc_state_template t = {.tenant = 1, .name = MC_LIT("now"), .signal = names, .signal_count = 2, .dimensions = MC_LIT("[\"Vehicle.Color\"]"),
                         .metadata = MC_LIT("[\"Vehicle.Fleet\",\"Vehicle.None\"]")};
  mc_attribute has[2] = {{MC_LIT("Vehicle.Color"), MC_LIT("red")}, {MC_LIT("Vehicle.Fleet"), MC_LIT("north")}};
  MC_TRY(mc_registry_vehicle_set_attributes(registry, 1, car.id, has, 2, true, &why));
  MC_TRY(mc_template_create(c, &t, &why));
  MC_TRY(mc_template_give(c, 1, car.id, MC_LIT("now"), 0, &why));
  MC_TRY(checkin(NULL, 0, false));
  for (int i = 0; i < sent_count && i < 32; i++) {
    mc_fw_state_templates d;
    if (strstr(outbox[i].topic, "last_known_states/config") && !mc_fw_read_state_templates(mc_buf_slice(&outbox[i].payload), arena, &d, &why) && d.add_count == 1)
      return mc_arena_copy(arena, d.add[0].sync_id, id);
  }
  return MC_ERR_NOT_FOUND;
}

static mc_err send_state(mc_slice template, uint64_t time_ms)
{
  mc_fw_state_sample sample[3] = {{signal_id("Vehicle.ENGINE.Rpm"), {.type = MC_FW_TYPE_FLOAT32, .f = 812.25F}},
                                  {signal_id("Vehicle.ENGINE.Temp"), {.type = MC_FW_TYPE_INT16, .i = -5}}, {999999, {.type = MC_FW_TYPE_BOOL, .u = 1}}};
  mc_fw_state_of_template state[2] = {{template, sample, 3}, {MC_LIT("nobody-0123456789abcdef"), sample, 1}};
  mc_fw_state_data d = {time_ms, state, 2};
  mc_buf plain = {0}, packed = {0};
  uint64_t offset;
  mc_err err = mc_fw_write_state_data(&plain, &d);
  if (!err)
    err = mc_snappy_compress(mc_buf_slice(&plain), &packed);
  mc_record r = {.stream = MC_STREAM_TELEMETRY, .tenant = 1, .principal = thing.id, .time_us = mc_clock_wall_us(),
                 .topic = MC_LIT("$aws/iotfleetwise/vehicles/car-1/last_known_states/data"), .payload = mc_buf_slice(&packed)};
  if (!err)
    err = mc_journal_append_sync(journal, &r, &offset, &why);
  mc_buf_free(&plain);
  mc_buf_free(&packed);
  return err;
}

/* Messages for customers in the journal; the last one's payload and properties. */
static int states_out(mc_buf *payload, mc_buf *props)
{
  mc_journal_reader *reader;
  mc_record r;
  int n = 0;
  if (mc_journal_reader_create(journal, mc_journal_first_offset(journal), (mc_journal_filter){.streams = 1u << MC_STREAM_COMMAND}, &reader, &why))
    return -1;
  while (!mc_journal_reader_next(reader, &r, &why)) {
    if (!mc_slice_eq_str(r.topic, "$aws/iotfleetwise/vehicles/car-1/last_known_state/now/data"))
      continue;
    n++;
    mc_buf_clear(payload);
    mc_buf_clear(props);
    mc_buf_append_slice(payload, r.payload);
    mc_buf_append_slice(props, r.props);
  }
  mc_journal_reader_destroy(&reader);
  return n;
}

static void test_only_json_on_one_line_is_a_structure(void)
{
  static const char *const yes[] = {"{}", "[1,{\"a\":\"\\n\"}]", " {\"a\" : 18446744073709551615}"};
  static const char *const no[] = {"", "1", "\"text\"", "{\"a\":1", "{\"a\":1,\"a\":2}", "{\"a\":\n1}", "[\r\n{\"vehicleName\":\"another\"}\r\n]", "{\"a\":1}\n"};
  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
    CHECK(collector_text_is_structure(mc_slice_str(yes[i])));
  for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
    CHECK(!collector_text_is_structure(mc_slice_str(no[i])));
}

static void test_last_known_state_goes_on_by_name_once(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_slice id;
  mc_buf payload = {0}, props = {0};
  mc_fw_last_known_state m;
  mc_mqtt_property p;
  every_s = 1;
  CHECK(begin_delivery() && open_delivery());
  CHECK_OK(give_template(&id, &arena));
  CHECK_OK(send_state(id, 1700000000000));
  for (int i = 0; i < 3000 && states_out(&payload, &props) < 1; i++)
    usleep(20000);
  CHECK_INT(states_out(&payload, &props), 1);
  CHECK_OK(mc_fw_read_last_known_state(mc_buf_slice(&payload), &arena, &m, &why));
  CHECK(m.time_ms == 1700000000000 && m.signal_count == 2 && m.dimension_count == 1);
  CHECK_SLICE(m.signal[0].name, "Vehicle.ENGINE.Rpm");
  CHECK(m.signal[0].value.type == MC_FW_TYPE_FLOAT32 && m.signal[0].value.f == 812.25F);
  CHECK_SLICE(m.signal[1].name, "Vehicle.ENGINE.Temp");
  CHECK(m.signal[1].value.type == MC_FW_TYPE_INT16 && m.signal[1].value.i == -5);
  CHECK_SLICE(m.dimension[0].name, "Vehicle.Color");
  CHECK_SLICE(m.dimension[0].value, "red");
  size_t at = 0;
  CHECK(mc_mqtt_property_next(mc_buf_slice(&props), &at, &p) && p.id == 0x26 && mc_slice_eq_str(p.name, "Vehicle.Fleet") && mc_slice_eq_str(p.text, "north"));
  CHECK(!mc_mqtt_property_next(mc_buf_slice(&props), &at, &p));
  for (int i = 1; i <= 30; i++) { /* stopped between and after; sent again by the agent */
    CHECK_OK(send_state(id, 1700000000000 + (uint64_t)i));
    CHECK_OK(send_state(id, 1700000000000 + (uint64_t)i));
    if (i % 6 == 0) {
      usleep((useconds_t)(i * 7000));
      mc_delivery_close(&delivery);
      CHECK(open_delivery());
    }
  }
  for (int i = 0; i < 3000 && states_out(&payload, &props) < 31; i++)
    usleep(20000);
  usleep(300000);
  CHECK_INT(states_out(&payload, &props), 31);
  mc_buf_free(&payload);
  mc_buf_free(&props);
  end_delivery();
}

/* The agent sends a state once more, after a stop, when the reader is past what it sent first. */
static void test_last_known_state_that_comes_again_after_a_stop_is_known(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_slice id;
  mc_buf payload = {0}, props = {0};
  uint64_t past = 0;
  CHECK(begin_delivery() && open_delivery());
  CHECK_OK(give_template(&id, &arena));
  CHECK_OK(send_state(id, 1700000000000));
  uint64_t behind = mc_journal_end_offset(journal);
  for (int i = 0; i < 3000 && (past < behind || states_out(&payload, &props) < 1); i++) {
    usleep(20000);
    if (mc_journal_consumer_offset(journal, "delivery", &past))
      past = 0;
  }
  CHECK(past >= behind);
  mc_delivery_close(&delivery);
  CHECK_OK(send_state(id, 1700000000000));
  CHECK(open_delivery());
  CHECK_OK(send_state(id, 1700000000001));
  for (int i = 0; i < 3000 && states_out(&payload, &props) < 2; i++)
    usleep(20000);
  usleep(300000);
  CHECK_INT(states_out(&payload, &props), 2);
  mc_buf_free(&payload);
  mc_buf_free(&props);
  end_delivery();
}

static void test_parquet_holds_the_same_rows(void)
{
  mc_duckdb *duckdb;
  if (mc_duckdb_load(getenv("MOTORCADE_DUCKDB") ? getenv("MOTORCADE_DUCKDB") : LIBRARY, &duckdb, &why))
    SKIP("no DuckDB: run `make duckdb`, or set MOTORCADE_DUCKDB to its library");
  delivery_target target = {.tenant = 1, .campaign = 9, .name = MC_LIT("camp"), .dimension = (mc_slice[]){MC_LIT("Color")}, .dimension_count = 1};
  destination to = {.kind = DESTINATION_S3, .parquet = true, .gzip = true};
  delivery_batch b = {.target = &target, .first_offset = 0xABC, .arrival_us = 1764468000000000};
  delivery_vehicle v[2] = {{1, MC_LIT("car-1"), (mc_slice[]){MC_LIT("red")}}, {2, MC_LIT("car-2"), (mc_slice[]){{NULL, 0}}}};
  CHECK_OK(mc_vec_push(&b.vehicle, v[0]));
  CHECK_OK(mc_vec_push(&b.vehicle, v[1]));
  CHECK_OK(mc_vec_push(&b.row, ((delivery_row){.event_id = 4000000000U, .vehicle = 0, .event_us = 1700000000000000, .time_us = 1699999999995001,
                                                .measure = MC_LIT("a.b"), .kind = ROW_BIGINT, .number = -7})));
  CHECK_OK(mc_vec_push(&b.row, ((delivery_row){.event_id = 1, .vehicle = 1, .event_us = 1, .time_us = 2, .measure = MC_LIT("a.c"), .kind = ROW_TEXT, .text = MC_LIT("open")})));
  char path[100];
  snprintf(path, sizeof path, "/tmp/mc-delivery-%d.parquet", (int)getpid());
  bool parquet;
  CHECK_OK(delivery_file_write(&b, &to, duckdb, path, &parquet, &why));
  CHECK(parquet);
  mc_buf key = {0}, content = {0};
  CHECK_OK(delivery_key(&b, &to, parquet, "i", &key));
  CHECK_SLICE(mc_buf_slice(&key), "processed-data/year=2025/month=11/date=30/hour=02/part-0000-i0000000000000abc00000009.gz.parquet");
  CHECK_OK(mc_fs_read(mc_fs_posix(), path, 1 << 20, &content, &why));
  CHECK(content.len > 8 && !memcmp(content.data, "PAR1", 4)); /* the values: test_parquet.c, and the system test reads the file with DuckDB */
  mc_buf_free(&key);
  mc_buf_free(&content);
  mc_vec_free(&b.row);
  mc_vec_free(&b.vehicle);
  mc_duckdb_unload(&duckdb);
  unlink(path);
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_rows_come_out_once_with_fleetwises_columns_and_key);
  RUN(test_a_repeat_and_what_is_not_ours_stay_out);
  RUN(test_restarts_lose_nothing_and_double_nothing);
  RUN(test_a_store_that_is_away_holds_nothing_up);
  RUN(test_messages_are_fleetwises_json);
  RUN(test_a_topic_that_is_refused_is_told_and_passed_over);
  RUN(test_without_duckdb_parquet_is_json_and_says_so);
  RUN(test_a_library_that_is_none_is_as_none);
  RUN(test_every_destination_shape_is_read);
  RUN(test_only_json_on_one_line_is_a_structure);
  RUN(test_last_known_state_goes_on_by_name_once);
  RUN(test_last_known_state_that_comes_again_after_a_stop_is_known);
  RUN(test_parquet_holds_the_same_rows);
  return tap_done();
}
