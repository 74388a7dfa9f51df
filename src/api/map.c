/* The base map. */
#include "api/inside.h"

void map_wanted(mc_api *api)
{
  int unasked = API_MAP_UNASKED;
  if (atomic_compare_exchange_strong(&api->map_state, &unasked, API_MAP_COMING))
    api->config.want_map(api->config.ctx);
}

const char *map_text(const mc_api *api)
{
  int state = atomic_load(&api->map_state); /* before the map: one that comes in between is seen */
  if (atomic_load(&api->map))
    return "loaded";
  if (state == API_MAP_COMING)
    return "is being made";
  if (state == API_MAP_UNASKED)
    return "is made when somebody opens the portal or asks for it";
  return api->map_reason[0] ? api->map_reason : "no base map is loaded";
}

static mc_err get_map(api_call *c, mc_geo_map **out)
{
  mc_api *api = c->api;
  map_wanted(api);
  int state = atomic_load(&api->map_state); /* before the map: one that comes in between is seen */
  *out = atomic_load(&api->map);
  if (*out)
    return MC_OK;
  if (state == API_MAP_COMING) {
    reply_header(c, "Retry-After", MC_LIT("1"));
    return mc_err_set(&c->why, MC_ERR_AGAIN, "the base map is still being made; ask again in a second");
  }
  if (api->map_reason[0])
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "no base map: %s", api->map_reason);
  return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "no base map is loaded; start with an OSM extract or with the demo's town");
}

mc_err api_op_map_info(api_call *c)
{
  mc_geo_map *m;
  MC_TRY(get_map(c, &m));
  mc_geo_bounds b = mc_geo_map_bounds(m);
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_str_field(j, "name", mc_geo_map_name(m));
  mc_json_str_field(j, "attribution", mc_geo_map_attribution(m));
  mc_json_key(j, "bounds");
  mc_json_array(j);
  mc_json_double(j, b.west);
  mc_json_double(j, b.south);
  mc_json_double(j, b.east);
  mc_json_double(j, b.north);
  mc_json_array_end(j);
  mc_json_key(j, "center");
  mc_json_array(j);
  mc_json_double(j, (b.west + b.east) / 2);
  mc_json_double(j, (b.south + b.north) / 2);
  mc_json_array_end(j);
  mc_json_int_field(j, "min_zoom", MC_GEO_TILE_MIN_ZOOM);
  mc_json_int_field(j, "max_zoom", MC_GEO_TILE_MAX_ZOOM);
  mc_json_object_end(j);
  return MC_OK;
}

mc_err api_op_map_tile(api_call *c)
{
  mc_geo_map *m;
  uint64_t at[3];
  MC_TRY(get_map(c, &m));
  for (size_t i = 0; i < 3; i++)
    if (mc_slice_to_u64(c->param[i], &at[i]) || at[i] > UINT32_MAX)
      return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "a tile is /{z}/{x}/{y} in whole numbers");
  mc_slice accept = mc_http_request_header(c->request, "accept-encoding");
  bool gzip = accept.len && memmem(accept.data, accept.len, "gzip", 4);
  mc_err err = mc_geo_map_tile(m, (uint32_t)at[0], (uint32_t)at[1], (uint32_t)at[2], gzip, &c->out, &c->why);
  if (err)
    return err == MC_ERR_INVALID ? (c->status = 404, err) : err;
  c->content_type = "application/vnd.mapbox-vector-tile";
  if (!c->out.len)
    c->status = 204;
  else if (gzip)
    reply_header(c, "Content-Encoding", MC_LIT("gzip"));
  reply_header(c, "Cache-Control", MC_LIT("private, max-age=3600"));
  reply_header(c, "Vary", MC_LIT("Accept-Encoding"));
  return MC_OK;
}
