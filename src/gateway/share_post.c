#include "gateway/share.h"

#include <stdlib.h>

#include "gateway/state.h"

/* What shared subscriptions tell other loops. One buffer a loop and turn, in order; formats in memory only:
 * a kind byte, then the fields as written below. */

enum { SEAT = 1, DROP, DONE, KEEP, GIVE };
enum { ROOM = 64 << 10, SEAT_HEAD = 1 + 8 + 4 + 4 + 4 + 2 + 2 + 1 + 1 + 2 + 2, DROP_SIZE = 1 + 8, DONE_SIZE = 1 + 8 + 8 + 4, KEEP_SIZE = 1 + 8 + 8, GIVE_HEAD = 1 + 8 + 4 + 1 + 1 + 8 + 8 + 4 + 4 + 4 };
enum { CONNECTED = 1, LEAVING = 2, PERSISTENT = 4, COUNTED = 8 };

struct mc_share_post {
  mc_post post;
  mc_gateway_loop *to;
  size_t len, cap;
  uint8_t bytes[];
};

/* The gateway starts on one thread, before its loops run: then everything applies at once. */
static bool directly(const mc_gateway_loop *l, size_t to) { return to == l->index || l->gateway->recovering; }

/* ---- arriving ---- */
static void read_seat(mc_gateway_loop *l, mc_cursor *c)
{
  mc_share_seat s = {.serial = mc_cursor_le64(c)};
  s.tenant = mc_cursor_le32(c);
  s.epoch = mc_cursor_le32(c);
  s.load = mc_cursor_le32(c);
  s.loop = mc_cursor_le16(c);
  s.window = mc_cursor_le16(c);
  s.qos = mc_cursor_u8(c);
  uint8_t flags = mc_cursor_u8(c);
  size_t name = mc_cursor_le16(c), filter = mc_cursor_le16(c);
  s.name = mc_cursor_bytes(c, name);
  s.filter = mc_cursor_bytes(c, filter);
  s.connected = flags & CONNECTED;
  s.leaving = flags & LEAVING;
  s.persistent = flags & PERSISTENT;
  s.counted = flags & COUNTED;
  mc_share_seat_set(l, &s);
}

static void read_done(mc_gateway_loop *l, mc_cursor *c)
{
  uint64_t serial = mc_cursor_le64(c), offset = mc_cursor_le64(c);
  mc_share_seat_done(l, serial, offset, mc_cursor_le32(c));
}

static void read_keep(mc_gateway_loop *l, mc_cursor *c)
{
  uint64_t serial = mc_cursor_le64(c);
  mc_share_seat_keep(l, serial, mc_cursor_le64(c));
}

static void read_give(mc_gateway_loop *l, mc_cursor *c)
{
  uint64_t serial = mc_cursor_le64(c);
  uint32_t epoch = mc_cursor_le32(c);
  uint8_t qos = mc_cursor_u8(c), flags = mc_cursor_u8(c);
  mc_message m = {.offset = mc_cursor_le64(c), .retain = flags & MC_RECORD_RETAIN, .v5 = flags & MC_RECORD_V5, .qos = qos};
  m.time_us = (int64_t)mc_cursor_le64(c);
  size_t topic = mc_cursor_le32(c), props = mc_cursor_le32(c), payload = mc_cursor_le32(c);
  m.topic = mc_cursor_bytes(c, topic);
  m.props = mc_cursor_bytes(c, props);
  m.payload = mc_cursor_bytes(c, payload);
  mc_vec_clear(&l->subs.id); /* nothing is being matched here */
  mc_share_arrive(l, serial, epoch, qos, &m);
}

static void arrived(mc_post *post)
{
  struct mc_share_post *p = (struct mc_share_post *)post;
  mc_gateway_loop *l = p->to;
  mc_cursor c = mc_cursor_of(mc_slice_of(p->bytes, p->len));
  l->wall_us = mc_clock_wall_us();
  while (mc_cursor_left(&c)) {
    switch (mc_cursor_u8(&c)) {
    case SEAT:
      read_seat(l, &c);
      break;
    case DROP:
      mc_share_seat_drop(l, mc_cursor_le64(&c));
      break;
    case DONE:
      read_done(l, &c);
      break;
    case KEEP:
      read_keep(l, &c);
      break;
    default:
      read_give(l, &c);
    }
  }
  free(p);
}

/* ---- leaving ---- */
static void send_to(mc_gateway_loop *l, size_t to)
{
  struct mc_share_post *p = to < l->share.out.len ? l->share.out.at[to] : NULL;
  if (!p)
    return;
  l->share.out.at[to] = NULL;
  mc_loop_post(p->to->loop, &p->post);
}

void mc_share_post_flush(mc_gateway_loop *l)
{
  for (size_t i = 0; i < l->share.out.len; i++)
    send_to(l, i);
}

/* Where the next `need` bytes for that loop go; NULL: no memory. */
static uint8_t *room(mc_gateway_loop *l, size_t to, size_t need)
{
  mc_gateway *g = l->gateway;
  while (l->share.out.len < g->loop_count)
    if (mc_vec_push(&l->share.out, NULL) != MC_OK)
      return NULL;
  struct mc_share_post *p = l->share.out.at[to];
  if (p && p->cap - p->len < need) {
    send_to(l, to);
    p = NULL;
  }
  if (!p) {
    size_t cap = need > ROOM ? need : ROOM;
    p = malloc(sizeof *p + cap);
    if (!p)
      return NULL;
    *p = (struct mc_share_post){.post = {.run = arrived}, .to = &g->loop[to], .cap = cap};
    l->share.out.at[to] = p;
    mc_loop_wake(l);
  }
  p->len += need;
  return p->bytes + p->len - need;
}

mc_err mc_share_post_seat(mc_gateway_loop *l, size_t home, const mc_share_seat *s)
{
  if (directly(l, home)) {
    mc_share_seat_set(&l->gateway->loop[home], s);
    return MC_OK;
  }
  uint8_t *p = room(l, home, SEAT_HEAD + s->name.len + s->filter.len);
  if (!p)
    return MC_ERR_MEMORY;
  *p = SEAT;
  mc_store_le64(p + 1, s->serial);
  mc_store_le32(p + 9, s->tenant);
  mc_store_le32(p + 13, s->epoch);
  mc_store_le32(p + 17, s->load);
  mc_store_le16(p + 21, s->loop);
  mc_store_le16(p + 23, s->window);
  p[25] = s->qos;
  p[26] = (uint8_t)((s->connected ? CONNECTED : 0) | (s->leaving ? LEAVING : 0) | (s->persistent ? PERSISTENT : 0) | (s->counted ? COUNTED : 0));
  mc_store_le16(p + 27, (uint16_t)s->name.len);
  mc_store_le16(p + 29, (uint16_t)s->filter.len);
  memcpy(p + SEAT_HEAD, s->name.data, s->name.len);
  memcpy(p + SEAT_HEAD + s->name.len, s->filter.data, s->filter.len);
  send_to(l, home);
  return MC_OK;
}

mc_err mc_share_post_drop(mc_gateway_loop *l, size_t home, uint64_t serial)
{
  if (directly(l, home)) {
    mc_share_seat_drop(&l->gateway->loop[home], serial);
    return MC_OK;
  }
  uint8_t *p = room(l, home, DROP_SIZE);
  if (!p)
    return MC_ERR_MEMORY;
  *p = DROP;
  mc_store_le64(p + 1, serial);
  return MC_OK;
}

mc_err mc_share_post_done(mc_gateway_loop *l, size_t home, uint64_t serial, uint64_t offset, uint32_t load)
{
  if (directly(l, home)) {
    mc_share_seat_done(&l->gateway->loop[home], serial, offset, load);
    return MC_OK;
  }
  uint8_t *p = room(l, home, DONE_SIZE);
  if (!p)
    return MC_ERR_MEMORY;
  *p = DONE;
  mc_store_le64(p + 1, serial);
  mc_store_le64(p + 9, offset);
  mc_store_le32(p + 17, load);
  return MC_OK;
}

mc_err mc_share_post_keep(mc_gateway_loop *l, size_t home, uint64_t serial, uint64_t offset)
{
  if (directly(l, home)) {
    mc_share_seat_keep(&l->gateway->loop[home], serial, offset);
    return MC_OK;
  }
  uint8_t *p = room(l, home, KEEP_SIZE);
  if (!p)
    return MC_ERR_MEMORY;
  *p = KEEP;
  mc_store_le64(p + 1, serial);
  mc_store_le64(p + 9, offset);
  return MC_OK;
}

mc_err mc_share_post_give(mc_gateway_loop *l, size_t to, uint64_t serial, uint32_t epoch, uint8_t qos, mc_message *m)
{
  if (directly(l, to)) {
    mc_share_arrive(l, serial, epoch, qos, m);
    return MC_OK;
  }
  uint8_t *p = room(l, to, GIVE_HEAD + m->topic.len + m->props.len + m->payload.len);
  if (!p)
    return MC_ERR_MEMORY;
  *p = GIVE;
  mc_store_le64(p + 1, serial);
  mc_store_le32(p + 9, epoch);
  p[13] = qos;
  p[14] = (uint8_t)((m->retain ? MC_RECORD_RETAIN : 0) | (m->v5 ? MC_RECORD_V5 : 0));
  mc_store_le64(p + 15, m->offset);
  mc_store_le64(p + 23, (uint64_t)m->time_us);
  mc_store_le32(p + 31, (uint32_t)m->topic.len);
  mc_store_le32(p + 35, (uint32_t)m->props.len);
  mc_store_le32(p + 39, (uint32_t)m->payload.len);
  p += GIVE_HEAD;
  memcpy(p, m->topic.data, m->topic.len);
  if (m->props.len)
    memcpy(p + m->topic.len, m->props.data, m->props.len);
  if (m->payload.len)
    memcpy(p + m->topic.len + m->props.len, m->payload.data, m->payload.len);
  return MC_OK;
}

void mc_share_loop_free(mc_gateway_loop *l)
{
  for (size_t i = 0; i < l->share.out.len; i++)
    free(l->share.out.at[i]);
  mc_vec_free(&l->share.out);
  mc_map_free(&l->share.members);
  mc_share_groups_free(l);
}
