/* mc_file_commit on the real kernel and on the twin's, with a ring and without: the same bytes, the same refusals. */
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "scratch.h"
#include "tap.h"

enum { MANY = 700 }; /* pieces: more than one submission takes */

static mc_why why;
static char path[600];

static const char *file_path(void)
{
  snprintf(path, sizeof path, "%s/file", scratch_folder("ring"));
  return path;
}

static bool holds(const mc_fs *fs, const void *want, size_t len, size_t from)
{
  mc_buf got = {0};
  bool same = !mc_fs_read(fs, path, 1 << 20, &got, &why) && got.len >= from + len && !memcmp(got.data + from, want, len);
  mc_buf_free(&got);
  return same;
}

/* Every way to commit: 0 plain, 1 by a ring of fs. */
static const char *commits(const mc_fs *fs, mc_file_ring *ring)
{
  static uint8_t bytes[MANY * 40];
  static mc_iov iov[MANY];
  mc_file *file;
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 131 >> 3);
  size_t at = 0;
  for (size_t i = 0; i < MANY; at += iov[i++].len)
    iov[i] = (mc_iov){bytes + at, i % 40}; /* empty ones too */
  mc_fs_unlink(fs, file_path(), NULL);
  if (mc_file_open(fs, path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, &file, &why))
    return why.text;
  const char *wrong = NULL;
  if (mc_file_commit(file, ring, iov, MANY, 100, &why) || !holds(fs, bytes, at, 100))
    wrong = "many pieces";
  if (!wrong && (mc_file_commit(file, ring, &(mc_iov){bytes + 7, 3000}, 1, 5, &why) || !holds(fs, bytes + 7, 3000, 5)))
    wrong = "one piece over others";
  if (!wrong && (mc_file_commit(file, ring, iov, 0, 5, &why) || mc_file_commit(file, ring, iov, 1, 5, &why)))
    wrong = "nothing to write";
  if (!wrong && mc_file_commit(file, ring, iov, 2, UINT64_MAX, &why) != MC_ERR_INVALID)
    wrong = "an offset that is none";
  mc_file_close(&file);
  if (wrong || mc_file_open(fs, path, MC_FILE_READ, &file, &why))
    return wrong ? wrong : why.text;
  if (!mc_file_commit(file, ring, iov, MANY, 0, &why))
    wrong = "a file that may only be read was written";
  mc_file_close(&file);
  return wrong;
}

static void test_writes_and_syncs_without_a_ring(void)
{
  const char *wrong = commits(mc_fs_posix(), NULL);
  if (wrong)
    TAP_FAIL("%s", wrong);
}

/* NULL, and the test skipped, where the kernel refuses. */
static mc_file_ring *real_ring(void)
{
  mc_file_ring *ring;
  if (mc_file_ring_create(mc_fs_posix(), &ring, &why))
    printf("# %s\n", why.text);
  return ring;
}

static void test_writes_and_syncs_by_the_kernels_ring(void)
{
  mc_file_ring *ring = real_ring();
  if (!ring)
    SKIP("io_uring is refused here");
  const char *wrong = commits(mc_fs_posix(), ring);
  mc_file_ring_destroy(&ring);
  if (wrong)
    TAP_FAIL("%s: %s", wrong, why.text);
}

static void test_a_full_device_is_told_as_such_by_the_kernels_ring(void)
{
  mc_file_ring *ring = real_ring();
  mc_file *file;
  if (!ring)
    SKIP("io_uring is refused here");
  CHECK_OK(mc_file_open(mc_fs_posix(), "/dev/full", MC_FILE_WRITE, &file, &why));
  CHECK_INT(mc_file_commit(file, ring, &(mc_iov){"text", 4}, 1, 0, &why), MC_ERR_FULL);
  CHECK_WHY(why, "/dev/full");
  mc_file_close(&file);
  mc_file_ring_destroy(&ring);
}

/* The real kernel writes a part of it, up to the limit on a file's size, and refuses the rest. */
static void short_write(mc_file_ring *ring)
{
  static uint8_t bytes[4000];
  struct rlimit old, low;
  mc_file *file;
  memset(bytes, 'b', sizeof bytes);
  mc_fs_unlink(mc_fs_posix(), file_path(), NULL);
  CHECK_OK(mc_file_open(mc_fs_posix(), path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, &file, &why));
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  low = old;
  low.rlim_cur = 1000;
  setrlimit(RLIMIT_FSIZE, &low);
  mc_err err = mc_file_commit(file, ring, &(mc_iov){bytes, sizeof bytes}, 1, 0, &why);
  setrlimit(RLIMIT_FSIZE, &old);
  mc_file_close(&file);
  CHECK(err && err != MC_ERR_UNSUPPORTED);
  CHECK(holds(mc_fs_posix(), bytes, 1000, 0));
}

static void test_a_short_write_of_the_real_kernel_goes_on_and_tells_the_error(void)
{
  short_write(NULL);
  if (tap_this_failed)
    return;
  mc_file_ring *ring = real_ring();
  if (!ring)
    SKIP("io_uring is refused here");
  short_write(ring);
  mc_file_ring_destroy(&ring);
}

/* ---- the twin's kernel ---- */

static mc_fs *twin;

static void open_twin(mc_file_ring **ring)
{
  mc_fs_fault_close(&twin);
  if (mc_fs_fault_open(&twin, &why) || mc_file_ring_create(twin, ring, &why))
    abort();
}

static void test_the_twins_kernel_takes_the_same(void)
{
  mc_file_ring *ring;
  const mc_fault_ring kinds[] = {MC_FAULT_RING_NONE, MC_FAULT_RING_SLOW};
  for (size_t k = 0; k < 2; k++) {
    open_twin(&ring);
    mc_fs_fault_ring(twin, kinds[k]);
    const char *wrong = commits(twin, ring);
    mc_file_ring_destroy(&ring);
    if (wrong)
      TAP_FAIL("kernel %zu: %s: %s", k, wrong, why.text);
  }
}

static void test_a_kernel_without_it_says_why(void)
{
  static const struct {
    mc_fault_ring kind;
    mc_err err;
    const char *text;
  } refusal[] = {{MC_FAULT_RING_ABSENT, MC_ERR_UNSUPPORTED, "this kernel has none"},
                 {MC_FAULT_RING_REFUSED, MC_ERR_UNSUPPORTED, "not permitted here"},
                 {MC_FAULT_RING_OLD, MC_ERR_UNSUPPORTED, "before Linux 5.6"},
                 {MC_FAULT_RING_NO_SYNC, MC_ERR_UNSUPPORTED, "cannot sync"},
                 {MC_FAULT_RING_NO_MEMORY, MC_ERR_MEMORY, "refuses"}};
  mc_file_ring *ring;
  mc_fs_fault_close(&twin);
  CHECK_OK(mc_fs_fault_open(&twin, &why));
  for (size_t i = 0; i < sizeof refusal / sizeof refusal[0]; i++) {
    mc_fs_fault_ring(twin, refusal[i].kind);
    CHECK_INT(mc_file_ring_create(twin, &ring, &why), refusal[i].err);
    CHECK(!ring);
    CHECK_WHY(why, refusal[i].text);
  }
}

static void test_a_ring_that_stops_working_is_told_as_unsupported(void)
{
  const mc_fault_ring kinds[] = {MC_FAULT_RING_BREAKS, MC_FAULT_RING_CLOSED};
  for (size_t k = 0; k < 2; k++) {
    mc_file_ring *ring;
    mc_file *file;
    open_twin(&ring);
    CHECK_OK(mc_file_open(twin, file_path(), MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, &file, &why));
    CHECK_OK(mc_file_commit(file, ring, &(mc_iov){"one", 3}, 1, 0, &why));
    mc_fs_fault_ring(twin, kinds[k]);
    CHECK_INT(mc_file_commit(file, ring, &(mc_iov){"two", 3}, 1, 0, &why), MC_ERR_UNSUPPORTED);
    CHECK_WHY(why, "io_uring");
    CHECK_OK(mc_file_commit(file, NULL, &(mc_iov){"two", 3}, 1, 0, &why));
    mc_fs_fault_ring(twin, MC_FAULT_RING_NONE); /* what was refused left nothing in the queue */
    CHECK_OK(mc_file_commit(file, ring, &(mc_iov){"6", 1}, 1, 3, &why));
    CHECK(holds(twin, "two6", 4, 0));
    mc_file_close(&file);
    mc_file_ring_destroy(&ring);
  }
}

/* Each fault at each of the two operations, and what a power cut right behind leaves: MC_OK means all of it. */
static void test_faults_of_the_operations(void)
{
  static const struct {
    mc_fault_kind kind;
    uint64_t call;
    mc_err err;
  } fault[] = {{MC_FAULT_EIO, 1, MC_ERR_IO},     {MC_FAULT_EIO, 2, MC_ERR_IO},   {MC_FAULT_ENOSPC, 1, MC_ERR_FULL}, {MC_FAULT_SHORT, 1, MC_ERR_IO},
               {MC_FAULT_PART, 1, MC_OK},        {MC_FAULT_NONE, 1, MC_OK},      {MC_FAULT_POWER_CUT, 1, MC_ERR_IO}, {MC_FAULT_POWER_CUT, 2, MC_ERR_IO},
               {MC_FAULT_EROFS, 2, MC_ERR_IO}};
  static uint8_t bytes[3000];
  memset(bytes, 'x', sizeof bytes);
  for (size_t i = 0; i < sizeof fault / sizeof fault[0]; i++)
    for (int slow = 0; slow < 2; slow++)
      for (uint64_t seed = 1; seed < 6; seed++) {
        mc_file_ring *ring;
        mc_file *file;
        uint64_t ignored;
        open_twin(&ring);
        mc_fs_unlink(twin, file_path(), NULL);
        CHECK_OK(mc_file_open(twin, path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, &file, &why));
        CHECK_OK(mc_file_sync(file, &why));
        CHECK_OK(mc_fs_sync_dir(twin, scratch_folder("ring"), &why));
        mc_fs_fault_ring(twin, slow ? MC_FAULT_RING_SLOW : MC_FAULT_RING_NONE);
        mc_fs_fault_arm(twin, fault[i].call, fault[i].kind);
        mc_err err = mc_file_commit(file, ring, &(mc_iov){bytes, sizeof bytes}, 1, 0, &why);
        if (!slow) /* the first operation is the sync there, the second the write: only "OK means durable" is the same */
          CHECK_INT(err, fault[i].err);
        mc_fs_fault_arm(twin, 1, MC_FAULT_POWER_CUT);
        mc_fs_free_bytes(twin, scratch_folder("ring"), &ignored, NULL);
        mc_file_close(&file);
        CHECK_OK(mc_fs_fault_recover(twin, seed, &why));
        if (!err)
          CHECK(holds(twin, bytes, sizeof bytes, 0));
        mc_file_ring_destroy(&ring);
      }
}

int main(void)
{
  RUN(test_writes_and_syncs_without_a_ring);
  RUN(test_writes_and_syncs_by_the_kernels_ring);
  RUN(test_a_full_device_is_told_as_such_by_the_kernels_ring);
  RUN(test_a_short_write_of_the_real_kernel_goes_on_and_tells_the_error);
  RUN(test_the_twins_kernel_takes_the_same);
  RUN(test_a_kernel_without_it_says_why);
  RUN(test_a_ring_that_stops_working_is_told_as_unsupported);
  RUN(test_faults_of_the_operations);
  mc_fs_fault_close(&twin);
  return tap_done();
}
