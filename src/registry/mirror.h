/* mirror: what registry keeps in memory, private to the module. See README for locks. */
#ifndef MC_REGISTRY_MIRROR_H
#define MC_REGISTRY_MIRROR_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/vec.h"
#include "format/json.h"
#include "registry/policy.h"
#include "registry/registry.h"

typedef struct fitting_span {
  uint32_t vehicle;
  int64_t from_us, to_us; /* to: INT64_MAX while it lasts */
} fitting_span;

typedef struct thing_entry {
  mc_thing thing;
  bool disabled;
  uint32_t profile_group; /* the group that gives it a profile, 0 none */
  mc_policy *policy; /* services */
  mc_scram_verifier *password; /* services; NULL: none */
  MC_VEC(fitting_span) span; /* by time */
} thing_entry;

typedef struct cert_entry {
  mc_certificate cert; /* thing_name stays empty: the thing has it */
  bool pinned;         /* registered by its text: trusted by fingerprint, its chain is not ours */
} cert_entry;

typedef struct account_entry {
  mc_user user;
  char password[160];
} account_entry;

typedef struct session_entry {
  uint8_t digest[32];
  uint32_t account;
  int64_t created_us;
  _Atomic int64_t seen_us, saved_us;
} session_entry;

typedef struct token_entry {
  uint8_t digest[32];
  mc_token token;
  _Atomic int64_t used_us, saved_us;
} token_entry;

typedef struct access_key_entry access_key_entry;

typedef struct encoding_entry {
  int type;
  double factor, offset;
} encoding_entry;

typedef struct fleet_entry {
  uint32_t tenant;
  mc_map vehicle; /* ids of its vehicles */
} fleet_entry;

/* Signal names of one tenant; index is the id. */
typedef struct vocabulary {
  MC_VEC(mc_slice) fqn;
} vocabulary;

typedef struct tenant_entry {
  uint32_t id;
  char name[64];
  uint32_t vehicles;
  vocabulary signals;
} tenant_entry;

typedef struct throttle throttle;

struct mc_registry {
  mc_db *db;
  mc_journal *journal;
  mc_keyring *keyring; /* borrowed; may be NULL */
  struct mc_registry_secrets secrets;
  mc_buf ca_cert, ca_key;
  throttle *throttle;
  char dummy_hash[160]; /* of a password nobody knows: unknown names cost as much as known ones */

  pthread_rwlock_t lock; /* guards everything below; taken after the db's mutex, never before */
  MC_VEC(tenant_entry *) tenant;   /* index: id */
  MC_VEC(mc_vehicle *) vehicle;    /* index: id; NULL: none */
  MC_VEC(thing_entry *) thing;     /* index: id */
  MC_VEC(mc_thing_group *) group;  /* index: id */
  MC_VEC(account_entry *) account; /* index: id */
  MC_VEC(encoding_entry) encoding; /* index: id */
  mc_strmap vehicle_by_name;       /* scoped key -> id */
  mc_strmap thing_by_name;         /* scoped key -> id */
  mc_strmap account_by_name;       /* scoped key -> id */
  mc_strmap signal_by_fqn;         /* scoped key -> id */
  mc_strmap cert_by_fingerprint;   /* 32 bytes -> cert_entry * */
  mc_strmap session_by_digest;     /* 32 bytes -> session_entry * */
  mc_strmap token_by_digest;       /* 32 bytes -> token_entry * */
  mc_strmap fleet_by_id;           /* scoped key -> fleet_entry * */
  mc_strmap access_key_by_id;      /* key id -> access_key_entry * */
  mc_strmap encoding_by_value;     /* type, factor, offset -> id */
  mc_arena text;                   /* signal names */
  struct mc_policy_limits policy_limits;
  policy_mirror policy;

  pthread_mutex_t revoked_lock; /* guards the two below */
  void (*revoked)(void *ctx, uint32_t tenant, uint32_t thing, const uint8_t fingerprint[MC_FINGERPRINT]);
  void *revoked_ctx;
};

enum {
  MC_REGISTRY_NAME = 128,
  MC_REGISTRY_FQN = 512,
  MC_REGISTRY_ID_MAX = 1 << 24 /* of any series that the mirror uses as an index: a damaged row must not ask for gigabytes */
};

/* mc_db_next_id up to that. MC_ERR_FULL: used up. */
mc_err registry_next_id(mc_registry *r, const char *series, uint32_t *out, mc_why *why);

/* Name within a tenant as one key: 4 bytes tenant, then the name. */
typedef struct scoped_key {
  uint8_t bytes[4 + MC_REGISTRY_FQN];
  size_t len; /* 0: the name does not fit, so nothing has it */
} scoped_key;
scoped_key registry_key(uint32_t tenant, mc_slice name);
static inline mc_slice scoped_slice(const scoped_key *k) { return mc_slice_of(k->bytes, k->len); }

/* Look-ups; the caller holds the lock. */
static inline thing_entry *registry_thing(const mc_registry *r, uint32_t id) { return id < r->thing.len ? r->thing.at[id] : NULL; }
static inline mc_vehicle *registry_vehicle(const mc_registry *r, uint32_t id) { return id < r->vehicle.len ? r->vehicle.at[id] : NULL; }
static inline mc_thing_group *registry_group(const mc_registry *r, uint32_t id) { return id < r->group.len ? r->group.at[id] : NULL; }
static inline account_entry *registry_account(const mc_registry *r, uint32_t id) { return id < r->account.len ? r->account.at[id] : NULL; }
static inline tenant_entry *registry_tenant(const mc_registry *r, uint32_t id) { return id < r->tenant.len ? r->tenant.at[id] : NULL; }
thing_entry *registry_thing_named(const mc_registry *r, uint32_t tenant, mc_slice name);

/* Insertions; the caller holds the lock for writing (or is alone). Entries are handed over on success. */
mc_err mirror_tenant(mc_registry *r, tenant_entry *t);
mc_err mirror_vehicle(mc_registry *r, mc_vehicle *v);
mc_err mirror_thing(mc_registry *r, thing_entry *t);
mc_err mirror_group(mc_registry *r, mc_thing_group *g);
void mirror_vehicle_gone(mc_registry *r, uint32_t vehicle); /* its fittings and fleets too */
mc_err mirror_fleet(mc_registry *r, uint32_t tenant, mc_slice id);
void mirror_fleet_gone(mc_registry *r, uint32_t tenant, mc_slice id);
fleet_entry *registry_fleet(const mc_registry *r, uint32_t tenant, mc_slice id); /* lock held */
mc_err mirror_fitting(mc_registry *r, uint32_t thing, uint32_t vehicle, int64_t from_us, int64_t to_us);
mc_err mirror_certificate(mc_registry *r, cert_entry *c);
mc_err mirror_account(mc_registry *r, account_entry *a);
mc_err mirror_signal(mc_registry *r, uint32_t tenant, uint32_t id, mc_slice fqn);
mc_err mirror_encoding(mc_registry *r, uint32_t id, const encoding_entry *e);
mc_err mirror_load(mc_registry *r, mc_why *why);
void mirror_free(mc_registry *r);
mc_slice encoding_key(const encoding_entry *e, uint8_t out[20]);

/* ---- a change: db transaction, journal record, mirror, in this order ---- */
/* Takes the db's mutex and opens a transaction. Refuses inside a transaction of the caller. */
mc_err change_begin(mc_registry *r, mc_why *why);
/* Closes the transaction: with err == MC_OK journals {kind, payload} and commits, else rolls back. Returns the first error. The mutex stays. */
mc_err change_commit(mc_registry *r, mc_err err, uint32_t tenant, mc_slice subject, const char *kind, const mc_buf *payload, mc_why *why);
/* Gives the db's mutex back. Only after a change_begin that succeeded. */
void change_end(mc_registry *r);

/* ---- sign-in throttling ---- */
mc_err throttle_create(throttle **out);
void throttle_destroy(throttle **t);
int64_t throttle_wait_us(throttle *t, mc_slice name_key, mc_slice address, int64_t now_us);
/* Counts an attempt as failed before it is checked, so that parallel guesses count. MC_ERR_FULL: not now. */
mc_err throttle_attempt(throttle *t, mc_slice name_key, mc_slice address, int64_t now_us, mc_why *why);
void throttle_success(throttle *t, mc_slice name_key, mc_slice address);

/* ---- vehicle.c ---- */
mc_err registry_vehicle_check(const mc_vehicle *v, mc_why *why); /* the facts by themselves */
mc_err registry_list_of(mc_registry *r, const uint32_t *id, size_t count, mc_arena *arena, mc_vehicle **out, size_t *out_count, mc_why *why); /* copies of those that are there */
void registry_vehicle_json(mc_json *j, const mc_vehicle *v, uint32_t thing); /* thing 0: left out */
/* Rows of vehicle, thing and fitting, inside the transaction; ids are filled in. MC_ERR_EXISTS names the clash. */
mc_err registry_vehicle_insert(mc_registry *r, mc_vehicle *v, thing_entry *t, mc_why *why);
mc_err registry_vehicle_create_on_thing(mc_registry *r, mc_vehicle *vehicle, const mc_registry_with *with, mc_why *why); /* vehicle_life.c */

/* attribute.c: what goes along with a change of a vehicle (0: of a fleet), inside the transaction. with may be NULL. */
mc_err registry_write_with(mc_registry *r, uint32_t tenant, uint32_t vehicle, const mc_registry_with *with, int64_t now, mc_why *why);

/* Text of a name for messages: printable, at most 40 bytes, terminated. */
const char *registry_shown(mc_slice name, char out[48]);

/* ---- erasure.c ---- */
/* Every tenant and, with subject keys, every vehicle has a key afterwards. At open. */
mc_err registry_keys_of_all(mc_registry *r, mc_why *why);
mc_err registry_key_for_vehicles(mc_registry *r, uint32_t tenant, const uint32_t *vehicle, size_t count, mc_why *why);

/* ---- access_key.c ---- */
mc_err registry_access_keys_load(mc_registry *r, mc_why *why);
void registry_access_keys_free(mc_registry *r);

/* ---- service.c ---- */
mc_err service_load_password(mc_registry *r, mc_stmt *s);

/* certificate.c: live sessions of a thing end, whatever they came in by. Under no lock. */
void registry_tell_revoked(mc_registry *r, uint32_t tenant, uint32_t thing);

#endif
