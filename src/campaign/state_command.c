/* Commands that activate, silence and ask for state templates, and their answers (contract fleetwise 5.7). They are kept in memory, the last thousands; the
 * reader notes answers there and another thread writes them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/state.h"
#include "format/fleetwise_state.h"

enum { COMMANDS_KEPT = 10000, DEFAULT_TIMEOUT_MS = 60000, GRACE_US = 10 * 1000000 };

static state_command *find(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_slice id)
{
  for (size_t i = c->command.len; i-- > 0;) {
    state_command *x = &c->command.at[i];
    if (x->tenant == tenant && x->vehicle == vehicle && mc_slice_eq_str(id, x->id))
      return x;
  }
  return NULL;
}

/* With the lock held. */
static mc_err keep(mc_campaigns *c, const state_command *x)
{
  if (c->command.len >= COMMANDS_KEPT) {
    size_t half = COMMANDS_KEPT / 2;
    memmove(c->command.at, c->command.at + half, (c->command.len - half) * sizeof *c->command.at);
    c->command.len -= half;
  }
  return mc_vec_push(&c->command, *x);
}

/* ---- sending ---- */

static mc_err store(mc_campaigns *c, const state_command *x, mc_why *why)
{
  return mc_db_run(c->config.db, why,
                   "INSERT INTO state_command(tenant, id, vehicle, template, action, timeout_ms, issued_us, answered_us, status, reason, text) VALUES "
                   "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) ON CONFLICT(tenant, id) DO UPDATE SET answered_us = excluded.answered_us, status = excluded.status, reason = "
                   "excluded.reason, text = excluded.text",
                   "ititiiiiiit", (int64_t)x->tenant, mc_slice_str(x->id), (int64_t)x->vehicle, mc_slice_str(x->template), (int64_t)x->action, (int64_t)x->timeout_ms, x->issued_us,
                   x->answered_us, (int64_t)x->status, (int64_t)x->reason, mc_slice_str(x->text));
}

/* The id under which the vehicle knows the template now; NULL: it does not have it, or nothing of it can be sent there. Lock held. */
static const char *sync_id_of(mc_campaigns *c, vehicle_state *v, const manifest_version *m, mc_slice name)
{
  template_plan p;
  const char *found = NULL;
  if (campaign_template_plan(c, v, m, &p) == MC_OK)
    for (size_t i = 0; i < p.wanted.len; i++)
      if (p.wanted.at[i] && mc_slice_eq_str(name, v->use.at[i].name))
        found = p.wanted.at[i]->sync_id;
  mc_vec_free(&p.wanted);
  return found;
}

typedef struct order {
  char topic[300];
  const char *sync_id;
  state_command command;
} order;

/* With the lock held: what is sent where. */
static mc_err prepare(mc_campaigns *c, const mc_vehicle *facts, mc_slice identifier, order *o, mc_why *why)
{
  const template_entry *e = campaign_template_find(c, facts->tenant, identifier);
  vehicle_state *v = campaign_vehicle_state(c, facts->tenant, facts->id, false);
  const manifest_version *m = facts->manifest[0] ? campaign_manifest_current(c, facts->tenant, mc_slice_str(facts->manifest)) : NULL;
  if (!e)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no state template \"%.*s\"", MC_FMT(mc_slice_sub(identifier, 0, 100)));
  if (!v || !v->prefix[0])
    return mc_err_set(why, MC_ERR_CONFLICT, "vehicle %s never checked in: it cannot be commanded yet", facts->name);
  o->sync_id = sync_id_of(c, v, m, e->t.name);
  if (!o->sync_id)
    return mc_err_set(why, MC_ERR_CONFLICT, "vehicle %s does not have the state template %.*s, or its manifest decodes nothing of it", facts->name, MC_FMT(e->t.name));
  mc_slice_to_str(e->t.name, o->command.template, sizeof o->command.template);
  const char *prefix = strncmp(v->prefix, "cms/", 4) == 0 ? "cms/commands/" : "$aws/commands/";
  snprintf(o->topic, sizeof o->topic, "%sthings/%s/executions/%s/request/protobuf", prefix, facts->name, o->command.id);
  return MC_OK;
}

static mc_err publish(mc_campaigns *c, const order *o, uint32_t deactivate_after_s, mc_why *why)
{
  mc_fw_state_order one = {.sync_id = mc_slice_str(o->sync_id), .action = o->command.action, .deactivate_after_seconds = deactivate_after_s};
  mc_fw_command_request request = {.command_id = mc_slice_str(o->command.id), .timeout_ms = o->command.timeout_ms, .kind = MC_FW_COMMAND_STATE, .order = &one, .order_count = 1,
                                   .issued_ms = (uint64_t)(o->command.issued_us / 1000)};
  mc_buf payload = {0};
  mc_err err = mc_fw_write_command_request(&payload, &request);
  if (!err && c->config.publish)
    err = c->config.publish(c->config.publish_ctx, o->command.tenant, mc_slice_str(o->topic), mc_buf_slice(&payload), why);
  mc_buf_free(&payload);
  return err;
}

mc_err mc_template_command(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_slice identifier, mc_state_action action, uint32_t deactivate_after_s, uint32_t timeout_ms, char id[27], mc_why *why)
{
  mc_vehicle facts;
  order o = {.command = {.tenant = tenant, .vehicle = vehicle, .action = action, .timeout_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS, .issued_us = mc_clock_wall_us()}};
  if (mc_registry_vehicle_get(c->config.registry, tenant, vehicle, &facts))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle %u", vehicle);
  MC_TRY(campaign_new_id(o.command.id, why));
  pthread_mutex_lock(&c->lock);
  mc_err err = prepare(c, &facts, identifier, &o, why);
  if (!err)
    err = store(c, &o.command, why); /* before it is sent: its answer may be quick */
  if (!err)
    err = keep(c, &o.command);
  pthread_mutex_unlock(&c->lock);
  if (err)
    return err;
  memcpy(id, o.command.id, 27);
  return publish(c, &o, deactivate_after_s, why);
}

/* ---- answers: decoder thread ---- */

static bool is_final(uint32_t status) { return status == MC_FW_COMMAND_SUCCEEDED || status == MC_FW_COMMAND_TIMED_OUT || status == MC_FW_COMMAND_FAILED; }

mc_err campaign_command_answer(mc_campaigns *c, const mc_record *record, uint32_t vehicle, mc_slice vehicle_name, mc_slice execution)
{
  mc_fw_command_response r;
  mc_why text = {0};
  mc_arena_reset(&c->arena);
  if (mc_fw_read_command_response(record->payload, &c->arena, &r, &text)) {
    atomic_fetch_add_explicit(&c->count.undecodable, 1, memory_order_relaxed);
    campaign_trouble(c, record->tenant, vehicle, TROUBLE_DATA_UNREADABLE, 1);
    mc_log(MC_LOG_WARN, "campaign", "the answer to a command cannot be read; it stays in the journal", MC_KS("vehicle", vehicle_name), MC_KU("offset", record->offset),
           MC_KZ("reason", text.text));
    return MC_OK;
  }
  pthread_mutex_lock(&c->lock);
  state_command *x = mc_slice_eq(r.command_id, execution) ? find(c, record->tenant, vehicle, execution) : NULL;
  if (x && !is_final(x->status)) { /* a late "in progress" takes nothing back */
    x->status = r.status;
    x->reason = r.reason;
    x->answered_us = record->time_us;
    x->dirty = true;
    mc_slice_to_str(r.text, x->text, sizeof x->text);
  }
  pthread_mutex_unlock(&c->lock);
  if (!x)
    campaign_trouble(c, record->tenant, vehicle, TROUBLE_COMMAND_UNKNOWN, 1);
  return MC_OK;
}

/* ---- the database ---- */

mc_err campaign_commands_save(mc_campaigns *c, mc_why *why)
{
  for (;;) { /* one at a time: the decoder waits for the lock */
    state_command copy = {0};
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->command.len && !copy.tenant; i++)
      if (c->command.at[i].dirty) {
        copy = c->command.at[i];
        c->command.at[i].dirty = false;
      }
    pthread_mutex_unlock(&c->lock);
    if (!copy.tenant)
      return MC_OK;
    mc_err err = store(c, &copy, why);
    if (err) {
      pthread_mutex_lock(&c->lock);
      state_command *x = find(c, copy.tenant, copy.vehicle, mc_slice_str(copy.id));
      if (x)
        x->dirty = true;
      pthread_mutex_unlock(&c->lock);
      return err;
    }
  }
}

mc_err campaign_commands_load(mc_campaigns *c, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db,
                             "SELECT tenant, id, vehicle, template, action, timeout_ms, issued_us, answered_us, status, reason, text FROM (SELECT * FROM state_command ORDER BY "
                             "issued_us DESC LIMIT 5000) AS newest ORDER BY issued_us",
                             &s, why);
  if (!err) {
    while (!(err = mc_stmt_step(s, why))) {
      state_command x = {.tenant = (uint32_t)mc_stmt_int(s, 0), .vehicle = (uint32_t)mc_stmt_int(s, 2), .action = (mc_state_action)mc_stmt_int(s, 4),
                         .timeout_ms = (uint32_t)mc_stmt_int(s, 5), .issued_us = mc_stmt_int(s, 6), .answered_us = mc_stmt_int(s, 7), .status = (uint32_t)mc_stmt_int(s, 8),
                         .reason = (uint32_t)mc_stmt_int(s, 9)};
      mc_slice_to_str(mc_stmt_text(s, 1), x.id, sizeof x.id);
      mc_slice_to_str(mc_stmt_text(s, 3), x.template, sizeof x.template);
      mc_slice_to_str(mc_stmt_text(s, 10), x.text, sizeof x.text);
      if ((err = mc_vec_push(&c->command, x)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* ---- what people see ---- */

static const char *status_of(const state_command *x, int64_t now_us)
{
  switch (x->status) {
  case MC_FW_COMMAND_SUCCEEDED:
    return "succeeded";
  case MC_FW_COMMAND_TIMED_OUT:
    return "timed_out";
  case MC_FW_COMMAND_FAILED:
    return "failed";
  default: /* our own timer: an agent whose queue is full drops commands without a word (5.7) */
    if (now_us / 1000 - x->issued_us / 1000 > (int64_t)x->timeout_ms + GRACE_US / 1000)
      return "no_answer";
    return x->status ? "in_progress" : "sent";
  }
}

mc_err mc_template_commands(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, size_t limit, mc_arena *arena, mc_state_command **out, size_t *count, mc_why *why)
{
  mc_err err = MC_OK;
  int64_t now = mc_clock_wall_us();
  *count = 0;
  pthread_mutex_lock(&c->lock);
  size_t most = limit < c->command.len ? limit : c->command.len;
  *out = mc_arena_array(arena, most, sizeof **out);
  for (size_t i = c->command.len; i-- > 0 && *count < most && *out && !err;) {
    const state_command *x = &c->command.at[i];
    if (x->tenant != tenant || x->vehicle != vehicle)
      continue;
    mc_state_command *to = &(*out)[(*count)++];
    *to = (mc_state_command){.action = x->action, .status = mc_slice_str(status_of(x, now)), .reason = x->reason, .issued_us = x->issued_us, .answered_us = x->answered_us};
    const char *meaning = x->text[0] || !x->reason ? x->text : mc_fw_reason_text(x->reason);
    err = mc_arena_copy(arena, mc_slice_str(x->id), &to->id);
    if (!err)
      err = mc_arena_copy(arena, mc_slice_str(x->template), &to->template);
    if (!err)
      err = mc_arena_copy(arena, mc_slice_str(meaning), &to->text);
  }
  pthread_mutex_unlock(&c->lock);
  return err || !*out ? mc_err_set(why, MC_ERR_MEMORY, "out of memory for the commands of a vehicle") : MC_OK;
}
