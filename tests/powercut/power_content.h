/* What a file holds as the process sees it, and what of that is on the disk. Bytes written stay here, in sectors of 512, until they are landed:
 * SIGKILL forgets the rest, as a power cut does. Test only; the caller holds the layer's lock. */
#ifndef TESTS_POWER_CONTENT_H
#define TESTS_POWER_CONTENT_H

#include <sys/types.h>

#include "base/map.h"
#include "base/vec.h"

enum { POWER_SECTOR = 512, POWER_PAGE = 4096 };

typedef struct power_content {
  struct power_content *next;
  dev_t dev;
  ino_t ino;
  int fd; /* for reading and writing where the system allows it; keeps the inode, and so its number, from being used again */
  unsigned opens;
  uint64_t size; /* as the process sees it */
  uint64_t cut;  /* the disk still holds bytes from here on that were truncated away; UINT64_MAX: none */
  mc_map page;   /* index -> power_page: pages with sectors that are not on the disk */
} power_content;

/* A piece of what is not on the disk: sectors of one page. */
typedef struct power_piece {
  uint64_t page;
  uint8_t sectors; /* a bit each */
} power_piece;
typedef MC_VEC(power_piece) power_plan;

/* The content behind fd, found in or added to *list, and held until it is released. NULL: out of memory or descriptors. */
power_content *power_content_of(power_content **list, int fd);
void power_content_release(power_content **list, power_content *c);
bool power_content_read(power_content *c, uint8_t *out, size_t len, uint64_t offset, size_t *got);
bool power_content_write(power_content *c, const uint8_t *data /* NULL: zeros */, uint64_t len, uint64_t offset);
void power_content_truncate(power_content *c, uint64_t size);
bool power_content_dirty(const power_content *c);
/* All that is not on the disk, in an order that the seed makes. */
bool power_content_plan(power_content *c, uint64_t *seed, power_plan *out);
/* Puts a piece on the disk as it is now; nothing when it is there already. A truncation lands before it. */
bool power_content_land(power_content *c, power_piece piece);
/* Some sectors of [offset, offset + len) reach the disk on their own, as the kernel writes back when it likes. */
void power_content_leak(power_content *c, uint64_t *seed, uint64_t len, uint64_t offset);
bool power_content_resize(power_content *c); /* the size that the process sees, on the disk */
uint64_t power_draw(uint64_t *seed);         /* splitmix64 */

#endif
