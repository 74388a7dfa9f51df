/* Certificates: issuing, registering, their states, and the door. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "format/json.h"
#include "registry/mirror.h"

static const char *const state_name[] = {"active", "inactive", "revoked"};

static void hex8(const uint8_t *fingerprint, char out[24])
{
  char whole[2 * MC_FINGERPRINT + 1];
  mc_fingerprint_hex(fingerprint, whole);
  snprintf(out, 24, "%.16s...", whole);
}

void mc_registry_on_revoked(mc_registry *r, void (*fn)(void *ctx, uint32_t tenant, uint32_t thing, const uint8_t fingerprint[MC_FINGERPRINT]), void *ctx)
{
  pthread_mutex_lock(&r->revoked_lock);
  r->revoked = fn;
  r->revoked_ctx = ctx;
  pthread_mutex_unlock(&r->revoked_lock);
}

static void tell_revoked(mc_registry *r, uint32_t tenant, uint32_t thing, const uint8_t *fingerprint)
{
  pthread_mutex_lock(&r->revoked_lock);
  void (*fn)(void *, uint32_t, uint32_t, const uint8_t *) = r->revoked;
  void *ctx = r->revoked_ctx;
  pthread_mutex_unlock(&r->revoked_lock);
  if (fn)
    fn(ctx, tenant, thing, fingerprint);
}

void registry_tell_revoked(mc_registry *r, uint32_t tenant, uint32_t thing)
{
  static const uint8_t none[MC_FINGERPRINT];
  tell_revoked(r, tenant, thing, none);
}

static void certificate_json(mc_json *j, const mc_certificate *c, const char *thing)
{
  char hex[2 * MC_FINGERPRINT + 1];
  mc_fingerprint_hex(c->fingerprint, hex);
  mc_json_object(j);
  mc_json_str_field(j, "fingerprint", hex);
  mc_json_uint_field(j, "thing", c->thing);
  mc_json_str_field(j, "name", thing);
  mc_json_str_field(j, "state", state_name[c->state]);
  mc_json_int_field(j, "not_after_us", c->not_after_us);
  mc_json_object_end(j);
}

static mc_err write_certificate_json(mc_buf *out, const mc_certificate *c, const char *thing)
{
  mc_json j = mc_json_to(out);
  certificate_json(&j, c, thing);
  return mc_json_end(&j);
}

/* Inside the transaction. */
static mc_err insert_certificate(mc_registry *r, const cert_entry *c, mc_why *why)
{
  char hex[24];
  mc_err err = mc_db_run(r->db, why,
                         "INSERT INTO certificate (fingerprint, tenant, thing, state, pinned, not_after_us, created_us, changed_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
                         "biiiiii", mc_slice_of(c->cert.fingerprint, MC_FINGERPRINT), (int64_t)c->cert.tenant, (int64_t)c->cert.thing, (int64_t)MC_CERT_ACTIVE,
                         (int64_t)c->pinned, c->cert.not_after_us, c->cert.created_us);
  if (err != MC_ERR_EXISTS)
    return err;
  hex8(c->cert.fingerprint, hex);
  return mc_err_set(why, err, "certificate %s is registered already; a certificate belongs to one device for ever", hex);
}

static cert_entry *entry_of(uint32_t tenant, uint32_t thing, const mc_cert_info *info, bool pinned)
{
  cert_entry *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  c->cert = (mc_certificate){.tenant = tenant, .thing = thing, .state = MC_CERT_ACTIVE, .not_after_us = info->not_after_us, .created_us = mc_clock_wall_us()};
  memcpy(c->cert.fingerprint, info->fingerprint, MC_FINGERPRINT);
  c->pinned = pinned;
  return c;
}

/* Puts a certificate that now exists into db, journal and mirror. */
static mc_err add_certificate(mc_registry *r, uint32_t tenant, mc_slice thing_name, const mc_cert_info *info, mc_slice pinned_pem /* empty: we issued it */, mc_why *why)
{
  bool pinned = pinned_pem.len > 0;
  mc_buf *fields = NULL;
  char shown[48];
  mc_thing thing;
  if (mc_registry_thing_find(r, tenant, thing_name, &thing))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no device \"%s\"; create its vehicle first", registry_shown(thing_name, shown));
  cert_entry *c = entry_of(tenant, thing.id, info, pinned);
  if (!c)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a certificate");
  mc_err err = change_begin(r, why);
  if (err) {
    free(c);
    return err;
  }
  err = insert_certificate(r, c, why);
  if (!err && pinned)
    err = policy_certificate_fields(r, info->fingerprint, pinned_pem, &fields, why);
  mc_buf payload = {0};
  if (!err)
    err = write_certificate_json(&payload, &c->cert, thing.name);
  err = change_commit(r, err, tenant, mc_slice_str(thing.name), "certificate.created", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    err = mirror_certificate(r, c);
    if (!err && fields && policy_mirror_fields(r, info->fingerprint, fields) == MC_OK)
      fields = NULL; /* without memory its fields have no value until the next start, which refuses */
    pthread_rwlock_unlock(&r->lock);
  }
  if (fields)
    mc_buf_free(fields);
  free(fields);
  if (err)
    free(c);
  change_end(r);
  return err;
}

/* Makes key and certificate; nothing is registered yet. */
static mc_err issue(mc_registry *r, uint32_t tenant, mc_slice thing, int days, mc_buf *cert_pem, mc_buf *key_pem, uint32_t *thing_id, mc_cert_info *info, mc_why *why)
{
  char shown[48], common_name[65];
  mc_thing known;
  if (mc_registry_thing_find(r, tenant, thing, &known))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no device \"%s\"; create its vehicle first", registry_shown(thing, shown));
  *thing_id = known.id;
  /* X.520 allows 64 characters; identity is the fingerprint, the name is for people. */
  mc_slice_to_str(thing, common_name, sizeof common_name);
  size_t cert_at = cert_pem->len;
  MC_TRY(mc_pki_issue_client(mc_buf_slice(&r->ca_cert), mc_buf_slice(&r->ca_key), common_name, days, cert_pem, key_pem, why));
  return mc_cert_read_pem(mc_slice_sub(mc_buf_slice(cert_pem), cert_at, SIZE_MAX), info, why);
}

static mc_err check_issue(const mc_registry *r, int days, mc_why *why)
{
  if (days < 1 || days > 7300)
    return mc_err_set(why, MC_ERR_INVALID, "days: a certificate is valid for 1 to 7300 days; got %d", days);
  if (r->ca_cert.len == 0 || r->ca_key.len == 0)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "no certificate authority is set up here; run `motorcade init`, or register certificates made elsewhere");
  return MC_OK;
}

mc_err mc_registry_certificate_issue(mc_registry *r, uint32_t tenant, mc_slice thing, int days, mc_buf *cert_pem, mc_buf *key_pem, mc_why *why)
{
  MC_TRY(check_issue(r, days, why));
  size_t cert_at = cert_pem->len, key_at = key_pem->len;
  mc_cert_info info;
  uint32_t id;
  mc_err err = issue(r, tenant, thing, days, cert_pem, key_pem, &id, &info, why);
  if (!err)
    err = add_certificate(r, tenant, thing, &info, (mc_slice){0}, why);
  if (err) { /* nothing that works must leave with an error */
    cert_pem->len = cert_at;
    key_pem->len = key_at;
  }
  return err;
}

/* ---- many ---- */

typedef struct issued {
  cert_entry *entry; /* until the mirror has it */
  size_t cert_end, key_end; /* in the texts of all */
} issued;

static mc_err issue_all(mc_registry *r, uint32_t tenant, const mc_slice *thing, size_t count, int days, issued *list, mc_buf *certs, mc_buf *keys, mc_why *why)
{
  for (size_t i = 0; i < count; i++) {
    mc_cert_info info;
    uint32_t id;
    MC_TRY(issue(r, tenant, thing[i], days, certs, keys, &id, &info, why));
    list[i] = (issued){entry_of(tenant, id, &info, false), certs->len, keys->len};
    if (!list[i].entry)
      return mc_err_set(why, MC_ERR_MEMORY, "no memory for %zu certificates", count);
  }
  return MC_OK;
}

static mc_err add_all(mc_registry *r, uint32_t tenant, const mc_slice *thing, size_t count, issued *list, mc_why *why)
{
  mc_buf payload = {0};
  mc_json j = mc_json_to(&payload);
  char name[MC_REGISTRY_NAME + 1];
  MC_TRY(change_begin(r, why));
  mc_err err = MC_OK;
  mc_json_array(&j);
  for (size_t i = 0; i < count && !err; i++) {
    err = insert_certificate(r, list[i].entry, why);
    mc_slice_to_str(thing[i], name, sizeof name);
    certificate_json(&j, &list[i].entry->cert, name);
  }
  mc_json_array_end(&j);
  if (!err && mc_json_end(&j))
    err = mc_err_set(why, MC_ERR_MEMORY, "no memory for the record of %zu certificates", count);
  err = change_commit(r, err, tenant, (mc_slice){0}, "certificates.created", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    for (size_t i = 0; i < count && !err; i++) {
      err = mirror_certificate(r, list[i].entry);
      if (!err)
        list[i].entry = NULL;
    }
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  return err;
}

mc_err mc_registry_certificate_issue_many(mc_registry *r, uint32_t tenant, const mc_slice *thing, size_t count, int days,
                                          mc_err (*give)(void *ctx, size_t index, mc_slice cert_pem, mc_slice key_pem, mc_why *why), void *ctx, mc_why *why)
{
  MC_TRY(check_issue(r, days, why));
  if (count > MC_VEHICLE_ROWS)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "%zu certificates: at most %d at once", count, MC_VEHICLE_ROWS);
  mc_buf certs = {0}, keys = {0};
  issued *list = calloc(count ? count : 1, sizeof *list);
  enum { KEY_PEM = 512 }; /* room ahead: a text that moves leaves keys behind */
  mc_err err = list && mc_buf_reserve(&keys, count * KEY_PEM) == MC_OK ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "no memory for %zu certificates", count);
  if (!err)
    err = issue_all(r, tenant, thing, count, days, list, &certs, &keys, why);
  if (!err && count)
    err = add_all(r, tenant, thing, count, list, why);
  size_t cert_at = 0, key_at = 0;
  for (size_t i = 0; i < count && !err; i++) {
    err = give(ctx, i, mc_slice_of(certs.data + cert_at, list[i].cert_end - cert_at), mc_slice_of(keys.data + key_at, list[i].key_end - key_at), why);
    cert_at = list[i].cert_end;
    key_at = list[i].key_end;
  }
  for (size_t i = 0; i < count && list; i++)
    free(list[i].entry);
  free(list);
  mc_buf_free(&certs);
  if (keys.data)
    OPENSSL_cleanse(keys.data, keys.cap);
  mc_buf_free(&keys);
  return err;
}

mc_err mc_registry_certificate_register(mc_registry *r, uint32_t tenant, mc_slice thing, mc_slice cert_pem, mc_why *why)
{
  mc_cert_info info;
  MC_TRY(mc_cert_read_pem(cert_pem, &info, why));
  if (info.not_after_us <= mc_clock_wall_us())
    return mc_err_set(why, MC_ERR_INVALID, "the certificate has expired; register one that is valid");
  return add_certificate(r, tenant, thing, &info, cert_pem, why);
}

static cert_entry *find_entry(mc_registry *r, const uint8_t *fingerprint)
{
  uint64_t value = 0;
  return mc_strmap_get(&r->cert_by_fingerprint, mc_slice_of(fingerprint, MC_FINGERPRINT), &value) ? (cert_entry *)(uintptr_t)value : NULL;
}

/* Copy with the thing's name. Holds the read lock itself. */
static mc_err copy_entry(mc_registry *r, uint32_t tenant, const uint8_t *fingerprint, mc_certificate *out)
{
  pthread_rwlock_rdlock(&r->lock);
  const cert_entry *c = find_entry(r, fingerprint);
  bool found = c && c->cert.tenant == tenant;
  if (found) {
    *out = c->cert;
    const thing_entry *t = registry_thing(r, c->cert.thing);
    snprintf(out->thing_name, sizeof out->thing_name, "%s", t ? t->thing.name : "");
  }
  pthread_rwlock_unlock(&r->lock);
  return found ? MC_OK : MC_ERR_NOT_FOUND;
}

mc_err mc_registry_certificate_find(mc_registry *r, uint32_t tenant, const uint8_t fingerprint[MC_FINGERPRINT], mc_certificate *out)
{
  return copy_entry(r, tenant, fingerprint, out);
}

static void set_mirror_state(mc_registry *r, const uint8_t *fingerprint, mc_cert_state state)
{
  pthread_rwlock_wrlock(&r->lock);
  cert_entry *c = find_entry(r, fingerprint);
  if (c)
    c->cert.state = state;
  pthread_rwlock_unlock(&r->lock);
}

mc_err mc_registry_certificate_set_state(mc_registry *r, uint32_t tenant, const uint8_t fingerprint[MC_FINGERPRINT], mc_cert_state state, mc_why *why)
{
  char hex[24];
  hex8(fingerprint, hex);
  if (state < MC_CERT_ACTIVE || state > MC_CERT_REVOKED)
    return mc_err_set(why, MC_ERR_INVALID, "a certificate is active, inactive or revoked");
  MC_TRY(change_begin(r, why));
  mc_certificate c = {.state = MC_CERT_ACTIVE};
  mc_err err = MC_OK;
  bool known = copy_entry(r, tenant, fingerprint, &c) == MC_OK;
  if (!known)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no certificate %s here", hex);
  else if (c.state == MC_CERT_REVOKED && state != MC_CERT_REVOKED)
    err = mc_err_set(why, MC_ERR_CONFLICT, "certificate %s is revoked and stays so; issue a new one for \"%s\"", hex, c.thing_name);
  bool allowed = !err;
  mc_cert_state before = c.state;
  c.state = state;
  mc_buf payload = {0};
  if (allowed)
    err = mc_db_run(r->db, why, "UPDATE certificate SET state = $1, changed_us = $2 WHERE fingerprint = $3", "iib", (int64_t)state, mc_clock_wall_us(),
                    mc_slice_of(fingerprint, MC_FINGERPRINT));
  if (!err)
    err = write_certificate_json(&payload, &c, c.thing_name);
  err = change_commit(r, err, tenant, mc_slice_str(c.thing_name), "certificate.state", &payload, why);
  mc_buf_free(&payload);
  /* A full disk must not keep a stolen certificate alive: taking away acts now, and the error tells that it is not saved. */
  bool taken_away = allowed && before == MC_CERT_ACTIVE && state != MC_CERT_ACTIVE;
  if (!err || taken_away)
    set_mirror_state(r, fingerprint, state);
  change_end(r);
  if (taken_away) {
    if (err)
      mc_err_prefix(why, "certificate %s is refused from now on, but only until a restart because this was not saved; try again", hex);
    tell_revoked(r, tenant, c.thing, fingerprint);
  }
  return err;
}

mc_err mc_registry_certificate_list(mc_registry *r, uint32_t tenant, mc_slice thing, mc_arena *arena, mc_certificate **out, size_t *count, mc_why *why)
{
  *out = NULL;
  *count = 0;
  char shown[48];
  mc_thing known;
  if (mc_registry_thing_find(r, tenant, thing, &known))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no device \"%s\"", registry_shown(thing, shown));
  MC_VEC(mc_certificate) list = {0};
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_stmt *s;
  mc_err err = mc_db_prepare(r->db, "SELECT fingerprint FROM certificate WHERE thing = $1 ORDER BY created_us DESC, fingerprint", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, known.id);
    while ((err = mc_stmt_step(s, why)) == MC_OK) {
      mc_certificate c;
      mc_slice fingerprint = mc_stmt_blob(s, 0);
      if (fingerprint.len == MC_FINGERPRINT && !copy_entry(r, tenant, fingerprint.data, &c) && mc_vec_push(&list, c)) {
        err = mc_err_set(why, MC_ERR_MEMORY, "no memory for the list");
        break;
      }
    }
    mc_stmt_release(&s);
  }
  mc_db_end(r->db, true, NULL);
  if (err == MC_ERR_END) {
    err = MC_OK;
    mc_certificate *copy = mc_arena_array(arena, list.len, sizeof *copy);
    if (!copy)
      err = mc_err_set(why, MC_ERR_MEMORY, "no memory for the list");
    else if (list.len)
      memcpy(copy, list.at, list.len * sizeof *copy);
    *out = copy;
    *count = copy ? list.len : 0;
  }
  mc_vec_free(&list);
  return err;
}

mc_err mc_registry_thing_set_disabled(mc_registry *r, uint32_t tenant, uint32_t thing, bool disabled, mc_why *why)
{
  MC_TRY(change_begin(r, why));
  mc_err err = mc_db_run(r->db, why, "UPDATE thing SET disabled = $1 WHERE id = $2 AND tenant = $3", "iii", (int64_t)disabled, (int64_t)thing, (int64_t)tenant);
  if (!err && mc_db_changes(r->db) == 0)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no device with id %u", thing);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"thing\":%u,\"disabled\":%s}", thing, disabled ? "true" : "false");
  pthread_rwlock_rdlock(&r->lock);
  const thing_entry *known = registry_thing(r, thing);
  mc_thing copy = known ? known->thing : (mc_thing){0};
  pthread_rwlock_unlock(&r->lock);
  err = change_commit(r, err, tenant, mc_slice_str(copy.name), "thing.disabled", &payload, why);
  mc_buf_free(&payload);
  MC_VEC(mc_certificate) ended = {0};
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    thing_entry *t = registry_thing(r, thing);
    if (t)
      t->disabled = disabled;
    size_t at = 0;
    mc_slice key;
    uint64_t value;
    while (disabled && mc_strmap_next(&r->cert_by_fingerprint, &at, &key, &value)) {
      const cert_entry *c = (const cert_entry *)(uintptr_t)value;
      if (c->cert.thing == thing && mc_vec_push(&ended, c->cert))
        mc_log(MC_LOG_ERROR, "registry", "no memory to end the sessions of a disabled device", MC_KU("thing", thing));
    }
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  if (!err && disabled && copy.is_service) /* it may have come in by password */
    registry_tell_revoked(r, tenant, thing);
  for (size_t i = 0; i < ended.len; i++)
    tell_revoked(r, tenant, thing, ended.at[i].fingerprint);
  mc_vec_free(&ended);
  return err;
}

/* ---- the door ---- */

static mc_err judge(const cert_entry *c, const thing_entry *t, const mc_peer *peer, mc_why *why)
{
  char hex[24], until[MC_CLOCK_TEXT];
  hex8(peer->cert.fingerprint, hex);
  if (!c || !t) {
    if (!peer->cert_verified)
      return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "certificate %s was not issued here (%s): have the fleet's operator issue one for this vehicle, or register this one",
                        hex, peer->verify_error[0] ? peer->verify_error : "its chain does not verify");
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "certificate %s is not known here: have the fleet's operator issue one for this vehicle, or register this one", hex);
  }
  if (c->cert.state == MC_CERT_REVOKED)
    return mc_err_set(why, MC_ERR_DENIED, "certificate %s of \"%s\" is revoked: issue a new one and install it in the vehicle", hex, t->thing.name);
  if (peer->cert_revoked) /* registered by itself or not: its authority took it back */
    return mc_err_set(why, MC_ERR_DENIED, "certificate %s of \"%s\" is refused: %s; issue a new one and install it in the vehicle", hex, t->thing.name, peer->verify_error);
  if (c->cert.state == MC_CERT_INACTIVE)
    return mc_err_set(why, MC_ERR_DENIED, "certificate %s of \"%s\" is inactive: activate it in the registry, then reconnect", hex, t->thing.name);
  if (t->disabled)
    return mc_err_set(why, MC_ERR_DENIED, "device \"%s\" is disabled: enable it in the registry, then reconnect", t->thing.name);
  if (c->cert.not_after_us <= mc_clock_wall_us()) {
    mc_clock_format_us(c->cert.not_after_us, until);
    return mc_err_set(why, MC_ERR_DENIED, "certificate %s of \"%s\" expired at %s: issue a new one and install it in the vehicle", hex, t->thing.name, until);
  }
  if (!peer->cert_verified && !c->pinned)
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "the chain of certificate %s does not verify (%s): check the vehicle's clock and certificate, or issue a new one", hex,
                      peer->verify_error[0] ? peer->verify_error : "no reason given");
  return MC_OK;
}

mc_err mc_registry_authenticate(mc_registry *r, const mc_peer *peer, mc_principal *who, const mc_policy **policy, mc_why *why)
{
  *who = (mc_principal){0};
  *policy = NULL;
  if (!peer->tls || !peer->has_cert)
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "no client certificate was presented: connect over TLS with the certificate and key issued for this vehicle");
  pthread_rwlock_rdlock(&r->lock);
  const cert_entry *c = find_entry(r, peer->cert.fingerprint);
  const thing_entry *t = c ? registry_thing(r, c->cert.thing) : NULL;
  mc_err err = judge(c, t, peer, why);
  if (!err) {
    who->tenant = t->thing.tenant;
    who->kind = t->thing.is_service ? MC_PRINCIPAL_SERVICE : MC_PRINCIPAL_THING;
    who->id = t->thing.id;
    memcpy(who->name, t->thing.name, sizeof who->name);
    *policy = t->thing.is_service ? t->policy : mc_policy_vehicle();
    mc_policy_retain(*policy);
  }
  pthread_rwlock_unlock(&r->lock);
  return err;
}
