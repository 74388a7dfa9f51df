/* Device shadows over journal and database: order, answers, histories, limits, and what a kill at any moment leaves. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "tap.h"
#include "twin/twin.h"

enum { MOST = 4096 };
static char dir[200];
static mc_db *db;
static mc_journal *journal;
static mc_shadows *shadows;
static mc_why why;
static struct { char topic[200]; char text[600]; } said[MOST];
static atomic_uint said_count;
static mc_shadow_limits limits = {.bytes = 1 << 20, .depth = 16};
static size_t cached_bytes;

static mc_err hear(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *reason)
{
  unsigned n = atomic_load(&said_count);
  if (n < MOST) {
    mc_slice_to_str(topic, said[n].topic, sizeof said[n].topic);
    mc_slice_to_str(payload, said[n].text, sizeof said[n].text);
    atomic_store(&said_count, n + 1);
  }
  return MC_OK;
}

static mc_shadow_limits limits_now(void *ctx, uint32_t tenant, mc_slice thing)
{
  return limits;
}

static bool open_all(uint32_t history, uint32_t cached)
{
  char path[300];
  snprintf(path, sizeof path, "%s/db", dir);
  mc_err err = mc_db_open_sqlite(path, &db, &why);
  snprintf(path, sizeof path, "%s/journal", dir);
  if (!err)
    err = mc_journal_open(&(mc_journal_config){.fs = mc_fs_posix(), .dir = path}, &journal, &why);
  if (!err)
    err = mc_shadows_open(
        &(mc_shadows_config){.db = db, .journal = journal, .publish = hear, .limits_of = limits_now, .history = history, .cached = cached, .cached_bytes = cached_bytes}, &shadows, &why);
  if (!err)
    err = mc_shadows_start(shadows, &why);
  if (err)
    printf("# %s\n", why.text);
  return !err;
}

static void close_all(void)
{
  mc_shadows_close(&shadows);
  mc_journal_close(&journal);
  mc_db_close(&db);
}

static bool begin(uint32_t history, uint32_t cached)
{
  static int n;
  char text[300];
  snprintf(dir, sizeof dir, "/tmp/mc-shadow-test-%d-%d", (int)getpid(), n++);
  atomic_store(&said_count, 0);
  limits = (mc_shadow_limits){.bytes = 1 << 20, .depth = 16};
  snprintf(text, sizeof text, "mkdir -p %s", dir);
  return !system(text) && open_all(history, cached);
}

static void end(void)
{
  char text[300];
  close_all();
  snprintf(text, sizeof text, "rm -rf %s", dir);
  if (system(text))
    printf("# %s stays\n", dir);
}

/* As the gateway: a device's publish becomes a record. */
static bool device(const char *topic, const char *payload)
{
  uint64_t offset;
  mc_record r = {.stream = MC_STREAM_SHADOW, .flags = MC_RECORD_QOS1, .tenant = 1, .principal = 7, .time_us = mc_clock_wall_us(), .topic = mc_slice_str(topic), .payload = mc_slice_str(payload)};
  return !mc_journal_append_sync(journal, &r, &offset, &why) && !mc_shadows_wait(shadows, mc_journal_end_offset(journal), 20000);
}

/* The thread publishes behind the lock: what was said comes a moment after the offset. */
static bool heard(unsigned index, const char *topic, const char *part)
{
  for (int i = 0; i < 2000 && atomic_load(&said_count) <= index; i++)
    usleep(10000);
  bool good = atomic_load(&said_count) > index && !strcmp(said[index].topic, topic) && strstr(said[index].text, part);
  if (!good)
    printf("# %u: %s %s\n", index, said[index].topic, said[index].text);
  return good;
}

static int change(const char *thing, const char *shadow, const char *payload)
{
  mc_shadow_answer a;
  mc_err err = mc_shadow_update(shadows, 1, mc_slice_str(thing), mc_slice_str(shadow), 9, mc_slice_str(payload), &a, &why);
  int code = err ? -(int)err : a.code;
  mc_buf_free(&a.text);
  return code;
}

static bool state_is(const char *thing, const char *shadow, int code, const char *part)
{
  mc_shadow_answer a;
  if (mc_shadow_get(shadows, 1, mc_slice_str(thing), mc_slice_str(shadow), &a, &why)) {
    printf("# %s\n", why.text);
    return false;
  }
  char text[1000];
  mc_slice_to_str(mc_buf_slice(&a.text), text, sizeof text);
  bool good = a.code == code && strstr(text, part);
  if (!good)
    printf("# %d %s\n", a.code, text);
  mc_buf_free(&a.text);
  return good;
}

static void test_topics_of_requests(void)
{
  static const char *const yes[] = {"$aws/things/car-1/shadow/get", "$aws/things/car-1/shadow/update", "$aws/things/c/shadow/delete", "$aws/things/c/shadow/name/door/update",
                                    "$aws/things/c/shadow/name/A:b_-9/get"};
  static const char *const no[] = {"$aws/things/car-1/shadow/update/accepted", "$aws/things/car-1/shadow", "$aws/things//shadow/get", "$aws/things/c/shadow/name/get",
                                   "$aws/things/c/shadow/name//get", "$aws/things/c/shadow/name/a.b/get", "$aws/things/c/shadow/updates", "things/c/shadow/get", "", "$aws/things/",
                                   "$aws/things/c/shadow/name/x/update/delta", "$aws/things/c/shadow/name/0123456789012345678901234567890123456789012345678901234567890123x/get"};
  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
    CHECK(mc_shadow_topic(mc_slice_str(yes[i])));
  for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
    CHECK(!mc_shadow_topic(mc_slice_str(no[i])));
}

static void test_a_device_is_answered_on_its_topics(void)
{
  CHECK(begin(0, 0));
  CHECK(device("$aws/things/car/shadow/get", "{\"clientToken\":\"tok\"}"));
  CHECK(heard(0, "$aws/things/car/shadow/get/rejected", "\"code\":404") && strstr(said[0].text, "\"clientToken\":\"tok\""));
  CHECK(device("$aws/things/car/shadow/update", "{\"state\":{\"desired\":{\"a\":1},\"reported\":{\"a\":0}}}"));
  CHECK(heard(1, "$aws/things/car/shadow/update/accepted", "\"version\":1"));
  CHECK(heard(2, "$aws/things/car/shadow/update/documents", "\"previous\""));
  CHECK(heard(3, "$aws/things/car/shadow/update/delta", "\"state\":{\"a\":1}"));
  CHECK(device("$aws/things/car/shadow/name/door/update", "{\"state\":{\"reported\":{\"open\":true}}}"));
  CHECK(heard(4, "$aws/things/car/shadow/name/door/update/accepted", "\"version\":1") && heard(5, "$aws/things/car/shadow/name/door/update/documents", "open"));
  CHECK(device("$aws/things/car/shadow/update", "{\"state\":{\"reported\":{\"a\":1}}}"));
  CHECK(heard(6, "$aws/things/car/shadow/update/accepted", "\"version\":2") && heard(7, "$aws/things/car/shadow/update/documents", "\"a\":1"));
  CHECK(device("$aws/things/car/shadow/update", "{\"state\":{\"reported\":{\"a\":2}},\"version\":1}"));
  CHECK(heard(8, "$aws/things/car/shadow/update/rejected", "\"code\":409"));
  CHECK(device("$aws/things/car/shadow/get", ""));
  CHECK(heard(9, "$aws/things/car/shadow/get/accepted", "\"version\":2"));
  CHECK(device("$aws/things/car/shadow/delete", "whatever"));
  CHECK(heard(10, "$aws/things/car/shadow/delete/rejected", "\"code\":400")); /* a body that is none of JSON is told, though a delete needs none */
  CHECK(device("$aws/things/car/shadow/delete", ""));
  CHECK(heard(11, "$aws/things/car/shadow/delete/accepted", "\"version\":2"));
  end();
}

static void test_the_api_asks_and_sees_what_devices_see(void)
{
  CHECK(begin(3, 0));
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_shadow_name *name;
  mc_shadow_change *list;
  mc_shadow_answer a;
  size_t count;
  CHECK_INT(change("car", "", "{\"state\":{\"desired\":{\"lock\":true}}}"), 200);
  CHECK_INT(change("car", "door", "{\"state\":{\"desired\":{\"open\":1}}}"), 200);
  CHECK_INT(change("car", "door", "{"), 400);
  CHECK_INT(change("car", "a.b", "{}"), -MC_ERR_INVALID);
  CHECK(state_is("car", "", 200, "\"lock\":true") && state_is("car", "door", 200, "\"delta\":{\"open\":1}") && state_is("bus", "", 404, "No shadow"));
  CHECK_OK(mc_shadow_list(shadows, 1, MC_LIT("car"), (mc_slice){0}, 10, &arena, &name, &count, &why));
  CHECK(count == 2 && !name[0].name.len && mc_slice_eq_str(name[1].name, "door") && name[1].version == 1);
  CHECK_OK(mc_shadow_list(shadows, 1, MC_LIT("car"), MC_LIT(""), 10, &arena, &name, &count, &why));
  CHECK(count == 1 && mc_slice_eq_str(name[0].name, "door"));
  CHECK_OK(mc_shadow_list(shadows, 2, MC_LIT("car"), (mc_slice){0}, 10, &arena, &name, &count, &why));
  CHECK_INT(count, 0);
  for (int i = 2; i <= 5; i++)
    CHECK_INT(change("car", "door", "{\"state\":{\"desired\":{\"open\":2}}}"), 200);
  CHECK_OK(mc_shadow_delete(shadows, 1, MC_LIT("car"), MC_LIT("door"), 9, &a, &why));
  CHECK_INT(a.code, 200);
  mc_buf_free(&a.text);
  CHECK_OK(mc_shadow_history(shadows, 1, MC_LIT("car"), MC_LIT("door"), 0, 10, &arena, &list, &count, &why));
  CHECK_INT(count, 4); /* three versions are kept, and the deletion of the last */
  CHECK(list[0].deleted && list[0].version == 5 && !list[0].state.len && list[1].version == 5 && !list[1].deleted && list[3].version == 3);
  CHECK(list[1].principal == 9 && list[1].time_us && mc_slice_eq_str(list[1].state, "{\"desired\":{\"open\":2}}"));
  CHECK_OK(mc_shadow_history(shadows, 1, MC_LIT("car"), MC_LIT("door"), 4, 10, &arena, &list, &count, &why));
  CHECK(count == 1 && list[0].version == 3);
  CHECK_OK(mc_shadow_list(shadows, 1, MC_LIT("car"), MC_LIT(""), 10, &arena, &name, &count, &why));
  CHECK_INT(count, 0);
  CHECK_INT(change("car", "door", "{\"state\":{\"desired\":{\"open\":3}}}"), 200);
  CHECK(state_is("car", "door", 200, "\"version\":6")); /* a deletion does not begin anew */
  CHECK_OK(mc_shadow_forget(shadows, 1, MC_LIT("car"), &why));
  CHECK(state_is("car", "door", 404, "No shadow") && state_is("car", "", 404, "No shadow"));
  close_all();
  CHECK(open_all(3, 0) && state_is("car", "", 404, "No shadow"));
  end();
}

static void test_what_memory_does_not_hold_the_database_does(void)
{
  CHECK(begin(0, 2));
  char thing[20], part[40], payload[80];
  for (int i = 0; i < 40; i++) {
    snprintf(thing, sizeof thing, "car-%d", i);
    snprintf(payload, sizeof payload, "{\"state\":{\"reported\":{\"n\":%d}}}", i);
    CHECK_INT(change(thing, "", payload), 200);
  }
  mc_shadows_stats stats;
  for (int i = 39; i >= 0; i--) {
    snprintf(thing, sizeof thing, "car-%d", i);
    snprintf(part, sizeof part, "\"n\":%d}", i);
    CHECK(state_is(thing, "", 200, part));
  }
  for (int i = 0; i < 1200; i++) { /* what is not saved yet stays; then there is room again */
    usleep(50000);
    snprintf(thing, sizeof thing, "car-%d", i % 40);
    snprintf(part, sizeof part, "\"n\":%d}", i % 40);
    CHECK(state_is(thing, "", 200, part));
    snprintf(thing, sizeof thing, "bus-%d", i); /* one more asks for room */
    CHECK(state_is(thing, "", 404, "No shadow"));
    mc_shadows_stats_get(shadows, &stats);
    if (stats.cached <= 3)
      break;
  }
  CHECK(stats.cached <= 3);
  CHECK_INT(stats.accepted, 40);
  CHECK_INT(stats.refused, 0);
  end();
}

static void test_large_documents_leave_memory_however_few_they_are(void)
{
  cached_bytes = 20000;
  CHECK(begin(0, 0));
  char name[20], part[40], payload[2100];
  mc_shadows_stats stats;
  for (int i = 0; i < 40; i++) { /* one device, many names */
    snprintf(name, sizeof name, "n%d", i);
    int n = snprintf(payload, sizeof payload, "{\"state\":{\"reported\":{\"n\":%d,\"x\":\"", i);
    memset(payload + n, 'x', 2000);
    snprintf(payload + n + 2000, sizeof payload - (size_t)n - 2000, "\"}}}");
    CHECK_INT(change("car", name, payload), 200);
  }
  stats.cached = 40;
  for (int i = 0; i < 1200 && stats.cached > 12; i++) { /* what is not saved yet stays */
    usleep(50000);
    mc_shadows_stats_get(shadows, &stats);
  }
  CHECK(stats.cached <= 12);
  for (int i = 0; i < 40; i++) {
    snprintf(name, sizeof name, "n%d", i);
    snprintf(part, sizeof part, "\"n\":%d,", i);
    CHECK(state_is("car", name, 200, part));
  }
  end();
  cached_bytes = 0;
}

static void test_a_thing_has_a_rate(void)
{
  CHECK(begin(0, 0));
  limits.per_second = 2;
  uint64_t offset;
  int64_t at_us = 1800000000000000;
  for (int i = 0; i < 4; i++) { /* the second one of a second, by the records' own time */
    mc_record r = {.stream = MC_STREAM_SHADOW, .tenant = 1, .time_us = at_us + i * 400000, .topic = MC_LIT("$aws/things/car/shadow/update"), .payload = MC_LIT("{\"state\":{\"reported\":{\"a\":1}}}")};
    CHECK_OK(mc_journal_append_sync(journal, &r, &offset, &why));
  }
  CHECK(heard(4, "$aws/things/car/shadow/update/rejected", "\"code\":429") && heard(5, "$aws/things/car/shadow/update/accepted", "\"version\":3"));
  end();
}

/* Writers of one version: one wins each time. */
static atomic_int won, lost;
static void *fight(void *arg)
{
  char payload[100];
  for (int i = 0; i < 40; i++) {
    snprintf(payload, sizeof payload, "{\"state\":{\"desired\":{\"n\":%d}},\"version\":%d}", i, i);
    int code = change("car", "", payload);
    while (code == 409 && !state_is("car", "", 200, "\"version\"")) /* it is there once somebody won */
      usleep(1000);
    atomic_fetch_add(code == 200 ? &won : &lost, code == 200 || code == 409);
  }
  return NULL;
}

static void test_of_two_writers_of_a_version_one_wins(void)
{
  CHECK(begin(0, 0));
  pthread_t other[3];
  for (int i = 0; i < 3; i++)
    CHECK(!pthread_create(&other[i], NULL, fight, NULL));
  for (int i = 0; i < 3; i++)
    pthread_join(other[i], NULL);
  char part[60];
  snprintf(part, sizeof part, "\"version\":%d", (int)atomic_load(&won));
  CHECK_INT(won + lost, 120);
  CHECK(state_is("car", "", 200, part));
  end();
}

/* A child writes until it is killed; what it said was accepted is there, once. */
static int kill_while_writing(useconds_t after_us, int already)
{
  int pipe_of[2], accepted = already;
  if (pipe(pipe_of))
    return -1;
  pid_t child = fork();
  if (!child) {
    if (!open_all(0, 0))
      _exit(1);
    for (int i = already; i < 100000; i++)
      if (change("car", i % 2 ? "odd" : "", "{\"state\":{\"reported\":{\"a\":1}}}") != 200 || write(pipe_of[1], "+", 1) != 1)
        _exit(2);
    _exit(3);
  }
  close(pipe_of[1]);
  char c;
  if (read(pipe_of[0], &c, 1) == 1)
    accepted++;
  usleep(after_us);
  kill(child, SIGKILL);
  while (read(pipe_of[0], &c, 1) == 1)
    accepted++;
  close(pipe_of[0]);
  waitpid(child, NULL, 0);
  return accepted;
}

static uint64_t version_of(const char *shadow)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_shadow_change *list;
  size_t count;
  if (mc_shadow_history(shadows, 1, MC_LIT("car"), mc_slice_str(shadow), 0, 1, &arena, &list, &count, &why) || !count)
    return 0;
  return list[0].version;
}

static void test_a_kill_loses_nothing_and_doubles_nothing(void)
{
  CHECK(begin(0, 0));
  close_all();
  int written = 0;
  for (int round = 0; round < 8; round++) {
    int accepted = kill_while_writing((useconds_t)(round * 70000), written);
    CHECK(accepted > written);
    CHECK(open_all(0, 0));
    int there = (int)(version_of("") + version_of("odd"));
    if (there < accepted || there > accepted + 1)
      printf("# accepted %d, there %d\n", accepted, there);
    CHECK(there == accepted || there == accepted + 1); /* the one that was under way */
    written = there;
    close_all();
  }
  CHECK(open_all(0, 0));
  end();
}

/* A backup takes the journal first and the database last, and a restore may cut the journal: then the database is ahead. */
static void test_a_database_ahead_of_its_journal_loses_nothing_that_comes(void)
{
  CHECK(begin(0, 0));
  char path[300];
  uint64_t offset;
  CHECK_INT(change("car", "", "{\"state\":{\"reported\":{\"n\":0}}}"), 200);
  uint64_t ahead = mc_journal_end_offset(journal) + 2000;
  close_all();
  snprintf(path, sizeof path, "%s/db", dir);
  CHECK_OK(mc_db_open_sqlite(path, &db, &why));
  CHECK_OK(mc_db_run(db, &why, "UPDATE shadow_progress SET journal_offset = $1", "i", (int64_t)ahead));
  mc_db_close(&db);
  CHECK(open_all(0, 0) && state_is("car", "", 200, "\"version\":1"));
  close_all(); /* as a kill before anything came: there was nothing to save */
  snprintf(path, sizeof path, "%s/journal", dir);
  CHECK_OK(mc_journal_open(&(mc_journal_config){.fs = mc_fs_posix(), .dir = path}, &journal, &why));
  int written = 0;
  for (; written < 1000 && mc_journal_end_offset(journal) < ahead + 2000; written++) { /* acknowledged, and then it was killed */
    mc_record r = {.stream = MC_STREAM_SHADOW, .flags = MC_RECORD_QOS1, .tenant = 1, .time_us = mc_clock_wall_us(), .topic = MC_LIT("$aws/things/car/shadow/update"),
                   .payload = MC_LIT("{\"state\":{\"reported\":{\"n\":1}}}")};
    CHECK_OK(mc_journal_append_sync(journal, &r, &offset, &why));
  }
  mc_journal_close(&journal);
  char part[40];
  snprintf(part, sizeof part, "\"version\":%d", 1 + written);
  CHECK(open_all(0, 0) && state_is("car", "", 200, part));
  end();
}

static void test_while_the_database_takes_nothing_requests_go_on(void)
{
  CHECK(begin(0, 0));
  mc_db *other;
  char path[300];
  snprintf(path, sizeof path, "%s/db", dir);
  CHECK_INT(change("car", "", "{\"state\":{\"reported\":{\"a\":1}}}"), 200);
  CHECK_OK(mc_db_open_sqlite(path, &other, &why));
  CHECK_OK(mc_db_begin(other, true, &why)); /* a tool that holds it: no save succeeds */
  for (int i = 0; i < 10; i++)
    CHECK_INT(change("car", "", "{\"state\":{\"reported\":{\"a\":2}}}"), 200);
  usleep(600000);
  CHECK(state_is("car", "", 200, "\"version\":11"));
  mc_db_end(other, false, NULL);
  mc_db_close(&other);
  CHECK_INT(change("car", "", "{\"state\":{\"reported\":{\"a\":3}}}"), 200);
  CHECK_INT(version_of(""), 12);
  close_all();
  CHECK(open_all(0, 0) && state_is("car", "", 200, "\"version\":12"));
  end();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_topics_of_requests);
  RUN(test_a_device_is_answered_on_its_topics);
  RUN(test_the_api_asks_and_sees_what_devices_see);
  RUN(test_what_memory_does_not_hold_the_database_does);
  RUN(test_large_documents_leave_memory_however_few_they_are);
  RUN(test_a_thing_has_a_rate);
  RUN(test_of_two_writers_of_a_version_one_wins);
  RUN(test_a_kill_loses_nothing_and_doubles_nothing);
  RUN(test_a_database_ahead_of_its_journal_loses_nothing_that_comes);
  RUN(test_while_the_database_takes_nothing_requests_go_on);
  return tap_done();
}
