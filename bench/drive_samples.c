#include "bench/drive_samples.h"

#include <math.h>

const mc_encoding drive_encoding[DRIVE_SIGNALS] = {{1, MC_TYPE_FLOAT64, 0.01, 0}, {2, MC_TYPE_FLOAT64, 0.25, 0},
                                                   {3, MC_TYPE_FLOAT64, 1e-7, 0}, {4, MC_TYPE_FLOAT64, 1e-7, 0},
                                                   {5, MC_TYPE_FLOAT64, 0.1, 0},  {6, MC_TYPE_FLOAT64, 0.5, -40}};

bool drive_encoding_of(void *ctx, uint32_t encoding, mc_encoding *out)
{
  if (encoding < 1 || encoding > DRIVE_SIGNALS)
    return false;
  *out = drive_encoding[encoding - 1];
  return true;
}

static uint64_t next(drive *d)
{
  d->random ^= d->random << 13;
  d->random ^= d->random >> 7;
  d->random ^= d->random << 17;
  return d->random;
}

static double uniform(drive *d) /* -1 .. 1 */
{
  return (double)(next(d) >> 11) / (double)(1ULL << 52) - 1.0;
}

static double bell(drive *d) /* about a standard normal */
{
  return uniform(d) + uniform(d) + uniform(d);
}

int64_t drive_jitter_us(drive *d)
{
  return (int64_t)(next(d) % 10) * 1000;
}

void drive_begin(drive *d, uint32_t vehicle)
{
  *d = (drive){.random = 0x9E3779B97F4A7C15ULL * (vehicle + 1), .latitude = 47.0, .longitude = 9.5, .charge = 90, .temperature = 20};
  for (int i = 0; i < 8; i++)
    next(d);
  d->latitude += uniform(d);
  d->longitude += uniform(d);
  d->heading = uniform(d) * 3.14;
  d->wanted = 50;
}

void drive_second(drive *d, int64_t raw[DRIVE_SIGNALS])
{
  static const double gear_rpm_per_kmh[] = {110, 65, 43, 32, 25};
  if (next(d) % 40 == 0) /* next stretch of road: a light, a town, a motorway */
    d->wanted = next(d) % 5 == 0 ? 0 : 30 + (double)(next(d) % 100);
  double gain = d->wanted - d->speed;
  d->speed += (gain > 7 ? 7 : gain < -12 ? -12 : gain) * 0.3 + bell(d) * 0.4;
  if (d->speed < 0.3)
    d->speed = 0;
  d->heading += bell(d) * 0.02 * (d->speed > 0);
  double metres = d->speed / 3.6;
  d->latitude += metres * cos(d->heading) / 111320;
  d->longitude += metres * sin(d->heading) / (111320 * cos(d->latitude * 0.017453));
  /* A receiver's error wanders, it does not jump. */
  d->noise_lat = d->noise_lat * 0.98 + bell(d) * 0.03;
  d->noise_lon = d->noise_lon * 0.98 + bell(d) * 0.03;
  d->charge -= metres * 1.2e-4;
  d->temperature += (90 - d->temperature) * 0.002 + bell(d) * 0.05;
  int gear = d->speed < 18 ? 0 : d->speed < 35 ? 1 : d->speed < 55 ? 2 : d->speed < 80 ? 3 : 4;
  double rpm = d->speed * gear_rpm_per_kmh[gear];
  rpm = (rpm < 800 ? 800 : rpm) + bell(d) * 8;
  const double value[DRIVE_SIGNALS] = {d->speed,  rpm,           d->latitude + d->noise_lat / 111320, d->longitude + d->noise_lon / 111320,
                                       d->charge, d->temperature};
  for (int i = 0; i < DRIVE_SIGNALS; i++)
    raw[i] = llround((value[i] - drive_encoding[i].offset) / drive_encoding[i].factor);
}
