#include "format/mvt.h"

#include "mvt_read.h"
#include "tap.h"

static void test_encodes_the_specifications_example(void)
{
  /* Specification 2.1, 4.3.5.2: a linestring (2,2) (2,10) (10,10) is 9 4 4 18 0 16 16 0. */
  mc_buf tile = {0};
  mc_mvt m;
  mc_mvt_init(&m, &tile);
  mc_mvt_layer_open(&m, "l", 4096);
  mc_mvt_feature_begin(&m, MC_MVT_LINE);
  mc_mvt_line(&m, (mc_mvt_point[]){{2, 2}, {2, 10}, {10, 10}}, 3);
  mc_mvt_feature_end(&m);
  mc_err err = mc_mvt_layer_close(&m);
  const uint8_t want[] = {0x22, 8, 9, 4, 4, 18, 0, 16, 16, 0};
  bool found = false;
  for (size_t i = 0; i + sizeof want <= tile.len; i++)
    found = found || !memcmp(tile.data + i, want, sizeof want);
  int features = mvt_read(mc_buf_slice(&tile), NULL, NULL);
  mc_mvt_free(&m);
  mc_buf_free(&tile);
  CHECK_OK(err);
  CHECK(found);
  CHECK_INT(features, 1);
}

static void keep_last(void *ctx, const mvt_feature *f) { *(mvt_feature *)ctx = *f; }

static void test_a_polygon_with_hole_and_tags_comes_back(void)
{
  mc_buf tile = {0};
  mc_mvt m;
  mvt_feature f = {0};
  mc_mvt_init(&m, &tile);
  mc_mvt_layer_open(&m, "land", 4096);
  for (int i = 0; i < 3; i++) {
    mc_mvt_feature_begin(&m, MC_MVT_POLYGON);
    mc_mvt_ring(&m, (mc_mvt_point[]){{0, 0}, {100, 0}, {100, 100}, {0, 100}}, 4);
    mc_mvt_ring(&m, (mc_mvt_point[]){{20, 20}, {20, 60}, {60, 60}, {60, 20}}, 4);
    mc_mvt_tag_str(&m, "class", MC_LIT("park"));
    mc_mvt_tag_int(&m, "rank", -i);
    mc_mvt_feature_end(&m);
  }
  mc_err err = mc_mvt_layer_close(&m);
  int features = mvt_read(mc_buf_slice(&tile), keep_last, &f);
  mc_mvt_free(&m);
  mc_buf_free(&tile);
  CHECK_OK(err);
  CHECK_INT(features, 3);
  CHECK_DOUBLE(f.outer_area, 20000, 0);
  CHECK_DOUBLE(f.hole_area, -3200, 0);
  CHECK_STR(f.text[0], "class=park");
  CHECK_STR(f.text[1], "rank=-2");
}

static void test_equal_keys_and_values_are_stored_once(void)
{
  size_t size[2];
  for (int different = 0; different < 2; different++) {
    mc_buf tile = {0};
    mc_mvt m;
    mc_mvt_init(&m, &tile);
    mc_mvt_layer_open(&m, "place", 4096);
    for (int i = 0; i < 50; i++) {
      char text[32];
      snprintf(text, sizeof text, "a value of length %02d", different ? i : 0);
      mc_mvt_feature_begin(&m, MC_MVT_POINT);
      mc_mvt_point_add(&m, (mc_mvt_point){i, i});
      mc_mvt_tag_str(&m, "name", mc_slice_str(text));
      mc_mvt_feature_end(&m);
    }
    (void)mc_mvt_layer_close(&m);
    size[different] = tile.len;
    mc_mvt_free(&m);
    mc_buf_free(&tile);
  }
  CHECK(size[1] > size[0] + 49 * 20);
}

static void test_empty_things_leave_no_bytes(void)
{
  mc_buf tile = {0};
  mc_mvt m;
  mc_mvt_init(&m, &tile);
  mc_mvt_layer_open(&m, "road", 4096);
  mc_mvt_feature_begin(&m, MC_MVT_LINE);
  mc_mvt_line(&m, (mc_mvt_point[]){{1, 1}}, 1);
  mc_mvt_tag_str(&m, "class", MC_LIT("minor"));
  mc_mvt_feature_end(&m);
  mc_mvt_feature_begin(&m, MC_MVT_POLYGON);
  mc_mvt_ring(&m, (mc_mvt_point[]){{1, 1}, {2, 2}}, 2);
  mc_mvt_feature_end(&m);
  mc_err err = mc_mvt_layer_close(&m);
  size_t len = tile.len;
  mc_mvt_free(&m);
  mc_buf_free(&tile);
  CHECK_OK(err);
  CHECK_INT(len, 0);
}

static void test_extreme_coordinates_survive(void)
{
  mc_buf tile = {0};
  mc_mvt m;
  mvt_feature f = {0};
  mc_mvt_init(&m, &tile);
  mc_mvt_layer_open(&m, "l", 4096);
  mc_mvt_feature_begin(&m, MC_MVT_LINE);
  mc_mvt_line(&m, (mc_mvt_point[]){{-(1 << 29), 5}, {1 << 29, -7}, {0, 1 << 29}}, 3);
  mc_mvt_feature_end(&m);
  (void)mc_mvt_layer_close(&m);
  int features = mvt_read(mc_buf_slice(&tile), keep_last, &f);
  mc_mvt_free(&m);
  mc_buf_free(&tile);
  CHECK_INT(features, 1);
  CHECK_INT(f.x0, -(1 << 29));
  CHECK_INT(f.x1, 1 << 29);
  CHECK_INT(f.y1, 1 << 29);
}

int main(void)
{
  RUN(test_encodes_the_specifications_example);
  RUN(test_a_polygon_with_hole_and_tags_comes_back);
  RUN(test_equal_keys_and_values_are_stored_once);
  RUN(test_empty_things_leave_no_bytes);
  RUN(test_extreme_coordinates_survive);
  return tap_done();
}
