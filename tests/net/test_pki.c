#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

static pki p;

static void test_issued_certificate_reads_back(void)
{
  mc_cert_info info;
  mc_why why;
  CHECK_OK(mc_cert_read_pem(mc_buf_slice(&p.client_cert), &info, &why));
  CHECK_STR(info.common_name, "vehicle-1");
  CHECK_INT(strlen(info.serial), 32);
  CHECK(info.not_before_us < mc_clock_wall_us());
  CHECK(info.not_after_us > mc_clock_wall_us() + 29 * 86400000000LL);
  char hex[65];
  mc_fingerprint_hex(info.fingerprint, hex);
  CHECK_INT(strlen(hex), 64);
}

static void test_garbage_is_refused_with_words(void)
{
  mc_cert_info info;
  mc_why why;
  CHECK_INT(mc_cert_read_pem(MC_LIT("-----BEGIN CERTIFICATE-----\nAAAA\n"), &info, &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "PEM");
  CHECK_INT(mc_cert_read_pem(MC_LIT(""), &info, &why), MC_ERR_INVALID);
  mc_buf out = {0}, key = {0};
  CHECK_INT(mc_pki_create_ca("", 30, &out, &key, &why), MC_ERR_INVALID);
  CHECK_INT(mc_pki_create_ca("x", 0, &out, &key, &why), MC_ERR_INVALID);
  CHECK_INT(mc_pki_create_ca("0123456789012345678901234567890123456789012345678901234567890123456789", 3, &out, &key, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "64");
  CHECK_INT(out.len, 0);
}

/* OpenSSL asks for a pass phrase on the terminal, or standard input, when a text says that it is encrypted. A server must not. */
static void read_encrypted(void)
{
  static const char *const kinds[] = {"CERTIFICATE", "CERTIFICATE REQUEST", "RSA PRIVATE KEY"};
  for (size_t i = 0; i < 3; i++) {
    char text[400];
    mc_cert_info info;
    mc_buf out = {0};
    mc_tls *tls;
    mc_why why;
    snprintf(text, sizeof text, "-----BEGIN %s-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F\n\n"
                                "AAECAwQFBgcICQoLDA0ODw==\n-----END %s-----\n", kinds[i], kinds[i]);
    mc_slice pem = mc_slice_str(text);
    mc_buf chain = {0};
    mc_buf_append_slice(&chain, mc_buf_slice(&p.server_cert));
    mc_buf_append_slice(&chain, pem);
    mc_tls_server_config own = {.cert_pem = pem, .key_pem = pem}, chained = {.cert_pem = mc_buf_slice(&chain), .key_pem = mc_buf_slice(&p.server_key)};
    mc_tls_client_config trusting = {.ca_pem = pem};
    if (!mc_cert_read_pem(pem, &info, &why) || !mc_pki_sign_csr(mc_buf_slice(&p.ca_cert), mc_buf_slice(&p.ca_key), pem, "x", 3, &out, &why) ||
        !mc_tls_server_create(&own, &tls, &why) || !mc_tls_client_create(&trusting, &tls, &why))
      _exit(3);
    if (mc_tls_server_create(&chained, &tls, &why))
      _exit(4); /* what follows the certificate is only a chain */
    mc_tls_destroy(&tls);
    mc_buf_free(&chain);
  }
}

static void test_nobody_is_asked_for_a_pass_phrase(void)
{
  int silent[2], status = 0;
  CHECK_INT(pipe(silent), 0);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    setsid(); /* no terminal */
    dup2(silent[0], 0);
    dup2(silent[1], 2); /* a question must not break the lines of TAP */
    read_encrypted();
    _exit(0);
  }
  bool ended = false;
  for (int i = 0; i < 6000 && !(ended = waitpid(pid, &status, WNOHANG) == pid); i++)
    usleep(10000);
  if (!ended) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  close(silent[0]);
  close(silent[1]);
  CHECK(ended);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
}

static void test_server_names_are_checked(void)
{
  mc_buf cert = {0}, key = {0};
  mc_why why;
  mc_slice ca = mc_buf_slice(&p.ca_cert), ca_key = mc_buf_slice(&p.ca_key);
  CHECK_INT(mc_pki_issue_server(ca, ca_key, "s", "good.example,bad name", 3, &cert, &key, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "bad name");
  CHECK_INT(mc_pki_issue_server(ca, ca_key, "s", "", 3, &cert, &key, &why), MC_ERR_INVALID);
  CHECK_INT(mc_pki_issue_server(ca, ca_key, "s", "a,email:x", 3, &cert, &key, &why), MC_ERR_INVALID);
  mc_buf_free(&cert);
  mc_buf_free(&key);
}

static void test_key_of_another_ca_is_refused(void)
{
  pki other;
  CHECK(pki_make(&other, 30));
  mc_buf cert = {0}, key = {0};
  mc_why why;
  mc_err err = mc_pki_issue_client(mc_buf_slice(&p.ca_cert), mc_buf_slice(&other.ca_key), "x", 3, &cert, &key, &why);
  pki_free(&other);
  CHECK_INT(err, MC_ERR_INVALID);
  CHECK_WHY(why, "does not belong");
}

static const char csr_p256[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
                               "MIHeMIGGAgEAMCQxIjAgBgNVBAMMGXdoYXRldmVyIHRoZSBkZXZpY2UgbGlrZXMw\n"
                               "WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATl/y6eHj9ZtLWhybzZw1BoV1g1Kv8R\n"
                               "O47/iA2NwkqcSvIup3cFqWsqy5dtB4NDhhIVTRKRLaudQMMvO0KxIIaxoAAwCgYI\n"
                               "KoZIzj0EAwIDRwAwRAIgDwx/2FV9U3RH+glbr7K0UXEmJe7St0idM7uef3/gwAQC\n"
                               "IFXIUn9P9pdaCTXjQRX+PQdb0XQhAfc1i5Qtx+pcBDHE\n"
                               "-----END CERTIFICATE REQUEST-----\n";

static void test_signs_a_request_under_our_name(void)
{
  mc_buf cert = {0};
  mc_why why;
  CHECK_OK(mc_pki_sign_csr(mc_buf_slice(&p.ca_cert), mc_buf_slice(&p.ca_key), mc_slice_str(csr_p256), "vehicle-9", 3, &cert, &why));
  mc_cert_info info;
  CHECK_OK(mc_cert_read_pem(mc_buf_slice(&cert), &info, &why));
  CHECK_STR(info.common_name, "vehicle-9");
  mc_buf_free(&cert);
  CHECK_INT(mc_pki_sign_csr(mc_buf_slice(&p.ca_cert), mc_buf_slice(&p.ca_key), MC_LIT("nonsense"), "v", 3, &cert, &why), MC_ERR_MALFORMED);
}

static void test_tampered_request_is_refused(void)
{
  char bad[sizeof csr_p256];
  memcpy(bad, csr_p256, sizeof bad);
  char *c = strstr(bad, "REQUEST-----\n") + 13 + 80; /* inside the subject */
  *c = *c == 'A' ? 'B' : 'A';
  mc_buf cert = {0};
  mc_why why;
  CHECK(mc_pki_sign_csr(mc_buf_slice(&p.ca_cert), mc_buf_slice(&p.ca_key), mc_slice_str(bad), "v", 3, &cert, &why) != MC_OK);
  CHECK_INT(cert.len, 0);
}

int main(void)
{
  if (!pki_make(&p, 30)) {
    printf("not ok 1 - certificates cannot be made\n1..1\n");
    return 1;
  }
  RUN(test_issued_certificate_reads_back);
  RUN(test_garbage_is_refused_with_words);
  RUN(test_nobody_is_asked_for_a_pass_phrase);
  RUN(test_server_names_are_checked);
  RUN(test_key_of_another_ca_is_refused);
  RUN(test_signs_a_request_under_our_name);
  RUN(test_tampered_request_is_refused);
  pki_free(&p);
  return tap_done();
}
