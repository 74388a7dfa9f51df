/* The base map is made when somebody first wants to see it, and not before. */
#include <stdatomic.h>

#include "api_fixture.h"

static world w;
static atomic_int wanted;
static char portal[64];

static void want(void *ctx)
{
  atomic_fetch_add(&wanted, ctx == &w);
}

static bool begin(void)
{
  w = (world){0};
  atomic_store(&wanted, 0);
  return world_open(&w, &(world_config){.rate_per_s = 100000, .portal_dir = portal, .want_map = want});
}

static answer get(const char *target)
{
  return ask(&w, w.token[MC_ROLE_ADMIN], "GET", target, NULL);
}

static bool health_says(const char *text)
{
  answer a = ask(&w, NULL, "GET", "/api/v1/health", NULL);
  bool says = a.status == 200 && strstr((const char *)a.body.data, text);
  answer_free(&a);
  return says;
}

static void get_expecting(const char *target, int status)
{
  answer a = get(target);
  if (a.status != status)
    TAP_FAIL("%s: status %d, not %d", target, a.status, status);
  answer_free(&a);
}

static void test_nobody_asks_so_none_is_made(void)
{
  CHECK(begin());
  get_expecting("/api/v1/overview", 200);
  get_expecting("/api/v1/vehicles", 200);
  get_expecting("/app.js", 200);
  get_expecting("/none.js", 404);
  answer a = ask(&w, NULL, "GET", "/api/v1/map", NULL); /* a stranger */
  CHECK_INT(a.status, 401);
  answer_free(&a);
  CHECK(health_says("is made when somebody"));
  CHECK_INT(atomic_load(&wanted), 0);
  world_close(&w);
}

static void test_the_first_page_of_the_portal_has_it_made(void)
{
  CHECK(begin());
  get_expecting("/", 200);
  get_expecting("/vehicles/7", 200);
  CHECK_INT(atomic_load(&wanted), 1);
  CHECK(health_says("is being made"));
  world_close(&w);
}

static void test_who_asks_for_it_is_told_to_come_back_and_then_gets_it(void)
{
  mc_why why;
  CHECK(begin());
  answer a = get("/api/v1/map");
  CHECK_INT(a.status, 503);
  CHECK_STR(header_of(&a, "retry-after"), "1");
  answer_free(&a);
  get_expecting("/api/v1/map/tiles/12/0/0", 503);
  CHECK_INT(atomic_load(&wanted), 1);
  CHECK_OK(mc_geo_make_town(7, &w.map, NULL, &why));
  mc_api_set_map(w.api, w.map, "");
  get_expecting("/api/v1/map", 200);
  get_expecting("/api/v1/map/tiles/12/0/0", 204);
  CHECK(health_says("loaded"));
  CHECK_INT(atomic_load(&wanted), 1);
  world_close(&w);
}

static void test_why_there_is_none_is_said(void)
{
  CHECK(begin());
  get_expecting("/api/v1/map", 503);
  mc_api_set_map(w.api, NULL, "map extract x.pbf: blob 3 is broken");
  answer a = get("/api/v1/map");
  CHECK_INT(a.status, 404);
  CHECK(strstr(text_of(&a, "detail"), "blob 3 is broken"));
  answer_free(&a);
  CHECK(health_says("blob 3 is broken"));
  CHECK_INT(atomic_load(&wanted), 1); /* it is not tried again and again */
  world_close(&w);
}

static bool write_file(const char *name, const char *text)
{
  char path[256];
  snprintf(path, sizeof path, "%s/%s", portal, name);
  FILE *f = fopen(path, "w");
  bool ok = f && fputs(text, f) >= 0;
  return f && fclose(f) == 0 && ok;
}

int main(void)
{
  char rm[100];
  const char *base = getenv("TMPDIR");
  snprintf(portal, sizeof portal, "%s/mc-map-XXXXXX", base && *base ? base : "/tmp");
  if (!mkdtemp(portal) || !write_file("index.html", "<!doctype html>page") || !write_file("app.js", "let x = 1"))
    return 1;
  RUN(test_nobody_asks_so_none_is_made);
  RUN(test_the_first_page_of_the_portal_has_it_made);
  RUN(test_who_asks_for_it_is_told_to_come_back_and_then_gets_it);
  RUN(test_why_there_is_none_is_said);
  snprintf(rm, sizeof rm, "rm -rf %s", portal);
  return system(rm) ? 1 : tap_done();
}
