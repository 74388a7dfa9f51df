/* A registry over a database in memory (or a file), with a CA of its own, and a clock that tests can move. */
#ifndef TESTS_REGISTRY_FIXTURE_H
#define TESTS_REGISTRY_FIXTURE_H

#include "base/clock.h"
#include "registry/registry.h"
#include "tap.h"

static int64_t fixture_now_us;
static inline int64_t fixture_clock(void) { return fixture_now_us; }

static mc_buf fixture_ca_cert, fixture_ca_key;

static inline mc_registry *fixture_open(mc_db **db, const char *path)
{
  mc_why why = {0};
  mc_registry *r = NULL;
  if (!fixture_ca_cert.len && mc_pki_create_ca("test ca", 365, &fixture_ca_cert, &fixture_ca_key, &why))
    printf("# %s\n", why.text);
  if (!*db && mc_db_open_sqlite(path, db, &why)) {
    printf("# %s\n", why.text);
    return NULL;
  }
  mc_registry_config config = {.db = *db, .ca_cert_pem = mc_buf_slice(&fixture_ca_cert), .ca_key_pem = mc_buf_slice(&fixture_ca_key)};
  if (mc_registry_open(&config, &r, &why))
    printf("# %s\n", why.text);
  return r;
}

static inline mc_err fixture_vehicle(mc_registry *r, uint32_t tenant, const char *name, mc_vehicle *out, mc_why *why)
{
  *out = (mc_vehicle){.tenant = tenant, .year = 2024};
  snprintf(out->name, sizeof out->name, "%s", name);
  snprintf(out->make, sizeof out->make, "Acme");
  return mc_registry_vehicle_create(r, out, why);
}

/* The peer that a handshake with this certificate would give. */
static inline mc_peer fixture_peer(mc_slice cert_pem, bool verified)
{
  mc_peer peer = {.tls = true, .has_cert = true, .cert_verified = verified, .alpn = MC_ALPN_MQTT_CERT};
  if (!verified)
    snprintf(peer.verify_error, sizeof peer.verify_error, "unable to get local issuer certificate");
  mc_cert_read_pem(cert_pem, &peer.cert, NULL);
  return peer;
}

#endif
