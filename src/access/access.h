/* access: who may do what. Principals, roles, permissions, policies over topics, password and token secrets.
 *
 * Pure decisions; storage lives above. Deny by default: what is not named is refused. All functions are
 * thread-safe (no state) unless said. */
#ifndef MC_ACCESS_H
#define MC_ACCESS_H

#include "base/err.h"
#include "base/slice.h"

/* ---- people and API tokens ---- */
typedef enum mc_access_role { MC_ROLE_VIEWER = 1, MC_ROLE_OPERATOR = 2, MC_ROLE_ADMIN = 3 } mc_access_role;
const char *mc_access_role_name(mc_access_role role);                    /* "viewer", "operator", "admin" */
mc_err mc_access_role_parse(mc_slice text, mc_access_role *out, mc_why *why);

/* Permissions are strings "<resource>:<verb>" (vehicle:read, campaign:write, ...), described once in a table here. */
bool mc_access_role_allows(mc_access_role role, mc_slice permission);
size_t mc_access_permission_count(void);
const char *mc_access_permission_name(size_t index);

typedef struct mc_principal {
  uint32_t tenant;
  enum { MC_PRINCIPAL_NONE, MC_PRINCIPAL_USER, MC_PRINCIPAL_TOKEN, MC_PRINCIPAL_THING, MC_PRINCIPAL_SERVICE, MC_PRINCIPAL_DEV /* --insecure-dev */,
         MC_PRINCIPAL_KEY /* access key */, MC_PRINCIPAL_SELF /* the platform */ } kind;
  uint32_t id;           /* dense id in its table */
  mc_access_role role;   /* people, tokens, access keys */
  char name[129];        /* thing name, user name, token name */
} mc_principal;

/* scrypt (N 16384, r 8, p 1), 16-byte salt; text form "scrypt$16384$8$1$<salt b64>$<hash b64>". */
mc_err mc_access_password_hash(mc_slice password, char out[160], mc_why *why); /* >= 10 characters, else MC_ERR_INVALID with the rule */
bool mc_access_password_check(mc_slice password, mc_slice stored); /* constant time */
/* Random secrets: prefix + 43 characters base64url (256 bit), e.g. "mct_..." for API tokens, "mcs_" sessions, "mcl_" sign-in links. */
mc_err mc_access_secret_create(const char *prefix, char out[64]);
void mc_access_secret_digest(mc_slice secret, uint8_t out[32]); /* SHA-256: what is stored */

/* ---- topics: what a connected principal may publish, subscribe, receive ---- */
typedef enum mc_action {
  MC_ACTION_CONNECT,
  MC_ACTION_PUBLISH,
  MC_ACTION_SUBSCRIBE,
  MC_ACTION_RECEIVE,
  MC_ACTION_RETAIN_PUBLISH, /* beside MC_ACTION_PUBLISH */
  MC_ACTION_GET_SHADOW, /* from here on over HTTPS: "<thing>" or "<thing>/<shadow>" */
  MC_ACTION_UPDATE_SHADOW,
  MC_ACTION_DELETE_SHADOW,
  MC_ACTION_LIST_SHADOWS,
  MC_ACTION_DESCRIBE_JOB,
  MC_ACTION_GET_JOBS,
  MC_ACTION_START_JOB,
  MC_ACTION_UPDATE_JOB,
  MC_ACTION_GET_RETAINED,
  MC_ACTION_LIST_RETAINED,
  MC_ACTION_ASSUME_ROLE,
  MC_ACTION_DELETE_CONNECTION,
  MC_ACTION_GREENGRASS_DISCOVER, /* greengrass:..., by component or core device */
  MC_ACTION_GREENGRASS_RESOLVE,
  MC_ACTION_GREENGRASS_ARTIFACT,
  MC_ACTION_GREENGRASS_DEPLOYMENT,
  MC_ACTION_GREENGRASS_GROUPS,
  MC_ACTION_GREENGRASS_VERIFY,
  MC_ACTION_GREENGRASS_VERIFY_CERTIFICATE,
  MC_ACTION_GREENGRASS_AUTHORITIES,
  MC_ACTION_GREENGRASS_CONNECTIVITY,
  MC_ACTION_GREENGRASS_UPDATE_CONNECTIVITY,
  MC_ACTIONS
} mc_action;
const char *mc_action_name(mc_action action); /* "iot:Publish" */
/* MC_ERR_INVALID names what there is. */
mc_err mc_action_parse(mc_slice text, mc_action *out, mc_why *why);
/* The resource of an ARN, or of its last part ("topic/a/b"), that belongs to the action: "a/b". Empty text of an action that has none ("*"). */
mc_err mc_action_resource(mc_action action, mc_slice text, mc_slice *out, mc_why *why);
/* Built-in vehicle policy: certificate -> thing -> own topics only. A vehicle subscribes to everything under its own name, and publishes what travels
 * upwards: telemetry, check-ins, requests, answers. What the platform sends to it, it cannot publish itself, so it can retain nothing there. Both
 * tables are in access/README.md. Subscribing needs the filter to be contained in an allowed pattern. */
typedef struct mc_policy mc_policy; /* compiled, immutable, reference-counted */
const mc_policy *mc_policy_vehicle(void);
const mc_policy *mc_policy_all(void); /* --insecure-dev and the platform itself; never $aws/… of others as a device */
/* Service principals: JSON {"publish":["a/#"],"subscribe":["b/+/c"]}; `${thing}` stands for the principal's name (a name holding + # * ? $ or / never matches).
 * Client ids: a vehicle's is its name; a service's is its name, "<name>/<anything>", or what an optional "connect" list of patterns names. */
mc_err mc_policy_parse(mc_slice json, mc_policy **out, mc_why *why);
void mc_policy_retain(const mc_policy *p);
void mc_policy_release(const mc_policy *p);
/* resource: client id, topic, or filter. */
bool mc_policy_allows(const mc_policy *p, const mc_principal *who, mc_action action, mc_slice resource);

/* ---- policy documents ---- */
#include "access/document.h"
/* What one question brings along. */
typedef enum mc_policy_asked { MC_ASKED_PERSISTENT = 1 /* iot:ConnectAttributes PersistentConnect */, MC_ASKED_WILL = 2 /* LastWill */, MC_ASKED_TIME = 4 } mc_policy_asked;
typedef struct mc_policy_question {
  mc_action action;
  mc_slice resource;
  uint8_t connect;     /* of MC_ASKED_PERSISTENT, MC_ASKED_WILL */
  bool connect_named;  /* an Allow has to name them (AWS's letter); else one without that condition allows them, too */
} mc_policy_question;
/* The values of the variables for one connection. out: KIND of its own, for mc_policy_allows; or MC_ERR_MEMORY. */
mc_err mc_policy_bind(const mc_policy_set *set, mc_policy_resolver *resolve, void *ctx, mc_policy **out);
/* As mc_policy_allows, for any kind of policy. */
bool mc_policy_permits(const mc_policy *p, const mc_principal *who, const mc_policy_question *q);
/* Does it come of documents? Then receiving is a question of its own; otherwise what may be subscribed to may be received. */
bool mc_policy_is_bound(const mc_policy *p);
bool mc_policy_is_timed(const mc_policy *p); /* a condition asks for the time: an answer is good for the second of now only */
/* Which set it is, NULL: none. */
const mc_policy_set *mc_policy_set_of(const mc_policy *p);
/* MC_ERR_UNSUPPORTED: it does not come of documents. */
mc_err mc_policy_explain(const mc_policy *p, const mc_policy_question *q, mc_arena *arena, mc_policy_explanation *out, mc_why *why);
/* A document for vehicles that run FleetWise's agent, no more than that needs: what `motorcade policy create-vehicle` stores. */
mc_slice mc_policy_document_vehicle(void);

#include "access/scram.h" /* SCRAM-SHA-256 */
#include "access/seal.h"  /* master key, data keys, sealing */
#include "access/desk.h"  /* what faces ask of the one that keeps rates and audit */

#endif
