/* Memory for small things that live long, made among many that do not: a session among what its connection needs. With malloc each of them would hold back the
 * page on which it lies when everything around it has gone. Here they lie together, and a block whose last one goes returns to the system. Any thread. */
#ifndef MC_BASE_KEEP_H
#define MC_BASE_KEEP_H

#include <stdbool.h>
#include <stddef.h>

void *mc_keep_alloc(size_t size); /* zeroed; NULL without memory */
void mc_keep_free(void *p, size_t size); /* the size that was asked for; p may be NULL */
char *mc_keep_str(const char *text); /* a copy; NULL without memory */
void mc_keep_str_free(char *text);   /* may be NULL */
/* Builds with a sanitizer use malloc throughout, so that it sees what is freed twice, used afterwards, or lost. For the test of the blocks: before the first use. */
void mc_keep_use_blocks(bool on);
size_t mc_keep_held(void); /* bytes of all blocks */

#endif
