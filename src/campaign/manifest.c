/* Decoder manifests: made from CAN signals, stored as the documents that go on the wire, read back from them. */
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

static int by_id(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

/* The tables that decoding needs, from the document itself. */
static mc_err fill_tables(mc_campaigns *c, manifest_version *m, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_manifest doc;
  MC_TRY(mc_fw_read_manifest(mc_buf_slice(&m->extended), &arena, &doc, why));
  for (uint32_t i = 0; i < doc.can_count; i++) {
    const mc_fw_can_signal *s = &doc.can[i];
    mc_encoding e = {.type = (mc_type)s->type, .factor = s->factor, .offset = s->offset};
    if (s->value_type == 0 && s->factor != 0) {
      MC_TRY(mc_registry_encoding_id(c->config.registry, (int)e.type, e.factor, e.offset, &e.id, why));
      MC_TRY(mc_map_put(&m->encoding, s->signal_id, m->list.len));
      MC_TRY(mc_vec_push(&m->list, e));
    }
    MC_TRY(mc_vec_push(&m->signal, s->signal_id));
  }
  if (m->signal.len)
    qsort(m->signal.at, m->signal.len, sizeof *m->signal.at, by_id);
  size_t kept = 0; /* a signal sent in several messages stands once */
  for (size_t i = 0; i < m->signal.len; i++)
    if (i == 0 || m->signal.at[i] != m->signal.at[i - 1])
      m->signal.at[kept++] = m->signal.at[i];
  m->signal.len = kept;
  return MC_OK;
}

static mc_err serialise(mc_slice name, const mc_fw_can_signal *can, size_t count, mc_buf *out, char **sync_id)
{
  char id[160];
  mc_fw_manifest doc = {.can = can, .can_count = (uint32_t)count};
  mc_buf content = {0};
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

/* What agents other than ours can take (contract fleetwise 12.2): no multiplexing, exact ids, no INT16. */
static mc_err foreign_signals(const mc_fw_can_signal *can, size_t count, const uint32_t *observed, size_t observed_count,
                              mc_fw_can_signal **out, size_t *out_count)
{
  MC_VEC(mc_fw_can_signal) v = {0};
  mc_err err = MC_OK;
  for (size_t i = 0; i < count && !err; i++) {
    mc_fw_can_signal s = can[i];
    if (s.mux_count)
      continue;
    uint32_t mask = s.id_mask;
    s.id_mask = 0;
    if (s.type == MC_TYPE_INT16)
      s.type = MC_TYPE_INT32;
    if ((s.type == MC_TYPE_UINT64 || s.type == MC_TYPE_INT64) &&
        (s.factor != (double)(int64_t)s.factor || s.offset != (double)(int64_t)s.offset))
      s.type = MC_TYPE_FLOAT64;
    bool matched = false;
    for (size_t k = 0; k < observed_count && mask && !err; k++)
      if ((observed[k] & mask) == (s.message_id & mask) && (observed[k] >> 31) == (s.message_id >> 31)) {
        mc_fw_can_signal exact = s;
        exact.message_id = observed[k];
        err = mc_vec_push(&v, exact);
        matched = true;
      }
    if (!matched && !err)
      err = mc_vec_push(&v, s);
  }
  *out = v.at;
  *out_count = v.len;
  return err;
}

static mc_err store_version(mc_campaigns *c, const manifest_version *m, mc_why *why)
{
  return mc_db_run(c->config.db, why,
                   "INSERT INTO decoder_manifest(tenant, sync_id, name, foreign_sync_id, document, foreign_document, created_us) VALUES "
                   "($1,$2,$3,$4,$5,$6,$7) "
                   "ON CONFLICT(tenant, sync_id) DO UPDATE SET created_us = excluded.created_us",
                   "itttbbi", (int64_t)m->tenant, mc_slice_str(m->sync_id), mc_slice_str(m->name), mc_slice_str(m->foreign_sync_id),
                   mc_buf_slice(&m->extended), mc_buf_slice(&m->foreign), m->created_us);
}

mc_err campaign_manifest_make(mc_campaigns *c, uint32_t tenant, mc_slice name, const mc_fw_can_signal *can, size_t count,
                              const uint32_t *observed, size_t observed_count, manifest_version **out, mc_why *why)
{
  if (!count)
    return mc_err_set(why, MC_ERR_INVALID, "manifest %.*s: no signal is left to decode; a manifest needs at least one", MC_FMT(name));
  mc_fw_can_signal *foreign = NULL;
  size_t foreign_count = 0;
  manifest_version *m = calloc(1, sizeof *m);
  mc_err err = m ? foreign_signals(can, count, observed, observed_count, &foreign, &foreign_count) : MC_ERR_MEMORY;
  if (!err) {
    m->tenant = tenant;
    m->current = true;
    m->created_us = mc_clock_wall_us();
    m->name = strndup((const char *)name.data, name.len);
    err = m->name ? serialise(name, can, count, &m->extended, &m->sync_id) : MC_ERR_MEMORY;
  }
  if (!err)
    err = serialise(name, foreign, foreign_count, &m->foreign, &m->foreign_sync_id);
  if (err)
    mc_err_set(why, err, "manifest %.*s: %s", MC_FMT(name), mc_err_text(err));
  if (!err)
    err = fill_tables(c, m, why);
  if (!err)
    err = store_version(c, m, why);
  if (!err)
    err = campaign_manifest_add(c, m);
  free(foreign);
  if (err) {
    campaign_manifest_free(m);
    return err;
  }
  *out = m;
  return MC_OK;
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
