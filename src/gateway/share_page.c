#include "gateway/share_group.h"

#include <stdlib.h>

/* A group's records whose place or coming matters: pages of its line, and "done" ahead of a message that must not be offered twice. */

enum { RETRY_US = 100000 };

static mc_share_ticket *ticket_make(mc_share_group *g)
{
  mc_share_ticket *t = calloc(1, sizeof *t);
  if (!t)
    return NULL;
  t->group = g;
  g->staged++;
  g->home->pages_staged++;
  return t;
}

void mc_share_ticket_free(mc_share_ticket *t)
{
  t->group->home->pages_staged--;
  mc_share_unpin(t->group);
  free(t);
}

/* ---- pages ---- */
static mc_err put_page(mc_share_group *g, uint32_t count)
{
  mc_buf *out = &g->home->record;
  uint64_t previous = 0;
  MC_TRY(mc_share_record_begin(out, g, MC_SHARE_PAGE, count));
  for (uint32_t i = 0; i < count; i++)
    MC_TRY(mc_session_record_add_entry(out, *mc_u64_ring_at(&g->line.waiting, i), &previous));
  return MC_OK;
}

void mc_share_page_out(mc_share_group *g)
{
  mc_outbox *o = &g->line;
  if (g->paging || o->waiting.len < MC_PAGE_ENTRIES || o->waiting.len < o->page_at)
    return;
  uint32_t count = o->waiting.len < MC_PAGE_MOST ? MC_PAGE_ENTRIES : MC_PAGE_MOST; /* in a flood fewer and larger ones */
  mc_share_ticket *t = put_page(g, count) == MC_OK ? ticket_make(g) : NULL;
  if (!t) {
    mc_outbox_page_failed(o);
    return;
  }
  if (!o->page.len)
    mc_count_add(&g->home->count.spilled, 1);
  t->page = true;
  o->paging = count;
  g->paging = t;
  mc_share_stage(g, t);
}

static void paged(mc_share_group *g, mc_share_ticket *t, uint64_t offset, mc_err err)
{
  mc_outbox *o = &g->line;
  if (g->paging != t) /* the queue was given up meanwhile */
    return;
  g->paging = NULL;
  if (err == MC_OK)
    mc_outbox_paged(o, offset);
  else
    mc_outbox_page_failed(o);
  mc_share_page_out(g);
  mc_share_count_queue(g);
  mc_share_want_pump(g);
}

static mc_err read_page(mc_share_group *g, uint64_t offset, mc_session_record *list, mc_why *why)
{
  mc_gateway_loop *l = g->home;
  mc_record record;
  mc_share_kind kind;
  mc_slice name, filter;
  mc_buf_clear(&l->read);
  MC_TRY(mc_journal_read_at(l->gateway->journal, offset, &l->read, &record, why));
  if (record.stream != MC_STREAM_SESSION || !mc_slice_eq_str(record.topic, MC_SHARE_TOPIC))
    return mc_err_set(why, MC_ERR_MALFORMED, "it is no page");
  MC_TRY(mc_share_record_read(record.payload, &kind, &name, &filter, list, why));
  if (kind != MC_SHARE_PAGE || list->count > MC_PAGE_MOST || !mc_slice_eq(name, mc_share_group_name(g)) || !mc_slice_eq(filter, mc_share_group_filter(g)))
    return mc_err_set(why, MC_ERR_MALFORMED, "it is no page of this group");
  return MC_OK;
}

bool mc_share_page_in(mc_share_group *g)
{
  mc_outbox *o = &g->line;
  mc_session_record list = {0};
  mc_why why = {0};
  uint64_t offset = mc_outbox_page_offset(*mc_u64_ring_at(&o->page, 0)), entry = 0;
  size_t at = 0;
  mc_err err = read_page(g, offset, &list, &why);
  if (err == MC_ERR_MEMORY || (err == MC_OK && mc_u64_ring_reserve(&o->head, list.count) != MC_OK))
    return false;
  mc_u64_ring_pop(&o->page);
  o->paged -= err == MC_OK && list.count < o->paged ? list.count : o->paged;
  if (err != MC_OK) {
    mc_count_add(&g->home->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "a page of the queue of a shared subscription cannot be read from the journal: its messages reach nobody by it",
           MC_KS("group", mc_share_group_name(g)), MC_KU("offset", offset), MC_KZ("error", why.text));
    return true;
  }
  for (uint32_t i = 0; i < list.count && mc_session_record_next_entry(&list, &at, &entry); i++)
    if (entry >= g->since && !mc_outbox_skipped(o, entry))
      mc_u64_ring_push(&o->head, entry); /* room is there */
  if (!o->page.len && !mc_outbox_scanning(o))
    mc_map_free(&o->skip);
  return true;
}

/* ---- done before it is given ---- */
bool mc_share_begin(mc_share_group *g, mc_share_place *seat, uint64_t offset)
{
  mc_buf *out = &g->home->record;
  uint64_t previous = 0;
  if (mc_loop_now_us(g->home->loop) < g->begin_at_us)
    return false;
  g->begin_at_us = 0;
  if (mc_share_record_begin(out, g, MC_SHARE_ACKED, 1) != MC_OK || mc_session_record_add_entry(out, offset, &previous) != MC_OK ||
      mc_map_put(&g->held, offset, seat->serial | MC_SHARE_BEGINNING) != MC_OK)
    return false;
  mc_share_ticket *t = ticket_make(g);
  if (!t) {
    mc_map_remove(&g->held, offset, NULL);
    return false;
  }
  t->offset = offset;
  t->serial = seat->serial;
  seat->outstanding++;
  mc_share_stage(g, t);
  return true;
}

/* It waits again, for some time. */
static void give_up(mc_share_group *g, mc_share_place *seat, uint64_t offset)
{
  mc_gateway_loop *l = g->home;
  g->begin_at_us = mc_loop_now_us(l->loop) + RETRY_US;
  mc_loop_timer_set(l->loop, &l->retry_timer, g->begin_at_us);
  mc_map_remove(&g->held, offset, NULL);
  seat->outstanding--;
  if (mc_u64_ring_push_front(&g->line.head, offset) != MC_OK)
    mc_count_add(&g->home->count.lost, 1);
  mc_share_count_queue(g);
}

static void begun(mc_share_group *g, const mc_share_ticket *t, mc_err err)
{
  mc_gateway_loop *l = g->home;
  mc_share_place *seat = g->dying ? NULL : mc_share_place_of(g, t->serial);
  uint64_t holder;
  mc_record record;
  mc_message m;
  mc_why why = {0};
  if (!seat || !mc_map_get(&g->held, t->offset, &holder) || holder != (t->serial | MC_SHARE_BEGINNING))
    return; /* the member has gone meanwhile */
  if (err != MC_OK) { /* the disk */
    give_up(g, seat, t->offset);
    return;
  }
  mc_map_put(&g->held, t->offset, t->serial | MC_SHARE_BEGUN); /* it is there: cannot fail */
  mc_buf_clear(&l->read);
  err = mc_journal_read_at(l->gateway->journal, t->offset, &l->read, &record, &why);
  if (err == MC_OK && mc_message_of_record(&record, &m) && mc_share_post_give(l, seat->loop, seat->serial, seat->epoch, 2, &m) == MC_OK)
    return;
  give_up(g, seat, t->offset);
  mc_share_put_again(g, &t->offset, 1);
}

void mc_share_staged(mc_share_ticket *t, uint64_t offset, mc_err err)
{
  if (t->page)
    paged(t->group, t, offset, err);
  else
    begun(t->group, t, err);
  mc_share_ticket_free(t);
}
