#include "app/motorcade-sim/options.h"

#include <string.h>

#include "base/slice.h"

const char sim_options_usage[] =
    "motorcade-sim: simulated vehicles, each with the real agent\n"
    "\n"
    "usage: motorcade-sim --endpoint HOST:PORT --credentials DIR [options]\n"
    "       motorcade-sim --candump FILE [options]     frames of all vehicles as a candump log (\"-\": standard output), no network\n"
    "       motorcade-sim --list [options]             the vehicles as JSON\n"
    "       motorcade-sim --export DIR                 the three DBC files and their maps to VSS names\n"
    "\n"
    "  --endpoint HOST:PORT   the gateway (8883 or 8443 with TLS)\n"
    "  --credentials DIR      one sub folder a vehicle with cert.pem, key.pem and ca.pem, as `motorcade vehicle create --out` writes;\n"
    "                         the folder's name is the vehicle's name\n"
    "  --insecure-plain       plain MQTT without certificates (gateways in --insecure-dev only); names are the simulator's own\n"
    "  --vehicles N           how many (default: as many as there are credentials, else 10)\n"
    "  --osm FILE             drive in this OSM PBF extract (default: the made town)\n"
    "  --seed S               same seed, same fleet (default 1)\n"
    "  --time-scale X         simulated seconds per second, 1 to 3600 (default 1)\n"
    "  --frame-rate X         frames per DBC cycle, 0.01 to 10 (default 1)\n"
    "  --data DIR             keep documents and unsent data here (default: memory only)\n"
    "  --seconds N            stop after so long (default: until Ctrl-C)\n"
    "  --json                 end with one JSON object instead of a line for people\n";

typedef enum kind { TEXT, FLAG, WHOLE32, WHOLE64, REAL, ENDPOINT } kind;
static const struct option {
  const char *name;
  kind kind;
  size_t at;
  double low, high;
} table[] = {
    {"--endpoint", ENDPOINT, 0, 0, 0},
    {"--credentials", TEXT, offsetof(sim_options, credentials), 0, 0},
    {"--osm", TEXT, offsetof(sim_options, osm), 0, 0},
    {"--data", TEXT, offsetof(sim_options, data), 0, 0},
    {"--candump", TEXT, offsetof(sim_options, candump), 0, 0},
    {"--export", TEXT, offsetof(sim_options, export_dir), 0, 0},
    {"--insecure-plain", FLAG, offsetof(sim_options, plain), 0, 0},
    {"--list", FLAG, offsetof(sim_options, list), 0, 0},
    {"--json", FLAG, offsetof(sim_options, json), 0, 0},
    {"--vehicles", WHOLE32, offsetof(sim_options, vehicles), 1, 100000},
    {"--seed", WHOLE64, offsetof(sim_options, seed), 0, 9e15},
    {"--seconds", WHOLE64, offsetof(sim_options, seconds), 1, 1e9},
    {"--time-scale", REAL, offsetof(sim_options, time_scale), 0.01, 3600},
    {"--frame-rate", REAL, offsetof(sim_options, frame_rate), 0.01, 10},
};

static const struct option *find(const char *name)
{
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (!strcmp(name, table[i].name))
      return &table[i];
  return NULL;
}

static mc_err set_endpoint(sim_options *o, const char *text, mc_why *why)
{
  const char *colon = strrchr(text, ':');
  uint64_t port = 0;
  if (!colon || colon == text || (size_t)(colon - text) >= sizeof o->host || mc_slice_to_u64(mc_slice_str(colon + 1), &port) || port < 1 || port > 65535)
    return mc_err_set(why, MC_ERR_INVALID, "--endpoint %.300s: give host:port, for example gateway.example:8883", text);
  memcpy(o->host, text, (size_t)(colon - text));
  o->host[colon - text] = 0;
  o->port = (uint16_t)port;
  return MC_OK;
}

static mc_err set_number(sim_options *o, const struct option *t, const char *text, mc_why *why)
{
  double v = 0;
  bool whole = t->kind != REAL;
  if (mc_slice_to_double(mc_slice_str(text), &v) || v < t->low || v > t->high || (whole && v != (double)(uint64_t)v))
    return mc_err_set(why, MC_ERR_INVALID, "%s %.60s: give a %snumber from %g to %g", t->name, text, whole ? "whole " : "", t->low, t->high);
  void *to = (char *)o + t->at;
  if (t->kind == WHOLE32)
    *(uint32_t *)to = (uint32_t)v;
  else if (t->kind == WHOLE64)
    *(uint64_t *)to = (uint64_t)v;
  else
    *(double *)to = v;
  return MC_OK;
}

static mc_err set(sim_options *o, const struct option *t, const char *value, mc_why *why)
{
  if (t->kind == ENDPOINT)
    return set_endpoint(o, value, why);
  if (t->kind != TEXT)
    return set_number(o, t, value, why);
  *(const char **)((char *)o + t->at) = value;
  return MC_OK;
}

mc_err sim_options_read(sim_options *o, int argc, char **argv, mc_why *why)
{
  *o = (sim_options){.seed = 1, .time_scale = 1, .frame_rate = 1};
  for (int i = 1; i < argc; i++) {
    const struct option *t = find(argv[i]);
    if (!t)
      return mc_err_set(why, MC_ERR_INVALID, "do not know the option %.80s; --help lists them", argv[i]);
    if (t->kind == FLAG) {
      *(bool *)((char *)o + t->at) = true;
      continue;
    }
    if (++i == argc)
      return mc_err_set(why, MC_ERR_INVALID, "%s: its value is missing; --help lists the options", t->name);
    MC_TRY(set(o, t, argv[i], why));
  }
  if (o->export_dir || o->list || o->candump || (o->port && (o->credentials || o->plain)))
    return MC_OK;
  return mc_err_set(why, MC_ERR_INVALID, "give --endpoint and --credentials (or --candump, --list, --export); --help tells more");
}
