/* A campaign goes to some vehicles first, then to the rest; it suspends itself when those do badly. Private to campaign. Pure: no lock, no database. */
#ifndef MC_CAMPAIGN_ROLLOUT_H
#define MC_CAMPAIGN_ROLLOUT_H

#include "campaign/campaign.h"

typedef struct rollout_limits { /* of the vehicles that it was sent to, in per cent; 100: never */
  uint8_t refused; /* the agent refused its document */
  uint8_t errors;  /* the agent reports anything else since, or its data cannot be read */
  uint8_t silent;  /* heard in the ten minutes before it was sent, and not since */
  uint32_t least;  /* vehicles that must have been sent it before any of this is judged */
} rollout_limits;
typedef struct rollout {
  bool canary;               /* false: to all at once */
  uint8_t percent;           /* of the targeted vehicles, 1 to 99; 0: those of the list */
  const mc_slice *vehicle;   /* names, ordered */
  size_t vehicle_count;
  uint32_t hold_s;           /* from the last vehicle's confirmation to the rest */
  uint32_t silent_s;         /* without a check-in: silent */
  bool by_itself;            /* goes on to the rest when hold_s is over; else a person says so */
  rollout_limits limit;
} rollout;

/* Is a vehicle among the first? By its name and the campaign's: the same answer for ever, other vehicles for other campaigns, and a larger per cent keeps
 * those of a smaller one. */
bool rollout_is_first(const rollout *r, mc_slice campaign, mc_slice vehicle);
/* Does it go to a vehicle in this phase? */
bool rollout_reaches(const rollout *r, mc_campaign_phase phase, mc_slice campaign, mc_slice vehicle);

typedef struct rollout_tally { /* of vehicles that it reaches now */
  uint64_t reached, sent, confirmed, refused, errors, silent;
  int64_t confirmed_us; /* when the last of the confirmed confirmed; 0: none */
} rollout_tally;
typedef enum rollout_verdict { ROLLOUT_GO_ON, ROLLOUT_NEXT, ROLLOUT_ASK /* a person may go on to the rest */, ROLLOUT_STOP } rollout_verdict;
/* text: why it stops, or what it waits for; at least 200 bytes. */
rollout_verdict rollout_judge(const rollout *r, mc_campaign_phase phase, const rollout_tally *t, int64_t now_us, char *text, size_t size);

/* {"percent": 5, "vehicles": [...], "hold_s": 3600, ...} as it stands in the campaign's document, checked: field names before texts. Strings in the arena. */
mc_err rollout_read(mc_slice json, mc_arena *arena, rollout *out, mc_why *why);

/* ---- canary.c ---- a roll-out with vehicles, rows and time */
mc_err campaign_rollouts_tick(mc_campaigns *c, int64_t now_us, mc_why *why);
/* convergence.c: the vehicles that it reaches, counted. confirmed_us is left alone. */
mc_err campaign_rollout_tally(mc_campaigns *c, uint32_t tenant, uint32_t id, const rollout *r, rollout_tally *out, mc_why *why);

#endif
