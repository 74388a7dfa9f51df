#include "tap.h"

#include "gateway/session_record.h"

static mc_slice open_record(mc_buf *b)
{
  mc_session_record r = {.kind = MC_SESSION_OPEN, .client_id = MC_LIT("v1"), .expiry_s = 3600, .clean = true, .mqtt_version = 5, .thing = 7, .thing_name = MC_LIT("truck")};
  mc_session_record_begin(b, &r);
  return mc_buf_slice(b);
}

static void test_open_has_its_golden_bytes(void)
{
  static const uint8_t golden[] = {2, 1, 2, 0, 'v', '1', 0x10, 0x0E, 0, 0, 1, 5, 7, 0, 0, 0, 5, 0, 't', 'r', 'u', 'c', 'k'};
  mc_buf b = {0};
  mc_slice bytes = open_record(&b);
  CHECK(mc_slice_eq(bytes, mc_slice_of(golden, sizeof golden)));
  for (uint8_t version = 1; version <= 2; version++) { /* the first version had the same */
    mc_session_record r;
    b.data[0] = version;
    CHECK_OK(mc_session_record_read(bytes, &r, NULL));
    CHECK_INT(r.kind, MC_SESSION_OPEN);
    CHECK_SLICE(r.client_id, "v1");
    CHECK_SLICE(r.thing_name, "truck");
    CHECK_INT(r.expiry_s, 3600);
    CHECK(r.clean);
  }
  mc_buf_free(&b);
}

static void test_what_version_2_brought_has_its_golden_bytes(void)
{
  static const uint8_t will[] = {2, 7, 1, 0, 'c', 2, 3, 9, 0, 0, 0, 4, 8, 0, 0, 0, 3, 0, 'a', '/', 'b', 2, 0, 0, 0, 3, 0, 0, 0, 1, 1, 'b', 'y', 'e'},
                       closed[] = {2, 5, 1, 0, 'c', 60, 0, 0, 0, 1}, released[] = {2, 9, 2, 0, 0, 0, 1, 0, 'c', 7, 0, 0xFF, 0xFF},
                       assigned[] = {2, 10, 1, 0, 0, 0, 1, 0, 'c', 5, 0, 0xF4, 0x03};
  mc_buf b = {0};
  mc_session_record r = {.kind = MC_SESSION_WILL, .client_id = MC_LIT("c"), .will = {.qos = 2, .partition = 4, .retain = true, .v5 = true, .delay_s = 9, .principal = 8,
                         .topic = MC_LIT("a/b"), .props = MC_LIT("\1\1"), .payload = MC_LIT("bye")}}, got;
  CHECK_OK(mc_session_record_begin(&b, &r));
  CHECK(mc_slice_eq(mc_buf_slice(&b), mc_slice_of(will, sizeof will)));
  CHECK_OK(mc_session_record_read(mc_buf_slice(&b), &got, NULL));
  CHECK_INT(got.will.qos, 2);
  CHECK_INT(got.will.delay_s, 9);
  CHECK_INT(got.will.principal, 8);
  CHECK(got.will.retain && got.will.v5);
  CHECK_SLICE(got.will.topic, "a/b");
  CHECK_SLICE(got.will.props, "\1\1");
  CHECK_SLICE(got.will.payload, "bye");
  b.data[0] = 1; /* there was no such kind */
  CHECK_INT(mc_session_record_read(mc_buf_slice(&b), &got, NULL), MC_ERR_MALFORMED);
  b.data[0] = 2;
  b.data[5] = 3; /* QoS 3 */
  CHECK_INT(mc_session_record_read(mc_buf_slice(&b), &got, NULL), MC_ERR_TRUNCATED);
  mc_buf_clear(&b);
  r = (mc_session_record){.kind = MC_SESSION_CLOSED, .client_id = MC_LIT("c"), .expiry_s = 60, .will_gone = true};
  CHECK_OK(mc_session_record_begin(&b, &r));
  CHECK(mc_slice_eq(mc_buf_slice(&b), mc_slice_of(closed, sizeof closed)));
  CHECK_OK(mc_session_record_read(mc_buf_slice(&b), &got, NULL));
  CHECK(got.will_gone);
  b.data[0] = 1;
  CHECK_OK(mc_session_record_read(mc_slice_of(b.data, b.len - 1), &got, NULL)); /* without flags */
  CHECK_INT(got.expiry_s, 60);
  mc_buf_clear(&b);
  r = (mc_session_record){.kind = MC_SESSION_RELEASED, .client_id = MC_LIT("c")};
  CHECK_OK(mc_session_record_begin(&b, &r));
  CHECK_OK(mc_session_record_add_packet_id(&b, 7));
  CHECK_OK(mc_session_record_add_packet_id(&b, 65535));
  mc_session_record_set_count(&b, 0, 2);
  CHECK(mc_slice_eq(mc_buf_slice(&b), mc_slice_of(released, sizeof released)));
  CHECK_OK(mc_session_record_read(mc_buf_slice(&b), &got, NULL));
  size_t at = 0;
  uint16_t id;
  CHECK(mc_session_record_next_packet_id(&got, &at, &id));
  CHECK_INT(id, 7);
  CHECK(mc_session_record_next_packet_id(&got, &at, &id));
  CHECK_INT(id, 65535);
  CHECK(!mc_session_record_next_packet_id(&got, &at, &id));
  mc_buf_clear(&b);
  uint64_t entry = 0;
  r = (mc_session_record){.kind = MC_SESSION_ASSIGNED, .client_id = MC_LIT("c")};
  CHECK_OK(mc_session_record_begin(&b, &r));
  CHECK_OK(mc_session_record_add_packet_id(&b, 5));
  CHECK_OK(mc_session_record_add_entry(&b, 248 + MC_ENTRY_QOS2, &entry));
  mc_session_record_set_count(&b, 0, 1);
  CHECK(mc_slice_eq(mc_buf_slice(&b), mc_slice_of(assigned, sizeof assigned)));
  CHECK_OK(mc_session_record_read(mc_buf_slice(&b), &got, NULL));
  at = entry = 0;
  CHECK(mc_session_record_next_packet_id(&got, &at, &id));
  CHECK(mc_session_record_next_entry(&got, &at, &entry));
  CHECK_INT(entry, 250);
  CHECK_INT(at, got.list.len);
  mc_buf_free(&b);
}

static void test_an_origin_comes_off_the_properties(void)
{
  static const uint8_t golden[] = {0x39, 0x30, 2, 0, 'v', '1', 0x01, 0x01};
  mc_buf b = {0};
  CHECK_OK(mc_origin_put(&b, 12345, MC_LIT("v1")));
  mc_buf_append(&b, "\1\1", 2);
  CHECK(mc_slice_eq(mc_buf_slice(&b), mc_slice_of(golden, sizeof golden)));
  mc_slice props = mc_buf_slice(&b), who;
  uint16_t id;
  CHECK(mc_origin_take(&props, &id, &who));
  CHECK_INT(id, 12345);
  CHECK_SLICE(who, "v1");
  CHECK_SLICE(props, "\1\1");
  for (size_t n = 0; n < 6; n++) {
    props = mc_slice_of(b.data, n);
    CHECK(!mc_origin_take(&props, &id, &who));
  }
  mc_buf_free(&b);
}

static void test_filters_and_offsets_come_back(void)
{
  mc_buf b = {0};
  mc_session_record r = {.kind = MC_SESSION_SUBSCRIBE, .client_id = MC_LIT("c")};
  mc_session_filter f = {MC_LIT("a/#"), 0x2D, 268435455}, got;
  CHECK_OK(mc_session_record_begin(&b, &r));
  CHECK_OK(mc_session_record_add_filter(&b, &f, false));
  mc_session_record_set_count(&b, 0, 1);
  CHECK_OK(mc_session_record_read(mc_buf_slice(&b), &r, NULL));
  size_t at = 0;
  CHECK_INT(r.count, 1);
  CHECK(mc_session_record_next_filter(&r, &at, &got));
  CHECK_SLICE(got.filter, "a/#");
  CHECK_INT(got.options, 0x2D);
  CHECK_INT(got.id, 268435455);
  CHECK(!mc_session_record_next_filter(&r, &at, &got));
  mc_buf_clear(&b);
  static const uint64_t offset[] = {5, 1000000000000, 999999999999, 0, 72057594037927935};
  uint64_t previous = 0;
  r = (mc_session_record){.kind = MC_SESSION_ACKED, .client_id = MC_LIT("c")};
  CHECK_OK(mc_session_record_begin(&b, &r));
  for (size_t i = 0; i < 5; i++)
    CHECK_OK(mc_session_record_add_entry(&b, offset[i], &previous));
  mc_session_record_set_count(&b, 0, 5);
  CHECK_OK(mc_session_record_read(mc_buf_slice(&b), &r, NULL));
  uint64_t v = 0;
  at = 0;
  for (size_t i = 0; i < 5; i++) {
    CHECK(mc_session_record_next_entry(&r, &at, &v));
    CHECK(v == offset[i]);
  }
  CHECK(!mc_session_record_next_entry(&r, &at, &v));
  mc_buf_free(&b);
}

static void test_refuses_every_cut_and_foreign_versions(void)
{
  mc_buf b = {0};
  mc_slice bytes = open_record(&b);
  mc_session_record r;
  mc_why why;
  for (size_t n = 0; n < bytes.len; n++)
    CHECK(mc_session_record_read(mc_slice_sub(bytes, 0, n), &r, &why) != MC_OK);
  mc_buf_append_u8(&b, 0);
  CHECK_INT(mc_session_record_read(mc_buf_slice(&b), &r, &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "follow its end");
  for (int version = 0; version <= 3; version += 3) {
    b.data[0] = (uint8_t)version;
    CHECK_INT(mc_session_record_read(mc_buf_slice(&b), &r, &why), MC_ERR_UNSUPPORTED);
  }
  b.data[0] = 2;
  b.data[1] = 77;
  CHECK_INT(mc_session_record_read(mc_buf_slice(&b), &r, &why), MC_ERR_MALFORMED);
  mc_buf_free(&b);
}

int main(void)
{
  RUN(test_open_has_its_golden_bytes);
  RUN(test_what_version_2_brought_has_its_golden_bytes);
  RUN(test_an_origin_comes_off_the_properties);
  RUN(test_filters_and_offsets_come_back);
  RUN(test_refuses_every_cut_and_foreign_versions);
  return tap_done();
}
