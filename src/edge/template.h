/* edge-internal: state templates - what is true now, told by signal instead of by event (contract fleetwise 5.6). */
#ifndef MC_EDGE_TEMPLATE_H
#define MC_EDGE_TEMPLATE_H

#include "base/vec.h"
#include "format/fleetwise_state.h"
#include "signal/signal.h"

struct decoder;

typedef struct state_slot {
  uint32_t signal_id;
  bool has, fresh;  /* fresh: came since the template was told last */
  bool told;        /* `last` is what the platform was told */
  mc_fw_value value, last;
} state_slot;

typedef struct state_template {
  mc_buf bytes; /* owned copies of the ids */
  mc_slice sync_id, manifest_id;
  bool periodic, active, fresh /* one of its slots has something to tell */;
  int64_t period_us;
  int64_t last_us;       /* inspection time it was told last, or activated */
  int64_t deactivate_us; /* wall; INT64_MAX: never */
  state_slot *slot;
  uint32_t slot_count;
  struct decoder *decoder; /* NULL: its manifest is not here */
} state_template;

typedef struct state_templates {
  MC_VEC(state_template *) at;
  MC_VEC(char *) error; /* of the last delta: why a template was refused */
  uint64_t version;     /* of the last delta taken; lower ones are ignored */
  uint32_t slots;       /* of all */
  int64_t due_us;       /* of those that the frame at hand changed */
  bool unsaved;
  mc_buf plain, packed;
} state_templates;

struct mc_inspector;
void mc_edge_template_free(state_template *t);
void mc_edge_templates_free(state_templates *s);
/* Takes a delta; what is refused in it is in `error`. Pointers of templates that stay are the same. */
mc_err mc_edge_templates_apply(state_templates *s, const mc_fw_state_templates *delta, mc_why *why);
/* One decoded value. */
void mc_edge_template_sample(state_template *t, state_slot *s, const mc_decoded *v, mc_type type);
/* Inspection time at which it has something to tell by itself; INT64_MAX: nothing. */
int64_t mc_edge_template_due(const state_template *t);
/* Tells what is due. */
void mc_edge_templates_advance(struct mc_inspector *i, int64_t now_us);

/* ---- commands ---- */
typedef struct state_verdict {
  uint32_t status, reason; /* mc_fw_command_status; contract fleetwise 5.7 */
} state_verdict;
state_verdict mc_edge_template_order(struct mc_inspector *i, const mc_fw_state_order *order, int64_t wall_us);
/* inspector.c: the same, and looks at what follows from it */
state_verdict mc_edge_inspector_order(struct mc_inspector *i, const mc_fw_state_order *order, int64_t wall_us);
/* command.c: a CommandRequest; gives one answer a template, at least one in all. execution: the topic's id, used where the request has none. */
typedef void state_answer(void *ctx, const mc_fw_command_response *answer);
void mc_edge_command(struct mc_inspector *i, mc_slice request, mc_slice execution, int64_t wall_us, state_answer *give, void *ctx);

/* ---- template_file.c: on disk ---- */
mc_err mc_edge_templates_write(const state_templates *s, mc_buf *out);
/* Into an empty one. Damage is told and leaves it empty. */
mc_err mc_edge_templates_read(state_templates *s, mc_slice bytes, mc_why *why);
mc_err mc_edge_templates_load(struct mc_inspector *i, mc_slice bytes, int64_t wall_us, mc_why *why); /* inspector.c */
mc_err mc_edge_template_add(state_templates *s, mc_slice manifest_id, const mc_fw_state_template *from, state_template **out, mc_why *why);

#endif
