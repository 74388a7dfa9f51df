#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/metric.h"
#include "net/conn.h"
#include "net/hello.h"

/* Who gets the processor when everybody comes back at once. Lists, limits and the reasons for them: README, "Admission".
 *
 * Sockets are watched for edges until they are open: a greeting is only looked at (MSG_PEEK) and stays in the kernel until its turn, which a
 * level would report for ever. */

enum {
  STEPS_A_TURN = 8,     /* half a millisecond of CPU each: a storm must not hold up those who are connected */
  PATIENCE_US = 1000000, /* a handshake that waits for its peer this long gives its place to others, and goes on without */
  PARKED_TIMES = 4      /* so many times max_handshakes may go on without a place */
};

static mc_conn_setup *of_place(mc_setup_link *l) { return (mc_conn_setup *)((char *)l - offsetof(mc_conn_setup, place)); }
static mc_conn_setup *of_turn(mc_setup_link *l) { return (mc_conn_setup *)((char *)l - offsetof(mc_conn_setup, turn)); }

/* ---- lists ---- */
static void list_remove(mc_setup_link *l)
{
  mc_setup_list *list = l->list;
  if (!list)
    return;
  *(l->prev ? &l->prev->next : &list->first) = l->next;
  *(l->next ? &l->next->prev : &list->last) = l->prev;
  list->len--;
  *l = (mc_setup_link){0};
}

static void list_append(mc_setup_list *list, mc_setup_link *l)
{
  list_remove(l);
  *l = (mc_setup_link){.prev = list->last, .list = list};
  *(list->last ? &list->last->next : &list->first) = l;
  list->last = l;
  list->len++;
}

/* ---- metrics ---- */
enum { NOT_TLS, SILENT, DISPLACED };

static void tell(mc_net_loop *net)
{
  mc_admission *a = &net->admission;
  int64_t now[3] = {(int64_t)(a->greeting.len + a->waiting.len), (int64_t)a->active.len, (int64_t)a->parked.len};
  for (int i = 0; i < 3; i++)
    if (now[i] != a->shown[i]) {
      mc_metric_add(a->state[i], (uint64_t)(now[i] - a->shown[i]));
      a->shown[i] = now[i];
    }
}

static void find_metrics(mc_admission *a)
{
  static const char *const state[3] = {"state=\"waiting\"", "state=\"handshake\"", "state=\"slow\""};
  static const char *const cause[3] = {"cause=\"not-tls\"", "cause=\"silent\"", "cause=\"displaced\""};
  for (int i = 0; i < 3; i++) {
    a->state[i] = mc_metric_get(MC_METRIC_GAUGE, "motorcade_tls_admission", "TLS connections that are being admitted, by state.", state[i]);
    a->dropped[i] = mc_metric_get(MC_METRIC_COUNTER, "motorcade_tls_dropped_total", "Connections ended before their TLS handshake began or was over, by cause.", cause[i]);
  }
}

/* ---- time ---- */
static bool has_place(const mc_admission *a) { return a->waiting.first && a->active.len < (size_t)mc_listener_max_handshakes(of_place(a->waiting.first)->listener); }

/* Those whose peer lets us wait make room, as far as somebody needs it. */
static void park(mc_net_loop *net)
{
  mc_admission *a = &net->admission;
  int64_t now = mc_loop_now_us(net->loop);
  while (a->waiting.first && a->active.first && !has_place(a) && of_place(a->active.first)->since_us + PATIENCE_US <= now)
    list_append(&a->parked, a->active.first);
  while (a->parked.first && a->waiting.first &&
         a->parked.len > PARKED_TIMES * (size_t)mc_listener_max_handshakes(of_place(a->waiting.first)->listener)) {
    mc_metric_add(a->dropped[DISPLACED], 1);
    mc_conn_fail(of_place(a->parked.first)->conn, MC_ERR_TIMEOUT, "its handshake stood still while others waited");
  }
}

static void arm(mc_net_loop *net)
{
  mc_admission *a = &net->admission;
  if (a->waiting.first && a->active.first && !has_place(a)) {
    if (!a->tick.armed)
      mc_loop_timer_set(net->loop, &a->tick, of_place(a->active.first)->since_us + PATIENCE_US);
  } else {
    mc_loop_timer_clear(net->loop, &a->tick);
  }
}

static void on_tick(mc_timer *timer)
{
  mc_net_loop *net = (mc_net_loop *)((char *)timer - offsetof(mc_net_loop, admission.tick));
  park(net); /* the end of this turn begins what now has a place */
}

void mc_admission_init(mc_net_loop *net)
{
  net->admission.tick.fire = on_tick;
  find_metrics(&net->admission);
}

void mc_admission_leave(mc_conn_setup *s)
{
  list_remove(&s->place);
  list_remove(&s->turn);
}

/* ---- greeting ---- */
static void greet(mc_conn *c)
{
  static const uint8_t unexpected_message[] = {21, 3, 1, 0, 2, 2, 10}; /* a fatal alert: RFC 8446, 6.2 */
  ssize_t n;
  do
    n = recv(c->watch.fd, c->net->read, MC_CONN_READ_SIZE, MSG_PEEK);
  while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return;
  if (n <= 0) {
    mc_conn_fail(c, MC_ERR_CLOSED, "the peer closed the connection before its greeting");
    return;
  }
  mc_err err = mc_hello_check(mc_slice_of(c->net->read, (size_t)n));
  if (err == MC_ERR_AGAIN)
    return;
  if (err != MC_OK) {
    mc_metric_add(c->net->admission.dropped[NOT_TLS], 1);
    ssize_t told = send(c->watch.fd, unexpected_message, sizeof unexpected_message, MSG_NOSIGNAL);
    mc_conn_fail(c, MC_ERR_MALFORMED, told > 0 ? "the peer does not speak TLS" : "the peer does not speak TLS, and is gone");
    return;
  }
  mc_loop_timer_clear(c->net->loop, &c->timer); /* how long it waits now is our doing */
  c->phase = MC_CONN_QUEUED;
  list_append(&c->net->admission.waiting, &c->setup->place);
}

void mc_admission_accepted(mc_conn *c)
{
  c->phase = MC_CONN_GREETING;
  c->setup->since_us = mc_loop_now_us(c->net->loop);
  list_append(&c->net->admission.greeting, &c->setup->place);
  mc_loop_timer_set(c->net->loop, &c->timer, c->setup->since_us + mc_listener_timeout_us(c->setup->listener));
  greet(c);
}

void mc_admission_event(mc_conn *c, uint32_t events)
{
  if (c->phase == MC_CONN_GREETING) {
    greet(c);
    if (!c->dead && c->phase == MC_CONN_GREETING && events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) /* bytes that are only looked at hide the end */
      mc_conn_fail(c, MC_ERR_CLOSED, "the peer closed the connection in the middle of its greeting");
  } else if (c->phase == MC_CONN_QUEUED && events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    mc_conn_fail(c, MC_ERR_CLOSED, "the peer closed the connection while it waited for its handshake");
  else if (c->phase == MC_CONN_HANDSHAKE && !c->setup->turn.list)
    list_append(&c->net->admission.ready, &c->setup->turn);
}

bool mc_admission_room(mc_net_loop *net, int max_waiting)
{
  mc_admission *a = &net->admission;
  if (a->greeting.len + a->waiting.len < (size_t)max_waiting)
    return true;
  mc_conn_setup *oldest = a->greeting.first ? of_place(a->greeting.first) : NULL;
  if (!oldest || oldest->since_us + PATIENCE_US > mc_loop_now_us(net->loop))
    return false;
  mc_metric_add(a->dropped[SILENT], 1);
  mc_conn_fail(oldest->conn, MC_ERR_TIMEOUT, "it did not say what it wants while others waited");
  return true;
}

/* ---- turns ---- */
static void begin(mc_conn_setup *s)
{
  mc_conn *c = s->conn;
  mc_tls *tls = mc_listener_tls(s->listener);
  list_append(&c->net->admission.active, &s->place);
  s->since_us = mc_loop_now_us(c->net->loop);
  mc_loop_timer_set(c->net->loop, &c->timer, s->since_us + mc_listener_timeout_us(s->listener));
  if (tls)
    mc_conn_begin(c, tls);
  else
    mc_conn_fail(c, MC_ERR_CLOSED, "the listener has gone");
}

bool mc_admission_busy(const mc_net_loop *net) { return net->admission.ready.first || has_place(&net->admission); }

void mc_admission_turn(mc_net_loop *net)
{
  mc_admission *a = &net->admission;
  if (!a->greeting.len && !a->waiting.len && !a->active.len && !a->parked.len && !a->shown[0] && !a->shown[1] && !a->shown[2])
    return;
  int steps = 0;
  for (; steps < STEPS_A_TURN && a->ready.first; steps++) { /* what has begun is finished first: it holds memory */
    mc_conn_setup *s = of_turn(a->ready.first);
    list_remove(&s->turn);
    mc_conn_handshake_step(s->conn);
  }
  park(net);
  for (; steps < STEPS_A_TURN && has_place(a); steps++)
    begin(of_place(a->waiting.first));
  arm(net);
  tell(net);
}
