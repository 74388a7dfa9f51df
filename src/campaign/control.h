/* The control plane's seams: what a handler of one operation gets, and how it answers. Private to this module.
 *
 * A handler is called with the input checked against the operation's shape (shape.h): members that are required are there, types, lengths and patterns
 * hold. It takes campaign's lock itself when it needs it, never holds it over a publish, and writes members into an object that is open already. */
#ifndef MC_CAMPAIGN_CONTROL_H
#define MC_CAMPAIGN_CONTROL_H

#include <jansson.h>

#include "campaign/state.h"
#include "format/json.h"

typedef struct control_call {
  mc_campaigns *c;
  const mc_control_request *request;
  uint32_t tenant;
  json_t *in;      /* object; borrowed */
  mc_json *out;    /* write members here */
  mc_arena *arena; /* lives as long as the call */
  mc_control_error *error;
  mc_buf bad_signals, bad_interfaces, bad_nodes; /* what control_bad_... collected: items of a JSON list */
} control_call;

typedef mc_err control_handler(control_call *call, mc_why *why);
typedef struct control_operation {
  mc_control_info info;
  control_handler *run;
} control_operation;

/* One table a file, joined and sorted by control.c. */
extern const control_operation control_account[], control_vocabulary[], control_vehicle[], control_campaign[], control_state[];
extern const size_t control_account_count, control_vocabulary_count, control_vehicle_count, control_campaign_count, control_state_count;

/* Failing. Each says the message in why, sets the fault and its members, and returns the error to return. */
mc_err control_invalid(control_call *call, const char *field, mc_why *why, const char *format, ...) __attribute__((format(printf, 4, 5)));  /* ValidationException, fieldValidationFailed */
mc_err control_not_found(control_call *call, const char *kind, mc_slice id, mc_why *why);                             /* resourceType, resourceId */
mc_err control_conflict(control_call *call, const char *kind, mc_slice id, mc_why *why, const char *format, ...) __attribute__((format(printf, 5, 6)));
mc_err control_limit(control_call *call, const char *kind, mc_slice id, mc_why *why, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Lists of {name, reason, hint}: collected, then failed with once. hint may be NULL. */
void control_bad_signal(control_call *call, mc_slice name, const char *reason, const char *hint);
void control_bad_interface(control_call *call, mc_slice id, const char *reason);
void control_bad_node(control_call *call, const json_t *node); /* as it came in */
mc_err control_bad(control_call *call, mc_control_fault fault, mc_why *why, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Any other error of a lower floor becomes InternalServerException in control.c, its text logged. */

/* Reading what is checked already. */
mc_slice control_text(const json_t *object, const char *key); /* empty when absent */
int64_t control_int(const json_t *object, const char *key, int64_t absent);
double control_number(const json_t *object, const char *key, double absent);
mc_err control_blob(const json_t *text, mc_buf *out); /* appends the bytes of a base64 text */
uint64_t control_limit_of(const control_call *call, int limit); /* shape.h: a shape_limit, as it is set */

/* "arn:aws:iotfleetwise:<region>:<account>:<kind>/<name>" of the caller's region and account, in the arena. */
mc_slice control_arn(control_call *call, const char *kind, mc_slice name);
/* The name in an ARN of this kind; an ARN of another kind or no ARN: control_invalid naming the field. */
mc_err control_arn_name(control_call *call, const char *field, mc_slice arn, const char *kind, mc_slice *name, mc_why *why);

/* Pages. The token is opaque to callers: base64url of the last name. Handlers read at most limit + 1 rows behind `after`. */
typedef struct control_page { mc_slice after; size_t limit; } control_page;
mc_err control_page_of(control_call *call, control_page *out, mc_why *why); /* maxResults absent: 100 */
void control_page_next(control_call *call, mc_slice last);                  /* writes nextToken */

/* Tags of a resource (control_account.c). Kinds are those of the ARNs: "signal-catalog", "model-manifest", "decoder-manifest", "vehicle", "fleet", "campaign",
 * "state-template". On create: replaces whatever the name had by `tags` (NULL: none), inside the transaction that makes the resource. */
mc_err control_tags_set(control_call *call, const char *kind, mc_slice name, const json_t *tags, mc_why *why);
/* On delete, by whichever face: inside the transaction that takes the resource away. */
mc_err campaign_tags_forget(mc_campaigns *c, uint32_t tenant, const char *kind, mc_slice name, mc_why *why);
/* control.c: does it exist? Asks its own Get operation; MC_ERR_NOT_FOUND with the fault set when not. */
mc_err control_exists(control_call *call, const char *kind, mc_slice name, mc_why *why);
/* The name of what may be meant by another identifier too (a state template's id). */
mc_err control_name_of(control_call *call, const char *kind, mc_slice identifier, mc_slice *name, mc_why *why);
/* Does this tenant want failures of the control plane in the log (PutLoggingOptions)? group: 513 bytes. */
bool control_logs_errors(mc_campaigns *c, uint32_t tenant, char *group);

/* epoch seconds with fraction, as awsJson1.0 has them; 0 writes nothing */
void control_time(mc_json *out, const char *key, int64_t us);

#endif
