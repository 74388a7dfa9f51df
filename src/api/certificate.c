/* Certificates of a vehicle's device. */
#include "api/inside.h"

static const char *const state_name[] = {"active", "inactive", "revoked"};

static void write_certificate(mc_json *j, const mc_certificate *x)
{
  char hex[2 * MC_FINGERPRINT + 1];
  mc_fingerprint_hex(x->fingerprint, hex);
  mc_json_object(j);
  mc_json_str_field(j, "id", hex);
  mc_json_str_field(j, "thing", x->thing_name);
  mc_json_str_field(j, "state", state_name[x->state]);
  json_time(j, "not_after", x->not_after_us);
  json_time(j, "created", x->created_us);
  mc_json_object_end(j);
}

mc_err api_op_certificate_list(api_call *c)
{
  mc_vehicle v;
  mc_certificate *list;
  size_t n;
  MC_TRY(call_vehicle(c, &v));
  MC_TRY(mc_registry_certificate_list(c->api->config.registry, c->who.tenant, mc_slice_str(v.name), &c->arena, &list, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_certificate(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

static mc_err write_issued(api_call *c, const mc_buf *cert, const mc_buf *key)
{
  mc_cert_info info;
  mc_certificate made;
  MC_TRY(mc_cert_read_pem(mc_buf_slice(cert), &info, &c->why));
  if (mc_registry_certificate_find(c->api->config.registry, c->who.tenant, info.fingerprint, &made))
    return mc_err_set(&c->why, MC_ERR_CONFLICT, "the new certificate is gone already");
  mc_json_object(&c->json);
  mc_json_key(&c->json, "certificate");
  write_certificate(&c->json, &made);
  mc_json_text_field(&c->json, "certificate_pem", mc_buf_slice(cert));
  mc_json_text_field(&c->json, "private_key_pem", mc_buf_slice(key));
  mc_json_text_field(&c->json, "ca_pem", mc_registry_ca_pem(c->api->config.registry));
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_certificate_issue(api_call *c)
{
  mc_vehicle v;
  mc_buf cert = {0}, key = {0};
  MC_TRY(call_vehicle(c, &v));
  mc_err err = mc_registry_certificate_issue(c->api->config.registry, c->who.tenant, mc_slice_str(v.name), (int)body_int(c, "days", 365), &cert, &key, &c->why);
  if (!err)
    err = write_issued(c, &cert, &key);
  if (key.data)
    explicit_bzero(key.data, key.cap);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  return err;
}

static bool read_hex(mc_slice text, uint8_t out[MC_FINGERPRINT])
{
  if (text.len != 2 * MC_FINGERPRINT)
    return false;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t ch = text.data[i];
    int v = ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
    if (v < 0)
      return false;
    out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | v : v << 4);
  }
  return true;
}

mc_err api_op_certificate_update(api_call *c)
{
  uint8_t fingerprint[MC_FINGERPRINT];
  mc_certificate now;
  mc_slice wanted = body_text(c, "state");
  if (!read_hex(c->param[0], fingerprint))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no such certificate; its id is 64 hexadecimal digits");
  int state = MC_CERT_ACTIVE;
  while (state < MC_CERT_REVOKED && !mc_slice_eq_str(wanted, state_name[state]))
    state++;
  mc_registry *r = c->api->config.registry;
  MC_TRY(mc_registry_certificate_set_state(r, c->who.tenant, fingerprint, (mc_cert_state)state, &c->why));
  MC_TRY(mc_registry_certificate_find(r, c->who.tenant, fingerprint, &now));
  write_certificate(&c->json, &now);
  return MC_OK;
}
