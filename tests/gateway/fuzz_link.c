/* Any bytes on an MQTT connection to a whole gateway, beside a subscriber of everything: what either gets are packets that its version allows, and
 * a start over the journal that came of it succeeds. Input: a mode byte, then the bytes. Mode bit 0: a CONNECT goes before them; bit 1: of
 * version 3.1.1, else 5; bit 2: its session is kept; bit 3: they come in two pieces. */
#include "base/clock.h"
#include "gateway/state.h"
#include "net/adopt.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RENEW = 1000, WIPE = 4 * RENEW };

static mc_journal *journal;
static mc_loop *loop;
static mc_gateway *gateway;
static char journal_dir[240];

static mc_err remove_one(void *ctx, const char *name)
{
  char path[600];
  snprintf(path, sizeof path, "%s/%s", journal_dir, name);
  return mc_fs_unlink(mc_fs_posix(), path, NULL);
}

/* Both ends of every connection are closed: their links must go, and what waited for a session finds out within milliseconds. */
static void drain(void)
{
  const mc_gateway_loop *l = &gateway->loop[0];
  int64_t until = mc_clock_mono_us() + 5000000;
  while (l->links || l->pending.len || l->deferred) {
    mc_loop_turn(loop, 1);
    if (mc_clock_mono_us() > until)
      abort();
  }
  for (until = mc_clock_mono_us() + 10000; mc_clock_mono_us() < until;)
    mc_loop_turn(loop, 1);
}

static void end(void)
{
  if (gateway)
    drain();
  mc_gateway_destroy(&gateway);
  mc_journal_close(&journal);
  for (int i = 0; loop && i < 3; i++) /* commits that the journal posted meanwhile */
    mc_loop_turn(loop, 0);
  mc_loop_destroy(&loop);
}

static void wipe(void)
{
  scratch_empty();
  mc_fs_list(mc_fs_posix(), journal_dir, remove_one, NULL, NULL);
}

static void end_all(void)
{
  end();
  wipe();
  rmdir(journal_dir);
}

static void begin(void)
{
  mc_why why = {0};
  scratch_folder("link");
  snprintf(journal_dir, sizeof journal_dir, "%s-journal", scratch_dir);
  mc_journal_config jc = {.fs = mc_fs_posix(), .dir = journal_dir, .segment_bytes = 1 << 20, .group_wait_us = 1};
  if (mc_loop_create(&loop, &why) || mc_journal_open(&jc, &journal, &why))
    abort();
  mc_gateway_config config = {.journal = journal, .loop = &loop, .loop_count = 1, .fs = mc_fs_posix(), .dir = scratch_dir,
                              .limits = {.max_queued = 50}};
  if (mc_gateway_create(&config, &gateway, &why)) {
    fprintf(stderr, "%s\n", why.text);
    abort();
  }
}

/* The version that a CONNECT names, as far as it can be read. */
static uint8_t version_of(mc_slice in)
{
  mc_mqtt_packet p;
  size_t size;
  if (!in.len || mc_mqtt_peek(in, 1 << 20, &size) || size > in.len || mc_mqtt_parse(mc_slice_sub(in, 0, size), MC_MQTT_5, &p, NULL, NULL))
    return 0;
  return p.type == MC_MQTT_CONNECT ? p.connect.version : 0;
}

/* Everything that a client got: whole packets, but for a last one. */
static void check_packets(mc_slice in, uint8_t version)
{
  size_t size;
  while (in.len && version) {
    mc_mqtt_packet p;
    mc_why why = {0};
    mc_err err = mc_mqtt_peek(in, 64 << 20, &size);
    if (err == MC_ERR_AGAIN || (!err && size > in.len))
      return;
    if (err || mc_mqtt_parse(mc_slice_sub(in, 0, size), version, &p, NULL, &why)) {
      fprintf(stderr, "a packet that version %u does not allow: %s\n", version, why.text);
      abort();
    }
    in = mc_slice_sub(in, size, in.len);
  }
}

static void put_connect(mc_buf *out, uint8_t version, const char *id, bool kept)
{
  mc_buf props = {0};
  if (version == MC_MQTT_5 && kept)
    mc_mqtt_put_number(&props, 0x11, 3600);
  mc_mqtt_connect c = {.version = version, .client_id = mc_slice_str(id), .clean = !kept, .keep_alive_s = 60, .props.raw = mc_buf_slice(&props)};
  mc_mqtt_write_connect(out, &c);
  mc_buf_free(&props);
}

/* Turns until nothing waits for the journal, and a little longer for what that sets off. */
static void settle(int fd, mc_buf *got, int watcher, mc_buf *seen)
{
  int64_t until = mc_clock_mono_us() + 20000;
  for (int quiet = 0; quiet < 3 && mc_clock_mono_us() < until;) {
    bool waits = gateway->loop[0].pending.len || gateway->loop[0].deferred;
    mc_loop_turn(loop, waits ? 1 : 0);
    quiet = waits ? 0 : quiet + 1;
    adopted_read(fd, got);
    adopted_read(watcher, seen);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static int runs;
  if (size < 1 || size > 20000)
    return 0;
  if (runs % RENEW == 0) {
    end();
    if (runs % WIPE == 0 && runs)
      wipe();
    begin();
    if (!runs)
      atexit(end_all); /* before the folder goes */
  }
  runs++;
  mc_buf in = {0}, got = {0}, seen = {0}, first = {0};
  uint8_t mode = data[0], version = mode & 2 ? MC_MQTT_311 : MC_MQTT_5;
  if (mode & 1)
    put_connect(&in, version, "fuzzed", mode & 4);
  mc_buf_append(&in, data + 1, size - 1);
  put_connect(&first, MC_MQTT_5, "watcher", true);
  mc_mqtt_filter all = {.filter = MC_LIT("#"), .qos = 1};
  mc_mqtt_write_subscribe(&first, MC_MQTT_5, 1, &all, 1, (mc_slice){0});
  int watcher = adopt(loop, &mc_link_dev_handler, mc_gateway_loop_ctx(gateway, 0));
  int fd = adopt(loop, &mc_link_dev_handler, mc_gateway_loop_ctx(gateway, 0));
  adopted_write(loop, watcher, mc_buf_slice(&first), &seen);
  size_t cut = mode & 8 ? in.len / 2 : in.len;
  bool open = adopted_write(loop, fd, mc_slice_sub(mc_buf_slice(&in), 0, cut), &got);
  settle(fd, &got, watcher, &seen);
  if (open && cut < in.len)
    adopted_write(loop, fd, mc_slice_sub(mc_buf_slice(&in), cut, in.len), &got);
  settle(fd, &got, watcher, &seen);
  check_packets(mc_buf_slice(&got), mode & 1 ? version : version_of(mc_buf_slice(&in)));
  check_packets(mc_buf_slice(&seen), MC_MQTT_5);
  close(fd);
  settle(watcher, &seen, watcher, &seen);
  close(watcher);
  for (int i = 0; i < 3; i++)
    mc_loop_turn(loop, 0);
  mc_buf_free(&in);
  mc_buf_free(&got);
  mc_buf_free(&seen);
  mc_buf_free(&first);
  return 0;
}
