/* Objects as files: <root>/<bucket>/<key>. A file is made whole in <root>/.new, synced, then given its name: readers see all of it or none. No bucket
 * begins with a dot, so .new is nobody's. */
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/vec.h"
#include "object/kind.h"

enum { PATH_ROOM = 4096 };

typedef struct directory {
  mc_object_store base;
  const mc_fs *fs;
  _Atomic uint64_t next; /* names in .new */
} directory;

static const char *root_of(const mc_object_store *s)
{
  return s->place;
}

static mc_err path_of(const mc_object_store *s, mc_slice bucket, mc_slice key, char out[PATH_ROOM], mc_why *why)
{
  int n = snprintf(out, PATH_ROOM, "%s/%.*s%s%.*s", root_of(s), MC_FMT(bucket), key.len ? "/" : "", MC_FMT(key));
  return n > 0 && n < PATH_ROOM ? MC_OK : mc_err_set(why, MC_ERR_TOO_LARGE, "path of object %.*s is too long", MC_FMT(mc_slice_sub(key, 0, 120)));
}

static mc_err refusal(mc_err err, mc_slice key, mc_why *why)
{
  int cause = errno;
  if (cause == ENOTDIR || cause == EISDIR || cause == ENOTEMPTY)
    return mc_err_set(why, MC_ERR_CONFLICT, "object %.*s: in a directory a key cannot be both an object and the folder of others", MC_FMT(key));
  return err;
}

/* The folders above a file, and their entries on disk. */
static mc_err make_folders(directory *d, char *path, mc_slice key, mc_why *why)
{
  char *last = strrchr(path, '/');
  *last = 0;
  errno = 0;
  mc_err err = mc_fs_mkdirs(d->fs, path, why);
  if (err == MC_ERR_EXISTS) /* a file stands where a folder should */
    errno = ENOTDIR;
  if (err)
    err = refusal(err, key, why);
  *last = '/';
  return err;
}

static mc_err sync_folders(directory *d, char *path, mc_why *why)
{
  size_t root = strlen(root_of(&d->base));
  mc_err err = MC_OK;
  for (char *p = strrchr(path, '/'); p && (size_t)(p - path) >= root && !err; p = strrchr(path, '/')) {
    *p = 0;
    err = mc_fs_sync_dir(d->fs, path, why);
  }
  return err;
}

/* Gives the finished file its name. */
static mc_err publish(directory *d, const char *made, mc_slice bucket, mc_slice key, unsigned flags, mc_why *why)
{
  char path[PATH_ROOM];
  mc_err err = path_of(&d->base, bucket, key, path, why);
  if (!err)
    err = make_folders(d, path, key, why);
  errno = 0;
  if (!err && (flags & MC_OBJECT_IF_ABSENT)) {
    err = mc_fs_link(d->fs, made, path, why);
    if (!err)
      mc_fs_unlink(d->fs, made, NULL);
  } else if (!err) {
    err = mc_fs_rename(d->fs, made, path, why);
  }
  if (err == MC_ERR_IO)
    err = refusal(err, key, why);
  if (err) {
    mc_fs_unlink(d->fs, made, NULL);
    return err;
  }
  return sync_folders(d, path, why);
}

static mc_err new_path(directory *d, char out[PATH_ROOM], mc_why *why)
{
  snprintf(out, PATH_ROOM, "%s/.new", root_of(&d->base));
  MC_TRY(mc_fs_mkdirs(d->fs, out, why));
  snprintf(out, PATH_ROOM, "%s/.new/%d-%llu", root_of(&d->base), (int)getpid(), (unsigned long long)atomic_fetch_add(&d->next, 1));
  return MC_OK;
}

static mc_err write_new(directory *d, const char *path, mc_slice content, mc_why *why)
{
  mc_file *file;
  MC_TRY(mc_file_open(d->fs, path, MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, &file, why));
  mc_err err = content.len ? mc_file_pwrite(file, content.data, content.len, 0, why) : MC_OK;
  if (!err)
    err = mc_file_sync(file, why);
  mc_file_close(&file);
  if (err)
    mc_fs_unlink(d->fs, path, NULL);
  return err;
}

static mc_err put(mc_object_store *s, mc_slice bucket, mc_slice key, mc_slice content, const char *content_type, unsigned flags, mc_why *why)
{
  directory *d = (directory *)s;
  char made[PATH_ROOM];
  (void)content_type; /* a file system has no place for it */
  MC_TRY(new_path(d, made, why));
  MC_TRY(write_new(d, made, content, why));
  return publish(d, made, bucket, key, flags, why);
}

static mc_err put_file(mc_object_store *s, mc_slice bucket, mc_slice key, const char *path, const char *content_type, mc_why *why)
{
  directory *d = (directory *)s;
  char made[PATH_ROOM];
  uint64_t bytes;
  uint32_t crc;
  (void)content_type;
  MC_TRY(new_path(d, made, why));
  MC_TRY(mc_fs_copy(d->fs, path, made, 0600, &bytes, &crc, why));
  return publish(d, made, bucket, key, 0, why);
}

static mc_err missing(mc_slice bucket, mc_slice key, mc_why *why)
{
  return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no object %.*s in bucket %.*s", MC_FMT(key), MC_FMT(bucket));
}

static mc_err head(mc_object_store *s, mc_slice bucket, mc_slice key, mc_object_info *out, mc_why *why)
{
  char path[PATH_ROOM];
  struct stat st;
  MC_TRY(path_of(s, bucket, key, path, why));
  if (stat(path, &st))
    return errno == ENOENT || errno == ENOTDIR ? missing(bucket, key, why) : mc_err_errno(why, "object %s", path);
  if (!S_ISREG(st.st_mode))
    return missing(bucket, key, why);
  out->size = (uint64_t)st.st_size;
  out->changed_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
  return MC_OK;
}

static mc_err get(mc_object_store *s, mc_slice bucket, mc_slice key, uint64_t offset, uint64_t len, size_t limit, mc_buf *out, mc_why *why)
{
  directory *d = (directory *)s;
  char path[PATH_ROOM];
  mc_object_info info;
  MC_TRY(head(s, bucket, key, &info, why));
  MC_TRY(path_of(s, bucket, key, path, why));
  uint64_t there = offset < info.size ? info.size - offset : 0;
  if (len > there)
    len = there;
  if (len > limit)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "object %.*s has %llu bytes there; at most %zu are taken", MC_FMT(key), (unsigned long long)len, limit);
  if (!len)
    return MC_OK;
  MC_TRY(mc_buf_reserve(out, (size_t)len));
  mc_file *file;
  size_t got = 0;
  MC_TRY(mc_file_open(d->fs, path, MC_FILE_READ, &file, why));
  mc_err err = mc_file_pread(file, out->data + out->len, (size_t)len, offset, &got, why);
  mc_file_close(&file);
  out->len += err ? 0 : got;
  return err;
}

static mc_err remove_object(mc_object_store *s, mc_slice bucket, mc_slice key, mc_why *why)
{
  directory *d = (directory *)s;
  char path[PATH_ROOM];
  mc_object_info info;
  mc_err err = head(s, bucket, key, &info, why);
  if (err)
    return err == MC_ERR_NOT_FOUND ? MC_OK : err;
  MC_TRY(path_of(s, bucket, key, path, why));
  err = mc_fs_unlink(d->fs, path, why);
  if (err)
    return err == MC_ERR_NOT_FOUND ? MC_OK : err;
  char *last = strrchr(path, '/');
  *last = 0;
  MC_TRY(mc_fs_sync_dir(d->fs, path, why));
  /* Folders that nothing needs any more, as far as the bucket. */
  size_t bucket_len = strlen(root_of(s)) + 1 + bucket.len;
  while (strlen(path) > bucket_len && rmdir(path) == 0)
    *strrchr(path, '/') = 0;
  return MC_OK;
}

/* ---- listing ---- */
typedef struct walk {
  const directory *d;
  mc_slice bucket, prefix, after;
  size_t left;
  mc_object_visit visit;
  void *ctx;
  mc_why *why;
  mc_buf key; /* of the folder being walked, with its slash */
} walk;

typedef struct entry {
  char *name; /* folders with a slash at their end: that is how keys sort */
  uint64_t size;
  int64_t changed_us;
} entry;
typedef MC_VEC(entry) entry_vec;

static int by_name(const void *a, const void *b)
{
  const entry *x = a, *y = b;
  return strcmp(x->name, y->name); /* UTF-8 in byte order */
}

static void free_entries(entry_vec *v)
{
  for (size_t i = 0; i < v->len; i++)
    free(v->at[i].name);
  mc_vec_free(v);
}

static mc_err read_folder(const walk *w, const char *path, entry_vec *out)
{
  DIR *dir = opendir(path);
  if (!dir)
    return errno == ENOENT || errno == ENOTDIR ? MC_ERR_NOT_FOUND : mc_err_errno(w->why, "folder %s", path);
  mc_err err = MC_OK;
  for (struct dirent *e; !err && (e = readdir(dir));) {
    struct stat st;
    char *name;
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || fstatat(dirfd(dir), e->d_name, &st, 0))
      continue;
    bool folder = S_ISDIR(st.st_mode);
    if ((!folder && !S_ISREG(st.st_mode)) || asprintf(&name, "%s%s", e->d_name, folder ? "/" : "") < 0)
      continue;
    err = mc_vec_push(out, ((entry){name, (uint64_t)st.st_size, (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000}));
    if (err)
      free(name);
  }
  closedir(dir);
  if (!err && out->len)
    qsort(out->at, out->len, sizeof *out->at, by_name);
  return err;
}

/* Could a key that begins with this folder have the prefix and lie behind `after`? */
static bool worth_walking(const walk *w, mc_slice folder)
{
  size_t common = folder.len < w->prefix.len ? folder.len : w->prefix.len;
  if (common && memcmp(folder.data, w->prefix.data, common) != 0)
    return false;
  size_t seen = folder.len < w->after.len ? folder.len : w->after.len;
  return !seen || memcmp(folder.data, w->after.data, seen) >= 0;
}

static mc_err walk_folder(walk *w);

static mc_err walk_entry(walk *w, const entry *e)
{
  size_t before = w->key.len, name = strlen(e->name);
  mc_err err = MC_OK;
  MC_TRY(mc_buf_append(&w->key, e->name, name));
  mc_slice key = mc_buf_slice(&w->key);
  if (e->name[name - 1] == '/') {
    if (worth_walking(w, key))
      err = walk_folder(w);
  } else if (mc_slice_starts(key, w->prefix) && mc_slice_compare(key, w->after) > 0) {
    w->left--;
    err = w->visit(w->ctx, &(mc_object_info){key, e->size, e->changed_us});
  }
  w->key.len = before;
  return err;
}

static mc_err walk_folder(walk *w)
{
  char path[PATH_ROOM];
  entry_vec v = {0};
  mc_slice folder = mc_buf_slice(&w->key);
  MC_TRY(path_of(&w->d->base, w->bucket, folder, path, w->why));
  mc_err err = read_folder(w, path, &v);
  for (size_t i = 0; i < v.len && !err && w->left; i++)
    err = walk_entry(w, &v.at[i]);
  free_entries(&v);
  return err;
}

static mc_err list(mc_object_store *s, mc_slice bucket, mc_slice prefix, mc_slice after, size_t limit, mc_object_visit visit, void *ctx, mc_why *why)
{
  walk w = {(directory *)s, bucket, prefix, after, limit, visit, ctx, why, {0}};
  struct stat st;
  char path[PATH_ROOM];
  MC_TRY(path_of(s, bucket, (mc_slice){0}, path, why));
  if (stat(path, &st))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no bucket %.*s in %s", MC_FMT(bucket), root_of(s));
  mc_err err = walk_folder(&w);
  mc_buf_free(&w.key);
  return err == MC_ERR_NOT_FOUND ? MC_OK : err; /* a folder that went meanwhile */
}

static mc_err presign(mc_object_store *s, mc_slice bucket, mc_slice key, uint32_t expires_s, mc_buf *url, mc_why *why)
{
  return mc_err_set(why, MC_ERR_UNSUPPORTED, "objects in a directory have no URL of their own");
}

static void close_directory(mc_object_store *s)
{
  free(s);
}

static const object_kind kind = {put, put_file, get, head, list, remove_object, presign, close_directory};

static mc_err drop_new(void *ctx, const char *name)
{
  const directory *d = ctx;
  char path[PATH_ROOM];
  snprintf(path, sizeof path, "%s/.new/%s", root_of(&d->base), name);
  mc_fs_unlink(d->fs, path, NULL);
  return MC_OK;
}

mc_err mc_object_open_directory(const mc_fs *fs, const char *root, mc_object_store **out, mc_why *why)
{
  char path[PATH_ROOM];
  *out = NULL;
  MC_TRY(mc_fs_mkdirs(fs, root, why));
  directory *d = calloc(1, sizeof *d);
  if (!d || !(d->base.place = strdup(root))) {
    free(d);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the object store");
  }
  d->base.kind = &kind;
  d->fs = fs;
  snprintf(path, sizeof path, "%s/.new", root);
  mc_fs_list(fs, path, drop_new, d, NULL); /* what a crash left unfinished */
  *out = &d->base;
  return MC_OK;
}
