/* The vehicles of our makers (none of them exists) and their identification numbers. */
#include <stdio.h>

#include "sim/inside.h"

#define KWH 3.6e6

static const sim_model models[] = {
    {.kind = MC_SIM_CAR, .maker = "Merrow", .model = "Finch 1.2", .mass_kg = 1150, .payload_kg = 380, .drag_m2 = 0.60, .rolling = 0.0105,
     .power_w = 78e3, .wheel_m = 0.301, .accel_mps2 = 1.7, .brake_mps2 = 1.7, .top_mps = 48, .store_j = 42 * SIM_PETROL_J_PER_L,
     .final_drive = 4.05, .gear = {3.55, 1.95, 1.30, 0.95, 0.76}, .gears = 5, .idle_rpm = 800, .best_rpm = 2300, .most_rpm = 6200,
     .displacement_l = 1.2, .steering_ratio = 15.5, .wheelbase_m = 2.51, .tyre_kpa = {230, 220}},
    {.kind = MC_SIM_CAR, .maker = "Merrow", .model = "Heron 1.5 Estate", .mass_kg = 1420, .payload_kg = 480, .drag_m2 = 0.66, .rolling = 0.0105,
     .power_w = 110e3, .wheel_m = 0.316, .accel_mps2 = 1.9, .brake_mps2 = 1.8, .top_mps = 56, .store_j = 52 * SIM_PETROL_J_PER_L,
     .final_drive = 3.85, .gear = {3.75, 2.10, 1.39, 1.03, 0.81, 0.67}, .gears = 6, .idle_rpm = 760, .best_rpm = 2100, .most_rpm = 6000,
     .displacement_l = 1.5, .steering_ratio = 15, .wheelbase_m = 2.69, .tyre_kpa = {240, 230}},
    {.kind = MC_SIM_CAR, .maker = "Merrow", .model = "Otter 2.0 Van", .mass_kg = 2080, .payload_kg = 1100, .drag_m2 = 1.28, .rolling = 0.0115,
     .power_w = 105e3, .wheel_m = 0.342, .accel_mps2 = 1.4, .brake_mps2 = 1.6, .top_mps = 44, .store_j = 75 * SIM_PETROL_J_PER_L,
     .final_drive = 4.30, .gear = {4.00, 2.25, 1.42, 1.02, 0.82, 0.68}, .gears = 6, .idle_rpm = 750, .best_rpm = 1900, .most_rpm = 5000,
     .displacement_l = 2.0, .steering_ratio = 17, .wheelbase_m = 3.10, .tyre_kpa = {300, 340}},
    {.kind = MC_SIM_ELECTRIC, .maker = "Wend", .model = "Spark 40", .mass_kg = 1490, .payload_kg = 380, .drag_m2 = 0.62, .rolling = 0.0095,
     .power_w = 100e3, .wheel_m = 0.309, .accel_mps2 = 2.1, .brake_mps2 = 1.7, .top_mps = 42, .store_j = 38 * KWH, .final_drive = 8.2,
     .gear = {1}, .gears = 1, .pack_v = 350, .pack_ohm = 0.09, .charge_w = 50e3, .steering_ratio = 15, .wheelbase_m = 2.58, .tyre_kpa = {250, 250}},
    {.kind = MC_SIM_ELECTRIC, .maker = "Wend", .model = "Arc 64", .mass_kg = 1790, .payload_kg = 450, .drag_m2 = 0.63, .rolling = 0.0095,
     .power_w = 150e3, .wheel_m = 0.333, .accel_mps2 = 2.3, .brake_mps2 = 1.8, .top_mps = 50, .store_j = 64 * KWH, .final_drive = 9.0,
     .gear = {1}, .gears = 1, .pack_v = 395, .pack_ohm = 0.07, .charge_w = 110e3, .steering_ratio = 14.5, .wheelbase_m = 2.77, .tyre_kpa = {260, 260}},
    {.kind = MC_SIM_ELECTRIC, .maker = "Wend", .model = "Carrier E", .mass_kg = 2380, .payload_kg = 950, .drag_m2 = 1.25, .rolling = 0.0110,
     .power_w = 125e3, .wheel_m = 0.342, .accel_mps2 = 1.6, .brake_mps2 = 1.6, .top_mps = 36, .store_j = 76 * KWH, .final_drive = 10.1,
     .gear = {1}, .gears = 1, .pack_v = 400, .pack_ohm = 0.06, .charge_w = 90e3, .steering_ratio = 17, .wheelbase_m = 3.20, .tyre_kpa = {320, 350}},
    {.kind = MC_SIM_TRUCK, .maker = "Anvil", .model = "T460 tractor", .mass_kg = 14900, .payload_kg = 24500, .drag_m2 = 5.4, .rolling = 0.0058,
     .power_w = 338e3, .wheel_m = 0.492, .accel_mps2 = 0.85, .brake_mps2 = 1.0, .top_mps = 24.7, .store_j = 780 * SIM_DIESEL_J_PER_L,
     .final_drive = 2.85, .gear = {11.7, 9.0, 7.05, 5.45, 4.35, 3.4, 2.7, 2.1, 1.63, 1.27, 1.0, 0.78}, .gears = 12, .idle_rpm = 560, .best_rpm = 1150,
     .most_rpm = 2100, .displacement_l = 12.8, .steering_ratio = 20, .wheelbase_m = 3.8, .tyre_kpa = {830, 800}},
    {.kind = MC_SIM_TRUCK, .maker = "Anvil", .model = "R280 distribution", .mass_kg = 7600, .payload_kg = 9800, .drag_m2 = 4.6, .rolling = 0.0065,
     .power_w = 206e3, .wheel_m = 0.47, .accel_mps2 = 1.0, .brake_mps2 = 1.15, .top_mps = 24.7, .store_j = 280 * SIM_DIESEL_J_PER_L,
     .final_drive = 3.4, .gear = {9.2, 6.9, 5.1, 3.8, 2.8, 2.1, 1.55, 1.2, 0.95}, .gears = 9, .idle_rpm = 600, .best_rpm = 1350, .most_rpm = 2400,
     .displacement_l = 7.7, .steering_ratio = 19, .wheelbase_m = 5.2, .tyre_kpa = {800, 760}},
};

const sim_model *sim_model_pick(mc_sim_kind kind, uint32_t number)
{
  uint32_t fit = 0;
  for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
    fit += models[i].kind == kind;
  uint32_t wanted = number % fit;
  for (size_t i = 0;; i++)
    if (models[i].kind == kind && wanted-- == 0)
      return &models[i];
}

/* 49 CFR 565.15: each character's value times its weight, summed modulo 11; 10 is written X. */
static char check_digit(const char vin[18])
{
  static const int weight[17] = {8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2};
  static const char letters[] = "ABCDEFGHJKLMNPRSTUVWXYZ";
  static const int value[] = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9};
  int sum = 0;
  for (int i = 0; i < 17; i++) {
    const char *letter = strchr(letters, vin[i]);
    sum += weight[i] * (vin[i] >= '0' && vin[i] <= '9' ? vin[i] - '0' : letter ? value[letter - letters] : 0);
  }
  return "0123456789X"[sum % 11];
}

void sim_make_vin(const sim_model *m, uint16_t year, uint32_t number, char vin[18])
{
  static const char years[] = "ABCDEFGHJKLMNPRSTVWXY123456789"; /* 2010 = A */
  static const char *const maker[MC_SIM_KINDS] = {"0MR", "0WD", "0AN"}; /* manufacturer codes that begin with 0 are not given out */
  char serial[8];
  snprintf(serial, sizeof serial, "%06u", number % 1000000u);
  snprintf(vin, 18, "%s%c%c%c%c%c0%c%c%s", maker[m->kind], 'A' + (int)(m->displacement_l) % 8, 'B', m->gears > 9 ? 'T' : 'C',
           (char)('1' + (int)(m->power_w / 50e3)), '5', years[(year - 2010) % 30], 'P', serial);
  vin[8] = check_digit(vin);
}
