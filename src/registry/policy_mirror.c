/* Policies of devices in memory: loading, lists, what is attached to whom. */
#include <stdlib.h>

#include "registry/mirror.h"

/* ---- lists of ids ---- */

mc_err id_list_add(id_list **list, uint32_t id)
{
  uint32_t len = *list ? (*list)->len : 0;
  for (uint32_t i = 0; i < len; i++)
    if ((*list)->id[i] == id)
      return MC_OK;
  id_list *more = realloc(*list, sizeof *more + (len + 1) * sizeof more->id[0]);
  if (!more)
    return MC_ERR_MEMORY;
  more->id[len] = id;
  more->len = len + 1;
  *list = more;
  return MC_OK;
}

void id_list_remove(id_list **list, uint32_t id)
{
  id_list *l = *list;
  for (uint32_t i = 0; l && i < l->len; i++)
    if (l->id[i] == id) {
      l->id[i] = l->id[--l->len];
      break;
    }
  if (l && !l->len) {
    free(l);
    *list = NULL;
  }
}

mc_err id_map_change(mc_map *m, uint64_t key, uint32_t id, bool in)
{
  uint64_t value = 0;
  mc_map_get(m, key, &value);
  id_list *list = (id_list *)(uintptr_t)value;
  mc_err err = in ? id_list_add(&list, id) : MC_OK;
  if (!in)
    id_list_remove(&list, id);
  if (!err && list && (err = mc_map_put(m, key, (uintptr_t)list)) && !value)
    free(list);
  if (!list && value)
    mc_map_remove(m, key, NULL);
  return err;
}

static mc_err certificate_change(mc_registry *r, mc_slice fingerprint, uint32_t policy, bool in)
{
  uint64_t value = 0;
  mc_strmap_get(&r->policy.of_certificate, fingerprint, &value);
  id_list *list = (id_list *)(uintptr_t)value;
  mc_err err = in ? id_list_add(&list, policy) : MC_OK;
  if (!in)
    id_list_remove(&list, policy);
  if (!err && list && (err = mc_strmap_put(&r->policy.of_certificate, fingerprint, (uintptr_t)list)) && !value)
    free(list);
  if (!list && value)
    mc_strmap_remove(&r->policy.of_certificate, fingerprint, NULL);
  return err;
}

policy_entry *policy_by_id(const mc_registry *r, uint32_t id) { return id < r->policy.at.len ? r->policy.at.at[id] : NULL; }

policy_entry *policy_named(const mc_registry *r, uint32_t tenant, mc_slice name)
{
  scoped_key k = registry_key(tenant, name);
  uint64_t id = 0;
  return k.len && mc_strmap_get(&r->policy.by_name, scoped_slice(&k), &id) ? policy_by_id(r, (uint32_t)id) : NULL;
}

mc_err policy_mirror_target(mc_registry *r, policy_entry *p, const mc_policy_target *t, bool in)
{
  mc_err err = t->group ? id_map_change(&r->policy.of_group, t->group, p->info.id, in)
                        : certificate_change(r, mc_slice_of(t->fingerprint, MC_FINGERPRINT), p->info.id, in);
  if (!err)
    p->info.attachments += in ? 1 : -1U;
  return err;
}

mc_err policy_mirror_put(mc_registry *r, policy_entry *p)
{
  while (r->policy.at.len <= p->info.id)
    MC_TRY(mc_vec_push(&r->policy.at, NULL));
  scoped_key k = registry_key(p->info.tenant, mc_slice_str(p->info.name));
  if (r->policy.at.at[p->info.id] || mc_strmap_get(&r->policy.by_name, scoped_slice(&k), NULL))
    return MC_ERR_EXISTS;
  MC_TRY(mc_strmap_put(&r->policy.by_name, scoped_slice(&k), p->info.id));
  r->policy.at.at[p->info.id] = p;
  return MC_OK;
}

void policy_entry_free(policy_entry *p)
{
  if (p)
    mc_policy_document_release(p->document);
  free(p);
}

void policy_mirror_gone(mc_registry *r, policy_entry *p)
{
  scoped_key k = registry_key(p->info.tenant, mc_slice_str(p->info.name));
  mc_strmap_remove(&r->policy.by_name, scoped_slice(&k), NULL);
  r->policy.at.at[p->info.id] = NULL;
  policy_entry_free(p);
}

/* ---- changes ---- */

static void forget_sets(mc_registry *r)
{
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(&r->policy.sets, &at, &key, &value))
    mc_policy_set_release((const mc_policy_set *)(uintptr_t)value);
  mc_strmap_free(&r->policy.sets);
}

void policy_changed(mc_registry *r)
{
  pthread_mutex_lock(&r->policy.sets_lock);
  forget_sets(r);
  pthread_mutex_unlock(&r->policy.sets_lock);
  atomic_fetch_add_explicit(&r->policy.epoch, 1, memory_order_release);
}

const _Atomic uint64_t *mc_registry_policy_epoch(const mc_registry *r) { return &r->policy.epoch; }

mc_err policy_member_changed(mc_registry *r, uint32_t group, uint32_t thing, bool in)
{
  mc_err err = id_map_change(&r->policy.groups_of_thing, thing, group, in);
  if (mc_map_get(&r->policy.of_group, group, NULL))
    policy_changed(r);
  return err;
}

mc_err policy_mirror_fields(mc_registry *r, const uint8_t fingerprint[MC_FINGERPRINT], mc_buf *fields)
{
  return mc_strmap_put(&r->policy.certificate_field, mc_slice_of(fingerprint, MC_FINGERPRINT), (uintptr_t)fields);
}

mc_err policy_certificate_fields(mc_registry *r, const uint8_t fingerprint[MC_FINGERPRINT], mc_slice pem, mc_buf **out, mc_why *why)
{
  mc_buf *fields = *out = calloc(1, sizeof *fields);
  if (!fields)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a certificate");
  MC_TRY(mc_cert_fields_read_pem(pem, fields, why));
  return mc_db_run(r->db, why, "INSERT INTO certificate_field (fingerprint, fields) VALUES ($1, $2)", "bb", mc_slice_of(fingerprint, MC_FINGERPRINT), mc_buf_slice(fields));
}

/* ---- loading ---- */

static uint32_t row_id(mc_stmt *s, int column)
{
  int64_t v = mc_stmt_int(s, column);
  return v > 0 && v <= MC_REGISTRY_ID_MAX ? (uint32_t)v : 0;
}

static mc_err load_policy(mc_registry *r, mc_stmt *s)
{
  policy_entry *p = calloc(1, sizeof *p);
  if (!p)
    return MC_ERR_MEMORY;
  mc_device_policy *i = &p->info;
  *i = (mc_device_policy){.id = row_id(s, 0), .tenant = row_id(s, 1), .version = row_id(s, 3), .versions = row_id(s, 6), .created_us = mc_stmt_int(s, 4), .updated_us = mc_stmt_int(s, 5)};
  bool ok = i->id && i->tenant && i->version && i->versions && mc_slice_to_str(mc_stmt_text(s, 2), i->name, sizeof i->name) && i->name[0];
  mc_err err = ok ? mc_policy_document_parse(mc_stmt_text(s, 7), &p->document, NULL) : MC_ERR_CHECKSUM;
  if (!err)
    err = policy_mirror_put(r, p);
  if (err)
    policy_entry_free(p);
  return err;
}

static mc_err load_target(mc_registry *r, mc_stmt *s, bool group)
{
  policy_entry *p = policy_by_id(r, row_id(s, 0));
  mc_policy_target t = {.group = group ? row_id(s, 1) : 0};
  mc_slice fingerprint = group ? (mc_slice){0} : mc_stmt_blob(s, 1);
  if (!p || (group && !registry_group(r, t.group)) || (!group && fingerprint.len != MC_FINGERPRINT))
    return MC_ERR_CHECKSUM;
  if (!group)
    memcpy(t.fingerprint, fingerprint.data, MC_FINGERPRINT);
  return policy_mirror_target(r, p, &t, true);
}

static mc_err load_group_target(mc_registry *r, mc_stmt *s) { return load_target(r, s, true); }
static mc_err load_certificate_target(mc_registry *r, mc_stmt *s) { return load_target(r, s, false); }

static mc_err load_member(mc_registry *r, mc_stmt *s)
{
  uint32_t group = row_id(s, 0), thing = row_id(s, 1);
  return registry_group(r, group) && registry_thing(r, thing) ? id_map_change(&r->policy.groups_of_thing, thing, group, true) : MC_ERR_CHECKSUM;
}

static mc_err load_fields(mc_registry *r, mc_stmt *s)
{
  mc_slice fingerprint = mc_stmt_blob(s, 0), fields = mc_stmt_blob(s, 1);
  if (fingerprint.len != MC_FINGERPRINT || !fields.len)
    return MC_ERR_CHECKSUM;
  mc_buf *copy = calloc(1, sizeof *copy);
  mc_err err = copy ? mc_buf_append_slice(copy, fields) : MC_ERR_MEMORY;
  if (!err)
    err = policy_mirror_fields(r, fingerprint.data, copy);
  if (err && copy)
    mc_buf_free(copy);
  if (err)
    free(copy);
  return err;
}

static const struct loader {
  const char *table, *sql;
  mc_err (*row)(mc_registry *r, mc_stmt *s);
} loader[] = {
    {"policy", "SELECT p.id, p.tenant, p.name, p.version, p.created_us, p.updated_us, (SELECT COUNT(*) FROM policy_version n WHERE n.policy = p.id), v.document FROM policy p"
               " LEFT JOIN policy_version v ON v.policy = p.id AND v.version = p.version ORDER BY p.id", load_policy},
    {"policy_group", "SELECT policy, thing_group FROM policy_group", load_group_target},
    {"policy_certificate", "SELECT policy, fingerprint FROM policy_certificate", load_certificate_target},
    {"thing_group_member", "SELECT thing_group, thing FROM thing_group_member", load_member},
    {"certificate_field", "SELECT fingerprint, fields FROM certificate_field", load_fields},
};

mc_err policy_mirror_load(mc_registry *r, mc_why *why)
{
  if (r->ca_cert.len)
    MC_TRY(mc_cert_fields_read_pem(mc_buf_slice(&r->ca_cert), &r->policy.own_fields, why));
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = MC_OK;
  for (size_t i = 0; !err && i < sizeof loader / sizeof *loader; i++) {
    mc_stmt *s = NULL;
    err = mc_db_prepare(r->db, loader[i].sql, &s, why);
    while (!err && (err = mc_stmt_step(s, why)) == MC_OK) {
      mc_err row = loader[i].row(r, s);
      if (row)
        err = mc_err_set(why, row, "table %s holds a row that cannot be read (%s); restore a back-up", loader[i].table, mc_err_text(row));
    }
    mc_stmt_release(&s);
    if (err == MC_ERR_END)
      err = MC_OK;
  }
  for (size_t i = 0; !err && i < r->policy.at.len; i++)
    if (r->policy.at.at[i])
      err = policy_watch(r, r->policy.at.at[i]->document, why);
  mc_db_end(r->db, true, NULL);
  return err;
}

static void free_lists(mc_map *m)
{
  size_t at = 0;
  uint64_t key, value;
  while (mc_map_next(m, &at, &key, &value))
    free((void *)(uintptr_t)value);
  mc_map_free(m);
}

static void free_texts(mc_strmap *m, bool bufs)
{
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(m, &at, &key, &value)) {
    if (bufs)
      mc_buf_free((mc_buf *)(uintptr_t)value);
    free((void *)(uintptr_t)value);
  }
  mc_strmap_free(m);
}

void policy_mirror_free(mc_registry *r)
{
  policy_mirror *m = &r->policy;
  forget_sets(r);
  for (size_t i = 0; i < m->at.len; i++)
    policy_entry_free(m->at.at[i]);
  mc_vec_free(&m->at);
  mc_strmap_free(&m->by_name);
  mc_strmap_free(&m->watched);
  free_texts(&m->of_certificate, false);
  free_texts(&m->attribute, false);
  free_texts(&m->certificate_field, true);
  free_lists(&m->of_group);
  free_lists(&m->groups_of_thing);
  mc_buf_free(&m->own_fields);
  pthread_mutex_destroy(&m->sets_lock);
}
