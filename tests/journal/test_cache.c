#include <fcntl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "journal_rig.h"

/* What stays in the page cache, asked of the kernel. */

enum { SEGMENT = 16 << 20, RECORD = 1 << 20, TMPFS = 0x01021994 };

static double resident_share(const char *dir, uint64_t first)
{
  char path[600];
  unsigned char pages[SEGMENT / 4096];
  size_t in = 0;
  snprintf(path, sizeof path, "%s/%016llx.mcj", dir, (unsigned long long)first);
  int fd = open(path, O_RDONLY);
  void *map = fd < 0 ? MAP_FAILED : mmap(NULL, SEGMENT, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED || mincore(map, SEGMENT, pages))
    return -1;
  for (size_t i = 0; i < sizeof pages; i++)
    in += pages[i] & 1;
  munmap(map, SEGMENT);
  close(fd);
  return (double)in / (double)sizeof pages;
}

static mc_err append_mib(mc_journal *j, int count)
{
  static uint8_t payload[RECORD - 200];
  for (int i = 0; i < count; i++) {
    mc_record r = {.stream = MC_STREAM_MESSAGE, .tenant = 1, .topic = MC_LIT("t"), .payload = mc_slice_of(payload, sizeof payload)};
    MC_TRY(mc_journal_append_sync(j, &r, NULL, NULL));
  }
  return MC_OK;
}

static bool becomes_small(const char *dir, uint64_t first)
{
  for (int i = 0; i < 1200; i++) {
    if (resident_share(dir, first) < 0.1)
      return true;
    usleep(50000);
  }
  return false;
}

static void test_gives_pages_back_that_nobody_will_read(void)
{
  mc_journal *j;
  mc_why why;
  struct statfs st;
  const char *dir = rig_fresh_dir();
  mc_journal_config config = rig_config(mc_fs_posix(), dir);
  config.segment_bytes = SEGMENT;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  if (statfs(dir, &st) || st.f_type == TMPFS)
    SKIP("the folder for temporary files is in memory, where pages cannot be given back");
  mc_journal_reader *reader;
  CHECK_OK(mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why));
  CHECK_OK(append_mib(j, 160));
  usleep(600000); /* three rounds of the keeper */
  CHECK(resident_share(dir, 6 * SEGMENT) > 0.9); /* a reader has it before it, and was more than 64 MiB behind when it was written */
  mc_record r;
  while (mc_journal_reader_next(reader, &r, &why) == MC_OK)
    ;
  CHECK(becomes_small(dir, 6 * SEGMENT));
  CHECK(resident_share(dir, 9 * SEGMENT) > 0.5); /* the last 32 MiB */
  mc_journal_reader_destroy(&reader);
  CHECK_OK(mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why)); /* given back is not lost */
  CHECK_OK(mc_journal_reader_next(reader, &r, &why));
  CHECK_INT(r.payload.len, RECORD - 200);
  mc_journal_reader_destroy(&reader);
  mc_journal_close(&j);
}

int main(void)
{
  RUN(test_gives_pages_back_that_nobody_will_read);
  return tap_done();
}
