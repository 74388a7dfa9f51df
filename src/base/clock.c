#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t (*wall_source)(void);
static int64_t (*mono_source)(void);

static int64_t read_clock(clockid_t id)
{
  struct timespec ts;
  clock_gettime(id, &ts);
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t mc_clock_wall_us(void)
{
  return wall_source ? wall_source() : read_clock(CLOCK_REALTIME);
}

int64_t mc_clock_mono_us(void)
{
  return mono_source ? mono_source() : read_clock(CLOCK_MONOTONIC);
}

void mc_clock_set_source(int64_t (*wall_us)(void), int64_t (*mono_us)(void))
{
  wall_source = wall_us;
  mono_source = mono_us;
}

void mc_clock_format_us(int64_t time_us, char out[MC_CLOCK_TEXT])
{
  int64_t ms = time_us / 1000 - (time_us % 1000 < 0);
  int64_t s = ms / 1000 - (ms % 1000 < 0);
  time_t seconds = (time_t)s;
  struct tm tm;
  if (!gmtime_r(&seconds, &tm) || tm.tm_year > 8099 || tm.tm_year < -1900) {
    snprintf(out, MC_CLOCK_TEXT, "out-of-range");
    return;
  }
  char date[24];
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(out, MC_CLOCK_TEXT, "%s.%03dZ", date, (int)(ms - s * 1000));
}

/* Reads exactly n digits. */
static bool digits(mc_cursor *c, int n, int *out)
{
  int v = 0;
  for (int i = 0; i < n; i++) {
    uint8_t d = mc_cursor_u8(c);
    if (!c->ok || d < '0' || d > '9')
      return false;
    v = v * 10 + (d - '0');
  }
  *out = v;
  return true;
}

mc_err mc_clock_parse_us(mc_slice text, int64_t *time_us)
{
  mc_cursor c = mc_cursor_of(text);
  int year, month, day, hour, minute, second;
  if (!digits(&c, 4, &year) || mc_cursor_u8(&c) != '-' || !digits(&c, 2, &month) || mc_cursor_u8(&c) != '-' ||
      !digits(&c, 2, &day) || (mc_cursor_u8(&c) | 0x20) != 't' || !digits(&c, 2, &hour) || mc_cursor_u8(&c) != ':' ||
      !digits(&c, 2, &minute) || mc_cursor_u8(&c) != ':' || !digits(&c, 2, &second))
    return MC_ERR_MALFORMED;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
    return MC_ERR_INVALID;
  int64_t micros = 0;
  uint8_t next = mc_cursor_u8(&c);
  if (next == '.') {
    int64_t scale = 100000;
    size_t count = 0;
    for (next = mc_cursor_u8(&c); c.ok && next >= '0' && next <= '9'; next = mc_cursor_u8(&c), count++) {
      micros += scale * (next - '0');
      scale /= 10;
    }
    if (!count)
      return MC_ERR_MALFORMED;
  }
  int64_t shift_s = 0;
  if (next == '+' || next == '-') {
    int oh, om;
    if (!digits(&c, 2, &oh) || mc_cursor_u8(&c) != ':' || !digits(&c, 2, &om) || oh > 23 || om > 59)
      return MC_ERR_MALFORMED;
    shift_s = (next == '+' ? 1 : -1) * (oh * 3600 + om * 60);
  } else if ((next | 0x20) != 'z') {
    return MC_ERR_MALFORMED;
  }
  if (!c.ok || mc_cursor_left(&c))
    return MC_ERR_MALFORMED;
  struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second};
  time_t seconds = timegm(&tm);
  if (tm.tm_mday != day || tm.tm_mon != month - 1)
    return MC_ERR_INVALID; /* 30 February rolled over */
  *time_us = ((int64_t)seconds - shift_s) * 1000000 + micros;
  return MC_OK;
}
