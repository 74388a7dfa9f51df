/* Everything that is not drive: position receiver, terrain, doors, lights, tyres, low voltage, trouble codes; and the values that
 * the bus carries. */
#include "sim/inside.h"

#define M_PER_DEG 111195.08

static double toward(double value, double goal, double dt, double seconds)
{
  return value + (goal - value) * (1 - exp(-dt / seconds));
}

/* Gentle hills, the same for every vehicle: neither the made town nor a road extract knows heights. */
static double height_at(double lon, double lat)
{
  double x = lon * M_PER_DEG * 0.7, y = lat * M_PER_DEG;
  return 34 + 11 * sin(x / 830 + 1.3) * cos(y / 1100) + 6 * sin(y / 470 + 0.4) + 4 * cos((x + y) / 390);
}

static mc_geo_point position(const sim_vehicle *v, double *heading)
{
  if (v->path.len < 2) {
    *heading = v->value[SIM_Heading];
    return v->place.point;
  }
  const sim_waypoint *a = &v->path.at[v->at], *b = a + 1;
  double k = b->s > a->s ? (v->s - a->s) / (b->s - a->s) : 0;
  k = k < 0 ? 0 : k > 1 ? 1 : k;
  *heading = a->heading;
  double right = (a->heading + 90) * M_PI / 180, lat = a->lat + (b->lat - a->lat) * k;
  double kerb = v->activity == MC_SIM_PARKED || v->activity == MC_SIM_STARTING || v->activity == MC_SIM_REFILLING ? 1.6 : 0;
  double offset = a->offset + kerb;
  return (mc_geo_point){a->lon + (b->lon - a->lon) * k + sin(right) * offset / (M_PER_DEG * cos(lat * M_PI / 180)), lat + cos(right) * offset / M_PER_DEG};
}

static void receive_position(sim_vehicle *v, double dt)
{
  double heading, *out = v->value;
  mc_geo_point p = position(v, &heading);
  v->gnss_x = toward(v->gnss_x, sim_uniform(&v->rng, -4, 4), dt, 25);
  v->gnss_y = toward(v->gnss_y, sim_uniform(&v->rng, -4, 4), dt, 25);
  double height = height_at(p.lon, p.lat);
  if (v->speed > 0.5)
    v->grade = toward(v->grade, fmax(-0.08, fmin(0.08, (height - v->altitude_m) / (v->speed * dt))), dt, 0.5);
  else
    v->grade = 0;
  v->altitude_m = height;
  out[SIM_Latitude] = p.lat + v->gnss_y / M_PER_DEG;
  out[SIM_Longitude] = p.lon + v->gnss_x / (M_PER_DEG * cos(p.lat * M_PI / 180));
  double turn = heading - out[SIM_Heading];
  turn = turn > 180 ? turn - 360 : turn < -180 ? turn + 360 : turn;
  double shown = out[SIM_Heading] + turn * (v->speed > 0.5 || v->trip_s < 1 ? 1 - exp(-dt / 0.35) : 0);
  shown = shown < 0 ? shown + 360 : shown >= 360 ? shown - 360 : shown;
  out[SIM_Heading] = fmin(shown, 359.99);
  out[SIM_Altitude] = height + v->gnss_y * 0.8;
  out[SIM_GnssFix] = 3;
  out[SIM_GnssSatellites] = 11 + (int)(v->gnss_x * 1.2);
  out[SIM_NavigationSpeed] = v->speed * 3.6;
}

static void people(sim_vehicle *v)
{
  double *out = v->value;
  bool starting = v->activity == MC_SIM_STARTING, moving = v->activity == MC_SIM_DRIVING || v->activity == MC_SIM_WAITING;
  bool just_parked = v->activity == MC_SIM_PARKED && v->awake_s > 1 && v->awake_s < 6;
  out[SIM_Ignition] = moving || starting ? 2 : v->activity == MC_SIM_REFILLING && v->model->kind == MC_SIM_ELECTRIC ? 1 : 0;
  out[SIM_DoorFrontLeftOpen] = (starting && v->timer_s > 2.5) || just_parked;
  out[SIM_DoorFrontRightOpen] = just_parked && v->trips % 3 == 0;
  out[SIM_TrunkOpen] = just_parked && v->trips % 4 == 1;
  out[SIM_DoorsLocked] = moving ? v->speed > 4 || out[SIM_DoorsLocked] > 0 : v->activity == MC_SIM_PARKED && v->awake_s <= 1;
  out[SIM_SeatBeltDriver] = moving || (starting && v->timer_s < 1.5);
  out[SIM_LowBeam] = moving || starting;
  out[SIM_TurnIndicator] = moving && v->turn > 9 ? 2 : moving && v->turn < -9 ? 1 : 0;
  out[SIM_ParkingBrake] = !moving;
  out[SIM_SelectorPosition] = moving ? 3 : 0;
  out[SIM_SelectedGear] = moving ? (v->gear ? v->gear : 1) : 0;
}

static void pedals(sim_vehicle *v)
{
  double *out = v->value, share = v->power_w / v->model->power_w;
  out[SIM_AcceleratorPosition] = share > 0 ? fmin(100, 100 * pow(share, 0.65)) : 0;
  bool braking = v->accel < -0.35 || (v->speed < 0.2 && v->activity == MC_SIM_WAITING);
  out[SIM_BrakeSwitch] = braking;
  out[SIM_BrakePosition] = braking ? fmin(100, v->speed < 0.2 ? 18 : 9 - v->accel * 14) : 0;
  /* bicycle model: yaw rate = speed / wheelbase * tan(road wheel angle) */
  double yaw = -v->turn * M_PI / 180;
  double wheel = v->speed > 1 ? atan(yaw * v->model->wheelbase_m / v->speed) : 0;
  out[SIM_SteeringAngle] = fmax(-560, fmin(560, wheel * 180 / M_PI * v->model->steering_ratio));
  out[SIM_LongitudinalAcceleration] = v->accel;
  out[SIM_VehicleSpeed] = v->speed * 3.6;
}

static void tyres(mc_sim *sim, sim_vehicle *v, double dt)
{
  v->tyre_c = toward(v->tyre_c, sim->ambient_c + 0.9 * v->speed, dt, 700);
  v->tyre_leak[v->leak_wheel] += v->leak_rate * dt / 3600;
  for (int i = 0; i < 4; i++) {
    double cold = fmax(40, v->model->tyre_kpa[i / 2] - v->tyre_leak[i]);
    if (cold < v->model->tyre_kpa[i / 2] * 0.72 && v->activity == MC_SIM_REFILLING)
      v->tyre_leak[i] = 0; /* pumped up at the station */
    v->value[SIM_TyrePressureFrontLeft + i] = (cold + 101.3) * (273 + v->tyre_c) / 293 - 101.3;
  }
  v->value[SIM_TyreTemperature] = v->tyre_c;
}

static void low_voltage(sim_vehicle *v, double dt)
{
  double *out = v->value;
  bool on = out[SIM_Ignition] >= 2, cranking = v->activity == MC_SIM_STARTING && v->timer_s < 0.6 && v->model->kind != MC_SIM_ELECTRIC;
  double goal = cranking ? 10.6 : on ? 14.15 - (v->trouble == 0x0562 || v->trouble == 168 ? 1.7 : 0) : 12.55;
  double scale = v->model->kind == MC_SIM_TRUCK ? 2 : 1;
  out[SIM_LowVoltage] = toward(out[SIM_LowVoltage], goal * scale, dt, cranking ? 0.2 : on ? 1.5 : 60);
  v->air_kpa += dt * (on && v->air_kpa < 980 ? 14 : 0) - (out[SIM_BrakeSwitch] > 0 && v->speed > 0.5 ? dt * 16 : 0);
  v->air_kpa = fmax(620, v->air_kpa);
  out[SIM_BrakeCircuit1Pressure] = v->air_kpa;
  out[SIM_BrakeCircuit2Pressure] = v->air_kpa - 15;
}

/* A code about every forty hours of driving; most go at the next service, that is, with time. */
static void trouble(sim_vehicle *v, double dt)
{
  static const uint16_t codes[MC_SIM_KINDS][6] = {
      {0x0128, 0x0171, 0x0301, 0x0420, 0x0442, 0x0562}, {0x0A80, 0x0A0D, 0x0AA6, 0x0562, 0x0C73, 0x4035}, {110, 97, 157, 3251, 1761, 168}};
  static const uint8_t modes[6] = {16, 15, 18, 0, 18, 4};
  if (v->activity == MC_SIM_DRIVING && sim_chance(&v->rng, dt / (v->trouble ? 20 * 3600.0 : 40 * 3600.0)))
    v->trouble = v->trouble ? 0 : codes[v->model->kind][(int)sim_uniform(&v->rng, 0, 6)];
  double *out = v->value;
  out[SIM_TroubleCode] = v->trouble;
  out[SIM_TroubleCodeCount] = v->trouble != 0;
  out[SIM_MalfunctionLamp] = v->trouble != 0;
  out[SIM_TroubleCodeFailureMode] = 0;
  for (int i = 0; i < 6; i++)
    if (v->trouble && codes[v->model->kind][i] == v->trouble)
      out[SIM_TroubleCodeFailureMode] = modes[i];
}

static void gauges(mc_sim *sim, sim_vehicle *v, double dt)
{
  double *out = v->value, per_l = sim_fuel_j_per_l(v->model);
  bool on = out[SIM_Ignition] >= 2;
  v->cabin_c = toward(v->cabin_c, on ? 21.5 : sim->ambient_c + 4, dt, on ? 260 : 1500);
  out[SIM_AmbientTemperature] = sim->ambient_c;
  out[SIM_CabinTemperature] = v->cabin_c;
  out[SIM_Odometer] = v->odometer_m / 1000;
  out[SIM_TripDistance] = v->trip_m / 1000;
  out[SIM_TripDuration] = v->trip_s;
  out[SIM_EngineHours] = v->hours;
  out[SIM_CombinationWeight] = v->mass_kg;
  out[SIM_CoolantTemperature] = v->coolant_c;
  out[SIM_OilTemperature] = v->oil_c;
  out[SIM_GearboxTemperature] = v->gearbox_c;
  out[SIM_MotorTemperature] = v->motor_c;
  out[SIM_InverterTemperature] = v->inverter_c;
  out[SIM_PackTemperature] = v->pack_c;
  out[SIM_PackTemperatureMax] = v->pack_c + 1.4;
  out[SIM_StateOfHealth] = v->health * 100;
  out[SIM_FuelLevel] = v->store_j / v->model->store_j * 100;
  out[SIM_FuelVolume] = v->store_j / per_l;
  /* Consumption since start, leaning on a usual value until some way is driven. */
  double usual = v->model->kind == MC_SIM_ELECTRIC ? 0.58e6 * v->model->drag_m2 + 0.2e6 : v->model->kind == MC_SIM_TRUCK ? 10e6 : 1.6e6 + v->model->drag_m2 * 0.8e6;
  double per_km = (v->trip_energy_j + usual * 6) / (v->trip_m / 1000 + 6);
  per_km = fmax(per_km, usual * 0.3);
  out[SIM_FuelConsumption] = fmin(100, per_km / per_l * 100);
  out[SIM_FuelRange] = v->store_j / per_km;
  out[SIM_EnergyConsumption] = fmin(200, per_km / 3.6e6 * 100);
  out[SIM_ElectricRange] = v->store_j / per_km;
}

void sim_body(mc_sim *sim, sim_vehicle *v, double dt)
{
  if (v->activity == MC_SIM_PARKED)
    v->awake_s -= dt;
  else
    v->awake_s = 12; /* control units stay awake for a while after the key is out */
  receive_position(v, dt);
  people(v);
  pedals(v);
  tyres(sim, v, dt);
  low_voltage(v, dt);
  trouble(v, dt);
  gauges(sim, v, dt);
}
