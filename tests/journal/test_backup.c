/* A journal copied beside its running process, and brought back to the end of any group. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "journal/format.h"
#include "journal_rig.h"

enum { RECORDS = 300 };

static mc_why why;
static char to_dir[300], next_dir[300], back_dir[300];
static uint64_t offset_of[RECORDS + 1], end_of[RECORDS + 1];

static mc_journal_config small(const mc_fs *fs, const char *dir)
{
  mc_journal_config c = rig_config(fs, dir);
  c.segment_bytes = 16384;
  return c;
}

static void clear_copies(void)
{
  snprintf(to_dir, sizeof to_dir, "%s-to", rig_dir);
  snprintf(next_dir, sizeof next_dir, "%s-next", rig_dir);
  snprintf(back_dir, sizeof back_dir, "%s-back", rig_dir);
  rig_remove_all(to_dir);
  rig_remove_all(next_dir);
  rig_remove_all(back_dir);
}

static void begin(void)
{
  rig_fresh_dir();
  clear_copies();
}

static void put(mc_journal *j, uint64_t n)
{
  uint8_t payload[256];
  mc_record r = rig_record(payload, 1, n);
  if (mc_journal_append_sync(j, &r, &offset_of[n], &why))
    abort();
  end_of[n] = mc_journal_end_offset(j);
}

/* How many records a folder holds from 1 on, each where it was; 0 when something is wrong. */
static uint64_t holds(const mc_fs *fs, const char *dir)
{
  mc_journal *j;
  mc_journal_reader *reader;
  mc_journal_config config = small(fs, dir);
  mc_journal_report report;
  mc_record r;
  uint64_t n = 0;
  if (mc_journal_verify(fs, dir, &report, &why) || report.damaged_at != UINT64_MAX || mc_journal_open(&config, &j, &why))
    return 0;
  if (!mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why)) {
    mc_err err;
    while (!(err = mc_journal_reader_next(reader, &r, &why)))
      if (!rig_same(&r, 1, ++n) || r.offset != offset_of[n])
        break;
    if (err != MC_ERR_END)
      n = 0;
    mc_journal_reader_destroy(&reader);
  }
  uint8_t payload[256];
  mc_record more = rig_record(payload, 1, 1);
  if (mc_journal_append_sync(j, &more, NULL, &why)) /* it goes on */
    n = 0;
  mc_journal_close(&j);
  return n;
}

static void test_a_backup_holds_what_was_there_and_goes_back_to_any_group(void)
{
  mc_journal *j;
  mc_journal_copy copy;
  begin();
  mc_journal_config config = small(mc_fs_posix(), rig_dir);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  for (uint64_t n = 1; n <= RECORDS; n++)
    put(j, n);
  CHECK_OK(mc_journal_backup(mc_fs_posix(), rig_dir, to_dir, NULL, NULL, NULL, &copy, &why));
  CHECK_INT(copy.end_offset, mc_journal_end_offset(j));
  CHECK_INT(copy.groups, RECORDS);
  mc_journal_close(&j);
  for (uint64_t n = 1; n <= RECORDS; n += n < 5 || n > RECORDS - 5 ? 1 : 13) {
    const uint64_t at[] = {end_of[n], end_of[n] + 8, n < RECORDS ? end_of[n + 1] - 8 : UINT64_MAX};
    for (size_t i = 0; i < 3; i++) { /* at the group's end, just behind it, just before the next one's */
      rig_remove_all(back_dir);
      CHECK_OK(mc_journal_restore(mc_fs_posix(), to_dir, back_dir, at[i], INT64_MAX, &copy, &why));
      CHECK_INT(copy.end_offset, end_of[n]);
      CHECK_INT(holds(mc_fs_posix(), back_dir), n);
    }
  }
  CHECK_INT(mc_journal_restore(mc_fs_posix(), "/nonexistent", back_dir, 0, INT64_MAX, &copy, &why), MC_ERR_NOT_FOUND);
}

static _Atomic int64_t wall_us = 1800000000000000;
static int64_t stepped_wall(void) { return atomic_load(&wall_us); }
static int64_t real_mono(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void test_a_time_means_the_last_group_written_at_or_before_it(void)
{
  mc_journal *j;
  mc_journal_copy copy;
  begin();
  mc_clock_set_source(stepped_wall, real_mono);
  int64_t began = atomic_load(&wall_us);
  mc_journal_config config = small(mc_fs_posix(), rig_dir);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  for (uint64_t n = 1; n <= RECORDS; n++) {
    atomic_store(&wall_us, began + (int64_t)n * 1000000);
    put(j, n);
  }
  mc_journal_close(&j);
  CHECK_OK(mc_journal_backup(mc_fs_posix(), rig_dir, to_dir, NULL, NULL, NULL, &copy, &why));
  for (uint64_t n = 1; n <= RECORDS; n += 29)
    for (int64_t part = 0; part < 1000000; part += 999999) {
      rig_remove_all(back_dir);
      CHECK_OK(mc_journal_restore(mc_fs_posix(), to_dir, back_dir, UINT64_MAX, began + (int64_t)n * 1000000 + part, &copy, &why));
      CHECK_INT(copy.end_time_us, began + (int64_t)n * 1000000);
      CHECK_INT(holds(mc_fs_posix(), back_dir), n);
    }
  rig_remove_all(back_dir);
  CHECK_INT(mc_journal_restore(mc_fs_posix(), to_dir, back_dir, UINT64_MAX, began, &copy, &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "use an older backup");
  mc_clock_set_source(NULL, NULL);
}

static void test_a_second_backup_shares_what_did_not_change(void)
{
  mc_journal *j;
  mc_journal_copy first, second;
  begin();
  mc_journal_config config = small(mc_fs_posix(), rig_dir);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  for (uint64_t n = 1; n <= 200; n++)
    put(j, n);
  CHECK_OK(mc_journal_backup(mc_fs_posix(), rig_dir, to_dir, NULL, NULL, NULL, &first, &why));
  for (uint64_t n = 201; n <= RECORDS; n++)
    put(j, n);
  CHECK_OK(mc_journal_backup(mc_fs_posix(), rig_dir, next_dir, to_dir, NULL, NULL, &second, &why));
  mc_journal_close(&j);
  CHECK(first.reused == 0 && second.reused >= 16384 && second.reused < second.bytes);
  rig_remove_all(to_dir); /* each backup is whole by itself */
  CHECK_OK(mc_journal_restore(mc_fs_posix(), next_dir, back_dir, UINT64_MAX, INT64_MAX, &second, &why));
  CHECK_INT(holds(mc_fs_posix(), back_dir), RECORDS);
}

/* ---- beside a busy process ---- */

static atomic_bool stop;
static _Atomic uint64_t written;

static void *write_on(void *arg)
{
  mc_journal *j = arg;
  uint8_t payload[256];
  for (uint64_t n = 1; !atomic_load(&stop); n++) {
    mc_record r = rig_record(payload, 1, n);
    if (mc_journal_append_sync(j, &r, NULL, NULL))
      abort();
    atomic_store(&written, n);
  }
  return NULL;
}

static void test_a_backup_beside_a_writer_holds_all_that_was_acknowledged_before_it(void)
{
  mc_journal *j;
  pthread_t thread;
  mc_journal_copy copy;
  begin();
  mc_journal_config config = small(mc_fs_posix(), rig_dir);
  config.keep.bytes = 32768; /* retention is at work too, and waits */
  CHECK_OK(mc_journal_open(&config, &j, &why));
  atomic_store(&stop, false);
  CHECK(!pthread_create(&thread, NULL, write_on, j));
  for (int round = 0; round < 12; round++) {
    clear_copies();
    uint64_t was = atomic_load(&written), before;
    for (int i = 0; i < 600 && (i < 2 || atomic_load(&written) == was); i++) /* at least one: the disk may be slow */
      usleep(50000);
    before = atomic_load(&written);
    CHECK_OK(mc_journal_backup(mc_fs_posix(), rig_dir, to_dir, NULL, NULL, NULL, &copy, &why));
    CHECK_OK(mc_journal_restore(mc_fs_posix(), to_dir, back_dir, UINT64_MAX, INT64_MAX, &copy, &why));
    mc_journal_reader *reader;
    mc_record r;
    mc_err err;
    uint64_t last = 0;
    CHECK_OK(mc_journal_open_reader(mc_fs_posix(), back_dir, copy.first_offset, (mc_journal_filter){0}, &reader, &why));
    while (!(err = mc_journal_reader_next(reader, &r, &why))) {
      uint64_t n = rig_number(&r);
      CHECK((!last || n == last + 1) && rig_same(&r, 1, n));
      last = n;
    }
    mc_journal_reader_destroy(&reader);
    CHECK_INT(err, MC_ERR_END);
    CHECK(last >= before);
  }
  atomic_store(&stop, true);
  pthread_join(thread, NULL);
  mc_journal_close(&j);
}

static void test_damage_is_refused_and_names_the_repair(void)
{
  mc_journal *j;
  mc_journal_copy copy;
  mc_file *f;
  char path[600];
  begin();
  mc_journal_config config = small(mc_fs_posix(), rig_dir);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  for (uint64_t n = 1; n <= RECORDS; n++)
    put(j, n);
  mc_journal_close(&j);
  snprintf(path, sizeof path, "%s/0000000000000000.mcj", rig_dir);
  CHECK_OK(mc_file_open(mc_fs_posix(), path, MC_FILE_READ | MC_FILE_WRITE, &f, &why));
  CHECK_OK(mc_file_pwrite(f, "x", 1, offset_of[2] + 50, &why));
  mc_file_close(&f);
  CHECK_INT(mc_journal_backup(mc_fs_posix(), rig_dir, to_dir, NULL, NULL, NULL, &copy, &why), MC_ERR_CHECKSUM);
  CHECK_WHY(why, "motorcade journal repair");
  mc_journal_repair_report report;
  CHECK_OK(mc_journal_repair(mc_fs_posix(), rig_dir, NULL, NULL, &report, &why));
  rig_remove_all(to_dir);
  CHECK_OK(mc_journal_backup(mc_fs_posix(), rig_dir, to_dir, NULL, NULL, NULL, &copy, &why));
  snprintf(path, sizeof path, "%s/hold", rig_dir);
  CHECK_OK(mc_file_open(mc_fs_posix(), path, MC_FILE_READ | MC_FILE_WRITE, &f, &why));
  CHECK_OK(mc_file_lock(f, &why));
  CHECK_INT(mc_journal_backup(mc_fs_posix(), rig_dir, to_dir, NULL, NULL, NULL, &copy, &why), MC_ERR_CONFLICT);
  mc_file_close(&f);
}

/* A fault at every call: the backup says so or is whole, and the journal it was taken from is as it was. */
static void walk(mc_fault_kind kind)
{
  mc_journal_copy copy;
  mc_journal *j;
  uint64_t lives = 0;
  for (uint64_t call = 1, reached = 1; reached; call++, lives++) {
    mc_fs *fs;
    CHECK_OK(mc_fs_fault_open(&fs, &why));
    begin();
    mc_journal_config config = small(fs, rig_dir);
    CHECK_OK(mc_journal_open(&config, &j, &why));
    for (uint64_t n = 1; n <= 120; n++)
      put(j, n);
    mc_journal_close(&j);
    uint64_t before = mc_fs_fault_calls(fs);
    mc_fs_fault_arm(fs, call, kind);
    mc_err err = mc_journal_backup(fs, rig_dir, to_dir, NULL, NULL, NULL, &copy, &why);
    if (!err)
      err = mc_journal_restore(fs, to_dir, back_dir, UINT64_MAX, INT64_MAX, &copy, &why);
    reached = mc_fs_fault_calls(fs) - before >= call;
    CHECK(!err || why.text[0]);
    mc_fs_fault_arm(fs, 0, MC_FAULT_NONE);
    if (kind == MC_FAULT_POWER_CUT && err)
      CHECK_OK(mc_fs_fault_recover(fs, call, &why));
    CHECK_INT(holds(fs, rig_dir), 120);
    if (!err) {
      mc_fs_fault_arm(fs, 1, MC_FAULT_POWER_CUT); /* what was told to be done survives the next cut */
      mc_journal_verify(fs, back_dir, &(mc_journal_report){0}, &why);
      CHECK_OK(mc_fs_fault_recover(fs, call, &why));
      CHECK_INT(holds(fs, back_dir), 120);
    }
    mc_fs_fault_close(&fs);
  }
  printf("# %llu lives\n", (unsigned long long)lives);
  CHECK(lives > 40);
}

static void test_backup_and_restore_survive_a_power_cut_at_every_call(void) { walk(MC_FAULT_POWER_CUT); }
static void test_backup_and_restore_survive_a_full_disk_at_every_call(void) { walk(MC_FAULT_ENOSPC); }

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_backup_holds_what_was_there_and_goes_back_to_any_group);
  RUN(test_a_time_means_the_last_group_written_at_or_before_it);
  RUN(test_a_second_backup_shares_what_did_not_change);
  RUN(test_a_backup_beside_a_writer_holds_all_that_was_acknowledged_before_it);
  RUN(test_damage_is_refused_and_names_the_repair);
  RUN(test_backup_and_restore_survive_a_power_cut_at_every_call);
  RUN(test_backup_and_restore_survive_a_full_disk_at_every_call);
  rig_fresh_dir();
  begin();
  rig_remove_all(rig_dir);
  return tap_done();
}
