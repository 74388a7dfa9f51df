#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static const mc_gateway_limits standard = {.max_queued = 100000, .topic_alias_out_max = 16, .connect_timeout_ms = 10000,
                                           .pressure_window_ms = 250, .pressure_delay_ms = 1000, .pressure_refuse_ms = 10000, .pressure_close_ms = 20000,
                                           .pressure_window_min = 16};

/* ---- the end of a turn ---- */
static void on_wake(mc_post *post)
{
  mc_gateway_loop *l = (mc_gateway_loop *)((char *)post - offsetof(mc_gateway_loop, wake));
  l->wake_posted = false;
}

void mc_loop_wake(mc_gateway_loop *l)
{
  if (l->wake_posted)
    return;
  l->wake_posted = true;
  mc_loop_post(l->loop, &l->wake);
}

static void check_stopped(mc_gateway_loop *l)
{
  mc_gateway *g = l->gateway;
  if (l->stopped)
    return;
  mc_session_flush_acked(l);
  bool quiet = l->pending.len == 0 && !l->deferred && !l->links;
  if (!quiet && mc_loop_now_us(l->loop) < l->stop_by_us)
    return;
  l->stopped = true;
  mc_loop_timer_clear(l->loop, &l->stop_timer);
  pthread_mutex_lock(&g->stop_lock);
  g->stopped++;
  pthread_cond_signal(&g->stop_cond);
  pthread_mutex_unlock(&g->stop_lock);
}

static void on_turn_end(void *ctx)
{
  mc_gateway_loop *l = ctx;
  mc_session *s = l->pump;
  l->pump = NULL;
  if (s)
    l->wall_us = mc_clock_wall_us();
  while (s) {
    mc_session *next = s->next_pump;
    s->in_pump = false;
    mc_deliver_pump(s);
    s = next;
  }
  mc_share_pump(l);
  mc_share_post_flush(l);
  mc_fan_out_batch(l);
  if (l->stopping)
    check_stopped(l);
  mc_journal_writer_hand_over(l->writer);
}

static void on_retry_timer(mc_timer *timer)
{
  mc_gateway_loop *l = (mc_gateway_loop *)((char *)timer - offsetof(mc_gateway_loop, retry_timer));
  mc_qos2_retry(l);
  mc_share_retry(l);
}

static void on_ack_timer(mc_timer *timer) { mc_session_flush_acked((mc_gateway_loop *)((char *)timer - offsetof(mc_gateway_loop, ack_timer))); }

/* ---- life ---- */
static mc_err loop_init(mc_gateway *g, size_t index, mc_loop *loop, mc_why *why)
{
  mc_gateway_loop *l = &g->loop[index];
  l->gateway = g;
  l->index = index;
  l->loop = loop;
  l->deferred_tail = &l->deferred;
  l->wake.run = on_wake;
  l->ack_timer.fire = on_ack_timer;
  l->retry_timer.fire = on_retry_timer;
  mc_pressure_begin(l);
  l->seen = calloc(g->loop_count, sizeof *l->seen);
  l->verdict = calloc(MC_VERDICTS, sizeof *l->verdict);
  if (!l->seen || !l->verdict)
    return mc_err_set(why, MC_ERR_MEMORY, "gateway: out of memory");
  mc_err err = mc_journal_writer_create(g->journal, loop, mc_commit_arrived, l, &l->writer);
  if (err != MC_OK)
    return mc_err_set(why, err, "gateway: cannot write to the journal: %s", mc_err_text(err));
  mc_journal_writer_batch(l->writer);
  mc_loop_on_turn_end(loop, on_turn_end, l);
  return MC_OK;
}

static void on_revoked(void *ctx, uint32_t tenant, uint32_t thing, const uint8_t fingerprint[MC_FINGERPRINT])
{
  static const uint8_t none[MC_FINGERPRINT];
  char hex[2 * MC_FINGERPRINT + 1], text[160] = "the password was changed or the service was disabled: sign in again";
  mc_fingerprint_hex(fingerprint, hex);
  if (memcmp(fingerprint, none, sizeof none) != 0)
    snprintf(text, sizeof text, "certificate %.8s... is no longer valid for this device: install a new one", hex);
  mc_gateway_kick(ctx, tenant, thing, MC_MQTT_NOT_AUTHORIZED, text);
}

static mc_gateway_limits limits_of(const mc_gateway_limits *asked)
{
  mc_gateway_limits l = *asked;
  l.max_queued = l.max_queued ? l.max_queued : standard.max_queued;
  l.topic_alias_out_max = l.topic_alias_out_max ? l.topic_alias_out_max : standard.topic_alias_out_max;
  l.pressure_window_ms = l.pressure_window_ms ? l.pressure_window_ms : standard.pressure_window_ms;
  l.pressure_delay_ms = l.pressure_delay_ms ? l.pressure_delay_ms : standard.pressure_delay_ms;
  l.pressure_refuse_ms = l.pressure_refuse_ms ? l.pressure_refuse_ms : standard.pressure_refuse_ms;
  l.pressure_close_ms = l.pressure_close_ms ? l.pressure_close_ms : standard.pressure_close_ms;
  l.pressure_window_min = l.pressure_window_min ? l.pressure_window_min : standard.pressure_window_min;
  l.connect_timeout_ms = l.connect_timeout_ms ? l.connect_timeout_ms : standard.connect_timeout_ms;
  return l;
}

static mc_err build(mc_gateway *g, const mc_gateway_config *config, mc_why *why)
{
  g->dir = strdup(config->dir);
  g->loop = calloc(config->loop_count, sizeof *g->loop);
  g->event = calloc(MC_EVENTS_KEPT, sizeof *g->event);
  if (!g->dir || !g->loop || !g->event || mc_retained_init(&g->retained) != MC_OK)
    return mc_err_set(why, MC_ERR_MEMORY, "gateway: out of memory");
  g->loop_count = config->loop_count;
  MC_TRY(mc_fs_mkdirs(g->fs, g->dir, why));
  for (size_t i = 0; i < g->loop_count; i++)
    MC_TRY(loop_init(g, i, config->loop[i], why));
  g->recovering = true;
  MC_TRY(mc_recover(g, why));
  g->recovering = false;
  /* Recovery gave every session what lies below; without this, one that moves would be given all of it again. */
  uint64_t end = mc_journal_end_offset(g->journal);
  for (size_t i = 0; i < g->loop_count * g->loop_count; i++)
    g->loop[i / g->loop_count].seen[i % g->loop_count] = end ? end - 1 : 0;
  if (g->registry)
    mc_registry_on_revoked(g->registry, on_revoked, g);
  return mc_checkpointer_start(g, why);
}

mc_err mc_gateway_create(const mc_gateway_config *config, mc_gateway **out, mc_why *why)
{
  *out = NULL;
  if (!config->journal || !config->fs || !config->dir || !config->loop_count || !config->loop)
    return mc_err_set(why, MC_ERR_INVALID, "gateway: journal, fs, dir and at least one loop are needed");
  mc_gateway *g = calloc(1, sizeof *g);
  if (!g)
    return mc_err_set(why, MC_ERR_MEMORY, "gateway: out of memory");
  g->journal = config->journal;
  g->registry = config->registry;
  g->policy_epoch = g->registry ? mc_registry_policy_epoch(g->registry) : NULL;
  if (getrandom(g->auth_secret, sizeof g->auth_secret, 0) != sizeof g->auth_secret) {
    free(g);
    return mc_err_set(why, MC_ERR_IO, "gateway: no random bytes");
  }
  g->fs = config->fs;
  g->limit = limits_of(&config->limits);
  g->door = config->door;
  atomic_init(&g->room, MC_PRESSURE_ROOMY);
  mc_wall_init(&g->wall);
  mc_trace_init(&g->traces);
  for (int i = 0; i < MC_PROFILES; i++)
    mc_profile_default((mc_profile_name)i, &g->profile[i]);
  if (config->profiles)
    memcpy(g->profile, config->profiles, sizeof g->profile);
  memcpy(g->door_profile, config->door_profile, sizeof g->door_profile);
  pthread_mutex_init(&g->lock, NULL);
  pthread_mutex_init(&g->stop_lock, NULL);
  pthread_cond_init(&g->stop_cond, NULL);
  mc_err err = build(g, config, why);
  if (err != MC_OK) {
    mc_gateway_destroy(&g);
    return err;
  }
  *out = g;
  return MC_OK;
}

static void loop_free(mc_gateway_loop *l)
{
  if (!l->gateway)
    return;
  mc_loop_off_turn_end(l->loop, on_turn_end, l);
  mc_loop_timer_clear(l->loop, &l->ack_timer);
  mc_loop_timer_clear(l->loop, &l->retry_timer);
  mc_loop_timer_clear(l->loop, &l->pressure.timer);
  mc_loop_timer_clear(l->loop, &l->stop_timer);
  for (size_t k = 0; k < 2; k++)
    if (l->listener[k])
      mc_listener_destroy(&l->listener[k]);
  while (l->sessions) {
    mc_session *s = l->sessions;
    free(s->will);
    s->will = NULL;
    s->persistent = s->recorded = s->moving = false;
    mc_session_destroy(s, false);
  }
  mc_journal_writer_destroy(&l->writer);
  while (l->deferred) {
    mc_deferred *d = l->deferred;
    l->deferred = d->next;
    if (d->pending.kind >= MC_PENDING_OF_SESSION)
      mc_session_unpin(d->pending.session);
    if (d->pending.kind == MC_PENDING_SHARE)
      mc_share_ticket_free(d->pending.ticket);
    if (d->pending.link)
      mc_link_release(d->pending.link);
    free(d);
  }
  for (uint32_t i = 0; i < l->pending.len; i++) {
    mc_pending *p = &l->pending.at[(l->pending.head + i) & (l->pending.cap - 1)];
    if (p->kind >= MC_PENDING_OF_SESSION)
      mc_session_unpin(p->session);
    if (p->kind == MC_PENDING_SHARE)
      mc_share_ticket_free(p->ticket);
    free(p->kind == MC_PENDING_REPLY ? p->reply : NULL);
  }
  free(l->pending.at);
  free(l->batch);
  free(l->seen);
  free(l->verdict);
  mc_share_loop_free(l);
  mc_sub_tree_free(&l->subs);
  mc_buf_free(&l->opened);
  mc_buf_free(&l->scratch);
  mc_buf_free(&l->props);
  mc_buf_free(&l->bounded);
  mc_buf_free(&l->read);
  mc_buf_free(&l->record);
  mc_buf_free(&l->wanted);
}

void mc_gateway_destroy(mc_gateway **gateway)
{
  mc_gateway *g = *gateway;
  if (!g)
    return;
  *gateway = NULL;
  if (g->registry)
    mc_registry_on_revoked(g->registry, NULL, NULL);
  mc_checkpointer_stop(g, false);
  g->destroying = true;
  for (size_t i = 0; i < g->loop_count; i++)
    loop_free(&g->loop[i]);
  if (g->loop_count)
    mc_trace_free(&g->traces);
  mc_retained_free(&g->retained);
  mc_wall_free(&g->wall);
  mc_strmap_free(&g->directory);
  mc_cause_free(g);
  mc_map_free(&g->by_thing);
  mc_pace_free(g);
  free(g->event);
  free(g->loop);
  free(g->dir);
  pthread_mutex_destroy(&g->lock);
  pthread_mutex_destroy(&g->stop_lock);
  pthread_cond_destroy(&g->stop_cond);
  free(g);
}

/* ---- listeners ---- */
static const mc_conn_handler *choose(void *ctx, mc_alpn alpn, const mc_conn *conn)
{
  return alpn == MC_ALPN_NONE || alpn == MC_ALPN_MQTT || alpn == MC_ALPN_MQTT_CERT ? &mc_link_cert_handler : NULL;
}

static mc_err listen_on(mc_gateway *g, size_t kind, mc_listener_config config, mc_why *why)
{
  config.reuse_port = g->loop_count > 1;
  config.handshake_timeout_ms = g->door.handshake_timeout_ms;
  config.max_handshakes = g->door.max_handshakes;
  config.max_waiting = g->door.max_waiting;
  config.gate = g->door.gate;
  for (size_t i = 0; i < g->loop_count; i++) {
    mc_gateway_loop *l = &g->loop[i];
    config.ctx = l;
    MC_TRY(mc_listener_create(l->loop, &config, &l->listener[kind], why));
    config.port = g->port[kind] = mc_listener_port(l->listener[kind]); /* port 0: the first one chose */
  }
  return MC_OK;
}

mc_err mc_gateway_listen_any(mc_gateway *g, const char *host, int mtls_port, mc_tls *tls, int dev_port, mc_why *why)
{
  if (mtls_port > UINT16_MAX || dev_port > UINT16_MAX || (mtls_port >= 0 && !tls))
    return mc_err_set(why, MC_ERR_INVALID, "gateway: ports are 0 to 65535, and the MQTT port over TLS needs a TLS context");
  if (mtls_port >= 0)
    MC_TRY(listen_on(g, 0, (mc_listener_config){.host = host, .port = (uint16_t)mtls_port, .tls = tls, .choose = choose}, why));
  if (dev_port >= 0) /* everything is allowed there: this machine only */
    MC_TRY(listen_on(g, 1, (mc_listener_config){.host = "127.0.0.1", .port = (uint16_t)dev_port, .handler = &mc_link_dev_handler}, why));
  return MC_OK;
}

mc_err mc_gateway_listen(mc_gateway *g, const char *host, uint16_t mtls_port, mc_tls *tls, uint16_t dev_port, mc_why *why)
{
  return mc_gateway_listen_any(g, host, mtls_port ? mtls_port : -1, tls, dev_port ? dev_port : -1, why);
}

uint16_t mc_gateway_port(const mc_gateway *g, bool dev) { return g->port[dev]; }
const mc_conn_handler *mc_gateway_handler(void) { return &mc_link_handler; }
void *mc_gateway_loop_ctx(mc_gateway *g, size_t loop_index) { return loop_index < g->loop_count ? &g->loop[loop_index] : NULL; }
void *mc_gateway_ctx_of_loop(mc_gateway *g, const mc_loop *loop)
{
  for (size_t i = 0; i < g->loop_count; i++)
    if (g->loop[i].loop == loop)
      return &g->loop[i];
  return NULL;
}
uint32_t mc_gateway_max_packet(const mc_gateway *g)
{
  uint32_t most = 0;
  for (size_t i = 0; i < MC_PROFILES; i++)
    most = g->profile[i].packet_bytes > most ? g->profile[i].packet_bytes : most;
  return most;
}
mc_stream mc_gateway_stream_of_topic(mc_slice topic) { return mc_publish_stream_of(topic); }

/* ---- stopping ---- */
enum { STOP_LIMIT_US = 5000000, STOP_TICK_US = 50000, UNHEARD_LIMIT_US = 1000000 };

static void on_stop_timer(mc_timer *timer)
{
  mc_gateway_loop *l = (mc_gateway_loop *)((char *)timer - offsetof(mc_gateway_loop, stop_timer));
  mc_loop_timer_set(l->loop, timer, mc_loop_now_us(l->loop) + STOP_TICK_US); /* check_stopped runs at the turn's end */
}

static void on_stop(mc_post *post)
{
  mc_gateway_loop *l = (mc_gateway_loop *)((char *)post - offsetof(mc_gateway_loop, stop_post));
  l->wall_us = mc_clock_wall_us();
  l->stopping = true;
  atomic_fetch_add(&l->gateway->heard_stop, 1);
  l->stop_by_us = mc_loop_now_us(l->loop) + STOP_LIMIT_US;
  for (size_t k = 0; k < 2; k++)
    if (l->listener[k])
      mc_listener_destroy(&l->listener[k]);
  for (mc_link *link = l->links; link; link = link->next)
    mc_link_end(link, MC_MQTT_SHUTTING_DOWN, "the server is shutting down; connect again in a moment");
  l->stop_timer.fire = on_stop_timer;
  mc_loop_timer_set(l->loop, &l->stop_timer, mc_loop_now_us(l->loop) + STOP_TICK_US);
}

void mc_gateway_stop(mc_gateway *g)
{
  if (atomic_exchange(&g->stopping, true))
    return;
  for (size_t i = 0; i < g->loop_count; i++) {
    g->loop[i].stop_post.run = on_stop;
    mc_loop_post(g->loop[i].loop, &g->loop[i].stop_post);
  }
  /* A start that failed never ran the loops: nobody hears, and there is nothing to save. */
  int64_t give_up = mc_clock_mono_us() + UNHEARD_LIMIT_US, until = mc_clock_mono_us() + 2 * STOP_LIMIT_US;
  pthread_mutex_lock(&g->stop_lock);
  while (g->stopped < g->loop_count && mc_clock_mono_us() < (atomic_load(&g->heard_stop) ? until : give_up)) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 50000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&g->stop_cond, &g->stop_lock, &t);
  }
  bool stopped = g->stopped == g->loop_count;
  pthread_mutex_unlock(&g->stop_lock);
  if (!stopped)
    mc_log(MC_LOG_WARN, "gateway", "stopping without a last checkpoint: not all loops answered", MC_KU("loops", g->loop_count));
  mc_checkpointer_stop(g, stopped);
}

/* ---- from other threads ---- */
typedef struct publish_post {
  mc_post post;
  mc_gateway_loop *loop;
  uint8_t qos;
  mc_record record;
  uint8_t bytes[];
} publish_post;

static void on_publish(mc_post *post)
{
  publish_post *p = (publish_post *)post;
  p->loop->wall_us = mc_clock_wall_us();
  p->record.source = mc_loop_source(p->loop);
  mc_publish_own(p->loop, &p->record, p->qos);
  free(p);
}

/* The part after "vehicles/" or "things/": the message's partition is that of the vehicle it is for. */
static mc_slice subject_of(mc_slice topic)
{
  static const char *const mark[] = {"vehicles/", "things/"};
  for (size_t i = 0; i + 1 < topic.len; i++)
    for (size_t k = 0; k < 2; k++) {
      mc_slice rest = mc_slice_sub(topic, i, topic.len);
      if ((i == 0 || topic.data[i - 1] == '/') && mc_slice_starts(rest, mc_slice_str(mark[k]))) {
        mc_slice name = mc_slice_sub(rest, strlen(mark[k]), rest.len);
        return mc_slice_sub(name, 0, mc_slice_find(name, '/', 0));
      }
    }
  return topic;
}

mc_err mc_gateway_publish(mc_gateway *g, uint32_t tenant, mc_slice topic, mc_slice payload, uint8_t qos, bool retain, mc_why *why)
{
  return mc_gateway_publish_with(g, tenant, topic, (mc_slice){0}, payload, qos, retain, why);
}

mc_err mc_gateway_publish_with(mc_gateway *g, uint32_t tenant, mc_slice topic, mc_slice props, mc_slice payload, uint8_t qos, bool retain, mc_why *why)
{
  if (qos > 1 || !mc_mqtt_topic_valid(topic))
    return mc_err_set(why, MC_ERR_INVALID, "publish to \"%.*s\" with QoS %u: a topic has no wildcards, the QoS is 0 or 1", (int)(topic.len > 120 ? 120 : topic.len),
                      (const char *)topic.data, qos);
  if (payload.len > mc_gateway_max_packet(g) || props.len > UINT16_MAX)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "publish of %zu bytes: the limit is %u", payload.len, mc_gateway_max_packet(g));
  if (atomic_load(&g->stopping))
    return mc_err_set(why, MC_ERR_CLOSED, "the gateway is shutting down");
  publish_post *p = malloc(sizeof *p + topic.len + payload.len + props.len);
  if (!p)
    return mc_err_set(why, MC_ERR_MEMORY, "publish of %zu bytes: out of memory", payload.len);
  memcpy(p->bytes, topic.data, topic.len);
  if (payload.len)
    memcpy(p->bytes + topic.len, payload.data, payload.len);
  if (props.len)
    memcpy(p->bytes + topic.len + payload.len, props.data, props.len);
  p->qos = qos;
  p->record = (mc_record){.stream = MC_STREAM_COMMAND,
                          .partition = mc_journal_partition_of(subject_of(topic)),
                          .flags = (uint8_t)((qos ? MC_RECORD_QOS1 : 0) | (retain ? MC_RECORD_RETAIN : 0) | (props.len ? MC_RECORD_V5 : 0)),
                          .tenant = tenant,
                          .time_us = mc_clock_wall_us(),
                          .topic = mc_slice_of(p->bytes, topic.len),
                          .props = mc_slice_of(p->bytes + topic.len + payload.len, props.len),
                          .payload = mc_slice_of(p->bytes + topic.len, payload.len)};
  p->post.run = on_publish;
  p->loop = &g->loop[mc_slice_fnv1a(topic) % g->loop_count]; /* one topic, one loop: order is kept */
  mc_loop_post(p->loop->loop, &p->post);
  return MC_OK;
}

typedef struct kick_post {
  mc_post post;
  mc_gateway_loop *loop;
  uint32_t tenant, thing;
  uint8_t code;
  bool forget; /* its session, too */
  char text[160];
} kick_post;

static void on_kick(mc_post *post)
{
  kick_post *k = (kick_post *)post;
  k->loop->wall_us = mc_clock_wall_us();
  for (mc_session *s = k->loop->sessions, *next; s; s = next) {
    next = s->next;
    mc_link *link = s->link;
    if (s->tenant != k->tenant || s->thing != k->thing)
      continue;
    uint32_t expiry_s = s->expiry_s;
    if (link) {
      mc_link_end(link, k->code, "%s", k->text);
      mc_session_detach(s, link, link->end_text ? link->end_text : k->text);
    }
    if (k->forget && !(link && expiry_s == 0)) /* else it ended with its connection */
      mc_session_destroy(s, true);
  }
  free(k);
}

static void kick(mc_gateway *g, uint32_t tenant, uint32_t thing, uint8_t reason_code, const char *text, bool forget)
{
  if (!thing)
    return;
  atomic_fetch_add(&g->kicks, 1);
  for (size_t i = 0; i < g->loop_count; i++) {
    kick_post *k = malloc(sizeof *k);
    if (!k) {
      mc_log(MC_LOG_ERROR, "gateway", "out of memory: a session was not ended", MC_KU("thing", thing));
      continue;
    }
    *k = (kick_post){.post = {.run = on_kick}, .loop = &g->loop[i], .tenant = tenant, .thing = thing, .code = reason_code, .forget = forget};
    mc_slice_to_str(mc_slice_str(text), k->text, sizeof k->text);
    mc_loop_post(g->loop[i].loop, &k->post);
  }
}

void mc_gateway_kick(mc_gateway *g, uint32_t tenant, uint32_t thing, uint8_t reason_code, const char *text)
{
  kick(g, tenant, thing, reason_code, text, false);
}

void mc_gateway_forget(mc_gateway *g, uint32_t tenant, uint32_t thing, uint32_t key_id, const char *text)
{
  kick(g, tenant, thing, MC_MQTT_ADMIN_ACTION, text, true);
  mc_retained_forget(&g->retained, tenant, key_id);
}

/* ---- certificates that were good when they connected ---- */
typedef struct recheck_post {
  mc_post post;
  mc_gateway_loop *loop;
} recheck_post;

static void on_recheck(mc_post *post)
{
  mc_gateway_loop *l = ((recheck_post *)post)->loop;
  free(post);
  l->wall_us = mc_clock_wall_us();
  for (mc_link *link = l->links, *next; link; link = next) {
    char text[120];
    next = link->next;
    if (!link->conn || link->closing || mc_conn_trusted(link->conn, text, sizeof text))
      continue;
    mc_link_end(link, MC_MQTT_NOT_AUTHORIZED, "the device's certificate is no longer good (%s): issue a new one", text);
    if (link->session)
      mc_session_detach(link->session, link, link->end_text ? link->end_text : text);
  }
}

void mc_gateway_recheck(mc_gateway *g)
{
  atomic_fetch_add(&g->kicks, 1); /* who is between its handshake and its session is asked again */
  for (size_t i = 0; i < g->loop_count; i++) {
    recheck_post *p = malloc(sizeof *p);
    if (!p) {
      mc_log(MC_LOG_ERROR, "gateway", "out of memory: live sessions were not compared with the new revocation list", MC_KU("loop", i));
      continue;
    }
    *p = (recheck_post){.post = {.run = on_recheck}, .loop = &g->loop[i]};
    mc_loop_post(g->loop[i].loop, &p->post);
  }
}
