#include <pthread.h>

#include "base/metric.h"
#include "tap.h"

static void test_the_same_name_and_labels_give_the_same_handle(void)
{
  mc_metric *a = mc_metric_get(MC_METRIC_COUNTER, "t_same_total", "Help.", "qos=\"1\"");
  CHECK(a == mc_metric_get(MC_METRIC_COUNTER, "t_same_total", "Help.", "qos=\"1\""));
  CHECK(a != mc_metric_get(MC_METRIC_COUNTER, "t_same_total", "Help.", "qos=\"0\""));
  mc_metric *wrong = mc_metric_get(MC_METRIC_GAUGE, "t_same_total", "Help.", "qos=\"1\"");
  CHECK(wrong && wrong != a); /* another kind: a sink, so that the counter stays one */
}

static void test_counts_and_sets(void)
{
  mc_metric *c = mc_metric_get(MC_METRIC_COUNTER, "t_count_total", "Help.", NULL);
  mc_metric_add(c, 2);
  mc_metric_add(c, 3);
  CHECK_INT(mc_metric_value(c), 5);
  mc_metric *g = mc_metric_get(MC_METRIC_GAUGE, "t_gauge", "Help.", NULL);
  mc_metric_set(g, -7);
  CHECK_INT(mc_metric_value(g), -7);
  mc_metric_observe_us(g, 5); /* no histogram: not disturbed */
  CHECK_INT(mc_metric_value(g), -7);
}

static void test_quantiles_lie_within_a_bucket_of_the_truth(void)
{
  mc_metric *h = mc_metric_get(MC_METRIC_HISTOGRAM, "t_latency_seconds", "Help.", NULL);
  CHECK_INT(mc_metric_quantile_us(h, 0.5), 0);
  for (int us = 1; us <= 100000; us++)
    mc_metric_observe_us(h, us);
  CHECK_INT(mc_metric_value(h), 100000);
  CHECK_DOUBLE((double)mc_metric_quantile_us(h, 0.5), 50000, 50000 * 0.2);
  CHECK_DOUBLE((double)mc_metric_quantile_us(h, 0.99), 99000, 99000 * 0.2);
  mc_metric *low = mc_metric_get(MC_METRIC_HISTOGRAM, "t_low_us", "Help.", NULL);
  mc_metric_observe_us(low, -5);
  CHECK(mc_metric_quantile_us(low, 1) <= 10);
  mc_metric *high = mc_metric_get(MC_METRIC_HISTOGRAM, "t_high_us", "Help.", NULL);
  mc_metric_observe_us(high, INT64_MAX / 2);
  CHECK_INT(mc_metric_quantile_us(high, 0.5), 60000000);
}

static void test_exports_prometheus_text(void)
{
  mc_buf out = {0};
  mc_metric_add(mc_metric_get(MC_METRIC_COUNTER, "t_out_total", "First line.\nBack\\slash.", "qos=\"0\""), 1);
  mc_metric_set(mc_metric_get(MC_METRIC_GAUGE, "t_between", "Help.", NULL), 3);
  mc_metric_add(mc_metric_get(MC_METRIC_COUNTER, "t_out_total", "First line.\nBack\\slash.", "qos=\"1\""), 2);
  mc_metric *h = mc_metric_get(MC_METRIC_HISTOGRAM, "t_out_seconds", "Help.", "path=\"a\"");
  mc_metric_observe_us(h, 10);
  mc_metric_observe_us(h, 70000000);
  CHECK_OK(mc_metric_export(&out));
  CHECK_OK(mc_buf_append_u8(&out, 0));
  const char *text = (const char *)out.data;
  /* one group a name, with one head, whatever came between */
  CHECK(strstr(text, "# HELP t_out_total First line.\\nBack\\\\slash.\n# TYPE t_out_total counter\n"
                     "t_out_total{qos=\"0\"} 1\nt_out_total{qos=\"1\"} 2\n"));
  CHECK(strstr(text, "# TYPE t_between gauge\nt_between 3\n"));
  CHECK(strstr(text, "t_out_seconds_bucket{path=\"a\",le=\"1e-05\"} 1\n"));
  CHECK(strstr(text, "t_out_seconds_bucket{path=\"a\",le=\"60\"} 1\n"));
  CHECK(strstr(text, "t_out_seconds_bucket{path=\"a\",le=\"+Inf\"} 2\n"));
  CHECK(strstr(text, "t_out_seconds_sum{path=\"a\"} 70.00001\nt_out_seconds_count{path=\"a\"} 2\n"));
  mc_buf_free(&out);
}

static void *add_many(void *arg)
{
  for (int i = 0; i < 10000; i++) {
    mc_metric_add(mc_metric_get(MC_METRIC_COUNTER, "t_threads_total", "Help.", NULL), 1);
    mc_metric_observe_us(arg, i);
  }
  return NULL;
}

static void test_counts_from_many_threads(void)
{
  pthread_t t[3];
  mc_metric *h = mc_metric_get(MC_METRIC_HISTOGRAM, "t_threads_seconds", "Help.", NULL);
  for (int i = 0; i < 3; i++)
    pthread_create(&t[i], NULL, add_many, h);
  for (int i = 0; i < 3; i++)
    pthread_join(t[i], NULL);
  CHECK_INT(mc_metric_value(mc_metric_get(MC_METRIC_COUNTER, "t_threads_total", "Help.", NULL)), 30000);
  CHECK_INT(mc_metric_value(h), 30000);
}

int main(void)
{
  RUN(test_the_same_name_and_labels_give_the_same_handle);
  RUN(test_counts_and_sets);
  RUN(test_quantiles_lie_within_a_bucket_of_the_truth);
  RUN(test_exports_prometheus_text);
  RUN(test_counts_from_many_threads);
  return tap_done();
}
