#include "app/motorcade/settings.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

typedef enum kind { TEXT, U16, U32, U64, FLAG, FLAG32, WORD } kind;

typedef struct setting {
  const char *key;
  kind kind;
  size_t at, size;
  const char *value; /* default */
  const char *unit; /* WORD: the words, in the order of the enum that they become: one|another */
  uint64_t min, max;
  const char *meaning;
} setting;

#define PROFILES "standard|aws-compat" /* mc_profile_name */
#define AT(member) offsetof(settings, member), sizeof(((settings *)0)->member)

static const setting table[] = {
    {"data", TEXT, AT(data), "motorcade-data", "folder", 0, 0, "where journal, store, keys and database live"},
    {"listen", TEXT, AT(listen), "127.0.0.1", "address", 0, 0, "address of the TLS ports; 0.0.0.0 or :: for all, after `motorcade init`"},
    {"names", TEXT, AT(names), "localhost,127.0.0.1,::1", "list", 0, 0,
     "host names and addresses of this server: init puts them in its certificate, http_port answers to them and to loopback names only"},
    {"http_port", U16, AT(http_port), "8080", "port", 0, 65535, "portal and API without TLS, always on loopback; 0 = off"},
    {"mqtt_port", U16, AT(mqtt_port), "8883", "port", 0, 65535, "MQTT over TLS, client certificate required; 0 = off"},
    {"tls_port", U16, AT(tls_port), "8443", "port", 0, 65535, "one TLS port for MQTT and HTTPS, told apart by ALPN; 0 = off"},
    {"dev_port", U16, AT(dev_port), "1883", "port", 1, 65535, "plain MQTT on loopback, only with insecure_dev"},
    {"insecure_dev", FLAG, AT(insecure_dev), "false", "", 0, 0, "open dev_port: no certificate, every topic, loopback only"},
    {"client_ca", TEXT, AT(client_ca), "", "file", 0, 0,
     "PEM certificates of further authorities whose device certificates may be registered; empty = our own only"},
    {"crl_file", TEXT, AT(crl_file), "", "file", 0, 0,
     "revocation lists of client authorities, PEM or DER; read again when the file changes; empty = none"},
    {"crl_required", FLAG, AT(crl_required), "false", "", 0, 0,
     "refuse certificates whose authority has no current list in crl_file; false = an old list stays in use, with a warning"},
    {"ocsp_staple", TEXT, AT(ocsp_staple), "", "file", 0, 0,
     "OCSP answer (DER) about the server's certificate that handshakes carry; read again when the file changes; empty = none"},
    {"ocsp_fetch", FLAG, AT(ocsp_fetch), "false", "", 0, 0,
     "fetch that answer from the responder named in the server's certificate, over HTTP"},
    {"tls_handshakes", U32, AT(tls_handshakes), "256", "connections", 1, 65536, "TLS handshakes in progress on each loop; others wait in the order they came"},
    {"tls_waiting", U32, AT(tls_waiting), "16384", "connections", 1, 1000000, "connections on each loop that wait for their handshake; more stay with the kernel"},
    {"tls_handshake_ms", U32, AT(tls_handshake_ms), "10000", "ms", 100, 600000, "longest time for a TLS greeting, and again for the handshake after it; no byte lengthens it"},
    {"connect_ms", U32, AT(connect_ms), "10000", "ms", 100, 600000, "longest time from connecting to a whole MQTT CONNECT; no byte lengthens it"},
    {"source_connections", U32, AT(source_connections), "0", "connections", 0, 10000000, "open connections of one address (IPv6: of one /64); 0 = any number"},
    {"source_unfinished", U32, AT(source_unfinished), "0", "connections", 0, 10000000, "of these, those that are not through their TLS handshake; 0 = any number"},
    {"source_per_s", U32, AT(source_per_s), "0", "connections/s", 0, 1000000, "new connections of one address, with bursts of twice that; 0 = any number"},
    {"mqtt_profile", WORD, AT(mqtt_profile), "standard", PROFILES, 0, 0, "how mqtt_port behaves: MQTT to the letter, or as AWS IoT Core; a thing group may say otherwise"},
    {"tls_profile", WORD, AT(tls_profile), "standard", PROFILES, 0, 0, "the same for tls_port: MQTT, MQTT over WebSocket and POST /topics"},
    {"dev_profile", WORD, AT(dev_profile), "standard", PROFILES, 0, 0, "the same for dev_port"},
    {"loops", U32, AT(loops), "0", "threads", 0, 64, "event loops; 0 = one a processor"},
    {"portal", TEXT, AT(portal), "", "folder", 0, 0, "built portal; empty = portal/dist beside the program"},
    {"osm", TEXT, AT(osm), "", "file", 0, 0, "OSM PBF extract for the base map; empty = the made town"},
    {"log_level", TEXT, AT(log_level), "info", "", 0, 0, "debug, info, warn, error or off"},
    {"log_format", TEXT, AT(log_format), "text", "", 0, 0, "text or json"},
    {"share_choice", WORD, AT(share_choice), "fair", "fair|least_loaded", 0, 0,
     "member of a shared subscription that gets a message: the next in turn, or the one with the least in flight and waiting"},
    {"topic_aliases_out", U16, AT(topic_aliases_out), "16", "aliases", 0, 64,
     "topic aliases used towards one MQTT 5 client that takes some; 0 = none"},
    {"pressure_window_ms", U32, AT(pressure_window_ms), "250", "ms", 1, 3600000, "a record waits so long for the disk: clients' windows shrink, new CONNACKs carry a smaller Receive Maximum"},
    {"pressure_delay_ms", U32, AT(pressure_delay_ms), "1000", "ms", 1, 3600000, "... each client may have one publish under way; POST /topics gets 503"},
    {"pressure_refuse_ms", U32, AT(pressure_refuse_ms), "10000", "ms", 1, 3600000, "... publishes of version 5 are refused with 0x97; 3.1.1 is not read"},
    {"pressure_close_ms", U32, AT(pressure_close_ms), "20000", "ms", 1, 3600000, "3.1.1 clients, which cannot be refused, are closed when they waited so long meanwhile"},
    {"pressure_window_min", U32, AT(pressure_window_min), "16", "messages", 1, 65535, "windows do not shrink below this"},
    {"pressure_free_mb", U32, AT(pressure_free_mb), "512", "MiB", 0, UINT32_MAX,
     "room left for a journal that has to grow: windows shrink below this, delay below half of it, 0x97 below a quarter; 0 = at once, when the disk is full"},
    {"session_hold_mb", U32, AT(session_hold_mb), "0", "MiB", 0, UINT32_MAX,
     "journal that one session's queue may hold back; beyond it its oldest messages are given up, counted and told; 0 = any, until the disk is full"},
    {"tenant_publishes_per_s", U32, AT(tenant_publishes_per_s), "0", "messages/s", 0, 1u << 30, "publishes of all clients of a tenant together; beyond it they wait; 0 = no limit"},
    {"tenant_bytes_per_s", U32, AT(tenant_bytes_per_s), "0", "bytes/s", 0, UINT32_MAX, "bytes of all clients of a tenant together; beyond it they wait; 0 = no limit"},
    {"tenant_connects_per_s", U32, AT(tenant_connects_per_s), "0", "connects/s", 0, 1u << 30, "CONNECT of all clients of a tenant together; beyond it 0x97; 0 = no limit"},
    {"journal_group_wait_us", U32, AT(journal_group_wait_us), "100", "us", 0, 1000000, "longest wait of a group commit for more records"},
    {"journal_checkin_wait_us", U32, AT(journal_checkin_wait_us), "50000", "us", 0, 1000000, "longest wait of a group commit while nothing but check-ins and answers to commands waits"},
    {"journal_io", WORD, AT(journal_io), "auto", "auto|plain|uring", 0, 0,
     "how the journal writes: auto = what was measured to be quicker (plain calls); uring = io_uring where the kernel permits it, else plain calls, with a warning"},
    {"journal_retain_mb", U64, AT(journal_retain_mb), "8192", "MiB", 0, 1u << 30,
     "journal kept when every consumer has passed it; 0 = all"},
    {"journal_retain_days", U32, AT(journal_retain_days), "0", "days", 0, 36500, "age at which the journal forgets, likewise; 0 = no bound by age"},
    {"journal_audit_days", U32, AT(journal_audit_days), "0", "days", 0, 36500, "audit records stay so long, whatever the journal forgets; 0 = no longer"},
    {"store_memory_mb", U32, AT(store_memory_mb), "64", "MiB", 1, 65536, "samples in memory before segments are written"},
    {"store_flush_s", U32, AT(store_flush_s), "300", "s", 1, 86400, "longest time a sample waits for its segment"},
    {"store_retain_days", U32, AT(store_retain_days), "0", "days", 0, 36500, "history kept; 0 = all"},
    {"shadow_history", U32, AT(shadow_history), "100", "changes", 1, 100000, "changes that are kept of each device shadow"},
    {"master_key", TEXT, AT(master_key), "", "source", 0, 0,
     "enciphers the journal: file:PATH, env:NAME, credential:NAME or pkcs11:URI; empty = off. Lost, what was enciphered is lost"},
    {"subject_keys", FLAG, AT(subject_keys), "false", "", 0, 0, "with master_key: every vehicle has a key of its own, so that erasing it is destroying its key"},
    {"policy_versions", U32, AT(policy_versions), "20", "versions", 1, 1000, "of one policy of devices; AWS has 5"},
    {"policy_document_characters", U32, AT(policy_document_characters), "65536", "characters", 256, 1000000, "of one policy document, without white space; AWS has 2048"},
    {"policies_attached", U32, AT(policies_attached), "20", "policies", 1, 30, "attached to one certificate or thing group; AWS has 10"},
    {"aws_body_mb", U32, AT(aws_body_mb), "300", "MiB", 1, 4000, "largest request to /aws that names a known access key: DBC files travel in base64; others 1 MiB"},
    {"objects", TEXT, AT(objects), "", "folder or URL", 0, 0, "what holds buckets of campaigns: a folder, or the S3 at http(s)://HOST[:PORT]; empty = objects in the data folder"},
    {"objects_region", TEXT, AT(objects_region), "us-east-1", "", 0, 0, "region that requests to that S3 are signed for"},
    {"objects_key", TEXT, AT(objects_key), "", "", 0, 0, "access key for that S3"},
    {"objects_secret", TEXT, AT(objects_secret), "", "source", 0, 0, "its secret: file:PATH or env:NAME"},
    {"objects_virtual_host", FLAG, AT(objects_virtual_host), "false", "", 0, 0, "address that S3 as BUCKET.HOST instead of HOST/BUCKET"},
    {"objects_ca", TEXT, AT(objects_ca), "", "file", 0, 0, "PEM certificates of authorities trusted for that S3; empty = the system's"},
    {"delivery_s", U32, AT(delivery_s), "60", "s", 1, 3600, "longest time that rows for a campaign's S3 destination wait for their file"},
    {"delivery_outbox_mb", U64, AT(delivery_outbox_mb), "1024", "MiB", 1, 1u << 20, "files waiting for an object store; beyond it data out stops reading and the journal keeps it"},
    {"duckdb", TEXT, AT(duckdb), "", "file", 0, 0, "DuckDB's library, for Parquet files; empty = the one of `make duckdb` beside the program, if it is there"},
    {"price_currency", TEXT, AT(price_currency), "USD", "", 0, 0, "money that the two prices below are in"},
    {"price_gb", U32, AT(price_gb), "0", "hundredths", 0, UINT32_MAX, "what a gigabyte from vehicles costs, for the costs and dry runs of campaigns; 0 = nothing"},
    {"price_million_messages", U32, AT(price_million_messages), "0", "hundredths", 0, UINT32_MAX, "what a million messages from vehicles cost, likewise"},
    {"metrics_open", FLAG, AT(metrics_open), "false", "", 0, 0, "/metrics without sign-in for loopback clients"},
};
enum { OWN = sizeof table / sizeof table[0] };

/* Each row of each profile is a setting, too: <profile>_<key>; so is each limit of the FleetWise operations: fleetwise_<key>. */
static size_t profiles_end(void) { return OWN + MC_PROFILES * mc_profile_rows(); }
static size_t count(void) { return profiles_end() + mc_control_limit_count(); }

typedef struct row_setting {
  char key[64], value[24], meaning[160];
} row_setting;

static setting limit_at(size_t i, row_setting *text)
{
  mc_control_limit l = mc_control_limit_at(i);
  snprintf(text->key, sizeof text->key, "fleetwise_%s", l.key);
  snprintf(text->value, sizeof text->value, "%" PRIu64, l.ours);
  if (l.aws)
    snprintf(text->meaning, sizeof text->meaning, "FleetWise operations: %s (AWS: %" PRIu64 ")", l.meaning, l.aws);
  else
    snprintf(text->meaning, sizeof text->meaning, "FleetWise operations: %s", l.meaning);
  return (setting){text->key, U64, offsetof(settings, fleetwise) + i * sizeof(uint64_t), sizeof(uint64_t), text->value, l.unit, l.least, l.most, text->meaning};
}

static setting at_index(size_t i, row_setting *text)
{
  if (i < OWN)
    return table[i];
  if (i >= profiles_end())
    return limit_at(i - profiles_end(), text);
  mc_profile_name profile = (mc_profile_name)((i - OWN) / mc_profile_rows());
  const mc_profile_row *row = mc_profile_row_at((i - OWN) % mc_profile_rows());
  bool flag = row->kind == MC_PROFILE_FLAG;
  snprintf(text->key, sizeof text->key, "%s_%s", mc_profile_text(profile), row->key);
  for (char *c = text->key; *c; c++)
    *c = *c == '-' ? '_' : *c;
  if (flag)
    snprintf(text->value, sizeof text->value, "%s", row->value[profile] ? "true" : "false");
  else
    snprintf(text->value, sizeof text->value, "%" PRIu32, row->value[profile]);
  return (setting){text->key, flag ? FLAG32 : U32, offsetof(settings, profile) + (size_t)profile * sizeof(mc_profile) + row->at, sizeof(uint32_t),
                   text->value, row->unit, row->min, row->max, row->meaning};
}

/* The word with that number; empty: there are fewer. */
static mc_slice word_at(mc_slice words, uint32_t number)
{
  size_t begin = 0, end = mc_slice_find(words, '|', 0);
  for (; number && begin < words.len; number--) {
    begin = end + 1;
    end = mc_slice_find(words, '|', begin);
  }
  return mc_slice_sub(words, begin, end - begin);
}

static mc_err set_word(const setting *t, uint32_t *at, mc_slice value, mc_why *why)
{
  mc_slice word;
  for (uint32_t i = 0; (word = word_at(mc_slice_str(t->unit), i)).len; i++)
    if (mc_slice_eq(word, value)) {
      *at = i;
      return MC_OK;
    }
  return mc_err_set(why, MC_ERR_INVALID, "setting %s: expected one of %s, found \"%.*s\"", t->key, t->unit, MC_FMT(value));
}

static mc_err set_one(settings *s, const setting *t, mc_slice value, mc_why *why)
{
  char *at = (char *)s + t->at;
  if (t->kind == TEXT) {
    if (!mc_slice_to_str(value, at, t->size))
      return mc_err_set(why, MC_ERR_TOO_LARGE, "setting %s: at most %zu characters", t->key, t->size - 1);
    return MC_OK;
  }
  if (t->kind == FLAG || t->kind == FLAG32) {
    bool yes = mc_slice_eq_str(value, "true") || mc_slice_eq_str(value, "yes") || mc_slice_eq_str(value, "1");
    if (!yes && !mc_slice_eq_str(value, "false") && !mc_slice_eq_str(value, "no") && !mc_slice_eq_str(value, "0"))
      return mc_err_set(why, MC_ERR_INVALID, "setting %s: expected true or false, found \"%.*s\"", t->key, MC_FMT(value));
    if (t->kind == FLAG)
      *(bool *)at = yes;
    else
      *(uint32_t *)at = yes;
    return MC_OK;
  }
  if (t->kind == WORD)
    return set_word(t, (uint32_t *)at, value, why);
  uint64_t v;
  if (mc_slice_to_u64(value, &v) || v < t->min || v > t->max)
    return mc_err_set(why, MC_ERR_INVALID, "setting %s: expected a whole number from %" PRIu64 " to %" PRIu64 "%s%s, found \"%.*s\"",
                      t->key, t->min, t->max, *t->unit ? " " : "", t->unit, MC_FMT(value));
  if (t->kind == U16)
    *(uint16_t *)at = (uint16_t)v;
  else if (t->kind == U32)
    *(uint32_t *)at = (uint32_t)v;
  else
    *(uint64_t *)at = v;
  return MC_OK;
}

void settings_default(settings *s)
{
  memset(s, 0, sizeof *s);
  for (size_t i = 0; i < count(); i++) {
    row_setting text;
    setting t = at_index(i, &text);
    set_one(s, &t, mc_slice_str(t.value), NULL);
  }
}

static bool find(mc_slice key, setting *out, row_setting *text)
{
  for (size_t i = 0; i < count(); i++) {
    *out = at_index(i, text);
    if (mc_slice_eq_str(key, out->key))
      return true;
  }
  return false;
}

mc_err settings_set(settings *s, mc_slice key, mc_slice value, mc_why *why)
{
  setting t;
  row_setting text;
  if (!find(key, &t, &text))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no setting \"%.*s\"; `motorcade config` lists them", MC_FMT(key));
  return set_one(s, &t, value, why);
}

mc_err settings_read(settings *s, mc_why *why)
{
  char path[600];
  snprintf(path, sizeof path, "%s/motorcade.conf", s->data);
  mc_buf text = {0};
  mc_err err = mc_fs_read(mc_fs_posix(), path, 1 << 20, &text, why);
  if (err == MC_ERR_NOT_FOUND)
    return MC_OK;
  mc_slice rest = mc_buf_slice(&text);
  for (int number = 1; !err && rest.len; number++) {
    size_t end = mc_slice_find(rest, '\n', 0);
    mc_slice line = mc_slice_trim(mc_slice_sub(rest, 0, end));
    rest = mc_slice_sub(rest, end + 1, rest.len);
    if (!line.len || line.data[0] == '#')
      continue;
    size_t equals = mc_slice_find(line, '=', 0);
    if (equals == line.len)
      err = mc_err_set(why, MC_ERR_MALFORMED, "expected `key = value`, found \"%.*s\"", MC_FMT(mc_slice_sub(line, 0, 60)));
    else
      err = settings_set(s, mc_slice_trim(mc_slice_sub(line, 0, equals)), mc_slice_trim(mc_slice_sub(line, equals + 1, line.len)), why);
    if (err)
      mc_err_prefix(why, "%s:%d", path, number);
  }
  mc_buf_free(&text);
  return err;
}

void settings_print(const settings *s)
{
  for (size_t i = 0; i < count(); i++) {
    row_setting text;
    setting is = at_index(i, &text);
    const setting *t = &is;
    const char *at = (const char *)s + t->at;
    printf("# %s%s%s%s. Default: %s\n", t->meaning, *t->unit ? " [" : "", t->unit, *t->unit ? "]" : "", *t->value ? t->value : "(empty)");
    if (t->kind == TEXT)
      printf("%s = %s\n\n", t->key, at);
    else if (t->kind == FLAG)
      printf("%s = %s\n\n", t->key, *(const bool *)at ? "true" : "false");
    else if (t->kind == FLAG32)
      printf("%s = %s\n\n", t->key, *(const uint32_t *)at ? "true" : "false");
    else if (t->kind == WORD)
      printf("%s = %.*s\n\n", t->key, MC_FMT(word_at(mc_slice_str(t->unit), *(const uint32_t *)at)));
    else
      printf("%s = %" PRIu64 "\n\n", t->key,
             t->kind == U16   ? *(const uint16_t *)at
             : t->kind == U32 ? *(const uint32_t *)at
                              : *(const uint64_t *)at);
  }
}

int settings_take_args(settings *s, int argc, char **argv, mc_why *why)
{
  int kept = 0;
  for (int i = 0; i < argc; i++) {
    char key[64];
    if (strncmp(argv[i], "--", 2) != 0 || strlen(argv[i]) - 2 >= sizeof key) {
      argv[kept++] = argv[i];
      continue;
    }
    snprintf(key, sizeof key, "%s", argv[i] + 2);
    for (char *c = key; *c; c++)
      if (*c == '-')
        *c = '_';
    setting found;
    const setting *t = &found;
    row_setting text;
    if (!find(mc_slice_str(key), &found, &text)) {
      argv[kept++] = argv[i];
      continue;
    }
    if ((t->kind == FLAG || t->kind == FLAG32) && (i + 1 == argc || strncmp(argv[i + 1], "--", 2) == 0)) {
      set_one(s, t, MC_LIT("true"), why);
      continue;
    }
    if (i + 1 == argc) {
      mc_err_set(why, MC_ERR_INVALID, "%s needs a value: %s", argv[i], t->meaning);
      return -1;
    }
    if (set_one(s, t, mc_slice_str(argv[++i]), why))
      return -1;
  }
  return kept;
}
