/* The signal catalog: what a name means to people. Ids and names live in the registry. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "campaign/state.h"

mc_err campaign_catalog_put(mc_campaigns *c, uint32_t tenant, uint32_t signal, mc_slice fqn, const char *kind, mc_type type, mc_slice unit,
                            mc_slice description, bool has_range, double low, double high, mc_slice value_names_json, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(c->config.db,
                       "INSERT INTO catalog_node(tenant, signal, fqn, kind, type, unit, description, low, high, value_names) VALUES "
                       "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10) "
                       "ON CONFLICT(tenant, signal) DO UPDATE SET kind = excluded.kind, type = excluded.type, unit = excluded.unit, "
                       "description = excluded.description, low = excluded.low, high = excluded.high, "
                       "value_names = excluded.value_names",
                       &s, why));
  mc_stmt_bind_int(s, 1, tenant);
  mc_stmt_bind_int(s, 2, signal);
  mc_stmt_bind_text(s, 3, fqn);
  mc_stmt_bind_text(s, 4, mc_slice_str(kind));
  mc_stmt_bind_int(s, 5, type);
  mc_stmt_bind_text(s, 6, unit);
  mc_stmt_bind_text(s, 7, description);
  if (has_range) {
    mc_stmt_bind_double(s, 8, low);
    mc_stmt_bind_double(s, 9, high);
  } else {
    mc_stmt_bind_null(s, 8);
    mc_stmt_bind_null(s, 9);
  }
  mc_stmt_bind_text(s, 10, value_names_json);
  mc_err err = mc_stmt_step(s, why);
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err read_value_names(mc_slice json, mc_arena *arena, mc_signal_info *out)
{
  json_t *root = json_loadb((const char *)json.data, json.len, 0, NULL), *pair;
  size_t n = json_array_size(root), i;
  mc_err err = MC_OK;
  out->value_number = mc_arena_array(arena, n, sizeof *out->value_number);
  out->value_name = mc_arena_array(arena, n, sizeof *out->value_name);
  if (!out->value_number || !out->value_name)
    err = MC_ERR_MEMORY;
  json_array_foreach (root, i, pair) {
    const char *text = json_string_value(json_array_get(pair, 1));
    if (err || !text)
      break;
    out->value_number[out->value_count] = json_integer_value(json_array_get(pair, 0));
    err = mc_arena_copy(arena, mc_slice_str(text), &out->value_name[out->value_count++]);
  }
  json_decref(root);
  return err;
}

#define COLUMNS "SELECT signal, fqn, type, unit, description, low, high, value_names FROM catalog_node "

static mc_err read_row(mc_stmt *s, mc_arena *arena, mc_signal_info *out)
{
  *out = (mc_signal_info){.id = (uint32_t)mc_stmt_int(s, 0), .has_min = !mc_stmt_is_null(s, 5), .has_max = !mc_stmt_is_null(s, 6)};
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 1), &out->fqn));
  out->type = mc_slice_str(mc_type_name((mc_type)mc_stmt_int(s, 2)));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 3), &out->unit));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 4), &out->description));
  out->min = out->has_min ? mc_stmt_double(s, 5) : 0;
  out->max = out->has_max ? mc_stmt_double(s, 6) : 0;
  return read_value_names(mc_stmt_text(s, 7), arena, out);
}

/* % and _ in a filter are letters, not wildcards. */
static mc_err like_pattern(mc_slice filter, mc_buf *out)
{
  MC_TRY(mc_buf_append_u8(out, '%'));
  for (size_t i = 0; i < filter.len; i++) {
    if (strchr("%_\\", filter.data[i]) && filter.data[i])
      MC_TRY(mc_buf_append_u8(out, '\\'));
    MC_TRY(mc_buf_append_u8(out, filter.data[i]));
  }
  return mc_buf_append_u8(out, '%');
}

mc_err mc_campaign_signals(mc_campaigns *c, uint32_t tenant, mc_slice after, mc_slice filter, size_t limit, mc_arena *arena,
                           mc_signal_info **out, size_t *count, mc_why *why)
{
  mc_buf pattern = {0};
  mc_signal_info *list = mc_arena_array(arena, limit ? limit : 1, sizeof *list);
  *count = 0;
  *out = list;
  mc_err err = list ? like_pattern(filter, &pattern) : mc_err_set(why, MC_ERR_MEMORY, "out of memory for %zu signals", limit);
  if (!err)
    err = mc_db_begin(c->config.db, false, why);
  if (!err) {
    mc_stmt *s;
    err = mc_db_prepare(c->config.db, COLUMNS "WHERE tenant = $1 AND fqn > $2 AND fqn LIKE $3 ESCAPE '\\' ORDER BY fqn LIMIT $4", &s, why);
    if (!err) {
      mc_stmt_bind_int(s, 1, tenant);
      mc_stmt_bind_text(s, 2, after);
      mc_stmt_bind_text(s, 3, mc_buf_slice(&pattern));
      mc_stmt_bind_int(s, 4, (int64_t)limit);
      while (*count < limit && !(err = mc_stmt_step(s, why)))
        if ((err = read_row(s, arena, &list[(*count)++])))
          break;
      if (err == MC_ERR_END)
        err = MC_OK;
      mc_stmt_release(&s);
    }
    mc_db_end(c->config.db, true, NULL);
  }
  mc_buf_free(&pattern);
  return err;
}

mc_err mc_campaign_signal(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_arena *arena, mc_signal_info *out)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, NULL));
  mc_err err = mc_db_prepare(c->config.db, COLUMNS "WHERE tenant = $1 AND signal = $2", &s, NULL);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_int(s, 2, id);
    err = mc_stmt_step(s, NULL);
    err = err == MC_ERR_END ? MC_ERR_NOT_FOUND : err ? err : read_row(s, arena, out);
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err;
}
