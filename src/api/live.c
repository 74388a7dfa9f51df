/* Live positions and values by WebSocket: five ticks a second, the last value wins.
 *
 * A stream stays on the loop that accepted it; each loop with streams has a hub with a timer of its own. The frame's sequence is the twin's change
 * counter, which is the same for all hubs: a client that comes back with epoch and sequence gets exactly what it missed. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/inside.h"
#include "api/live_frame.h"
#include "base/clock.h"

#define TICK_US INT64_C(200000)
#define SILENCE_US INT64_C(1000000)    /* an empty frame after this: the client sees that we live */
#define RECHECK_US INT64_C(10000000)   /* credentials are looked at again */
#define BACKLOG_MAX ((size_t)256 << 10)
enum { MESSAGE_MAX = 4096, TURN_TICKS = 25 /* every 5 s: who changed motion only because time passed? */ };

typedef struct hub hub;

typedef struct stream {
  mc_ws *ws;
  hub *hub; /* NULL: the hub has stopped */
  struct stream *prev, *next;
  uint32_t tenant;
  char secret[64]; /* to look at the credentials again */
  bool by_token;
  bool fleet, fresh; /* fresh: the next frame is a full one */
  bool bounded;
  double west, south, east, north;
  uint64_t since;
  uint8_t *inside; /* bit by vehicle: sent as inside the bounds, so that leaving them is told */
  size_t inside_len;
  uint32_t vehicle; /* 0: none */
  uint64_t vehicle_since;
  int64_t sent_us, checked_us;
} stream;

/* What one tenant's streams of a hub share during a tick. */
typedef struct tenant_view {
  uint32_t tenant;
  bool valid;
  uint64_t since, next;
  mc_vehicle_now_vec changed;
  mc_vehicle_now_vec turned; /* motion changed by time alone */
  uint8_t *motion;           /* last told, by vehicle; 255: never */
  size_t motion_len;
} tenant_view;

struct hub {
  api_live *live;
  mc_loop *loop;
  mc_timer timer;
  mc_post stop;
  stream *first;
  uint64_t tick;
  MC_VEC(tenant_view) view;
  mc_buf frame;
  bool stopped;
  hub *next;
};

struct api_live {
  mc_api *api;
  uint32_t epoch;
  pthread_mutex_t lock; /* guards the list of hubs and their stopped flags */
  pthread_cond_t quiet;
  hub *hubs;
  bool started;
  mc_metric *streams, *skipped;
};

mc_err live_create(mc_api *api, api_live **out)
{
  api_live *l = calloc(1, sizeof *l);
  *out = l;
  if (!l)
    return MC_ERR_MEMORY;
  l->api = api;
  if (RAND_bytes((unsigned char *)&l->epoch, sizeof l->epoch) != 1)
    l->epoch = (uint32_t)mc_clock_wall_us();
  l->epoch |= 1; /* never 0: that means "none seen" */
  pthread_mutex_init(&l->lock, NULL);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&l->quiet, &attr);
  pthread_condattr_destroy(&attr);
  l->streams = mc_metric_get(MC_METRIC_GAUGE, "motorcade_live_streams", "Open live streams.", NULL);
  l->skipped = mc_metric_get(MC_METRIC_COUNTER, "motorcade_live_ticks_skipped_total", "Ticks not sent because a client was behind.", NULL);
  return MC_OK;
}

mc_err mc_api_start_live(mc_api *api, mc_loop *loop, mc_why *why)
{
  (void)loop; /* each loop that accepts a stream ticks for itself */
  pthread_mutex_lock(&api->live->lock);
  api->live->started = true;
  pthread_mutex_unlock(&api->live->lock);
  return MC_OK;
}

/* ---- frames ---- */

static void send_frame(stream *s, const mc_buf *b, int64_t now_us)
{
  mc_ws_send(s->ws, true, mc_buf_slice(b));
  s->sent_us = now_us;
}

static bool within(const stream *s, const mc_vehicle_now *v)
{
  if (!s->bounded)
    return true;
  if (!(v->present >> MC_ROLE_LATITUDE & 1) || !(v->present >> MC_ROLE_LONGITUDE & 1))
    return false;
  bool across = s->west > s->east; /* over the antimeridian */
  bool x = across ? v->longitude >= s->west || v->longitude <= s->east : v->longitude >= s->west && v->longitude <= s->east;
  return x && v->latitude >= s->south && v->latitude <= s->north;
}

/* Whether to tell, remembering what was told. One that left the bounds is told once more. */
static bool to_tell(stream *s, const mc_vehicle_now *v)
{
  if (!s->bounded)
    return true;
  bool in = within(s, v);
  size_t byte = v->vehicle / 8;
  if (byte >= s->inside_len) {
    size_t len = byte + 512;
    uint8_t *grown = realloc(s->inside, len);
    if (!grown)
      return true;
    memset(grown + s->inside_len, 0, len - s->inside_len);
    s->inside = grown;
    s->inside_len = len;
  }
  uint8_t bit = (uint8_t)(1 << (v->vehicle & 7));
  bool was = s->inside[byte] & bit;
  s->inside[byte] = (uint8_t)(in ? s->inside[byte] | bit : s->inside[byte] & ~bit);
  return in || was;
}

/* Adds a vehicle, sending what is full. */
static mc_err add_vehicle(stream *s, mc_buf *b, const mc_vehicle_now *v, uint64_t sequence, int64_t now_us)
{
  if (!to_tell(s, v))
    return MC_OK;
  if (live_frame_count(b, 0) == LIVE_RECORDS_MAX) {
    send_frame(s, b, now_us);
    mc_buf_clear(b);
    MC_TRY(live_frame_begin(b, LIVE_FLEET_CHANGES, s->hub->live->epoch, sequence, now_us));
  }
  return live_frame_vehicle(b, 0, v, now_us);
}

/* ---- what the tenant's streams share ---- */

static tenant_view *view_of(hub *h, uint32_t tenant)
{
  for (size_t i = 0; i < h->view.len; i++)
    if (h->view.at[i].tenant == tenant)
      return &h->view.at[i];
  tenant_view v = {.tenant = tenant};
  return mc_vec_push(&h->view, v) ? NULL : &h->view.at[h->view.len - 1];
}

static uint8_t *motion_slot(tenant_view *v, uint32_t vehicle)
{
  if (vehicle >= v->motion_len) {
    size_t len = (size_t)vehicle + 1024;
    uint8_t *grown = realloc(v->motion, len);
    if (!grown)
      return NULL;
    memset(grown + v->motion_len, 255, len - v->motion_len);
    v->motion = grown;
    v->motion_len = len;
  }
  return &v->motion[vehicle];
}

uint64_t api_vehicles_changed(const mc_api *api, uint32_t tenant, uint64_t since, mc_vehicle_now_vec *out)
{
  uint64_t next = mc_twin_changed(api->config.twin, tenant, since, out);
  size_t kept = 0;
  for (size_t i = 0; i < out->len; i++)
    if (mc_registry_vehicle_exists(api->config.registry, tenant, out->at[i].vehicle))
      out->at[kept++] = out->at[i];
  out->len = kept;
  return next;
}

/* Vehicles fall silent without a word: once in a while all are compared with what was told of them. */
static void find_turned(hub *h, tenant_view *v, int64_t now_us)
{
  mc_vec_clear(&v->turned);
  mc_vehicle_now_vec all = {0};
  api_vehicles_changed(h->live->api, v->tenant, 0, &all);
  for (size_t i = 0; i < all.len; i++) {
    uint8_t *slot = motion_slot(v, all.at[i].vehicle);
    uint8_t motion = (uint8_t)mc_vehicle_now_motion(&all.at[i], now_us);
    if (slot && *slot != motion) {
      if (*slot != 255 && mc_vec_push(&v->turned, all.at[i]))
        break;
      *slot = motion;
    }
  }
  mc_vec_free(&all);
}

/* Changes after since, read once for all streams that are equally far. */
static void read_changed(hub *h, tenant_view *v, uint64_t since)
{
  if (v->valid && v->since == since)
    return;
  mc_vec_clear(&v->changed);
  v->since = since;
  v->next = api_vehicles_changed(h->live->api, v->tenant, since, &v->changed);
  v->valid = true;
}

/* ---- a tick ---- */

static void tick_fleet(stream *s, int64_t now_us)
{
  hub *h = s->hub;
  tenant_view *v = view_of(h, s->tenant);
  if (!v)
    return;
  read_changed(h, v, s->fresh ? 0 : s->since);
  bool due = s->fresh || v->changed.len || v->turned.len || now_us - s->sent_us >= SILENCE_US;
  if (!due) {
    s->since = v->next;
    return;
  }
  mc_buf *b = &h->frame;
  mc_buf_clear(b);
  mc_err err = live_frame_begin(b, s->fresh ? LIVE_FLEET_FULL : LIVE_FLEET_CHANGES, h->live->epoch, v->next, now_us);
  for (size_t i = 0; !err && i < v->changed.len; i++)
    err = add_vehicle(s, b, &v->changed.at[i], v->next, now_us);
  for (size_t i = 0; !err && !s->fresh && i < v->turned.len; i++)
    err = add_vehicle(s, b, &v->turned.at[i], v->next, now_us);
  if (err)
    return; /* no memory: the next tick tries again */
  if (s->fresh || live_frame_count(b, 0) || now_us - s->sent_us >= SILENCE_US)
    send_frame(s, b, now_us);
  s->fresh = false;
  s->since = v->next;
}

static void tick_vehicle(stream *s, int64_t now_us)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)8 << 20);
  mc_latest_vec values = {0};
  uint64_t next = mc_twin_vehicle_changed(s->hub->live->api->config.twin, s->tenant, s->vehicle, s->vehicle_since, &arena, &values);
  mc_buf *b = &s->hub->frame;
  mc_buf_clear(b);
  uint8_t id[4];
  mc_store_le32(id, s->vehicle);
  mc_err err = MC_OK;
  if (values.len) {
    err = live_frame_begin(b, LIVE_VALUES, s->hub->live->epoch, s->since, now_us);
    if (!err)
      err = mc_buf_append(b, id, sizeof id);
    for (size_t i = 0; !err && i < values.len && i < LIVE_RECORDS_MAX; i++)
      err = live_frame_value(b, 0, &values.at[i]);
    if (!err)
      send_frame(s, b, now_us);
  }
  if (!err)
    s->vehicle_since = next;
  mc_vec_free(&values);
}

static bool still_allowed(stream *s)
{
  mc_principal who;
  char csrf[64];
  mc_registry *r = s->hub->live->api->config.registry;
  mc_err err = s->by_token ? mc_registry_token_check(r, mc_slice_str(s->secret), &who) : mc_registry_session_check(r, mc_slice_str(s->secret), &who, csrf);
  return !err && who.tenant == s->tenant && mc_access_role_allows(who.role, MC_LIT("vehicle:read"));
}

static void tick_stream(stream *s, int64_t mono_us, int64_t now_us)
{
  if (mono_us - s->checked_us >= RECHECK_US) {
    s->checked_us = mono_us;
    if (!still_allowed(s)) {
      mc_ws_close(s->ws, 4001, "signed out");
      return;
    }
  }
  if (mc_conn_backlog(mc_ws_conn(s->ws)) > BACKLOG_MAX) {
    s->fresh = s->fleet;
    mc_metric_add(s->hub->live->skipped, 1);
    return;
  }
  if (s->fleet)
    tick_fleet(s, now_us);
  if (s->vehicle)
    tick_vehicle(s, now_us);
}

static void on_tick(mc_timer *timer)
{
  hub *h = (hub *)((char *)timer - offsetof(hub, timer));
  int64_t now_us = mc_clock_wall_us(), mono_us = mc_loop_now_us(h->loop);
  h->tick++;
  for (size_t i = 0; i < h->view.len; i++) {
    h->view.at[i].valid = false;
    if (h->first && h->tick % TURN_TICKS == 1)
      find_turned(h, &h->view.at[i], now_us);
    else
      mc_vec_clear(&h->view.at[i].turned);
  }
  for (stream *s = h->first, *next; s; s = next) {
    next = s->next;
    tick_stream(s, mono_us, now_us);
  }
  if (h->first && !h->stopped)
    mc_loop_timer_set(h->loop, timer, mono_us + TICK_US);
}

/* ---- messages of the client ---- */

static void complain(mc_ws *ws, const char *text)
{
  mc_buf b = {0};
  mc_json j = mc_json_to(&b);
  mc_json_object(&j);
  mc_json_str_field(&j, "type", "error");
  mc_json_str_field(&j, "detail", text);
  mc_json_object_end(&j);
  if (mc_json_end(&j) == MC_OK)
    mc_ws_send(ws, false, mc_buf_slice(&b));
  mc_buf_free(&b);
}

static bool read_bounds(stream *s, json_t *bounds)
{
  double v[4];
  s->bounded = bounds && !json_is_null(bounds);
  free(s->inside);
  s->inside = NULL;
  s->inside_len = 0;
  if (!s->bounded)
    return true;
  if (!json_is_array(bounds) || json_array_size(bounds) != 4)
    return false;
  for (size_t i = 0; i < 4; i++) {
    if (!json_is_number(json_array_get(bounds, i)))
      return false;
    v[i] = json_number_value(json_array_get(bounds, i));
  }
  s->west = v[0];
  s->south = v[1];
  s->east = v[2];
  s->north = v[3];
  return s->south <= s->north && s->south >= -90 && s->north <= 90 && s->west >= -180 && s->west <= 180 && s->east >= -180 && s->east <= 180;
}

static void take_fleet(stream *s, json_t *root)
{
  if (!read_bounds(s, json_object_get(root, "bounds"))) {
    s->bounded = false;
    complain(s->ws, "bounds: [west, south, east, north] in degrees, or absent for all");
  }
  json_t *since = json_object_get(root, "since"), *epoch = json_object_get(root, "epoch");
  bool resume = json_is_integer(since) && json_is_integer(epoch) && json_integer_value(since) > 0 && json_integer_value(epoch) == s->hub->live->epoch;
  s->fleet = true;
  s->fresh = !resume || s->bounded;
  s->since = resume ? (uint64_t)json_integer_value(since) : 0;
  if (resume) { /* a number from the future is no number of ours */
    mc_vehicle_now_vec none = {0};
    uint64_t now = mc_twin_changed(s->hub->live->api->config.twin, s->tenant, s->since, &none);
    mc_vec_free(&none);
    s->fresh |= now < s->since;
  }
}

static void take_vehicle(stream *s, json_t *root)
{
  json_t *id = json_object_get(root, "id");
  json_int_t v = json_is_integer(id) ? json_integer_value(id) : -1;
  mc_vehicle known;
  s->vehicle = 0;
  if (v == 0)
    return;
  if (v < 0 || v > UINT32_MAX || mc_registry_vehicle_get(s->hub->live->api->config.registry, s->tenant, (uint32_t)v, &known)) {
    complain(s->ws, "id: there is no vehicle with this id");
    return;
  }
  s->vehicle = (uint32_t)v;
  s->vehicle_since = 0;
}

static void on_message(mc_ws *ws, bool binary, mc_slice payload)
{
  stream *s = mc_ws_user(ws);
  if (!s->hub)
    return;
  json_t *root = binary ? NULL : json_loadb((const char *)payload.data, payload.len, JSON_REJECT_DUPLICATES, NULL);
  const char *type = json_string_value(json_object_get(root, "type"));
  if (type && !strcmp(type, "fleet"))
    take_fleet(s, root);
  else if (type && !strcmp(type, "vehicle"))
    take_vehicle(s, root);
  else
    complain(ws, "send JSON text like {\"type\":\"fleet\"} or {\"type\":\"vehicle\",\"id\":7}");
  json_decref(root);
}

static void on_closed(mc_ws *ws)
{
  stream *s = mc_ws_user(ws);
  hub *h = s->hub;
  if (h) {
    if (s->prev)
      s->prev->next = s->next;
    else
      h->first = s->next;
    if (s->next)
      s->next->prev = s->prev;
    mc_metric_set(h->live->streams, mc_metric_value(h->live->streams) - 1);
    if (!h->first)
      mc_loop_timer_clear(h->loop, &h->timer);
  }
  free(s->inside);
  free(s);
}

/* ---- beginning and end ---- */

static void on_stop(mc_post *post)
{
  hub *h = (hub *)((char *)post - offsetof(hub, stop));
  mc_loop_timer_clear(h->loop, &h->timer);
  for (stream *s = h->first, *next; s; s = next) {
    next = s->next;
    s->hub = NULL;
    mc_metric_set(h->live->streams, mc_metric_value(h->live->streams) - 1);
    mc_ws_close(s->ws, 1001, "the server is stopping");
  }
  h->first = NULL;
  pthread_mutex_lock(&h->live->lock);
  h->stopped = true;
  pthread_cond_broadcast(&h->live->quiet);
  pthread_mutex_unlock(&h->live->lock);
}

/* The hub of this loop, made on first use. NULL: not started, stopping or no memory. */
static hub *hub_of(api_live *l, mc_loop *loop)
{
  pthread_mutex_lock(&l->lock);
  hub *h = l->hubs;
  while (h && h->loop != loop)
    h = h->next;
  if (!h && l->started && (h = calloc(1, sizeof *h))) {
    h->live = l;
    h->loop = loop;
    h->timer.fire = on_tick;
    h->stop.run = on_stop;
    h->next = l->hubs;
    l->hubs = h;
  }
  if (!l->started)
    h = NULL;
  pthread_mutex_unlock(&l->lock);
  return h;
}

static bool offers_protocol(const api_call *c)
{
  mc_slice offered = mc_http_request_header(c->request, "sec-websocket-protocol");
  return offered.len && memmem(offered.data, offered.len, "motorcade.live.v1", 17);
}

/* The secret that this request signed in with. */
static bool keep_secret(const api_call *c, stream *s)
{
  s->by_token = !c->by_cookie;
  mc_slice secret = c->by_cookie ? c->session : mc_slice_trim(mc_slice_sub(mc_http_request_header(c->request, "authorization"), 7, SIZE_MAX));
  return mc_slice_to_str(secret, s->secret, sizeof s->secret);
}

void live_accept(api_live *l, api_call *c)
{
  static const mc_ws_handler handler = {on_message, on_closed};
  if (c->by_cookie && !identity_same_origin(c->request)) {
    mc_err_set(&c->why, MC_ERR_DENIED, "the live stream is for pages of this server only");
    reply_problem(c, 403);
    return;
  }
  hub *h = hub_of(l, mc_conn_loop(c->request->conn));
  stream *s = h ? calloc(1, sizeof *s) : NULL;
  if (!s || !keep_secret(c, s)) {
    free(s);
    mc_err_set(&c->why, MC_ERR_AGAIN, "live streams are not running now; try again in a moment");
    reply_problem(c, 503);
    return;
  }
  s->hub = h;
  s->tenant = c->who.tenant;
  s->checked_us = mc_loop_now_us(h->loop);
  mc_http_request *request = c->request;
  const char *protocol = offers_protocol(c) ? "motorcade.live.v1" : NULL;
  call_free(c);
  if (mc_ws_accept(request, protocol, &handler, s, MESSAGE_MAX, &s->ws)) {
    free(s);
    return;
  }
  s->next = h->first;
  if (h->first)
    h->first->prev = s;
  h->first = s;
  mc_metric_set(l->streams, mc_metric_value(l->streams) + 1);
  if (!s->next)
    mc_loop_timer_set(h->loop, &h->timer, mc_loop_now_us(h->loop) + TICK_US);
}

void live_stop(api_live *l)
{
  if (!l)
    return;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += 2; /* a loop that no longer runs must not hold us */
  pthread_mutex_lock(&l->lock);
  l->started = false;
  for (hub *h = l->hubs; h; h = h->next)
    if (!h->stopped)
      mc_loop_post(h->loop, &h->stop);
  for (hub *h = l->hubs; h; h = h->next)
    while (!h->stopped && pthread_cond_timedwait(&l->quiet, &l->lock, &until) == 0)
      continue;
  pthread_mutex_unlock(&l->lock);
}

void live_destroy(api_live **live)
{
  api_live *l = *live;
  if (!l)
    return;
  for (hub *h = l->hubs, *next; h; h = next) {
    next = h->next;
    for (size_t i = 0; i < h->view.len; i++) {
      mc_vec_free(&h->view.at[i].changed);
      mc_vec_free(&h->view.at[i].turned);
      free(h->view.at[i].motion);
    }
    mc_vec_free(&h->view);
    mc_buf_free(&h->frame);
    free(h);
  }
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->quiet);
  free(l);
  *live = NULL;
}
