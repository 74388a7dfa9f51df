/* The insides of policy documents, shared by their files. Private to access. */
#ifndef MC_ACCESS_STATEMENT_H
#define MC_ACCESS_STATEMENT_H

#include <jansson.h>
#include <stdatomic.h>

#include "access/access.h"

/* ---- pattern.c: text with wildcards and variables ---- */
typedef enum part_kind { PART_TEXT, PART_ANY /* * */, PART_ONE /* ? */, PART_VARIABLE } part_kind;
typedef struct pattern_part {
  part_kind kind;
  uint16_t variable; /* of the document */
  mc_slice text;
} pattern_part;
typedef struct pattern {
  pattern_part *part;
  size_t count;
  mc_slice source;  /* as written */
  uint64_t actions; /* of a resource: those that it can be of */
} pattern;

/* What the variables of a document are worth, by their number there. */
typedef struct variable_values {
  const mc_policy_values *at; /* of the set */
  const uint16_t *map;        /* the document's number -> the set's */
} variable_values;

/* Where a reader is, for errors: "Statement[2].Condition.StringEquals.aws:SourceIp[0]". */
typedef struct reading {
  mc_policy_document *document;
  mc_why *why;
  size_t statement;
  char path[200];
} reading;
mc_err read_wrong(reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
mc_err read_no_memory(reading *r);

/* wildcards: * and ? are such; else they are letters. Escapes are ${*} ${?} ${$}. */
mc_err pattern_read(reading *r, mc_slice text, bool wildcards, pattern *out);
/* The number of a variable in the document; made when it is new. name: between ${ and }. */
mc_err variable_find(reading *r, mc_slice name, bool key, uint16_t *out);
/* Of the character at this place: ? takes a whole one. */
static inline size_t letter_bytes(mc_slice text, size_t at)
{
  size_t end = at + 1;
  while (end < text.len && (text.data[end] & 0xC0) == 0x80)
    end++;
  return end - at;
}
bool value_is_plain(mc_slice value); /* may be put into a pattern: not empty, none of * $ + ? # */
bool pattern_matches(const pattern *p, mc_slice text, const variable_values *have, bool fold /* ASCII letters alike */);
/* The text that a pattern without wildcards stands for; false: a variable has no value, or it does not fit. */
bool pattern_text(const pattern *p, const variable_values *have, char *out, size_t size, mc_slice *text);

/* ---- condition.c ---- */
typedef enum condition_type { TYPE_TEXT, TYPE_TEXT_FOLDED, TYPE_LIKE, TYPE_NUMBER, TYPE_TIME, TYPE_BOOL, TYPE_ADDRESS, TYPE_NULL } condition_type;
typedef enum condition_order { ORDER_EQ, ORDER_LT, ORDER_LE, ORDER_GT, ORDER_GE } condition_order;
typedef enum condition_of { OF_ONE, OF_ALL /* ForAllValues: */, OF_ANY /* ForAnyValue: */ } condition_of;
typedef struct condition {
  condition_type type;
  condition_order order;
  condition_of of;
  bool negated, if_exists;
  uint16_t variable;
  pattern *value;
  size_t count;
  mc_slice source; /* "operator key" */
} condition;
mc_err conditions_read(reading *r, json_t *block, condition **out, size_t *count);
/* asked: the values of a variable that comes with the question; NULL: of the connection. */
bool condition_holds(const condition *c, const variable_values *have, const mc_policy_values *asked);

/* ---- document.c ---- */
typedef struct statement {
  mc_slice sid;
  bool deny;
  bool names_attributes; /* a condition asks for iot:ConnectAttributes */
  uint64_t actions;      /* bits of mc_action */
  pattern *resource;     /* of the last part of the ARN */
  size_t resources;
  condition *condition;
  size_t conditions;
} statement;
struct mc_policy_document {
  atomic_uint references;
  mc_arena arena;
  statement *statement;
  size_t count;
  mc_policy_variable variable[MC_POLICY_VARIABLES];
  size_t variables;
};
static inline bool variable_is_asked(const mc_policy_document *d, uint16_t v) { return d->variable[v].kind == MC_VARIABLE_ASKED; }

/* ---- decision.c: a set with values; the insides of a bound mc_policy ---- */
typedef struct bound_policy bound_policy;
void bound_free(bound_policy *b);
bool bound_permits(const bound_policy *b, const mc_policy_question *q);
bool bound_timed(const bound_policy *b);
const mc_policy_set *bound_set(const bound_policy *b);
mc_err bound_make(const mc_policy_set *set, mc_policy_resolver *resolve, void *ctx, bound_policy **out);
mc_err bound_explain(const bound_policy *b, const mc_policy_question *q, mc_arena *arena, mc_policy_explanation *out, mc_why *why);

/* ---- action.c ---- */
mc_slice action_prefix(mc_action action); /* "topic/"; empty: it has no resource */
/* Bits of the actions that a pattern as "iot:*" names; 0: none. */
uint64_t action_bits(mc_slice text);

#endif
