/* kill -9 at random, again and again, on one journal: what the process said was on disk is there, once and in order. */
#include <signal.h>
#include <sys/wait.h>

#include "journal_rig.h"

enum { ROUNDS = 25 };

static int told_fd;

static void on_commit(void *ctx, const mc_commit *c)
{
  (void)ctx;
  size_t at = 0;
  mc_record r;
  uint64_t last = 0;
  while (mc_commit_next(c, &at, &r))
    last = rig_number(&r);
  if (!c->err && write(told_fd, &last, sizeof last) != sizeof last) /* all up to this one are acknowledged */
    _exit(3);
  mc_commit_release(c);
}

/* Appends numbered records for ever, telling what was acknowledged. */
static void child(uint64_t first)
{
  mc_journal *j;
  mc_loop *loop;
  mc_journal_writer *w;
  mc_why why;
  uint8_t payload[256];
  mc_journal_config config = rig_config(mc_fs_posix(), rig_dir);
  if (mc_journal_open(&config, &j, &why) || mc_loop_create(&loop, &why) || mc_journal_writer_create(j, loop, on_commit, NULL, &w)) {
    printf("# child: %s\n", why.text);
    _exit(2);
  }
  for (uint64_t n = first;; n++) {
    mc_record r = rig_record(payload, 1, n);
    while (mc_journal_append(w, &r, NULL) == MC_ERR_FULL)
      mc_loop_turn(loop, 1);
    if (n % 20 == 0)
      mc_loop_turn(loop, 0);
  }
}

static uint64_t last_acknowledged(int fd)
{
  uint64_t n, last = 0;
  while (read(fd, &n, sizeof n) == sizeof n)
    last = n;
  return last;
}

static void test_kill_at_random_loses_nothing_that_was_acknowledged(void)
{
  uint64_t next = 1, acknowledged = 0, x = 42;
  rig_fresh_dir();
  for (int round = 0; round < ROUNDS; round++) {
    int fd[2];
    rig_io = round % 2 ? MC_JOURNAL_IO_URING : MC_JOURNAL_IO_PLAIN; /* what one way left behind the other one reads */
    CHECK(pipe(fd) == 0);
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      close(fd[0]);
      told_fd = fd[1];
      child(next);
    }
    close(fd[1]);
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    uint64_t told = 0;
    if (round % 4) /* else it may be killed while it starts */
      CHECK(read(fd[0], &told, sizeof told) == sizeof told);
    usleep((useconds_t)(x >> 48) % 30000);
    kill(pid, SIGKILL);
    uint64_t last = last_acknowledged(fd[0]);
    told = last ? last : told;
    int status;
    waitpid(pid, &status, 0);
    close(fd[0]);
    CHECK(WIFSIGNALED(status));
    acknowledged = told ? told : acknowledged;
    mc_journal *j;
    mc_journal_reader *reader;
    mc_record r;
    mc_why why;
    mc_journal_config config = rig_config(mc_fs_posix(), rig_dir);
    CHECK_OK(mc_journal_open(&config, &j, &why));
    CHECK_OK(mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why));
    uint64_t want = 1;
    mc_err err;
    while (!(err = mc_journal_reader_next(reader, &r, &why)))
      CHECK(rig_same(&r, 1, want++));
    CHECK_INT(err, MC_ERR_END);
    CHECK(want > acknowledged);
    next = want; /* what was written but not acknowledged may stand there, and counts */
    mc_journal_reader_destroy(&reader);
    mc_journal_close(&j);
  }
  CHECK(acknowledged > 100);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_kill_at_random_loses_nothing_that_was_acknowledged);
  rig_remove_all(rig_dir);
  return tap_done();
}
