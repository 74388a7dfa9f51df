/* Dense ids of signal names and encodings. */
#include <math.h>
#include <stdio.h>

#include "format/json.h"
#include "registry/mirror.h"

static mc_err check_fqn(mc_slice fqn, mc_why *why)
{
  char shown[48];
  bool ok = fqn.len >= 1 && fqn.len <= MC_REGISTRY_FQN - 1 && mc_slice_is_utf8(fqn);
  for (size_t i = 0; ok && i < fqn.len; i++)
    ok = fqn.data[i] > 0x20 && fqn.data[i] != 0x7f;
  return ok ? MC_OK
            : mc_err_set(why, MC_ERR_INVALID, "\"%s\" cannot name a signal: 1 to %d bytes of UTF-8 without blanks and control characters",
                         registry_shown(fqn, shown), MC_REGISTRY_FQN - 1);
}

mc_err mc_registry_signal_lookup(mc_registry *r, uint32_t tenant, mc_slice fqn, uint32_t *out)
{
  scoped_key k = registry_key(tenant, fqn);
  uint64_t id = 0;
  pthread_rwlock_rdlock(&r->lock);
  bool found = k.len && mc_strmap_get(&r->signal_by_fqn, scoped_slice(&k), &id);
  pthread_rwlock_unlock(&r->lock);
  *out = (uint32_t)id;
  return found ? MC_OK : MC_ERR_NOT_FOUND;
}

mc_err mc_registry_signal_id(mc_registry *r, uint32_t tenant, mc_slice fqn, uint32_t *out, mc_why *why)
{
  return mc_registry_signal_ids(r, tenant, &fqn, 1, out, why);
}

static mc_err insert_signal(mc_registry *r, uint32_t tenant, mc_slice fqn, uint32_t *out, mc_json *j, mc_why *why)
{
  char series[32];
  snprintf(series, sizeof series, "signal/%u", tenant);
  MC_TRY(registry_next_id(r, series, out, why));
  mc_err err = mc_db_run(r->db, why, "INSERT INTO signal (tenant, id, fqn) VALUES ($1, $2, $3)", "iit", (int64_t)tenant, (int64_t)*out, fqn);
  if (err == MC_ERR_CONFLICT)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no tenant %u", tenant);
  MC_TRY(err);
  mc_json_object(j);
  mc_json_uint_field(j, "id", *out);
  mc_json_text_field(j, "fqn", fqn);
  mc_json_object_end(j);
  return MC_OK;
}

/* Gives every name that is still without an id one, also when a name occurs twice; j lists the new ones. */
static mc_err insert_signals(mc_registry *r, uint32_t tenant, const mc_slice *fqn, size_t count, uint32_t *out, mc_json *j, mc_why *why)
{
  mc_strmap made = {0};
  mc_err err = MC_OK;
  for (size_t i = 0; !err && i < count; i++) {
    uint64_t id = 0;
    if (mc_registry_signal_lookup(r, tenant, fqn[i], &out[i]) == MC_OK)
      continue;
    if (mc_strmap_get(&made, fqn[i], &id)) {
      out[i] = (uint32_t)id;
      continue;
    }
    err = insert_signal(r, tenant, fqn[i], &out[i], j, why);
    if (!err && mc_strmap_put(&made, fqn[i], out[i]))
      err = mc_err_set(why, MC_ERR_MEMORY, "no memory for %zu signal names", count);
  }
  mc_strmap_free(&made);
  return err;
}

mc_err mc_registry_signal_ids(mc_registry *r, uint32_t tenant, const mc_slice *fqn, size_t count, uint32_t *out, mc_why *why)
{
  size_t known = 0;
  for (size_t i = 0; i < count; i++) {
    MC_TRY(check_fqn(fqn[i], why));
    known += mc_registry_signal_lookup(r, tenant, fqn[i], &out[i]) == MC_OK;
  }
  if (known == count)
    return MC_OK;
  MC_TRY(change_begin(r, why));
  mc_buf payload = {0};
  mc_json j = mc_json_to(&payload);
  mc_json_array(&j);
  mc_err err = insert_signals(r, tenant, fqn, count, out, &j, why);
  mc_json_array_end(&j);
  if (!err)
    err = mc_json_end(&j);
  err = change_commit(r, err, tenant, (mc_slice){0}, "signal.created", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    for (size_t i = 0; !err && i < count; i++) {
      scoped_key k = registry_key(tenant, fqn[i]);
      if (!mc_strmap_get(&r->signal_by_fqn, scoped_slice(&k), NULL))
        err = mirror_signal(r, tenant, out[i], fqn[i]);
    }
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  return err;
}

mc_slice mc_registry_signal_fqn(mc_registry *r, uint32_t tenant, uint32_t signal)
{
  mc_slice out = {0};
  pthread_rwlock_rdlock(&r->lock);
  const tenant_entry *t = registry_tenant(r, tenant);
  if (t && signal < t->signals.fqn.len)
    out = t->signals.fqn.at[signal];
  pthread_rwlock_unlock(&r->lock);
  return out;
}

/* ---- encodings ---- */

static bool encoding_known(mc_registry *r, const encoding_entry *e, uint32_t *out)
{
  uint8_t key[20];
  uint64_t id = 0;
  encoding_key(e, key);
  pthread_rwlock_rdlock(&r->lock);
  bool found = mc_strmap_get(&r->encoding_by_value, mc_slice_of(key, sizeof key), &id);
  pthread_rwlock_unlock(&r->lock);
  *out = (uint32_t)id;
  return found;
}

/* Inside the transaction: those without an id get one; j lists the new ones. Numbers are decided by the rows of before and by those in made. */
static mc_err insert_encodings(mc_registry *r, const mc_encoding_value *value, size_t count, uint32_t *out, mc_json *j, mc_why *why)
{
  mc_strmap made = {0};
  mc_err err = MC_OK;
  for (size_t i = 0; !err && i < count; i++) {
    encoding_entry e = {value[i].type, value[i].factor, value[i].offset};
    uint8_t key[20];
    uint64_t id = 0;
    if (encoding_known(r, &e, &out[i]))
      continue;
    if (mc_strmap_get(&made, encoding_key(&e, key), &id)) {
      out[i] = (uint32_t)id;
      continue;
    }
    err = registry_next_id(r, "encoding", &out[i], why);
    if (!err)
      err = mc_db_run(r->db, why, "INSERT INTO encoding (id, type, factor, shift) VALUES ($1, $2, $3, $4)", "iibb", (int64_t)out[i], (int64_t)e.type,
                      mc_slice_of(&e.factor, 8), mc_slice_of(&e.offset, 8));
    if (!err && mc_strmap_put(&made, mc_slice_of(key, sizeof key), out[i]))
      err = mc_err_set(why, MC_ERR_MEMORY, "no memory for %zu encodings", count);
    mc_json_object(j);
    mc_json_uint_field(j, "encoding", out[i]);
    mc_json_int_field(j, "type", e.type);
    mc_json_double_field(j, "factor", e.factor);
    mc_json_double_field(j, "offset", e.offset);
    mc_json_object_end(j);
  }
  mc_strmap_free(&made);
  return err;
}

static mc_err mirror_encodings(mc_registry *r, const mc_encoding_value *value, size_t count, const uint32_t *id)
{
  mc_err err = MC_OK;
  pthread_rwlock_wrlock(&r->lock);
  for (size_t i = 0; !err && i < count; i++) {
    encoding_entry e = {value[i].type, value[i].factor, value[i].offset};
    uint8_t key[20];
    if (!mc_strmap_get(&r->encoding_by_value, encoding_key(&e, key), NULL))
      err = mirror_encoding(r, id[i], &e);
  }
  pthread_rwlock_unlock(&r->lock);
  return err;
}

mc_err mc_registry_encoding_ids(mc_registry *r, const mc_encoding_value *value, size_t count, uint32_t *out, mc_why *why)
{
  size_t known = 0;
  for (size_t i = 0; i < count; i++) {
    encoding_entry e = {value[i].type, value[i].factor, value[i].offset};
    if (!isfinite(e.factor) || !isfinite(e.offset) || e.factor == 0)
      return mc_err_set(why, MC_ERR_INVALID, "an encoding has a finite offset and a finite factor other than 0; got factor %g, offset %g", e.factor, e.offset);
    known += encoding_known(r, &e, &out[i]);
  }
  if (known == count)
    return MC_OK;
  MC_TRY(change_begin(r, why)); /* from here on nobody else makes one */
  mc_buf payload = {0};
  mc_json j = mc_json_to(&payload);
  mc_json_array(&j);
  mc_err err = insert_encodings(r, value, count, out, &j, why);
  mc_json_array_end(&j);
  if (!err)
    err = mc_json_end(&j);
  err = change_commit(r, err, 0, (mc_slice){0}, "encoding.created", &payload, why);
  mc_buf_free(&payload);
  if (!err)
    err = mirror_encodings(r, value, count, out);
  change_end(r);
  return err;
}

mc_err mc_registry_encoding_id(mc_registry *r, int type, double factor, double offset, uint32_t *out, mc_why *why)
{
  mc_encoding_value value = {type, factor, offset};
  return mc_registry_encoding_ids(r, &value, 1, out, why);
}

mc_err mc_registry_encoding_get(mc_registry *r, uint32_t encoding, int *type, double *factor, double *offset)
{
  pthread_rwlock_rdlock(&r->lock);
  bool found = encoding > 0 && encoding < r->encoding.len && r->encoding.at[encoding].factor != 0;
  if (found) {
    *type = r->encoding.at[encoding].type;
    *factor = r->encoding.at[encoding].factor;
    *offset = r->encoding.at[encoding].offset;
  }
  pthread_rwlock_unlock(&r->lock);
  return found ? MC_OK : MC_ERR_NOT_FOUND;
}
