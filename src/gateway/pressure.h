/* Back-pressure: what publishers feel when the disk falls behind or has little room left, in steps (README, "When the disk is behind"). Each loop looks at the age of
 * its oldest record that is not on disk yet, and at the room that all share. Private to gateway; one loop. */
#ifndef MC_GATEWAY_PRESSURE_H
#define MC_GATEWAY_PRESSURE_H

#include "base/loop.h"

struct mc_gateway;
struct mc_gateway_loop;
struct mc_link;

typedef enum mc_pressure_step {
  MC_PRESSURE_NONE,
  MC_PRESSURE_WINDOW, /* smaller windows */
  MC_PRESSURE_DELAY,  /* one publish of a client at a time */
  MC_PRESSURE_REFUSE  /* version 5: reason code 0x97; 3.1.1: not read, then closed */
} mc_pressure_step;

enum { MC_PRESSURE_ROOMY = 1000 /* of mc_gateway.room: no want of room */ };

typedef struct mc_pressure {
  mc_pressure_step step; /* the higher one of the two below */
  struct mc_pressure_cause {
    mc_pressure_step step;
    mc_pressure_step told; /* the highest of this episode that people were told */
    uint32_t calm_tick;    /* when the step last became NONE */
  } age, room;
  uint32_t tick;         /* loop time in units of 1,024 us; at most one look old while something is staged */
  uint32_t age_ms;       /* of the oldest record, when it was looked at */
  uint32_t left;         /* mc_gateway.room, likewise */
  uint32_t refuse_tick;  /* when it last became REFUSE */
  mc_timer timer;
  mc_post post;
  _Atomic bool posted;
} mc_pressure;

void mc_pressure_begin(struct mc_gateway_loop *l);
void mc_pressure_watch(struct mc_gateway_loop *l); /* something was staged */
void mc_pressure_look(struct mc_gateway_loop *l);  /* now: by the timer, and while a step is on after each commit */
/* From the checkpoint's thread, twice a second: how much room the journal has left. */
void mc_pressure_measure(struct mc_gateway *g);
/* How many publishes of a client that wait for the disk are taken at present; most: without pressure. */
uint16_t mc_pressure_window(const struct mc_gateway_loop *l, uint16_t most);
/* With pressure, before a publish goes to the journal. */
typedef enum mc_pressure_verdict { MC_PRESSURE_GO, MC_PRESSURE_WAIT, MC_PRESSURE_NO } mc_pressure_verdict;
mc_pressure_verdict mc_pressure_publish(struct mc_link *link);
/* A publish without a connection, which cannot be made to wait. */
bool mc_pressure_takes_calls(const struct mc_gateway_loop *l);
/* Why publishes are refused at present, for them. */
const char *mc_pressure_text(const struct mc_gateway_loop *l);

#endif
