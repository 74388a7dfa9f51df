/* A journal that was asked to write by io_uring, where that is not to be had, stops working, or answers late: it goes on by plain calls, says so, and what it
 * acknowledged is on disk. The journal's other tests run once by plain calls and once by io_uring. */
#include "base/metric.h"
#include "journal_rig.h"

static mc_why why;
static mc_fs *twin;

static mc_journal_config on_twin(void)
{
  mc_fs_fault_close(&twin);
  if (mc_fs_fault_open(&twin, &why))
    abort();
  mc_journal_config c = rig_config(twin, rig_fresh_dir());
  c.segment_bytes = 16384;
  c.io = MC_JOURNAL_IO_URING;
  return c;
}

static mc_err put(mc_journal *j, uint64_t first, uint64_t last)
{
  uint8_t payload[256];
  for (uint64_t n = first; n <= last; n++) {
    mc_record r = rig_record(payload, 1, n);
    MC_TRY(mc_journal_append_sync(j, &r, NULL, &why));
  }
  return MC_OK;
}

static uint64_t count(mc_journal *j)
{
  mc_journal_reader *reader;
  mc_record r;
  uint64_t n = 0;
  if (mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why))
    return UINT64_MAX;
  while (!mc_journal_reader_next(reader, &r, &why))
    n += rig_same(&r, 1, n + 1) ? 1 : 1000000;
  mc_journal_reader_destroy(&reader);
  return n;
}

static int64_t gauge(void) { return mc_metric_value(mc_metric_get(MC_METRIC_GAUGE, "motorcade_journal_uring", "", NULL)); }

static void test_is_used_where_it_was_asked_for(void)
{
  const mc_journal_io asked[] = {MC_JOURNAL_IO_AUTO, MC_JOURNAL_IO_PLAIN, MC_JOURNAL_IO_URING};
  for (size_t i = 0; i < 3; i++) {
    mc_journal *j;
    mc_journal_state s;
    mc_journal_config config = on_twin();
    config.io = asked[i];
    CHECK_OK(mc_journal_open(&config, &j, &why));
    mc_journal_state_get(j, &s);
    CHECK_INT(s.uring, asked[i] == MC_JOURNAL_IO_URING);
    CHECK_INT(gauge(), s.uring);
    CHECK_STR(s.uring_refused, "");
    CHECK_OK(put(j, 1, 200)); /* over several segments: seals go the same way */
    CHECK_INT(count(j), 200);
    mc_journal_close(&j);
  }
  mc_journal *j;
  mc_journal_config config = on_twin();
  config.io = (mc_journal_io)3;
  CHECK_INT(mc_journal_open(&config, &j, &why), MC_ERR_INVALID);
}

/* The log of what runs in between, as text. */
static int log_to(char path[64])
{
  snprintf(path, 64, "/tmp/mc-journal-log-XXXXXX");
  int fd = mkstemp(path);
  mc_log_configure(MC_LOG_WARN, MC_LOG_TEXT, fd);
  return fd;
}

static void log_back(int fd, const char *path, char *out, size_t size)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  ssize_t n = pread(fd, out, size - 1, 0);
  out[n > 0 ? n : 0] = 0;
  close(fd);
  unlink(path);
}

static void test_goes_by_plain_calls_where_the_kernel_refuses(void)
{
  static const struct {
    mc_fault_ring kind;
    const char *text;
  } refusal[] = {{MC_FAULT_RING_ABSENT, "this kernel has none"}, {MC_FAULT_RING_REFUSED, "not permitted here"}, {MC_FAULT_RING_OLD, "before Linux 5.6"},
                 {MC_FAULT_RING_NO_SYNC, "cannot sync"}, {MC_FAULT_RING_NO_MEMORY, "memory"}};
  for (size_t i = 0; i < sizeof refusal / sizeof refusal[0]; i++) {
    mc_journal *j;
    mc_journal_state s;
    char path[64], told[4096];
    mc_journal_config config = on_twin();
    mc_fs_fault_ring(twin, refusal[i].kind);
    int fd = log_to(path);
    mc_err err = mc_journal_open(&config, &j, &why);
    log_back(fd, path, told, sizeof told);
    CHECK_OK(err);
    CHECK(strstr(told, "io_uring is not to be had here") && strstr(told, refusal[i].text));
    mc_journal_state_get(j, &s);
    CHECK(!s.uring && strstr(s.uring_refused, refusal[i].text));
    CHECK_INT(gauge(), 0);
    CHECK_OK(put(j, 1, 50));
    CHECK_INT(count(j), 50);
    mc_journal_close(&j);
  }
}

static void test_goes_on_by_plain_calls_when_the_ring_stops_working(void)
{
  const mc_fault_ring kinds[] = {MC_FAULT_RING_BREAKS, MC_FAULT_RING_CLOSED};
  for (size_t i = 0; i < 2; i++)
    for (uint64_t before = 0; before < 130; before += 13) { /* in a group, and where a segment is sealed */
      mc_journal *j;
      mc_journal_state s;
      mc_journal_config config = on_twin();
      CHECK_OK(mc_journal_open(&config, &j, &why));
      CHECK_OK(put(j, 1, before));
      mc_journal_state_get(j, &s);
      CHECK(s.uring);
      mc_fs_fault_ring(twin, kinds[i]);
      CHECK_OK(put(j, before + 1, before + 80)); /* nothing was refused to anybody */
      mc_journal_state_get(j, &s);
      CHECK(!s.uring && strstr(s.uring_refused, "io_uring"));
      CHECK_INT(count(j), before + 80);
      mc_journal_close(&j);
      CHECK_OK(mc_journal_open(&config, &j, &why));
      CHECK_INT(count(j), before + 80);
      mc_journal_close(&j);
    }
}

/* A kernel that takes one operation at a time and does them in the other order: what was acknowledged outlives a power cut at any call. */
static void test_acknowledged_is_on_disk_however_the_kernel_orders_its_operations(void)
{
  for (uint64_t call = 1; call < 200; call += 3)
    for (uint64_t seed = 1; seed < 4; seed++) {
      mc_journal *j;
      mc_journal_config config = on_twin();
      CHECK_OK(mc_journal_open(&config, &j, &why));
      mc_fs_fault_ring(twin, MC_FAULT_RING_SLOW);
      uint64_t told = 0;
      mc_fs_fault_arm(twin, call, MC_FAULT_POWER_CUT);
      while (told < 100 && !put(j, told + 1, told + 1))
        told++;
      mc_journal_close(&j);
      CHECK_OK(mc_fs_fault_recover(twin, call * 10 + seed, &why));
      CHECK_OK(mc_journal_open(&config, &j, &why));
      uint64_t found = count(j);
      mc_journal_close(&j);
      if (found < told || found > told + 1)
        TAP_FAIL("power cut at call %llu, seed %llu: %llu records acknowledged, %llu there", (unsigned long long)call, (unsigned long long)seed, (unsigned long long)told,
                 (unsigned long long)found);
    }
}

static void test_the_real_kernel_writes_the_same_journal(void)
{
  mc_journal *j;
  mc_journal_state s;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.io = MC_JOURNAL_IO_URING;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  mc_journal_state_get(j, &s);
  CHECK_OK(put(j, 1, 500));
  CHECK_INT(count(j), 500);
  mc_journal_close(&j);
  config.io = MC_JOURNAL_IO_PLAIN;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  CHECK_INT(count(j), 500);
  mc_journal_close(&j);
  mc_journal_report report;
  CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &why));
  CHECK(report.records == 500 && report.damaged_at == UINT64_MAX && !report.torn_tail);
  if (!s.uring)
    SKIP(s.uring_refused);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_is_used_where_it_was_asked_for);
  RUN(test_goes_by_plain_calls_where_the_kernel_refuses);
  RUN(test_goes_on_by_plain_calls_when_the_ring_stops_working);
  RUN(test_acknowledged_is_on_disk_however_the_kernel_orders_its_operations);
  RUN(test_the_real_kernel_writes_the_same_journal);
  mc_fs_fault_close(&twin);
  rig_remove_all(rig_dir);
  return tap_done();
}
