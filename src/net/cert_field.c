/* The fields of a certificate that policies can ask for (contract iotcore, "Policy variables"), as names and values. */
#include <arpa/inet.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/openssl_glue.h"

enum { FORM = 1, VALUES_MOST = 5, BYTES_MOST = 1024 };

static const struct { const char *name; int nid; } name_field[] = {
    {"CommonName", NID_commonName},       {"Country", NID_countryName},      {"Organization", NID_organizationName}, {"OrganizationalUnit", NID_organizationalUnitName},
    {"State", NID_stateOrProvinceName},   {"SerialNumber", NID_serialNumber}, {"Title", NID_title},                   {"Surname", NID_surname},
    {"GivenName", NID_givenName},         {"Initials", NID_initials},        {"Pseudonym", NID_pseudonym},           {"GenerationQualifier", NID_generationQualifier},
    {"DistinguishedNameQualifier", NID_dnQualifier},
};

static mc_err put(mc_buf *out, const char *whose, const char *field, mc_slice value)
{
  char name[80];
  int len = snprintf(name, sizeof name, "%s%s%s", whose, whose[0] ? "." : "", field);
  uint8_t size[2];
  if (value.len > BYTES_MOST)
    return MC_OK; /* no variable holds it */
  mc_store_le16(size, (uint16_t)value.len);
  MC_TRY(mc_buf_append_u8(out, (uint8_t)len));
  MC_TRY(mc_buf_append(out, name, (size_t)len));
  MC_TRY(mc_buf_append(out, size, sizeof size));
  return mc_buf_append_slice(out, value);
}

static mc_err put_name(mc_buf *out, const char *whose, const X509_NAME *name)
{
  for (size_t f = 0; f < sizeof name_field / sizeof *name_field; f++)
    for (int at = -1, n = 0; n < VALUES_MOST && (at = X509_NAME_get_index_by_NID(name, name_field[f].nid, at)) >= 0; n++) {
      unsigned char *utf8 = NULL;
      int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
      mc_err err = len < 0 ? MC_OK : put(out, whose, name_field[f].name, mc_slice_of(utf8, (size_t)len));
      OPENSSL_free(utf8);
      MC_TRY(err);
    }
  return MC_OK;
}

static mc_err put_alternative(mc_buf *out, const char *whose, const GENERAL_NAME *g)
{
  char text[INET6_ADDRSTRLEN];
  const ASN1_STRING *s = g->type == GEN_EMAIL   ? g->d.rfc822Name
                         : g->type == GEN_DNS   ? g->d.dNSName
                         : g->type == GEN_URI   ? g->d.uniformResourceIdentifier
                         : g->type == GEN_IPADD ? g->d.iPAddress
                                                : NULL;
  if (g->type == GEN_DIRNAME) {
    char *line = X509_NAME_oneline(g->d.directoryName, NULL, 0);
    mc_err err = line ? put(out, whose, "DirectoryName", mc_slice_str(line)) : MC_OK;
    OPENSSL_free(line);
    return err;
  }
  if (!s)
    return MC_OK;
  mc_slice value = mc_slice_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
  if (g->type == GEN_IPADD) {
    if ((value.len != 4 && value.len != 16) || !inet_ntop(value.len == 4 ? AF_INET : AF_INET6, value.data, text, sizeof text))
      return MC_OK;
    value = mc_slice_str(text);
  }
  return put(out, whose, g->type == GEN_EMAIL ? "RFC822Name" : g->type == GEN_DNS ? "DNSName" : g->type == GEN_URI ? "URI" : "IPAddress", value);
}

static mc_err put_alternatives(mc_buf *out, const char *whose, const X509 *x, int nid)
{
  GENERAL_NAMES *names = X509_get_ext_d2i(x, nid, NULL, NULL);
  mc_err err = MC_OK;
  for (int i = 0; !err && i < sk_GENERAL_NAME_num(names); i++)
    err = put_alternative(out, whose, sk_GENERAL_NAME_value(names, i));
  GENERAL_NAMES_free(names);
  return err;
}

mc_err mc_cert_fields_read_pem(mc_slice pem, mc_buf *out, mc_why *why)
{
  X509 *x;
  mc_cert_info info;
  MC_TRY(mc_pem_read_cert(pem, &x, why));
  mc_err err = mc_cert_from_x509(x, &info);
  if (!err)
    err = mc_buf_append_u8(out, FORM);
  if (!err)
    err = put(out, "", "SerialNumber", mc_slice_str(info.serial));
  if (!err)
    err = put_name(out, "Subject", X509_get_subject_name(x));
  if (!err)
    err = put_name(out, "Issuer", X509_get_issuer_name(x));
  if (!err)
    err = put_alternatives(out, "Subject.AlternativeName", x, NID_subject_alt_name);
  if (!err)
    err = put_alternatives(out, "Issuer.AlternativeName", x, NID_issuer_alt_name);
  X509_free(x);
  ERR_clear_error();
  return err ? mc_err_set(why, err, "the fields of the certificate cannot be read") : MC_OK;
}

bool mc_cert_field_next(mc_slice fields, size_t *at, mc_slice *name, mc_slice *value)
{
  if (*at == 0 && (!fields.len || fields.data[0] != FORM))
    return false;
  mc_cursor c = {fields, *at ? *at : 1, true};
  *name = mc_cursor_bytes(&c, mc_cursor_u8(&c));
  *value = mc_cursor_bytes(&c, mc_cursor_le16(&c));
  *at = c.at;
  return c.ok && name->len > 0;
}
