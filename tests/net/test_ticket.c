/* Ticket keys: their file, their turns, and tickets that live through a restart of the server. */
#include "device.h"

#include <sys/stat.h>

#include "net/chain_cache.h"
#include "net/ticket.h"
#include "scratch.h"


static const char *key_file(void)
{
  scratch_folder("net-ticket");
  return scratch_path("tickets.key");
}

static mc_buf read_file(const char *path)
{
  mc_buf all = {0};
  mc_fs_read(mc_fs_posix(), path, 1 << 20, &all, NULL);
  return all;
}

/* ---- the file ---- */
static void test_the_key_file_is_private_and_as_documented(void)
{
  unlink(key_file());
  mc_tickets *t;
  mc_why why;
  CHECK_OK(mc_tickets_open(mc_fs_posix(), key_file(), &t, &why));
  CHECK_INT(mc_tickets_count(t), 1);
  mc_tickets_close(&t);
  struct stat st;
  CHECK_INT(stat(key_file(), &st), 0);
  CHECK_INT(st.st_mode & 0777, 0600);
  mc_buf file = read_file(key_file());
  CHECK_INT(file.len, 8 + 88 + 4);
  CHECK(memcmp(file.data, "MCTK\x01\x01\0\0", 8) == 0);
  mc_buf_free(&file);
}

/* A golden file: version 1 is read for ever. Key bytes 1, 2, 3, ...; made at the time in it. */
static size_t golden(uint8_t out[8 + 88 + 4], int64_t made_us)
{
  memcpy(out, "MCTK\x01\x01\0\0", 8);
  for (int i = 0; i < 80; i++)
    out[8 + i] = (uint8_t)(i + 1);
  mc_store_le64(out + 88, (uint64_t)made_us);
  static uint32_t table[256];
  uint32_t crc = 0xFFFFFFFF;
  for (uint32_t i = 0; i < 256; i++) { /* CRC-32C by its definition, not by the code under test */
    uint32_t c = i;
    for (int k = 0; k < 8; k++)
      c = c & 1 ? c >> 1 ^ 0x82F63B78 : c >> 1;
    table[i] = c;
  }
  for (int i = 0; i < 96; i++)
    crc = crc >> 8 ^ table[(crc ^ out[i]) & 255];
  mc_store_le32(out + 96, ~crc);
  return 100;
}

static void write_private(mc_slice bytes)
{
  scratch_folder("net-ticket");
  unlink(key_file());
  scratch_write("tickets.key", bytes);
  chmod(key_file(), 0600);
}

/* 1 or 2: the key opens; 0: unknown. */
static int opens(mc_tickets *t, const uint8_t name[16])
{
  uint8_t copy[16], iv[16] = {0};
  memcpy(copy, name, 16);
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
  int r = mc_tickets_key(t, copy, iv, cipher, mac, 0);
  EVP_CIPHER_CTX_free(cipher);
  EVP_MAC_CTX_free(mac);
  EVP_MAC_free(hmac);
  return r;
}

static void test_a_file_of_version_1_is_read(void)
{
  uint8_t file[100];
  golden(file, mc_clock_wall_us());
  write_private(mc_slice_of(file, sizeof file));
  mc_tickets *t;
  CHECK_OK(mc_tickets_open(mc_fs_posix(), key_file(), &t, NULL));
  CHECK_INT(mc_tickets_count(t), 1);
  CHECK_INT(opens(t, file + 8), 1);
  mc_tickets_close(&t);
}

static void test_a_damaged_or_open_file_is_replaced(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  uint8_t file[100];
  size_t len = golden(file, mc_clock_wall_us());
  for (size_t i = 0; i <= len; i += 7) { /* cut, then bent */
    mc_tickets *t;
    write_private(mc_slice_of(file, i));
    CHECK_OK(mc_tickets_open(mc_fs_posix(), key_file(), &t, NULL));
    CHECK(i == len || opens(t, file + 8) == 0);
    mc_tickets_close(&t);
    if (i == len)
      break;
    file[i] ^= 0x40;
    write_private(mc_slice_of(file, len));
    CHECK_OK(mc_tickets_open(mc_fs_posix(), key_file(), &t, NULL));
    CHECK_INT(opens(t, file + 8), 0);
    mc_tickets_close(&t);
    file[i] ^= 0x40;
  }
  write_private(mc_slice_of(file, len));
  chmod(key_file(), 0640); /* who could read the keys could read what they sealed */
  mc_tickets *t;
  CHECK_OK(mc_tickets_open(mc_fs_posix(), key_file(), &t, NULL));
  CHECK_INT(opens(t, file + 8), 0);
  mc_tickets_close(&t);
  struct stat st;
  CHECK_INT(stat(key_file(), &st), 0);
  CHECK_INT(st.st_mode & 0777, 0600);
  mc_log_configure(MC_LOG_INFO, MC_LOG_TEXT, 2);
}

static void test_a_disk_that_takes_nothing_only_costs_resumption_after_a_restart(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  mc_tickets *t;
  CHECK_OK(mc_tickets_open(mc_fs_posix(), "/nowhere/to/be/found/tickets.key", &t, NULL));
  CHECK_INT(mc_tickets_count(t), 1);
  mc_tickets_close(&t);
  mc_log_configure(MC_LOG_INFO, MC_LOG_TEXT, 2);
}

static void test_keys_take_turns_and_open_for_their_life(void)
{
  unlink(key_file());
  uint8_t file[100];
  int64_t hour = INT64_C(3600) * 1000000, start = mc_clock_wall_us();
  golden(file, start);
  write_private(mc_slice_of(file, sizeof file));
  mc_tickets *t;
  mc_why why;
  CHECK_OK(mc_tickets_open(mc_fs_posix(), key_file(), &t, &why));
  set_wall(start + 11 * hour);
  CHECK_OK(mc_tickets_tend(t, &why));
  CHECK_INT(opens(t, file + 8), 1);
  set_wall(start + 12 * hour); /* a new one seals from here; this one still opens, and its tickets are renewed */
  CHECK_OK(mc_tickets_tend(t, &why));
  CHECK_INT(opens(t, file + 8), 2);
  CHECK_INT(mc_tickets_count(t), 2);
  mc_tickets_close(&t); /* and so after a restart */
  CHECK_OK(mc_tickets_open(mc_fs_posix(), key_file(), &t, &why));
  CHECK_INT(opens(t, file + 8), 2);
  for (int h = 13; h <= 35; h++) {
    set_wall(start + h * hour);
    CHECK_OK(mc_tickets_tend(t, &why));
    CHECK_INT(opens(t, file + 8), 2);
    CHECK(mc_tickets_count(t) <= MC_TICKET_KEYS_MAX);
  }
  set_wall(start + 36 * hour); /* its last ticket is a day old */
  CHECK_INT(opens(t, file + 8), 0);
  CHECK_OK(mc_tickets_tend(t, &why));
  mc_buf now = read_file(key_file());
  CHECK(!memmem(now.data, now.len, file + 8, 16));
  mc_buf_free(&now);
  set_wall(start - 24 * hour); /* a clock that jumps back changes nothing */
  size_t count = mc_tickets_count(t);
  CHECK_OK(mc_tickets_tend(t, &why));
  CHECK_INT(mc_tickets_count(t), count);
  mc_tickets_close(&t);
  atomic_store(&wall_ahead_us, 0);
}

/* ---- what a ticket carries ---- */
static void test_the_form_of_a_certificate_is_as_documented(void)
{
  X509 *x;
  CHECK_OK(mc_pem_read_cert(mc_buf_slice(&p.client_cert), &x, NULL));
  mc_conn_cert *c = mc_peer_cert_of(x, NULL, 18, 77), *back;
  X509_free(x);
  CHECK(c);
  mc_buf form = {0};
  CHECK_OK(mc_peer_cert_write(c, &form));
  CHECK_INT(form.len, 88 + c->name_len + c->serial_len);
  CHECK_INT(form.data[0], 1);
  CHECK_INT(form.data[1], strlen("vehicle-1"));
  CHECK_INT(mc_load_le32(form.data + 4), 18);
  CHECK_INT(mc_load_le64(form.data + 24), 77);
  CHECK(memcmp(form.data + 88, "vehicle-1", 9) == 0);
  for (size_t n = 0; n < form.len; n++)
    CHECK(mc_peer_cert_read(mc_slice_of(form.data, n), &back) != MC_OK && !back);
  CHECK_OK(mc_buf_append_u8(&form, 0));
  CHECK_INT(mc_peer_cert_read(mc_buf_slice(&form), &back), MC_ERR_MALFORMED);
  form.len--;
  CHECK_OK(mc_peer_cert_read(mc_buf_slice(&form), &back));
  CHECK(memcmp(back, c, offsetof(mc_conn_cert, text) + c->name_len + c->serial_len) == 0);
  free(back);
  form.data[0] = 2;
  CHECK_INT(mc_peer_cert_read(mc_buf_slice(&form), &back), MC_ERR_UNSUPPORTED);
  mc_buf_clear(&form);
  CHECK_OK(mc_peer_cert_write(NULL, &form));
  CHECK_INT(mc_peer_cert_read(mc_buf_slice(&form), &back), MC_ERR_NOT_FOUND);
  mc_buf_free(&form);
  free(c);
}

static bool knows_the_device(const server *s) { return s->end.peer.has_cert && s->end.peer.cert_verified && !strcmp(s->end.peer.cert.common_name, "vehicle-1"); }

static void resumes_after_a_restart(int version)
{
  unlink(key_file());
  device d = {.version = version};
  device_make(&d);
  server s;
  CHECK(server_start(&s, &(mc_tls_server_config){.ticket_path = key_file(), .client_ca_pem = mc_buf_slice(&p.ca_cert)}));
  CHECK(visit(&d, &s));
  CHECK(!s.end.peer.resumed && knows_the_device(&s));
  for (int round = 0; round < 3; round++) {
    server_stop(&s);
    CHECK(server_start(&s, &(mc_tls_server_config){.ticket_path = key_file(), .client_ca_pem = mc_buf_slice(&p.ca_cert)}));
    CHECK(visit(&d, &s));
    CHECK(s.end.peer.resumed);
    CHECK(knows_the_device(&s));
  }
  server_stop(&s);
  unlink(key_file()); /* other keys: in full, and nobody is turned away */
  CHECK(server_start(&s, &(mc_tls_server_config){.ticket_path = key_file(), .client_ca_pem = mc_buf_slice(&p.ca_cert)}));
  CHECK(visit(&d, &s));
  CHECK(!s.end.peer.resumed && knows_the_device(&s));
  server_stop(&s);
  device_free(&d);
}
static void test_a_tls13_ticket_lives_through_restarts(void) { resumes_after_a_restart(TLS1_3_VERSION); }
static void test_a_tls12_ticket_lives_through_restarts(void) { resumes_after_a_restart(TLS1_2_VERSION); }

static void test_a_ticket_without_a_certificate_gives_none(void)
{
  unlink(key_file());
  device d = {.version = TLS1_3_VERSION, .anonymous = true};
  device_make(&d);
  server s;
  CHECK(server_start(&s, &(mc_tls_server_config){.ticket_path = key_file(), .client_ca_pem = mc_buf_slice(&p.ca_cert)}));
  for (int i = 0; i < 3; i++) {
    CHECK(visit(&d, &s));
    CHECK_INT(s.end.peer.resumed, i > 0);
    CHECK(!s.end.peer.has_cert && !s.end.peer.cert_verified);
  }
  server_stop(&s);
  device_free(&d);
}

/* Somebody who heard a ticket but does not know its secret gets no certificate out of it. */
static void test_a_ticket_that_was_overheard_is_worth_nothing(void)
{
  unlink(key_file());
  device owner = {.version = TLS1_3_VERSION}, thief = {.version = TLS1_3_VERSION, .anonymous = true};
  device_make(&owner);
  device_make(&thief);
  server s;
  CHECK(server_start(&s, &(mc_tls_server_config){.ticket_path = key_file(), .client_ca_pem = mc_buf_slice(&p.ca_cert)}));
  CHECK(visit(&owner, &s) && knows_the_device(&s));
  CHECK(visit(&thief, &s) && !s.end.peer.has_cert);
  uint8_t *der = NULL;
  int len = i2d_SSL_SESSION(owner.session, &der);
  uint8_t secret[64], *at;
  size_t secret_len = SSL_SESSION_get_master_key(owner.session, secret, sizeof secret);
  CHECK(len > 0 && secret_len > 0 && (at = memmem(der, (size_t)len, secret, secret_len)));
  memset(at, 0x55, secret_len); /* the ticket without what only its owner has */
  const uint8_t *in = der;
  SSL_SESSION_free(thief.session);
  thief.session = d2i_SSL_SESSION(NULL, &in, len);
  OPENSSL_free(der);
  CHECK(thief.session);
  CHECK(!visit(&thief, &s) || !s.end.peer.has_cert);
  server_stop(&s);
  device_free(&owner);
  device_free(&thief);
}

static void test_a_ticket_made_under_other_authorities_is_judged_anew(void)
{
  unlink(key_file());
  device d = {.version = TLS1_3_VERSION};
  device_make(&d);
  pki other;
  CHECK(pki_make(&other, 30));
  server s;
  CHECK(server_start(&s, &(mc_tls_server_config){.ticket_path = key_file(), .client_ca_pem = mc_buf_slice(&p.ca_cert)}));
  CHECK(visit(&d, &s) && knows_the_device(&s));
  server_stop(&s);
  CHECK(server_start(&s, &(mc_tls_server_config){.ticket_path = key_file(), .client_ca_pem = mc_buf_slice(&other.ca_cert)})); /* its authority is not trusted any more */
  CHECK(visit(&d, &s));
  CHECK(!s.end.peer.resumed && s.end.peer.has_cert && !s.end.peer.cert_verified);
  CHECK(visit(&d, &s)); /* nor does a bad verdict live in a ticket */
  CHECK(!s.end.peer.resumed && !s.end.peer.cert_verified);
  server_stop(&s);
  device_free(&d);
  pki_free(&other);
}

static void test_a_ticket_does_not_outlive_its_certificate(void)
{
  unlink(key_file());
  device d = {.version = TLS1_3_VERSION};
  device_make(&d);
  server s;
  CHECK(server_start(&s, &(mc_tls_server_config){.ticket_path = key_file(), .client_ca_pem = mc_buf_slice(&p.ca_cert)}));
  CHECK(visit(&d, &s) && knows_the_device(&s));
  CHECK(visit(&d, &s) && s.end.peer.resumed && knows_the_device(&s));
  mc_cert_info info;
  CHECK_OK(mc_cert_read_pem(mc_buf_slice(&p.client_cert), &info, NULL));
  set_wall(info.not_after_us + 1000000);
  CHECK(visit(&d, &s));
  bool marked = s.end.peer.has_cert && !s.end.peer.cert_verified, again = s.end.peer.resumed;
  atomic_store(&wall_ahead_us, 0);
  CHECK(marked && !again);
  server_stop(&s);
  device_free(&d);
}

/* ---- verified chains ---- */
static void test_a_verified_chain_is_remembered_until_it_ends(void)
{
  mc_chain_cache c;
  mc_chain_cache_init(&c);
  uint8_t print[MC_FINGERPRINT] = {1, 2, 3};
  int64_t until = 0;
  CHECK(!mc_chain_cache_get(&c, print, 100, &until));
  mc_chain_cache_put(&c, print, 1000);
  CHECK(mc_chain_cache_get(&c, print, 999, &until));
  CHECK_INT(until, 1000);
  CHECK(!mc_chain_cache_get(&c, print, 1000, &until));
  mc_chain_cache_put(&c, print, 2000); /* verified again, with another chain */
  CHECK(mc_chain_cache_get(&c, print, 1000, &until));
  mc_chain_cache_free(&c);
}

static void test_the_memory_for_chains_is_bounded(void)
{
  mc_chain_cache c;
  mc_chain_cache_init(&c);
  int64_t until;
  uint8_t print[MC_FINGERPRINT] = {0};
  size_t found = 0;
  for (uint64_t i = 0; i < 3 * MC_CHAIN_CACHE_MAX; i++) {
    mc_store_le64(print, i * 0x9E3779B97F4A7C15u);
    mc_chain_cache_put(&c, print, 1000);
    found += mc_chain_cache_get(&c, print, 1, &until); /* the newest is always there */
  }
  CHECK_INT(found, 3 * MC_CHAIN_CACHE_MAX);
  CHECK(c.cap <= MC_CHAIN_CACHE_MAX && c.len <= c.cap);
  mc_chain_cache_free(&c);
  mc_chain_cache_init(&c);
  for (uint64_t i = 0; i < 20000; i++) { /* a fleet of 20,000 is remembered nearly whole */
    mc_store_le64(print, i * 0x9E3779B97F4A7C15u);
    mc_chain_cache_put(&c, print, 1000);
  }
  found = 0;
  for (uint64_t i = 0; i < 20000; i++) {
    mc_store_le64(print, i * 0x9E3779B97F4A7C15u);
    found += mc_chain_cache_get(&c, print, 1, &until);
  }
  CHECK(found > 19000);
  mc_chain_cache_free(&c);
}

int main(void)
{
  mc_why why;
  mc_clock_set_source(moved_wall, moved_mono);
  if (!pki_make(&p, 30) || mc_loop_create(&loop, &why)) {
    printf("not ok 1 - set-up\n1..1\n");
    return 1;
  }
  RUN(test_the_key_file_is_private_and_as_documented);
  RUN(test_a_file_of_version_1_is_read);
  RUN(test_a_damaged_or_open_file_is_replaced);
  RUN(test_a_disk_that_takes_nothing_only_costs_resumption_after_a_restart);
  RUN(test_keys_take_turns_and_open_for_their_life);
  RUN(test_the_form_of_a_certificate_is_as_documented);
  RUN(test_a_tls13_ticket_lives_through_restarts);
  RUN(test_a_tls12_ticket_lives_through_restarts);
  RUN(test_a_ticket_without_a_certificate_gives_none);
  RUN(test_a_ticket_that_was_overheard_is_worth_nothing);
  RUN(test_a_ticket_made_under_other_authorities_is_judged_anew);
  RUN(test_a_ticket_does_not_outlive_its_certificate);
  RUN(test_a_verified_chain_is_remembered_until_it_ends);
  RUN(test_the_memory_for_chains_is_bounded);
  mc_loop_destroy(&loop);
  pki_free(&p);
  return tap_done();
}
