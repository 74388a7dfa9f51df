#include "api/live_frame.h"

#include <math.h>

mc_err live_frame_begin(mc_buf *b, live_kind kind, uint32_t epoch, uint64_t sequence, int64_t now_us)
{
  MC_TRY(mc_buf_reserve(b, LIVE_HEADER));
  uint8_t *p = b->data + b->len;
  p[0] = 1; /* version */
  p[1] = (uint8_t)kind;
  mc_store_le16(p + 2, 0);
  mc_store_le32(p + 4, epoch);
  mc_store_le64(p + 8, sequence);
  mc_store_le64(p + 16, (uint64_t)(now_us / 1000));
  b->len += LIVE_HEADER;
  return MC_OK;
}

uint16_t live_frame_count(const mc_buf *b, size_t header_at)
{
  return mc_load_le16(b->data + header_at + 2);
}

static void count_one(mc_buf *b, size_t header_at)
{
  mc_store_le16(b->data + header_at + 2, (uint16_t)(live_frame_count(b, header_at) + 1));
}

static bool has(const mc_vehicle_now *v, mc_role role)
{
  return v->present >> role & 1;
}

static uint8_t speed_byte(const mc_vehicle_now *v)
{
  if (!has(v, MC_ROLE_SPEED) || !isfinite(v->speed_kmh))
    return 255;
  double kmh = round(fabs(v->speed_kmh));
  return kmh >= 254 ? 254 : (uint8_t)kmh;
}

mc_err live_frame_vehicle(mc_buf *b, size_t header_at, const mc_vehicle_now *v, int64_t now_us)
{
  MC_TRY(mc_buf_reserve(b, LIVE_FLEET_RECORD));
  uint8_t *p = b->data + b->len;
  bool placed = has(v, MC_ROLE_LATITUDE) && has(v, MC_ROLE_LONGITUDE) && fabs(v->latitude) <= 90 && fabs(v->longitude) <= 180;
  bool headed = has(v, MC_ROLE_HEADING) && isfinite(v->heading_deg);
  int64_t age_s = placed && v->position_us ? (now_us - v->position_us) / 1000000 : 65535;
  mc_store_le32(p, v->vehicle);
  mc_store_le32(p + 4, placed ? (uint32_t)(int32_t)lround(v->longitude * 1e7) : 0);
  mc_store_le32(p + 8, placed ? (uint32_t)(int32_t)lround(v->latitude * 1e7) : 0);
  p[12] = speed_byte(v);
  p[13] = headed ? (uint8_t)((long)lround(fmod(v->heading_deg, 360) * 256 / 360) & 255) : 0;
  p[14] = (uint8_t)(mc_vehicle_now_motion(v, now_us) << 4 | (headed ? 1 : 0) | (placed ? 2 : 0));
  mc_store_le16(p + 15, (uint16_t)(age_s < 0 ? 0 : age_s > 65535 ? 65535 : age_s));
  b->len += LIVE_FLEET_RECORD;
  count_one(b, header_at);
  return MC_OK;
}

mc_err live_frame_value(mc_buf *b, size_t header_at, const mc_latest *v)
{
  MC_TRY(mc_buf_reserve(b, LIVE_VALUE_RECORD));
  uint8_t *p = b->data + b->len;
  double value = v->kind == MC_SAMPLE_STRING ? NAN : v->value;
  mc_store_le32(p, v->signal);
  mc_store_le64(p + 4, (uint64_t)(v->time_us / 1000));
  memcpy(p + 12, &value, 8);
  b->len += LIVE_VALUE_RECORD;
  count_one(b, header_at);
  return MC_OK;
}
