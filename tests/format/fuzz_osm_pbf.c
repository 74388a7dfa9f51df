#include "format/osm_pbf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum;

static mc_err on_box(void *ctx, double west, double south, double east, double north) { return MC_OK; }

static void touch(const mc_osm_tag *tag, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++)
    for (size_t k = 0; k < tag[i].value.len; k++)
      sum += tag[i].value.data[k];
}

static mc_err on_node(void *ctx, const mc_osm_node *n)
{
  touch(n->tag, n->tag_count);
  return MC_OK;
}

static mc_err on_way(void *ctx, const mc_osm_way *w)
{
  touch(w->tag, w->tag_count);
  for (uint32_t i = 0; i < w->ref_count; i++)
    sum += (uint64_t)w->ref[i];
  return MC_OK;
}

static mc_err on_relation(void *ctx, const mc_osm_relation *r)
{
  touch(r->tag, r->tag_count);
  for (uint32_t i = 0; i < r->member_count; i++)
    sum += r->member[i].role.len;
  return MC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_osm_visitor v = {.box = on_box, .node = on_node, .way = on_way, .relation = on_relation};
  mc_why why;
  (void)mc_osm_pbf_read(mc_slice_of(data, size), &v, &why);
  return 0;
}
