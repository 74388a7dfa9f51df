#include "gateway/rate.h"

enum { NS = 1000000000 };

static int64_t after(mc_rate r, uint32_t per_s, uint64_t amount, int64_t now_ns)
{
  int64_t from = r > now_ns ? r : now_ns;
  uint64_t whole = amount / per_s, rest = amount % per_s; /* so that nothing overflows */
  return from + (int64_t)(whole * NS + rest * NS / per_s);
}

static int64_t wait_us(int64_t full_ns, int64_t now_ns)
{
  int64_t debt = full_ns - now_ns - NS;
  return debt > 0 ? (debt + 999) / 1000 : 0;
}

int64_t mc_rate_take(mc_rate *r, uint32_t per_s, uint64_t amount, int64_t now_us)
{
  int64_t now = now_us * 1000, full = after(*r, per_s, amount, now);
  if (amount > per_s && *r <= now) {
    *r = full;
    return 0;
  }
  int64_t wait = amount > per_s ? (*r - now + 999) / 1000 : wait_us(full, now);
  if (!wait)
    *r = full;
  return wait;
}

int64_t mc_rate_charge(mc_rate *r, uint32_t per_s, uint64_t amount, int64_t now_us)
{
  *r = after(*r, per_s, amount, now_us * 1000);
  return wait_us(*r, now_us * 1000);
}

int64_t mc_rate_take_shared(_Atomic mc_rate *r, uint32_t per_s, uint64_t amount, int64_t now_us)
{
  mc_rate before = atomic_load_explicit(r, memory_order_relaxed), after_it;
  do {
    after_it = before;
    int64_t wait = mc_rate_take(&after_it, per_s, amount, now_us);
    if (wait)
      return wait;
  } while (!atomic_compare_exchange_weak_explicit(r, &before, after_it, memory_order_relaxed, memory_order_relaxed));
  return 0;
}

void mc_rate_refund(mc_rate *r, uint32_t per_s, uint64_t amount) { *r -= (int64_t)(amount * NS / per_s); }
