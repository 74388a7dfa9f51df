/* What mc_fs promises, on the system itself and on the twin while no fault is armed. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tap.h"

static const mc_fs *fs;
static char dir[200];
static mc_why why;

static const char *at(const char *name)
{
  static char path[4][400];
  static int turn;
  char *p = path[turn++ & 3];
  snprintf(p, sizeof path[0], "%s/%s", dir, name);
  return p;
}

static mc_err drop(void *ctx, const char *name)
{
  (void)ctx;
  unlink(at(name));
  return MC_OK;
}

static void sweep(void)
{
  mc_fs_list(mc_fs_posix(), dir, drop, NULL, NULL);
  rmdir(at("a/b"));
  rmdir(at("a"));
  rmdir(dir);
}

static mc_file *fresh(const char *name)
{
  mc_file *f = NULL;
  mc_fs_mkdirs(fs, dir, &why);
  mc_file_open(fs, at(name), MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, &f, &why);
  return f;
}

static void test_writes_and_reads_back(void)
{
  mc_file *f = fresh("f");
  CHECK(f);
  char got[64] = {0};
  size_t n;
  uint64_t size;
  CHECK_OK(mc_file_pwrite(f, "hello world", 11, 3, &why));
  CHECK_OK(mc_file_pwritev(f, (mc_iov[]){{"A", 1}, {NULL, 0}, {"BC", 2}}, 3, 0, &why));
  CHECK_OK(mc_file_sync(f, &why));
  CHECK_OK(mc_file_pread(f, got, sizeof got, 0, &n, &why));
  CHECK_INT(n, 14);
  CHECK_STR(got, "ABChello world");
  CHECK_OK(mc_file_pread(f, got, 5, 100, &n, &why));
  CHECK_INT(n, 0);
  CHECK_OK(mc_file_truncate(f, 4, &why));
  CHECK_OK(mc_file_size(f, &size, &why));
  CHECK_INT(size, 4);
  mc_file_close(&f);
  CHECK(f == NULL);
  mc_file_close(&f);
}

static void test_writes_more_pieces_than_one_call_takes(void)
{
  mc_file *f = fresh("pieces");
  static mc_iov iov[500];
  static char bytes[500 * 7];
  for (int i = 0; i < 500; i++) {
    memset(bytes + 7 * i, 'a' + i % 26, 7);
    iov[i] = (mc_iov){bytes + 7 * i, 7};
  }
  CHECK_OK(mc_file_pwritev(f, iov, 500, 10, &why));
  static char got[4000];
  size_t n;
  CHECK_OK(mc_file_pread(f, got, sizeof got, 10, &n, &why));
  CHECK_INT(n, sizeof bytes);
  CHECK(!memcmp(got, bytes, sizeof bytes));
  mc_file_close(&f);
}

static void test_writes_past_the_page_cache(void)
{
  static _Alignas(MC_FILE_DIRECT_ALIGN) uint8_t bytes[4 * MC_FILE_DIRECT_ALIGN], got[4 * MC_FILE_DIRECT_ALIGN];
  enum { BLOCK = MC_FILE_DIRECT_ALIGN };
  mc_file *f = fresh("direct");
  size_t n;
  memset(bytes, 1, sizeof bytes);
  CHECK_OK(mc_file_pwrite(f, bytes, sizeof bytes, 0, &why)); /* in the page cache, and dirty */
  memset(bytes, 2, BLOCK);
  memset(bytes + 3 * BLOCK, 3, BLOCK);
  const mc_iov iov[2] = {{bytes + 3 * BLOCK, BLOCK}, {bytes, BLOCK}};
  CHECK_OK(mc_file_pwritev_direct(f, iov, 2, BLOCK, &why));
  CHECK_OK(mc_file_sync(f, &why));
  CHECK_OK(mc_file_pread(f, got, sizeof got, 0, &n, &why));
  CHECK_INT(n, sizeof got);
  CHECK(got[0] == 1 && got[BLOCK] == 3 && got[2 * BLOCK] == 2 && got[3 * BLOCK] == 1 && got[4 * BLOCK - 1] == 1);
  CHECK_OK(mc_file_pwrite(f, "small", 5, BLOCK + 10, &why)); /* both ways by turns */
  CHECK_OK(mc_file_pwritev_direct(f, &iov[1], 1, 3 * BLOCK, &why));
  CHECK_OK(mc_file_pread(f, got, sizeof got, 0, &n, &why));
  CHECK(!memcmp(got + BLOCK + 10, "small", 5) && got[BLOCK] == 3 && got[3 * BLOCK] == 2);
  CHECK_INT(mc_file_pwritev_direct(f, &(mc_iov){bytes, 100}, 1, 0, &why), MC_ERR_INVALID);
  CHECK_INT(mc_file_pwritev_direct(f, &(mc_iov){bytes + 8, BLOCK}, 1, 0, &why), MC_ERR_INVALID);
  CHECK_INT(mc_file_pwritev_direct(f, &(mc_iov){bytes, BLOCK}, 1, 512, &why), MC_ERR_INVALID);
  mc_file_close(&f);
}

static void test_preallocates_zeros(void)
{
  mc_file *f = fresh("pre");
  CHECK_OK(mc_file_pwrite(f, "dirt", 4, 0, &why));
  CHECK_OK(mc_file_preallocate(f, (1 << 20) + 5, &why));
  CHECK_OK(mc_file_write_behind(f, 0, 1 << 20, &why));
  mc_file_forget(f, 0, 1 << 20); /* what was written is still read below */
  uint64_t size;
  CHECK_OK(mc_file_size(f, &size, &why));
  CHECK_INT(size, (1 << 20) + 5);
  char got[8] = "xxxxxxx";
  size_t n;
  CHECK_OK(mc_file_pread(f, got, 8, 0, &n, &why));
  CHECK(n == 8 && !memcmp(got, "\0\0\0\0\0\0\0\0", 8));
  mc_file_close(&f);
}

static void test_writes_zeros_over_what_was_there(void)
{
  mc_file *f = fresh("zero");
  uint8_t dirt[20000], back[20000];
  memset(dirt, 7, sizeof dirt);
  CHECK_OK(mc_file_pwrite(f, dirt, sizeof dirt, 0, &why));
  CHECK_OK(mc_file_sync(f, &why));
  CHECK_OK(mc_file_zero(f, 4096, 8192, &why)); /* whole blocks, */
  CHECK_OK(mc_file_zero(f, 16385, 10, &why));  /* and not */
  size_t n;
  CHECK_OK(mc_file_pread(f, back, sizeof back, 0, &n, &why));
  CHECK_INT(n, sizeof back);
  for (size_t i = 0; i < sizeof back; i++)
    CHECK_INT(back[i], (i >= 4096 && i < 12288) || (i >= 16385 && i < 16395) ? 0 : 7);
  CHECK_OK(mc_file_zero(f, 1 << 20, 1 << 20, &why)); /* behind the end: it grows */
  uint64_t size;
  CHECK_OK(mc_file_size(f, &size, &why));
  CHECK_INT(size, 2 << 20);
  mc_file_close(&f);
}

static void test_reserves_space_that_reads_as_zeros(void)
{
  mc_file *f = fresh("reserved");
  CHECK_OK(mc_file_pwrite(f, "dirt", 4, 0, &why));
  mc_err err = mc_file_reserve(f, 1 << 20, &why);
  if (err == MC_ERR_UNSUPPORTED)
    SKIP("this file system cannot reserve space");
  CHECK_OK(err);
  uint64_t size;
  CHECK_OK(mc_file_size(f, &size, &why));
  CHECK_INT(size, 1 << 20);
  char got[8] = "xxxxxxx";
  size_t n;
  CHECK_OK(mc_file_pread(f, got, 8, 0, &n, &why)); /* what was there stays */
  CHECK(n == 8 && !memcmp(got, "dirt\0\0\0\0", 8));
  mc_file_close(&f);
}

static void test_refuses_what_makes_no_sense(void)
{
  mc_file *f = NULL;
  CHECK_INT(mc_file_open(fs, at("none"), MC_FILE_READ, &f, &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "none");
  CHECK_INT(mc_file_open(fs, at("none"), 0, &f, &why), MC_ERR_INVALID);
  CHECK_INT(mc_file_open(fs, at("none"), MC_FILE_READ | MC_FILE_CREATE, &f, &why), MC_ERR_INVALID);
  f = fresh("f");
  mc_file *again;
  CHECK_INT(mc_file_open(fs, at("f"), MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_EXCLUSIVE, &again, &why), MC_ERR_EXISTS);
  size_t n;
  char byte;
  CHECK_INT(mc_file_pread(f, &byte, 1, UINT64_MAX, &n, &why), MC_ERR_INVALID);
  CHECK_INT(mc_file_pwrite(f, &byte, 1, INT64_MAX, &why), MC_ERR_INVALID);
  CHECK_INT(mc_file_truncate(f, UINT64_MAX, &why), MC_ERR_INVALID);
  CHECK_INT(mc_file_preallocate(f, UINT64_MAX, &why), MC_ERR_INVALID);
  CHECK_INT(mc_file_reserve(f, UINT64_MAX, &why), MC_ERR_INVALID);
  CHECK_INT(mc_file_zero(f, 1, INT64_MAX, &why), MC_ERR_INVALID);
  CHECK_INT(mc_file_write_behind(f, UINT64_MAX, 1, &why), MC_ERR_INVALID);
  mc_file_forget(f, UINT64_MAX, 1);
  mc_file_close(&f);
  CHECK_INT(mc_fs_unlink(fs, at("none"), &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_fs_rename(fs, at("none"), at("f2"), &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_fs_mkdirs(fs, "", &why), MC_ERR_INVALID);
  CHECK_INT(mc_fs_mkdirs(fs, at("f/below"), &why), MC_ERR_EXISTS);
  CHECK_INT(mc_fs_sync_dir(fs, at("none"), &why), MC_ERR_NOT_FOUND);
}

static void test_a_lock_excludes_others_until_it_is_closed(void)
{
  mc_file *a = fresh("lock"), *b = fresh("lock");
  CHECK_OK(mc_file_lock(a, &why));
  CHECK_INT(mc_file_lock(b, &why), MC_ERR_CONFLICT);
  CHECK_WHY(why, "another process");
  mc_file_close(&a);
  CHECK_OK(mc_file_lock(b, &why));
  mc_file_close(&b);
}

static char names[200];
static mc_err note(void *ctx, const char *name)
{
  strcat(strcat(names, name), " ");
  return strcmp(name, "stop") || !ctx ? MC_OK : MC_ERR_END;
}

static void test_lists_renames_and_removes(void)
{
  sweep();
  CHECK_OK(mc_fs_mkdirs(fs, at("a/b"), &why));
  CHECK_OK(mc_fs_mkdirs(fs, at("a/b"), &why));
  struct stat st;
  CHECK(stat(at("a/b"), &st) == 0 && (st.st_mode & 0777) == 0700);
  const char *const each[] = {"zz", "stop", "Beta"};
  for (int i = 0; i < 3; i++) {
    mc_file *f = fresh(each[i]);
    mc_file_close(&f);
  }
  CHECK_OK(mc_fs_rename(fs, at("zz"), at("Beta"), &why)); /* over an existing one */
  names[0] = 0;
  CHECK_OK(mc_fs_list(fs, dir, note, NULL, &why));
  CHECK_STR(names, "Beta a stop ");
  CHECK_OK(mc_fs_unlink(fs, at("Beta"), &why));
  CHECK_OK(mc_fs_sync_dir(fs, dir, &why));
  names[0] = 0;
  CHECK_INT(mc_fs_list(fs, dir, note, names, &why), MC_ERR_END);
  CHECK_STR(names, "a stop ");
  CHECK_INT(mc_fs_list(fs, at("none"), note, NULL, &why), MC_ERR_NOT_FOUND);
  uint64_t left;
  CHECK_OK(mc_fs_free_bytes(fs, dir, &left, &why));
  CHECK(left > 0);
}

static void test_replaces_a_file_whole_and_reads_it_whole(void)
{
  mc_buf got = {0};
  mc_file *leftover = fresh("doc.tmp");
  mc_file_close(&leftover);
  CHECK_OK(mc_fs_replace(fs, at("doc"), MC_LIT("one"), 0600, &why));
  CHECK_OK(mc_fs_replace(fs, at("doc"), MC_LIT("second"), 0640, &why));
  struct stat st;
  CHECK(stat(at("doc"), &st) == 0 && (st.st_mode & 0777) == 0640);
  CHECK(access(at("doc.tmp"), F_OK) != 0);
  CHECK_OK(mc_buf_append_str(&got, "> "));
  CHECK_OK(mc_fs_read(fs, at("doc"), 6, &got, &why));
  CHECK_SLICE(mc_buf_slice(&got), "> second");
  CHECK_INT(mc_fs_read(fs, at("doc"), 5, &got, &why), MC_ERR_TOO_LARGE);
  CHECK_WHY(why, "6 bytes; at most 5");
  CHECK_SLICE(mc_buf_slice(&got), "> second");
  CHECK_INT(mc_fs_read(fs, at("none"), 5, &got, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_fs_replace(fs, at("no/such/doc"), MC_LIT("x"), 0600, &why), MC_ERR_NOT_FOUND);
  mc_buf_free(&got);
}

int main(void)
{
  const char *base = getenv("TMPDIR");
  snprintf(dir, sizeof dir, "%s/mc-file-%d", base && *base ? base : "/tmp", (int)getpid());
  mc_fs *fault;
  for (int round = 0; round < 2; round++) {
    if (round && mc_fs_fault_open(&fault, &why))
      return 1;
    fs = round ? fault : mc_fs_posix();
    printf("# %s\n", round ? "the twin" : "the system");
    RUN(test_writes_and_reads_back);
    RUN(test_writes_more_pieces_than_one_call_takes);
    RUN(test_writes_past_the_page_cache);
    RUN(test_preallocates_zeros);
    RUN(test_writes_zeros_over_what_was_there);
    RUN(test_reserves_space_that_reads_as_zeros);
    RUN(test_refuses_what_makes_no_sense);
    RUN(test_a_lock_excludes_others_until_it_is_closed);
    RUN(test_lists_renames_and_removes);
    RUN(test_replaces_a_file_whole_and_reads_it_whole);
    if (round)
      mc_fs_fault_close(&fault);
    sweep();
  }
  return tap_done();
}
