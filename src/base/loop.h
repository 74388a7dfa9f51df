/* One event loop a thread: epoll for descriptors, a timer heap, and a mailbox for other threads.
 *
 * Level-triggered by default; a watch may ask for edges. Everything except mc_loop_post and
 * mc_loop_stop must be called on the loop's own thread (or before it runs). State that belongs to a
 * loop is touched by that loop only; other threads post. Callbacks never re-enter: a watch removed in
 * a callback gets no further events of the current batch. */
#ifndef MC_BASE_LOOP_H
#define MC_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct mc_loop mc_loop;
struct mc_metric;

/* Embed in your own struct; the loop keeps a pointer until mc_loop_unwatch. */
typedef struct mc_watch {
  int fd;
  uint32_t events; /* as last set */
  void (*ready)(struct mc_watch *watch, uint32_t epoll_events);
} mc_watch;

typedef struct mc_timer {
  int64_t due_us;      /* monotonic */
  struct mc_timer *child, *next, *prev; /* private to the loop */
  bool armed;          /* read only */
  void (*fire)(struct mc_timer *timer);
} mc_timer;

/* A posted job; embed it. It may be posted again after run was entered. */
typedef struct mc_post {
  struct mc_post *next; /* private */
  void (*run)(struct mc_post *post);
} mc_post;

mc_err mc_loop_create(mc_loop **out, mc_why *why);
void mc_loop_destroy(mc_loop **loop); /* not while running; posted jobs that never ran are dropped */
/* Runs until mc_loop_stop. */
void mc_loop_run(mc_loop *loop);
/* One turn: waits at most timeout_ms (-1 for ever), handles what is there. For tests and bench. */
void mc_loop_turn(mc_loop *loop, int timeout_ms);
void mc_loop_stop(mc_loop *loop); /* any thread */

mc_err mc_loop_watch(mc_loop *loop, mc_watch *watch, uint32_t epoll_events);
mc_err mc_loop_modify(mc_loop *loop, mc_watch *watch, uint32_t epoll_events);
void mc_loop_unwatch(mc_loop *loop, mc_watch *watch); /* does not close the fd */

void mc_loop_timer_set(mc_loop *loop, mc_timer *timer, int64_t due_mono_us); /* arms or moves */
void mc_loop_timer_clear(mc_loop *loop, mc_timer *timer); /* fine when not armed */

void mc_loop_post(mc_loop *loop, mc_post *post); /* any thread, never fails, FIFO per poster */
/* Monotonic time read once per turn. */
int64_t mc_loop_now_us(const mc_loop *loop);
/* Called at the end of every turn, before the loop waits: the place to flush what the turn gathered. */
void mc_loop_on_turn_end(mc_loop *loop, void (*fn)(void *ctx), void *ctx); /* any number of them, in order */
/* Every turn's length, from the end of the wait to the end of the turn, is observed there from now on. */
void mc_loop_measure_turns(mc_loop *loop, struct mc_metric *histogram);
void mc_loop_off_turn_end(mc_loop *loop, void (*fn)(void *ctx), void *ctx); /* fine when not there */

/* What a higher floor keeps per loop (net: the shared read buffer and the list of connections to flush). key is any static address;
 * destroy (may be NULL) runs in mc_loop_destroy. One value a key; NULL when there is none. */
mc_err mc_loop_attach(mc_loop *loop, const void *key, void *value, void (*destroy)(void *value));
void *mc_loop_attached(const mc_loop *loop, const void *key);

#endif
