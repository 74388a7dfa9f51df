#include "powercut/power_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HIDDEN ".power-"

static bool in_folder(const char *path, const char *folder)
{
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) : 0;
  if (!n)
    return !strcmp(folder, path[0] == '/' ? "/" : ".");
  return strlen(folder) == n && !memcmp(path, folder, n);
}

const char *power_names_find(const power_names *n, const char *path)
{
  uint64_t value;
  if (mc_strmap_get(&n->now, mc_slice_str(path), &value))
    return (const char *)(uintptr_t)value;
  return access(path, F_OK) ? NULL : path;
}

/* The process sees the file at `real` (NULL: none) under path. */
static bool set(power_names *n, const char *path, const char *real)
{
  uint64_t old = 0;
  char *copy = real ? strdup(real) : NULL;
  if (real && !copy)
    return false;
  mc_strmap_get(&n->now, mc_slice_str(path), &old);
  if (mc_strmap_put(&n->now, mc_slice_str(path), (uintptr_t)copy)) {
    free(copy);
    return false;
  }
  free((void *)(uintptr_t)old);
  return true;
}

static bool note(power_names *n, int kind, const char *from, const char *to)
{
  power_name_op op = {.kind = kind, .from = strdup(from), .to = to ? strdup(to) : NULL};
  return op.from && (op.to || !to) && mc_vec_push(&n->op, op) == MC_OK;
}

const char *power_names_create(power_names *n, const char *path)
{
  const char *slash = strrchr(path, '/');
  int folder = slash ? (int)(slash - path) + 1 : 0;
  char hidden[1100];
  snprintf(hidden, sizeof hidden, "%.*s" HIDDEN "%d-%llu", folder, path, (int)getpid(), (unsigned long long)++n->hidden);
  if (!set(n, path, hidden) || !note(n, POWER_CREATE, hidden, path))
    return NULL;
  return power_names_find(n, path);
}

bool power_names_rename(power_names *n, const char *from, const char *to)
{
  const char *real = power_names_find(n, from);
  return real && set(n, to, real) && set(n, from, NULL) && note(n, POWER_RENAME, from, to);
}

bool power_names_unlink(power_names *n, const char *path)
{
  return set(n, path, NULL) && note(n, POWER_UNLINK, path, NULL);
}

/* What stood at `from` stands at `to` now. */
static void moved(power_names *n, const char *from, const char *to)
{
  size_t at = 0;
  uint64_t value;
  mc_slice path;
  while (mc_strmap_next(&n->now, &at, &path, &value)) {
    char *old = (char *)(uintptr_t)value, *fresh;
    if (!old || strcmp(old, from) != 0)
      continue;
    fresh = strdup(to);
    if (!fresh || mc_strmap_put(&n->now, path, (uintptr_t)fresh)) /* replaces: nothing moves */
      abort();
    free(old);
  }
}

static void land(power_names *n, power_name_op *op)
{
  if (op->kind == POWER_UNLINK ? unlink(op->from) : rename(op->from, op->to)) {
    fprintf(stderr, "power cut: cannot make durable what happened to %s\n", op->from);
    abort(); /* the simulation would be another one than it says */
  }
  if (op->to)
    moved(n, op->from, op->to);
  free(op->from);
  free(op->to);
}

void power_names_land(power_names *n, const char *folder, size_t most)
{
  size_t keep = 0;
  for (size_t i = 0; i < n->op.len; i++) {
    power_name_op *op = &n->op.at[i];
    if (most && (!folder || in_folder(op->to ? op->to : op->from, folder))) {
      land(n, op);
      most--;
    } else {
      n->op.at[keep++] = *op;
    }
  }
  n->op.len = keep;
  if (keep)
    return;
  size_t at = 0; /* the disk has all of them */
  uint64_t value;
  mc_slice path;
  while (mc_strmap_next(&n->now, &at, &path, &value))
    free((void *)(uintptr_t)value);
  mc_strmap_free(&n->now);
}

/* ---- listing ---- */
struct listing {
  power_names *n;
  const char *folder;
  MC_VEC(char *) name;
};

static mc_err add(struct listing *l, const char *name, size_t len)
{
  char *copy = strndup(name, len);
  return copy && mc_vec_push(&l->name, copy) == MC_OK ? MC_OK : MC_ERR_MEMORY;
}

static mc_err take_real(void *ctx, const char *name)
{
  struct listing *l = ctx;
  char path[1100], mine[40];
  snprintf(path, sizeof path, "%s/%s", l->folder, name);
  snprintf(mine, sizeof mine, HIDDEN "%d-", (int)getpid());
  if (!strncmp(name, HIDDEN, sizeof HIDDEN - 1)) {
    if (strncmp(name, mine, strlen(mine)) != 0) /* of a process that lost its power */
      unlink(path);
    return MC_OK;
  }
  uint64_t value;
  return mc_strmap_get(&l->n->now, mc_slice_str(path), &value) ? MC_OK : add(l, name, strlen(name));
}

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

mc_err power_names_list(power_names *n, const char *folder, mc_err (*visit)(void *ctx, const char *name), void *ctx, mc_why *why)
{
  struct listing l = {.n = n, .folder = folder};
  mc_err err = mc_fs_list(power_real(), folder, take_real, &l, why);
  size_t at = 0, skip = strlen(folder) + 1;
  uint64_t value;
  mc_slice path;
  while (!err && mc_strmap_next(&n->now, &at, &path, &value)) {
    char text[1100];
    snprintf(text, sizeof text, "%.*s", MC_FMT(path));
    if (value && in_folder(text, folder))
      err = add(&l, text + skip, strlen(text + skip));
  }
  if (l.name.len)
    qsort(l.name.at, l.name.len, sizeof *l.name.at, by_bytes);
  for (size_t i = 0; i < l.name.len && !err; i++)
    err = visit(ctx, l.name.at[i]);
  for (size_t i = 0; i < l.name.len; i++)
    free(l.name.at[i]);
  mc_vec_free(&l.name);
  return err;
}
