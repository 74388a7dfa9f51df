/* Policies of devices in memory, private to registry. Guarded by the registry's lock, but for the compiled sets and the epoch. */
#ifndef MC_REGISTRY_POLICY_H
#define MC_REGISTRY_POLICY_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/vec.h"
#include "registry/registry.h"

typedef struct id_list {
  uint32_t len;
  uint32_t id[];
} id_list;

typedef struct policy_entry {
  mc_device_policy info;
  mc_policy_document *document; /* of the default version */
} policy_entry;

typedef struct policy_mirror {
  MC_VEC(policy_entry *) at;  /* index: id */
  mc_strmap by_name;          /* scoped key -> id */
  mc_strmap of_certificate;   /* fingerprint -> id_list * of policies */
  mc_map of_group;            /* group -> id_list * of policies */
  mc_map groups_of_thing;     /* thing -> id_list * of groups */
  mc_strmap certificate_field; /* fingerprint -> mc_buf *: of certificates that others issued */
  mc_strmap attribute;        /* vehicle (4 bytes) and name -> char *: values of the attributes that documents name */
  mc_strmap watched;          /* names of those attributes */
  mc_buf own_fields;          /* of our authority's certificate: what it issued has its subject as issuer */
  _Atomic uint64_t epoch;     /* one more at each change that can change a decision */
  pthread_mutex_t sets_lock;  /* a leaf; guards the one below */
  mc_strmap sets;             /* ids and versions -> mc_policy_set * */
} policy_mirror;

/* Lists. A list that is empty is NULL. */
mc_err id_list_add(id_list **list, uint32_t id);
void id_list_remove(id_list **list, uint32_t id);
mc_err id_map_change(mc_map *m, uint64_t key, uint32_t id, bool in);

/* policy_mirror.c */
struct mc_registry;
mc_err policy_mirror_load(struct mc_registry *r, mc_why *why);
void policy_mirror_free(struct mc_registry *r);
/* Lock held for writing: decisions made before are asked anew from now on, and sets are compiled anew. */
void policy_changed(struct mc_registry *r);
/* Lock held for writing, after a group's member joined or left. */
mc_err policy_member_changed(struct mc_registry *r, uint32_t group, uint32_t thing, bool in);
/* After a commit that changed attributes of a vehicle, with the database's mutex held and the lock free. */
void policy_attributes_changed(struct mc_registry *r, uint32_t vehicle);
/* Lock held for writing. */
void policy_vehicle_gone(struct mc_registry *r, uint32_t vehicle);
/* Inside the transaction that registers a certificate that others issued. */
mc_err policy_certificate_fields(struct mc_registry *r, const uint8_t fingerprint[MC_FINGERPRINT], mc_slice pem, mc_buf **out, mc_why *why);
mc_err policy_mirror_fields(struct mc_registry *r, const uint8_t fingerprint[MC_FINGERPRINT], mc_buf *fields); /* taken on success; lock held for writing */

/* policy_attribute.c: values of attributes that documents name, so that the door asks no disk. */
/* Database's mutex held, lock free: what the document names is watched from now on, and loaded. */
mc_err policy_watch(struct mc_registry *r, const mc_policy_document *document, mc_why *why);
mc_slice policy_attribute(const struct mc_registry *r, uint32_t vehicle, mc_slice name); /* lock held */

/* policy_mirror.c; lock held, for writing where something changes. */
policy_entry *policy_by_id(const struct mc_registry *r, uint32_t id);
policy_entry *policy_named(const struct mc_registry *r, uint32_t tenant, mc_slice name);
mc_err policy_mirror_put(struct mc_registry *r, policy_entry *p); /* taken on success */
mc_err policy_mirror_target(struct mc_registry *r, policy_entry *p, const mc_policy_target *t, bool in);
void policy_mirror_gone(struct mc_registry *r, policy_entry *p);
void policy_entry_free(policy_entry *p);

#endif
