/* One error type for the whole house.
 *
 * A function that can fail returns mc_err (0 is success) and hands results back through its last
 * parameters. Where people will read the failure, the function takes an `mc_why *` (may be NULL) and
 * fills it with what was expected, what came, where (file, line, byte, field path) and what to do.
 * Threads: mc_why belongs to its caller; everything here may be called from any thread. */
#ifndef MC_BASE_ERR_H
#define MC_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

typedef enum mc_err {
  MC_OK = 0,
  MC_ERR_MEMORY,      /* allocation failed */
  MC_ERR_IO,          /* the system refused a read, write or sync */
  MC_ERR_FULL,        /* disk, queue or quota is full; nothing was taken */
  MC_ERR_AGAIN,       /* would block; try again when told */
  MC_ERR_TRUNCATED,   /* input ends before the format says so */
  MC_ERR_MALFORMED,   /* input breaks the format */
  MC_ERR_TOO_LARGE,   /* input exceeds a stated limit */
  MC_ERR_UNSUPPORTED, /* well-formed, but not something we do */
  MC_ERR_INVALID,     /* an argument or document says something impossible */
  MC_ERR_NOT_FOUND,
  MC_ERR_EXISTS,
  MC_ERR_CONFLICT,    /* the state changed since the caller looked */
  MC_ERR_DENIED,      /* policy does not name it */
  MC_ERR_UNAUTHENTICATED,
  MC_ERR_CHECKSUM,    /* stored bytes are not what was written */
  MC_ERR_CLOSED,      /* the object is shutting down */
  MC_ERR_TIMEOUT,
  MC_ERR_TLS,
  MC_ERR_END          /* a reader reached the end; not a fault */
} mc_err;

/* Name of a code in plain words, static storage. */
const char *mc_err_text(mc_err err);

#define MC_WHY_TEXT 512
typedef struct mc_why {
  mc_err err;
  char text[MC_WHY_TEXT]; /* UTF-8, terminated, cut at a character boundary */
} mc_why;

/* Sets *why (when not NULL) and returns err, so that `return mc_err_set(...)` reads well. */
mc_err mc_err_set(mc_why *why, mc_err err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "<prefix>: " before the text that is there; returns why->err. */
mc_err mc_err_prefix(mc_why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As mc_err_set, with ": <strerror(saved errno)>" added. ENOSPC and EDQUOT become MC_ERR_FULL. */
mc_err mc_err_errno(mc_why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__ /* it sees one file at a time: tell it that the errors set are the errors returned */
#define mc_err_set(why, err, ...) ((mc_err_set)((why), (err), __VA_ARGS__), (err))
#define mc_err_errno(why, ...) ((mc_err_errno)((why), __VA_ARGS__), MC_ERR_IO)
#endif

/* Leaves the function with the same error when expr fails. */
#define MC_TRY(expr)                      \
  do {                                    \
    mc_err mc_try_err_ = (expr);          \
    if (mc_try_err_ != MC_OK)             \
      return mc_try_err_;                 \
  } while (0)

#endif
