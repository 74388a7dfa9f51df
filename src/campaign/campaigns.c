#include "base/clock.h"
#include "campaign/cost.h"
#include "campaign/vocabulary.h"

#include <stdlib.h>

enum { ARENA_BYTES = 96 << 20 }; /* a message of 16 MiB whose samples carry values fits; one of millions of empty samples does not */

/* Rows become versions and states under `lock` while the database is held: `lock` comes first here as everywhere. */
static mc_err load_states(mc_campaigns *c, mc_why *why)
{
  MC_TRY(campaign_schemes_load(c, why));
  MC_TRY(campaign_resources_load(c, why));
  MC_TRY(campaign_templates_load(c, why));
  MC_TRY(campaign_commands_load(c, why));
  return campaign_checkins_load(c, why);
}

static mc_err load(mc_campaigns *c, mc_why *why)
{
  MC_TRY(mc_db_migrate(c->config.db, campaign_migrations, campaign_migration_count, why));
  MC_TRY(campaign_manifests_load(c, why));
  MC_TRY(vocabulary_upgrade(c, why));
  pthread_mutex_lock(&c->lock);
  mc_err states = load_states(c, why);
  pthread_mutex_unlock(&c->lock);
  if (states)
    return states;
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, "SELECT value FROM campaign_state WHERE name = 'offset'", &s, why);
  if (!err) {
    if (mc_stmt_step(s, why) == MC_OK)
      atomic_store(&c->offset, (uint64_t)mc_stmt_int(s, 0));
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  if (!err)
    err = cost_book_load(c->costs, c->config.db, atomic_load(&c->offset), why);
  return err ? err : pace_book_load(c->paces, c->config.db, why);
}

mc_err mc_campaigns_open(const mc_campaigns_config *config, mc_campaigns **out, mc_why *why)
{
  mc_campaigns *c = calloc(1, sizeof *c);
  if (!c)
    return MC_ERR_MEMORY;
  c->config = *config;
  c->config.limit = NULL; /* the caller's */
  for (size_t i = 0; i < MC_CONTROL_LIMITS; i++)
    c->limit[i + 1] = config->limit && config->limit[i] ? config->limit[i] : mc_control_limit_at(i).ours;
  c->arena = MC_ARENA(ARENA_BYTES);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE); /* look-ups by sync id happen inside compilation */
  pthread_mutex_init(&c->lock, &attr);
  pthread_mutexattr_destroy(&attr);
  pthread_mutex_init(&c->vocabulary, NULL);
  pthread_mutex_init(&c->template_lock, NULL);
  pthread_mutex_init(&c->event_lock, NULL);
  pthread_mutex_init(&c->event_write, NULL);
  c->repeats = repeat_table_create();
  c->hours = hour_budget_create();
  c->costs = cost_book_create();
  c->paces = pace_book_create();
  c->sink = calloc(config->sink_count ? config->sink_count : 1, sizeof *c->sink);
  mc_err err = c->repeats && c->hours && c->costs && c->paces && c->sink ? MC_OK : MC_ERR_MEMORY;
  if (!err) {
    if (config->sink_count)
      memcpy(c->sink, config->sink, config->sink_count * sizeof *c->sink);
    err = load(c, why);
  }
  if (err) {
    mc_campaigns_close(&c);
    return err;
  }
  *out = c;
  return MC_OK;
}

void mc_campaigns_close(mc_campaigns **campaigns)
{
  mc_campaigns *c = *campaigns;
  if (!c)
    return;
  campaign_schemes_free(c);
  campaign_versions_free(c);
  campaign_vehicles_free(c);
  campaign_templates_free(c);
  for (size_t i = 0; i < c->campaign.len; i++) {
    mc_arena_free(&c->campaign.at[i]->arena);
    free(c->campaign.at[i]);
  }
  mc_vec_free(&c->campaign);
  repeat_table_destroy(c->repeats);
  hour_budget_destroy(c->hours);
  cost_book_destroy(c->costs);
  pace_book_destroy(c->paces);
  mc_block_builder_free(&c->block);
  mc_arena_free(&c->arena);
  mc_buf_free(&c->plain);
  campaign_events_free(c);
  mc_strmap_free(&c->manifest_known);
  mc_strmap_free(&c->scheme_known);
  pthread_mutex_destroy(&c->vocabulary);
  pthread_mutex_destroy(&c->lock);
  pthread_mutex_destroy(&c->template_lock);
  pthread_mutex_destroy(&c->event_lock);
  pthread_mutex_destroy(&c->event_write);
  free(c->sink);
  free(c);
  *campaigns = NULL;
}

/* The vehicle that the publishing device was fitted to then; a principal that is no device (a back end, --insecure-dev) speaks for the
 * vehicle that the topic names. */
uint32_t campaign_vehicle_of(mc_campaigns *c, const mc_record *r, mc_slice name)
{
  uint32_t vehicle = r->principal ? mc_registry_vehicle_of_thing(c->config.registry, r->tenant, r->principal, r->time_us) : 0;
  mc_vehicle facts;
  if (!vehicle && mc_registry_vehicle_find(c->config.registry, r->tenant, name, &facts) == MC_OK)
    vehicle = facts.id;
  return vehicle;
}

mc_err mc_campaign_record(mc_campaigns *c, const mc_record *record, uint64_t next_offset, mc_why *why)
{
  mc_slice name, execution;
  topic_kind kind = campaign_topic(record->topic, &name, &execution);
  if (kind == TOPIC_CHECKIN) {
    mc_slice prefix = mc_slice_sub(record->topic, 0, (size_t)(name.data - record->topic.data) - (sizeof "vehicles/" - 1));
    return campaign_checkin(c, record, name, prefix, why);
  }
  if (kind == TOPIC_OTHER)
    return MC_OK;
  uint32_t vehicle = campaign_vehicle_of(c, record, name);
  if (!vehicle) {
    atomic_fetch_add_explicit(&c->count.undecodable, 1, memory_order_relaxed);
    return MC_OK;
  }
  if (kind == TOPIC_STATE)
    return campaign_state_ingest(c, record, vehicle, name, next_offset, why);
  if (kind == TOPIC_RESPONSE)
    return campaign_command_answer(c, record, vehicle, name, execution);
  return campaign_ingest(c, record, vehicle, name, next_offset, why);
}

/* A reader begins where the oldest message lies that the repeat table still has to know, so the table is rebuilt by reading. */
mc_err mc_campaign_tick(mc_campaigns *c, int64_t now_us, mc_why *why)
{
  MC_TRY(campaign_caps_tick(c, now_us, why));
  return campaign_rollouts_tick(c, now_us, why);
}

mc_err mc_campaign_checkpoint(mc_campaigns *c, uint64_t offset, mc_why *why)
{
  MC_TRY(campaign_events_write(c, why));
  MC_TRY(cost_book_write(c->costs, c->config.db, why));
  MC_TRY(campaign_checkins_save(c, why));
  MC_TRY(campaign_commands_save(c, why));
  enum { WINDOW = 64 << 20 }; /* bytes of journal read again at a start, at most */
  uint64_t begin = repeat_table_oldest(c->repeats, offset > WINDOW ? offset - WINDOW : 0); /* a record: readers begin nowhere else */
  if (begin > offset)
    begin = offset;
  atomic_store(&c->offset, begin);
  return mc_db_run(c->config.db, why,
                   "INSERT INTO campaign_state(name, value) VALUES ('offset', $1) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
                   "i", (int64_t)begin);
}

static mc_err has_tables(mc_db *db, const char *module, bool *made, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(db, "SELECT COUNT(*) FROM schema_migration WHERE module = $1", &s, why));
  mc_stmt_bind_text(s, 1, mc_slice_str(module));
  mc_err err = mc_stmt_step(s, why);
  *made = !err && mc_stmt_int(s, 0) > 0;
  mc_stmt_release(&s);
  return err;
}

/* A back-up may be of an earlier version, whose tables are made at the next start, and of a platform that never started. */
static mc_err rewind_tables(mc_db *db, int64_t offset, mc_why *why)
{
  bool made, counts;
  MC_TRY(has_tables(db, "campaign", &made, why));
  MC_TRY(has_tables(db, "campaign.cost", &counts, why));
  if (made)
    MC_TRY(mc_db_run(db, why, "DELETE FROM campaign_event WHERE first_offset >= $1", "i", offset));
  if (counts)
    MC_TRY(mc_db_run(db, why, "UPDATE campaign_cost SET upto = $1 WHERE upto > $1", "i", offset)); /* what was sent was paid for: it stays counted */
  return made ? mc_db_run(db, why, "UPDATE campaign_state SET value = $1 WHERE name = 'offset' AND value > $1", "i", offset) : MC_OK;
}

mc_err mc_campaign_rewind(mc_db *db, uint64_t offset, mc_why *why)
{
  MC_TRY(mc_db_begin(db, true, why));
  mc_err err = rewind_tables(db, (int64_t)offset, why);
  mc_err ended = mc_db_end(db, !err, err ? NULL : why);
  return err ? err : ended;
}

uint64_t mc_campaign_offset(const mc_campaigns *c)
{
  return atomic_load(&c->offset);
}

void mc_campaign_stats_get(mc_campaigns *c, mc_campaign_stats *out)
{
  campaign_metrics *m = &c->count;
  *out = (mc_campaign_stats){atomic_load(&m->messages),    atomic_load(&m->samples),         atomic_load(&m->repeats),
                             atomic_load(&m->undecodable), atomic_load(&m->unknown_signals), atomic_load(&m->quarantined),
                             atomic_load(&m->checkins),    atomic_load(&m->documents_sent),  atomic_load(&m->events),
                             atomic_load(&m->strayed),     atomic_load(&m->checkins_unreadable), atomic_load(&m->ids_unknown),
                             atomic_load(&m->ids_dropped), atomic_load(&m->unknown_manifests),   atomic_load(&m->unknown_campaigns)};
}
