/* Rows of decoder manifests: interfaces and decoders as documents, and all of them as the wire's. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/decoder.h"

mc_err decoder_interface_put(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_slice id, decoder_kind kind, mc_slice document, mc_why *why)
{
  return mc_db_run(c->config.db, why,
                   "INSERT INTO decoder_interface (tenant, manifest, id, kind, document) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, manifest, id) DO UPDATE SET "
                   "kind = excluded.kind, document = excluded.document",
                   "ittit", (int64_t)tenant, manifest, id, (int64_t)kind, document);
}

mc_err decoder_can_interface_put(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_slice id, mc_why *why)
{
  mc_buf document = {0};
  mc_json j = mc_json_to(&document);
  mc_json_object(&j);
  mc_json_text_field(&j, "interfaceId", id);
  mc_json_str_field(&j, "type", "CAN_INTERFACE");
  mc_json_key(&j, "canInterface");
  mc_json_object(&j);
  mc_json_text_field(&j, "name", id);
  mc_json_object_end(&j);
  mc_json_object_end(&j);
  mc_err err = mc_json_end(&j);
  if (!err)
    err = decoder_interface_put(c, tenant, manifest, id, DECODER_CAN, mc_buf_slice(&document), why);
  mc_buf_free(&document);
  return err;
}

mc_err decoder_signal_put(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_slice fqn, uint32_t part, mc_slice interface, decoder_kind kind, mc_slice document, mc_why *why)
{
  char key[600];
  int n = part ? snprintf(key, sizeof key, "%.*s#%u", MC_FMT(mc_slice_sub(fqn, 0, 512)), part) : 0;
  return mc_db_run(c->config.db, why,
                   "INSERT INTO decoder_signal (tenant, manifest, key, fqn, interface, kind, document) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, manifest, key) DO "
                   "UPDATE SET fqn = excluded.fqn, interface = excluded.interface, kind = excluded.kind, document = excluded.document",
                   "ittttit", (int64_t)tenant, manifest, part ? mc_slice_of(key, (size_t)n) : fqn, fqn, interface, (int64_t)kind, document);
}

mc_err decoder_rows_delete(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_why *why)
{
  MC_TRY(mc_db_run(c->config.db, why, "DELETE FROM decoder_signal WHERE tenant = $1 AND manifest = $2", "it", (int64_t)tenant, manifest));
  return mc_db_run(c->config.db, why, "DELETE FROM decoder_interface WHERE tenant = $1 AND manifest = $2", "it", (int64_t)tenant, manifest);
}

/* ---- compiling ---- */

static mc_err compile_row(mc_campaigns *c, uint32_t tenant, mc_stmt *s, mc_arena *arena, decoder_wire *out)
{
  mc_slice text = mc_stmt_text(s, 1);
  uint32_t id;
  if (mc_registry_signal_lookup(c->config.registry, tenant, mc_stmt_text(s, 0), &id))
    return MC_ERR_MALFORMED;
  json_t *decoder = json_loadb((const char *)text.data, text.len, 0, NULL);
  mc_err err = decoder ? decoder_to_wire(decoder, id, data_type_find(mc_stmt_text(s, 2)), arena, out) : MC_ERR_MALFORMED;
  json_decref(decoder);
  return err;
}

static mc_err compile_decoders(mc_campaigns *c, uint32_t tenant, const resource_head *m, mc_slice catalog, mc_arena *arena, decoder_wire *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(c->config.db,
                       "SELECT d.fqn, d.document, n.data_type FROM decoder_signal d LEFT JOIN catalog_document n ON n.tenant = d.tenant AND n.catalog = $3 AND n.fqn = d.fqn "
                       "WHERE d.tenant = $1 AND d.manifest = $2 ORDER BY d.key",
                       &s, why));
  mc_stmt_bind_int(s, 1, tenant);
  mc_stmt_bind_text(s, 2, m->name);
  mc_stmt_bind_text(s, 3, catalog);
  mc_err err;
  while ((err = mc_stmt_step(s, why)) == MC_OK) {
    if (!(err = compile_row(c, tenant, s, arena, out)))
      continue;
    if (err == MC_ERR_MALFORMED)
      mc_err_set(why, err, "the decoder of \"%.*s\" in the database cannot be read: restore a back-up", MC_FMT(mc_stmt_text(s, 0)));
    break;
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

/* The only custom interface of the manifest, else one whose name every manifest may use. */
static mc_err default_interface(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_arena *arena, mc_slice *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(c->config.db, "SELECT id FROM decoder_interface WHERE tenant = $1 AND manifest = $2 AND kind = 3 ORDER BY id LIMIT 2", &s, why));
  mc_stmt_bind_int(s, 1, tenant);
  mc_stmt_bind_text(s, 2, manifest);
  mc_err err = mc_stmt_step(s, why);
  if (!err)
    err = mc_arena_copy(arena, mc_stmt_text(s, 0), out);
  bool one = !err && (err = mc_stmt_step(s, why)) == MC_ERR_END;
  mc_stmt_release(&s);
  if (!one)
    *out = MC_LIT("CUSTOM_DECODING");
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err compile_unmapped(mc_campaigns *c, uint32_t tenant, const resource_head *m, mc_slice catalog, mc_arena *arena, decoder_wire *out, mc_why *why)
{
  mc_stmt *s;
  mc_slice interface;
  MC_TRY(default_interface(c, tenant, m->name, arena, &interface, why));
  MC_TRY(mc_db_prepare(c->config.db,
                       "SELECT m.fqn, n.data_type FROM model_node m JOIN catalog_document n ON n.tenant = m.tenant AND n.catalog = $3 AND n.fqn = m.fqn AND n.kind IN (1, 2) "
                       "WHERE m.tenant = $1 AND m.model = $4 AND NOT EXISTS (SELECT 1 FROM decoder_signal d WHERE d.tenant = $1 AND d.manifest = $2 AND d.key = m.fqn) ORDER BY m.fqn",
                       &s, why));
  mc_stmt_bind_int(s, 1, tenant);
  mc_stmt_bind_text(s, 2, m->name);
  mc_stmt_bind_text(s, 3, catalog);
  mc_stmt_bind_text(s, 4, m->parent);
  mc_err err;
  while ((err = mc_stmt_step(s, why)) == MC_OK) {
    const data_type *t = data_type_find(mc_stmt_text(s, 1));
    mc_fw_custom_signal custom = {.interface_id = interface};
    if (!t || t->array || t->is_struct || mc_registry_signal_lookup(c->config.registry, tenant, mc_stmt_text(s, 0), &custom.signal_id))
      continue;
    custom.type = t->type;
    err = mc_arena_copy(arena, mc_stmt_text(s, 0), &custom.decoding_id);
    if (!err)
      err = mc_vec_push(&out->custom, custom);
    if (err)
      break;
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err decoder_compile(mc_campaigns *c, uint32_t tenant, const resource_head *m, mc_arena *arena, decoder_wire *out, mc_why *why)
{
  resource_head model;
  MC_TRY(resource_get(c, tenant, RESOURCE_MODEL, m->parent, arena, &model, why));
  MC_TRY(compile_decoders(c, tenant, m, model.parent, arena, out, why));
  return m->unmapped ? compile_unmapped(c, tenant, m, model.parent, arena, out, why) : MC_OK;
}

/* ---- from before ---- */

static mc_err old_signal(mc_campaigns *c, const manifest_version *m, const mc_fw_can_signal *s, mc_map *part, mc_why *why)
{
  mc_buf document = {0};
  uint64_t n = 0;
  mc_slice fqn = mc_registry_signal_fqn(c->config.registry, m->tenant, s->signal_id);
  mc_map_get(part, s->signal_id, &n);
  MC_TRY(mc_map_put(part, s->signal_id, n + 1));
  mc_err err = decoder_can_document(fqn, s, (mc_slice){0}, data_type_of((mc_type)s->type), &document);
  if (!err)
    err = decoder_signal_put(c, m->tenant, mc_slice_str(m->name), fqn, (uint32_t)n, s->interface_id, DECODER_CAN, mc_buf_slice(&document), why);
  mc_buf_free(&document);
  return err;
}

mc_err decoder_rows_from_version(mc_campaigns *c, const manifest_version *m, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_manifest doc;
  mc_map part = {0};
  MC_TRY(mc_fw_read_manifest(mc_buf_slice(&m->extended), &arena, &doc, why));
  int64_t now = m->created_us ? m->created_us : mc_clock_wall_us();
  resource_head head = {.name = mc_slice_str(m->name), .parent = mc_slice_str(m->name), .status = RESOURCE_ACTIVE, .created_us = now, .updated_us = now};
  mc_err err = resource_put(c, m->tenant, RESOURCE_DECODER, &head, why);
  for (uint32_t i = 0; i < doc.can_count && !err; i++) {
    if (i == 0 || !mc_slice_eq(doc.can[i].interface_id, doc.can[i - 1].interface_id))
      err = decoder_can_interface_put(c, m->tenant, head.name, doc.can[i].interface_id, why);
    if (!err)
      err = old_signal(c, m, &doc.can[i], &part, why);
  }
  mc_map_free(&part);
  return err;
}
