/* What the journal's tests share: a scratch folder each, a loop that runs until commits came, records that tell their number. */
#ifndef TESTS_JOURNAL_RIG_H
#define TESTS_JOURNAL_RIG_H

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "journal/journal.h"
#include "tap.h"

static char rig_dir[256];

static inline void rig_remove_all(const char *dir)
{
  DIR *d = opendir(dir);
  if (!d)
    return;
  for (struct dirent *e; (e = readdir(d));) {
    char path[600];
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
      continue;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    unlink(path);
  }
  closedir(d);
  rmdir(dir);
}

/* A fresh folder that does not exist yet; removed at exit. */
static inline const char *rig_fresh_dir(void)
{
  const char *base = getenv("TMPDIR");
  static int registered;
  if (rig_dir[0])
    rig_remove_all(rig_dir);
  snprintf(rig_dir, sizeof rig_dir, "%s/mc-journal-%d", base && *base ? base : "/tmp", (int)getpid());
  rig_remove_all(rig_dir);
  if (!registered)
    registered = 1;
  return rig_dir;
}

static mc_journal_io rig_io; /* how groups are written: what is promised holds for each way */

static inline mc_journal_config rig_config(const mc_fs *fs, const char *dir)
{
  return (mc_journal_config){.fs = fs, .dir = dir, .segment_bytes = 64 << 10, .io = rig_io};
}

/* For every way to write groups; a kernel that refuses io_uring is told, and the second round is like the first. */
#define RIG_EACH_IO for (rig_io = MC_JOURNAL_IO_PLAIN; rig_io <= MC_JOURNAL_IO_URING && printf("# groups by %s\n", rig_io == MC_JOURNAL_IO_URING ? "io_uring" : "plain calls"); rig_io++)

/* Record number n of writer w: both stand in the payload, its length varies with n. */
static inline mc_record rig_record(uint8_t payload[256], uint32_t w, uint64_t n)
{
  size_t len = 16 + (size_t)(n * 37 % 200);
  memset(payload, (int)(n & 255), len);
  mc_store_le64(payload, n);
  mc_store_le32(payload + 8, w);
  return (mc_record){.stream = n % 3 == 0 ? MC_STREAM_TELEMETRY : MC_STREAM_MESSAGE,
                     .partition = (uint8_t)(n % MC_JOURNAL_PARTITIONS),
                     .flags = MC_RECORD_QOS1,
                     .tenant = 1,
                     .principal = w,
                     .time_us = (int64_t)(1700000000000000 + n),
                     .topic = MC_LIT("vehicles/truck-1/signals"),
                     .payload = mc_slice_of(payload, len)};
}

static inline uint64_t rig_number(const mc_record *r)
{
  return r->payload.len >= 8 ? mc_load_le64(r->payload.data) : UINT64_MAX;
}

static inline bool rig_same(const mc_record *r, uint32_t w, uint64_t n)
{
  uint8_t payload[256];
  mc_record want = rig_record(payload, w, n);
  return r->stream == want.stream && r->partition == want.partition && r->flags == want.flags && r->tenant == want.tenant &&
         r->principal == want.principal && r->time_us == want.time_us && mc_slice_eq(r->topic, want.topic) &&
         mc_slice_eq(r->payload, want.payload) && r->props.len == 0;
}

#endif
