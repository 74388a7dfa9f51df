#include "format/osm_pbf.h"

#include "osm_file.h"
#include "tap.h"

typedef struct tally {
  uint64_t nodes, ways, relations, houses, refs, members;
  int64_t lon_sum, lat_sum;
  int64_t last_node;
  char name[64];
} tally;

static mc_err on_node(void *ctx, const mc_osm_node *n)
{
  tally *t = ctx;
  t->nodes++;
  t->lon_sum += n->lon_e7;
  t->lat_sum += n->lat_e7;
  t->houses += mc_osm_tag_find(n->tag, n->tag_count, "addr:housenumber").len > 0;
  t->last_node = n->id;
  mc_slice name = mc_osm_tag_find(n->tag, n->tag_count, "name");
  if (name.len)
    mc_slice_to_str(name, t->name, sizeof t->name);
  return MC_OK;
}

static mc_err on_way(void *ctx, const mc_osm_way *w)
{
  tally *t = ctx;
  t->ways++;
  t->refs += w->ref_count;
  t->houses += mc_osm_tag_find(w->tag, w->tag_count, "addr:housenumber").len > 0;
  return MC_OK;
}

static mc_err on_relation(void *ctx, const mc_osm_relation *r)
{
  tally *t = ctx;
  t->relations++;
  t->members += r->member_count;
  t->houses += mc_osm_tag_find(r->tag, r->tag_count, "addr:housenumber").len > 0;
  return MC_OK;
}

static mc_err count(mc_slice file, tally *t, mc_why *why)
{
  *t = (tally){0};
  *why = (mc_why){0};
  mc_osm_visitor v = {.ctx = t, .node = on_node, .way = on_way, .relation = on_relation};
  return mc_osm_pbf_read(file, &v, why);
}

static uint8_t file_bytes[4 << 20];
static mc_slice read_extract(const char *name)
{
  char path[1200];
  snprintf(path, sizeof path, "%s/osm/%s.osm.pbf", tap_data_dir(), name);
  FILE *f = fopen(path, "rb");
  size_t n = f ? fread(file_bytes, 1, sizeof file_bytes, f) : 0;
  if (f)
    fclose(f);
  return mc_slice_of(file_bytes, n);
}

/* Numbers from an independent reader (libosmium through pyosmium), coordinates summed in 1e-7 degree. */
static void test_reads_monaco_as_libosmium_does(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  tally t;
  mc_why why;
  CHECK_OK(count(read_extract("monaco"), &t, &why));
  CHECK_INT(t.nodes, 25423);
  CHECK_INT(t.ways, 4106);
  CHECK_INT(t.relations, 243);
  CHECK_INT(t.houses, 257);
  CHECK_INT(t.refs, 30812);
  CHECK_INT(t.members, 27740);
  CHECK_INT(t.lon_sum, 1887174908901);
  CHECK_INT(t.lat_sum, 11118974979247);
}

static void test_reads_liechtenstein_as_libosmium_does(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  tally t;
  mc_why why;
  CHECK_OK(count(read_extract("liechtenstein"), &t, &why));
  CHECK_INT(t.nodes, 142832);
  CHECK_INT(t.ways, 15247);
  CHECK_INT(t.relations, 358);
  CHECK_INT(t.houses, 1008);
  CHECK_INT(t.refs, 159076);
  CHECK_INT(t.members, 17388);
  CHECK_INT(t.lon_sum, 13628801553792);
  CHECK_INT(t.lat_sum, 67336255478469);
}

static void test_reads_raw_and_zlib_blobs_alike(void)
{
  for (int zlib = 0; zlib < 2; zlib++) {
    mc_buf file = {0};
    osm_village(&file, zlib);
    tally t;
    mc_why why;
    mc_err err = count(mc_buf_slice(&file), &t, &why);
    mc_buf_free(&file);
    CHECK_OK(err);
    CHECK_INT(t.nodes, 9);
    CHECK_INT(t.ways, 3);
    CHECK_INT(t.relations, 1);
    CHECK_INT(t.refs, 12);
    CHECK_INT(t.last_node, 9);
    CHECK_INT(t.lon_sum, 95000000 + 95030000 + 95030000 + 95000000 + 95010000 + 95020000 + 95020000 + 95010000 + 95015000);
    CHECK_STR(t.name, "Smallham");
  }
}

static void test_reads_plain_nodes_with_granularity_and_offsets(void)
{
  mc_buf node = {0}, group = {0}, block = {0}, file = {0};
  mc_proto_put_zigzag(&node, 1, -17);
  mc_proto_put_zigzag(&node, 8, 4600000);
  mc_proto_put_zigzag(&node, 9, -3000000);
  mc_proto_put_bytes(&group, 1, mc_buf_slice(&node));
  osm_block(&block, (const char *const[]){""}, 1, mc_buf_slice(&group));
  mc_proto_put_varint(&block, 17, 10000);                  /* granularity, behind the group that needs it */
  mc_proto_put_varint(&block, 19, 1000000000);             /* latitude offset: 1 degree */
  mc_proto_put_varint(&block, 20, (uint64_t)-2000000000);  /* longitude offset: -2 degrees */
  osm_put_header(&file, "DenseNodes");
  osm_put_blob(&file, "OSMData", mc_buf_slice(&block), true);
  tally t;
  mc_why why;
  mc_err err = count(mc_buf_slice(&file), &t, &why);
  mc_buf_free(&node);
  mc_buf_free(&group);
  mc_buf_free(&block);
  mc_buf_free(&file);
  CHECK_OK(err);
  CHECK_INT(t.last_node, -17);
  CHECK_INT(t.lat_sum, 470000000);
  CHECK_INT(t.lon_sum, -320000000);
}

static void test_refuses_every_truncation(void)
{
  mc_buf file = {0};
  osm_village(&file, true);
  size_t clean = 0;
  for (size_t n = 0; n < file.len; n++) {
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, file.data, n);
    tally t;
    mc_why why;
    if (count(mc_slice_of(exact, n), &t, &why) == MC_OK)
      clean++; /* cut exactly between two blobs */
    free(exact);
  }
  mc_buf_free(&file);
  CHECK_INT(clean, 2);
}

static void check_refusal(mc_buf *file, mc_err want, const char *part)
{
  tally t;
  mc_why why;
  mc_err err = count(mc_buf_slice(file), &t, &why);
  mc_buf_free(file);
  CHECK_INT(err, want);
  CHECK_WHY(why, part);
}

static void test_refuses_what_is_not_a_pbf(void)
{
  mc_buf file = {0};
  check_refusal(&file, MC_ERR_INVALID, "empty");
  mc_buf_append_str(&file, "<?xml version=\"1.0\"?><osm/>");
  check_refusal(&file, MC_ERR_INVALID, "not an OSM PBF");
  osm_put_blob(&file, "OSMData", MC_LIT(""), false);
  check_refusal(&file, MC_ERR_INVALID, "OSMHeader");
}

static void test_refuses_a_feature_it_does_not_know(void)
{
  mc_buf file = {0};
  osm_put_header(&file, "HistoricalInformation");
  check_refusal(&file, MC_ERR_UNSUPPORTED, "HistoricalInformation");
}

static void test_refuses_a_blob_that_claims_too_much(void)
{
  mc_buf file = {0}, header = {0}, blob = {0};
  osm_put_header(&file, "DenseNodes");
  mc_proto_put_varint(&blob, 2, 40u << 20); /* raw size of 40 MiB */
  mc_proto_put_bytes(&blob, 3, MC_LIT("xx"));
  mc_proto_put_bytes(&header, 1, MC_LIT("OSMData"));
  mc_proto_put_varint(&header, 3, blob.len);
  uint8_t len[4];
  mc_store_be32(len, (uint32_t)header.len);
  mc_buf_append(&file, len, 4);
  mc_buf_append_slice(&file, mc_buf_slice(&header));
  mc_buf_append_slice(&file, mc_buf_slice(&blob));
  mc_buf_free(&header);
  mc_buf_free(&blob);
  check_refusal(&file, MC_ERR_TOO_LARGE, "32 MiB");
}

static void test_refuses_another_compression(void)
{
  mc_buf file = {0}, header = {0}, blob = {0};
  osm_put_header(&file, "DenseNodes");
  mc_proto_put_varint(&blob, 2, 5);
  mc_proto_put_bytes(&blob, 7, MC_LIT("zstd!"));
  mc_proto_put_bytes(&header, 1, MC_LIT("OSMData"));
  mc_proto_put_varint(&header, 3, blob.len);
  uint8_t len[4];
  mc_store_be32(len, (uint32_t)header.len);
  mc_buf_append(&file, len, 4);
  mc_buf_append_slice(&file, mc_buf_slice(&header));
  mc_buf_append_slice(&file, mc_buf_slice(&blob));
  mc_buf_free(&header);
  mc_buf_free(&blob);
  check_refusal(&file, MC_ERR_UNSUPPORTED, "Zstandard");
}

static void put_data(mc_buf *file, uint32_t kind, const mc_buf *message)
{
  mc_buf group = {0}, block = {0};
  mc_proto_put_bytes(&group, kind, mc_buf_slice(message));
  osm_block(&block, (const char *const[]){"", "a", "b"}, 3, mc_buf_slice(&group));
  osm_put_header(file, "DenseNodes");
  osm_put_blob(file, "OSMData", mc_buf_slice(&block), false);
  mc_buf_free(&group);
  mc_buf_free(&block);
}

static void test_refuses_indexes_outside_the_string_table(void)
{
  mc_buf way = {0}, file = {0};
  osm_put_packed(&way, 2, (int64_t[]){9}, 1, false, false);
  osm_put_packed(&way, 3, (int64_t[]){1}, 1, false, false);
  put_data(&file, 3, &way);
  mc_buf_free(&way);
  check_refusal(&file, MC_ERR_MALFORMED, "string table");
}

static void test_refuses_columns_of_different_length(void)
{
  mc_buf dense = {0}, file = {0};
  osm_put_packed(&dense, 1, (int64_t[]){1, 2, 3}, 3, true, true);
  osm_put_packed(&dense, 8, (int64_t[]){1, 2}, 2, true, true);
  osm_put_packed(&dense, 9, (int64_t[]){1, 2, 3}, 3, true, true);
  put_data(&file, 2, &dense);
  mc_buf_free(&dense);
  check_refusal(&file, MC_ERR_MALFORMED, "different lengths");
}

static void test_refuses_places_outside_the_globe(void)
{
  mc_buf node = {0}, file = {0};
  mc_proto_put_zigzag(&node, 8, 910000000);
  mc_proto_put_zigzag(&node, 9, 0);
  put_data(&file, 1, &node);
  mc_buf_free(&node);
  check_refusal(&file, MC_ERR_MALFORMED, "globe");
}

static mc_err stop(void *ctx, const mc_osm_node *n) { return MC_ERR_FULL; }

static void test_stops_when_a_callback_says_so(void)
{
  mc_buf file = {0};
  osm_village(&file, false);
  mc_osm_visitor v = {.node = stop};
  mc_err err = mc_osm_pbf_read(mc_buf_slice(&file), &v, NULL);
  mc_buf_free(&file);
  CHECK_INT(err, MC_ERR_FULL);
}

int main(void)
{
  RUN(test_reads_monaco_as_libosmium_does);
  RUN(test_reads_liechtenstein_as_libosmium_does);
  RUN(test_reads_raw_and_zlib_blobs_alike);
  RUN(test_reads_plain_nodes_with_granularity_and_offsets);
  RUN(test_refuses_every_truncation);
  RUN(test_refuses_what_is_not_a_pbf);
  RUN(test_refuses_a_feature_it_does_not_know);
  RUN(test_refuses_a_blob_that_claims_too_much);
  RUN(test_refuses_another_compression);
  RUN(test_refuses_indexes_outside_the_string_table);
  RUN(test_refuses_columns_of_different_length);
  RUN(test_refuses_places_outside_the_globe);
  RUN(test_stops_when_a_callback_says_so);
  return tap_done();
}
