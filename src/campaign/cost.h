/* What campaigns send, by vehicle and day (UTC, of arrival), and what keeps it within a cap. Private to campaign.
 *
 * Counts survive kill -9 exactly: a row of the database carries the journal offset up to which it counts, and rows are added to in the same statement that
 * moves it; a reader that begins earlier after a crash passes over what a row has already. Table campaign_cost. */
#ifndef MC_CAMPAIGN_COST_H
#define MC_CAMPAIGN_COST_H

#include "campaign/campaign.h"
#include "db/db.h"

typedef mc_campaign_amount cost_amount;

/* ---- the book ---- reader notes, another thread writes; lock: a leaf, held for moments */
typedef struct cost_book cost_book;
cost_book *cost_book_create(void);
void cost_book_destroy(cost_book *b);
/* Which rows a reader that begins at offset must not count again. Before the first note. */
mc_err cost_book_load(cost_book *b, mc_db *db, uint64_t offset, mc_why *why);
/* One message. offset, next: of its record, and of what follows it. */
mc_err cost_book_note(cost_book *b, uint32_t tenant, uint32_t campaign, uint32_t vehicle, int64_t arrival_us, uint64_t offset, uint64_t next, cost_amount amount);
/* What was noted before the call, in transactions of a bounded size. What fails waits for the next call. Any thread but the reader's. */
mc_err cost_book_write(cost_book *b, mc_db *db, mc_why *why);
/* Sums of the days [from, to], written and noted. vehicle 0: of all. */
mc_err cost_book_sum(cost_book *b, mc_db *db, uint32_t tenant, uint32_t campaign, uint32_t vehicle, int64_t from_day, int64_t to_day, cost_amount *out, mc_why *why);
/* What a vehicle sent stays in its campaigns' sums, under the number 0: whose it was is forgotten. Its messages cannot be read again (their key is gone). */
mc_err cost_book_erase(cost_book *b, mc_db *db, uint32_t tenant, uint32_t vehicle, mc_why *why);
static inline int64_t cost_day(int64_t time_us) { return time_us / 86400000000LL; }
/* Bytes of a whole PUBLISH with QoS 1 and no properties (MQTT 5.0, 3.3), without TLS and TCP: the same for what was sent and for what a dry run would send. */
uint64_t cost_packet_bytes(size_t topic, size_t payload);

/* ---- caps ---- for one vehicle and day; 0: none */
enum { COST_PACES = 7 /* 0: as written; n: 2^n times slower; 64 times at most */ };
typedef struct cost_pacing { /* since midnight, or the last change of pace: zero at midnight, when everything is as written again */
  uint32_t pace;
  int64_t since_us; /* of the day */
  cost_amount at;   /* what was spent by then */
} cost_pacing;
/* The pace at which the rest of the day stays within the caps, by what was spent since the last change; never quicker than it is. Below half of every cap
 * nothing is slowed, and a pace is judged after ten minutes; at a cap it is the slowest. */
uint32_t cost_pace(const cost_amount *cap, const cost_pacing *now, const cost_amount *spent, int64_t us_of_day);
/* The campaign as it goes out at a pace. With a condition: a longer minimum interval (from a second on), so that events are rarer and as fine as before. By time: a
 * longer period, and longer sampling intervals, so that a message holds at most 64 / 2^pace samples of a signal. A day at most. Signals in the arena, other strings
 * are shared. */
mc_err cost_paced(const mc_campaign *g, uint32_t pace, mc_arena *arena, mc_campaign *out);

/* ---- pace.c ---- */
typedef struct pace_book pace_book; /* under mc_campaigns.lock */
pace_book *pace_book_create(void);
void pace_book_destroy(pace_book *b);
mc_err pace_book_load(pace_book *b, mc_db *db, mc_why *why);
/* The slower one of the vehicle's and of the campaign's as a whole; vehicle 0: the latter. Lock held. */
uint32_t campaign_pace(mc_campaigns *c, uint32_t campaign, uint32_t vehicle);
/* Its caps are others now: they are judged anew. Takes the lock. */
mc_err campaign_pace_forget(mc_campaigns *c, uint32_t campaign, mc_why *why);
/* Judges all caps by what is written of today; what went on another day goes as it was written. Sends what changed. */
mc_err campaign_caps_tick(mc_campaigns *c, int64_t now_us, mc_why *why);

#endif
