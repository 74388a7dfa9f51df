/* Revocation lists of an authority made by the openssl program: at the door, for resumed sessions, for who is connected, and what is refused. */
#include "device.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "authority.h"
#include "net/revocation.h"

static mc_buf authorities; /* p's own and maker */

/* ---- the list itself ---- */
static STACK_OF(X509) *stack_of(mc_slice pem)
{
  STACK_OF(X509) *all = sk_X509_new_null();
  BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
  for (X509 *x; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL));)
    sk_X509_push(all, x);
  BIO_free(bio);
  ERR_clear_error();
  return all;
}

static mc_err load(const char *name, mc_revocation **out, mc_why *why)
{
  mc_buf file = scratch_read(name);
  STACK_OF(X509) *trusted = stack_of(mc_buf_slice(&authorities));
  mc_err err = mc_revocation_load(mc_buf_slice(&file), trusted, out, why);
  sk_X509_pop_free(trusted, X509_free);
  mc_buf_free(&file);
  return err;
}

static mc_revocation_verdict ask(const mc_revocation *r, const char *name, int64_t now_us, char *text, size_t size)
{
  mc_buf pem = scratch_read(name);
  X509 *x;
  STACK_OF(X509) *trusted = stack_of(mc_buf_slice(&authorities));
  uint8_t key[MC_REVOCATION_KEY];
  mc_revocation_verdict v = MC_REVOCATION_NO_LIST;
  if (mc_pem_read_cert(mc_buf_slice(&pem), &x, NULL) == MC_OK) {
    mc_revocation_key(X509_get_issuer_name(x), X509_get0_serialNumber(x), trusted, key);
    v = mc_revocation_ask(r, key, now_us, text, size);
    X509_free(x);
  }
  sk_X509_pop_free(trusted, X509_free);
  mc_buf_free(&pem);
  return v;
}

static void test_pem_and_der_lists_say_who_is_revoked_and_why(void)
{
  static const char *const form[] = {"crl.pem", "crl.der", "both.pem"};
  CHECK(shell("openssl crl -in crl.pem -outform DER -out crl.der && cat empty.pem crl.pem > both.pem"));
  for (size_t i = 0; i < 3; i++) {
    mc_revocation *r;
    mc_why why;
    char text[160];
    CHECK_OK(load(form[i], &r, &why));
    CHECK_INT(mc_revocation_count(r), 1);
    CHECK_INT(ask(r, "bad.pem", mc_clock_wall_us(), text, sizeof text), MC_REVOCATION_LISTED);
    CHECK(strstr(text, "keyCompromise") && strstr(text, "revoked by its authority at 20"));
    CHECK_INT(ask(r, "good.pem", mc_clock_wall_us(), text, sizeof text), MC_REVOCATION_GOOD);
    int64_t late_us = mc_revocation_next_update_us(r) + (i == 2 ? INT64_C(600000000) : 1); /* of two lists the first to end: the other was made a moment apart */
    CHECK_INT(ask(r, "maker.pem", late_us, text, sizeof text), MC_REVOCATION_NO_LIST);
    CHECK_INT(ask(r, "bad.pem", late_us, text, sizeof text), MC_REVOCATION_LISTED); /* an old list still names its own */
    CHECK_INT(ask(r, "stranger.pem", mc_clock_wall_us(), text, sizeof text), MC_REVOCATION_NO_LIST);
    mc_revocation_free(&r);
  }
}

static void test_every_revoked_certificate_of_a_long_list_is_found(void)
{
  /* openssl's own database says who is revoked: 3,000 of them */
  CHECK(shell("cp index.txt index.kept && for i in $(seq 3000); do printf 'R\\t400101000000Z\\t260101000000Z\\t%%04X\\tunknown\\t/CN=x\\n' $((20000 + i)); done >> index.txt && "
              "openssl ca -config conf -gencrl -out long.pem; mv index.kept index.txt"));
  mc_revocation *r;
  mc_why why;
  CHECK_OK(load("long.pem", &r, &why));
  CHECK_INT(mc_revocation_count(r), 3001);
  STACK_OF(X509) *trusted = stack_of(mc_buf_slice(&authorities));
  const X509_NAME *maker = X509_get_subject_name(sk_X509_value(trusted, 1));
  for (long i = 19990; i <= 23010; i++) {
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    uint8_t key[MC_REVOCATION_KEY];
    ASN1_INTEGER_set(serial, i);
    mc_revocation_key(maker, serial, trusted, key);
    ASN1_INTEGER_free(serial);
    CHECK_INT(mc_revocation_ask(r, key, mc_clock_wall_us(), NULL, 0), i > 20000 && i <= 23000 ? MC_REVOCATION_LISTED : MC_REVOCATION_GOOD);
  }
  sk_X509_pop_free(trusted, X509_free);
  mc_revocation_free(&r);
}

static void test_what_is_no_list_is_refused_in_words(void)
{
  mc_revocation *r;
  mc_why why;
  scratch_write("none", MC_LIT("hello"));
  CHECK_INT(load("none", &r, &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "BEGIN X509 CRL");
  scratch_write("none", MC_LIT(""));
  CHECK_INT(load("none", &r, &why), MC_ERR_MALFORMED);
  CHECK_INT(load("good.pem", &r, &why), MC_ERR_MALFORMED); /* a certificate */
  CHECK(shell("head -c 300 crl.pem > cut.pem; cat crl.pem cut.pem > tail.pem; head -c 200 crl.der > cut.der; cat crl.der crl.der > two.der"));
  CHECK_INT(load("cut.pem", &r, &why), MC_ERR_MALFORMED);
  CHECK_INT(load("tail.pem", &r, &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "after the first");
  CHECK_INT(load("cut.der", &r, &why), MC_ERR_MALFORMED);
  CHECK_INT(load("two.der", &r, &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "follow the DER list");
  CHECK_INT(mc_revocation_load(MC_LIT("x"), NULL, &r, &why), MC_ERR_INVALID);
  for (size_t i = 20; i < 400; i += 3) { /* every bent byte: refused, or not of this authority's making */
    mc_buf der = scratch_read("crl.der");
    if (i < der.len) {
      der.data[i] ^= 0x21;
      scratch_write("bent.der", mc_buf_slice(&der));
      mc_err err = load("bent.der", &r, &why);
      mc_revocation_free(&r);
      mc_buf_free(&der);
      CHECK(err != MC_OK);
    } else {
      mc_buf_free(&der);
    }
  }
}

static void test_a_list_of_a_stranger_is_refused(void)
{
  mc_revocation *r;
  mc_why why;
  CHECK(shell("openssl ca -config conf -cert stranger.pem -keyfile stranger.key -gencrl -out stranger.crl && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
              "-nodes -subj /CN=maker -days 25 -keyout false.key -out false.pem && openssl ca -config conf -cert false.pem -keyfile false.key -gencrl -out false.crl"));
  CHECK_INT(load("stranger.crl", &r, &why), MC_ERR_DENIED);
  CHECK_WHY(why, "client_ca");
  CHECK_INT(load("false.crl", &r, &why), MC_ERR_DENIED); /* the right name, another key */
  CHECK_WHY(why, "signature");
}

static void test_delta_and_partial_lists_are_refused(void)
{
  mc_revocation *r;
  mc_why why;
  CHECK(shell("for e in delta part odd; do openssl ca -config conf -gencrl -crlexts $e -out $e.crl || exit 1; done"));
  CHECK_INT(load("delta.crl", &r, &why), MC_ERR_UNSUPPORTED);
  CHECK_WHY(why, "delta");
  CHECK_INT(load("part.crl", &r, &why), MC_ERR_UNSUPPORTED);
  CHECK_WHY(why, "part of its certificates");
  CHECK_INT(load("odd.crl", &r, &why), MC_ERR_UNSUPPORTED);
  CHECK_WHY(why, "critical extension");
  set_wall(mc_clock_wall_us() - INT64_C(86400) * 1000000);
  mc_err early = load("crl.pem", &r, &why);
  atomic_store(&wall_ahead_us, 0);
  CHECK_INT(early, MC_ERR_INVALID);
  CHECK_WHY(why, "clock");
}

/* ---- at the door ---- */
static _Atomic int told;
static void count_told(void *ctx) { atomic_fetch_add((_Atomic int *)ctx, 1); }

static mc_buf good_cert, good_key, bad_cert, bad_key;

static void test_a_list_that_changes_counts_from_the_next_look_on_for_resumed_sessions_too(void)
{
  device bad = {.version = TLS1_3_VERSION, .cert = mc_buf_slice(&bad_cert), .key = mc_buf_slice(&bad_key)};
  device good = {.version = TLS1_3_VERSION, .cert = mc_buf_slice(&good_cert), .key = mc_buf_slice(&good_key)};
  device_make(&bad);
  device_make(&good);
  CHECK(shell("cp empty.pem live.pem"));
  server s;
  atomic_store(&told, 0);
  CHECK(server_start(&s, &(mc_tls_server_config){.client_ca_pem = mc_buf_slice(&authorities), .crl_path = scratch_path("live.pem"), .check_s = 3600, .revoked = count_told, .ctx = &told}));
  mc_why why;
  CHECK(visit(&bad, &s) && s.end.peer.cert_verified && !s.end.peer.cert_revoked && !s.end.peer.resumed);
  CHECK(visit(&bad, &s) && s.end.peer.cert_verified && s.end.peer.resumed);
  CHECK(shell("cp crl.pem next.pem && mv next.pem live.pem"));
  CHECK_OK(mc_tls_refresh(s.tls, &why));
  CHECK(atomic_load(&told) >= 1);
  CHECK(visit(&bad, &s)); /* the handshake is not broken: the protocol above refuses with words */
  CHECK(s.end.peer.has_cert && !s.end.peer.cert_verified && s.end.peer.cert_revoked && !s.end.peer.resumed);
  CHECK(strstr(s.end.peer.verify_error, "revoked by its authority"));
  CHECK(visit(&good, &s) && s.end.peer.cert_verified && !s.end.peer.cert_revoked);
  CHECK(visit(&good, &s) && s.end.peer.resumed && s.end.peer.cert_verified);
  /* a bad file changes nothing */
  scratch_write("live.pem", MC_LIT("garbage"));
  CHECK_INT(mc_tls_refresh(s.tls, &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "live.pem");
  CHECK_OK(mc_tls_refresh(s.tls, &why)); /* told once */
  CHECK(visit(&bad, &s) && s.end.peer.cert_revoked);
  CHECK(shell("rm live.pem"));
  CHECK_INT(mc_tls_refresh(s.tls, &why), MC_ERR_NOT_FOUND);
  CHECK(visit(&bad, &s) && s.end.peer.cert_revoked);
  CHECK(shell("cp empty.pem live.pem")); /* a hold that was lifted */
  CHECK_OK(mc_tls_refresh(s.tls, &why));
  CHECK(visit(&bad, &s) && s.end.peer.cert_verified && !s.end.peer.cert_revoked);
  server_stop(&s);
  device_free(&bad);
  device_free(&good);
}

static void test_who_is_connected_is_seen_to_be_revoked(void)
{
  mc_tls *tls;
  mc_why why;
  CHECK(shell("cp empty.pem live.pem"));
  server s;
  CHECK(server_start(&s, &(mc_tls_server_config){.client_ca_pem = mc_buf_slice(&authorities), .crl_path = scratch_path("live.pem"), .check_s = 3600}));
  end client = {0};
  mc_tls_client_config cc = {.ca_pem = mc_buf_slice(&p.ca_cert), .cert_pem = mc_buf_slice(&bad_cert), .key_pem = mc_buf_slice(&bad_key)};
  CHECK_OK(mc_tls_client_create(&cc, &tls, &why));
  CHECK_OK(mc_conn_open(loop, "127.0.0.1", mc_listener_port(s.listener), tls, &end_handler, &client, &client.conn, &why));
  TURN_UNTIL(loop, client.opened && s.end.opened);
  char text[160];
  CHECK(mc_conn_trusted(s.end.conn, text, sizeof text));
  CHECK(shell("cp crl.pem live.pem"));
  CHECK_OK(mc_tls_refresh(s.tls, &why));
  CHECK(!mc_conn_trusted(s.end.conn, text, sizeof text));
  CHECK(strstr(text, "keyCompromise"));
  CHECK(mc_conn_trusted(client.conn, text, sizeof text));
  mc_conn_close(client.conn);
  TURN_UNTIL(loop, client.closed && s.end.closed);
  server_stop(&s);
  mc_tls_destroy(&tls);
}

static void test_a_missing_or_old_list_refuses_only_when_asked_to(void)
{
  device good = {.version = TLS1_3_VERSION, .cert = mc_buf_slice(&good_cert), .key = mc_buf_slice(&good_key)}, ours = {.version = TLS1_3_VERSION};
  device_make(&good);
  device_make(&ours);
  CHECK(shell("cp crl.pem live.pem"));
  for (int required = 0; required < 2; required++) {
    server s;
    CHECK(server_start(&s, &(mc_tls_server_config){.client_ca_pem = mc_buf_slice(&authorities), .crl_path = scratch_path("live.pem"), .crl_required = required, .check_s = 3600}));
    CHECK(visit(&good, &s) && s.end.peer.cert_verified);
    CHECK(visit(&ours, &s)); /* p's authority has no list */
    CHECK_INT(s.end.peer.cert_verified, !required);
    set_wall(mc_clock_wall_us() + INT64_C(11) * 86400 * 1000000); /* past the list's next update */
    bool came = visit(&good, &s), verified = s.end.peer.cert_verified;
    atomic_store(&wall_ahead_us, 0);
    CHECK(came);
    CHECK_INT(verified, !required);
    server_stop(&s);
  }
  device_free(&good);
  device_free(&ours);
}

static void test_a_server_does_not_start_with_a_list_it_cannot_use(void)
{
  mc_tls *tls;
  mc_why why;
  mc_tls_server_config c = {.cert_pem = mc_buf_slice(&p.server_cert), .key_pem = mc_buf_slice(&p.server_key), .client_ca_pem = mc_buf_slice(&authorities)};
  c.crl_path = scratch_path("not-there.pem");
  CHECK_INT(mc_tls_server_create(&c, &tls, &why), MC_ERR_NOT_FOUND);
  CHECK(!tls);
  c.crl_path = scratch_path("stranger.crl");
  CHECK_INT(mc_tls_server_create(&c, &tls, &why), MC_ERR_DENIED);
  CHECK_WHY(why, "stranger.crl");
  c.client_ca_pem = (mc_slice){0};
  CHECK_INT(mc_tls_server_create(&c, &tls, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "authority");
}

static void test_the_thread_finds_a_new_list_by_itself(void)
{
  CHECK(shell("cp empty.pem live.pem"));
  server s;
  atomic_store(&told, 0);
  CHECK(server_start(&s, &(mc_tls_server_config){.client_ca_pem = mc_buf_slice(&authorities), .crl_path = scratch_path("live.pem"), .check_s = 1, .revoked = count_told, .ctx = &told}));
  int before = atomic_load(&told);
  CHECK(shell("cp crl.pem live.pem"));
  TURN_UNTIL(loop, atomic_load(&told) > before);
  device bad = {.version = TLS1_2_VERSION, .cert = mc_buf_slice(&bad_cert), .key = mc_buf_slice(&bad_key)};
  device_make(&bad);
  CHECK(visit(&bad, &s) && s.end.peer.cert_revoked);
  mc_tls_quiet(s.tls);
  server_stop(&s);
  device_free(&bad);
}

int main(void)
{
  mc_why why;
  mc_clock_set_source(moved_wall, moved_mono);
  if (!pki_make(&p, 30) || mc_loop_create(&loop, &why)) {
    printf("not ok 1 - set-up\n1..1\n");
    return 1;
  }
  if (!authority_make("net-revocation")) {
    printf("ok 1 - set-up # SKIP no openssl program here\n1..1\n");
    return 0;
  }
  mc_buf maker = scratch_read("maker.pem");
  mc_buf_append_slice(&authorities, mc_buf_slice(&p.ca_cert));
  mc_buf_append_slice(&authorities, mc_buf_slice(&maker));
  mc_buf_free(&maker);
  good_cert = scratch_read("good.pem");
  good_key = scratch_read("good.key");
  bad_cert = scratch_read("bad.pem");
  bad_key = scratch_read("bad.key");
  if (!shell("openssl ca -config conf -gencrl -out empty.pem && openssl ca -config conf -revoke bad.pem -crl_reason keyCompromise && openssl ca -config conf -gencrl -out crl.pem")) {
    printf("not ok 1 - set-up\n1..1\n");
    return 1;
  }
  RUN(test_pem_and_der_lists_say_who_is_revoked_and_why);
  RUN(test_every_revoked_certificate_of_a_long_list_is_found);
  RUN(test_what_is_no_list_is_refused_in_words);
  RUN(test_a_list_of_a_stranger_is_refused);
  RUN(test_delta_and_partial_lists_are_refused);
  RUN(test_a_list_that_changes_counts_from_the_next_look_on_for_resumed_sessions_too);
  RUN(test_who_is_connected_is_seen_to_be_revoked);
  RUN(test_a_missing_or_old_list_refuses_only_when_asked_to);
  RUN(test_a_server_does_not_start_with_a_list_it_cannot_use);
  RUN(test_the_thread_finds_a_new_list_by_itself);
  mc_buf_free(&authorities);
  mc_buf_free(&good_cert);
  mc_buf_free(&good_key);
  mc_buf_free(&bad_cert);
  mc_buf_free(&bad_key);
  mc_loop_destroy(&loop);
  pki_free(&p);
  return tap_done();
}
