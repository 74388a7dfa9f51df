/* A VSS tree into the default catalog: what is there already stays as it is, since a manifest may decode it in another unit. */
#include <stdlib.h>

#include "campaign/vocabulary.h"

typedef struct vss_import {
  mc_campaigns *c;
  uint32_t tenant;
  mc_arena arena;
  catalog_node_vec node;
  mc_strmap made;
  mc_why *why;
} vss_import;

static void put_names(const mc_catalog_node *n, mc_json *j)
{
  mc_json_array(j);
  for (uint32_t i = 0; i < n->allowed_count && n->allowed_value; i++) {
    mc_json_array(j);
    mc_json_int(j, n->allowed_value[i]);
    mc_json_text(j, n->allowed[i]);
    mc_json_array_end(j);
  }
  mc_json_array_end(j);
}

static mc_err describe(vss_import *r, const mc_catalog_node *n, catalog_node *out)
{
  catalog_node_more more = {.comment = n->comment, .initial = n->initial, .allowed = n->allowed, .allowed_count = n->allowed_count};
  mc_buf names = {0};
  mc_json j = mc_json_to(&names);
  put_names(n, &j);
  mc_err err = mc_json_end(&j);
  if (!err)
    err = mc_arena_copy(&r->arena, mc_buf_slice(&names), &out->value_names);
  mc_buf_free(&names);
  return err ? err : catalog_node_document(out, &more, &r->arena);
}

static mc_err take(vss_import *r, const mc_catalog_node *n, uint32_t *added, uint32_t *kept)
{
  static const node_kind kinds[] = {[MC_NODE_BRANCH] = NODE_BRANCH, [MC_NODE_SENSOR] = NODE_SENSOR, [MC_NODE_ACTUATOR] = NODE_ACTUATOR, [MC_NODE_ATTRIBUTE] = NODE_ATTRIBUTE};
  catalog_node old, fresh = {.kind = kinds[n->kind], .fqn = n->fqn, .unit = n->unit, .description = n->description, .has_min = n->has_min, .has_max = n->has_max, .min = n->min, .max = n->max};
  if (!campaign_fqn_valid(n->fqn))
    return mc_err_set(r->why, MC_ERR_INVALID, "\"%.*s\" is not a signal name: 1 to 150 of letters, digits, _ and .", MC_FMT(mc_slice_sub(n->fqn, 0, 200)));
  MC_TRY(catalog_node_get(r->c, r->tenant, MC_LIT(CATALOG_DEFAULT), n->fqn, NULL, &old, r->why));
  if (n->kind != MC_NODE_BRANCH)
    ++*(old.kind != NODE_NONE ? kept : added);
  if (old.kind != NODE_NONE)
    return MC_OK;
  if (n->kind != MC_NODE_BRANCH)
    fresh.data_type = mc_slice_str(data_type_of(n->type));
  MC_TRY(describe(r, n, &fresh));
  MC_TRY(mc_strmap_put(&r->made, n->fqn, 1));
  return mc_vec_push(&r->node, fresh);
}

/* All new nodes in one transaction: a tree comes in whole or not at all. */
static mc_err write(vss_import *r)
{
  MC_TRY(catalog_nodes_number(r->c, r->tenant, &r->node, r->why));
  MC_TRY(mc_db_begin(r->c->config.db, true, r->why));
  mc_err err = catalog_ensure(r->c, r->tenant, MC_LIT(CATALOG_DEFAULT), r->why);
  if (!err)
    err = catalog_nodes_write(r->c, r->tenant, MC_LIT(CATALOG_DEFAULT), &r->node, r->why);
  mc_err end = mc_db_end(r->c->config.db, err == MC_OK, err ? NULL : r->why);
  return err ? err : end;
}

mc_err mc_campaign_import_catalog(mc_campaigns *c, uint32_t tenant, const mc_catalog *catalog, uint32_t *added, uint32_t *kept, mc_why *why)
{
  vss_import r = {.c = c, .tenant = tenant, .arena = MC_ARENA(0), .why = why};
  mc_err err = MC_OK;
  *added = *kept = 0;
  pthread_mutex_lock(&c->vocabulary);
  for (size_t i = 0; i < catalog->node.len && !err; i++)
    err = take(&r, &catalog->node.at[i], added, kept);
  if (!err && !*added && !*kept)
    err = mc_err_set(why, MC_ERR_INVALID, "there is no sensor, actuator or attribute in the tree");
  size_t given = r.node.len;
  for (size_t i = 0; i < given && !err; i++)
    err = catalog_branches_above(c, tenant, MC_LIT(CATALOG_DEFAULT), r.node.at[i].fqn, &r.made, &r.arena, &r.node, why);
  if (!err)
    err = write(&r);
  pthread_mutex_unlock(&c->vocabulary);
  mc_vec_free(&r.node);
  mc_strmap_free(&r.made);
  mc_arena_free(&r.arena);
  return err;
}
