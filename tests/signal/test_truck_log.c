/* The road from a recorded log to values: MDF4 -> channel map -> decode plan, on the real truck log, against asammdf and
 * cantools (golden: tests/oracle/truck_golden.py). */
#include <jansson.h>
#include <math.h>

#include "format/mdf4.h"
#include "signal/signal.h"
#include "tap.h"

typedef struct tally {
  char name[64];
  long long count;
  double first, last, min, max;
  long double sum;
} tally;

static tally tallies[128];
static uint32_t tally_count;

static bool number(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *id, uint32_t *encoding)
{
  if (tally_count >= 127)
    return false;
  *id = ++tally_count;
  *encoding = 0;
  mc_slice_to_str(s->name, tallies[*id].name, sizeof tallies[*id].name);
  return true;
}

static mc_slice load(const char *dir, const char *name, mc_arena *a)
{
  char path[1200];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "rb");
  if (!f)
    return (mc_slice){NULL, 0};
  fseek(f, 0, SEEK_END);
  long size = ftell(f);
  rewind(f);
  uint8_t *bytes = mc_arena_alloc(a, (size_t)size + 1);
  size_t n = fread(bytes, 1, (size_t)size, f);
  fclose(f);
  return mc_slice_of(bytes, n);
}

static void add(const mc_decoded *d)
{
  tally *t = &tallies[d->signal_id];
  if (t->count++ == 0)
    t->first = t->min = t->max = d->value;
  t->last = d->value;
  t->min = fmin(t->min, d->value);
  t->max = fmax(t->max, d->value);
  t->sum += d->value;
}

/* Counts, first, last, least and greatest bit for bit; the sum to 1e-12, as the order of adding differs. */
static int compare(const tally *t, json_t *golden)
{
  const json_t *want = json_object_get(golden, t->name);
  if (!want && t->count == 0)
    return 0;
  double sum = json_number_value(json_object_get(want, "sum"));
  int wrong = !want || t->count != json_integer_value(json_object_get(want, "count")) ||
              t->first != json_number_value(json_object_get(want, "first")) || t->last != json_number_value(json_object_get(want, "last")) ||
              t->min != json_number_value(json_object_get(want, "min")) || t->max != json_number_value(json_object_get(want, "max")) ||
              fabs((double)t->sum - sum) > 1e-12 * (1 + fabs(sum));
  if (wrong)
    printf("# %s: count %lld, first %.17g, last %.17g, min %.17g, max %.17g, sum %.17g\n", t->name, t->count, t->first, t->last, t->min,
           t->max, (double)t->sum);
  return wrong;
}

static void test_decodes_the_truck_log_as_asammdf_and_cantools_do(void)
{
  const char *dir = tap_data_dir();
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_why why = {0};
  mc_channel_map map;
  mc_can_signal_vec signals = {0};
  mc_decode_plan *plan;
  mc_mdf4 *log;
  mc_bus_frame raw;
  mc_can_frame frame;
  if (!dir)
    SKIP("the data folder is absent; set MOTORCADE_DATA");
  CHECK_OK(mc_channel_map_parse(MC_LIT("1=can1:dbc/j1939_demo.dbc 9=can9:dbc/canmod_gps.dbc-100"), &a, &map, &why));
  for (uint16_t i = 0; i < map.count; i++) {
    mc_dbc dbc;
    char name[100];
    mc_slice_to_str(map.at[i].dbc, name, sizeof name);
    CHECK_OK(mc_dbc_parse(load(dir, name, &a), name, &a, &dbc, &why));
    CHECK_OK(mc_signals_from_dbc(&dbc, i, (mc_dbc_resolver){NULL, number}, &a, &signals, &why));
  }
  CHECK_OK(mc_decode_plan_create(signals.at, signals.len, &plan, &why));
  CHECK_OK(mc_mdf4_open(load(dir, "canlog/j1939_truck.mf4", &a), "j1939_truck.mf4", &log, &why));
  mc_err err;
  while (!(err = mc_mdf4_next(log, &raw, &why))) {
    mc_decoded out[128];
    if (!mc_can_frame_from_bus(&raw, &map, &frame))
      continue;
    size_t n = mc_decode_plan_run(plan, &frame, out, 128);
    for (size_t i = 0; i < n; i++)
      add(&out[i]);
  }
  mc_mdf4_close(&log);
  mc_decode_plan_destroy(&plan);
  mc_vec_free(&signals);
  CHECK_INT(err, MC_ERR_END);
  json_error_t error;
  json_t *golden = json_load_file(MC_SOURCE_DIR "/tests/signal/golden/truck.json", 0, &error);
  CHECK(golden != NULL);
  int wrong = 0, seen = 0;
  for (uint32_t i = 1; i <= tally_count; i++) {
    wrong += compare(&tallies[i], golden);
    seen += tallies[i].count > 0;
  }
  int expected = (int)json_object_size(golden);
  json_decref(golden);
  CHECK_INT(wrong, 0);
  CHECK_INT(seen, expected);
}

int main(void)
{
  RUN(test_decodes_the_truck_log_as_asammdf_and_cantools_do);
  return tap_done();
}
