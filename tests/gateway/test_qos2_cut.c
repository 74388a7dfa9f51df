/* Power is cut at every call to the file system while QoS 2 messages go from one kept session to another: afterwards both go on, and each message has
 * come once, in order. The clients keep their session state as MQTT asks (4.1, 4.3.3). */
#include "rig.h"

enum { MESSAGES = 4 };

/* Sender: one message after the other. A refusal is no news here: a machine without power says nothing. */
typedef struct sender {
  client c;
  uint8_t version;
  int at;        /* message in hand; MESSAGES: done */
  bool released; /* PUBREC came: PUBREL is owed */
} sender;

/* Receiver: hands a message on when its identifier is new. */
typedef struct receiver {
  client c;
  uint8_t version;
  bool holds[65536];
  int got[MESSAGES], order;
  bool disorder;
} receiver;

static void send_due(sender *s, bool again)
{
  char text[16];
  if (s->at == MESSAGES)
    return;
  snprintf(text, sizeof text, "%d", s->at);
  mc_mqtt_publish p = {.topic = MC_LIT("q2/cut"), .payload = mc_slice_str(text), .qos = 2, .dup = again, .packet_id = (uint16_t)(s->at % 2 + 1)};
  if (s->released)
    mc_mqtt_write_ack(&s->c.out, MC_MQTT_PUBREL, s->version, p.packet_id, 0, (mc_slice){0});
  else
    mc_mqtt_write_publish(&s->c.out, s->version, &p, (mc_slice){0});
  client_flush(&s->c);
}

/* False: the connection is of no use any more. */
static bool sender_turn(sender *s)
{
  int type = client_next_within(&s->c, 5);
  if (type == CLIENT_QUIET)
    return true;
  if ((type != MC_MQTT_PUBREC && type != MC_MQTT_PUBCOMP) || (s->c.packet.ack.code && s->c.packet.ack.code != MC_MQTT_ID_NOT_FOUND))
    return false;
  if (type == MC_MQTT_PUBREC && s->released)
    return true; /* to the repeat; PUBREL went already */
  s->at += type == MC_MQTT_PUBCOMP;
  s->released = type == MC_MQTT_PUBREC;
  send_due(s, false);
  return true;
}

static bool receiver_turn(receiver *r)
{
  int type = client_next_within(&r->c, 5);
  if (type == CLIENT_QUIET)
    return true;
  if (type == MC_MQTT_PUBLISH) {
    const mc_mqtt_publish *p = &r->c.packet.publish;
    int n = p->payload.data[0] - '0';
    if (!r->holds[p->packet_id]) {
      r->holds[p->packet_id] = true;
      r->got[n]++;
      r->disorder |= n != r->order++;
    }
    client_answer(&r->c, MC_MQTT_PUBREC, p->packet_id, 0);
    return true;
  }
  if (type != MC_MQTT_PUBREL)
    return false;
  r->holds[r->c.packet.ack.packet_id] = false;
  client_answer(&r->c, MC_MQTT_PUBCOMP, r->c.packet.ack.packet_id, 0);
  return true;
}

static int sum(const receiver *r)
{
  int n = 0;
  for (int i = 0; i < MESSAGES; i++)
    n += r->got[i];
  return n;
}

/* Until everything has come and nothing is held, or a connection breaks, or nothing happens. */
static void converse(sender *s, receiver *r)
{
  for (int64_t quiet_since = now_ms(); now_ms() - quiet_since < 1500;) {
    int before = s->at * 2 + s->released, seen = sum(r);
    if (!sender_turn(s) || !receiver_turn(r))
      return;
    bool held = false;
    for (int i = 0; i < 40; i++)
      held |= r->holds[i];
    if (s->at == MESSAGES && sum(r) == MESSAGES && !held)
      return;
    if (s->at * 2 + s->released != before || sum(r) != seen)
      quiet_since = now_ms();
  }
}

static bool enter(rig *r, sender *s, receiver *to, bool fresh)
{
  uint16_t port = mc_gateway_port(r->g, true);
  bool clean = fresh && to->version == 5; /* in 3.1.1 it would end the session with the connection */
  return client_connect(&to->c, port, to->version, "cut-receiver", clean, to->version == 5 ? 1000 : 0) &&
         (!fresh || client_subscribe(&to->c, "q2/cut", 2) == 2) && client_connect(&s->c, port, s->version, "cut-sender", clean, s->version == 5 ? 1000 : 0);
}

/* Returns false when the cut never came: all calls are walked. */
static bool cut_at(uint64_t call, uint8_t version, uint64_t seed)
{
  mc_fs *fault;
  mc_why why;
  static receiver to;
  sender from = {.version = version};
  memset(&to, 0, sizeof to);
  to.version = version;
  mc_fs_fault_open(&fault, &why);
  rig r = {.fs = fault, .journal_config = {.segment_bytes = 1 << 16}};
  rig_start(&r, 2);
  if (!enter(&r, &from, &to, true))
    tap_this_failed = 1;
  uint64_t calls = mc_fs_fault_calls(fault);
  mc_fs_fault_arm(fault, call, MC_FAULT_POWER_CUT);
  send_due(&from, false);
  converse(&from, &to);
  bool cut = mc_fs_fault_calls(fault) - calls >= call;
  client_close(&from.c);
  client_close(&to.c);
  rig_stop(&r);
  if (mc_fs_fault_recover(fault, seed, &why) != MC_OK)
    tap_this_failed = 1;
  mc_fs_fault_arm(fault, 0, MC_FAULT_NONE);
  rig_start(&r, 2);
  if (!enter(&r, &from, &to, false)) {
    printf("# call %d, seed %d: no way back in\n", (int)call, (int)seed);
    tap_this_failed = 1;
  }
  send_due(&from, true);
  converse(&from, &to);
  for (int i = 0; i < MESSAGES; i++)
    if (to.got[i] != 1 || to.disorder) {
      printf("# version %d, call %d, seed %d: message %d came %d times%s\n", version, (int)call, (int)seed, i, to.got[i], to.disorder ? ", out of order" : "");
      tap_this_failed = 1;
    }
  client_close(&from.c);
  client_close(&to.c);
  rig_stop(&r);
  rig_remove(&r);
  mc_fs_fault_close(&fault);
  return cut;
}

static void walk(uint8_t version)
{
  uint64_t call = 1;
  for (bool came = true; came && !tap_this_failed && call < 400; call++)
    for (uint64_t seed = 1; seed <= 3; seed++) /* which of the writes that were not synced are there, and how far */
      came &= cut_at(call, version, call * 7 + seed);
  printf("# version %d: power cut at each of %d calls\n", version, (int)call - 1);
  CHECK(call > 10 && call < 400);
}

static void test_each_message_comes_once_wherever_power_is_cut_version_5(void) { walk(5); }
static void test_each_message_comes_once_wherever_power_is_cut_version_3(void) { walk(4); }

int main(void)
{
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_each_message_comes_once_wherever_power_is_cut_version_5);
  RUN(test_each_message_comes_once_wherever_power_is_cut_version_3);
  return tap_done();
}
