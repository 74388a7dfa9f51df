/* One loop with a listener and clients on it: what the connection tests share. */
#ifndef TESTS_NET_PAIR_H
#define TESTS_NET_PAIR_H

#include <time.h>

#include "base/clock.h"
#include "base/loop.h"
#include "net/net.h"
#include "tap.h"

typedef struct pki {
  mc_buf ca_cert, ca_key, server_cert, server_key, client_cert, client_key;
} pki;

/* Made once a program; false on failure. */
static inline bool pki_make(pki *p, int client_days)
{
  mc_why why = {0};
  *p = (pki){0};
  return mc_pki_create_ca("test CA", 30, &p->ca_cert, &p->ca_key, &why) == MC_OK &&
         mc_pki_issue_server(mc_buf_slice(&p->ca_cert), mc_buf_slice(&p->ca_key), "server", "localhost,127.0.0.1,::1", 30, &p->server_cert,
                             &p->server_key, &why) == MC_OK &&
         mc_pki_issue_client(mc_buf_slice(&p->ca_cert), mc_buf_slice(&p->ca_key), "vehicle-1", client_days, &p->client_cert, &p->client_key, &why) ==
             MC_OK;
}

static inline void pki_free(pki *p)
{
  mc_buf *b[] = {&p->ca_cert, &p->ca_key, &p->server_cert, &p->server_key, &p->client_cert, &p->client_key};
  for (size_t i = 0; i < sizeof b / sizeof b[0]; i++)
    mc_buf_free(b[i]);
}

/* What one end saw. */
typedef struct end {
  mc_conn *conn;
  bool opened, closed;
  mc_err err;
  char text[256];
  mc_buf got;
  mc_peer peer;
  size_t frame;  /* > 0: consume whole frames of this size only */
  size_t drains;
  const mc_conn_handler *upgrade_to;
} end;

static inline void end_open(mc_conn *c)
{
  end *e = mc_conn_user(c);
  e->conn = c;
  e->opened = true;
  mc_conn_peer(c, &e->peer);
}
static inline size_t end_data(mc_conn *c, mc_slice in)
{
  end *e = mc_conn_user(c);
  size_t take = e->frame ? in.len / e->frame * e->frame : in.len;
  mc_buf_append(&e->got, in.data, take);
  return take;
}
static inline void end_drained(mc_conn *c)
{
  end *e = mc_conn_user(c);
  e->drains++;
}
static inline void end_closed(mc_conn *c, mc_err err, const char *text)
{
  end *e = mc_conn_user(c);
  e->closed = true;
  e->conn = NULL;
  e->err = err;
  snprintf(e->text, sizeof e->text, "%s", text);
}
static const mc_conn_handler end_handler = {end_open, end_data, end_drained, end_closed};

/* Real time, whatever clock a test has set: a slow machine may need it. */
enum { PATIENCE_S = 30 };
static inline time_t seconds_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

/* Turns the loop until the condition holds. */
#define TURN_WHILE(loop, condition)                                              \
  for (time_t turn_end_ = seconds_now() + PATIENCE_S; (condition) && seconds_now() < turn_end_;) \
  mc_loop_turn((loop), 10)

#define TURN_UNTIL(loop, condition)                                            \
  do {                                                                         \
    TURN_WHILE(loop, !(condition));                                            \
    if (!(condition))                                                          \
      TAP_FAIL("not within %d s: %s", PATIENCE_S, #condition);                 \
  } while (0)

#endif
