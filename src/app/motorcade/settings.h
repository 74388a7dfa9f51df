/* Settings of the server, described once as data: file <data>/motorcade.conf, command line, and `motorcade config`. */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "campaign/campaign.h"
#include "gateway/gateway.h"

typedef struct settings {
  char data[512];
  char listen[64];
  char names[256];
  uint16_t http_port, mqtt_port, tls_port, dev_port;
  uint32_t loops;
  uint32_t share_choice; /* mc_share_choice */
  uint16_t topic_aliases_out;
  uint32_t mqtt_profile, tls_profile, dev_profile; /* mc_profile_name */
  mc_profile profile[MC_PROFILES];
  uint32_t pressure_window_ms, pressure_delay_ms, pressure_refuse_ms, pressure_close_ms, pressure_window_min, pressure_free_mb, session_hold_mb;
  uint32_t tenant_publishes_per_s, tenant_bytes_per_s, tenant_connects_per_s;
  char portal[512];
  char osm[512];
  char log_level[8], log_format[8];
  uint32_t journal_io, journal_group_wait_us, journal_checkin_wait_us, store_memory_mb, store_flush_s;
  uint64_t journal_retain_mb;
  uint32_t journal_retain_days, journal_audit_days;
  uint32_t store_retain_days;
  char master_key[1024];
  bool insecure_dev, metrics_open, subject_keys;
  char client_ca[512], crl_file[512], ocsp_staple[512];
  bool crl_required, ocsp_fetch;
  uint32_t tls_handshakes, tls_waiting, tls_handshake_ms, connect_ms;
  uint32_t aws_body_mb, shadow_history;
  uint32_t policy_versions, policy_document_characters, policies_attached;
  char objects[512], objects_region[64], objects_key[128], objects_secret[512], objects_ca[512], duckdb[512];
  bool objects_virtual_host;
  uint32_t delivery_s;
  uint64_t delivery_outbox_mb;
  char price_currency[16];
  uint32_t price_gb, price_million_messages; /* hundredths */
  uint64_t fleetwise[MC_CONTROL_LIMITS]; /* in the order of mc_control_limit_at */
  uint32_t source_connections, source_unfinished, source_per_s;
} settings;

void settings_default(settings *s);
/* <data>/motorcade.conf: `key = value` lines, # comments. A missing file is fine. Errors say file, line, key and what is allowed. */
mc_err settings_read(settings *s, mc_why *why);
mc_err settings_set(settings *s, mc_slice key, mc_slice value, mc_why *why);
/* All keys with default, unit and meaning; values as they are now. */
void settings_print(const settings *s);
/* --key value pairs (dashes for underscores) out of argv; what is not a setting stays. Returns the new argc, or -1 with why. */
int settings_take_args(settings *s, int argc, char **argv, mc_why *why);

#endif
