#include "signal/signal.h"

static bool is_space(uint8_t c) { return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static mc_err refuse(mc_why *why, mc_slice entry, const char *what)
{
  return mc_err_set(why, MC_ERR_MALFORMED,
                    "channel map entry '%.*s': %s; expected <channel>=<interface>[:<dbc file>[+|-<id offset>]], for example "
                    "9=can9:canmod_gps.dbc-100",
                    MC_FMT(mc_slice_sub(entry, 0, 100)), what);
}

/* Decimal or 0x hexadecimal, whole slice. */
static bool read_number(mc_slice s, uint32_t *out)
{
  uint64_t v = 0;
  if (s.len > 2 && s.data[0] == '0' && (s.data[1] | 32) == 'x') {
    for (size_t i = 2; i < s.len; i++) {
      uint8_t c = s.data[i] | 32;
      if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) || v > UINT32_MAX)
        return false;
      v = v * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
    }
  } else if (mc_slice_to_u64(s, &v)) {
    return false;
  }
  *out = (uint32_t)v;
  return v <= 0x1FFFFFFF;
}

/* Cuts a trailing +n or -n off the file name. A '-' inside the name stays: the offset is at the end and a number. */
static void split_offset(mc_slice *file, int32_t *offset)
{
  size_t i = file->len;
  while (i > 0 && file->data[i - 1] != '+' && file->data[i - 1] != '-')
    i--;
  uint32_t n;
  if (i == 0 || !read_number(mc_slice_sub(*file, i, file->len), &n))
    return;
  *offset = file->data[i - 1] == '-' ? -(int32_t)n : (int32_t)n;
  file->len = i - 1;
}

static mc_err parse_entry(mc_slice e, mc_channel *c, mc_why *why)
{
  uint64_t number;
  size_t equals = mc_slice_find(e, '=', 0);
  if (equals == e.len)
    return refuse(why, e, "there is no '='");
  mc_slice target = mc_slice_sub(e, equals + 1, e.len);
  size_t colon = mc_slice_find(target, ':', 0);
  *c = (mc_channel){.bus_name = mc_slice_sub(e, 0, equals),
                    .bus_number = MC_BUS_CHANNEL_NONE,
                    .interface_id = mc_slice_sub(target, 0, colon),
                    .dbc = mc_slice_sub(target, colon + 1, target.len)};
  if (c->bus_name.len == 0)
    return refuse(why, e, "there is no channel before '='");
  if (c->interface_id.len == 0)
    return refuse(why, e, "there is no interface name after '='");
  if (colon < target.len && c->dbc.len == 0)
    return refuse(why, e, "there is no file name after ':'");
  if (mc_slice_to_u64(c->bus_name, &number) == MC_OK) {
    if (number >= MC_BUS_CHANNEL_NONE)
      return refuse(why, e, "the channel number is over 65534");
    c->bus_number = (uint16_t)number;
  }
  split_offset(&c->dbc, &c->id_offset);
  return c->id_offset && c->dbc.len == 0 ? refuse(why, e, "there is no file name before the offset") : MC_OK;
}

mc_err mc_channel_map_parse(mc_slice text, mc_arena *arena, mc_channel_map *out, mc_why *why)
{
  mc_slice kept;
  MC_VEC(mc_channel) list = {0};
  *out = (mc_channel_map){0};
  mc_err err = mc_arena_copy(arena, text, &kept);
  for (size_t at = 0; at < kept.len && !err;) {
    size_t start = at;
    while (at < kept.len && !is_space(kept.data[at]))
      at++;
    if (at > start) {
      mc_channel c;
      err = parse_entry(mc_slice_sub(kept, start, at - start), &c, why);
      if (!err && list.len >= 1024)
        err = mc_err_set(why, MC_ERR_TOO_LARGE, "channel map: more than 1024 entries");
      if (!err)
        err = mc_vec_push(&list, c);
    }
    at++;
  }
  if (!err) {
    out->at = mc_arena_array(arena, list.len, sizeof *list.at);
    err = out->at ? MC_OK : MC_ERR_MEMORY;
  }
  if (!err && list.len) {
    memcpy(out->at, list.at, list.len * sizeof *list.at);
    out->count = (uint32_t)list.len;
  }
  if (err == MC_ERR_MEMORY)
    mc_err_set(why, err, "channel map: out of memory");
  mc_vec_free(&list);
  return err;
}

int mc_channel_map_find(const mc_channel_map *map, const mc_bus_frame *frame)
{
  for (uint32_t i = 0; i < map->count; i++) {
    const mc_channel *c = &map->at[i];
    if (mc_slice_eq(c->bus_name, MC_LIT("*")))
      return (int)i;
    if (frame->channel != MC_BUS_CHANNEL_NONE ? c->bus_number == frame->channel : mc_slice_eq(c->bus_name, frame->channel_name))
      return (int)i;
  }
  return -1;
}

bool mc_can_frame_from_bus(const mc_bus_frame *frame, const mc_channel_map *map, mc_can_frame *out)
{
  int at = mc_channel_map_find(map, frame);
  if (at < 0 || frame->rtr || frame->error || frame->len > 64)
    return false;
  int64_t id = (int64_t)frame->id + map->at[at].id_offset;
  if (id < 0 || id > (frame->extended ? 0x1FFFFFFF : 0x7FF))
    return false;
  *out = (mc_can_frame){.id = (uint32_t)id,
                        .extended = frame->extended,
                        .fd = frame->fd,
                        .len = frame->len,
                        .channel = (uint16_t)at,
                        .time_us = frame->time_us};
  memcpy(out->data, frame->data, sizeof out->data);
  return true;
}
