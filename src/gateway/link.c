#include "gateway/state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* One connection: bytes in, packets judged in order, keep-alive, the end with its reason. */

static mc_link *link_of_timer(mc_timer *t) { return (mc_link *)((char *)t - offsetof(mc_link, timer)); }

/* ---- birth and death ---- */
static void on_timer(mc_timer *timer);

static void open_as(mc_conn *conn, mc_door door)
{
  mc_gateway_loop *l = mc_conn_user(conn);
  mc_link *link = l->stopping ? NULL : calloc(1, sizeof *link);
  mc_conn_set_user(conn, link);
  if (!link) {
    mc_conn_close(conn);
    return;
  }
  link->conn = conn;
  link->home = l;
  link->door = (uint8_t)door;
  link->profile = &l->gateway->profile[l->gateway->door_profile[door]];
  link->next = l->links;
  if (link->next)
    link->next->prev = link;
  l->links = link;
  link->timer.fire = on_timer;
  link->last_in_us = mc_loop_now_us(l->loop);
  link->verdict_key = (++l->link_serial * l->gateway->loop_count + l->index) * 0xD6E8FEB86659FD93ULL;
  mc_loop_timer_set(l->loop, &link->timer, link->last_in_us + (int64_t)l->gateway->limit.connect_timeout_ms * 1000);
  mc_count_add(&l->count.connections, 1);
}

static void on_open(mc_conn *conn) { open_as(conn, MC_DOOR_SHARED); }
static void on_open_cert(mc_conn *conn) { open_as(conn, MC_DOOR_MQTT); }
static void on_open_dev(mc_conn *conn) { open_as(conn, MC_DOOR_DEV); }

static void link_free(mc_link *link)
{
  mc_policy_release(link->policy);
  mc_alias_table_free(link->alias);
  mc_alias_out_free(link->alias_out);
  mc_auth_free(link->auth);
  free(link->end_text);
  free(link);
}

void mc_link_release(mc_link *link)
{
  if (--link->pending == 0 && !link->conn)
    link_free(link);
}

static void leave_blocked(mc_link *link)
{
  for (mc_link **at = &link->home->blocked; link->blocked && *at; at = &(*at)->next_blocked)
    if (*at == link) {
      *at = link->next_blocked;
      link->blocked = false;
      return;
    }
}

static void on_closed(mc_conn *conn, mc_err err, const char *text)
{
  mc_link *link = mc_conn_user(conn);
  if (!link)
    return;
  mc_gateway_loop *l = link->home;
  l->wall_us = mc_clock_wall_us();
  mc_loop_timer_clear(l->loop, &link->timer);
  mc_pace_end(link);
  leave_blocked(link);
  if (link->prev)
    link->prev->next = link->next;
  else
    l->links = link->next;
  if (link->next)
    link->next->prev = link->prev;
  mc_count_add(&l->count.connections, (uint64_t)-1);
  if (link->session && link->session->will) /* whether its will may be sent is asked while it is known who it was */
    mc_permit_current(link);
  link->conn = NULL;
  if (link->claim)
    mc_admission_abandon(link);
  if (link->session) {
    char lost[300];
    if (!link->end_text)
      snprintf(lost, sizeof lost, "connection lost without a DISCONNECT: %s", text && *text ? text : mc_err_text(err));
    mc_session_detach(link->session, link, link->end_text ? link->end_text : lost);
  } else if (!link->version && !link->end_text) {
    mc_log(MC_LOG_DEBUG, "gateway", "connection closed before CONNECT", MC_KZ("why", text ? text : ""));
  }
  if (link->pending == 0)
    link_free(link);
  if (l->stopping)
    mc_loop_wake(l);
}

/* ---- what it is told ---- */
mc_slice mc_link_reason(mc_link *link, const char *text, size_t rest)
{
  mc_buf *props = &link->home->props;
  mc_buf_clear(props);
  if (link->reason_wanted && text)
    mc_mqtt_put_text(props, 0x1F, mc_slice_str(text));
  if (link->max_packet && rest + props->len > link->max_packet) /* never to make the packet too large (3.4.2.2.2 and its like) */
    mc_buf_clear(props);
  return mc_buf_slice(props);
}

enum { ACK_MOST = 2 + 3 + 2 + 1 + 3 /* type, length, identifier, code, length of the properties */ };

void mc_link_put_ack(mc_link *link, mc_mqtt_type type, uint16_t packet_id, uint8_t code, const char *text)
{
  mc_slice props = link->version == MC_MQTT_5 && text ? mc_link_reason(link, text, ACK_MOST) : (mc_slice){0};
  if (mc_mqtt_write_ack(mc_conn_out(link->conn), type, link->version, packet_id, code, props) == MC_OK)
    mc_conn_dirty(link->conn);
}

void mc_link_end(mc_link *link, uint8_t code, const char *format, ...)
{
  if (link->closing || !link->conn)
    return;
  mc_why why;
  va_list args;
  va_start(args, format);
  char text[MC_WHY_TEXT];
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  mc_err_set(&why, MC_OK, "%s", text);
  mc_gateway_loop *l = link->home;
  link->closing = true;
  link->end_code = code;
  free(link->end_text);
  link->end_text = strdup(why.text);
  if (code && link->version == MC_MQTT_5 && link->session && !link->claim) { /* 3.14.0-1: not before CONNACK */
    if (mc_mqtt_write_disconnect(mc_conn_out(link->conn), MC_MQTT_5, code, mc_link_reason(link, why.text, ACK_MOST)) == MC_OK)
      mc_conn_dirty(link->conn);
  }
  if (!link->session && !link->told) { /* nobody's card to write on */
    char address[56];
    mc_peer peer;
    if (!link->address[0]) {
      mc_conn_peer(link->conn, &peer);
      memcpy(address, peer.address, sizeof address);
    } else {
      memcpy(address, link->address, sizeof address);
    }
    mc_log(MC_LOG_WARN, "gateway", "connection refused", MC_KZ("address", address), MC_KZ("why", why.text));
    mc_event_add(l->gateway, 0, mc_slice_str(""), address, false, code, why.text);
    mc_count_add(&l->count.refused, 1);
  }
  if (link->blocked || link->held) {
    leave_blocked(link);
    link->held = false;
    mc_conn_pause(link->conn, false);
  }
  mc_conn_close(link->conn);
}

/* ---- time ---- */
static int64_t patience_us(const mc_link *link) { return (int64_t)link->keep_alive_s * 1500000; }

void mc_link_set_keep_alive(mc_link *link)
{
  if (link->keep_alive_s)
    mc_loop_timer_set(link->home->loop, &link->timer, link->last_in_us + patience_us(link));
  else
    mc_loop_timer_clear(link->home->loop, &link->timer);
}

static void on_timer(mc_timer *timer)
{
  mc_link *link = link_of_timer(timer);
  int64_t now = mc_loop_now_us(link->home->loop);
  link->home->wall_us = mc_clock_wall_us();
  if (!link->version || link->claim || mc_auth_waits(link)) {
    mc_link_end(link, 0, link->claim ? "its session was not there, or on disk, within %u ms of connecting" : "no CONNECT within %u ms of connecting",
                link->home->gateway->limit.connect_timeout_ms);
    return;
  }
  if (link->blocked || link->held) /* we do not read it: its silence is ours */
    link->last_in_us = now;
  if (link->session && link->session->outbox && !link->session->in_pump)
    mc_session_tidy(link->session);
  if (now - link->last_in_us < patience_us(link)) {
    mc_link_set_keep_alive(link);
    return;
  }
  mc_link_end(link, MC_MQTT_KEEP_ALIVE_TIMEOUT, "no packet for %lld s (keep-alive %u s, limit 1.5 times that)",
              (long long)((now - link->last_in_us) / 1000000), link->keep_alive_s);
}

void mc_link_block(mc_link *link)
{
  mc_gateway_loop *l = link->home;
  if (link->blocked)
    return;
  link->blocked = true;
  link->next_blocked = l->blocked;
  l->blocked = link;
  mc_conn_pause(link->conn, true);
}

void mc_link_unblock(mc_gateway_loop *l)
{
  mc_link *link = l->blocked;
  l->blocked = NULL;
  while (link) {
    mc_link *next = link->next_blocked;
    link->blocked = false;
    if (link->conn && !link->deaf && !link->held)
      mc_conn_pause(link->conn, false);
    link = next;
  }
}

/* ---- packets ---- */
static mc_taken take_disconnect(mc_link *link, const mc_mqtt_disconnect *d)
{
  mc_session *s = link->session;
  if (d->props.present & MC_MQTT_P_SESSION_EXPIRY) {
    if (s->expiry_s == 0 && d->props.session_expiry_s) {
      mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "DISCONNECT asks to keep a session that CONNECT asked to end (MQTT 5.0, 3.14.2.2.2)");
      return MC_TAKE_CLOSED;
    }
    uint32_t most = link->profile->session_expiry_s;
    s->expiry_s = d->props.session_expiry_s > most ? most : d->props.session_expiry_s;
  }
  link->clean_end = d->code == MC_MQTT_SUCCESS;
  link->end_text = link->end_text ? link->end_text : strdup(link->clean_end ? "the client disconnected" : "the client disconnected and asked for its will");
  link->closing = true;
  mc_session_detach(s, link, link->end_text ? link->end_text : "");
  mc_conn_close(link->conn);
  return MC_TAKE_CLOSED;
}

static mc_taken take_ping(mc_link *link)
{
  if (mc_mqtt_write_ping(mc_conn_out(link->conn), MC_MQTT_PINGRESP) == MC_OK)
    mc_conn_dirty(link->conn);
  return MC_TAKEN;
}

static mc_taken take(mc_link *link, const mc_mqtt_packet *p)
{
  if (p->type >= MC_MQTT_PUBREC && p->type <= MC_MQTT_PUBCOMP && !mc_conduct_qos2_step(link, p->type, p->ack.packet_id))
    return mc_conduct_no_qos2(link, "PUBREC, PUBREL or PUBCOMP");
  switch (p->type) {
  case MC_MQTT_PUBLISH:
    return mc_publish_take(link, &p->publish);
  case MC_MQTT_PUBACK:
    return mc_deliver_acked(link, &p->ack);
  case MC_MQTT_SUBSCRIBE:
    return mc_subscribe_take(link, &p->subscribe);
  case MC_MQTT_UNSUBSCRIBE:
    return mc_unsubscribe_take(link, &p->subscribe);
  case MC_MQTT_PINGREQ:
    return take_ping(link);
  case MC_MQTT_DISCONNECT:
    return take_disconnect(link, &p->disconnect);
  case MC_MQTT_PUBREC:
    return mc_qos2_received(link, &p->ack);
  case MC_MQTT_PUBCOMP:
    return mc_qos2_completed(link, &p->ack);
  case MC_MQTT_PUBREL:
    return mc_qos2_release(link, &p->ack);
  case MC_MQTT_AUTH:
    return mc_auth_take(link, p);
  default:
    mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "a packet that only a server sends (type %d)", (int)p->type);
    return MC_TAKE_CLOSED;
  }
}

static mc_taken take_bytes(mc_link *link, mc_slice bytes)
{
  mc_mqtt_packet p;
  uint8_t reason = MC_MQTT_MALFORMED;
  mc_why why;
  bool first = link->version == 0;
  assert(bytes.len >= 2); /* as mc_mqtt_peek counts */
  if (first && bytes.data[0] >> 4 != MC_MQTT_CONNECT) {
    mc_link_end(link, 0, "the first packet is not a CONNECT but of type %u (is the client speaking TLS or HTTP to the plain MQTT port?)", bytes.data[0] >> 4);
    return MC_TAKE_CLOSED;
  }
  unsigned type = bytes.data[0] >> 4;
  if (type == MC_MQTT_CONNACK || type == MC_MQTT_SUBACK || type == MC_MQTT_UNSUBACK || type == MC_MQTT_PINGRESP) {
    mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "a packet that only a server sends (type %u)", type);
    return MC_TAKE_CLOSED;
  }
  if (!first && type == MC_MQTT_CONNECT) { /* whatever is in it: what a CONNECT is refused for is no reason that a DISCONNECT may give */
    mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "a second CONNECT on one connection (MQTT 5.0, 3.1.0-2)");
    return MC_TAKE_CLOSED;
  }
  if (first)
    p.connect.version = 0;
  if (mc_mqtt_parse(bytes, first ? MC_MQTT_5 : link->version, &p, &reason, &why) != MC_OK) {
    if (first)
      mc_admission_refuse(link, p.connect.version, reason, why.text);
    else
      mc_link_end(link, reason, "%s", why.text);
    return MC_TAKE_CLOSED;
  }
  if (!first)
    return mc_auth_waits(link) ? mc_auth_take(link, &p) : take(link, &p);
  mc_admission_connect(link, &p.connect, bytes);
  return link->closing ? MC_TAKE_CLOSED : MC_TAKEN;
}

/* A packet may be long and its link slow, but it may not trickle for ever: 30 s, and a second for each KiB of it that has come. Bytes alone
 * would otherwise pass for a living client (3.1.2-22 counts packets) and hold memory. */
static bool trickles(mc_link *link, size_t have)
{
  if (!link->partial_us)
    link->partial_us = link->last_in_us;
  int64_t taken = link->last_in_us - link->partial_us;
  if (taken <= INT64_C(30000000) + (int64_t)(have / 1024) * 1000000)
    return false;
  mc_link_end(link, MC_MQTT_KEEP_ALIVE_TIMEOUT, "a packet trickles in: %zu bytes in %lld s, and it is not whole", have, (long long)(taken / 1000000));
  return true;
}

static size_t on_data(mc_conn *conn, mc_slice in)
{
  mc_link *link = mc_conn_user(conn);
  if (!link || link->closing)
    return in.len;
  mc_gateway_loop *l = link->home;
  l->wall_us = mc_clock_wall_us();
  link->last_in_us = mc_loop_now_us(l->loop);
  size_t at = 0;
  bool partial = false;
  while (at < in.len && !link->claim && !link->held) {
    mc_slice rest = mc_slice_sub(in, at, in.len);
    size_t size;
    mc_err err = mc_mqtt_peek(rest, link->profile->packet_bytes, &size);
    partial = err == MC_ERR_AGAIN || (err == MC_OK && rest.len < size);
    if (partial)
      break;
    if (err != MC_OK) {
      if (err == MC_ERR_TOO_LARGE)
        mc_link_end(link, MC_MQTT_PACKET_TOO_LARGE, "a packet larger than %u bytes (CONNACK, Maximum Packet Size)", link->profile->packet_bytes);
      else
        mc_link_end(link, MC_MQTT_MALFORMED, "malformed remaining length (MQTT 5.0, 1.5.5)");
      return in.len;
    }
    bool first = link->version == 0;
    mc_taken taken = take_bytes(link, mc_slice_sub(rest, 0, size));
    if (taken == MC_TAKE_LATER)
      break;
    at += size;
    if (link->pace)
      mc_pace_bytes(link, size);
    if (first && at < in.len && !link->closing && !link->profile->early_packets)
      mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "packets came before CONNACK: this client's profile has it wait (early_packets)");
    if (link->closing)
      return in.len;
  }
  if (at || !partial)
    link->partial_us = 0;
  if (partial && trickles(link, in.len - at))
    return in.len;
  mc_count_add(&l->count.bytes_in, at);
  if (link->session)
    mc_count_set(&link->session->last_packet_us, (uint64_t)l->wall_us);
  if (mc_conn_backlog(conn) > MC_INPUT_BACKLOG && !link->deaf) { /* it talks but does not listen */
    link->deaf = true;
    link->partial_us = 0; /* what it does not send now is our doing */
    mc_conn_pause(conn, true);
  }
  return at;
}

static void on_drained(mc_conn *conn)
{
  mc_link *link = mc_conn_user(conn);
  if (!link || link->closing)
    return;
  link->home->wall_us = mc_clock_wall_us();
  if (link->deaf) {
    link->deaf = false;
    if (!link->blocked && !link->claim && !link->held)
      mc_conn_pause(conn, false);
  }
  if (link->session)
    mc_deliver_pump(link->session);
}

const mc_conn_handler mc_link_handler = {on_open, on_data, on_drained, on_closed};
const mc_conn_handler mc_link_cert_handler = {on_open_cert, on_data, on_drained, on_closed};
const mc_conn_handler mc_link_dev_handler = {on_open_dev, on_data, on_drained, on_closed};
