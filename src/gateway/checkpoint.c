#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/thread.h"

/* The checkpoint: sessions and retained messages as of a journal offset, the floor. Everything below the floor was handled when the
 * parts were written; recovery reads the journal from there.
 *
 * How the floor is found: each loop says which offset its staged records cannot fall below (its low), then sends a token to every
 * other loop behind all groups that it fanned out before. The floor is the least low. A loop that holds all tokens has delivered everything
 * below the floor, and writes its part. Sessions do not leave a loop between its token and its part. */

enum { EVERY_BYTES = 4 << 20 /* a start reads this much again: a few tens of ms */, EVERY_US = 30 * 1000000, TICK_MS = 500 };

struct token {
  mc_post post;
  mc_gateway_loop *to;
};

typedef struct mc_checkpointer {
  mc_gateway *gateway;
  pthread_t thread;
  bool runs;
  pthread_mutex_t lock;
  pthread_cond_t cond;
  bool stop, wanted;
  size_t parts_done;
  uint64_t *low;
  mc_buf *part, *groups; /* by loop: its sessions; its groups */
  uint32_t *part_sessions;
  uint64_t *pin; /* lowest offset that a session of the loop still needs */
  struct token *token;  /* loop_count squared: from * count + to; the diagonal asks for the round */
  uint64_t last_floor;
  size_t last_size;
  int64_t last_us;
  uint64_t shown[8], shown_causes[MC_CAUSES]; /* counters already in the metrics */
} mc_checkpointer;

/* ---- one session ---- */
static mc_err put_le(mc_buf *out, uint64_t v, size_t width)
{
  uint8_t bytes[8];
  mc_store_le64(bytes, v);
  return mc_buf_append(out, bytes, width);
}

static mc_err put_text(mc_buf *out, mc_slice text)
{
  MC_TRY(put_le(out, text.len, 2));
  return mc_buf_append_slice(out, text);
}

static mc_err put_subscriptions(mc_buf *out, const mc_session *s, mc_buf *scratch)
{
  MC_TRY(put_le(out, s->subs.count + mc_share_count(s), 4));
  for (uint32_t i = 0; i < s->subs.count; i++) {
    const mc_sub *sub = mc_sub_of_item(&s->subs.item[i]);
    mc_session_filter f = {.options = sub->options, .id = sub->id};
    mc_buf_clear(scratch);
    MC_TRY(mc_topic_node_text(s->subs.item[i].node, scratch));
    f.filter = mc_buf_slice(scratch);
    MC_TRY(mc_session_record_add_filter(out, &f, false));
  }
  for (const mc_share_member *m = mc_share_next(s, NULL); m; m = mc_share_next(s, m)) {
    mc_session_filter f = {.options = m->options, .id = m->id};
    mc_buf_clear(scratch);
    MC_TRY(mc_share_text(m, scratch));
    f.filter = mc_buf_slice(scratch);
    MC_TRY(mc_session_record_add_filter(out, &f, false));
  }
  return MC_OK;
}

typedef struct part {
  mc_buf *out, *scratch;
  uint64_t floor; /* at and above it recovery routes again */
  uint64_t pin;   /* lowest offset that is still needed */
} part;

static void pin(part *p, uint64_t offset) { p->pin = offset < p->pin ? offset : p->pin; }

static mc_err put_entry(part *p, uint64_t entry, uint32_t *count)
{
  uint64_t offset = entry & MC_OUT_OFFSET;
  if ((entry & (MC_OUT_DONE | MC_OUT_SHARED | MC_OUT_ASSIGNED)) || offset >= p->floor) /* the second: its group's */
    return MC_OK;
  pin(p, offset);
  ++*count;
  return put_le(p->out, mc_outbox_record_entry(entry), 8);
}

/* Two rings one behind the other as one list. */
static mc_err put_entries(part *p, const mc_u64_ring *first, const mc_u64_ring *second)
{
  size_t count_at = p->out->len;
  uint32_t count = 0;
  MC_TRY(put_le(p->out, 0, 4));
  for (uint32_t i = 0; first && i < first->len; i++)
    MC_TRY(put_entry(p, *mc_u64_ring_at(first, i), &count));
  for (uint32_t i = 0; second && i < second->len; i++)
    MC_TRY(put_entry(p, *mc_u64_ring_at(second, i), &count));
  mc_store_le32(p->out->data + count_at, count);
  return MC_OK;
}

/* What must keep its packet id. */
static mc_err put_in_flight(part *p, const mc_outbox *o)
{
  size_t count_at = p->out->len;
  uint32_t count = 0;
  MC_TRY(put_le(p->out, 0, 4));
  for (uint32_t i = 0; o && i < o->inflight.len; i++) {
    uint64_t entry = *mc_u64_ring_at(&o->inflight, i);
    if ((entry & MC_OUT_DONE) || !(entry & MC_OUT_ASSIGNED) || (entry & MC_OUT_OFFSET) >= p->floor)
      continue;
    bool received = (entry & MC_OUT_RECEIVED) && !(entry & MC_OUT_RECEIVING);
    if (!received) /* else PUBREL is what goes: the message is not read again */
      pin(p, entry & MC_OUT_OFFSET);
    MC_TRY(put_le(p->out, mc_outbox_id(o, i), 2));
    MC_TRY(put_le(p->out, received, 1));
    MC_TRY(put_le(p->out, mc_outbox_record_entry(entry), 8));
    count++;
  }
  mc_store_le32(p->out->data + count_at, count);
  return MC_OK;
}

/* What is needed of them is found by their offsets; recovery adds those at and above the floor once more. */
static mc_err put_pages(part *p, const mc_outbox *o)
{
  MC_TRY(put_le(p->out, o ? o->page.len : 0, 4));
  MC_TRY(put_le(p->out, o ? o->paged : 0, 8));
  for (uint32_t i = 0; o && i < o->page.len; i++) {
    uint64_t page = *mc_u64_ring_at(&o->page, i), oldest = mc_outbox_page_oldest(page);
    pin(p, oldest);
    MC_TRY(put_le(p->out, mc_outbox_page_offset(page), 8));
    MC_TRY(put_le(p->out, oldest, 8));
  }
  return MC_OK;
}

static mc_err put_came(part *p, const mc_session *s)
{
  size_t count_at = p->out->len;
  uint32_t at = 0, count = 0;
  uint16_t id, flags;
  MC_TRY(put_le(p->out, 0, 4));
  while (mc_packet_ids_next(&s->came, &at, &id, &flags)) {
    if (flags & MC_CAME_STORING) /* the message may never be on disk; if it is, recovery finds the identifier with it */
      continue;
    MC_TRY(put_le(p->out, id, 2));
    count++;
  }
  mc_store_le32(p->out->data + count_at, count);
  return MC_OK;
}

/* When its connection went, in terms of the clock of now: that may have jumped since. */
static int64_t away_since(const mc_session *s)
{
  if (s->link || s->expiry_s == UINT32_MAX || s->expires_us == INT64_MAX)
    return s->disconnected_us;
  return mc_clock_wall_us() - (mc_loop_now_us(s->home->loop) - (s->expires_us - (int64_t)s->expiry_s * 1000000));
}

static mc_err put_session(part *p, mc_session *s)
{
  mc_buf *out = p->out;
  const mc_outbox *o = s->outbox;
  size_t begin = out->len;
  uint64_t scan_at = o && mc_outbox_scanning(o) ? o->scan_at : UINT64_MAX;
  pin(p, scan_at);
  MC_TRY(put_le(out, 0, 4));
  MC_TRY(put_le(out, s->tenant, 4));
  MC_TRY(put_le(out, s->thing, 4));
  MC_TRY(put_le(out, s->expiry_s, 4));
  MC_TRY(put_le(out, s->version, 1));
  MC_TRY(put_le(out, s->link != NULL, 1));
  MC_TRY(put_le(out, (uint64_t)away_since(s), 8));
  MC_TRY(put_le(out, s->since, 8));
  MC_TRY(put_le(out, scan_at, 8));
  MC_TRY(put_text(out, mc_session_id(s)));
  MC_TRY(put_text(out, mc_slice_str(s->thing_name)));
  MC_TRY(put_subscriptions(out, s, p->scratch));
  MC_TRY(put_entries(p, o ? &o->inflight : NULL, o ? &o->head : NULL));
  MC_TRY(put_came(p, s));
  MC_TRY(put_in_flight(p, o));
  MC_TRY(put_pages(p, o));
  MC_TRY(put_entries(p, o ? &o->waiting : NULL, NULL));
  MC_TRY(put_le(out, s->will != NULL, 1));
  if (s->will)
    MC_TRY(mc_session_will_put(out, &s->will->is));
  mc_store_le32(out->data + begin, (uint32_t)(out->len - begin - 4));
  return MC_OK;
}

/* ---- on the loops ---- */
static void write_part(mc_gateway_loop *l)
{
  mc_checkpointer *c = l->gateway->checkpointer;
  pthread_mutex_lock(&c->lock);
  uint64_t floor = UINT64_MAX;
  for (size_t i = 0; i < l->gateway->loop_count; i++)
    floor = c->low[i] < floor ? c->low[i] : floor;
  pthread_mutex_unlock(&c->lock);
  mc_buf *out = &c->part[l->index]; /* the thread does not look before parts_done says so */
  mc_err err = MC_OK;
  mc_buf_clear(out);
  c->part_sessions[l->index] = 0;
  part p = {.out = out, .scratch = &l->scratch, .floor = floor, .pin = UINT64_MAX};
  for (mc_session *s = l->sessions; s && err == MC_OK; s = s->next) {
    size_t begin = out->len;
    if (!s->recorded && !s->outbox)
      continue;
    err = put_session(&p, s);
    if (s->recorded)
      c->part_sessions[l->index]++;
    else
      out->len = begin; /* nothing of it survives, but retention must leave what it needs while it lives */
  }
  mc_buf_clear(&c->groups[l->index]);
  if (err == MC_OK)
    err = mc_share_checkpoint_put(l, floor, &p.pin, &c->groups[l->index]);
  if (p.pin < 8) /* what a page knows of its oldest message is rounded: near the journal's beginning to 0 */
    p.pin = 8;
  c->pin[l->index] = err == MC_OK ? p.pin : 0; /* 0 marks the part as unusable */
  l->tokens = 0;
  l->token_sent = false;
  pthread_mutex_lock(&c->lock);
  c->parts_done++;
  pthread_cond_signal(&c->cond);
  pthread_mutex_unlock(&c->lock);
}

static void token_came(mc_gateway_loop *l)
{
  if (++l->tokens == l->gateway->loop_count)
    write_part(l);
}

static void on_token(mc_post *post) { token_came(((struct token *)post)->to); }

static void on_ask(mc_post *post)
{
  mc_gateway_loop *l = ((struct token *)post)->to;
  mc_checkpointer *c = l->gateway->checkpointer;
  size_t n = l->gateway->loop_count;
  mc_fan_out_batch(l);
  mc_share_post_flush(l); /* what is not ours to give again as of now: before our token */
  mc_hold_enforce(l);
  pthread_mutex_lock(&c->lock);
  c->low[l->index] = l->pending.len ? l->low : mc_journal_end_offset(l->gateway->journal);
  pthread_mutex_unlock(&c->lock);
  l->token_sent = true;
  for (size_t i = 0; i < n; i++)
    if (i != l->index)
      mc_loop_post(l->gateway->loop[i].loop, &c->token[l->index * n + i].post);
  token_came(l);
}

bool mc_checkpoint_holds_moves(const mc_gateway_loop *l) { return l->token_sent; }

/* ---- the file ---- */
typedef struct retained_out {
  const mc_journal *journal; /* enciphers as it does */
  mc_buf *out;
} retained_out;

static mc_err put_one(mc_buf *out, const mc_retained *value, mc_record record, mc_slice topic)
{
  MC_TRY(put_le(out, record.tenant, 4));
  MC_TRY(put_le(out, value->offset, 8));
  MC_TRY(put_le(out, (uint64_t)value->time_us, 8));
  MC_TRY(put_le(out, value->qos, 1));
  MC_TRY(put_le(out, record.flags, 1));
  MC_TRY(put_text(out, topic));
  MC_TRY(put_le(out, record.props.len, 4));
  MC_TRY(put_le(out, record.payload.len, 4));
  MC_TRY(mc_buf_append_slice(out, record.props));
  MC_TRY(mc_buf_append_slice(out, record.payload));
  return record.flags & MC_RECORD_ENCIPHERED ? put_le(out, record.key_id, 4) : MC_OK;
}

static mc_err put_retained(void *ctx, uint32_t tenant, mc_slice topic, const mc_retained *value)
{
  const retained_out *to = ctx;
  mc_buf sealed = {0};
  mc_record record, plain = {.stream = MC_STREAM_MESSAGE, .flags = value->flags, .tenant = tenant, .key_id = value->key_id, .time_us = value->time_us, .topic = topic,
                             .props = mc_slice_of(value->bytes, value->props_len), .payload = mc_slice_of(value->bytes + value->props_len, value->payload_len)};
  mc_err err = mc_journal_encipher(to->journal, &plain, &sealed, &record);
  if (err == MC_ERR_NOT_FOUND) /* its key was destroyed: it is no more */
    err = MC_OK;
  else if (!err)
    err = put_one(to->out, value, record, topic);
  mc_buf_free(&sealed);
  return err;
}

static mc_err put_groups(const mc_checkpointer *c, mc_buf *out)
{
  size_t n = c->gateway->loop_count, len = 1;
  for (size_t i = 0; i < n; i++)
    len += c->groups[i].len;
  MC_TRY(put_le(out, len, 4));
  MC_TRY(put_le(out, MC_SHARE_SECTION, 1));
  for (size_t i = 0; i < n; i++)
    MC_TRY(mc_buf_append_slice(out, mc_buf_slice(&c->groups[i])));
  return MC_OK;
}

static mc_err assemble(mc_checkpointer *c, uint64_t floor, uint64_t *pin, mc_buf *out)
{
  mc_gateway *g = c->gateway;
  uint32_t sessions = 0;
  *pin = floor;
  MC_TRY(mc_buf_append_str(out, MC_CHECKPOINT_MAGIC));
  MC_TRY(put_le(out, MC_CHECKPOINT_VERSION, 4));
  MC_TRY(put_le(out, floor, 8));
  MC_TRY(put_le(out, (uint64_t)mc_clock_wall_us(), 8));
  for (size_t i = 0; i < g->loop_count; i++) {
    sessions += c->part_sessions[i];
    if (c->pin[i] == 0)
      return MC_ERR_MEMORY;
    *pin = c->pin[i] < *pin ? c->pin[i] : *pin;
  }
  MC_TRY(put_le(out, sessions, 4));
  for (size_t i = 0; i < g->loop_count; i++)
    MC_TRY(mc_buf_append_slice(out, mc_buf_slice(&c->part[i])));
  MC_TRY(put_groups(c, out));
  MC_TRY(mc_wall_put(&g->wall, *pin, out));
  retained_out to = {g->journal, out};
  MC_TRY(mc_retained_all(&g->retained, put_retained, &to));
  return put_le(out, mc_crc32c(0, out->data, out->len), 4);
}

static void write_file(mc_checkpointer *c, uint64_t floor)
{
  mc_gateway *g = c->gateway;
  mc_buf out = {0};
  mc_why why = {0};
  uint64_t pin;
  char path[512];
  snprintf(path, sizeof path, "%s/sessions.checkpoint", g->dir);
  mc_err err = assemble(c, floor, &pin, &out);
  if (err == MC_OK)
    err = mc_fs_replace(g->fs, path, mc_buf_slice(&out), 0600, &why);
  if (err == MC_OK) /* the journal keeps what recovery and queues still need */
    err = mc_journal_consumer_commit(g->journal, "gateway", pin, &why);
  if (err != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "checkpoint not written; restarts take longer until it is", MC_KZ("error", why.text[0] ? why.text : mc_err_text(err)));
  else
    c->last_floor = floor;
  c->last_size = out.len;
  c->last_us = mc_clock_mono_us();
  mc_buf_free(&out);
}

/* ---- the thread ---- */
static void wait_ms(mc_checkpointer *c, int ms)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += (long)(ms % 1000) * 1000000;
  t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  pthread_cond_timedwait(&c->cond, &c->lock, &t);
}

/* Under c->lock. False: a loop does not answer any more (shutting down), the tokens are still out. */
static bool run_round(mc_checkpointer *c, int limit_ms)
{
  mc_gateway *g = c->gateway;
  c->parts_done = 0;
  for (size_t i = 0; i < g->loop_count; i++)
    mc_loop_post(g->loop[i].loop, &c->token[i * g->loop_count + i].post);
  int64_t until = mc_clock_mono_us() + (int64_t)limit_ms * 1000;
  while (c->parts_done < g->loop_count) { /* loops answer within a turn; one that does not run any more never does */
    if (c->stop && mc_clock_mono_us() > until)
      return false;
    wait_ms(c, 20);
  }
  uint64_t floor = UINT64_MAX;
  for (size_t i = 0; i < g->loop_count; i++)
    floor = c->low[i] < floor ? c->low[i] : floor;
  pthread_mutex_unlock(&c->lock);
  write_file(c, floor);
  pthread_mutex_lock(&c->lock);
  return true;
}

static bool due(const mc_checkpointer *c)
{
  uint64_t grown = mc_journal_end_offset(c->gateway->journal) - c->last_floor;
  uint64_t enough = c->last_size * 8 > EVERY_BYTES ? c->last_size * 8 : EVERY_BYTES;
  return grown >= enough || (grown && mc_clock_mono_us() - c->last_us >= EVERY_US);
}

static void show_metrics(mc_checkpointer *c)
{
  static const char *const name[8][2] = {{"motorcade_mqtt_publishes_received_total", "PUBLISH packets taken"},
                                         {"motorcade_mqtt_publishes_acknowledged_total", "QoS 1 publishes answered after they were on disk"},
                                         {"motorcade_mqtt_publishes_delivered_total", "PUBLISH packets sent"},
                                         {"motorcade_mqtt_refused_total", "connections, publishes and subscriptions refused"},
                                         {"motorcade_mqtt_qos0_dropped_total", "QoS 0 copies dropped for clients that do not read"},
                                         {"motorcade_mqtt_spilled_total", "times a slow client's queue went to the journal"},
                                         {"motorcade_mqtt_received_bytes_total", "bytes taken from clients"},
                                         {"motorcade_mqtt_sent_bytes_total", "bytes of PUBLISH packets sent"}};
  uint64_t sum[8] = {0}, connections = 0, shared = 0;
  mc_gateway *g = c->gateway;
  for (size_t i = 0; i < g->loop_count; i++) {
    const mc_gateway_loop *l = &g->loop[i];
    const mc_count *count[8] = {&l->count.received, &l->count.acknowledged, &l->count.delivered, &l->count.refused,
                                &l->count.dropped_q0, &l->count.spilled, &l->count.bytes_in, &l->count.bytes_out};
    for (size_t k = 0; k < 8; k++)
      sum[k] += mc_count_get(count[k]);
    connections += mc_count_get(&l->count.connections);
    shared += mc_count_get(&l->count.share_waiting);
  }
  for (size_t k = 0; k < 8; k++) {
    mc_metric_add(mc_metric_get(MC_METRIC_COUNTER, name[k][0], name[k][1], NULL), sum[k] - c->shown[k]);
    c->shown[k] = sum[k];
  }
  mc_cause_show(g, c->shown_causes);
  mc_metric_set(mc_metric_get(MC_METRIC_GAUGE, "motorcade_mqtt_connections", "open MQTT connections", NULL), (int64_t)connections);
  mc_metric_set(mc_metric_get(MC_METRIC_GAUGE, "motorcade_mqtt_shared_waiting", "messages that wait for shared subscriptions", NULL), (int64_t)shared);
}

static void *run(void *arg)
{
  mc_checkpointer *c = arg;
  mc_thread_name("checkpoint");
  bool answered = true;
  pthread_mutex_lock(&c->lock);
  while (!c->stop) {
    wait_ms(c, TICK_MS);
    if (c->stop)
      break;
    pthread_mutex_unlock(&c->lock); /* loops ask for it: nothing that takes long, or another lock, under it */
    show_metrics(c);
    mc_pressure_measure(c->gateway);
    bool jumped = mc_wall_look(c->gateway);
    pthread_mutex_lock(&c->lock);
    if (!c->stop && (jumped || due(c)))
      answered = run_round(c, 1000);
  }
  if (c->wanted && answered)
    run_round(c, 2000);
  pthread_mutex_unlock(&c->lock);
  return NULL;
}

mc_err mc_checkpointer_start(mc_gateway *g, mc_why *why)
{
  size_t n = g->loop_count;
  mc_checkpointer *c = calloc(1, sizeof *c);
  g->checkpointer = c;
  if (!c)
    return mc_err_set(why, MC_ERR_MEMORY, "gateway: out of memory");
  c->gateway = g;
  pthread_mutex_init(&c->lock, NULL);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&c->cond, &attr);
  pthread_condattr_destroy(&attr);
  c->low = calloc(n, sizeof *c->low);
  c->part = calloc(n, sizeof *c->part);
  c->groups = calloc(n, sizeof *c->groups);
  c->part_sessions = calloc(n, sizeof *c->part_sessions);
  c->pin = calloc(n, sizeof *c->pin);
  c->token = calloc(n * n, sizeof *c->token);
  if (!c->low || !c->part || !c->groups || !c->part_sessions || !c->pin || !c->token)
    return mc_err_set(why, MC_ERR_MEMORY, "gateway: out of memory");
  for (size_t from = 0; from < n; from++)
    for (size_t to = 0; to < n; to++) /* the diagonal asks, the rest are tokens */
      c->token[from * n + to] = (struct token){.post = {.run = from == to ? on_ask : on_token}, .to = &g->loop[to]};
  c->last_us = mc_clock_mono_us();
  if (pthread_create(&c->thread, NULL, run, c))
    return mc_err_set(why, MC_ERR_MEMORY, "gateway: cannot start the checkpoint thread");
  c->runs = true;
  return MC_OK;
}

void mc_checkpointer_stop(mc_gateway *g, bool write_last)
{
  mc_checkpointer *c = g->checkpointer;
  if (!c)
    return;
  if (c->runs) {
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    c->wanted = write_last;
    pthread_cond_signal(&c->cond);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
  }
  for (size_t i = 0; c->part && i < g->loop_count; i++)
    mc_buf_free(&c->part[i]);
  for (size_t i = 0; c->groups && i < g->loop_count; i++)
    mc_buf_free(&c->groups[i]);
  free(c->groups);
  free(c->low);
  free(c->part);
  free(c->part_sessions);
  free(c->pin);
  free(c->token);
  pthread_cond_destroy(&c->cond);
  pthread_mutex_destroy(&c->lock);
  free(c);
  g->checkpointer = NULL;
}
