/* Structured signals as the platform reads them: what a path in a message stands for. A part of a structured signal that somebody asks for by name is a signal of its own:
 * Vehicle.Camera.objects[3].distance, with an id, a place in the history and a row in the catalog. */
#include <stdlib.h>

#include "campaign/decoder.h"

mc_err campaign_structures_fill(manifest_version *m, const mc_fw_manifest *doc, mc_why *why)
{
  m->structure = mc_arena_array(&m->structure_arena, doc->complex_count ? doc->complex_count : 1, sizeof *m->structure);
  if (!m->structure)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for structured signals");
  for (uint32_t i = 0; i < doc->complex_count; i++)
    m->structure[m->structure_count++] = (structured_signal){doc->complex[i].signal_id, doc->complex[i].root_type};
  return mc_cdr_types_of(doc->complex_type, doc->complex_type_count, &m->structure_arena, &m->types, why);
}

const structured_signal *campaign_structure_find(const manifest_version *m, uint32_t signal)
{
  for (uint32_t i = 0; m && i < m->structure_count; i++)
    if (m->structure[i].signal == signal)
      return &m->structure[i];
  return NULL;
}

static const mc_fw_complex_type *type_of(const manifest_version *m, uint32_t id)
{
  for (uint32_t i = 0; i < m->types.count; i++)
    if (m->types.type[i].type_id == id)
      return &m->types.type[i];
  return NULL;
}

/* What the last step leads to, as it is shown. */
static mc_type shown_type(const mc_fw_complex_type *t)
{
  if (t->kind == MC_FW_COMPLEX_STRING)
    return MC_TYPE_STRING;
  bool scaled = (t->scaling != 0 && t->scaling != 1) || t->offset != 0;
  return scaled ? MC_TYPE_FLOAT64 : (mc_type)t->type;
}

mc_err campaign_part_name(mc_campaigns *c, const manifest_version *m, const mc_fw_path *path, mc_buf *out, mc_type *type)
{
  const structured_signal *s = campaign_structure_find(m, path->signal_id);
  const mc_fw_complex_type *at = s ? type_of(m, s->root) : NULL;
  mc_buf_clear(out);
  if (!at)
    return MC_ERR_NOT_FOUND;
  mc_err err = mc_buf_append_slice(out, mc_registry_signal_fqn(c->config.registry, m->tenant, path->signal_id));
  for (uint32_t i = 0; i < path->count && !err; i++) {
    uint32_t step = path->index[i];
    bool member = at->kind == MC_FW_COMPLEX_STRUCT && step < at->member_count && at->member[step].name.len;
    if (!member && (at->kind != MC_FW_COMPLEX_ARRAY || (at->size > 0 && step >= (uint64_t)at->size)))
      return MC_ERR_NOT_FOUND;
    err = member ? mc_buf_printf(out, ".%.*s", MC_FMT(at->member[step].name)) : mc_buf_printf(out, "[%u]", step);
    at = type_of(m, member ? at->member[step].type_id : at->element_type);
    if (!at)
      return MC_ERR_NOT_FOUND;
  }
  if (err)
    return err;
  if (at->kind != MC_FW_COMPLEX_PRIMITIVE && at->kind != MC_FW_COMPLEX_STRING)
    return MC_ERR_NOT_FOUND;
  *type = shown_type(at);
  return MC_OK;
}

uint32_t campaign_part_signal(mc_campaigns *c, const manifest_version *m, const mc_fw_path *path)
{
  mc_buf name = {0};
  mc_type type;
  uint32_t id = 0;
  if (!m || campaign_part_name(c, m, path, &name, &type) || mc_registry_signal_lookup(c->config.registry, m->tenant, mc_buf_slice(&name), &id))
    id = 0;
  mc_buf_free(&name);
  return id;
}

mc_err campaign_part_register(mc_campaigns *c, const manifest_version *m, const mc_fw_path *path, mc_why *why)
{
  mc_buf name = {0};
  mc_type type;
  uint32_t id;
  mc_err err = campaign_part_name(c, m, path, &name, &type);
  if (err == MC_ERR_NOT_FOUND) /* a manifest from before fields had names on the wire */
    mc_err_set(why, err, "the decoder manifest %s was compiled by an older platform and has no names of fields: make it a draft and active again", m->name);
  if (!err)
    err = mc_registry_signal_id(c->config.registry, m->tenant, mc_buf_slice(&name), &id, why);
  if (!err && (err = mc_db_begin(c->config.db, true, why)) == MC_OK) {
    err = campaign_catalog_put(c, m->tenant, id, mc_buf_slice(&name), "sensor", type, (mc_slice){0}, (mc_slice){0}, false, 0, 0, (mc_slice){0}, why);
    mc_err end = mc_db_end(c->config.db, err == MC_OK, why);
    err = err ? err : end;
  }
  mc_buf_free(&name);
  return err;
}
