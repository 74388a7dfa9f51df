#include "format/candump.h"

#include <stdio.h>

typedef struct scan {
  mc_slice in;
  size_t at;
  uint64_t line;
  mc_why *why;
} scan;

static mc_err fail(const scan *s, const char *expected)
{
  mc_slice found = mc_slice_sub(s->in, s->at, 24);
  if (found.len == 0)
    return mc_err_set(s->why, MC_ERR_MALFORMED, "line %llu, byte %zu: expected %s, but the line ends",
                      (unsigned long long)s->line, s->at, expected);
  return mc_err_set(s->why, MC_ERR_MALFORMED, "line %llu, byte %zu: expected %s, got '%.*s'", (unsigned long long)s->line, s->at,
                    expected, MC_FMT(found));
}

static uint8_t peek(const scan *s) { return s->at < s->in.len ? s->in.data[s->at] : 0; }

static bool take(scan *s, uint8_t c)
{
  if (s->at >= s->in.len || s->in.data[s->at] != c)
    return false;
  s->at++;
  return true;
}

static void skip_space(scan *s)
{
  while (peek(s) == ' ' || peek(s) == '\t')
    s->at++;
}

static int hex(uint8_t c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Digits as a number; false when there is none or it exceeds most. */
static bool read_decimal(scan *s, int64_t most, int64_t *out, int *digits)
{
  int64_t v = 0;
  int n = 0;
  for (; peek(s) >= '0' && peek(s) <= '9'; s->at++, n++) {
    if (v > (most - (peek(s) - '0')) / 10)
      return false;
    v = v * 10 + (peek(s) - '0');
  }
  *out = v;
  *digits = n;
  return n > 0;
}

/* (seconds.fraction), kept to the microsecond */
static mc_err read_time(scan *s, int64_t *time_us)
{
  int64_t seconds, fraction = 0;
  int digits;
  if (!take(s, '('))
    return fail(s, "a time in brackets, as (1436509052.249713)");
  skip_space(s);
  if (!read_decimal(s, INT64_MAX / 1000000 - 1, &seconds, &digits))
    return fail(s, "a time in seconds");
  if (take(s, '.')) {
    size_t start = s->at;
    while (peek(s) >= '0' && peek(s) <= '9') {
      if (s->at - start < 6)
        fraction = fraction * 10 + (peek(s) - '0');
      s->at++;
    }
    if (s->at == start)
      return fail(s, "digits after the point");
    for (size_t i = s->at - start; i < 6; i++)
      fraction *= 10;
  }
  if (!take(s, ')'))
    return fail(s, "')' after the time");
  *time_us = seconds * 1000000 + fraction;
  return MC_OK;
}

static mc_err read_id(scan *s, mc_bus_frame *f)
{
  size_t start = s->at;
  uint64_t id = 0;
  for (; hex(peek(s)) >= 0 && s->at - start < 9; s->at++)
    id = id << 4 | (uint64_t)hex(peek(s));
  size_t digits = s->at - start;
  if (digits != 3 && digits != 8) {
    s->at = start;
    return fail(s, "an id of 3 (standard) or 8 (extended) hex digits");
  }
  f->extended = digits == 8;
  f->error = f->extended && id >> 29 & 1;
  if (f->error)
    f->extended = false;
  uint64_t most = f->error || f->extended ? 0x1FFFFFFF : 0x7FF;
  f->id = (uint32_t)(f->error ? id & 0x1FFFFFFF : id);
  if ((f->error ? id >> 30 : id > most) != 0) {
    s->at = start;
    return fail(s, f->extended || f->error ? "an id of at most 29 bits (1FFFFFFF)" : "an id of at most 11 bits (7FF)");
  }
  return MC_OK;
}

static mc_err read_data(scan *s, mc_bus_frame *f, uint8_t most)
{
  while (hex(peek(s)) >= 0) {
    int high = hex(peek(s)), low = s->at + 1 < s->in.len ? hex(s->in.data[s->at + 1]) : -1;
    if (low < 0) {
      s->at++;
      return fail(s, "the second hex digit of a byte");
    }
    if (f->len == most)
      return fail(s, most == 8 ? "at most 8 bytes (an FD frame is written with ##)" : "at most 64 bytes");
    f->data[f->len++] = (uint8_t)(high << 4 | low);
    s->at += 2;
    take(s, '.');
  }
  return MC_OK;
}

static mc_err read_fd(scan *s, mc_bus_frame *f)
{
  int flags = hex(peek(s));
  if (flags < 0)
    return fail(s, "one hex digit of FD flags after ##");
  s->at++;
  f->fd = true;
  f->brs = flags & 1;
  f->esi = flags >> 1 & 1;
  MC_TRY(read_data(s, f, 64));
  static const uint8_t sizes[] = {12, 16, 20, 24, 32, 48, 64};
  bool valid = f->len <= 8;
  for (size_t i = 0; i < sizeof sizes; i++)
    valid = valid || f->len == sizes[i];
  return valid ? MC_OK : fail(s, "an FD length (0..8, 12, 16, 20, 24, 32, 48 or 64 bytes)");
}

static mc_err read_remote(scan *s, mc_bus_frame *f)
{
  f->rtr = true;
  if (peek(s) >= '0' && peek(s) <= '8')
    f->len = (uint8_t)(s->in.data[s->at++] - '0');
  return MC_OK;
}

static mc_err read_end(scan *s, mc_bus_frame *f)
{
  if (take(s, '_')) { /* raw DLC 9..F of an 8-byte frame */
    if (hex(peek(s)) < 9)
      return fail(s, "a raw DLC of 9 to F after '_'");
    s->at++;
  }
  size_t before = s->at;
  skip_space(s);
  if (s->at < s->in.len && s->at == before)
    return fail(s, "hex digits or the end of the line");
  if (peek(s) == 'R' || peek(s) == 'T')
    f->sent = s->in.data[s->at++] == 'T';
  skip_space(s);
  return s->at < s->in.len ? fail(s, "the end of the line") : MC_OK;
}

mc_err mc_candump_line(mc_slice line, uint64_t line_number, mc_bus_frame *out, mc_why *why)
{
  line = mc_slice_trim(line);
  if (line.len == 0 || line.data[0] == '#' || line.data[0] == ';' || mc_slice_starts(line, MC_LIT("//")))
    return MC_ERR_END;
  scan s = {.in = line, .line = line_number, .why = why};
  mc_bus_frame f = {.channel = MC_BUS_CHANNEL_NONE};
  MC_TRY(read_time(&s, &f.time_us));
  skip_space(&s);
  size_t start = s.at;
  while (s.at < line.len && line.data[s.at] > ' ')
    s.at++;
  f.channel_name = mc_slice_sub(line, start, s.at - start);
  if (s.at == start || s.at == line.len)
    return fail(&s, "an interface name and a frame");
  skip_space(&s);
  MC_TRY(read_id(&s, &f));
  if (!take(&s, '#'))
    return fail(&s, "'#' after the id");
  if (take(&s, '#'))
    MC_TRY(read_fd(&s, &f));
  else if (take(&s, 'R'))
    MC_TRY(read_remote(&s, &f));
  else
    MC_TRY(read_data(&s, &f, 8));
  MC_TRY(read_end(&s, &f));
  *out = f;
  return MC_OK;
}

mc_err mc_candump_next(mc_candump_reader *r, mc_bus_frame *out, mc_why *why)
{
  while (r->at < r->in.len) {
    size_t end = mc_slice_find(r->in, '\n', r->at);
    mc_slice line = mc_slice_sub(r->in, r->at, end - r->at);
    r->at = end + 1;
    r->line++;
    mc_err err = mc_candump_line(line, r->line, out, why);
    if (err != MC_ERR_END)
      return err;
  }
  return MC_ERR_END;
}

size_t mc_candump_format(const mc_bus_frame *f, char *out, size_t size)
{
  char head[96], number[8] = "can";
  mc_slice name = f->channel_name;
  if (name.len == 0 || name.len > 40) {
    snprintf(number + 3, sizeof number - 3, "%u", f->channel % 1000u);
    name = mc_slice_str(number);
  }
  int n = snprintf(head, sizeof head, "(%lld.%06lld) %.*s ", (long long)(f->time_us / 1000000),
                   (long long)(f->time_us % 1000000), MC_FMT(name));
  uint32_t id = f->error ? f->id | 0x20000000 : f->id;
  n += snprintf(head + n, sizeof head - (size_t)n, f->extended || f->error ? "%08X#" : "%03X#", id);
  size_t len = f->len <= 64 ? f->len : 64;
  if (f->time_us < 0 || size < (size_t)n + 2 * len + 6)
    return 0;
  memcpy(out, head, (size_t)n);
  size_t at = (size_t)n;
  if (f->rtr) {
    at += (size_t)snprintf(out + at, size - at, len ? "R%zu" : "R", len);
  } else {
    if (f->fd)
      at += (size_t)snprintf(out + at, size - at, "#%X", f->brs | f->esi << 1);
    for (size_t i = 0; i < len; i++)
      at += (size_t)snprintf(out + at, size - at, "%02X", f->data[i]);
  }
  out[at++] = '\n';
  out[at] = 0;
  return at;
}
