/* Counts of what was refused, dropped or made to wait: for each client and in all, by cause. Private to gateway. */
#ifndef MC_GATEWAY_CAUSE_H
#define MC_GATEWAY_CAUSE_H

#include <stdatomic.h>

#include "gateway/gateway.h"

struct mc_session;
struct mc_gateway_loop;

/* Written from any loop, read by anybody. Made at the first thing to count; outlives its session (mc_cause_keep). */
typedef struct mc_causes {
  _Atomic uint64_t n[MC_CAUSES];
} mc_causes;

/* On the loop. s NULL: nobody's. */
void mc_cause_note(struct mc_gateway_loop *l, struct mc_session *s, mc_cause cause, uint64_t n);
void mc_cause_note_locked(struct mc_session *s, mc_cause cause); /* under mc_gateway.lock, from any loop; only on the client's own count */
/* Of a device that publishes without a session: on its client's count, or on its own. */
void mc_cause_note_thing(struct mc_gateway_loop *l, const mc_principal *who, mc_cause cause);
/* What a client without a session had counted is kept for its next one, of the last 4,096 such clients at least whose id has at most 256 bytes. All under mc_gateway.lock. */
void mc_cause_keep(struct mc_session *s);   /* it leaves the directory */
void mc_cause_resume(struct mc_session *s); /* it is new there */
void mc_cause_note_absent(mc_gateway *g, uint32_t tenant, mc_slice client_id, mc_cause cause);
bool mc_cause_read_absent(mc_gateway *g, uint32_t tenant, mc_slice client_id, uint64_t out[MC_CAUSES]); /* false: nothing was counted */
void mc_cause_free(mc_gateway *g);
uint64_t mc_cause_of(const struct mc_session *s, mc_cause cause); /* under mc_gateway.lock, or on its loop */
void mc_cause_read(const struct mc_session *s, uint64_t out[MC_CAUSES]); /* under mc_gateway.lock */
void mc_cause_show(mc_gateway *g, uint64_t shown[MC_CAUSES]);            /* into the metrics */

#endif
