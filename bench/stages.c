/* Where the time of a message goes: the server's histograms of what it did between two looks, and how long threads were ready to run and had to wait for a
 * processor. Both come from outside of the measured path: /metrics is read before and after, schedstat is kept by the kernel. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"

static const struct {
  const char *name, *metric;
} table[] = {
    {"turn", "motorcade_loop_turn_seconds"},
    {"gather", "motorcade_journal_gather_seconds"},
    {"switch", "motorcade_journal_switch_seconds"},
    {"write+sync", "motorcade_journal_sync_seconds"},
    {"tell", "motorcade_journal_tell_seconds"},
};
enum { STAGES = sizeof table / sizeof table[0], BOUNDS = 64 };

typedef struct histogram {
  int count;
  double bound_ms[BOUNDS], below[BOUNDS]; /* the last bound is infinite */
} histogram;

struct bench_stages {
  histogram was[STAGES];
};

/* Buckets of one histogram in Prometheus text. */
static void read_histogram(const char *text, const char *metric, histogram *out)
{
  char want[100];
  int n = snprintf(want, sizeof want, "\n%s_bucket{le=\"", metric);
  out->count = 0;
  for (const char *at = strstr(text, want); at && out->count < BOUNDS; at = strstr(at, want)) {
    at += n;
    char *end;
    double bound = strtod(at, &end); /* "+Inf" is read as infinity */
    out->bound_ms[out->count] = bound * 1000;
    out->below[out->count++] = end[0] == '"' && end[1] == '}' ? strtod(end + 2, NULL) : 0;
  }
}

static mc_err look(const bench_server *s, histogram out[STAGES], mc_why *why)
{
  mc_buf text = {0};
  mc_err err = bench_http_get(s->http, NULL, "/metrics", &text, why);
  if (!err)
    err = mc_buf_append_u8(&text, 0);
  for (int i = 0; i < STAGES && !err; i++)
    read_histogram((const char *)text.data, table[i].metric, &out[i]);
  mc_buf_free(&text);
  return err;
}

mc_err bench_stages_begin(const bench_server *s, bench_stages **out, mc_why *why)
{
  *out = calloc(1, sizeof **out);
  if (!*out)
    return MC_ERR_MEMORY;
  mc_err err = look(s, (*out)->was, why);
  if (err) {
    free(*out);
    *out = NULL;
  }
  return err;
}

/* The upper bound of the bucket in which the quantile lies. */
static double quantile(const histogram *was, const histogram *now, double q)
{
  if (!now->count || was->count != now->count)
    return -1;
  double all = now->below[now->count - 1] - was->below[now->count - 1];
  for (int i = 0; i < now->count && all > 0; i++)
    if (now->below[i] - was->below[i] >= q * all)
      return now->bound_ms[i];
  return -1;
}

mc_err bench_stages_end(const bench_server *s, bench_stages **begun, mc_buf *out, mc_why *why)
{
  histogram *now = calloc(STAGES, sizeof *now);
  mc_err err = now ? look(s, now, why) : MC_ERR_MEMORY;
  for (int i = 0; i < STAGES && !err; i++) {
    const histogram *was = &(*begun)->was[i];
    double count = now[i].count ? now[i].below[now[i].count - 1] - was->below[now[i].count - 1] : 0;
    err = mc_buf_printf(out, "%s%s %.3g/%.3g/%.3g (%.0f)", i ? ", " : "", table[i].name, quantile(was, &now[i], 0.5), quantile(was, &now[i], 0.99),
                        quantile(was, &now[i], 0.999), count);
  }
  free(now);
  free(*begun);
  *begun = NULL;
  return err;
}

/* ---- processors ---- */
void bench_processors(double *idle_s, double *steal_s)
{
  double idle = 0, iowait = 0, steal = 0, tick = (double)sysconf(_SC_CLK_TCK);
  FILE *f = fopen("/proc/stat", "r");
  if (f && fscanf(f, "cpu %*f %*f %*f %lf %lf %*f %*f %lf", &idle, &iowait, &steal) != 3)
    idle = iowait = steal = 0;
  if (f)
    fclose(f);
  *idle_s = (idle + iowait) / tick;
  *steal_s = steal / tick;
}

double bench_run_delay_s(pid_t pid)
{
  char path[300];
  double sum = 0;
  snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  DIR *d = opendir(path);
  for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
    if (e->d_name[0] == '.')
      continue;
    snprintf(path, sizeof path, "/proc/%d/task/%.200s/schedstat", (int)pid, e->d_name);
    FILE *f = fopen(path, "r");
    double ran, waited;
    if (f && fscanf(f, "%lf %lf", &ran, &waited) == 2)
      sum += waited / 1e9;
    if (f)
      fclose(f);
  }
  if (d)
    closedir(d);
  return sum;
}
