#include "net/revocation.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/vec.h"

/* A list may name a million certificates and is asked at every CONNECT: 32 bytes an entry, sorted. */

enum { EARLY_US = 300000000 /* two clocks may differ by this */ };

typedef struct listed {
  uint8_t key[MC_REVOCATION_KEY];
  uint32_t at_s;
  uint32_t reason;
} listed;

typedef struct issuer_list {
  uint8_t issuer[MC_REVOCATION_ISSUER];
  int64_t next_update_us; /* INT64_MAX: it does not say */
} issuer_list;

struct mc_revocation {
  MC_VEC(listed) entry;
  MC_VEC(issuer_list) list;
};

static void name_of(const X509_NAME *name, char *out, size_t size)
{
  out[0] = 0;
  X509_NAME_oneline(name, out, (int)size);
}

static mc_err check_extensions(X509_CRL *crl, const char *issuer, mc_why *why)
{
  if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "the list of \"%s\" is a delta list: give the complete one", issuer);
  int crit = -1;
  ISSUING_DIST_POINT *idp = X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &crit, NULL);
  bool partial = idp && (idp->indirectCRL > 0 || idp->onlyattr > 0 || idp->onlyCA > 0 || idp->onlysomereasons);
  ISSUING_DIST_POINT_free(idp);
  if (partial || (!idp && crit != -1))
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "the list of \"%s\" covers only part of its certificates (issuing distribution point): give the complete one", issuer);
  for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
    X509_EXTENSION *e = X509_CRL_get_ext(crl, i);
    int nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));
    if (X509_EXTENSION_get_critical(e) && nid != NID_issuing_distribution_point && nid != NID_authority_key_identifier && nid != NID_crl_number)
      return mc_err_set(why, MC_ERR_UNSUPPORTED, "the list of \"%s\" has a critical extension that is not known here", issuer);
  }
  return MC_OK;
}

static mc_err check_signature(X509_CRL *crl, STACK_OF(X509) *authority, const char *issuer, mc_why *why)
{
  bool known = false;
  for (int i = 0; authority && i < sk_X509_num(authority); i++) {
    X509 *ca = sk_X509_value(authority, i);
    if (X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(crl)) != 0)
      continue;
    known = true;
    if (X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
      return MC_OK;
  }
  ERR_clear_error();
  if (known)
    return mc_err_set(why, MC_ERR_DENIED, "the signature of the list of \"%s\" is not that of the authority", issuer);
  return mc_err_set(why, MC_ERR_DENIED, "the list is of \"%s\", which is no authority for client certificates here: add its certificate to client_ca", issuer);
}

static uint32_t reason_of(const X509_REVOKED *revoked)
{
  ASN1_ENUMERATED *e = X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, NULL, NULL);
  long value = e ? ASN1_ENUMERATED_get(e) : CRL_REASON_UNSPECIFIED;
  ASN1_ENUMERATED_free(e);
  return value >= 0 && value <= 10 ? (uint32_t)value : CRL_REASON_UNSPECIFIED;
}

static mc_err add_list(mc_revocation *r, X509_CRL *crl, STACK_OF(X509) *authority, mc_why *why)
{
  char issuer[200], when[MC_CLOCK_TEXT];
  name_of(X509_CRL_get_issuer(crl), issuer, sizeof issuer);
  MC_TRY(check_signature(crl, authority, issuer, why));
  MC_TRY(check_extensions(crl, issuer, why));
  int64_t from = mc_asn1_time_us(X509_CRL_get0_lastUpdate(crl));
  if (from > mc_clock_wall_us() + EARLY_US) {
    mc_clock_format_us(from, when);
    return mc_err_set(why, MC_ERR_INVALID, "the list of \"%s\" is valid from %s only: check this machine's clock", issuer, when);
  }
  const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
  issuer_list list = {.next_update_us = next ? mc_asn1_time_us(next) : INT64_MAX};
  listed entry;
  const ASN1_INTEGER *none = X509_get0_serialNumber(sk_X509_value(authority, 0)); /* only the issuer's part is taken */
  mc_revocation_key(X509_CRL_get_issuer(crl), none, authority, entry.key);
  memcpy(list.issuer, entry.key, sizeof list.issuer);
  if (mc_vec_push(&r->list, list))
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the revocation list");
  STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(crl);
  for (int i = 0; revoked && i < sk_X509_REVOKED_num(revoked); i++) {
    const X509_REVOKED *one = sk_X509_REVOKED_value(revoked, i);
    mc_revocation_key(X509_CRL_get_issuer(crl), X509_REVOKED_get0_serialNumber(one), authority, entry.key);
    entry.at_s = (uint32_t)(mc_asn1_time_us(X509_REVOKED_get0_revocationDate(one)) / 1000000);
    entry.reason = reason_of(one);
    if (mc_vec_push(&r->entry, entry))
      return mc_err_set(why, MC_ERR_MEMORY, "no memory for the revocation list");
  }
  return MC_OK;
}

static int by_key(const void *a, const void *b) { return memcmp(((const listed *)a)->key, ((const listed *)b)->key, MC_REVOCATION_KEY); }

/* The bytes behind a DER list, or more than one kind of thing in a file, are a mistake that is told. */
static mc_err read_lists(mc_revocation *r, mc_slice file, STACK_OF(X509) *authority, mc_why *why)
{
  const uint8_t *der = file.data;
  X509_CRL *crl = file.len && file.data[0] == 0x30 ? d2i_X509_CRL(NULL, &der, (long)file.len) : NULL;
  if (crl) {
    mc_err err = der == file.data + file.len ? add_list(r, crl, authority, why)
                                             : mc_err_set(why, MC_ERR_MALFORMED, "%zu bytes follow the DER list: put several lists into one PEM file", (size_t)(file.data + file.len - der));
    X509_CRL_free(crl);
    return err;
  }
  ERR_clear_error();
  BIO *bio = BIO_new_mem_buf(file.data, (int)file.len);
  mc_err err = bio ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "no memory for the revocation list");
  size_t count = 0;
  while (err == MC_OK && (crl = PEM_read_bio_X509_CRL(bio, NULL, mc_pem_no_pass_phrase, NULL))) {
    err = add_list(r, crl, authority, why);
    if (err)
      mc_err_prefix(why, "list %zu", count + 1);
    X509_CRL_free(crl);
    count++;
  }
  BIO_free(bio);
  bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (err == MC_OK && !(count && ended))
    err = count ? mc_openssl_why(why, MC_ERR_MALFORMED, "a list after the first cannot be read")
                : mc_err_set(why, MC_ERR_MALFORMED, "no revocation list can be read: expected PEM (-----BEGIN X509 CRL-----) or DER");
  ERR_clear_error();
  return err;
}

mc_err mc_revocation_load(mc_slice file, STACK_OF(X509) *authority, mc_revocation **out, mc_why *why)
{
  *out = NULL;
  if (!authority || !sk_X509_num(authority))
    return mc_err_set(why, MC_ERR_INVALID, "a revocation list needs an authority for client certificates");
  if (file.len > MC_CRL_FILE_MAX)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "the revocation list has %zu bytes: the limit is %d", file.len, MC_CRL_FILE_MAX);
  mc_revocation *r = calloc(1, sizeof *r);
  if (!r)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the revocation list");
  mc_err err = read_lists(r, file, authority, why);
  if (err) {
    mc_revocation_free(&r);
    return err;
  }
  if (r->entry.len)
    qsort(r->entry.at, r->entry.len, sizeof r->entry.at[0], by_key);
  *out = r;
  return MC_OK;
}

void mc_revocation_free(mc_revocation **revocation)
{
  mc_revocation *r = *revocation;
  *revocation = NULL;
  if (!r)
    return;
  mc_vec_free(&r->entry);
  mc_vec_free(&r->list);
  free(r);
}

size_t mc_revocation_count(const mc_revocation *r) { return r ? r->entry.len : 0; }

int64_t mc_revocation_next_update_us(const mc_revocation *r)
{
  int64_t first = INT64_MAX;
  for (size_t i = 0; r && i < r->list.len; i++)
    first = r->list.at[i].next_update_us < first ? r->list.at[i].next_update_us : first;
  return first == INT64_MAX ? 0 : first;
}

static bool has_current_list(const mc_revocation *r, const uint8_t *issuer, int64_t now_us)
{
  for (size_t i = 0; r && i < r->list.len; i++)
    if (memcmp(r->list.at[i].issuer, issuer, MC_REVOCATION_ISSUER) == 0 && r->list.at[i].next_update_us > now_us)
      return true;
  return false;
}

mc_revocation_verdict mc_revocation_ask(const mc_revocation *r, const uint8_t key[MC_REVOCATION_KEY], int64_t now_us, char *text, size_t size)
{
  listed want;
  memcpy(want.key, key, sizeof want.key);
  const listed *found = r && r->entry.len ? bsearch(&want, r->entry.at, r->entry.len, sizeof want, by_key) : NULL;
  if (found) {
    char when[MC_CLOCK_TEXT];
    mc_clock_format_us((int64_t)found->at_s * 1000000, when);
    if (text)
      snprintf(text, size, "revoked by its authority at %s: %s", when, OCSP_crl_reason_str((long)found->reason));
    return MC_REVOCATION_LISTED;
  }
  if (has_current_list(r, key, now_us))
    return MC_REVOCATION_GOOD;
  if (text)
    snprintf(text, size, "its authority has no current revocation list here");
  return MC_REVOCATION_NO_LIST;
}
