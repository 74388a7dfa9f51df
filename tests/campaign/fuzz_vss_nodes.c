/* A VSS tree from outside as FleetWise's Nodes: a list whose names are names, or an error that says where. */
#include <stdlib.h>

#include "campaign/vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  json_t *list = NULL;
  mc_why why = {0};
  if (vss_nodes(mc_slice_of(data, size), &list, &why)) {
    if (!why.text[0] || list)
      abort();
    return 0;
  }
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  json_t *node;
  size_t i;
  if (!json_array_size(list))
    abort();
  json_array_foreach (list, i, node) {
    catalog_node n;
    if (catalog_node_read(node, &arena, &n) || !campaign_fqn_valid(n.fqn) || !n.document.len)
      abort();
    if (node_is_signal(n.kind) && !data_type_find(n.data_type))
      abort();
  }
  json_decref(list);
  return 0;
}
