/* AWS IoT policy documents: read strictly, compiled together for one principal, decided, explained (contract iotcore, "Policies").
 *
 * document -> set -> policy: a document is one version of a policy; a set is what is attached to a principal, compiled to a trie and shared by all who have
 * the same; a policy (access.h) is a set with the values that the variables have for one connection. All three are immutable and reference-counted, any
 * thread. Explicit deny wins, what no statement allows is denied. */
#ifndef MC_ACCESS_DOCUMENT_H
#define MC_ACCESS_DOCUMENT_H

#include "base/arena.h"
#include "base/slice.h"

enum {
  MC_POLICY_DOCUMENT_BYTES = 1 << 20, /* the largest that is looked at at all */
  MC_POLICY_STATEMENTS = 1000,        /* of one document */
  MC_POLICY_RESOURCE_BYTES = 1024,
  MC_POLICY_RESOURCE_MARKS = 32,      /* wildcards and variables of one resource */
  MC_POLICY_VARIABLES = 64,           /* different ones in one document */
  MC_POLICY_SET = 64,                 /* documents together */
  MC_POLICY_VALUES = 5,               /* of one variable */
  MC_POLICY_VALUE_BYTES = 1024        /* all of them */
};

typedef struct mc_policy_document mc_policy_document;
/* MC_ERR_MALFORMED: no JSON (line and column); MC_ERR_INVALID: says which member, as "Statement[2].Resource[0]", and what was expected there. */
mc_err mc_policy_document_parse(mc_slice json, mc_policy_document **out, mc_why *why);
void mc_policy_document_retain(const mc_policy_document *d);
void mc_policy_document_release(const mc_policy_document *d);
/* Characters that are no white space, as AWS counts a document's length. */
size_t mc_policy_document_length(mc_slice json);
/* Names of thing attributes that its variables name: the index-th, empty behind the last. */
mc_slice mc_policy_document_attribute(const mc_policy_document *d, size_t index);

/* ---- variables ---- */
typedef enum mc_policy_variable_kind {
  MC_VARIABLE_CLIENT_ID,
  MC_VARIABLE_SOURCE_IP,
  MC_VARIABLE_DOMAIN_NAME,
  MC_VARIABLE_THING_NAME,
  MC_VARIABLE_THING_TYPE,
  MC_VARIABLE_THING_ATTACHED,  /* "true" or "false" */
  MC_VARIABLE_THING_ATTRIBUTE, /* name */
  MC_VARIABLE_CERTIFICATE,     /* name: "Subject.CommonName", "Issuer.Country", "SubjectAlternativeName.DNSName", "SerialNumber", "AvailableKeys" */
  MC_VARIABLE_ASKED            /* not of the connection but of one question: connect attributes, the time */
} mc_policy_variable_kind;
typedef struct mc_policy_variable {
  mc_policy_variable_kind kind;
  mc_slice name;
  mc_slice text; /* as it is written between ${ and } */
  uint8_t index; /* of a certificate's field: which value; MC_POLICY_LIST: all of them */
  uint8_t asked; /* mc_policy_asked */
} mc_policy_variable;
enum { MC_POLICY_LIST = 255 };
/* Where values come from. Each takes bytes that live until bind has returned. */
typedef struct mc_policy_values { mc_slice at[MC_POLICY_VALUES]; size_t count; } mc_policy_values;
typedef void mc_policy_resolver(void *ctx, const mc_policy_variable *variable, mc_policy_values *out);

/* ---- sets ---- */
typedef struct mc_policy_set mc_policy_set;
typedef struct mc_policy_part { const mc_policy_document *document; mc_slice name; uint32_t version; } mc_policy_part;
mc_err mc_policy_set_compile(const mc_policy_part *part, size_t count, mc_policy_set **out, mc_why *why);
void mc_policy_set_retain(const mc_policy_set *s);
void mc_policy_set_release(const mc_policy_set *s);
size_t mc_policy_set_statements(const mc_policy_set *s);

/* ---- explaining ---- */
typedef enum mc_policy_reason {
  MC_REASON_MATCHES,     /* it decides, or would */
  MC_REASON_CONDITION,   /* action and resource match, a condition does not hold */
  MC_REASON_ATTRIBUTES   /* an Allow of iot:Connect that does not name the connect attributes asked for, where they have to be named */
} mc_policy_reason;
typedef struct mc_policy_finding {
  mc_slice policy; /* borrowed of the set */
  uint32_t version, statement; /* statement: from 0 */
  mc_slice sid, resource;      /* resource: the pattern that matched, as written */
  bool deny;
  mc_policy_reason reason;
  mc_slice condition; /* the one that does not hold: "operator key" */
} mc_policy_finding;
typedef struct mc_policy_explanation {
  bool allowed, denied; /* neither: no statement decided */
  const mc_policy_finding *decided; /* NULL: none */
  mc_policy_finding *finding;       /* of all statements that name action and resource; in the arena */
  size_t count;
  mc_slice *without_value;          /* variables that have none, or none that may stand in a resource */
  size_t without_count;
} mc_policy_explanation;

#endif
