/* A message of the vehicle's middleware as a line of a log, between the frames of a candump file: README, "Messages in a log". */
#include "edge/message_line.h"

static int digit(uint8_t c)
{
  return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Seconds with up to nine digits behind the point. */
static bool read_time(mc_slice text, int64_t *us)
{
  uint64_t seconds, part = 0;
  size_t dot = mc_slice_find(text, '.', 0);
  if (mc_slice_to_u64(mc_slice_sub(text, 0, dot), &seconds) || seconds > (uint64_t)INT64_MAX / 2000000)
    return false;
  mc_slice rest = mc_slice_sub(text, dot + 1, text.len);
  if (rest.len > 9 || (dot < text.len && !rest.len))
    return false;
  for (size_t k = 0; k < 6; k++) {
    int d = k < rest.len ? digit(rest.data[k]) : 0;
    if (d < 0 || d > 9)
      return false;
    part = part * 10 + (uint64_t)d;
  }
  *us = (int64_t)(seconds * 1000000 + part);
  return true;
}

mc_err mc_edge_message_line(mc_slice line, mc_structured_message *out, mc_buf *cdr, mc_why *why)
{
  if (line.len && line.data[line.len - 1] == '\r')
    line.len--;
  size_t time = mc_slice_find(line, ')', 0), interface = mc_slice_find(line, ' ', time + 2), equals = mc_slice_find(line, '=', interface);
  if (!line.len || line.data[0] != '(' || equals >= line.len || time + 1 >= line.len || line.data[time + 1] != ' ')
    return MC_ERR_END;
  *out = (mc_structured_message){.interface_id = mc_slice_sub(line, time + 2, interface - time - 2), .message_id = mc_slice_sub(line, interface + 1, equals - interface - 1)};
  if (!read_time(mc_slice_sub(line, 1, time - 1), &out->time_us))
    return mc_err_set(why, MC_ERR_MALFORMED, "expected a time in seconds, found \"%.*s\"", MC_FMT(mc_slice_sub(line, 1, time - 1 < 40 ? time - 1 : 40)));
  if (!out->interface_id.len || !out->message_id.len)
    return mc_err_set(why, MC_ERR_MALFORMED, "expected (time) interface message=bytes");
  mc_slice hex = mc_slice_sub(line, equals + 1, line.len);
  mc_buf_clear(cdr);
  if (hex.len % 2)
    return mc_err_set(why, MC_ERR_MALFORMED, "an odd number of hexadecimal digits");
  if (mc_buf_reserve(cdr, hex.len / 2 + 1))
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a message of %zu bytes", hex.len / 2);
  for (size_t k = 0; k < hex.len; k += 2) {
    int high = digit(hex.data[k]), low = digit(hex.data[k + 1]);
    if (high < 0 || low < 0)
      return mc_err_set(why, MC_ERR_MALFORMED, "byte %zu: expected a hexadecimal digit", equals + 1 + k);
    cdr->data[cdr->len++] = (uint8_t)(high << 4 | low);
  }
  out->cdr = mc_buf_slice(cdr);
  return MC_OK;
}
