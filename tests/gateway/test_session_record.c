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
  static const uint8_t golden[] = {1, 1, 2, 0, 'v', '1', 0x10, 0x0E, 0, 0, 1, 5, 7, 0, 0, 0, 5, 0, 't', 'r', 'u', 'c', 'k'};
  mc_buf b = {0};
  mc_slice bytes = open_record(&b);
  CHECK(mc_slice_eq(bytes, mc_slice_of(golden, sizeof golden)));
  mc_session_record r;
  CHECK_OK(mc_session_record_read(bytes, &r, NULL));
  CHECK_INT(r.kind, MC_SESSION_OPEN);
  CHECK_SLICE(r.client_id, "v1");
  CHECK_SLICE(r.thing_name, "truck");
  CHECK_INT(r.expiry_s, 3600);
  CHECK(r.clean);
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
  r = (mc_session_record){.kind = MC_SESSION_ACKED, .client_id = MC_LIT("c")};
  CHECK_OK(mc_session_record_begin(&b, &r));
  CHECK_OK(mc_session_record_add_offsets(&b, offset, 5));
  mc_session_record_set_count(&b, 0, 5);
  CHECK_OK(mc_session_record_read(mc_buf_slice(&b), &r, NULL));
  uint64_t v = 0;
  at = 0;
  for (size_t i = 0; i < 5; i++) {
    CHECK(mc_session_record_next_offset(&r, &at, &v));
    CHECK(v == offset[i]);
  }
  CHECK(!mc_session_record_next_offset(&r, &at, &v));
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
  b.data[0] = 2;
  CHECK_INT(mc_session_record_read(mc_buf_slice(&b), &r, &why), MC_ERR_UNSUPPORTED);
  b.data[0] = 1;
  b.data[1] = 77;
  CHECK_INT(mc_session_record_read(mc_buf_slice(&b), &r, &why), MC_ERR_MALFORMED);
  mc_buf_free(&b);
}

int main(void)
{
  RUN(test_open_has_its_golden_bytes);
  RUN(test_filters_and_offsets_come_back);
  RUN(test_refuses_every_cut_and_foreign_versions);
  return tap_done();
}
