#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[] = {
    [MC_OK] = "ok",
    [MC_ERR_MEMORY] = "out of memory",
    [MC_ERR_IO] = "input/output error",
    [MC_ERR_FULL] = "full",
    [MC_ERR_AGAIN] = "would block",
    [MC_ERR_TRUNCATED] = "truncated",
    [MC_ERR_MALFORMED] = "malformed",
    [MC_ERR_TOO_LARGE] = "too large",
    [MC_ERR_UNSUPPORTED] = "not supported",
    [MC_ERR_INVALID] = "invalid",
    [MC_ERR_NOT_FOUND] = "not found",
    [MC_ERR_EXISTS] = "already exists",
    [MC_ERR_CONFLICT] = "conflict",
    [MC_ERR_DENIED] = "not permitted",
    [MC_ERR_UNAUTHENTICATED] = "not authenticated",
    [MC_ERR_CHECKSUM] = "checksum mismatch",
    [MC_ERR_CLOSED] = "closed",
    [MC_ERR_TIMEOUT] = "timed out",
    [MC_ERR_TLS] = "TLS failure",
    [MC_ERR_END] = "end",
};

const char *mc_err_text(mc_err err)
{
  if ((size_t)err >= sizeof texts / sizeof texts[0] || !texts[err])
    return "unknown error";
  return texts[err];
}

/* Drops a UTF-8 sequence that snprintf cut in the middle. */
static void trim_partial_character(char *text)
{
  size_t len = strlen(text);
  size_t back = 0;
  while (back < len && back < 4 && ((unsigned char)text[len - 1 - back] & 0xC0) == 0x80)
    back++;
  if (back >= len)
    return;
  unsigned char lead = (unsigned char)text[len - 1 - back];
  size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (need > back + 1)
    text[len - 1 - back] = 0;
}

static __attribute__((format(printf, 3, 0))) void fill(mc_why *why, mc_err err, const char *format, va_list args)
{
  why->err = err;
  int n = vsnprintf(why->text, sizeof why->text, format, args);
  if (n < 0)
    why->text[0] = 0;
  else if ((size_t)n >= sizeof why->text)
    trim_partial_character(why->text);
}

mc_err (mc_err_set)(mc_why *why, mc_err err, const char *format, ...)
{
  if (why) {
    va_list args;
    va_start(args, format);
    fill(why, err, format, args);
    va_end(args);
  }
  return err;
}

mc_err mc_err_prefix(mc_why *why, const char *format, ...)
{
  if (!why)
    return MC_ERR_INVALID;
  char head[MC_WHY_TEXT];
  char old[MC_WHY_TEXT];
  memcpy(old, why->text, sizeof old);
  va_list args;
  va_start(args, format);
  vsnprintf(head, sizeof head, format, args);
  va_end(args);
  return mc_err_set(why, why->err, "%s: %s", head, old);
}

mc_err (mc_err_errno)(mc_why *why, const char *format, ...)
{
  int saved = errno;
  mc_err err = saved == ENOSPC || saved == EDQUOT ? MC_ERR_FULL
               : saved == ENOENT                  ? MC_ERR_NOT_FOUND
               : saved == EEXIST                  ? MC_ERR_EXISTS
               : saved == EACCES || saved == EPERM ? MC_ERR_DENIED
               : saved == ENOMEM                  ? MC_ERR_MEMORY
                                                  : MC_ERR_IO;
  if (why) {
    char head[MC_WHY_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(head, sizeof head, format, args);
    va_end(args);
    char reason[128];
    const char *text = strerror_r(saved, reason, sizeof reason);
    mc_err_set(why, err, "%s: %s", head, text);
  }
  errno = saved;
  return err;
}
