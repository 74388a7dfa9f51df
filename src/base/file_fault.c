#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_fault.h"
#include "base/file_undo.h"

/* The twin does every call on the real directory at once, and keeps beside it how to undo what no sync has
 * made durable yet: per inode a list of changes with the bytes they replaced, per twin a list of changes to
 * names. Files that lost their name wait under a hidden name until their folder was synced.
 *
 * A power cut makes every later call fail. Recovery undoes all changes of each inode back to the last sync,
 * then does a seeded selection again: whole, torn at 512-byte sectors, or not at all; of the changes to
 * names a seeded prefix stays. A sync that failed dooms what it should have written: a later successful sync
 * does not make that durable, as on Linux, where the pages are marked clean. */

#define GRAVE ".mc-grave-"

static const mc_fs_ops fault_ops;

/* ---- what happens to a call ---- */

static mc_err refuse(mc_fault_kind kind, const char *verb, const char *path, mc_why *why)
{
  errno = kind == MC_FAULT_ENOSPC ? ENOSPC : kind == MC_FAULT_EROFS ? EROFS : EIO;
  return mc_err_errno(why, "%s %s (injected fault)", verb, path);
}

mc_fault_kind mc_fault_fate(mc_fault_fs *fs, bool writes)
{
  fs->calls++;
  if (fs->dead)
    return MC_FAULT_EIO;
  if (fs->fault_at && fs->calls == fs->fault_at) {
    fs->fault_at = 0;
    if (fs->kind == MC_FAULT_POWER_CUT)
      fs->dead = true;
    return fs->kind;
  }
  return writes ? fs->held : MC_FAULT_NONE;
}

static mc_fault_kind fate(mc_fault_fs *fs, bool writes)
{
  mc_fault_kind kind = mc_fault_fate(fs, writes);
  return kind == MC_FAULT_PART ? MC_FAULT_NONE : kind; /* the file layer writes the rest itself */
}

/* For calls that change nothing, or whose change a power cut in the middle simply prevents. */
static mc_err pass(mc_fault_fs *fs, bool writes, const char *verb, const char *path, mc_why *why)
{
  pthread_mutex_lock(&fs->lock);
  mc_fault_kind kind = fate(fs, writes);
  pthread_mutex_unlock(&fs->lock);
  return kind == MC_FAULT_NONE ? MC_OK : refuse(kind, verb, path, why);
}

/* ---- names ---- */

static void name_free(mc_fault_name *c)
{
  free(c->path);
  free(c->to);
  free(c->grave);
}

static size_t folder_len(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) : 0;
}

/* A hidden name beside path, or NULL. */
static char *grave_for(mc_fault_fs *fs, const char *path)
{
  size_t dir = folder_len(path);
  size_t size = dir + 40;
  char *grave = malloc(size);
  if (grave)
    snprintf(grave, size, "%.*s%s" GRAVE "%llu", (int)dir, path, dir ? "/" : "", (unsigned long long)++fs->graves);
  return grave;
}

static bool in_folder(const char *path, const char *folder)
{
  size_t n = folder_len(path);
  if (n == 0)
    return !strcmp(folder, path[0] == '/' ? "/" : ".");
  return strlen(folder) == n && !memcmp(path, folder, n);
}

/* Records a change to names; takes over grave. */
static mc_err note_name(mc_fault_fs *fs, int kind, const char *path, const char *to, char *grave, mc_why *why)
{
  mc_fault_name c = {.kind = kind, .path = strdup(path), .to = to ? strdup(to) : NULL, .grave = grave};
  if (c.path && (c.to || !to) && !mc_vec_push(&fs->name, c))
    return MC_OK;
  name_free(&c);
  return mc_err_set(why, MC_ERR_MEMORY, "fault twin: out of memory");
}

static bool undo_name(const mc_fault_name *c)
{
  bool ok = true;
  if (c->kind == NAME_CREATE)
    ok = unlink(c->path) == 0;
  if (c->kind == NAME_RENAME)
    ok = rename(c->to, c->path) == 0;
  if (c->grave)
    ok &= rename(c->grave, c->kind == NAME_RENAME ? c->to : c->path) == 0;
  return ok;
}

static bool cut_names(mc_fault_fs *fs, uint64_t *seed)
{
  bool ok = true;
  size_t keep = fs->name.len ? mc_undo_draw(seed) % (fs->name.len + 1) : 0;
  for (size_t i = fs->name.len; i-- > 0;) {
    if (i >= keep)
      ok &= undo_name(&fs->name.at[i]);
    else if (fs->name.at[i].grave)
      ok &= unlink(fs->name.at[i].grave) == 0;
  }
  for (size_t i = 0; i < fs->name.len; i++)
    name_free(&fs->name.at[i]);
  mc_vec_clear(&fs->name);
  return ok;
}

/* ---- the calls ---- */

/* Opens the real file and notes what that changed. Lock held. */
static mc_err open_now(mc_fault_fs *fs, mc_fault_file *f, const char *path, int flags, unsigned mode, mc_why *why)
{
  mc_file *real = NULL;
  bool existed = access(path, F_OK) == 0;
  mc_fault_kind kind = fate(fs, (flags & MC_FILE_CREATE) && !existed);
  if (kind != MC_FAULT_NONE)
    return refuse(kind, "open", path, why);
  mc_err err = mc_fs_posix_ops.open(mc_fs_posix(), path, flags & ~MC_FILE_TRUNCATE, mode, &real, why);
  if (err || !real)
    return err;
  f->base = (mc_file){.ops = &fault_ops, .fd = real->fd, .path = real->path}; /* from here on fault_close releases both */
  free(real);
  f->node = flags & MC_FILE_WRITE ? mc_inode_of(&fs->inodes, f->base.fd) : NULL;
  if (f->node)
    f->node->opens++;
  if (!existed)
    return note_name(fs, NAME_CREATE, path, NULL, NULL, why);
  if (!(flags & MC_FILE_TRUNCATE))
    return MC_OK;
  MC_TRY(mc_inode_remember(f->node, true, 0, 0, NULL, why));
  return ftruncate(f->base.fd, 0) ? mc_err_errno(why, "truncate %s", path) : MC_OK;
}

static void fault_close(mc_file *file)
{
  mc_fault_file *f = (mc_fault_file *)file;
  mc_fault_fs *fs = f->fs;
  pthread_mutex_lock(&fs->lock);
  mc_fault_file **mine = &fs->files;
  while (*mine != f)
    mine = &(*mine)->next;
  *mine = f->next;
  mc_inode **at = &fs->inodes;
  while (f->node && *at != f->node)
    at = &(*at)->next;
  if (f->node && --f->node->opens == 0 && !f->node->change.len) {
    *at = f->node->next;
    mc_inode_free(f->node);
  }
  pthread_mutex_unlock(&fs->lock);
  if (file->ops)
    mc_fs_posix_ops.close(file); /* base is the first member: this frees the whole */
  else
    free(f);
}

static mc_err fault_open(const mc_fs *base, const char *path, int flags, unsigned mode, mc_file **out, mc_why *why)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  mc_fault_file *f = calloc(1, sizeof *f);
  if (!f)
    return mc_err_set(why, MC_ERR_MEMORY, "open %s: out of memory", path);
  pthread_mutex_lock(&fs->lock);
  f->fs = fs;
  f->generation = fs->generation;
  mc_err err = open_now(fs, f, path, flags, mode, why);
  f->next = fs->files;
  fs->files = f;
  pthread_mutex_unlock(&fs->lock);
  if (!err)
    *out = &f->base;
  else
    fault_close(&f->base);
  return err;
}

static mc_err fault_pread(mc_file *file, void *out, size_t len, uint64_t offset, size_t *got, mc_why *why)
{
  mc_fault_file *f = (mc_fault_file *)file;
  MC_TRY(pass(f->fs, false, "read", file->path, why));
  if (mc_fault_stale(f))
    return refuse(MC_FAULT_EIO, "read", file->path, why);
  return mc_fs_posix_ops.pread(file, out, len, offset, got, why);
}

mc_err mc_fault_land(mc_fault_file *f, uint8_t *fresh, uint64_t lands, uint64_t offset, mc_why *why)
{
  if (!lands) {
    free(fresh);
    return MC_OK;
  }
  MC_TRY(mc_inode_remember(f->node, false, offset, lands, fresh, why));
  if (!mc_inode_put(f->base.fd, fresh, lands, offset))
    return mc_err_errno(why, "write %s", f->base.path);
  return MC_OK;
}

static mc_err write_faulted(mc_fault_file *f, uint8_t *fresh, uint64_t len, uint64_t offset, mc_why *why)
{
  mc_fault_kind kind = fate(f->fs, true);
  if (mc_fault_stale(f))
    kind = MC_FAULT_EIO;
  if (kind == MC_FAULT_EIO || kind == MC_FAULT_ENOSPC || kind == MC_FAULT_EROFS) {
    free(fresh);
    return refuse(kind, "write", f->base.path, why);
  }
  MC_TRY(mc_fault_land(f, fresh, kind == MC_FAULT_SHORT ? len / 2 : len, offset, why));
  return kind == MC_FAULT_NONE ? MC_OK : refuse(kind, "write", f->base.path, why);
}

static mc_err fault_pwritev(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why)
{
  mc_fault_file *f = (mc_fault_file *)file;
  size_t len = 0, at = 0;
  for (size_t i = 0; i < count; i++)
    len += iov[i].len;
  uint8_t *fresh = malloc(len ? len : 1);
  if (!fresh)
    return mc_err_set(why, MC_ERR_MEMORY, "write %s: out of memory", file->path);
  for (size_t i = 0; i < count; at += iov[i++].len)
    if (iov[i].len)
      memcpy(fresh + at, iov[i].data, iov[i].len);
  pthread_mutex_lock(&f->fs->lock);
  mc_err err = write_faulted(f, fresh, len, offset, why);
  pthread_mutex_unlock(&f->fs->lock);
  return err;
}

static mc_err fault_preallocate(mc_file *file, uint64_t size, mc_why *why)
{
  mc_fault_file *f = (mc_fault_file *)file;
  pthread_mutex_lock(&f->fs->lock);
  mc_err err = write_faulted(f, NULL, size, 0, why);
  pthread_mutex_unlock(&f->fs->lock);
  return err;
}

mc_fault_kind mc_fault_sync(mc_fault_file *f)
{
  pthread_mutex_lock(&f->fs->lock);
  void (*slow)(void *ctx) = f->fs->slow;
  void *ctx = f->fs->slow_ctx;
  pthread_mutex_unlock(&f->fs->lock);
  if (slow)
    slow(ctx);
  pthread_mutex_lock(&f->fs->lock);
  mc_fault_kind kind = fate(f->fs, true);
  if (mc_fault_stale(f))
    kind = MC_FAULT_EIO;
  else if (!f->fs->dead && f->node)
    mc_inode_settle(f->node, kind == MC_FAULT_NONE);
  pthread_mutex_unlock(&f->fs->lock);
  return kind;
}

static mc_err fault_sync(mc_file *file, mc_why *why)
{
  mc_fault_kind kind = mc_fault_sync((mc_fault_file *)file);
  return kind == MC_FAULT_NONE ? MC_OK : refuse(kind, "sync", file->path, why);
}

static mc_err fault_truncate(mc_file *file, uint64_t size, mc_why *why)
{
  mc_fault_file *f = (mc_fault_file *)file;
  pthread_mutex_lock(&f->fs->lock);
  mc_fault_kind kind = fate(f->fs, true);
  if (mc_fault_stale(f))
    kind = MC_FAULT_EIO;
  mc_err err = MC_OK;
  if (kind == MC_FAULT_NONE || kind == MC_FAULT_POWER_CUT) {
    err = mc_inode_remember(f->node, true, size, 0, NULL, why);
    if (!err)
      err = mc_fs_posix_ops.truncate(file, size, why);
  }
  pthread_mutex_unlock(&f->fs->lock);
  return kind == MC_FAULT_NONE ? err : refuse(kind, "truncate", file->path, why);
}

static mc_err fault_zero(mc_file *file, uint64_t offset, uint64_t len, mc_why *why)
{
  static const uint8_t zeros[1 << 16];
  for (uint64_t at = offset, end = offset + len; at < end; at += sizeof zeros) {
    mc_iov piece = {zeros, end - at < sizeof zeros ? (size_t)(end - at) : sizeof zeros};
    MC_TRY(fault_pwritev(file, &piece, 1, at, why));
  }
  return MC_OK;
}

/* What is reserved reads as zeros and may be lost until it is synced, as a file that was made longer. */
static mc_err fault_reserve(mc_file *file, uint64_t size, mc_why *why)
{
  uint64_t now;
  MC_TRY(mc_fs_posix_ops.size(file, &now, why));
  return now < size ? fault_truncate(file, size, why) : MC_OK;
}

static mc_err fault_size(mc_file *file, uint64_t *out, mc_why *why)
{
  mc_fault_file *f = (mc_fault_file *)file;
  MC_TRY(pass(f->fs, false, "size of", file->path, why));
  return mc_fault_stale(f) ? refuse(MC_FAULT_EIO, "size of", file->path, why) : mc_fs_posix_ops.size(file, out, why);
}

static mc_err fault_write_behind(mc_file *file, uint64_t offset, uint64_t len, mc_why *why)
{
  mc_fault_file *f = (mc_fault_file *)file;
  MC_TRY(pass(f->fs, true, "write behind", file->path, why));
  return mc_fault_stale(f) ? refuse(MC_FAULT_EIO, "write behind", file->path, why) : MC_OK; /* promises nothing, so does nothing */
}

static mc_err fault_lock(mc_file *file, mc_why *why)
{
  mc_fault_file *f = (mc_fault_file *)file;
  MC_TRY(pass(f->fs, false, "lock", file->path, why));
  return mc_fs_posix_ops.lock(file, why);
}

/* Moves an existing file at path out of sight; *grave stays NULL when there is none. */
static mc_err bury(mc_fault_fs *fs, const char *path, char **grave, mc_why *why)
{
  *grave = NULL;
  if (access(path, F_OK))
    return MC_OK;
  *grave = grave_for(fs, path);
  if (!*grave)
    return mc_err_set(why, MC_ERR_MEMORY, "fault twin: out of memory");
  if (rename(path, *grave) == 0)
    return MC_OK;
  mc_err err = mc_err_errno(why, "fault twin: set %s aside", path);
  free(*grave);
  *grave = NULL;
  return err;
}

static mc_err rename_now(mc_fault_fs *fs, const char *from, const char *to, mc_why *why)
{
  char *grave;
  if (access(from, F_OK))
    return mc_err_errno(why, "rename %s to %s", from, to);
  MC_TRY(bury(fs, to, &grave, why));
  if (rename(from, to)) {
    mc_err err = mc_err_errno(why, "rename %s to %s", from, to);
    if (grave)
      rename(grave, to);
    free(grave);
    return err;
  }
  return note_name(fs, NAME_RENAME, from, to, grave, why);
}

static mc_err fault_rename(const mc_fs *base, const char *from, const char *to, mc_why *why)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  mc_fault_kind kind = fate(fs, true);
  mc_err err = MC_OK;
  if (kind == MC_FAULT_NONE || kind == MC_FAULT_POWER_CUT)
    err = rename_now(fs, from, to, why);
  pthread_mutex_unlock(&fs->lock);
  return kind == MC_FAULT_NONE ? err : refuse(kind, "rename", from, why);
}

static mc_err fault_link(const mc_fs *base, const char *from, const char *to, mc_why *why)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  mc_fault_kind kind = fate(fs, true);
  mc_err err = MC_OK;
  if (kind == MC_FAULT_NONE || kind == MC_FAULT_POWER_CUT) {
    err = mc_fs_posix_ops.link(base, from, to, why);
    if (!err)
      err = note_name(fs, NAME_CREATE, to, NULL, NULL, why);
  }
  pthread_mutex_unlock(&fs->lock);
  return kind == MC_FAULT_NONE ? err : refuse(kind, "link", from, why);
}

static mc_err fault_unlink(const mc_fs *base, const char *path, mc_why *why)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  mc_fault_kind kind = fate(fs, true);
  mc_err err = MC_OK;
  if (kind == MC_FAULT_NONE || kind == MC_FAULT_POWER_CUT) {
    char *grave = NULL;
    err = access(path, F_OK) ? mc_err_errno(why, "remove %s", path) : bury(fs, path, &grave, why);
    if (!err)
      err = note_name(fs, NAME_UNLINK, path, NULL, grave, why);
  }
  pthread_mutex_unlock(&fs->lock);
  return kind == MC_FAULT_NONE ? err : refuse(kind, "remove", path, why);
}

static mc_err fault_mkdirs(const mc_fs *base, const char *path, mc_why *why)
{
  MC_TRY(pass(mc_fault_twin(base), true, "create folder", path, why));
  return mc_fs_posix_ops.mkdirs(base, path, why); /* folders are taken as durable at once */
}

static mc_err fault_sync_dir(const mc_fs *base, const char *path, mc_why *why)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  mc_fault_kind kind = fate(fs, true);
  size_t keep = 0;
  mc_err err = access(path, F_OK) ? mc_err_errno(why, "open folder %s", path) : MC_OK;
  for (size_t i = 0; i < fs->name.len; i++) {
    mc_fault_name *c = &fs->name.at[i];
    if (kind != MC_FAULT_NONE || !in_folder(c->to ? c->to : c->path, path)) {
      fs->name.at[keep++] = *c;
      continue;
    }
    if (c->grave)
      unlink(c->grave);
    name_free(c);
  }
  fs->name.len = keep;
  pthread_mutex_unlock(&fs->lock);
  return kind == MC_FAULT_NONE ? err : refuse(kind, "sync folder", path, why);
}

struct visible {
  mc_err (*visit)(void *ctx, const char *name);
  void *ctx;
};

static mc_err visit_visible(void *ctx, const char *name)
{
  struct visible *v = ctx;
  return strncmp(name, GRAVE, sizeof GRAVE - 1) ? v->visit(v->ctx, name) : MC_OK;
}

static mc_err fault_list(const mc_fs *base, const char *path, mc_err (*visit)(void *ctx, const char *name), void *ctx, mc_why *why)
{
  MC_TRY(pass(mc_fault_twin(base), false, "list folder", path, why));
  return mc_fs_posix_ops.list(base, path, visit_visible, &(struct visible){visit, ctx}, why);
}

static mc_err fault_free_bytes(const mc_fs *base, const char *path, uint64_t *out, mc_why *why)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  MC_TRY(pass(fs, false, "free space at", path, why));
  pthread_mutex_lock(&fs->lock);
  *out = fs->free_bytes;
  pthread_mutex_unlock(&fs->lock);
  return *out == UINT64_MAX ? mc_fs_posix_ops.free_bytes(base, path, out, why) : MC_OK;
}

static const mc_fs_ops fault_ops = {
    .open = fault_open,
    .close = fault_close,
    .pread = fault_pread,
    .pwritev = fault_pwritev, /* and pwritev_direct */
    .sync = fault_sync,
    .write_behind = fault_write_behind,
    .zero = fault_zero,
    .reserve = fault_reserve,
    .preallocate = fault_preallocate,
    .truncate = fault_truncate,
    .size = fault_size,
    .lock = fault_lock,
    .rename = fault_rename,
    .link = fault_link,
    .unlink = fault_unlink,
    .mkdirs = fault_mkdirs,
    .sync_dir = fault_sync_dir,
    .list = fault_list,
    .free_bytes = fault_free_bytes,
    .ring = &mc_ring_kernel_fault,
};

/* ---- control ---- */

mc_err mc_fs_fault_open(mc_fs **out, mc_why *why)
{
  *out = NULL;
  mc_fault_fs *fs = calloc(1, sizeof *fs);
  if (!fs || pthread_mutex_init(&fs->lock, NULL)) {
    free(fs);
    return mc_err_set(why, MC_ERR_MEMORY, "fault twin: out of memory");
  }
  fs->base.ops = &fault_ops;
  fs->free_bytes = UINT64_MAX;
  *out = &fs->base;
  return MC_OK;
}

void mc_fs_fault_arm(mc_fs *base, uint64_t call, mc_fault_kind kind)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  fs->fault_at = call && kind != MC_FAULT_NONE ? fs->calls + call : 0;
  fs->kind = kind;
  pthread_mutex_unlock(&fs->lock);
}

void mc_fs_fault_hold(mc_fs *base, mc_fault_kind kind)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  fs->held = kind;
  pthread_mutex_unlock(&fs->lock);
}

void mc_fs_fault_on_sync(mc_fs *base, void (*slow)(void *ctx), void *ctx)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  fs->slow = slow;
  fs->slow_ctx = ctx;
  pthread_mutex_unlock(&fs->lock);
}

void mc_fs_fault_free_bytes(mc_fs *base, uint64_t bytes)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  fs->free_bytes = bytes;
  pthread_mutex_unlock(&fs->lock);
}

uint64_t mc_fs_fault_calls(const mc_fs *base)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  uint64_t calls = fs->calls;
  pthread_mutex_unlock(&fs->lock);
  return calls;
}

mc_err mc_fs_fault_recover(mc_fs *base, uint64_t seed, mc_why *why)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  bool ok = true;
  for (mc_inode *n = fs->inodes; n; n = n->next)
    ok &= mc_inode_cut(n, &seed);
  ok &= cut_names(fs, &seed);
  fs->dead = false;
  fs->held = MC_FAULT_NONE;
  fs->fault_at = 0;
  fs->generation++; /* files open across the cut stay dead */
  pthread_mutex_unlock(&fs->lock);
  return ok ? MC_OK : mc_err_set(why, MC_ERR_IO, "fault twin: the real folder did not take the recovery");
}

void mc_fs_fault_close(mc_fs **base)
{
  if (!*base)
    return;
  mc_fault_fs *fs = mc_fault_twin(*base);
  while (fs->inodes) {
    mc_inode *n = fs->inodes;
    fs->inodes = n->next;
    mc_inode_free(n);
  }
  for (size_t i = 0; i < fs->name.len; i++) {
    if (fs->name.at[i].grave)
      unlink(fs->name.at[i].grave);
    name_free(&fs->name.at[i]);
  }
  mc_vec_free(&fs->name);
  pthread_mutex_destroy(&fs->lock);
  free(fs);
  *base = NULL;
}
