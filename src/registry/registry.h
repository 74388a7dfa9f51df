/* registry: who exists - tenants, users, API tokens, things (devices), vehicles, fittings, groups, certificates.
 *
 * Kept in db and mirrored in memory for the door's look-ups (certificate fingerprint -> thing), which take a read
 * lock and never touch the disk. Writes are on disk when the call returns. A vehicle is not a device: a thing is
 * fitted to a vehicle for a span of time. Dense ids never come back. Any thread. */
#ifndef MC_REGISTRY_H
#define MC_REGISTRY_H

#include "access/access.h"
#include "base/arena.h"
#include "db/db.h"
#include "journal/journal.h"
#include "net/net.h"

typedef struct mc_registry mc_registry;
enum { MC_TENANT_DEFAULT = 1 };

typedef struct mc_keyring mc_keyring; /* below */
typedef struct mc_registry_config {
  mc_db *db;
  mc_journal *journal;  /* changes are journaled on MC_STREAM_REGISTRY; NULL in tests */
  mc_slice ca_cert_pem, ca_key_pem; /* our own CA: issues device certificates */
  mc_keyring *keyring;  /* borrowed; NULL: nothing is enciphered. With subject keys every vehicle gets one, those that exist at open */
  struct mc_registry_secrets { mc_master *master, *file; } secrets; /* of access keys: the server's master key, or else a key file of their own; borrowed, may be NULL */
  struct mc_policy_limits { uint32_t versions, length /* characters without white space */, attached; } policies; /* 0: 20, 65,536, 20 */
} mc_registry_config;
mc_err mc_registry_open(const mc_registry_config *config, mc_registry **out, mc_why *why); /* migrates its tables */
void mc_registry_close(mc_registry **registry);

/* ---- tenants ---- the default one (id 1, "default") is always there */
mc_err mc_registry_tenant_create(mc_registry *r, mc_slice name /* [a-z0-9-]{1,63} */, uint32_t *out, mc_why *why);
mc_err mc_registry_tenant_name(mc_registry *r, uint32_t tenant, char out[64]);
typedef struct mc_tenant { uint32_t id; char name[64]; int64_t created_us; } mc_tenant;
mc_err mc_registry_tenant_list(mc_registry *r, mc_arena *arena, mc_tenant **out, size_t *count, mc_why *why); /* by id */
uint32_t mc_registry_tenant_find(mc_registry *r, mc_slice name); /* 0: none */

/* ---- things and vehicles ---- */
/* Writers refuse to run inside a transaction of the caller: the mirror must never be ahead of the disk. */
typedef struct mc_thing { uint32_t id, tenant; char name[129]; uint32_t vehicle; /* fitted now, 0 none */ bool is_service; int64_t created_us; } mc_thing;
typedef struct mc_vehicle {
  uint32_t id, tenant;
  char name[129];   /* [A-Za-z0-9_:-]{1,128} */
  char vin[18];     /* may be empty; 17 characters, no I O Q */
  char make[64], model[64], kind[24]; /* kind: car, truck, bus, van, ... */
  char manifest[128]; /* name of its decoder manifest, may be empty */
  int year;
  int64_t created_us;
  int64_t updated_us; /* last change of its facts or attributes; 0: none since it was created */
} mc_vehicle;
/* Creates vehicle + thing of the same name + fitting from now. *vehicle gets the ids. MC_ERR_EXISTS names the clash. */
mc_err mc_registry_vehicle_create(mc_registry *r, mc_vehicle *vehicle, mc_why *why);
/* What goes into the transaction of a change, so that a crash leaves all of it or nothing: attributes, and rows of others. */
typedef struct mc_attribute { mc_slice name, value; } mc_attribute;
typedef struct mc_registry_with {
  const mc_attribute *attribute; /* NULL: the vehicle's stay as they are */
  size_t attribute_count;
  bool replace;                  /* these in place of what it has */
  /* NULL: none. Called inside the transaction; an error undoes all of it and is what the change returns. vehicle: 0 of fleets. */
  mc_err (*also)(void *ctx, uint32_t vehicle, mc_why *why);
  void *ctx;
} mc_registry_with;
/* on_thing: as mc_registry_vehicle_create_on_thing. */
mc_err mc_registry_vehicle_create_with(mc_registry *r, mc_vehicle *vehicle, bool on_thing, const mc_registry_with *with, mc_why *why);
mc_err mc_registry_vehicle_update_with(mc_registry *r, const mc_vehicle *vehicle, const mc_registry_with *with, mc_why *why);
mc_err mc_registry_vehicle_delete_with(mc_registry *r, uint32_t tenant, uint32_t vehicle, const mc_registry_with *with, mc_why *why);
/* Many at once: what fits is created in one transaction with one journal record, each row tells its own outcome, and doing it again is no mistake. */
typedef enum mc_row_state { MC_ROW_NEW, MC_ROW_CREATED, MC_ROW_UNCHANGED /* it was there with the same facts */, MC_ROW_REFUSED } mc_row_state;
typedef struct mc_vehicle_row {
  mc_vehicle vehicle; /* in: the facts; the tenant is the call's. out: the id */
  mc_row_state state; /* in: NEW, or REFUSED to have it passed over. out: CREATED, UNCHANGED or REFUSED */
  const char *fact;   /* REFUSED: "name" or "vin" when it clashes, else NULL */
  mc_why why;         /* REFUSED: what is wrong, and what to do */
} mc_vehicle_row;
enum { MC_VEHICLE_ROWS = 1000 };
/* At most MC_VEHICLE_ROWS. On an error nothing was created and the rows tell nothing. */
mc_err mc_registry_vehicle_create_many(mc_registry *r, uint32_t tenant, mc_vehicle_row *row, size_t count, mc_why *why);
mc_err mc_registry_vehicle_update(mc_registry *r, const mc_vehicle *vehicle, mc_why *why); /* vin, make, model, kind, year, manifest */
mc_err mc_registry_vehicle_get(mc_registry *r, uint32_t tenant, uint32_t id, mc_vehicle *out);
mc_err mc_registry_vehicle_find(mc_registry *r, uint32_t tenant, mc_slice name, mc_vehicle *out);
/* Ordered by name; after: name to go on from (cursor), filter: substring of name/VIN/make/model or empty. *out in arena. */
mc_err mc_registry_vehicle_list(mc_registry *r, uint32_t tenant, mc_slice after, mc_slice filter, size_t limit, mc_arena *arena, mc_vehicle **out, size_t *count, mc_why *why);
bool mc_registry_vehicle_exists(mc_registry *r, uint32_t tenant, uint32_t id); /* from memory, without a copy */
uint32_t mc_registry_vehicle_count(mc_registry *r, uint32_t tenant);
/* How many have this manifest. From memory. */
uint32_t mc_registry_vehicles_with_manifest(mc_registry *r, uint32_t tenant, mc_slice manifest);
/* As mc_registry_vehicle_create, fitted to the device of its name that is there already and sits in no vehicle. MC_ERR_NOT_FOUND: there is no such device;
 * MC_ERR_CONFLICT: it is a service, or fitted to another vehicle. */
mc_err mc_registry_vehicle_create_on_thing(mc_registry *r, mc_vehicle *vehicle, mc_why *why);
/* Takes the vehicle away: its fittings, attributes and fleets go with it, its device stays (fitted to nothing), its id never comes back. */
mc_err mc_registry_vehicle_delete(mc_registry *r, uint32_t tenant, uint32_t vehicle, mc_why *why);
/* ---- attributes of vehicles ---- names 1 to 150 of [A-Za-z0-9_.-], values UTF-8 up to 16 KiB */
enum { MC_VEHICLE_ATTRIBUTES = 1000 };
mc_err mc_registry_vehicle_attributes(mc_registry *r, uint32_t tenant, uint32_t vehicle, mc_arena *arena, mc_attribute **out, size_t *count, mc_why *why); /* by name */
/* Adds these to what the vehicle has, or with replace in its place. On an error nothing was changed. */
mc_err mc_registry_vehicle_set_attributes(mc_registry *r, uint32_t tenant, uint32_t vehicle, const mc_attribute *attribute, size_t count, bool replace, mc_why *why);
/* Vehicles that have all of these values, ordered by name. keep (may be NULL) passes over those it says no to; it is called without a lock. */
mc_err mc_registry_vehicle_search(mc_registry *r, uint32_t tenant, const mc_attribute *has, size_t has_count, bool (*keep)(void *ctx, const mc_vehicle *v), void *ctx,
                                  mc_slice after, size_t limit, mc_arena *arena, mc_vehicle **out, size_t *count, mc_why *why);
mc_err mc_registry_thing_find(mc_registry *r, uint32_t tenant, mc_slice name, mc_thing *out);
/* The vehicle that a thing was fitted to at a time; 0 when none. From memory. */
uint32_t mc_registry_vehicle_of_thing(mc_registry *r, uint32_t tenant, uint32_t thing, int64_t at_us);
mc_err mc_registry_refit(mc_registry *r, uint32_t tenant, uint32_t thing, uint32_t vehicle, mc_why *why); /* ends the old fitting, begins a new one now */
/* A non-vehicle client (back end) with a policy document. */
mc_err mc_registry_service_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice policy_json, uint32_t *thing, mc_why *why);
/* By user name ("name", or "tenant/name") and password; only a SCRAM verifier is kept. An empty password takes it away. Live sessions of the service end. */
mc_err mc_registry_service_set_password(mc_registry *r, uint32_t tenant, uint32_t thing, mc_slice password, mc_why *why);
typedef struct mc_service { mc_thing thing; bool has_password, disabled; } mc_service;
mc_err mc_registry_service_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_service **out, size_t *count, mc_why *why); /* by id */
/* Who signs in with a user name and password; policy is retained. Guessing is slowed down by name and by address. About 5 ms. */
mc_err mc_registry_service_sign_in(mc_registry *r, mc_slice username, mc_slice password, mc_slice address, mc_principal *who, const mc_policy **policy, mc_why *why);
/* For SCRAM: attempt (MC_ERR_AGAIN or what throttling says), find, and when the proof held, succeeded. From memory. */
mc_err mc_registry_service_attempt(mc_registry *r, mc_slice username, mc_slice address, mc_why *why);
mc_err mc_registry_service_find(mc_registry *r, mc_slice username, mc_scram_verifier *verifier, mc_principal *who, const mc_policy **policy);
void mc_registry_service_succeeded(mc_registry *r, mc_slice username, mc_slice address);
/* A disabled thing is refused at the door; its live sessions end (on_revoked, once for each certificate). */
mc_err mc_registry_thing_set_disabled(mc_registry *r, uint32_t tenant, uint32_t thing, bool disabled, mc_why *why);

/* ---- thing groups ---- names as of vehicles. A profile holds for every member from its next connection on, and goes before that of the listener. */
typedef struct mc_thing_group { uint32_t id, tenant, things; char name[129], profile[32] /* of the gateway's; empty: the group says nothing about it */; int64_t created_us; } mc_thing_group;
mc_err mc_registry_group_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice profile, mc_thing_group *out, mc_why *why);
mc_err mc_registry_group_get(mc_registry *r, uint32_t tenant, uint32_t group, mc_thing_group *out);
mc_err mc_registry_group_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_thing_group **out, size_t *count, mc_why *why); /* by name */
/* MC_ERR_EXISTS: it is in already. MC_ERR_CONFLICT: another group gives it another profile. */
mc_err mc_registry_group_add(mc_registry *r, uint32_t tenant, uint32_t group, mc_slice thing, mc_why *why);
mc_err mc_registry_group_remove(mc_registry *r, uint32_t tenant, uint32_t group, mc_slice thing, mc_why *why);
mc_err mc_registry_group_things(mc_registry *r, uint32_t tenant, uint32_t group, mc_slice after, size_t limit, mc_arena *arena, mc_thing **out, size_t *count, mc_why *why);
/* The profile that its groups give it; MC_ERR_NOT_FOUND: none. From memory. */
mc_err mc_registry_thing_profile(mc_registry *r, uint32_t tenant, uint32_t thing, char out[32]);

/* ---- fleets ---- vehicles that are meant together: a vehicle may be in many. Ids: 1 to 100 of [A-Za-z0-9:_-]. */
typedef struct mc_fleet { mc_slice id, description, catalog /* name of its signal catalog */; uint32_t vehicles; int64_t created_us, updated_us; } mc_fleet;
mc_err mc_registry_fleet_create(mc_registry *r, uint32_t tenant, const mc_fleet *fleet, mc_why *why); /* id, description, catalog. MC_ERR_EXISTS */
mc_err mc_registry_fleet_create_with(mc_registry *r, uint32_t tenant, const mc_fleet *fleet, const mc_registry_with *with, mc_why *why);
mc_err mc_registry_fleet_delete_with(mc_registry *r, uint32_t tenant, mc_slice id, const mc_registry_with *with, mc_why *why);
uint32_t mc_registry_fleet_count(mc_registry *r, uint32_t tenant);
uint32_t mc_registry_fleet_size(mc_registry *r, uint32_t tenant, mc_slice id); /* vehicles in it; from memory */
mc_err mc_registry_fleet_update(mc_registry *r, uint32_t tenant, mc_slice id, mc_slice description, mc_why *why);
mc_err mc_registry_fleet_delete(mc_registry *r, uint32_t tenant, mc_slice id, mc_why *why); /* MC_ERR_CONFLICT: vehicles are in it */
mc_err mc_registry_fleet_get(mc_registry *r, uint32_t tenant, mc_slice id, mc_arena *arena, mc_fleet *out, mc_why *why);
mc_err mc_registry_fleet_list(mc_registry *r, uint32_t tenant, mc_slice after, size_t limit, mc_arena *arena, mc_fleet **out, size_t *count, mc_why *why); /* by id */
/* Joining twice and leaving what one is not in is no mistake. */
mc_err mc_registry_fleet_add(mc_registry *r, uint32_t tenant, mc_slice id, uint32_t vehicle, mc_why *why);
mc_err mc_registry_fleet_remove(mc_registry *r, uint32_t tenant, mc_slice id, uint32_t vehicle, mc_why *why);
mc_err mc_registry_fleet_vehicles(mc_registry *r, uint32_t tenant, mc_slice id, mc_slice after, size_t limit, mc_arena *arena, mc_vehicle **out, size_t *count, mc_why *why);
mc_err mc_registry_fleets_of_vehicle(mc_registry *r, uint32_t tenant, uint32_t vehicle, mc_slice after, size_t limit, mc_arena *arena, mc_slice **out, size_t *count, mc_why *why);
/* From memory. */
bool mc_registry_fleet_exists(mc_registry *r, uint32_t tenant, mc_slice id);
bool mc_registry_fleet_has(mc_registry *r, uint32_t tenant, mc_slice id, uint32_t vehicle);

/* ---- certificates ---- */
typedef enum mc_cert_state { MC_CERT_ACTIVE, MC_CERT_INACTIVE, MC_CERT_REVOKED } mc_cert_state;
typedef struct mc_certificate { uint8_t fingerprint[MC_FINGERPRINT]; uint32_t tenant, thing; mc_cert_state state; int64_t not_after_us, created_us; char thing_name[129]; } mc_certificate;
/* Issues with our CA. */
mc_err mc_registry_certificate_issue(mc_registry *r, uint32_t tenant, mc_slice thing, int days, mc_buf *cert_pem, mc_buf *key_pem, mc_why *why);
/* One for each of at most MC_VEHICLE_ROWS things, in one transaction; on an error none is valid. give is told of each pair (borrowed) when all are on
 * disk; its error ends the giving and is returned, the certificates stay. */
mc_err mc_registry_certificate_issue_many(mc_registry *r, uint32_t tenant, const mc_slice *thing, size_t count, int days,
                                          mc_err (*give)(void *ctx, size_t index, mc_slice cert_pem, mc_slice key_pem, mc_why *why), void *ctx, mc_why *why);
mc_err mc_registry_certificate_register(mc_registry *r, uint32_t tenant, mc_slice thing, mc_slice cert_pem, mc_why *why); /* one that exists already */
mc_err mc_registry_certificate_set_state(mc_registry *r, uint32_t tenant, const uint8_t fingerprint[MC_FINGERPRINT], mc_cert_state state, mc_why *why);
mc_err mc_registry_certificate_list(mc_registry *r, uint32_t tenant, mc_slice thing, mc_arena *arena, mc_certificate **out, size_t *count, mc_why *why);
mc_err mc_registry_certificate_find(mc_registry *r, uint32_t tenant, const uint8_t fingerprint[MC_FINGERPRINT], mc_certificate *out);
/* Called (under no lock) after a certificate stopped being ACTIVE or a thing was disabled: the gateway ends its live sessions. */
void mc_registry_on_revoked(mc_registry *r, void (*fn)(void *ctx, uint32_t tenant, uint32_t thing, const uint8_t fingerprint[MC_FINGERPRINT]), void *ctx);
/* The door: reads the certificate's state now, from memory. MC_OK fills who and policy (retained). Otherwise why says what the device's owner must do:
 * unknown certificate, revoked, inactive, chain not verified, expired. */
mc_err mc_registry_authenticate(mc_registry *r, const mc_peer *peer, mc_principal *who, const mc_policy **policy, mc_why *why);
mc_slice mc_registry_ca_pem(const mc_registry *r);

/* ---- policies of devices ---- AWS IoT policy documents (access/document.h) in versions, attached to certificates and thing groups. A device or service with any attached,
 * to its certificate or to a group it is in, is decided by them alone; else a vehicle by the built-in policy and a service by its own. */
typedef struct mc_device_policy {
  uint32_t id, tenant;
  char name[129];            /* 1 to 128 of A-Z, a-z, 0-9, + = , . @ _ - */
  uint32_t version, versions; /* the default one; how many there are */
  uint32_t attachments;
  int64_t created_us, updated_us;
} mc_device_policy;
typedef struct mc_policy_version { uint32_t version; bool is_default; int64_t created_us; mc_slice document; } mc_policy_version;
/* What a policy is attached to: a certificate or (fingerprint all zero) a group. */
typedef struct mc_policy_target { uint8_t fingerprint[MC_FINGERPRINT]; uint32_t group; char name[129]; /* of the group, or of the certificate's device */ } mc_policy_target;
mc_err mc_registry_policy_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice document, mc_device_policy *out, mc_why *why);
mc_err mc_registry_policy_get(mc_registry *r, uint32_t tenant, mc_slice name, mc_device_policy *out, mc_why *why);
mc_err mc_registry_policy_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_device_policy **out, size_t *count, mc_why *why); /* by name */
mc_err mc_registry_policy_delete(mc_registry *r, uint32_t tenant, mc_slice name, mc_why *why); /* with its versions. MC_ERR_CONFLICT: it is attached */
/* MC_ERR_FULL: it has as many versions as it may. */
mc_err mc_registry_policy_version_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice document, bool make_default, uint32_t *version, mc_why *why);
mc_err mc_registry_policy_version_default(mc_registry *r, uint32_t tenant, mc_slice name, uint32_t version, mc_why *why);
mc_err mc_registry_policy_version_delete(mc_registry *r, uint32_t tenant, mc_slice name, uint32_t version, mc_why *why); /* MC_ERR_CONFLICT: the default one */
mc_err mc_registry_policy_versions(mc_registry *r, uint32_t tenant, mc_slice name, mc_arena *arena, mc_policy_version **out, size_t *count, mc_why *why); /* newest first, with documents */
/* Twice is no mistake. MC_ERR_FULL: the target has as many as it may. */
mc_err mc_registry_policy_attach(mc_registry *r, uint32_t tenant, mc_slice name, const mc_policy_target *to, mc_why *why);
mc_err mc_registry_policy_detach(mc_registry *r, uint32_t tenant, mc_slice name, const mc_policy_target *from, mc_why *why); /* MC_ERR_NOT_FOUND: it was not attached */
mc_err mc_registry_policy_targets(mc_registry *r, uint32_t tenant, mc_slice name, mc_arena *arena, mc_policy_target **out, size_t *count, mc_why *why);
/* What a connection tells of itself. */
typedef struct mc_policy_connection {
  const uint8_t *fingerprint; /* of the certificate; NULL: signed in by password */
  mc_slice client_id, address /* with or without port */, server_name, common_name, serial;
} mc_policy_connection;
/* What decides for this device or service on this connection: retained. From memory. */
mc_err mc_registry_policy_for(mc_registry *r, const mc_principal *who, const mc_policy_connection *c, const mc_policy **policy, mc_why *why);
mc_policy_connection mc_policy_connection_of(const mc_peer *peer, mc_slice client_id);
/* Moves with every change of policies, attachments, members of groups and of what variables stand for: what was decided before is then asked again. Read without a lock. */
const _Atomic uint64_t *mc_registry_policy_epoch(const mc_registry *r);

/* ---- people ---- */
typedef struct mc_user { uint32_t id, tenant; char name[65]; mc_access_role role; bool disabled; int64_t created_us, last_sign_in_us; } mc_user;
mc_err mc_registry_user_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice password, mc_access_role role, mc_user *out, mc_why *why);
mc_err mc_registry_user_update(mc_registry *r, const mc_user *user, mc_slice new_password /* empty: unchanged */, mc_why *why);
mc_err mc_registry_user_get(mc_registry *r, uint32_t tenant, uint32_t id, mc_user *out);
mc_err mc_registry_user_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_user **out, size_t *count, mc_why *why);
/* Same answer and same time for unknown name and wrong password; slows down after failures per name and address (MC_ERR_FULL with the wait). */
mc_err mc_registry_sign_in(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice password, mc_slice address, mc_principal *who, mc_why *why);
/* Microseconds until the next attempt is let through; 0: now. */
int64_t mc_registry_sign_in_wait_us(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice address);
/* One-time sign-in link secrets (15 minutes, once). */
mc_err mc_registry_link_create(mc_registry *r, uint32_t tenant, uint32_t user, char out[64], mc_why *why);
mc_err mc_registry_link_redeem(mc_registry *r, mc_slice secret, mc_principal *who, mc_why *why);
/* Browser sessions: 12 h idle, 7 days in all. csrf is a second secret that mutating requests must carry. */
mc_err mc_registry_session_create(mc_registry *r, const mc_principal *who, char secret[64], char csrf[64], mc_why *why);
mc_err mc_registry_session_check(mc_registry *r, mc_slice secret, mc_principal *who, char csrf[64]);
mc_err mc_registry_session_end(mc_registry *r, mc_slice secret);
typedef struct mc_token { uint32_t id, tenant; char name[65]; mc_access_role role; int64_t created_us, expires_us, last_used_us; } mc_token;
mc_err mc_registry_token_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_access_role role, int64_t expires_us /* 0 never */, char secret[64], mc_token *out, mc_why *why);
mc_err mc_registry_token_check(mc_registry *r, mc_slice secret, mc_principal *who);
mc_err mc_registry_token_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_token **out, size_t *count, mc_why *why);
mc_err mc_registry_token_revoke(mc_registry *r, uint32_t tenant, uint32_t id, mc_why *why);

/* ---- access keys ---- they sign requests (SigV4): their secrets have to be known in clear, and lie enciphered. */
enum { MC_ACCESS_KEY_ID = 21, MC_ACCESS_KEY_SECRET = 64 }; /* room, with the NUL */
typedef struct mc_access_key {
  uint32_t id, tenant;
  char key_id[MC_ACCESS_KEY_ID]; /* "AKMC" and 16 of A-Z, 2-7 */
  char name[65];
  mc_access_role role;
  bool usable; /* false: its secret does not open under the keys of this server */
  int64_t created_us, last_used_us;
} mc_access_key;
/* secret: shown once. */
mc_err mc_registry_access_key_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_access_role role, char secret[MC_ACCESS_KEY_SECRET], mc_access_key *out, mc_why *why);
mc_err mc_registry_access_key_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_access_key **out, size_t *count, mc_why *why);
mc_err mc_registry_access_key_revoke(mc_registry *r, uint32_t tenant, uint32_t id, mc_why *why);
/* For whoever checks a signature, who wipes the secret afterwards. MC_ERR_UNAUTHENTICATED: unknown, revoked, or does not open. Memory only. */
mc_err mc_registry_access_key_find(mc_registry *r, mc_slice key_id, mc_principal *who, char secret[MC_ACCESS_KEY_SECRET], mc_why *why);
bool mc_registry_access_key_known(mc_registry *r, mc_slice key_id);
void mc_registry_access_key_used(mc_registry *r, mc_slice key_id); /* its signature was good: now */

/* ---- dense ids of the vocabulary ---- */
/* The id of a signal name (created when missing) and of an encoding (type, factor, offset). */
mc_err mc_registry_signal_id(mc_registry *r, uint32_t tenant, mc_slice fqn, uint32_t *out, mc_why *why);
mc_err mc_registry_signal_lookup(mc_registry *r, uint32_t tenant, mc_slice fqn, uint32_t *out); /* MC_ERR_NOT_FOUND */
/* Many at once, in one transaction: what an import should call. out[i] is the id of fqn[i]. */
mc_err mc_registry_signal_ids(mc_registry *r, uint32_t tenant, const mc_slice *fqn, size_t count, uint32_t *out, mc_why *why);
/* FQN of an id; empty when unknown. The bytes live as long as the registry. */
mc_slice mc_registry_signal_fqn(mc_registry *r, uint32_t tenant, uint32_t signal);
mc_err mc_registry_encoding_id(mc_registry *r, int type, double factor, double offset, uint32_t *out, mc_why *why);
/* Many at once, in one transaction: what a manifest should call. */
typedef struct mc_encoding_value { int type; double factor, offset; } mc_encoding_value;
mc_err mc_registry_encoding_ids(mc_registry *r, const mc_encoding_value *value, size_t count, uint32_t *out, mc_why *why);
mc_err mc_registry_encoding_get(mc_registry *r, uint32_t encoding, int *type, double *factor, double *offset);

/* ---- keys of what lies on disk: keyring.c ----
 * Data keys live in the database, wrapped by the master key (access). A tenant has one for what has no subject; with subject keys, each vehicle and person
 * has one of its own, and destroying it makes what was sealed under it unreadable everywhere: in the journal, its backups and its copies. Any thread;
 * sealing and opening never touch the disk. */
typedef enum mc_subject { MC_SUBJECT_TENANT = 1, MC_SUBJECT_VEHICLE = 2, MC_SUBJECT_PERSON = 3 } mc_subject;
typedef struct mc_key_info {
  uint32_t key_id, tenant, subject_id;
  mc_subject subject;
  int64_t created_us, destroyed_us; /* 0: it is in use */
} mc_key_info;
/* master is borrowed. subjects: vehicles and people get keys of their own from now on. A database made under another master key: MC_ERR_CHECKSUM. */
mc_err mc_keyring_open(mc_db *db, mc_master *master, bool subjects, mc_keyring **out, mc_why *why);
void mc_keyring_close(mc_keyring **k);
/* Were keys ever made in this database? Then what they sealed can be read only with the master key. */
mc_err mc_keyring_exists(mc_db *db, bool *out, mc_why *why);
bool mc_keyring_has_subjects(const mc_keyring *k);
/* The key in use for a subject, from memory; 0: none (never made, or destroyed). MC_SUBJECT_TENANT: subject_id 0. */
uint32_t mc_keyring_find(mc_keyring *k, uint32_t tenant, mc_subject subject, uint32_t subject_id);
/* Each of these subjects has a key afterwards, on disk. Not inside a transaction. After a destruction a new key is made: what comes from then on is new. */
mc_err mc_keyring_ensure(mc_keyring *k, uint32_t tenant, mc_subject subject, const uint32_t *subject_id, size_t count, mc_why *why);
/* MC_ERR_NOT_FOUND: destroyed, or never there. Else as mc_seal and mc_unseal. */
mc_err mc_keyring_seal(mc_keyring *k, uint32_t key_id, const mc_slice *aad, size_t aad_count, const mc_slice *text, size_t text_count, uint8_t *out);
mc_err mc_keyring_unseal(mc_keyring *k, uint32_t key_id, const mc_slice *aad, size_t aad_count, mc_slice sealed, uint8_t *out);
/* Destroys all keys that the subject has or had. On disk, write-ahead file included, when it returns. *count: how many; 0: MC_ERR_NOT_FOUND.
 * digest (may be NULL): names the keys without telling them; from 32 zeros, SHA-256 of (digest, key) for each in order of their ids. */
mc_err mc_keyring_destroy(mc_keyring *k, uint32_t tenant, mc_subject subject, uint32_t subject_id, size_t *count, uint8_t digest[32], mc_why *why);
mc_err mc_keyring_list(mc_keyring *k, uint32_t tenant, mc_arena *arena, mc_key_info **out, size_t *count, mc_why *why);
/* The key of the vehicle that a thing is fitted to now; 0: it has none. From memory. */
uint32_t mc_registry_key_of_thing(mc_registry *r, uint32_t tenant, uint32_t thing);
/* Destroys the vehicle's keys and gives it a new one for what comes. receipt: a JSON text (appended), signed with our CA's key: what was destroyed and what
 * that made unreadable. MC_ERR_UNSUPPORTED: there are no subject keys. */
mc_err mc_registry_vehicle_erase(mc_registry *r, uint32_t tenant, uint32_t vehicle, mc_slice by, mc_slice reason, mc_buf *receipt, mc_why *why);
/* Is it a receipt that this CA signed, unchanged? */
mc_err mc_registry_receipt_check(mc_slice ca_cert_pem, mc_slice receipt, mc_why *why);
/* A database that was restored from a backup knows nothing of what was taken away since: counts of what was taken away once more. */
typedef struct mc_taken_away {
  uint64_t keys, certificates, devices, tokens, accounts; /* destroyed; revoked or set inactive; disabled; revoked; disabled or with another password */
} mc_taken_away;
/* As a newer database of the same installation tells it; no master key is needed. The counts are added to. */
mc_err mc_registry_take_away_as(mc_db *restored, mc_db *newer, mc_taken_away *out, mc_why *why);
/* The keys that a receipt says were destroyed; MC_ERR_MALFORMED, MC_ERR_DENIED: it is none of this CA. restored NULL: only the receipt is looked at. */
mc_err mc_registry_take_away_by_receipt(mc_db *restored, mc_slice ca_cert_pem, mc_slice receipt, mc_taken_away *out, mc_why *why);
/* Sign-ins of the time of the backup end: who signed out since stays out. */
mc_err mc_registry_end_sessions(mc_db *restored, mc_why *why);
/* Subjects (vehicles, persons) that have a key of their own: those that could have been erased since. */
mc_err mc_registry_keys_left(mc_db *db, uint64_t *subjects, mc_why *why);
/* Wraps every key anew under another master key, in one transaction. The ring goes on under the new one, which is then borrowed instead. */
mc_err mc_keyring_rewrap(mc_keyring *k, mc_master *fresh, mc_why *why);

#endif
