/* A certificate authority of the openssl program's making, in a scratch folder: what the tests of revocation lists and staples share. */
#ifndef TESTS_NET_AUTHORITY_H
#define TESTS_NET_AUTHORITY_H

#include <stdarg.h>
#include <sys/wait.h>

#include "scratch.h"

/* Runs a shell command in the scratch folder; true: it went well. */
static inline bool shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline bool shell(const char *format, ...)
{
  char command[1500], all[2000];
  va_list args;
  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  snprintf(all, sizeof all, "cd '%s' && { %s; } >log 2>&1", scratch_dir, command);
  int r = system(all);
  if (r)
    printf("# failed: %s\n", command);
  return r == 0;
}

static inline mc_buf scratch_read(const char *name)
{
  mc_buf all = {0};
  mc_fs_read(mc_fs_posix(), scratch_path(name), 1 << 20, &all, NULL);
  return all;
}

static const char authority_config[] =
    "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\nserial = serial\ncrlnumber = crlnumber\nnew_certs_dir = .\ncertificate = maker.pem\nprivate_key = maker.key\n"
    "default_md = sha256\ndefault_days = 20\ndefault_crl_days = 10\npolicy = p\nunique_subject = no\ncopy_extensions = copy\n[p]\ncommonName = supplied\n"
    "[delta]\n2.5.29.27 = critical,DER:02:01:01\n[part]\nissuingDistributionPoint = critical,@users\n[users]\nonlyCA = TRUE\n[odd]\n1.2.3.4 = critical,DER:05:00\n"
    "[responder]\nextendedKeyUsage = OCSPSigning\n[server]\nsubjectAltName = DNS:localhost,IP:127.0.0.1\nauthorityInfoAccess = OCSP;URI:http://127.0.0.1:$ENV::OCSP_PORT/\n";

/* Authority "maker" with devices good.pem and bad.pem (bad.key ...), and another authority "stranger". False: no openssl program here. */
static inline bool authority_make(const char *folder)
{
  scratch_folder(folder);
  scratch_write("conf", mc_slice_str(authority_config));
  if (!shell("openssl version"))
    return false;
  setenv("OCSP_PORT", "1", 0);
  return shell("touch index.txt; echo 1000 > serial; echo 01 > crlnumber") &&
         shell("for n in maker stranger; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$n -days 25 -keyout $n.key -out $n.pem; done") &&
         shell("for n in good bad; do openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$n -keyout $n.key -out $n.csr && "
               "openssl ca -batch -notext -config conf -in $n.csr -out $n.pem || exit 1; done");
}

#endif
