/* Metrics: counters, gauges and latency histograms, described once (name, unit, help, labels) and
 * exported in Prometheus text format. Handles are created once and kept; updates are relaxed atomics
 * and may come from any thread. Label values are fixed at creation. */
#ifndef MC_BASE_METRIC_H
#define MC_BASE_METRIC_H

#include <stdint.h>

#include "base/slice.h"

typedef enum mc_metric_kind { MC_METRIC_COUNTER, MC_METRIC_GAUGE, MC_METRIC_HISTOGRAM } mc_metric_kind;
typedef struct mc_metric mc_metric;

/* name e.g. "motorcade_publishes_total"; labels e.g. "qos=\"1\"" or NULL. The same (name, labels)
 * gives the same handle. Never fails: on exhausted memory a shared sink is returned. */
mc_metric *mc_metric_get(mc_metric_kind kind, const char *name, const char *help, const char *labels);
void mc_metric_add(mc_metric *m, uint64_t n);
void mc_metric_set(mc_metric *m, int64_t value);
/* Histogram; log-spaced buckets 10 us .. 60 s. Exported in seconds when the name ends in _seconds, else in us. */
void mc_metric_observe_us(mc_metric *m, int64_t micros);
int64_t mc_metric_value(const mc_metric *m);             /* counter or gauge; histogram: count */
int64_t mc_metric_quantile_us(const mc_metric *m, double q);
mc_err mc_metric_export(mc_buf *out); /* Prometheus text exposition 0.0.4 */

#endif
