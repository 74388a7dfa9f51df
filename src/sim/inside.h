/* Insides of the simulator. Units: SI (m, s, kg, W, J, degrees Celsius) unless a name says otherwise. */
#ifndef MC_SIM_INSIDE_H
#define MC_SIM_INSIDE_H

#include <math.h>

#include "sim/sim.h"

/* Every signal of the three DBC files by name; the value is physical, in the DBC's unit. */
#define SIM_VALUES(X)                                                                                                              \
  X(AcceleratorPosition) X(ActualEngineTorque) X(Altitude) X(AmbientTemperature) X(BrakeCircuit1Pressure) X(BrakeCircuit2Pressure) \
  X(BrakePosition) X(BrakeSwitch) X(CabinTemperature) X(CableConnected) X(CellVoltageMax) X(CellVoltageMin) X(ChargePower)         \
  X(ChargeState) X(ChargeTimeLeft) X(CombinationWeight) X(CoolantTemperature) X(CurrentGear) X(DoorFrontLeftOpen)                  \
  X(DoorFrontRightOpen) X(DoorsLocked) X(ElectricRange) X(EnergyConsumption) X(EnergyRemaining) X(EngineFuelRate) X(EngineHours)   \
  X(EngineLoad) X(EngineSpeed) X(EngineTorque) X(FuelConsumption) X(FuelEconomy) X(FuelLevel) X(FuelRange) X(FuelVolume)           \
  X(GearboxTemperature) X(GnssFix) X(GnssSatellites) X(Heading) X(Ignition) X(IntakeTemperature) X(InverterTemperature)            \
  X(Latitude) X(Longitude) X(LongitudinalAcceleration) X(LowBeam) X(LowVoltage) X(MalfunctionLamp) X(MotorPower) X(MotorSpeed)     \
  X(MotorTemperature) X(MotorTorque) X(NavigationSpeed) X(Odometer) X(OilPressure) X(OilTemperature) X(PackCurrent) X(PackPower)   \
  X(PackTemperature) X(PackTemperatureMax) X(PackVoltage) X(ParkingBrake) X(Regenerating) X(SeatBeltDriver) X(SelectedGear)        \
  X(SelectorPosition) X(StateOfCharge) X(StateOfHealth) X(SteeringAngle) X(TripDistance) X(TripDuration) X(TroubleCode)            \
  X(TroubleCodeCount) X(TroubleCodeFailureMode) X(TrunkOpen) X(TurnIndicator) X(TyrePressureFrontLeft) X(TyrePressureFrontRight)   \
  X(TyrePressureRearLeft) X(TyrePressureRearRight) X(TyreTemperature) X(VehicleSpeed)

#define SIM_ENUM(name) SIM_##name,
typedef enum sim_value { SIM_VALUES(SIM_ENUM) SIM_VALUE_COUNT } sim_value;

/* ---- models ---- */
typedef struct sim_model {
  mc_sim_kind kind;
  const char *maker, *model;
  double mass_kg, payload_kg; /* empty; most it carries */
  double drag_m2;             /* drag coefficient times frontal area */
  double rolling;             /* rolling resistance coefficient */
  double power_w;             /* most the engine or motor gives */
  double wheel_m;             /* rolling radius */
  double accel_mps2, brake_mps2; /* what a calm driver uses */
  double top_mps;
  double store_j;    /* full tank (heating value) or battery (usable) */
  double final_drive;
  double gear[12];   /* ratios; electric: one */
  int gears;
  double idle_rpm, best_rpm, most_rpm;
  double displacement_l;
  double pack_v, pack_ohm; /* electric: nominal voltage, inner resistance */
  double charge_w;         /* most it charges with */
  double steering_ratio, wheelbase_m;
  double tyre_kpa[2];      /* front, rear, cold */
} sim_model;
const sim_model *sim_model_pick(mc_sim_kind kind, uint32_t number);
void sim_make_vin(const sim_model *m, uint16_t year, uint32_t number, char vin[18]);
#define SIM_PETROL_J_PER_L 32.0e6 /* lower heating values */
#define SIM_DIESEL_J_PER_L 35.8e6
static inline double sim_fuel_j_per_l(const sim_model *m) { return m->kind == MC_SIM_TRUCK ? SIM_DIESEL_J_PER_L : SIM_PETROL_J_PER_L; }

/* ---- a vehicle ---- */
typedef struct sim_rng {
  uint64_t state;
} sim_rng;
double sim_uniform(sim_rng *r, double low, double high);
static inline bool sim_chance(sim_rng *r, double p) { return sim_uniform(r, 0, 1) < p; }

typedef struct sim_waypoint { /* of the present route; at most 15 m apart */
  double lon, lat;
  float s;         /* m from the start */
  float limit;     /* m/s, posted */
  float allowed;   /* m/s, after bends and braking distances */
  float heading;   /* degrees, to the next one */
  float offset;    /* m to the right of the line that is drawn */
} sim_waypoint;

typedef struct sim_halt { /* a place on the route where one may have to stop */
  float s;
  uint32_t node;
  bool sign; /* a stop sign, else a traffic light */
  bool across; /* which of the light's two groups */
} sim_halt;

typedef struct sim_vehicle {
  mc_sim_vehicle_info info;
  const sim_model *model;
  sim_rng rng;
  /* driving */
  mc_sim_activity activity;
  MC_VEC(sim_waypoint) path;
  MC_VEC(sim_halt) halt;
  size_t at, next_halt; /* waypoint behind us; halt ahead */
  double s, speed, accel, grade;
  double timer_s;       /* until parked or starting or waiting is over */
  double eagerness;     /* 0.9..1: share of the limit this driver keeps; a few go to 1.1 */
  mc_geo_snap place, home;
  bool to_station;      /* on the way to fuel or charge */
  uint32_t trips;
  /* body */
  double mass_kg;
  double store_j, energy_j, refilled_j, trip_energy_j, trip_m, trip_s, driven_m, odometer_m;
  double coolant_c, oil_c, gearbox_c, motor_c, inverter_c, pack_c, cabin_c, tyre_c;
  double tyre_leak[4];  /* kPa lost */
  double leak_rate;     /* kPa per hour, on one tyre */
  int leak_wheel, gear;
  double since_shift_s, altitude_m, hours, health, air_kpa;
  double power_w;       /* at the wheels now */
  double gnss_x, gnss_y; /* error of the receiver, m */
  double awake_s;       /* the bus sleeps when this has run down */
  bool stopping_for_halt;
  double value[SIM_VALUE_COUNT];
  double pending_s;     /* simulated time not yet stepped */
  double turn;          /* degrees a second, for steering and indicators */
  uint16_t trouble;
  int64_t *due_us;      /* per message of its bus */
} sim_vehicle;

/* ---- buses: a DBC made ready for encoding ---- */
typedef struct sim_field {
  mc_can_signal signal;
  sim_value value;
} sim_field;

typedef struct sim_message {
  uint32_t id;
  uint8_t extended, len, fill; /* fill: what unused bits hold (J1939: ones) */
  uint32_t cycle_us;
  uint32_t first, count; /* into field */
} sim_message;

typedef struct sim_bus {
  mc_arena arena;
  mc_dbc dbc;
  MC_VEC(sim_message) message;
  MC_VEC(sim_field) field;
  bool has[SIM_VALUE_COUNT];
} sim_bus;
mc_err sim_bus_open(mc_sim_kind kind, sim_bus *out, mc_why *why);
void sim_bus_close(sim_bus *bus);
void sim_bus_encode(const sim_bus *bus, const sim_message *m, const double *value, mc_can_frame *out);
bool sim_value_find(mc_slice name, sim_value *out);

/* ---- the world ---- */
#define SIM_DEPOTS 16
#define SIM_STATIONS 14
struct mc_sim {
  mc_sim_config config;
  sim_bus bus[MC_SIM_KINDS];
  sim_vehicle *vehicle;
  mc_geo_router *router;
  mc_geo_route route; /* scratch */
  sim_rng rng;
  mc_geo_snap depot[SIM_DEPOTS], station[SIM_STATIONS];
  int64_t last_us;
  double clock_s;  /* simulated time since creation */
  double ambient_c;
  uint64_t frames;
  MC_VEC(mc_geo_point) shape; /* scratch */
};

#define SIM_STEP_S 0.1
mc_err sim_make_places(mc_sim *sim, mc_why *why);       /* trip.c */
mc_err sim_random_place(mc_sim *sim, sim_rng *r, bool wide_road, mc_geo_snap *out);
mc_err sim_begin_trip(mc_sim *sim, sim_vehicle *v);     /* chooses where to, and lays the path */
void sim_drive(mc_sim *sim, sim_vehicle *v, double dt); /* drive.c: one step of motion */
void sim_power(mc_sim *sim, sim_vehicle *v, double dt); /* power.c: engine, motor, store, temperatures */
void sim_body(mc_sim *sim, sim_vehicle *v, double dt);  /* body.c: doors, lights, tyres, codes; publishes values */

#endif
