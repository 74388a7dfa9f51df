#include "net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "format/base64.h"
#include "net/openssl_glue.h"

/* P-256 throughout: the smallest certificates and the fastest handshakes OpenSSL 3.0 has (contract iotcore, TLS cost). */

void mc_fingerprint_hex(const uint8_t fingerprint[MC_FINGERPRINT], char out[2 * MC_FINGERPRINT + 1])
{
  static const char digit[] = "0123456789abcdef";
  for (size_t i = 0; i < MC_FINGERPRINT; i++) {
    out[2 * i] = digit[fingerprint[i] >> 4];
    out[2 * i + 1] = digit[fingerprint[i] & 15];
  }
  out[2 * MC_FINGERPRINT] = 0;
}

mc_err mc_openssl_why(mc_why *why, mc_err err, const char *doing)
{
  unsigned long code = ERR_peek_error(); /* the oldest entry is the cause */
  char text[160] = "no detail";
  if (code)
    ERR_error_string_n(code, text, sizeof text);
  const char *reason = code ? ERR_reason_error_string(code) : NULL;
  ERR_clear_error();
  return mc_err_set(why, err, "%s: %s", doing, reason ? reason : text);
}

int64_t mc_asn1_time_us(const ASN1_TIME *t)
{
  struct tm tm = {0};
  if (!t || !ASN1_TIME_to_tm(t, &tm))
    return 0;
  return (int64_t)timegm(&tm) * 1000000;
}

static void read_common_name(const X509 *x, char out[128])
{
  out[0] = 0;
  const X509_NAME *subject = X509_get_subject_name(x);
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0)
    return;
  unsigned char *utf8 = NULL;
  int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  /* A NUL inside a name is an old trick to be taken for another: such a name is no name. */
  if (len > 0 && !memchr(utf8, 0, (size_t)len) && mc_slice_is_utf8(mc_slice_of(utf8, (size_t)len)))
    mc_slice_to_str(mc_slice_of(utf8, (size_t)len), out, 128);
  OPENSSL_free(utf8);
}

mc_err mc_cert_from_x509(const X509 *x, mc_cert_info *out)
{
  *out = (mc_cert_info){0};
  unsigned len = 0;
  if (!X509_digest(x, EVP_sha256(), out->fingerprint, &len) || len != MC_FINGERPRINT)
    return MC_ERR_MALFORMED;
  read_common_name(x, out->common_name);
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
  char *hex = number ? BN_bn2hex(number) : NULL;
  snprintf(out->serial, sizeof out->serial, "%s", hex ? hex : "");
  for (char *p = out->serial; *p; p++)
    if (*p >= 'A' && *p <= 'F')
      *p = (char)(*p - 'A' + 'a');
  OPENSSL_free(hex);
  BN_free(number);
  out->not_before_us = mc_asn1_time_us(X509_get0_notBefore(x));
  out->not_after_us = mc_asn1_time_us(X509_get0_notAfter(x));
  return MC_OK;
}

static BIO *bio_of(mc_slice pem)
{
  return pem.len <= 1 << 20 ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
}

int mc_pem_no_pass_phrase(char *buf, int size, int rwflag, void *u)
{
  return -1;
}

mc_err mc_pem_read_cert(mc_slice pem, X509 **out, mc_why *why)
{
  *out = NULL;
  if (!pem.len)
    return mc_err_set(why, MC_ERR_INVALID, "certificate is empty: expected a PEM text (-----BEGIN CERTIFICATE-----)");
  BIO *bio = bio_of(pem);
  *out = bio ? PEM_read_bio_X509(bio, NULL, mc_pem_no_pass_phrase, NULL) : NULL;
  BIO_free(bio);
  return *out ? MC_OK : mc_openssl_why(why, MC_ERR_MALFORMED, "certificate cannot be read as PEM");
}

mc_err mc_pem_read_key(mc_slice pem, EVP_PKEY **out, mc_why *why)
{
  *out = NULL;
  if (!pem.len)
    return mc_err_set(why, MC_ERR_INVALID, "private key is empty: expected a PEM text (-----BEGIN PRIVATE KEY-----)");
  BIO *bio = bio_of(pem);
  *out = bio ? PEM_read_bio_PrivateKey(bio, NULL, mc_pem_no_pass_phrase, NULL) : NULL;
  BIO_free(bio);
  return *out ? MC_OK : mc_openssl_why(why, MC_ERR_MALFORMED, "private key cannot be read as PEM (encrypted keys are not taken)");
}

mc_err mc_cert_read_pem(mc_slice pem, mc_cert_info *out, mc_why *why)
{
  X509 *x;
  MC_TRY(mc_pem_read_cert(pem, &x, why));
  mc_err err = mc_cert_from_x509(x, out);
  X509_free(x);
  return err ? mc_openssl_why(why, err, "certificate fingerprint") : MC_OK;
}

static mc_err append_bio(mc_buf *out, BIO *bio)
{
  char *data = NULL;
  long len = BIO_get_mem_data(bio, &data);
  return len > 0 ? mc_buf_append(out, data, (size_t)len) : MC_ERR_MEMORY;
}

static mc_err write_pem(X509 *cert, EVP_PKEY *key, mc_buf *cert_pem, mc_buf *key_pem, mc_why *why)
{
  BIO *bio = BIO_new(BIO_s_mem());
  mc_err err = bio && PEM_write_bio_X509(bio, cert) ? append_bio(cert_pem, bio) : MC_ERR_MEMORY;
  BIO_free(bio);
  if (err == MC_OK && key) {
    bio = BIO_new(BIO_s_mem());
    err = bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) ? append_bio(key_pem, bio) : MC_ERR_MEMORY;
    BIO_free(bio);
  }
  return err ? mc_openssl_why(why, err, "writing the certificate as PEM") : MC_OK;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
  X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
  bool ok = e && X509_add_ext(cert, e, -1);
  X509_EXTENSION_free(e);
  return ok;
}

static bool random_serial(X509 *cert)
{
  uint8_t bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1)
    return false;
  bytes[0] &= 0x7F; /* positive, RFC 5280, 4.1.2.2 */
  bytes[0] |= 0x40;
  BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
  bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
  BN_free(n);
  return ok;
}

/* Subject, serial, validity and key; the caller adds extensions and signs. */
static X509 *new_cert(const char *common_name, int days, EVP_PKEY *key)
{
  X509 *cert = X509_new();
  X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;
  bool ok = cert && X509_set_version(cert, X509_VERSION_3) && random_serial(cert) &&
            X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) &&
            X509_gmtime_adj(X509_getm_notBefore(cert), -300) && /* clocks of vehicles run a little slow */
            X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) && X509_set_pubkey(cert, key);
  if (!ok) {
    X509_free(cert);
    return NULL;
  }
  return cert;
}

static mc_err check_request(const char *common_name, int days, mc_why *why)
{
  if (!common_name || !*common_name || strlen(common_name) > 64)
    return mc_err_set(why, MC_ERR_INVALID, "common name has %zu bytes: 1 to 64 are allowed (RFC 5280, ub-common-name)",
                      common_name ? strlen(common_name) : (size_t)0);
  if (!mc_slice_is_utf8(mc_slice_str(common_name)))
    return mc_err_set(why, MC_ERR_INVALID, "common name is not UTF-8");
  if (days == 0 || days < -3650 || days > 36500)
    return mc_err_set(why, MC_ERR_INVALID, "validity of %d days: 1 to 36500 are allowed (negative ones make an expired certificate for tests)", days);
  return MC_OK;
}

mc_err mc_pki_create_ca(const char *common_name, int days, mc_buf *cert_pem, mc_buf *key_pem, mc_why *why)
{
  MC_TRY(check_request(common_name, days, why));
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *cert = key ? new_cert(common_name, days, key) : NULL;
  bool ok = cert && X509_set_issuer_name(cert, X509_get_subject_name(cert)) &&
            add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
            add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
            add_extension(cert, cert, NID_subject_key_identifier, "hash") && X509_sign(cert, key, EVP_sha256());
  mc_err err = ok ? write_pem(cert, key, cert_pem, key_pem, why) : mc_openssl_why(why, MC_ERR_TLS, "creating the certificate authority");
  X509_free(cert);
  EVP_PKEY_free(key);
  return err;
}

typedef struct issuer {
  X509 *cert;
  EVP_PKEY *key;
} issuer;

static mc_err issuer_read(mc_slice cert_pem, mc_slice key_pem, issuer *out, mc_why *why)
{
  *out = (issuer){0};
  mc_err err = mc_pem_read_cert(cert_pem, &out->cert, why);
  if (err == MC_OK)
    err = mc_pem_read_key(key_pem, &out->key, why);
  if (err) {
    mc_err_prefix(why, "certificate authority");
  } else if (X509_check_private_key(out->cert, out->key) != 1) {
    ERR_clear_error();
    err = mc_err_set(why, MC_ERR_INVALID, "certificate authority: the private key does not belong to the certificate");
  }
  return err;
}

static void issuer_free(issuer *i)
{
  X509_free(i->cert);
  EVP_PKEY_free(i->key);
}

/* One leaf: `usage` is the extended key usage, `names` a subjectAltName value or NULL. */
static mc_err issue(const issuer *by, EVP_PKEY *key, const char *common_name, int days, const char *usage, const char *names, X509 **out, mc_why *why)
{
  X509 *cert = new_cert(common_name, days, key);
  bool ok = cert && X509_set_issuer_name(cert, X509_get_subject_name(by->cert)) &&
            add_extension(cert, by->cert, NID_basic_constraints, "critical,CA:FALSE") &&
            add_extension(cert, by->cert, NID_key_usage, "critical,digitalSignature") && add_extension(cert, by->cert, NID_ext_key_usage, usage) &&
            add_extension(cert, by->cert, NID_authority_key_identifier, "keyid") &&
            (!names || add_extension(cert, by->cert, NID_subject_alt_name, names)) && X509_sign(cert, by->key, EVP_sha256());
  if (!ok) {
    X509_free(cert);
    return mc_openssl_why(why, MC_ERR_TLS, "issuing the certificate");
  }
  *out = cert;
  return MC_OK;
}

static mc_err issue_pair(mc_slice ca_cert_pem, mc_slice ca_key_pem, const char *common_name, const char *usage, const char *names, int days,
                         mc_buf *cert_pem, mc_buf *key_pem, mc_why *why)
{
  MC_TRY(check_request(common_name, days, why));
  issuer by;
  X509 *cert = NULL;
  EVP_PKEY *key = NULL;
  mc_err err = issuer_read(ca_cert_pem, ca_key_pem, &by, why);
  if (err == MC_OK && !(key = EVP_EC_gen("P-256")))
    err = mc_openssl_why(why, MC_ERR_TLS, "creating a P-256 key");
  if (err == MC_OK)
    err = issue(&by, key, common_name, days, usage, names, &cert, why);
  if (err == MC_OK)
    err = write_pem(cert, key, cert_pem, key_pem, why);
  X509_free(cert);
  EVP_PKEY_free(key);
  issuer_free(&by);
  return err;
}

/* "localhost,127.0.0.1" becomes "DNS:localhost,IP:127.0.0.1". */
static mc_err alternative_names(const char *dns_and_ips, mc_buf *out, mc_why *why)
{
  mc_slice all = mc_slice_str(dns_and_ips);
  for (size_t at = 0; at <= all.len && all.len;) {
    size_t end = mc_slice_find(all, ',', at);
    mc_slice one = mc_slice_trim(mc_slice_sub(all, at, end - at));
    at = end + 1;
    char text[256];
    bool legal = one.len > 0 && one.len < sizeof text;
    for (size_t i = 0; legal && i < one.len; i++) {
      uint8_t c = one.data[i];
      legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':' || c == '*';
    }
    if (legal) {
      mc_slice_to_str(one, text, sizeof text);
      legal = mc_host_is_ip(text) || !strchr(text, ':');
    }
    if (!legal)
      return mc_err_set(why, MC_ERR_INVALID, "\"%.*s\" is neither a host name nor an address: write names and addresses with commas, e.g. localhost,127.0.0.1",
                        MC_FMT(mc_slice_sub(one, 0, 100)));
    MC_TRY(mc_buf_printf(out, "%s%s:%s", out->len ? "," : "", mc_host_is_ip(text) ? "IP" : "DNS", text));
  }
  if (!out->len)
    return mc_err_set(why, MC_ERR_INVALID, "a server certificate needs at least one host name or address");
  return mc_buf_append_u8(out, 0);
}

mc_err mc_pki_issue_server(mc_slice ca_cert_pem, mc_slice ca_key_pem, const char *common_name, const char *dns_and_ips, int days, mc_buf *cert_pem,
                           mc_buf *key_pem, mc_why *why)
{
  mc_buf names = {0};
  mc_err err = alternative_names(dns_and_ips, &names, why);
  if (err == MC_OK)
    err = issue_pair(ca_cert_pem, ca_key_pem, common_name, "serverAuth", (const char *)names.data, days, cert_pem, key_pem, why);
  mc_buf_free(&names);
  return err;
}

mc_err mc_pki_issue_client(mc_slice ca_cert_pem, mc_slice ca_key_pem, const char *common_name, int days, mc_buf *cert_pem, mc_buf *key_pem, mc_why *why)
{
  return issue_pair(ca_cert_pem, ca_key_pem, common_name, "clientAuth", NULL, days, cert_pem, key_pem, why);
}

mc_err mc_pki_sign_csr(mc_slice ca_cert_pem, mc_slice ca_key_pem, mc_slice csr_pem, const char *common_name, int days, mc_buf *cert_pem, mc_why *why)
{
  MC_TRY(check_request(common_name, days, why));
  BIO *bio = bio_of(csr_pem);
  X509_REQ *csr = bio && csr_pem.len ? PEM_read_bio_X509_REQ(bio, NULL, mc_pem_no_pass_phrase, NULL) : NULL;
  BIO_free(bio);
  if (!csr)
    return mc_openssl_why(why, MC_ERR_MALFORMED, "certificate signing request cannot be read as PEM");
  EVP_PKEY *key = X509_REQ_get0_pubkey(csr);
  issuer by = {0};
  X509 *cert = NULL;
  mc_err err = MC_OK;
  /* The signature proves that the sender holds the private key. */
  if (!key || X509_REQ_verify(csr, key) != 1)
    err = mc_openssl_why(why, MC_ERR_INVALID, "certificate signing request: its own signature does not verify");
  else if (EVP_PKEY_get_security_bits(key) < 112)
    err = mc_err_set(why, MC_ERR_INVALID, "certificate signing request: the key has %d bits of security, 112 are needed (P-256, or RSA of 2048 bits)",
                     EVP_PKEY_get_security_bits(key));
  if (err == MC_OK)
    err = issuer_read(ca_cert_pem, ca_key_pem, &by, why);
  if (err == MC_OK)
    err = issue(&by, key, common_name, days, "clientAuth", NULL, &cert, why);
  if (err == MC_OK)
    err = write_pem(cert, NULL, cert_pem, NULL, why);
  X509_free(cert);
  X509_REQ_free(csr);
  issuer_free(&by);
  return err;
}

/* ---- texts ---- */
mc_err mc_pki_sign(mc_slice ca_key_pem, mc_slice text, mc_buf *signature, mc_why *why)
{
  EVP_PKEY *key = NULL;
  uint8_t raw[1024];
  size_t len = sizeof raw;
  MC_TRY(mc_pem_read_key(ca_key_pem, &key, why));
  EVP_MD_CTX *md = EVP_MD_CTX_new();
  bool ok = md && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 && EVP_DigestSign(md, raw, &len, text.data, text.len) == 1 &&
            mc_base64_append(signature, mc_slice_of(raw, len)) == MC_OK;
  EVP_MD_CTX_free(md);
  EVP_PKEY_free(key);
  return ok ? MC_OK : mc_openssl_why(why, MC_ERR_TLS, "signing a text");
}

mc_err mc_pki_verify(mc_slice ca_cert_pem, mc_slice text, mc_slice signature, mc_why *why)
{
  uint8_t raw[1024];
  if (signature.len == 0 || signature.len % 4 || signature.len > sizeof raw)
    return mc_err_set(why, MC_ERR_MALFORMED, "the signature is not base64");
  int n = EVP_DecodeBlock(raw, signature.data, (int)signature.len);
  for (size_t i = 0; n > 0 && i < 2 && signature.data[signature.len - 1 - i] == '='; i++)
    n--;
  X509 *cert = NULL;
  MC_TRY(mc_pem_read_cert(ca_cert_pem, &cert, why));
  EVP_MD_CTX *md = EVP_MD_CTX_new();
  bool ok = n > 0 && md && EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, X509_get0_pubkey(cert)) == 1 && EVP_DigestVerify(md, raw, (size_t)n, text.data, text.len) == 1;
  EVP_MD_CTX_free(md);
  X509_free(cert);
  ERR_clear_error();
  return ok ? MC_OK : mc_err_set(why, MC_ERR_CHECKSUM, "it was not signed by this certificate authority, or was changed since");
}
