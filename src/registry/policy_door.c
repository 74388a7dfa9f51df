/* What decides for a device on a connection: documents of its certificate and its groups, with this connection's values; or what is built in. */
#include <stdlib.h>

#include "registry/mirror.h"

/* Ids of all that is attached, in order, each once. */
typedef struct attached {
  uint32_t id[MC_POLICY_SET];
  size_t count;
  bool too_many;
} attached;

static void gather(attached *a, const id_list *list)
{
  for (uint32_t i = 0; list && i < list->len; i++) {
    size_t at = 0;
    while (at < a->count && a->id[at] < list->id[i])
      at++;
    if (at < a->count && a->id[at] == list->id[i])
      continue;
    if (a->count == MC_POLICY_SET) {
      a->too_many = true;
      return;
    }
    memmove(&a->id[at + 1], &a->id[at], (a->count - at) * sizeof a->id[0]);
    a->id[at] = list->id[i];
    a->count++;
  }
}

static attached attached_to(const mc_registry *r, uint32_t thing, const uint8_t *fingerprint)
{
  attached a = {.count = 0};
  uint64_t value = 0;
  if (fingerprint && mc_strmap_get(&r->policy.of_certificate, mc_slice_of(fingerprint, MC_FINGERPRINT), &value))
    gather(&a, (const id_list *)(uintptr_t)value);
  if (!mc_map_get(&r->policy.groups_of_thing, thing, &value))
    return a;
  const id_list *groups = (const id_list *)(uintptr_t)value;
  for (uint32_t i = 0; i < groups->len; i++)
    if (mc_map_get(&r->policy.of_group, groups->id[i], &value))
      gather(&a, (const id_list *)(uintptr_t)value);
  return a;
}

/* One compiled set for all who have the same documents. Lock held for reading. */
static mc_err set_of(mc_registry *r, const attached *a, const mc_policy_set **out, mc_why *why)
{
  mc_policy_part part[MC_POLICY_SET];
  uint8_t key[MC_POLICY_SET * 8];
  size_t count = 0;
  for (size_t i = 0; i < a->count; i++) {
    const policy_entry *p = policy_by_id(r, a->id[i]);
    if (!p)
      return mc_err_set(why, MC_ERR_DENIED, "a policy that is attached cannot be found");
    part[count] = (mc_policy_part){p->document, mc_slice_str(p->info.name), p->info.version};
    mc_store_le32(key + 8 * count, p->info.id);
    mc_store_le32(key + 8 * count + 4, p->info.version);
    count++;
  }
  mc_slice name = mc_slice_of(key, 8 * count);
  uint64_t value = 0;
  mc_policy_set *set = NULL;
  mc_err err = MC_OK;
  pthread_mutex_lock(&r->policy.sets_lock);
  if (mc_strmap_get(&r->policy.sets, name, &value))
    set = (mc_policy_set *)(uintptr_t)value;
  else if (!(err = mc_policy_set_compile(part, count, &set, why)) && (err = mc_strmap_put(&r->policy.sets, name, (uintptr_t)set))) {
    mc_policy_set_release(set);
    mc_err_set(why, err, "no memory for policies");
  }
  if (!err)
    mc_policy_set_retain(set);
  pthread_mutex_unlock(&r->policy.sets_lock);
  *out = err ? NULL : set;
  return err;
}

/* ---- values of variables ---- */

typedef struct resolving {
  const mc_registry *r;
  const thing_entry *thing;
  const mc_policy_connection *c;
  bool attached; /* client id is the thing's name, and the certificate is the thing's (contract iotcore, "Policy variables") */
  mc_slice address;
  char hex[2 * MC_FINGERPRINT + 1];
} resolving;

static void add(mc_policy_values *out, mc_slice value)
{
  if (value.len && out->count < MC_POLICY_VALUES)
    out->at[out->count++] = value;
}

/* What begins with `from` in these fields, as what begins with `as`. */
static void add_fields(const mc_policy_variable *v, mc_slice fields, mc_slice from, mc_slice as, mc_policy_values *out)
{
  mc_slice name, value;
  for (size_t at = 0; mc_cert_field_next(fields, &at, &name, &value);) {
    if (!mc_slice_starts(name, from) || !mc_slice_starts(v->name, as))
      continue;
    if (mc_slice_eq(mc_slice_sub(name, from.len, name.len), mc_slice_sub(v->name, as.len, v->name.len)))
      add(out, value);
  }
}

/* One that others issued and that was registered before fields were kept has none of an issuer: not ours. */
static bool is_ours(const resolving *x)
{
  uint64_t value = 0;
  return mc_strmap_get(&x->r->cert_by_fingerprint, mc_slice_of(x->c->fingerprint, MC_FINGERPRINT), &value) && !((const cert_entry *)(uintptr_t)value)->pinned;
}

/* What we issued has a common name and a serial number, which the connection knows, and our authority as its issuer. */
static void certificate_value(const resolving *x, const mc_policy_variable *v, mc_policy_values *out)
{
  uint64_t value = 0;
  if (!x->c->fingerprint)
    return;
  if (mc_slice_eq_str(v->text, "iot:CertificateId")) {
    add(out, mc_slice_str(x->hex));
    return;
  }
  bool foreign = mc_strmap_get(&x->r->policy.certificate_field, mc_slice_of(x->c->fingerprint, MC_FINGERPRINT), &value);
  mc_slice fields = foreign ? mc_buf_slice((const mc_buf *)(uintptr_t)value) : is_ours(x) ? mc_buf_slice(&x->r->policy.own_fields) : (mc_slice){0}, name, ignored, last = {0};
  if (mc_slice_eq_str(v->name, "AvailableKeys")) {
    if (!foreign) {
      add(out, MC_LIT("SerialNumber"));
      add(out, MC_LIT("Subject.CommonName"));
      return;
    }
    for (size_t at = 0; mc_cert_field_next(fields, &at, &name, &ignored); last = name)
      if (!mc_slice_eq(name, last))
        add(out, name);
    return;
  }
  if (foreign) {
    add_fields(v, fields, (mc_slice){0}, (mc_slice){0}, out);
    return;
  }
  if (mc_slice_eq_str(v->name, "SerialNumber"))
    add(out, x->c->serial);
  else if (mc_slice_eq_str(v->name, "Subject.CommonName"))
    add(out, x->c->common_name);
  else
    add_fields(v, fields, MC_LIT("Subject."), MC_LIT("Issuer."), out);
}

static void resolve(void *ctx, const mc_policy_variable *v, mc_policy_values *out)
{
  const resolving *x = ctx;
  const mc_vehicle *vehicle = registry_vehicle(x->r, x->thing->thing.vehicle);
  switch (v->kind) {
  case MC_VARIABLE_CLIENT_ID:
    add(out, x->c->client_id);
    break;
  case MC_VARIABLE_SOURCE_IP:
    add(out, x->address);
    break;
  case MC_VARIABLE_DOMAIN_NAME:
    add(out, x->c->server_name);
    break;
  case MC_VARIABLE_THING_ATTACHED:
    add(out, x->attached ? MC_LIT("true") : MC_LIT("false"));
    break;
  case MC_VARIABLE_CERTIFICATE:
    certificate_value(x, v, out);
    break;
  case MC_VARIABLE_THING_NAME:
    if (x->attached)
      add(out, mc_slice_str(x->thing->thing.name));
    break;
  case MC_VARIABLE_THING_TYPE:
    if (x->attached && vehicle)
      add(out, mc_slice_str(vehicle->kind));
    break;
  case MC_VARIABLE_THING_ATTRIBUTE:
    if (x->attached && vehicle)
      add(out, policy_attribute(x->r, vehicle->id, v->name));
    break;
  default:
    break;
  }
}

/* "192.0.2.1:5123" and "[2001:db8::1]:5123" without their port. */
static mc_slice without_port(mc_slice address)
{
  if (address.len && address.data[0] == '[')
    return mc_slice_sub(address, 1, mc_slice_find(address, ']', 0) - 1);
  size_t colon = mc_slice_find(address, ':', 0);
  return mc_slice_find(address, ':', colon + 1) < address.len ? address : mc_slice_sub(address, 0, colon); /* two colons: a bare IPv6 one */
}

mc_policy_connection mc_policy_connection_of(const mc_peer *peer, mc_slice client_id)
{
  return (mc_policy_connection){.fingerprint = peer->has_cert ? peer->cert.fingerprint : NULL, .client_id = client_id, .address = mc_slice_str(peer->address),
                                .server_name = mc_slice_str(peer->server_name), .common_name = mc_slice_str(peer->cert.common_name), .serial = mc_slice_str(peer->cert.serial)};
}

mc_err mc_registry_policy_for(mc_registry *r, const mc_principal *who, const mc_policy_connection *c, const mc_policy **policy, mc_why *why)
{
  const mc_policy_set *set = NULL;
  mc_policy *bound = NULL;
  mc_err err = MC_OK;
  *policy = NULL;
  pthread_rwlock_rdlock(&r->lock);
  const thing_entry *t = registry_thing(r, who->id);
  if (!t || t->thing.tenant != who->tenant)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no such device");
  attached a = err ? (attached){.count = 0} : attached_to(r, who->id, c->fingerprint);
  if (a.too_many)
    err = mc_err_set(why, MC_ERR_TOO_LARGE, "more than %d policies are attached to the certificate and the groups of \"%s\": detach some", MC_POLICY_SET, t->thing.name);
  if (!err && a.count == 0) {
    *policy = t->thing.is_service ? t->policy : mc_policy_vehicle();
    mc_policy_retain(*policy);
  } else if (!err && !(err = set_of(r, &a, &set, why))) {
    resolving x = {.r = r, .thing = t, .c = c, .address = without_port(c->address)};
    x.attached = c->fingerprint && mc_slice_eq_str(c->client_id, t->thing.name);
    if (c->fingerprint)
      mc_fingerprint_hex(c->fingerprint, x.hex);
    err = mc_policy_bind(set, resolve, &x, &bound);
    if (err)
      mc_err_set(why, err, "no memory for the policies of \"%s\"", t->thing.name);
    *policy = bound;
  }
  pthread_rwlock_unlock(&r->lock);
  mc_policy_set_release(set);
  return err;
}
