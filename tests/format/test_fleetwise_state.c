/* FleetWise's last known state and commands: the contract's wire vectors (15.1) both ways, every native type at its ends, and what is refused. */
#include "fleetwise_rig.h"
#include "format/fleetwise_state.h"

static const char templates_vector[] = "1203646d312a0d0a027331220308e8072a0201023801";
static const char data_vector[] = "1080d095ffbc3132170a027331120b0801110000000000005940120408023009";
static const char activate_vector[] = "8201026531880188279a01080a060a0273311200a00180d095ffbc31";
static const char actuator_vector[] = "82010265328801882792010908631203646d314809a00180d095ffbc31";
static const char response_vector[] = "0804120265321803";

static void test_state_template_vector_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_state_templates m;
  mc_why why;
  mc_buf in = unhex(templates_vector);
  CHECK_OK(mc_fw_read_state_templates(mc_buf_slice(&in), &arena, &m, &why));
  CHECK_SLICE(m.manifest_sync_id, "dm1");
  CHECK_INT(m.version, 1);
  CHECK_INT(m.add_count, 1);
  CHECK_INT(m.remove_count, 0);
  CHECK_SLICE(m.add->sync_id, "s1");
  CHECK(m.add->periodic && m.add->period_ms == 1000);
  CHECK_INT(m.add->signal_count, 2);
  CHECK(m.add->signal[0] == 1 && m.add->signal[1] == 2);
  WRITES(mc_fw_write_state_templates(out, &m), templates_vector);
  mc_buf_free(&in);
}

static void test_state_data_vector_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_state_data m;
  mc_why why;
  mc_buf in = unhex(data_vector);
  CHECK_OK(mc_fw_read_state_data(mc_buf_slice(&in), &arena, &m, &why));
  CHECK(m.time_ms == T);
  CHECK_INT(m.state_count, 1);
  CHECK_SLICE(m.state->sync_id, "s1");
  CHECK_INT(m.state->sample_count, 2);
  const mc_fw_state_sample *s = m.state->sample;
  CHECK(s[0].signal_id == 1 && s[0].value.type == MC_FW_TYPE_FLOAT64 && s[0].value.d == 100.0);
  CHECK(s[1].signal_id == 2 && s[1].value.type == MC_FW_TYPE_INT16 && s[1].value.i == -5);
  WRITES(mc_fw_write_state_data(out, &m), data_vector);
  mc_buf_free(&in);
}

static void test_command_vectors_both_ways(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_fw_command_request m;
  mc_fw_command_response r;
  mc_why why;
  mc_buf in = unhex(activate_vector);
  CHECK_OK(mc_fw_read_command_request(mc_buf_slice(&in), &arena, &m, &why));
  CHECK_SLICE(m.command_id, "e1");
  CHECK(m.timeout_ms == 5000 && m.issued_ms == T);
  CHECK_INT(m.kind, MC_FW_COMMAND_STATE);
  CHECK_INT(m.order_count, 1);
  CHECK_SLICE(m.order->sync_id, "s1");
  CHECK(m.order->action == MC_FW_STATE_ACTIVATE && m.order->deactivate_after_seconds == 0);
  WRITES(mc_fw_write_command_request(out, &m), activate_vector);
  mc_buf_free(&in);

  in = unhex(actuator_vector);
  CHECK_OK(mc_fw_read_command_request(mc_buf_slice(&in), &arena, &m, &why));
  CHECK_INT(m.kind, MC_FW_COMMAND_ACTUATOR);
  CHECK_INT(m.signal_id, 99);
  CHECK_SLICE(m.manifest_sync_id, "dm1");
  CHECK(m.value.type == MC_FW_TYPE_INT32 && m.value.i == -5);
  WRITES(mc_fw_write_command_request(out, &m), actuator_vector);
  mc_buf_free(&in);

  in = unhex(response_vector);
  CHECK_OK(mc_fw_read_command_response(mc_buf_slice(&in), &arena, &r, &why));
  CHECK(r.status == MC_FW_COMMAND_FAILED && r.reason == 3 && r.text.len == 0);
  CHECK_SLICE(r.command_id, "e2");
  WRITES(mc_fw_write_command_response(out, &r), response_vector);
  mc_buf_free(&in);
}

static const mc_fw_value ends[] = {
    {.type = MC_FW_TYPE_FLOAT64, .d = -0.0},
    {.type = MC_FW_TYPE_BOOL, .u = 0},
    {.type = MC_FW_TYPE_BOOL, .u = 1},
    {.type = MC_FW_TYPE_INT8, .i = INT8_MIN},
    {.type = MC_FW_TYPE_INT8, .i = INT8_MAX},
    {.type = MC_FW_TYPE_UINT8, .u = UINT8_MAX},
    {.type = MC_FW_TYPE_INT16, .i = INT16_MIN},
    {.type = MC_FW_TYPE_UINT16, .u = UINT16_MAX},
    {.type = MC_FW_TYPE_INT32, .i = INT32_MIN},
    {.type = MC_FW_TYPE_UINT32, .u = UINT32_MAX},
    {.type = MC_FW_TYPE_INT64, .i = INT64_MIN},
    {.type = MC_FW_TYPE_UINT64, .u = UINT64_MAX},
    {.type = MC_FW_TYPE_UINT64, .u = 0},
    {.type = MC_FW_TYPE_FLOAT32, .f = 3.25F},
    {.type = MC_FW_TYPE_STRING, .text = {(const uint8_t *)"", 0}},
    {.type = MC_FW_TYPE_STRING, .text = {(const uint8_t *)"open", 4}},
    {.type = MC_FW_TYPE_NULL},
};
enum { ENDS = sizeof ends / sizeof ends[0] };

static bool same_value(const mc_fw_value *a, const mc_fw_value *b)
{
  return a->type == b->type && (a->type == MC_FW_TYPE_STRING ? mc_slice_eq(a->text, b->text) : a->u == b->u);
}

static void test_every_native_type_survives(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_why why = {0};
  mc_fw_state_sample sample[ENDS];
  mc_fw_named_value named[ENDS];
  for (int i = 0; i < ENDS; i++) {
    sample[i] = (mc_fw_state_sample){(uint32_t)i + 1, ends[i]};
    named[i] = (mc_fw_named_value){MC_LIT("Vehicle.Speed"), ends[i]};
  }
  mc_fw_state_of_template state = {MC_LIT("s1-0123456789abcdef"), sample, ENDS};
  mc_fw_state_data data = {T, &state, 1}, data_back;
  mc_buf out = {0};
  CHECK_OK(mc_fw_write_state_data(&out, &data));
  CHECK_OK(mc_fw_read_state_data(mc_buf_slice(&out), &arena, &data_back, &why));
  CHECK_INT(data_back.state->sample_count, ENDS);
  for (int i = 0; i < ENDS; i++)
    CHECK(data_back.state->sample[i].signal_id == (uint32_t)i + 1 && same_value(&data_back.state->sample[i].value, &ends[i]));

  mc_fw_dimension dimension[2] = {{MC_LIT("vin"), MC_LIT("WVW1")}, {MC_LIT("fleet"), MC_LIT("")}};
  mc_fw_last_known_state known = {T, named, ENDS, dimension, 2}, known_back;
  mc_buf_clear(&out);
  CHECK_OK(mc_fw_write_last_known_state(&out, &known));
  CHECK_OK(mc_fw_read_last_known_state(mc_buf_slice(&out), &arena, &known_back, &why));
  CHECK(known_back.time_ms == T && known_back.signal_count == ENDS && known_back.dimension_count == 2);
  for (int i = 0; i < ENDS; i++)
    CHECK(same_value(&known_back.signal[i].value, &ends[i]) && mc_slice_eq_str(known_back.signal[i].name, "Vehicle.Speed"));
  CHECK_SLICE(known_back.dimension[0].value, "WVW1");

  for (int i = 0; i < ENDS; i++) {
    mc_fw_command_request request = {.command_id = MC_LIT("e"), .kind = MC_FW_COMMAND_ACTUATOR, .signal_id = 7, .value = ends[i]}, back;
    mc_buf_clear(&out);
    CHECK_OK(mc_fw_write_command_request(&out, &request));
    CHECK_OK(mc_fw_read_command_request(mc_buf_slice(&out), &arena, &back, &why));
    CHECK(back.kind == MC_FW_COMMAND_ACTUATOR && same_value(&back.value, &ends[i]));
  }
  mc_buf_free(&out);
}

static void test_orders_and_template_deltas_survive(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_why why = {0};
  mc_fw_state_order order[4] = {{MC_LIT("a"), MC_FW_STATE_ACTIVATE, 3600}, {MC_LIT("b"), MC_FW_STATE_DEACTIVATE, 0}, {MC_LIT("c"), MC_FW_STATE_FETCH, 0}, {MC_LIT("d"), MC_FW_STATE_NONE, 0}};
  mc_fw_command_request request = {.command_id = MC_LIT("e3"), .kind = MC_FW_COMMAND_STATE, .order = order, .order_count = 4}, back;
  mc_buf out = {0};
  CHECK_OK(mc_fw_write_command_request(&out, &request));
  CHECK_OK(mc_fw_read_command_request(mc_buf_slice(&out), &arena, &back, &why));
  CHECK_INT(back.order_count, 4);
  for (int i = 0; i < 4; i++)
    CHECK(mc_slice_eq(back.order[i].sync_id, order[i].sync_id) && back.order[i].action == order[i].action &&
          back.order[i].deactivate_after_seconds == order[i].deactivate_after_seconds);

  uint32_t ids[3] = {1, 300, UINT32_MAX};
  mc_fw_state_template add[2] = {{MC_LIT("on-change"), false, 0, ids, 3}, {MC_LIT("hourly"), true, 3600000, NULL, 0}};
  mc_slice gone[2] = {MC_LIT("x"), MC_LIT("y")};
  mc_fw_state_templates templates = {MC_LIT("dm"), add, 2, gone, 2, UINT64_MAX}, templates_back;
  mc_buf_clear(&out);
  CHECK_OK(mc_fw_write_state_templates(&out, &templates));
  CHECK_OK(mc_fw_read_state_templates(mc_buf_slice(&out), &arena, &templates_back, &why));
  CHECK(templates_back.add_count == 2 && templates_back.remove_count == 2 && templates_back.version == UINT64_MAX);
  CHECK(!templates_back.add[0].periodic && templates_back.add[0].signal_count == 3 && templates_back.add[0].signal[2] == UINT32_MAX);
  CHECK(templates_back.add[1].periodic && templates_back.add[1].period_ms == 3600000);
  CHECK_SLICE(templates_back.remove[1], "y");
  mc_buf_free(&out);
}

static void test_of_a_oneof_the_last_one_counts(void)
{
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 20);
  mc_why why = {0};
  mc_fw_state_data m;
  /* signal 1: double 100, then string "ab", then int16 -5 */
  mc_buf in = unhex("3213" "1211" "0801" "110000000000005940" "6a026162" "3009");
  CHECK_OK(mc_fw_read_state_data(mc_buf_slice(&in), &arena, &m, &why));
  CHECK(m.state->sample->value.type == MC_FW_TYPE_INT16 && m.state->sample->value.i == -5);
  mc_buf_free(&in);
  /* an actuator, then a state command: the second counts, and only that is written again */
  in = unhex("920102" "0863" "9a0108" "0a060a0273311200");
  mc_fw_command_request r;
  CHECK_OK(mc_fw_read_command_request(mc_buf_slice(&in), &arena, &r, &why));
  CHECK_INT(r.kind, MC_FW_COMMAND_STATE);
  WRITES(mc_fw_write_command_request(out, &r), "9a01080a060a0273311200");
  mc_buf_free(&in);
}

static void test_refuses_what_does_not_fit(void)
{
  static const struct {
    int message; /* 0 templates, 1 data, 2 known state, 3 request, 4 response */
    const char *bytes, *why;
  } cases[] = {
      {0, "2a04 2a02 0180", "packed numbers are cut off"},
      {0, "2a06 2a04 ffffffff", "packed numbers are cut off"},
      {0, "2a07 2a05 ffffffff1f", "beyond 32 bits"},
      {0, "2a05 1a03 616263", "byte"},                            /* on_change is a message with broken insides */
      {0, "38 8080808080808080808001", "byte 0"},                 /* version of 11 bytes */
      {1, "3206 1204 0801 2080", "CapturedSignal"},               /* cut varint */
      {1, "3207 1205 0801 20ff03", "beyond its type"},            /* int8 of 511 */
      {1, "3207 1205 0801 288002", "beyond its type"},            /* uint8 of 256 */
      {1, "3208 1206 0801 30808008", "beyond its type"},          /* int16 */
      {1, "3208 1206 0801 38808004", "beyond its type"},          /* uint16 */
      {1, "320a 1208 0801 408080808010", "beyond its type"},      /* int32 */
      {1, "320a 1208 0801 488080808010", "beyond its type"},      /* uint32 */
      {1, "3206 1204 0801 1001", "expected 64 bits"},             /* double as a varint */
      {1, "3206 1204 0801 6001", "expected 32 bits"},             /* float as a varint */
      {1, "3208 1206 0801 6a02ffff", "not UTF-8"},
      {1, "3000", "expected a length"},
      {2, "1a05 0a03 61ff62", "not UTF-8"},
      {3, "820101ff", "not UTF-8"},
      {3, "92010208", "cut off"},
      {4, "1202 ff41", "not UTF-8"},
      {4, "0a00", "expected a varint"},
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
    mc_fw_state_templates t;
    mc_fw_state_data d;
    mc_fw_last_known_state k;
    mc_fw_command_request q;
    mc_fw_command_response r;
    mc_err err = cases[i].message == 0   ? mc_fw_read_state_templates(b, &arena, &t, &why)
                 : cases[i].message == 1 ? mc_fw_read_state_data(b, &arena, &d, &why)
                 : cases[i].message == 2 ? mc_fw_read_last_known_state(b, &arena, &k, &why)
                 : cases[i].message == 3 ? mc_fw_read_command_request(b, &arena, &q, &why)
                                         : mc_fw_read_command_response(b, &arena, &r, &why);
    mc_buf_free(&in);
    if (err != MC_ERR_MALFORMED && err != MC_ERR_TRUNCATED)
      TAP_FAIL("case %zu (%s): got %s", i, cases[i].bytes, mc_err_text(err));
    if (!strstr(why.text, cases[i].why))
      TAP_FAIL("case %zu (%s): \"%s\" does not hold \"%s\"", i, cases[i].bytes, why.text, cases[i].why);
  }
}

static void test_writers_refuse_what_readers_would(void)
{
  static const mc_fw_value beyond[] = {{.type = MC_FW_TYPE_INT8, .i = 128},      {.type = MC_FW_TYPE_INT8, .i = -129},  {.type = MC_FW_TYPE_UINT8, .u = 256},
                                       {.type = MC_FW_TYPE_INT16, .i = 32768},   {.type = MC_FW_TYPE_UINT16, .u = 65536}, {.type = MC_FW_TYPE_INT32, .i = INT64_C(1) << 31},
                                       {.type = MC_FW_TYPE_UINT32, .u = UINT64_C(1) << 32}};
  mc_buf out = {0};
  for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
    mc_fw_state_sample s = {1, beyond[i]};
    mc_fw_state_of_template t = {MC_LIT("s"), &s, 1};
    CHECK(!mc_fw_value_fits(&beyond[i]));
    CHECK_INT(mc_fw_write_state_data(&out, &(mc_fw_state_data){1, &t, 1}), MC_ERR_INVALID);
    mc_buf_clear(&out);
  }
  mc_slice bad = MC_LIT("\xff");
  CHECK_INT(mc_fw_write_command_response(&out, &(mc_fw_command_response){.text = bad}), MC_ERR_INVALID);
  CHECK_INT(mc_fw_write_state_templates(&out, &(mc_fw_state_templates){.remove = &bad, .remove_count = 1}), MC_ERR_INVALID);
  mc_buf_free(&out);
}

static void test_every_cut_is_read_or_refused(void)
{
  static const char *const vectors[] = {templates_vector, data_vector, activate_vector, actuator_vector, response_vector};
  for (int v = 0; v < 5; v++) {
    mc_buf in = unhex(vectors[v]);
    int refused = 0;
    for (size_t n = 0; n < in.len; n++) {
      MC_ARENA_AUTO mc_arena arena = MC_ARENA(1 << 16);
      mc_why why = {0};
      uint8_t *exact = malloc(n ? n : 1); /* so that the sanitizer sees the end */
      CHECK(exact);
      memcpy(exact, in.data, n);
      mc_slice cut = {exact, n};
      mc_fw_state_templates t;
      mc_fw_state_data d;
      mc_fw_command_request q;
      mc_fw_command_response r;
      mc_err err = v == 0   ? mc_fw_read_state_templates(cut, &arena, &t, &why)
                   : v == 1 ? mc_fw_read_state_data(cut, &arena, &d, &why)
                   : v <= 3 ? mc_fw_read_command_request(cut, &arena, &q, &why)
                            : mc_fw_read_command_response(cut, &arena, &r, &why);
      free(exact);
      CHECK(err == MC_OK || err == MC_ERR_TRUNCATED);
      refused += err != MC_OK;
    }
    CHECK(refused > 0);
    mc_buf_free(&in);
  }
}

static void test_every_reason_of_the_contract_has_a_text(void)
{
  for (uint32_t i = 0; i <= 19; i++)
    CHECK(mc_fw_reason_text(i) && mc_fw_reason_text(i)[0]);
  CHECK(!mc_fw_reason_text(20) && !mc_fw_reason_text(0x10000) && !mc_fw_reason_text(UINT32_MAX));
}

int main(int argc, char **argv)
{
  RUN(test_state_template_vector_both_ways);
  RUN(test_state_data_vector_both_ways);
  RUN(test_command_vectors_both_ways);
  RUN(test_every_native_type_survives);
  RUN(test_orders_and_template_deltas_survive);
  RUN(test_of_a_oneof_the_last_one_counts);
  RUN(test_refuses_what_does_not_fit);
  RUN(test_writers_refuse_what_readers_would);
  RUN(test_every_cut_is_read_or_refused);
  RUN(test_every_reason_of_the_contract_has_a_text);
  return tap_done();
}
