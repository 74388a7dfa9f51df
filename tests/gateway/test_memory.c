/* Out of memory at every allocation of the connect, subscribe and publish paths, one after the other: the client that it hits is answered or closed, nobody
 * hangs, nothing crashes, and a client beside it never notices. The allocator is wrapped at link time (cmake/tests.cmake); only the gateway's
 * own threads can be hit. */
#include <stdatomic.h>

#include "rig.h"

static _Atomic long countdown; /* fails when it gets to 1; 0: nothing fails */
static _Atomic bool fired;
static _Thread_local bool victim;

static bool fails(void)
{
  if (!victim || atomic_load(&countdown) <= 0)
    return false;
  if (atomic_fetch_sub(&countdown, 1) != 1)
    return false;
  atomic_store(&fired, true);
  return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { return fails() ? NULL : __real_realloc(old, size); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }

static void on_mark(mc_post *post) { victim = true; }

static void mark_loops(rig *r)
{
  static mc_post post[RIG_LOOPS_MAX];
  for (size_t i = 0; i < r->loops; i++) {
    post[i].run = on_mark;
    mc_loop_post(r->loop[i], &post[i]);
  }
}

/* True when the connection was answered with this type, or closed: what must not be is silence. */
static bool told(client *c, int type, bool *open)
{
  for (;;) {
    int got = client_next_within(c, 3000);
    if (got == CLIENT_CLOSED) {
      *open = false;
      return true;
    }
    if (got == CLIENT_QUIET || got == CLIENT_BROKEN)
      return false;
    if (got == type)
      return true;
    if (got == MC_MQTT_CONNACK || got == MC_MQTT_DISCONNECT) /* refused: the close follows */
      type = -1;
  }
}

/* What a client does in its life, as far as it gets. False: something was met with silence. */
static bool live(rig *r, uint8_t version, bool keep)
{
  client c;
  bool open = true, ok;
  mc_buf props = {0}, out = {0};
  if (version == MC_MQTT_5 && keep)
    mc_mqtt_put_number(&props, 0x11, 600);
  mc_mqtt_connect with = {.version = version, .client_id = MC_LIT("hit"), .clean = !keep, .keep_alive_s = 60, .props.raw = mc_buf_slice(&props), .has_will = true,
                          .will_qos = 1, .will_topic = MC_LIT("hit/will"), .will_payload = MC_LIT("gone")};
  client_dial(&c, mc_gateway_port(r->g, true), version);
  mc_mqtt_write_connect(&c.out, &with);
  client_flush(&c);
  ok = told(&c, MC_MQTT_CONNACK, &open);
  if (ok && open && c.packet.type == MC_MQTT_CONNACK && c.packet.connack.code == 0) {
    mc_mqtt_filter f = {.filter = MC_LIT("hit/#"), .qos = 2};
    mc_mqtt_write_subscribe(&c.out, version, 10, &f, 1, (mc_slice){0});
    client_flush(&c);
    ok = told(&c, MC_MQTT_SUBACK, &open);
    if (ok && open) {
      client_put_publish(&c, "hit/a", "one", 1, false, 11);
      client_put_publish(&c, "hit/kept", "two", 1, true, 12);
      client_flush(&c);
      ok = told(&c, MC_MQTT_PUBACK, &open) && (!open || told(&c, MC_MQTT_PUBACK, &open));
    }
    if (ok && open) {
      client_put_publish(&c, "hit/b", "three", 2, false, 13);
      client_flush(&c);
      ok = told(&c, MC_MQTT_PUBREC, &open);
    }
    if (ok && open) {
      client_answer(&c, MC_MQTT_PUBREL, 13, 0);
      ok = told(&c, MC_MQTT_PUBCOMP, &open);
    }
  }
  mc_buf_free(&out);
  mc_buf_free(&props);
  client_close(&c); /* without a goodbye: the will goes out */
  return ok;
}

static bool works(client *good)
{
  if (client_publish(good, "good/a", "still here", false) != 0)
    return false;
  return client_next(good) == MC_MQTT_PUBLISH && mc_slice_eq_str(good->packet.publish.payload, "still here") && (client_ack(good), true);
}

static void walk(uint8_t version, bool keep)
{
  rig r = {0};
  client good;
  rig_start(&r, 2);
  mark_loops(&r);
  CHECK(client_connect(&good, mc_gateway_port(r.g, true), MC_MQTT_5, "good", true, 0));
  CHECK_INT(client_subscribe(&good, "good/#", 1), 1);
  CHECK(works(&good));
  long n = 0, hit = 0;
  /* how many there are differs a little from life to life (which loop, which buffers are warm): the end is where several lives in a row were not hit */
  for (int missed = 0; missed < 8; missed = atomic_load(&fired) ? 0 : missed + 1) {
    n++;
    atomic_store(&fired, false);
    atomic_store(&countdown, n);
    bool answered = live(&r, version, keep);
    atomic_store(&countdown, 0);
    hit += atomic_load(&fired);
    if (!answered)
      TAP_FAIL("allocation %ld failed and a client waited for an answer in vain", n);
    if (!works(&good))
      TAP_FAIL("allocation %ld failed for one client, and another one noticed", n);
  }
  printf("# version %u, %s session: %ld allocations failed, one a life\n", version, keep ? "kept" : "clean", hit);
  CHECK(hit >= 12);
  client_close(&good);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_a_version_5_client_that_keeps_its_session(void) { walk(MC_MQTT_5, true); }
static void test_a_version_5_client_that_does_not(void) { walk(MC_MQTT_5, false); }
static void test_a_version_3_client_that_keeps_its_session(void) { walk(MC_MQTT_311, true); }

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_version_5_client_that_keeps_its_session);
  RUN(test_a_version_5_client_that_does_not);
  RUN(test_a_version_3_client_that_keeps_its_session);
  return tap_done();
}
