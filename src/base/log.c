#include "base/log.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

/* A line is at most PIPE_BUF bytes, so that one write(2) to a pipe is whole or nothing, and a pipe that
 * polls writable takes it without blocking. Lines that a slow reader has no room for are counted and the
 * count is told with the next line that fits. */
enum { LINE_MAX_BYTES = 4096 };

static _Atomic int threshold = MC_LOG_INFO;
static _Atomic int line_format = MC_LOG_TEXT;
static _Atomic int line_fd = STDERR_FILENO;
static _Atomic uint64_t dropped;

static const char *const level_text[] = {"debug", "info", "warn", "error", "off"};

typedef struct line {
  char text[LINE_MAX_BYTES];
  size_t len;
  bool full; /* something did not fit since the last mark */
} line;

static void put(line *l, const char *text, size_t len)
{
  if (len > LINE_MAX_BYTES - 64 - l->len) { /* 64: room for "truncated" and the end */
    l->full = true;
    return;
  }
  memcpy(l->text + l->len, text, len);
  l->len += len;
}

static void put_str(line *l, const char *text)
{
  put(l, text, strlen(text));
}

/* JSON string content; also used for quoted text values. Bytes that are no UTF-8 show as U+00xx. */
static void put_escaped(line *l, mc_slice s)
{
  bool utf8 = mc_slice_is_utf8(s);
  for (size_t i = 0; i < s.len && !l->full; i++) {
    uint8_t c = s.data[i];
    char text[8];
    if (c == '"' || c == '\\') {
      text[0] = '\\';
      text[1] = (char)c;
      put(l, text, 2);
    } else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !utf8)) {
      snprintf(text, sizeof text, "\\u%04x", c);
      put(l, text, 6);
    } else {
      text[0] = (char)c;
      put(l, text, 1);
    }
  }
}

static bool is_plain(mc_slice s)
{
  for (size_t i = 0; i < s.len; i++)
    if (s.data[i] <= 0x20 || s.data[i] == 0x7F || s.data[i] == '"' || s.data[i] == '=' || s.data[i] == '\\')
      return false;
  return s.len > 0 && mc_slice_is_utf8(s);
}

static void put_number(line *l, const mc_log_field *f, bool json)
{
  char text[40];
  if (f->kind == MC_LOG_FIELD_INT)
    snprintf(text, sizeof text, "%lld", (long long)f->i);
  else if (f->kind == MC_LOG_FIELD_UINT)
    snprintf(text, sizeof text, "%llu", (unsigned long long)f->u);
  else if (json && (f->d != f->d || f->d - f->d != 0)) /* JSON has no infinities and no NaN */
    snprintf(text, sizeof text, "null");
  else
    snprintf(text, sizeof text, "%.15g", f->d);
  put_str(l, text);
}

static void put_field(line *l, const mc_log_field *f, bool json)
{
  size_t mark = l->len;
  put_str(l, json ? ",\"" : " ");
  put_str(l, f->key);
  put_str(l, json ? "\":" : "=");
  if (f->kind != MC_LOG_FIELD_TEXT) {
    put_number(l, f, json);
  } else if (!json && is_plain(f->text)) {
    put(l, (const char *)f->text.data, f->text.len);
  } else {
    put_str(l, "\"");
    put_escaped(l, f->text);
    put_str(l, "\"");
  }
  if (l->full)
    l->len = mark; /* whole fields only */
}

static void put_head(line *l, mc_log_level level, const char *module, const char *message, bool json)
{
  char time[MC_CLOCK_TEXT];
  mc_clock_format_us(mc_clock_wall_us(), time);
  put_str(l, json ? "{\"time\":\"" : "");
  put_str(l, time);
  put_str(l, json ? "\",\"level\":\"" : " ");
  put_str(l, level_text[level]);
  put_str(l, json ? "\",\"module\":\"" : " ");
  put_escaped(l, mc_slice_str(module));
  put_str(l, json ? "\",\"message\":\"" : " ");
  size_t mark = l->len;
  put_escaped(l, mc_slice_sub(mc_slice_str(message), 0, 1024));
  if (l->full)
    l->len = mark;
  put_str(l, json ? "\"" : "");
}

void mc_log_configure(mc_log_level level, mc_log_format format, int fd)
{
  atomic_store(&threshold, (int)level);
  atomic_store(&line_format, (int)format);
  atomic_store(&line_fd, fd);
}

mc_log_level mc_log_threshold(void)
{
  return (mc_log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

void mc_log_write(mc_log_level level, const char *module, const char *message, const mc_log_field *field, size_t count)
{
  if (level < mc_log_threshold() || level >= MC_LOG_OFF)
    return;
  bool json = atomic_load(&line_format) == MC_LOG_JSON;
  int fd = atomic_load(&line_fd);
  line l = {.len = 0};
  put_head(&l, level, module, message, json);
  bool cut = l.full;
  for (size_t i = 0; i < count; i++) {
    l.full = false;
    put_field(&l, &field[i], json);
    cut |= l.full;
  }
  uint64_t missed = atomic_exchange(&dropped, 0);
  if (missed) {
    mc_log_field f = MC_KU("lines_dropped", missed);
    put_field(&l, &f, json);
  }
  const char *tail = json ? (cut ? ",\"truncated\":true}\n" : "}\n") : (cut ? " truncated=true\n" : "\n");
  size_t tail_len = strlen(tail);
  memcpy(l.text + l.len, tail, tail_len); /* put() keeps 64 bytes free for it */
  l.len += tail_len;
  struct pollfd ready = {.fd = fd, .events = POLLOUT};
  bool sent = poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) && write(fd, l.text, l.len) == (ssize_t)l.len;
  if (!sent)
    atomic_fetch_add(&dropped, missed + 1);
}
