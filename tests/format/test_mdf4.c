#include "format/mdf4.h"
#include "format/mdf4_build.h"
#include "tap.h"

static char got[4096];
static mc_why why;
static mc_mdf4_info info;

/* "<us>:<channel>:<id>[x]:<bytes>;" a frame, then the error if there is one */
static mc_err read_all(const mdf_file *f)
{
  mc_mdf4 *m;
  mc_bus_frame frame;
  why = (mc_why){0};
  got[0] = 0;
  mc_err err = mc_mdf4_open(mc_buf_slice(&f->b), "t.mf4", &m, &why);
  if (err)
    return m ? MC_OK : err;
  for (int pass = 0; pass < 2; pass++) { /* rewind must give the same again */
    size_t n = 0;
    while (!(err = mc_mdf4_next(m, &frame, &why)) && n < sizeof got - 300) {
      n += (size_t)sprintf(got + n, "%lld:%u:%X%s:", (long long)frame.time_us, frame.channel, frame.id, frame.extended ? "x" : "");
      for (int i = 0; i < frame.len; i++)
        n += (size_t)sprintf(got + n, "%02x", frame.data[i]);
      strcpy(got + n++, ";");
    }
    mc_mdf4_rewind(m);
  }
  info = *mc_mdf4_about(m);
  mc_mdf4_close(&m);
  return err;
}

static mdf_file sorted_file(uint64_t (*data)(mdf_file *, mc_slice), uint64_t cycles)
{
  mdf_file f = mdf_start(true, 0, 1000000000, 0, 0);
  mc_buf records = {0};
  mdf_record(&records, -1, 1000, 0x123, 2, 1, "\x11\x22\0\0\0\0\0\0", 8);
  mdf_record(&records, -1, 2000000, 0x98FEF100, 8, 2, "\1\2\3\4\5\6\7\10", 8);
  mdf_record(&records, -1, 3000000, 0x124, 0, 1, "\0\0\0\0\0\0\0\0", 8);
  uint64_t cn = mdf_can_channels(&f, false, 0), cg = mdf_group(&f, 0, cycles, 6, MDF_FIXED_RECORD, cn);
  uint64_t dg = mdf_data_group(&f, 0, cg, data(&f, mc_buf_slice(&records)));
  mdf_link(&f, 64, 0, dg);
  mc_buf_free(&records);
  return f;
}

static uint64_t as_dt(mdf_file *f, mc_slice data) { return mdf_block(f, "DT", 0, data.data, data.len); }
static uint64_t as_dz(mdf_file *f, mc_slice data) { return mdf_zipped(f, "DT", 0, data); }
static uint64_t as_transposed(mdf_file *f, mc_slice data) { return mdf_zipped(f, "DT", MDF_FIXED_RECORD, data); }
static uint64_t as_list(mdf_file *f, mc_slice data)
{
  uint64_t pieces[3];
  pieces[0] = as_dt(f, mc_slice_sub(data, 0, 30)); /* cut inside a record */
  pieces[1] = as_transposed(f, mc_slice_sub(data, 30, 25));
  pieces[2] = as_dz(f, mc_slice_sub(data, 55, 1000));
  uint64_t second = mdf_list(f, pieces + 2, 1), first = mdf_list(f, pieces, 2), header = mdf_block(f, "HL", 1, "\0\0\0\0\0\0\0\0", 8);
  mdf_link(f, first, 0, second);
  mdf_link(f, header, 0, first);
  return header;
}

static void test_reads_sorted_data_in_every_packing(void)
{
  uint64_t (*const packings[])(mdf_file *, mc_slice) = {as_dt, as_dz, as_transposed, as_list};
  for (size_t i = 0; i < 4; i++) {
    mdf_file f = sorted_file(packings[i], 3);
    CHECK_INT(read_all(&f), MC_ERR_END);
    CHECK_STR(got, "1000001:1:123:1122;1002000:2:18FEF100x:0102030405060708;1003000:1:124:;");
    CHECK_INT(info.group_count, 1);
    CHECK(info.finalised);
    CHECK_STR(info.program, "test    ");
    mc_buf_free(&f.b);
  }
}

static void test_a_finalised_count_ends_the_data(void)
{
  mdf_file f = sorted_file(as_dt, 2);
  CHECK_INT(read_all(&f), MC_ERR_END);
  CHECK_STR(got, "1000001:1:123:1122;1002000:2:18FEF100x:0102030405060708;");
  mc_buf_free(&f.b);
}

/* Unsorted, two buses out of step, FD-like variable bytes in a group of their own, DT without a length. */
static mdf_file unsorted_file(uint16_t unfinished)
{
  mdf_file f = mdf_start(false, unfinished, 0, 60, 3);
  uint64_t vlsd = mdf_group(&f, 2, 0, 1, 0, 0);
  uint64_t first = mdf_group(&f, 1, 0, 6, MDF_VARIABLE_RECORD, mdf_can_channels(&f, true, vlsd));
  uint64_t second = mdf_group(&f, 3, 0, 6, MDF_FIXED_RECORD, mdf_can_channels(&f, false, 0));
  uint64_t other = mdf_group(&f, 4, 0, 6, 3, mdf_channel(&f, "Temperature", 0, 0, 0, 0, 8, 0, 0));
  mdf_link(&f, first, 0, vlsd);
  mdf_link(&f, vlsd, 0, second);
  mdf_link(&f, second, 0, other);
  uint64_t dt = mdf_block(&f, "DT", 0, "", 0);
  uint64_t dg = mdf_data_group(&f, 1, first, 0);
  mdf_link(&f, 64, 0, dg);
  mdf_link(&f, dg, 2, dt);
  return f;
}

/* The DT block must be last: build the records after everything else. */
static mdf_file unsorted_with(uint16_t unfinished, mc_slice records)
{
  mdf_file f = unsorted_file(unfinished);
  uint64_t dt = mdf_block(&f, "DT", 0, "", 0);
  uint64_t dg = mc_load_le64(f.b.data + 64 + 24);
  mdf_link(&f, dg, 2, dt);
  mc_buf_append_slice(&f.b, records);
  return f;
}

static void append_records(mc_buf *r, uint32_t second_offset)
{
  mdf_record(r, 1, 10000, 0x100, 3, 1, "\0\0\0\0", 4);
  mc_buf_append(r, "\2\3\0\0\0abc", 8); /* group 2: 3 bytes at offset 0 */
  mdf_record(r, 3, 30000, 0x300, 1, 9, "\x33\0\0\0\0\0\0\0", 8);
  mc_buf_append(r, "\4xyz", 4);
  uint8_t offset[4];
  mc_store_le32(offset, second_offset);
  mdf_record(r, 1, 20000, 0x101, 12, 1, offset, 4);
  mc_buf_append(r, "\2\14\0\0\0defghijklmno", 17);
}

static void test_reads_unfinished_unsorted_logs_in_order_of_time(void)
{
  mc_buf r = {0};
  append_records(&r, 7);
  mdf_file f = unsorted_with(37, mc_buf_slice(&r));
  CHECK_INT(read_all(&f), MC_ERR_END);
  CHECK_STR(got, "-3599999990:1:100:616263;-3599999980:1:101:6465666768696a6b6c6d6e6f;-3599999970:9:300:33;");
  CHECK_INT(info.group_count, 2);
  CHECK_INT(info.passed_over, 1);
  CHECK_INT(info.truncated_bytes, 0);
  CHECK_INT(info.start_us, -3600000000LL);
  mc_buf_free(&f.b);
  mc_buf_free(&r);
}

static void test_counts_variable_bytes_when_offsets_were_not_written(void)
{
  mc_buf r = {0};
  append_records(&r, 0); /* the logger left 0 in both */
  mdf_file f = unsorted_with(37 | 64, mc_buf_slice(&r));
  CHECK_INT(read_all(&f), MC_ERR_END);
  CHECK(strstr(got, ":101:6465666768696a6b6c6d6e6f;") != NULL);
  mc_buf_free(&f.b);
  mc_buf_free(&r);
}

static void test_reads_up_to_the_last_whole_record_wherever_it_was_cut(void)
{
  mc_buf r = {0};
  append_records(&r, 7);
  size_t frames_before = 0;
  for (size_t cut = 0; cut <= r.len; cut++) {
    mdf_file f = unsorted_with(37, mc_slice_of(r.data, cut));
    CHECK_INT(read_all(&f), MC_ERR_END);
    size_t frames = 0;
    for (const char *p = got; *p; p++)
      frames += *p == ';';
    CHECK(frames >= frames_before);
    frames_before = frames;
    mc_buf_free(&f.b);
  }
  CHECK_INT(frames_before, 3);
  mc_buf_free(&r);
}

static void test_preallocated_zeros_end_the_data(void)
{
  mc_buf r = {0};
  append_records(&r, 7);
  mc_buf_append(&r, "\0\0\0\0\0\0\0\0\0\0", 10);
  mdf_file f = unsorted_with(37, mc_buf_slice(&r));
  CHECK_INT(read_all(&f), MC_ERR_END);
  CHECK_INT(info.truncated_bytes, 10);
  mc_buf_free(&f.b);
  mc_buf_free(&r);
}

static void test_reads_variable_bytes_from_an_sd_block(void)
{
  mdf_file f = mdf_start(true, 0, 0, 0, 0);
  mc_buf records = {0};
  mdf_record(&records, -1, 1000, 0x1, 3, 1, "\0\0\0\0", 4);
  mdf_record(&records, -1, 2000, 0x2, 2, 1, "\7\0\0\0", 4);
  uint64_t sd = mdf_zipped(&f, "SD", 0, MC_LIT("\3\0\0\0abc\2\0\0\0de"));
  uint64_t cg = mdf_group(&f, 0, 2, 6, MDF_VARIABLE_RECORD, mdf_can_channels(&f, true, sd));
  uint64_t dt = as_dt(&f, mc_buf_slice(&records));
  mdf_link(&f, 64, 0, mdf_data_group(&f, 0, cg, dt));
  CHECK_INT(read_all(&f), MC_ERR_END);
  CHECK_STR(got, "1:1:1:616263;2:1:2:6465;");
  mc_store_le32(f.b.data + dt + 24 + 14, 99); /* the first offset now points behind the heap */
  CHECK_INT(read_all(&f), MC_ERR_MALFORMED);
  CHECK_WHY(why, "points outside");
  mc_buf_free(&f.b);
  mc_buf_free(&records);
}

/* Found by fuzzing: a data group with bus frames and no data block. */
static void test_a_group_without_data_is_empty(void)
{
  mdf_file f = mdf_start(true, 0, 0, 0, 0);
  uint64_t cg = mdf_group(&f, 0, 3, 6, MDF_FIXED_RECORD, mdf_can_channels(&f, false, 0));
  mdf_link(&f, 64, 0, mdf_data_group(&f, 0, cg, 0));
  CHECK_INT(read_all(&f), MC_ERR_END);
  CHECK_STR(got, "");
  mc_buf_free(&f.b);
}

static void test_merges_data_groups_by_time(void)
{
  mdf_file f = mdf_start(true, 0, 0, 0, 0);
  uint64_t dg[2];
  for (int i = 0; i < 2; i++) {
    mc_buf r = {0};
    for (uint64_t k = 0; k < 3; k++)
      mdf_record(&r, -1, (2 * k + (uint64_t)i) * 1000, 0x10u + (uint32_t)i, 1, 1, "\x05\0\0\0\0\0\0\0", 8);
    uint64_t cg = mdf_group(&f, 0, 3, 6, MDF_FIXED_RECORD, mdf_can_channels(&f, false, 0));
    dg[i] = mdf_data_group(&f, 0, cg, as_dt(&f, mc_buf_slice(&r)));
    mc_buf_free(&r);
  }
  mdf_link(&f, 64, 0, dg[1]);
  mdf_link(&f, dg[1], 0, dg[0]);
  CHECK_INT(read_all(&f), MC_ERR_END);
  CHECK_STR(got, "0:1:10:05;1:1:11:05;2:1:10:05;3:1:11:05;4:1:10:05;5:1:11:05;");
  mc_buf_free(&f.b);
}

static void test_refuses_what_is_no_mdf4_file(void)
{
  mdf_file f = sorted_file(as_dt, 3);
  mc_mdf4 *m;
  CHECK_INT(mc_mdf4_open((mc_slice){NULL, 0}, "t", &m, &why), MC_ERR_TRUNCATED);
  CHECK(m == NULL);
  CHECK_INT(mc_mdf4_open(mc_slice_of(f.b.data, 60), "t", &m, &why), MC_ERR_TRUNCATED);
  mc_store_le16(f.b.data + 28, 310);
  CHECK_INT(read_all(&f), MC_ERR_UNSUPPORTED);
  CHECK_WHY(why, "MDF version 3.10; expected 4.x");
  f.b.data[0] = 'X';
  CHECK_INT(read_all(&f), MC_ERR_MALFORMED);
  CHECK_WHY(why, "not an MDF file");
  mc_buf_free(&f.b);
}

/* Every byte of a whole file overwritten in turn, and every truncation: no crash, and always an error code or the end. */
static void test_survives_damage_anywhere(void)
{
  mdf_file f = sorted_file(as_list, 3);
  for (size_t i = 0; i < f.b.len; i++) {
    for (int v = 0; v < 3; v++) {
      uint8_t kept = f.b.data[i];
      f.b.data[i] = v == 0 ? 0xFF : v == 1 ? 0 : (uint8_t)(kept + 1);
      CHECK(read_all(&f) != MC_OK);
      f.b.data[i] = kept;
    }
    mc_buf exact = {0};
    mc_buf_append(&exact, f.b.data, i);
    mdf_file cut = {exact};
    mc_err err = read_all(&cut);
    CHECK(err != MC_OK);
    mc_buf_free(&cut.b);
  }
  mc_buf_free(&f.b);
}

static void test_rings_of_blocks_end_in_an_error(void)
{
  mdf_file f = sorted_file(as_dt, 3);
  uint64_t dg = mc_load_le64(f.b.data + 64 + 24), cg = mc_load_le64(f.b.data + dg + 32), cn = mc_load_le64(f.b.data + cg + 32);
  uint64_t next = mc_load_le64(f.b.data + cn + 24);
  mdf_link(&f, cn, 0, cn);
  CHECK_INT(read_all(&f), MC_ERR_MALFORMED);
  CHECK_WHY(why, "does not end");
  mdf_link(&f, cn, 0, next);
  mdf_link(&f, dg, 0, dg);
  CHECK_INT(read_all(&f), MC_ERR_MALFORMED);
  mdf_link(&f, dg, 0, 0);
  mdf_link(&f, cg, 0, cg);
  CHECK_INT(read_all(&f), MC_ERR_MALFORMED);
  mdf_link(&f, cg, 0, 0);
  uint64_t pieces[1] = {0}, list = mdf_list(&f, pieces, 1);
  mdf_link(&f, list, 0, list);
  mdf_link(&f, dg, 2, list);
  CHECK_INT(read_all(&f), MC_ERR_MALFORMED);
  mc_buf_free(&f.b);
}

static void test_refuses_compressed_data_that_lies_about_its_size(void)
{
  mdf_file f = sorted_file(as_dz, 3);
  uint64_t dg = mc_load_le64(f.b.data + 64 + 24), dz = mc_load_le64(f.b.data + dg + 40);
  mc_store_le64(f.b.data + dz + 24 + 8, UINT64_MAX / 2);
  CHECK_INT(read_all(&f), MC_ERR_MALFORMED);
  CHECK_WHY(why, "more than deflate can hold");
  mc_store_le64(f.b.data + dz + 24 + 8, 67);
  CHECK_INT(read_all(&f), MC_ERR_MALFORMED);
  CHECK_WHY(why, "damaged");
  mc_buf_free(&f.b);
}

int main(void)
{
  RUN(test_reads_sorted_data_in_every_packing);
  RUN(test_a_finalised_count_ends_the_data);
  RUN(test_reads_unfinished_unsorted_logs_in_order_of_time);
  RUN(test_counts_variable_bytes_when_offsets_were_not_written);
  RUN(test_reads_up_to_the_last_whole_record_wherever_it_was_cut);
  RUN(test_preallocated_zeros_end_the_data);
  RUN(test_reads_variable_bytes_from_an_sd_block);
  RUN(test_a_group_without_data_is_empty);
  RUN(test_merges_data_groups_by_time);
  RUN(test_refuses_what_is_no_mdf4_file);
  RUN(test_survives_damage_anywhere);
  RUN(test_rings_of_blocks_end_in_an_error);
  RUN(test_refuses_compressed_data_that_lies_about_its_size);
  return tap_done();
}
