#include "gateway/state.h"

#include <stdio.h>

/* What decides for a client: the registry's answer, taken at CONNECT and again when its epoch moved - a policy, an attachment, a group's member or what a variable stands for
 * changed. Each question looks at the epoch first (mc_permit_current), so that a change holds for the next packet of every live connection. */

enum { STALE = 0 }; /* no epoch: it begins with 1 here */

void mc_permit_principal(const mc_link *link, mc_principal *who)
{
  const mc_session *s = link->session;
  *who = (mc_principal){.tenant = s->tenant, .kind = link->kind, .id = s->thing};
  mc_slice_to_str(s->thing_name ? mc_slice_str(s->thing_name) : mc_session_id(s), who->name, sizeof who->name);
}

static uint64_t salt(mc_gateway_loop *l) { return (++l->link_serial * l->gateway->loop_count + l->index) * 0xD6E8FEB86659FD93ULL; }

/* The epoch is read before what it stands for: a change meanwhile is seen at the next question. */
static uint64_t epoch_of(const mc_gateway *g) { return g->policy_epoch ? atomic_load_explicit(g->policy_epoch, memory_order_acquire) + 1 : 1; }

mc_err mc_permit_begin(mc_link *link, const mc_principal *who, mc_slice client_id, mc_why *why)
{
  mc_gateway *g = link->home->gateway;
  uint64_t epoch = epoch_of(g);
  if (who->kind == MC_PRINCIPAL_THING || who->kind == MC_PRINCIPAL_SERVICE) {
    mc_peer peer;
    const mc_policy *policy;
    mc_conn_peer(link->conn, &peer);
    mc_policy_connection c = mc_policy_connection_of(&peer, client_id);
    c.address = mc_slice_str(link->address); /* the socket may be gone */
    if (link->auth) /* it signed in by password: its certificate, if any, says nothing */
      c.fingerprint = NULL;
    MC_TRY(mc_registry_policy_for(g->registry, who, &c, &policy, why));
    mc_policy_release(link->policy);
    link->policy = policy;
  }
  link->policy_epoch = epoch;
  link->timed = mc_policy_is_timed(link->policy);
  link->judge_receive |= mc_policy_is_bound(link->policy);
  return MC_OK;
}

/* Documents decide: also about a session that is kept, and a will (contract iotcore, iot:ConnectAttributes). */
bool mc_permit_connect(const mc_link *link, const mc_mqtt_connect *c, const mc_principal *who, char text[800])
{
  static const char *const asks[] = {"", " with a session that is kept (iot:ConnectAttributes)", " with a will (iot:ConnectAttributes)",
                                     " with a session that is kept and a will (iot:ConnectAttributes)"};
  bool kept = c->version == MC_MQTT_311 ? !c->clean : (c->props.present & MC_MQTT_P_SESSION_EXPIRY) && c->props.session_expiry_s;
  mc_policy_question q = {.action = MC_ACTION_CONNECT, .resource = c->client_id, .connect_named = link->profile->connect_named};
  bool plain = mc_policy_permits(link->policy, who, &q);
  q.connect = (uint8_t)((kept ? MC_ASKED_PERSISTENT : 0) | (c->has_will ? MC_ASKED_WILL : 0));
  if (mc_policy_permits(link->policy, who, &q))
    return true;
  snprintf(text, 800, "the policies of \"%s\" do not allow client id \"%.*s\" to connect%s; `motorcade policy explain` says why", who->name,
           (int)(c->client_id.len > 128 ? 128 : c->client_id.len), (const char *)c->client_id.data, plain ? asks[q.connect] : "");
  return false;
}

void mc_permit_stale(mc_link *link) { link->policy_epoch = STALE; }

void mc_permit_refresh(mc_link *link)
{
  mc_principal who;
  mc_why why;
  mc_session *s = link->session;
  if (!s || !link->conn)
    return;
  const mc_policy *before = link->policy;
  mc_permit_principal(link, &who);
  mc_err err = mc_permit_begin(link, &who, mc_session_id(s), &why);
  bool same = !err && link->policy == before && !mc_policy_is_bound(before); /* built in, or the service's own */
  if (same)
    return;
  link->verdict_key = salt(link->home);
  link->judge_receive = true; /* what it subscribed to was judged by another policy */
  if (!err)
    return;
  mc_policy_release(link->policy); /* what cannot be looked up allows nothing */
  link->policy = NULL;
  mc_permit_stale(link);
  mc_log(MC_LOG_ERROR, "gateway", "the policies of a client cannot be looked up; nothing is allowed until they can", MC_KS("client", mc_session_id(s)), MC_KZ("why", why.text));
}

uint64_t mc_permit_second(void) { return (uint64_t)(mc_clock_wall_us() / 1000000) * 0x165667B19E3779F9ULL; }

bool mc_permit_judge_receive(mc_link *link, mc_slice topic)
{
  mc_gateway_loop *l = link->home;
  uint64_t key = mc_permit_key(link, topic, MC_ACTION_RECEIVE);
  mc_verdict *v = &l->verdict[(key >> 40) % MC_VERDICTS];
  if (v->key != key) {
    mc_principal who;
    mc_permit_principal(link, &who);
    bool allowed = mc_policy_allows(link->policy, &who, MC_ACTION_RECEIVE, topic);
    *v = (mc_verdict){key, allowed ? 0 : MC_MQTT_NOT_AUTHORIZED, 0};
  }
  if (!v->refusal)
    return true;
  mc_cause_note(l, link->session, MC_CAUSE_POLICY, 1);
  if (mc_trace_runs(&l->gateway->traces))
    mc_trace_message(&l->gateway->traces, link->session->tenant, MC_TRACE_REFUSED, mc_session_id(link->session), topic, (mc_slice){0}, 0, false,
                     "the policy of this client does not let it receive this topic");
  return false;
}

bool mc_permit_will(mc_link *link, const mc_session_will *w)
{
  mc_principal who;
  mc_permit_current(link);
  mc_permit_principal(link, &who);
  return mc_policy_allows(link->policy, &who, MC_ACTION_PUBLISH, w->topic) && (!w->retain || mc_policy_allows(link->policy, &who, MC_ACTION_RETAIN_PUBLISH, w->topic));
}
