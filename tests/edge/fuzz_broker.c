/* Any platform at the other end of an agent: documents, acknowledgements and bytes as the input says. What the agent sends are packets that
 * MQTT 5 allows, its documents survive a restart or are passed over, and it ends when told to. Input: a mode byte, then pieces: kind, length
 * (16 bits), content. Kinds (low three bits): 0 a decoder manifest, 1 collection schemes, 2 bytes as they are, 3 PUBACK with the packet id and
 * code in the content, 4 CAN frames of 14 bytes, as in fuzz_documents.c, 5 state templates, 6 a command. Mode bit 0: no CONNACK of ours; bit 1: publishes are refused; bit 2: a data folder. */
#include <stdlib.h>

#include "base/clock.h"
#include "edge/edge.h"
#include "format/mqtt.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_loop *loop;
static mc_listener *listener;
static mc_conn *server; /* the platform's end */
static mc_slice input;
static uint8_t mode;
static mc_agent *agent;

/* ---- the platform ---- */
static void say(mc_buf *out)
{
  if (server && out->len)
    mc_conn_write(server, mc_buf_slice(out));
  mc_buf_free(out);
}

static void publish(const char *what, mc_slice payload)
{
  char topic[120];
  mc_buf out = {0};
  static uint16_t id;
  snprintf(topic, sizeof topic, "%s%s", what[0] == '$' ? "" : "$aws/iotfleetwise/vehicles/car-1/", what);
  id = (uint16_t)(id % 65535 + 1);
  mc_mqtt_publish p = {.topic = mc_slice_str(topic), .payload = payload, .qos = 1, .packet_id = id};
  mc_mqtt_write_publish(&out, MC_MQTT_5, &p, (mc_slice){0});
  say(&out);
}

/* Answers what the agent sends; it must be MQTT 5. */
static size_t on_server_data(mc_conn *conn, mc_slice in)
{
  size_t used = 0, size;
  while (used < in.len) {
    mc_slice rest = mc_slice_sub(in, used, in.len);
    mc_mqtt_packet p;
    mc_buf out = {0};
    mc_err err = mc_mqtt_peek(rest, 64 << 20, &size);
    if (err == MC_ERR_AGAIN || (!err && size > rest.len))
      break;
    if (err || mc_mqtt_parse(mc_slice_sub(rest, 0, size), MC_MQTT_5, &p, NULL, NULL))
      abort();
    if (p.type == MC_MQTT_CONNECT && !(mode & 1))
      mc_mqtt_write_connack(&out, MC_MQTT_5, false, 0, (mc_slice){0});
    if (p.type == MC_MQTT_SUBSCRIBE)
      mc_mqtt_write_suback(&out, MC_MQTT_SUBACK, MC_MQTT_5, p.subscribe.packet_id, (const uint8_t[]){1, 1, 1, 1}, 4, (mc_slice){0});
    if (p.type == MC_MQTT_PUBLISH && p.publish.qos)
      mc_mqtt_write_ack(&out, MC_MQTT_PUBACK, MC_MQTT_5, p.publish.packet_id, mode & 2 ? MC_MQTT_QUOTA : 0, (mc_slice){0});
    say(&out);
    used += size;
  }
  return used;
}
static void on_server_open(mc_conn *conn) { server = conn; }
static void on_server_closed(mc_conn *conn, mc_err err, const char *text)
{
  if (server == conn)
    server = NULL;
}
static const mc_conn_handler handler = {on_server_open, on_server_data, NULL, on_server_closed};

static void end(void)
{
  mc_listener_destroy(&listener);
  mc_loop_turn(loop, 0);
  mc_loop_destroy(&loop);
}

static void begin(void)
{
  mc_why why = {0};
  scratch_folder("broker");
  mc_listener_config config = {.host = "127.0.0.1", .handler = &handler};
  if (mc_loop_create(&loop, &why) || mc_listener_create(loop, &config, &listener, &why))
    abort();
  atexit(end);
}

static void frames(mc_slice in)
{
  int64_t now = mc_clock_wall_us();
  for (size_t at = 0; at + 14 <= in.len; at += 14) {
    const uint8_t *p = in.data + at;
    mc_can_frame f = {.id = mc_load_le16(p), .extended = p[2] & 1, .len = p[2] >> 4 & 15, .channel = 0, .time_us = now++};
    memcpy(f.data, p + 6, 8);
    mc_agent_push_frame(agent, &f);
  }
}

static void play_piece(void)
{
  if (input.len < 3) {
    input.len = 0;
    return;
  }
  uint8_t kind = input.data[0];
  mc_slice content = mc_slice_sub(input, 3, mc_load_le16(input.data + 1));
  input = mc_slice_sub(input, 3 + content.len, input.len);
  mc_buf out = {0};
  switch (kind & 7) {
  case 0:
    publish("decoder_manifests", content);
    break;
  case 1:
    publish("collection_schemes", content);
    break;
  case 3:
    if (content.len >= 3)
      mc_mqtt_write_ack(&out, MC_MQTT_PUBACK, MC_MQTT_5, mc_load_le16(content.data), content.data[2], (mc_slice){0});
    say(&out);
    break;
  case 4:
    frames(content);
    break;
  case 5:
    publish("last_known_states/config", content);
    break;
  case 6:
    publish("$aws/commands/things/car-1/executions/e1/request/protobuf", content);
    break;
  default:
    if (server)
      mc_conn_write(server, content);
  }
}

static void open_agent(void)
{
  static const char *const interfaces[] = {"can0"};
  mc_why why = {0};
  mc_agent_config config = {.name = "car-1", .host = "127.0.0.1", .port = mc_listener_port(listener), .interface_id = interfaces, .interface_count = 1,
                            .data_dir = mode & 4 ? scratch_dir : NULL, .spool_bytes = 1 << 20};
  if (mc_agent_create(loop, &config, &agent, &why))
    abort();
}

/* Until the agent is connected or the platform's bytes have thrown it out. */
static void meet(void)
{
  mc_agent_stats s = {0};
  mc_agent_start(agent);
  for (int i = 0; i < 500 && !server; i++)
    mc_loop_turn(loop, 1);
  for (int i = 0; i < 6 && !s.connected; i++) {
    mc_loop_turn(loop, 0);
    mc_agent_stats_get(agent, &s);
  }
}

static void part(void)
{
  mc_agent_stop(agent);
  for (int i = 0; i < 6 && server; i++)
    mc_loop_turn(loop, 0);
  mc_agent_destroy(&agent);
  if (server)
    mc_conn_close(server);
  int64_t until = mc_clock_mono_us() + 5000000;
  while (server) {
    mc_loop_turn(loop, 1);
    if (mc_clock_mono_us() > until)
      abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 40000)
    return 0;
  if (!loop)
    begin();
  mode = data[0];
  input = mc_slice_of(data + 1, size - 1);
  open_agent();
  meet();
  while (input.len) {
    play_piece();
    mc_loop_turn(loop, 0);
    mc_loop_turn(loop, 0);
  }
  for (int i = 0; i < 4; i++)
    mc_loop_turn(loop, 0);
  part();
  if (mode & 4) { /* what it kept: loaded, or passed over */
    open_agent();
    mc_agent_destroy(&agent);
    scratch_empty();
  }
  return 0;
}
