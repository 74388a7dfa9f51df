#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "net/conn.h"

/* Connections counted by source address, for all loops. An address is remembered while it has connections, and while its allowance of new ones
 * is not full again. */

enum { SWEEP_FROM = 1024, LOG_EVERY_US = 10000000 };

struct mc_source {
  mc_gate *gate;
  uint8_t key[9]; /* 4 + IPv4, or 6 + the first half of IPv6 */
  uint32_t connections, unfinished;
  int64_t allowance_us; /* new connections left, each worth 1 s / source_per_s */
  int64_t seen_us;
};

struct mc_gate {
  mc_gate_config config;
  pthread_mutex_t lock; /* a leaf */
  mc_strmap sources;    /* key -> mc_source */
  size_t sweep_at;
  int64_t logged_us;
  uint64_t unlogged;
  mc_metric *refused[3];
};

enum { BY_CONNECTIONS, BY_UNFINISHED, BY_RATE };
static const struct { const char *label, *text; } causes[3] = {{"cause=\"connections\"", "its address has source_connections open"},
                                                                {"cause=\"unfinished\"", "its address has source_unfinished handshakes open"},
                                                                {"cause=\"rate\"", "its address opens more than source_per_s a second"}};

mc_err mc_gate_create(const mc_gate_config *config, mc_gate **out, mc_why *why)
{
  mc_gate *g = calloc(1, sizeof *g);
  *out = g;
  if (!g)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for limits by source address");
  g->config = *config;
  g->sweep_at = SWEEP_FROM;
  pthread_mutex_init(&g->lock, NULL);
  for (int i = 0; i < 3; i++)
    g->refused[i] = mc_metric_get(MC_METRIC_COUNTER, "motorcade_net_refused_total", "Connections closed when accepted because of their source address, by cause.", causes[i].label);
  return MC_OK;
}

void mc_gate_destroy(mc_gate **gate)
{
  mc_gate *g = *gate;
  *gate = NULL;
  if (!g)
    return;
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(&g->sources, &at, &key, &value))
    free((mc_source *)(uintptr_t)value);
  mc_strmap_free(&g->sources);
  pthread_mutex_destroy(&g->lock);
  free(g);
}

static void key_of(const struct sockaddr_storage *from, uint8_t key[9])
{
  static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF}; /* IPv4 in IPv6: RFC 4291, 2.5.5.2 */
  memset(key, 0, 9);
  if (from->ss_family == AF_INET) {
    key[0] = 4;
    memcpy(key + 1, &((const struct sockaddr_in *)from)->sin_addr, 4);
    return;
  }
  struct sockaddr_in6 in6;
  memcpy(&in6, from, sizeof in6);
  bool v4 = memcmp(in6.sin6_addr.s6_addr, mapped, sizeof mapped) == 0;
  key[0] = v4 ? 4 : 6;
  memcpy(key + 1, in6.sin6_addr.s6_addr + (v4 ? 12 : 0), v4 ? 4 : 8);
}

/* ---- under the lock ---- */
static int64_t full_allowance_us(const mc_gate *g) { return g->config.source_per_s ? 2000000 : 0; }

static void refill(mc_source *s, int64_t now)
{
  int64_t most = full_allowance_us(s->gate);
  if (now > s->seen_us)
    s->allowance_us += now - s->seen_us < most ? now - s->seen_us : most;
  s->allowance_us = s->allowance_us > most ? most : s->allowance_us;
  s->seen_us = now;
}

static void forget(mc_source *s)
{
  mc_strmap_remove(&s->gate->sources, mc_slice_of(s->key, sizeof s->key), NULL);
  free(s);
}

/* Addresses that are remembered for their rate only. */
static void sweep(mc_gate *g, int64_t now)
{
  if (g->sources.len < g->sweep_at)
    return;
  mc_source **idle = malloc(g->sources.len * sizeof *idle);
  size_t count = 0, at = 0;
  mc_slice key;
  uint64_t value;
  while (idle && mc_strmap_next(&g->sources, &at, &key, &value)) {
    mc_source *s = (mc_source *)(uintptr_t)value;
    refill(s, now);
    if (!s->connections && s->allowance_us >= full_allowance_us(g))
      idle[count++] = s;
  }
  for (size_t i = 0; i < count; i++)
    forget(idle[i]);
  free(idle);
  g->sweep_at = g->sources.len * 2 > SWEEP_FROM ? g->sources.len * 2 : SWEEP_FROM;
}

static mc_source *source_of(mc_gate *g, const struct sockaddr_storage *from, int64_t now)
{
  uint8_t key[9];
  uint64_t value;
  key_of(from, key);
  if (mc_strmap_get(&g->sources, mc_slice_of(key, sizeof key), &value))
    return (mc_source *)(uintptr_t)value;
  sweep(g, now);
  mc_source *s = calloc(1, sizeof *s);
  if (!s)
    return NULL;
  s->gate = g;
  s->seen_us = now;
  s->allowance_us = full_allowance_us(g);
  memcpy(s->key, key, sizeof key);
  if (mc_strmap_put(&g->sources, mc_slice_of(key, sizeof key), (uintptr_t)s)) {
    free(s);
    return NULL;
  }
  return s;
}

/* -1: welcome. */
static int judge(mc_gate *g, mc_source *s, int64_t now)
{
  const mc_gate_config *limit = &g->config;
  if (limit->source_connections && s->connections >= limit->source_connections)
    return BY_CONNECTIONS;
  if (limit->source_unfinished && s->unfinished >= limit->source_unfinished)
    return BY_UNFINISHED;
  if (!limit->source_per_s)
    return -1;
  refill(s, now);
  int64_t price = 1000000 / limit->source_per_s;
  if (s->allowance_us < price)
    return BY_RATE;
  s->allowance_us -= price;
  return -1;
}

static void release(mc_source *s)
{
  if (!s->connections && s->allowance_us >= full_allowance_us(s->gate))
    forget(s);
}

/* ---- from the loops ---- */
static void log_refused(mc_gate *g, const mc_source *s, int cause, uint64_t unlogged)
{
  char address[INET6_ADDRSTRLEN] = "?";
  uint8_t whole[16] = {0};
  memcpy(whole, s->key + 1, 8);
  inet_ntop(s->key[0] == 4 ? AF_INET : AF_INET6, whole, address, sizeof address);
  mc_log(MC_LOG_WARN, "net", "connections closed when accepted", MC_KZ("address", address), MC_KZ("why", causes[cause].text), MC_KU("since_last", unlogged));
}

mc_err mc_gate_enter(mc_gate *g, const struct sockaddr_storage *from, mc_source **source)
{
  *source = NULL;
  if (!g || (!g->config.source_connections && !g->config.source_unfinished && !g->config.source_per_s) ||
      (from->ss_family != AF_INET && from->ss_family != AF_INET6))
    return MC_OK;
  int64_t now = mc_clock_mono_us();
  uint64_t unlogged = 0;
  pthread_mutex_lock(&g->lock);
  mc_source *s = source_of(g, from, now), copy = {0};
  int cause = s ? judge(g, s, now) : -1; /* no memory to count with: not its fault */
  if (s && cause < 0) {
    s->connections++;
    s->unfinished++;
    *source = s;
  } else if (s) {
    copy = *s;
    g->unlogged++;
    if (now - g->logged_us > LOG_EVERY_US) {
      unlogged = g->unlogged;
      g->unlogged = 0;
      g->logged_us = now;
    }
  }
  pthread_mutex_unlock(&g->lock);
  if (cause < 0)
    return MC_OK;
  mc_metric_add(g->refused[cause], 1);
  if (unlogged)
    log_refused(g, &copy, cause, unlogged);
  return MC_ERR_FULL;
}

void mc_source_finished(mc_source **source)
{
  mc_source *s = *source;
  if (!s)
    return;
  mc_gate *g = s->gate;
  pthread_mutex_lock(&g->lock);
  s->unfinished--;
  if (!g->config.source_connections) { /* nobody asks how many are open */
    s->connections--;
    *source = NULL;
    release(s);
  }
  pthread_mutex_unlock(&g->lock);
}

void mc_source_leave(mc_source **source)
{
  mc_source *s = *source;
  *source = NULL;
  if (!s)
    return;
  mc_gate *g = s->gate;
  pthread_mutex_lock(&g->lock);
  s->connections--;
  release(s);
  pthread_mutex_unlock(&g->lock);
}
