/* All versions of manifests, schemes and state templates, by sync id. */
#include <stdio.h>
#include <stdlib.h>

#include "campaign/state.h"

static mc_slice sync_key(uint32_t tenant, mc_slice sync_id, char *out, size_t size)
{
  int n = snprintf(out, size, "%u/%.*s", tenant, MC_FMT(mc_slice_sub(sync_id, 0, 200)));
  return mc_slice_of(out, (size_t)n);
}

static void *find(mc_campaigns *c, const mc_strmap *map, mc_slice key)
{
  uint64_t found = 0;
  pthread_mutex_lock(&c->lock);
  mc_strmap_get(map, key, &found);
  pthread_mutex_unlock(&c->lock);
  return (void *)(uintptr_t)found;
}

/* Ids that are not known are asked for each time: they may be made any moment. */
static void *find_seen(mc_campaigns *c, const mc_strmap *map, mc_strmap *known, uint32_t tenant, mc_slice sync_id)
{
  char text[256];
  uint64_t found;
  mc_slice key = sync_key(tenant, sync_id, text, sizeof text);
  if (mc_strmap_get(known, key, &found))
    return (void *)(uintptr_t)found;
  void *version = find(c, map, key);
  if (version)
    mc_strmap_put(known, key, (uintptr_t)version); /* without memory for it, the lock is taken again */
  return version;
}

scheme_version *campaign_scheme_by_sync(mc_campaigns *c, uint32_t tenant, mc_slice sync_id)
{
  char text[256];
  return find(c, &c->scheme_by_sync, sync_key(tenant, sync_id, text, sizeof text));
}

reported_id campaign_id_find(mc_campaigns *c, uint32_t tenant, mc_slice sync_id)
{
  char text[256];
  mc_slice key = sync_key(tenant, sync_id, text, sizeof text);
  const scheme_version *s = find(c, &c->scheme_by_sync, key);
  if (s)
    return (reported_id){s->sync_id, ID_SCHEME};
  const manifest_version *m = find(c, &c->manifest_by_sync, key);
  if (m)
    return (reported_id){mc_slice_eq_str(sync_id, m->sync_id) ? m->sync_id : m->foreign_sync_id, ID_MANIFEST};
  const template_version *t = find(c, &c->template_by_sync, key);
  return t ? (reported_id){t->sync_id, ID_TEMPLATE} : (reported_id){0};
}

template_version *campaign_template_by_sync(mc_campaigns *c, uint32_t tenant, mc_slice sync_id)
{
  char text[256];
  return find(c, &c->template_by_sync, sync_key(tenant, sync_id, text, sizeof text));
}

template_version *campaign_template_seen(mc_campaigns *c, uint32_t tenant, mc_slice sync_id)
{
  return find_seen(c, &c->template_by_sync, &c->template_known, tenant, sync_id);
}

mc_err campaign_template_index(mc_campaigns *c, template_version *v)
{
  char text[256];
  return mc_strmap_put(&c->template_by_sync, sync_key(v->tenant, mc_slice_str(v->sync_id), text, sizeof text), (uintptr_t)v);
}

manifest_version *campaign_manifest_seen(mc_campaigns *c, uint32_t tenant, mc_slice sync_id)
{
  return find_seen(c, &c->manifest_by_sync, &c->manifest_known, tenant, sync_id);
}

scheme_version *campaign_scheme_seen(mc_campaigns *c, uint32_t tenant, mc_slice sync_id)
{
  return find_seen(c, &c->scheme_by_sync, &c->scheme_known, tenant, sync_id);
}

manifest_version *campaign_manifest_by_sync(mc_campaigns *c, uint32_t tenant, mc_slice sync_id)
{
  char text[256];
  return find(c, &c->manifest_by_sync, sync_key(tenant, sync_id, text, sizeof text));
}

manifest_version *campaign_manifest_current(mc_campaigns *c, uint32_t tenant, mc_slice name)
{
  manifest_version *found = NULL;
  pthread_mutex_lock(&c->lock);
  for (size_t i = 0; i < c->manifest.len && !found; i++) {
    manifest_version *m = c->manifest.at[i];
    if (m->current && m->tenant == tenant && mc_slice_eq_str(name, m->name))
      found = m;
  }
  pthread_mutex_unlock(&c->lock);
  return found;
}

mc_err campaign_manifest_add(mc_campaigns *c, manifest_version *m)
{
  char key[256];
  if (m->foreign_sync_id != m->sync_id && strcmp(m->foreign_sync_id, m->sync_id) == 0) { /* one document for all agents has one id: ids are compared by their place */
    free(m->foreign_sync_id);
    m->foreign_sync_id = m->sync_id;
  }
  pthread_mutex_lock(&c->lock);
  mc_err err = mc_vec_push(&c->manifest, m);
  if (!err)
    err = mc_strmap_put(&c->manifest_by_sync, sync_key(m->tenant, mc_slice_str(m->sync_id), key, sizeof key), (uintptr_t)m);
  if (!err)
    err = mc_strmap_put(&c->manifest_by_sync, sync_key(m->tenant, mc_slice_str(m->foreign_sync_id), key, sizeof key), (uintptr_t)m);
  for (size_t i = 0; i < c->manifest.len && !err; i++) {
    manifest_version *other = c->manifest.at[i];
    if (m->current && other != m && other->tenant == m->tenant && strcmp(other->name, m->name) == 0)
      other->current = false;
  }
  pthread_mutex_unlock(&c->lock);
  return err;
}

void campaign_manifest_retire(mc_campaigns *c, uint32_t tenant, mc_slice name)
{
  pthread_mutex_lock(&c->lock);
  for (size_t i = 0; i < c->manifest.len; i++)
    if (c->manifest.at[i]->tenant == tenant && mc_slice_eq_str(name, c->manifest.at[i]->name))
      c->manifest.at[i]->current = false;
  pthread_mutex_unlock(&c->lock);
}

mc_err campaign_scheme_add(mc_campaigns *c, scheme_version *s)
{
  char key[256];
  pthread_mutex_lock(&c->lock);
  mc_err err = mc_vec_push(&c->scheme, s);
  if (!err)
    err = mc_strmap_put(&c->scheme_by_sync, sync_key(s->tenant, mc_slice_str(s->sync_id), key, sizeof key), (uintptr_t)s);
  pthread_mutex_unlock(&c->lock);
  return err;
}

void campaign_manifest_free(manifest_version *m)
{
  if (!m)
    return;
  free(m->name);
  if (m->foreign_sync_id != m->sync_id)
    free(m->foreign_sync_id);
  free(m->sync_id);
  mc_map_free(&m->encoding);
  mc_vec_free(&m->list);
  mc_vec_free(&m->signal);
  mc_map_free(&m->left_out);
  mc_arena_free(&m->structure_arena);
  mc_buf_free(&m->extended);
  mc_buf_free(&m->foreign);
  free(m);
}

void campaign_versions_free(mc_campaigns *c)
{
  for (size_t i = 0; i < c->manifest.len; i++)
    campaign_manifest_free(c->manifest.at[i]);
  for (size_t i = 0; i < c->scheme.len; i++) {
    free(c->scheme.at[i]->sync_id);
    free(c->scheme.at[i]);
  }
  mc_vec_free(&c->manifest);
  mc_vec_free(&c->scheme);
  mc_strmap_free(&c->manifest_by_sync);
  mc_strmap_free(&c->scheme_by_sync);
}
