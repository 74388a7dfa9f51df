/* Walks every call the journal makes to the file system, lets it fail in each way, and looks at what is left. */
#include "journal_rig.h"

enum { RECORDS = 90, BURST = 3 };
enum fate { NOT_SENT, SENT, ACKNOWLEDGED, REFUSED };

typedef struct run {
  mc_fs *fs;
  mc_loop *loop;
  mc_journal_writer *writer;
  enum fate fate[2 * RECORDS + 1];
  uint64_t sent, told;
  bool wrong; /* commits out of order */
} run;

static void on_commit(void *ctx, const mc_commit *c)
{
  run *r = ctx;
  size_t at = 0;
  mc_record rec;
  for (uint64_t t = c->first_ticket; mc_commit_next(c, &at, &rec); t++) {
    r->wrong |= t != r->told + 1;
    r->told = t;
    uint64_t n = rig_number(&rec);
    if (n <= 2 * RECORDS)
      r->fate[n] = c->err ? REFUSED : ACKNOWLEDGED;
  }
  mc_commit_release(c);
}

/* Appends records first..last in small bursts, waiting for each burst's answer. */
static void send_records(run *r, mc_journal *j, uint64_t first, uint64_t last)
{
  uint8_t payload[256];
  if (mc_loop_create(&r->loop, NULL) || mc_journal_writer_create(j, r->loop, on_commit, r, &r->writer))
    abort();
  r->sent = r->told = 0;
  for (uint64_t n = first; n <= last; n++) {
    mc_record rec = rig_record(payload, 7, n);
    if (mc_journal_append(r->writer, &rec, NULL))
      abort();
    r->fate[n] = SENT;
    r->sent++;
    int64_t give_up = mc_clock_mono_us() + 20000000;
    while ((n % BURST == 0 || n == last) && r->told < r->sent && mc_clock_mono_us() < give_up)
      mc_loop_turn(r->loop, 100);
  }
  mc_journal_writer_destroy(&r->writer);
  mc_loop_destroy(&r->loop);
}

static mc_journal_config small(const mc_fs *fs, const char *dir)
{
  mc_journal_config c = rig_config(fs, dir);
  c.segment_bytes = 16384;
  c.group_wait_us = 1;
  return c;
}

/* What the journal holds now: whole, in order, nothing invented, everything acknowledged there. */
static const char *judge(run *r, mc_journal *j, bool refused_may_return)
{
  static char text[MC_WHY_TEXT + 100];
  mc_journal_reader *reader;
  mc_why why = {0};
  mc_record rec;
  uint64_t last = 0;
  bool seen[2 * RECORDS + 1] = {false};
  if (mc_journal_reader_create(j, mc_journal_first_offset(j), (mc_journal_filter){0}, &reader, &why))
    return strcpy(text, why.text);
  mc_err err;
  while (!(err = mc_journal_reader_next(reader, &rec, &why))) {
    uint64_t n = rig_number(&rec);
    if (n <= last || n > 2 * RECORDS || r->fate[n] == NOT_SENT || !rig_same(&rec, 7, n)) {
      snprintf(text, sizeof text, "record %llu after %llu at %llu", (unsigned long long)n, (unsigned long long)last, (unsigned long long)rec.offset);
      err = MC_ERR_INVALID;
      break;
    }
    seen[n] = true;
    last = n;
  }
  mc_journal_reader_destroy(&reader);
  if (err == MC_ERR_INVALID)
    return text;
  if (err != MC_ERR_END) {
    snprintf(text, sizeof text, "reader: %s: %s", mc_err_text(err), why.text);
    return text;
  }
  for (uint64_t n = 1; n <= 2 * RECORDS; n++) {
    if (r->fate[n] == ACKNOWLEDGED && !seen[n])
      return snprintf(text, sizeof text, "acknowledged record %llu is lost", (unsigned long long)n), text;
    if (r->fate[n] == REFUSED && seen[n] && !refused_may_return)
      return snprintf(text, sizeof text, "refused record %llu is there", (unsigned long long)n), text;
  }
  return NULL;
}

static const char *verify_clean(const mc_fs *fs, const char *dir)
{
  static mc_why why;
  mc_journal_report report;
  if (mc_journal_verify(fs, dir, &report, &why))
    return why.text;
  return report.damaged_at != UINT64_MAX ? why.text : NULL;
}

/* One life: work with the fault armed, die or go on, open again, look, work on, look again. */
static const char *live_through(mc_fault_kind kind, uint64_t call, uint64_t seed, bool *reached)
{
  static char text[MC_WHY_TEXT + 100];
  run r = {0};
  mc_why why = {0};
  mc_journal *j;
  const char *dir = rig_fresh_dir();
  if (mc_fs_fault_open(&r.fs, &why))
    return "cannot make the twin";
  mc_journal_config config = small(r.fs, dir);
  mc_fs_fault_arm(r.fs, call, kind);
  mc_err err = mc_journal_open(&config, &j, &why);
  if (!err) {
    send_records(&r, j, 1, RECORDS);
    mc_journal_close(&j);
  }
  *reached = mc_fs_fault_calls(r.fs) >= call;
  const char *wrong = r.wrong ? "commits came out of order" : r.told < r.sent ? "a record was never answered" : NULL;
  if (kind == MC_FAULT_POWER_CUT && mc_fs_fault_recover(r.fs, seed, &why))
    wrong = "the twin could not recover";
  mc_fs_fault_arm(r.fs, 0, MC_FAULT_NONE);
  if (!wrong && (err = mc_journal_open(&config, &j, &why)) != MC_OK) {
    snprintf(text, sizeof text, "reopen: %s", why.text);
    wrong = text;
  } else if (!wrong) {
    bool power = kind == MC_FAULT_POWER_CUT;
    wrong = judge(&r, j, power);
    send_records(&r, j, RECORDS + 1, 2 * RECORDS);
    for (int n = RECORDS + 1; n <= 2 * RECORDS && !wrong; n++)
      if (r.fate[n] != ACKNOWLEDGED)
        wrong = "a record was not taken after reopening";
    if (!wrong)
      wrong = judge(&r, j, power);
    mc_journal_close(&j);
    if (!wrong)
      wrong = verify_clean(r.fs, dir);
  }
  mc_fs_fault_close(&r.fs);
  return wrong;
}

static void walk(mc_fault_kind kind, const char *name, int seeds)
{
  uint64_t lives = 0;
  bool reached = true;
  for (uint64_t call = 1; reached; call++)
    for (int seed = 1; seed <= seeds; seed++) {
      const char *wrong = live_through(kind, call, call * 1000 + (uint64_t)seed, &reached);
      lives++;
      if (wrong)
        TAP_FAIL("%s at call %llu, seed %d: %s", name, (unsigned long long)call, seed, wrong);
      if (call > 5000)
        TAP_FAIL("%s: the walk does not end", name);
    }
  printf("# %s: %llu lives\n", name, (unsigned long long)lives);
  CHECK(lives > 50);
}

static void test_survives_an_io_error_at_every_call(void) { walk(MC_FAULT_EIO, "EIO", 1); }
static void test_survives_a_full_disk_at_every_call(void) { walk(MC_FAULT_ENOSPC, "ENOSPC", 1); }
static void test_survives_a_read_only_disk_at_every_call(void) { walk(MC_FAULT_EROFS, "EROFS", 1); }
static void test_survives_a_short_write_at_every_call(void) { walk(MC_FAULT_SHORT, "SHORT", 1); }
static void test_survives_a_short_write_that_goes_on_at_every_call(void) { walk(MC_FAULT_PART, "PART", 1); }
static void test_survives_a_power_cut_at_every_call(void) { walk(MC_FAULT_POWER_CUT, "POWER_CUT", 4); }

static void test_survives_faults_while_recovering(void)
{
  const mc_fault_kind kinds[] = {MC_FAULT_EIO, MC_FAULT_ENOSPC, MC_FAULT_POWER_CUT};
  const char *dir = rig_fresh_dir();
  run r = {0};
  mc_why why = {0};
  mc_journal *j;
  CHECK_OK(mc_fs_fault_open(&r.fs, &why));
  mc_journal_config config = small(r.fs, dir);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  send_records(&r, j, 1, RECORDS);
  mc_journal_close(&j);
  for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
    for (uint64_t call = 1; call < 60; call++) {
      mc_fs_fault_arm(r.fs, call, kinds[k]);
      if (!mc_journal_open(&config, &j, &why))
        mc_journal_close(&j);
      else
        CHECK(why.text[0]);
      mc_fs_fault_arm(r.fs, 0, MC_FAULT_NONE);
      if (kinds[k] == MC_FAULT_POWER_CUT)
        CHECK_OK(mc_fs_fault_recover(r.fs, call, &why));
      mc_err err = mc_journal_open(&config, &j, &why);
      if (err)
        TAP_FAIL("reopen after fault %d at call %llu: %s", (int)kinds[k], (unsigned long long)call, why.text);
      const char *wrong = judge(&r, j, false);
      mc_journal_close(&j);
      if (wrong)
        TAP_FAIL("fault %d at call %llu: %s", (int)kinds[k], (unsigned long long)call, wrong);
    }
  mc_fs_fault_close(&r.fs);
}

static void goes_on_after(mc_fault_kind kind, mc_err told, const char *text)
{
  const char *dir = rig_fresh_dir();
  run r = {0};
  mc_why why = {0};
  mc_journal *j;
  CHECK_OK(mc_fs_fault_open(&r.fs, &why));
  mc_journal_config config = small(r.fs, dir);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  send_records(&r, j, 1, 30);
  mc_fs_fault_hold(r.fs, kind);
  send_records(&r, j, 31, 60);
  uint8_t payload[256];
  mc_record rec = rig_record(payload, 7, 61);
  CHECK_INT(mc_journal_append_sync(j, &rec, NULL, &why), told);
  CHECK_WHY(why, text);
  mc_fs_fault_hold(r.fs, MC_FAULT_NONE);
  mc_err err = told;
  for (int i = 0; i < 600 && err; i++) { /* the next segment is tried again every 0.1 s */
    usleep(100000);
    err = mc_journal_append_sync(j, &rec, NULL, &why);
  }
  CHECK_OK(err);
  r.fate[61] = ACKNOWLEDGED;
  send_records(&r, j, 62, 2 * RECORDS);
  for (int n = 1; n <= 2 * RECORDS; n++)
    CHECK_INT(r.fate[n], n > 30 && n < 61 ? REFUSED : ACKNOWLEDGED);
  const char *wrong = judge(&r, j, false);
  mc_journal_close(&j);
  if (wrong)
    TAP_FAIL("%s", wrong);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  wrong = judge(&r, j, false);
  mc_journal_close(&j);
  if (wrong)
    TAP_FAIL("reopened: %s", wrong);
  mc_fs_fault_close(&r.fs);
}

static void test_goes_on_when_space_is_back(void) { goes_on_after(MC_FAULT_ENOSPC, MC_ERR_FULL, "No space left"); }
static void test_goes_on_when_a_read_only_disk_can_be_written_again(void) { goes_on_after(MC_FAULT_EROFS, MC_ERR_IO, "Read-only file system"); }

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RIG_EACH_IO {
    RUN(test_survives_an_io_error_at_every_call);
    RUN(test_survives_a_full_disk_at_every_call);
    RUN(test_survives_a_read_only_disk_at_every_call);
    RUN(test_survives_a_short_write_at_every_call);
    RUN(test_survives_a_power_cut_at_every_call);
    RUN(test_goes_on_when_space_is_back);
    RUN(test_goes_on_when_a_read_only_disk_can_be_written_again);
  }
  rig_io = MC_JOURNAL_IO_URING; /* plain calls do not see it: the file layer goes on by itself */
  RUN(test_survives_a_short_write_that_goes_on_at_every_call);
  rig_io = MC_JOURNAL_IO_PLAIN; /* recovery writes no groups */
  RUN(test_survives_faults_while_recovering);
  rig_remove_all(rig_dir);
  return tap_done();
}
