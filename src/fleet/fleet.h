/* fleet: what a fleet's vehicles lived through. Now: the history of trouble codes, out of OBD (mode 03) and UDS (service 0x19) reports.
 *
 * A code is known by (tenant, vehicle, ECU, code). OBD reports name no ECU (empty). A report lists all codes of its ECU: what it does not list any more is
 * cleared, by time of report; reports that come late extend a history and change no state. Threads: any; mc_fleet_take_* on the decoder's thread only,
 * in journal order, without waiting for the database. */
#ifndef MC_FLEET_H
#define MC_FLEET_H

#include "base/arena.h"
#include "db/db.h"
#include "signal/signal.h"

typedef struct mc_fleet mc_fleet;
mc_err mc_fleet_open(mc_db *db, mc_fleet **out, mc_why *why); /* migrates its tables */
void mc_fleet_close(mc_fleet **f);
/* Sinks for the decoder: strings of blocks that are UDS reports, and lists of OBD codes. Records that were counted before are passed over. */
mc_block_sink mc_fleet_block_sink(mc_fleet *f);
mc_trouble_sink mc_fleet_trouble_sink(mc_fleet *f);
/* Writes what was taken; with checkpoint, everything before `offset` is reflected afterwards. Not the decoder's thread. */
mc_err mc_fleet_save(mc_fleet *f, bool checkpoint, uint64_t offset, mc_why *why);
/* Where a reader has to begin for nothing to be missed; UINT64_MAX: anywhere (nothing was saved yet). */
uint64_t mc_fleet_offset(const mc_fleet *f);
/* For a restore: forgets what the database says about the journal's offsets from here on. Before mc_fleet_open. */
mc_err mc_fleet_rewind(mc_db *db, uint64_t offset, mc_why *why);

enum { MC_DTC_TEXT = 16 };
typedef struct mc_trouble_code {
  uint32_t vehicle;
  mc_slice ecu;  /* "01"; empty: OBD, which names none */
  mc_slice code; /* "P0143"; of UDS with its failure type: "P0143-13" */
  mc_slice text, system; /* for people: what it means, "powertrain" | "chassis" | "body" | "network" */
  bool generic;          /* the standard's; false: the manufacturer's own */
  bool active;
  int64_t first_us, last_us, cleared_us; /* of the reports; cleared_us 0: active */
  uint64_t reports, episodes;            /* reports that listed it; times that it came up anew */
  mc_slice snapshot, extended;           /* the last ones, hex; UDS, may be empty */
} mc_trouble_code;
typedef struct mc_trouble_query {
  uint32_t tenant;
  uint32_t vehicle; /* 0: any */
  mc_slice code;    /* empty: any; "P0143" finds its failure types, too */
  bool active_only;
  int64_t before_us; /* newest first: only older than this; 0: from the newest. With before_id: behind that row */
  int64_t before_id;
  size_t limit;
} mc_trouble_query;
/* Newest last-seen first. *last_id: of the last row, for the next page. What was taken and not yet written is written first. */
mc_err mc_fleet_trouble_codes(mc_fleet *f, const mc_trouble_query *query, mc_arena *arena, mc_trouble_code **out, size_t *count, int64_t *last_id, mc_why *why);
typedef struct mc_fleet_stats { uint64_t reports, codes, unreadable; } mc_fleet_stats;
void mc_fleet_stats_get(mc_fleet *f, mc_fleet_stats *out);

/* ---- codes ---- */
/* "P0143" or "P0143-13", letters in upper case; MC_ERR_MALFORMED otherwise. */
mc_err mc_dtc_normal(mc_slice text, char out[MC_DTC_TEXT]);
/* The three bytes of UDS as six hex digits: "014313" is P0143-13. */
mc_err mc_dtc_of_uds(mc_slice hex, char out[MC_DTC_TEXT]);
/* What a code means, appended. Codes that are not in our table are described by their system and area. */
mc_err mc_dtc_describe(const char *code, mc_buf *out);
const char *mc_dtc_system(const char *code);
bool mc_dtc_generic(const char *code);

typedef struct mc_uds_code { char code[MC_DTC_TEXT]; mc_slice snapshot, extended; } mc_uds_code;
typedef struct mc_uds_ecu { mc_slice ecu; mc_uds_code *code; size_t count; } mc_uds_ecu;
bool mc_uds_is_report(mc_slice text); /* begins like one */
/* The JSON of contract fleetwise 7.1, in the arena. Codes that are none are left out and counted. */
mc_err mc_uds_read(mc_slice json, mc_arena *arena, mc_uds_ecu **out, size_t *count, uint32_t *bad, mc_why *why);

#endif
