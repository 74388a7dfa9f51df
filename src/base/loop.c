#include "base/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

enum { BATCH = 256 };

struct turn_end {
  void (*fn)(void *ctx);
  void *ctx;
};

struct attachment {
  const void *key;
  void *value;
  void (*destroy)(void *value);
};

struct mc_loop {
  int epoll_fd;
  int wake_fd;
  int64_t now_us;
  mc_timer *timers; /* root of a pairing heap by due_us: inside the timers, so that arming one needs no memory */
  size_t timer_count;
  struct turn_end *hook;
  size_t hook_len;
  mc_metric *turns; /* NULL: not measured */
  struct attachment *attached;
  size_t attached_len;
  int batch_at, batch_len;
  struct epoll_event batch[BATCH];
  /* shared with posters */
  _Alignas(64) _Atomic(mc_post *) inbox; /* newest first; taken whole and reversed */
  atomic_bool asleep;                    /* true only while the loop waits, or is about to */
  atomic_bool stop;
  atomic_int posters; /* threads inside mc_loop_post or mc_loop_stop: the loop may run a post before its poster has left */
};

mc_err mc_loop_create(mc_loop **out, mc_why *why)
{
  *out = NULL;
  mc_loop *loop = aligned_alloc(64, (sizeof *loop + 63) & ~(size_t)63);
  if (!loop)
    return mc_err_set(why, MC_ERR_MEMORY, "event loop: out of memory");
  *loop = (mc_loop){.epoll_fd = -1, .wake_fd = -1};
  loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  /* Edge-triggered, so that a wake-up costs no read: each write is a new edge. */
  struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
  if (loop->epoll_fd < 0 || loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev)) {
    mc_err err = mc_err_errno(why, "event loop: cannot create epoll or eventfd descriptors (check the limit of open files)");
    mc_loop_destroy(&loop);
    return err;
  }
  loop->now_us = mc_clock_mono_us();
  *out = loop;
  return MC_OK;
}

void mc_loop_destroy(mc_loop **loop)
{
  mc_loop *l = *loop;
  if (!l)
    return;
  while (atomic_load(&l->posters))
    sched_yield();
  for (size_t i = l->attached_len; i-- > 0;)
    if (l->attached[i].destroy)
      l->attached[i].destroy(l->attached[i].value);
  free(l->attached);
  while (l->timers)
    mc_loop_timer_clear(l, l->timers);
  if (l->wake_fd >= 0)
    close(l->wake_fd);
  if (l->epoll_fd >= 0)
    close(l->epoll_fd);
  free(l->hook);
  free(l);
  *loop = NULL;
}

/* ---- descriptors ---- */

mc_err mc_loop_watch(mc_loop *loop, mc_watch *watch, uint32_t epoll_events)
{
  struct epoll_event ev = {.events = epoll_events, .data.ptr = watch};
  if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &ev))
    return errno == EEXIST ? MC_ERR_EXISTS : errno == ENOSPC ? MC_ERR_FULL : errno == EBADF ? MC_ERR_INVALID : MC_ERR_IO;
  watch->events = epoll_events;
  return MC_OK;
}

mc_err mc_loop_modify(mc_loop *loop, mc_watch *watch, uint32_t epoll_events)
{
  if (watch->events == epoll_events)
    return MC_OK;
  struct epoll_event ev = {.events = epoll_events, .data.ptr = watch};
  if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &ev))
    return errno == ENOENT ? MC_ERR_NOT_FOUND : errno == EBADF ? MC_ERR_INVALID : MC_ERR_IO;
  watch->events = epoll_events;
  return MC_OK;
}

void mc_loop_unwatch(mc_loop *loop, mc_watch *watch)
{
  epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL); /* a closed fd has left already */
  for (int i = loop->batch_at; i < loop->batch_len; i++)
    if (loop->batch[i].data.ptr == watch)
      loop->batch[i].data.ptr = NULL;
}

/* ---- timers ---- */

/* Pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986). A node's `prev` is the sibling before it, or its parent for the first child. */
static mc_timer *meld(mc_timer *a, mc_timer *b)
{
  if (!a || !b)
    return a ? a : b;
  if (b->due_us < a->due_us) {
    mc_timer *t = a;
    a = b;
    b = t;
  }
  b->prev = a;
  b->next = a->child;
  if (a->child)
    a->child->prev = b;
  a->child = b;
  return a;
}

/* Children become one heap: in pairs from the left, then those from the right. */
static mc_timer *merge_children(mc_timer *first)
{
  mc_timer *pairs = NULL, *root = NULL;
  while (first) {
    mc_timer *a = first, *b = a->next;
    first = b ? b->next : NULL;
    a->next = a->prev = NULL;
    if (b)
      b->next = b->prev = NULL;
    a = meld(a, b);
    a->next = pairs;
    pairs = a;
  }
  while (pairs) {
    mc_timer *next = pairs->next;
    pairs->next = NULL;
    root = meld(root, pairs);
    pairs = next;
  }
  return root;
}

void mc_loop_timer_clear(mc_loop *loop, mc_timer *timer)
{
  if (!timer->armed)
    return;
  mc_timer *rest = merge_children(timer->child);
  if (timer == loop->timers) {
    loop->timers = rest;
  } else {
    if (timer->prev->child == timer)
      timer->prev->child = timer->next;
    else
      timer->prev->next = timer->next;
    if (timer->next)
      timer->next->prev = timer->prev;
    loop->timers = meld(loop->timers, rest);
  }
  timer->child = timer->next = timer->prev = NULL;
  timer->armed = false;
  loop->timer_count--;
}

void mc_loop_timer_set(mc_loop *loop, mc_timer *timer, int64_t due_mono_us)
{
  mc_loop_timer_clear(loop, timer);
  timer->due_us = due_mono_us;
  timer->armed = true;
  loop->timers = meld(loop->timers, timer);
  loop->timer_count++;
}

static void fire_due(mc_loop *loop)
{
  /* At most as many as were armed: a timer that re-arms itself for now waits for the next turn. */
  for (size_t left = loop->timer_count; left && loop->timers && loop->timers->due_us <= loop->now_us; left--) {
    mc_timer *t = loop->timers;
    mc_loop_timer_clear(loop, t);
    t->fire(t);
  }
}

/* ---- mailbox ---- */

static void wake(mc_loop *loop)
{
  if (atomic_load(&loop->asleep) && atomic_exchange(&loop->asleep, false)) {
    uint64_t one = 1;
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
      ;
  }
}

void mc_loop_post(mc_loop *loop, mc_post *post)
{
  atomic_fetch_add_explicit(&loop->posters, 1, memory_order_relaxed);
  mc_post *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
  do
    post->next = head;
  while (!atomic_compare_exchange_weak(&loop->inbox, &head, post));
  wake(loop);
  atomic_fetch_sub_explicit(&loop->posters, 1, memory_order_release);
}

static void run_posts(mc_loop *loop)
{
  mc_post *newest = atomic_exchange(&loop->inbox, NULL);
  mc_post *first = NULL;
  while (newest) {
    mc_post *next = newest->next;
    newest->next = first;
    first = newest;
    newest = next;
  }
  while (first) {
    mc_post *next = first->next; /* run may post it again */
    first->run(first);
    first = next;
  }
}

/* ---- turns ---- */

void mc_loop_on_turn_end(mc_loop *loop, void (*fn)(void *ctx), void *ctx)
{
  for (size_t i = 0; i < loop->hook_len; i++)
    if (loop->hook[i].fn == fn && loop->hook[i].ctx == ctx)
      return;
  struct turn_end *hook = realloc(loop->hook, (loop->hook_len + 1) * sizeof *hook);
  if (!hook) {
    mc_log(MC_LOG_ERROR, "base", "out of memory for turn-end hooks");
    abort();
  }
  loop->hook = hook;
  loop->hook[loop->hook_len++] = (struct turn_end){fn, ctx};
}

void mc_loop_off_turn_end(mc_loop *loop, void (*fn)(void *ctx), void *ctx)
{
  for (size_t i = 0; i < loop->hook_len; i++)
    if (loop->hook[i].fn == fn && loop->hook[i].ctx == ctx) /* nulled, not moved: a hook may take itself off */
      loop->hook[i].fn = NULL;
}

static void run_turn_end(mc_loop *loop)
{
  size_t keep = 0;
  for (size_t i = 0; i < loop->hook_len; i++)
    if (loop->hook[i].fn)
      loop->hook[i].fn(loop->hook[i].ctx);
  for (size_t i = 0; i < loop->hook_len; i++)
    if (loop->hook[i].fn)
      loop->hook[keep++] = loop->hook[i];
  loop->hook_len = keep;
}

void mc_loop_measure_turns(mc_loop *loop, mc_metric *histogram) { loop->turns = histogram; }

/* Milliseconds to wait, rounded up so that a timer is due when the wait ends. */
static int wait_ms(const mc_loop *loop, int limit_ms)
{
  if (!loop->timers)
    return limit_ms;
  int64_t left_us = loop->timers->due_us - mc_clock_mono_us();
  if (left_us <= 0)
    return 0;
  int64_t ms = (left_us + 999) / 1000;
  if (limit_ms >= 0 && ms > limit_ms)
    return limit_ms;
  return ms > 3600000 ? 3600000 : (int)ms;
}

void mc_loop_turn(mc_loop *loop, int timeout_ms)
{
  int ms = wait_ms(loop, timeout_ms);
  if (ms != 0) {
    atomic_store(&loop->asleep, true); /* before the last look, so that no post is missed */
    if (atomic_load(&loop->inbox) || atomic_load(&loop->stop))
      ms = 0;
  }
  int n = epoll_wait(loop->epoll_fd, loop->batch, BATCH, ms);
  atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
  loop->now_us = mc_clock_mono_us();
  loop->batch_len = n > 0 ? n : 0;
  loop->batch_at = 0;
  if (atomic_load_explicit(&loop->inbox, memory_order_relaxed))
    run_posts(loop); /* what was posted before an event came is done before it */
  while (loop->batch_at < loop->batch_len) {
    struct epoll_event *ev = &loop->batch[loop->batch_at++];
    mc_watch *watch = ev->data.ptr;
    if (watch)
      watch->ready(watch, ev->events);
  }
  loop->batch_at = loop->batch_len = 0;
  run_posts(loop);
  fire_due(loop);
  run_turn_end(loop);
  if (loop->turns)
    mc_metric_observe_us(loop->turns, mc_clock_mono_us() - loop->now_us);
}

void mc_loop_run(mc_loop *loop)
{
  while (!atomic_load(&loop->stop))
    mc_loop_turn(loop, -1);
  atomic_store(&loop->stop, false);
}

void mc_loop_stop(mc_loop *loop)
{
  atomic_fetch_add_explicit(&loop->posters, 1, memory_order_relaxed);
  atomic_store(&loop->stop, true);
  wake(loop);
  atomic_fetch_sub_explicit(&loop->posters, 1, memory_order_release);
}

int64_t mc_loop_now_us(const mc_loop *loop)
{
  return loop->now_us;
}

/* ---- what higher floors keep ---- */

mc_err mc_loop_attach(mc_loop *loop, const void *key, void *value, void (*destroy)(void *value))
{
  if (mc_loop_attached(loop, key))
    return MC_ERR_EXISTS;
  struct attachment *grown = realloc(loop->attached, (loop->attached_len + 1) * sizeof *grown);
  if (!grown)
    return MC_ERR_MEMORY;
  loop->attached = grown;
  loop->attached[loop->attached_len++] = (struct attachment){key, value, destroy};
  return MC_OK;
}

void *mc_loop_attached(const mc_loop *loop, const void *key)
{
  for (size_t i = 0; i < loop->attached_len; i++)
    if (loop->attached[i].key == key)
      return loop->attached[i].value;
  return NULL;
}
