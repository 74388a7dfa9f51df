/* Walks every call that a journal which compacts makes to the file system, lets it fail in each way, and looks at what is left. */
#include "retention_rig.h"

enum { TOPICS = 5, ROUNDS = 12 };

typedef struct life {
  mc_fs *fs;
  mc_journal_config config;
  int value[TOPICS]; /* last acknowledged value of each topic */
  int tried[TOPICS]; /* one behind it that was refused or not answered */
} life;

/* A round is a value for each topic, and noise: four rounds fill a segment. After a power cut there is nothing more to try. */
static void publish_rounds(life *l, mc_journal *j, int from, uint64_t cut)
{
  static char noise[3600];
  memset(noise, 'n', sizeof noise - 1);
  for (int round = from; round < from + ROUNDS && mc_fs_fault_calls(l->fs) < cut; round++) {
    for (int t = 0; t < TOPICS; t++) {
      char topic[16], text[16];
      snprintf(topic, sizeof topic, "t%d", t);
      snprintf(text, sizeof text, "%d", round + 1);
      if (put(j, topic, text, MC_RECORD_RETAIN, MC_STREAM_MESSAGE, NULL))
        l->tried[t] = round + 1;
      else
        l->value[t] = round + 1;
    }
    if (put(j, "noise", noise, 0, MC_STREAM_TELEMETRY, NULL)) /* what was refused is tried again later: later is now */
      atomic_fetch_add(&mono_ahead_us, 1000000);
  }
}

/* Every topic has its last acknowledged value, or one that was tried after it. */
static const char *judge(life *l, mc_journal *j)
{
  static char text[MC_WHY_TEXT + 64];
  int seen[TOPICS] = {0};
  mc_journal_reader *reader;
  mc_record r;
  mc_err err = mc_journal_reader_create(j, 0, (mc_journal_filter){.compacted = true}, &reader, &why);
  if (err)
    return why.text;
  while (!(err = mc_journal_reader_next(reader, &r, &why)))
    if (r.flags & MC_RECORD_RETAIN)
      seen[r.topic.data[1] - '0'] = atoi(mc_slice_to_str(r.payload, text, sizeof text) ? text : "-1");
  mc_journal_reader_destroy(&reader);
  if (err != MC_ERR_END)
    return snprintf(text, sizeof text, "reader: %s", why.text), text;
  for (int t = 0; t < TOPICS; t++)
    if (seen[t] < l->value[t] || (seen[t] > l->value[t] && seen[t] > l->tried[t]))
      return snprintf(text, sizeof text, "topic %d has %d, acknowledged was %d", t, seen[t], l->value[t]), text;
  return NULL;
}

static bool compacted_once(mc_journal *j, uint64_t arg)
{
  (void)arg;
  mc_journal_state s;
  mc_journal_state_get(j, &s);
  return s.compacted_records > 0;
}

static const char *live_through(mc_fault_kind kind, uint64_t call, uint64_t seed, bool *reached)
{
  static char text[MC_WHY_TEXT + 100];
  life l = {0};
  mc_journal *j;
  if (mc_fs_fault_open(&l.fs, &why))
    return "no twin";
  l.config = small(l.fs, rig_fresh_dir());
  l.config.keep.bytes = 16384;
  const char *wrong = NULL;
  uint64_t cut = kind == MC_FAULT_POWER_CUT ? call : UINT64_MAX;
  mc_fs_fault_arm(l.fs, call, kind);
  if (!mc_journal_open(&l.config, &j, &why)) {
    publish_rounds(&l, j, 0, cut);
    if (mc_fs_fault_calls(l.fs) < cut && !within(20000, compacted_once, j, 0)) {
      atomic_fetch_add(&mono_ahead_us, 6000000); /* a compaction that failed is tried again after five seconds */
      within(200000, compacted_once, j, 0);
    }
    mc_journal_close(&j);
  }
  *reached = mc_fs_fault_calls(l.fs) >= call;
  mc_fs_fault_arm(l.fs, 0, MC_FAULT_NONE);
  if (kind == MC_FAULT_POWER_CUT && mc_fs_fault_recover(l.fs, seed, &why))
    wrong = "the twin could not recover";
  if (!wrong && mc_journal_open(&l.config, &j, &why)) {
    snprintf(text, sizeof text, "reopen: %s", why.text);
    wrong = text;
  } else if (!wrong) {
    wrong = judge(&l, j);
    publish_rounds(&l, j, ROUNDS, UINT64_MAX);
    if (!wrong && !until(compacted_once, j, 0))
      wrong = "nothing was compacted after reopening";
    if (!wrong)
      wrong = judge(&l, j);
    mc_journal_close(&j);
  }
  mc_fs_fault_close(&l.fs);
  return wrong;
}

static void walk(mc_fault_kind kind, const char *name, int seeds)
{
  bool reached = true;
  uint64_t lives = 0;
  for (uint64_t call = 1; reached && call < 5000; call++)
    for (int seed = 1; seed <= seeds; seed++, lives++) {
      const char *wrong = live_through(kind, call, call * 100 + (uint64_t)seed, &reached);
      if (wrong)
        TAP_FAIL("%s at call %llu, seed %d: %s", name, (unsigned long long)call, seed, wrong);
    }
  printf("# %s: %llu lives\n", name, (unsigned long long)lives);
  CHECK(lives > 100);
}

static void test_compaction_survives_a_power_cut_at_every_call(void) { walk(MC_FAULT_POWER_CUT, "POWER_CUT", 2); }
static void test_compaction_survives_an_io_error_at_every_call(void) { walk(MC_FAULT_EIO, "EIO", 1); }
static void test_compaction_survives_a_full_disk_at_every_call(void) { walk(MC_FAULT_ENOSPC, "ENOSPC", 1); }
static void test_compaction_survives_a_short_write_at_every_call(void) { walk(MC_FAULT_SHORT, "SHORT", 1); }

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  mc_clock_set_source(turned_wall, turned_mono);
  RUN(test_compaction_survives_a_power_cut_at_every_call);
  RUN(test_compaction_survives_an_io_error_at_every_call);
  RUN(test_compaction_survives_a_full_disk_at_every_call);
  RUN(test_compaction_survives_a_short_write_at_every_call);
  rig_remove_all(rig_dir);
  return tap_done();
}
