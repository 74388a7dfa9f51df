#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "tap.h"

/* ---- descriptors ---- */

typedef struct end {
  mc_watch watch;
  mc_loop *loop;
  struct end *other; /* unwatched when this one fires */
  int fired;
} end;

static void on_ready(mc_watch *watch, uint32_t events)
{
  end *e = (end *)watch;
  e->fired++;
  if (e->other)
    mc_loop_unwatch(e->loop, &e->other->watch);
}

static void test_tells_a_readable_descriptor_until_it_is_unwatched(void)
{
  mc_loop *loop;
  int fd[2];
  CHECK_OK(mc_loop_create(&loop, NULL));
  CHECK(pipe(fd) == 0);
  end e = {.watch = {.fd = fd[0], .ready = on_ready}, .loop = loop};
  CHECK_OK(mc_loop_watch(loop, &e.watch, EPOLLIN));
  CHECK_INT(mc_loop_watch(loop, &e.watch, EPOLLIN), MC_ERR_EXISTS);
  mc_loop_turn(loop, 0);
  CHECK_INT(e.fired, 0);
  CHECK(write(fd[1], "x", 1) == 1);
  mc_loop_turn(loop, 1000);
  mc_loop_turn(loop, 1000);
  CHECK_INT(e.fired, 2); /* level-triggered */
  CHECK_OK(mc_loop_modify(loop, &e.watch, 0));
  mc_loop_turn(loop, 0);
  CHECK_INT(e.fired, 2);
  CHECK_OK(mc_loop_modify(loop, &e.watch, EPOLLIN));
  mc_loop_turn(loop, 0);
  CHECK_INT(e.fired, 3);
  mc_loop_unwatch(loop, &e.watch);
  mc_loop_turn(loop, 0);
  CHECK_INT(e.fired, 3);
  CHECK_INT(mc_loop_modify(loop, &e.watch, EPOLLOUT), MC_ERR_NOT_FOUND);
  close(fd[0]);
  close(fd[1]);
  end bad = {.watch = {.fd = fd[0], .ready = on_ready}};
  CHECK_INT(mc_loop_watch(loop, &bad.watch, EPOLLIN), MC_ERR_INVALID);
  mc_loop_destroy(&loop);
  CHECK(loop == NULL);
}

static void test_a_watch_removed_in_a_callback_hears_nothing_more_of_the_batch(void)
{
  mc_loop *loop;
  int fd[2][2];
  CHECK_OK(mc_loop_create(&loop, NULL));
  end e[2];
  for (int i = 0; i < 2; i++) {
    CHECK(pipe(fd[i]) == 0);
    e[i] = (end){.watch = {.fd = fd[i][0], .ready = on_ready}, .loop = loop, .other = &e[1 - i]};
    CHECK_OK(mc_loop_watch(loop, &e[i].watch, EPOLLIN));
    CHECK(write(fd[i][1], "x", 1) == 1);
  }
  mc_loop_turn(loop, 1000);
  CHECK_INT(e[0].fired + e[1].fired, 1);
  for (int i = 0; i < 2; i++) {
    close(fd[i][0]);
    close(fd[i][1]);
  }
  mc_loop_destroy(&loop);
}

/* ---- timers, with a clock that the test turns ---- */

static int64_t fake_us;
static int64_t fake_mono(void) { return fake_us; }
static int64_t fake_wall(void) { return 1700000000000000 + fake_us; }

typedef struct alarm_clock {
  mc_timer timer;
  mc_loop *loop;
  int fired, id;
  bool again;
} alarm_clock;

static int order[2000], order_len;

static void on_fire(mc_timer *timer)
{
  alarm_clock *a = (alarm_clock *)timer;
  a->fired++;
  order[order_len++] = a->id;
  if (a->again)
    mc_loop_timer_set(a->loop, timer, timer->due_us);
}

static void test_timers_fire_in_order_of_their_time(void)
{
  enum { N = 1000 };
  static alarm_clock a[N];
  mc_loop *loop;
  fake_us = 0;
  order_len = 0;
  mc_clock_set_source(fake_wall, fake_mono);
  CHECK_OK(mc_loop_create(&loop, NULL));
  uint32_t x = 1;
  for (int i = 0; i < N; i++) {
    a[i] = (alarm_clock){.timer = {.fire = on_fire}, .loop = loop, .id = i};
    mc_loop_timer_set(loop, &a[i].timer, (x = x * 1664525 + 1013904223) % 100000);
  }
  for (int i = 0; i < N; i += 3) /* moved, both ways */
    mc_loop_timer_set(loop, &a[i].timer, (x = x * 1664525 + 1013904223) % 100000);
  for (int i = 1; i < N; i += 5)
    mc_loop_timer_clear(loop, &a[i].timer);
  mc_loop_timer_clear(loop, &a[1].timer);
  fake_us = 50000;
  mc_loop_turn(loop, 0);
  CHECK_INT(mc_loop_now_us(loop), 50000);
  for (int i = 0; i < N; i++)
    CHECK_INT(a[i].fired, i % 5 != 1 && a[i].timer.due_us <= 50000);
  fake_us = 100000;
  mc_loop_turn(loop, 0);
  CHECK_INT(order_len, 800);
  for (int i = 1; i < order_len; i++)
    CHECK(a[order[i - 1]].timer.due_us <= a[order[i]].timer.due_us);
  mc_loop_destroy(&loop);
  mc_clock_set_source(NULL, NULL);
}

static void test_a_timer_that_re_arms_itself_for_now_does_not_hold_the_turn(void)
{
  mc_loop *loop;
  order_len = 0;
  CHECK_OK(mc_loop_create(&loop, NULL));
  alarm_clock a = {.timer = {.fire = on_fire}, .loop = loop, .again = true};
  mc_loop_timer_set(loop, &a.timer, 0);
  mc_loop_turn(loop, 1000);
  mc_loop_turn(loop, 1000);
  CHECK_INT(a.fired, 2);
  mc_loop_destroy(&loop);
}

static void test_waits_no_longer_than_the_next_timer_and_not_shorter(void)
{
  mc_loop *loop;
  order_len = 0;
  CHECK_OK(mc_loop_create(&loop, NULL));
  alarm_clock a = {.timer = {.fire = on_fire}, .loop = loop};
  int64_t begin = mc_clock_mono_us();
  mc_loop_timer_set(loop, &a.timer, begin + 20000);
  while (!a.fired && mc_clock_mono_us() - begin < 5000000)
    mc_loop_turn(loop, -1);
  CHECK(a.fired == 1 && mc_clock_mono_us() - begin >= 20000);
  mc_loop_destroy(&loop);
}

/* ---- mailbox ---- */

typedef struct letter {
  mc_post post;
  mc_loop *loop;
  uint32_t from, number;
  int *count;
} letter;

static uint32_t expected[8];
static bool letters_in_order;
static int received;

static void on_letter(mc_post *post)
{
  letter *l = (letter *)post;
  letters_in_order &= l->number == expected[l->from]++;
  received++;
}

static void on_repeat(mc_post *post)
{
  letter *l = (letter *)post;
  if (++*l->count < 3)
    mc_loop_post(l->loop, post);
}

static void test_a_post_may_post_itself_again(void)
{
  mc_loop *loop;
  int count = 0;
  CHECK_OK(mc_loop_create(&loop, NULL));
  letter l = {.post = {.run = on_repeat}, .loop = loop, .count = &count};
  mc_loop_post(loop, &l.post);
  for (int i = 0; i < 3; i++)
    mc_loop_turn(loop, 1000);
  CHECK_INT(count, 3);
  mc_loop_destroy(&loop);
}

enum { POSTERS = 3, EACH = 20000 };
static mc_loop *shared;
static letter letters[POSTERS][EACH];

static void *post_letters(void *arg)
{
  uint32_t from = *(uint32_t *)arg;
  for (uint32_t i = 0; i < EACH; i++) {
    letters[from][i] = (letter){.post = {.run = on_letter}, .from = from, .number = i};
    mc_loop_post(shared, &letters[from][i].post);
    if (i % 1000 == 0)
      usleep(100); /* so that the loop falls asleep now and then */
  }
  return NULL;
}

static void test_posts_of_each_thread_arrive_in_order_and_wake_the_loop(void)
{
  pthread_t thread[POSTERS];
  uint32_t id[POSTERS];
  received = 0;
  letters_in_order = true;
  memset(expected, 0, sizeof expected);
  CHECK_OK(mc_loop_create(&shared, NULL));
  for (uint32_t p = 0; p < POSTERS; p++) {
    id[p] = p;
    pthread_create(&thread[p], NULL, post_letters, &id[p]);
  }
  int64_t give_up = mc_clock_mono_us() + 20000000;
  while (received < POSTERS * EACH && mc_clock_mono_us() < give_up)
    mc_loop_turn(shared, 1000);
  for (int p = 0; p < POSTERS; p++)
    pthread_join(thread[p], NULL);
  mc_loop_destroy(&shared);
  CHECK_INT(received, POSTERS * EACH);
  CHECK(letters_in_order);
}

static void *stop_soon(void *arg)
{
  usleep(20000);
  mc_loop_stop(arg);
  return NULL;
}

static int turns;
static void count_turn(void *ctx)
{
  turns++;
  if (ctx)
    mc_loop_stop(ctx);
}

static void test_runs_until_another_thread_stops_it(void)
{
  mc_loop *loop;
  pthread_t thread;
  CHECK_OK(mc_loop_create(&loop, NULL));
  pthread_create(&thread, NULL, stop_soon, loop);
  mc_loop_run(loop);
  pthread_join(thread, NULL);
  pthread_create(&thread, NULL, stop_soon, loop); /* and it can run again */
  mc_loop_run(loop);
  pthread_join(thread, NULL);
  mc_loop_destroy(&loop);
}

static void nothing(mc_post *post) { (void)post; }

static void test_turn_end_hooks_run_once_a_turn_and_can_be_taken_off(void)
{
  mc_loop *loop;
  turns = 0;
  CHECK_OK(mc_loop_create(&loop, NULL));
  mc_loop_on_turn_end(loop, count_turn, NULL);
  mc_loop_on_turn_end(loop, count_turn, NULL); /* the same one counts once */
  mc_loop_turn(loop, 0);
  CHECK_INT(turns, 1);
  mc_post p = {.run = nothing};
  mc_loop_post(loop, &p);
  mc_loop_on_turn_end(loop, count_turn, loop);
  mc_loop_run(loop); /* stopped by the second hook */
  CHECK_INT(turns, 3);
  mc_loop_off_turn_end(loop, count_turn, NULL);
  mc_loop_off_turn_end(loop, count_turn, loop);
  mc_loop_turn(loop, 0);
  CHECK_INT(turns, 3);
  mc_loop_destroy(&loop);
}

int main(void)
{
  RUN(test_tells_a_readable_descriptor_until_it_is_unwatched);
  RUN(test_a_watch_removed_in_a_callback_hears_nothing_more_of_the_batch);
  RUN(test_timers_fire_in_order_of_their_time);
  RUN(test_a_timer_that_re_arms_itself_for_now_does_not_hold_the_turn);
  RUN(test_waits_no_longer_than_the_next_timer_and_not_shorter);
  RUN(test_a_post_may_post_itself_again);
  RUN(test_posts_of_each_thread_arrive_in_order_and_wake_the_loop);
  RUN(test_runs_until_another_thread_stops_it);
  RUN(test_turn_end_hooks_run_once_a_turn_and_can_be_taken_off);
  return tap_done();
}
