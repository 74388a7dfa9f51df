/* Token buckets, eight bytes each: the generic cell rate algorithm (ITU-T I.371). A bucket holds one second's worth. One thread at a time. */
#ifndef MC_GATEWAY_RATE_H
#define MC_GATEWAY_RATE_H

#include <stdatomic.h>
#include <stdint.h>

typedef int64_t mc_rate; /* ns: when the bucket is full again; 0 at first */

/* Takes `amount` of `per_s`, now. 0: taken. Else nothing was taken, and so many µs later it will be. More than one second's worth is taken from a full bucket. */
int64_t mc_rate_take(mc_rate *r, uint32_t per_s, uint64_t amount, int64_t now_us);
/* Takes it in any case. The µs until the bucket is out of debt; 0: it is not in debt. */
int64_t mc_rate_charge(mc_rate *r, uint32_t per_s, uint64_t amount, int64_t now_us);
/* As mc_rate_take, for a bucket that several threads take from. */
int64_t mc_rate_take_shared(_Atomic mc_rate *r, uint32_t per_s, uint64_t amount, int64_t now_us);
void mc_rate_refund(mc_rate *r, uint32_t per_s, uint64_t amount); /* what was taken and not used */

#endif
