/* The signals that store and ingest are measured with: six of a driving vehicle at 1 Hz, as integers of the steps that CAN gives them. */
#ifndef BENCH_DRIVE_SAMPLES_H
#define BENCH_DRIVE_SAMPLES_H

#include <stdint.h>

#include "signal/signal.h"

enum { DRIVE_SIGNALS = 6, DRIVE_TRIP_S = 2880 /* 48 minutes */, DRIVE_TRIPS_A_DAY = 3 };

/* speed 0.01 km/h, engine speed 0.25 rpm, latitude and longitude 1e-7 degrees, state of charge 0.1 %, temperature 0.5 degrees. */
extern const mc_encoding drive_encoding[DRIVE_SIGNALS]; /* ids 1..6 */
bool drive_encoding_of(void *ctx, uint32_t encoding, mc_encoding *out);

typedef struct drive {
  uint64_t random;
  double speed, wanted, heading, latitude, longitude, noise_lat, noise_lon, charge, temperature;
} drive;
void drive_begin(drive *d, uint32_t vehicle);
/* One second of driving; raw[i] in drive_encoding[i]. */
void drive_second(drive *d, int64_t raw[DRIVE_SIGNALS]);
/* 0..9 ms, as software timers give. */
int64_t drive_jitter_us(drive *d);

#endif
