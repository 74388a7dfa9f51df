#include "edge/message_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "format/candump.h"
#include "format/mdf4.h"

/* A log as a source of frames. The file is mapped, not read: replaying a gigabyte costs no memory of our own. */

enum { BATCH = 2048, MAX_BAD_LINES = 20 };

struct mc_replay {
  mc_loop *loop;
  mc_replay_config config;
  mc_timer timer;
  mc_slice file;
  mc_mdf4 *mdf4;
  mc_candump_reader candump;
  mc_arena arena;
  mc_channel_map map;
  uint32_t since_let_go; /* frames */
  bool running, paused, have_next;
  uint64_t bad_lines;
  mc_can_frame next;
  bool is_message;    /* next is one, of next.time_us */
  mc_structured_message message;
  mc_buf cdr[2];      /* of it, and of the one that is being handed out */
  int turn;
  int64_t recorded_first_us, recorded_last_us, recorded_round_us; /* of the file; where the present round's zero is */
  int64_t began_mono_us, began_wall_us;
};

static mc_err map_file(const char *path, mc_slice *out, mc_why *why)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0)
    return mc_err_errno(why, "replay file %s cannot be opened", path);
  if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size == 0) {
    close(fd);
    return mc_err_set(why, MC_ERR_INVALID, "replay file %s is empty or not a file", path);
  }
  void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  mc_err err = at == MAP_FAILED ? mc_err_errno(why, "replay file %s cannot be mapped", path) : MC_OK;
  close(fd);
  if (err == MC_OK)
    *out = mc_slice_of(at, (size_t)st.st_size);
  return err;
}

/* A frame, or a message between frames. */
static mc_err next_line(mc_replay *r, mc_bus_frame *frame, mc_why *why)
{
  mc_candump_reader *c = &r->candump;
  while (c->at < c->in.len) {
    size_t end = mc_slice_find(c->in, '\n', c->at);
    mc_slice line = mc_slice_sub(c->in, c->at, end - c->at);
    c->at = end + 1;
    c->line++;
    mc_err err = mc_edge_message_line(line, &r->message, &r->cdr[r->turn], why);
    r->is_message = err == MC_OK;
    if (err == MC_ERR_END)
      err = mc_candump_line(line, c->line, frame, why);
    else if (err)
      mc_err_prefix(why, "line %llu", (unsigned long long)c->line);
    if (err != MC_ERR_END)
      return err;
  }
  return MC_ERR_END;
}

static mc_err next_bus_frame(mc_replay *r, mc_bus_frame *frame, mc_why *why)
{
  r->is_message = false;
  if (r->mdf4)
    return mc_mdf4_next(r->mdf4, frame, why);
  for (;;) {
    mc_why line = {0};
    mc_err err = next_line(r, frame, &line);
    if (err != MC_ERR_MALFORMED) {
      if (err && why)
        *why = line;
      return err;
    }
    if (r->bad_lines++ < MAX_BAD_LINES && r->recorded_round_us == 0) /* a broken line costs itself only */
      mc_log(MC_LOG_WARN, "edge", "replay: line left out", MC_KZ("file", r->config.path), MC_KZ("why", line.text));
  }
}

static void rewind_log(mc_replay *r)
{
  if (r->mdf4)
    mc_mdf4_rewind(r->mdf4);
  else
    r->candump = mc_candump_reader_of(r->file);
}

static mc_err fetch(mc_replay *r, mc_why *why)
{
  mc_bus_frame f;
  for (;;) {
    MC_TRY(next_bus_frame(r, &f, why));
    if (r->is_message) {
      r->next.time_us = r->message.time_us;
      if (r->config.message)
        return MC_OK;
      continue;
    }
    if (!f.error && mc_can_frame_from_bus(&f, &r->map, &r->next))
      return MC_OK;
  }
}

/* The first and last time of frames that the map lets in. */
static mc_err survey(mc_replay *r, mc_why *why)
{
  r->bad_lines = MAX_BAD_LINES; /* told when it plays */
  mc_err err = fetch(r, why);
  if (err == MC_ERR_END)
    return mc_err_set(why, MC_ERR_INVALID, "%s holds no frame that the channel map lets in (%s)", r->config.path,
                      r->config.channel_map ? r->config.channel_map : "channels as they come");
  MC_TRY(err);
  r->recorded_first_us = r->recorded_last_us = r->next.time_us;
  if (r->config.shift_to_now && r->config.speed == 0) /* the last frame will be now: nothing lies in the future */
    while (fetch(r, why) == MC_OK)
      r->recorded_last_us = r->next.time_us;
  rewind_log(r);
  r->bad_lines = 0;
  return MC_OK;
}

/* Pages that were read need not stay resident; the kernel's cache keeps them for the next round. */
static void let_pages_go(const mc_replay *r)
{
  madvise((void *)(uintptr_t)r->file.data, r->file.len, MADV_DONTNEED);
}

static void on_timer(mc_timer *timer);

mc_err mc_replay_open(mc_loop *loop, const mc_replay_config *config, mc_replay **out, mc_why *why)
{
  *out = NULL;
  if (!config->path || !config->frame)
    return mc_err_set(why, MC_ERR_INVALID, "replay: a path and a receiver of frames are needed");
  if (!(config->speed >= 0) || config->speed > 10000)
    return mc_err_set(why, MC_ERR_INVALID, "replay speed %g: 0 (as fast as possible) to 10000 are allowed", config->speed);
  mc_replay *r = calloc(1, sizeof *r);
  if (!r)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a replay");
  r->loop = loop;
  r->config = *config;
  r->timer.fire = on_timer;
  r->arena = MC_ARENA(1 << 20);
  r->config.path = mc_arena_str(&r->arena, mc_slice_str(config->path));
  r->config.channel_map = mc_arena_str(&r->arena, mc_slice_str(config->channel_map ? config->channel_map : "*=can0"));
  mc_err err = r->config.path && r->config.channel_map ? mc_channel_map_parse(mc_slice_str(r->config.channel_map), &r->arena, &r->map, why)
                                                       : mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  if (err == MC_OK)
    err = map_file(config->path, &r->file, why);
  if (err == MC_OK && mc_slice_starts(r->file, MC_LIT("MDF     ")))
    err = mc_mdf4_open(r->file, config->path, &r->mdf4, why);
  else if (err == MC_OK && mc_slice_starts(r->file, MC_LIT("UnFinMF ")))
    err = mc_mdf4_open(r->file, config->path, &r->mdf4, why);
  else
    r->candump = mc_candump_reader_of(r->file);
  if (err == MC_OK)
    err = survey(r, why);
  if (err) {
    mc_replay_close(&r);
    return err;
  }
  let_pages_go(r);
  *out = r;
  return MC_OK;
}

/* When the frame is due, and with which time it goes out. */
static int64_t since_start_us(const mc_replay *r)
{
  int64_t offset = r->recorded_round_us + (r->next.time_us - r->recorded_first_us);
  return r->config.speed > 0 ? (int64_t)((double)offset / r->config.speed) : offset;
}

static int64_t stamp(const mc_replay *r, int64_t offset)
{
  if (!r->config.shift_to_now)
    return r->recorded_first_us + r->recorded_round_us + (r->next.time_us - r->recorded_first_us);
  if (r->config.speed > 0)
    return r->began_wall_us + offset;
  return r->began_wall_us - (r->recorded_last_us - r->recorded_first_us) + offset;
}

static bool advance(mc_replay *r)
{
  mc_why why = {0};
  int64_t last = r->next.time_us;
  mc_err err = fetch(r, &why);
  if (err == MC_ERR_END && r->config.loop) {
    r->recorded_round_us += last - r->recorded_first_us + 1000;
    rewind_log(r);
    err = fetch(r, &why);
  } else if (err && err != MC_ERR_END) {
    mc_log(MC_LOG_ERROR, "edge", "replay ended early", MC_KZ("file", r->config.path), MC_KZ("why", why.text));
  }
  return err == MC_OK;
}

static void on_timer(mc_timer *timer)
{
  mc_replay *r = (mc_replay *)((char *)timer - offsetof(mc_replay, timer));
  int64_t now = mc_clock_mono_us() - r->began_mono_us;
  for (int n = 0; n < BATCH && r->running && !r->paused; n++) {
    int64_t offset = since_start_us(r);
    if (r->config.speed > 0 && offset > now) {
      mc_loop_timer_set(r->loop, &r->timer, r->began_mono_us + offset);
      return;
    }
    if (++r->since_let_go == BATCH) {
      r->since_let_go = 0;
      let_pages_go(r);
    }
    mc_can_frame frame = r->next;
    mc_structured_message message = r->message;
    bool is_message = r->is_message;
    frame.time_us = message.time_us = stamp(r, offset);
    r->turn ^= 1;
    r->running = advance(r);
    bool ended = !r->running;
    if (is_message)
      r->config.message(r->config.ctx, &message);
    else
      r->config.frame(r->config.ctx, &frame);
    if (ended) {
      if (r->config.ended)
        r->config.ended(r->config.ctx);
      return;
    }
  }
  if (r->running && !r->paused)
    mc_loop_timer_set(r->loop, &r->timer, mc_loop_now_us(r->loop)); /* others get their turn first */
}

void mc_replay_start(mc_replay *r)
{
  mc_why why;
  if (r->running)
    return;
  rewind_log(r);
  r->recorded_round_us = 0;
  r->running = fetch(r, &why) == MC_OK;
  r->began_mono_us = mc_clock_mono_us();
  r->began_wall_us = mc_clock_wall_us();
  if (r->running)
    mc_loop_timer_set(r->loop, &r->timer, mc_loop_now_us(r->loop));
}

void mc_replay_pause(mc_replay *r, bool paused)
{
  if (r->paused == paused)
    return;
  r->paused = paused;
  if (!paused && r->running)
    mc_loop_timer_set(r->loop, &r->timer, mc_loop_now_us(r->loop));
}

void mc_replay_close(mc_replay **replay)
{
  mc_replay *r = *replay;
  *replay = NULL;
  if (!r)
    return;
  r->running = false;
  mc_loop_timer_clear(r->loop, &r->timer);
  mc_mdf4_close(&r->mdf4);
  mc_buf_free(&r->cdr[0]);
  mc_buf_free(&r->cdr[1]);
  if (r->file.data)
    munmap((void *)(uintptr_t)r->file.data, r->file.len);
  mc_arena_free(&r->arena);
  free(r);
}
