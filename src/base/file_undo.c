#include "base/file_undo.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512 };

mc_inode *mc_inode_of(mc_inode **list, int fd)
{
  struct stat st;
  if (fstat(fd, &st))
    return NULL;
  for (mc_inode *n = *list; n; n = n->next)
    if (n->dev == st.st_dev && n->ino == st.st_ino)
      return n;
  char self[64];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  mc_inode *n = calloc(1, sizeof *n);
  if (!n)
    return NULL;
  n->fd = open(self, O_RDWR | O_CLOEXEC);
  if (n->fd < 0) { /* a file we may only read has nothing to undo */
    free(n);
    return NULL;
  }
  n->dev = st.st_dev;
  n->ino = st.st_ino;
  n->next = *list;
  *list = n;
  return n;
}

static void change_free(mc_change *c)
{
  free(c->fresh);
  free(c->before);
}

static void forget_changes(mc_inode *n)
{
  for (size_t i = 0; i < n->change.len; i++)
    change_free(&n->change.at[i]);
  mc_vec_clear(&n->change);
}

static bool read_back(int fd, uint8_t *out, uint64_t len, uint64_t offset)
{
  for (uint64_t got = 0; got < len;) {
    ssize_t n = pread(fd, out + got, len - got, (off_t)(offset + got));
    if (n <= 0)
      return false;
    got += (uint64_t)n;
  }
  return true;
}

void mc_inode_free(mc_inode *n)
{
  forget_changes(n);
  mc_vec_free(&n->change);
  close(n->fd);
  free(n);
}

mc_err mc_inode_remember(mc_inode *n, bool truncate, uint64_t offset, uint64_t len, uint8_t *fresh, mc_why *why)
{
  struct stat st;
  mc_change c = {.truncate = truncate, .offset = offset, .len = len, .fresh = fresh};
  bool ok = n && fstat(n->fd, &st) == 0;
  if (ok) {
    c.old_size = (uint64_t)st.st_size;
    uint64_t end = truncate || offset + len > c.old_size ? c.old_size : offset + len;
    c.before_len = offset < end ? end - offset : 0;
    c.before = c.before_len ? malloc(c.before_len) : NULL;
    ok = (!c.before_len || (c.before && read_back(n->fd, c.before, c.before_len, offset))) && !mc_vec_push(&n->change, c);
  }
  if (ok)
    return MC_OK;
  change_free(&c);
  return mc_err_set(why, MC_ERR_MEMORY, "fault twin: cannot remember a change");
}

bool mc_inode_put(int fd, const uint8_t *data, uint64_t len, uint64_t offset)
{
  static const uint8_t zeros[65536];
  while (len) {
    size_t n = data ? (size_t)len : len < sizeof zeros ? (size_t)len : sizeof zeros;
    ssize_t w = pwrite(fd, data ? data : zeros, n, (off_t)offset);
    if (w <= 0)
      return false;
    if (data)
      data += w;
    offset += (uint64_t)w;
    len -= (uint64_t)w;
  }
  return true;
}

static bool undo(mc_inode *n, const mc_change *c)
{
  return mc_inode_put(n->fd, c->before, c->before ? c->before_len : 0, c->offset) && ftruncate(n->fd, (off_t)c->old_size) == 0;
}

uint64_t mc_undo_draw(uint64_t *seed)
{
  uint64_t z = *seed += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

static bool redo_torn(mc_inode *n, const mc_change *c, uint64_t *seed)
{
  bool prefix = mc_undo_draw(seed) & 1;
  uint64_t keep = mc_undo_draw(seed) % (c->len / SECTOR + 1);
  uint64_t sector = 0;
  for (uint64_t at = 0; at < c->len; sector++) {
    uint64_t n_bytes = SECTOR - (c->offset + at) % SECTOR;
    if (n_bytes > c->len - at)
      n_bytes = c->len - at;
    bool lands = prefix ? sector < keep : mc_undo_draw(seed) & 1;
    if (lands && !mc_inode_put(n->fd, c->fresh ? c->fresh + at : NULL, n_bytes, c->offset + at))
      return false;
    at += n_bytes;
  }
  return true;
}

static bool redo(mc_inode *n, const mc_change *c, uint64_t *seed)
{
  uint64_t luck = mc_undo_draw(seed) % 3;
  if (c->state == MC_CHANGE_DURABLE)
    luck = 1;
  if (luck == 0)
    return true;
  if (c->truncate)
    return ftruncate(n->fd, (off_t)c->offset) == 0;
  return luck == 1 ? mc_inode_put(n->fd, c->fresh, c->len, c->offset) : redo_torn(n, c, seed);
}

bool mc_inode_cut(mc_inode *n, uint64_t *seed)
{
  bool ok = true;
  for (size_t i = n->change.len; i-- > 0;)
    ok &= undo(n, &n->change.at[i]);
  for (size_t i = 0; i < n->change.len; i++)
    ok &= redo(n, &n->change.at[i], seed);
  forget_changes(n);
  return ok;
}

void mc_inode_settle(mc_inode *n, bool synced)
{
  bool doomed = false;
  for (size_t i = 0; i < n->change.len; i++)
    doomed |= n->change.at[i].state == MC_CHANGE_DOOMED;
  if (synced && !doomed) {
    forget_changes(n);
    return;
  }
  for (size_t i = 0; i < n->change.len; i++)
    if (n->change.at[i].state == MC_CHANGE_UNSYNCED)
      n->change.at[i].state = synced ? MC_CHANGE_DURABLE : MC_CHANGE_DOOMED;
}
