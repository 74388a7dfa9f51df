/* OCSP staples: a file that the operator refreshes, and the responder of the openssl program on loopback. */
#include "device.h"

#include <signal.h>

#include <openssl/ocsp.h>

#include "authority.h"

static mc_buf server_cert, server_key, maker, authorities;
static uint16_t ocsp_port;

static uint16_t free_port(void)
{
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof a;
  if (bind(fd, (struct sockaddr *)&a, sizeof a) || getsockname(fd, (struct sockaddr *)&a, &len))
    a.sin_port = 0;
  close(fd);
  return ntohs(a.sin_port);
}

/* What a client that asks for a staple gets: its status (V_OCSP_CERTSTATUS_...), -1: none. The client does not visit with a certificate. */
static int stapled_status(server *s)
{
  mc_buf_free(&s->end.got);
  s->end = (end){0};
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  int fd = dial(mc_listener_port(s->listener)), status = -1;
  SSL *ssl = SSL_new(ctx);
  SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
  SSL_set_fd(ssl, fd);
  time_t until = seconds_now() + PATIENCE_S;
  while (SSL_connect(ssl) != 1 && seconds_now() < until)
    mc_loop_turn(loop, 2);
  const unsigned char *der = NULL;
  long len = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
  OCSP_RESPONSE *r = len > 0 ? d2i_OCSP_RESPONSE(NULL, &der, len) : NULL;
  OCSP_BASICRESP *basic = r ? OCSP_response_get1_basic(r) : NULL;
  if (basic)
    status = OCSP_single_get0_status(OCSP_resp_get0(basic, 0), NULL, NULL, NULL, NULL);
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(r);
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl);
  close(fd);
  SSL_CTX_free(ctx);
  while (!s->end.closed && seconds_now() < until)
    mc_loop_turn(loop, 5);
  return status;
}

/* An answer about a certificate of maker's, signed by maker or by another. */
static bool answer(const char *out, const char *about, const char *signer, int days)
{
  return shell("openssl ocsp -issuer maker.pem -cert %s -no_nonce -reqout request.der && openssl ocsp -index index.txt -CA maker.pem -rsigner %s.pem -rkey %s.key "
               "-reqin request.der -ndays %d -respout %s -no_nonce", about, signer, signer, days, out);
}

static mc_tls_server_config with_staple(const char *path)
{
  return (mc_tls_server_config){.cert_pem = mc_buf_slice(&server_cert), .key_pem = mc_buf_slice(&server_key), .client_ca_pem = mc_buf_slice(&authorities), .staple_path = path, .check_s = 3600};
}

static void test_the_staple_of_a_file_is_given_and_a_new_one_after_it(void)
{
  mc_why why;
  server s;
  CHECK(answer("staple.der", "server.pem", "maker", 1));
  mc_tls_server_config c = with_staple(scratch_path("staple.der"));
  CHECK(server_start(&s, &c));
  CHECK_INT(stapled_status(&s), V_OCSP_CERTSTATUS_GOOD);
  set_wall(mc_clock_wall_us() + INT64_C(25) * 3600 * 1000000);
  int late = stapled_status(&s);
  atomic_store(&wall_ahead_us, 0);
  CHECK_INT(late, -1); /* out of date: rather none */
  scratch_write("staple.der", MC_LIT("no answer"));
  CHECK_INT(mc_tls_refresh(s.tls, &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "staple.der");
  CHECK_INT(stapled_status(&s), V_OCSP_CERTSTATUS_GOOD); /* the last good one stays */
  CHECK(answer("next.der", "server.pem", "maker", 3) && shell("mv next.der staple.der"));
  CHECK_OK(mc_tls_refresh(s.tls, &why));
  set_wall(mc_clock_wall_us() + INT64_C(25) * 3600 * 1000000);
  int renewed = stapled_status(&s);
  atomic_store(&wall_ahead_us, 0);
  CHECK_INT(renewed, V_OCSP_CERTSTATUS_GOOD);
  server_stop(&s);
}

static void test_a_client_that_does_not_ask_gets_none_and_memory_is_not_kept(void)
{
  server s;
  device d = {.version = TLS1_3_VERSION};
  device_make(&d);
  mc_tls_server_config c = with_staple(scratch_path("staple.der"));
  CHECK(server_start(&s, &c));
  CHECK(visit(&d, &s));
  CHECK_INT(stapled_status(&s), V_OCSP_CERTSTATUS_GOOD);
  server_stop(&s);
  device_free(&d);
}

static mc_err start_with(const char *name, mc_why *why)
{
  mc_tls *tls = NULL;
  mc_tls_server_config c = with_staple(scratch_path(name));
  mc_err err = mc_tls_server_create(&c, &tls, why);
  mc_tls_destroy(&tls);
  return err;
}

static void test_answers_that_cannot_be_used_are_refused_in_words(void)
{
  mc_why why;
  CHECK(answer("other.der", "good.pem", "maker", 1));
  CHECK_INT(start_with("other.der", &why), MC_ERR_INVALID);
  CHECK_WHY(why, "another certificate");
  CHECK(answer("false.der", "server.pem", "stranger", 1));
  CHECK_INT(start_with("false.der", &why), MC_ERR_DENIED);
  CHECK_WHY(why, "not signed");
  CHECK(shell("cp index.txt index.kept && openssl ca -config conf -revoke server.pem") && answer("revoked.der", "server.pem", "maker", 1) && shell("mv index.kept index.txt"));
  CHECK_INT(start_with("revoked.der", &why), MC_ERR_DENIED);
  CHECK_WHY(why, "was revoked");
  CHECK(shell("head -c 100 staple.der > cut.der; printf '0\\003\\n\\001\\001' > refused.der")); /* status malformedRequest */
  CHECK_INT(start_with("cut.der", &why), MC_ERR_MALFORMED);
  CHECK_INT(start_with("refused.der", &why), MC_ERR_INVALID);
  CHECK_WHY(why, "responder answered");
  CHECK_INT(start_with("not-there.der", &why), MC_ERR_NOT_FOUND);
  mc_buf der = scratch_read("staple.der");
  const uint8_t *in = der.data;
  OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &in, (long)der.len);
  OCSP_BASICRESP *basic = r ? OCSP_response_get1_basic(r) : NULL;
  uint8_t *signed_part = NULL;
  int signed_len = basic ? i2d_OCSP_RESPDATA((OCSP_RESPDATA *)OCSP_resp_get0_respdata(basic), &signed_part) : 0;
  const uint8_t *at = signed_len > 0 ? memmem(der.data, der.len, signed_part, (size_t)signed_len) : NULL;
  size_t from = at ? (size_t)(at - der.data) : 0, bent = 0;
  for (size_t i = from; at && i < from + (size_t)signed_len; i += 5) { /* any byte that was signed */
    der.data[i] ^= 0x11;
    scratch_write("bent.der", mc_buf_slice(&der));
    der.data[i] ^= 0x11;
    bent += start_with("bent.der", &why) != MC_OK;
  }
  OPENSSL_free(signed_part);
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(r);
  mc_buf_free(&der);
  CHECK(signed_len > 50);
  CHECK_INT(bent, (signed_len + 4) / 5);
}

static void test_an_answer_that_grew_old_does_not_keep_a_server_from_starting(void)
{
  server s;
  mc_why why;
  set_wall(mc_clock_wall_us() + INT64_C(5) * 86400 * 1000000);
  mc_tls_server_config c = with_staple(scratch_path("staple.der"));
  bool started = server_start(&s, &c);
  int status = started ? stapled_status(&s) : -2;
  atomic_store(&wall_ahead_us, 0);
  CHECK(started);
  CHECK_INT(status, -1);
  server_stop(&s);
  c = with_staple(scratch_path("staple.der")); /* who is the issuer? */
  c.cert_pem = mc_buf_slice(&p.server_cert);
  c.key_pem = mc_buf_slice(&p.server_key);
  c.client_ca_pem = mc_buf_slice(&maker);
  mc_tls *tls;
  CHECK_INT(mc_tls_server_create(&c, &tls, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "issuer");
}

static void test_the_responder_of_the_certificate_is_asked_only_when_configured(void)
{
  mc_why why;
  server s;
  mc_tls_server_config c = with_staple(NULL);
  CHECK(server_start(&s, &c)); /* default: nobody is asked */
  CHECK_OK(mc_tls_refresh(s.tls, &why));
  CHECK_INT(stapled_status(&s), -1);
  server_stop(&s);
  c.staple_fetch = true; /* nobody answers yet: the server starts, and goes without */
  CHECK(server_start(&s, &c));
  CHECK_INT(stapled_status(&s), -1);
  server_stop(&s);
  pid_t pid = fork();
  if (pid == 0) {
    char port[8];
    snprintf(port, sizeof port, "%u", ocsp_port);
    if (chdir(scratch_dir) == 0 && freopen("responder.log", "w", stderr))
      execlp("openssl", "openssl", "ocsp", "-index", "index.txt", "-CA", "maker.pem", "-rsigner", "responder.pem", "-rkey", "responder.key", "-port", port, "-ndays", "1",
             "-ignore_err", (char *)NULL);
    _exit(1);
  }
  CHECK(server_start(&s, &c));
  mc_tls_quiet(s.tls); /* that responder serves one at a time */
  for (int i = 0; i < 600 && stapled_status(&s) != V_OCSP_CERTSTATUS_GOOD; i++) { /* until it listens; a failed try is repeated a minute later, so time moves */
    set_wall(mc_clock_wall_us() + INT64_C(61) * 1000000);
    mc_tls_refresh(s.tls, &why);
    usleep(50000);
  }
  int status = stapled_status(&s);
  atomic_store(&wall_ahead_us, 0);
  kill(pid, SIGTERM);
  waitpid(pid, NULL, 0);
  server_stop(&s);
  CHECK_INT(status, V_OCSP_CERTSTATUS_GOOD);
}

static void test_a_certificate_that_names_no_responder_cannot_be_asked_about(void)
{
  server s;
  mc_why why;
  mc_tls_server_config c = {.client_ca_pem = mc_buf_slice(&p.ca_cert), .staple_fetch = true, .check_s = 3600};
  CHECK(server_start(&s, &c));
  mc_tls_quiet(s.tls);
  set_wall(mc_clock_wall_us() + INT64_C(61) * 1000000);
  mc_err err = mc_tls_refresh(s.tls, &why);
  atomic_store(&wall_ahead_us, 0);
  server_stop(&s);
  CHECK_INT(err, MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "names no OCSP responder");
}

int main(void)
{
  mc_why why;
  char port[8];
  mc_clock_set_source(moved_wall, moved_mono);
  if (!pki_make(&p, 30) || mc_loop_create(&loop, &why)) {
    printf("not ok 1 - set-up\n1..1\n");
    return 1;
  }
  ocsp_port = free_port();
  snprintf(port, sizeof port, "%u", ocsp_port);
  setenv("OCSP_PORT", port, 1);
  if (!authority_make("net-staple")) {
    printf("ok 1 - set-up # SKIP no openssl program here\n1..1\n");
    return 0;
  }
  if (!shell("for n in server responder; do openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$n -keyout $n.key -out $n.csr && "
             "openssl ca -batch -notext -config conf -extensions $n -in $n.csr -out $n.pem || exit 1; done; cat server.pem maker.pem > chain.pem")) {
    printf("not ok 1 - set-up\n1..1\n");
    return 1;
  }
  server_cert = scratch_read("chain.pem");
  server_key = scratch_read("server.key");
  maker = scratch_read("maker.pem");
  mc_buf_append_slice(&authorities, mc_buf_slice(&p.ca_cert));
  mc_buf_append_slice(&authorities, mc_buf_slice(&maker));
  RUN(test_the_staple_of_a_file_is_given_and_a_new_one_after_it);
  RUN(test_a_client_that_does_not_ask_gets_none_and_memory_is_not_kept);
  RUN(test_answers_that_cannot_be_used_are_refused_in_words);
  RUN(test_an_answer_that_grew_old_does_not_keep_a_server_from_starting);
  RUN(test_the_responder_of_the_certificate_is_asked_only_when_configured);
  RUN(test_a_certificate_that_names_no_responder_cannot_be_asked_about);
  mc_buf *all[] = {&server_cert, &server_key, &maker, &authorities};
  for (size_t i = 0; i < 4; i++)
    mc_buf_free(all[i]);
  mc_loop_destroy(&loop);
  pki_free(&p);
  return tap_done();
}
