/* Any file in the place of a program's certificate, key or authorities: a context, or a refusal that says why; nobody is asked for a pass phrase.
 * Input: a mode byte, then the file. Low two bits: 0 the certificate (with its chain), 1 the key, 2 the authorities of the other side, 3 certificate
 * and key of an authority that signs; bit 2: bare DER, given its PEM armour here; bit 3: it stands behind a good one. */
#include "net/armour.h"
#include "net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_buf ca, ca_key, cert, key;

static void end(void)
{
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  mc_buf_free(&cert);
  mc_buf_free(&key);
}

static void begin(void)
{
  if (mc_pki_create_ca("test CA", 10, &ca, &ca_key, NULL) ||
      mc_pki_issue_server(mc_buf_slice(&ca), mc_buf_slice(&ca_key), "s", "localhost", 10, &cert, &key, NULL) || atexit(end))
    abort();
}

static void check(mc_err err, const mc_why *why)
{
  if (err && (!why->text[0] || !mc_slice_is_utf8(mc_slice_str(why->text))))
    abort();
}

static void as_tls(mc_slice use_cert, mc_slice use_key, mc_slice use_ca)
{
  mc_tls *tls = NULL;
  mc_why why = {0};
  mc_tls_server_config server = {.cert_pem = use_cert, .key_pem = use_key, .client_ca_pem = use_ca};
  mc_tls_client_config client = {.ca_pem = use_ca, .cert_pem = use_cert, .key_pem = use_key, .alpn = "mqtt"};
  mc_buf fields = {0};
  mc_slice name, value;
  check(mc_cert_fields_read_pem(use_cert, &fields, &why), &why);
  for (size_t at = 0; mc_cert_field_next(mc_buf_slice(&fields), &at, &name, &value);)
    if (!name.len || value.len > 1024)
      abort();
  mc_buf_free(&fields);
  why = (mc_why){0};
  check(mc_tls_server_create(&server, &tls, &why), &why);
  mc_tls_destroy(&tls);
  why = (mc_why){0};
  check(mc_tls_client_create(&client, &tls, &why), &why);
  mc_tls_destroy(&tls);
}

static void as_authority(mc_slice use_cert, mc_slice use_key)
{
  mc_buf made = {0}, made_key = {0};
  mc_cert_info info;
  mc_why why = {0};
  mc_err err = mc_pki_issue_client(use_cert, use_key, "car-1", 3, &made, &made_key, &why);
  check(err, &why);
  if (!err && (mc_cert_read_pem(mc_buf_slice(&made), &info, &why) || strcmp(info.common_name, "car-1") != 0))
    abort();
  mc_buf_free(&made);
  mc_buf_free(&made_key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const kinds[] = {"CERTIFICATE", "PRIVATE KEY", "CERTIFICATE", "CERTIFICATE"};
  if (size < 1 || size > 20000)
    return 0;
  if (!ca.len)
    begin();
  unsigned place = data[0] & 3;
  mc_slice good[] = {mc_buf_slice(&cert), mc_buf_slice(&key), mc_buf_slice(&ca), mc_buf_slice(&ca)};
  mc_buf file = {0};
  if (data[0] & 8)
    mc_buf_append_slice(&file, good[place]);
  if (data[0] & 4)
    armour(kinds[place], mc_slice_of(data + 1, size - 1), &file);
  else
    mc_buf_append(&file, data + 1, size - 1);
  mc_slice f = mc_buf_slice(&file);
  if (place == 3) {
    as_authority(f, mc_buf_slice(&ca_key));
    as_authority(mc_buf_slice(&ca), f);
  } else {
    as_tls(place == 0 ? f : good[0], place == 1 ? f : good[1], place == 2 ? f : good[2]);
  }
  mc_buf_free(&file);
  return 0;
}
