/* The module's state and the seams between its files. Private.
 *
 * `lock` guards everything below it down to the next lock; it is never held while the gateway is called or a sink takes a block. The decoder
 * reads versions (immutable once made) under the lock, remembers where they are, and uses them after: versions are never freed before
 * close. */
#ifndef MC_CAMPAIGN_STATE_H
#define MC_CAMPAIGN_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/vec.h"
#include "campaign/campaign.h"
#include "campaign/rollout.h"
#include "format/cdr.h"

typedef struct structured_signal { uint32_t signal, root; /* complex type */ } structured_signal;

/* One version of one decoder manifest: what a sync id means, for ever. */
typedef struct manifest_version {
  uint32_t tenant;
  char *name, *sync_id, *foreign_sync_id; /* the last one names `foreign`, what agents other than ours get; the same pointer where both documents are the same */
  bool current;                           /* the newest of its name */
  mc_map encoding;                        /* signal id -> index in list */
  MC_VEC(mc_encoding) list;
  MC_VEC(uint32_t) signal;  /* ids, ascending */
  mc_map left_out;          /* ids of those that `foreign` does not decode */
  mc_arena structure_arena; /* owner of the next three */
  mc_cdr_types types;
  structured_signal *structure;
  uint32_t structure_count;
  mc_buf extended, foreign; /* protobufs: for our agent, for others */
  int64_t created_us;
} manifest_version;

/* One version of one campaign against one manifest. */
typedef struct scheme_version {
  uint32_t tenant, campaign;
  char *sync_id;
  bool compress;
} scheme_version;

/* One version of one state template against one manifest and strategy. */
typedef struct template_version {
  uint32_t tenant;
  char *sync_id, *name, *manifest; /* name of the template; sync id of the manifest */
} template_version;

/* A state template as it is now. */
typedef struct template_entry {
  mc_state_template t; /* strings in the arena */
  mc_arena arena;
} template_entry;

/* A template as one vehicle has it. */
typedef struct template_use {
  char name[101];
  uint64_t period_ms; /* 0: on change */
} template_use;

/* One command about a state template, from its sending to its last answer. */
typedef struct state_command {
  uint32_t tenant, vehicle;
  char id[27], template[101];
  mc_state_action action;
  uint32_t status, reason, timeout_ms; /* status: mc_fw_command_status; 0: no answer yet */
  char text[300];
  int64_t issued_us, answered_us;
  bool dirty;
} state_command;

/* What a vehicle can say it holds. Ids that we made are kept as the version's own string: the same document, the same pointer. */
typedef enum id_kind { ID_UNKNOWN, ID_SCHEME, ID_MANIFEST, ID_TEMPLATE } id_kind;
typedef struct reported_id {
  const char *id; /* lives as long as the module */
  id_kind kind;
} reported_id;

/* What went wrong with what a vehicle sent, since the platform started; most vehicles have nothing of it. */
typedef enum vehicle_trouble {
  TROUBLE_CHECKIN_UNREADABLE, TROUBLE_IDS_UNKNOWN, TROUBLE_IDS_DROPPED, TROUBLE_DATA_UNREADABLE, TROUBLE_CAMPAIGN_UNKNOWN, TROUBLE_MANIFEST_UNKNOWN,
  TROUBLE_SIGNAL_UNKNOWN, TROUBLE_CLOCK_AHEAD, TROUBLE_CLOCK_STRAYED, TROUBLE_REPEATED, TROUBLE_TEMPLATE_UNKNOWN, TROUBLE_COMMAND_UNKNOWN, TROUBLE_COUNT
} vehicle_trouble;
typedef struct trouble_count {
  uint64_t count;
  int64_t last_us;
} trouble_count;

/* One kind of document on its way to one vehicle: what was sent last, so that nothing is sent again before the vehicle had its chance to confirm. */
typedef struct shipment {
  uint64_t hash;     /* of the wanted set; 0: nothing */
  uint32_t checkins; /* since it was sent */
  uint32_t tries;
  int64_t sent_us;
  bool failed; /* it could not be published */
} shipment;

/* What the platform knows of one vehicle's agent. */
typedef struct vehicle_state {
  uint32_t tenant, vehicle;
  char name[129];
  char prefix[64]; /* topic prefix it was last heard under: "$aws/iotfleetwise/" */
  bool ours;       /* told its capabilities: understands extensions */
  bool dirty;      /* not in the database yet */
  int64_t checkin_us;
  int64_t interval_us;           /* from the check-in before it */
  int64_t skew_ms;               /* its clock minus ours, at that check-in */
  MC_VEC(reported_id) reported;  /* of the last check-in, each once, ordered by pointer */
  MC_VEC(char *) unknown;        /* ids that we never made, the first of them; owned */
  uint32_t unknown_count, dropped; /* of the last check-in: ids that we never made; ids beyond what is read */
  MC_VEC(char *) error;          /* "<sync id>: text" of the last check-in; owned */
  shipment manifest, schemes, templates;
  MC_VEC(template_use) use; /* its state templates, as the database has them */
  uint32_t agent_version;   /* of AWS's agent, by the vehicle's attribute agentVersion; 0: nobody said */
  bool use_known;           /* both are as the database has them */
  trouble_count *trouble; /* TROUBLE_COUNT of them, or NULL; owned */
} vehicle_state;

/* A campaign as it is now, parsed. */
typedef struct campaign_entry {
  mc_campaign c; /* strings in the arena, as all below */
  rollout plan;
  mc_campaign *before; /* what vehicles outside the first keep until it goes on to them; NULL: nothing */
  int64_t tally_us;    /* not counted again before that */
  mc_arena arena;
} campaign_entry;

typedef struct event_row {
  uint32_t tenant, vehicle, campaign, event_id;
  int64_t time_us, arrival_us;
  uint64_t first_offset;
  uint32_t messages, samples;
} event_row;

typedef MC_VEC(event_row) event_row_vec;

typedef struct campaign_metrics {
  _Atomic uint64_t messages, samples, repeats, undecodable, unknown_signals, quarantined, checkins, documents_sent, events, strayed, checkins_unreadable,
      ids_unknown, ids_dropped, unknown_manifests, unknown_campaigns;
} campaign_metrics;

struct mc_campaigns {
  mc_campaigns_config config;
  mc_block_sink *sink;
  pthread_mutex_t vocabulary; /* one change of catalogs, models and manifests at a time; before all other locks, never taken by the reader */
  pthread_mutex_t lock;
  MC_VEC(manifest_version *) manifest; /* all versions; owned */
  mc_strmap manifest_by_sync;          /* "<tenant>/<sync id>" -> pointer */
  MC_VEC(scheme_version *) scheme;
  mc_strmap scheme_by_sync;
  MC_VEC(campaign_entry *) campaign; /* all; owned */
  mc_strmap compiled;                /* "<campaign id>/<updated>/<manifest sync id>" -> compiled_scheme * */
  mc_map vehicle;                    /* tenant << 32 | vehicle -> vehicle_state * */
  MC_VEC(vehicle_state *) unsaved;   /* those that are dirty */
  /* State templates are looked up inside transactions too (association.c), where `lock` may not be taken: they have a leaf lock beside it. Changing them needs
   * both, reading either. */
  pthread_mutex_t template_lock;
  MC_VEC(template_entry *) template;         /* all; owned */
  MC_VEC(template_version *) template_version; /* all; owned */
  mc_strmap template_by_sync;                /* "<tenant>/<sync id>" -> template_version * */
  mc_strmap template_compiled;               /* "<template id>/<updated>/<manifest sync id>/<period>" -> compiled_template * */
  MC_VEC(state_command) command;             /* the newest last; the oldest go when there are many */
  campaign_metrics count;
  uint64_t limit[MC_CONTROL_LIMITS + 1]; /* by shape_limit; set before anyone calls */
  /* decoder thread only */
  struct repeat_table *repeats;
  struct hour_budget *hours;
  mc_block_builder block;
  mc_arena arena;
  mc_buf plain;
  mc_strmap manifest_known, scheme_known, template_known; /* "<tenant>/<sync id>" -> version: what was looked up under the lock once */
  /* Events waiting to be written. The decoder notes them under event_lock, which is held for moments only; whoever writes holds event_write
   * (first of all locks), takes what was noted and needs nothing but the database. */
  pthread_mutex_t event_lock;
  event_row_vec event;
  mc_map event_index; /* hash of the key -> index in event */
  pthread_mutex_t event_write;
  event_row_vec writing; /* ordered by key; the first `written` are in the database */
  size_t written;
  _Atomic uint64_t offset; /* where a reader should begin */
  struct cost_book *costs; /* what campaigns send: the reader notes, the checkpoint writes */
  struct pace_book *paces; /* how much slower caps make them; under lock */
  _Atomic bool rehearsing; /* a dry run is under way */
};

/* schema.c */
extern const mc_migration campaign_migrations[];
extern const size_t campaign_migration_count;

/* versions.c: looked up by any thread; added under the lock. The two that end in _seen are the decoder's: they take no lock for what they
 * found before. */
manifest_version *campaign_manifest_by_sync(mc_campaigns *c, uint32_t tenant, mc_slice sync_id);
manifest_version *campaign_manifest_current(mc_campaigns *c, uint32_t tenant, mc_slice name);
scheme_version *campaign_scheme_by_sync(mc_campaigns *c, uint32_t tenant, mc_slice sync_id);
manifest_version *campaign_manifest_seen(mc_campaigns *c, uint32_t tenant, mc_slice sync_id);
scheme_version *campaign_scheme_seen(mc_campaigns *c, uint32_t tenant, mc_slice sync_id);
/* Takes ownership. The older versions of the name stop being current. */
mc_err campaign_manifest_add(mc_campaigns *c, manifest_version *m);
mc_err campaign_scheme_add(mc_campaigns *c, scheme_version *s);
void campaign_manifest_retire(mc_campaigns *c, uint32_t tenant, mc_slice name); /* no version of the name is current any more; late data is still read */
void campaign_manifest_free(manifest_version *m); /* NULL is fine; one that was added belongs to the module */
void campaign_versions_free(mc_campaigns *c);
/* Of manifests and campaigns: 1 to 100 of letters, digits, -, _ and : (contract fleetwise 9.4). */
bool campaign_name_valid(mc_slice name);
bool campaign_fqn_valid(mc_slice fqn); /* import.c */

/* hours.c: may this sample open its hour of history? False: the vehicle has opened too many far from the present. */
typedef struct hour_budget hour_budget;
hour_budget *hour_budget_create(void);
void hour_budget_destroy(hour_budget *b);
bool hour_budget_take(hour_budget *b, uint32_t tenant, uint32_t vehicle, int64_t time_us, int64_t arrival_us);

/* repeat.c: has this very message of this event been taken before, at another place of the journal? */
typedef struct repeat_table repeat_table;
repeat_table *repeat_table_create(void);
void repeat_table_destroy(repeat_table *t);
/* True: a repeat. Otherwise remembers it. */
bool repeat_table_seen(repeat_table *t, uint32_t tenant, uint32_t vehicle, mc_slice campaign_sync_id, uint64_t event_time_ms,
                       uint32_t event_id, mc_slice payload, uint64_t offset);
/* Offset of the oldest message remembered that lies at or behind `least`, or of one at most 1 MiB behind that; UINT64_MAX: none. Always one that the
 * journal handed out: a reader can begin there. Any thread. */
uint64_t repeat_table_oldest(const repeat_table *t, uint64_t least);

/* event.c */
mc_err campaign_event_note(mc_campaigns *c, const event_row *row);
/* Writes what was noted before the call, in transactions of a bounded size. What could not be written waits for the next call. Not the
 * decoder's thread. */
mc_err campaign_events_write(mc_campaigns *c, mc_why *why);
void campaign_events_free(mc_campaigns *c);

/* ingest.c, checkin.c: one record each, decoder thread */
mc_err campaign_ingest(mc_campaigns *c, const mc_record *record, uint32_t thing, mc_slice vehicle_name, uint64_t next_offset, mc_why *why);
mc_err campaign_checkin(mc_campaigns *c, const mc_record *record, mc_slice vehicle_name, mc_slice prefix, mc_why *why);

/* The data of a message, as it is or expanded, and the campaign version that it names (NULL: none that we sent). Borrows from payload, arena, expanded. */
mc_err campaign_payload_read(mc_campaigns *c, uint32_t tenant, mc_slice payload, mc_arena *arena, mc_buf *expanded, scheme_version *(*find)(mc_campaigns *c, uint32_t tenant, mc_slice sync_id),
                             mc_fw_vehicle_data *out, scheme_version **scheme, mc_why *why);
/* The vehicle that a message speaks for; 0: none that we know. */
uint32_t campaign_vehicle_of(mc_campaigns *c, const mc_record *r, mc_slice name);

/* manifest.c: versions from stored documents */
mc_err campaign_manifests_load(mc_campaigns *c, mc_why *why);
/* A version of what a manifest decodes (its sync id is left out of account). observed: ids seen on the bus, for agents that need exact ones. Touches nothing. */
mc_err campaign_manifest_build(uint32_t tenant, mc_slice name, const mc_fw_manifest *doc, const uint32_t *observed, size_t observed_count, manifest_version **out, mc_why *why);
/* Its row. Inside a transaction. */
mc_err campaign_manifest_store(mc_campaigns *c, const manifest_version *m, mc_why *why);
/* Takes ownership: from now on it is the current one of its name. Behind the commit. */
mc_err campaign_manifest_show(mc_campaigns *c, manifest_version *m, mc_why *why);

/* agent.c: what the agents out there would get wrong, and what is done about it (contract fleetwise 12.2) */
typedef enum work_around {
  AROUND_WINDOW_ONLY, AROUND_WINDOW_MAXIMUM, AROUND_DEPTH, AROUND_PARTITION_SIZE, AROUND_PARTITION_TTL, AROUND_TEMPLATE_TEXT, AROUND_MEMORY, AROUND_CONDITIONS,
  AROUND_INT16, AROUND_WIDE_FACTOR, AROUND_MULTIPLEX, AROUND_ID_MASK, AROUND_CLEAR_LIST, AROUND_IEEE, AROUND_COUNT
} work_around;
typedef struct agent_defect {
  const char *name;
  uint32_t fixed_in; /* version of AWS's agent without it; 0: none of those known */
  const char *defect, *done;
} agent_defect;
extern const agent_defect agent_defects[AROUND_COUNT];
typedef struct agent_kind {
  bool ours;
  uint32_t version; /* AWS's: AGENT_VERSION(1, 3, 4); 0: not known, taken as the newest known */
} agent_kind;
#define AGENT_VERSION(major, minor, patch) ((uint32_t)(major) << 16 | (uint32_t)(minor) << 8 | (uint32_t)(patch))
bool agent_needs(agent_kind agent, work_around which);
uint32_t agent_version_of(mc_slice text); /* "1.2.1"; 0: none */
/* Sample buffers of one agent, and campaigns and fetch conditions at once. */
enum { CONDITION_DEPTH = 60 /* levels that go on the wire: 64, less what work-arounds add */ };
enum { AGENT_SAMPLE_BYTES = 16 << 20, AGENT_CONDITIONS = 256, AGENT_BYTES_A_SAMPLE = 16, AGENT_SIGNALS_A_CONDITION = 50000 };

/* scheme.c: a campaign compiled against one manifest. Lock held by the caller. */
typedef struct compiled_scheme {
  const char *sync_id; /* the version's own string; NULL when there are no bytes */
  mc_buf bytes;        /* CollectionSchemes field 1, ready to be joined with others; empty: it does not concern such a vehicle, or cannot be made */
  const char *reason;  /* when it is empty: why, as a word ("nothing_to_collect") */
  char *text;          /* and for people; owned. With bytes: what was changed for this agent, or NULL */
  uint64_t sample_bytes;
  uint32_t fetch_conditions;
  uint64_t hash; /* of the sync id */
} compiled_scheme;
/* pace: as cost_paced takes it; 0: as written. */
mc_err campaign_scheme_compile(mc_campaigns *c, const mc_campaign *campaign, const manifest_version *m, agent_kind agent, uint32_t pace,
                               const compiled_scheme **out, mc_why *why);
/* The same for a campaign that is not to be sent: no version is made of it, and nothing is kept. out is the caller's, its sync_id is NULL. */
mc_err campaign_scheme_try(mc_campaigns *c, const mc_campaign *campaign, const manifest_version *m, agent_kind agent, compiled_scheme *out, mc_why *why);
void campaign_scheme_tried_free(compiled_scheme *s);
bool campaign_manifest_decodes(const manifest_version *m, uint32_t signal);
bool campaign_agent_decodes(const manifest_version *m, agent_kind agent, uint32_t signal); /* with the document that such an agent gets */
void campaign_schemes_free(mc_campaigns *c);
mc_err campaign_schemes_load(mc_campaigns *c, mc_why *why);
/* condition.c: what a name stands for, and the tree for the wire */
typedef struct condition_use {
  uint32_t id;
  const uint32_t *path; /* into a structured signal; in the arena */
  uint32_t path_count;
} condition_use;
typedef struct condition_names {
  mc_campaigns *c;
  uint32_t tenant;
  mc_slice manifest; /* name of the decoder manifest by which paths are counted; empty: any that has the signal */
  mc_arena *arena;
  MC_VEC(condition_use) used; /* each once; free with mc_vec_free */
} condition_names;
/* signal_path.c: a name that goes into a structured signal. MC_ERR_NOT_FOUND without a text: it is none. */
mc_err campaign_path_find(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_slice name, mc_arena *arena, mc_expr_name *out, mc_why *why);
/* Also balances what is deep, and refuses what is still too deep for the wire. */
mc_err campaign_condition_parse(condition_names *names, mc_slice text, mc_expr **out, mc_why *why);
/* What a fetch does: one custom function with literal arguments. */
mc_err campaign_action_parse(condition_names *names, mc_slice text, mc_expr **out, mc_why *why);
mc_fw_node *campaign_condition_to_wire(const mc_expr *e, mc_arena *arena); /* NULL: out of memory */
/* "there is no signal ...", with the nearest name of the catalog */
mc_err campaign_unknown_signal(mc_campaigns *c, uint32_t tenant, mc_slice fqn, mc_arena *arena, mc_why *why);
/* Does a name of a campaign's list (wildcards: contract 9.4) take this signal? `*` stands for any letters of one part, at the end for all parts. */
bool campaign_pattern_takes(mc_slice pattern, mc_slice fqn);
bool campaign_is_pattern(mc_slice name);

/* document.c */
mc_err campaign_to_document(const mc_campaign *g, mc_buf *out);
mc_err campaign_from_document(mc_slice text, mc_arena *arena, mc_campaign *g);
/* check.c: field names before texts */
mc_err campaign_check(mc_campaigns *c, const mc_campaign *g, mc_arena *arena, mc_why *why);
/* check_parts.c: what is kept as FleetWise's documents - store and forward, fetching */
mc_err campaign_check_parts(mc_campaigns *c, const mc_campaign *g, mc_arena *arena, mc_why *why);
/* resource.c */
/* also (may be NULL) runs inside the transaction that makes it */
mc_err campaign_create(mc_campaigns *c, mc_campaign *campaign, bool start_now, mc_err (*also)(void *ctx, mc_why *why), void *ctx, mc_arena *arena, mc_why *why);
bool campaign_room(mc_campaigns *c, uint32_t tenant, mc_why *why); /* one more may be made; else why says how many there may be */
/* A change of description, dimensions and status in one step, against what the campaign is at that moment. */
typedef struct campaign_edit {
  const mc_slice *description, *dimensions; /* NULL: stays */
  int from, to;                             /* mc_campaign_status; from -1: stays. MC_ERR_CONFLICT when it is not `from` */
  mc_campaign_status status;                /* out: what it is now */
} campaign_edit;
mc_err campaign_change(mc_campaigns *c, uint32_t tenant, uint32_t id, campaign_edit *edit, mc_arena *arena, mc_why *why);
/* Lock held. Empty: none. */
mc_slice campaign_of_catalog(mc_campaigns *c, uint32_t tenant, mc_slice catalog);
mc_slice campaign_of_target(mc_campaigns *c, uint32_t tenant, const char *kind, mc_slice target);
mc_err campaign_resources_load(mc_campaigns *c, mc_why *why);
campaign_entry *campaign_entry_of(mc_campaigns *c, uint32_t tenant, uint32_t id); /* lock held */
/* catalog.c */
mc_err campaign_catalog_put(mc_campaigns *c, uint32_t tenant, uint32_t signal, mc_slice fqn, const char *kind, mc_type type, mc_slice unit,
                            mc_slice description, bool has_range, double low, double high, mc_slice value_names_json,
                            mc_why *why); /* inside a write transaction */

/* vehicle.c: what vehicles said, in memory and in the database */
vehicle_state *campaign_vehicle_state(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, bool add); /* lock held */
void campaign_vehicle_forget(vehicle_state *v); /* what its last check-in said */
bool campaign_vehicle_reports(const vehicle_state *v, const char *sync_id); /* the version's own string */
mc_err campaign_vehicle_dirty(mc_campaigns *c, vehicle_state *v);
agent_kind campaign_vehicle_agent(const vehicle_state *v); /* NULL: AWS's */
mc_err campaign_vehicle_facts(mc_campaigns *c, vehicle_state *v); /* reads what the database knows of it, when that changed; lock held */
/* Takes the ids and errors of a check-in. */
mc_err campaign_vehicle_reported(mc_campaigns *c, vehicle_state *v, const mc_slice *id, uint32_t count);
mc_err campaign_vehicle_errors(vehicle_state *v, const mc_slice *text, uint32_t count);
/* Counts what is wrong with a vehicle's messages. Takes the lock. */
void campaign_trouble(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, vehicle_trouble what, uint64_t count);
mc_err campaign_checkins_load(mc_campaigns *c, mc_why *why);
mc_err campaign_checkins_save(mc_campaigns *c, mc_why *why);
void campaign_vehicles_free(mc_campaigns *c);
/* versions.c: a version's own string; ID_UNKNOWN and NULL when we never made it. Lock held. */
reported_id campaign_id_find(mc_campaigns *c, uint32_t tenant, mc_slice sync_id);

/* reconcile.c: what a vehicle should hold against what it says it holds */
typedef struct planned {
  const mc_campaign *g;
  const compiled_scheme *s;
  work_around held; /* AROUND_COUNT: it goes; else what there is no room for on this vehicle */
} planned;
typedef struct vehicle_plan {
  const manifest_version *m; /* NULL: the vehicle has none */
  const char *manifest_id;
  MC_VEC(planned) scheme; /* those that concern the vehicle now */
  uint64_t hash;          /* of the set of ids that go */
  uint64_t sample_bytes;  /* of all that concern it */
} vehicle_plan;
mc_err campaign_plan(mc_campaigns *c, agent_kind agent, const mc_vehicle *vehicle, int64_t now_us, vehicle_plan *out); /* lock held; free scheme */
bool campaign_names(mc_campaigns *c, const mc_campaign *campaign, const mc_vehicle *vehicle); /* by its target alone */
/* What a vehicle shall have of a campaign now: as it is, as it was before it was changed (while that is rolled out), or NULL, nothing. Lock held. */
const mc_campaign *campaign_wanted(mc_campaigns *c, const campaign_entry *e, const mc_vehicle *vehicle, int64_t now_us);
/* Sends what is missing. changed: something was edited, so the waiting rules start anew. Takes the lock itself. */
void campaign_reconcile(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, bool changed);
void campaign_reconcile_all(mc_campaigns *c, uint32_t tenant);
enum { RECONCILE_TRIES = 5, RECONCILE_PATIENCE = 2 /* check-ins */ };

/* versions.c: versions of state templates, as of the others; added under the lock. */
template_version *campaign_template_seen(mc_campaigns *c, uint32_t tenant, mc_slice sync_id); /* decoder */
template_version *campaign_template_by_sync(mc_campaigns *c, uint32_t tenant, mc_slice sync_id);
mc_err campaign_template_index(mc_campaigns *c, template_version *v);

/* template.c: state templates. Lock held by the caller where it says so. */
template_entry *campaign_template_find(mc_campaigns *c, uint32_t tenant, mc_slice identifier); /* name or id; lock or template_lock held */
mc_err campaign_new_id(char out[27], mc_why *why);
mc_err campaign_templates_load(mc_campaigns *c, mc_why *why);
void campaign_templates_free(mc_campaigns *c);
mc_slice campaign_template_of_catalog(mc_campaigns *c, uint32_t tenant, mc_slice catalog); /* lock held; empty: none */
mc_err campaign_template_change(mc_campaigns *c, const mc_state_template *t, mc_why *why); /* mc_template_update without telling vehicles */
bool campaign_template_room(mc_campaigns *c, uint32_t tenant, mc_why *why);
/* also (may be NULL) runs inside the transaction */
mc_err campaign_template_create(mc_campaigns *c, mc_state_template *t, mc_err (*also)(void *ctx, mc_why *why), void *ctx, mc_why *why);
/* template_plan.c: the delta that a vehicle lacks. Lock held. */
typedef struct compiled_template {
  const char *sync_id; /* the version's own; NULL: the manifest decodes nothing of it */
  MC_VEC(uint32_t) signal;
  uint64_t period_ms, hash;
  bool text_left_out;
} compiled_template;
typedef struct template_plan {
  MC_VEC(const compiled_template *) wanted; /* in the order of vehicle_state.use; NULL where there is nothing to send */
  uint64_t hash;
} template_plan;
mc_err campaign_template_plan(mc_campaigns *c, vehicle_state *v, const manifest_version *m, template_plan *out); /* free wanted */
/* Appends the document to `out` when there is something to add or to take away; nothing otherwise. */
mc_err campaign_template_delta(mc_campaigns *c, vehicle_state *v, const manifest_version *m, const template_plan *p, uint64_t version, mc_buf *out);
bool campaign_templates_match(const vehicle_state *v, const template_plan *p);
/* known_state.c */
mc_err campaign_state_ingest(mc_campaigns *c, const mc_record *record, uint32_t vehicle, mc_slice vehicle_name, uint64_t next_offset, mc_why *why);
/* state_command.c */
mc_err campaign_command_answer(mc_campaigns *c, const mc_record *record, uint32_t vehicle, mc_slice vehicle_name, mc_slice execution);
mc_err campaign_commands_load(mc_campaigns *c, mc_why *why);
mc_err campaign_commands_save(mc_campaigns *c, mc_why *why);
/* structure.c: parts of structured signals. m may be NULL where it says so. */
mc_err campaign_structures_fill(manifest_version *m, const mc_fw_manifest *doc, mc_why *why);
const structured_signal *campaign_structure_find(const manifest_version *m /* NULL */, uint32_t signal);
/* MC_ERR_NOT_FOUND: the manifest has nothing there that is a number or a text, or no names for it. */
mc_err campaign_part_name(mc_campaigns *c, const manifest_version *m, const mc_fw_path *path, mc_buf *out, mc_type *type);
uint32_t campaign_part_signal(mc_campaigns *c, const manifest_version *m /* NULL */, const mc_fw_path *path); /* its id; 0: nobody ever asked for it by name */
mc_err campaign_part_register(mc_campaigns *c, const manifest_version *m, const mc_fw_path *path, mc_why *why);
/* topic.c: "signals", "checkins", "last_known_states/data", or "response" with the execution's id */
typedef enum topic_kind { TOPIC_OTHER, TOPIC_SIGNALS, TOPIC_CHECKIN, TOPIC_STATE, TOPIC_RESPONSE } topic_kind;
topic_kind campaign_topic(mc_slice topic, mc_slice *vehicle_name, mc_slice *execution);

/* name + "-" + 16 hex digits of the content's SHA-256 */
void campaign_sync_id(mc_slice name, mc_slice content, char out[160]);

#endif
