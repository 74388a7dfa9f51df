#include "tap.h"

#include "gateway/outbox.h"

static void test_finds_acknowledgements_in_and_out_of_order(void)
{
  mc_outbox *o;
  uint16_t id[4];
  uint64_t entry;
  CHECK_OK(mc_outbox_create(&o));
  for (size_t i = 0; i < 4; i++)
    CHECK_OK(mc_outbox_send(o, (100 + i) * 8, &id[i]));
  CHECK_INT(id[0], 1);
  CHECK_INT(id[3], 4);
  CHECK(mc_outbox_ack(o, id[2], &entry));
  CHECK_INT(entry, 102 * 8);
  CHECK_INT(o->inflight.len, 4);
  CHECK(!mc_outbox_ack(o, id[2], &entry)); /* twice */
  CHECK(!mc_outbox_has(o, id[2]));
  CHECK(mc_outbox_has(o, id[3]));
  CHECK(!mc_outbox_has(o, 5));
  CHECK(!mc_outbox_has(o, 0));
  CHECK(mc_outbox_ack(o, id[0], &entry));
  CHECK_INT(o->inflight.len, 3);
  CHECK(mc_outbox_ack(o, id[1], &entry));
  CHECK_INT(o->inflight.len, 1);
  CHECK(!mc_outbox_ack(o, 0, &entry));
  CHECK(!mc_outbox_ack(o, 77, &entry));
  CHECK(mc_outbox_ack(o, id[3], &entry));
  CHECK(mc_outbox_empty(o));
  mc_outbox_destroy(&o);
}

static void test_packet_ids_wrap_and_never_are_zero(void)
{
  mc_outbox *o;
  uint16_t id;
  uint64_t entry;
  CHECK_OK(mc_outbox_create(&o));
  uint16_t last = 0;
  for (uint64_t i = 0; i < 200000; i++) {
    CHECK_OK(mc_outbox_send(o, i * 8, &id));
    CHECK(id != 0);
    CHECK_INT(id, last % 65535 + 1);
    last = id;
    if (o->inflight.len == 5) {
      CHECK(mc_outbox_ack(o, mc_outbox_id(o, 0), &entry));
      CHECK_INT(entry, (i - 4) * 8);
    }
  }
  mc_outbox_destroy(&o);
}

static void test_refuses_more_than_there_are_packet_ids(void)
{
  mc_outbox *o;
  uint16_t id;
  CHECK_OK(mc_outbox_create(&o));
  for (uint64_t i = 0; i < 65535; i++)
    CHECK_OK(mc_outbox_send(o, i * 8, &id));
  CHECK_INT(mc_outbox_send(o, 1, &id), MC_ERR_FULL);
  mc_outbox_destroy(&o);
}

static void test_forgets_one_of_those_that_wait_and_keeps_the_order(void)
{
  mc_outbox *o;
  CHECK_OK(mc_outbox_create(&o));
  for (uint64_t i = 1; i <= 20; i++)
    CHECK_OK(mc_u64_ring_push(&o->waiting, i * 8 | (i == 7 ? MC_OUT_RETAINED : 0)));
  CHECK(!mc_outbox_forget(o, 7 * 8, true)); /* it is there as a retained one */
  CHECK(mc_outbox_forget(o, 7 * 8, false)); /* version 1 did not tell them apart */
  CHECK(mc_outbox_forget(o, 1 * 8, true));
  CHECK(!mc_outbox_forget(o, 7 * 8, false));
  CHECK_INT(o->waiting.len, 18);
  CHECK_OK(mc_u64_ring_push_front(&o->waiting, 1 * 8));
  uint64_t last = 0;
  while (o->waiting.len) {
    uint64_t v = mc_u64_ring_pop(&o->waiting);
    CHECK(v > last && v != 7 * 8);
    last = v;
  }
  mc_outbox_destroy(&o);
}

static void test_tells_what_the_journal_scan_will_find(void)
{
  mc_outbox *o;
  CHECK_OK(mc_outbox_create(&o));
  CHECK(!mc_outbox_scanning(o));
  CHECK(!mc_outbox_scanned(o, 5));
  o->scan_begin = 100;
  CHECK(mc_outbox_scanning(o));
  CHECK(!mc_outbox_scanned(o, 99));
  CHECK(mc_outbox_scanned(o, 100));
  CHECK(!mc_outbox_empty(o));
  o->scan_end = 200;
  CHECK(mc_outbox_scanned(o, 199));
  CHECK(!mc_outbox_scanned(o, 200));
  CHECK(mc_outbox_empty(o));
  mc_outbox_destroy(&o);
}

static void test_takes_in_again_what_was_in_flight(void)
{
  static const uint16_t ids[][3] = {{5, 9, 7}, {65534, 2, 65535}, {300, 299, 301}, {1, 65535, 2}};
  for (size_t k = 0; k < sizeof ids / sizeof ids[0]; k++) {
    mc_outbox *o;
    uint64_t entry;
    uint16_t next;
    CHECK_OK(mc_outbox_create(&o));
    for (size_t i = 0; i < 3; i++)
      CHECK_OK(mc_outbox_restore(o, ids[k][i], (i + 1) * 8));
    CHECK(o->inflight.len <= 5);
    for (size_t i = 0; i < 3; i++) {
      CHECK(mc_outbox_at(o, ids[k][i]));
      CHECK_INT(*mc_outbox_at(o, ids[k][i]), (i + 1) * 8);
    }
    CHECK_OK(mc_outbox_send(o, 800, &next)); /* behind all of them, in the order of identifiers */
    for (size_t i = 0; i < 3; i++) {
      CHECK(next != ids[k][i]);
      CHECK(mc_outbox_ack(o, ids[k][i], &entry));
      CHECK_INT(entry, (i + 1) * 8);
    }
    CHECK_INT(o->inflight.len, 1);
    CHECK_INT(mc_outbox_id(o, 0), next);
    mc_outbox_destroy(&o);
  }
  mc_outbox *o;
  CHECK_OK(mc_outbox_create(&o));
  CHECK_OK(mc_outbox_restore(o, 1, 8));
  CHECK_OK(mc_outbox_restore(o, 40000, 16));
  CHECK_OK(mc_outbox_restore(o, 20000, 24)); /* a gap is filled */
  CHECK_OK(mc_outbox_restore(o, 1, 32));     /* the later one counts */
  CHECK_INT(*mc_outbox_at(o, 1), 32);
  CHECK(!mc_outbox_at(o, 39999));
  mc_outbox_destroy(&o);
}

static void test_counts_what_was_sent_on_this_connection(void)
{
  mc_outbox *o;
  uint16_t id[3];
  uint64_t entry;
  CHECK_OK(mc_outbox_create(&o));
  for (size_t i = 0; i < 3; i++) {
    CHECK_OK(mc_outbox_send(o, (i + 1) * 8 | MC_OUT_ON_AIR, &id[i]));
    o->on_air++;
  }
  CHECK(mc_outbox_ack(o, id[1], &entry));
  CHECK_INT(o->on_air, 2);
  mc_outbox_off_air(o);
  CHECK_INT(o->on_air, 0);
  CHECK(mc_outbox_ack(o, id[0], &entry));
  CHECK_INT(o->on_air, 0);
  CHECK_INT(entry & MC_OUT_OFFSET, 8);
  mc_outbox_destroy(&o);
}

int main(void)
{
  RUN(test_takes_in_again_what_was_in_flight);
  RUN(test_counts_what_was_sent_on_this_connection);
  RUN(test_finds_acknowledgements_in_and_out_of_order);
  RUN(test_packet_ids_wrap_and_never_are_zero);
  RUN(test_refuses_more_than_there_are_packet_ids);
  RUN(test_forgets_one_of_those_that_wait_and_keeps_the_order);
  RUN(test_tells_what_the_journal_scan_will_find);
  return tap_done();
}
