/* motorcade's file layer without what makes a killed process lucky: the kernel, which keeps what was written. Linked in front of the real one
 * (--wrap=mc_fs_posix) into the program that the kill loop starts.
 *
 * What is written stays in this process until it is synced, names until their folder is synced; so SIGKILL is a power cut. Some sectors reach the disk before
 * anybody asked, and a sync lands them in a shuffled order and takes its time, so that SIGKILL in between tears what is being written.
 *
 *   MOTORCADE_POWER_SEED   what is drawn: which sectors land early, in which order, what a cut leaves
 *   MOTORCADE_POWER_CUT    the process ends itself at this boundary of the file layer, counted from the start: each call that changes something has one
 *                          before and one behind it, a sync one more, in its middle. What was not synced is then on the disk whole, in part, or not at all.
 *   MOTORCADE_POWER_FILE   only boundaries of files and folders whose path has this in it count
 *   MOTORCADE_POWER_TRACE  a file; one line says where the process ended itself
 *   MOTORCADE_POWER_LIE    1: a sync of a file says that it is done, and did nothing. The planted mistake that the loop's checks must find. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_ring.h"
#include "powercut/power_content.h"
#include "powercut/power_names.h"

typedef struct power_file {
  mc_file base; /* first; fd is the real one */
  power_content *content;
} power_file;

static const mc_fs_ops power_ops;

static struct power {
  mc_fs base;
  pthread_once_t once;
  pthread_mutex_t lock;
  uint64_t seed, cut_at, boundary;
  const char *file, *trace;
  bool lies;
  power_content *content;
  power_names name;
} power = {.base = {&power_ops}, .once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

const mc_fs *__real_mc_fs_posix(void);
const mc_fs *__wrap_mc_fs_posix(void);

const mc_fs *power_real(void)
{
  return __real_mc_fs_posix();
}

static uint64_t number(const char *name, uint64_t otherwise)
{
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void begin(void)
{
  power.seed = number("MOTORCADE_POWER_SEED", 1);
  power.cut_at = number("MOTORCADE_POWER_CUT", 0);
  power.lies = number("MOTORCADE_POWER_LIE", 0) == 1;
  power.file = getenv("MOTORCADE_POWER_FILE");
  power.file = power.file && *power.file ? power.file : NULL;
  power.trace = getenv("MOTORCADE_POWER_TRACE");
}

const mc_fs *__wrap_mc_fs_posix(void)
{
  pthread_once(&power.once, begin);
  return &power.base;
}

/* ---- the cut ---- */
static void leave_content(power_content *c)
{
  power_plan plan = {0};
  uint64_t luck = power_draw(&power.seed) % 3;
  if (!power_content_plan(c, &power.seed, &plan))
    abort();
  size_t most = luck == 0 ? 0 : luck == 1 ? plan.len : (size_t)(power_draw(&power.seed) % (plan.len + 1));
  for (size_t i = 0; i < most; i++)
    if (!power_content_land(c, plan.at[i]))
      abort();
  if (luck == 1 && !power_content_resize(c))
    abort();
  mc_vec_free(&plan);
}

/* One more boundary. The lock is held: while this process dies, nothing else of it reaches the disk. */
static void boundary(const char *what, const char *path)
{
  if ((power.file && !strstr(path, power.file)) || ++power.boundary != power.cut_at)
    return;
  for (power_content *c = power.content; c; c = c->next)
    leave_content(c);
  power_names_land(&power.name, NULL, (size_t)(power_draw(&power.seed) % (power.name.op.len + 1)));
  int out = power.trace ? open(power.trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  const char *slash = strrchr(path, '/');
  if (out >= 0)
    dprintf(out, "%s %s\n", what, slash ? slash + 1 : path);
  kill(getpid(), SIGKILL);
  for (;;)
    pause();
}

static mc_err no_memory(mc_why *why)
{
  return mc_err_set(why, MC_ERR_MEMORY, "power cut: out of memory");
}

static bool chance(unsigned one_of)
{
  return power_draw(&power.seed) % one_of == 0;
}

/* ---- files ---- */
static mc_err open_now(power_file *f, const char *path, int flags, unsigned mode, mc_why *why)
{
  const char *real = power_names_find(&power.name, path);
  bool make = !real && (flags & MC_FILE_CREATE);
  if (real && (flags & MC_FILE_EXCLUSIVE)) {
    errno = EEXIST;
    return mc_err_errno(why, "open %s", path);
  }
  if (make) {
    const char *slash = strrchr(path, '/');
    char folder[1000];
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (access(folder, F_OK))
      return mc_err_errno(why, "open %s", path);
    boundary("create", path);
    real = power_names_create(&power.name, path);
    if (!real)
      return no_memory(why);
  }
  if (!real) {
    errno = ENOENT;
    return mc_err_errno(why, "open %s", path);
  }
  mc_file *under = NULL;
  int how = (flags & ~(MC_FILE_TRUNCATE | MC_FILE_CREATE | MC_FILE_EXCLUSIVE)) | (make ? MC_FILE_CREATE : 0);
  MC_TRY(mc_fs_posix_ops.open(power_real(), real, how, mode, &under, why));
  f->base = (mc_file){.ops = &power_ops, .fd = under->fd, .path = strdup(path)};
  free(under->path);
  free(under);
  f->content = power_content_of(&power.content, f->base.fd);
  if (!f->base.path || !f->content)
    return no_memory(why);
  if (flags & MC_FILE_TRUNCATE)
    power_content_truncate(f->content, 0);
  if (make)
    boundary("created", path);
  return MC_OK;
}

static mc_err power_open(const mc_fs *fs, const char *path, int flags, unsigned mode, mc_file **out, mc_why *why)
{
  power_file *f = calloc(1, sizeof *f);
  if (!f)
    return no_memory(why);
  pthread_mutex_lock(&power.lock);
  mc_err err = open_now(f, path, flags, mode, why);
  pthread_mutex_unlock(&power.lock);
  if (!err)
    *out = &f->base;
  else if (f->base.ops)
    f->base.ops->close(&f->base);
  else
    free(f);
  return err;
}

static void power_close(mc_file *file)
{
  power_file *f = (power_file *)file;
  pthread_mutex_lock(&power.lock);
  if (f->content)
    power_content_release(&power.content, f->content);
  pthread_mutex_unlock(&power.lock);
  mc_fs_posix_ops.close(file);
}

static mc_err power_pread(mc_file *file, void *out, size_t len, uint64_t offset, size_t *got, mc_why *why)
{
  power_file *f = (power_file *)file;
  pthread_mutex_lock(&power.lock);
  bool ok = power_content_read(f->content, out, len, offset, got);
  pthread_mutex_unlock(&power.lock);
  return ok ? MC_OK : mc_err_errno(why, "read %s", file->path);
}

static mc_err power_pwritev(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why)
{
  power_file *f = (power_file *)file;
  uint64_t at = offset;
  bool ok = true;
  pthread_mutex_lock(&power.lock);
  boundary("write", file->path);
  for (size_t i = 0; i < count && ok; at += iov[i++].len)
    if (iov[i].len)
      ok = power_content_write(f->content, iov[i].data, iov[i].len, at);
  if (ok && at > offset && chance(4))
    power_content_leak(f->content, &power.seed, at - offset, offset);
  boundary("written", file->path);
  pthread_mutex_unlock(&power.lock);
  return ok ? MC_OK : no_memory(why);
}

static mc_err power_zero(mc_file *file, uint64_t offset, uint64_t len, mc_why *why)
{
  power_file *f = (power_file *)file;
  pthread_mutex_lock(&power.lock);
  boundary("zero", file->path);
  bool ok = power_content_write(f->content, NULL, len, offset);
  boundary("zeroed", file->path);
  pthread_mutex_unlock(&power.lock);
  return ok ? MC_OK : no_memory(why);
}

static mc_err power_reserve(mc_file *file, uint64_t size, mc_why *why)
{
  power_file *f = (power_file *)file;
  pthread_mutex_lock(&power.lock);
  boundary("reserve", file->path);
  if (f->content->size < size)
    power_content_truncate(f->content, size);
  boundary("reserved", file->path);
  pthread_mutex_unlock(&power.lock);
  return MC_OK;
}

static mc_err power_preallocate(mc_file *file, uint64_t size, mc_why *why) { return power_zero(file, 0, size, why); }

static mc_err power_truncate(mc_file *file, uint64_t size, mc_why *why)
{
  power_file *f = (power_file *)file;
  pthread_mutex_lock(&power.lock);
  boundary("truncate", file->path);
  power_content_truncate(f->content, size);
  boundary("truncated", file->path);
  pthread_mutex_unlock(&power.lock);
  return MC_OK;
}

/* The disk takes its time, and others go on meanwhile. Lock held before and after. */
static void take_time(unsigned most_us)
{
  unsigned us = (unsigned)(power_draw(&power.seed) % most_us);
  pthread_mutex_unlock(&power.lock);
  usleep(us);
  pthread_mutex_lock(&power.lock);
}

static bool land_all(power_file *f)
{
  enum { BATCH = 256 };
  power_plan plan = {0};
  bool ok = power_content_plan(f->content, &power.seed, &plan);
  size_t middle = plan.len ? (size_t)(power_draw(&power.seed) % plan.len) : 0;
  for (size_t i = 0; i < plan.len && ok; i++) {
    ok = power_content_land(f->content, plan.at[i]);
    if (i == middle) {
      boundary("half synced", f->base.path);
      take_time(1500);
    } else if (i % BATCH == BATCH - 1) {
      take_time(50);
    }
  }
  mc_vec_free(&plan);
  return ok && power_content_resize(f->content);
}

static mc_err power_sync(mc_file *file, mc_why *why)
{
  power_file *f = (power_file *)file;
  pthread_mutex_lock(&power.lock);
  boundary("sync", file->path);
  take_time(500);
  bool ok = power.lies || land_all(f);
  boundary("synced", file->path);
  pthread_mutex_unlock(&power.lock);
  return ok ? MC_OK : mc_err_errno(why, "sync %s", file->path);
}

static mc_err power_write_behind(mc_file *file, uint64_t offset, uint64_t len, mc_why *why)
{
  return MC_OK; /* promises nothing */
}

static mc_err power_size(mc_file *file, uint64_t *out, mc_why *why)
{
  pthread_mutex_lock(&power.lock);
  *out = ((power_file *)file)->content->size;
  pthread_mutex_unlock(&power.lock);
  return MC_OK;
}

static mc_err power_lock(mc_file *file, mc_why *why)
{
  return mc_fs_posix_ops.lock(file, why); /* the real inode's: another process must see it */
}

/* ---- names ---- */
static mc_err missing(const char *path, mc_why *why)
{
  errno = ENOENT;
  return mc_err_errno(why, "%s", path);
}

/* A change of names was made: sometimes the file system writes its log of them at once. */
static void named(const char *what, const char *path)
{
  if (chance(4))
    power_names_land(&power.name, NULL, SIZE_MAX);
  boundary(what, path);
}

static mc_err power_rename(const mc_fs *fs, const char *from, const char *to, mc_why *why)
{
  mc_err err = MC_OK;
  pthread_mutex_lock(&power.lock);
  boundary("rename", to);
  if (!power_names_find(&power.name, from))
    err = missing(from, why);
  else if (!power_names_rename(&power.name, from, to))
    err = no_memory(why);
  else
    named("renamed", to);
  pthread_mutex_unlock(&power.lock);
  return err;
}

static mc_err power_unlink(const mc_fs *fs, const char *path, mc_why *why)
{
  mc_err err = MC_OK;
  pthread_mutex_lock(&power.lock);
  if (!power_names_find(&power.name, path)) {
    err = missing(path, why);
  } else {
    boundary("remove", path);
    if (power_names_unlink(&power.name, path))
      named("removed", path);
    else
      err = no_memory(why);
  }
  pthread_mutex_unlock(&power.lock);
  return err;
}

static mc_err power_sync_dir(const mc_fs *fs, const char *path, mc_why *why)
{
  if (access(path, F_OK))
    return mc_err_errno(why, "open folder %s", path);
  pthread_mutex_lock(&power.lock);
  boundary("sync of names", path);
  power_names_land(&power.name, path, SIZE_MAX);
  boundary("synced names", path);
  pthread_mutex_unlock(&power.lock);
  return MC_OK;
}

/* Only backups link, and they are no part of the loop: durable at once. */
static mc_err power_link(const mc_fs *fs, const char *from, const char *to, mc_why *why)
{
  pthread_mutex_lock(&power.lock);
  power_names_land(&power.name, NULL, SIZE_MAX);
  mc_err err = mc_fs_posix_ops.link(power_real(), from, to, why);
  pthread_mutex_unlock(&power.lock);
  return err;
}

/* Folders are made when a data folder is new, and are taken as durable at once. */
static mc_err power_mkdirs(const mc_fs *fs, const char *path, mc_why *why)
{
  return mc_fs_posix_ops.mkdirs(power_real(), path, why);
}

static mc_err power_free_bytes(const mc_fs *fs, const char *path, uint64_t *out, mc_why *why)
{
  return mc_fs_posix_ops.free_bytes(power_real(), path, out, why);
}

/* The visitor may call this layer again: names are gathered under the lock, and told without it. */
struct told {
  MC_VEC(char *) name;
};

static mc_err gather(void *ctx, const char *name)
{
  struct told *t = ctx;
  char *copy = strdup(name);
  return copy && mc_vec_push(&t->name, copy) == MC_OK ? MC_OK : MC_ERR_MEMORY;
}

static mc_err power_list(const mc_fs *fs, const char *path, mc_err (*visit)(void *ctx, const char *name), void *ctx, mc_why *why)
{
  struct told t = {0};
  pthread_mutex_lock(&power.lock);
  mc_err err = power_names_list(&power.name, path, gather, &t, why);
  pthread_mutex_unlock(&power.lock);
  for (size_t i = 0; i < t.name.len; i++) {
    if (!err)
      err = visit(ctx, t.name.at[i]);
    free(t.name.at[i]);
  }
  mc_vec_free(&t.name);
  return err;
}

/* A ring would pass this layer by: there is none. Groups are then written by plain calls. */
static int no_ring(const mc_fs *fs, unsigned entries, struct io_uring_params *p)
{
  return -ENOSYS;
}

static void close_no_ring(const mc_fs *fs, int fd)
{
}

static const mc_ring_kernel power_ring = {.setup = no_ring, .close = close_no_ring};

static const mc_fs_ops power_ops = {
    .open = power_open,
    .close = power_close,
    .pread = power_pread,
    .pwritev = power_pwritev, /* and pwritev_direct: what passes the page cache is no more durable before a sync than what does not */
    .sync = power_sync,
    .write_behind = power_write_behind,
    .zero = power_zero,
    .reserve = power_reserve,
    .preallocate = power_preallocate,
    .truncate = power_truncate,
    .size = power_size,
    .lock = power_lock,
    .rename = power_rename,
    .link = power_link,
    .unlink = power_unlink,
    .mkdirs = power_mkdirs,
    .sync_dir = power_sync_dir,
    .list = power_list,
    .free_bytes = power_free_bytes,
    .ring = &power_ring,
};
