/* What the tests of FleetWise's messages share: vectors in hex, both ways. */
#ifndef MC_TEST_FLEETWISE_RIG_H
#define MC_TEST_FLEETWISE_RIG_H

#include "format/fleetwise.h"
#include "format/proto.h"
#include "tap.h"

#define T 1700000000000ULL

static inline mc_buf unhex(const char *text)
{
  mc_buf b = {0};
  for (size_t i = 0; text[i] && text[i + 1]; i += 2) {
    unsigned v = 0;
    sscanf(text + i, "%2x", &v);
    if (mc_buf_append_u8(&b, (uint8_t)v))
      abort();
  }
  return b;
}

static inline const char *hex(mc_slice s)
{
  static char text[4096];
  size_t n = 0;
  for (size_t i = 0; i < s.len && n + 3 < sizeof text; i++)
    n += (size_t)snprintf(text + n, 3, "%02x", s.data[i]);
  text[n] = 0;
  return text;
}

#define WRITES(call, want)               \
  do {                                   \
    mc_buf out_ = {0};                   \
    mc_buf *out = &out_;                 \
    mc_err err_ = (call);                \
    char got_[4096];                     \
    snprintf(got_, sizeof got_, "%s", hex(mc_buf_slice(out))); \
    mc_buf_free(out);                    \
    CHECK_INT(err_, MC_OK);              \
    CHECK_STR(got_, want);               \
  } while (0)

#endif
