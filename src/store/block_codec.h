/* Encoding of one block of rows of one series. Layout: README. Pure. */
#ifndef MC_STORE_BLOCK_CODEC_H
#define MC_STORE_BLOCK_CODEC_H

#include "base/slice.h"
#include "signal/signal.h"

enum { BLOCK_ROWS = 1024 };

/* One row in memory. `word`: the integer, the bits of the double, or for strings text offset (low 32) and length (high 32). */
typedef struct store_row {
  int64_t time_us;
  uint64_t word;
  uint32_t encoding;
  uint8_t kind, flags;
  uint16_t unused;
} store_row;

/* rows[0..count), count 1..BLOCK_ROWS, times not falling, one kind. text backs strings. Appends to out. */
mc_err store_block_encode(const store_row *rows, uint32_t count, mc_slice text, mc_buf *out);
/* The inverse. Strings are appended to text, and words point there. encoding, kind, flags are filled as given. */
mc_err store_block_decode(mc_slice in, uint32_t count, int64_t first_time_us, uint32_t encoding, uint8_t kind, uint8_t flags, store_row *rows, mc_buf *text);

#endif
