#include "net/staple.h"

#include <openssl/err.h>
#include <openssl/http.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

enum { SKEW_S = 300, NO_NEXT_UPDATE_S = 3600 /* an answer that does not say when the next comes is used so long */ };

static int64_t time_us(const ASN1_GENERALIZEDTIME *t) { return t ? mc_asn1_time_us(t) : 0; }

static mc_err check_signer(OCSP_BASICRESP *basic, X509 *issuer, mc_why *why)
{
  X509_STORE *store = X509_STORE_new();
  STACK_OF(X509) *certs = sk_X509_new_null();
  mc_err err = MC_OK;
  if (!store || !certs || !sk_X509_push(certs, issuer) || X509_STORE_add_cert(store, issuer) != 1 || X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1)
    err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for an OCSP answer");
  else if (OCSP_basic_verify(basic, certs, store, 0) != 1)
    err = mc_openssl_why(why, MC_ERR_DENIED, "the answer is not signed by the certificate's issuer or for it");
  sk_X509_free(certs);
  X509_STORE_free(store);
  ERR_clear_error();
  return err;
}

static mc_err check_single(OCSP_BASICRESP *basic, X509 *cert, X509 *issuer, int64_t now_us, int64_t *from_us, int64_t *until_us, mc_why *why)
{
  int status = 0, reason = 0;
  ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *next = NULL;
  OCSP_SINGLERESP *single = NULL;
  for (int i = 0; i < OCSP_resp_count(basic) && !single; i++) { /* the digest of the request is the responder's choice */
    OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);
    const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(one);
    ASN1_OBJECT *digest = NULL;
    OCSP_id_get0_info(NULL, &digest, NULL, NULL, (OCSP_CERTID *)id);
    const EVP_MD *md = digest ? EVP_get_digestbyobj(digest) : NULL;
    OCSP_CERTID *ours = md ? OCSP_cert_to_id(md, cert, issuer) : NULL;
    if (ours && OCSP_id_cmp(ours, id) == 0)
      single = one;
    OCSP_CERTID_free(ours);
  }
  if (!single)
    return mc_err_set(why, MC_ERR_INVALID, "the answer is about another certificate: ask the responder about the one in server.pem");
  status = OCSP_single_get0_status(single, &reason, &revoked, &from, &next);
  char when[MC_CLOCK_TEXT];
  if (status == V_OCSP_CERTSTATUS_REVOKED) {
    mc_clock_format_us(time_us(revoked), when);
    return mc_err_set(why, MC_ERR_DENIED, "the responder says that the server's certificate was revoked at %s: issue a new one", when);
  }
  if (status != V_OCSP_CERTSTATUS_GOOD)
    return mc_err_set(why, MC_ERR_DENIED, "the responder does not know the server's certificate");
  *from_us = time_us(from);
  *until_us = next ? time_us(next) : *from_us + (int64_t)NO_NEXT_UPDATE_S * 1000000;
  mc_clock_format_us(*from_us > now_us ? *from_us : *until_us, when);
  if (*from_us > now_us + (int64_t)SKEW_S * 1000000)
    return mc_err_set(why, MC_ERR_INVALID, "the answer is valid from %s only: check this machine's clock", when);
  if (*until_us <= now_us)
    return mc_err_set(why, MC_ERR_TIMEOUT, "the answer was valid until %s: get a new one", when);
  return MC_OK;
}

mc_err mc_staple_check(mc_slice der, X509 *cert, X509 *issuer, int64_t now_us, int64_t *from_us, int64_t *until_us, mc_why *why)
{
  if (der.len > MC_STAPLE_MAX)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "the OCSP answer has %zu bytes: the limit is %d", der.len, MC_STAPLE_MAX);
  const uint8_t *p = der.data;
  OCSP_RESPONSE *response = der.len ? d2i_OCSP_RESPONSE(NULL, &p, (long)der.len) : NULL;
  if (!response || p != der.data + der.len) {
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return mc_err_set(why, MC_ERR_MALFORMED, "no OCSP answer can be read: expected DER, as `openssl ocsp -respout` writes it");
  }
  int status = OCSP_response_status(response);
  OCSP_BASICRESP *basic = status == OCSP_RESPONSE_STATUS_SUCCESSFUL ? OCSP_response_get1_basic(response) : NULL;
  mc_err err = MC_OK;
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    err = mc_err_set(why, MC_ERR_INVALID, "the responder answered \"%s\"", OCSP_response_status_str(status));
  else if (!basic)
    err = mc_openssl_why(why, MC_ERR_MALFORMED, "the OCSP answer has no basic response");
  if (err == MC_OK)
    err = check_signer(basic, issuer, why);
  if (err == MC_OK)
    err = check_single(basic, cert, issuer, now_us, from_us, until_us, why);
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
  ERR_clear_error();
  return err;
}

/* ---- from the responder ---- */
static mc_err request_for(X509 *cert, X509 *issuer, BIO **out, mc_why *why)
{
  *out = NULL;
  OCSP_REQUEST *request = OCSP_REQUEST_new();
  OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), cert, issuer); /* what every responder understands (RFC 5019, 2.1.1) */
  uint8_t *der = NULL;
  int len = 0;
  if (request && id && OCSP_request_add0_id(request, id)) {
    id = NULL;
    len = i2d_OCSP_REQUEST(request, &der);
  }
  BIO *bio = len > 0 ? BIO_new(BIO_s_mem()) : NULL;
  if (bio)
    BIO_write(bio, der, len);
  OPENSSL_free(der);
  OCSP_CERTID_free(id);
  OCSP_REQUEST_free(request);
  *out = bio;
  return bio ? MC_OK : mc_openssl_why(why, MC_ERR_MEMORY, "making an OCSP request");
}

static mc_err read_all(BIO *from, mc_buf *out, mc_why *why)
{
  for (;;) {
    MC_TRY(mc_buf_reserve(out, 4096));
    int n = BIO_read(from, out->data + out->len, 4096);
    if (n <= 0)
      return MC_OK;
    out->len += (size_t)n;
    if (out->len > MC_STAPLE_MAX)
      return mc_err_set(why, MC_ERR_TOO_LARGE, "the responder's answer has more than %d bytes", MC_STAPLE_MAX);
  }
}

static mc_err ask(const char *url, X509 *cert, X509 *issuer, mc_buf *out, mc_why *why)
{
  char *host = NULL, *port = NULL, *path = NULL;
  int tls = 0;
  BIO *request = NULL, *answer = NULL;
  mc_err err = MC_OK;
  if (OSSL_HTTP_parse_url(url, &tls, NULL, &host, &port, NULL, &path, NULL, NULL) != 1 || tls)
    err = mc_err_set(why, MC_ERR_UNSUPPORTED, "the responder \"%s\" that the certificate names is not an http:// address", url);
  if (err == MC_OK)
    err = request_for(cert, issuer, &request, why);
  if (err == MC_OK) { /* proxy "": none, whatever the environment says */
    answer = OSSL_HTTP_transfer(NULL, host, port, path, 0, "", NULL, NULL, NULL, NULL, NULL, 0, NULL, "application/ocsp-request", request,
                                "application/ocsp-response", 1, MC_STAPLE_MAX, MC_STAPLE_FETCH_S, 0);
    if (answer)
      err = read_all(answer, out, why);
    else
      err = mc_openssl_why(why, MC_ERR_IO, "asking the OCSP responder");
  }
  if (err)
    mc_err_prefix(why, "%.200s", url);
  BIO_free(answer);
  BIO_free(request);
  OPENSSL_free(host);
  OPENSSL_free(port);
  OPENSSL_free(path);
  ERR_clear_error();
  return err;
}

mc_err mc_staple_fetch(X509 *cert, X509 *issuer, mc_buf *out, mc_why *why)
{
  STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(cert);
  mc_err err = mc_err_set(why, MC_ERR_NOT_FOUND, "the server's certificate names no OCSP responder (authority information access): use a staple file, or a certificate that does");
  for (int i = 0; urls && i < sk_OPENSSL_STRING_num(urls) && err != MC_OK; i++) {
    mc_buf_clear(out);
    err = ask(sk_OPENSSL_STRING_value(urls, i), cert, issuer, out, why);
  }
  X509_email_free(urls);
  return err;
}
