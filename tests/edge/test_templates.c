/* State templates in the inspection engine: deltas in order, what is told when and in which type, commands and their answers, what is kept. */
#include "documents.h"
#include "edge/decoder.h"

enum { TOLD_MAX = 4096 };

/* What came out. */
static struct {
  int messages;
  uint32_t count;
  char template[64];
  uint32_t signal[TOLD_MAX];
  mc_fw_value value[TOLD_MAX];
  int64_t time_us;
} told;

static void on_state(void *ctx, mc_slice payload, uint32_t samples, int64_t time_us)
{
  mc_arena a = MC_ARENA(16 << 20);
  mc_buf plain = {0};
  mc_fw_state_data d;
  told.messages++;
  if (mc_snappy_expand(payload, 1 << 20, &plain) == MC_OK && mc_fw_read_state_data(mc_buf_slice(&plain), &a, &d, NULL) == MC_OK) {
    told.time_us = (int64_t)d.time_ms * 1000;
    for (uint32_t t = 0; t < d.state_count; t++) {
      mc_slice_to_str(d.state[t].sync_id, told.template, sizeof told.template);
      for (uint32_t k = 0; k < d.state[t].sample_count && told.count < TOLD_MAX; k++, told.count++) {
        told.signal[told.count] = d.state[t].sample[k].signal_id;
        told.value[told.count] = d.state[t].sample[k].value;
      }
    }
  }
  if (samples > 1000 || time_us / 1000 != told.time_us / 1000)
    told.messages += 1000; /* no test expects so many */
  mc_buf_free(&plain);
  mc_arena_free(&a);
}

static void forget(void) { memset(&told, 0, sizeof told); }
static void ignore(void *ctx, const mc_collected *e) {}

static mc_inspector *start(void)
{
  mc_inspector *i = NULL;
  mc_inspector_config config = {.channel_of = channel_can0, .collected = ignore, .state = on_state};
  forget();
  if (mc_inspector_create(&config, &i, NULL) == MC_OK)
    mc_inspector_tick(i, t0_us);
  return i;
}

static mc_err with_manifest(mc_inspector *i, const char *id)
{
  mc_buf m = make_manifest(id);
  mc_err err = mc_inspector_set_manifest(i, mc_buf_slice(&m), NULL);
  mc_buf_free(&m);
  return err;
}

typedef struct wish {
  const char *id;
  uint64_t period_ms; /* 0: on change */
  uint32_t signal[4];
  uint32_t count;
} wish;

static mc_err delta(mc_inspector *i, const char *manifest, uint64_t version, const wish *add, uint32_t adds, const char *const *gone, uint32_t gones, mc_why *why)
{
  mc_fw_state_template t[8];
  mc_slice remove[8];
  for (uint32_t k = 0; k < adds; k++)
    t[k] = (mc_fw_state_template){.sync_id = mc_slice_str(add[k].id), .periodic = add[k].period_ms > 0, .period_ms = add[k].period_ms, .signal = add[k].signal, .signal_count = add[k].count};
  for (uint32_t k = 0; k < gones; k++)
    remove[k] = mc_slice_str(gone[k]);
  mc_fw_state_templates d = {.manifest_sync_id = mc_slice_str(manifest), .add = t, .add_count = adds, .remove = remove, .remove_count = gones, .version = version};
  mc_buf out = {0};
  mc_fw_write_state_templates(&out, &d);
  mc_err err = mc_inspector_set_states(i, mc_buf_slice(&out), t0_us, why);
  mc_buf_free(&out);
  return err;
}

/* What commands answered. */
static struct {
  int count;
  char id[64];
  uint32_t status[8], reason[8];
} answers;

static void on_answer(void *ctx, const mc_fw_command_response *r)
{
  if (answers.count == 8)
    return;
  answers.status[answers.count] = r->status;
  answers.reason[answers.count++] = r->reason;
  mc_slice_to_str(r->command_id, answers.id, sizeof answers.id);
}

static void order(mc_inspector *i, const char *template, uint32_t action, uint32_t seconds, int64_t wall_us)
{
  mc_fw_state_order one = {.sync_id = mc_slice_str(template), .action = action, .deactivate_after_seconds = seconds};
  mc_fw_command_request r = {.command_id = MC_LIT("e1"), .kind = MC_FW_COMMAND_STATE, .order = &one, .order_count = 1};
  mc_buf out = {0};
  memset(&answers, 0, sizeof answers);
  mc_fw_write_command_request(&out, &r);
  mc_edge_command(i, mc_buf_slice(&out), MC_LIT("e1"), wall_us, on_answer, NULL);
  mc_buf_free(&out);
}

static void frame(mc_inspector *i, uint32_t signal, int value, int64_t after_ms)
{
  mc_can_frame f = make_frame(signal, value, t0_us + after_ms * 1000);
  mc_inspector_frame(i, &f);
}

static bool holds(const mc_inspector *i, const char *id)
{
  const mc_slice *ids;
  for (size_t n = mc_inspector_sync_ids(i, &ids), k = 0; k < n; k++)
    if (mc_slice_eq_str(ids[k], id))
      return true;
  return false;
}

static const wish s1 = {"s1", 0, {1, 2}, 2}, p1 = {"p1", 500, {1}, 1};

static void test_is_silent_until_a_command_activates_it(void)
{
  mc_inspector *i = start();
  CHECK_OK(with_manifest(i, "dm1"));
  CHECK_OK(delta(i, "dm1", 1, &s1, 1, NULL, 0, NULL));
  CHECK(holds(i, "s1"));
  frame(i, 1, 10, 10);
  frame(i, 2, -5, 20);
  mc_inspector_tick(i, t0_us + 5000000);
  CHECK_INT(told.messages, 0);
  order(i, "s1", MC_FW_STATE_ACTIVATE, 0, t0_us + 5000000);
  CHECK_INT(answers.count, 1);
  CHECK_STR(answers.id, "e1");
  CHECK_INT(answers.status[0], MC_FW_COMMAND_SUCCEEDED);
  CHECK_INT(answers.reason[0], 0);
  CHECK_INT(told.messages, 1); /* the snapshot of what came before */
  CHECK_STR(told.template, "s1");
  CHECK_INT(told.count, 2);
  CHECK_INT(told.value[0].type, MC_FW_TYPE_INT16); /* in the manifest's type */
  CHECK_INT(told.value[0].i, 10);
  CHECK_INT(told.value[1].i, -5);
  order(i, "s1", MC_FW_STATE_ACTIVATE, 0, t0_us + 5000000);
  CHECK_INT(answers.reason[0], MC_FW_REASON_ALREADY_ACTIVE);
  CHECK_INT(answers.status[0], MC_FW_COMMAND_SUCCEEDED);
  order(i, "s1", MC_FW_STATE_DEACTIVATE, 0, t0_us + 5000000);
  CHECK_INT(answers.reason[0], 0);
  order(i, "s1", MC_FW_STATE_DEACTIVATE, 0, t0_us + 5000000);
  CHECK_INT(answers.reason[0], MC_FW_REASON_ALREADY_INACTIVE);
  CHECK_INT(answers.status[0], MC_FW_COMMAND_SUCCEEDED);
  forget();
  frame(i, 1, 11, 5100);
  mc_inspector_tick(i, t0_us + 9000000);
  CHECK_INT(told.messages, 0);
  order(i, "s1", MC_FW_STATE_FETCH, 0, t0_us + 9000000); /* also of a silent one */
  CHECK_INT(answers.status[0], MC_FW_COMMAND_SUCCEEDED);
  CHECK_INT(told.count, 2);
  CHECK_INT(told.value[0].i, 11);
  mc_inspector_destroy(&i);
}

static void test_tells_changes_at_once_and_then_once_a_second(void)
{
  mc_inspector *i = start();
  CHECK_OK(with_manifest(i, "dm1"));
  CHECK_OK(delta(i, "dm1", 1, &s1, 1, NULL, 0, NULL));
  order(i, "s1", MC_FW_STATE_ACTIVATE, 0, t0_us);
  CHECK_INT(told.messages, 0); /* nothing is known */
  mc_inspector_tick(i, t0_us + 2000000);
  frame(i, 1, 10, 2000);
  CHECK_INT(told.messages, 1); /* with the frame itself */
  CHECK_INT(told.time_us, t0_us + 2000000);
  for (int n = 1; n < 10; n++)
    frame(i, 1, 10 + n, 2000 + 50 * n);
  frame(i, 2, 7, 2500);
  CHECK_INT(told.messages, 1);
  mc_inspector_tick(i, t0_us + 3000000);
  CHECK_INT(told.messages, 2);
  CHECK_INT(told.count, 3);
  CHECK_INT(told.value[1].i, 19); /* the newest */
  CHECK_INT(told.signal[2], 2);
  for (int n = 0; n < 20; n++)
    frame(i, 1, 19, 3100 + 100 * n); /* the same again and again */
  mc_inspector_tick(i, t0_us + 9000000);
  CHECK_INT(told.messages, 2);
  mc_inspector_destroy(&i);
}

static void test_tells_each_period_what_came_in_it(void)
{
  mc_inspector *i = start();
  CHECK_OK(with_manifest(i, "dm1"));
  CHECK_OK(delta(i, "dm1", 1, &p1, 1, NULL, 0, NULL));
  order(i, "p1", MC_FW_STATE_ACTIVATE, 0, t0_us);
  for (int n = 1; n <= 20; n++) {
    frame(i, 1, 5, n * 100); /* also unchanged: it was seen */
    mc_inspector_tick(i, t0_us + n * 100000);
  }
  CHECK_INT(told.messages, 4);
  CHECK_INT(told.time_us, t0_us + 2000000);
  mc_inspector_tick(i, t0_us + 2500000); /* the frame of the moment it was told */
  CHECK_INT(told.messages, 5);
  mc_inspector_tick(i, t0_us + 9000000); /* a bus that sleeps says nothing new */
  CHECK_INT(told.messages, 5);
  mc_inspector_destroy(&i);
}

static void test_deltas_apply_in_the_order_of_their_versions(void)
{
  static const wish a = {"a", 0, {1}, 1}, b = {"b", 0, {2}, 1}, a_other = {"a", 100, {5, 6, 7}, 3};
  mc_inspector *i = start();
  mc_why why = {0};
  CHECK_OK(with_manifest(i, "dm1"));
  CHECK_OK(delta(i, "dm1", 5, &a, 1, NULL, 0, NULL));
  order(i, "a", MC_FW_STATE_ACTIVATE, 0, t0_us);
  CHECK_INT(delta(i, "dm1", 4, &b, 1, (const char *[]){"a"}, 1, &why), MC_ERR_CONFLICT); /* overtaken on its way */
  CHECK(strstr(why.text, "version 4") && strstr(why.text, "version 5"));
  CHECK(holds(i, "a") && !holds(i, "b"));
  CHECK_OK(delta(i, "dm1", 5, &b, 1, NULL, 0, NULL));
  CHECK(holds(i, "a") && holds(i, "b"));
  CHECK_OK(delta(i, "dm1", 6, &a_other, 1, NULL, 0, NULL)); /* an id that is known: nothing happens, it stays active */
  order(i, "a", MC_FW_STATE_ACTIVATE, 0, t0_us);
  CHECK_INT(answers.reason[0], MC_FW_REASON_ALREADY_ACTIVE);
  CHECK_OK(delta(i, "dm1", 7, NULL, 0, (const char *[]){"a", "never"}, 2, NULL));
  CHECK(!holds(i, "a") && holds(i, "b") && holds(i, "dm1"));
  order(i, "a", MC_FW_STATE_ACTIVATE, 0, t0_us);
  CHECK_INT(answers.status[0], MC_FW_COMMAND_FAILED);
  CHECK_INT(answers.reason[0], MC_FW_REASON_TEMPLATE_OUT_OF_SYNC);
  mc_inspector_destroy(&i);
}

static void test_a_bad_template_is_refused_alone_and_told(void)
{
  static const wish list[] = {{"none", 0, {0}, 0}, {"zero", 0, {0}, 1}, {"top", 0, {1U << 31}, 1}, {"good", 0, {1}, 1}, {"", 0, {1}, 1}};
  mc_inspector *i = start();
  const mc_slice *text;
  CHECK_OK(with_manifest(i, "dm1"));
  CHECK_OK(delta(i, "dm1", 1, list, 5, NULL, 0, NULL));
  CHECK(holds(i, "good") && !holds(i, "none") && !holds(i, "zero") && !holds(i, "top"));
  CHECK_INT(mc_inspector_errors(i, &text), 4);
  CHECK(mc_slice_starts(text[0], MC_LIT("none: ")));
  CHECK_OK(delta(i, "dm1", 2, &s1, 1, NULL, 0, NULL));
  CHECK_INT(mc_inspector_errors(i, &text), 0);
  CHECK(mc_inspector_set_states(i, MC_LIT("\xff\xff"), t0_us, NULL) != MC_OK);
  CHECK(holds(i, "good"));
  mc_inspector_destroy(&i);
}

static void test_one_of_another_manifest_waits_for_it(void)
{
  mc_inspector *i = start();
  CHECK_OK(with_manifest(i, "dm1"));
  CHECK_OK(delta(i, "dm2", 1, &s1, 1, NULL, 0, NULL));
  order(i, "s1", MC_FW_STATE_ACTIVATE, 0, t0_us);
  CHECK_INT(answers.status[0], MC_FW_COMMAND_FAILED);
  CHECK_INT(answers.reason[0], MC_FW_REASON_MANIFEST_OUT_OF_SYNC);
  CHECK_OK(with_manifest(i, "dm2"));
  CHECK_OK(with_manifest(i, "dm3")); /* the newest; dm2 stays because a template names it */
  CHECK(holds(i, "dm2") && !holds(i, "dm1"));
  order(i, "s1", MC_FW_STATE_ACTIVATE, 0, t0_us);
  CHECK_INT(answers.status[0], MC_FW_COMMAND_SUCCEEDED);
  mc_inspector_tick(i, t0_us + 2000000);
  frame(i, 1, 3, 2000);
  CHECK_INT(told.count, 1);
  mc_inspector_destroy(&i);
}

static void test_falls_silent_when_its_time_is_over_also_across_a_restart(void)
{
  mc_inspector *i = start();
  mc_buf kept = {0};
  CHECK_OK(with_manifest(i, "dm1"));
  CHECK_OK(delta(i, "dm1", 9, (wish[]){s1, p1}, 2, NULL, 0, NULL));
  order(i, "s1", MC_FW_STATE_ACTIVATE, 10, t0_us);
  order(i, "p1", MC_FW_STATE_ACTIVATE, 0, t0_us);
  CHECK(i->states.unsaved);
  CHECK_OK(mc_edge_templates_write(&i->states, &kept));
  frame(i, 1, 1, 9000);
  CHECK(told.messages >= 1);
  mc_inspector_tick(i, t0_us + 10000000);
  CHECK(!i->states.at.at[0]->active && i->states.at.at[1]->active);
  mc_inspector_destroy(&i);

  i = start();
  CHECK_OK(mc_edge_templates_load(i, mc_buf_slice(&kept), t0_us + 5000000, NULL)); /* within its time: goes on */
  CHECK_OK(with_manifest(i, "dm1"));
  CHECK_INT(i->states.version, 9);
  CHECK(holds(i, "s1") && holds(i, "p1"));
  mc_inspector_tick(i, t0_us + 6000000);
  frame(i, 2, 4, 6000);
  CHECK_STR(told.template, "s1");
  mc_inspector_destroy(&i);

  i = start();
  CHECK_OK(mc_edge_templates_load(i, mc_buf_slice(&kept), t0_us + 11000000, NULL)); /* passed while the agent was off */
  CHECK(!i->states.at.at[0]->active && i->states.at.at[1]->active);
  CHECK(i->states.unsaved);
  mc_inspector_destroy(&i);
  mc_buf_free(&kept);
}

/* The bytes of README's table. */
static void test_the_file_is_what_the_readme_says(void)
{
  static const uint8_t golden[] = {'M', 'C', 'L', '1', 0xD0, 0x1E, 0x61, 0x7E, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, /* version 9, one template */
                                   2, 0, 3, 0, 3, 0, 0, 0, 1, 0, 0, 0,                                            /* 2 and 3 bytes of ids, periodic and active, one signal */
                                   0x20, 0xA1, 7, 0, 0, 0, 0, 0, 0x80, 0x96, 0x98, 0, 0, 0, 0, 0,                 /* 500,000 us, deactivated at 10,000,000 us */
                                   'p', '1', 'd', 'm', '1', 1, 0, 0, 0};
  state_templates s = {0}, again = {0};
  state_template *t;
  mc_buf out = {0};
  uint32_t signal = 1;
  mc_fw_state_template from = {.sync_id = MC_LIT("p1"), .periodic = true, .period_ms = 500, .signal = &signal, .signal_count = 1};
  CHECK_OK(mc_edge_template_add(&s, MC_LIT("dm1"), &from, &t, NULL));
  t->active = true;
  t->deactivate_us = 10000000;
  s.version = 9;
  CHECK_OK(mc_edge_templates_write(&s, &out));
  CHECK_INT(out.len, sizeof golden);
  for (size_t k = 0; k < sizeof golden; k++)
    if (out.data[k] != golden[k])
      TAP_FAIL("byte %zu is %02x, not %02x", k, out.data[k], golden[k]);
  CHECK_OK(mc_edge_templates_read(&again, mc_slice_of(golden, sizeof golden), NULL));
  CHECK_INT(again.at.at[0]->deactivate_us, 10000000);
  mc_edge_templates_free(&again);
  for (size_t k = 0; k < sizeof golden; k++) { /* any byte that is wrong is noticed, and so is any end that is missing */
    uint8_t bad[sizeof golden];
    mc_why why = {0};
    memcpy(bad, golden, sizeof bad);
    bad[k] ^= 1;
    again = (state_templates){0};
    CHECK(mc_edge_templates_read(&again, mc_slice_of(bad, sizeof bad), &why) == MC_ERR_MALFORMED && why.text[0] && !again.at.len);
    CHECK(mc_edge_templates_read(&again, mc_slice_of(golden, k), &why) != MC_OK && !again.at.len);
  }
  mc_edge_templates_free(&s);
  mc_buf_free(&out);
}

/* Whatever the signal is, its bits and its type arrive. */
static void test_values_keep_their_type_and_all_their_bits(void)
{
  static const struct { uint32_t type, length; bool is_signed; double factor; uint64_t raw; uint32_t out; uint64_t u; double d; } row[] = {
      {MC_FW_TYPE_UINT64, 64, false, 1, UINT64_C(0x7FFFFFFFFFFFFFFF), MC_FW_TYPE_UINT64, UINT64_C(0x7FFFFFFFFFFFFFFF), 0},
      {MC_FW_TYPE_UINT64, 64, false, 1, UINT64_C(0x8000000000000001), MC_FW_TYPE_UINT64, UINT64_C(0x8000000000000001), 0},
      {MC_FW_TYPE_UINT64, 64, false, 1, UINT64_MAX, MC_FW_TYPE_UINT64, UINT64_MAX, 0},
      {MC_FW_TYPE_INT64, 64, true, 1, UINT64_C(0x8000000000000001), MC_FW_TYPE_INT64, UINT64_C(0x8000000000000001), 0},
      {MC_FW_TYPE_UINT64, 64, false, 0.5, 7, MC_FW_TYPE_FLOAT64, 0, 3.5},
      {MC_FW_TYPE_BOOL, 1, false, 1, 1, MC_FW_TYPE_BOOL, 1, 0},
      {MC_FW_TYPE_UINT8, 8, false, 1, 255, MC_FW_TYPE_UINT8, 255, 0},
      {MC_FW_TYPE_UINT8, 16, false, 1, 300, MC_FW_TYPE_FLOAT64, 0, 300}, /* beyond its type: as it was decoded */
      {MC_FW_TYPE_FLOAT32, 8, false, 0.25, 3, MC_FW_TYPE_FLOAT32, 0, 0.75},
      {MC_FW_TYPE_FLOAT64, 8, false, 0.1, 3, MC_FW_TYPE_FLOAT64, 0, 0.1 * 3},
  };
  for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
    mc_inspector *i = start();
    mc_fw_can_signal s = {.signal_id = 1, .interface_id = MC_LIT("can0"), .message_id = 0x101, .is_signed = row[k].is_signed, .length = row[k].length, .factor = row[k].factor,
                          .type = row[k].type};
    mc_buf m = make_manifest_of("dm1", &s, 1);
    static const wish one = {"s1", 0, {1}, 1};
    CHECK_OK(mc_inspector_set_manifest(i, mc_buf_slice(&m), NULL));
    CHECK_OK(delta(i, "dm1", 1, &one, 1, NULL, 0, NULL));
    mc_can_frame f = make_frame(1, 0, t0_us + 1000);
    mc_store_le64(f.data, row[k].raw);
    mc_inspector_frame(i, &f);
    order(i, "s1", MC_FW_STATE_FETCH, 0, t0_us + 2000);
    CHECK_INT(told.count, 1);
    CHECK_INT(told.value[0].type, row[k].out);
    if (row[k].out == MC_FW_TYPE_FLOAT64)
      CHECK_DOUBLE(told.value[0].d, row[k].d, 0);
    else if (row[k].out == MC_FW_TYPE_FLOAT32)
      CHECK_DOUBLE((double)told.value[0].f, row[k].d, 0);
    else
      CHECK(told.value[0].u == row[k].u);
    mc_buf_free(&m);
    mc_inspector_destroy(&i);
  }
}

static void test_slow_drift_is_told(void)
{
  mc_inspector *i = start();
  mc_fw_can_signal s = {.signal_id = 1, .interface_id = MC_LIT("can0"), .message_id = 0x101, .length = 16, .factor = 0.0001, .type = MC_FW_TYPE_FLOAT64};
  static const wish one = {"s1", 0, {1}, 1};
  mc_buf m = make_manifest_of("dm1", &s, 1);
  CHECK_OK(mc_inspector_set_manifest(i, mc_buf_slice(&m), NULL));
  CHECK_OK(delta(i, "dm1", 1, &one, 1, NULL, 0, NULL));
  order(i, "s1", MC_FW_STATE_ACTIVATE, 0, t0_us);
  for (int n = 0; n < 100; n++) { /* each step is below what counts as a change, all of them together are ten times that */
    frame(i, 1, n, 2000 * (n + 1));
    mc_inspector_tick(i, t0_us + 2000000LL * (n + 1) + 1000);
  }
  CHECK(told.messages >= 9 && told.messages <= 11);
  mc_buf_free(&m);
  mc_inspector_destroy(&i);
}

/* The agent's own look at the clock comes first, no frame. */
static void test_a_clock_that_is_set_back_stops_nothing(void)
{
  const int64_t ahead_us = t0_us + 3600000000LL;
  mc_inspector *i = start();
  CHECK_OK(with_manifest(i, "dm1"));
  CHECK_OK(delta(i, "dm1", 1, (wish[]){s1, p1}, 2, NULL, 0, NULL));
  mc_inspector_tick(i, ahead_us);
  order(i, "s1", MC_FW_STATE_ACTIVATE, 0, ahead_us);
  order(i, "p1", MC_FW_STATE_ACTIVATE, 0, ahead_us);
  mc_inspector_tick(i, t0_us + 1000);
  frame(i, 1, 5, 2000);
  CHECK_INT(told.messages, 1);
  CHECK_STR(told.template, "s1");
  CHECK_INT(told.time_us, t0_us + 2000000);
  mc_inspector_tick(i, t0_us + 2600000);
  CHECK_INT(told.messages, 2);
  CHECK_STR(told.template, "p1");
  mc_inspector_destroy(&i);
}

static void test_every_command_is_answered(void)
{
  mc_inspector *i = start();
  mc_fw_custom_signal custom = {99, MC_LIT("act"), MC_LIT("Vehicle.Horn"), MC_FW_TYPE_INT32};
  mc_fw_manifest m = {.sync_id = MC_LIT("dm1"), .custom = &custom, .custom_count = 1};
  mc_buf out = {0};
  mc_fw_write_manifest(&out, &m);
  CHECK_OK(mc_inspector_set_manifest(i, mc_buf_slice(&out), NULL));
  uint64_t now_ms = (uint64_t)t0_us / 1000;
  mc_fw_state_order two[] = {{MC_LIT("x"), MC_FW_STATE_ACTIVATE, 0}, {MC_LIT("y"), MC_FW_STATE_NONE, 0}};
  mc_fw_value five = {.type = MC_FW_TYPE_INT32, .i = -5};
  const struct { mc_fw_command_request r; int answers; uint32_t status, reason; } row[] = {
      {{.command_id = MC_LIT("c"), .kind = MC_FW_COMMAND_STATE, .order = two, .order_count = 2}, 2, MC_FW_COMMAND_FAILED, MC_FW_REASON_TEMPLATE_OUT_OF_SYNC},
      {{.command_id = MC_LIT("c"), .kind = MC_FW_COMMAND_STATE}, 1, MC_FW_COMMAND_FAILED, MC_FW_REASON_NOT_PARSED}, /* AWS's agent says nothing to these two */
      {{.command_id = MC_LIT("c")}, 1, MC_FW_COMMAND_FAILED, MC_FW_REASON_NOT_PARSED},
      {{.command_id = MC_LIT("c"), .kind = MC_FW_COMMAND_ACTUATOR, .signal_id = 99, .manifest_sync_id = MC_LIT("dm1"), .value = five}, 1, MC_FW_COMMAND_FAILED, MC_FW_REASON_NO_DISPATCHER},
      {{.command_id = MC_LIT("c"), .kind = MC_FW_COMMAND_ACTUATOR, .signal_id = 98, .manifest_sync_id = MC_LIT("dm1"), .value = five}, 1, MC_FW_COMMAND_FAILED, MC_FW_REASON_NO_RULE},
      {{.command_id = MC_LIT("c"), .kind = MC_FW_COMMAND_ACTUATOR, .signal_id = 99, .manifest_sync_id = MC_LIT("dm0"), .value = five}, 1, MC_FW_COMMAND_FAILED,
       MC_FW_REASON_MANIFEST_OUT_OF_SYNC},
      {{.command_id = MC_LIT("c"), .kind = MC_FW_COMMAND_STATE, .order = two, .order_count = 2, .issued_ms = now_ms - 5000, .timeout_ms = 5000}, 1, MC_FW_COMMAND_TIMED_OUT,
       MC_FW_REASON_TIMED_OUT},
      {{.command_id = MC_LIT("c"), .kind = MC_FW_COMMAND_STATE, .order = two, .order_count = 1, .issued_ms = now_ms - 4999, .timeout_ms = 5000}, 1, MC_FW_COMMAND_FAILED,
       MC_FW_REASON_TEMPLATE_OUT_OF_SYNC},
  };
  for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
    mc_buf_clear(&out);
    memset(&answers, 0, sizeof answers);
    CHECK_OK(mc_fw_write_command_request(&out, &row[k].r));
    mc_edge_command(i, mc_buf_slice(&out), MC_LIT("c"), t0_us, on_answer, NULL);
    CHECK_INT(answers.count, row[k].answers);
    CHECK_INT(answers.status[0], row[k].status);
    CHECK_INT(answers.reason[0], row[k].reason);
    CHECK_STR(answers.id, "c");
  }
  memset(&answers, 0, sizeof answers);
  mc_edge_command(i, MC_LIT("\xff\xff"), MC_LIT("from-topic"), t0_us, on_answer, NULL); /* unreadable: under the id of its topic */
  CHECK_INT(answers.reason[0], MC_FW_REASON_NOT_PARSED);
  CHECK_STR(answers.id, "from-topic");
  mc_buf_free(&out);
  mc_inspector_destroy(&i);
}

static void test_a_large_template_goes_in_messages_of_a_thousand(void)
{
  enum { N = 2500 };
  mc_inspector *i = start();
  static mc_fw_can_signal s[N];
  static uint32_t id[N];
  for (uint32_t n = 0; n < N; n++) {
    s[n] = (mc_fw_can_signal){.signal_id = n + 1, .interface_id = MC_LIT("can0"), .message_id = 0x101, .length = 8, .factor = 1, .type = MC_FW_TYPE_UINT8};
    id[n] = n + 1;
  }
  mc_buf m = make_manifest_of("dm1", s, N), doc = {0};
  mc_fw_state_template t = {.sync_id = MC_LIT("big"), .signal = id, .signal_count = N};
  mc_fw_state_templates d = {.manifest_sync_id = MC_LIT("dm1"), .add = &t, .add_count = 1, .version = 1};
  mc_fw_write_state_templates(&doc, &d);
  CHECK_OK(mc_inspector_set_manifest(i, mc_buf_slice(&m), NULL));
  CHECK_OK(mc_inspector_set_states(i, mc_buf_slice(&doc), t0_us, NULL));
  frame(i, 1, 42, 10);
  order(i, "big", MC_FW_STATE_ACTIVATE, 0, t0_us + 20000);
  CHECK_INT(told.messages, 3);
  CHECK_INT(told.count, N);
  mc_buf_free(&m);
  mc_buf_free(&doc);
  mc_inspector_destroy(&i);
}

int main(void)
{
  RUN(test_is_silent_until_a_command_activates_it);
  RUN(test_tells_changes_at_once_and_then_once_a_second);
  RUN(test_tells_each_period_what_came_in_it);
  RUN(test_deltas_apply_in_the_order_of_their_versions);
  RUN(test_a_bad_template_is_refused_alone_and_told);
  RUN(test_one_of_another_manifest_waits_for_it);
  RUN(test_falls_silent_when_its_time_is_over_also_across_a_restart);
  RUN(test_the_file_is_what_the_readme_says);
  RUN(test_values_keep_their_type_and_all_their_bits);
  RUN(test_slow_drift_is_told);
  RUN(test_a_clock_that_is_set_back_stops_nothing);
  RUN(test_every_command_is_answered);
  RUN(test_a_large_template_goes_in_messages_of_a_thousand);
  return tap_done();
}
