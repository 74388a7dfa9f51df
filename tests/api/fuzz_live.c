/* Any messages on a live stream: what comes back are whole frames of the documented shape, and complaints that are JSON. Input: a mode byte,
 * then bytes. Mode bit 0: they go onto the connection as they are; else each line is a masked frame (text, or binary with mode bit 1), and time
 * passes behind it. */
#include "api_fixture.h"
#include "api/inside.h"
#include "api/live_frame.h"
#include "format/websocket.h"
#include "net/adopt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static world w;
static uint32_t signal_id[4];
static int64_t now_us;

static int64_t mono(void) { return now_us; }
static int64_t wall(void) { return INT64_C(1790000000000000) + now_us; }

/* Three vehicles that report a place, a speed and a text. */
static void report(void)
{
  static const char *const fqn[] = {"Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude", "Vehicle.Speed", "Vehicle.Driver.Name"};
  static uint64_t offset;
  mc_why why = {0};
  for (int i = 0; i < 4 && !signal_id[3]; i++)
    if (mc_registry_signal_id(w.registry, MC_TENANT_DEFAULT, mc_slice_str(fqn[i]), &signal_id[i], &why))
      abort();
  mc_block_builder b = {0};
  for (uint32_t v = w.vehicle; v < w.vehicle + 3; v++) {
    mc_block_builder_add(&b, v, signal_id[0], 0, wall(), MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = 48.0 + v});
    mc_block_builder_add(&b, v, signal_id[1], 0, wall(), MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = 11.0});
    mc_block_builder_add(&b, v, signal_id[2], 0, wall(), MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = (double)(now_us % 200)});
    mc_block_builder_add_string(&b, v, signal_id[3], wall(), 0, MC_LIT("Ann"));
  }
  mc_block block = mc_block_builder_view(&b);
  block.tenant = MC_TENANT_DEFAULT;
  block.arrival_us = wall();
  block.journal_offset = offset;
  block.next_offset = offset += 100;
  if (mc_twin_apply(w.twin, &block, &why))
    abort();
  mc_block_builder_free(&b);
}

static void end(void) { world_close(&w); }

static void begin(void)
{
  mc_clock_set_source(wall, mono);
  if (!world_open(&w, &(world_config){.rate_per_s = 1e9, .by_hand = true}))
    abort();
  atexit(end);
}

static void turn(int fd, mc_buf *got, int64_t step_us)
{
  now_us += step_us;
  report();
  for (int i = 0; i < 4; i++)
    mc_loop_turn(w.loop, 0);
  adopted_read(fd, got);
}

static void put_message(mc_buf *out, bool binary, mc_slice payload)
{
  static const uint8_t mask[4] = {1, 2, 3, 4};
  mc_ws_write(out, binary ? MC_WS_BINARY : MC_WS_TEXT, true, payload, mask);
}

static void check_binary(mc_slice f)
{
  if (f.len < LIVE_HEADER || f.data[0] != 1 || f.data[1] < LIVE_FLEET_FULL || f.data[1] > LIVE_VALUES)
    abort();
  size_t count = mc_load_le16(f.data + 2);
  if (f.len != (f.data[1] == LIVE_VALUES ? LIVE_HEADER + 4 + count * LIVE_VALUE_RECORD : LIVE_HEADER + count * LIVE_FLEET_RECORD))
    abort();
}

/* Everything that came behind the handshake. */
static void check_frames(mc_slice in)
{
  mc_ws_reader reader = mc_ws_reader_of(false, 1 << 20);
  for (size_t at = 0; at < in.len;) {
    mc_ws_message m;
    size_t used = 0;
    mc_err err = mc_ws_read(&reader, (uint8_t *)(uintptr_t)(in.data + at), in.len - at, &used, &m, NULL);
    if (err == MC_ERR_AGAIN)
      break;
    if (err)
      abort(); /* we sent what RFC 6455 forbids */
    at += used;
    if (m.type == MC_WS_BINARY)
      check_binary(m.payload);
    if (m.type == MC_WS_TEXT) {
      json_t *root = json_loadb((const char *)m.payload.data, m.payload.len, JSON_REJECT_DUPLICATES, NULL);
      if (!json_is_string(json_object_get(root, "detail")))
        abort();
      json_decref(root);
    }
  }
  mc_ws_reader_free(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 20000)
    return 0;
  if (!w.api)
    begin();
  mc_buf in = {0}, got = {0};
  mc_slice rest = mc_slice_of(data + 1, size - 1);
  int fd = adopt(w.loop, mc_http_server_handler(), mc_api_http(w.api));
  mc_buf_printf(&in, "GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n", w.token[MC_ROLE_VIEWER]);
  adopted_write(w.loop, fd, mc_buf_slice(&in), &got);
  turn(fd, &got, 1000);
  uint8_t *head = got.len ? memmem(got.data, got.len, "\r\n\r\n", 4) : NULL;
  if (!head || memcmp(got.data, "HTTP/1.1 101", 12) != 0)
    abort();
  mc_buf_consume(&got, (size_t)(head + 4 - got.data));
  for (int i = 0; rest.len && i < 40; i++) {
    size_t line = data[0] & 1 ? rest.len : mc_slice_find(rest, '\n', 0);
    mc_buf_clear(&in);
    if (data[0] & 1)
      mc_buf_append_slice(&in, rest);
    else
      put_message(&in, data[0] & 2, mc_slice_sub(rest, 0, line));
    rest = mc_slice_sub(rest, line + 1, rest.len);
    if (!adopted_write(w.loop, fd, mc_buf_slice(&in), &got))
      break;
    turn(fd, &got, 250000);
  }
  turn(fd, &got, 1100000);
  check_frames(mc_buf_slice(&got));
  close(fd);
  turn(fd, &got, 3000000); /* what lingers ends */
  mc_buf_free(&in);
  mc_buf_free(&got);
  return 0;
}
