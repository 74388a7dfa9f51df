/* Forces, engine or motor, tank or battery, and what gets warm. Sources of the constants: textbook values (air 1.2 kg/m3,
 * g 9.81); efficiencies are those of ordinary machines, not of one in particular. */
#include "sim/inside.h"

static double toward(double value, double goal, double dt, double seconds)
{
  return value + (goal - value) * (1 - exp(-dt / seconds));
}

static double wheel_force(const sim_vehicle *v)
{
  const sim_model *m = v->model;
  double roll = v->speed > 0.05 ? m->rolling * v->mass_kg * 9.81 : 0;
  double rise = v->speed > 0.05 ? v->mass_kg * 9.81 * v->grade : 0;
  return v->mass_kg * 1.04 * v->accel + 0.6 * m->drag_m2 * v->speed * v->speed + roll + rise; /* 4 % for what rotates */
}

/* ---- combustion ---- */
static double rpm_in(const sim_model *m, double speed, int gear)
{
  return speed / (2 * M_PI * m->wheel_m) * 60 * m->gear[gear - 1] * m->final_drive;
}

/* Shifts when the engine leaves its comfortable range; not again within a second. */
static void shift(sim_vehicle *v, double load, double dt)
{
  const sim_model *m = v->model;
  v->since_shift_s += dt;
  if (v->gear < 1)
    v->gear = 1;
  if (v->since_shift_s < 0.9 && v->speed > 0.5)
    return;
  double up = m->best_rpm * (1.12 + 0.75 * load), down = m->best_rpm * (0.62 + 0.35 * load);
  int before = v->gear;
  if (v->gear < m->gears && rpm_in(m, v->speed, v->gear) > up)
    v->gear++;
  else if (v->gear > 1 && rpm_in(m, v->speed, v->gear) < down)
    v->gear--;
  while (v->gear > 1 && rpm_in(m, v->speed, v->gear) < m->idle_rpm * 1.05)
    v->gear--;
  if (v->gear != before)
    v->since_shift_s = 0;
}

static void combustion(mc_sim *sim, sim_vehicle *v, double dt)
{
  const sim_model *m = v->model;
  bool running = v->activity == MC_SIM_DRIVING || v->activity == MC_SIM_WAITING || v->activity == MC_SIM_STARTING;
  double *out = v->value;
  double aux = m->kind == MC_SIM_TRUCK ? 4500 : 1200; /* alternator, pumps, air conditioning */
  double shaft = fmax(0, v->power_w) / 0.92 + aux;
  double load = fmin(1, shaft / m->power_w);
  double fuel_w = 0, rpm = 0;
  if (running) {
    shift(v, load, dt);
    rpm = fmax(m->idle_rpm * (v->coolant_c < 40 ? 1.25 : 1), rpm_in(m, v->speed, v->gear));
    rpm = fmin(rpm, m->most_rpm);
    bool overrun = v->power_w < -800 && v->speed > 4;
    double friction = m->displacement_l * (m->kind == MC_SIM_TRUCK ? 1.25 : 1.55) * rpm; /* W that the engine itself takes */
    double best = m->kind == MC_SIM_TRUCK ? 0.46 : 0.375;
    fuel_w = overrun ? 0 : (shaft + friction) / best * (v->coolant_c < 50 ? 1.12 : 1);
    double spent = fmin(fuel_w * dt, v->store_j);
    v->store_j -= spent;
    v->energy_j += spent;
    v->trip_energy_j += spent;
    v->hours += dt / 3600;
  }
  double torque = rpm > 0 ? (v->power_w < -800 ? fmax(v->power_w, -0.12 * m->power_w) : shaft) / (rpm * 2 * M_PI / 60) : 0;
  double most_torque = m->power_w / (m->most_rpm * 0.62 * 2 * M_PI / 60);
  double per_l = sim_fuel_j_per_l(m);
  out[SIM_EngineSpeed] = rpm;
  out[SIM_EngineTorque] = torque;
  out[SIM_ActualEngineTorque] = fmax(-20, fmin(100, torque / most_torque * 100));
  out[SIM_EngineLoad] = running ? fmax(0, fmin(100, torque / most_torque * 100)) : 0;
  out[SIM_EngineFuelRate] = fuel_w / per_l * 3600;
  out[SIM_FuelEconomy] = fuel_w > 0 ? fmin(125, v->speed / (fuel_w / per_l) / 1000) : 125;
  out[SIM_CurrentGear] = v->speed > 0.3 ? v->gear : 0;
  double heat = fuel_w * 0.32;
  v->coolant_c += dt * (heat - 42 * (v->coolant_c - sim->ambient_c) - (v->coolant_c > 88 ? 5200 * (v->coolant_c - 88) : 0)) / (m->kind == MC_SIM_TRUCK ? 210e3 : 46e3);
  v->oil_c = toward(v->oil_c, running ? v->coolant_c + 6 + 14 * load : sim->ambient_c, dt, running ? 160 : 2400);
  v->gearbox_c = toward(v->gearbox_c, running ? sim->ambient_c + 45 + v->speed : sim->ambient_c, dt, 900);
  out[SIM_OilPressure] = running ? 120 + 320 * rpm / m->most_rpm * (1.25 - v->oil_c / 400) : 0;
  out[SIM_IntakeTemperature] = sim->ambient_c + (running ? 9 * exp(-v->speed / 12) + 3 : 0);
}

static void refuel(sim_vehicle *v, double dt)
{
  double litres = (v->model->kind == MC_SIM_TRUCK ? 1.6 : 0.55) * dt; /* a pump gives 35 to 100 litres a minute */
  double add = fmin(litres * sim_fuel_j_per_l(v->model), v->model->store_j - v->store_j);
  v->store_j += add;
  v->refilled_j += add;
}

/* ---- electric ---- */
static double open_circuit_v(const sim_vehicle *v)
{
  double soc = v->store_j / v->model->store_j;
  return v->model->pack_v * (0.865 + 0.20 * soc - 0.035 * exp(-18 * soc) + 0.02 * soc * soc);
}

/* Draws (or, negative, returns) watts at the battery's terminals for dt. */
static void flow(sim_vehicle *v, double watts, double dt)
{
  double open = open_circuit_v(v), r = v->model->pack_ohm;
  double root = open * open - 4 * r * watts;
  double amps = (open - sqrt(root > 0 ? root : 0)) / (2 * r);
  double inner = open * amps; /* what the cells give, losses included */
  double taken = inner * dt;
  if (taken > v->store_j)
    taken = v->store_j;
  if (v->store_j - taken > v->model->store_j)
    taken = v->store_j - v->model->store_j;
  v->store_j -= taken;
  if (v->activity == MC_SIM_REFILLING) {
    v->refilled_j -= taken;
  } else {
    v->energy_j += taken;
    v->trip_energy_j += taken;
  }
  v->pack_c += dt * (r * amps * amps - 11 * (v->pack_c - v->cabin_c) - (v->pack_c > 32 ? 320 * (v->pack_c - 32) : 0)) / (v->model->store_j / 3.6e6 * 7200);
  double *out = v->value;
  out[SIM_PackVoltage] = open - r * amps;
  out[SIM_PackCurrent] = amps;
  out[SIM_PackPower] = (open - r * amps) * amps / 1000;
}

static void electric(mc_sim *sim, sim_vehicle *v, double dt)
{
  const sim_model *m = v->model;
  bool on = v->activity == MC_SIM_DRIVING || v->activity == MC_SIM_WAITING || v->activity == MC_SIM_STARTING;
  double soc = v->store_j / m->store_j;
  double aux = on ? 450 + 60 * fabs(v->cabin_c - 21) : 0;
  double motor_w = 0, take_back = 0;
  if (on && v->power_w >= 0) {
    motor_w = v->power_w / 0.90;
  } else if (on && v->speed > 1.5) {
    double limit = fmin(0.45 * m->power_w, 60e3) * (soc > 0.95 ? fmax(0, (1 - soc) / 0.05) : 1);
    take_back = fmin(-v->power_w * 0.86, limit);
    motor_w = -take_back;
  }
  double *out = v->value;
  if (v->activity == MC_SIM_REFILLING && v->timer_s <= 0) {
    double taper = soc < 0.55 ? 1 : 1 - 0.62 * (soc - 0.55) / 0.25;
    double charge = m->charge_w * taper * (v->pack_c < 10 ? 0.6 : 1);
    flow(v, -charge, dt);
    out[SIM_ChargePower] = charge / 0.97 / 1000;
    out[SIM_ChargeState] = 2;
    out[SIM_ChargeTimeLeft] = fmin(65535, fmax(0, 0.8 * m->store_j - v->store_j) / (charge * 0.85));
  } else {
    flow(v, on ? motor_w + aux : 0, dt);
    out[SIM_ChargePower] = 0;
    out[SIM_ChargeState] = v->activity == MC_SIM_REFILLING ? 1 : 0;
    out[SIM_ChargeTimeLeft] = 0;
  }
  out[SIM_CableConnected] = v->activity == MC_SIM_REFILLING;
  double rpm = v->speed / (2 * M_PI * m->wheel_m) * 60 * m->final_drive;
  out[SIM_MotorSpeed] = rpm;
  out[SIM_MotorPower] = motor_w / 1000;
  out[SIM_MotorTorque] = rpm > 30 ? motor_w * (motor_w > 0 ? 0.93 : 1) / (rpm * 2 * M_PI / 60) : fmin(60, v->accel * v->mass_kg * m->wheel_m / m->final_drive);
  out[SIM_Regenerating] = take_back > 500;
  double loss = fabs(motor_w) * 0.07;
  v->motor_c += dt * (loss - 55 * (v->motor_c - sim->ambient_c)) / 28e3;
  v->inverter_c += dt * (loss * 0.35 - 38 * (v->inverter_c - sim->ambient_c)) / 6e3;
  out[SIM_StateOfCharge] = fmin(100, v->store_j / m->store_j * 100);
  out[SIM_EnergyRemaining] = v->store_j / 3.6e6;
  double cell = out[SIM_PackVoltage] / m->pack_v * 3.65, spread = 0.004 + 0.02 * (1 - v->health);
  out[SIM_CellVoltageMax] = cell + spread / 2;
  out[SIM_CellVoltageMin] = cell - spread;
}

void sim_power(mc_sim *sim, sim_vehicle *v, double dt)
{
  v->power_w = v->speed > 0.01 ? wheel_force(v) * v->speed : 0;
  v->trip_s += v->activity == MC_SIM_PARKED || v->activity == MC_SIM_REFILLING ? 0 : dt;
  if (v->model->kind == MC_SIM_ELECTRIC) {
    electric(sim, v, dt);
    return;
  }
  combustion(sim, v, dt);
  if (v->activity == MC_SIM_REFILLING && v->timer_s <= 0)
    refuel(v, dt);
}
