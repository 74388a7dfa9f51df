/* Structured logging: one line an event, `time level module message key=value ...` on a terminal,
 * or JSON objects with --log json. Never blocks on a slow reader: lines are written with one write(2).
 * Any thread. Secrets never go into a log line. */
#ifndef MC_BASE_LOG_H
#define MC_BASE_LOG_H

#include <stdint.h>

#include "base/slice.h"

typedef enum mc_log_level { MC_LOG_DEBUG, MC_LOG_INFO, MC_LOG_WARN, MC_LOG_ERROR, MC_LOG_OFF } mc_log_level;
typedef enum mc_log_format { MC_LOG_TEXT, MC_LOG_JSON } mc_log_format;

void mc_log_configure(mc_log_level level, mc_log_format format, int fd);

/* One key and value; build with the macros below. */
typedef struct mc_log_field {
  const char *key;
  enum { MC_LOG_FIELD_TEXT, MC_LOG_FIELD_INT, MC_LOG_FIELD_UINT, MC_LOG_FIELD_DOUBLE } kind;
  union {
    mc_slice text;
    int64_t i;
    uint64_t u;
    double d;
  };
} mc_log_field;

#define MC_KS(k, slice_value) ((mc_log_field){.key = (k), .kind = MC_LOG_FIELD_TEXT, .text = (slice_value)})
#define MC_KZ(k, cstr_value) MC_KS(k, mc_slice_str(cstr_value))
#define MC_KI(k, int_value) ((mc_log_field){.key = (k), .kind = MC_LOG_FIELD_INT, .i = (int_value)})
#define MC_KU(k, uint_value) ((mc_log_field){.key = (k), .kind = MC_LOG_FIELD_UINT, .u = (uint_value)})
#define MC_KD(k, double_value) ((mc_log_field){.key = (k), .kind = MC_LOG_FIELD_DOUBLE, .d = (double_value)})

void mc_log_write(mc_log_level level, const char *module, const char *message, const mc_log_field *field, size_t count);
mc_log_level mc_log_threshold(void);

/* mc_log(MC_LOG_WARN, "gateway", "client refused", MC_KZ("client", id), MC_KI("code", 135)); */
#define mc_log(level, module, message, ...)                                                            \
  do {                                                                                                 \
    if ((level) >= mc_log_threshold()) {                                                               \
      const mc_log_field mc_log_fields_[] = {{0}, ##__VA_ARGS__};                                      \
      mc_log_write((level), (module), (message), mc_log_fields_ + 1,                                   \
                   sizeof mc_log_fields_ / sizeof mc_log_fields_[0] - 1);                              \
    }                                                                                                  \
  } while (0)

#endif
