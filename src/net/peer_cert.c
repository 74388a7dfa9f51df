#include "net/openssl_glue.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/sha.h>

/* A peer's certificate in compact form. OpenSSL decodes the whole X509 again for every ticket that it makes and for every session
 * that it resumes, and keeps it for the life of the connection: so the session gives it up before its first ticket is sealed, and the
 * ticket carries these bytes instead. */

enum { FORM = 1, FORM_HEAD = 64 + MC_REVOCATION_KEY };

static void digest(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, uint8_t *out, size_t len)
{
  uint8_t whole[SHA256_DIGEST_LENGTH] = {0};
  EVP_MD_CTX *md = EVP_MD_CTX_new();
  if (md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(md, a, a_len) == 1 && EVP_DigestUpdate(md, b, b_len) == 1)
    EVP_DigestFinal_ex(md, whole, NULL);
  EVP_MD_CTX_free(md);
  memcpy(out, whole, len);
}

void mc_revocation_key(const X509_NAME *issuer, const ASN1_INTEGER *serial, STACK_OF(X509) *authority, uint8_t out[MC_REVOCATION_KEY])
{
  /* Two encodings of one name are one name (RFC 5280, 7.1): the authority's own spelling is taken when it is known. */
  for (int i = 0; authority && i < sk_X509_num(authority); i++) {
    const X509_NAME *subject = X509_get_subject_name(sk_X509_value(authority, i));
    if (X509_NAME_cmp(subject, issuer) == 0) {
      issuer = subject;
      break;
    }
  }
  const unsigned char *der = NULL;
  size_t der_len = 0;
  X509_NAME_get0_der(issuer, &der, &der_len);
  digest(der, der_len, NULL, 0, out, MC_REVOCATION_ISSUER);
  uint8_t number[64] = {ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER};
  size_t len = (size_t)ASN1_STRING_length(serial);
  len = len < sizeof number - 1 ? len : sizeof number - 1; /* RFC 5280, 4.1.2.2: at most 20 bytes */
  memcpy(number + 1, ASN1_STRING_get0_data(serial), len);
  digest(der, der_len, number, len + 1, out + MC_REVOCATION_ISSUER, MC_REVOCATION_KEY - MC_REVOCATION_ISSUER);
}

static mc_conn_cert *allocate(size_t name_len, size_t serial_len)
{
  mc_conn_cert *c = malloc(sizeof *c + name_len + serial_len);
  if (c) {
    c->name_len = (uint8_t)name_len;
    c->serial_len = (uint8_t)serial_len;
  }
  return c;
}

mc_conn_cert *mc_peer_cert_of(const X509 *x, STACK_OF(X509) *authority, int verify_result, int64_t chain_until_us)
{
  mc_cert_info info;
  if (mc_cert_from_x509(x, &info))
    return NULL;
  size_t name_len = strlen(info.common_name), serial_len = strlen(info.serial);
  mc_conn_cert *c = allocate(name_len, serial_len);
  if (!c)
    return NULL;
  memcpy(c->fingerprint, info.fingerprint, sizeof c->fingerprint);
  mc_revocation_key(X509_get_issuer_name(x), X509_get0_serialNumber((X509 *)x), authority, c->revocation);
  c->not_before_us = info.not_before_us;
  c->not_after_us = info.not_after_us;
  c->chain_until_us = chain_until_us;
  c->verify_result = verify_result;
  memcpy(c->text, info.common_name, name_len);
  memcpy(c->text + name_len, info.serial, serial_len);
  return c;
}

/* ---- in a ticket ---- */
mc_err mc_peer_cert_write(const mc_conn_cert *c, mc_buf *out)
{
  if (!c)
    return mc_buf_append_u8(out, FORM);
  uint8_t head[FORM_HEAD] = {FORM, c->name_len, c->serial_len};
  mc_store_le32(head + 4, (uint32_t)c->verify_result);
  mc_store_le64(head + 8, (uint64_t)c->not_before_us);
  mc_store_le64(head + 16, (uint64_t)c->not_after_us);
  mc_store_le64(head + 24, (uint64_t)c->chain_until_us);
  memcpy(head + 32, c->fingerprint, MC_FINGERPRINT);
  memcpy(head + 64, c->revocation, MC_REVOCATION_KEY);
  MC_TRY(mc_buf_append(out, head, sizeof head));
  return mc_buf_append(out, c->text, (size_t)c->name_len + c->serial_len);
}

mc_err mc_peer_cert_read(mc_slice in, mc_conn_cert **out)
{
  *out = NULL;
  if (!in.len || in.data[0] != FORM)
    return MC_ERR_UNSUPPORTED;
  if (in.len == 1)
    return MC_ERR_NOT_FOUND;
  const uint8_t *p = in.data;
  if (in.len < FORM_HEAD || in.len != (size_t)FORM_HEAD + p[1] + p[2] || p[3])
    return MC_ERR_MALFORMED;
  mc_conn_cert *c = allocate(p[1], p[2]);
  if (!c)
    return MC_ERR_MEMORY;
  c->verify_result = (int32_t)mc_load_le32(p + 4);
  c->not_before_us = (int64_t)mc_load_le64(p + 8);
  c->not_after_us = (int64_t)mc_load_le64(p + 16);
  c->chain_until_us = (int64_t)mc_load_le64(p + 24);
  memcpy(c->fingerprint, p + 32, MC_FINGERPRINT);
  memcpy(c->revocation, p + 64, MC_REVOCATION_KEY);
  memcpy(c->text, p + FORM_HEAD, (size_t)p[1] + p[2]);
  *out = c;
  return MC_OK;
}

/* ---- the session's own copy ---- */

/* Steps over one DER element; false when it does not fit. */
static bool der_next(const uint8_t *p, size_t len, uint8_t *tag, size_t *head, size_t *size)
{
  if (len < 2)
    return false;
  *tag = p[0];
  size_t n = p[1];
  *head = 2;
  if (n & 0x80) {
    size_t bytes = n & 0x7F;
    if (bytes < 1 || bytes > 3 || len < 2 + bytes)
      return false;
    n = 0;
    for (size_t i = 0; i < bytes; i++)
      n = n << 8 | p[2 + i];
    *head += bytes;
  }
  *size = *head + n;
  return *size <= len;
}

/* The content of a DER sequence gets its header again, as short as DER wants it; room in front: the longest, 4 bytes. */
static uint8_t *put_header(uint8_t *content, size_t len)
{
  if (len >= 256) {
    content -= 4;
    content[1] = 0x82;
    content[2] = (uint8_t)(len >> 8);
    content[3] = (uint8_t)len;
  } else if (len >= 128) {
    content -= 3;
    content[1] = 0x81;
    content[2] = (uint8_t)len;
  } else {
    content -= 2;
    content[1] = (uint8_t)len;
  }
  content[0] = 0x30;
  return content;
}

/* Rewrites the session without its certificate (SSL_SESSION's ASN.1 form, field [3]) into the same object: the public way to make
 * OpenSSL let go of the decoded X509. */
void mc_session_drop_cert(SSL_SESSION *session)
{
  uint8_t *der = NULL;
  int der_len = i2d_SSL_SESSION(session, &der);
  uint8_t tag;
  size_t head, size, part_head, part;
  if (der_len > 0 && der_next(der, (size_t)der_len, &tag, &head, &size) && tag == 0x30 && head == 4 && size < 65536) {
    size_t at = head;
    bool there = false;
    while (!there && at < size && der_next(der + at, size - at, &tag, &part_head, &part)) {
      there = tag == 0xA3;
      at += there ? 0 : part;
    }
    if (there) {
      memmove(der + at, der + at + part, size - at - part);
      size_t content = size - head - part;
      const uint8_t *in = put_header(der + head, content);
      SSL_SESSION *same = session;
      d2i_SSL_SESSION(&same, &in, (long)(der + head + content - in));
    }
  }
  OPENSSL_free(der);
  ERR_clear_error();
}
