#include <math.h>
#include <pthread.h>
#include <zlib.h>

#include "../format/mvt_read.h"
#include "extract.h"

typedef struct seen {
  int features, outside, untagged;
  int layer[7];
  double sea, lake;
  bool class_met[32];
  int named_roads, bridges, oneways;
} seen;

static const char *const layers[7] = {"land", "water", "waterway", "building", "road", "boundary", "place"};
static const char *const classes[] = {"class=park", "class=wood", "class=grass", "class=residential", "class=industrial", "class=commercial", "class=farm",
                                      "class=sand", "class=cemetery", "class=school", "class=sports", "class=square", "class=sea", "class=lake",
                                      "class=river", "class=motorway", "class=trunk", "class=primary", "class=secondary", "class=tertiary",
                                      "class=minor", "class=path", "class=rail", "kind=city", "kind=village", "kind=suburb", "kind=poi", "class=stream"};
enum { CLASSES = sizeof classes / sizeof classes[0] };

static bool has(const mvt_feature *f, const char *text)
{
  for (int i = 0; i < f->tags; i++)
    if (!strcmp(f->text[i], text))
      return true;
  return false;
}

static bool has_key(const mvt_feature *f, const char *key)
{
  for (int i = 0; i < f->tags; i++)
    if (!strncmp(f->text[i], key, strlen(key)) && f->text[i][strlen(key)] == '=')
      return true;
  return false;
}

static void look(void *ctx, const mvt_feature *f)
{
  seen *s = ctx;
  s->features++;
  int layer = -1;
  for (int i = 0; i < 7; i++)
    if (!strcmp(f->layer, layers[i]))
      layer = i;
  if (layer < 0) {
    s->outside++;
    return;
  }
  s->layer[layer]++;
  s->outside += f->x0 < -128 || f->y0 < -128 || f->x1 > 4096 + 128 || f->y1 > 4096 + 128;
  static const int type[7] = {3, 3, 2, 3, 2, 2, 1};
  s->outside += f->type != type[layer];
  if (layer == 0 || layer == 1 || layer == 2 || layer == 4)
    s->untagged += !has_key(f, "class");
  if (layer == 6)
    s->untagged += !has_key(f, "kind") || !has_key(f, "name");
  if (layer == 4) {
    s->untagged += !has_key(f, "oneway") || !has_key(f, "bridge") || !has_key(f, "tunnel");
    s->named_roads += has_key(f, "name");
    s->bridges += has(f, "bridge=1");
    s->oneways += has(f, "oneway=1");
  }
  if (has(f, "class=sea"))
    s->sea += (f->outer_area + f->hole_area) / 2;
  for (int i = 0; i < CLASSES; i++)
    s->class_met[i] = s->class_met[i] || has(f, classes[i]);
}

static void tile_of(mc_geo_point p, uint32_t z, uint32_t *x, uint32_t *y)
{
  double n = pow(2, z), s = sin(p.lat * M_PI / 180);
  *x = (uint32_t)((p.lon + 180) / 360 * n);
  *y = (uint32_t)((0.5 - log((1 + s) / (1 - s)) / (4 * M_PI)) * n);
}

/* Every tile over the map's box at these zooms must decode; false at the first that does not. */
static bool look_at_all(mc_geo_map *m, uint32_t low, uint32_t high, seen *s, size_t *largest)
{
  mc_geo_bounds b = mc_geo_map_bounds(m);
  for (uint32_t z = low; z <= high; z++) {
    uint32_t x0, y0, x1, y1;
    tile_of((mc_geo_point){b.west, b.north}, z, &x0, &y0);
    tile_of((mc_geo_point){b.east, b.south}, z, &x1, &y1);
    for (uint32_t y = y0; y <= y1; y++)
      for (uint32_t x = x0; x <= x1; x++) {
        mc_buf out = {0};
        mc_why why;
        bool ok = mc_geo_map_tile(m, z, x, y, false, &out, &why) == MC_OK && mvt_read(mc_buf_slice(&out), look, s) >= 0;
        *largest = out.len > *largest ? out.len : *largest;
        mc_buf_free(&out);
        if (!ok) {
          printf("# tile %u/%u/%u\n", z, x, y);
          return false;
        }
      }
  }
  return true;
}

static void test_town_tiles_decode_and_show_everything(void)
{
  mc_geo_map *m;
  CHECK_OK(mc_geo_make_town(1, &m, NULL, NULL));
  seen s = {0};
  size_t largest = 0;
  CHECK(look_at_all(m, 8, 15, &s, &largest));
  CHECK_INT(s.outside, 0);
  CHECK_INT(s.untagged, 0);
  for (int i = 0; i < 7; i++)
    if (i != 5) /* an island has no boundary lines */
      CHECK(s.layer[i] > 0);
  for (int i = 0; i < CLASSES; i++)
    if (!s.class_met[i])
      TAP_FAIL("nothing with %s in the town", classes[i]);
  CHECK(s.named_roads > 1000);
  CHECK(s.bridges > 10);
  CHECK(s.oneways > 100);
  printf("# %d features drawn, largest tile %zu bytes\n", s.features, largest);
  CHECK(largest < 500000);
  mc_geo_map_destroy(&m);
}

static void check_extract(const char *name)
{
  mc_geo_map *m;
  mc_why why;
  seen s = {0};
  size_t largest = 0;
  CHECK(load_extract(name, &m, NULL, &why));
  CHECK(look_at_all(m, 8, 15, &s, &largest));
  mc_geo_map_destroy(&m);
  CHECK_INT(s.outside, 0);
  CHECK_INT(s.untagged, 0);
  CHECK(s.layer[0] > 50 && s.layer[4] > 500 && s.layer[6] > 5);
  CHECK(largest < 500000);
}

static void test_monaco_tiles_decode(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  check_extract("monaco");
}

static void test_liechtenstein_tiles_decode(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  check_extract("liechtenstein");
}

/* What is known of two places: harbour water is sea, the palace rock is land. */
static bool is_sea(mc_geo_map *m, mc_geo_point p)
{
  uint32_t x, y;
  seen s = {0};
  mc_buf out = {0};
  tile_of(p, 16, &x, &y);
  mc_err err = mc_geo_map_tile(m, 16, x, y, false, &out, NULL);
  int n = mvt_read(mc_buf_slice(&out), look, &s);
  mc_buf_free(&out);
  return err == MC_OK && n >= 0 && s.sea > 0.5 * 4352 * 4352;
}

static void test_monaco_has_its_sea_on_the_right_side(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  mc_geo_map *m;
  mc_why why;
  CHECK(load_extract("monaco", &m, NULL, &why));
  bool south_east = is_sea(m, (mc_geo_point){7.440, 43.730}), far_out = is_sea(m, (mc_geo_point){7.55, 43.60});
  bool hill = is_sea(m, (mc_geo_point){7.415, 43.738}), inland = is_sea(m, (mc_geo_point){7.37, 43.76});
  mc_geo_map_destroy(&m);
  CHECK(south_east && far_out);
  CHECK(!hill && !inland);
}

static void test_the_ocean_around_the_town_is_sea(void)
{
  mc_geo_map *m;
  CHECK_OK(mc_geo_make_town(4, &m, NULL, NULL));
  bool out_there = is_sea(m, (mc_geo_point){-31.0, 46.5}), centre = is_sea(m, (mc_geo_point){-30.2072, 46.083});
  mc_geo_map_destroy(&m);
  CHECK(out_there);
  CHECK(!centre);
}

static void test_gzip_and_plain_hold_the_same(void)
{
  mc_geo_map *m;
  mc_buf plain = {0}, packed = {0}, again = {0};
  uint32_t x, y;
  CHECK_OK(mc_geo_make_town(1, &m, NULL, NULL));
  tile_of((mc_geo_point){-30.2072, 46.083}, 14, &x, &y);
  CHECK_OK(mc_geo_map_tile(m, 14, x, y, true, &packed, NULL));
  CHECK_OK(mc_geo_map_tile(m, 14, x, y, false, &plain, NULL));
  CHECK_OK(mc_geo_map_tile(m, 14, x, y, false, &again, NULL));
  uint8_t *bytes = malloc(plain.len + 1);
  z_stream z = {.next_in = packed.data, .avail_in = (uInt)packed.len, .next_out = bytes, .avail_out = (uInt)plain.len + 1};
  CHECK_INT(inflateInit2(&z, 15 + 16), Z_OK);
  CHECK_INT(inflate(&z, Z_FINISH), Z_STREAM_END);
  inflateEnd(&z);
  CHECK_INT(z.total_out, plain.len);
  CHECK(!memcmp(bytes, plain.data, plain.len));
  CHECK(mc_slice_eq(mc_buf_slice(&plain), mc_buf_slice(&again)));
  CHECK(packed.len < plain.len);
  free(bytes);
  mc_buf_free(&plain);
  mc_buf_free(&packed);
  mc_buf_free(&again);
  mc_geo_map_destroy(&m);
}

static void test_refuses_tiles_that_do_not_exist(void)
{
  mc_geo_map *m;
  mc_buf out = {0};
  mc_why why;
  CHECK_OK(mc_geo_make_town(1, &m, NULL, NULL));
  CHECK_INT(mc_geo_map_tile(m, 7, 0, 0, false, &out, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "8 to 16");
  CHECK_INT(mc_geo_map_tile(m, 17, 0, 0, false, &out, &why), MC_ERR_INVALID);
  CHECK_INT(mc_geo_map_tile(m, 8, 256, 0, false, &out, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "below 256");
  CHECK_INT(mc_geo_map_tile(m, 8, 0, UINT32_MAX, false, &out, &why), MC_ERR_INVALID);
  CHECK_OK(mc_geo_map_tile(m, 8, 255, 255, false, &out, &why)); /* far away: empty */
  CHECK_INT(out.len, 0);
  CHECK_OK(mc_geo_map_tile(m, 16, 65535, 0, true, &out, &why));
  CHECK_INT(out.len, 0);
  mc_buf_free(&out);
  mc_geo_map_destroy(&m);
}

typedef struct reader {
  mc_geo_map *m;
  uint64_t sum;
  bool failed;
} reader;

static void *read_tiles(void *arg)
{
  reader *r = arg;
  uint32_t x, y;
  tile_of((mc_geo_point){-30.22, 46.10}, 14, &x, &y);
  for (uint32_t k = 0; k < 60; k++) {
    mc_buf out = {0};
    r->failed = r->failed || mc_geo_map_tile(r->m, 14, x + k % 5, y + k / 5 % 4, k & 1, &out, NULL);
    r->sum += mc_slice_fnv1a(mc_buf_slice(&out));
    mc_buf_free(&out);
  }
  return NULL;
}

static void test_many_threads_read_the_same_tiles(void)
{
  mc_geo_map *m;
  CHECK_OK(mc_geo_make_town(1, &m, NULL, NULL));
  reader r[4] = {{m, 0, false}, {m, 0, false}, {m, 0, false}, {m, 0, false}};
  pthread_t thread[4];
  for (int i = 0; i < 4; i++)
    CHECK_INT(pthread_create(&thread[i], NULL, read_tiles, &r[i]), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(thread[i], NULL);
  mc_geo_map_destroy(&m);
  for (int i = 0; i < 4; i++) {
    CHECK(!r[i].failed);
    CHECK(r[i].sum == r[0].sum);
  }
}

int main(void)
{
  RUN(test_town_tiles_decode_and_show_everything);
  RUN(test_monaco_tiles_decode);
  RUN(test_liechtenstein_tiles_decode);
  RUN(test_monaco_has_its_sea_on_the_right_side);
  RUN(test_the_ocean_around_the_town_is_sea);
  RUN(test_gzip_and_plain_hold_the_same);
  RUN(test_refuses_tiles_that_do_not_exist);
  RUN(test_many_threads_read_the_same_tiles);
  return tap_done();
}
