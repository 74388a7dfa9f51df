#include "gateway/state.h"

/* What waits for a client, in order:
 *
 *   head  [ entry | ... ]   of the page that is being read
 *   page  [ page | ... ]    journal records of up to 4,096 entries each
 *   waiting [ entry | ... ] what came last
 *
 * Beyond 512 entries `waiting` is written into a page. Only when there is no memory for another entry, the journal as a whole is read from that message on
 * and matched again (scan_begin). */

enum { SCAN_RECORDS = 4096 };

static mc_slice id_of(const mc_session *s) { return mc_session_id(s); }

void mc_queue_count(mc_session *s)
{
  mc_outbox *o = s->outbox;
  uint64_t queued = o ? mc_outbox_queued(o) : 0, most = s->home->gateway->limit.max_queued;
  mc_count_set(&s->queued, queued);
  mc_count_set(&s->queue_bytes, o ? mc_outbox_bytes(o) : 0);
  if (!o || queued < most / 2 || (queued < most && !o->told)) {
    if (o)
      o->told = false;
    return;
  }
  if (o->told)
    return;
  o->told = true;
  mc_log(MC_LOG_WARN, "gateway", "client is far behind; its messages stay in the journal", MC_KS("client", id_of(s)), MC_KU("waiting", queued));
  mc_session_set_error(s, "far behind: its messages wait in the journal and are read from there");
}

/* ---- pages ---- */
/* Messages of groups go with the connection: they must not lie in a page, and need not keep their place among the others. */
static void set_shared_apart(mc_outbox *o)
{
  for (uint32_t left = o->waiting.len; left > 0; left--) { /* once round */
    uint64_t entry = mc_u64_ring_pop(&o->waiting);
    bool apart = (entry & MC_OUT_SHARED) && mc_u64_ring_push(&o->head, entry) == MC_OK;
    if (!apart)
      mc_u64_ring_push(&o->waiting, entry); /* room is there: it was just popped */
  }
}

static bool put_page(mc_session *s, uint32_t count)
{
  mc_gateway_loop *l = s->home;
  mc_session_record r = {.kind = MC_SESSION_PAGE, .client_id = id_of(s)};
  uint64_t previous = 0;
  mc_buf_clear(&l->record);
  if (mc_session_record_begin(&l->record, &r) != MC_OK)
    return false;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t entry = *mc_u64_ring_at(&s->outbox->waiting, i);
    if ((entry & MC_OUT_SHARED) || mc_session_record_add_entry(&l->record, mc_outbox_record_entry(entry), &previous) != MC_OK)
      return false;
  }
  mc_session_record_set_count(&l->record, 0, count);
  return true;
}

void mc_queue_page_out(mc_session *s)
{
  mc_outbox *o = s->outbox;
  mc_gateway_loop *l = s->home;
  if (o->paging || o->waiting.len < MC_PAGE_ENTRIES || o->waiting.len < o->page_at || mc_loop_now_us(l->loop) < s->hold_until_us)
    return;
  if (s->shares)
    set_shared_apart(o);
  uint32_t count = o->waiting.len < MC_PAGE_MOST ? MC_PAGE_ENTRIES : MC_PAGE_MOST; /* in a flood fewer and larger ones */
  if (o->waiting.len < count || !put_page(s, count)) {
    mc_outbox_page_failed(o);
    return;
  }
  if (!o->page.len)
    mc_count_add(&l->count.spilled, 1);
  o->paging = count;
  l->pages_staged++;
  mc_session_stage(s, MC_SESSION_PAGE, MC_PENDING_PAGE, 0);
}

void mc_queue_page_failed(mc_session *s)
{
  s->home->pages_staged--;
  if (!s->outbox)
    return;
  mc_outbox_page_failed(s->outbox);
  mc_deliver_want_pump(s);
}

void mc_queue_paged(mc_session *s, uint64_t offset)
{
  mc_outbox *o = s->outbox;
  s->home->pages_staged--;
  if (o) {
    mc_outbox_paged(o, offset);
    mc_queue_page_out(s);
    mc_queue_count(s);
    mc_deliver_want_pump(s);
  }
  mc_session_unpin(s);
}

static void page_lost(mc_session *s, uint64_t offset, const char *text)
{
  mc_count_add(&s->home->count.lost, 1);
  mc_log(MC_LOG_ERROR, "gateway", "a page of a client's queue cannot be read from the journal: its messages are lost to it", MC_KS("client", id_of(s)),
         MC_KU("offset", offset), MC_KZ("error", text));
}

/* False: not now. */
static bool page_in(mc_session *s)
{
  mc_outbox *o = s->outbox;
  mc_gateway_loop *l = s->home;
  mc_record record;
  mc_session_record r;
  mc_why why = {0};
  uint64_t offset = mc_outbox_page_offset(*mc_u64_ring_at(&o->page, 0)), entry = 0;
  size_t at = 0;
  mc_buf_clear(&l->read);
  mc_err err = mc_journal_read_at(l->gateway->journal, offset, &l->read, &record, &why);
  if (err == MC_OK)
    err = record.stream == MC_STREAM_SESSION ? mc_session_record_read(record.payload, &r, &why) : mc_err_set(&why, MC_ERR_MALFORMED, "it is no page");
  if (err == MC_ERR_MEMORY || (err == MC_OK && mc_u64_ring_reserve(&o->head, r.count > MC_PAGE_MOST ? MC_PAGE_MOST : r.count) != MC_OK))
    return false;
  mc_u64_ring_pop(&o->page);
  o->paged -= err == MC_OK && r.count < o->paged ? r.count : o->paged;
  if (err != MC_OK) {
    page_lost(s, offset, why.text);
    return true;
  }
  while (mc_session_record_next_entry(&r, &at, &entry))
    if (!mc_outbox_skipped(o, entry & ~(uint64_t)MC_ENTRY_QOS2) && mc_u64_ring_push(&o->head, mc_outbox_entry_of(entry)) != MC_OK)
      page_lost(s, offset, "more entries than it says");
  if (!o->page.len && !mc_outbox_scanning(o))
    mc_map_free(&o->skip);
  return true;
}

/* ---- the line ---- */
static void begin_scan(mc_session *s, uint64_t from)
{
  mc_outbox *o = s->outbox;
  o->scan_begin = o->scan_at = from;
  o->scan_end = UINT64_MAX;
  o->scan_known = mc_journal_end_offset(s->home->gateway->journal);
  mc_log(MC_LOG_ERROR, "gateway", "out of memory for a client's queue: its messages will be read from the journal", MC_KS("client", id_of(s)), MC_KU("from", from));
}

void mc_queue_wait(mc_session *s, uint64_t entry)
{
  mc_outbox *o = s->outbox;
  mc_link *link = s->link;
  if (mc_u64_ring_push(&o->waiting, entry) == MC_OK) {
    if (o->waiting.len >= MC_PAGE_ENTRIES)
      mc_queue_page_out(s);
  } else if (entry & (MC_OUT_RETAINED | MC_OUT_SHARED) || mc_outbox_scanning(o)) {
    mc_count_add(&s->home->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "out of memory for a client's queue", MC_KS("client", id_of(s)));
  } else {
    begin_scan(s, entry & MC_OUT_OFFSET);
  }
  mc_queue_count(s);
  if (link && mc_link_open(link) && o->inflight.len < link->send_window && mc_conn_backlog(link->conn) < MC_QOS1_BACKLOG)
    mc_deliver_want_pump(s);
}

bool mc_queue_next(mc_session *s, uint64_t *entry)
{
  mc_outbox *o = s->outbox;
  while (!o->head.len && o->page.len)
    if (!page_in(s))
      return false;
  mc_u64_ring *from = o->head.len ? &o->head : &o->waiting;
  if (!from->len || (from == &o->waiting && o->paging)) /* on its way into a page */
    return false;
  *entry = mc_u64_ring_pop(from);
  return true;
}

void mc_queue_put_back(mc_session *s, uint64_t entry)
{
  mc_outbox *o = s->outbox;
  mc_u64_ring *to = o->head.len || o->page.len || o->paging ? &o->head : &o->waiting;
  if (mc_u64_ring_push_front(to, entry) == MC_OK) /* room is there as a rule: it was just popped */
    return;
  mc_count_add(&s->home->count.lost, 1);
  mc_log(MC_LOG_ERROR, "gateway", "out of memory for a client's queue", MC_KS("client", id_of(s)));
}

/* ---- reading on in the journal ---- */
static bool queue_if_matching(mc_session *s, const mc_record *record)
{
  mc_message m;
  mc_sub_match match;
  if (record->tenant != s->tenant || !mc_message_of_record(record, &m) || m.qos == 0 || record->offset < s->since ||
      mc_outbox_skipped(s->outbox, record->offset) || (record->offset < s->outbox->scan_known && mc_outbox_holds(s->outbox, record->offset)) ||
      !mc_sub_tree_match_one(&s->home->subs, m.tenant, m.topic, &s->subs, &match) || match.qos == 0)
    return false;
  return mc_u64_ring_push(&s->outbox->waiting, record->offset | (m.qos == 2 && match.qos == 2 ? MC_OUT_QOS2 : 0)) == MC_OK;
}

const mc_journal_filter mc_message_streams = {.streams = MC_STREAMS_PUBLISHED};

/* True: call again, there may be more. */
bool mc_queue_scan(mc_session *s)
{
  mc_outbox *o = s->outbox;
  mc_gateway *g = s->home->gateway;
  mc_why why = {0};
  if (!o->reader) {
    uint64_t from = o->scan_at, first = mc_journal_first_offset(g->journal);
    if (from < first) {
      mc_log(MC_LOG_ERROR, "gateway", "the journal kept less than a client is behind", MC_KS("client", mc_session_id(s)), MC_KU("bytes", first - from));
      from = first;
    }
    if (mc_journal_reader_create(g->journal, from, mc_message_streams, &o->reader, &why) != MC_OK) {
      mc_log(MC_LOG_ERROR, "gateway", "cannot read the journal for a client that is behind", MC_KS("client", mc_session_id(s)), MC_KZ("error", why.text));
      return false;
    }
  }
  mc_record record;
  mc_err err = MC_OK;
  for (size_t n = 0; n < SCAN_RECORDS && o->waiting.len < MC_PAGE_ENTRIES; n++) {
    err = mc_journal_reader_next(o->reader, &record, &why);
    if (err != MC_OK)
      break;
    queue_if_matching(s, &record);
  }
  o->scan_at = mc_journal_reader_offset(o->reader);
  if (err == MC_OK)
    return true;
  if (err == MC_ERR_CHECKSUM) { /* told once; what lies behind is good */
    mc_log(MC_LOG_ERROR, "gateway", "a damaged part of the journal is passed over", MC_KS("client", mc_session_id(s)), MC_KZ("damage", why.text));
    return true;
  }
  if (err != MC_ERR_END)
    mc_log(MC_LOG_ERROR, "gateway", "reading the journal for a client failed", MC_KS("client", mc_session_id(s)), MC_KZ("error", why.text));
  /* Everything committed so far was seen; what comes next comes live. A group that reached this loop before now ends before scan_at. */
  o->scan_end = o->scan_at;
  if (!o->page.len)
    mc_map_free(&o->skip);
  mc_journal_reader_destroy(&o->reader);
  return false;
}

/* What it had on the loop that it left is not taken twice: QoS 2 must not be, and QoS 1 need not. */
static bool in_gap(const mc_session *s, const mc_record *r)
{
  const uint64_t *seen = s->home->seen;
  return r->source && r->source <= s->home->gateway->loop_count && r->offset > s->carried[r->source - 1] && r->offset <= seen[r->source - 1] &&
         !(s->outbox && mc_outbox_scanned(s->outbox, r->offset));
}

void mc_deliver_gap(mc_session *s)
{
  mc_gateway *g = s->home->gateway;
  const uint64_t *seen = s->home->seen;
  uint64_t from = UINT64_MAX, to = 0;
  for (size_t i = 0; i < g->loop_count; i++) {
    if (seen[i] <= s->carried[i])
      continue;
    from = s->carried[i] + 1 < from ? s->carried[i] + 1 : from;
    to = seen[i] > to ? seen[i] : to;
  }
  from = s->since > from ? s->since : from;
  from = mc_journal_first_offset(g->journal) > from ? mc_journal_first_offset(g->journal) : from;
  mc_journal_reader *reader;
  mc_why why;
  if (from > to || !s->subs.count)
    return;
  if (!mc_session_outbox(s) || mc_journal_reader_create(g->journal, from, mc_message_streams, &reader, &why) != MC_OK) {
    mc_count_add(&s->home->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "a session moved and what came meanwhile cannot be read from the journal", MC_KS("client", mc_session_id(s)));
    return;
  }
  mc_record record;
  while (mc_journal_reader_next(reader, &record, &why) == MC_OK && record.offset <= to)
    if (in_gap(s, &record))
      queue_if_matching(s, &record);
  mc_journal_reader_destroy(&reader);
}
