/* Any file as a recording (candump or MDF4) under any channel map, replayed as fast as possible: whole frames and messages, their number the same in both
 * rounds, and an end; or a refusal that says why. Input: a mode byte, a channel map, a newline, the file. Mode bit 0: times are moved to the
 * present. */
#include <stdlib.h>

#include "base/clock.h"
#include "edge/edge.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_loop *loop;
static uint64_t frames;
static bool ended;

static void on_frame(void *ctx, const mc_can_frame *f)
{
  if (f->len > sizeof f->data || (!f->extended && f->id > 0x7FF) || f->id > 0x1FFFFFFF)
    abort();
  frames++;
}
static void on_message(void *ctx, const mc_structured_message *m)
{
  if (!m->interface_id.len || !m->message_id.len)
    abort();
  frames++;
}
static void on_ended(void *ctx) { ended = true; }

static uint64_t play(mc_replay *r)
{
  frames = 0;
  ended = false;
  mc_replay_start(r);
  int64_t until = mc_clock_mono_us() + 8000000;
  while (!ended) {
    mc_loop_turn(loop, 0);
    if (mc_clock_mono_us() > until)
      abort();
  }
  return frames;
}

static void end(void) { mc_loop_destroy(&loop); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 2)
    return 0;
  if (!loop) {
    scratch_folder("replay");
    if (mc_loop_create(&loop, NULL) || atexit(end))
      abort();
  }
  mc_slice rest = mc_slice_of(data + 1, size - 1);
  size_t line = mc_slice_find(rest, '\n', 0);
  char map[500], path[400];
  mc_slice_to_str(mc_slice_sub(rest, 0, line), map, sizeof map);
  scratch_write("log", mc_slice_sub(rest, line + 1, rest.len));
  snprintf(path, sizeof path, "%s", scratch_path("log"));
  mc_replay_config config = {.path = path, .channel_map = map[0] ? map : NULL, .shift_to_now = data[0] & 1, .frame = on_frame, .message = on_message, .ended = on_ended};
  mc_replay *r;
  mc_why why = {0};
  if (mc_replay_open(loop, &config, &r, &why)) {
    if (r || !why.text[0])
      abort();
    return 0;
  }
  uint64_t first = play(r);
  if (!first || play(r) != first)
    abort();
  mc_replay_close(&r);
  return 0;
}
