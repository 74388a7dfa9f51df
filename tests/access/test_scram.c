#include "access/access.h"
#include "tap.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

static const uint8_t secret[32] = {1};

/* The client's side, for the tests: the proof for a password over an AuthMessage. */
static void proof_of(const char *password, const mc_scram_verifier *v, const char *auth, char out[64])
{
  uint8_t base[32], client[32], stored[32], sig[32];
  unsigned len;
  PKCS5_PBKDF2_HMAC(password, (int)strlen(password), v->salt, MC_SCRAM_SALT, (int)v->iterations, EVP_sha256(), 32, base);
  HMAC(EVP_sha256(), base, 32, (const uint8_t *)"Client Key", 10, client, &len);
  SHA256(client, 32, stored);
  HMAC(EVP_sha256(), stored, 32, (const uint8_t *)auth, strlen(auth), sig, &len);
  for (int i = 0; i < 32; i++)
    client[i] ^= sig[i];
  EVP_EncodeBlock((uint8_t *)out, client, 32);
}

/* One exchange as a client would do it; final may be changed by the caller through `spoil`. */
static mc_err exchange(const mc_scram_verifier *v, const char *password, void (*spoil)(char *final), mc_buf *server_final, mc_why *why)
{
  mc_scram s;
  mc_buf first = {0};
  char nonce[200], without[400], auth[1200], proof[64], final[700];
  MC_TRY(mc_scram_begin(&s, MC_LIT("n,,n=desk,r=abcdefgh"), why));
  MC_TRY(mc_scram_challenge(&s, v, secret, &first));
  mc_slice text = mc_buf_slice(&first);
  mc_slice_to_str(mc_slice_sub(text, 2, mc_slice_find(text, ',', 0) - 2), nonce, sizeof nonce);
  snprintf(without, sizeof without, "c=biws,r=%s", nonce);
  snprintf(auth, sizeof auth, "n=desk,r=abcdefgh,%.*s,%s", MC_FMT(text), without);
  mc_scram_verifier seen = s.verifier; /* salt and iterations as sent */
  proof_of(password, &seen, auth, proof);
  snprintf(final, sizeof final, "%s,p=%s", without, proof);
  if (spoil)
    spoil(final);
  mc_buf_free(&first);
  return mc_scram_finish(&s, mc_slice_str(final), server_final, why);
}

static void test_a_client_that_knows_the_password_gets_in(void)
{
  mc_scram_verifier v;
  mc_why why = {0};
  mc_buf out = {0};
  CHECK_OK(mc_scram_verifier_make(MC_LIT("correct-horse-battery"), &v, &why));
  CHECK_OK(exchange(&v, "correct-horse-battery", NULL, &out, &why));
  CHECK(out.len == 2 + 44 && !memcmp(out.data, "v=", 2));
  mc_buf_free(&out);
  CHECK(mc_scram_verifier_check(&v, MC_LIT("correct-horse-battery")));
  CHECK(!mc_scram_verifier_check(&v, MC_LIT("correct-horse-batterz")));
  CHECK(!mc_scram_verifier_check(&v, MC_LIT("")));
}

/* RFC 7677, 3: user "user", password "pencil"; the server's nonce is in the text, so only the end is compared. */
static void test_the_example_of_rfc_7677(void)
{
  mc_scram s;
  mc_why why = {0};
  mc_buf out = {0};
  mc_scram_verifier v = {.iterations = 4096};
  uint8_t salt[18];
  CHECK(EVP_DecodeBlock(salt, (const uint8_t *)"W22ZaJ0SNY7soEsUEjb6gQ==", 24) == 18);
  memcpy(v.salt, salt, sizeof v.salt);
  uint8_t base[32], client[32];
  unsigned len;
  PKCS5_PBKDF2_HMAC("pencil", 6, v.salt, MC_SCRAM_SALT, 4096, EVP_sha256(), 32, base);
  HMAC(EVP_sha256(), base, 32, (const uint8_t *)"Client Key", 10, client, &len);
  SHA256(client, 32, v.stored_key);
  HMAC(EVP_sha256(), base, 32, (const uint8_t *)"Server Key", 10, v.server_key, &len);
  CHECK_OK(mc_scram_begin(&s, MC_LIT("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), &why));
  CHECK_STR(s.name, "user");
  s.verifier = v; /* as mc_scram_challenge leaves it, with the example's nonce */
  s.known = true;
  strcpy(s.nonce, "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
  strcpy(s.server_first, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  CHECK_OK(mc_scram_finish(&s, MC_LIT("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), &out, &why));
  CHECK_SLICE(mc_buf_slice(&out), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
  mc_buf_free(&out);
}

static void other_nonce(char *f) { f[9]++; }
static void other_binding(char *f) { f[2] = 'e'; }
static void other_proof(char *f)
{
  char *p = strstr(f, ",p=") + 3;
  *p = *p == 'A' ? 'B' : 'A';
}
static void no_proof(char *f) { *strstr(f, ",p=") = 0; }
static void long_proof(char *f) { strcat(f, "AAAA"); }

static void test_anything_else_does_not(void)
{
  mc_scram_verifier v;
  mc_why why = {0};
  mc_buf out = {0};
  CHECK_OK(mc_scram_verifier_make(MC_LIT("correct-horse-battery"), &v, &why));
  CHECK_INT(exchange(&v, "correct-horse-batterz", NULL, &out, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(exchange(NULL, "correct-horse-battery", NULL, &out, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_WHY(why, "wrong");
  void (*spoil[])(char *) = {other_nonce, other_binding, other_proof, long_proof};
  for (size_t i = 0; i < sizeof spoil / sizeof spoil[0]; i++)
    CHECK_INT(exchange(&v, "correct-horse-battery", spoil[i], &out, &why), MC_ERR_UNAUTHENTICATED);
  CHECK_INT(exchange(&v, "correct-horse-battery", no_proof, &out, &why), MC_ERR_MALFORMED);
  CHECK_INT(out.len, 0);
}

/* A name that nobody has is asked for the same things each time, so that it looks like one that somebody has. */
static void test_unknown_names_look_like_known_ones(void)
{
  mc_scram a, b;
  mc_why why = {0};
  mc_buf first = {0};
  CHECK_OK(mc_scram_begin(&a, MC_LIT("n,,n=nobody,r=abcdefgh"), &why));
  CHECK_OK(mc_scram_challenge(&a, NULL, secret, &first));
  CHECK_OK(mc_scram_begin(&b, MC_LIT("n,,n=nobody,r=abcdefgh"), &why));
  mc_buf_clear(&first);
  CHECK_OK(mc_scram_challenge(&b, NULL, secret, &first));
  CHECK(!memcmp(a.verifier.salt, b.verifier.salt, MC_SCRAM_SALT) && a.verifier.iterations == MC_SCRAM_ITERATIONS);
  CHECK(strcmp(a.nonce, b.nonce) != 0);
  mc_buf_free(&first);
}

static void test_broken_first_messages_are_refused(void)
{
  static const struct {
    const char *text;
    mc_err err;
  } bad[] = {{"", MC_ERR_MALFORMED}, {"n", MC_ERR_MALFORMED}, {"n,", MC_ERR_MALFORMED}, {"n,,", MC_ERR_MALFORMED}, {"x,,n=a,r=abcdefgh", MC_ERR_MALFORMED},
             {"p=tls-unique,,n=a,r=abcdefgh", MC_ERR_UNSUPPORTED}, {"n,a=b,n=a,r=abcdefgh", MC_ERR_UNSUPPORTED}, {"n,,r=abcdefgh", MC_ERR_MALFORMED},
             {"n,,n=,r=abcdefgh", MC_ERR_MALFORMED}, {"n,,n=a", MC_ERR_MALFORMED}, {"n,,n=a,r=short", MC_ERR_MALFORMED}, {"n,,n=a=2Xb,r=abcdefgh", MC_ERR_MALFORMED},
             {"n,,n=a b,r=abcdefgh", MC_ERR_MALFORMED}, {"n,,m=x,n=a,r=abcdefgh", MC_ERR_MALFORMED}};
  mc_scram s;
  mc_why why;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK_INT(mc_scram_begin(&s, mc_slice_str(bad[i].text), &why), bad[i].err);
  CHECK_OK(mc_scram_begin(&s, MC_LIT("y,,n=a=2Cb=3Dc,r=abcdefgh"), &why));
  CHECK_STR(s.name, "a,b=c");
  char huge[900] = "n,,n=a,r=abcdefgh,x=";
  memset(huge + 20, 'x', 800);
  CHECK_INT(mc_scram_begin(&s, mc_slice_of(huge, 820), &why), MC_ERR_TOO_LARGE);
  mc_scram_verifier v;
  CHECK_INT(mc_scram_verifier_make(MC_LIT("short"), &v, &why), MC_ERR_INVALID);
  CHECK_INT(mc_scram_verifier_make(MC_LIT("with a space in it"), &v, &why), MC_ERR_INVALID);
}

int main(void)
{
  RUN(test_a_client_that_knows_the_password_gets_in);
  RUN(test_the_example_of_rfc_7677);
  RUN(test_anything_else_does_not);
  RUN(test_unknown_names_look_like_known_ones);
  RUN(test_broken_first_messages_are_refused);
  return tap_done();
}
