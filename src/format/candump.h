/* candump log lines (can-utils, `candump -l` and `-L`), read one line at a time from any slice.
 *
 *   (1436509052.249713) vcan0 044#2A366C2BBA       classic data, up to 8 bytes; dots between bytes are allowed
 *   (1436509052.449847) vcan0 0F6#R                remote frame, #R<length> asks for a length, _<dlc> may follow
 *   (1436509052.649713) vcan0 12345678##1A0B0C     FD: one hex digit of flags (1 = BRS, 2 = ESI), up to 64 bytes
 *   (0.0) can0 20000080#...                        error frame (flag 0x20000000)
 *
 * 3 hex digits make an 11-bit id, 8 an extended one. A direction mark (R or T) may end the line. Lines that are
 * empty or start with '#', ';' or "//" are comments. Pure; any thread; nothing is allocated. */
#ifndef MC_FORMAT_CANDUMP_H
#define MC_FORMAT_CANDUMP_H

#include "base/err.h"
#include "format/bus.h"

/* One line without its line end. MC_ERR_END: a comment or an empty line, out is untouched. On MC_ERR_MALFORMED why holds
 * "line <n>: ..." with the byte, what came and what was expected. channel_name borrows from the line. */
mc_err mc_candump_line(mc_slice line, uint64_t line_number, mc_bus_frame *out, mc_why *why);

typedef struct mc_candump_reader {
  mc_slice in;
  size_t at;
  uint64_t line; /* 1-based number of the line last read */
} mc_candump_reader;
static inline mc_candump_reader mc_candump_reader_of(mc_slice text) { return (mc_candump_reader){text, 0, 0}; }
/* The next frame. MC_ERR_END at the end. After MC_ERR_MALFORMED the reader stands behind the bad line: call again to skip it. */
mc_err mc_candump_next(mc_candump_reader *r, mc_bus_frame *out, mc_why *why);
/* Writes one line with its line end into out (128 + 2 * len bytes suffice); returns its length, 0 when size is too small. */
size_t mc_candump_format(const mc_bus_frame *frame, char *out, size_t size);

#endif
