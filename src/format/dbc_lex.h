/* Tokens of a DBC file; private to the DBC reader.
 *
 * White space separates and lines do not matter to the grammar, but a known section keyword at the start of a
 * line ends what was open before it, so that a broken line is blamed on itself and not on the next one. */
#ifndef MC_FORMAT_DBC_LEX_H
#define MC_FORMAT_DBC_LEX_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

typedef enum mc_dbc_token_kind {
  MC_DBC_TOKEN_END,
  MC_DBC_TOKEN_KEYWORD, /* a section keyword that is first on its line */
  MC_DBC_TOKEN_WORD,
  MC_DBC_TOKEN_NUMBER,
  MC_DBC_TOKEN_STRING, /* text without its quotes, escapes still inside */
  MC_DBC_TOKEN_MARK    /* one byte of punctuation */
} mc_dbc_token_kind;

typedef struct mc_dbc_token {
  mc_dbc_token_kind kind;
  mc_slice text;
  uint32_t line;
  bool first_on_line;
  bool last_on_line;
  bool escaped; /* STRING with \" inside */
} mc_dbc_token;

typedef struct mc_dbc_lexer {
  const uint8_t *p, *end;
  uint32_t line;
  bool line_start;
  const char *name;      /* of the file, for messages */
  mc_dbc_token now;      /* the token to be looked at */
  uint32_t last_line;    /* line of the token before it */
  mc_arena *arena;
  mc_why *why;
} mc_dbc_lexer;

mc_err mc_dbc_lexer_start(mc_dbc_lexer *lx, mc_slice text, const char *name, mc_arena *arena, mc_why *why);
mc_err mc_dbc_lexer_next(mc_dbc_lexer *lx);
bool mc_dbc_lexer_is_word(const mc_dbc_lexer *lx, const char *word);
bool mc_dbc_lexer_is_mark(const mc_dbc_lexer *lx, char mark);

/* Each takes one token of that kind or fails: "file:line: <where>: expected <what>, got <what came>". */
mc_err mc_dbc_lexer_mark(mc_dbc_lexer *lx, char mark, const char *where);
mc_err mc_dbc_lexer_name(mc_dbc_lexer *lx, mc_slice *out, const char *where, const char *what);
mc_err mc_dbc_lexer_string(mc_dbc_lexer *lx, mc_slice *out, const char *where, const char *what); /* UTF-8, in the arena */
mc_err mc_dbc_lexer_double(mc_dbc_lexer *lx, double *out, const char *where, const char *what);
mc_err mc_dbc_lexer_u32(mc_dbc_lexer *lx, uint32_t *out, const char *where, const char *what);
mc_err mc_dbc_lexer_unexpected(mc_dbc_lexer *lx, const char *where, const char *what);
/* On to the next ';' (taken) or section keyword (left). */
mc_err mc_dbc_lexer_skip(mc_dbc_lexer *lx);

#endif
