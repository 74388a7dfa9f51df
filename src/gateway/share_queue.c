#include "gateway/share_group.h"

#include <stdlib.h>

/* What a group has and nobody can take now: journal offsets in a line like that of a session (queue.c) - head, pages in the journal, waiting. Only when there is
 * no memory for another offset, the journal as a whole is read from that message on and matched again. */

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
void mc_share_count_queue(mc_share_group *g)
{
  mc_outbox *o = &g->line;
  mc_gateway_loop *l = g->home;
  uint64_t waiting = mc_outbox_queued(o), bytes = mc_outbox_bytes(o), most = l->gateway->limit.max_queued;
  mc_count_add(&l->count.share_waiting, waiting - g->shown_waiting);
  mc_count_add(&l->count.share_bytes, bytes - g->shown_bytes);
  g->shown_waiting = waiting;
  g->shown_bytes = bytes;
  if (waiting >= most && !o->told)
    mc_log(MC_LOG_WARN, "gateway", "the members of a shared subscription are far behind; its messages stay in the journal", MC_KS("group", mc_share_group_name(g)),
           MC_KS("filter", mc_share_group_filter(g)), MC_KU("waiting", waiting));
  o->told = waiting >= most || (o->told && waiting >= most / 2);
}

static void lost(mc_share_group *g)
{
  mc_count_add(&g->home->count.lost, 1);
  mc_log(MC_LOG_ERROR, "gateway", "out of memory for the queue of a shared subscription", MC_KS("group", mc_share_group_name(g)));
}

static void begin_scan(mc_share_group *g, uint64_t from)
{
  g->line.scan_begin = g->line.scan_at = from;
  g->line.scan_end = UINT64_MAX;
  g->line.scan_known = mc_journal_end_offset(g->home->gateway->journal);
  mc_log(MC_LOG_ERROR, "gateway", "out of memory for the queue of a shared subscription: its messages will be read from the journal", MC_KS("group", mc_share_group_name(g)),
         MC_KU("from", from));
}

void mc_share_wait(mc_share_group *g, uint64_t offset)
{
  mc_outbox *o = &g->line;
  if (mc_u64_ring_push(&o->waiting, offset) == MC_OK)
    mc_share_page_out(g);
  else if (mc_outbox_scanning(o))
    lost(g);
  else
    begin_scan(g, offset);
  mc_share_count_queue(g);
}

static int latest_first(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

static bool is_held_by(uint64_t holder, const mc_share_place *seat, bool kept_too)
{
  return (holder & MC_SHARE_SERIAL) == seat->serial && (kept_too || !(holder & MC_SHARE_KEPT));
}

void mc_share_take_back(mc_share_group *g, mc_share_place *seat, bool kept_too)
{
  MC_VEC(uint64_t) back = {0}, again = {0};
  mc_err err = MC_OK;
  size_t at = 0;
  uint64_t offset, holder;
  while (seat->outstanding && err == MC_OK && mc_map_next(&g->held, &at, &offset, &holder)) {
    if (!is_held_by(holder, seat, kept_too))
      continue;
    err = mc_vec_push(&back, offset);
    if (err == MC_OK && (holder & (MC_SHARE_BEGINNING | MC_SHARE_BEGUN)) && !(holder & MC_SHARE_KEPT))
      err = mc_vec_push(&again, offset);
  }
  if (err != MC_OK) {
    mc_count_add(&g->home->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: messages of a shared subscription wait for a restart", MC_KS("group", mc_share_group_name(g)));
  }
  if (back.len)
    qsort(back.at, back.len, sizeof back.at[0], latest_first);
  for (size_t i = 0; i < back.len; i++) { /* before what waits: they came first */
    mc_map_remove(&g->held, back.at[i], &holder);
    bool sent = (holder & MC_SHARE_KEPT) && (holder & MC_SHARE_BEGUN);
    if (!sent && g->subs.count && mc_u64_ring_push_front(&g->line.head, back.at[i]) != MC_OK)
      lost(g);
  }
  if (again.len && g->subs.count)
    mc_share_put_again(g, again.at, again.len);
  seat->outstanding -= (uint32_t)back.len;
  mc_vec_free(&back);
  mc_vec_free(&again);
  mc_share_count_queue(g);
}

void mc_share_queue_clear(mc_share_group *g)
{
  if (g->line.reader)
    mc_journal_reader_destroy(&g->line.reader);
  mc_outbox_clear(&g->line);
  g->paging = NULL; /* it comes back to nobody */
  mc_map_free(&g->held);
  for (size_t i = 0; i < g->seats.len; i++)
    g->seats.at[i].outstanding = 0;
  mc_count_add(&g->home->count.share_waiting, 0 - g->shown_waiting);
  mc_count_add(&g->home->count.share_bytes, 0 - g->shown_bytes);
  g->shown_waiting = g->shown_bytes = 0;
}

bool mc_share_forget(mc_share_group *g, uint64_t offset) { return mc_outbox_forget(&g->line, offset, true); }

bool mc_share_skip(mc_share_group *g, uint64_t offset)
{
  return (g->line.page.len || mc_outbox_scanned(&g->line, offset)) && mc_outbox_skip(&g->line, offset) == MC_OK;
}

/* ---- reading back ---- */
static void give_next(mc_share_group *g, mc_share_place *seat, uint64_t offset, bool *retry)
{
  mc_gateway_loop *l = g->home;
  mc_record record;
  mc_message m;
  mc_why why = {0};
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
  mc_outbox *o = &g->line;
  return record->tenant == g->tenant && record->offset >= g->since && mc_message_of_record(record, m) && m->qos && !mc_outbox_skipped(o, record->offset) &&
         !(record->offset < o->scan_known && (mc_map_get(&g->held, record->offset, NULL) || mc_outbox_holds(o, record->offset))) &&
         mc_mqtt_topic_matches(mc_share_group_filter(g), m->topic);
}

static bool open_reader(mc_share_group *g)
{
  mc_journal *journal = g->home->gateway->journal;
  uint64_t from = g->line.scan_at, first = mc_journal_first_offset(journal);
  mc_why why;
  if (from < first) {
    mc_log(MC_LOG_ERROR, "gateway", "the journal kept less than a shared subscription is behind", MC_KS("group", mc_share_group_name(g)), MC_KU("bytes", first - from));
    from = first;
  }
  if (mc_journal_reader_create(journal, from, mc_message_streams, &g->line.reader, &why) == MC_OK)
    return true;
  mc_log(MC_LOG_ERROR, "gateway", "cannot read the journal for a shared subscription that is behind", MC_KS("group", mc_share_group_name(g)), MC_KZ("error", why.text));
  return false;
}

/* True: call again, there may be more. */
static bool scan_on(mc_share_group *g)
{
  mc_outbox *o = &g->line;
  if (!o->reader && !open_reader(g))
    return false;
  mc_record record;
  mc_message m;
  mc_why why = {0};
  mc_err err = MC_OK;
  for (size_t n = 0; n < SCAN_RECORDS && o->waiting.len < MC_PAGE_ENTRIES && err == MC_OK; n++) {
    err = mc_journal_reader_next(o->reader, &record, &why);
    if (err == MC_OK && is_ours(g, &record, &m))
      err = mc_u64_ring_push(&o->waiting, record.offset);
  }
  o->scan_at = mc_journal_reader_offset(o->reader);
  if (err == MC_OK)
    return true;
  if (err == MC_ERR_CHECKSUM) { /* told once; what lies behind is good */
    mc_log(MC_LOG_ERROR, "gateway", "a damaged part of the journal is passed over", MC_KS("group", mc_share_group_name(g)), MC_KZ("damage", why.text));
    return true;
  }
  if (err != MC_ERR_END)
    mc_log(MC_LOG_ERROR, "gateway", "reading the journal for a shared subscription failed", MC_KS("group", mc_share_group_name(g)), MC_KZ("error", why.text));
  /* Everything committed so far was seen; what comes next comes live. A group that reached this loop before now ends before scan_at. */
  o->scan_end = o->scan_at;
  if (!o->page.len)
    mc_map_free(&o->skip);
  mc_journal_reader_destroy(&o->reader);
  return false;
}

/* The first of the line is in memory, and not on its way into a page. */
static bool ready(mc_share_group *g)
{
  mc_outbox *o = &g->line;
  while (!o->head.len && o->page.len)
    if (!mc_share_page_in(g))
      return false;
  return o->head.len || (o->waiting.len && !o->paging);
}

bool mc_share_queue_step(mc_share_group *g)
{
  mc_outbox *o = &g->line;
  if (!mc_outbox_waits(o) && (!mc_outbox_scanning(o) || !(scan_on(g) || mc_outbox_waits(o))))
    return false;
  if (!mc_outbox_waits(o))
    return true;
  mc_share_place *seat = mc_share_has_room(g) && ready(g) ? mc_share_choose(g, 2) : NULL; /* a page is read when somebody wants it */
  if (!seat)
    return false; /* the next acknowledgement, member or page calls again */
  mc_u64_ring *from = o->head.len ? &o->head : &o->waiting;
  uint64_t offset = mc_u64_ring_pop(from);
  bool retry = false;
  give_next(g, seat, offset, &retry);
  if (retry)
    mc_u64_ring_push_front(from, offset); /* room is there: it was just popped */
  mc_share_count_queue(g);
  return !retry;
}
