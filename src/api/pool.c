/* A few threads and one bounded queue: handlers never run on loops. */
#include <stdlib.h>

#include "api/inside.h"

enum { QUEUE_MAX = 512 };

struct api_pool {
  pthread_mutex_t lock;
  pthread_cond_t work;
  api_call *first, *last;
  size_t queued;
  bool stopping;
  void (*run)(api_call *c);
  pthread_t *thread;
  size_t threads;
};

static void *work(void *arg)
{
  api_pool *p = arg;
  pthread_mutex_lock(&p->lock);
  for (;;) {
    while (!p->first && !p->stopping)
      pthread_cond_wait(&p->work, &p->lock);
    api_call *c = p->first;
    if (!c)
      break; /* stopping, and nothing is left */
    p->first = c->next;
    if (!p->first)
      p->last = NULL;
    p->queued--;
    pthread_mutex_unlock(&p->lock);
    p->run(c);
    pthread_mutex_lock(&p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

mc_err pool_create(size_t workers, void (*run)(api_call *c), api_pool **out)
{
  api_pool *p = calloc(1, sizeof *p);
  *out = p;
  if (!p || !(p->thread = calloc(workers, sizeof *p->thread)))
    return MC_ERR_MEMORY;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  p->run = run;
  for (size_t i = 0; i < workers; i++) {
    if (pthread_create(&p->thread[i], NULL, work, p))
      return p->threads ? MC_OK : MC_ERR_MEMORY;
    p->threads++;
  }
  return MC_OK;
}

bool pool_give(api_pool *p, api_call *c)
{
  pthread_mutex_lock(&p->lock);
  bool taken = !p->stopping && p->queued < QUEUE_MAX;
  if (taken) {
    c->next = NULL;
    if (p->last)
      p->last->next = c;
    else
      p->first = c;
    p->last = c;
    p->queued++;
    pthread_cond_signal(&p->work);
  }
  pthread_mutex_unlock(&p->lock);
  return taken;
}

void pool_stop(api_pool *p)
{
  if (!p || !p->thread)
    return;
  pthread_mutex_lock(&p->lock);
  p->stopping = true;
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
  for (size_t i = 0; i < p->threads; i++)
    pthread_join(p->thread[i], NULL);
  p->threads = 0;
}

void pool_destroy(api_pool **pool)
{
  api_pool *p = *pool;
  if (!p)
    return;
  pool_stop(p);
  if (p->thread) {
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
  }
  free(p->thread);
  free(p);
  *pool = NULL;
}
