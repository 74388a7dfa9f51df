/* Where a campaign stands on a vehicle and why it does not get on, with a vehicle that answers as each test says. */
#include "campaign/state.h"
#include "campaign_case.h"

static mc_arena arena;
static mc_campaign_vehicle at;       /* where campaign `id` stands on car-1, as of the last look */
static mc_vehicle_agent agent;
static mc_vehicle_campaign *campaigns;
static size_t campaign_count;
static mc_slice ids[8];
static uint32_t id_count;

static bool ready(void)
{
  mc_dbc_import_report report;
  mc_why why;
  vehicle_clock_ms = 0;
  checkin_error_count = 0;
  id_count = 0;
  mc_arena_reset(&arena);
  return begin() && import(dbc_text, "", &report, &why) == MC_OK && give_manifest() == MC_OK;
}

static const char *where(uint32_t id)
{
  static char out[100];
  mc_campaign_vehicle *v;
  size_t n;
  at = (mc_campaign_vehicle){0};
  if (mc_campaign_vehicles(c, 1, id, 10, &arena, &v, &n, NULL))
    return "error";
  if (n != 1)
    return n ? "several" : "nowhere";
  at = v[0];
  snprintf(out, sizeof out, "%.*s %.*s", MC_FMT(at.status), MC_FMT(at.reason));
  return out;
}

static bool says(const char *part)
{
  char text[800];
  mc_slice_to_str(at.text, text, sizeof text);
  if (!strstr(text, part))
    printf("# \"%s\" does not say \"%s\"\n", text, part);
  return strstr(text, part) != NULL;
}

static void look(void)
{
  mc_campaign_of_vehicle(c, 1, car.id, &arena, &campaigns, &campaign_count, &agent, NULL);
}

static uint64_t trouble(const char *kind)
{
  look();
  for (size_t i = 0; i < agent.trouble_count; i++)
    if (mc_slice_eq_str(agent.trouble[i].kind, kind))
      return agent.trouble[i].count;
  return 0;
}

/* What the vehicle was sent last it holds from here on. */
static void accept(void)
{
  mc_fw_manifest m;
  mc_fw_schemes s;
  for (int i = 0; i < sent_count && i < 32; i++) {
    if (strstr(outbox[i].topic, "decoder_manifests") && mc_fw_read_manifest(mc_buf_slice(&outbox[i].payload), &arena, &m, NULL) == MC_OK)
      mc_arena_copy(&arena, m.sync_id, &ids[0]);
    if (strstr(outbox[i].topic, "collection_schemes") && mc_fw_read_schemes(mc_buf_slice(&outbox[i].payload), &arena, &s, NULL) == MC_OK) {
      for (uint32_t k = 0; k < s.scheme_count && k < 7; k++)
        mc_arena_copy(&arena, s.scheme[k].campaign_sync_id, &ids[1 + k]);
      id_count = 1 + s.scheme_count;
    }
  }
  sent_count = 0;
}

static mc_err make(const char *name, mc_campaign g, bool start)
{
  mc_why why;
  static mc_campaign_collect collect = {.fqn = {(const uint8_t *)"Vehicle.ENGINE.Temp", 19}};
  g.tenant = 1;
  g.name = mc_slice_str(name);
  if (!g.target_kind.len)
    g.target_kind = MC_LIT("all");
  if (!g.signal_count) {
    g.signal = &collect;
    g.signal_count = 1;
  }
  g.period_ms = 1000;
  g.condition_based = g.expression.len > 0;
  mc_err err = mc_campaign_create(c, &g, start, &arena, &why);
  if (err)
    printf("# %s\n", why.text);
  return err;
}

static void test_a_campaign_goes_from_created_to_healthy_to_deleted(void)
{
  mc_why why;
  CHECK(ready());
  CHECK_OK(make("one", (mc_campaign){0}, false));
  CHECK_STR(where(1), "CREATED not_approved");
  CHECK_OK(mc_campaign_set_status(c, 1, 1, MC_CAMPAIGN_RUNNING, &why));
  CHECK_STR(where(1), "READY never_checked_in");
  CHECK(says("client id \"car-1\""));
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_STR(where(1), "READY_FOR_CHECKIN sent");
  CHECK_SLICE(at.state, "pending");
  accept();
  CHECK_OK(checkin(ids, id_count, false));
  CHECK_STR(where(1), "HEALTHY confirmed");
  CHECK_SLICE(at.state, "healthy");
  CHECK_OK(mc_campaign_set_status(c, 1, 1, MC_CAMPAIGN_SUSPENDED, &why));
  CHECK_STR(where(1), "SUSPENDED still_listed");
  CHECK_OK(checkin(ids, 1, false));
  CHECK_STR(where(1), "SUSPENDED suspended");
  CHECK_OK(mc_campaign_set_status(c, 1, 1, MC_CAMPAIGN_RUNNING, &why));
  CHECK_OK(checkin(ids, 2, false));
  CHECK_STR(where(1), "HEALTHY confirmed");
  CHECK_OK(mc_campaign_delete(c, 1, 1, &why));
  look();
  CHECK_INT(campaign_count, 1); /* gone, but not from the vehicle */
  CHECK_INT(campaigns[0].id, 0);
  CHECK_SLICE(campaigns[0].name, "one");
  CHECK_SLICE(campaigns[0].at.status, "DELETING");
  CHECK_OK(checkin(ids, 1, false));
  look();
  CHECK_INT(campaign_count, 0);
  end();
}

static void test_what_is_dropped_without_a_word_is_told_after_two_check_ins(void)
{
  CHECK(ready());
  CHECK_OK(make("one", (mc_campaign){0}, true));
  CHECK_OK(checkin(NULL, 0, false));
  accept();
  CHECK_OK(checkin(ids, 1, false)); /* the manifest only */
  CHECK_STR(where(1), "READY_FOR_CHECKIN sent");
  CHECK_OK(checkin(ids, 1, false));
  CHECK_INT(sent_count, 1); /* once more */
  CHECK_OK(checkin(ids, 1, false));
  CHECK_OK(checkin(ids, 1, false));
  CHECK_STR(where(1), "READY_FOR_CHECKIN sent"); /* the third one is on its way */
  for (int i = 0; i < 20; i++)
    CHECK_OK(checkin(ids, 1, false));
  CHECK_INT(sent_count, 4); /* five in all, then it is left */
  CHECK_STR(where(1), "READY_FOR_CHECKIN not_confirmed");
  CHECK(says("sent 5 times"));
  CHECK(says("not sent again until something changes"));
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_STR(where(1), "READY_FOR_CHECKIN sent"); /* it lost its manifest as well: sent again */
  end();
}

static void test_another_manifest_and_a_refusal_are_told_as_such(void)
{
  mc_dbc_import_report report;
  mc_why why;
  CHECK(ready());
  CHECK_OK(make("one", (mc_campaign){0}, true));
  CHECK_OK(checkin(NULL, 0, false));
  accept();
  mc_slice old = ids[0];
  CHECK_OK(checkin(ids, id_count, false));
  CHECK_STR(where(1), "HEALTHY confirmed");
  CHECK_OK(import("BO_ 256 ENGINE: 8 ECU\n SG_ Temp : 16|8@1+ (1,-41) [-41|215] \"degC\" ECU\n", "", &report, &why));
  CHECK_OK(checkin(&old, 1, false));
  CHECK_STR(where(1), "READY_FOR_CHECKIN wrong_manifest");
  CHECK(says("instead of model-a-"));
  look();
  CHECK(mc_slice_eq(agent.manifest, old));
  CHECK(agent.wanted_manifest.len && !mc_slice_eq(agent.manifest, agent.wanted_manifest));
  accept();
  char text[300];
  snprintf(text, sizeof text, "%.*s: signal 3: buffer of 0", MC_FMT(ids[1]));
  mc_slice error = mc_slice_str(text);
  checkin_error = &error;
  checkin_error_count = 1;
  CHECK_OK(checkin(ids, 1, false));
  CHECK_STR(where(1), "READY_FOR_CHECKIN refused");
  CHECK_SLICE(at.state, "refused");
  CHECK(says("buffer of 0"));
  end();
}

static void test_what_the_manifest_does_not_decode_is_named(void)
{
  mc_why why;
  mc_dbc_import_report report;
  mc_campaign_collect other = {.fqn = MC_LIT("Vehicle.B.X")};
  CHECK(ready());
  mc_dbc_import in = {.tenant = 1, .name = MC_LIT("model-b"), .dbc_text = MC_LIT("BO_ 1 B: 8 E\n SG_ X : 0|8@1+ (1,0) [0|1] \"\" E\n"), .dbc_name = "b.dbc", .interface_id = MC_LIT("can0")};
  CHECK_OK(mc_campaign_import_dbc(c, &in, &report, &why));
  CHECK_OK(make("b", (mc_campaign){.signal = &other, .signal_count = 1}, true));
  CHECK_STR(where(1), "READY nothing_to_collect");
  CHECK_SLICE(at.state, "none");
  CHECK(says("Vehicle.B.X"));
  CHECK_OK(make("c", (mc_campaign){.expression = MC_LIT("$variable.`Vehicle.B.X` > 1")}, true));
  CHECK_STR(where(2), "READY condition_outside_manifest");
  CHECK(says("Vehicle.B.X, which"));
  car.manifest[0] = 0;
  CHECK_OK(mc_registry_vehicle_update(registry, &car, &why));
  CHECK_STR(where(1), "READY no_manifest");
  CHECK(says("motorcade vehicle set"));
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(sent_count, 0);
  end();
}

static void test_the_vehicles_clock_explains_what_it_does_not_list(void)
{
  CHECK(ready());
  int64_t now = mc_clock_wall_us();
  CHECK_OK(make("short", (mc_campaign){.expiry_us = now + 3600 * 1000000LL}, true));
  vehicle_clock_ms = 86400 * 1000LL; /* a day ahead: over by its clock */
  CHECK_OK(checkin(NULL, 0, false));
  accept();
  CHECK_OK(checkin(ids, 1, false));
  CHECK_STR(where(1), "READY_FOR_CHECKIN expired_by_vehicle_clock");
  CHECK(says("86400 s ahead of ours") || says(" 8639")); /* less what the way here took */
  look();
  CHECK(agent.skew_ms > 86390000 && agent.skew_ms <= 86400000);
  vehicle_clock_ms = INT64_MIN / 4; /* before 1970, far ahead: numbers only */
  CHECK_OK(checkin(ids, 1, false));
  where(1);
  vehicle_clock_ms = INT64_MAX / 8;
  CHECK_OK(checkin(ids, 1, false));
  where(1);
  vehicle_clock_ms = 0;
  CHECK_OK(checkin(ids, 2, false));
  CHECK_STR(where(1), "HEALTHY confirmed");
  vehicle_clock_ms = -300 * 1000LL;
  CHECK_OK(checkin(ids, 2, false));
  CHECK_STR(where(1), "HEALTHY clock_off");
  CHECK(says("299 s behind") || says("30") || says("31")); /* and what the way here took */
  end();
}

/* AWS's agent does not list what has not begun (contract 4): that is no reason to send it again. */
static void test_a_campaign_that_starts_later_is_sent_once(void)
{
  CHECK(ready());
  CHECK_OK(make("later", (mc_campaign){.start_us = mc_clock_wall_us() + 3600 * 1000000LL}, true));
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(sent_count, 2);
  accept();
  for (int i = 0; i < 10; i++)
    CHECK_OK(checkin(ids, 1, false));
  CHECK_INT(sent_count, 0);
  CHECK_STR(where(1), "READY_FOR_CHECKIN not_started");
  CHECK_OK(make("now", (mc_campaign){0}, true)); /* another one: the whole list, both in it */
  CHECK_INT(sent_count, 1);
  accept();
  CHECK_INT(id_count, 3);
  end();
}

static void test_what_was_sent_is_remembered_over_a_restart(void)
{
  mc_why why;
  CHECK(ready());
  CHECK_OK(make("one", (mc_campaign){0}, true));
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(sent_count, 2);
  CHECK_OK(mc_campaign_checkpoint(c, 10, &why));
  mc_campaigns_close(&c);
  CHECK(open_module());
  CHECK_STR(where(1), "READY_FOR_CHECKIN sent");
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(sent_count, 2); /* not inside one check-in period */
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(sent_count, 4);
  end();
}

static void test_more_than_an_agent_has_memory_for_waits_and_says_so(void)
{
  mc_why why;
  mc_campaign_collect big = {.fqn = MC_LIT("Vehicle.ENGINE.Temp"), .max_samples = 640000}; /* 10 MB */
  mc_campaign_collect too_big = {.fqn = MC_LIT("Vehicle.ENGINE.Temp"), .max_samples = 4294967295u};
  CHECK(ready());
  mc_campaign g = {.tenant = 1, .name = MC_LIT("huge"), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = &too_big, .signal_count = 1};
  CHECK_INT(mc_campaign_create(c, &g, true, &arena, &why), MC_ERR_TOO_LARGE);
  CHECK_WHY(why, "lower max_samples");
  CHECK_OK(make("first", (mc_campaign){.signal = &big, .signal_count = 1, .priority = 5}, true));
  CHECK_OK(make("second", (mc_campaign){.signal = &big, .signal_count = 1, .priority = 5}, true));
  CHECK_OK(checkin(NULL, 0, false));
  accept();
  CHECK_INT(id_count, 2);
  CHECK_OK(checkin(ids, id_count, false));
  CHECK_STR(where(1), "HEALTHY confirmed");
  CHECK_STR(where(2), "READY too_much_memory");
  CHECK(says("ask for 19.5 MB"));
  CHECK(says("this one for 9.8"));
  CHECK_OK(make("urgent", (mc_campaign){.signal = &big, .signal_count = 1, .priority = 1}, true));
  accept();
  CHECK_OK(checkin(ids, id_count, false));
  CHECK_STR(where(3), "HEALTHY confirmed");
  CHECK_STR(where(1), "READY too_much_memory");
  CHECK_OK(mc_campaign_set_status(c, 1, 3, MC_CAMPAIGN_SUSPENDED, &why));
  accept();
  CHECK_OK(checkin(ids, id_count, false));
  CHECK_STR(where(1), "HEALTHY confirmed");
  end();
}

static void test_more_conditions_than_an_agent_takes_wait_and_say_so(void)
{
  char name[16];
  CHECK(ready());
  for (int i = 0; i < 257; i++) {
    mc_campaign_collect few = {.fqn = MC_LIT("Vehicle.ENGINE.Temp"), .max_samples = 1};
    snprintf(name, sizeof name, "c%d", i);
    CHECK_OK(make(name, (mc_campaign){.signal = &few, .signal_count = 1}, true));
  }
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_STR(where(256), "READY_FOR_CHECKIN sent");
  CHECK_STR(where(257), "READY too_many_conditions");
  CHECK(says("256 conditions"));
  end();
}

static const mc_fw_scheme *last_scheme(void)
{
  mc_fw_schemes s;
  if (!sent_count || mc_fw_read_schemes(mc_buf_slice(&outbox[(sent_count - 1) % 32].payload), &arena, &s, NULL) || !s.scheme_count)
    return NULL;
  return &s.scheme[0];
}

static int depth_of(const mc_fw_node *n)
{
  int left = n ? depth_of(n->left) : 0, right = n ? depth_of(n->right) : 0;
  return n ? 1 + (left > right ? left : right) : 0;
}

static void test_long_chains_fit_an_agent_that_reads_ten_levels_and_deep_sums_are_refused(void)
{
  char text[1200] = "";
  CHECK(ready());
  for (int i = 0; i < 20; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s$variable.`Vehicle.ENGINE.Rpm` > %d", i ? " && " : "", i);
  CHECK_OK(make("chain", (mc_campaign){.expression = mc_slice_str(text)}, true));
  CHECK_OK(checkin(NULL, 0, false));
  const mc_fw_scheme *s = last_scheme();
  CHECK(s != NULL);
  CHECK_INT(depth_of(s->condition), 7); /* 20 comparisons of 2 levels */
  strcpy(text, "$variable.`Vehicle.ENGINE.Rpm` > 0");
  for (int i = 0; i < 20; i++)
    strcat(text, " + 1");
  CHECK_OK(make("sum", (mc_campaign){.expression = mc_slice_str(text)}, true));
  CHECK_STR(where(2), "READY refused_for_agent");
  CHECK(says("byte 33:")); /* the first that lies too deep */
  CHECK(says("22 levels"));
  CHECK_OK(checkin(NULL, 0, true)); /* our agent reads them all */
  CHECK_STR(where(2), "READY_FOR_CHECKIN sent");
  end();
}

static void test_windows_are_adapted_to_the_agent(void)
{
  CHECK(ready());
  CHECK_OK(make("w", (mc_campaign){.expression = MC_LIT("last_window_avg($variable.`Vehicle.ENGINE.Rpm`) > 5")}, true));
  CHECK_OK(checkin(NULL, 0, false));
  const mc_fw_scheme *s = last_scheme();
  CHECK(s != NULL);
  CHECK_INT(s->condition->op, MC_OP_AND); /* beside a plain signal, or it is never looked at again */
  CHECK_INT(s->condition->right->op, MC_OP_EQ);
  CHECK_INT(s->condition->right->left->kind, MC_FW_NODE_SIGNAL);
  CHECK_OK(make("m", (mc_campaign){.expression = MC_LIT("last_window_max($variable.`Vehicle.ENGINE.Rpm`) > 5")}, true)); /* a minimum of 0 in the catalog */
  CHECK_STR(where(2), "READY_FOR_CHECKIN sent");
  mc_dbc_import_report report;
  mc_why why;
  CHECK_OK(import("BO_ 256 ENGINE: 8 E\n SG_ Rpm : 0|16@1- (0.25,0) [-100|16000] \"\" E\n SG_ Temp : 16|8@1+ (1,0) [0|1] \"\" E\n", "", &report, &why));
  CHECK_OK(make("n", (mc_campaign){.expression = MC_LIT("$variable.`Vehicle.ENGINE.Temp` > 1 || prev_last_window_max($variable.`Vehicle.ENGINE.Rpm`) > 5")}, true));
  CHECK_STR(where(3), "READY refused_for_agent");
  CHECK(says("byte 39: AWS's agent computes the maximum"));
  CHECK_OK(checkin(NULL, 0, true));
  CHECK_STR(where(3), "READY_FOR_CHECKIN sent");
  end();
}

static void test_an_older_agent_is_kept_from_what_it_gets_wrong(void)
{
  mc_dbc_import_report report;
  mc_why why;
  mc_attribute old = {MC_LIT("agentVersion"), MC_LIT("1.2.0")}, fixed = {MC_LIT("agentVersion"), MC_LIT("1.2.1")};
  mc_campaign_collect all = {.fqn = MC_LIT("Vehicle.F.*")};
  CHECK(ready());
  CHECK_OK(import("BO_ 9 F: 8 E\n SG_ Real : 0|32@1- (1,0) [0|0] \"\" E\n SG_ Whole : 32|16@1+ (1,0) [0|0] \"\" E\nSIG_VALTYPE_ 9 Real : 1;\n", "", &report, &why));
  CHECK_OK(make("collect", (mc_campaign){.signal = &all, .signal_count = 1}, true));
  CHECK_OK(make("when", (mc_campaign){.signal = &all, .signal_count = 1, .expression = MC_LIT("$variable.`Vehicle.F.Real` > 1")}, true));
  CHECK_OK(mc_registry_vehicle_set_attributes(registry, 1, car.id, &old, 1, true, &why));
  CHECK_OK(checkin(NULL, 0, false));
  const mc_fw_scheme *s = last_scheme();
  CHECK(s != NULL);
  CHECK_INT(s->signal_count, 1); /* Whole */
  CHECK_STR(where(2), "READY refused_for_agent");
  CHECK(says("before 1.2.1"));
  CHECK_OK(mc_registry_vehicle_set_attributes(registry, 1, car.id, &fixed, 1, true, &why));
  mc_campaign_vehicle_changed(c, 1, car.id);
  s = last_scheme();
  CHECK(s != NULL);
  CHECK_INT(s->signal_count, 2);
  CHECK_STR(where(2), "READY_FOR_CHECKIN sent");
  CHECK_INT(agent_version_of(MC_LIT("1.3.4")), AGENT_VERSION(1, 3, 4));
  CHECK_INT(agent_version_of(MC_LIT("2")), AGENT_VERSION(2, 0, 0));
  CHECK_INT(agent_version_of(MC_LIT("1.3.4.5")), 0);
  CHECK_INT(agent_version_of(MC_LIT("v1")), 0);
  CHECK_INT(agent_version_of(MC_LIT("1.999.0")), 0);
  end();
}

static void test_wildcards_take_what_the_manifest_decodes(void)
{
  mc_why why;
  CHECK(ready());
  mc_campaign_collect all = {.fqn = MC_LIT("Vehicle.ENGINE.*"), .max_samples = 3}, part = {.fqn = MC_LIT("Vehicle.*.T*m*"), .max_samples = 4}, none = {.fqn = MC_LIT("Vehicle.Cabin.*")};
  mc_campaign g = {.tenant = 1, .name = MC_LIT("x"), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = &none, .signal_count = 1};
  CHECK_INT(mc_campaign_create(c, &g, true, &arena, &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "signals[0]: no signal of the catalog is like \"Vehicle.Cabin.*\"");
  CHECK_OK(make("all", (mc_campaign){.signal = &all, .signal_count = 1}, true));
  CHECK_OK(checkin(NULL, 0, false));
  const mc_fw_scheme *s = last_scheme();
  CHECK(s != NULL);
  CHECK_INT(s->signal_count, 3); /* Rpm, Temp, Trim */
  CHECK_INT(s->signal[0].sample_buffer_size, 3);
  CHECK_OK(mc_campaign_delete(c, 1, 1, &why));
  CHECK_OK(make("part", (mc_campaign){.signal = &part, .signal_count = 1}, true));
  s = last_scheme();
  CHECK(s != NULL);
  CHECK_INT(s->signal_count, 2); /* Temp, Trim */
  mc_campaign_reach *reach;
  size_t n;
  CHECK_OK(mc_campaign_reach_of(c, &(mc_campaign){.tenant = 1, .target_kind = MC_LIT("all"), .signal = &all, .signal_count = 1}, &arena, &reach, &n, &why));
  CHECK_INT(n, 1);
  CHECK(reach[0].reached);
  end();
}

static void test_conditions_that_can_never_hold_are_refused_at_their_byte(void)
{
  static const char tree[] = "{\"Vehicle\":{\"type\":\"branch\",\"description\":\"\",\"children\":{\"VIN\":{\"type\":\"attribute\",\"datatype\":\"string\",\"description\":\"\"}}}}";
  static const struct { const char *text, *part; } cases[] = {
      {"$variable.`Vehicle.VIN` > 5", "byte 0: > takes numbers, and this is text"},
      {"$variable.`Vehicle.ENGINE.Rpm` == 'on'", "byte 31: == has a number on one side and text on the other"},
      {"$variable.`Vehicle.ENGINE.Rpm` > 1 && 'yes'", "byte 38: && takes numbers"},
      {"'a' + 'b'", "byte 0: this is text, and a condition is true or false"},
      {"custom_function('abs', 'x') > 1", "byte 23: abs takes one number, and this is text"},
      {"custom_function('pow', 2) > 1", "byte 0: pow takes two numbers, found 1 arguments"},
      {"last_window_max($variable.`Vehicle.VIN`) > 1", "byte 0: a window is over numbers"},
      {"custom_function('MULTI_RISING_EDGE_TRIGGER', 'a', true, 'b')", "byte 0: MULTI_RISING_EDGE_TRIGGER takes pairs of a name in quotes and a condition, found 3 arguments"},
      {"custom_function('MULTI_RISING_EDGE_TRIGGER', 'a', 'b')", "byte 50: MULTI_RISING_EDGE_TRIGGER takes pairs of a name in quotes and a condition, and this is text"},
      {"custom_function('MULTI_RISING_EDGE_TRIGGER', 1, true)", "byte 45: MULTI_RISING_EDGE_TRIGGER takes pairs of a name in quotes and a condition, and this is no text"},
      {"!$variable.`Vehicle.VIN`", "byte 1: ! takes numbers"},
      {"$variable.`Vehicle.ENGINE.Rpm` > 1 && $variable.`Vehicle.ENGINE.Tmp` > 2", "byte 49: there is no signal \"Vehicle.ENGINE.Tmp\"; did you mean \"Vehicle.ENGINE.Temp\"?"},
  };
  mc_catalog catalog = {0};
  uint32_t depth, added, kept;
  mc_slice *fqns;
  size_t n;
  mc_why why;
  CHECK(ready());
  CHECK_OK(mc_catalog_read_vss_json(mc_slice_str(tree), &catalog, &why));
  CHECK_OK(mc_campaign_import_catalog(c, 1, &catalog, &added, &kept, &why));
  mc_catalog_free(&catalog);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK(mc_campaign_check_expression(c, 1, mc_slice_str(cases[i].text), &depth, &arena, &fqns, &n, &why) != MC_OK);
    CHECK_WHY(why, cases[i].part);
  }
  CHECK_OK(mc_campaign_check_expression(c, 1, MC_LIT("$variable.`Vehicle.VIN` != 'x' && custom_function('their_own', 'x') + 1 > 0"), &depth, &arena, &fqns, &n, &why));
  end();
}

/* ---- hostile ---- */

static void test_thousands_of_ids_are_counted_and_cost_nothing(void)
{
  enum { COUNT = 6000 };
  static mc_slice many[COUNT];
  static char text[COUNT][16];
  mc_campaign_stats stats;
  CHECK(ready());
  CHECK_OK(make("one", (mc_campaign){0}, true));
  CHECK_OK(checkin(NULL, 0, false));
  accept();
  many[0] = ids[0];
  many[1] = ids[1];
  for (int i = 2; i < COUNT; i++) {
    snprintf(text[i], sizeof text[i], "x%d", i % 3000);
    many[i] = i % 2 ? ids[1] : mc_slice_str(text[i]); /* ours repeated, and strange ones */
  }
  CHECK_OK(checkin(many, COUNT, false));
  CHECK_STR(where(1), "HEALTHY confirmed");
  look();
  CHECK_INT(agent.reported, 2);
  CHECK_INT(agent.unknown, 2047);
  CHECK_INT(agent.dropped, COUNT - 4096);
  CHECK_SLICE(agent.first_unknown, "x2");
  CHECK_INT(trouble("ids_unknown"), 2047);
  CHECK_INT(trouble("ids_dropped"), COUNT - 4096);
  mc_campaign_stats_get(c, &stats);
  CHECK_INT(stats.ids_unknown, 2047);
  CHECK_INT(stats.ids_dropped, COUNT - 4096);
  for (int i = 0; i < 30; i++) /* a strange one ought to go: the whole list is sent, and not for ever */
    CHECK_OK(checkin(many, COUNT, false));
  CHECK(sent_count <= 10); /* five lists of campaigns, five removals of templates */
  end();
}

static void test_check_ins_that_are_none_are_counted_and_change_nothing(void)
{
  static uint8_t bomb[200000];
  mc_campaign_stats stats;
  CHECK(ready());
  CHECK_OK(make("one", (mc_campaign){0}, true));
  CHECK_OK(checkin(NULL, 0, false));
  accept();
  CHECK_OK(checkin(ids, id_count, false));
  static const uint8_t torn[] = {0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 'x'}, wrong[] = {0x08, 1}, endless[] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  CHECK_OK(checkin_bytes(mc_slice_of(torn, sizeof torn)));
  CHECK_OK(checkin_bytes(mc_slice_of(wrong, sizeof wrong)));
  CHECK_OK(checkin_bytes(mc_slice_of(endless, sizeof endless)));
  CHECK_INT(trouble("checkin_unreadable"), 3);
  mc_campaign_stats_get(c, &stats);
  CHECK_INT(stats.checkins_unreadable, 3);
  CHECK_STR(where(1), "HEALTHY confirmed"); /* the last good one counts */
  for (size_t i = 0; i + 1 < sizeof bomb; i += 2) /* 100,000 empty ids */
    bomb[i] = 0x0A;
  CHECK_OK(checkin_bytes(mc_slice_of(bomb, sizeof bomb)));
  look();
  CHECK_INT(agent.unknown, 4096);
  CHECK_INT(agent.dropped, 100000 - 4096);
  CHECK_OK(checkin(ids, id_count, false));
  CHECK_STR(where(1), "HEALTHY confirmed");
  end();
}

static void test_strange_data_shows_at_its_vehicle(void)
{
  uint32_t rpm;
  CHECK(ready());
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  mc_fw_sample s[2] = {{.signal_id = rpm, .number = 1}, {.signal_id = 77777, .number = 1}};
  mc_fw_vehicle_data d = {.campaign_sync_id = MC_LIT("strange"), .manifest_sync_id = MC_LIT("never-made"), .event_time_ms = (uint64_t)mc_clock_wall_us() / 1000,
                          .sample = s, .sample_count = 2};
  CHECK_OK(telemetry(&d, false, 1));
  CHECK_OK(telemetry(&d, false, 2)); /* again */
  CHECK_INT(trouble("campaign_unknown"), 1);
  CHECK_INT(trouble("manifest_unknown"), 1);
  CHECK_INT(trouble("signal_unknown"), 1);
  CHECK_INT(trouble("repeated"), 1);
  d.event_id = 2;
  d.event_time_ms += 3600 * 1000;
  d.sample_count = 1;
  CHECK_OK(telemetry(&d, false, 3));
  CHECK_INT(trouble("clock_ahead"), 1);
  look();
  CHECK(!agent.heard); /* it sent data and never checked in */
  mc_campaign_stats stats;
  mc_campaign_stats_get(c, &stats);
  CHECK_INT(stats.unknown_campaigns, 2);
  CHECK_INT(stats.unknown_manifests, 2);
  end();
}

/* Every row of the table of agents' defects stands in the README. */
static void test_the_readme_tells_every_work_around(void)
{
  static char text[64 << 10];
  FILE *f = fopen(MC_SOURCE_DIR "/src/campaign/README.md", "r");
  CHECK(f != NULL);
  size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = 0;
  for (int i = 0; i < AROUND_COUNT; i++) {
    char row[600];
    snprintf(row, sizeof row, "| %s | %s | %s |", agent_defects[i].name, agent_defects[i].defect, agent_defects[i].done);
    if (!strstr(text, row))
      TAP_FAIL("the README lacks: %s", row);
  }
  CHECK(agent_needs((agent_kind){0}, AROUND_DEPTH));
  CHECK(!agent_needs((agent_kind){.ours = true}, AROUND_DEPTH));
  CHECK(agent_needs((agent_kind){.ours = true}, AROUND_MEMORY));
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  arena = MC_ARENA(0);
  RUN(test_a_campaign_goes_from_created_to_healthy_to_deleted);
  RUN(test_what_is_dropped_without_a_word_is_told_after_two_check_ins);
  RUN(test_another_manifest_and_a_refusal_are_told_as_such);
  RUN(test_what_the_manifest_does_not_decode_is_named);
  RUN(test_the_vehicles_clock_explains_what_it_does_not_list);
  RUN(test_a_campaign_that_starts_later_is_sent_once);
  RUN(test_what_was_sent_is_remembered_over_a_restart);
  RUN(test_more_than_an_agent_has_memory_for_waits_and_says_so);
  RUN(test_more_conditions_than_an_agent_takes_wait_and_say_so);
  RUN(test_long_chains_fit_an_agent_that_reads_ten_levels_and_deep_sums_are_refused);
  RUN(test_windows_are_adapted_to_the_agent);
  RUN(test_an_older_agent_is_kept_from_what_it_gets_wrong);
  RUN(test_wildcards_take_what_the_manifest_decodes);
  RUN(test_conditions_that_can_never_hold_are_refused_at_their_byte);
  RUN(test_thousands_of_ids_are_counted_and_cost_nothing);
  RUN(test_check_ins_that_are_none_are_counted_and_change_nothing);
  RUN(test_strange_data_shows_at_its_vehicle);
  RUN(test_the_readme_tells_every_work_around);
  mc_arena_free(&arena);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
