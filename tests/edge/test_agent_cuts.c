/* What an agent has on disk after a power cut at any moment: a template that a command activated, and the answer that says so, are there or the command was
 * not answered; nothing in between, nothing unreadable. Linked with the file layer that forgets what was not synced (tests/powercut). */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "documents.h"
#include "edge/agent_inside.h"
#include "edge/decoder.h"
#include "powercut/power_names.h"

enum { STEPS = 6 };
static char dir[200];

static void ignore(void *ctx, const mc_collected *e) {}
static void silent(void *ctx, mc_slice payload, uint32_t samples, int64_t time_us) {}

static mc_inspector *inspector(void)
{
  mc_inspector *i;
  mc_inspector_config config = {.channel_of = channel_can0, .collected = ignore, .state = silent};
  if (mc_inspector_create(&config, &i, NULL))
    abort();
  return i;
}

/* Step n: templates t0..tn are there and all but the newest are active; version n + 1. */
static mc_err take_step(mc_inspector *i, int n)
{
  char id[16], before[16];
  uint32_t signal = 1;
  snprintf(id, sizeof id, "t%d", n);
  snprintf(before, sizeof before, "t%d", n - 1);
  mc_fw_state_template t = {.sync_id = mc_slice_str(id), .signal = &signal, .signal_count = 1};
  mc_fw_state_templates d = {.manifest_sync_id = MC_LIT("dm1"), .add = &t, .add_count = 1, .version = (uint64_t)n + 1};
  MC_TRY(mc_edge_templates_apply(&i->states, &d, NULL));
  if (n)
    i->states.at.at[n - 1]->active = true;
  return MC_OK;
}

/* The child: each step is stored, its answer pushed and synced, then it is said to be done. */
static void live(int done)
{
  mc_why why = {0};
  mc_document_store store = {.fs = mc_fs_posix()};
  mc_spool *spool;
  mc_inspector *i = inspector();
  snprintf(store.dir, sizeof store.dir, "%s", dir);
  if (mc_spool_open(mc_fs_posix(), dir, 1 << 20, &spool, &why))
    _exit(3);
  for (int n = 0; n < STEPS; n++) {
    mc_buf bytes = {0};
    uint64_t id;
    char said = (char)n;
    if (take_step(i, n) || mc_edge_templates_write(&i->states, &bytes) || mc_document_store_states(&store, mc_buf_slice(&bytes), &why) ||
        mc_spool_push(spool, 0, MC_LIT("answer"), mc_slice_of(&said, 1), &id, &why) || mc_spool_sync(spool, &why))
      _exit(4);
    mc_buf_free(&bytes);
    if (write(done, &said, 1) != 1)
      _exit(5);
  }
  mc_inspector_destroy(&i);
  mc_spool_close(&spool);
}

/* Steps that were said to be done; *status as waitpid has it. */
static int play(uint64_t seed, uint64_t cut, bool lies, int *status)
{
  char command[500], text[32], said;
  int pipe_of[2], steps = 0;
  snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", dir, dir);
  if (system(command) || pipe(pipe_of))
    abort();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    close(pipe_of[0]);
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    setenv("MOTORCADE_POWER_SEED", text, 1);
    snprintf(text, sizeof text, "%llu", (unsigned long long)cut);
    setenv("MOTORCADE_POWER_CUT", text, 1);
    setenv("MOTORCADE_POWER_LIE", lies ? "1" : "0", 1);
    live(pipe_of[1]);
    if (lies) /* a life that ends by itself would write what its kernel had */
      kill(getpid(), SIGKILL);
    _exit(0);
  }
  close(pipe_of[1]);
  while (read(pipe_of[0], &said, 1) == 1)
    steps = said + 1;
  close(pipe_of[0]);
  waitpid(child, status, 0);
  return steps;
}

/* NULL: the disk is right after so many steps. Else what is wrong. */
static const char *wrong(int steps)
{
  static char text[600];
  mc_why why = {0};
  mc_inspector *i = inspector();
  mc_spool *spool = NULL;
  char path[300];
  mc_buf bytes = {0}, topic = {0}, payload = {0};
  snprintf(path, sizeof path, "%s/templates.bin", dir);
  text[0] = 0;
  mc_err err = mc_fs_read(power_real(), path, 1 << 20, &bytes, &why);
  if (err == MC_OK)
    err = mc_edge_templates_read(&i->states, mc_buf_slice(&bytes), &why);
  int have = err == MC_OK ? (int)i->states.version : 0;
  if (err && err != MC_ERR_NOT_FOUND)
    snprintf(text, sizeof text, "unreadable: %s", why.text);
  else if (have < steps || have > steps + 1)
    snprintf(text, sizeof text, "version %d after %d steps", have, steps);
  for (int n = 0; !text[0] && n < have; n++)
    if ((size_t)have != i->states.at.len || i->states.at.at[n]->active != (n < have - 1))
      snprintf(text, sizeof text, "template %d of %d is not as that version had it", n, have);
  int answers = 0;
  if (!text[0] && mc_spool_open(power_real(), dir, 1 << 20, &spool, &why))
    snprintf(text, sizeof text, "spool: %s", why.text);
  uint64_t id;
  while (spool && mc_spool_peek(spool, &id, &topic, &payload, NULL) == MC_OK)
    answers += payload.len == 1 && payload.data[0] == answers;
  if (!text[0] && (answers < steps || answers > steps + 1))
    snprintf(text, sizeof text, "%d answers after %d steps", answers, steps);
  mc_spool_close(&spool);
  mc_buf_free(&bytes);
  mc_buf_free(&topic);
  mc_buf_free(&payload);
  mc_inspector_destroy(&i);
  return text[0] ? text : NULL;
}

static void test_a_cut_at_every_boundary_leaves_the_state_before_or_after(void)
{
  uint64_t cut = 1, cuts = 0;
  for (int status = 1; cut < 2000; cut++) {
    int steps = play(cut * 7919, cut, false, &status);
    const char *bad = wrong(steps);
    if (bad)
      TAP_FAIL("cut %llu: %s", (unsigned long long)cut, bad);
    if (WIFEXITED(status)) { /* there are no more boundaries */
      CHECK_INT(WEXITSTATUS(status), 0);
      break;
    }
    cuts++;
  }
  printf("# %llu cuts\n", (unsigned long long)cuts);
  CHECK(cuts > STEPS * 4);
}

static void test_a_disk_that_lies_is_found_out(void)
{
  int found = 0;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    int status, steps = play(seed, 0, true, &status);
    found += wrong(steps) != NULL;
  }
  CHECK(found > 0); /* the check above can fail */
}

int main(void)
{
  snprintf(dir, sizeof dir, "/tmp/mc-agent-cuts-%d", (int)getpid());
  RUN(test_a_cut_at_every_boundary_leaves_the_state_before_or_after);
  RUN(test_a_disk_that_lies_is_found_out);
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  return system(command) ? 1 : tap_done();
}
