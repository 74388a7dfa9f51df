/* FleetWise messages: the contract's wire vectors (15.1) both ways, and what a reader must refuse. */
#include "fleetwise_rig.h"

static const char checkin_empty[] = "1080d095ffbc31";
static const char checkin_two[] = "0a0263310a03646d311080d095ffbc31";
static const char manifest_1[] = "0a03646d3112150801120131188002419a9999999999b93f4810500b";
static const char manifest_2[] = "0a03646d31122708021201311880d4fbc7012001280130083900000000000044c041000000000000e03f48105008";
static const char schemes_time[] = "0a240a0263311203646d311880d095ffbc312080adf180bd312a0308e8074a040801100a60011080d095ffbc31";
static const char schemes_condition[] =
    "0a3b0a0263321203646d311880d095ffbc312080adf180bd31321c08e80710011a130a110a0220011209190000000000004940180120014a0408011003108"
    "0d095ffbc31";
static const char vehicle_data[] =
    "0a0263311203646d31188180a0ab062080d095ffbc312a0e08b90110011900000000000059402a0e08cd011001190000000000005940";
static const char vehicle_data_snappy[] =
    "36780a0263311203646d31188180a0ab062080d095ffbc312a0e08b9011001190005014459402a0e08cd011001190000000000005940";

static void test_checkin_vectors_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_checkin m;
  mc_why why;
  mc_buf in = unhex(checkin_empty);
  CHECK_OK(mc_fw_read_checkin(mc_buf_slice(&in), &arena, &m, &why));
  CHECK_INT(m.sync_id_count, 0);
  CHECK(m.time_ms == T);
  WRITES(mc_fw_write_checkin(out, &m), checkin_empty);
  mc_buf_free(&in);
  in = unhex(checkin_two);
  CHECK_OK(mc_fw_read_checkin(mc_buf_slice(&in), &arena, &m, &why));
  CHECK_INT(m.sync_id_count, 2);
  CHECK_SLICE(m.sync_id[0], "c1");
  CHECK_SLICE(m.sync_id[1], "dm1");
  CHECK(m.time_ms == T);
  WRITES(mc_fw_write_checkin(out, &m), checkin_two);
  mc_buf_free(&in);
}

static void test_manifest_vectors_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_manifest m;
  mc_why why;
  mc_buf in = unhex(manifest_1);
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&in), &arena, &m, &why));
  CHECK_SLICE(m.sync_id, "dm1");
  CHECK_INT(m.can_count, 1);
  const mc_fw_can_signal *s = m.can;
  CHECK_INT(s->signal_id, 1);
  CHECK_SLICE(s->interface_id, "1");
  CHECK_INT(s->message_id, 0x100);
  CHECK_INT(s->start_bit, 0);
  CHECK_INT(s->length, 16);
  CHECK(s->factor == 0.1 && s->offset == 0);
  CHECK_INT(s->type, 11);
  CHECK(!s->big_endian && !s->is_signed && s->value_type == 0 && s->mux_count == 0 && s->id_mask == 0);
  WRITES(mc_fw_write_manifest(out, &m), manifest_1);
  mc_buf_free(&in);
  in = unhex(manifest_2);
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&in), &arena, &m, &why));
  s = m.can;
  CHECK_INT(s->signal_id, 2);
  CHECK_INT(s->message_id, 0x18FEEA00);
  CHECK(s->big_endian && s->is_signed);
  CHECK_INT(s->start_bit, 8);
  CHECK_INT(s->length, 16);
  CHECK(s->offset == -40 && s->factor == 0.5);
  CHECK_INT(s->type, 8);
  WRITES(mc_fw_write_manifest(out, &m), manifest_2);
  mc_buf_free(&in);
}

static void test_scheme_vectors_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_schemes m;
  mc_why why;
  mc_buf in = unhex(schemes_time);
  CHECK_OK(mc_fw_read_schemes(mc_buf_slice(&in), &arena, &m, &why));
  CHECK_INT(m.scheme_count, 1);
  CHECK_SLICE(m.scheme->campaign_sync_id, "c1");
  CHECK_SLICE(m.scheme->manifest_sync_id, "dm1");
  CHECK(m.scheme->start_ms == T && m.scheme->expiry_ms == T + 3600000);
  CHECK(!m.scheme->condition_based && m.scheme->compress && !m.scheme->persist);
  CHECK_INT(m.scheme->period_ms, 1000);
  CHECK_INT(m.scheme->signal_count, 1);
  CHECK_INT(m.scheme->signal->signal_id, 1);
  CHECK_INT(m.scheme->signal->sample_buffer_size, 10);
  WRITES(mc_fw_write_schemes(out, &m), schemes_time);
  mc_buf_free(&in);
  in = unhex(schemes_condition);
  CHECK_OK(mc_fw_read_schemes(mc_buf_slice(&in), &arena, &m, &why));
  CHECK(m.scheme->condition_based);
  CHECK_INT(m.scheme->minimum_interval_ms, 1000);
  CHECK_INT(m.scheme->language_version, 1);
  CHECK_INT(m.scheme->trigger_mode, 1);
  const mc_fw_node *n = m.scheme->condition;
  CHECK_INT(n->kind, MC_FW_NODE_OPERATOR);
  CHECK_INT(n->op, 1);
  CHECK_INT(n->left->kind, MC_FW_NODE_SIGNAL);
  CHECK_INT(n->left->signal_id, 1);
  CHECK_INT(n->right->kind, MC_FW_NODE_DOUBLE);
  CHECK_DOUBLE(n->right->number, 50, 0);
  WRITES(mc_fw_write_schemes(out, &m), schemes_condition);
  mc_buf_free(&in);
}

static void test_vehicle_data_vectors_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_vehicle_data m;
  mc_why why;
  mc_buf in = unhex(vehicle_data);
  CHECK_OK(mc_fw_read_vehicle_data(mc_buf_slice(&in), &arena, &m, &why));
  CHECK_SLICE(m.campaign_sync_id, "c1");
  CHECK_SLICE(m.manifest_sync_id, "dm1");
  CHECK_INT(m.event_id, 1701314561);
  CHECK(m.event_time_ms == T);
  CHECK_INT(m.sample_count, 2);
  CHECK_INT(m.sample[0].relative_ms, -93);
  CHECK_INT(m.sample[1].relative_ms, -103);
  for (int i = 0; i < 2; i++)
    CHECK(m.sample[i].signal_id == 1 && m.sample[i].number == 100.0 && !m.sample[i].is_string && !m.sample[i].has_micros);
  WRITES(mc_fw_write_vehicle_data(out, &m), vehicle_data);
  mc_buf snappy = unhex(vehicle_data_snappy);
  mc_buf plain = {0};
  CHECK_OK(mc_snappy_expand(mc_buf_slice(&snappy), 1 << 20, &plain));
  CHECK(mc_slice_eq(mc_buf_slice(&plain), mc_buf_slice(&in)));
  mc_buf_free(&plain);
  mc_buf_free(&snappy);
  mc_buf_free(&in);
}

/* Everything that the structs can say, with our extensions. */
static void test_writes_and_reads_back_every_field(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_why why = {0};
  mc_slice ids[2] = {MC_LIT("a-0123456789abcdef"), MC_LIT("")};
  mc_slice errors[1] = {MC_LIT("a-0123456789abcdef: unknown signal 7")};
  mc_fw_checkin c = {.sync_id = ids, .sync_id_count = 2, .time_ms = UINT64_MAX, .agent = MC_LIT("motorcade-edge/1"),
                     .capabilities = MC_FW_CAN_MULTIPLEX | MC_FW_CAN_ID_MASK, .error = errors, .error_count = 1};
  mc_fw_checkin c2;
  mc_buf out = {0};
  CHECK_OK(mc_fw_write_checkin(&out, &c));
  CHECK_OK(mc_fw_read_checkin(mc_buf_slice(&out), &arena, &c2, &why));
  CHECK(c2.sync_id_count == 2 && mc_slice_eq(c2.sync_id[0], ids[0]) && c2.sync_id[1].len == 0);
  CHECK(c2.time_ms == UINT64_MAX && c2.capabilities == 3 && mc_slice_eq(c2.agent, c.agent));
  CHECK(c2.error_count == 1 && mc_slice_eq(c2.error[0], errors[0]));

  uint32_t ranges[6] = {0, 0, 5, 9, 1000000, UINT32_MAX};
  mc_fw_mux mux[2] = {{.start_bit = 3, .length = 5, .big_endian = true, .range = ranges, .range_count = 3}, {.start_bit = 60, .length = 4}};
  mc_fw_can_signal can[2] = {{.signal_id = 5, .interface_id = MC_LIT("can0"), .message_id = 0x98FEF100, .is_signed = true, .start_bit = 63,
                              .length = 1, .offset = -0.0, .factor = 1e-9, .type = 12, .value_type = 1, .id_mask = 0x00FFFF00, .mux = mux, .mux_count = 2},
                             {.signal_id = 6}};
  mc_fw_custom_signal custom = {7, MC_LIT("gps"), MC_LIT("Vehicle.Latitude"), 11};
  mc_fw_manifest m = {.sync_id = ids[0], .can = can, .can_count = 2, .custom = &custom, .custom_count = 1};
  mc_fw_manifest m2;
  mc_buf_clear(&out);
  CHECK_OK(mc_fw_write_manifest(&out, &m));
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&out), &arena, &m2, &why));
  CHECK(m2.can_count == 2 && m2.custom_count == 1);
  CHECK(m2.can[0].id_mask == 0x00FFFF00 && m2.can[0].mux_count == 2 && m2.can[0].message_id == 0x98FEF100);
  CHECK(m2.can[0].mux[0].range_count == 3 && !memcmp(m2.can[0].mux[0].range, ranges, sizeof ranges));
  CHECK(m2.can[0].mux[0].big_endian && m2.can[0].mux[1].start_bit == 60 && m2.can[0].mux[1].range_count == 0);
  CHECK(m2.can[0].value_type == 1 && m2.can[0].is_signed && 1 / m2.can[0].offset < 0);
  CHECK(m2.can[1].signal_id == 6 && m2.can[1].mux_count == 0);
  CHECK_SLICE(m2.custom[0].decoding_id, "Vehicle.Latitude");
  mc_buf_free(&out);
}

static void test_condition_tree_survives_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_why why = {0};
  mc_fw_node text = {.kind = MC_FW_NODE_STRING, .text = MC_LIT("open")};
  mc_fw_node signal = {.kind = MC_FW_NODE_SIGNAL, .signal_id = 9};
  mc_fw_node zero = {.kind = MC_FW_NODE_DOUBLE, .number = 0};
  mc_fw_node no = {.kind = MC_FW_NODE_BOOL};
  mc_fw_node window = {.kind = MC_FW_NODE_FUNCTION, .function = MC_FW_FN_WINDOW, .signal_id = 3, .window = 5};
  mc_fw_node path = {.kind = MC_FW_NODE_PATH, .text = MC_LIT("\x08\x04\x12\x02\x01\x02")};
  mc_fw_node window_path = {.kind = MC_FW_NODE_FUNCTION, .function = MC_FW_FN_WINDOW, .window = 1, .text = MC_LIT("\x08\x05")};
  mc_fw_node is_null = {.kind = MC_FW_NODE_FUNCTION, .function = MC_FW_FN_IS_NULL, .left = &signal};
  mc_fw_node *params[6] = {&text, &zero, &no, &window, &path, &window_path};
  mc_fw_node custom = {.kind = MC_FW_NODE_FUNCTION, .function = MC_FW_FN_CUSTOM, .text = MC_LIT("f"), .param = params, .param_count = 6};
  mc_fw_node root = {.kind = MC_FW_NODE_OPERATOR, .op = 6, .left = &custom, .right = &is_null};
  mc_fw_scheme scheme = {.condition_based = true, .condition = &root, .persist = true, .priority = 3, .campaign_arn = MC_LIT("arn"),
                         .include_dtcs = true, .after_duration_ms = 7};
  mc_fw_schemes m = {.scheme = &scheme, .scheme_count = 1};
  mc_fw_schemes back;
  mc_buf out = {0};
  CHECK_OK(mc_fw_write_schemes(&out, &m));
  CHECK_OK(mc_fw_read_schemes(mc_buf_slice(&out), &arena, &back, &why));
  const mc_fw_node *r = back.scheme->condition;
  CHECK(r->op == 6 && r->left->function == MC_FW_FN_CUSTOM && r->left->param_count == 6);
  CHECK_SLICE(r->left->text, "f");
  CHECK_SLICE(r->left->param[0]->text, "open");
  CHECK(r->left->param[1]->kind == MC_FW_NODE_DOUBLE && r->left->param[2]->kind == MC_FW_NODE_BOOL);
  CHECK(r->left->param[3]->signal_id == 3 && r->left->param[3]->window == 5);
  CHECK(r->left->param[4]->kind == MC_FW_NODE_PATH && r->left->param[4]->signal_id == 4);
  CHECK(r->left->param[5]->signal_id == 5 && r->left->param[5]->text.len == 2);
  CHECK(r->right->function == MC_FW_FN_IS_NULL && r->right->left->signal_id == 9);
  mc_buf again = {0};
  CHECK_OK(mc_fw_write_schemes(&again, &back));
  CHECK(mc_slice_eq(mc_buf_slice(&again), mc_buf_slice(&out)));
  mc_buf_free(&again);
  mc_buf_free(&out);
}

static void test_vehicle_data_keeps_strings_micros_and_dtcs(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_why why = {0};
  char long_text[300];
  memset(long_text, 'x', sizeof long_text);
  mc_fw_sample s[5] = {{.relative_ms = INT64_MIN, .signal_id = UINT32_MAX, .number = -0.0, .has_micros = true, .relative_us = INT64_MIN},
                       {.relative_ms = INT64_MAX, .signal_id = 1, .number = 1e300, .has_micros = true, .relative_us = INT64_MAX},
                       {.signal_id = 2, .is_string = true, .text = MC_LIT("")},
                       {.relative_ms = -5, .signal_id = 3, .is_string = true, .text = mc_slice_of(long_text, sizeof long_text), .has_micros = true, .relative_us = -5001},
                       {.signal_id = 0x0FFFFFFF}};
  mc_slice dtc[2] = {MC_LIT("P0143"), MC_LIT("U0100")};
  mc_fw_vehicle_data m = {.sample = s, .sample_count = 5, .dtc = dtc, .dtc_count = 2, .dtc_relative_ms = -1};
  mc_fw_vehicle_data back;
  mc_buf out = {0};
  CHECK_OK(mc_fw_write_vehicle_data(&out, &m));
  CHECK_OK(mc_fw_read_vehicle_data(mc_buf_slice(&out), &arena, &back, &why));
  CHECK_INT(back.sample_count, 5);
  for (int i = 0; i < 5; i++) {
    CHECK(back.sample[i].relative_ms == s[i].relative_ms && back.sample[i].signal_id == s[i].signal_id);
    CHECK(!memcmp(&back.sample[i].number, &s[i].number, 8) && back.sample[i].is_string == s[i].is_string);
    CHECK(mc_slice_eq(back.sample[i].text, s[i].text));
    CHECK(back.sample[i].has_micros == s[i].has_micros && back.sample[i].relative_us == s[i].relative_us);
  }
  CHECK(back.dtc_count == 2 && back.dtc_relative_ms == -1);
  CHECK_SLICE(back.dtc[1], "U0100");
  mc_buf_free(&out);
}

static void test_accepts_any_field_order_and_unknown_tags(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_why why = {0};
  mc_fw_vehicle_data m;
  /* sample: value, unknown 99 (LEN), id, unknown 7 (I32), time; then event time, unknown tags, campaign */
  mc_buf in = unhex("2a18190000000000005940" "9a0602ffff" "1001" "3d01020304" "08b901"
                    "2080d095ffbc31" "4a020a00" "f83e01" "0a026331");
  CHECK_OK(mc_fw_read_vehicle_data(mc_buf_slice(&in), &arena, &m, &why));
  CHECK(m.sample_count == 1 && m.sample->signal_id == 1 && m.sample->relative_ms == -93 && m.sample->number == 100);
  CHECK(m.event_time_ms == T);
  CHECK_SLICE(m.campaign_sync_id, "c1");
  mc_buf_free(&in);

  /* multiplexor ranges: packed and one by one give the same */
  mc_fw_manifest a, b;
  mc_buf packed = unhex("120a" "ca3e07" "22050001ac0205");
  mc_buf apart = unhex("120c" "ca3e09" "2000200120ac022005");
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&packed), &arena, &a, &why));
  CHECK_OK(mc_fw_read_manifest(mc_buf_slice(&apart), &arena, &b, &why));
  CHECK(a.can->mux->range_count == 2 && b.can->mux->range_count == 2);
  CHECK(!memcmp(a.can->mux->range, b.can->mux->range, 16) && a.can->mux->range[2] == 300 && a.can->mux->range[3] == 5);
  mc_buf_free(&packed);
  mc_buf_free(&apart);
}

static void test_every_cut_of_a_vector_is_read_or_refused(void)
{
  static const char *const vectors[] = {checkin_two, manifest_2, schemes_condition, vehicle_data};
  for (int v = 0; v < 4; v++) {
    mc_buf in = unhex(vectors[v]);
    int refused = 0;
    for (size_t n = 0; n < in.len; n++) {
      MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 16);
      mc_why why = {0};
      uint8_t *exact = malloc(n ? n : 1); /* so that the sanitizer sees the end */
      CHECK(exact);
      memcpy(exact, in.data, n);
      mc_slice cut = {exact, n};
      union {
        mc_fw_checkin c;
        mc_fw_manifest m;
        mc_fw_schemes s;
        mc_fw_vehicle_data d;
      } u;
      mc_err err = v == 0   ? mc_fw_read_checkin(cut, &arena, &u.c, &why)
                   : v == 1 ? mc_fw_read_manifest(cut, &arena, &u.m, &why)
                   : v == 2 ? mc_fw_read_schemes(cut, &arena, &u.s, &why)
                            : mc_fw_read_vehicle_data(cut, &arena, &u.d, &why);
      free(exact);
      CHECK(err == MC_OK || err == MC_ERR_TRUNCATED);
      if (err) {
        refused++;
        CHECK_WHY(why, "byte");
      }
    }
    CHECK((size_t)refused > in.len / 2);
    mc_buf_free(&in);
  }
}

static void test_refuses_wrong_wire_types_and_ranges(void)
{
  static const struct {
    int message;
    const char *bytes, *why;
  } cases[] = {
      {0, "1203616263", "Checkin.time_ms, byte 0: expected a varint"},
      {0, "0801", "Checkin.sync_id"},
      {0, "0a02ff41", "not UTF-8"},
      {1, "1206088080808010", "CANSignal.signal_id, byte 2"},
      {1, "1206088080808020", "beyond 32 bits"},
      {1, "120908ffffffffffffffff7f", "DecoderManifest"},
      {1, "1205ca3e022001", "left over"},
      {1, "1207ca3e042202" "0080", "cut off"},
      {1, "120539000000" "00", "cut off"},
      {2, "0a0432021a" "0b", "cut off"},
      {2, "0a0732051a030a0108", "NodeOperator"},
      {3, "2a01ff", "captured_signals"},
      {3, "2801", "another wire type"},
      {3, "3001", "another wire type"},
      {3, "2a020d00", "captured_signals"},
      {3, "2a031a01" "41", "another wire type"},
      {3, "2a032201ff", "not UTF-8"},
      {3, "32031201ff", "UTF-8"},
      {3, "18ffffffff", "cut off"},
      {3, "188080808010", "beyond 32 bits"},
      {3, "0b", "broken"},
      {3, "00", "broken"},
      {3, "20ffffffffffffffffffff01", "broken"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 16);
    mc_why why = {0};
    mc_buf in = unhex(cases[i].bytes);
    mc_fw_checkin c;
    mc_fw_manifest m;
    mc_fw_schemes s;
    mc_fw_vehicle_data d;
    mc_slice b = mc_buf_slice(&in);
    mc_err err = cases[i].message == 0   ? mc_fw_read_checkin(b, &arena, &c, &why)
                 : cases[i].message == 1 ? mc_fw_read_manifest(b, &arena, &m, &why)
                 : cases[i].message == 2 ? mc_fw_read_schemes(b, &arena, &s, &why)
                                         : mc_fw_read_vehicle_data(b, &arena, &d, &why);
    mc_buf_free(&in);
    if (err != MC_ERR_MALFORMED && err != MC_ERR_TRUNCATED)
      TAP_FAIL("case %zu (%s): got %s", i, cases[i].bytes, mc_err_text(err));
    if (!strstr(why.text, cases[i].why))
      TAP_FAIL("case %zu (%s): \"%s\" does not hold \"%s\"", i, cases[i].bytes, why.text, cases[i].why);
  }
}

static mc_fw_node *chain(mc_arena *arena, int depth)
{
  mc_fw_node *leaf = mc_arena_alloc(arena, sizeof *leaf);
  leaf->kind = MC_FW_NODE_BOOL;
  for (int i = 1; i < depth; i++) {
    mc_fw_node *n = mc_arena_alloc(arena, sizeof *n);
    *n = (mc_fw_node){.kind = MC_FW_NODE_OPERATOR, .op = 8, .left = leaf};
    leaf = n;
  }
  return leaf;
}

static void test_expression_depth_is_limited_to_64(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_why why = {0};
  mc_fw_scheme scheme = {.condition_based = true, .condition = chain(&arena, 64)};
  mc_fw_schemes m = {.scheme = &scheme, .scheme_count = 1};
  mc_fw_schemes back;
  mc_buf out = {0};
  CHECK_OK(mc_fw_write_schemes(&out, &m));
  CHECK_OK(mc_fw_read_schemes(mc_buf_slice(&out), &arena, &back, &why));
  mc_buf_clear(&out);
  scheme.condition = chain(&arena, 65);
  CHECK_INT(mc_fw_write_schemes(&out, &m), MC_ERR_TOO_LARGE);
  mc_buf_clear(&out);

  /* 10,000 levels made by hand: a reader that recursed without a limit would die here */
  mc_buf deep = {0};
  for (int i = 0; i < 5000; i++) {
    mc_buf next = {0};
    size_t a, b;
    CHECK_OK(mc_proto_open(&next, 1, &a));
    CHECK_OK(mc_proto_open(&next, 1, &b));
    CHECK_OK(mc_buf_append_slice(&next, mc_buf_slice(&deep)));
    CHECK_OK(mc_proto_close(&next, b));
    CHECK_OK(mc_proto_close(&next, a));
    mc_buf_free(&deep);
    deep = next;
  }
  size_t s, c, n;
  CHECK_OK(mc_proto_open(&out, 1, &s));
  CHECK_OK(mc_proto_open(&out, 6, &c));
  CHECK_OK(mc_proto_open(&out, 3, &n));
  CHECK_OK(mc_buf_append_slice(&out, mc_buf_slice(&deep)));
  CHECK_OK(mc_proto_close(&out, n));
  CHECK_OK(mc_proto_close(&out, c));
  CHECK_OK(mc_proto_close(&out, s));
  CHECK_INT(mc_fw_read_schemes(mc_buf_slice(&out), &arena, &back, &why), MC_ERR_TOO_LARGE);
  CHECK_WHY(why, "deeper than 64");
  mc_buf_free(&deep);
  mc_buf_free(&out);
}

static void test_arena_limit_bounds_a_hostile_message(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(4096);
  mc_why why = {0};
  mc_buf in = {0};
  for (int i = 0; i < 1000; i++)
    CHECK_OK(mc_buf_append(&in, "\x2a\x00", 2));
  mc_fw_vehicle_data m;
  CHECK_INT(mc_fw_read_vehicle_data(mc_buf_slice(&in), &arena, &m, &why), MC_ERR_MEMORY);
  CHECK_WHY(why, "memory");
  CHECK(m.sample_count == 0);
  mc_buf_free(&in);
}

static void test_writers_refuse_text_that_is_not_utf8(void)
{
  mc_slice bad = MC_LIT("\xff");
  mc_buf out = {0};
  mc_fw_sample s = {.signal_id = 1, .is_string = true, .text = bad};
  CHECK_INT(mc_fw_write_vehicle_data(&out, &(mc_fw_vehicle_data){.sample = &s, .sample_count = 1}), MC_ERR_INVALID);
  CHECK_INT(mc_fw_write_vehicle_data(&out, &(mc_fw_vehicle_data){.campaign_sync_id = bad}), MC_ERR_INVALID);
  CHECK_INT(mc_fw_write_vehicle_data(&out, &(mc_fw_vehicle_data){.dtc = &bad, .dtc_count = 1}), MC_ERR_INVALID);
  CHECK_INT(mc_fw_write_checkin(&out, &(mc_fw_checkin){.sync_id = &bad, .sync_id_count = 1}), MC_ERR_INVALID);
  CHECK_INT(mc_fw_write_manifest(&out, &(mc_fw_manifest){.sync_id = bad}), MC_ERR_INVALID);
  mc_buf_free(&out);
}

int main(int argc, char **argv)
{
  RUN(test_checkin_vectors_both_ways);
  RUN(test_manifest_vectors_both_ways);
  RUN(test_scheme_vectors_both_ways);
  RUN(test_vehicle_data_vectors_both_ways);
  RUN(test_writes_and_reads_back_every_field);
  RUN(test_condition_tree_survives_both_ways);
  RUN(test_vehicle_data_keeps_strings_micros_and_dtcs);
  RUN(test_accepts_any_field_order_and_unknown_tags);
  RUN(test_every_cut_of_a_vector_is_read_or_refused);
  RUN(test_refuses_wrong_wire_types_and_ranges);
  RUN(test_expression_depth_is_limited_to_64);
  RUN(test_arena_limit_bounds_a_hostile_message);
  RUN(test_writers_refuse_text_that_is_not_utf8);
  return tap_done();
}
