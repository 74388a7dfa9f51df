/* motorcade-sim: what the command line says. */
#ifndef MOTORCADE_SIM_OPTIONS_H
#define MOTORCADE_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

extern const char sim_options_usage[];

typedef struct sim_options {
  char host[256];
  uint16_t port;
  const char *credentials, *osm, *data, *candump, *export_dir;
  bool plain, list, json;
  uint32_t vehicles;
  uint64_t seed, seconds;
  double time_scale, frame_rate;
} sim_options;

/* Defaults, then the arguments; strings are borrowed from argv. Errors say option, value and what is allowed. */
mc_err sim_options_read(sim_options *o, int argc, char **argv, mc_why *why);

#endif
