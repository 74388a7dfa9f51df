#include "gateway/share_group.h"

#include <stdlib.h>

/* What a group has and nobody can take now: journal offsets, and beyond max_queued of them a place in the journal to read on from. */

enum { SCAN_RECORDS = 4096, FLUSH_US = 20000 };

/* ---- done ---- */
void mc_share_done(mc_share_group *g, uint64_t offset)
{
  mc_gateway_loop *l = g->home;
  if (!g->persistent || mc_vec_push(&g->acked, offset) != MC_OK) /* not journaled: given once more after a crash, as QoS 1 may be */
    return;
  if (!g->in_acked) {
    g->in_acked = true;
    g->next_acked = l->share.acked;
    l->share.acked = g;
  }
  if (!l->ack_timer.armed)
    mc_loop_timer_set(l->loop, &l->ack_timer, mc_loop_now_us(l->loop) + FLUSH_US);
}

/* ---- waiting ---- */
static void begin_scan(mc_share_group *g)
{
  g->scan_begin = g->scan_at = mc_journal_end_offset(g->home->gateway->journal);
  g->scan_end = UINT64_MAX;
  mc_count_add(&g->home->count.spilled, 1);
  mc_log(MC_LOG_WARN, "gateway", "the members of a shared subscription are far behind; its messages stay in the journal and are read from there",
         MC_KS("group", mc_share_group_name(g)), MC_KS("filter", mc_share_group_filter(g)), MC_KU("waiting", g->waiting.len));
}

void mc_share_wait(mc_share_group *g, uint64_t offset)
{
  if (mc_u64_ring_push(&g->waiting, offset) != MC_OK) {
    mc_count_add(&g->home->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "out of memory for the queue of a shared subscription", MC_KS("group", mc_share_group_name(g)));
  }
  if (g->waiting.len >= g->home->gateway->limit.max_queued && !mc_share_scanning(g))
    begin_scan(g);
}

static int latest_first(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

void mc_share_take_back(mc_share_group *g, mc_share_place *seat, bool kept_too)
{
  MC_VEC(uint64_t) back = {0};
  mc_err err = MC_OK;
  size_t at = 0;
  uint64_t offset, holder;
  while (seat->outstanding && err == MC_OK && mc_map_next(&g->held, &at, &offset, &holder))
    if (holder == seat->serial || (kept_too && holder == (seat->serial | MC_SHARE_KEPT)))
      err = mc_vec_push(&back, offset);
  if (err != MC_OK) {
    mc_count_add(&g->home->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: messages of a shared subscription wait for a restart", MC_KS("group", mc_share_group_name(g)));
  }
  if (back.len)
    qsort(back.at, back.len, sizeof back.at[0], latest_first);
  for (size_t i = 0; i < back.len; i++) { /* before what waits: they came first */
    mc_map_remove(&g->held, back.at[i], NULL);
    if (g->subs.count && mc_u64_ring_push_front(&g->waiting, back.at[i]) != MC_OK)
      mc_count_add(&g->home->count.lost, 1);
  }
  seat->outstanding -= (uint32_t)back.len;
  mc_vec_free(&back);
}

void mc_share_queue_clear(mc_share_group *g)
{
  if (g->reader)
    mc_journal_reader_destroy(&g->reader);
  mc_u64_ring_free(&g->waiting);
  mc_map_free(&g->skip);
  mc_map_free(&g->held);
  for (size_t i = 0; i < g->seats.len; i++)
    g->seats.at[i].outstanding = 0;
  g->scan_begin = g->scan_end = UINT64_MAX;
}

bool mc_share_forget(mc_share_group *g, uint64_t offset)
{
  for (uint32_t i = 0; i < g->waiting.len; i++) {
    if (*mc_u64_ring_at(&g->waiting, i) != offset)
      continue;
    for (; i > 0; i--) /* near the front as a rule */
      *mc_u64_ring_at(&g->waiting, i) = *mc_u64_ring_at(&g->waiting, i - 1);
    mc_u64_ring_pop(&g->waiting);
    return true;
  }
  return mc_share_scanned(g, offset) && mc_map_put(&g->skip, offset, 1) == MC_OK;
}

/* ---- reading back ---- */
static void give_next(mc_share_group *g, mc_share_place *seat, uint64_t offset, bool *retry)
{
  mc_gateway_loop *l = g->home;
  mc_record record;
  mc_message m;
  mc_why why;
  mc_buf_clear(&l->read);
  if (mc_journal_read_at(l->gateway->journal, offset, &l->read, &record, &why) != MC_OK || !mc_message_of_record(&record, &m)) {
    mc_count_add(&l->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "a message queued for a shared subscription can no longer be read from the journal", MC_KS("group", mc_share_group_name(g)),
           MC_KU("offset", offset), MC_KZ("error", why.text));
    mc_share_done(g, offset);
  } else if (mc_message_expired(l, &m)) {
    mc_share_done(g, offset);
  } else {
    *retry = !mc_share_give(g, seat, &m);
  }
}

static bool is_ours(mc_share_group *g, const mc_record *record, mc_message *m)
{
  return record->tenant == g->tenant && record->offset >= g->since && mc_message_of_record(record, m) && m->qos &&
         !mc_map_remove(&g->skip, record->offset, NULL) && mc_mqtt_topic_matches(mc_share_group_filter(g), m->topic);
}

static bool open_reader(mc_share_group *g)
{
  mc_journal *journal = g->home->gateway->journal;
  uint64_t from = g->scan_at, first = mc_journal_first_offset(journal);
  mc_why why;
  if (from < first) {
    mc_log(MC_LOG_ERROR, "gateway", "the journal kept less than a shared subscription is behind", MC_KS("group", mc_share_group_name(g)), MC_KU("bytes", first - from));
    from = first;
  }
  if (mc_journal_reader_create(journal, from, mc_message_streams, &g->reader, &why) == MC_OK)
    return true;
  mc_log(MC_LOG_ERROR, "gateway", "cannot read the journal for a shared subscription that is behind", MC_KS("group", mc_share_group_name(g)), MC_KZ("error", why.text));
  return false;
}

/* True: call again, there may be more. */
static bool scan_on(mc_share_group *g)
{
  if (!g->reader && !open_reader(g))
    return false;
  mc_record record;
  mc_message m;
  mc_why why = {0};
  mc_err err = MC_OK;
  for (size_t n = 0; n < SCAN_RECORDS && g->waiting.len < g->home->gateway->limit.max_queued / 2 + 1 && err == MC_OK; n++) {
    err = mc_journal_reader_next(g->reader, &record, &why);
    if (err == MC_OK && is_ours(g, &record, &m))
      err = mc_u64_ring_push(&g->waiting, record.offset);
  }
  g->scan_at = mc_journal_reader_offset(g->reader);
  if (err == MC_OK)
    return true;
  if (err != MC_ERR_END)
    mc_log(MC_LOG_ERROR, "gateway", "reading the journal for a shared subscription failed", MC_KS("group", mc_share_group_name(g)), MC_KZ("error", why.text));
  /* Everything committed so far was seen; what comes next comes live. A group that reached this loop before now ends before scan_at. */
  g->scan_end = g->scan_at;
  mc_map_free(&g->skip);
  mc_journal_reader_destroy(&g->reader);
  return false;
}

bool mc_share_queue_step(mc_share_group *g)
{
  if (!g->waiting.len && (!mc_share_scanning(g) || !(scan_on(g) || g->waiting.len)))
    return false;
  if (!g->waiting.len)
    return true;
  mc_share_place *seat = mc_share_choose(g, 2);
  if (!seat)
    return false; /* the next acknowledgement or member calls again */
  uint64_t offset = mc_u64_ring_pop(&g->waiting);
  bool retry = false;
  give_next(g, seat, offset, &retry);
  if (retry)
    mc_u64_ring_push_front(&g->waiting, offset); /* room is there: it was just popped */
  return !retry;
}
