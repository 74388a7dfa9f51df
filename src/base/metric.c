#include "base/metric.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Histogram bounds: 10 us times the square root of two to the i, the last one 60 s, then everything above. */
enum { BUCKETS = 47 };
static int64_t bound_us[BUCKETS - 1];

struct mc_metric {
  struct mc_metric *next;
  mc_metric_kind kind;
  char *name, *help, *labels;
  _Atomic int64_t value;          /* counter, gauge; histogram: sum in us */
  _Atomic uint64_t *bucket;       /* histogram: BUCKETS of them */
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static mc_metric *registry; /* metrics of one name stand together */
static _Atomic uint64_t sink_bucket[BUCKETS];
static mc_metric sink[3] = {{.kind = MC_METRIC_COUNTER}, {.kind = MC_METRIC_GAUGE}, {.kind = MC_METRIC_HISTOGRAM, .bucket = sink_bucket}};

__attribute__((constructor)) static void draw_bounds(void)
{
  for (int i = 0; i < BUCKETS - 1; i++)
    bound_us[i] = (int64_t)(10.0 * pow(2.0, i / 2.0) + 0.5);
  bound_us[BUCKETS - 2] = 60000000;
}

static void metric_free(mc_metric *m)
{
  free(m->name);
  free(m->help);
  free(m->labels);
  free((void *)m->bucket);
  free(m);
}

static mc_metric *metric_new(mc_metric_kind kind, const char *name, const char *help, const char *labels)
{
  mc_metric *m = calloc(1, sizeof *m);
  if (!m)
    return NULL;
  m->kind = kind;
  m->name = strdup(name);
  m->help = strdup(help ? help : "");
  m->labels = strdup(labels);
  m->bucket = kind == MC_METRIC_HISTOGRAM ? calloc(BUCKETS, sizeof *m->bucket) : NULL;
  if (!m->name || !m->help || !m->labels || (kind == MC_METRIC_HISTOGRAM && !m->bucket)) {
    metric_free(m);
    return NULL;
  }
  return m;
}

mc_metric *mc_metric_get(mc_metric_kind kind, const char *name, const char *help, const char *labels)
{
  if (!labels)
    labels = "";
  pthread_mutex_lock(&registry_lock);
  mc_metric **place = &registry;
  mc_metric *found = NULL;
  for (mc_metric **at = &registry; *at && !found; at = &(*at)->next) {
    if (strcmp((*at)->name, name) != 0) {
      if (place != &registry)
        break; /* past the group of this name */
      continue;
    }
    place = &(*at)->next;
    if (strcmp((*at)->labels, labels) == 0)
      found = *at;
  }
  if (!found && (found = metric_new(kind, name, help, labels))) {
    if (place == &registry)
      while (*place)
        place = &(*place)->next;
    found->next = *place;
    *place = found;
  }
  pthread_mutex_unlock(&registry_lock);
  return found && found->kind == kind ? found : &sink[kind];
}

void mc_metric_add(mc_metric *m, uint64_t n)
{
  atomic_fetch_add_explicit(&m->value, (int64_t)n, memory_order_relaxed);
}

void mc_metric_set(mc_metric *m, int64_t value)
{
  atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

void mc_metric_observe_us(mc_metric *m, int64_t micros)
{
  if (m->kind != MC_METRIC_HISTOGRAM)
    return;
  if (micros < 0)
    micros = 0; /* a clock that stepped back */
  size_t low = 0, high = BUCKETS - 1;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (micros <= bound_us[middle])
      high = middle;
    else
      low = middle + 1;
  }
  atomic_fetch_add_explicit(&m->bucket[low], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&m->value, micros, memory_order_relaxed);
}

static uint64_t count_of(const mc_metric *m)
{
  uint64_t n = 0;
  for (int i = 0; i < BUCKETS; i++)
    n += atomic_load_explicit(&m->bucket[i], memory_order_relaxed);
  return n;
}

int64_t mc_metric_value(const mc_metric *m)
{
  return m->kind == MC_METRIC_HISTOGRAM ? (int64_t)count_of(m) : atomic_load_explicit(&m->value, memory_order_relaxed);
}

int64_t mc_metric_quantile_us(const mc_metric *m, double q)
{
  uint64_t total = m->kind == MC_METRIC_HISTOGRAM ? count_of(m) : 0;
  if (!total)
    return 0;
  double rank = q <= 0 ? 0 : q >= 1 ? (double)total : q * (double)total;
  uint64_t below = 0;
  for (int i = 0; i < BUCKETS - 1; i++) {
    uint64_t n = atomic_load_explicit(&m->bucket[i], memory_order_relaxed);
    if (n && (double)(below + n) >= rank) {
      double low = i ? (double)bound_us[i - 1] : 0;
      return (int64_t)(low + ((double)bound_us[i] - low) * (rank - (double)below) / (double)n + 0.5);
    }
    below += n;
  }
  return bound_us[BUCKETS - 2];
}

static mc_err export_histogram(const mc_metric *m, mc_buf *out)
{
  size_t len = strlen(m->name);
  bool seconds = len > 8 && !strcmp(m->name + len - 8, "_seconds");
  double unit = seconds ? 1e-6 : 1;
  const char *comma = m->labels[0] ? "," : "";
  uint64_t below = 0;
  for (int i = 0; i < BUCKETS - 1; i++) {
    below += atomic_load_explicit(&m->bucket[i], memory_order_relaxed);
    MC_TRY(mc_buf_printf(out, "%s_bucket{%s%sle=\"%.9g\"} %llu\n", m->name, m->labels, comma, (double)bound_us[i] * unit,
                         (unsigned long long)below));
  }
  below += atomic_load_explicit(&m->bucket[BUCKETS - 1], memory_order_relaxed);
  MC_TRY(mc_buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", m->name, m->labels, comma, (unsigned long long)below));
  const char *open = m->labels[0] ? "{" : "", *close = m->labels[0] ? "}" : "";
  double sum = (double)atomic_load_explicit(&m->value, memory_order_relaxed) * unit;
  return mc_buf_printf(out, "%s_sum%s%s%s %.9g\n%s_count%s%s%s %llu\n", m->name, open, m->labels, close, sum, m->name, open,
                       m->labels, close, (unsigned long long)below);
}

static mc_err export_help(const mc_metric *m, mc_buf *out)
{
  static const char *const kinds[] = {"counter", "gauge", "histogram"};
  MC_TRY(mc_buf_printf(out, "# HELP %s ", m->name));
  for (const char *c = m->help; *c; c++)
    MC_TRY(*c == '\n' ? mc_buf_append_str(out, "\\n") : *c == '\\' ? mc_buf_append_str(out, "\\\\") : mc_buf_append_u8(out, (uint8_t)*c));
  return mc_buf_printf(out, "\n# TYPE %s %s\n", m->name, kinds[m->kind]);
}

mc_err mc_metric_export(mc_buf *out)
{
  mc_err err = MC_OK;
  const char *last = "";
  pthread_mutex_lock(&registry_lock);
  for (const mc_metric *m = registry; m && !err; m = m->next) {
    if (strcmp(last, m->name) != 0)
      err = export_help(m, out);
    last = m->name;
    if (err)
      break;
    if (m->kind == MC_METRIC_HISTOGRAM)
      err = export_histogram(m, out);
    else if (m->labels[0])
      err = mc_buf_printf(out, "%s{%s} %lld\n", m->name, m->labels, (long long)mc_metric_value(m));
    else
      err = mc_buf_printf(out, "%s %lld\n", m->name, (long long)mc_metric_value(m));
  }
  pthread_mutex_unlock(&registry_lock);
  return err;
}
