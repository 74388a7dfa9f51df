/* Well-known meanings of fully qualified names (VSS 3 to 7, and the names that the model 3 map and our demo use). */
#include "signal/signal.h"

static const struct { const char *fqn; mc_role role; } roles[] = {
    {"Vehicle.CurrentLocation.Latitude", MC_ROLE_LATITUDE},
    {"Vehicle.CurrentLocation.Longitude", MC_ROLE_LONGITUDE},
    {"Vehicle.CurrentLocation.Heading", MC_ROLE_HEADING},
    {"Vehicle.CurrentLocation.Altitude", MC_ROLE_ALTITUDE},
    {"Vehicle.Speed", MC_ROLE_SPEED},
    {"Vehicle.TraveledDistance", MC_ROLE_ODOMETER},
    {"Vehicle.TravelledDistance", MC_ROLE_ODOMETER},
    {"Vehicle.LowVoltageSystemState", MC_ROLE_IGNITION},
    {"Vehicle.IsIgnitionOn", MC_ROLE_IGNITION},
    {"Vehicle.Ignition", MC_ROLE_IGNITION},
    {"Vehicle.Powertrain.FuelSystem.RelativeLevel", MC_ROLE_FUEL_LEVEL},
    {"Vehicle.Powertrain.FuelSystem.Level", MC_ROLE_FUEL_LEVEL}, /* VSS 2 and 3: percent */
    {"Vehicle.Powertrain.TractionBattery.StateOfCharge.Displayed", MC_ROLE_STATE_OF_CHARGE},
    {"Vehicle.Powertrain.TractionBattery.StateOfCharge.Current", MC_ROLE_STATE_OF_CHARGE},
    {"Vehicle.Powertrain.CombustionEngine.Speed", MC_ROLE_ENGINE_SPEED},
    {"Vehicle.Powertrain.CombustionEngine.Engine.Speed", MC_ROLE_ENGINE_SPEED},
};

mc_role mc_role_of_fqn(mc_slice fqn)
{
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
    if (mc_slice_eq_str(fqn, roles[i].fqn))
      return roles[i].role;
  return MC_ROLE_NONE;
}
