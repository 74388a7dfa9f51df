/* Enciphered records through the journal, with a cipher of this test's own: what is sealed under which key, what readers see, erasure, damage. */
#include "journal_rig.h"

/* XOR with the key id; the tag is a sum over everything. Key 9 is destroyed when `destroyed` says so. */
static bool destroyed;

static uint8_t sum(uint32_t key, const mc_slice *part, size_t count)
{
  uint8_t s = (uint8_t)key;
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < part[i].len; k++)
      s = (uint8_t)(s * 31 + part[i].data[k]);
  return s;
}

static uint32_t key_of(void *ctx, const mc_record *r) { return r->tenant == 7 ? 0 : 3; }

static mc_err seal(void *ctx, uint32_t key, const mc_slice *aad, size_t aad_count, const mc_slice *text, size_t text_count, uint8_t *out)
{
  if (key == 9 && destroyed)
    return MC_ERR_NOT_FOUND;
  uint8_t *at = out + 16;
  memset(out, 0, 16);
  for (size_t i = 0; i < text_count; i++)
    for (size_t k = 0; k < text[i].len; k++)
      *at++ = (uint8_t)(text[i].data[k] ^ key ^ 0x80);
  mc_slice body = mc_slice_of(out + 16, (size_t)(at - out - 16));
  memset(at, sum(key, aad, aad_count), 8);
  memset(at + 8, sum(key, &body, 1), 8);
  return MC_OK;
}

static mc_err open_sealed(void *ctx, uint32_t key, const mc_slice *aad, size_t aad_count, mc_slice sealed, uint8_t *out)
{
  if (key == 9 && destroyed)
    return MC_ERR_NOT_FOUND;
  mc_slice body = mc_slice_sub(sealed, 16, sealed.len - 32);
  if (sealed.data[sealed.len - 16] != sum(key, aad, aad_count) || sealed.data[sealed.len - 1] != sum(key, &body, 1))
    return MC_ERR_CHECKSUM;
  for (size_t i = 0; i < body.len; i++)
    out[i] = (uint8_t)(body.data[i] ^ key ^ 0x80);
  return MC_OK;
}

static const mc_journal_cipher cipher = {NULL, key_of, seal, open_sealed};

static mc_journal *open_journal(const mc_journal_cipher *c)
{
  mc_journal *j;
  mc_why why = {0};
  mc_journal_config config = rig_config(mc_fs_posix(), rig_dir);
  config.cipher = c;
  if (mc_journal_open(&config, &j, &why))
    printf("# %s\n", why.text);
  return j;
}

static uint64_t put(mc_journal *j, uint32_t tenant, uint32_t key, mc_slice props, mc_slice payload)
{
  uint64_t offset = 0;
  mc_why why = {0};
  mc_record r = {.stream = MC_STREAM_MESSAGE, .partition = 2, .flags = MC_RECORD_QOS1, .source = 4, .tenant = tenant, .key_id = key, .principal = 5, .time_us = 1700000000000001,
                 .topic = MC_LIT("dt/truck/a"), .props = props, .payload = payload};
  return mc_journal_append_sync(j, &r, &offset, &why) ? 0 : offset;
}

static bool next_is(mc_journal_reader *r, uint32_t key, const char *props, const char *payload)
{
  mc_record got;
  mc_why why = {0};
  mc_err err = mc_journal_reader_next(r, &got, &why);
  if (err)
    printf("# %s\n", why.text);
  return !err && got.key_id == key && !(got.flags & MC_RECORD_ENCIPHERED) && mc_slice_eq_str(got.props, props) && mc_slice_eq_str(got.payload, payload) &&
         mc_slice_eq_str(got.topic, "dt/truck/a") && got.principal == 5 && got.source == 4;
}

static void test_readers_get_opened_what_was_sealed(void)
{
  rig_fresh_dir();
  mc_journal *j = open_journal(&cipher);
  mc_why why = {0};
  CHECK(j != NULL);
  uint64_t first = put(j, 1, 0, MC_LIT("props"), MC_LIT("payload one"));
  CHECK(put(j, 1, 9, MC_LIT(""), MC_LIT("payload two")));
  CHECK(put(j, 7, 0, MC_LIT(""), MC_LIT("stays open")));
  CHECK(put(j, 1, 9, MC_LIT("p"), MC_LIT(""))); /* takes a retained message back: compaction must see it */
  mc_journal_reader *r;
  CHECK_OK(mc_journal_reader_create(j, first, (mc_journal_filter){0}, &r, &why));
  CHECK(next_is(r, 3, "props", "payload one"));
  CHECK(next_is(r, 9, "", "payload two"));
  CHECK(next_is(r, 0, "", "stays open"));
  CHECK(next_is(r, 9, "p", ""));
  mc_journal_reader_destroy(&r);
  mc_buf bytes = {0};
  mc_record got;
  CHECK_OK(mc_journal_read_at(j, first, &bytes, &got, &why));
  CHECK_SLICE(got.payload, "payload one");
  CHECK_SLICE(got.props, "props");
  CHECK_SLICE(got.topic, "dt/truck/a");
  mc_buf_free(&bytes);
  mc_journal_close(&j);
  /* the tools that have no keys see that it is sealed, and nothing of it */
  CHECK_OK(mc_journal_open_reader(mc_fs_posix(), rig_dir, 0, (mc_journal_filter){0}, &r, &why));
  CHECK_OK(mc_journal_reader_next(r, &got, &why));
  CHECK(got.flags & MC_RECORD_ENCIPHERED);
  CHECK_INT(got.payload.len, 2 + 5 + 11 + MC_CIPHER_EXTRA);
  CHECK(!memmem(got.payload.data, got.payload.len, "payload", 7));
  mc_journal_reader_destroy(&r);
  mc_journal_report report;
  CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &why));
  CHECK_INT(report.records, 4);
}

static void test_what_a_destroyed_key_sealed_is_passed_over(void)
{
  rig_fresh_dir();
  mc_journal *j = open_journal(&cipher);
  mc_why why = {0};
  uint64_t first = put(j, 1, 0, MC_LIT(""), MC_LIT("a"));
  uint64_t erased = put(j, 1, 9, MC_LIT(""), MC_LIT("b"));
  CHECK(put(j, 1, 0, MC_LIT(""), MC_LIT("c")));
  destroyed = true;
  mc_journal_reader *r;
  mc_record got;
  mc_buf bytes = {0};
  CHECK_OK(mc_journal_reader_create(j, first, (mc_journal_filter){0}, &r, &why));
  CHECK(next_is(r, 3, "", "a"));
  CHECK(next_is(r, 3, "", "c"));
  CHECK_INT(mc_journal_reader_next(r, &got, &why), MC_ERR_END);
  mc_journal_reader_destroy(&r);
  CHECK_INT(mc_journal_read_at(j, erased, &bytes, &got, &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "erased");
  CHECK_INT(put(j, 1, 9, MC_LIT(""), MC_LIT("d")), 0); /* nothing is sealed under it, and nothing goes out open instead */
  destroyed = false;
  mc_buf_free(&bytes);
  mc_journal_close(&j);
}

static void test_a_payload_belongs_to_its_topic_and_tenant(void)
{
  rig_fresh_dir();
  mc_journal *j = open_journal(&cipher);
  mc_why why = {0};
  uint64_t first = put(j, 1, 0, MC_LIT(""), MC_LIT("a"));
  CHECK(put(j, 1, 0, MC_LIT(""), MC_LIT("b")));
  mc_journal_close(&j);
  static const mc_journal_cipher blind = {NULL, key_of, seal, NULL};
  j = open_journal(&blind);
  mc_journal_reader *r;
  mc_record got;
  CHECK_OK(mc_journal_reader_create(j, first, (mc_journal_filter){0}, &r, &why));
  CHECK_OK(mc_journal_reader_next(r, &got, &why)); /* no way to open */
  CHECK(got.flags & MC_RECORD_ENCIPHERED);
  mc_journal_reader_destroy(&r);
  mc_journal_close(&j);
  mc_record record = {.stream = MC_STREAM_MESSAGE, .flags = MC_RECORD_ENCIPHERED, .tenant = 1, .key_id = 3, .topic = MC_LIT("t"), .payload = MC_LIT("short")};
  mc_buf bytes = {0};
  j = open_journal(&cipher);
  CHECK_INT(mc_journal_decipher(j, &record, &bytes), MC_ERR_MALFORMED);
  mc_record plain = {.stream = MC_STREAM_MESSAGE, .tenant = 1, .topic = MC_LIT("t"), .payload = MC_LIT("text")}, sealed;
  CHECK_OK(mc_journal_encipher(j, &plain, &bytes, &sealed));
  mc_buf opened = {0};
  sealed.topic = MC_LIT("u");
  CHECK_INT(mc_journal_decipher(j, &sealed, &opened), MC_ERR_CHECKSUM);
  sealed.topic = MC_LIT("t");
  sealed.tenant = 2;
  CHECK_INT(mc_journal_decipher(j, &sealed, &opened), MC_ERR_CHECKSUM);
  sealed.tenant = 1;
  CHECK_OK(mc_journal_decipher(j, &sealed, &opened));
  CHECK_SLICE(sealed.payload, "text");
  mc_buf_free(&bytes);
  mc_buf_free(&opened);
  mc_journal_close(&j);
}

/* Compaction needs no key: what is sealed stays sealed, and its readers open it. */
static void test_sealed_retained_messages_outlive_their_segment(void)
{
  mc_why why = {0};
  mc_journal *j;
  rig_fresh_dir();
  mc_journal_config config = rig_config(mc_fs_posix(), rig_dir);
  config.segment_bytes = config.keep.bytes = 16384;
  config.cipher = &cipher;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  mc_record r = {.stream = MC_STREAM_MESSAGE, .flags = MC_RECORD_RETAIN, .source = 4, .tenant = 1, .principal = 5, .time_us = 1700000000000001, .topic = MC_LIT("dt/truck/a"),
                 .props = MC_LIT("pp"), .payload = MC_LIT("kept secret")};
  uint64_t offset;
  CHECK_OK(mc_journal_append_sync(j, &r, &offset, &why));
  uint8_t noise[1000] = {0};
  r = (mc_record){.stream = MC_STREAM_TELEMETRY, .tenant = 1, .payload = mc_slice_of(noise, sizeof noise)};
  for (int i = 0; i < 60; i++)
    CHECK_OK(mc_journal_append_sync(j, &r, NULL, &why));
  for (int i = 0; i < 6000 && mc_journal_first_offset(j) <= offset; i++)
    usleep(10000);
  CHECK(mc_journal_first_offset(j) > offset);
  mc_journal_reader *reader;
  CHECK_OK(mc_journal_reader_create(j, 0, (mc_journal_filter){.streams = 1u << MC_STREAM_MESSAGE, .compacted = true}, &reader, &why));
  CHECK(next_is(reader, 3, "pp", "kept secret"));
  mc_journal_reader_destroy(&reader);
  mc_journal_close(&j);
  mc_record sealed;
  CHECK_OK(mc_journal_open_reader(mc_fs_posix(), rig_dir, 0, (mc_journal_filter){.streams = 1u << MC_STREAM_MESSAGE, .compacted = true}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &sealed, &why));
  CHECK(sealed.flags & MC_RECORD_ENCIPHERED);
  CHECK_INT(sealed.offset, offset);
  CHECK_INT(sealed.payload.len, 2 + 2 + 11 + MC_CIPHER_EXTRA);
  mc_journal_reader_destroy(&reader);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_sealed_retained_messages_outlive_their_segment);
  RUN(test_readers_get_opened_what_was_sealed);
  RUN(test_what_a_destroyed_key_sealed_is_passed_over);
  RUN(test_a_payload_belongs_to_its_topic_and_tenant);
  return tap_done();
}
