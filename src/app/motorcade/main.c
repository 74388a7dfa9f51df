/* motorcade: one program, one command a task. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/command.h"

typedef struct command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *about;
} command;

static const command commands[] = {
    {"serve", command_serve, "run the platform"},
    {"demo", command_demo, "run the platform with a simulated fleet"},
    {"init", command_init, "make keys, certificates and the first admin in a data folder"},
    {"config", command_config, "print every setting with default, unit and meaning"},
    {"doctor", command_doctor, "look at a data folder and this machine, say what is wrong"},
    {"tenant", command_tenant, "list, create: whose vehicles and data stand apart from each other"},
    {"user", command_user, "list, create, reset: people who sign in"},
    {"client", command_client, "list, show, events: MQTT clients, and why they came and went"},
    {"trace", command_trace, "show messages live, by topic filter and client"},
    {"service", command_service, "list, create, password, disable, enable: MQTT clients that are no vehicles"},
    {"vehicle", command_vehicle, "list, create, show, set, latest, certificate, definition, define, delete: vehicles and their devices"},
    {"access-key", command_access_key, "list, create, revoke: keys that AWS SDKs and its command line sign with"},
    {"shadow", command_shadow, "list, get, set, update, delete, history: device shadows"},
    {"group", command_group, "list, create, add, remove: thing groups and their MQTT profile"},
    {"policy", command_policy, "list, create, create-vehicle, version, default, delete, attach, detach, explain: what devices may do"},
    {"fleet", command_fleet, "list, create, add, remove, delete: vehicles that are meant together"},
    {"catalog", command_catalog, "import, list, manifests, catalogs, create, nodes, update, delete: signal catalogs, and manifests from DBC files"},
    {"model", command_model, "list, create, show, update, delete: what of a catalog a kind of vehicle has"},
    {"decoder", command_decoder, "list, create, show, update, interfaces, delete: how signals are read from a vehicle's buses"},
    {"campaign", command_campaign, "list, create, show, approve, suspend, resume, end, delete, vehicles, of, cost, try: what vehicles send, and why not"},
    {"template", command_template, "list, create, give, take, activate, deactivate, fetch, of: what of a vehicle's state is known at once"},
    {"fleetwise", command_fleetwise, "import: what an AWS IoT FleetWise account holds, from the answers of its command line"},
    {"journal", command_journal, "tail, verify, stats, repair: the durable log"},
    {"store", command_store, "verify, stats: history segments"},
    {"key", command_key, "create, list, rewrap, check: keys of an enciphered data folder, receipts of erasures"},
    {"backup", command_backup, "copy the whole data folder while the platform runs"},
    {"restore", command_restore, "make a data folder out of a backup, as it was at a point in time"},
    {"bench", command_bench, "measure mqtt, ingest, edge, store, fleetwise or device beside peers found here"},
};
enum { COUNT = sizeof commands / sizeof commands[0] };

static int usage(FILE *out)
{
  fputs("motorcade: a self-hosted connected mobility platform\n\nusage: motorcade <command> [options]\n\n", out);
  for (int i = 0; i < COUNT; i++)
    fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].about);
  fputs("\n`motorcade <command> --help` tells more. `motorcade --version` prints the version.\n", out);
  return out == stdout ? 0 : 2;
}

int command_fail(const char *what, const char *text)
{
  fprintf(stderr, "motorcade %s: %s\n", what, text);
  return 1;
}

bool command_settings(int *argc, char **argv, settings *s)
{
  mc_why why = {0};
  settings_default(s);
  const char *data = getenv("MOTORCADE_DATA_DIR");
  if (data)
    snprintf(s->data, sizeof s->data, "%s", data);
  for (int i = 1; i + 1 < *argc; i++)
    if (strcmp(argv[i], "--data") == 0)
      snprintf(s->data, sizeof s->data, "%s", argv[i + 1]);
  int kept = settings_read(s, &why) ? -1 : settings_take_args(s, *argc, argv, &why);
  if (kept < 0) {
    command_fail(argv[0], why.text);
    return false;
  }
  *argc = kept;
  return true;
}

int command_config(int argc, char **argv)
{
  static const char usage_text[] =
      "usage: motorcade config [--data DIR] [--<setting> VALUE]...\n"
      "Prints every setting in the form of DIR/motorcade.conf: meaning, unit, default, and the value in force.\n";
  settings s;
  if (option_flag(&argc, argv, "--help") || option_flag(&argc, argv, "-h"))
    return fputs(usage_text, stdout), 0;
  if (!command_settings(&argc, argv, &s))
    return 1;
  if (option_left(argc, argv, usage_text))
    return 2;
  printf("# Settings of motorcade, as they are now for %s. Put changes into %s/motorcade.conf.\n\n", s.data, s.data);
  settings_print(&s);
  return 0;
}

int main(int argc, char **argv)
{
  signal(SIGPIPE, SIG_IGN);
  if (argc < 2)
    return usage(stderr);
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
    return usage(stdout);
  if (!strcmp(argv[1], "--version")) {
    puts("motorcade " MC_VERSION);
    return 0;
  }
  for (int i = 0; i < COUNT; i++)
    if (!strcmp(argv[1], commands[i].name))
      return commands[i].run(argc - 1, argv + 1);
  fprintf(stderr, "motorcade: there is no command \"%s\"\n\n", argv[1]);
  return usage(stderr);
}
