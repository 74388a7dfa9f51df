/* The twin's own promises: which bytes and names may be left after each fault. */
#include <unistd.h>

#include "base/file.h"
#include "tap.h"

static mc_fs *fs;
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

static void begin(void)
{
  mc_fs_fault_close(&fs);
  mc_fs_list(mc_fs_posix(), dir, drop, NULL, NULL);
  if (mc_fs_fault_open(&fs, &why) || mc_fs_mkdirs(fs, dir, &why))
    abort();
}

static mc_file *open_file(const char *name, int flags)
{
  mc_file *f = NULL;
  mc_file_open(fs, at(name), MC_FILE_READ | MC_FILE_WRITE | flags, &f, &why);
  return f;
}

/* Cuts the power at the next call and recovers. */
static mc_err cut(uint64_t seed)
{
  uint64_t ignored;
  mc_fs_fault_arm(fs, 1, MC_FAULT_POWER_CUT);
  mc_fs_free_bytes(fs, dir, &ignored, NULL);
  return mc_fs_fault_recover(fs, seed, &why);
}

static void test_the_named_call_fails_and_only_that_one(void)
{
  begin();
  mc_file *f = open_file("f", MC_FILE_CREATE);
  uint64_t before = mc_fs_fault_calls(fs);
  mc_fs_fault_arm(fs, 2, MC_FAULT_EIO);
  CHECK_OK(mc_file_pwrite(f, "a", 1, 0, &why));
  CHECK_INT(mc_file_pwrite(f, "b", 1, 0, &why), MC_ERR_IO);
  CHECK_WHY(why, "injected fault");
  CHECK_OK(mc_file_pwrite(f, "c", 1, 0, &why));
  CHECK_INT(mc_fs_fault_calls(fs) - before, 3);
  mc_fs_fault_arm(fs, 1, MC_FAULT_ENOSPC);
  CHECK_INT(mc_file_pwrite(f, "d", 1, 0, &why), MC_ERR_FULL);
  mc_fs_fault_hold(fs, MC_FAULT_ENOSPC);
  char byte;
  size_t n;
  CHECK_INT(mc_file_pwrite(f, "e", 1, 0, &why), MC_ERR_FULL);
  CHECK_INT(mc_file_sync(f, &why), MC_ERR_FULL);
  CHECK_OK(mc_file_pread(f, &byte, 1, 0, &n, &why)); /* reading goes on */
  CHECK_INT(byte, 'c');
  mc_fs_fault_hold(fs, MC_FAULT_NONE);
  CHECK_OK(mc_file_sync(f, &why));
  mc_file_close(&f);
}

static void test_a_short_write_lands_half(void)
{
  begin();
  mc_file *f = open_file("f", MC_FILE_CREATE);
  uint64_t size;
  mc_fs_fault_arm(fs, 1, MC_FAULT_SHORT);
  CHECK_INT(mc_file_pwrite(f, "0123456789", 10, 0, &why), MC_ERR_IO);
  CHECK_OK(mc_file_size(f, &size, &why));
  CHECK_INT(size, 5);
  mc_file_close(&f);
}

static void test_a_power_cut_keeps_what_was_synced_and_a_part_of_the_rest(void)
{
  enum { SECTORS = 16, BYTES = SECTORS * 512 };
  static uint8_t old[BYTES], fresh[BYTES], got[BYTES * 2];
  memset(old, 'o', sizeof old);
  memset(fresh, 'n', sizeof fresh);
  int none = 0, all = 0, some = 0;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    begin();
    mc_file *f = open_file("f", MC_FILE_CREATE);
    CHECK_OK(mc_file_pwrite(f, old, sizeof old, 0, &why));
    CHECK_OK(mc_file_sync(f, &why));
    CHECK_OK(mc_fs_sync_dir(fs, dir, &why));
    CHECK_OK(mc_file_pwrite(f, fresh, sizeof fresh, 512, &why)); /* one sector beyond the old end */
    CHECK_OK(cut(seed));
    size_t n;
    CHECK_INT(mc_file_pread(f, got, 1, 0, &n, &why), MC_ERR_IO); /* opened before the cut: dead */
    mc_file_close(&f);
    CHECK_OK(mc_file_open(fs, at("f"), MC_FILE_READ, &f, &why));
    CHECK_OK(mc_file_pread(f, got, sizeof got, 0, &n, &why));
    mc_file_close(&f);
    CHECK(n == BYTES || n == BYTES + 512);
    int landed = 0;
    for (size_t s = 0; s < n / 512; s++) {
      uint8_t first = got[s * 512];
      CHECK(first == 'o' || first == 'n' || first == 0);
      CHECK(s != 0 || first == 'o');
      CHECK(first != 0 || s == SECTORS); /* only the grown part can be a hole */
      for (size_t i = 1; i < 512; i++)
        CHECK(got[s * 512 + i] == first); /* sectors are whole */
      landed += first == 'n';
    }
    none += landed == 0;
    all += landed == SECTORS;
    some += landed > 0 && landed < SECTORS;
  }
  CHECK(none > 10 && all > 10 && some > 10);
}

static void test_a_failed_sync_dooms_what_a_later_sync_cannot_save(void)
{
  int lost = 0, later_lost = 0;
  for (uint64_t seed = 1; seed <= 60; seed++) {
    begin();
    mc_file *f = open_file("f", MC_FILE_CREATE);
    CHECK_OK(mc_file_pwrite(f, "....", 4, 0, &why));
    CHECK_OK(mc_file_sync(f, &why));
    CHECK_OK(mc_fs_sync_dir(fs, dir, &why));
    CHECK_OK(mc_file_pwrite(f, "D", 1, 0, &why));
    mc_fs_fault_arm(fs, 1, MC_FAULT_EIO);
    CHECK_INT(mc_file_sync(f, &why), MC_ERR_IO);
    CHECK_OK(mc_file_pwrite(f, "L", 1, 1, &why));
    CHECK_OK(mc_file_sync(f, &why));
    CHECK_OK(cut(seed));
    mc_file_close(&f);
    mc_buf got = {0};
    CHECK_OK(mc_fs_read(fs, at("f"), 100, &got, &why));
    lost += got.data[0] == '.';
    later_lost += got.data[1] != 'L';
    mc_buf_free(&got);
  }
  CHECK(lost > 5);
  CHECK_INT(later_lost, 0);
}

static bool is(const char *name, const char *content)
{
  mc_buf got = {0};
  bool same = mc_fs_read(fs, at(name), 100, &got, NULL) == MC_OK ? content && mc_slice_eq_str(mc_buf_slice(&got), content) : content == NULL;
  mc_buf_free(&got);
  return same;
}

static void test_names_change_durably_only_with_their_folder(void)
{
  int renamed = 0, kept = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    begin();
    CHECK_OK(mc_fs_replace(fs, at("a"), MC_LIT("A"), 0600, &why));
    CHECK_OK(mc_fs_replace(fs, at("b"), MC_LIT("B"), 0600, &why));
    CHECK_OK(cut(seed)); /* replace synced the folder */
    CHECK(is("a", "A") && is("b", "B"));
    CHECK_OK(mc_fs_rename(fs, at("a"), at("b"), &why));
    CHECK(is("a", NULL) && is("b", "A"));
    CHECK_OK(cut(seed * 7));
    bool done = is("a", NULL) && is("b", "A");
    CHECK(done || (is("a", "A") && is("b", "B")));
    renamed += done;
    kept += !done;
    if (!done)
      CHECK_OK(mc_fs_rename(fs, at("a"), at("b"), &why));
    CHECK_OK(mc_fs_sync_dir(fs, dir, &why));
    CHECK_OK(cut(seed * 11));
    CHECK(is("a", NULL) && is("b", "A"));
    CHECK_OK(mc_fs_unlink(fs, at("b"), &why));
    CHECK(is("b", NULL));
    CHECK_OK(cut(seed * 13));
    CHECK(is("b", NULL) || is("b", "A"));
  }
  CHECK(renamed > 3 && kept > 3);
}

static mc_err count_name(void *ctx, const char *name)
{
  (void)name;
  ++*(int *)ctx;
  return MC_OK;
}

static void test_replace_is_all_or_nothing_at_every_call(void)
{
  const mc_fault_kind kinds[] = {MC_FAULT_EIO, MC_FAULT_ENOSPC, MC_FAULT_SHORT, MC_FAULT_POWER_CUT};
  for (size_t k = 0; k < 4; k++)
    for (uint64_t call = 1; call <= 8; call++)
      for (uint64_t seed = 1; seed <= 20; seed++) {
        begin();
        CHECK_OK(mc_fs_replace(fs, at("doc"), MC_LIT("old content"), 0600, &why));
        mc_fs_fault_arm(fs, call, kinds[k]);
        mc_err err = mc_fs_replace(fs, at("doc"), MC_LIT("new"), 0600, &why);
        mc_fs_fault_arm(fs, 0, MC_FAULT_NONE);
        if (kinds[k] == MC_FAULT_POWER_CUT)
          CHECK_OK(mc_fs_fault_recover(fs, seed, &why));
        else
          CHECK_OK(cut(seed));
        CHECK(is("doc", "new") || (err && is("doc", "old content")));
        int names = 0;
        CHECK_OK(mc_fs_list(fs, dir, count_name, &names, &why));
        CHECK(names <= 2);
      }
}

static void test_a_created_file_may_vanish_until_its_folder_is_synced(void)
{
  int vanished = 0;
  for (uint64_t seed = 1; seed <= 30; seed++) {
    begin();
    mc_file *f = open_file("new", MC_FILE_CREATE);
    CHECK_OK(mc_file_pwrite(f, "data", 4, 0, &why));
    CHECK_OK(mc_file_sync(f, &why));
    mc_file_close(&f);
    CHECK_OK(cut(seed));
    CHECK(is("new", NULL) || is("new", "data"));
    vanished += is("new", NULL);
  }
  CHECK(vanished > 3 && vanished < 27);
}

static void count_one(void *ctx) { ++*(int *)ctx; }

static void test_a_read_only_disk_refuses_and_each_sync_is_told_of(void)
{
  begin();
  int syncs = 0;
  mc_file *f = open_file("f", MC_FILE_CREATE);
  mc_fs_fault_on_sync(fs, count_one, &syncs);
  CHECK_OK(mc_file_sync(f, &why));
  mc_fs_fault_hold(fs, MC_FAULT_EROFS);
  CHECK_INT(mc_file_pwrite(f, "x", 1, 0, &why), MC_ERR_IO);
  CHECK_WHY(why, "Read-only file system");
  CHECK_INT(mc_file_sync(f, &why), MC_ERR_IO);
  CHECK_INT(mc_fs_link(fs, at("f"), at("g"), &why), MC_ERR_IO);
  mc_fs_fault_hold(fs, MC_FAULT_NONE);
  CHECK_OK(mc_file_pwrite(f, "x", 1, 0, &why));
  CHECK_INT(syncs, 2);
  mc_fs_fault_on_sync(fs, NULL, NULL);
  mc_file_close(&f);
}

static bool first_byte(const char *name, char *out)
{
  size_t got = 0;
  mc_file *f = open_file(name, 0);
  bool ok = f && !mc_file_pread(f, out, 1, 0, &got, &why) && got == 1;
  mc_file_close(&f);
  return ok;
}

/* The later of two writes may be the one that survives, in one file and across two. */
static void test_unsynced_writes_survive_in_any_order(void)
{
  bool later_only = false, earlier_only = false, both = false, neither = false;
  for (uint64_t seed = 1; seed < 200; seed++) {
    begin();
    mc_file *a = open_file("a", MC_FILE_CREATE), *b = open_file("b", MC_FILE_CREATE);
    CHECK_OK(mc_file_pwrite(a, "0", 1, 0, &why));
    CHECK_OK(mc_file_pwrite(b, "0", 1, 0, &why));
    CHECK_OK(mc_file_sync(a, &why));
    CHECK_OK(mc_file_sync(b, &why));
    CHECK_OK(mc_fs_sync_dir(fs, dir, &why));
    CHECK_OK(mc_file_pwrite(a, "1", 1, 0, &why));
    CHECK_OK(mc_file_pwrite(b, "1", 1, 0, &why));
    CHECK_OK(cut(seed));
    mc_file_close(&a);
    mc_file_close(&b);
    char x = 0, y = 0;
    CHECK(first_byte("a", &x) && first_byte("b", &y));
    later_only |= x == '0' && y == '1';
    earlier_only |= x == '1' && y == '0';
    both |= x == '1' && y == '1';
    neither |= x == '0' && y == '0';
  }
  CHECK(later_only && earlier_only && both && neither);
}

static void test_a_link_shares_bytes_and_lasts_with_its_folder(void)
{
  uint64_t bytes;
  uint32_t crc, again;
  char byte;
  begin();
  mc_file *f = open_file("f", MC_FILE_CREATE);
  CHECK_OK(mc_file_pwrite(f, "123456789", 9, 0, &why));
  CHECK_OK(mc_file_sync(f, &why));
  mc_file_close(&f);
  CHECK_OK(mc_fs_sync_dir(fs, dir, &why));
  CHECK_OK(mc_fs_sum(fs, at("f"), &bytes, &crc, &why));
  CHECK_INT(bytes, 9);
  CHECK_INT(crc, 0xE3069283); /* the check value of CRC-32C */
  CHECK_OK(mc_fs_link(fs, at("f"), at("g"), &why));
  CHECK_INT(mc_fs_link(fs, at("f"), at("g"), &why), MC_ERR_EXISTS);
  CHECK_INT(mc_fs_link(fs, at("none"), at("h"), &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_fs_sync_dir(fs, dir, &why));
  CHECK_OK(mc_fs_unlink(fs, at("f"), &why));
  CHECK_OK(mc_fs_sync_dir(fs, dir, &why));
  CHECK_OK(cut(1));
  CHECK(first_byte("g", &byte) && byte == '1');
  CHECK_OK(mc_fs_copy(fs, at("g"), at("copy"), 0600, &bytes, &again, &why));
  CHECK_INT(again, crc);
  CHECK_INT(mc_fs_copy(fs, at("none"), at("copy2"), 0600, &bytes, &again, &why), MC_ERR_NOT_FOUND);
  mc_fs_fault_arm(fs, 4, MC_FAULT_ENOSPC); /* open, open, read, and the write */
  CHECK_INT(mc_fs_copy(fs, at("g"), at("copy3"), 0600, &bytes, &again, &why), MC_ERR_FULL);
  CHECK(access(at("copy3"), F_OK) != 0); /* no half copy stays */
}

int main(void)
{
  const char *base = getenv("TMPDIR");
  snprintf(dir, sizeof dir, "%s/mc-fault-%d", base && *base ? base : "/tmp", (int)getpid());
  RUN(test_the_named_call_fails_and_only_that_one);
  RUN(test_a_short_write_lands_half);
  RUN(test_a_power_cut_keeps_what_was_synced_and_a_part_of_the_rest);
  RUN(test_a_failed_sync_dooms_what_a_later_sync_cannot_save);
  RUN(test_names_change_durably_only_with_their_folder);
  RUN(test_replace_is_all_or_nothing_at_every_call);
  RUN(test_a_read_only_disk_refuses_and_each_sync_is_told_of);
  RUN(test_unsynced_writes_survive_in_any_order);
  RUN(test_a_link_shares_bytes_and_lasts_with_its_folder);
  RUN(test_a_created_file_may_vanish_until_its_folder_is_synced);
  mc_fs_fault_close(&fs);
  mc_fs_list(mc_fs_posix(), dir, drop, NULL, NULL);
  rmdir(dir);
  return tap_done();
}
