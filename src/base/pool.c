#include "base/pool.h"

#include <pthread.h>
#include <stdlib.h>

struct mc_pool {
  pthread_mutex_t lock;
  pthread_cond_t work;
  mc_job *first, *last;
  size_t queued, queue_max;
  bool stopping;
  void (*run)(mc_job *job);
  pthread_t *thread;
  size_t threads;
};

static void *work(void *arg)
{
  mc_pool *p = arg;
  pthread_mutex_lock(&p->lock);
  for (;;) {
    while (!p->first && !p->stopping)
      pthread_cond_wait(&p->work, &p->lock);
    mc_job *job = p->first;
    if (!job)
      break; /* stopping, and nothing is left */
    p->first = job->next;
    if (!p->first)
      p->last = NULL;
    p->queued--;
    pthread_mutex_unlock(&p->lock);
    p->run(job);
    pthread_mutex_lock(&p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

mc_err mc_pool_create(size_t workers, size_t queue_max, void (*run)(mc_job *job), mc_pool **out)
{
  mc_pool *p = calloc(1, sizeof *p);
  *out = p;
  if (!p || !(p->thread = calloc(workers, sizeof *p->thread)))
    return MC_ERR_MEMORY;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  p->run = run;
  p->queue_max = queue_max;
  for (size_t i = 0; i < workers; i++) {
    if (pthread_create(&p->thread[i], NULL, work, p))
      return p->threads ? MC_OK : MC_ERR_MEMORY;
    p->threads++;
  }
  return MC_OK;
}

bool mc_pool_give(mc_pool *p, mc_job *job)
{
  pthread_mutex_lock(&p->lock);
  bool taken = !p->stopping && p->queued < p->queue_max;
  if (taken) {
    job->next = NULL;
    if (p->last)
      p->last->next = job;
    else
      p->first = job;
    p->last = job;
    p->queued++;
    pthread_cond_signal(&p->work);
  }
  pthread_mutex_unlock(&p->lock);
  return taken;
}

void mc_pool_stop(mc_pool *p)
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

void mc_pool_destroy(mc_pool **pool)
{
  mc_pool *p = *pool;
  if (!p)
    return;
  mc_pool_stop(p);
  if (p->thread) {
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
  }
  free(p->thread);
  free(p);
  *pool = NULL;
}
