#include "documents.h"

static caught out;

static mc_inspector *inspector_with(const char *manifest)
{
  mc_buf_free(&out.last);
  out = (caught){0};
  mc_inspector *i = NULL;
  mc_inspector_config config = {.channel_of = channel_can0, .collected = catch_event, .ctx = &out};
  if (mc_inspector_create(&config, &i, NULL))
    return NULL;
  mc_inspector_tick(i, t0_us);
  if (manifest) {
    mc_buf m = make_manifest(manifest);
    if (mc_inspector_set_manifest(i, mc_buf_slice(&m), NULL))
      mc_inspector_destroy(&i);
    mc_buf_free(&m);
  }
  return i;
}

static mc_err set_schemes(mc_inspector *i, const mc_fw_scheme *s, uint32_t count, int64_t wall_us)
{
  mc_buf b = make_schemes(s, count);
  mc_err err = mc_inspector_set_schemes(i, mc_buf_slice(&b), wall_us, NULL);
  mc_buf_free(&b);
  return err;
}

static void push(mc_inspector *i, uint32_t signal, int value, int64_t after_ms)
{
  mc_can_frame f = make_frame(signal, value, t0_us + after_ms * 1000);
  mc_inspector_frame(i, &f);
}

static void clear(void)
{
  out.events = 0;
  out.count = out.samples = 0;
}

/* signal op number */
static mc_fw_node number_node, signal_node, root_node;
static mc_fw_node *compare(uint32_t signal, uint32_t op, double number)
{
  signal_node = (mc_fw_node){.kind = MC_FW_NODE_SIGNAL, .signal_id = signal};
  number_node = (mc_fw_node){.kind = MC_FW_NODE_DOUBLE, .number = number};
  root_node = (mc_fw_node){.kind = MC_FW_NODE_OPERATOR, .op = op, .left = &signal_node, .right = &number_node};
  return &root_node;
}
static mc_fw_scheme conditional(const char *id, mc_fw_node *condition, uint32_t interval_ms, const mc_fw_signal_info *info, uint32_t count)
{
  mc_fw_scheme s = make_scheme(id, "dm1");
  s.condition_based = true;
  s.condition = condition;
  s.minimum_interval_ms = interval_ms;
  s.signal = info;
  s.signal_count = count;
  return s;
}

static const mc_fw_signal_info one[] = {{.signal_id = 1, .sample_buffer_size = 10}};

static void test_time_based_scheme_sends_newest_first_and_each_once(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_scheme s = make_scheme("c1", "dm1");
  mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 3}, {.signal_id = 2, .sample_buffer_size = 10}};
  s.period_ms = 1000;
  s.signal = info;
  s.signal_count = 2;
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  for (int n = 0; n < 5; n++)
    push(i, 1, 10 + n, 100 * n + 100);
  mc_can_frame f = make_frame(2, -7, t0_us + 600123); /* microseconds survive */
  CHECK_INT(mc_inspector_frame(i, &f), 1);
  CHECK_INT(out.events, 0);
  mc_inspector_tick(i, t0_us + 1000000);
  CHECK_INT(out.events, 1);
  CHECK_INT(out.count, 4);
  CHECK_DOUBLE(out.value[0], 14, 0);
  CHECK_DOUBLE(out.value[2], 12, 0);
  CHECK_DOUBLE(out.value[3], -7, 0);
  CHECK_INT(out.time_us[0], t0_us + 500000);
  CHECK_INT(out.time_us[3], t0_us + 600123);
  CHECK_INT(out.event_time_us, t0_us + 1000000);
  CHECK_STR(out.campaign, "c1");
  clear();
  mc_inspector_tick(i, t0_us + 2000000); /* nothing new: nothing sent */
  CHECK_INT(out.events, 0);
  push(i, 1, 20, 2100);
  mc_inspector_tick(i, t0_us + 3000000);
  CHECK_INT(out.count, 1);
  mc_inspector_destroy(&i);
}

static void test_condition_over_int16_fires(void)
{
  static const struct {
    uint32_t op;
    double number;
    int fires;
  } cases[] = {{MC_OP_GT, 50, 1}, {MC_OP_GT, -30000, 1}, {MC_OP_LT, 30000, 1}, {MC_OP_EQ, 100, 1}, {MC_OP_NE, 100, 0}, {MC_OP_LE, 99, 0}, {MC_OP_GE, 100, 1}};
  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    mc_inspector *i = inspector_with("dm1");
    mc_fw_scheme s = conditional("c1", compare(1, cases[k].op, cases[k].number), 1000, one, 1);
    CHECK_OK(set_schemes(i, &s, 1, t0_us));
    push(i, 1, 100, 1100);
    if (out.events != cases[k].fires)
      TAP_FAIL("case %zu: %d events, want %d", k, out.events, cases[k].fires);
    mc_inspector_destroy(&i);
  }
}

static void test_constant_true_condition_fires_again_each_interval(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_scheme s = conditional("c1", compare(1, MC_OP_GT, 50), 1000, one, 1);
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  for (int ms = 100; ms <= 10000; ms += 100)
    push(i, 1, 100, ms);
  CHECK_INT(out.events, 10); /* nothing before one interval has passed */
  mc_inspector_destroy(&i);
}

static void test_unseen_signal_never_fires(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 10}, {.signal_id = 3, .sample_buffer_size = 1, .condition_only = true}};
  mc_fw_scheme s = conditional("c1", compare(3, MC_OP_LT, 1e9), 0, info, 2);
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  for (int n = 1; n < 50; n++)
    push(i, 1, n, n * 100);
  CHECK_INT(out.events, 0);
  push(i, 3, 5, 6000);
  CHECK_INT(out.events, 1);
  CHECK_INT(out.signal[0], 1); /* the condition-only signal is not sent */
  CHECK_INT(out.count, 10);
  mc_inspector_destroy(&i);
}

static void test_not_undefined_is_false(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_node *inner = compare(3, MC_OP_LT, 1e9);
  mc_fw_node not = {.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_NOT, .left = inner};
  mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 10}, {.signal_id = 3, .sample_buffer_size = 1, .condition_only = true}};
  mc_fw_scheme s = conditional("c1", &not, 0, info, 2);
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  push(i, 1, 1, 100);
  mc_inspector_tick(i, t0_us + 5000000);
  CHECK_INT(out.events, 0);
  mc_inspector_destroy(&i);
}

static void test_rising_edge_needs_a_false_first(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_scheme s = conditional("c1", compare(1, MC_OP_GT, 50), 0, one, 1);
  s.trigger_mode = 1;
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  for (int n = 1; n < 10; n++)
    push(i, 1, 100 + n, n * 100);
  CHECK_INT(out.events, 0);
  push(i, 1, 10, 1000);
  push(i, 1, 60, 1100);
  CHECK_INT(out.events, 1);
  push(i, 1, 61, 1200);
  CHECK_INT(out.events, 1);
  push(i, 1, 10, 1300);
  push(i, 1, 61, 1400);
  CHECK_INT(out.events, 2);
  mc_inspector_destroy(&i);
}

static void test_after_duration_collects_later(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_scheme s = conditional("c1", compare(1, MC_OP_GT, 50), 0, one, 1);
  s.after_duration_ms = 500;
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  push(i, 1, 10, 100);
  push(i, 1, 60, 200);
  push(i, 1, 10, 400);
  CHECK_INT(out.events, 0);
  int64_t next = mc_inspector_tick(i, t0_us + 500000);
  CHECK_INT(next, t0_us + 700000);
  mc_inspector_tick(i, next);
  CHECK_INT(out.events, 1);
  CHECK_INT(out.count, 3);
  CHECK_INT(out.event_time_us, t0_us + 200000);
  CHECK_INT(out.time_us[0], t0_us + 400000); /* after the trigger */
  mc_inspector_destroy(&i);
}

static void test_minimum_sample_period_thins(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_scheme s = make_scheme("c1", "dm1");
  mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 100, .minimum_sample_period_ms = 100}};
  s.period_ms = 1000;
  s.signal = info;
  s.signal_count = 1;
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  for (int ms = 10; ms < 1000; ms += 10)
    push(i, 1, ms, ms);
  mc_inspector_tick(i, t0_us + 1000000);
  CHECK_INT(out.count, 10);
  mc_inspector_destroy(&i);
}

static mc_fw_node window_node;
static mc_fw_node *compare_window(uint32_t signal, uint32_t which, uint32_t op, double number)
{
  window_node = (mc_fw_node){.kind = MC_FW_NODE_FUNCTION, .function = MC_FW_FN_WINDOW, .window = which, .signal_id = signal};
  number_node = (mc_fw_node){.kind = MC_FW_NODE_DOUBLE, .number = number};
  root_node = (mc_fw_node){.kind = MC_FW_NODE_OPERATOR, .op = op, .left = &window_node, .right = &number_node};
  return &root_node;
}

static void test_window_only_condition_fires_with_exact_values(void)
{
  static const struct {
    uint32_t which;
    double value;
  } cases[] = {{MC_LAST_MAX, -3}, {MC_LAST_MIN, -10}, {MC_LAST_AVG, -5.5}};
  for (size_t k = 0; k < 3; k++) { /* samples -10, -3, -4, -5: negative maxima and fractions of averages are exact */
    mc_inspector *i = inspector_with("dm1");
    mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 10, .fixed_window_period_ms = 1000}};
    mc_fw_scheme s = conditional("c1", compare_window(1, cases[k].which, MC_OP_EQ, cases[k].value), 0, info, 1);
    CHECK_OK(set_schemes(i, &s, 1, t0_us));
    int v[] = {-10, -3, -4, -5};
    for (int n = 0; n < 4; n++)
      push(i, 1, v[n], 100 + 100 * n);
    CHECK_INT(out.events, 0); /* the window is still open */
    mc_inspector_tick(i, t0_us + 1100000);
    if (out.events != 1)
      TAP_FAIL("window %u: %d events", cases[k].which, out.events);
    mc_inspector_destroy(&i);
  }
}

static void test_previous_window_and_empty_window(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 10, .fixed_window_period_ms = 1000}};
  mc_fw_scheme s = conditional("c1", compare_window(1, MC_PREV_LAST_MAX, MC_OP_EQ, 5), 0, info, 1);
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  push(i, 1, 5, 0);
  push(i, 1, 7, 1500);
  mc_inspector_tick(i, t0_us + 1600000);
  CHECK_INT(out.events, 0); /* 5 is in the last window, not the one before */
  mc_inspector_tick(i, t0_us + 2000000);
  CHECK_INT(out.events, 1);
  clear();
  mc_inspector_tick(i, t0_us + 9000000); /* long silence: all windows empty, undefined */
  mc_inspector_tick(i, t0_us + 9900000);
  CHECK_INT(out.events, 0);
  mc_inspector_destroy(&i);
}

static void test_is_null_and_custom_function(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_node sig = {.kind = MC_FW_NODE_SIGNAL, .signal_id = 1};
  mc_fw_node is_null = {.kind = MC_FW_NODE_FUNCTION, .function = MC_FW_FN_IS_NULL, .left = &sig};
  mc_fw_node not = {.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_NOT, .left = &is_null};
  mc_fw_scheme s = conditional("c1", &not, 0, one, 1);
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  mc_inspector_tick(i, t0_us + 300000);
  CHECK_INT(out.events, 0);
  push(i, 1, 5, 400); /* the same value counts: it is new */
  push(i, 1, 5, 500);
  CHECK_INT(out.events, 2);
  mc_inspector_tick(i, t0_us + 900000);
  CHECK_INT(out.events, 2);
  mc_inspector_destroy(&i);

  i = inspector_with("dm1");
  mc_fw_node *param[] = {&sig};
  mc_fw_node call = {.kind = MC_FW_NODE_FUNCTION, .function = MC_FW_FN_CUSTOM, .text = MC_LIT("abs"), .param = param, .param_count = 1};
  mc_fw_node limit = {.kind = MC_FW_NODE_DOUBLE, .number = 10};
  mc_fw_node above = {.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_GT, .left = &call, .right = &limit};
  s = conditional("c2", &above, 0, one, 1);
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  push(i, 1, -5, 100);
  CHECK_INT(out.events, 0);
  push(i, 1, -50, 200);
  CHECK_INT(out.events, 1);
  mc_inspector_destroy(&i);
}

static bool holds(const mc_slice *list, size_t count, const char *text)
{
  for (size_t k = 0; k < count; k++)
    if (strstr((const char *)list[k].data, text) == (const char *)list[k].data)
      return true;
  return false;
}

static void test_one_bad_scheme_is_refused_alone_with_its_reason(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_signal_info zero[] = {{.signal_id = 1, .sample_buffer_size = 0}}, nil[] = {{.signal_id = 0, .sample_buffer_size = 1}};
  mc_fw_scheme s[6];
  for (int k = 0; k < 6; k++) {
    s[k] = make_scheme("", "dm1");
    s[k].period_ms = 1000;
    s[k].signal = one;
    s[k].signal_count = 1;
  }
  const char *ids[] = {"good1", "bad-buffer", "bad-id", "bad-expiry", "bad-period", "good2"};
  for (int k = 0; k < 6; k++)
    s[k].campaign_sync_id = mc_slice_str(ids[k]);
  s[1].signal = zero;
  s[2].signal = nil;
  s[3].expiry_ms = 500;
  s[4].period_ms = 0;
  CHECK_OK(set_schemes(i, s, 6, t0_us));
  const mc_slice *list;
  CHECK_INT(mc_inspector_sync_ids(i, &list), 3); /* good1, good2, dm1 */
  CHECK(mc_slice_eq_str(list[0], "good1") && mc_slice_eq_str(list[1], "good2") && mc_slice_eq_str(list[2], "dm1"));
  size_t n = mc_inspector_errors(i, &list);
  CHECK_INT(n, 4);
  CHECK(holds(list, n, "bad-buffer: signal 1: sample_buffer_size is 0"));
  CHECK(holds(list, n, "bad-expiry: expiry_time"));
  push(i, 1, 1, 100);
  mc_inspector_tick(i, t0_us + 1000000);
  CHECK_INT(out.events, 2);
  mc_inspector_destroy(&i);
}

static void test_unchanged_campaign_keeps_its_buffers_and_edge(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_scheme s[2] = {conditional("edge", compare(1, MC_OP_GT, 50), 0, one, 1), make_scheme("other", "dm1")};
  s[0].trigger_mode = 1;
  s[1].period_ms = 60000;
  s[1].signal = one;
  s[1].signal_count = 1;
  CHECK_OK(set_schemes(i, s, 1, t0_us));
  push(i, 1, 10, 100); /* armed, and in the buffer */
  CHECK_OK(set_schemes(i, s, 2, t0_us + 200000)); /* another campaign comes */
  mc_buf m2 = make_manifest("dm2");
  CHECK_OK(mc_inspector_set_manifest(i, mc_buf_slice(&m2), NULL)); /* and another manifest */
  mc_buf_free(&m2);
  push(i, 1, 60, 300);
  CHECK_INT(out.events, 1);
  CHECK_INT(out.count, 2);
  mc_inspector_destroy(&i);
}

static void test_manifests_live_side_by_side(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_buf m2 = make_manifest("dm2");
  mc_fw_scheme s[3] = {make_scheme("a", "dm1"), make_scheme("b", "dm2"), make_scheme("c", "dm3")};
  for (int k = 0; k < 3; k++) {
    s[k].period_ms = 1000;
    s[k].signal = one;
    s[k].signal_count = 1;
  }
  CHECK_OK(set_schemes(i, s, 3, t0_us));
  CHECK_OK(mc_inspector_set_manifest(i, mc_buf_slice(&m2), NULL));
  mc_buf_free(&m2);
  push(i, 1, 5, 100);
  mc_inspector_tick(i, t0_us + 1100000);
  CHECK_INT(out.events, 2); /* a and b; c waits for its manifest */
  const mc_slice *ids;
  CHECK_INT(mc_inspector_sync_ids(i, &ids), 5); /* idle ones are listed too */
  CHECK_OK(set_schemes(i, s + 1, 1, t0_us + 2000000)); /* dm1 is named by nobody now and not the newest */
  CHECK_INT(mc_inspector_sync_ids(i, &ids), 2);
  CHECK(mc_slice_eq_str(ids[0], "b") && mc_slice_eq_str(ids[1], "dm2"));
  mc_inspector_destroy(&i);
}

static void test_start_and_expiry_follow_the_wall_clock(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.start_ms = 1700000005000ULL;
  s.expiry_ms = 1700000010000ULL;
  s.period_ms = 1000;
  s.signal = one;
  s.signal_count = 1;
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  const mc_slice *ids;
  CHECK_INT(mc_inspector_sync_ids(i, &ids), 2); /* not started, yet listed */
  push(i, 1, 1, 1000);
  mc_inspector_tick(i, t0_us + 4000000);
  CHECK_INT(out.events, 0);
  mc_inspector_tick(i, t0_us + 5000000);
  push(i, 1, 2, 5500);
  mc_inspector_tick(i, t0_us + 6000000);
  CHECK_INT(out.events, 1);
  mc_inspector_tick(i, t0_us + 10000000);
  CHECK_INT(mc_inspector_sync_ids(i, &ids), 1); /* over: gone from the list */
  push(i, 1, 3, 10500);
  mc_inspector_tick(i, t0_us + 12000000);
  CHECK_INT(out.events, 1);
  mc_inspector_destroy(&i);
}

static void test_empty_list_with_a_time_clears_and_without_is_refused(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 1000;
  s.signal = one;
  s.signal_count = 1;
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  mc_why why;
  CHECK_INT(mc_inspector_set_schemes(i, (mc_slice){0}, t0_us, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "time stamp");
  const mc_slice *ids;
  CHECK_INT(mc_inspector_sync_ids(i, &ids), 2);
  CHECK_OK(set_schemes(i, NULL, 0, t0_us));
  CHECK_INT(mc_inspector_sync_ids(i, &ids), 1);
  mc_inspector_destroy(&i);
}

static void test_broken_documents_change_nothing(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_why why;
  CHECK(mc_inspector_set_manifest(i, MC_LIT("\x0a\xff\xff\xff\xff\x7f"), &why) != MC_OK);
  CHECK(mc_inspector_set_manifest(i, MC_LIT("\x0a\x03" "abc"), &why) != MC_OK); /* no signals */
  CHECK_WHY(why, "abc");
  CHECK(mc_inspector_set_schemes(i, MC_LIT("\xff\xff"), t0_us, &why) != MC_OK);
  const mc_slice *ids;
  CHECK_INT(mc_inspector_sync_ids(i, &ids), 1);
  CHECK(mc_inspector_errors(i, &ids) >= 1);
  mc_inspector_destroy(&i);
}

static void test_bad_signal_leaves_the_rest_of_a_manifest(void)
{
  mc_inspector *i = inspector_with(NULL);
  mc_fw_can_signal s[] = {
      {.signal_id = 1, .interface_id = MC_LIT("can0"), .message_id = 0x101, .is_signed = true, .length = 16, .factor = 1, .type = 7},
      {.signal_id = 2, .interface_id = MC_LIT("can0"), .message_id = 0x102, .length = 70, .factor = 1, .type = 7},
      {.signal_id = 3, .interface_id = MC_LIT("can0"), .message_id = 0x102, .length = 8, .factor = 0, .type = 7},
      {.signal_id = 4, .interface_id = MC_LIT("elsewhere"), .message_id = 0x102, .length = 8, .factor = 1, .type = 7}};
  mc_buf m = make_manifest_of("dm1", s, 4);
  CHECK_OK(mc_inspector_set_manifest(i, mc_buf_slice(&m), NULL));
  mc_buf_free(&m);
  const mc_slice *list;
  CHECK_INT(mc_inspector_errors(i, &list), 2);
  CHECK(strstr((const char *)list[0].data, "signal 2"));
  mc_fw_scheme c = conditional("c1", compare(1, MC_OP_GT, 0), 0, one, 1);
  CHECK_OK(set_schemes(i, &c, 1, t0_us));
  push(i, 1, 4, 100);
  CHECK_INT(out.events, 1);
  mc_inspector_destroy(&i);
}

static void test_multiplexed_and_j1939_and_29_bit_ids(void)
{
  mc_inspector *i = inspector_with(NULL);
  uint32_t range[] = {3, 5};
  mc_fw_mux mux = {.start_bit = 0, .length = 8, .range = range, .range_count = 1};
  mc_fw_can_signal s[] = {
      {.signal_id = 1, .interface_id = MC_LIT("can0"), .message_id = 0x101, .start_bit = 8, .length = 8, .factor = 1, .type = 2, .mux = &mux, .mux_count = 1},
      {.signal_id = 2, .interface_id = MC_LIT("can0"), .message_id = 0x8CF004FE, .start_bit = 24, .length = 16, .factor = 0.125, .type = 11, .id_mask = 0x3FFFF00},
      {.signal_id = 3, .interface_id = MC_LIT("can0"), .message_id = 0x18FF1234, .length = 8, .factor = 1, .type = 2},
      {.signal_id = 4, .interface_id = MC_LIT("can0"), .message_id = 0x1, .length = 64, .factor = 0.5, .type = 5}};
  mc_buf m = make_manifest_of("dm1", s, 4);
  CHECK_OK(mc_inspector_set_manifest(i, mc_buf_slice(&m), NULL));
  mc_buf_free(&m);
  mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 9}, {.signal_id = 2, .sample_buffer_size = 9}, {.signal_id = 3, .sample_buffer_size = 9},
                              {.signal_id = 4, .sample_buffer_size = 9}};
  mc_fw_scheme c = make_scheme("c", "dm1");
  c.period_ms = 1000;
  c.signal = info;
  c.signal_count = 4;
  CHECK_OK(set_schemes(i, &c, 1, t0_us));
  mc_can_frame f = {.id = 0x101, .len = 8, .time_us = t0_us + 1, .data = {2, 77}};
  CHECK_INT(mc_inspector_frame(i, &f), 0); /* another branch of the multiplexor */
  f.data[0] = 4;
  CHECK_INT(mc_inspector_frame(i, &f), 1);
  f = (mc_can_frame){.id = 0x0CF00400, .extended = 1, .len = 8, .time_us = t0_us + 2, .data = {0, 0, 0, 0x80, 0x3E}};
  CHECK_INT(mc_inspector_frame(i, &f), 1);
  f = (mc_can_frame){.id = 0x18FF1234, .extended = 1, .len = 8, .time_us = t0_us + 3, .data = {9}};
  CHECK_INT(mc_inspector_frame(i, &f), 1); /* a 29-bit id written without bit 31 */
  f = (mc_can_frame){.id = 1, .extended = 1, .len = 8, .time_us = t0_us + 4, .data = {7}};
  CHECK_INT(mc_inspector_frame(i, &f), 1);
  mc_inspector_tick(i, t0_us + 1000000);
  CHECK_INT(out.count, 4);
  CHECK_DOUBLE(out.value[0], 77, 0);
  CHECK_DOUBLE(out.value[1], 2000, 0);
  CHECK_DOUBLE(out.value[3], 3.5, 0); /* 64-bit types keep a fractional factor */
  mc_inspector_destroy(&i);
}

static void test_large_events_are_split_below_the_limit(void)
{
  for (int compress = 0; compress < 2; compress++) {
    mc_inspector *i = inspector_with("dm1");
    mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 50000}};
    mc_fw_scheme s = make_scheme("c1", "dm1");
    s.period_ms = 60000;
    s.signal = info;
    s.signal_count = 1;
    s.compress = compress;
    CHECK_OK(set_schemes(i, &s, 1, t0_us));
    for (int n = 0; n < 40000; n++) {
      mc_can_frame f = make_frame(1, n * 7919 % 65536, t0_us + n * 1003 % 9000001);
      mc_inspector_frame(i, &f);
    }
    mc_inspector_tick(i, t0_us + 9000000);
    CHECK_INT(out.events, 0);
    mc_inspector_tick(i, t0_us + 60000000);
    CHECK(out.events > 3);
    CHECK_INT(out.samples, 40000);
    CHECK(out.largest <= 131072);
    for (int k = 1; k < out.events && k < 64; k++)
      CHECK_INT(out.event_id[k], out.event_id[0]);
    mc_inspector_destroy(&i);
  }
}

static void test_sample_memory_is_bounded(void)
{
  caught c = {0};
  mc_inspector *i;
  mc_inspector_config config = {.channel_of = channel_can0, .collected = catch_event, .ctx = &c, .sample_memory = 4096};
  CHECK_OK(mc_inspector_create(&config, &i, NULL));
  mc_buf m = make_manifest("dm1");
  CHECK_OK(mc_inspector_set_manifest(i, mc_buf_slice(&m), NULL));
  mc_buf_free(&m);
  mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 1000000}};
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 9000;
  s.signal = info;
  s.signal_count = 1;
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  for (int n = 0; n < 5000; n++)
    push(i, 1, n, n);
  mc_inspector_tick(i, t0_us + 9000000);
  CHECK_INT(c.samples, 256); /* the newest 4 KiB of them */
  CHECK_DOUBLE(c.value[0], 4999, 0);
  mc_inspector_destroy(&i);
  mc_buf_free(&c.last);
}

static void test_recorded_times_drive_periods_by_themselves(void)
{
  mc_inspector *i = inspector_with("dm1");
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 1000;
  s.signal = one;
  s.signal_count = 1;
  CHECK_OK(set_schemes(i, &s, 1, t0_us));
  int64_t old = t0_us - 86400LL * 1000000 * 365;
  for (int n = 0; n < 100; n++) { /* 10 s of last year */
    mc_can_frame f = make_frame(1, n, old + n * 100000);
    mc_inspector_frame(i, &f);
    mc_inspector_tick(i, t0_us + n);
  }
  CHECK_INT(out.events, 9);
  CHECK(out.event_time_us < t0_us - 86400LL * 1000000 * 364);
  mc_inspector_destroy(&i);
}

int main(void)
{
  RUN(test_time_based_scheme_sends_newest_first_and_each_once);
  RUN(test_condition_over_int16_fires);
  RUN(test_constant_true_condition_fires_again_each_interval);
  RUN(test_unseen_signal_never_fires);
  RUN(test_not_undefined_is_false);
  RUN(test_rising_edge_needs_a_false_first);
  RUN(test_after_duration_collects_later);
  RUN(test_minimum_sample_period_thins);
  RUN(test_window_only_condition_fires_with_exact_values);
  RUN(test_previous_window_and_empty_window);
  RUN(test_is_null_and_custom_function);
  RUN(test_one_bad_scheme_is_refused_alone_with_its_reason);
  RUN(test_unchanged_campaign_keeps_its_buffers_and_edge);
  RUN(test_manifests_live_side_by_side);
  RUN(test_start_and_expiry_follow_the_wall_clock);
  RUN(test_empty_list_with_a_time_clears_and_without_is_refused);
  RUN(test_broken_documents_change_nothing);
  RUN(test_bad_signal_leaves_the_rest_of_a_manifest);
  RUN(test_multiplexed_and_j1939_and_29_bit_ids);
  RUN(test_large_events_are_split_below_the_limit);
  RUN(test_sample_memory_is_bounded);
  RUN(test_recorded_times_drive_periods_by_themselves);
  mc_buf_free(&out.last);
  return tap_done();
}
