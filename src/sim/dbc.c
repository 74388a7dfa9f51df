/* Our DBC files and their maps to VSS names, carried in the program. The include path of the assembler is the source tree. */
#include "sim/sim.h"

#define EMBED(name, file)                       \
  __asm__(".section .rodata\n"                  \
          ".balign 16\n" #name ":\n"            \
          ".incbin \"" file "\"\n" #name "_end:\n" \
          ".byte 0\n"                           \
          ".previous\n");                       \
  extern const uint8_t name[] __asm__(#name);   \
  extern const uint8_t name##_end[] __asm__(#name "_end")

EMBED(sim_town_car_dbc, "sim/dbc/town_car.dbc");
EMBED(sim_electric_car_dbc, "sim/dbc/electric_car.dbc");
EMBED(sim_heavy_truck_dbc, "sim/dbc/heavy_truck.dbc");
EMBED(sim_town_car_map, "sim/dbc/town_car.json");
EMBED(sim_electric_car_map, "sim/dbc/electric_car.json");
EMBED(sim_heavy_truck_map, "sim/dbc/heavy_truck.json");

const char *mc_sim_kind_name(mc_sim_kind kind)
{
  static const char *const names[MC_SIM_KINDS] = {"town_car", "electric_car", "heavy_truck"};
  return (unsigned)kind < MC_SIM_KINDS ? names[kind] : "";
}

static mc_slice between(const uint8_t *first, const uint8_t *end)
{
  return mc_slice_of(first, (size_t)(end - first));
}

mc_slice mc_sim_dbc(mc_sim_kind kind)
{
  switch (kind) {
  case MC_SIM_CAR: return between(sim_town_car_dbc, sim_town_car_dbc_end);
  case MC_SIM_ELECTRIC: return between(sim_electric_car_dbc, sim_electric_car_dbc_end);
  case MC_SIM_TRUCK: return between(sim_heavy_truck_dbc, sim_heavy_truck_dbc_end);
  default: return (mc_slice){0};
  }
}

mc_slice mc_sim_signal_map(mc_sim_kind kind)
{
  switch (kind) {
  case MC_SIM_CAR: return between(sim_town_car_map, sim_town_car_map_end);
  case MC_SIM_ELECTRIC: return between(sim_electric_car_map, sim_electric_car_map_end);
  case MC_SIM_TRUCK: return between(sim_heavy_truck_map, sim_heavy_truck_map_end);
  default: return (mc_slice){0};
  }
}
