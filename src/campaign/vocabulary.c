/* Heads of catalogs, models and decoder manifests, and the pages of what they hold. */
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/shape.h"
#include "campaign/vocabulary.h"

const char *const resource_status_name[] = {"DRAFT", "ACTIVE", "INVALID"};

const char *resource_arn_kind(resource_kind kind)
{
  static const char *const names[] = {"", "signal-catalog", "model-manifest", "decoder-manifest"};
  return names[kind];
}

#define HEAD "SELECT name, description, parent, message, status, unmapped, created_us, updated_us FROM vocabulary_resource "

static mc_err read_head(mc_stmt *s, mc_arena *arena, resource_head *out)
{
  *out = (resource_head){.status = (int)mc_stmt_int(s, 4), .unmapped = mc_stmt_int(s, 5) != 0, .created_us = mc_stmt_int(s, 6), .updated_us = mc_stmt_int(s, 7)};
  if (out->status < RESOURCE_DRAFT || out->status > RESOURCE_INVALID)
    return MC_ERR_MALFORMED;
  mc_slice *text[] = {&out->name, &out->description, &out->parent, &out->message};
  for (int i = 0; i < 4; i++)
    MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, i), text[i]));
  return MC_OK;
}

mc_err resource_get(mc_campaigns *c, uint32_t tenant, resource_kind kind, mc_slice name, mc_arena *arena, resource_head *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, HEAD "WHERE tenant = $1 AND kind = $2 AND name = $3", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_int(s, 2, kind);
    mc_stmt_bind_text(s, 3, name);
    err = mc_stmt_step(s, why);
    err = err == MC_ERR_END ? MC_ERR_NOT_FOUND : err ? err : read_head(s, arena, out);
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err;
}

mc_err resource_need(control_call *call, resource_kind kind, mc_slice name, resource_head *out, mc_why *why)
{
  mc_err err = resource_get(call->c, call->tenant, kind, name, call->arena, out, why);
  return err == MC_ERR_NOT_FOUND ? control_not_found(call, resource_arn_kind(kind), name, why) : err;
}

mc_err resource_need_arn(control_call *call, const char *field, resource_kind kind, resource_head *out, mc_why *why)
{
  mc_slice name;
  MC_TRY(control_arn_name(call, field, control_text(call->in, field), resource_arn_kind(kind), &name, why));
  return resource_need(call, kind, name, out, why);
}

mc_err resource_put(mc_campaigns *c, uint32_t tenant, resource_kind kind, const resource_head *h, mc_why *why)
{
  return mc_db_run(c->config.db, why,
                   "INSERT INTO vocabulary_resource (tenant, kind, name, description, parent, message, status, unmapped, created_us, updated_us) VALUES "
                   "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (tenant, kind, name) DO UPDATE SET description = excluded.description, parent = excluded.parent, "
                   "message = excluded.message, status = excluded.status, unmapped = excluded.unmapped, updated_us = excluded.updated_us",
                   "iittttiiii", (int64_t)tenant, (int64_t)kind, h->name, h->description, h->parent, h->message, (int64_t)h->status, (int64_t)h->unmapped, h->created_us,
                   h->updated_us);
}

mc_err resource_delete(mc_campaigns *c, uint32_t tenant, resource_kind kind, mc_slice name, mc_why *why)
{
  MC_TRY(campaign_tags_forget(c, tenant, resource_arn_kind(kind), name, why));
  return mc_db_run(c->config.db, why, "DELETE FROM vocabulary_resource WHERE tenant = $1 AND kind = $2 AND name = $3", "iit", (int64_t)tenant, (int64_t)kind, name);
}

mc_err resource_child(mc_campaigns *c, uint32_t tenant, resource_kind kind, mc_slice parent, mc_arena *arena, mc_slice *name, mc_why *why)
{
  mc_stmt *s;
  *name = (mc_slice){0};
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, "SELECT name FROM vocabulary_resource WHERE tenant = $1 AND kind = $2 AND parent = $3 ORDER BY name LIMIT 1", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_int(s, 2, kind);
    mc_stmt_bind_text(s, 3, parent);
    err = mc_stmt_step(s, why);
    if (!err)
      err = mc_arena_copy(arena, mc_stmt_text(s, 0), name);
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err resource_fresh(control_call *call, resource_kind kind, resource_head *out, mc_why *why)
{
  mc_slice name = control_text(call->in, "name");
  resource_head old;
  mc_err err = resource_get(call->c, call->tenant, kind, name, call->arena, &old, why);
  if (!err)
    return control_conflict(call, resource_arn_kind(kind), name, why, "there is a %s \"%.*s\" already", resource_arn_kind(kind), MC_FMT(name));
  if (err != MC_ERR_NOT_FOUND)
    return err;
  *out = (resource_head){.name = name, .description = control_text(call->in, "description"), .created_us = mc_clock_wall_us()};
  out->updated_us = out->created_us;
  return MC_OK;
}

mc_err resource_room(control_call *call, resource_kind kind, int limit, mc_slice parent, mc_slice name, mc_why *why)
{
  mc_stmt *s;
  uint64_t most = control_limit_of(call, limit), n = 0;
  MC_TRY(mc_db_begin(call->c->config.db, false, why));
  mc_err err = mc_db_prepare(call->c->config.db, "SELECT COUNT(*) FROM vocabulary_resource WHERE tenant = $1 AND kind = $2 AND ($3 = '' OR parent = $3)", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, call->tenant);
    mc_stmt_bind_int(s, 2, kind);
    mc_stmt_bind_text(s, 3, parent);
    err = mc_stmt_step(s, why);
    n = err ? 0 : (uint64_t)mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(call->c->config.db, true, NULL);
  MC_TRY(err);
  return n < most ? MC_OK
                  : control_limit(call, resource_arn_kind(kind), name, why, "there are %llu already; at most %llu (setting fleetwise_%s)", (unsigned long long)n,
                                  (unsigned long long)most, shape_limits[limit].key);
}

mc_err vocabulary_locked(control_call *call, control_handler *fn, mc_why *why)
{
  pthread_mutex_lock(&call->c->vocabulary);
  mc_err err = fn(call, why);
  pthread_mutex_unlock(&call->c->vocabulary);
  return err;
}

/* ---- answers ---- */

void resource_answer(control_call *call, resource_kind kind, mc_slice name)
{
  mc_json_text_field(call->out, "name", name);
  mc_json_text_field(call->out, "arn", control_arn(call, resource_arn_kind(kind), name));
}

void resource_times(control_call *call, const resource_head *h)
{
  control_time(call->out, "creationTime", h->created_us);
  control_time(call->out, "lastModificationTime", h->updated_us);
}

static void summary(control_call *call, resource_kind kind, const resource_head *h, bool metadata_only)
{
  mc_json_object(call->out);
  resource_answer(call, kind, h->name);
  if (!metadata_only && kind == RESOURCE_MODEL)
    mc_json_text_field(call->out, "signalCatalogArn", control_arn(call, "signal-catalog", h->parent));
  if (!metadata_only && kind == RESOURCE_DECODER)
    mc_json_text_field(call->out, "modelManifestArn", control_arn(call, "model-manifest", h->parent));
  if (!metadata_only && kind != RESOURCE_CATALOG) {
    if (h->description.len)
      mc_json_text_field(call->out, "description", h->description);
    mc_json_str_field(call->out, "status", resource_status_name[h->status]);
    if (h->message.len) /* of a model: ours, the contract gives it to decoder manifests */
      mc_json_text_field(call->out, "message", h->message);
  }
  resource_times(call, h);
  mc_json_object_end(call->out);
}

/* One row more than the page is read: its being there is what makes a next page. */
static mc_err list_rows(control_call *call, resource_kind kind, mc_slice parent, bool any, const control_page *page, resource_head *list, size_t *count, mc_why *why)
{
  mc_stmt *s;
  *count = 0;
  MC_TRY(mc_db_begin(call->c->config.db, false, why));
  mc_err err = mc_db_prepare(call->c->config.db,
                             any ? HEAD "WHERE tenant = $1 AND kind = $2 AND name > $3 ORDER BY name LIMIT $4"
                                 : HEAD "WHERE tenant = $1 AND kind = $2 AND name > $3 AND parent = $5 ORDER BY name LIMIT $4",
                             &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, call->tenant);
    mc_stmt_bind_int(s, 2, kind);
    mc_stmt_bind_text(s, 3, page->after);
    mc_stmt_bind_int(s, 4, (int64_t)page->limit + 1);
    if (!any)
      mc_stmt_bind_text(s, 5, parent);
    while (*count <= page->limit && (err = mc_stmt_step(s, why)) == MC_OK)
      if ((err = read_head(s, call->arena, &list[(*count)++])))
        break;
    mc_stmt_release(&s);
  }
  mc_db_end(call->c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err resource_list(control_call *call, resource_kind kind, const char *field, mc_why *why)
{
  control_page page;
  mc_slice parent = {0};
  size_t n;
  bool any = !field || !json_object_get(call->in, field);
  MC_TRY(control_page_of(call, &page, why));
  if (!any)
    MC_TRY(control_arn_name(call, field, control_text(call->in, field), resource_arn_kind((resource_kind)(kind - 1)), &parent, why));
  resource_head *list = mc_arena_array(call->arena, page.limit + 1, sizeof *list);
  if (!list)
    return MC_ERR_MEMORY;
  MC_TRY(list_rows(call, kind, parent, any, &page, list, &n, why));
  bool metadata_only = control_text(call->in, "listResponseScope").len != 0;
  mc_json_key(call->out, "summaries");
  mc_json_array(call->out);
  for (size_t i = 0; i < n && i < page.limit; i++)
    summary(call, kind, &list[i], metadata_only);
  mc_json_array_end(call->out);
  if (n > page.limit)
    control_page_next(call, list[page.limit - 1].name);
  return MC_OK;
}

mc_err vocabulary_texts(control_call *call, const char *sql, mc_slice a, mc_slice b, mc_slice **out, size_t *count, mc_why *why)
{
  MC_VEC(mc_slice) list = {0};
  mc_stmt *s;
  *count = 0;
  MC_TRY(mc_db_begin(call->c->config.db, false, why));
  mc_err err = mc_db_prepare(call->c->config.db, sql, &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, call->tenant);
    mc_stmt_bind_text(s, 2, a);
    mc_stmt_bind_text(s, 3, b);
    while ((err = mc_stmt_step(s, why)) == MC_OK) {
      mc_slice text;
      if ((err = mc_arena_copy(call->arena, mc_stmt_text(s, 0), &text)) || (err = mc_vec_push(&list, text)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(call->c->config.db, true, NULL);
  err = err == MC_ERR_END ? MC_OK : err;
  *out = mc_arena_array(call->arena, list.len, sizeof **out);
  if (!err && !*out)
    err = MC_ERR_MEMORY;
  if (!err && list.len)
    memcpy(*out, list.at, list.len * sizeof **out);
  *count = err ? 0 : list.len;
  mc_vec_free(&list);
  return err;
}

mc_err vocabulary_page(control_call *call, const vocabulary_query *q, const char *list, mc_why *why)
{
  control_page page;
  mc_slice last = {0};
  mc_stmt *s;
  size_t n = 0;
  MC_TRY(control_page_of(call, &page, why));
  mc_json_key(call->out, list);
  mc_json_array(call->out);
  MC_TRY(mc_db_begin(call->c->config.db, false, why));
  mc_err err = mc_db_prepare(call->c->config.db, q->sql, &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, call->tenant);
    mc_stmt_bind_text(s, 2, q->owner);
    mc_stmt_bind_text(s, 3, page.after);
    mc_stmt_bind_int(s, 4, (int64_t)page.limit + 1);
    if (strstr(q->sql, "$5"))
      mc_stmt_bind_int(s, 5, q->filter);
    while ((err = mc_stmt_step(s, why)) == MC_OK && n++ < page.limit) {
      q->row(call->out, s);
      if (n == page.limit && (err = mc_arena_copy(call->arena, mc_stmt_text(s, 0), &last)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(call->c->config.db, true, NULL);
  if (err && err != MC_ERR_END)
    return err;
  mc_json_array_end(call->out);
  if (n > page.limit)
    control_page_next(call, last);
  return MC_OK;
}
