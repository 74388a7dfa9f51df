/* Clocks. Wall time is int64 microseconds UTC since 1970; monotonic time is microseconds since an
 * arbitrary start. Tests may freeze both with mc_clock_set_source. Any thread. */
#ifndef MC_BASE_CLOCK_H
#define MC_BASE_CLOCK_H

#include <stdint.h>

#include "base/slice.h"

int64_t mc_clock_wall_us(void);
int64_t mc_clock_mono_us(void);

/* Both functions or NULL (the system's). Call before threads start. */
void mc_clock_set_source(int64_t (*wall_us)(void), int64_t (*mono_us)(void));

/* ISO 8601 with milliseconds and Z, e.g. 2026-11-22T10:41:36.123Z; out holds >= 25 bytes. */
#define MC_CLOCK_TEXT 32
void mc_clock_format_us(int64_t time_us, char out[MC_CLOCK_TEXT]);
/* Accepts YYYY-MM-DDThh:mm:ss[.fraction](Z|+hh:mm|-hh:mm). */
mc_err mc_clock_parse_us(mc_slice text, int64_t *time_us);

#endif
