/* OBD and structured signals, fetches, partitions, uploads, parts of signals: what protobuf itself wrote (golden/fleetwise.txt, made by
 * tests/oracle/fleetwise_golden.py) read, checked and written again. */
#include "fleetwise_rig.h"

static mc_buf golden(const char *name)
{
  char line[4096];
  mc_buf b = {0};
  FILE *f = fopen(MC_SOURCE_DIR "/tests/format/golden/fleetwise.txt", "r");
  while (f && fgets(line, sizeof line, f)) {
    char *space = strchr(line, ' ');
    if (!space || (size_t)(space - line) != strlen(name) || strncmp(line, name, strlen(name)) != 0)
      continue;
    space[strcspn(space, "\n")] = 0;
    b = unhex(space + 1);
  }
  if (f)
    fclose(f);
  return b;
}

#define WRITES_AGAIN(call, in)                                 \
  do {                                                         \
    mc_buf out_ = {0};                                         \
    mc_buf *out = &out_;                                       \
    mc_err err_ = (call);                                      \
    bool same_ = mc_slice_eq(mc_buf_slice(out), mc_buf_slice(in)); \
    if (!same_)                                                \
      printf("# wrote %s\n", hex(mc_buf_slice(out)));          \
    mc_buf_free(out);                                          \
    CHECK_INT(err_, MC_OK);                                    \
    CHECK(same_);                                              \
  } while (0)

static void test_obd_signals_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_manifest m;
  mc_why why;
  mc_buf in = golden("manifest_obd");
  CHECK(in.len);
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&in), &arena, &m, &why));
  CHECK(m.obd_count == 2 && m.can_count == 0 && m.complex_count == 0);
  const mc_fw_obd_signal *s = m.obd;
  CHECK(s->signal_id == 3 && s->response_length == 2 && s->service_mode == 1 && s->pid == 0x0C && s->scaling == 0.25);
  CHECK(s->byte_length == 2 && s->bit_mask_length == 8 && s->type == MC_FW_TYPE_FLOAT64 && !s->is_signed);
  CHECK(s[1].offset == -40 && s[1].bit_right_shift == 1 && s[1].bit_mask_length == 3 && s[1].is_signed);
  CHECK_SLICE(s[1].interface_id, "obd");
  WRITES_AGAIN(mc_fw_write_manifest(out, &m), &in);
  mc_buf_free(&in);
}

static void test_structured_signals_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_manifest m;
  mc_why why;
  mc_buf in = golden("manifest_complex");
  CHECK(in.len);
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&in), &arena, &m, &why));
  CHECK_INT(m.complex_type_count, 5);
  const mc_fw_complex_type *t = m.complex_type;
  CHECK(t[0].kind == MC_FW_COMPLEX_PRIMITIVE && t[0].type == MC_FW_TYPE_FLOAT32 && t[0].scaling == 0.5 && t[0].offset == 2);
  CHECK(t[1].kind == MC_FW_COMPLEX_ARRAY && t[1].size == -100 && t[1].element_type == 1);
  CHECK(t[2].kind == MC_FW_COMPLEX_STRING && t[2].encoding == 1 && t[2].size == 16);
  CHECK(t[3].kind == MC_FW_COMPLEX_STRUCT && t[3].member_count == 2 && t[3].member[1].type_id == 3);
  CHECK(t[4].kind == MC_FW_COMPLEX_STRUCT && t[4].member_count == 0);
  CHECK(m.complex_count == 1 && m.complex->root_type == 4);
  CHECK_SLICE(m.complex->message_id, "/lidar:sensor_msgs/msg/PointCloud2");
  WRITES_AGAIN(mc_fw_write_manifest(out, &m), &in);
  mc_buf_free(&in);
}

static void test_fetches_partitions_and_uploads_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_schemes m;
  mc_why why;
  mc_buf in = golden("schemes_all");
  CHECK(in.len);
  CHECK_OK(mc_fw_read_schemes(mc_buf_slice(&in), &arena, &m, &why));
  const mc_fw_scheme *s = m.scheme;
  CHECK(m.scheme_count == 1 && s->signal_count == 2);
  CHECK(s->signal[0].path_count == 0 && s->signal[1].path_count == 3 && s->signal[1].path[1] == 300 && s->signal[1].data_partition_id == 1);
  CHECK_SLICE(s->bucket, "b");
  CHECK_SLICE(s->bucket_prefix, "p/");
  CHECK_SLICE(s->bucket_region, "local");
  CHECK_SLICE(s->bucket_owner, "000000000000");
  CHECK_INT(s->partition_count, 2);
  CHECK(s->partition[0].maximum_bytes == UINT64_C(1) << 33 && s->partition[0].minimum_ttl_s == 86400 && !s->partition[0].upload);
  CHECK_SLICE(s->partition[0].location, "/var/a");
  CHECK(s->partition[1].upload && s->partition[1].upload->op == 1 && s->partition[1].upload->left->signal_id == 1);
  CHECK_INT(s->fetch_count, 2);
  CHECK(!s->fetch[0].condition_based && s->fetch[0].max_execution_count == 3 && s->fetch[0].frequency_ms == 5000 && s->fetch[0].reset_interval_ms == 60000);
  CHECK(s->fetch[0].action_count == 1 && s->fetch[0].action[0]->function == MC_FW_FN_CUSTOM && s->fetch[0].action[0]->param_count == 3);
  CHECK_SLICE(s->fetch[0].action[0]->text, "DTC_QUERY");
  CHECK(s->fetch[1].condition_based && s->fetch[1].trigger_mode == 1 && s->fetch[1].condition->right->number == 50 && s->fetch[1].action_count == 2);
  CHECK_SLICE(s->campaign_arn, "arn:aws:iotfleetwise:local:000000000000:campaign/c1");
  WRITES_AGAIN(mc_fw_write_schemes(out, &m), &in);
  mc_buf_free(&in);
}

static void test_parts_of_signals_and_objects_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_vehicle_data m;
  mc_why why;
  mc_buf in = golden("data_paths");
  CHECK(in.len);
  CHECK_OK(mc_fw_read_vehicle_data(mc_buf_slice(&in), &arena, &m, &why));
  CHECK(m.sample_count == 3 && m.path_count == 2 && m.object_count == 2);
  CHECK(m.sample[0].path == 1 && m.sample[0].signal_id == 9 && m.sample[0].number == 1.5 && m.sample[0].relative_ms == -5);
  CHECK(m.path[0].signal_id == 9 && m.path[0].count == 2 && m.path[0].index[1] == 300);
  CHECK(m.sample[1].path == 0 && m.sample[1].signal_id == 1);
  CHECK(m.sample[2].path == 2 && m.sample[2].is_string && m.path[1].count == 0);
  CHECK_SLICE(m.sample[2].text, "name");
  CHECK_SLICE(m.object[0].key, "raw/1-1700000000000.10n");
  CHECK(m.object[0].data_format == 1 && m.object[1].data_format == 0);
  WRITES_AGAIN(mc_fw_write_vehicle_data(out, &m), &in);
  mc_buf_free(&in);
}

static void test_many_paths_keep_their_samples(void)
{
  enum { MANY = 1000 };
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 22);
  mc_why why = {0};
  mc_fw_sample *sample = mc_arena_array(&arena, MANY, sizeof *sample);
  mc_fw_path *path = mc_arena_array(&arena, MANY, sizeof *path);
  uint32_t *index = mc_arena_array(&arena, MANY, sizeof *index);
  CHECK(sample && path && index);
  for (uint32_t i = 0; i < MANY; i++) {
    index[i] = i * 7;
    path[i] = (mc_fw_path){i + 1, &index[i], 1};
    sample[i] = (mc_fw_sample){.signal_id = i + 1, .path = i + 1, .number = i, .has_micros = true, .relative_us = -(int64_t)i};
  }
  mc_fw_vehicle_data m = {.sample = sample, .sample_count = MANY, .path = path, .path_count = MANY}, back;
  mc_buf out = {0};
  CHECK_OK(mc_fw_write_vehicle_data(&out, &m));
  CHECK_OK(mc_fw_read_vehicle_data(mc_buf_slice(&out), &arena, &back, &why));
  CHECK(back.sample_count == MANY && back.path_count == MANY);
  for (uint32_t i = 0; i < MANY; i++) {
    const mc_fw_path *p = &back.path[back.sample[i].path - 1];
    CHECK(back.sample[i].signal_id == i + 1 && back.sample[i].number == i && back.sample[i].relative_us == -(int64_t)i);
    CHECK(p->signal_id == i + 1 && p->count == 1 && p->index[0] == i * 7);
  }
  sample[0].path = MANY + 1;
  CHECK_INT(mc_fw_write_vehicle_data(&out, &m), MC_ERR_INVALID);
  mc_buf_free(&out);
}

static void test_refuses_broken_insides(void)
{
  static const struct {
    int message; /* 0 manifest, 1 schemes, 2 data */
    const char *bytes, *why;
  } cases[] = {
      {0, "1a0209ff", "OBDPIDSignal"},
      {0, "22041202ffff", "PrimitiveData"},
      {0, "22021001", "ComplexType.primitive_data"},
      {0, "22042202087f", NULL}, /* an array of 127: fine */
      {0, "2a0312017f", NULL},
      {0, "2a031201ff", "not UTF-8"},
      {1, "0a064a0432020a80", "SignalPath"},
      {1, "0a054a03320180", "SignalPath"},
      {1, "0a058a01020aff", "StoreAndForward"},
      {1, "0a059201020a00", "FetchInformation"},
      {1, "0a05820102 0aff", "S3UploadMetadata"},
      {2, "2a045202 0aff", "primitive_type_in_signal"},
      {2, "4a020aff", "s3_objects"},
      {2, "4a0310ff", "byte"},
      {2, "4801", "wire type"},
      {2, "4a061080808080 10", "32 bits"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 16);
    mc_why why = {0};
    char digits[64];
    size_t n = 0;
    for (const char *p = cases[i].bytes; *p; p++)
      if (*p != ' ')
        digits[n++] = *p;
    digits[n] = 0;
    mc_buf in = unhex(digits);
    mc_slice b = mc_buf_slice(&in);
    mc_fw_manifest m;
    mc_fw_schemes s;
    mc_fw_vehicle_data d;
    mc_err err = cases[i].message == 0   ? mc_fw_read_manifest(b, &arena, &m, &why)
                 : cases[i].message == 1 ? mc_fw_read_schemes(b, &arena, &s, &why)
                                         : mc_fw_read_vehicle_data(b, &arena, &d, &why);
    mc_buf_free(&in);
    if (!cases[i].why) {
      CHECK_INT(err, MC_OK);
      continue;
    }
    if (err != MC_ERR_MALFORMED && err != MC_ERR_TRUNCATED)
      TAP_FAIL("case %zu (%s): got %s", i, cases[i].bytes, mc_err_text(err));
    if (!strstr(why.text, cases[i].why))
      TAP_FAIL("case %zu (%s): \"%s\" does not hold \"%s\"", i, cases[i].bytes, why.text, cases[i].why);
  }
}

int main(int argc, char **argv)
{
  RUN(test_obd_signals_both_ways);
  RUN(test_structured_signals_both_ways);
  RUN(test_fetches_partitions_and_uploads_both_ways);
  RUN(test_parts_of_signals_and_objects_both_ways);
  RUN(test_many_paths_keep_their_samples);
  RUN(test_refuses_broken_insides);
  return tap_done();
}
