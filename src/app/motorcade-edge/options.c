#include "options.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum kind { TEXT, PATH, NUMBER, REAL, FLAG, SHOW /* a flag of the command line only */, LEVEL, FORMAT, ENDPOINT, CONFIG } kind;

static const struct option {
  const char *name, *argument;
  kind kind;
  size_t at;
  double min, max;
  const char *help;
} options[] = {
    {"config", "FILE", CONFIG, 0, 0, 0, "JSON file: keys below with _ for -, or AWS FleetWise Edge's own keys"},
    {"endpoint", "HOST:PORT", ENDPOINT, 0, 0, 0, "the platform; port 8883 when left out"},
    {"name", "NAME", TEXT, offsetof(edge_options, name), 0, 0, "vehicle: thing name and MQTT client id"},
    {"cert", "FILE", PATH, offsetof(edge_options, cert), 0, 0, "client certificate, PEM"},
    {"key", "FILE", PATH, offsetof(edge_options, key), 0, 0, "its private key, PEM"},
    {"ca", "FILE", PATH, offsetof(edge_options, ca), 0, 0, "authority of the platform's certificate, PEM; the system's store when left out"},
    {"alpn", "NAME", TEXT, offsetof(edge_options, alpn), 0, 0, "ALPN name to offer; x-amzn-mqtt-ca for a shared TLS port, none for 8883"},
    {"plain", NULL, FLAG, offsetof(edge_options, plain), 0, 0, "no TLS; for a platform started with --insecure-dev only"},
    {"topic-prefix", "TEXT/", TEXT, offsetof(edge_options, topic_prefix), 0, 0, "default $aws/iotfleetwise/; cms/fleetwise/ is the other one in use"},
    {"commands-prefix", "TEXT/", TEXT, offsetof(edge_options, commands_prefix), 0, 0, "default $aws/commands/, or cms/commands/ beside a topic prefix that begins with cms/"},
    {"checkin-s", "SECONDS", NUMBER, offsetof(edge_options, checkin_s), 1, 86400, "check-in period, default 120"},
    {"keep-alive-s", "SECONDS", NUMBER, offsetof(edge_options, keep_alive_s), 1, 65535, "MQTT keep-alive, default 60"},
    {"data", "DIR", PATH, offsetof(edge_options, data_dir), 0, 0, "documents and stored events; without it nothing survives a restart"},
    {"spool-mib", "MIB", NUMBER, offsetof(edge_options, spool_mib), 1, 1048576, "room for stored events, default 64; the oldest go when it is full"},
    {"replay", "FILE", PATH, offsetof(edge_options, replay), 0, 0, "candump log (with messages of a middleware between its frames) or MDF4 file as the source"},
    {"speed", "X", REAL, offsetof(edge_options, speed), 0, 10000, "replay speed: 1 as recorded (default), 0 as fast as possible"},
    {"loop", NULL, FLAG, offsetof(edge_options, loop), 0, 0, "replay again and again"},
    {"keep-times", NULL, FLAG, offsetof(edge_options, keep_times), 0, 0, "replay with the recorded times instead of present ones"},
    {"bus", "URL", TEXT, offsetof(edge_options, bus), 0, 0, "user-space bus, e.g. udp://239.255.77.1:5577/?channel=0"},
    {"channel-map", "MAP", TEXT, offsetof(edge_options, channel_map), 0, 0,
     "channels to interfaces: \"9=can9:canmod_gps.dbc-100,*=can0\"; default *=can0"},
    {"log-level", "LEVEL", LEVEL, 0, 0, 0, "debug, info (default), warn, error or off"},
    {"log", "FORMAT", FORMAT, 0, 0, 0, "text (default) or json"},
    {"version", NULL, SHOW, offsetof(edge_options, version), 0, 0, "print the version and end"},
    {"help", NULL, SHOW, offsetof(edge_options, help), 0, 0, "print this text and end"},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

void edge_options_help(void)
{
  printf("motorcade-edge: the vehicle agent. Selects signals as campaigns ask, stores them, and sends them to the platform.\n\n"
         "usage: motorcade-edge --endpoint HOST:PORT --name NAME --cert FILE --key FILE --ca FILE [--replay FILE | --bus URL] [options]\n"
         "       motorcade-edge --config FILE [options]\n\n");
  for (size_t i = 0; i < OPTIONS; i++) {
    char left[48];
    snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].argument ? " " : "", options[i].argument ? options[i].argument : "");
    printf("  %-26s %s\n", left, options[i].help);
  }
  printf("\nA truck's log against a local platform:\n"
         "  motorcade-edge --endpoint localhost:8883 --name truck-1 --cert truck-1.crt --key truck-1.key --ca ca.crt \\\n"
         "      --replay j1939_truck.mf4 --loop --channel-map \"9=can9:canmod_gps.dbc-100,*=can0:j1939_demo.dbc\" --data ./truck-1\n");
}

static mc_err set_endpoint(edge_options *o, const char *text, mc_why *why)
{
  mc_slice s = mc_slice_str(text), host = s;
  uint64_t port = 8883;
  size_t colon = s.len;
  if (s.len && s.data[0] == '[') { /* [2001:db8::1]:8883 */
    size_t close = mc_slice_find(s, ']', 0);
    host = mc_slice_sub(s, 1, close - 1);
    colon = close + 1 < s.len && s.data[close + 1] == ':' ? close + 1 : s.len;
  } else if (mc_slice_find(s, ':', 0) < s.len && mc_slice_find(s, ':', mc_slice_find(s, ':', 0) + 1) >= s.len) {
    colon = mc_slice_find(s, ':', 0);
    host = mc_slice_sub(s, 0, colon);
  }
  if (!host.len || (colon < s.len && (mc_slice_to_u64(mc_slice_sub(s, colon + 1, s.len), &port) || !port || port > 65535)))
    return mc_err_set(why, MC_ERR_INVALID, "--endpoint \"%.120s\": expected HOST or HOST:PORT, e.g. localhost:8883", text);
  o->host = mc_arena_str(&o->arena, host);
  o->port = (uint16_t)port;
  return o->host ? MC_OK : MC_ERR_MEMORY;
}

static mc_err set_number(edge_options *o, const struct option *k, const char *text, mc_why *why)
{
  double v;
  if (mc_slice_to_double(mc_slice_str(text), &v) || v < k->min || v > k->max || (k->kind == NUMBER && v != (double)(uint64_t)v))
    return mc_err_set(why, MC_ERR_INVALID, "--%s %.40s: a %snumber from %g to %g is needed", k->name, text, k->kind == NUMBER ? "whole " : "", k->min, k->max);
  void *to = (char *)o + k->at;
  if (k->kind == REAL)
    *(double *)to = v;
  else if (k->at == offsetof(edge_options, spool_mib))
    *(uint64_t *)to = (uint64_t)v;
  else
    *(uint32_t *)to = (uint32_t)v;
  return MC_OK;
}

static mc_err set_level(edge_options *o, const char *text, mc_why *why)
{
  static const char *const names[] = {"debug", "info", "warn", "error", "off"};
  for (int i = 0; i < 5; i++)
    if (strcmp(text, names[i]) == 0) {
      o->log_level = (mc_log_level)i;
      return MC_OK;
    }
  return mc_err_set(why, MC_ERR_INVALID, "--log-level %.40s: debug, info, warn, error and off are known", text);
}

static mc_err set(edge_options *o, const struct option *k, const char *text, mc_why *why)
{
  switch (k->kind) {
  case TEXT:
  case PATH:
    if (!*text)
      return mc_err_set(why, MC_ERR_INVALID, "--%s is empty: --%s %s", k->name, k->name, k->argument);
    *(const char **)((char *)o + k->at) = mc_arena_str(&o->arena, mc_slice_str(text));
    return MC_OK;
  case NUMBER:
  case REAL:
    return set_number(o, k, text, why);
  case FLAG:
  case SHOW:
    *(bool *)((char *)o + k->at) = true;
    return MC_OK;
  case LEVEL:
    return set_level(o, text, why);
  case FORMAT:
    if (strcmp(text, "json") != 0 && strcmp(text, "text") != 0)
      return mc_err_set(why, MC_ERR_INVALID, "--log %.40s: text and json are known", text);
    o->log_format = strcmp(text, "json") == 0 ? MC_LOG_JSON : MC_LOG_TEXT;
    return MC_OK;
  case ENDPOINT:
    return set_endpoint(o, text, why);
  case CONFIG:
    return edge_options_read_json(text, o, why);
  }
  return MC_OK;
}

static const struct option *find(const char *name, size_t len)
{
  for (size_t i = 0; i < OPTIONS; i++)
    if (strlen(options[i].name) == len && strncmp(options[i].name, name, len) == 0)
      return &options[i];
  return NULL;
}

edge_key edge_options_key(const char *name)
{
  const struct option *k = find(name, strlen(name));
  switch (k ? k->kind : CONFIG) {
  case CONFIG:
  case SHOW:
    return EDGE_KEY_UNKNOWN;
  case PATH:
    return EDGE_KEY_PATH;
  case NUMBER:
  case REAL:
    return EDGE_KEY_NUMBER;
  case FLAG:
    return EDGE_KEY_FLAG;
  default:
    return EDGE_KEY_TEXT;
  }
}

mc_err edge_options_set(edge_options *o, const char *name, const char *text, mc_why *why)
{
  return set(o, find(name, strlen(name)), text, why);
}

static mc_err walk(int argc, char **argv, bool config_pass, edge_options *o, mc_why *why)
{
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i];
    size_t len = strncmp(a, "--", 2) == 0 ? strcspn(a + 2, "=") : 0;
    const struct option *k = len ? find(a + 2, len) : strcmp(a, "-h") == 0 ? find("help", 4) : NULL;
    if (!k)
      return mc_err_set(why, MC_ERR_INVALID, "\"%.80s\" is not an option; motorcade-edge --help lists them", a);
    const char *value = len && a[2 + len] == '=' ? a + 3 + len : NULL;
    bool flag = k->kind == FLAG || k->kind == SHOW;
    if (flag && value)
      return mc_err_set(why, MC_ERR_INVALID, "--%s takes no value", k->name);
    if (!flag && !value && ++i < argc)
      value = argv[i];
    if (!flag && !value)
      return mc_err_set(why, MC_ERR_INVALID, "--%s needs a value: --%s %s", k->name, k->name, k->argument);
    if ((k->kind == CONFIG) == config_pass)
      MC_TRY(set(o, k, value ? value : "", why));
  }
  return MC_OK;
}

mc_err edge_options_read(int argc, char **argv, edge_options *o, mc_why *why)
{
  *o = (edge_options){.arena = MC_ARENA(8 << 20), .speed = 1, .log_level = MC_LOG_INFO};
  MC_TRY(walk(argc, argv, true, o, why)); /* the file first: flags win */
  MC_TRY(walk(argc, argv, false, o, why));
  if (o->help || o->version)
    return MC_OK;
  if (!o->host)
    return mc_err_set(why, MC_ERR_INVALID, "where is the platform? --endpoint HOST:PORT is needed (see --help)");
  if (!o->name)
    return mc_err_set(why, MC_ERR_INVALID, "which vehicle is this? --name NAME is needed (see --help)");
  if (o->plain && (o->cert || o->key || o->ca))
    return mc_err_set(why, MC_ERR_INVALID, "--plain and certificates exclude each other");
  if (o->replay && o->bus)
    return mc_err_set(why, MC_ERR_INVALID, "one source of frames: --replay or --bus");
  if (!o->plain && !o->cert_pem.len && (!o->cert || !o->key))
    return mc_err_set(why, MC_ERR_INVALID, "--cert and --key are needed: the platform knows a vehicle by its certificate");
  if (!o->channel_map)
    o->channel_map = "*=can0";
  return MC_OK;
}
