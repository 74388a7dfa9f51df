#include "powercut/power_content.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTORS = POWER_PAGE / POWER_SECTOR, ALL = 0xFF };

typedef struct power_page {
  uint8_t dirty;  /* sectors that are not on the disk, a bit each */
  uint8_t *bytes; /* NULL: zeros, all of them */
} power_page;

uint64_t power_draw(uint64_t *seed)
{
  uint64_t z = *seed += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/* ---- finding ---- */
static power_page *page_at(const power_content *c, uint64_t index)
{
  uint64_t value;
  return mc_map_get(&c->page, index, &value) ? (power_page *)(uintptr_t)value : NULL;
}

power_content *power_content_of(power_content **list, int fd)
{
  struct stat st;
  if (fstat(fd, &st))
    return NULL;
  for (power_content *c = *list; c; c = c->next)
    if (c->dev == st.st_dev && c->ino == st.st_ino) {
      c->opens++;
      return c;
    }
  power_content *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  char self[64];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  c->fd = open(self, O_RDWR | O_CLOEXEC);
  if (c->fd < 0)
    c->fd = open(self, O_RDONLY | O_CLOEXEC);
  if (c->fd < 0) {
    free(c);
    return NULL;
  }
  c->dev = st.st_dev;
  c->ino = st.st_ino;
  c->size = (uint64_t)st.st_size;
  c->cut = UINT64_MAX;
  c->opens = 1;
  c->next = *list;
  *list = c;
  return c;
}

bool power_content_dirty(const power_content *c)
{
  struct stat st;
  return c->page.len || c->cut != UINT64_MAX || (fstat(c->fd, &st) == 0 && (uint64_t)st.st_size != c->size);
}

void power_content_release(power_content **list, power_content *c)
{
  if (--c->opens || power_content_dirty(c)) /* closed and not synced: the page cache still has it */
    return;
  while (*list != c)
    list = &(*list)->next;
  *list = c->next;
  mc_map_free(&c->page);
  close(c->fd);
  free(c);
}

/* ---- the process's view ---- */
static bool read_disk(const power_content *c, uint8_t *out, size_t len, uint64_t offset)
{
  uint64_t end = c->size < c->cut ? c->size : c->cut;
  memset(out, 0, len);
  for (size_t got = 0; got < len && offset + got < end;) {
    uint64_t left = end - offset - got;
    ssize_t n = pread(c->fd, out + got, left < len - got ? (size_t)left : len - got, (off_t)(offset + got));
    if (n < 0)
      return false;
    if (n == 0)
      break; /* shorter on the disk: zeros */
    got += (size_t)n;
  }
  return true;
}

bool power_content_read(power_content *c, uint8_t *out, size_t len, uint64_t offset, size_t *got)
{
  if (offset >= c->size)
    return true;
  if (len > c->size - offset)
    len = (size_t)(c->size - offset);
  if (!read_disk(c, out, len, offset))
    return false;
  for (uint64_t at = offset / POWER_SECTOR * POWER_SECTOR; at < offset + len; at += POWER_SECTOR) {
    const power_page *p = page_at(c, at / POWER_PAGE);
    unsigned sector = (unsigned)(at % POWER_PAGE / POWER_SECTOR);
    if (!p || !(p->dirty >> sector & 1))
      continue;
    uint64_t from = at > offset ? at : offset, to = at + POWER_SECTOR < offset + len ? at + POWER_SECTOR : offset + len;
    if (p->bytes)
      memcpy(out + (from - offset), p->bytes + from % POWER_PAGE, (size_t)(to - from));
    else
      memset(out + (from - offset), 0, (size_t)(to - from));
  }
  *got = len;
  return true;
}

/* The page, with all its bytes as the process sees them. */
static power_page *page_make(power_content *c, uint64_t index, bool zeros)
{
  power_page *p = page_at(c, index);
  if (!p) {
    p = calloc(1, sizeof *p);
    if (!p || mc_map_put(&c->page, index, (uintptr_t)p)) {
      free(p);
      return NULL;
    }
    if (!zeros) {
      p->bytes = malloc(POWER_PAGE);
      if (!p->bytes || !read_disk(c, p->bytes, POWER_PAGE, index * POWER_PAGE))
        abort(); /* a test that cannot simulate must not go on */
    }
  } else if (!p->bytes && !zeros) {
    p->bytes = calloc(1, POWER_PAGE);
  } else if (zeros) {
    free(p->bytes);
    p->bytes = NULL;
  }
  return p;
}

bool power_content_write(power_content *c, const uint8_t *data, uint64_t len, uint64_t offset)
{
  for (uint64_t at = offset; at < offset + len;) {
    uint64_t index = at / POWER_PAGE, from = at % POWER_PAGE, n = POWER_PAGE - from;
    if (n > offset + len - at)
      n = offset + len - at;
    power_page *p = page_make(c, index, !data && n == POWER_PAGE);
    if (!p)
      return false;
    if (p->bytes && data)
      memcpy(p->bytes + from, data + (at - offset), n);
    else if (p->bytes)
      memset(p->bytes + from, 0, n);
    for (uint64_t s = from / POWER_SECTOR; s <= (from + n - 1) / POWER_SECTOR; s++)
      p->dirty |= (uint8_t)(1u << s);
    at += n;
  }
  if (offset + len > c->size)
    c->size = offset + len;
  return true;
}

void power_content_truncate(power_content *c, uint64_t size)
{
  if (size < c->size) {
    c->cut = size < c->cut ? size : c->cut;
    /* what lies in the last page behind the end must read as zeros when the file grows again */
    if (size % POWER_PAGE && !power_content_write(c, NULL, POWER_PAGE - size % POWER_PAGE, size))
      abort();
    size_t at = 0;
    uint64_t index, value;
    MC_VEC(uint64_t) beyond = {0};
    while (mc_map_next(&c->page, &at, &index, &value))
      if (index * POWER_PAGE >= size && mc_vec_push(&beyond, index))
        abort();
    for (size_t i = 0; i < beyond.len; i++) {
      power_page *p = page_at(c, beyond.at[i]);
      mc_map_remove(&c->page, beyond.at[i], NULL);
      free(p->bytes);
      free(p);
    }
    mc_vec_free(&beyond);
  }
  c->size = size;
}

/* ---- to the disk ---- */
bool power_content_plan(power_content *c, uint64_t *seed, power_plan *out)
{
  size_t at = 0;
  uint64_t index, value;
  mc_vec_clear(out);
  while (mc_map_next(&c->page, &at, &index, &value)) {
    const power_page *p = (const power_page *)(uintptr_t)value;
    bool whole = !p->bytes && p->dirty == ALL; /* of a file being filled with zeros: many */
    for (unsigned s = 0; s < SECTORS; s += whole ? SECTORS : 1)
      if ((p->dirty >> s & 1) && mc_vec_push(out, ((power_piece){index, (uint8_t)(whole ? ALL : 1u << s)})))
        return false;
  }
  for (size_t i = out->len; i > 1; i--) {
    size_t j = (size_t)(power_draw(seed) % i);
    power_piece swap = out->at[i - 1];
    out->at[i - 1] = out->at[j];
    out->at[j] = swap;
  }
  return true;
}

static bool put(power_content *c, const uint8_t *bytes, uint64_t len, uint64_t offset)
{
  if (offset >= c->size)
    return true;
  if (len > c->size - offset)
    len = c->size - offset;
  return pwrite(c->fd, bytes, (size_t)len, (off_t)offset) == (ssize_t)len;
}

static bool land_cut(power_content *c)
{
  struct stat st;
  if (c->cut == UINT64_MAX)
    return true;
  if (fstat(c->fd, &st) || ((uint64_t)st.st_size > c->cut && ftruncate(c->fd, (off_t)c->cut)))
    return false;
  c->cut = UINT64_MAX;
  return true;
}

bool power_content_land(power_content *c, power_piece piece)
{
  static const uint8_t zeros[POWER_PAGE];
  power_page *p = page_at(c, piece.page);
  uint8_t mask = p ? p->dirty & piece.sectors : 0;
  if (!mask)
    return true;
  if (!land_cut(c))
    return false;
  const uint8_t *bytes = p->bytes ? p->bytes : zeros;
  if (mask == ALL && !put(c, bytes, POWER_PAGE, piece.page * POWER_PAGE))
    return false;
  for (unsigned s = 0; s < SECTORS && mask != ALL; s++)
    if ((mask >> s & 1) && !put(c, bytes + (size_t)s * POWER_SECTOR, POWER_SECTOR, piece.page * POWER_PAGE + (uint64_t)s * POWER_SECTOR))
      return false;
  p->dirty &= (uint8_t)~mask;
  if (!p->dirty) {
    mc_map_remove(&c->page, piece.page, NULL);
    free(p->bytes);
    free(p);
  }
  return true;
}

void power_content_leak(power_content *c, uint64_t *seed, uint64_t len, uint64_t offset)
{
  if (c->cut != UINT64_MAX)
    return;
  for (uint64_t at = offset / POWER_SECTOR; at <= (offset + len - 1) / POWER_SECTOR; at++)
    if ((power_draw(seed) & 1) && !power_content_land(c, (power_piece){at / SECTORS, (uint8_t)(1u << at % SECTORS)}))
      abort();
}

bool power_content_resize(power_content *c)
{
  struct stat st;
  return land_cut(c) && fstat(c->fd, &st) == 0 && ((uint64_t)st.st_size == c->size || ftruncate(c->fd, (off_t)c->size) == 0);
}
