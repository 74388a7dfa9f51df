/* edge-internal: the inspection engine's data, shared by inspector.c, documents.c, campaign.c and collect.c. */
#ifndef MC_EDGE_INSPECT_H
#define MC_EDGE_INSPECT_H

#include "base/map.h"
#include "edge/edge.h"
#include "edge/template.h"
#include "format/cdr.h"

#define MC_EDGE_NEVER_US INT64_MAX

typedef struct text_value {
  size_t len;
  char at[];
} text_value;

typedef struct sample {
  int64_t time_us;
  union {
    double value;
    text_value *text; /* of a slot that is_text; owned */
  };
} sample;

typedef struct window_part {
  double min, max, sum;
  uint64_t count;
} window_part;

/* One tumbling window (contract fleetwise 6.2): the one being filled, the last and the one before. */
typedef struct window {
  int64_t period_us, end_us; /* end_us 0: not begun */
  window_part now, last, previous;
} window;

/* One signal of one campaign. */
typedef struct slot {
  uint32_t signal_id;
  const uint32_t *path; /* into a structured signal, in the campaign's arena */
  uint32_t path_count;
  uint32_t cap; /* sample_buffer_size; 0 for signals that only conditions read */
  int64_t min_period_us;
  sample *ring; /* grows up to cap */
  uint32_t ring_size, start, len;
  int64_t last_kept_us;
  double value; /* newest */
  mc_buf text; /* newest, when a condition reads it */
  bool has_value, consumed, in_condition, has_min_period;
  bool is_text, has_text; /* a text of a structured signal, or all of one as JSON */
  window *window; /* NULL: none asked */
} slot;

typedef struct campaign {
  mc_buf bytes; /* owned copies of the ids */
  mc_slice sync_id, manifest_id;
  int64_t start_us, expiry_us;
  bool condition_based, rising_edge, compress, persist;
  bool enabled, polled /* isNull or a custom function: evaluated again without a change */, dirty, has_windows;
  bool truth, armed; /* the condition's last result; a false was seen since the last edge */
  bool changed;      /* a signal of the condition has another value than at the last evaluation */
  uint32_t priority;
  int64_t interval_us; /* period, or minimum interval */
  int64_t after_us;
  int64_t last_trigger_us; /* or the activation */
  int64_t collect_us, event_us; /* waiting for after_duration; collect_us NEVER: not */
  mc_arena arena;
  mc_expr *condition;
  uint8_t *memory; /* of the condition's functions that remember */
  uint32_t memory_size;
  bool simple; /* condition is `signal op number` */
  uint32_t simple_slot;
  mc_expr_op simple_op;
  double simple_number;
  slot *slot;
  uint32_t slot_count;
  int64_t touched_us;      /* time of its newest sample */
  struct decoder *decoder; /* NULL: its manifest is not here */
  bool seen; /* by the list being set */
  bool fresh; /* activated and not evaluated yet */
} campaign;

/* Who wants a signal of a decoder. */
typedef struct use {
  campaign *campaign; /* or */
  state_template *template;
  uint32_t slot;
} use;

typedef struct signal_state {
  uint32_t first_use, use_count;
  mc_type type;
} signal_state;

/* A signal that comes as a message of the vehicle's middleware. */
typedef struct structure {
  uint32_t signal_id, root;
  mc_slice interface_id, message_id;
} structure;

typedef struct decoder {
  mc_arena arena;
  mc_slice sync_id;
  mc_can_signal *signal; /* all of the manifest that this vehicle can see */
  size_t signal_count;
  mc_cdr_types types;
  structure *structure;
  size_t structure_count;
  uint32_t *custom; /* ids of custom signals: nothing here decodes them, commands name them */
  size_t custom_count;
  mc_decode_plan *plan; /* of what enabled campaigns and state templates ask for; NULL: nothing */
  mc_map index;         /* signal id -> the plan's encoding_id, of all that somebody asks for */
  signal_state *state;  /* by the plan's encoding_id */
  use *use;
} decoder;

struct mc_inspector {
  mc_inspector_config config;
  MC_VEC(decoder *) decoder; /* newest last */
  MC_VEC(campaign *) campaign;
  MC_VEC(campaign *) dirty;
  state_templates states;
  MC_VEC(char *) manifest_error, scheme_error;
  MC_VEC(mc_slice) ids, errors;
  mc_decoded *decoded;
  size_t decoded_cap;
  size_t sample_bytes;     /* of all rings */
  uint64_t ring_refusals;  /* rings that could not grow */
  int64_t wall_us;         /* last tick */
  int64_t now_us;          /* inspection time: of frames, or of ticks when frames are live */
  int64_t due_us;          /* next inspection time at which something happens by itself */
  int64_t life_us;         /* next wall time at which a campaign starts or ends */
  bool recorded;           /* frames carry times far from the wall clock */
  uint8_t event_counter;
  mc_buf payload, packed;
  MC_VEC(mc_fw_sample) outgoing;
  MC_VEC(mc_fw_path) outgoing_path;
  MC_VEC(text_value *) outgoing_text; /* what its samples borrow */
  mc_buf structure, structure_text;
  uint64_t damaged;        /* messages that could not be read */
};

/* campaign.c */
mc_err mc_edge_campaign_create(const mc_fw_scheme *scheme, campaign **out, mc_why *why);
void mc_edge_campaign_destroy(mc_inspector *i, campaign *c);
void mc_edge_campaign_activate(campaign *c, int64_t now_us);
/* One new value of a slot. Returns true when the condition must be looked at again. */
bool mc_edge_campaign_sample(mc_inspector *i, campaign *c, slot *s, int64_t time_us, double value);
bool mc_edge_campaign_text(mc_inspector *i, campaign *c, slot *s, int64_t time_us, mc_slice text);
/* Evaluates and triggers; may collect. */
void mc_edge_campaign_evaluate(mc_inspector *i, campaign *c, int64_t now_us);
/* Everything that time alone does. */
void mc_edge_campaign_advance(mc_inspector *i, campaign *c, int64_t now_us);
int64_t mc_edge_campaign_due(const campaign *c);
/* Without another sample nothing of it changes any more, and nothing is sent. */
bool mc_edge_campaign_rests(const campaign *c, int64_t now_us);
/* What triggers without samples would have done until then: its interval keeps its phase. Only while it rests. */
void mc_edge_campaign_rest(campaign *c, int64_t until_us);

/* collect.c */
void mc_edge_campaign_collect(mc_inspector *i, campaign *c, int64_t event_us);

/* structure.c */
mc_err mc_edge_structures_read(decoder *d, const mc_fw_manifest *m, void (*report)(void *ctx, const char *text), void *ctx, mc_why *why);

/* inspector.c: around the values of one moment; a value for whoever asks for it */
void mc_edge_inspector_begin(mc_inspector *i, int64_t time_us);
void mc_edge_inspector_end(mc_inspector *i);
void mc_edge_inspector_mark(mc_inspector *i, campaign *c);

/* inspector.c */
int64_t mc_inspector_due(const mc_inspector *i);

#endif
