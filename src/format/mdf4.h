/* ASAM MDF 4.x bus logs: CAN data and remote frames out of measurement files, as loggers write them.
 *
 * Reads finalised and unfinalised files ("UnFinMF": counters and the last data block's length are not trusted), sorted
 * and unsorted data groups, DT, DZ (deflate, transposed deflate), DL and HL, variable-length data in SD blocks and in VLSD
 * channel groups, and the channels of ASAM's bus-logging standard (CAN_DataFrame, CAN_RemoteFrame with ID, IDE, DLC,
 * DataLength, DataBytes, BusChannel, Dir, EDL, BRS, ESI). Other channel groups (LIN, errors, plain signals) are passed
 * over and counted. Source: ASAM MDF 4.1.1 and its associated standard for bus logging.
 *
 * Pure: works on a memory slice (a mapped file will do) of at most 2 GiB, which must stay until close. Data that is
 * compressed or in pieces is unpacked into memory at open, at most MC_MDF4_UNPACKED_MAX bytes. One thread at a time. */
#ifndef MC_FORMAT_MDF4_H
#define MC_FORMAT_MDF4_H

#include "base/err.h"
#include "format/bus.h"

#define MC_MDF4_UNPACKED_MAX ((uint64_t)4 << 30)

typedef struct mc_mdf4 mc_mdf4;

typedef struct mc_mdf4_info {
  uint16_t version;        /* 410, 411, 420 */
  char program[9];         /* who wrote the file, from the identification block */
  bool finalised;
  int64_t start_us;        /* UTC; local start times are moved by their offset where the file knows it */
  uint32_t group_count;    /* channel groups with CAN data or remote frames */
  uint32_t passed_over;    /* other channel groups */
  uint64_t truncated_bytes; /* at the end of an unfinalised file: a record that was cut off */
} mc_mdf4_info;

/* name is used in messages ("truck.mf4: byte 6856: ..."). */
mc_err mc_mdf4_open(mc_slice file, const char *name, mc_mdf4 **out, mc_why *why);
/* The next frame in order of time (each channel group must be in order itself, as loggers write them). MC_ERR_END at the end.
 * frame->channel is the BusChannel. Any other error ends the reading. */
mc_err mc_mdf4_next(mc_mdf4 *m, mc_bus_frame *frame, mc_why *why);
void mc_mdf4_rewind(mc_mdf4 *m);
const mc_mdf4_info *mc_mdf4_about(const mc_mdf4 *m);
void mc_mdf4_close(mc_mdf4 **m);

#endif
