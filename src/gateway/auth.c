#include <stdlib.h>
#include <sys/random.h>

#include "gateway/state.h"

/* Signing in without a certificate: by user name and password, or by SCRAM-SHA-256 (MQTT 5.0, 4.12; RFC 7677), where the password never travels.
 * Only services have passwords. On the port that asks for certificates, and without TLS, there is neither.
 *
 *   CONNECT (method) ─► AUTH 0x18 ─► AUTH 0x18 ─► CONNACK          later: AUTH 0x19 ─► AUTH 0x18 ─► AUTH 0x18 ─► AUTH 0x00
 */

enum { P_METHOD = 0x15, P_DATA = 0x16, P_REASON = 0x1F, CONNECT_KEPT_MAX = 64 << 10 };

struct mc_auth {
  mc_scram scram;
  mc_principal who; /* kind NONE: not signed in yet */
  mc_buf proof;     /* the server's last message: goes into the CONNACK */
  bool scram_used, running /* an exchange is under way */;
  char name[MC_SCRAM_NAME + 1];
  size_t connect_len;
  uint8_t connect[]; /* the CONNECT that waits */
};

void mc_auth_free(struct mc_auth *a)
{
  if (!a)
    return;
  mc_buf_free(&a->proof);
  mc_key_wipe(a, sizeof *a);
  free(a);
}

bool mc_auth_waits(const mc_link *link) { return link->auth && link->auth->who.kind == MC_PRINCIPAL_NONE; }

static bool possible(const mc_link *link, const mc_peer *peer)
{
  return link->home->gateway->registry && (link->door == MC_DOOR_DEV || (peer->tls && link->door != MC_DOOR_MQTT && (peer->alpn == MC_ALPN_MQTT || peer->websocket)));
}

static const char where[] = "passwords are taken over TLS only, on the shared TLS port with the ALPN name \"mqtt\" or in WebSocket; elsewhere a device shows its certificate";

static struct mc_auth *auth_of(mc_link *link, mc_slice connect)
{
  struct mc_auth *a = calloc(1, sizeof *a + connect.len);
  if (!a)
    return NULL;
  a->connect_len = connect.len;
  if (connect.len)
    memcpy(a->connect, connect.data, connect.len);
  mc_auth_free(link->auth);
  return link->auth = a;
}

/* Without the port: who guesses comes from many ports. */
static mc_slice address_of(const mc_link *link, char out[56])
{
  mc_slice_to_str(mc_slice_str(link->address), out, 56);
  char *port = strrchr(out, ':');
  if (port)
    *port = 0;
  return mc_slice_str(out);
}

/* ---- user name and password ---- */
mc_err mc_auth_password(mc_link *link, const mc_peer *peer, const mc_mqtt_connect *c, mc_principal *who, mc_why *why)
{
  mc_gateway *g = link->home->gateway;
  if (!possible(link, peer))
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "%s", where);
  char address[56];
  MC_TRY(mc_registry_service_sign_in(g->registry, c->username, c->password, address_of(link, address), who, &link->policy, why));
  struct mc_auth *a = auth_of(link, (mc_slice){0});
  if (!a)
    return mc_err_set(why, MC_ERR_TIMEOUT, "the server is out of memory; connect again later");
  a->who = *who;
  mc_slice_to_str(c->username, a->name, sizeof a->name);
  return MC_OK;
}

/* Who signed in before, read again: the service may have lost its password, or been disabled. */
mc_err mc_auth_again(mc_link *link, mc_principal *who, mc_why *why)
{
  mc_scram_verifier v;
  mc_registry *r = link->home->gateway->registry;
  if (mc_registry_service_find(r, mc_slice_str(link->auth->name), &v, who, &link->policy) == MC_OK && who->id == link->auth->who.id)
    return MC_OK;
  return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "service \"%s\" may no longer sign in by password", link->auth->name);
}

/* ---- SCRAM ---- */
static void send_auth(mc_link *link, uint8_t code, mc_slice data)
{
  mc_buf *props = &link->home->props;
  mc_buf_clear(props);
  mc_mqtt_put_text(props, P_METHOD, MC_LIT(MC_SCRAM_METHOD));
  if (data.len)
    mc_mqtt_put_text(props, P_DATA, data);
  if (mc_mqtt_write_auth(mc_conn_out(link->conn), code, mc_buf_slice(props)) == MC_OK)
    mc_conn_dirty(link->conn);
}

void mc_auth_put_connack(const mc_link *link, mc_buf *props)
{
  if (!link->auth || !link->auth->scram_used)
    return;
  mc_mqtt_put_text(props, P_METHOD, MC_LIT(MC_SCRAM_METHOD));
  mc_mqtt_put_text(props, P_DATA, mc_buf_slice(&link->auth->proof));
}

/* The first message of the client: answered with the challenge. */
static mc_err challenge(mc_link *link, mc_slice first, mc_why *why)
{
  mc_gateway *g = link->home->gateway;
  struct mc_auth *a = link->auth;
  mc_scram_verifier v;
  mc_principal who;
  const mc_policy *policy = NULL;
  char address[56];
  MC_TRY(mc_scram_begin(&a->scram, first, why));
  if (a->who.kind != MC_PRINCIPAL_NONE && strcmp(a->name, a->scram.name) != 0)
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "a session signs in again as who it is: \"%s\"", a->name);
  MC_TRY(mc_registry_service_attempt(g->registry, mc_slice_str(a->scram.name), address_of(link, address), why));
  bool known = mc_registry_service_find(g->registry, mc_slice_str(a->scram.name), &v, &who, &policy) == MC_OK;
  mc_policy_release(policy);
  mc_buf message = {0};
  mc_err err = mc_scram_challenge(&a->scram, known ? &v : NULL, g->auth_secret, &message);
  if (!err) {
    a->running = true;
    send_auth(link, MC_MQTT_CONTINUE_AUTH, mc_buf_slice(&message));
  }
  mc_buf_free(&message);
  return err ? mc_err_set(why, err, "the server is out of memory; connect again later") : MC_OK;
}

/* The last message: who it is, or not. link->policy is that of who signed in. */
static mc_err prove(mc_link *link, mc_slice final, mc_why *why)
{
  mc_gateway *g = link->home->gateway;
  struct mc_auth *a = link->auth;
  mc_scram_verifier v;
  mc_principal who;
  const mc_policy *policy = NULL;
  char address[56];
  a->running = false;
  mc_buf_clear(&a->proof);
  MC_TRY(mc_scram_finish(&a->scram, final, &a->proof, why));
  if (mc_registry_service_find(g->registry, mc_slice_str(a->scram.name), &v, &who, &policy) != MC_OK)
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "user name or password is wrong");
  mc_policy_release(link->policy);
  link->policy = policy;
  mc_permit_stale(link);
  a->who = who;
  memcpy(a->name, a->scram.name, sizeof a->name);
  mc_registry_service_succeeded(g->registry, mc_slice_str(a->name), address_of(link, address));
  return MC_OK;
}

static uint8_t code_of(mc_err err)
{
  return err == MC_ERR_MALFORMED || err == MC_ERR_TOO_LARGE ? MC_MQTT_PROTOCOL_ERROR : err == MC_ERR_AGAIN || err == MC_ERR_FULL ? MC_MQTT_CONNECTION_RATE : MC_MQTT_NOT_AUTHORIZED;
}

/* CONNECT with an authentication method. */
void mc_auth_connect(mc_link *link, const mc_mqtt_connect *c, mc_slice bytes)
{
  mc_peer peer;
  mc_why why;
  mc_conn_peer(link->conn, &peer);
  memcpy(link->address, peer.address, sizeof link->address);
  if (!mc_slice_eq_str(c->props.auth_method, MC_SCRAM_METHOD)) {
    mc_admission_refuse(link, c->version, MC_MQTT_BAD_AUTH_METHOD, "the authentication method is not one of this server's: " MC_SCRAM_METHOD);
    return;
  }
  if (!possible(link, &peer)) {
    mc_admission_refuse(link, c->version, MC_MQTT_BAD_AUTH_METHOD, where);
    return;
  }
  if (bytes.len > CONNECT_KEPT_MAX) {
    mc_admission_refuse(link, c->version, MC_MQTT_PACKET_TOO_LARGE, "a CONNECT that signs in by exchange has at most 64 KiB: make the will smaller");
    return;
  }
  if (!auth_of(link, bytes)) {
    mc_admission_refuse(link, c->version, MC_MQTT_UNAVAILABLE, "the server is out of memory; connect again later");
    return;
  }
  link->auth->scram_used = true;
  link->reason_wanted = true;
  mc_err err = challenge(link, c->props.auth_data, &why);
  if (err)
    mc_admission_refuse(link, c->version, code_of(err), why.text);
}

/* Before the CONNACK: anything but the client's last message ends it (4.12: the client sends AUTH or DISCONNECT). */
static mc_taken first_time(mc_link *link, const mc_mqtt_packet *p)
{
  struct mc_auth *a = link->auth;
  mc_mqtt_packet connect;
  mc_why why;
  if (p->type != MC_MQTT_AUTH || p->disconnect.code != MC_MQTT_CONTINUE_AUTH || !mc_slice_eq_str(p->disconnect.props.auth_method, MC_SCRAM_METHOD)) {
    if (p->type == MC_MQTT_DISCONNECT)
      mc_link_end(link, 0, "the client left while it signed in");
    else
      mc_admission_refuse(link, MC_MQTT_5, MC_MQTT_PROTOCOL_ERROR, "only AUTH with the same method, or DISCONNECT, may come before the CONNACK (MQTT 5.0, 4.12)");
    return MC_TAKE_CLOSED;
  }
  mc_err err = prove(link, p->disconnect.props.auth_data, &why);
  if (err) {
    mc_event_add(link->home->gateway, 0, mc_slice_str(a->scram.name), link->address, false, code_of(err), why.text);
    mc_admission_refuse(link, MC_MQTT_5, code_of(err), why.text);
    return MC_TAKE_CLOSED;
  }
  if (mc_mqtt_parse(mc_slice_of(a->connect, a->connect_len), MC_MQTT_5, &connect, NULL, &why) == MC_OK) /* it did before */
    mc_admission_enter(link, &connect.connect);
  return link->closing ? MC_TAKE_CLOSED : MC_TAKEN;
}

mc_taken mc_auth_take(mc_link *link, const mc_mqtt_packet *p)
{
  struct mc_auth *a = link->auth;
  mc_why why;
  if (!link->session)
    return first_time(link, p);
  if (!a || !a->scram_used || !mc_slice_eq_str(p->disconnect.props.auth_method, MC_SCRAM_METHOD)) {
    mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "AUTH must carry the authentication method that CONNECT named (MQTT 5.0, 4.12.1)");
    return MC_TAKE_CLOSED;
  }
  mc_err err;
  if (p->disconnect.code == MC_MQTT_REAUTH) {
    err = challenge(link, p->disconnect.props.auth_data, &why);
  } else if (p->disconnect.code == MC_MQTT_CONTINUE_AUTH && a->running) {
    err = prove(link, p->disconnect.props.auth_data, &why);
    if (!err)
      send_auth(link, MC_MQTT_SUCCESS, mc_buf_slice(&a->proof));
  } else {
    mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "AUTH with reason 0x%02x is out of turn (MQTT 5.0, 4.12.1)", p->disconnect.code);
    return MC_TAKE_CLOSED;
  }
  if (!err)
    return MC_TAKEN;
  mc_link_end(link, code_of(err), "%s", why.text);
  return MC_TAKE_CLOSED;
}
