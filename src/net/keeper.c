#include <stdlib.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/tls_server.h"

/* The thread that looks after a server context's files. At start a file that cannot be used is an error; later the last good state stays,
 * with a warning: an operator's slip must not lock a fleet out. */

enum { CHECK_S = 5, FETCH_RETRY_US = 60000000, FETCH_LEAST_US = 60000000 };
#define FETCH_MOST_US (INT64_C(12) * 3600 * 1000000)

static bool stamp_of(const char *path, mc_file_stamp *out)
{
  struct stat st;
  *out = (mc_file_stamp){0};
  if (stat(path, &st))
    return false;
  *out = (mc_file_stamp){(int64_t)st.st_size, (int64_t)st.st_ino, st.st_mtim};
  return true;
}

static bool same_stamp(const mc_file_stamp *a, const mc_file_stamp *b)
{
  return a->size == b->size && a->inode == b->inode && a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* ---- revocation list ---- */
static mc_err load_crl(struct mc_tls_server *s, mc_revocation **out, mc_why *why)
{
  mc_buf text = {0};
  *out = NULL;
  mc_err err = mc_fs_read(mc_fs_posix(), s->crl_path, MC_CRL_FILE_MAX, &text, why);
  if (err == MC_OK) {
    err = mc_revocation_load(mc_buf_slice(&text), s->authority, out, why);
    if (err)
      mc_err_prefix(why, "%s", s->crl_path);
  }
  mc_buf_free(&text);
  return err;
}

static void warn_old_crl(struct mc_tls_server *s)
{
  int64_t next = mc_revocation_next_update_us(s->revocation);
  bool old = next && next <= mc_clock_wall_us();
  if (old && !s->crl_old_told) {
    char when[MC_CLOCK_TEXT];
    mc_clock_format_us(next, when);
    mc_log(MC_LOG_WARN, "net", s->config.crl_required ? "a revocation list is out of date: its authority's certificates are refused until a new one is there"
                                                       : "a revocation list is out of date: the last one stays in use; fetch a new one",
           MC_KZ("file", s->crl_path), MC_KZ("next_update", when));
  }
  s->crl_old_told = old;
}

/* A file is read when it is another one than last time; *changed: a new list is in use. */
static mc_err tend_crl(struct mc_tls_server *s, bool *changed, mc_why *why)
{
  mc_file_stamp now;
  *changed = false;
  stamp_of(s->crl_path, &now);
  if ((now.size || s->crl_bad) && same_stamp(&now, &s->crl_seen)) {
    if (!s->crl_bad)
      warn_old_crl(s);
    return MC_OK;
  }
  mc_revocation *fresh;
  mc_err err = load_crl(s, &fresh, why);
  s->crl_seen = now;
  s->crl_bad = err != MC_OK;
  if (err) {
    mc_metric_add(s->metric.crl_errors, 1);
    return err;
  }
  pthread_rwlock_wrlock(&s->lock);
  mc_revocation *old = s->revocation;
  s->revocation = fresh;
  pthread_rwlock_unlock(&s->lock);
  mc_revocation_free(&old);
  mc_metric_set(s->metric.crl_entries, (int64_t)mc_revocation_count(fresh));
  mc_log(MC_LOG_INFO, "net", "revocation list in use", MC_KZ("file", s->crl_path), MC_KU("certificates", mc_revocation_count(fresh)));
  s->crl_old_told = false;
  warn_old_crl(s);
  *changed = true;
  return MC_OK;
}

/* ---- staple ---- */
static mc_err use_staple(struct mc_tls_server *s, mc_buf *der, mc_why *why)
{
  int64_t now = mc_clock_wall_us(), from, until;
  MC_TRY(mc_staple_check(mc_buf_slice(der), s->leaf, s->issuer, now, &from, &until, why));
  pthread_rwlock_wrlock(&s->lock);
  mc_buf old = s->staple;
  s->staple = *der;
  s->staple_until_us = until;
  pthread_rwlock_unlock(&s->lock);
  *der = (mc_buf){0};
  mc_buf_free(&old);
  int64_t half = (until - now) / 2;
  s->fetch_at_us = now + (half < FETCH_LEAST_US ? FETCH_LEAST_US : half > FETCH_MOST_US ? FETCH_MOST_US : half);
  s->staple_old_told = false;
  return MC_OK;
}

static mc_err tend_staple_file(struct mc_tls_server *s, mc_why *why)
{
  mc_file_stamp now;
  stamp_of(s->staple_path, &now);
  if ((now.size || s->staple_bad) && same_stamp(&now, &s->staple_seen))
    return MC_OK;
  mc_buf der = {0};
  mc_err err = mc_fs_read(mc_fs_posix(), s->staple_path, MC_STAPLE_MAX, &der, why);
  if (err == MC_OK) {
    err = use_staple(s, &der, why);
    if (err)
      mc_err_prefix(why, "%s", s->staple_path);
  }
  mc_buf_free(&der);
  s->staple_seen = now;
  s->staple_bad = err != MC_OK;
  return err;
}

static mc_err tend_staple_fetch(struct mc_tls_server *s, mc_why *why)
{
  int64_t now = mc_clock_wall_us();
  if (now < s->fetch_at_us && s->fetch_at_us <= now + FETCH_MOST_US)
    return MC_OK;
  s->fetch_at_us = now + FETCH_RETRY_US;
  mc_buf der = {0};
  mc_err err = mc_staple_fetch(s->leaf, s->issuer, &der, why);
  if (err == MC_OK)
    err = use_staple(s, &der, why);
  mc_buf_free(&der);
  return err;
}

static void drop_old_staple(struct mc_tls_server *s)
{
  if (!s->staple.len || s->staple_until_us > mc_clock_wall_us() || s->staple_old_told)
    return;
  s->staple_old_told = true;
  mc_log(MC_LOG_WARN, "net", "the stapled OCSP answer is out of date: handshakes go without one until a new one is there");
}

/* ---- looking ---- */
static void count_staple_error(struct mc_tls_server *s, mc_err err)
{
  if (err)
    mc_metric_add(s->metric.staple_errors, 1);
}

/* The first error; what is independent of it is still done. */
static mc_err look(struct mc_tls_server *s, bool with_network, mc_why *why)
{
  mc_why later;
  bool changed = false;
  mc_err first = mc_tickets_tend(s->tickets, why), err;
  if (s->crl_path) {
    err = tend_crl(s, &changed, first ? &later : why);
    first = first ? first : err;
  }
  if (s->staple_path) {
    err = tend_staple_file(s, first ? &later : why);
    count_staple_error(s, err);
    first = first ? first : err;
  }
  if (s->config.staple_fetch && with_network) {
    err = tend_staple_fetch(s, first ? &later : why);
    count_staple_error(s, err);
    first = first ? first : err;
  }
  drop_old_staple(s);
  if (changed && s->config.revoked)
    s->config.revoked(s->config.ctx);
  return first;
}

mc_err mc_tls_refresh(mc_tls *tls, mc_why *why)
{
  struct mc_tls_server *s = tls->at_server;
  if (!s)
    return mc_err_set(why, MC_ERR_INVALID, "only a server's TLS context has files to look after");
  pthread_mutex_lock(&s->tend_lock);
  mc_err err = look(s, true, why);
  pthread_mutex_unlock(&s->tend_lock);
  return err;
}

static bool wait_for_stop(struct mc_tls_server *s)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += s->config.check_s ? s->config.check_s : CHECK_S;
  pthread_mutex_lock(&s->stop_lock);
  while (!s->stop && pthread_cond_timedwait(&s->stop_cond, &s->stop_lock, &until) != ETIMEDOUT)
    ;
  bool stop = s->stop;
  pthread_mutex_unlock(&s->stop_lock);
  return stop;
}

static void *keep(void *arg)
{
  struct mc_tls_server *s = arg;
  mc_why why;
  do {
    pthread_mutex_lock(&s->tend_lock);
    mc_err err = look(s, true, &why);
    pthread_mutex_unlock(&s->tend_lock);
    if (err)
      mc_log(MC_LOG_WARN, "net", "a TLS file or the OCSP responder cannot be used; what was there stays in use", MC_KZ("why", why.text));
  } while (!wait_for_stop(s));
  OPENSSL_thread_stop();
  return NULL;
}

mc_err mc_keeper_start(struct mc_tls_server *s, mc_why *why)
{
  if (!s->crl_path && !s->staple_path && !s->ticket_path && !s->config.staple_fetch)
    return MC_OK;
  if (s->crl_path && !s->authority)
    return mc_err_set(why, MC_ERR_INVALID, "a revocation list needs an authority for client certificates");
  if ((s->staple_path || s->config.staple_fetch) && !s->issuer)
    return mc_err_set(why, MC_ERR_INVALID, "OCSP stapling needs the issuer's certificate: put it behind the server's own in server.pem");
  mc_why told;
  mc_err err = look(s, false, &told);
  if (err && err != MC_ERR_TIMEOUT)
    return mc_err_set(why, err, "%s", told.text);
  if (err) /* an answer that grew old while the server was down keeps no device out */
    mc_log(MC_LOG_WARN, "net", "starting without a stapled OCSP answer", MC_KZ("why", told.text));
  if (pthread_create(&s->keeper, NULL, keep, s))
    return mc_err_set(why, MC_ERR_MEMORY, "cannot start the thread that looks after TLS files");
  s->keeping = true;
  return MC_OK;
}

void mc_keeper_stop(struct mc_tls_server *s)
{
  if (!s->keeping)
    return;
  pthread_mutex_lock(&s->stop_lock);
  s->stop = true;
  pthread_cond_signal(&s->stop_cond);
  pthread_mutex_unlock(&s->stop_lock);
  pthread_join(s->keeper, NULL);
  s->keeping = false;
}
