#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "format/json.h"
#include "registry/mirror.h"

/* Erasing a vehicle is destroying its data key. What was done is told by a receipt: a JSON object in one line, then a line with the CA's signature over
 * exactly that line (ECDSA over SHA-256, base64). */

uint32_t mc_registry_key_of_thing(mc_registry *r, uint32_t tenant, uint32_t thing)
{
  if (!r || !r->keyring || !mc_keyring_has_subjects(r->keyring) || !thing)
    return 0;
  uint32_t vehicle = mc_registry_vehicle_of_thing(r, tenant, thing, mc_clock_wall_us());
  return vehicle ? mc_keyring_find(r->keyring, tenant, MC_SUBJECT_VEHICLE, vehicle) : 0;
}

mc_err registry_keys_of_all(mc_registry *r, mc_why *why)
{
  if (!r->keyring)
    return MC_OK;
  for (size_t t = 1; t < r->tenant.len; t++)
    if (r->tenant.at[t])
      MC_TRY(mc_keyring_ensure(r->keyring, (uint32_t)t, MC_SUBJECT_TENANT, (const uint32_t[]){0}, 1, why));
  if (!mc_keyring_has_subjects(r->keyring))
    return MC_OK;
  for (size_t t = 1; t < r->tenant.len; t++) {
    MC_VEC(uint32_t) id = {0};
    mc_err err = MC_OK;
    for (size_t v = 0; !err && v < r->vehicle.len; v++)
      if (r->vehicle.at[v] && r->vehicle.at[v]->tenant == t && mc_vec_push(&id, (uint32_t)v))
        err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for the vehicles' keys");
    if (!err && id.len)
      err = mc_keyring_ensure(r->keyring, (uint32_t)t, MC_SUBJECT_VEHICLE, id.at, id.len, why);
    mc_vec_free(&id);
    if (err)
      return err;
  }
  return MC_OK;
}

mc_err registry_key_for_vehicles(mc_registry *r, uint32_t tenant, const uint32_t *vehicle, size_t count, mc_why *why)
{
  if (!r->keyring || !mc_keyring_has_subjects(r->keyring))
    return MC_OK;
  return mc_keyring_ensure(r->keyring, tenant, MC_SUBJECT_VEHICLE, vehicle, count, why);
}

static mc_err write_receipt(mc_buf *out, const mc_vehicle *v, size_t keys, const uint8_t digest[32], mc_slice by, mc_slice reason)
{
  char hex[65], time[MC_CLOCK_TEXT];
  for (size_t i = 0; i < 32; i++)
    snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  mc_clock_format_us(mc_clock_wall_us(), time);
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_str_field(&j, "receipt", "motorcade erasure 1");
  mc_json_int_field(&j, "tenant", v->tenant);
  mc_json_int_field(&j, "vehicle_id", v->id);
  mc_json_str_field(&j, "vehicle", v->name);
  mc_json_str_field(&j, "erased_at", time);
  mc_json_uint_field(&j, "keys_destroyed", keys);
  mc_json_str_field(&j, "keys_digest", hex);
  mc_json_str_field(&j, "unreadable", "every message of this vehicle that was enciphered under these keys: in the journal, in queues and retained messages, and in copies and back-ups of the journal");
  mc_json_str_field(&j, "not_covered", "back-ups made before (they hold the wrapped keys; restore with this receipt), the vehicle's entry in the registry, its latest values and its history segments");
  mc_json_text_field(&j, "by", by);
  mc_json_text_field(&j, "reason", reason);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

mc_err mc_registry_vehicle_erase(mc_registry *r, uint32_t tenant, uint32_t vehicle, mc_slice by, mc_slice reason, mc_buf *receipt, mc_why *why)
{
  mc_vehicle v;
  size_t keys;
  uint8_t digest[32];
  if (!r->keyring || !mc_keyring_has_subjects(r->keyring))
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "vehicles have no keys of their own here: set master_key and subject_keys, then what comes from then on can be erased");
  if (mc_registry_vehicle_get(r, tenant, vehicle, &v))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle %u", vehicle);
  MC_TRY(mc_keyring_destroy(r->keyring, tenant, MC_SUBJECT_VEHICLE, vehicle, &keys, digest, why));
  size_t begin = receipt->len;
  mc_err err = write_receipt(receipt, &v, keys, digest, by, reason);
  if (!err)
    err = mc_buf_append_str(receipt, "\n");
  if (!err)
    err = mc_pki_sign(mc_buf_slice(&r->ca_key), mc_slice_of(receipt->data + begin, receipt->len - begin - 1), receipt, why);
  if (!err)
    err = mc_buf_append_str(receipt, "\n");
  /* the erasure stands whatever comes now; the vehicle goes on under a new key */
  mc_err fresh = registry_key_for_vehicles(r, tenant, &vehicle, 1, why);
  if (err)
    return mc_err_set(why, err, "the keys are destroyed, but the receipt could not be made: %s", mc_err_text(err));
  return fresh;
}

mc_err mc_registry_receipt_check(mc_slice ca_cert_pem, mc_slice receipt, mc_why *why)
{
  size_t end = mc_slice_find(receipt, '\n', 0);
  if (end == receipt.len || !mc_slice_starts(receipt, MC_LIT("{\"receipt\":\"motorcade erasure 1\"")))
    return mc_err_set(why, MC_ERR_MALFORMED, "this is not an erasure receipt: it has two lines, the facts and a signature");
  mc_slice rest = mc_slice_sub(receipt, end + 1, SIZE_MAX);
  return mc_pki_verify(ca_cert_pem, mc_slice_sub(receipt, 0, end), mc_slice_trim(rest), why);
}
