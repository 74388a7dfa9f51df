/* campaign: what vehicles are asked to send - signal catalogs, vehicle models, decoder manifests, campaigns - and the reader that turns
 * what they sent into blocks of samples.
 *
 * Resources live in db (JSON documents plus compiled protobufs); a change compiles the documents of the vehicles it touches, which are pushed
 * at once and confirmed at check-in (contract fleetwise 4). The wire's signal ids are the tenant's dense signal ids. Sync id = name + "-" + 16
 * hex digits of the content's SHA-256. Threads: control calls any thread (one mutex); mc_campaign_record on the reader thread. */
#ifndef MC_CAMPAIGN_H
#define MC_CAMPAIGN_H

#include "base/arena.h"
#include "db/db.h"
#include "journal/journal.h"
#include "registry/registry.h"
#include "signal/signal.h"

typedef struct mc_campaigns mc_campaigns;
typedef struct mc_campaigns_config {
  mc_db *db;
  mc_registry *registry;
  /* sends a document to a vehicle; wired to the gateway */
  mc_err (*publish)(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why);
  void *publish_ctx;
  const mc_block_sink *sink; /* twin, store, live view, in this order */
  size_t sink_count;
  mc_trouble_sink trouble_sink; /* may be empty */
  const uint64_t *limit; /* as many as mc_control_limit_count(), in its order; NULL: the defaults */
  /* What a campaign did without anybody's call: "campaign_suspend", "campaign_rollout". May be NULL; called by mc_campaign_tick without a lock. */
  void (*by_itself)(void *ctx, uint32_t tenant, uint32_t campaign, const char *operation, const char *text);
  void *by_itself_ctx;
} mc_campaigns_config;
mc_err mc_campaigns_open(const mc_campaigns_config *config, mc_campaigns **out, mc_why *why); /* migrates its tables, compiles */
void mc_campaigns_close(mc_campaigns **c);

/* Topics that carry what this module reads: "<prefix>vehicles/<name>/checkins|signals|last_known_states/data" for the prefixes $aws/iotfleetwise/ and
 * cms/fleetwise/, and "<prefix>things/<name>/executions/<id>/response/protobuf" for $aws/commands/ and cms/commands/. The gateway journals them under their
 * own streams. MC_STREAM_MESSAGE when it is none. *vehicle_name borrows. */
mc_stream mc_campaign_stream_of_topic(mc_slice topic, mc_slice *vehicle_name);

/* One journal record (TELEMETRY or CHECKIN). Decodes, merges, drops repeats (event key + payload hash), hands blocks to the sinks. A record that
 * cannot be decoded is counted, kept in the journal, and never stops the reader; a sink's error does. Reader thread only. */
mc_err mc_campaign_record(mc_campaigns *c, const mc_record *record, uint64_t next_offset, mc_why *why);
/* Repeat detection survives restarts: state up to an offset is saved with it. The reader has taken every record before offset. Any thread
 * but the reader's, which goes on meanwhile (or has ended); it takes seconds when there is much. A failure leaves what it did not save for the
 * next call. */
mc_err mc_campaign_checkpoint(mc_campaigns *c, uint64_t offset, mc_why *why);
/* What time and what vehicles said decide: caps slow campaigns, a new day lets them go, a roll-out goes on or suspends itself. Every some seconds; one thread at a
 * time, none of the reader's. What fails is tried again with the next call. */
mc_err mc_campaign_tick(mc_campaigns *c, int64_t now_us, mc_why *why);
/* Writes the events noted so far when there are at least so many. Any thread but the reader's. */
mc_err mc_campaign_events_save(mc_campaigns *c, size_t at_least, mc_why *why);
/* Where this module's own state wants the reader to begin (0 at first). */
uint64_t mc_campaign_offset(const mc_campaigns *c);
/* For a restore: forgets what the database says about messages at or behind a journal offset. Before it is opened by mc_campaigns_open. */
mc_err mc_campaign_rewind(mc_db *db, uint64_t offset, mc_why *why);
typedef struct mc_campaign_stats {
  uint64_t messages, samples, repeats, undecodable, unknown_signals, quarantined, checkins, documents_sent, events;
  uint64_t strayed; /* samples left out: too many hours far from the present */
  uint64_t checkins_unreadable, ids_unknown, ids_dropped; /* of check-ins: that could not be read; ids in them that we never made; ids beyond what is read */
  uint64_t unknown_manifests, unknown_campaigns;          /* telemetry that names a manifest or a campaign that we never made */
} mc_campaign_stats;
void mc_campaign_stats_get(mc_campaigns *c, mc_campaign_stats *out);

/* ---- one command: catalog, model and manifest from a DBC ---- */
typedef struct mc_dbc_import {
  uint32_t tenant;
  mc_slice name;          /* of the model and manifest, [A-Za-z0-9_:-]{1,100} */
  mc_slice dbc_text;
  const char *dbc_name;   /* for messages */
  mc_slice interface_id;  /* "can0"; several imports under one name give several interfaces */
  mc_slice map_json;      /* {"Vehicle.Speed":"EEC1.Speed", ...}; unmapped signals get "Vehicle.<Message>.<Signal>". May be empty */
  const uint32_t *observed_id; /* ids seen on the bus (bit 31 = extended), for agents that need exact ones; may be NULL */
  size_t observed_count;
} mc_dbc_import;
typedef struct mc_dbc_import_report { uint32_t signals, messages, multiplexed, ieee, warnings; char manifest_sync_id[160]; char first_warnings[1024]; } mc_dbc_import_report;
mc_err mc_campaign_import_dbc(mc_campaigns *c, const mc_dbc_import *import, mc_dbc_import_report *report, mc_why *why);
/* Catalog nodes from a VSS tree. Names that are there stay as they are: a manifest may decode them in another unit. */
mc_err mc_campaign_import_catalog(mc_campaigns *c, uint32_t tenant, const mc_catalog *catalog, uint32_t *added, uint32_t *kept, mc_why *why);

typedef struct mc_signal_info {
  uint32_t id;
  mc_slice fqn, unit, description, type; /* type: "DOUBLE"… as mc_type_name */
  double min, max;
  bool has_min, has_max;
  uint32_t value_count; /* value table: names of numbers */
  int64_t *value_number;
  mc_slice *value_name;
} mc_signal_info;
/* Ordered by FQN; after: FQN cursor; filter: substring. */
mc_err mc_campaign_signals(mc_campaigns *c, uint32_t tenant, mc_slice after, mc_slice filter, size_t limit, mc_arena *arena, mc_signal_info **out, size_t *count, mc_why *why);
mc_err mc_campaign_signal(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_arena *arena, mc_signal_info *out);
typedef struct mc_manifest_info { mc_slice name, sync_id; uint32_t signals, vehicles; int64_t created_us; } mc_manifest_info;
mc_err mc_campaign_manifests(mc_campaigns *c, uint32_t tenant, mc_arena *arena, mc_manifest_info **out, size_t *count, mc_why *why);
/* Signal ids of a manifest, ordered. */
mc_err mc_campaign_manifest_signals(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_arena *arena, uint32_t **out, size_t *count, mc_why *why);

/* ---- campaigns ---- */
typedef enum mc_campaign_status { MC_CAMPAIGN_DRAFT, MC_CAMPAIGN_RUNNING, MC_CAMPAIGN_SUSPENDED, MC_CAMPAIGN_ENDED } mc_campaign_status;
typedef struct mc_campaign_amount { uint64_t messages, bytes, samples; } mc_campaign_amount;
/* A roll-out: first some vehicles, then the rest. The others keep what the campaign collected before it was changed. */
typedef enum mc_campaign_phase { MC_CAMPAIGN_FIRST, MC_CAMPAIGN_REST } mc_campaign_phase;
typedef struct mc_campaign_collect {
  mc_slice fqn; /* or a pattern: "Vehicle.Chassis.*", "Vehicle.Cabin.Door.*.IsOpen" */
  uint32_t max_samples /* 0: 1,000 */, min_period_ms;
  mc_slice partition; /* id of one of the campaign's partitions; empty: none, or the one called default */
} mc_campaign_collect;
typedef struct mc_campaign {
  uint32_t id, tenant;
  mc_slice name, description;
  mc_campaign_status status;
  mc_slice target_kind;    /* "all", "fleet", "manifest", "vehicle" */
  mc_slice target;         /* fleet id, manifest or vehicle name */
  bool condition_based;
  uint32_t period_ms;      /* time based, >= 10 */
  mc_slice expression;     /* condition based */
  uint32_t min_interval_ms;
  bool rising_edge;
  uint32_t after_ms;
  bool compress, persist;
  uint32_t priority;
  int64_t start_us, expiry_us; /* 0 expiry: never */
  mc_campaign_collect *signal;
  uint32_t signal_count;
  bool include_dtcs;
  mc_slice catalog; /* the signal catalog that it was written for; empty: whichever */
  /* JSON arrays in FleetWise's own shapes (contract 9.4): dataExtraDimensions, dataDestinationConfigs, dataPartitions, signalsToFetch. Empty: none */
  mc_slice dimensions, destinations, partitions, fetch;
  /* Of one vehicle, of all together; for a UTC day of arrival, 0: none. What comes near one is collected slower until midnight. */
  mc_campaign_amount cap_vehicle, cap_all;
  mc_slice rollout; /* JSON: {"percent": 5, "vehicles": [...], "hold_s": 3600, ...}, README; empty: to all at once */
  /* Ours, passed over in what is given: */
  mc_campaign_phase phase;
  int64_t held_us;       /* since when all first vehicles have confirmed it; 0: not yet */
  mc_slice stopped;      /* why it suspended itself; empty: it did not */
  int64_t created_us, updated_us;
  mc_slice sync_id; /* of the compiled scheme against the first manifest, for display */
} mc_campaign;
/* Validates (unknown signal: names it and the nearest one; expression errors: byte) and stores. Status of a new one: DRAFT unless start_now. */
mc_err mc_campaign_create(mc_campaigns *c, mc_campaign *campaign, bool start_now, mc_arena *arena, mc_why *why);
mc_err mc_campaign_update(mc_campaigns *c, const mc_campaign *campaign, mc_arena *arena, mc_why *why);
mc_err mc_campaign_set_status(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_campaign_status status, mc_why *why);
mc_err mc_campaign_delete(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_why *why);
mc_err mc_campaign_get(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_arena *arena, mc_campaign *out);
mc_err mc_campaign_list(mc_campaigns *c, uint32_t tenant, mc_arena *arena, mc_campaign **out, size_t *count, mc_why *why);
/* Checks an expression without storing: the editor's live help. *depth and used signals on success. */
mc_err mc_campaign_check_expression(mc_campaigns *c, uint32_t tenant, mc_slice text, uint32_t *depth, mc_arena *arena, mc_slice **fqns, size_t *count, mc_why *why);
/* Where a campaign stands on a vehicle. state, for people: pending (not confirmed yet), healthy (in its last check-in), refused (agent's text), none (it
 * does not run there). status, FleetWise's (GetVehicleStatus): CREATED (not approved), READY (approved, not sent), READY_FOR_CHECKIN (sent, not confirmed),
 * HEALTHY, SUSPENDED, DELETING (taken off, but the vehicle still lists it). reason: a word from the table in the README ("never_checked_in"); text: what it
 * means here and what to do. */
typedef struct mc_campaign_vehicle {
  uint32_t vehicle;
  mc_slice state, text;
  int64_t changed_us; /* last check-in; 0: never */
  mc_slice status, reason;
  uint32_t slower; /* times, by a cap; 1: as written */
  bool former;     /* of a roll-out: it has, or shall have, what the campaign collected before it was changed */
} mc_campaign_vehicle;
mc_err mc_campaign_vehicles(mc_campaigns *c, uint32_t tenant, uint32_t id, size_t limit, mc_arena *arena, mc_campaign_vehicle **out, size_t *count, mc_why *why);
typedef struct mc_campaign_tally { uint64_t targeted, vehicles /* that it runs on or shall */, healthy, pending, refused; } mc_campaign_tally;
mc_err mc_campaign_tally_of(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_campaign_tally *out, mc_why *why);
/* The same for one vehicle: every campaign that targets it or that it still lists, by name; and what is known of its agent. */
typedef struct mc_vehicle_campaign {
  uint32_t id; /* 0: it is deleted, or was never ours */
  mc_slice name;
  mc_campaign_vehicle at;
} mc_vehicle_campaign;
typedef struct mc_vehicle_trouble { mc_slice kind; uint64_t count; int64_t last_us; mc_slice text; } mc_vehicle_trouble; /* since the platform started */
typedef struct mc_vehicle_agent {
  bool heard, ours;
  int64_t checkin_us, skew_ms; /* its clock minus ours */
  mc_slice manifest;           /* sync id that it reports; empty: none */
  mc_slice wanted_manifest;    /* that it should hold; empty: the vehicle has none */
  uint32_t reported, unknown, dropped;
  mc_slice first_unknown;
  mc_vehicle_trouble *trouble;
  size_t trouble_count;
} mc_vehicle_agent;
mc_err mc_campaign_of_vehicle(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_arena *arena, mc_vehicle_campaign **out, size_t *count, mc_vehicle_agent *agent, mc_why *why);
/* On which vehicles a campaign would run, whatever its status: the targeted ones, by manifest. Looks at target_kind, target, expression (passed over when
 * it is not valid) and the signals' names only; nothing is stored. missing counts signals that the manifest does not decode, name holds the first of them. */
enum { MC_CAMPAIGN_REACH_NAMES = 5 };
typedef struct mc_campaign_reach { mc_slice manifest; /* empty: none */ uint32_t vehicles; bool reached; uint32_t missing; mc_slice name[MC_CAMPAIGN_REACH_NAMES]; } mc_campaign_reach;
mc_err mc_campaign_reach_of(mc_campaigns *c, const mc_campaign *draft, mc_arena *arena, mc_campaign_reach **out, size_t *count, mc_why *why);

/* How a roll-out does. */
typedef struct mc_campaign_rollout {
  bool staged;       /* it has first vehicles at all */
  mc_campaign_phase phase;
  uint64_t reached, sent, confirmed, refused, errors, silent; /* vehicles that it reaches in this phase, and of them */
  int64_t held_us;   /* as in mc_campaign */
  bool ready;        /* a person may let it go on */
  mc_slice text;     /* what it waits for, or why it stopped */
} mc_campaign_rollout;
mc_err mc_campaign_rollout_of(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_arena *arena, mc_campaign_rollout *out, mc_why *why);
/* On to the rest, or back to the first. MC_ERR_CONFLICT: it has no first vehicles. */
mc_err mc_campaign_rollout_set(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_campaign_phase phase, mc_why *why);

/* What a campaign sent, by day of arrival (UTC) and by vehicle, the most first: messages with repeats, whole MQTT packets, samples. */
typedef struct mc_campaign_cost { int64_t day /* since 1970 */; uint32_t vehicle; uint64_t messages, bytes, samples; uint32_t slower /* now, times, by a cap; 1: as written */; } mc_campaign_cost;
typedef struct mc_campaign_costs_report { int64_t from_day; mc_campaign_cost *day; size_t days; uint32_t slower /* all of it */; mc_campaign_cost *vehicle; size_t vehicles; } mc_campaign_costs_report;
/* The last `days` days, today counts as one; at most limit vehicles. */
mc_err mc_campaign_costs(mc_campaigns *c, uint32_t tenant, uint32_t id, uint32_t days, size_t limit, mc_arena *arena, mc_campaign_costs_report *out, mc_why *why);

/* An erased vehicle: what it sent stays in the sums, as vehicle 0. */
mc_err mc_campaign_costs_erase(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_why *why);

/* ---- dry run ---- what a campaign would have sent of what is stored: its document is compiled as for the vehicle, and the stored samples go through an agent's
 * own evaluation. It sees what other campaigns collected, at their rate; a signal that nobody collected is counted as without data. Nothing is stored. */
struct mc_store;
typedef struct mc_dry_run_event { /* one message that the agent would have sent */
  int64_t time_us;                /* of its event */
  uint32_t event_id, samples;
  size_t bytes;                   /* payload, compressed when the campaign says so */
} mc_dry_run_event;
typedef struct mc_dry_run_value { uint32_t signal; double value; } mc_dry_run_value;
/* An agent's evaluation. campaign and edge stand on one floor: whoever has both wires them. One run, one thread. */
typedef struct mc_dry_run_engine {
  void *ctx;
  mc_err (*open)(void *ctx, mc_slice manifest, mc_slice schemes, int64_t from_us, void (*sent)(void *to, const mc_dry_run_event *event), void *to, void **run, mc_why *why);
  void (*values)(void *run, int64_t time_us, const mc_dry_run_value *value, size_t count); /* of one moment; times never go back */
  void (*advance)(void *run, int64_t until_us);
  void (*close)(void *run);
} mc_dry_run_engine;
enum { MC_DRY_RUN_VEHICLES = 100, MC_DRY_RUN_TRIGGERS = 1000 };
typedef struct mc_dry_run_ask {
  const mc_campaign *campaign; /* a stored one or a draft. Its status, start and end are not looked at: the span below is */
  struct mc_store *store;
  const mc_dry_run_engine *engine;
  const mc_slice *vehicle; /* names; none: at most `most` of those that it names, evenly spread over their names */
  size_t vehicle_count;
  uint32_t most;           /* 0: 10 */
  int64_t from_us, to_us;
  int64_t budget_us;       /* of time to run; what is done by then is told. 0: 10 s */
  uint32_t triggers;       /* most that are listed; all are counted */
  double per_mb, per_message; /* money, in whatever the caller counts it; a megabyte is a million bytes */
} mc_dry_run_ask;
typedef struct mc_dry_run_vehicle {
  uint32_t vehicle;
  mc_slice name, manifest;
  mc_slice state; /* done; cut: the time was up; no_data: nothing is stored of its signals; not_reached: text tells why nothing would go to it */
  mc_slice text;
  uint32_t signals, with_data;  /* of the document, conditions included; of them: with stored samples */
  uint64_t samples_read, texts; /* numbers that went through; texts, which an agent's conditions do not see */
  uint64_t triggers, messages, rows, bytes; /* bytes: whole PUBLISH packets without TLS and TCP; rows: samples */
  int64_t covered_us;           /* how far it came */
} mc_dry_run_vehicle;
typedef struct mc_dry_run_trigger { uint32_t vehicle; int64_t time_us; uint32_t messages; uint64_t rows, bytes; } mc_dry_run_trigger;
typedef struct mc_dry_run_report {
  mc_dry_run_vehicle *vehicle;
  size_t vehicle_count;
  mc_dry_run_trigger *trigger; /* by vehicle and time */
  size_t trigger_count;
  uint64_t triggers, messages, rows, bytes, samples_read;
  double money;
  bool complete;      /* no vehicle was cut */
  uint64_t targeted;  /* vehicles that the campaign names */
  double days;        /* vehicle days that were looked at, of vehicles with data */
  double messages_a_day, bytes_a_day, rows_a_day, money_a_day; /* for all that it names, as those looked at; 0 without any */
} mc_dry_run_report;
/* What is wrong with the campaign is said as when it is created. MC_ERR_CONFLICT: another dry run is under way. Any thread. */
mc_err mc_campaign_dry_run(mc_campaigns *c, const mc_dry_run_ask *ask, mc_arena *arena, mc_dry_run_report *out, mc_why *why);

/* ---- what differs between two decoder manifests ---- */
typedef enum mc_difference_kind { MC_DIFFERENCE_ADDED, MC_DIFFERENCE_REMOVED, MC_DIFFERENCE_CHANGED } mc_difference_kind;
typedef struct mc_manifest_field { const char *name; mc_slice before, after; } mc_manifest_field; /* "factor", as people write it */
typedef struct mc_manifest_difference {
  mc_difference_kind kind;
  uint32_t signal;
  mc_slice fqn;
  mc_slice place;           /* where it lies, where several decoders have the signal: interface and message */
  mc_manifest_field *field; /* of one that changed; of one that came or went, all that it says */
  size_t field_count;
} mc_manifest_difference;
typedef struct mc_manifest_comparison {
  mc_slice before, after; /* sync ids */
  uint32_t same, added, removed, changed;
  mc_manifest_difference *difference; /* by name of the signal */
  size_t count;
} mc_manifest_comparison;
/* Each is the name of a manifest (its version now) or the sync id of any version that there ever was. */
mc_err mc_campaign_manifest_compare(mc_campaigns *c, uint32_t tenant, mc_slice before, mc_slice after, mc_arena *arena, mc_manifest_comparison *out, mc_why *why);

/* ---- state templates ---- what of a vehicle's state is to be known at once (contract fleetwise 5.6). A vehicle that has one gets it as a delta with a
 * version; it is silent until a command activates it. */
typedef struct mc_state_template {
  uint32_t tenant;
  mc_slice id;   /* 26 characters, ours */
  mc_slice name; /* as of campaigns */
  mc_slice description, catalog;
  mc_slice *signal; /* fully qualified names */
  uint32_t signal_count;
  mc_slice dimensions, metadata; /* JSON lists of attribute names: dataExtraDimensions, metadataExtraDimensions. Empty: none */
  int64_t created_us, updated_us;
} mc_state_template;
mc_err mc_template_create(mc_campaigns *c, mc_state_template *t, mc_why *why); /* the id is ours: get it by name. Unknown signals are named with the nearest one */
mc_err mc_template_update(mc_campaigns *c, const mc_state_template *t, mc_why *why); /* by id: all but name and catalog */
mc_err mc_template_delete(mc_campaigns *c, uint32_t tenant, mc_slice identifier, mc_why *why); /* vehicles lose it */
mc_err mc_template_get(mc_campaigns *c, uint32_t tenant, mc_slice identifier /* name or id */, mc_arena *arena, mc_state_template *out);
mc_err mc_template_list(mc_campaigns *c, uint32_t tenant, mc_arena *arena, mc_state_template **out, size_t *count, mc_why *why); /* by name */
/* The template that a message from a vehicle means. MC_ERR_NOT_FOUND: never made, or deleted. */
mc_err mc_template_by_sync(mc_campaigns *c, uint32_t tenant, mc_slice sync_id, mc_arena *arena, mc_state_template *out);
/* Gives a vehicle a template, or changes how it is sent (0: on change); takes it away. */
mc_err mc_template_give(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_slice identifier, uint64_t period_ms, mc_why *why);
mc_err mc_template_take(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_slice identifier, mc_why *why);
/* state: healthy (the vehicle lists it), pending, none (its manifest decodes nothing of it); reason and text as of campaigns. */
typedef struct mc_vehicle_template { mc_slice name; uint64_t period_ms; mc_slice sync_id, state, reason, text; } mc_vehicle_template;
mc_err mc_templates_of_vehicle(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_arena *arena, mc_vehicle_template **out, size_t *count, mc_why *why);
/* Commands about a template that a vehicle has. They end by its answer, or by our own timer. */
typedef enum mc_state_action { MC_STATE_ACTIVATE = 2, MC_STATE_DEACTIVATE = 3, MC_STATE_FETCH = 4 } mc_state_action; /* numbers of the wire */
mc_err mc_template_command(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_slice identifier, mc_state_action action, uint32_t deactivate_after_s, uint32_t timeout_ms, char id[27], mc_why *why);
typedef struct mc_state_command {
  mc_slice id, template;
  mc_state_action action;
  mc_slice status; /* sent, in_progress, succeeded, failed, timed_out, no_answer */
  uint32_t reason;
  mc_slice text;   /* the agent's, or what the reason means */
  int64_t issued_us, answered_us; /* 0: no answer */
} mc_state_command;
mc_err mc_template_commands(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, size_t limit, mc_arena *arena, mc_state_command **out, size_t *count, mc_why *why); /* newest first */

/* A vehicle's manifest or fleet membership changed: recompile and push. */
void mc_campaign_vehicle_changed(mc_campaigns *c, uint32_t tenant, uint32_t vehicle);
/* FleetWise events seen of a vehicle, newest first. */
typedef struct mc_event_info { uint32_t campaign; uint32_t event_id; int64_t time_us, arrival_us; uint64_t first_offset; uint32_t messages, samples; } mc_event_info;
mc_err mc_campaign_events(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, size_t limit, mc_arena *arena, mc_event_info **out, size_t *count, mc_why *why);

/* ---- the control plane by name: FleetWise's operations over JSON documents in FleetWise's own shapes (contract fleetwise, 9) ----
 * One implementation for every face: the AWS facade, our HTTP API and the command line build a request and read the answer. */
typedef enum mc_control_fault { /* FleetWise's exceptions, 9.1 */
  MC_CONTROL_OK, MC_CONTROL_VALIDATION, MC_CONTROL_NOT_FOUND, MC_CONTROL_CONFLICT, MC_CONTROL_LIMIT, MC_CONTROL_INVALID_NODE, MC_CONTROL_INVALID_SIGNALS,
  MC_CONTROL_DECODER_MANIFEST, MC_CONTROL_ACCESS, MC_CONTROL_THROTTLED, MC_CONTROL_INTERNAL
} mc_control_fault;
typedef struct mc_control_error {
  mc_control_fault fault;
  mc_buf members; /* what the exception carries beside its message: the members of a JSON object without its braces, may be empty; owned */
} mc_control_error;
void mc_control_error_free(mc_control_error *e);
typedef struct mc_control_request {
  uint32_t tenant;
  mc_slice operation;       /* "CreateCampaign" */
  mc_slice input;           /* JSON object; empty: {} */
  mc_slice region, account; /* for the ARNs of the answer; empty: "local", "000000000000". ARNs that come in are read by kind and name only */
  mc_slice actor;           /* who asks, for logs and histories */
} mc_control_request;
/* Appends the answer, a JSON object. Otherwise error tells which exception, why its message: what is wrong, where, what to do. An operation that changes
 * something is on disk when the call returns, and vehicles it touches are reconciled. Any thread. Unknown operations: MC_ERR_UNSUPPORTED, MC_CONTROL_VALIDATION. */
mc_err mc_control_call(mc_campaigns *c, const mc_control_request *request, mc_buf *answer, mc_control_error *error, mc_why *why);
/* The operations there are, in order of their names, with the permission each needs. */
typedef struct mc_control_info { const char *operation, *permission; bool changes; } mc_control_info;
size_t mc_control_count(void);
mc_control_info mc_control_at(size_t index);
const mc_control_info *mc_control_find(mc_slice operation); /* NULL: unknown */
/* AWS's limits on what one call carries, as settings: AWS's number, ours, and how far it may be moved. */
enum { MC_CONTROL_LIMITS = 35 };
typedef struct mc_control_limit { const char *key, *unit, *meaning; uint64_t aws, ours, least, most; } mc_control_limit;
size_t mc_control_limit_count(void); /* MC_CONTROL_LIMITS */
mc_control_limit mc_control_limit_at(size_t index);

/* ---- data out: what campaigns collect, delivered to the destinations in their documents ----
 * Its own reader of the journal, with its own offset. Files (Parquet or JSON, FleetWise's columns and keys) are made in an outbox and sent to the object
 * store; JSON messages are published. Every message of a vehicle is delivered once, kill -9 or not; README, "Data out". */
struct mc_object_store;
typedef struct mc_delivery mc_delivery;
typedef struct mc_delivery_config {
  mc_campaigns *campaigns;
  mc_journal *journal;
  struct mc_object_store *objects; /* NULL: files wait in the outbox; mc_delivery_stop stops it */
  const char *duckdb;              /* its library, loaded when the first Parquet file is made; NULL: JSON instead, and the status says so; copied */
  const char *dir;                 /* the outbox; made when missing; copied */
  uint32_t every_s;                /* longest time that rows wait for their file; 0: 60 */
  uint32_t rows;                   /* most rows that wait; 0: 250,000 */
  uint64_t outbox_bytes;           /* beyond it reading stops until files have gone; 0: 1 GiB */
  mc_err (*publish)(void *ctx, uint32_t tenant, mc_slice topic, mc_slice props /* MQTT 5, ready-made */, mc_slice payload, mc_why *why);
  void *publish_ctx;
} mc_delivery_config;
mc_err mc_delivery_open(const mc_delivery_config *config, mc_delivery **out, mc_why *why);
mc_err mc_delivery_start(mc_delivery *d, mc_why *why); /* its two threads */
/* For a restore: goes on behind a journal offset, under object names of its own. Before it is opened. */
mc_err mc_delivery_rewind(mc_db *db, uint64_t offset, mc_why *why);
void mc_delivery_stop(mc_delivery *d);                 /* waits for them; before the gateway and the journal close */
void mc_delivery_close(mc_delivery **d);
typedef struct mc_delivery_status { /* of one destination; counts since the platform started, but for waiting */
  uint32_t index;
  mc_slice kind, place; /* "s3", "mqtt", "timeseries"; bucket and prefix, topic */
  uint64_t rows, objects, messages, waiting /* objects in the outbox */;
  int64_t last_us;      /* of the last success; 0: none */
  mc_slice error;       /* why the last attempt failed, or what is done otherwise than asked; empty: all is well */
} mc_delivery_status;
mc_err mc_delivery_status_of(mc_delivery *d, uint32_t tenant, uint32_t campaign, mc_arena *arena, mc_delivery_status **out, size_t *count, mc_why *why);

#endif
