#include "edge/document_store.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "edge/template.h"
#include "format/fleetwise.h"

/* <dir>/manifest-<hash of the sync id>.pb for each manifest, <dir>/schemes.pb for the list, <dir>/templates.bin for the state templates. */

enum { MAX_DOCUMENT = 128000000 /* as FWE: contract fleetwise 5.2 */ };

static mc_err sync_id_of(mc_slice protobuf, mc_arena *arena, mc_slice *out, mc_why *why)
{
  mc_fw_manifest m;
  MC_TRY(mc_fw_read_manifest(protobuf, arena, &m, why));
  *out = m.sync_id;
  return MC_OK;
}

static void manifest_name(mc_slice sync_id, char *out, size_t size)
{
  snprintf(out, size, "manifest-%016" PRIx64 ".pb", mc_slice_fnv1a(sync_id));
}

mc_err mc_document_store_manifest(const mc_document_store *s, mc_slice protobuf, mc_why *why)
{
  if (!s->dir[0])
    return MC_OK;
  mc_arena arena = MC_ARENA(256 << 20);
  mc_slice id;
  mc_err err = sync_id_of(protobuf, &arena, &id, why);
  char name[64], path[1100];
  if (err == MC_OK)
    manifest_name(id, name, sizeof name);
  mc_arena_free(&arena);
  if (err)
    return err;
  snprintf(path, sizeof path, "%s/%s", s->dir, name);
  return mc_fs_replace(s->fs, path, protobuf, 0600, why);
}

mc_err mc_document_store_schemes(const mc_document_store *s, mc_slice protobuf, mc_why *why)
{
  if (!s->dir[0])
    return MC_OK;
  char path[1100];
  snprintf(path, sizeof path, "%s/schemes.pb", s->dir);
  return mc_fs_replace(s->fs, path, protobuf, 0600, why);
}

mc_err mc_document_store_states(const mc_document_store *s, mc_slice bytes, mc_why *why)
{
  if (!s->dir[0])
    return MC_OK;
  char path[1100];
  snprintf(path, sizeof path, "%s/templates.bin", s->dir);
  return mc_fs_replace(s->fs, path, bytes, 0600, why);
}

typedef struct walk {
  const mc_document_store *store;
  const mc_slice *keep;
  size_t keep_count;
  mc_inspector *inspector;
  size_t taken;
} walk;

static bool is_manifest(const char *name)
{
  size_t n = strlen(name);
  return n == 9 + 16 + 3 && memcmp(name, "manifest-", 9) == 0 && strcmp(name + 25, ".pb") == 0;
}

static mc_err tidy_one(void *ctx, const char *name)
{
  walk *w = ctx;
  if (!is_manifest(name))
    return MC_OK;
  for (size_t k = 0; k < w->keep_count; k++) {
    char want[64];
    manifest_name(w->keep[k], want, sizeof want);
    if (strcmp(want, name) == 0)
      return MC_OK;
  }
  char path[1400];
  snprintf(path, sizeof path, "%s/%s", w->store->dir, name);
  mc_fs_unlink(w->store->fs, path, NULL);
  return MC_OK;
}

void mc_document_store_tidy(const mc_document_store *s, const mc_slice *keep, size_t count)
{
  walk w = {s, keep, count, NULL, 0};
  if (s->dir[0])
    mc_fs_list(s->fs, s->dir, tidy_one, &w, NULL);
}

static mc_err read_document(const mc_document_store *s, const char *name, mc_buf *out, mc_why *why)
{
  char path[1400];
  snprintf(path, sizeof path, "%s/%s", s->dir, name);
  return mc_fs_read(s->fs, path, MAX_DOCUMENT, out, why);
}

static mc_err load_one(void *ctx, const char *name)
{
  walk *w = ctx;
  mc_buf bytes = {0};
  mc_why why = {0};
  if (!is_manifest(name))
    return MC_OK;
  mc_err err = read_document(w->store, name, &bytes, &why);
  if (err == MC_OK)
    err = mc_inspector_set_manifest(w->inspector, mc_buf_slice(&bytes), &why);
  if (err)
    mc_log(MC_LOG_WARN, "edge", "a stored manifest cannot be used", MC_KZ("file", name), MC_KZ("why", why.text));
  else
    w->taken++;
  mc_buf_free(&bytes);
  return MC_OK;
}

size_t mc_document_store_load(const mc_document_store *s, mc_inspector *i, int64_t wall_us)
{
  walk w = {s, NULL, 0, i, 0};
  mc_buf bytes = {0};
  mc_why why = {0};
  if (!s->dir[0])
    return 0;
  /* Schemes and templates first: they name the manifests that must not be dropped while the others load. */
  if (read_document(s, "schemes.pb", &bytes, &why) == MC_OK && mc_inspector_set_schemes(i, mc_buf_slice(&bytes), wall_us, &why) == MC_OK)
    w.taken++;
  mc_buf_clear(&bytes);
  mc_err err = read_document(s, "templates.bin", &bytes, NULL);
  if (err == MC_OK)
    err = mc_edge_templates_load(i, mc_buf_slice(&bytes), wall_us, &why);
  if (err == MC_OK)
    w.taken++;
  else if (err != MC_ERR_NOT_FOUND)
    mc_log(MC_LOG_WARN, "edge", "the stored state templates cannot be used: the platform sends them anew, and they wait for their activation", MC_KZ("why", why.text));
  mc_buf_free(&bytes);
  mc_fs_list(s->fs, s->dir, load_one, &w, &why);
  return w.taken;
}
