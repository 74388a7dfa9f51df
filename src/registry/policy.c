/* Policies of devices: names, versions, what they are attached to. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "registry/mirror.h"

enum { VERSIONS = 20, LENGTH = 65536, ATTACHED = 20 };

static uint32_t limit_or(uint32_t set, uint32_t otherwise) { return set ? set : otherwise; }

static bool name_ok(mc_slice name)
{
  for (size_t i = 0; i < name.len; i++)
    if (!name.data[i] || !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-", name.data[i]))
      return false;
  return name.len >= 1 && name.len <= MC_REGISTRY_NAME;
}

static mc_err unknown(mc_slice name, mc_why *why)
{
  char shown[48];
  return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no policy \"%s\"", registry_shown(name, shown));
}

/* The policy as it is now, by copy. */
static mc_err look(mc_registry *r, uint32_t tenant, mc_slice name, mc_device_policy *out, mc_why *why)
{
  pthread_rwlock_rdlock(&r->lock);
  const policy_entry *p = policy_named(r, tenant, name);
  if (p)
    *out = p->info;
  pthread_rwlock_unlock(&r->lock);
  return p ? MC_OK : unknown(name, why);
}

static mc_err read_document(mc_registry *r, mc_slice text, mc_policy_document **out, mc_why *why)
{
  size_t length = mc_policy_document_length(text), most = limit_or(r->policy_limits.length, LENGTH);
  if (length > most)
    return mc_err_set(why, MC_ERR_INVALID, "the policy document has %zu characters without white space: at most %zu (policy_document_characters)", length, most);
  return mc_policy_document_parse(text, out, why);
}

static mc_err commit(mc_registry *r, mc_err err, const mc_device_policy *p, const char *kind, uint32_t version, mc_why *why)
{
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"policy\":%u,\"name\":\"%s\",\"version\":%u}", p->id, p->name, version);
  err = change_commit(r, err, p->tenant, mc_slice_str(p->name), kind, &payload, why);
  mc_buf_free(&payload);
  return err;
}

/* ---- policies ---- */

mc_err mc_registry_policy_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice document, mc_device_policy *out, mc_why *why)
{
  char shown[48];
  if (!name_ok(name))
    return mc_err_set(why, MC_ERR_INVALID, "\"%s\" cannot name a policy: 1 to %d of A-Z, a-z, 0-9 and + = , . @ _ -", registry_shown(name, shown), MC_REGISTRY_NAME);
  policy_entry *p = calloc(1, sizeof *p);
  if (!p)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a policy");
  int64_t now = mc_clock_wall_us();
  p->info = (mc_device_policy){.tenant = tenant, .version = 1, .versions = 1, .created_us = now, .updated_us = now};
  mc_slice_to_str(name, p->info.name, sizeof p->info.name);
  mc_err err = read_document(r, document, &p->document, why);
  if (!err)
    err = change_begin(r, why);
  if (err) {
    policy_entry_free(p);
    return err;
  }
  err = registry_next_id(r, "policy", &p->info.id, why);
  if (!err)
    err = mc_db_run(r->db, why, "INSERT INTO policy (id, tenant, name, version, last_version, created_us, updated_us) VALUES ($1, $2, $3, 1, 1, $4, $4)", "iiti", (int64_t)p->info.id,
                    (int64_t)tenant, name, now);
  if (err == MC_ERR_EXISTS)
    mc_err_set(why, err, "there is a policy \"%s\" already", p->info.name);
  if (err == MC_ERR_CONFLICT)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no tenant %u", tenant);
  if (!err)
    err = mc_db_run(r->db, why, "INSERT INTO policy_version (policy, version, document, created_us) VALUES ($1, 1, $2, $3)", "iti", (int64_t)p->info.id, document, now);
  err = commit(r, err, &p->info, "policy.created", 1, why);
  if (!err)
    err = policy_watch(r, p->document, why);
  if (!err) {
    *out = p->info;
    pthread_rwlock_wrlock(&r->lock);
    err = policy_mirror_put(r, p);
    pthread_rwlock_unlock(&r->lock);
  }
  if (err)
    policy_entry_free(p);
  change_end(r);
  return err;
}

mc_err mc_registry_policy_get(mc_registry *r, uint32_t tenant, mc_slice name, mc_device_policy *out, mc_why *why)
{
  return look(r, tenant, name, out, why);
}

static int by_name(const void *a, const void *b) { return strcmp(((const mc_device_policy *)a)->name, ((const mc_device_policy *)b)->name); }

mc_err mc_registry_policy_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_device_policy **out, size_t *count, mc_why *why)
{
  *count = 0;
  pthread_rwlock_rdlock(&r->lock);
  mc_device_policy *list = *out = mc_arena_array(arena, r->policy.at.len + 1, sizeof *list);
  for (size_t i = 0; list && i < r->policy.at.len; i++)
    if (r->policy.at.at[i] && r->policy.at.at[i]->info.tenant == tenant)
      list[(*count)++] = r->policy.at.at[i]->info;
  pthread_rwlock_unlock(&r->lock);
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the list of policies");
  qsort(list, *count, sizeof *list, by_name);
  return MC_OK;
}

mc_err mc_registry_policy_delete(mc_registry *r, uint32_t tenant, mc_slice name, mc_why *why)
{
  mc_device_policy p = {.id = 0};
  MC_TRY(change_begin(r, why));
  mc_err err = look(r, tenant, name, &p, why);
  if (!err && p.attachments)
    err = mc_err_set(why, MC_ERR_CONFLICT, "\"%s\" is attached in %u places: detach it first", p.name, p.attachments);
  if (!err)
    err = mc_db_run(r->db, why, "DELETE FROM policy_version WHERE policy = $1", "i", (int64_t)p.id);
  if (!err)
    err = mc_db_run(r->db, why, "DELETE FROM policy WHERE id = $1", "i", (int64_t)p.id);
  err = commit(r, err, &p, "policy.deleted", p.version, why);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    policy_mirror_gone(r, policy_by_id(r, p.id));
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  return err;
}

/* ---- versions ---- */

/* Takes document. */
static void use_default(mc_registry *r, uint32_t policy, uint32_t version, mc_policy_document *document, int64_t now)
{
  pthread_rwlock_wrlock(&r->lock);
  policy_entry *p = policy_by_id(r, policy);
  mc_policy_document_release(p->document);
  p->document = document;
  p->info.version = version;
  p->info.updated_us = now;
  policy_changed(r);
  pthread_rwlock_unlock(&r->lock);
}

static void count_versions(mc_registry *r, uint32_t policy, int more)
{
  pthread_rwlock_wrlock(&r->lock);
  policy_entry *p = policy_by_id(r, policy);
  p->info.versions = (uint32_t)((int64_t)p->info.versions + more);
  pthread_rwlock_unlock(&r->lock);
}

static mc_err next_version(mc_registry *r, const mc_device_policy *p, uint32_t *out, mc_why *why)
{
  mc_stmt *s;
  uint32_t most = limit_or(r->policy_limits.versions, VERSIONS);
  if (p->versions >= most)
    return mc_err_set(why, MC_ERR_FULL, "\"%s\" has %u versions, as many as it may (policy_versions): delete one that is not in use", p->name, p->versions);
  MC_TRY(mc_db_prepare(r->db, "SELECT last_version FROM policy WHERE id = $1", &s, why));
  mc_stmt_bind_int(s, 1, p->id);
  mc_err err = mc_stmt_step(s, why);
  *out = err ? 0 : (uint32_t)mc_stmt_int(s, 0) + 1;
  mc_stmt_release(&s);
  return err;
}

mc_err mc_registry_policy_version_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice document, bool make_default, uint32_t *version, mc_why *why)
{
  mc_policy_document *d;
  mc_device_policy p = {.id = 0};
  int64_t now = mc_clock_wall_us();
  MC_TRY(read_document(r, document, &d, why));
  mc_err err = change_begin(r, why);
  if (err) {
    mc_policy_document_release(d);
    return err;
  }
  err = look(r, tenant, name, &p, why);
  if (!err)
    err = next_version(r, &p, version, why);
  if (!err)
    err = mc_db_run(r->db, why, "INSERT INTO policy_version (policy, version, document, created_us) VALUES ($1, $2, $3, $4)", "iiti", (int64_t)p.id, (int64_t)*version, document, now);
  if (!err)
    err = mc_db_run(r->db, why, "UPDATE policy SET last_version = $2, version = $3, updated_us = $4 WHERE id = $1", "iiii", (int64_t)p.id, (int64_t)*version,
                    (int64_t)(make_default ? *version : p.version), now);
  err = commit(r, err, &p, "policy.version.created", err ? 0 : *version, why);
  if (!err)
    count_versions(r, p.id, 1);
  if (!err && make_default) {
    err = policy_watch(r, d, why);
    use_default(r, p.id, *version, d, now); /* also when its attributes could not be loaded: those have no value then */
    d = NULL;
  }
  mc_policy_document_release(d);
  change_end(r);
  return err;
}

/* The text of a version; in a buffer, for the statement does not last. */
static mc_err version_text(mc_registry *r, const mc_device_policy *p, uint32_t version, mc_buf *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(r->db, "SELECT document FROM policy_version WHERE policy = $1 AND version = $2", &s, why));
  mc_stmt_bind_int(s, 1, p->id);
  mc_stmt_bind_int(s, 2, version);
  mc_err err = mc_stmt_step(s, why);
  if (!err)
    err = mc_buf_append_slice(out, mc_stmt_text(s, 0));
  mc_stmt_release(&s);
  return err == MC_ERR_END ? mc_err_set(why, MC_ERR_NOT_FOUND, "\"%s\" has no version %u", p->name, version) : err;
}

mc_err mc_registry_policy_version_default(mc_registry *r, uint32_t tenant, mc_slice name, uint32_t version, mc_why *why)
{
  mc_device_policy p = {.id = 0};
  mc_policy_document *d = NULL;
  mc_buf text = {0};
  int64_t now = mc_clock_wall_us();
  MC_TRY(change_begin(r, why));
  mc_err err = look(r, tenant, name, &p, why);
  if (!err)
    err = version_text(r, &p, version, &text, why);
  if (!err)
    err = mc_policy_document_parse(mc_buf_slice(&text), &d, why);
  if (!err)
    err = mc_db_run(r->db, why, "UPDATE policy SET version = $2, updated_us = $3 WHERE id = $1", "iii", (int64_t)p.id, (int64_t)version, now);
  err = commit(r, err, &p, "policy.version.default", version, why);
  if (!err) {
    err = policy_watch(r, d, why);
    use_default(r, p.id, version, d, now);
    d = NULL;
  }
  mc_policy_document_release(d);
  mc_buf_free(&text);
  change_end(r);
  return err;
}

mc_err mc_registry_policy_version_delete(mc_registry *r, uint32_t tenant, mc_slice name, uint32_t version, mc_why *why)
{
  mc_device_policy p = {.id = 0};
  MC_TRY(change_begin(r, why));
  mc_err err = look(r, tenant, name, &p, why);
  if (!err && p.version == version)
    err = mc_err_set(why, MC_ERR_CONFLICT, "version %u of \"%s\" is the default one: make another one the default first", version, p.name);
  if (!err)
    err = mc_db_run(r->db, why, "DELETE FROM policy_version WHERE policy = $1 AND version = $2", "ii", (int64_t)p.id, (int64_t)version);
  if (!err && mc_db_changes(r->db) == 0)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "\"%s\" has no version %u", p.name, version);
  err = commit(r, err, &p, "policy.version.deleted", version, why);
  if (!err)
    count_versions(r, p.id, -1);
  change_end(r);
  return err;
}

mc_err mc_registry_policy_versions(mc_registry *r, uint32_t tenant, mc_slice name, mc_arena *arena, mc_policy_version **out, size_t *count, mc_why *why)
{
  mc_device_policy p;
  mc_stmt *s = NULL;
  *count = 0;
  MC_TRY(look(r, tenant, name, &p, why));
  mc_policy_version *list = *out = mc_arena_array(arena, p.versions + 1, sizeof *list);
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the versions of a policy");
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = mc_db_prepare(r->db, "SELECT version, created_us, document FROM policy_version WHERE policy = $1 ORDER BY version DESC", &s, why);
  if (!err)
    mc_stmt_bind_int(s, 1, p.id);
  while (!err && *count <= p.versions && (err = mc_stmt_step(s, why)) == MC_OK) {
    mc_policy_version *v = &list[(*count)++];
    *v = (mc_policy_version){.version = (uint32_t)mc_stmt_int(s, 0), .is_default = mc_stmt_int(s, 0) == p.version, .created_us = mc_stmt_int(s, 1)};
    if (mc_arena_copy(arena, mc_stmt_text(s, 2), &v->document))
      err = mc_err_set(why, MC_ERR_MEMORY, "no memory for the versions of a policy");
  }
  mc_stmt_release(&s);
  mc_db_end(r->db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* ---- attachments ---- */

/* Is the target there, and may it have one more? Lock held. */
static mc_err check_target(const mc_registry *r, uint32_t tenant, const mc_policy_target *t, bool more, mc_why *why)
{
  uint64_t value = 0;
  uint32_t most = limit_or(r->policy_limits.attached, ATTACHED);
  mc_slice fingerprint = mc_slice_of(t->fingerprint, MC_FINGERPRINT);
  const mc_thing_group *g = registry_group(r, t->group);
  if (t->group && (!g || g->tenant != tenant))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no group with id %u", t->group);
  bool certificate = !t->group && mc_strmap_get(&r->cert_by_fingerprint, fingerprint, &value) && ((const cert_entry *)(uintptr_t)value)->cert.tenant == tenant;
  if (!t->group && !certificate)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no such certificate here");
  value = 0;
  t->group ? mc_map_get(&r->policy.of_group, t->group, &value) : mc_strmap_get(&r->policy.of_certificate, fingerprint, &value);
  const id_list *list = (const id_list *)(uintptr_t)value;
  if (more && list && list->len >= most)
    return mc_err_set(why, MC_ERR_FULL, "%u policies are attached there, as many as there may (policies_attached): detach one", list->len);
  return MC_OK;
}

static bool is_attached(const mc_registry *r, uint32_t policy, const mc_policy_target *t)
{
  uint64_t value = 0;
  t->group ? mc_map_get(&r->policy.of_group, t->group, &value) : mc_strmap_get(&r->policy.of_certificate, mc_slice_of(t->fingerprint, MC_FINGERPRINT), &value);
  const id_list *list = (const id_list *)(uintptr_t)value;
  for (uint32_t i = 0; list && i < list->len; i++)
    if (list->id[i] == policy)
      return true;
  return false;
}

static mc_err change_rows(mc_registry *r, uint32_t policy, const mc_policy_target *t, bool in, mc_why *why)
{
  if (t->group)
    return mc_db_run(r->db, why, in ? "INSERT INTO policy_group (policy, thing_group) VALUES ($1, $2)" : "DELETE FROM policy_group WHERE policy = $1 AND thing_group = $2", "ii",
                     (int64_t)policy, (int64_t)t->group);
  return mc_db_run(r->db, why, in ? "INSERT INTO policy_certificate (policy, fingerprint) VALUES ($1, $2)" : "DELETE FROM policy_certificate WHERE policy = $1 AND fingerprint = $2",
                   "ib", (int64_t)policy, mc_slice_of(t->fingerprint, MC_FINGERPRINT));
}

static mc_err change_target(mc_registry *r, uint32_t tenant, mc_slice name, const mc_policy_target *t, bool in, mc_why *why)
{
  mc_device_policy p = {.id = 0};
  MC_TRY(change_begin(r, why));
  mc_err err = look(r, tenant, name, &p, why);
  bool there = false;
  if (!err) {
    pthread_rwlock_rdlock(&r->lock);
    there = is_attached(r, p.id, t);
    err = check_target(r, tenant, t, in && !there, why);
    pthread_rwlock_unlock(&r->lock);
  }
  if (!err && !in && !there)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "\"%s\" is not attached there", p.name);
  bool changes = !err && in != there;
  if (changes)
    err = change_rows(r, p.id, t, in, why);
  if (err || changes)
    err = commit(r, err, &p, in ? "policy.attached" : "policy.detached", p.version, why);
  else
    mc_db_end(r->db, true, NULL);
  if (!err && changes) {
    pthread_rwlock_wrlock(&r->lock);
    err = policy_mirror_target(r, policy_by_id(r, p.id), t, in);
    policy_changed(r);
    pthread_rwlock_unlock(&r->lock);
    if (err)
      mc_err_set(why, err, "no memory: the policy is attached from the next start on");
  }
  change_end(r);
  return err;
}

mc_err mc_registry_policy_attach(mc_registry *r, uint32_t tenant, mc_slice name, const mc_policy_target *to, mc_why *why)
{
  return change_target(r, tenant, name, to, true, why);
}

mc_err mc_registry_policy_detach(mc_registry *r, uint32_t tenant, mc_slice name, const mc_policy_target *from, mc_why *why)
{
  return change_target(r, tenant, name, from, false, why);
}

static bool lists(const id_list *list, uint32_t id)
{
  for (uint32_t i = 0; list && i < list->len; i++)
    if (list->id[i] == id)
      return true;
  return false;
}

mc_err mc_registry_policy_targets(mc_registry *r, uint32_t tenant, mc_slice name, mc_arena *arena, mc_policy_target **out, size_t *count, mc_why *why)
{
  *count = 0;
  mc_err err = MC_OK;
  size_t at = 0;
  uint64_t group, value;
  mc_slice fingerprint;
  pthread_rwlock_rdlock(&r->lock);
  const policy_entry *p = policy_named(r, tenant, name);
  mc_policy_target *list = *out = p ? mc_arena_array(arena, p->info.attachments + 1, sizeof *list) : NULL;
  if (!list)
    err = p ? mc_err_set(why, MC_ERR_MEMORY, "no memory for the list") : unknown(name, why);
  while (!err && *count < p->info.attachments && mc_map_next(&r->policy.of_group, &at, &group, &value))
    if (lists((const id_list *)(uintptr_t)value, p->info.id)) {
      const mc_thing_group *g = registry_group(r, (uint32_t)group);
      list[*count].group = (uint32_t)group;
      snprintf(list[(*count)++].name, sizeof list->name, "%s", g ? g->name : "");
    }
  at = 0;
  while (!err && *count < p->info.attachments && mc_strmap_next(&r->policy.of_certificate, &at, &fingerprint, &value))
    if (lists((const id_list *)(uintptr_t)value, p->info.id)) {
      mc_policy_target *t = &list[(*count)++];
      uint64_t entry = 0;
      memcpy(t->fingerprint, fingerprint.data, MC_FINGERPRINT);
      const thing_entry *thing =
          mc_strmap_get(&r->cert_by_fingerprint, fingerprint, &entry) ? registry_thing(r, ((const cert_entry *)(uintptr_t)entry)->cert.thing) : NULL;
      snprintf(t->name, sizeof t->name, "%s", thing ? thing->thing.name : "");
    }
  pthread_rwlock_unlock(&r->lock);
  return err;
}
