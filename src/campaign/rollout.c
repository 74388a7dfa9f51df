#include "campaign/rollout.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_FIRST = 10000, MOST_HOLD_S = 30 * 86400 };

/* ---- who is first ---- */

/* 0 to 9,999. */
static uint32_t lot(mc_slice campaign, mc_slice vehicle)
{
  uint64_t h = mc_slice_fnv1a(campaign) * 0x9E3779B97F4A7C15ULL ^ mc_slice_fnv1a(vehicle);
  h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9ULL;
  h = (h ^ h >> 27) * 0x94D049BB133111EBULL;
  return (uint32_t)((h ^ h >> 31) % 10000);
}

static int by_text(const void *a, const void *b) { return mc_slice_compare(*(const mc_slice *)a, *(const mc_slice *)b); }

bool rollout_is_first(const rollout *r, mc_slice campaign, mc_slice vehicle)
{
  if (r->vehicle_count && bsearch(&vehicle, r->vehicle, r->vehicle_count, sizeof *r->vehicle, by_text)) /* asked at every check-in */
    return true;
  return r->percent && lot(campaign, vehicle) < r->percent * 100U;
}

bool rollout_reaches(const rollout *r, mc_campaign_phase phase, mc_slice campaign, mc_slice vehicle)
{
  return !r->canary || phase == MC_CAMPAIGN_REST || rollout_is_first(r, campaign, vehicle);
}

/* ---- how they do ---- */

static bool past(uint64_t bad, uint64_t of, uint8_t percent) { return percent < 100 && bad * 100 > of * percent; }

static bool too_bad(const rollout *r, const rollout_tally *t, char *text, size_t size)
{
  const struct {
    uint64_t bad;
    uint8_t percent;
    const char *what;
  } judged[] = {{t->refused, r->limit.refused, "refused its document"}, {t->errors, r->limit.errors, "report errors since"}, {t->silent, r->limit.silent, "were not heard since it was sent"}};
  for (size_t i = 0; t->sent >= r->limit.least && i < sizeof judged / sizeof judged[0]; i++)
    if (past(judged[i].bad, t->sent, judged[i].percent)) {
      snprintf(text, size, "suspended by itself: %" PRIu64 " of %" PRIu64 " vehicles %s, more than %u %%", judged[i].bad, t->sent, judged[i].what, judged[i].percent);
      return true;
    }
  return false;
}

rollout_verdict rollout_judge(const rollout *r, mc_campaign_phase phase, const rollout_tally *t, int64_t now_us, char *text, size_t size)
{
  text[0] = 0;
  if (too_bad(r, t, text, size))
    return ROLLOUT_STOP;
  if (!r->canary || phase == MC_CAMPAIGN_REST)
    return ROLLOUT_GO_ON;
  if (!t->reached) {
    snprintf(text, size, "none of its vehicles is among the first: name some, or let it go on to the rest");
    return ROLLOUT_GO_ON;
  }
  if (t->confirmed < t->reached) { /* one that never checks in holds it up: better than passing over what it would have shown */
    snprintf(text, size, "%" PRIu64 " of %" PRIu64 " first vehicles confirmed it", t->confirmed, t->reached);
    return ROLLOUT_GO_ON;
  }
  int64_t left_us = t->confirmed_us + (int64_t)r->hold_s * 1000000 - now_us;
  if (left_us > 0) {
    snprintf(text, size, "all %" PRIu64 " first vehicles confirmed it; %" PRId64 " s to go", t->reached, (left_us + 999999) / 1000000);
    return ROLLOUT_GO_ON;
  }
  snprintf(text, size, "all %" PRIu64 " first vehicles do well", t->reached);
  return r->by_itself ? ROLLOUT_NEXT : ROLLOUT_ASK;
}

/* ---- the document ---- */

static mc_err whole(json_t *o, const char *key, json_int_t least, json_int_t most, json_int_t fallback, json_int_t *out, mc_why *why)
{
  json_t *v = json_object_get(o, key);
  *out = v ? json_integer_value(v) : fallback;
  if (v && (!json_is_integer(v) || *out < least || *out > most))
    return mc_err_set(why, MC_ERR_INVALID, "rollout.%s: a whole number from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT " was expected", key, least, most);
  return MC_OK;
}

static mc_err read_names(json_t *list, mc_arena *arena, rollout *out, mc_why *why)
{
  size_t n = json_array_size(list);
  if (list && (!json_is_array(list) || n > MOST_FIRST))
    return mc_err_set(why, MC_ERR_INVALID, "rollout.vehicles: a list of at most %d names was expected", MOST_FIRST);
  mc_slice *name = mc_arena_array(arena, n ? n : 1, sizeof *name);
  if (!name)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  for (size_t i = 0; i < n; i++) {
    json_t *item = json_array_get(list, i);
    if (!json_is_string(item) || !json_string_length(item) || json_string_length(item) > 128)
      return mc_err_set(why, MC_ERR_INVALID, "rollout.vehicles[%zu]: the name of a vehicle was expected", i);
    MC_TRY(mc_arena_copy(arena, mc_slice_of(json_string_value(item), json_string_length(item)), &name[i]));
  }
  if (n > 1)
    qsort(name, n, sizeof *name, by_text);
  out->vehicle = name;
  out->vehicle_count = n;
  return MC_OK;
}

static mc_err read_document(json_t *o, mc_arena *arena, rollout *out, mc_why *why)
{
  static const char *const known[] = {"percent", "vehicles", "hold_s", "silent_s", "by_itself", "refused_percent", "error_percent", "silent_percent", "least"};
  json_int_t percent, hold, silent, refused, errors, quiet, least;
  const char *key;
  json_t *value;
  if (!json_is_object(o))
    return mc_err_set(why, MC_ERR_INVALID, "rollout: an object was expected");
  json_object_foreach (o, key, value) {
    size_t i = 0;
    while (i < sizeof known / sizeof known[0] && strcmp(known[i], key) != 0)
      i++;
    if (i == sizeof known / sizeof known[0])
      return mc_err_set(why, MC_ERR_INVALID, "rollout.%.60s: there is no such member", key);
  }
  MC_TRY(whole(o, "percent", 1, 99, 0, &percent, why));
  MC_TRY(whole(o, "hold_s", 0, MOST_HOLD_S, 3600, &hold, why));
  MC_TRY(whole(o, "silent_s", 60, MOST_HOLD_S, 900, &silent, why));
  MC_TRY(whole(o, "refused_percent", 0, 100, 0, &refused, why));
  MC_TRY(whole(o, "error_percent", 0, 100, 5, &errors, why));
  MC_TRY(whole(o, "silent_percent", 0, 100, 50, &quiet, why)); /* vehicles park */
  MC_TRY(whole(o, "least", 1, 1000000, 1, &least, why));
  MC_TRY(read_names(json_object_get(o, "vehicles"), arena, out, why));
  if (json_object_get(o, "by_itself") && !json_is_boolean(json_object_get(o, "by_itself")))
    return mc_err_set(why, MC_ERR_INVALID, "rollout.by_itself: true or false was expected");
  if (!percent && !out->vehicle_count)
    return mc_err_set(why, MC_ERR_INVALID, "rollout.percent: say how many are first, or which in rollout.vehicles");
  out->canary = true;
  out->percent = (uint8_t)percent;
  out->hold_s = (uint32_t)hold;
  out->silent_s = (uint32_t)silent;
  out->by_itself = json_is_true(json_object_get(o, "by_itself"));
  out->limit = (rollout_limits){(uint8_t)refused, (uint8_t)errors, (uint8_t)quiet, (uint32_t)least};
  return MC_OK;
}

mc_err rollout_read(mc_slice text, mc_arena *arena, rollout *out, mc_why *why)
{
  json_error_t bad;
  *out = (rollout){0};
  if (!text.len)
    return MC_OK;
  json_t *o = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &bad);
  if (!o)
    return mc_err_set(why, MC_ERR_INVALID, "rollout: %s", bad.text);
  mc_err err = read_document(o, arena, out, why);
  json_decref(o);
  return err;
}
