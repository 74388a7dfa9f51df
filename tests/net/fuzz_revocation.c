/* Any bytes as a revocation list or a stapled OCSP answer: in use, or refused with a reason. Input: a mode byte, then the bytes. Mode bit 0: an
 * OCSP answer, else a list; bit 1: what can be read of it is signed by our authority first, so that the fuzzer gets behind the signature. */
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/revocation.h"
#include "net/staple.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static X509 *ca, *leaf;
static EVP_PKEY *ca_key;
static STACK_OF(X509) *authority;

static void end(void)
{
  sk_X509_free(authority);
  X509_free(ca);
  X509_free(leaf);
  EVP_PKEY_free(ca_key);
}

static void begin(void)
{
  mc_buf cert = {0}, key = {0}, server = {0}, server_key = {0};
  if (mc_pki_create_ca("test CA", 10, &cert, &key, NULL) ||
      mc_pki_issue_server(mc_buf_slice(&cert), mc_buf_slice(&key), "s", "localhost", 10, &server, &server_key, NULL) ||
      mc_pem_read_cert(mc_buf_slice(&cert), &ca, NULL) || mc_pem_read_key(mc_buf_slice(&key), &ca_key, NULL) ||
      mc_pem_read_cert(mc_buf_slice(&server), &leaf, NULL) || !(authority = sk_X509_new_null()) || !sk_X509_push(authority, ca) || atexit(end))
    abort();
  mc_buf_free(&cert);
  mc_buf_free(&key);
  mc_buf_free(&server);
  mc_buf_free(&server_key);
}

/* The list that the bytes hold, of our authority and signed by it; empty when they hold none. */
static void sign_list(mc_slice der, mc_buf *out)
{
  const uint8_t *p = der.data;
  uint8_t *made = NULL;
  X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.len);
  if (crl && X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca)) && X509_CRL_sign(crl, ca_key, EVP_sha256())) {
    int n = i2d_X509_CRL(crl, &made);
    if (n > 0)
      mc_buf_append(out, made, (size_t)n);
  }
  OPENSSL_free(made);
  X509_CRL_free(crl);
}

static void sign_answer(mc_slice der, mc_buf *out)
{
  const uint8_t *p = der.data;
  uint8_t *made = NULL;
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)der.len), *again = NULL;
  OCSP_BASICRESP *basic = response ? OCSP_response_get1_basic(response) : NULL;
  if (basic && OCSP_basic_sign(basic, ca, ca_key, EVP_sha256(), NULL, OCSP_NOTIME) && (again = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic))) {
    int n = i2d_OCSP_RESPONSE(again, &made);
    if (n > 0)
      mc_buf_append(out, made, (size_t)n);
  }
  OPENSSL_free(made);
  OCSP_RESPONSE_free(again);
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
}

static void as_list(mc_slice file)
{
  mc_revocation *r;
  mc_why why = {0};
  uint8_t key[MC_REVOCATION_KEY];
  char text[200];
  if (mc_revocation_load(file, authority, &r, &why)) {
    if (r || !why.text[0])
      abort(); /* a refusal without a reason */
    return;
  }
  mc_revocation_key(X509_get_subject_name(ca), X509_get0_serialNumber(leaf), authority, key);
  int64_t next = mc_revocation_next_update_us(r);
  if (mc_revocation_ask(r, key, next ? next + 1 : INT64_MAX, text, sizeof text) == MC_REVOCATION_GOOD && next)
    abort(); /* past its next update no list says that anything is good */
  mc_revocation_free(&r);
}

static void as_answer(mc_slice der)
{
  int64_t from, until, now = mc_clock_wall_us();
  mc_why why = {0};
  mc_err err = mc_staple_check(der, leaf, ca, now, &from, &until, &why);
  if (err ? !why.text[0] : until <= now)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 30000)
    return 0;
  if (!ca)
    begin();
  mc_slice bytes = mc_slice_of(data + 1, size - 1);
  mc_buf ours = {0};
  if (data[0] & 2) {
    if (data[0] & 1)
      sign_answer(bytes, &ours);
    else
      sign_list(bytes, &ours);
    bytes = mc_buf_slice(&ours);
  }
  if (data[0] & 1)
    as_answer(bytes);
  else
    as_list(bytes);
  mc_buf_free(&ours);
  return 0;
}
