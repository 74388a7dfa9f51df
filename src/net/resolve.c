#include "net/conn.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* getaddrinfo blocks, so it runs on up to WORKERS threads, which end when there is nothing to look up. The lock guards the
 * queue and `loop` of every job: a loop that is destroyed takes its jobs' `loop` away, and their results are dropped. */
enum { WORKERS = 4 };

struct mc_resolve {
  mc_post post;
  mc_loop *loop; /* NULL: nobody waits */
  void (*done)(void *ctx, struct sockaddr_storage *address, size_t count, const char *error);
  void *ctx;
  bool cancelled; /* loop's thread only */
  struct mc_resolve *next;        /* in the queue */
  struct mc_resolve *prev_live, *next_live;
  struct sockaddr_storage *address;
  size_t count;
  char error[128];
  uint16_t port;
  char host[256];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mc_resolve *queue, **queue_tail = &queue, *live;
static int workers;

static const char resolve_key;

static void forget_loop(void *value)
{
  mc_loop *loop = value;
  pthread_mutex_lock(&lock);
  for (mc_resolve *r = live; r; r = r->next_live)
    if (r->loop == loop)
      r->loop = NULL;
  pthread_mutex_unlock(&lock);
}

static void resolve_free(mc_resolve *r) /* lock held */
{
  if (r->prev_live)
    r->prev_live->next_live = r->next_live;
  else
    live = r->next_live;
  if (r->next_live)
    r->next_live->prev_live = r->prev_live;
  free(r->address);
  free(r);
}

static void deliver(mc_post *post)
{
  mc_resolve *r = (mc_resolve *)((char *)post - offsetof(mc_resolve, post));
  if (!r->cancelled) {
    struct sockaddr_storage *address = r->address;
    r->address = NULL;
    r->done(r->ctx, address, r->count, r->error[0] ? r->error : NULL);
  }
  pthread_mutex_lock(&lock);
  resolve_free(r);
  pthread_mutex_unlock(&lock);
}

static void look_up(mc_resolve *r)
{
  char port[8];
  snprintf(port, sizeof port, "%u", r->port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG}, *list = NULL;
  int e = getaddrinfo(r->host, port, &hints, &list);
  if (e == EAI_NONAME || e == EAI_ADDRFAMILY) { /* AI_ADDRCONFIG hides loopback names on a machine without a network */
    hints.ai_flags = AI_NUMERICSERV;
    e = getaddrinfo(r->host, port, &hints, &list);
  }
  if (e) {
    snprintf(r->error, sizeof r->error, "%s", gai_strerror(e));
    return;
  }
  size_t count = 0;
  for (struct addrinfo *a = list; a; a = a->ai_next)
    count++;
  r->address = calloc(count ? count : 1, sizeof *r->address);
  for (struct addrinfo *a = list; a && r->address; a = a->ai_next)
    if (a->ai_addrlen <= sizeof *r->address)
      memcpy(&r->address[r->count++], a->ai_addr, a->ai_addrlen);
  freeaddrinfo(list);
  if (!r->count)
    snprintf(r->error, sizeof r->error, "no address");
}

static void *worker(void *arg)
{
  pthread_mutex_lock(&lock);
  while (queue) {
    mc_resolve *r = queue;
    queue = r->next;
    if (!queue)
      queue_tail = &queue;
    pthread_mutex_unlock(&lock);
    look_up(r);
    pthread_mutex_lock(&lock);
    if (r->loop)
      mc_loop_post(r->loop, &r->post); /* under the lock, so that the loop cannot go meanwhile */
    else
      resolve_free(r);
  }
  workers--;
  pthread_mutex_unlock(&lock);
  return NULL;
}

mc_err mc_resolve_start(mc_loop *loop, const char *host, uint16_t port, void (*done)(void *, struct sockaddr_storage *, size_t, const char *), void *ctx,
                        mc_resolve **out)
{
  if (strlen(host) >= sizeof((mc_resolve *)0)->host)
    return MC_ERR_INVALID;
  mc_err err = mc_loop_attached(loop, &resolve_key) ? MC_OK : mc_loop_attach(loop, &resolve_key, loop, forget_loop);
  mc_resolve *r = err ? NULL : calloc(1, sizeof *r);
  if (!r)
    return MC_ERR_MEMORY;
  r->loop = loop;
  r->done = done;
  r->ctx = ctx;
  r->post.run = deliver;
  r->port = port;
  memcpy(r->host, host, strlen(host) + 1);
  pthread_mutex_lock(&lock);
  r->next_live = live;
  if (live)
    live->prev_live = r;
  live = r;
  *queue_tail = r;
  queue_tail = &r->next;
  pthread_t thread;
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, 256 * 1024);
  if (workers < WORKERS && pthread_create(&thread, &attr, worker, NULL) == 0)
    workers++;
  pthread_attr_destroy(&attr);
  if (!workers) { /* no thread to be had: take it back */
    queue = NULL;
    queue_tail = &queue;
    resolve_free(r);
    pthread_mutex_unlock(&lock);
    return MC_ERR_MEMORY;
  }
  pthread_mutex_unlock(&lock);
  *out = r;
  return MC_OK;
}

void mc_resolve_cancel(mc_resolve *r)
{
  r->cancelled = true; /* read by deliver on the same thread */
}
