/* Rates of clients and tenants: how fast they may connect, publish and be sent to (profile.h; settings tenant_*). Private to gateway.
 *
 * A connection with no rate to keep has no mc_pace: the hot path asks one pointer. Excess waits, with the socket not read, or is discarded
 * where the profile says so. Tenants' buckets are shared by all loops (atomics); those of client ids and of devices that use POST /topics are in tables of
 * fixed size under mc_gateway.lock: a newcomer takes the place of another, whose bucket is then full again. */
#ifndef MC_GATEWAY_PACE_H
#define MC_GATEWAY_PACE_H

#include "access/access.h"
#include "base/loop.h"
#include "base/slice.h"
#include "gateway/profile.h"
#include "gateway/rate.h"

struct mc_link;
struct mc_session;
struct mc_gateway_loop;
struct mc_gateway;

typedef struct mc_tenant_rate {
  _Atomic mc_rate publishes, bytes, connects;
} mc_tenant_rate;

typedef struct mc_pace {
  mc_timer hold, pump; /* it is read again; it is sent to again */
  struct mc_link *link;
  mc_tenant_rate *tenant; /* NULL: tenants have no limits */
  mc_rate publishes, bytes, deliveries, replay;
} mc_pace;

typedef enum mc_pace_verdict { MC_PACE_GO, MC_PACE_DISCARD, MC_PACE_LATER } mc_pace_verdict;

/* CONNECT: µs that it has come too early; 0: welcome. */
int64_t mc_pace_connect(struct mc_link *link, uint32_t tenant, mc_slice client_id);
/* Sets the link's pace if its profile or its tenant has rates. False: no memory. */
bool mc_pace_begin(struct mc_link *link, uint32_t tenant);
void mc_pace_end(struct mc_link *link);
/* ---- with link->pace ---- */
mc_pace_verdict mc_pace_publish(struct mc_link *link);
void mc_pace_publish_back(struct mc_link *link); /* it could not be stored now, and comes again */
void mc_pace_bytes(struct mc_link *link, size_t bytes); /* taken; the link may be held now */
void mc_pace_hold(struct mc_link *link, int64_t us);
bool mc_pace_may_send(struct mc_link *link);   /* one more message now */
void mc_pace_sent(struct mc_link *link);
bool mc_pace_may_replay(struct mc_link *link); /* takes one of what was stored; false: the pump is called when it may */
/* A device that publishes without a session: µs until it may; 0: now. *cause: why not. */
int64_t mc_pace_call(struct mc_gateway_loop *l, const mc_principal *who, const mc_profile *p, size_t bytes);
void mc_pace_free(struct mc_gateway *g);

#endif
