/* Decoder manifests: made from CAN signals, stored as the documents that go on the wire, read back from them. */
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/state.h"

void campaign_sync_id(mc_slice name, mc_slice content, char out[160])
{
  uint8_t digest[32] = {0};
  EVP_Digest(content.data, content.len, digest, NULL, EVP_sha256(), NULL);
  int n = snprintf(out, 160, "%.*s-", MC_FMT(mc_slice_sub(name, 0, 128)));
  for (int i = 0; i < 8; i++)
    n += snprintf(out + n, 160 - (size_t)n, "%02x", digest[i]);
}

typedef MC_VEC(mc_fw_can_signal) mc_can_wire_vec;

static int by_id(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

/* ---- the tables that decoding needs, from the document itself ---- */

typedef struct table_run {
  manifest_version *m;
  MC_VEC(uint32_t) signal; /* beside value */
  MC_VEC(mc_encoding_value) value;
} table_run;

static mc_err note(table_run *r, uint32_t signal, int type, double factor, double offset, bool stepped)
{
  MC_TRY(mc_vec_push(&r->m->signal, signal));
  if (!stepped || factor == 0)
    return MC_OK;
  MC_TRY(mc_vec_push(&r->signal, signal));
  return mc_vec_push(&r->value, ((mc_encoding_value){type, factor, offset}));
}

static mc_err note_all(table_run *r, const mc_fw_manifest *doc)
{
  for (uint32_t i = 0; i < doc->can_count; i++) {
    const mc_fw_can_signal *s = &doc->can[i];
    MC_TRY(note(r, s->signal_id, (int)s->type, s->factor, s->offset, s->value_type == 0));
  }
  for (uint32_t i = 0; i < doc->obd_count; i++) {
    const mc_fw_obd_signal *s = &doc->obd[i];
    MC_TRY(note(r, s->signal_id, (int)s->type, s->scaling, s->offset, s->value_type == 0));
  }
  for (uint32_t i = 0; i < doc->custom_count; i++) {
    const mc_fw_custom_signal *s = &doc->custom[i];
    MC_TRY(note(r, s->signal_id, (int)s->type, 1, 0, s->type >= MC_TYPE_BOOL && s->type <= MC_TYPE_INT64));
  }
  for (uint32_t i = 0; i < doc->complex_count; i++)
    MC_TRY(note(r, doc->complex[i].signal_id, MC_TYPE_NULL, 0, 0, false));
  return MC_OK;
}

static mc_err number_encodings(mc_campaigns *c, table_run *r, mc_why *why)
{
  uint32_t *id = calloc(r->value.len ? r->value.len : 1, sizeof *id);
  mc_err err = id ? mc_registry_encoding_ids(c->config.registry, r->value.at, r->value.len, id, why) : MC_ERR_MEMORY;
  for (size_t i = 0; i < r->value.len && !err; i++) {
    mc_encoding e = {.id = id[i], .type = (mc_type)r->value.at[i].type, .factor = r->value.at[i].factor, .offset = r->value.at[i].offset};
    err = mc_map_put(&r->m->encoding, r->signal.at[i], r->m->list.len);
    if (!err)
      err = mc_vec_push(&r->m->list, e);
  }
  free(id);
  return err;
}

/* What the document of other agents leaves out: no campaign of theirs may speak of it (contract fleetwise 12.2). */
static mc_err note_left_out(manifest_version *m, mc_arena *arena, mc_why *why)
{
  mc_fw_manifest doc;
  mc_map there = {0};
  mc_err err = MC_OK;
  MC_TRY(mc_fw_read_manifest(mc_buf_slice(&m->foreign), arena, &doc, why));
  for (uint32_t i = 0; i < doc.can_count && !err; i++)
    err = mc_map_put(&there, doc.can[i].signal_id, 1);
  for (uint32_t i = 0; i < doc.obd_count && !err; i++)
    err = mc_map_put(&there, doc.obd[i].signal_id, 1);
  for (uint32_t i = 0; i < doc.complex_count && !err; i++)
    err = mc_map_put(&there, doc.complex[i].signal_id, 1);
  for (uint32_t i = 0; i < doc.custom_count && !err; i++)
    err = mc_map_put(&there, doc.custom[i].signal_id, 1);
  for (size_t i = 0; i < m->signal.len && !err; i++)
    if (!mc_map_get(&there, m->signal.at[i], NULL))
      err = mc_map_put(&m->left_out, m->signal.at[i], 1);
  mc_map_free(&there);
  return err;
}

static mc_err fill_tables(mc_campaigns *c, manifest_version *m, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_manifest doc;
  table_run r = {.m = m};
  MC_TRY(mc_fw_read_manifest(mc_buf_slice(&m->extended), &arena, &doc, why));
  mc_err err = note_all(&r, &doc);
  if (!err)
    err = campaign_structures_fill(m, &doc, why);
  if (!err)
    err = number_encodings(c, &r, why);
  mc_vec_free(&r.signal);
  mc_vec_free(&r.value);
  if (m->signal.len)
    qsort(m->signal.at, m->signal.len, sizeof *m->signal.at, by_id);
  size_t kept = 0; /* a signal sent in several messages stands once */
  for (size_t i = 0; i < m->signal.len; i++)
    if (i == 0 || m->signal.at[i] != m->signal.at[i - 1])
      m->signal.at[kept++] = m->signal.at[i];
  m->signal.len = kept;
  return err ? err : note_left_out(m, &arena, why);
}

static mc_err serialise(mc_slice name, const mc_fw_manifest *what, mc_buf *out, char **sync_id)
{
  char id[160];
  mc_fw_manifest doc = *what;
  mc_buf content = {0};
  doc.sync_id = (mc_slice){0};
  mc_err err = mc_fw_write_manifest(&content, &doc); /* without an id: the content that is hashed */
  if (!err) {
    campaign_sync_id(name, mc_buf_slice(&content), id);
    doc.sync_id = mc_slice_str(id);
    *sync_id = strdup(id);
    err = *sync_id ? mc_fw_write_manifest(out, &doc) : MC_ERR_MEMORY;
  }
  mc_buf_free(&content);
  return err;
}

/* ---- what agents other than ours can take (contract fleetwise 12.2): no multiplexing, exact ids, no INT16, whole numbers in 64 bits ---- */

static uint32_t foreign_type(uint32_t type, double factor, double offset)
{
  if (type == MC_TYPE_INT16)
    return MC_TYPE_INT32;
  bool wide = type == MC_TYPE_UINT64 || type == MC_TYPE_INT64;
  return wide && (factor != floor(factor) || offset != floor(offset)) ? MC_TYPE_FLOAT64 : type;
}

static mc_err foreign_can(const mc_fw_manifest *doc, const uint32_t *observed, size_t observed_count, mc_can_wire_vec *out)
{
  mc_err err = MC_OK;
  for (size_t i = 0; i < doc->can_count && !err; i++) {
    mc_fw_can_signal s = doc->can[i];
    if (s.mux_count)
      continue;
    uint32_t mask = s.id_mask;
    s.id_mask = 0;
    s.type = foreign_type(s.type, s.factor, s.offset);
    bool matched = false;
    for (size_t k = 0; k < observed_count && mask && !err; k++)
      if ((observed[k] & mask) == (s.message_id & mask) && (observed[k] >> 31) == (s.message_id >> 31)) {
        mc_fw_can_signal exact = s;
        exact.message_id = observed[k];
        err = mc_vec_push(out, exact);
        matched = true;
      }
    if (!matched && !err)
      err = mc_vec_push(out, s);
  }
  return err;
}

/* AWS's agent has no use for the names of fields: it would pass over them. */
static mc_err without_names(const mc_fw_manifest *what, mc_arena *arena, mc_fw_manifest *out)
{
  mc_fw_complex_type *type = mc_arena_array(arena, what->complex_type_count ? what->complex_type_count : 1, sizeof *type);
  if (!type)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < what->complex_type_count; i++) {
    type[i] = what->complex_type[i];
    mc_fw_complex_member *member = mc_arena_array(arena, type[i].member_count ? type[i].member_count : 1, sizeof *member);
    if (!member)
      return MC_ERR_MEMORY;
    for (uint32_t k = 0; k < type[i].member_count; k++)
      member[k].type_id = type[i].member[k].type_id;
    type[i].member = member;
  }
  out->complex_type = type;
  return MC_OK;
}

static mc_err serialise_foreign(mc_slice name, const mc_fw_manifest *what, const uint32_t *observed, size_t observed_count, mc_buf *out, char **sync_id)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_can_wire_vec can = {0};
  mc_fw_manifest doc = *what;
  mc_fw_obd_signal *obd = mc_arena_array(&arena, doc.obd_count, sizeof *obd);
  mc_fw_custom_signal *custom = mc_arena_array(&arena, doc.custom_count, sizeof *custom);
  mc_err err = obd && custom ? foreign_can(what, observed, observed_count, &can) : MC_ERR_MEMORY;
  for (uint32_t i = 0; i < doc.obd_count && !err; i++) {
    obd[i] = doc.obd[i];
    obd[i].type = foreign_type(obd[i].type, obd[i].scaling, obd[i].offset);
  }
  for (uint32_t i = 0; i < doc.custom_count && !err; i++) {
    custom[i] = doc.custom[i];
    custom[i].type = foreign_type(custom[i].type, 1, 0);
  }
  if (!err)
    err = without_names(what, &arena, &doc);
  doc.can = can.at;
  doc.can_count = (uint32_t)can.len;
  doc.obd = obd;
  doc.custom = custom;
  if (!err)
    err = serialise(name, &doc, out, sync_id);
  mc_vec_free(&can);
  return err;
}

mc_err campaign_manifest_store(mc_campaigns *c, const manifest_version *m, mc_why *why)
{
  return mc_db_run(c->config.db, why,
                   "INSERT INTO decoder_manifest(tenant, sync_id, name, foreign_sync_id, document, foreign_document, created_us) VALUES "
                   "($1,$2,$3,$4,$5,$6,$7) "
                   "ON CONFLICT(tenant, sync_id) DO UPDATE SET created_us = excluded.created_us",
                   "itttbbi", (int64_t)m->tenant, mc_slice_str(m->sync_id), mc_slice_str(m->name), mc_slice_str(m->foreign_sync_id),
                   mc_buf_slice(&m->extended), mc_buf_slice(&m->foreign), m->created_us);
}

mc_err campaign_manifest_build(uint32_t tenant, mc_slice name, const mc_fw_manifest *doc, const uint32_t *observed, size_t observed_count, manifest_version **out, mc_why *why)
{
  *out = NULL;
  if (!doc->can_count && !doc->obd_count && !doc->complex_count && !doc->custom_count)
    return mc_err_set(why, MC_ERR_INVALID, "manifest %.*s: no signal is left to decode; a manifest needs at least one", MC_FMT(name));
  manifest_version *m = calloc(1, sizeof *m);
  if (!m)
    return MC_ERR_MEMORY;
  m->tenant = tenant;
  m->current = true;
  m->created_us = mc_clock_wall_us();
  m->name = strndup((const char *)name.data, name.len);
  mc_err err = m->name ? serialise(name, doc, &m->extended, &m->sync_id) : MC_ERR_MEMORY;
  if (!err)
    err = serialise_foreign(name, doc, observed, observed_count, &m->foreign, &m->foreign_sync_id);
  if (err) {
    campaign_manifest_free(m);
    return mc_err_set(why, err, "manifest %.*s: %s", MC_FMT(name), mc_err_text(err));
  }
  *out = m;
  return MC_OK;
}

mc_err campaign_manifest_show(mc_campaigns *c, manifest_version *m, mc_why *why)
{
  mc_err err = fill_tables(c, m, why);
  if (!err)
    err = campaign_manifest_add(c, m);
  if (err)
    campaign_manifest_free(m);
  return err;
}

static mc_err read_row(mc_campaigns *c, mc_stmt *s, mc_why *why)
{
  manifest_version *m = calloc(1, sizeof *m);
  if (!m)
    return MC_ERR_MEMORY;
  mc_slice sync = mc_stmt_text(s, 1), name = mc_stmt_text(s, 2), foreign = mc_stmt_text(s, 3);
  m->tenant = (uint32_t)mc_stmt_int(s, 0);
  m->current = true; /* rows come oldest first: the next of the name takes over */
  m->sync_id = strndup((const char *)sync.data, sync.len);
  m->name = strndup((const char *)name.data, name.len);
  m->foreign_sync_id = strndup((const char *)foreign.data, foreign.len);
  m->created_us = mc_stmt_int(s, 6);
  mc_err err = m->sync_id && m->name && m->foreign_sync_id ? MC_OK : MC_ERR_MEMORY;
  if (!err)
    err = mc_buf_append_slice(&m->extended, mc_stmt_blob(s, 4));
  if (!err)
    err = mc_buf_append_slice(&m->foreign, mc_stmt_blob(s, 5));
  if (!err)
    err = mc_vec_push(&c->manifest, m); /* tables are filled when the statement is done */
  if (err)
    campaign_manifest_free(m);
  return err;
}

mc_err campaign_manifests_load(mc_campaigns *c, mc_why *why)
{
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_stmt *s;
  mc_err err = mc_db_prepare(c->config.db,
                             "SELECT tenant, sync_id, name, foreign_sync_id, document, foreign_document, created_us FROM decoder_manifest "
                             "ORDER BY created_us, sync_id",
                             &s, why);
  if (!err) {
    while (!(err = mc_stmt_step(s, why)))
      if ((err = read_row(c, s, why)))
        break;
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  if (err != MC_ERR_END)
    return err;
  size_t count = c->manifest.len;
  manifest_version **all = c->manifest.at;
  c->manifest.at = NULL;
  c->manifest.len = c->manifest.cap = 0;
  err = MC_OK;
  for (size_t i = 0; i < count; i++) {
    if (!err)
      err = fill_tables(c, all[i], why);
    if (!err)
      err = campaign_manifest_add(c, all[i]);
    if (err)
      campaign_manifest_free(all[i]);
  }
  free(all);
  return err;
}

/* ---- what people see ---- */

mc_err mc_campaign_manifests(mc_campaigns *c, uint32_t tenant, mc_arena *arena, mc_manifest_info **out, size_t *count, mc_why *why)
{
  size_t n = 0;
  pthread_mutex_lock(&c->lock);
  mc_manifest_info *list = mc_arena_array(arena, c->manifest.len, sizeof *list);
  mc_err err = list ? MC_OK : MC_ERR_MEMORY;
  for (size_t i = 0; i < c->manifest.len && !err; i++) {
    const manifest_version *m = c->manifest.at[i];
    if (!m->current || m->tenant != tenant)
      continue;
    list[n] = (mc_manifest_info){.signals = (uint32_t)m->signal.len, .created_us = m->created_us};
    err = mc_arena_copy(arena, mc_slice_str(m->name), &list[n].name);
    if (!err)
      err = mc_arena_copy(arena, mc_slice_str(m->sync_id), &list[n].sync_id);
    n++;
  }
  pthread_mutex_unlock(&c->lock);
  if (err)
    return mc_err_set(why, err, "list of manifests: %s", mc_err_text(err));
  mc_slice after = {0};
  mc_vehicle *vehicles;
  size_t page;
  do { /* how many vehicles use each */
    MC_TRY(mc_registry_vehicle_list(c->config.registry, tenant, after, (mc_slice){0}, 1000, arena, &vehicles, &page, why));
    for (size_t i = 0; i < page; i++)
      for (size_t k = 0; k < n; k++)
        list[k].vehicles += mc_slice_eq_str(list[k].name, vehicles[i].manifest);
    if (page)
      after = mc_slice_str(vehicles[page - 1].name);
  } while (page == 1000);
  *out = list;
  *count = n;
  return MC_OK;
}

mc_err mc_campaign_manifest_signals(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_arena *arena, uint32_t **out, size_t *count,
                                    mc_why *why)
{
  manifest_version *m = campaign_manifest_current(c, tenant, manifest);
  if (!m)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no manifest \"%.*s\"", MC_FMT(manifest));
  *out = mc_arena_array(arena, m->signal.len, sizeof **out);
  if (!*out)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %zu signal ids", m->signal.len);
  if (m->signal.len)
    memcpy(*out, m->signal.at, m->signal.len * sizeof **out);
  *count = m->signal.len;
  return MC_OK;
}
