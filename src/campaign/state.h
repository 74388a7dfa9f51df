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
#include "format/fleetwise.h"

/* One version of one decoder manifest: what a sync id means, for ever. */
typedef struct manifest_version {
  uint32_t tenant;
  char *name, *sync_id, *foreign_sync_id; /* the second one names `foreign`, what agents other than ours get */
  bool current;                           /* the newest of its name */
  mc_map encoding;                        /* signal id -> index in list */
  MC_VEC(mc_encoding) list;
  MC_VEC(uint32_t) signal;  /* ids, ascending */
  mc_buf extended, foreign; /* protobufs: for our agent, for others */
  int64_t created_us;
} manifest_version;

/* One version of one campaign against one manifest. */
typedef struct scheme_version {
  uint32_t tenant, campaign;
  char *sync_id;
  bool compress;
} scheme_version;

/* What the platform knows of one vehicle's agent. */
typedef struct vehicle_state {
  uint32_t tenant, vehicle;
  char name[129];
  char prefix[64]; /* topic prefix it was last heard under: "$aws/iotfleetwise/" */
  bool ours;       /* told its capabilities: understands extensions */
  bool dirty;      /* not in the database yet */
  int64_t checkin_us;
  MC_VEC(char *) reported; /* sync ids of the last check-in; owned */
  MC_VEC(char *) error;    /* "<sync id>: text" of the last check-in; owned */
  /* what was sent last, so that nothing is sent again before the vehicle had its chance to confirm */
  uint64_t manifest_sent, schemes_sent;         /* hashes of the wanted set; 0: nothing */
  uint32_t manifest_checkins, schemes_checkins; /* check-ins since */
  uint32_t manifest_tries, schemes_tries;
} vehicle_state;

/* A campaign as it is now, parsed. */
typedef struct campaign_entry {
  mc_campaign c; /* strings in the arena */
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
  _Atomic uint64_t messages, samples, repeats, undecodable, unknown_signals, quarantined, checkins, documents_sent, events, strayed;
} campaign_metrics;

struct mc_campaigns {
  mc_campaigns_config config;
  mc_block_sink *sink;
  pthread_mutex_t lock;
  MC_VEC(manifest_version *) manifest; /* all versions; owned */
  mc_strmap manifest_by_sync;          /* "<tenant>/<sync id>" -> pointer */
  MC_VEC(scheme_version *) scheme;
  mc_strmap scheme_by_sync;
  MC_VEC(campaign_entry *) campaign; /* all; owned */
  mc_strmap compiled;                /* "<campaign id>/<updated>/<manifest sync id>" -> compiled_scheme * */
  mc_map vehicle;                    /* tenant << 32 | vehicle -> vehicle_state * */
  MC_VEC(vehicle_state *) unsaved;   /* those that are dirty */
  campaign_metrics count;
  uint64_t limit[MC_CONTROL_LIMITS + 1]; /* by shape_limit; set before anyone calls */
  /* decoder thread only */
  struct repeat_table *repeats;
  struct hour_budget *hours;
  mc_block_builder block;
  mc_arena arena;
  mc_buf plain;
  mc_strmap manifest_known, scheme_known; /* "<tenant>/<sync id>" -> version: what was looked up under the lock once */
  /* Events waiting to be written. The decoder notes them under event_lock, which is held for moments only; whoever writes holds event_write
   * (first of all locks), takes what was noted and needs nothing but the database. */
  pthread_mutex_t event_lock;
  event_row_vec event;
  mc_map event_index; /* hash of the key -> index in event */
  pthread_mutex_t event_write;
  event_row_vec writing; /* ordered by key; the first `written` are in the database */
  size_t written;
  _Atomic uint64_t offset; /* where a reader should begin */
};

/* schema.c */
extern const mc_migration campaign_migrations[];
extern const size_t campaign_migration_count;

/* versions.c: looked up by any thread; added under the lock. The two that end in _seen are the decoder's: they take no lock for what they
 * found before. */
manifest_version *campaign_manifest_current(mc_campaigns *c, uint32_t tenant, mc_slice name);
scheme_version *campaign_scheme_by_sync(mc_campaigns *c, uint32_t tenant, mc_slice sync_id);
manifest_version *campaign_manifest_seen(mc_campaigns *c, uint32_t tenant, mc_slice sync_id);
scheme_version *campaign_scheme_seen(mc_campaigns *c, uint32_t tenant, mc_slice sync_id);
/* Takes ownership. The older versions of the name stop being current. */
mc_err campaign_manifest_add(mc_campaigns *c, manifest_version *m);
mc_err campaign_scheme_add(mc_campaigns *c, scheme_version *s);
void campaign_manifest_free(manifest_version *m); /* NULL is fine; one that was added belongs to the module */
void campaign_versions_free(mc_campaigns *c);
/* Of manifests and campaigns: 1 to 100 of letters, digits, -, _ and : (contract fleetwise 9.4). */
bool campaign_name_valid(mc_slice name);

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

/* manifest.c: versions from stored documents */
mc_err campaign_manifests_load(mc_campaigns *c, mc_why *why);
/* Stores and adds a new current version made of CAN signals (of all interfaces). The names of the ids must exist already. */
mc_err campaign_manifest_make(mc_campaigns *c, uint32_t tenant, mc_slice name, const mc_fw_can_signal *can, size_t count,
                              const uint32_t *observed, size_t observed_count, manifest_version **out, mc_why *why);

/* scheme.c: a campaign compiled against one manifest. Lock held by the caller. */
typedef struct compiled_scheme {
  char sync_id[160];
  mc_buf bytes; /* one CollectionScheme, without its tag; empty: nothing of it fits the manifest */
} compiled_scheme;
mc_err campaign_scheme_compile(mc_campaigns *c, const mc_campaign *campaign, const manifest_version *m, bool foreign,
                               const compiled_scheme **out, mc_why *why);
bool campaign_manifest_decodes(const manifest_version *m, uint32_t signal);
void campaign_schemes_free(mc_campaigns *c);
mc_err campaign_schemes_load(mc_campaigns *c, mc_why *why);

/* resource.c */
mc_err campaign_resources_load(mc_campaigns *c, mc_why *why);
/* catalog.c */
mc_err campaign_catalog_put(mc_campaigns *c, uint32_t tenant, uint32_t signal, mc_slice fqn, const char *kind, mc_type type, mc_slice unit,
                            mc_slice description, bool has_range, double low, double high, mc_slice value_names_json,
                            mc_why *why); /* inside a write transaction */

/* reconcile.c: what a vehicle should hold against what it says it holds */
vehicle_state *campaign_vehicle_state(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, bool add); /* lock held */
bool campaign_names(mc_campaigns *c, const mc_campaign *campaign, const mc_vehicle *vehicle); /* by its target alone */
bool campaign_targets(mc_campaigns *c, const mc_campaign *campaign, const mc_vehicle *vehicle, int64_t now_us);
/* Sends what is missing. changed: something was edited, so the waiting rules start anew. Takes the lock itself. */
void campaign_reconcile(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, bool changed);
void campaign_reconcile_all(mc_campaigns *c, uint32_t tenant);
mc_err campaign_checkins_load(mc_campaigns *c, mc_why *why);
mc_err campaign_checkins_save(mc_campaigns *c, mc_why *why);
void campaign_vehicles_free(mc_campaigns *c);

/* name + "-" + 16 hex digits of the content's SHA-256 */
void campaign_sync_id(mc_slice name, mc_slice content, char out[160]);

#endif
