/* The commands of the program: each gets its own arguments (argv[0] is its name) and returns an exit code. */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include <stdbool.h>

#include "app/motorcade/option.h"
#include "app/motorcade/settings.h"

int command_serve(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_init(int argc, char **argv);
int command_config(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_tenant(int argc, char **argv);
int command_user(int argc, char **argv);
int command_client(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_service(int argc, char **argv);
int command_vehicle(int argc, char **argv);
int command_access_key(int argc, char **argv);
int command_group(int argc, char **argv);
int command_shadow(int argc, char **argv);
int command_policy(int argc, char **argv);
int command_fleet(int argc, char **argv);
int command_model(int argc, char **argv);
int command_decoder(int argc, char **argv);
int command_catalog(int argc, char **argv);
int command_campaign(int argc, char **argv);
int command_template(int argc, char **argv);
int command_fleetwise(int argc, char **argv);
int command_journal(int argc, char **argv);
int command_store(int argc, char **argv);
int command_key(int argc, char **argv);
int command_backup(int argc, char **argv);
int command_restore(int argc, char **argv);
int command_bench(int argc, char **argv);

/* ---- shared by commands ---- */
/* Settings for a command: defaults, <data>/motorcade.conf, then --key value pairs. Prints the problem; false on failure. */
bool command_settings(int *argc, char **argv, settings *s);
/* Prints "motorcade <what>: <text>" to stderr; returns 1. */
int command_fail(const char *what, const char *text);

/* init.c: makes keys, certificates and the first admin in a data folder. existing ones stay. *created tells. password: 24 characters of
 * room. */
mc_err init_data(const settings *s, const char *admin, char *password, size_t size, bool *created, mc_why *why);

#endif
