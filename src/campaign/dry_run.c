/* What a campaign would have sent, from what is stored. For each vehicle its document is compiled as it would go out, the stored samples of its signals are
 * merged by time, a piece at a time, and go through the engine. Memory is one piece, whatever the span. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/cost.h"
#include "campaign/state.h"
#include "store/store.h"

enum {
  PIECE_SAMPLES = 1 << 20, /* 24 MiB; a piece of time that holds more is halved */
  CLOCK_EVERY = 4096,      /* moments between two looks at the clock */
  AT_ONCE = 64             /* values of one moment */
};
#define DAY_US 86400000000LL
#define LONGEST_PIECE_US (8 * DAY_US)
#define SHORTEST_PIECE_US 1000000LL
#define STRIDE_US 600000000LL /* of time without samples, between two looks at the clock: a campaign may trigger every millisecond of it */

typedef struct fed {
  int64_t time_us;
  double value;
  uint32_t signal;
} fed;

typedef struct dry_run {
  mc_campaigns *c;
  const mc_dry_run_ask *ask;
  mc_campaign campaign; /* without start and end */
  mc_arena *arena;
  mc_dry_run_report *out;
  int64_t deadline_us; /* monotonic */
  /* of the vehicle under way */
  mc_dry_run_vehicle *v;
  void *run;
  uint32_t *signal;
  bool *has_data;
  MC_VEC(fed) piece;
  size_t topic_len;
  uint64_t piece_texts;
  bool overflow;
  uint32_t reading; /* index in signal */
  bool listed;      /* the last trigger stands in the list */
  uint32_t last_event;
  int64_t last_time_us;
  int64_t engine_us; /* how far its time went */
  mc_why *why;
} dry_run;

/* ---- what the engine sends ---- */

static void note_sent(void *to, const mc_dry_run_event *e)
{
  dry_run *r = to;
  mc_dry_run_report *out = r->out;
  uint64_t bytes = cost_packet_bytes(r->topic_len, e->bytes);
  bool fresh = !r->v->messages || e->event_id != r->last_event || e->time_us != r->last_time_us;
  r->last_event = e->event_id;
  r->last_time_us = e->time_us;
  r->v->triggers += fresh;
  r->v->messages++;
  r->v->rows += e->samples;
  r->v->bytes += bytes;
  if (fresh)
    r->listed = out->trigger_count < r->ask->triggers;
  if (fresh && r->listed)
    out->trigger[out->trigger_count++] = (mc_dry_run_trigger){.vehicle = r->v->vehicle, .time_us = e->time_us};
  if (r->listed) {
    mc_dry_run_trigger *t = &out->trigger[out->trigger_count - 1];
    t->messages++;
    t->rows += e->samples;
    t->bytes += bytes;
  }
}

/* ---- what the store has ---- */

static bool take_page(void *ctx, const mc_samples *page)
{
  dry_run *r = ctx;
  if (r->piece.len + page->count > PIECE_SAMPLES || mc_vec_reserve(&r->piece, page->count)) {
    r->overflow = true;
    return false;
  }
  for (uint32_t i = 0; i < page->count; i++) {
    if (page->kind[i] == MC_SAMPLE_STRING) { /* an agent's conditions and buffers hold numbers */
      r->piece_texts++;
      continue;
    }
    r->piece.at[r->piece.len++] = (fed){page->time_us[i], page->physical[i], r->signal[r->reading]};
  }
  return true;
}

static int by_time(const void *a, const void *b)
{
  const fed *x = a, *y = b;
  if (x->time_us != y->time_us)
    return x->time_us < y->time_us ? -1 : 1;
  return x->signal < y->signal ? -1 : x->signal > y->signal;
}

static mc_err read_piece(dry_run *r, int64_t from_us, int64_t to_us)
{
  mc_vec_clear(&r->piece);
  r->piece_texts = 0;
  r->overflow = false;
  for (r->reading = 0; r->reading < r->v->signals && !r->overflow; r->reading++) {
    size_t before = r->piece.len;
    MC_TRY(mc_store_scan(r->ask->store, r->campaign.tenant, r->v->vehicle, r->signal[r->reading], from_us, to_us, take_page, r, r->why));
    if (r->piece.len > before && !r->has_data[r->reading]) {
      r->has_data[r->reading] = true;
      r->v->with_data++;
    }
  }
  if (!r->overflow && r->piece.len)
    qsort(r->piece.at, r->piece.len, sizeof *r->piece.at, by_time);
  return MC_OK;
}

/* False: the time is up; covered_us says how far it came. */
static bool let_pass(dry_run *r, int64_t until_us)
{
  while (until_us - r->engine_us > STRIDE_US) {
    r->engine_us += STRIDE_US;
    r->ask->engine->advance(r->run, r->engine_us);
    if (mc_clock_mono_us() > r->deadline_us) {
      r->v->covered_us = r->engine_us;
      return false;
    }
  }
  r->engine_us = until_us;
  r->ask->engine->advance(r->run, until_us);
  return true;
}

/* As let_pass. */
static bool feed_piece(dry_run *r)
{
  mc_dry_run_value value[AT_ONCE];
  size_t moments = 0;
  for (size_t at = 0; at < r->piece.len;) {
    int64_t time_us = r->piece.at[at].time_us;
    size_t n = 0;
    for (; at < r->piece.len && r->piece.at[at].time_us == time_us && n < AT_ONCE; at++)
      value[n++] = (mc_dry_run_value){r->piece.at[at].signal, r->piece.at[at].value};
    if (!let_pass(r, time_us))
      return false;
    r->ask->engine->values(r->run, time_us, value, n);
    r->v->samples_read += n;
    if (++moments % CLOCK_EVERY == 0 && mc_clock_mono_us() > r->deadline_us) {
      r->v->covered_us = time_us;
      return false;
    }
  }
  return true;
}

static mc_err feed_vehicle(dry_run *r)
{
  int64_t at = r->engine_us = r->ask->from_us, step = DAY_US;
  bool time_left = true;
  while (at < r->ask->to_us && time_left) {
    int64_t to = r->ask->to_us - at < step ? r->ask->to_us : at + step;
    MC_TRY(read_piece(r, at, to));
    if (r->overflow && step <= SHORTEST_PIECE_US)
      return mc_err_set(r->why, MC_ERR_TOO_LARGE, "%.*s has more than %d samples in a second: choose fewer signals", MC_FMT(r->v->name), PIECE_SAMPLES);
    if (r->overflow) {
      step /= 2;
      continue;
    }
    time_left = feed_piece(r);
    if (!time_left)
      break;
    at = r->v->covered_us = to;
    r->v->texts += r->piece_texts;
    if (r->piece.len < PIECE_SAMPLES / 8 && step < LONGEST_PIECE_US)
      step *= 2;
    time_left = at >= r->ask->to_us || mc_clock_mono_us() <= r->deadline_us;
  }
  if (time_left)
    time_left = let_pass(r, r->ask->to_us);
  r->v->state = time_left ? r->v->with_data ? MC_LIT("done") : MC_LIT("no_data") : MC_LIT("cut");
  return MC_OK;
}

/* ---- one vehicle ---- */

/* The engine takes samples, so it needs to know of the manifest no more than its id: one signal that no frame carries. */
static mc_err name_manifest(mc_slice sync_id, uint32_t signal, mc_buf *out)
{
  mc_fw_custom_signal none = {.signal_id = signal, .interface_id = MC_LIT("stored"), .decoding_id = MC_LIT("stored"), .type = MC_TYPE_FLOAT64};
  mc_fw_manifest m = {.sync_id = sync_id, .custom = &none, .custom_count = 1};
  return mc_fw_write_manifest(out, &m);
}

static mc_err not_reached(dry_run *r, const char *text)
{
  r->v->state = MC_LIT("not_reached");
  return mc_arena_copy(r->arena, mc_slice_str(text), &r->v->text);
}

/* The document as it would go to this vehicle; empty: text says why none does. */
static mc_err compile(dry_run *r, mc_buf *bytes)
{
  mc_campaigns *c = r->c;
  compiled_scheme s = {0};
  mc_err err = MC_OK;
  pthread_mutex_lock(&c->lock);
  const manifest_version *m = r->v->manifest.len ? campaign_manifest_current(c, r->campaign.tenant, r->v->manifest) : NULL;
  vehicle_state *state = campaign_vehicle_state(c, r->campaign.tenant, r->v->vehicle, false);
  if (m && state)
    err = campaign_vehicle_facts(c, state);
  if (m && !err)
    err = campaign_scheme_try(c, &r->campaign, m, campaign_vehicle_agent(state), &s, r->why);
  pthread_mutex_unlock(&c->lock);
  if (!err && !m)
    err = not_reached(r, "the vehicle has no decoder manifest");
  else if (!err && !s.bytes.len)
    err = not_reached(r, s.text ? s.text : "nothing of it concerns this vehicle");
  else if (!err)
    err = mc_buf_append_slice(bytes, mc_buf_slice(&s.bytes));
  if (!err && s.bytes.len && s.text) /* what was changed for its agent */
    err = mc_arena_copy(r->arena, mc_slice_str(s.text), &r->v->text);
  campaign_scheme_tried_free(&s);
  return err;
}

static mc_err list_signals(dry_run *r, const mc_fw_scheme *s)
{
  r->signal = mc_arena_array(r->arena, s->signal_count ? s->signal_count : 1, sizeof *r->signal);
  r->has_data = mc_arena_array(r->arena, s->signal_count ? s->signal_count : 1, sizeof *r->has_data);
  if (!r->signal || !r->has_data)
    return mc_err_set(r->why, MC_ERR_MEMORY, "out of memory for %u signals", s->signal_count);
  for (uint32_t i = 0; i < s->signal_count; i++) {
    bool there = false;
    for (uint32_t k = 0; k < r->v->signals && !there; k++)
      there = r->signal[k] == s->signal[i].signal_id;
    if (!there) /* parts of structured signals share an id */
      r->signal[r->v->signals++] = s->signal[i].signal_id;
  }
  return MC_OK;
}

static mc_err run_document(dry_run *r, mc_slice document)
{
  mc_arena scratch MC_ARENA_AUTO = MC_ARENA((size_t)64 << 20);
  mc_fw_schemes list;
  mc_buf manifest = {0};
  mc_why reason = {0};
  MC_TRY(mc_fw_read_schemes(document, &scratch, &list, r->why));
  MC_TRY(list_signals(r, &list.scheme[0]));
  mc_err err = name_manifest(list.scheme[0].manifest_sync_id, r->v->signals ? r->signal[0] : 1, &manifest);
  if (!err)
    err = r->ask->engine->open(r->ask->engine->ctx, mc_buf_slice(&manifest), document, r->ask->from_us, note_sent, r, &r->run, &reason);
  mc_buf_free(&manifest);
  if (err == MC_ERR_MEMORY)
    return mc_err_set(r->why, err, "out of memory");
  if (err) /* an agent would refuse it, and say so */
    return not_reached(r, reason.text);
  err = feed_vehicle(r);
  r->ask->engine->close(r->run);
  r->run = NULL;
  return err;
}

static mc_err run_vehicle(dry_run *r, const mc_vehicle *vehicle)
{
  mc_buf document = {0};
  *r->v = (mc_dry_run_vehicle){.vehicle = vehicle->id, .state = MC_LIT("cut"), .covered_us = r->ask->from_us};
  MC_TRY(mc_arena_copy(r->arena, mc_slice_str(vehicle->name), &r->v->name));
  MC_TRY(mc_arena_copy(r->arena, mc_slice_str(vehicle->manifest), &r->v->manifest));
  r->topic_len = sizeof "$aws/iotfleetwise/vehicles//signals" - 1 + r->v->name.len;
  if (mc_clock_mono_us() > r->deadline_us)
    return MC_OK;
  mc_err err = compile(r, &document);
  if (!err && document.len)
    err = run_document(r, mc_buf_slice(&document));
  mc_buf_free(&document);
  return err;
}

/* ---- which vehicles ---- */

typedef MC_VEC(uint32_t) id_vec;

static mc_err list_targets(dry_run *r, id_vec *ids)
{
  mc_slice after = {0};
  mc_vehicle *page;
  size_t n;
  mc_arena scratch MC_ARENA_AUTO = MC_ARENA((size_t)64 << 20);
  do {
    char last[129];
    mc_arena_reset(&scratch);
    MC_TRY(mc_registry_vehicle_list(r->c->config.registry, r->campaign.tenant, after, (mc_slice){0}, 1000, &scratch, &page, &n, r->why));
    for (size_t i = 0; i < n; i++)
      if (campaign_names(r->c, &r->campaign, &page[i]) && mc_vec_push(ids, page[i].id))
        return mc_err_set(r->why, MC_ERR_MEMORY, "out of memory for a list of vehicles");
    if (n) {
      memcpy(last, page[n - 1].name, sizeof last);
      after = mc_slice_str(mc_arena_str(r->arena, mc_slice_str(last)));
    }
  } while (n == 1000);
  r->out->targeted = ids->len;
  return MC_OK;
}

static mc_err run_named(dry_run *r)
{
  for (size_t i = 0; i < r->ask->vehicle_count; i++) {
    mc_vehicle v;
    if (mc_registry_vehicle_find(r->c->config.registry, r->campaign.tenant, r->ask->vehicle[i], &v))
      return mc_err_set(r->why, MC_ERR_INVALID, "vehicles[%zu]: there is no vehicle \"%.*s\"", i, MC_FMT(mc_slice_sub(r->ask->vehicle[i], 0, 128)));
    r->v = &r->out->vehicle[r->out->vehicle_count++];
    MC_TRY(run_vehicle(r, &v));
  }
  return MC_OK;
}

static mc_err run_spread(dry_run *r, const id_vec *ids, size_t most)
{
  for (size_t i = 0; i < most; i++) {
    mc_vehicle v;
    if (mc_registry_vehicle_get(r->c->config.registry, r->campaign.tenant, ids->at[i * ids->len / most], &v))
      continue; /* deleted meanwhile */
    r->v = &r->out->vehicle[r->out->vehicle_count++];
    MC_TRY(run_vehicle(r, &v));
  }
  return MC_OK;
}

/* ---- the report ---- */

static double money_of(const mc_dry_run_ask *ask, double bytes, double messages) { return bytes / 1e6 * ask->per_mb + messages * ask->per_message; }

static void sum_up(dry_run *r)
{
  mc_dry_run_report *out = r->out;
  double observed_us = 0;
  out->complete = true;
  for (size_t i = 0; i < out->vehicle_count; i++) {
    const mc_dry_run_vehicle *v = &out->vehicle[i];
    out->triggers += v->triggers;
    out->messages += v->messages;
    out->rows += v->rows;
    out->bytes += v->bytes;
    out->samples_read += v->samples_read;
    out->complete &= !mc_slice_eq_str(v->state, "cut");
    if (v->with_data)
      observed_us += (double)(v->covered_us - r->ask->from_us);
  }
  out->days = observed_us / (double)DAY_US;
  out->money = money_of(r->ask, (double)out->bytes, (double)out->messages);
  if (observed_us <= 0)
    return;
  double scale = (double)out->targeted / out->days;
  out->messages_a_day = (double)out->messages * scale;
  out->bytes_a_day = (double)out->bytes * scale;
  out->rows_a_day = (double)out->rows * scale;
  out->money_a_day = money_of(r->ask, out->bytes_a_day, out->messages_a_day);
}

static mc_err check_ask(const mc_dry_run_ask *ask, mc_why *why)
{
  if (ask->to_us <= ask->from_us)
    return mc_err_set(why, MC_ERR_INVALID, "to: must be later than from");
  if (ask->to_us - ask->from_us > 366 * DAY_US)
    return mc_err_set(why, MC_ERR_INVALID, "from: at most 366 days before to");
  if (ask->vehicle_count > MC_DRY_RUN_VEHICLES || ask->most > MC_DRY_RUN_VEHICLES)
    return mc_err_set(why, MC_ERR_INVALID, "vehicles: at most %d at once", MC_DRY_RUN_VEHICLES);
  if (ask->triggers > MC_DRY_RUN_TRIGGERS)
    return mc_err_set(why, MC_ERR_INVALID, "triggers: at most %d are listed", MC_DRY_RUN_TRIGGERS);
  if (!isfinite(ask->per_mb) || !isfinite(ask->per_message) || ask->per_mb < 0 || ask->per_message < 0)
    return mc_err_set(why, MC_ERR_INVALID, "price: 0 or more is expected");
  return MC_OK;
}

static mc_err rehearse(dry_run *r)
{
  id_vec ids = {0};
  MC_TRY(campaign_check(r->c, &r->campaign, r->arena, r->why));
  mc_err err = list_targets(r, &ids);
  size_t most = r->ask->vehicle_count ? r->ask->vehicle_count : r->ask->most ? r->ask->most : 10;
  if (!r->ask->vehicle_count && most > ids.len)
    most = ids.len;
  r->out->vehicle = mc_arena_array(r->arena, most ? most : 1, sizeof *r->out->vehicle);
  r->out->trigger = mc_arena_array(r->arena, r->ask->triggers ? r->ask->triggers : 1, sizeof *r->out->trigger);
  if (!err && (!r->out->vehicle || !r->out->trigger))
    err = mc_err_set(r->why, MC_ERR_MEMORY, "out of memory for the report");
  if (!err)
    err = r->ask->vehicle_count ? run_named(r) : run_spread(r, &ids, most);
  mc_vec_free(&ids);
  if (!err)
    sum_up(r);
  return err;
}

mc_err mc_campaign_dry_run(mc_campaigns *c, const mc_dry_run_ask *ask, mc_arena *arena, mc_dry_run_report *out, mc_why *why)
{
  mc_why own = {0};
  *out = (mc_dry_run_report){0};
  MC_TRY(check_ask(ask, why));
  if (atomic_exchange(&c->rehearsing, true))
    return mc_err_set(why, MC_ERR_CONFLICT, "another dry run is under way; ask again when it is done");
  dry_run r = {.c = c, .ask = ask, .campaign = *ask->campaign, .arena = arena, .out = out, .why = why ? why : &own};
  r.deadline_us = mc_clock_mono_us() + (ask->budget_us ? ask->budget_us : 10000000);
  r.campaign.start_us = r.campaign.expiry_us = 0;
  if (!r.campaign.name.len)
    r.campaign.name = MC_LIT("dry-run");
  mc_err err = rehearse(&r);
  mc_vec_free(&r.piece);
  atomic_store(&c->rehearsing, false);
  return err;
}
