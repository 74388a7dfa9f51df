#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "edge/edge.h"
#include "tap.h"

static char dir[64];

static void fresh_dir(void)
{
  snprintf(dir, sizeof dir, "/tmp/mc-spool-XXXXXX");
  if (!mkdtemp(dir))
    abort();
}

static mc_err keep_none(void *ctx, const char *name)
{
  char path[512];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return mc_fs_unlink(mc_fs_posix(), path, NULL);
}
static mc_err count_one(void *ctx, const char *name)
{
  ++*(int *)ctx;
  return MC_OK;
}
static void remove_dir(void)
{
  mc_fs_list(mc_fs_posix(), dir, keep_none, NULL, NULL);
  rmdir(dir);
}

static mc_spool *open_spool(uint64_t max)
{
  mc_spool *s = NULL;
  mc_why why;
  return mc_spool_open(mc_fs_posix(), dir, max, &s, &why) ? NULL : s;
}

static uint64_t push(mc_spool *s, uint32_t priority, const char *text)
{
  uint64_t id = 0;
  return mc_spool_push(s, priority, MC_LIT("t"), mc_slice_str(text), &id, NULL) ? 0 : id;
}

/* The next payload as text; "" when there is none. */
static const char *next(mc_spool *s, uint64_t *id)
{
  static char text[256];
  mc_buf topic = {0}, payload = {0};
  text[0] = 0;
  if (mc_spool_peek(s, id, &topic, &payload, NULL) == MC_OK)
    mc_slice_to_str(mc_buf_slice(&payload), text, sizeof text);
  mc_buf_free(&topic);
  mc_buf_free(&payload);
  return text;
}

static void test_hands_out_the_most_urgent_then_the_oldest(void)
{
  fresh_dir();
  mc_spool *s = open_spool(0);
  push(s, 5, "a5");
  push(s, 1, "b1");
  push(s, 5, "c5");
  push(s, 0, "d0");
  uint64_t id;
  CHECK_STR(next(s, &id), "d0");
  CHECK_STR(next(s, &id), "b1");
  mc_spool_putback(s, id);
  CHECK_STR(next(s, &id), "b1");
  CHECK_STR(next(s, &id), "a5");
  CHECK_STR(next(s, &id), "c5");
  CHECK_STR(next(s, &id), "");
  CHECK_INT(mc_spool_count(s), 4);
  mc_spool_rewind(s);
  CHECK_STR(next(s, &id), "d0");
  mc_spool_done(s, id);
  mc_spool_done(s, id); /* twice is harmless */
  CHECK_INT(mc_spool_count(s), 3);
  mc_spool_close(&s);
  remove_dir();
}

static void test_survives_a_restart_without_what_was_done(void)
{
  fresh_dir();
  mc_spool *s = open_spool(0);
  for (int n = 0; n < 10; n++) {
    char text[16];
    snprintf(text, sizeof text, "m%d", n);
    CHECK(push(s, 0, text));
  }
  uint64_t id;
  for (int n = 0; n < 4; n++) {
    next(s, &id);
    mc_spool_done(s, id);
  }
  next(s, &id); /* handed out, not acknowledged */
  CHECK_OK(mc_spool_sync(s, NULL));
  mc_spool_close(&s);
  s = open_spool(0);
  CHECK_INT(mc_spool_count(s), 6);
  CHECK_STR(next(s, &id), "m4");
  uint64_t fresh = push(s, 0, "new");
  CHECK(fresh > id + 5);
  for (int n = 5; n < 10; n++)
    next(s, &id);
  CHECK_STR(next(s, &id), "new");
  CHECK_INT(id, fresh);
  mc_spool_close(&s);
  remove_dir();
}

static void test_torn_tail_is_cut_off_at_every_byte(void)
{
  fresh_dir();
  mc_spool *s = open_spool(0);
  push(s, 0, "first");
  push(s, 0, "second");
  push(s, 0, "third");
  mc_spool_close(&s);
  char path[128];
  snprintf(path, sizeof path, "%s/spool-%016x.log", dir, 1);
  mc_buf whole = {0};
  CHECK_OK(mc_fs_read(mc_fs_posix(), path, 1 << 20, &whole, NULL));
  for (size_t cut = 0; cut <= whole.len; cut++) {
    CHECK_OK(mc_fs_replace(mc_fs_posix(), path, mc_slice_of(whole.data, cut), 0600, NULL));
    s = open_spool(0);
    CHECK(s);
    size_t want = cut == whole.len ? 3 : cut >= 32 + 1 + 5 + 32 + 1 + 6 ? 2 : cut >= 32 + 1 + 5 ? 1 : 0;
    CHECK_INT(mc_spool_count(s), want);
    CHECK(push(s, 0, "after"));
    mc_spool_close(&s);
    s = open_spool(0);
    CHECK_INT(mc_spool_count(s), want + 1);
    mc_spool_close(&s);
    mc_fs_list(mc_fs_posix(), dir, keep_none, NULL, NULL);
  }
  mc_buf_free(&whole);
  remove_dir();
}

static void test_flipped_bytes_lose_no_more_than_they_touch(void)
{
  fresh_dir();
  mc_spool *s = open_spool(0);
  push(s, 0, "first");
  push(s, 0, "second");
  mc_spool_close(&s);
  char path[128];
  snprintf(path, sizeof path, "%s/spool-%016x.log", dir, 1);
  mc_buf whole = {0};
  CHECK_OK(mc_fs_read(mc_fs_posix(), path, 1 << 20, &whole, NULL));
  for (size_t at = 38; at < whole.len; at++) { /* in the second record */
    whole.data[at] ^= 0x55;
    CHECK_OK(mc_fs_replace(mc_fs_posix(), path, mc_buf_slice(&whole), 0600, NULL));
    whole.data[at] ^= 0x55;
    s = open_spool(0);
    CHECK(s);
    uint64_t id;
    CHECK_INT(mc_spool_count(s), 1);
    CHECK_STR(next(s, &id), "first");
    mc_spool_close(&s);
    mc_fs_list(mc_fs_posix(), dir, keep_none, NULL, NULL);
  }
  mc_buf_free(&whole);
  remove_dir();
}

static void fills_up(bool disk)
{
  mc_spool *s = NULL;
  uint64_t max = 1 << 20;
  if (disk)
    fresh_dir();
  CHECK_OK(mc_spool_open(mc_fs_posix(), disk ? dir : NULL, max, &s, NULL));
  char text[200];
  for (int n = 0; n < 20000; n++) {
    memset(text, 'x', 180);
    snprintf(text + 180, sizeof text - 180, "%d", n);
    CHECK(push(s, 0, text));
  }
  CHECK(mc_spool_dropped(s) > 10000);
  CHECK_INT(mc_spool_count(s) + mc_spool_dropped(s), 20000);
  CHECK(mc_spool_count(s) * 200 > max / 2); /* at least half of the ring is used */
  uint64_t id, last = 0;
  uint64_t left = mc_spool_count(s);
  for (uint64_t n = 0; n < left; n++) {
    const char *got = next(s, &id);
    CHECK(atoi(got + 180) == (int)(20000 - left + n)); /* the newest ones, in order */
    CHECK(id > last);
    last = id;
    mc_spool_done(s, id);
  }
  CHECK_INT(mc_spool_count(s), 0);
  if (disk) {
    int files = 0;
    mc_fs_list(mc_fs_posix(), dir, count_one, &files, NULL);
    CHECK_INT(files, 0); /* nothing to send: nothing on disk */
  }
  mc_spool_close(&s);
  if (disk)
    remove_dir();
}
static void test_full_ring_drops_the_oldest_on_disk(void) { fills_up(true); }
static void test_full_ring_drops_the_oldest_in_memory(void) { fills_up(false); }

static void test_too_large_messages_are_refused(void)
{
  mc_spool *s;
  CHECK_OK(mc_spool_open(NULL, NULL, 65536, &s, NULL));
  uint8_t *big = calloc(1, 40000);
  uint64_t id;
  mc_why why;
  CHECK_INT(mc_spool_push(s, 0, MC_LIT("t"), mc_slice_of(big, 40000), &id, &why), MC_ERR_TOO_LARGE);
  CHECK_WHY(why, "40001");
  CHECK_INT(mc_spool_count(s), 0);
  free(big);
  mc_spool_close(&s);
}

static void test_power_cut_at_every_call_loses_nothing_synced(void)
{
  uint64_t total = 0;
  for (uint64_t k = 1; k < 60 && (!total || k <= total + 1); k++) {
    fresh_dir();
    mc_fs *fs;
    CHECK_OK(mc_fs_fault_open(&fs, NULL));
    if (total)
      mc_fs_fault_arm(fs, k, MC_FAULT_POWER_CUT);
    mc_spool *s = NULL;
    uint64_t synced = 0;
    bool opened = mc_spool_open(fs, dir, 1 << 20, &s, NULL) == MC_OK;
    for (int n = 0; n < 6 && opened && push(s, 0, "payload") && mc_spool_sync(s, NULL) == MC_OK; n++)
      synced = (uint64_t)n + 1;
    if (s)
      mc_spool_close(&s);
    if (!total) {
      total = mc_fs_fault_calls(fs);
      CHECK(total > 6);
      k = 0;
    } else {
      CHECK_OK(mc_fs_fault_recover(fs, k, NULL));
    }
    CHECK_OK(mc_spool_open(fs, dir, 1 << 20, &s, NULL));
    if (mc_spool_count(s) < synced)
      TAP_FAIL("cut at call %llu: %llu of %llu synced messages left", (unsigned long long)k, (unsigned long long)mc_spool_count(s), (unsigned long long)synced);
    mc_spool_close(&s);
    mc_fs_fault_close(&fs);
    remove_dir();
  }
}

/* A record as the README draws it, with a right checksum. */
static void put_record(FILE *f, uint8_t kind, uint64_t id, const char *payload)
{
  uint8_t bytes[200] = {'M', 'C', 'S', '1'};
  size_t len = strlen(payload);
  bytes[8] = kind;
  mc_store_le16(bytes + 10, 1);
  mc_store_le32(bytes + 12, (uint32_t)len);
  mc_store_le64(bytes + 16, id);
  bytes[32] = 't';
  memcpy(bytes + 33, payload, len);
  mc_store_le32(bytes + 4, mc_crc32c(0, bytes + 8, 25 + len));
  fwrite(bytes, 1, 33 + len, f);
}

static FILE *spool_file(const char *name)
{
  char path[200];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return fopen(path, "wb");
}

/* A done record with the highest id there is made recovery fill places for ids until memory ran out. */
static void test_made_up_ids_cost_neither_memory_nor_messages(void)
{
  static const uint64_t made_up[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 62, UINT64_C(1) << 40, 1u << 30};
  for (size_t k = 0; k < sizeof made_up / sizeof made_up[0]; k++)
    for (uint8_t kind = 1; kind <= 2; kind++) {
      uint64_t id;
      fresh_dir();
      FILE *f = spool_file("spool-0000000000000001.log");
      CHECK(f);
      put_record(f, 1, 5, "five");
      put_record(f, kind, made_up[k], kind == 1 ? "far" : "");
      fclose(f);
      mc_spool *s = open_spool(1 << 20);
      CHECK(s);
      CHECK_STR(next(s, &id), "five");
      CHECK_INT(id, 5);
      CHECK_STR(next(s, &id), "");
      CHECK_INT(push(s, 0, "after"), 6);
      mc_spool_close(&s);
      remove_dir();
    }
}

static void test_other_files_in_the_folder_are_left_alone(void)
{
  static const char *const names[] = {"spool-1.log", "spool-0000000000000001.log.old", "spool-+000000000000001.log", "spool-.log"};
  fresh_dir();
  for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
    FILE *f = spool_file(names[k]);
    CHECK(f);
    put_record(f, 1, 5, "not ours");
    fclose(f);
  }
  mc_spool *s = open_spool(1 << 20);
  CHECK(s);
  CHECK_INT(mc_spool_count(s), 0);
  mc_spool_close(&s);
  int count = 0;
  mc_fs_list(mc_fs_posix(), dir, count_one, &count, NULL);
  CHECK_INT(count, sizeof names / sizeof names[0]);
  remove_dir();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2); /* torn tails are told hundreds of times */
  RUN(test_hands_out_the_most_urgent_then_the_oldest);
  RUN(test_survives_a_restart_without_what_was_done);
  RUN(test_torn_tail_is_cut_off_at_every_byte);
  RUN(test_flipped_bytes_lose_no_more_than_they_touch);
  RUN(test_full_ring_drops_the_oldest_on_disk);
  RUN(test_full_ring_drops_the_oldest_in_memory);
  RUN(test_too_large_messages_are_refused);
  RUN(test_power_cut_at_every_call_loses_nothing_synced);
  RUN(test_made_up_ids_cost_neither_memory_nor_messages);
  RUN(test_other_files_in_the_folder_are_left_alone);
  return tap_done();
}
