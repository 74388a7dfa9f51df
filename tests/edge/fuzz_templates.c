/* State templates as a platform may send them, commands about them, and their file. Input: mode byte; 0: the file as it is, read and, when it is taken, written to the
 * same bytes; else pieces: kind, length (16 bits), content. Kinds: 0 a delta, 1 a command, 2 frames of 14 bytes as in fuzz_documents.c, 3 a manifest. */
#include <stdlib.h>

#include "edge/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int channel_of(void *ctx, mc_slice id) { return 0; }
static void collected(void *ctx, const mc_collected *e) {}
static void state(void *ctx, mc_slice payload, uint32_t samples, int64_t time_us)
{
  mc_arena a = MC_ARENA(16 << 20);
  mc_buf plain = {0};
  mc_fw_state_data d;
  if (!samples || payload.len > 131072 || mc_snappy_expand(payload, 1 << 20, &plain) || mc_fw_read_state_data(mc_buf_slice(&plain), &a, &d, NULL))
    abort();
  mc_buf_free(&plain);
  mc_arena_free(&a);
}

static int given;
static void give(void *ctx, const mc_fw_command_response *r)
{
  mc_buf out = {0};
  given++;
  if (mc_fw_write_command_response(&out, r))
    abort();
  mc_buf_free(&out);
}

static void file(mc_slice in)
{
  state_templates s = {0};
  mc_buf out = {0};
  if (mc_edge_templates_read(&s, in, NULL) == MC_OK && mc_edge_templates_write(&s, &out))
    abort();
  mc_edge_templates_free(&s);
  mc_buf_free(&out);
}

static int64_t now = 1700000000000000LL;

static void frames(mc_inspector *i, mc_slice in)
{
  for (size_t at = 0; at + 14 <= in.len; at += 14) {
    const uint8_t *p = in.data + at;
    mc_can_frame f = {.id = mc_load_le16(p), .extended = p[2] & 1, .len = p[2] >> 4 & 15, .channel = 0, .time_us = now += mc_load_le16(p + 4) * 100};
    memcpy(f.data, p + 6, 8);
    mc_inspector_frame(i, &f);
  }
}

static void piece(mc_inspector *i, uint8_t kind, mc_slice content)
{
  if ((kind & 3) == 0)
    mc_inspector_set_states(i, content, now, NULL);
  else if ((kind & 3) == 2)
    frames(i, content);
  else if ((kind & 3) == 3)
    mc_inspector_set_manifest(i, content, NULL);
  else {
    given = 0;
    mc_edge_command(i, content, MC_LIT("x"), now, give, NULL);
    if (!given)
      abort(); /* always an answer */
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1)
    return 0;
  mc_slice in = mc_slice_of(data + 1, size - 1);
  if (!data[0]) {
    file(in);
    return 0;
  }
  mc_inspector_config config = {.channel_of = channel_of, .collected = collected, .state = state};
  mc_inspector *i;
  if (mc_inspector_create(&config, &i, NULL))
    return 0;
  mc_inspector_tick(i, now);
  while (in.len >= 3) {
    mc_slice content = mc_slice_sub(in, 3, mc_load_le16(in.data + 1));
    piece(i, in.data[0], content);
    in = mc_slice_sub(in, 3 + content.len, in.len);
    mc_inspector_tick(i, now += 300000);
  }
  mc_buf kept = {0};
  mc_inspector *again;
  if (mc_edge_templates_write(&i->states, &kept) == MC_OK && mc_inspector_create(&config, &again, NULL) == MC_OK) { /* what was taken can be kept */
    if (mc_edge_templates_load(again, mc_buf_slice(&kept), now, NULL))
      abort();
    mc_inspector_destroy(&again);
  }
  mc_buf_free(&kept);
  mc_inspector_destroy(&i);
  return 0;
}
