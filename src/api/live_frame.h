/* The binary frames of the live stream; byte tables in operations.json ("live") and README. Private to api. */
#ifndef MC_API_LIVE_FRAME_H
#define MC_API_LIVE_FRAME_H

#include "twin/twin.h"

enum { LIVE_HEADER = 24, LIVE_FLEET_RECORD = 17, LIVE_VALUE_RECORD = 20, LIVE_RECORDS_MAX = 65535 };
typedef enum live_kind { LIVE_FLEET_FULL = 1, LIVE_FLEET_CHANGES = 2, LIVE_VALUES = 3 } live_kind;

/* Appends a header with count 0; the count is set as records are added. */
mc_err live_frame_begin(mc_buf *b, live_kind kind, uint32_t epoch, uint64_t sequence, int64_t now_us);
mc_err live_frame_vehicle(mc_buf *b, size_t header_at, const mc_vehicle_now *v, int64_t now_us);
mc_err live_frame_value(mc_buf *b, size_t header_at, const mc_latest *v);
uint16_t live_frame_count(const mc_buf *b, size_t header_at);

#endif
