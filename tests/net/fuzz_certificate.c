/* Any text as a certificate or as a request to sign: read or refused with a reason. Input: a mode byte (bit 0: bare DER, given its PEM
 * armour here), then the bytes. */
#include "net/armour.h"
#include "net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static mc_buf ca, ca_key;
  if (size < 1 || size > 20000)
    return 0;
  if (!ca.len && mc_pki_create_ca("test CA", 10, &ca, &ca_key, NULL))
    abort();
  mc_buf cert_text = {0}, csr_text = {0}, signed_pem = {0};
  mc_slice cert = mc_slice_of(data + 1, size - 1), csr = cert;
  mc_cert_info info;
  mc_why why = {0};
  if (data[0] & 1) {
    armour("CERTIFICATE", cert, &cert_text);
    armour("CERTIFICATE REQUEST", csr, &csr_text);
    cert = mc_buf_slice(&cert_text);
    csr = mc_buf_slice(&csr_text);
  }
  if (mc_cert_read_pem(cert, &info, &why) == MC_OK) {
    if (!memchr(info.common_name, 0, sizeof info.common_name) || !mc_slice_is_utf8(mc_slice_str(info.serial)))
      abort();
  } else if (!why.text[0]) {
    abort(); /* a refusal without a reason */
  }
  why = (mc_why){0};
  if (mc_pki_sign_csr(mc_buf_slice(&ca), mc_buf_slice(&ca_key), csr, "car-1", 10, &signed_pem, &why) == MC_OK) {
    if (mc_cert_read_pem(mc_buf_slice(&signed_pem), &info, &why) || strcmp(info.common_name, "car-1") != 0)
      abort(); /* its subject is what we say, never what the request says */
  } else if (!why.text[0]) {
    abort();
  }
  mc_buf_free(&cert_text);
  mc_buf_free(&csr_text);
  mc_buf_free(&signed_pem);
  return 0;
}
