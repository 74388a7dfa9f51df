/* The catalog: nodes sorted by full name. */
#include "signal/signal.h"

const mc_catalog_node *mc_catalog_find(const mc_catalog *c, mc_slice fqn)
{
  size_t low = 0, high = c->node.len;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    int order = mc_slice_compare(c->node.at[mid].fqn, fqn);
    if (order == 0)
      return &c->node.at[mid];
    if (order < 0)
      low = mid + 1;
    else
      high = mid;
  }
  return NULL;
}

void mc_catalog_free(mc_catalog *c)
{
  if (!c)
    return;
  mc_vec_free(&c->node);
  mc_arena_free(&c->arena);
}
