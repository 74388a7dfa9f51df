/* State templates as people keep them: stored as JSON documents, mirrored in memory; and which vehicle has which. */
#include <jansson.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/association.h"
#include "campaign/shape.h"

enum { MAX_PERIOD_MS = 86400000 };

/* ---- documents ---- */

static void list_field(mc_json *j, const char *key, mc_slice list)
{
  mc_json_key(j, key);
  mc_json_raw(j, list.len ? list : MC_LIT("[]"));
}

static mc_err to_document(const mc_state_template *t, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_text_field(&j, "description", t->description);
  mc_json_text_field(&j, "catalog", t->catalog);
  list_field(&j, "dimensions", t->dimensions);
  list_field(&j, "metadata", t->metadata);
  mc_json_key(&j, "signals");
  mc_json_array(&j);
  for (uint32_t i = 0; i < t->signal_count; i++)
    mc_json_text(&j, t->signal[i]);
  mc_json_array_end(&j);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

static mc_slice list_text(const json_t *list, mc_arena *arena)
{
  char *text = json_array_size(list) ? json_dumps(list, JSON_COMPACT) : NULL;
  mc_slice out = mc_slice_str(text ? mc_arena_str(arena, mc_slice_str(text)) : NULL);
  free(text);
  return out;
}

static mc_err from_document(mc_slice text, mc_arena *arena, mc_state_template *t)
{
  json_t *o = json_loadb((const char *)text.data, text.len, 0, NULL), *item;
  json_t *signals = json_object_get(o, "signals");
  size_t i;
  mc_err err = o ? MC_OK : MC_ERR_MALFORMED;
  if (!err)
    err = mc_arena_copy(arena, mc_slice_str(json_string_value(json_object_get(o, "description"))), &t->description);
  if (!err)
    err = mc_arena_copy(arena, mc_slice_str(json_string_value(json_object_get(o, "catalog"))), &t->catalog);
  t->dimensions = list_text(json_object_get(o, "dimensions"), arena);
  t->metadata = list_text(json_object_get(o, "metadata"), arena);
  t->signal = mc_arena_array(arena, json_array_size(signals), sizeof *t->signal);
  if (!err && !t->signal)
    err = MC_ERR_MEMORY;
  json_array_foreach (signals, i, item) {
    if (!err)
      err = mc_arena_copy(arena, mc_slice_str(json_string_value(item)), &t->signal[t->signal_count++]);
  }
  json_decref(o);
  return err;
}

/* ---- in memory ---- */

static void entry_free(template_entry *e)
{
  if (e) {
    mc_arena_free(&e->arena);
    free(e);
  }
}

static template_entry *entry_make(uint32_t tenant, mc_slice id, mc_slice name, mc_slice document, int64_t created_us, int64_t updated_us)
{
  template_entry *e = calloc(1, sizeof *e);
  if (!e)
    return NULL;
  e->t = (mc_state_template){.tenant = tenant, .created_us = created_us, .updated_us = updated_us};
  if (mc_arena_copy(&e->arena, id, &e->t.id) || mc_arena_copy(&e->arena, name, &e->t.name) || from_document(document, &e->arena, &e->t)) {
    entry_free(e);
    return NULL;
  }
  return e;
}

template_entry *campaign_template_find(mc_campaigns *c, uint32_t tenant, mc_slice identifier)
{
  for (size_t i = 0; i < c->template.len; i++) {
    template_entry *e = c->template.at[i];
    if (e->t.tenant == tenant && (mc_slice_eq(e->t.name, identifier) || mc_slice_eq(e->t.id, identifier)))
      return e;
  }
  return NULL;
}

/* In the place of the one with its id, or behind all. */
static mc_err entry_put(mc_campaigns *c, template_entry *e)
{
  mc_err err = MC_OK;
  pthread_mutex_lock(&c->lock);
  pthread_mutex_lock(&c->template_lock);
  template_entry *old = campaign_template_find(c, e->t.tenant, e->t.id);
  size_t i = 0;
  while (i < c->template.len && c->template.at[i] != old)
    i++;
  if (old) {
    entry_free(old);
    c->template.at[i] = e;
  } else {
    err = mc_vec_push(&c->template, e);
  }
  pthread_mutex_unlock(&c->template_lock);
  pthread_mutex_unlock(&c->lock);
  return err;
}

static mc_err load_templates(mc_campaigns *c, mc_why *why)
{
  mc_stmt *s;
  mc_err err = mc_db_prepare(c->config.db, "SELECT tenant, id, name, document, created_us, updated_us FROM state_template ORDER BY created_us, id", &s, why);
  if (err)
    return err;
  while (!(err = mc_stmt_step(s, why))) {
    template_entry *e = entry_make((uint32_t)mc_stmt_int(s, 0), mc_stmt_text(s, 1), mc_stmt_text(s, 2), mc_stmt_text(s, 3), mc_stmt_int(s, 4), mc_stmt_int(s, 5));
    err = e && campaign_name_valid(e->t.name) ? mc_vec_push(&c->template, e) : MC_ERR_MALFORMED;
    if (err) {
      entry_free(e);
      mc_err_set(why, err, "a state template in the database cannot be read: restore a back-up");
      break;
    }
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

static char *copy(mc_slice s) { return strndup((const char *)s.data, s.len); }

static mc_err load_versions(mc_campaigns *c, mc_why *why)
{
  mc_stmt *s;
  mc_err err = mc_db_prepare(c->config.db, "SELECT tenant, sync_id, name, manifest FROM template_version", &s, why);
  if (err)
    return err;
  while (!(err = mc_stmt_step(s, why))) {
    template_version *v = calloc(1, sizeof *v);
    err = v ? mc_vec_push(&c->template_version, v) : MC_ERR_MEMORY;
    if (err) {
      free(v);
      break;
    }
    v->tenant = (uint32_t)mc_stmt_int(s, 0);
    v->sync_id = copy(mc_stmt_text(s, 1));
    v->name = copy(mc_stmt_text(s, 2));
    v->manifest = copy(mc_stmt_text(s, 3));
    err = v->sync_id && v->name && v->manifest ? campaign_template_index(c, v) : MC_ERR_MEMORY;
    if (err)
      break;
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err campaign_templates_load(mc_campaigns *c, mc_why *why)
{
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = load_templates(c, why);
  if (!err)
    err = load_versions(c, why);
  mc_db_end(c->config.db, true, NULL);
  return err;
}

void campaign_templates_free(mc_campaigns *c)
{
  for (size_t i = 0; i < c->template.len; i++)
    entry_free(c->template.at[i]);
  for (size_t i = 0; i < c->template_version.len; i++) {
    free(c->template_version.at[i]->sync_id);
    free(c->template_version.at[i]->name);
    free(c->template_version.at[i]->manifest);
    free(c->template_version.at[i]);
  }
  size_t at = 0;
  uint64_t value;
  while (mc_strmap_next(&c->template_compiled, &at, NULL, &value)) {
    compiled_template *t = (compiled_template *)(uintptr_t)value;
    mc_vec_free(&t->signal);
    free(t);
  }
  mc_vec_free(&c->template);
  mc_vec_free(&c->template_version);
  mc_strmap_free(&c->template_compiled);
  mc_strmap_free(&c->template_by_sync);
  mc_strmap_free(&c->template_known);
  mc_vec_free(&c->command);
}

/* ---- changes ---- */

static mc_err check(mc_campaigns *c, const mc_state_template *t, mc_why *why)
{
  uint32_t id;
  if (!campaign_name_valid(t->name))
    return mc_err_set(why, MC_ERR_INVALID, "name: expected 1 to 100 of letters, digits, -, _ and :");
  if (!t->signal_count)
    return mc_err_set(why, MC_ERR_INVALID, "signals: expected at least one");
  for (uint32_t i = 0; i < t->signal_count; i++) {
    for (uint32_t k = 0; k < i; k++)
      if (mc_slice_eq(t->signal[i], t->signal[k]))
        return mc_err_set(why, MC_ERR_INVALID, "signals[%u]: \"%.*s\" stands there twice", i, MC_FMT(mc_slice_sub(t->signal[i], 0, 160)));
    if (mc_registry_signal_lookup(c->config.registry, t->tenant, t->signal[i], &id) == MC_OK)
      continue;
    mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
    mc_err err = campaign_unknown_signal(c, t->tenant, t->signal[i], &arena, why);
    if (why)
      mc_err_prefix(why, "signals[%u]", i);
    return err;
  }
  return MC_OK;
}

/* 26 characters without look-alikes: 48 bits of time in ms, 80 of chance. They sort by time. */
static mc_err new_id(char out[27], mc_why *why)
{
  static const char digit[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  uint8_t random[16];
  uint64_t ms = (uint64_t)(mc_clock_wall_us() / 1000);
  if (RAND_bytes(random, sizeof random) != 1)
    return mc_err_set(why, MC_ERR_IO, "the system gives no random numbers");
  for (int i = 9; i >= 0; i--, ms >>= 5)
    out[i] = digit[ms & 31];
  for (int i = 0; i < 16; i++)
    out[10 + i] = digit[random[i] & 31];
  out[26] = 0;
  return MC_OK;
}

mc_err campaign_new_id(char out[27], mc_why *why) { return new_id(out, why); }

bool campaign_template_room(mc_campaigns *c, uint32_t tenant, mc_why *why)
{
  uint64_t n = 0, most = c->limit[LIMIT_TEMPLATES];
  pthread_mutex_lock(&c->template_lock);
  for (size_t i = 0; i < c->template.len; i++)
    n += c->template.at[i]->t.tenant == tenant;
  pthread_mutex_unlock(&c->template_lock);
  if (n >= most)
    mc_err_set(why, MC_ERR_FULL, "there are %llu state templates already; at most %llu (setting fleetwise_templates)", (unsigned long long)n, (unsigned long long)most);
  return n < most;
}

mc_err campaign_template_create(mc_campaigns *c, mc_state_template *t, mc_err (*also)(void *ctx, mc_why *why), void *ctx, mc_why *why)
{
  char id[27];
  mc_buf document = {0};
  MC_TRY(check(c, t, why));
  if (!campaign_template_room(c, t->tenant, why))
    return MC_ERR_FULL;
  MC_TRY(new_id(id, why));
  mc_err err = to_document(t, &document);
  t->created_us = t->updated_us = mc_clock_wall_us();
  if (!err)
    err = mc_db_begin(c->config.db, true, why);
  if (!err) {
    err = mc_db_run(c->config.db, why, "INSERT INTO state_template(tenant, id, name, document, created_us, updated_us) VALUES ($1,$2,$3,$4,$5,$6)", "itttii", (int64_t)t->tenant,
                    mc_slice_str(id), t->name, mc_buf_slice(&document), t->created_us, t->updated_us);
    if (err == MC_ERR_EXISTS)
      mc_err_set(why, err, "name: there is a state template \"%.*s\" already", MC_FMT(t->name));
    if (!err && also)
      err = also(ctx, why);
    mc_err ended = mc_db_end(c->config.db, !err, err ? NULL : why);
    err = err ? err : ended;
  }
  template_entry *e = err ? NULL : entry_make(t->tenant, mc_slice_str(id), t->name, mc_buf_slice(&document), t->created_us, t->updated_us);
  mc_buf_free(&document);
  if (!err)
    err = e ? entry_put(c, e) : MC_ERR_MEMORY;
  return err;
}

mc_err mc_template_create(mc_campaigns *c, mc_state_template *t, mc_why *why) { return campaign_template_create(c, t, NULL, NULL, why); }

/* With the lock held: it is not deleted meanwhile. */
static mc_err replace(mc_campaigns *c, const mc_state_template *old, const mc_state_template *t, mc_why *why)
{
  mc_buf document = {0};
  mc_state_template fresh = *t;
  fresh.name = old->name;
  fresh.catalog = old->catalog;
  int64_t now = mc_clock_wall_us();
  MC_TRY(check(c, &fresh, why));
  mc_err err = to_document(&fresh, &document);
  if (!err)
    err = mc_db_run(c->config.db, why, "UPDATE state_template SET document = $1, updated_us = $2 WHERE tenant = $3 AND id = $4", "tiit", mc_buf_slice(&document), now,
                    (int64_t)t->tenant, old->id);
  template_entry *e = err ? NULL : entry_make(t->tenant, old->id, old->name, mc_buf_slice(&document), old->created_us, now);
  mc_buf_free(&document);
  if (!err)
    err = e ? entry_put(c, e) : MC_ERR_MEMORY;
  return err;
}

mc_err campaign_template_change(mc_campaigns *c, const mc_state_template *t, mc_why *why)
{
  pthread_mutex_lock(&c->lock);
  const template_entry *old = campaign_template_find(c, t->tenant, t->id);
  mc_err err = old ? replace(c, &old->t, t, why) : mc_err_set(why, MC_ERR_NOT_FOUND, "there is no state template %.*s", MC_FMT(mc_slice_sub(t->id, 0, 100)));
  pthread_mutex_unlock(&c->lock);
  return err;
}

mc_err mc_template_update(mc_campaigns *c, const mc_state_template *t, mc_why *why)
{
  mc_err err = campaign_template_change(c, t, why);
  if (!err)
    campaign_reconcile_all(c, t->tenant);
  return err;
}

mc_slice campaign_template_of_catalog(mc_campaigns *c, uint32_t tenant, mc_slice catalog)
{
  for (size_t i = 0; i < c->template.len; i++)
    if (c->template.at[i]->t.tenant == tenant && mc_slice_eq(c->template.at[i]->t.catalog, catalog))
      return c->template.at[i]->t.name;
  return (mc_slice){0};
}

static mc_err delete_rows(mc_campaigns *c, const mc_state_template *t, mc_why *why)
{
  MC_TRY(mc_db_begin(c->config.db, true, why));
  mc_err err = mc_db_run(c->config.db, why, "DELETE FROM state_template WHERE tenant = $1 AND id = $2", "it", (int64_t)t->tenant, t->id);
  if (!err)
    err = mc_db_run(c->config.db, why, "DELETE FROM vehicle_template WHERE tenant = $1 AND template = $2", "it", (int64_t)t->tenant, t->name);
  if (!err)
    err = campaign_tags_forget(c, t->tenant, "state-template", t->name, why);
  mc_err ended = mc_db_end(c->config.db, !err, err ? NULL : why);
  return err ? err : ended;
}

/* With the lock held: what vehicles have is to be read anew. */
static void forget_uses(mc_campaigns *c, uint32_t tenant)
{
  size_t at = 0;
  uint64_t value;
  while (mc_map_next(&c->vehicle, &at, NULL, &value)) {
    vehicle_state *v = (vehicle_state *)(uintptr_t)value;
    if (v->tenant == tenant)
      v->use_known = false;
  }
}

/* With the lock held. */
static void entry_remove(mc_campaigns *c, template_entry *e)
{
  pthread_mutex_lock(&c->template_lock);
  for (size_t i = 0; i < c->template.len; i++)
    if (c->template.at[i] == e) {
      memmove(&c->template.at[i], &c->template.at[i + 1], (c->template.len - i - 1) * sizeof *c->template.at);
      c->template.len--;
      break;
    }
  entry_free(e);
  pthread_mutex_unlock(&c->template_lock);
}

mc_err mc_template_delete(mc_campaigns *c, uint32_t tenant, mc_slice identifier, mc_why *why)
{
  pthread_mutex_lock(&c->lock);
  template_entry *e = campaign_template_find(c, tenant, identifier);
  mc_err err = e ? delete_rows(c, &e->t, why)
                 : mc_err_set(why, MC_ERR_NOT_FOUND, "there is no state template \"%.*s\"", MC_FMT(mc_slice_sub(identifier, 0, 100)));
  if (!err) {
    entry_remove(c, e);
    forget_uses(c, tenant);
  }
  pthread_mutex_unlock(&c->lock);
  if (!err)
    campaign_reconcile_all(c, tenant);
  return err;
}

/* ---- reading ---- */

static mc_err copy_out(const mc_state_template *from, mc_arena *arena, mc_state_template *out)
{
  *out = *from;
  mc_slice *text[] = {&out->id, &out->name, &out->description, &out->catalog, &out->dimensions, &out->metadata};
  for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
    MC_TRY(mc_arena_copy(arena, *text[i], text[i]));
  out->signal = mc_arena_array(arena, from->signal_count, sizeof *out->signal);
  if (!out->signal)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < from->signal_count; i++)
    MC_TRY(mc_arena_copy(arena, from->signal[i], &out->signal[i]));
  return MC_OK;
}

mc_err mc_template_get(mc_campaigns *c, uint32_t tenant, mc_slice identifier, mc_arena *arena, mc_state_template *out)
{
  pthread_mutex_lock(&c->template_lock);
  template_entry *e = campaign_template_find(c, tenant, identifier);
  mc_err err = e ? copy_out(&e->t, arena, out) : MC_ERR_NOT_FOUND;
  pthread_mutex_unlock(&c->template_lock);
  return err;
}

mc_err mc_template_by_sync(mc_campaigns *c, uint32_t tenant, mc_slice sync_id, mc_arena *arena, mc_state_template *out)
{
  mc_err err = MC_ERR_NOT_FOUND;
  pthread_mutex_lock(&c->lock);
  const template_version *v = campaign_template_by_sync(c, tenant, sync_id);
  if (v)
    err = mc_template_get(c, tenant, mc_slice_str(v->name), arena, out);
  pthread_mutex_unlock(&c->lock);
  return err;
}

static int by_name(const void *a, const void *b)
{
  return mc_slice_compare(((const mc_state_template *)a)->name, ((const mc_state_template *)b)->name);
}

mc_err mc_template_list(mc_campaigns *c, uint32_t tenant, mc_arena *arena, mc_state_template **out, size_t *count, mc_why *why)
{
  mc_err err = MC_OK;
  *count = 0;
  pthread_mutex_lock(&c->template_lock);
  *out = mc_arena_array(arena, c->template.len, sizeof **out);
  for (size_t i = 0; i < c->template.len && *out && !err; i++)
    if (c->template.at[i]->t.tenant == tenant)
      err = copy_out(&c->template.at[i]->t, arena, &(*out)[(*count)++]);
  pthread_mutex_unlock(&c->template_lock);
  if (err || !*out)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the list of state templates");
  if (*count > 1)
    qsort(*out, *count, sizeof **out, by_name);
  return MC_OK;
}

/* ---- which vehicle has which ---- */

mc_err mc_template_give(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_slice identifier, uint64_t period_ms, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_state_template t;
  mc_vehicle facts;
  if (mc_registry_vehicle_get(c->config.registry, tenant, vehicle, &facts))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle %u", vehicle);
  if (mc_template_get(c, tenant, identifier, &arena, &t))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "template: there is no state template \"%.*s\"", MC_FMT(mc_slice_sub(identifier, 0, 100)));
  if (period_ms > MAX_PERIOD_MS)
    return mc_err_set(why, MC_ERR_INVALID, "period_ms: expected at most %d, or 0 for on change", MAX_PERIOD_MS);
  MC_TRY(mc_db_run(c->config.db, why,
                   "INSERT INTO vehicle_template(tenant, vehicle, template, period_ms) VALUES ($1,$2,$3,$4) ON CONFLICT(tenant, vehicle, template) DO UPDATE SET period_ms = "
                   "excluded.period_ms",
                   "iiti", (int64_t)tenant, (int64_t)vehicle, t.name, (int64_t)period_ms));
  mc_campaign_vehicle_changed(c, tenant, vehicle);
  return MC_OK;
}

mc_err mc_template_take(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_slice identifier, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_state_template t;
  if (mc_template_get(c, tenant, identifier, &arena, &t))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no state template \"%.*s\"", MC_FMT(mc_slice_sub(identifier, 0, 100)));
  MC_TRY(mc_db_run(c->config.db, why, "DELETE FROM vehicle_template WHERE tenant = $1 AND vehicle = $2 AND template = $3", "iit", (int64_t)tenant, (int64_t)vehicle, t.name));
  mc_campaign_vehicle_changed(c, tenant, vehicle);
  return MC_OK;
}
