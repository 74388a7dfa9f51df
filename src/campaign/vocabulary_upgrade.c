/* What older versions kept - one vocabulary, compiled manifests - as catalogs, models and manifests. Once in the life of a database, and at every open: a
 * manifest is current only while its head says ACTIVE. */
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/decoder.h"

typedef struct old_node {
  uint32_t tenant;
  catalog_node n;
} old_node;
typedef MC_VEC(old_node) old_node_vec;

static mc_err upgraded(mc_campaigns *c, bool *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, "SELECT value FROM campaign_state WHERE name = 'vocabulary'", &s, why);
  if (!err) {
    err = mc_stmt_step(s, why);
    *out = err == MC_OK;
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

static node_kind kind_named(mc_slice name)
{
  for (int k = 0; k < NODE_KINDS; k++)
    if (mc_slice_eq_str(name, node_member[k]))
      return (node_kind)k;
  return NODE_SENSOR;
}

static mc_err read_old(mc_stmt *s, mc_arena *arena, old_node *out)
{
  catalog_node *n = &out->n;
  out->tenant = (uint32_t)mc_stmt_int(s, 0);
  *n = (catalog_node){.signal = (uint32_t)mc_stmt_int(s, 1), .kind = kind_named(mc_stmt_text(s, 3)), .has_min = !mc_stmt_is_null(s, 7), .has_max = !mc_stmt_is_null(s, 8)};
  n->min = n->has_min ? mc_stmt_double(s, 7) : 0;
  n->max = n->has_max ? mc_stmt_double(s, 8) : 0;
  n->data_type = mc_slice_str(data_type_of((mc_type)mc_stmt_int(s, 4)));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 2), &n->fqn));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 5), &n->unit));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 6), &n->description));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 9), &n->value_names));
  return catalog_node_document(n, NULL, arena);
}

static mc_err read_all(mc_campaigns *c, mc_arena *arena, old_node_vec *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(c->config.db, "SELECT tenant, signal, fqn, kind, type, unit, description, low, high, value_names FROM catalog_node ORDER BY tenant, fqn", &s, why));
  mc_err err;
  while ((err = mc_stmt_step(s, why)) == MC_OK) {
    old_node n;
    if ((err = read_old(s, arena, &n)) || (err = mc_vec_push(out, n)))
      break;
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

/* The nodes of one tenant, which stand together. */
static mc_err write_catalog(mc_campaigns *c, const old_node *at, size_t count, mc_arena *arena, mc_why *why)
{
  catalog_node_vec nodes = {0};
  mc_strmap made = {0};
  mc_slice name = MC_LIT(CATALOG_DEFAULT);
  mc_err err = catalog_ensure(c, at->tenant, name, why);
  for (size_t i = 0; i < count && !err; i++)
    err = mc_vec_push(&nodes, at[i].n);
  for (size_t i = 0; i < count && !err; i++)
    err = catalog_branches_above(c, at->tenant, name, at[i].n.fqn, &made, arena, &nodes, why);
  if (!err)
    err = catalog_nodes_write(c, at->tenant, name, &nodes, why);
  mc_vec_free(&nodes);
  mc_strmap_free(&made);
  return err;
}

static mc_err write_manifest(mc_campaigns *c, const manifest_version *m, mc_why *why)
{
  int64_t now = m->created_us ? m->created_us : mc_clock_wall_us();
  resource_head model = {.name = mc_slice_str(m->name), .parent = MC_LIT(CATALOG_DEFAULT), .status = RESOURCE_ACTIVE, .created_us = now, .updated_us = now};
  MC_TRY(decoder_rows_from_version(c, m, why));
  return model_of_decoders(c, m->tenant, &model, model.name, why);
}

static mc_err upgrade(mc_campaigns *c, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  old_node_vec old = {0};
  mc_err err = read_all(c, &arena, &old, why);
  for (size_t from = 0, to; from < old.len && !err; from = to) {
    for (to = from; to < old.len && old.at[to].tenant == old.at[from].tenant;)
      to++;
    err = write_catalog(c, &old.at[from], to - from, &arena, why);
  }
  for (size_t i = 0; i < c->manifest.len && !err; i++)
    if (c->manifest.at[i]->current)
      err = write_manifest(c, c->manifest.at[i], why);
  mc_vec_free(&old);
  return err ? err : mc_db_run(c->config.db, why, "INSERT INTO campaign_state (name, value) VALUES ('vocabulary', 1)", "");
}

mc_err vocabulary_upgrade(mc_campaigns *c, mc_why *why)
{
  bool done = false;
  MC_TRY(upgraded(c, &done, why));
  if (!done) {
    MC_TRY(mc_db_begin(c->config.db, true, why));
    mc_err err = upgrade(c, why);
    mc_err end = mc_db_end(c->config.db, err == MC_OK, err ? NULL : why);
    MC_TRY(err ? err : end);
  }
  for (size_t i = 0; i < c->manifest.len; i++) {
    mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
    resource_head head = {0};
    manifest_version *m = c->manifest.at[i];
    if (!m->current)
      continue;
    mc_err err = resource_get(c, m->tenant, RESOURCE_DECODER, mc_slice_str(m->name), &arena, &head, why);
    if (err && err != MC_ERR_NOT_FOUND)
      return err;
    m->current = !err && head.status == RESOURCE_ACTIVE;
  }
  return MC_OK;
}
