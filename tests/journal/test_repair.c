/* Repair: what is damaged is set aside, what is whole stays where it is, and the journal reads on without a complaint. */
#include "journal/format.h"
#include "journal_rig.h"

enum { RECORDS = 400 };

static mc_why why;
static uint64_t offset_of[RECORDS + 1];
static mc_journal_loss heard[64];
static size_t heard_len;

static void told(void *ctx, const mc_journal_loss *loss)
{
  (void)ctx;
  if (heard_len < 64)
    heard[heard_len++] = *loss;
}

static mc_journal_config small(const mc_fs *fs, const char *dir)
{
  mc_journal_config c = rig_config(fs, dir);
  c.segment_bytes = 16384;
  c.journal_id[0] = 77;
  return c;
}

static void make(const mc_fs *fs)
{
  mc_journal *j;
  mc_journal_config config = small(fs, rig_fresh_dir());
  if (mc_journal_open(&config, &j, &why))
    abort();
  for (uint64_t n = 1; n <= RECORDS; n++) {
    uint8_t payload[256];
    mc_record r = rig_record(payload, 1, n);
    if (mc_journal_append_sync(j, &r, &offset_of[n], &why))
      abort();
  }
  mc_journal_close(&j);
  heard_len = 0;
}

/* The files of a journal, made once: each life begins with them. */
static struct { char name[64]; mc_buf bytes; } pattern[32];
static size_t pattern_len;

static mc_err keep_one(void *ctx, const char *name)
{
  char path[600];
  (void)ctx;
  if (pattern_len == sizeof pattern / sizeof pattern[0])
    return MC_ERR_FULL;
  snprintf(pattern[pattern_len].name, sizeof pattern[0].name, "%s", name);
  snprintf(path, sizeof path, "%s/%s", rig_dir, name);
  return mc_fs_read(mc_fs_posix(), path, 1 << 20, &pattern[pattern_len++].bytes, &why);
}

static mc_err make_again(void)
{
  if (!pattern_len) {
    make(mc_fs_posix());
    MC_TRY(mc_fs_list(mc_fs_posix(), rig_dir, keep_one, NULL, &why));
  }
  MC_TRY(mc_fs_mkdirs(mc_fs_posix(), rig_fresh_dir(), &why));
  for (size_t i = 0; i < pattern_len; i++) {
    char path[600];
    mc_file *f;
    snprintf(path, sizeof path, "%s/%s", rig_dir, pattern[i].name);
    MC_TRY(mc_file_open(mc_fs_posix(), path, MC_FILE_WRITE | MC_FILE_CREATE, &f, &why));
    mc_err err = mc_file_pwrite(f, pattern[i].bytes.data, pattern[i].bytes.len, 0, &why);
    mc_file_close(&f);
    MC_TRY(err);
  }
  heard_len = 0;
  return MC_OK;
}

/* Path of the segment that holds offset, and the position in it. */
static const char *place(uint64_t offset, uint64_t *at)
{
  static char path[600];
  *at = offset % 16384;
  snprintf(path, sizeof path, "%s/%016llx.mcj", rig_dir, (unsigned long long)(offset - *at));
  return path;
}

static void smash(const mc_fs *fs, uint64_t offset, size_t len)
{
  uint64_t at;
  mc_file *f;
  if (mc_file_open(fs, place(offset, &at), MC_FILE_READ | MC_FILE_WRITE, &f, &why))
    abort();
  for (size_t i = 0; i < len; i++) {
    uint8_t b;
    size_t got;
    mc_file_pread(f, &b, 1, at + i, &got, &why);
    b ^= 0x55;
    mc_file_pwrite(f, &b, 1, at + i, &why);
  }
  mc_file_sync(f, &why);
  mc_file_close(&f);
}

/* Reads everything; lost[n] says which may be missing. Gives what is wrong. */
static const char *judge(const mc_fs *fs, const bool lost[RECORDS + 1])
{
  static char text[MC_WHY_TEXT + 64];
  mc_journal_report report;
  if (mc_journal_verify(fs, rig_dir, &report, &why) || report.damaged_at != UINT64_MAX)
    return why.text;
  mc_journal *j;
  mc_journal_config config = small(fs, rig_dir);
  mc_journal_reader *reader;
  if (mc_journal_open(&config, &j, &why) || mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why))
    return why.text;
  bool seen[RECORDS + 2] = {false};
  mc_record r;
  mc_err err;
  while (!(err = mc_journal_reader_next(reader, &r, &why))) {
    uint64_t n = rig_number(&r);
    if (n < 1 || n > RECORDS || !rig_same(&r, 1, n) || r.offset != offset_of[n])
      return "a record is not what was written, or not where";
    seen[n] = true;
  }
  mc_journal_reader_destroy(&reader);
  uint8_t payload[256];
  mc_record more = rig_record(payload, 1, 1);
  if (err == MC_ERR_END && mc_journal_append_sync(j, &more, NULL, &why))
    err = MC_ERR_IO;
  mc_journal_close(&j);
  if (err != MC_ERR_END)
    return why.text;
  for (uint64_t n = 1; n <= RECORDS; n++)
    if (!seen[n] && !lost[n])
      return snprintf(text, sizeof text, "record %llu is lost", (unsigned long long)n), text;
  return NULL;
}

static void check(const mc_fs *fs, const bool lost[RECORDS + 1])
{
  const char *wrong = judge(fs, lost);
  if (wrong)
    TAP_FAIL("%s", wrong);
}

static void test_a_whole_journal_is_left_as_it_is(void)
{
  mc_journal_repair_report report;
  make(mc_fs_posix());
  CHECK_OK(mc_journal_repair(mc_fs_posix(), rig_dir, told, NULL, &report, &why));
  CHECK_INT(report.ranges, 0);
  CHECK(report.segments >= 3 && report.left_alone == UINT64_MAX);
  check(mc_fs_posix(), (bool[RECORDS + 1]){false});
}

static void on_commit(void *ctx, const mc_commit *c)
{
  *(uint32_t *)ctx += c->count;
  mc_commit_release(c);
}

/* One record smashed inside its payload: it alone is lost, and named. */
static void test_only_the_damaged_record_of_a_group_is_lost(void)
{
  mc_journal *j;
  mc_loop *loop;
  mc_journal_writer *w;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  mc_journal_repair_report report;
  CHECK_OK(mc_journal_open(&config, &j, &why)); /* a group of many records needs a writer that stages them at once */
  CHECK_OK(mc_loop_create(&loop, &why));
  uint32_t committed = 0;
  CHECK_OK(mc_journal_writer_create(j, loop, on_commit, &committed, &w));
  for (uint64_t n = 1; n <= 30; n++) {
    uint8_t payload[256];
    mc_record r = rig_record(payload, 1, n);
    CHECK_OK(mc_journal_append(w, &r, NULL));
  }
  while (committed < 30)
    mc_loop_turn(loop, 100);
  mc_journal_writer_destroy(&w);
  mc_journal_close(&j);
  mc_loop_destroy(&loop);
  mc_journal_reader *reader;
  mc_record r;
  uint64_t at[31] = {0};
  CHECK_OK(mc_journal_open_reader(mc_fs_posix(), rig_dir, 0, (mc_journal_filter){0}, &reader, &why));
  while (!mc_journal_reader_next(reader, &r, &why))
    at[rig_number(&r)] = r.offset;
  mc_journal_reader_destroy(&reader);
  uint8_t payload[256];
  mc_record last = rig_record(payload, 1, 31);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  CHECK_OK(mc_journal_append_sync(j, &last, NULL, &why)); /* something follows: it is no torn tail */
  mc_journal_close(&j);
  smash(mc_fs_posix(), at[12] + MC_RECORD_HEADER + 30, 3);
  heard_len = 0;
  CHECK_OK(mc_journal_repair(mc_fs_posix(), rig_dir, told, NULL, &report, &why));
  CHECK_INT(report.ranges, 1);
  CHECK_INT(report.records_lost, 1);
  CHECK(report.records_saved >= 1);
  CHECK_STR(heard[0].topic, "vehicles/truck-1/signals");
  CHECK_INT(heard[0].stream, MC_STREAM_TELEMETRY);
  CHECK(heard[0].from < at[12] && heard[0].to > at[12] && strstr(heard[0].kept_as, ".mcq"));
  CHECK_OK(mc_journal_open_reader(mc_fs_posix(), rig_dir, 0, (mc_journal_filter){0}, &reader, &why));
  for (uint64_t n = 1; n <= 31; n++) {
    if (n == 12)
      continue;
    CHECK_OK(mc_journal_reader_next(reader, &r, &why));
    CHECK(rig_same(&r, 1, n) && (n == 31 || r.offset == at[n]));
  }
  CHECK_INT(mc_journal_reader_next(reader, &r, &why), MC_ERR_END);
  mc_journal_reader_destroy(&reader);
  char path[600];
  mc_buf kept = {0};
  snprintf(path, sizeof path, "%s/%s", rig_dir, heard[0].kept_as);
  CHECK_OK(mc_fs_read(mc_fs_posix(), path, 1 << 20, &kept, &why));
  CHECK_INT(kept.len, 64 + heard[0].to - heard[0].from);
  CHECK_INT(mc_load_le64(kept.data + 8), heard[0].from);
  mc_buf_free(&kept);
}

static void test_every_kind_of_damage_is_mended(void)
{
  const mc_fs *fs = mc_fs_posix();
  mc_journal_repair_report report;
  for (uint64_t n = 2; n < RECORDS - 1; n += 7)
    for (int kind = 0; kind < 4; kind++) {
      bool lost[RECORDS + 1] = {false};
      CHECK_OK(make_again());
      uint64_t group = offset_of[n] - MC_GROUP_HEADER;
      if (kind == 0)
        smash(fs, group + 20, 2); /* the group's header */
      if (kind == 1)
        smash(fs, offset_of[n] + 13, 1); /* a length */
      if (kind == 2)
        smash(fs, offset_of[n] + 45, 1); /* a topic */
      if (kind == 3)
        smash(fs, group, 200); /* header and record, perhaps the next ones */
      lost[n] = kind != 0;
      lost[n + 1] = kind == 3;
      CHECK_OK(mc_journal_repair(fs, rig_dir, told, NULL, &report, &why));
      CHECK(report.ranges >= 1 && heard[0].from <= offset_of[n] && heard[0].to > offset_of[n]);
      check(fs, lost);
      CHECK_OK(mc_journal_repair(fs, rig_dir, told, NULL, &report, &why));
      CHECK_INT(report.ranges, 0);
    }
}

static void test_a_lost_header_seal_or_file_is_made_anew(void)
{
  const mc_fs *fs = mc_fs_posix();
  mc_journal_repair_report report;
  bool lost[RECORDS + 1] = {false};
  make(fs);
  smash(fs, 16384 + 10, 4); /* header of the second segment */
  CHECK_OK(mc_journal_repair(fs, rig_dir, told, NULL, &report, &why));
  CHECK_INT(report.ranges, 1);
  check(fs, lost);
  make(fs);
  uint64_t end = 0;
  for (uint64_t n = 1; n <= RECORDS && offset_of[n] < 16384; n++) {
    uint8_t payload[256];
    mc_record r = rig_record(payload, 1, n);
    uint32_t size;
    CHECK_OK(mc_record_size(&r, &size));
    end = offset_of[n] + size;
  }
  smash(fs, end + 3, 8); /* the seal of the first */
  CHECK_OK(mc_journal_repair(fs, rig_dir, told, NULL, &report, &why));
  CHECK_INT(report.ranges, 1);
  check(fs, lost);
  make(fs);
  uint64_t at;
  unlink(place(16384 + 100, &at));
  for (uint64_t n = 1; n <= RECORDS; n++)
    lost[n] = offset_of[n] > 16384 && offset_of[n] < 32768;
  CHECK_OK(mc_journal_repair(fs, rig_dir, told, NULL, &report, &why));
  CHECK_INT(report.ranges, 1);
  CHECK(heard[0].missing && heard[0].from == 16384 && heard[0].to == 32768);
  check(fs, lost);
}

static void test_repairs_beside_a_running_journal(void)
{
  const mc_fs *fs = mc_fs_posix();
  mc_journal_repair_report report;
  mc_journal *j;
  make(fs);
  mc_journal_config config = small(fs, rig_dir);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  smash(fs, offset_of[3] + 45, 1);
  CHECK_OK(mc_journal_repair(fs, rig_dir, told, NULL, &report, &why));
  CHECK_INT(report.ranges, 1);
  CHECK(report.left_alone != UINT64_MAX && report.left_alone > 0);
  mc_journal_reader *reader;
  mc_record r;
  CHECK_OK(mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why));
  for (uint64_t n = 1; n <= RECORDS; n++) {
    if (n == 3)
      continue;
    CHECK_OK(mc_journal_reader_next(reader, &r, &why));
    CHECK(rig_same(&r, 1, n));
  }
  mc_journal_reader_destroy(&reader);
  CHECK_OK(mc_journal_reader_create(j, 0, (mc_journal_filter){.streams = 1u << MC_STREAM_GAP}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &r, &why)); /* who asks for fillers gets them */
  CHECK_INT(r.offset, offset_of[3]);
  mc_journal_reader_destroy(&reader);
  mc_journal_close(&j);
}

static void test_two_repairs_at_once_are_refused(void)
{
  mc_journal_repair_report report;
  char path[600];
  mc_file *hold;
  make(mc_fs_posix());
  snprintf(path, sizeof path, "%s/hold", rig_dir);
  CHECK_OK(mc_file_open(mc_fs_posix(), path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, &hold, &why));
  CHECK_OK(mc_file_lock(hold, &why));
  CHECK_INT(mc_journal_repair(mc_fs_posix(), rig_dir, told, NULL, &report, &why), MC_ERR_CONFLICT);
  CHECK_WHY(why, "wait until it is done");
  mc_file_close(&hold);
  CHECK_INT(mc_journal_repair(mc_fs_posix(), "/nonexistent/journal", told, NULL, &report, &why), MC_ERR_NOT_FOUND);
}

/* A fault at every call of a repair: nothing more is lost, and the next repair finishes. */
static void walk(mc_fault_kind kind)
{
  mc_journal_repair_report report;
  mc_fs *fs;
  bool lost[RECORDS + 1] = {false};
  uint64_t lives = 0;
  lost[5] = lost[90] = lost[91] = true;
  for (uint64_t call = 1, reached = 1; reached; call++, lives++) {
    CHECK_OK(make_again());
    CHECK_OK(mc_fs_fault_open(&fs, &why));
    smash(fs, offset_of[5] + 45, 1);
    smash(fs, offset_of[90] + 41, 200);
    smash(fs, 16384 + 10, 4);
    uint64_t before = mc_fs_fault_calls(fs);
    mc_fs_fault_arm(fs, call, kind);
    mc_err err = mc_journal_repair(fs, rig_dir, told, NULL, &report, &why);
    reached = mc_fs_fault_calls(fs) - before >= call;
    CHECK(!err || why.text[0]);
    mc_fs_fault_arm(fs, 0, MC_FAULT_NONE);
    if (kind == MC_FAULT_POWER_CUT)
      CHECK_OK(mc_fs_fault_recover(fs, call, &why));
    CHECK_OK(mc_journal_repair(fs, rig_dir, told, NULL, &report, &why));
    const char *wrong = judge(fs, lost);
    if (wrong)
      TAP_FAIL("fault %d at call %llu: %s", (int)kind, (unsigned long long)call, wrong);
    mc_fs_fault_close(&fs);
  }
  printf("# %llu lives\n", (unsigned long long)lives);
  CHECK(lives > 30);
}

static void test_a_repair_survives_a_power_cut_at_every_call(void) { walk(MC_FAULT_POWER_CUT); }
static void test_a_repair_survives_a_full_disk_at_every_call(void) { walk(MC_FAULT_ENOSPC); }

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_whole_journal_is_left_as_it_is);
  RUN(test_only_the_damaged_record_of_a_group_is_lost);
  RUN(test_every_kind_of_damage_is_mended);
  RUN(test_a_lost_header_seal_or_file_is_made_anew);
  RUN(test_repairs_beside_a_running_journal);
  RUN(test_two_repairs_at_once_are_refused);
  RUN(test_a_repair_survives_a_power_cut_at_every_call);
  RUN(test_a_repair_survives_a_full_disk_at_every_call);
  for (size_t i = 0; i < pattern_len; i++)
    mc_buf_free(&pattern[i].bytes);
  rig_remove_all(rig_dir);
  return tap_done();
}
