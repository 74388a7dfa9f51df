/* What a process that is killed leaves behind on the power cut layer. Each case plays a child that kills itself, and looks at the disk afterwards. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tap.h"

enum { BIG = 64 * 512 };

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

static void empty(void)
{
  char command[500];
  snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", dir, dir);
  if (system(command))
    abort();
}

static mc_file *open_for_writing(const char *name)
{
  mc_file *f = NULL;
  return mc_file_open(mc_fs_posix(), at(name), MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, &f, &why) ? NULL : f;
}

static void die(void)
{
  kill(getpid(), SIGKILL);
}

/* How it ended: the signal, or 0. */
static int play(void (*life)(void), uint64_t seed, uint64_t cut, bool lies)
{
  char text[32];
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    setenv("MOTORCADE_POWER_SEED", text, 1);
    snprintf(text, sizeof text, "%llu", (unsigned long long)cut);
    setenv("MOTORCADE_POWER_CUT", text, 1);
    unsetenv("MOTORCADE_POWER_FILE");
    setenv("MOTORCADE_POWER_LIE", lies ? "1" : "0", 1);
    life();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static long size_on_disk(const char *name)
{
  struct stat st;
  return stat(at(name), &st) ? -1 : (long)st.st_size;
}

/* Sectors of the file that hold the letter, in whole; -1: one holds a mixture. */
static int sectors_with(const char *name, char letter)
{
  FILE *in = fopen(at(name), "rb");
  char sector[512];
  size_t n;
  int found = 0;
  while (in && (n = fread(sector, 1, sizeof sector, in)) > 0) {
    size_t same = 0;
    for (size_t i = 0; i < n; i++)
      same += sector[i] == letter;
    if (same && same < n)
      found = -1000;
    found += same == n;
  }
  if (in)
    fclose(in);
  return found;
}

static mc_err fill(mc_file *f, char letter)
{
  static char bytes[BIG];
  memset(bytes, letter, sizeof bytes);
  return mc_file_pwrite(f, bytes, sizeof bytes, 0, &why);
}

/* ---- lives ---- */
static void writes_and_names(void)
{
  mc_file *f = open_for_writing("kept");
  if (!f || fill(f, 'a') || mc_file_sync(f, &why) || mc_fs_sync_dir(mc_fs_posix(), dir, &why) || fill(f, 'b'))
    _exit(1);
  die();
}

static void makes_a_name(void)
{
  mc_file *f = open_for_writing("nameless");
  if (!f || fill(f, 'a') || mc_file_sync(f, &why))
    _exit(1);
  die();
}

static void replaces(void)
{
  if (mc_fs_replace(mc_fs_posix(), at("kept"), mc_slice_str("first"), 0600, &why) || mc_fs_replace(mc_fs_posix(), at("kept"), mc_slice_str("second"), 0600, &why))
    _exit(1);
}

static void sees_its_own(void)
{
  static char got[BIG];
  size_t n;
  uint64_t size;
  mc_file *f = open_for_writing("mine"), *reader = NULL;
  if (!f || fill(f, 'a') || mc_file_truncate(f, 700, &why) || mc_file_pwrite(f, "x", 1, 2000, &why))
    _exit(1);
  if (mc_fs_rename(mc_fs_posix(), at("mine"), at("yours"), &why) || mc_file_open(mc_fs_posix(), at("yours"), MC_FILE_READ, &reader, &why))
    _exit(2);
  if (mc_file_size(reader, &size, &why) || size != 2001 || mc_file_pread(reader, got, sizeof got, 0, &n, &why) || n != 2001)
    _exit(3);
  if (got[699] != 'a' || got[700] != 0 || got[1999] != 0 || got[2000] != 'x' || mc_file_open(mc_fs_posix(), at("mine"), MC_FILE_READ, &f, &why) != MC_ERR_NOT_FOUND)
    _exit(4);
  if (access(at("yours"), F_OK) == 0 || mc_fs_sync_dir(mc_fs_posix(), dir, &why) || access(at("yours"), F_OK))
    _exit(5);
  die();
}

/* What a journal does to its next segment. */
static void makes_room(void)
{
  static char got[BIG];
  size_t n;
  uint64_t size;
  mc_file *f = open_for_writing("room");
  if (!f || mc_file_reserve(f, BIG, &why) || mc_file_size(f, &size, &why) || size != BIG || mc_file_pread(f, got, BIG, 0, &n, &why) || n != BIG || got[BIG - 1])
    _exit(1);
  if (fill(f, 'a') || mc_file_zero(f, 512, 1024, &why) || mc_file_reserve(f, 100, &why) || mc_file_pread(f, got, BIG, 0, &n, &why) || n != BIG)
    _exit(2);
  if (got[511] != 'a' || got[512] || got[1535] || got[1536] != 'a' || mc_file_sync(f, &why) || mc_fs_sync_dir(mc_fs_posix(), dir, &why))
    _exit(3);
  mc_file_forget(f, 0, BIG);
  die();
}

static void lies_about_it(void)
{
  mc_file *f = open_for_writing("lied");
  if (!f || mc_fs_sync_dir(mc_fs_posix(), dir, &why) || fill(f, 'a') || mc_file_sync(f, &why))
    _exit(1);
  die();
}

/* ---- cases ---- */
static void test_what_is_synced_stays_and_the_rest_is_torn_by_sectors(void)
{
  int early = 0, torn = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    empty();
    CHECK_INT(play(writes_and_names, seed, 0, false), SIGKILL);
    int a = sectors_with("kept", 'a'), b = sectors_with("kept", 'b');
    CHECK_INT(a + b, BIG / 512); /* each sector is old or new, never a mixture */
    early += b > 0;
    torn += b > 0 && a > 0;
  }
  CHECK(early > 0 && early < 40 && torn > 0);
}

static void test_a_new_name_goes_with_the_power_until_its_folder_is_synced(void)
{
  int there = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    empty();
    CHECK_INT(play(makes_a_name, seed, 0, false), SIGKILL);
    there += size_on_disk("nameless") >= 0;
  }
  CHECK_INT(there, 0);
}

static void test_a_replaced_file_is_old_or_new_wherever_the_power_is_cut(void)
{
  int none = 0, first = 0, second = 0, cuts = 0;
  for (uint64_t cut = 1; cut < 200; cut++) {
    empty();
    if (play(replaces, cut, cut, false) == SIGKILL)
      cuts++;
    else
      break; /* it has no more boundaries */
    char text[32] = "";
    FILE *in = fopen(at("kept"), "rb");
    if (in && fread(text, 1, sizeof text - 1, in) == 0)
      text[0] = '?';
    if (in)
      fclose(in);
    none += !in;
    first += !strcmp(text, "first");
    second += !strcmp(text, "second");
    CHECK_INT(none + first + second, cuts);
  }
  CHECK(cuts > 15 && cuts < 199);
  CHECK(none > 0 && first > 0 && second > 0);
}

static void test_a_process_sees_its_own_writes_and_names(void)
{
  empty();
  CHECK_INT(play(sees_its_own, 3, 0, false), SIGKILL);
  CHECK(size_on_disk("mine") < 0);
}

static void test_room_is_made_and_emptied(void)
{
  empty();
  CHECK_INT(play(makes_room, 5, 0, false), SIGKILL);
  CHECK_INT(size_on_disk("room"), BIG);
  CHECK_INT(sectors_with("room", 'a'), BIG / 512 - 2);
}

static void test_a_sync_that_lies_loses_what_it_promised(void)
{
  int whole = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    empty();
    CHECK_INT(play(lies_about_it, seed, 0, true), SIGKILL);
    whole += sectors_with("lied", 'a') == BIG / 512;
    CHECK_INT(play(lies_about_it, seed, 0, false), SIGKILL);
    CHECK_INT(sectors_with("lied", 'a'), BIG / 512);
  }
  CHECK_INT(whole, 0);
}

int main(void)
{
  snprintf(dir, sizeof dir, "%s/mc-power-%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
  RUN(test_what_is_synced_stays_and_the_rest_is_torn_by_sectors);
  RUN(test_a_new_name_goes_with_the_power_until_its_folder_is_synced);
  RUN(test_a_replaced_file_is_old_or_new_wherever_the_power_is_cut);
  RUN(test_a_process_sees_its_own_writes_and_names);
  RUN(test_room_is_made_and_emptied);
  RUN(test_a_sync_that_lies_loses_what_it_promised);
  empty();
  rmdir(dir);
  return tap_done();
}
