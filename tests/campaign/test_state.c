/* State templates: by operations, to a vehicle as deltas with versions, its states back into blocks, commands and their answers. */
#include "campaign_case.h"
#include "format/fleetwise_state.h"

static mc_arena arena;
static mc_buf answer;
static mc_control_error fault;
static mc_why why;

static mc_err call(const char *operation, const char *input)
{
  mc_control_error_free(&fault);
  mc_buf_clear(&answer);
  why = (mc_why){0};
  mc_control_request request = {.tenant = 1, .operation = mc_slice_str(operation), .input = mc_slice_str(input)};
  mc_err err = mc_control_call(c, &request, &answer, &fault, &why);
  mc_buf_append_u8(&answer, 0);
  return err;
}

static bool has(const char *part)
{
  const char *text = answer.len ? (const char *)answer.data : "";
  if (!strstr(text, part))
    printf("# %s\n# does not hold %s (%s)\n", text, part, why.text);
  return strstr(text, part) != NULL;
}

static bool ready(void)
{
  mc_dbc_import_report report;
  vehicle_clock_ms = 0;
  mc_arena_reset(&arena);
  bool ok = begin() && import(dbc_text, "", &report, &why) == MC_OK && give_manifest() == MC_OK && call("CreateSignalCatalog", "{\"name\":\"cat\"}") == MC_OK;
  if (!ok)
    printf("# %s\n", why.text);
  return ok;
}

static void finish(void)
{
  mc_control_error_free(&fault);
  mc_buf_free(&answer);
  end();
}

#define CATALOG "\"signalCatalogArn\":\"arn:aws:iotfleetwise:local:000000000000:signal-catalog/cat\","

static mc_err make_template(const char *name)
{
  char input[600];
  snprintf(input, sizeof input, "{\"name\":\"%s\"," CATALOG "\"stateTemplateProperties\":[\"Vehicle.ENGINE.Rpm\",\"Vehicle.ENGINE.Temp\"]}", name);
  return call("CreateStateTemplate", input);
}

/* The last document for last known state; NULL: none. */
static const mc_fw_state_templates *last_delta(void)
{
  static mc_fw_state_templates d;
  for (int i = sent_count - 1; i >= 0; i--)
    if (strstr(outbox[i % 32].topic, "last_known_states/config"))
      return mc_fw_read_state_templates(mc_buf_slice(&outbox[i % 32].payload), &arena, &d, &why) ? NULL : &d;
  return NULL;
}

static const char *stands(void)
{
  static char out[100];
  mc_vehicle_template *list;
  size_t n;
  if (mc_templates_of_vehicle(c, 1, car.id, &arena, &list, &n, &why))
    return why.text;
  if (n != 1)
    return n ? "several" : "none at all";
  snprintf(out, sizeof out, "%.*s %.*s", MC_FMT(list[0].state), MC_FMT(list[0].reason));
  return out;
}

static void test_a_template_lives_its_whole_life_by_name_and_by_id(void)
{
  char input[300];
  CHECK(ready());
  CHECK_OK(call("CreateStateTemplate", "{\"name\":\"t1\",\"description\":\"d\"," CATALOG "\"stateTemplateProperties\":[\"Vehicle.ENGINE.Rpm\"],\"dataExtraDimensions\":[\"Vehicle.A\"],"
                                       "\"metadataExtraDimensions\":[\"Vehicle.B\"],\"tags\":[{\"Key\":\"k\",\"Value\":\"v\"}]}"));
  CHECK(has("\"arn\":\"arn:aws:iotfleetwise:local:000000000000:state-template/t1\""));
  const char *id = strstr((const char *)answer.data, "\"id\":\"");
  CHECK(id != NULL);
  CHECK_INT(strcspn(id + 6, "\""), 26);
  snprintf(input, sizeof input, "{\"identifier\":\"%.26s\"}", id + 6);
  CHECK_OK(call("GetStateTemplate", input));
  CHECK(has("\"name\":\"t1\""));
  CHECK(has("\"stateTemplateProperties\":[\"Vehicle.ENGINE.Rpm\"],\"dataExtraDimensions\":[\"Vehicle.A\"],\"metadataExtraDimensions\":[\"Vehicle.B\"]"));
  CHECK_OK(call("UpdateStateTemplate", "{\"identifier\":\"t1\",\"description\":\"e\","
                                       "\"stateTemplatePropertiesToAdd\":[\"Vehicle.ENGINE.Temp\"],\"stateTemplatePropertiesToRemove\":[\"Vehicle.ENGINE.Rpm\"]}"));
  CHECK_OK(call("GetStateTemplate", "{\"identifier\":\"t1\"}"));
  CHECK(has("\"description\":\"e\""));
  CHECK(has("\"stateTemplateProperties\":[\"Vehicle.ENGINE.Temp\"]"));
  CHECK_OK(call("ListTagsForResource", "{\"ResourceARN\":\"arn:aws:iotfleetwise:local:000000000000:state-template/t1\"}"));
  CHECK(has("\"Value\":\"v\""));
  CHECK_OK(make_template("t0"));
  CHECK_OK(call("ListStateTemplates", "{\"maxResults\":1}"));
  CHECK(has("\"name\":\"t0\""));
  CHECK(has("\"nextToken\""));
  CHECK_OK(call("DeleteStateTemplate", "{\"identifier\":\"t1\"}"));
  CHECK_OK(call("DeleteStateTemplate", "{\"identifier\":\"t1\"}")); /* declares no ResourceNotFound */
  CHECK_INT(call("GetStateTemplate", "{\"identifier\":\"t1\"}"), MC_ERR_NOT_FOUND);
  CHECK_INT(fault.fault, MC_CONTROL_NOT_FOUND);
  finish();
}

static void test_templates_that_cannot_be_are_refused(void)
{
  CHECK(ready());
  CHECK(call("CreateStateTemplate", "{\"name\":\"t\"," CATALOG "\"stateTemplateProperties\":[\"Vehicle.ENGINE.Tmp\",\"Vehicle.ENGINE.Rpm\"]}") != MC_OK);
  CHECK_INT(fault.fault, MC_CONTROL_INVALID_SIGNALS);
  mc_buf_append_u8(&fault.members, 0);
  CHECK(strstr((const char *)fault.members.data, "{\"name\":\"Vehicle.ENGINE.Tmp\",\"reason\":\"there is no signal \\\"Vehicle.ENGINE.Tmp\\\"; did you mean \\\"Vehicle.ENGINE.Temp\\\"?\"}"));
  CHECK(call("CreateStateTemplate", "{\"name\":\"t\",\"signalCatalogArn\":\"arn:aws:iotfleetwise:local:000000000000:signal-catalog/none\","
                                    "\"stateTemplateProperties\":[\"Vehicle.ENGINE.Rpm\"]}") != MC_OK);
  CHECK_INT(fault.fault, MC_CONTROL_NOT_FOUND);
  CHECK_OK(make_template("t"));
  CHECK(make_template("t") != MC_OK);
  CHECK_INT(fault.fault, MC_CONTROL_CONFLICT);
  CHECK(call("UpdateStateTemplate", "{\"identifier\":\"t\",\"stateTemplatePropertiesToRemove\":[\"Vehicle.ENGINE.Rpm\",\"Vehicle.ENGINE.Temp\"]}") != MC_OK);
  CHECK_INT(fault.fault, MC_CONTROL_VALIDATION);
  CHECK(call("UpdateStateTemplate", "{\"identifier\":\"t\",\"stateTemplatePropertiesToAdd\":[\"Vehicle.ENGINE.Rpm\"]}") != MC_OK);
  CHECK_INT(fault.fault, MC_CONTROL_INVALID_SIGNALS);
  char id[27];
  CHECK_INT(mc_template_give(c, 1, car.id, MC_LIT("none"), 0, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_template_give(c, 1, car.id, MC_LIT("t"), UINT64_MAX, &why), MC_ERR_INVALID);
  CHECK_INT(mc_template_give(c, 1, 999, MC_LIT("t"), 0, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_template_command(c, 1, car.id, MC_LIT("t"), MC_STATE_ACTIVATE, 0, 0, id, &why), MC_ERR_CONFLICT);
  CHECK_WHY(why, "never checked in");
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(mc_template_command(c, 1, car.id, MC_LIT("t"), MC_STATE_ACTIVATE, 0, 0, id, &why), MC_ERR_CONFLICT);
  CHECK_WHY(why, "does not have the state template t");
  finish();
}

static void test_a_vehicle_gets_templates_as_deltas_and_confirms_them(void)
{
  CHECK(ready());
  CHECK_OK(make_template("t"));
  CHECK_OK(mc_template_give(c, 1, car.id, MC_LIT("t"), 5000, &why));
  CHECK_STR(stands(), "pending never_checked_in");
  CHECK_OK(checkin(NULL, 0, false));
  const mc_fw_state_templates *d = last_delta();
  CHECK(d != NULL);
  CHECK_INT(d->add_count, 1);
  CHECK_INT(d->remove_count, 0);
  CHECK(d->add[0].periodic);
  CHECK_INT(d->add[0].period_ms, 5000);
  CHECK_INT(d->add[0].signal_count, 2);
  CHECK(d->manifest_sync_id.len > 0);
  uint64_t version = d->version;
  mc_slice ids[2] = {d->manifest_sync_id, d->add[0].sync_id}, old = d->add[0].sync_id;
  CHECK_STR(stands(), "pending sent");
  CHECK_OK(checkin(ids, 2, false));
  CHECK_STR(stands(), "healthy confirmed");
  sent_count = 0;
  for (int i = 0; i < 5; i++)
    CHECK_OK(checkin(ids, 2, false));
  CHECK_INT(sent_count, 0);
  CHECK_OK(mc_template_give(c, 1, car.id, MC_LIT("t"), 0, &why)); /* another strategy is another id: one comes, one goes */
  d = last_delta();
  CHECK(d != NULL);
  CHECK_INT(d->add_count, 1);
  CHECK(!d->add[0].periodic);
  CHECK_INT(d->remove_count, 1);
  CHECK(mc_slice_eq(d->remove[0], old));
  CHECK(d->version > version); /* a lower one is ignored (contract 4) */
  version = d->version;
  ids[1] = d->add[0].sync_id;
  CHECK_OK(checkin(ids, 2, false));
  CHECK_STR(stands(), "healthy confirmed");
  CHECK_OK(mc_campaign_checkpoint(c, 10, &why));
  mc_campaigns_close(&c);
  CHECK(open_module());
  CHECK_STR(stands(), "healthy confirmed");
  sent_count = 0;
  CHECK_OK(call("DeleteStateTemplate", "{\"identifier\":\"t\"}"));
  d = last_delta();
  CHECK(d != NULL);
  CHECK_INT(d->add_count, 0);
  CHECK_INT(d->remove_count, 1);
  CHECK(d->version > version);
  CHECK_STR(stands(), "none at all");
  CHECK_OK(checkin(ids, 1, false));
  sent_count = 0;
  CHECK_OK(checkin(ids, 1, false));
  CHECK_INT(sent_count, 0);
  finish();
}

static mc_err up(const char *rest, mc_slice payload, uint64_t offset)
{
  char topic[300];
  snprintf(topic, sizeof topic, "%s", rest);
  mc_record r = {.offset = offset, .stream = MC_STREAM_TELEMETRY, .tenant = 1, .principal = thing.id, .time_us = mc_clock_wall_us(), .topic = mc_slice_str(topic), .payload = payload};
  return mc_campaign_record(c, &r, offset + 1, &why);
}

static mc_err state_up(const mc_fw_state_data *d, uint64_t offset)
{
  mc_buf plain = {0}, packed = {0};
  mc_err err = mc_fw_write_state_data(&plain, d);
  if (!err)
    err = mc_snappy_compress(mc_buf_slice(&plain), &packed);
  if (!err)
    err = up("$aws/iotfleetwise/vehicles/car-1/last_known_states/data", mc_buf_slice(&packed), offset);
  mc_buf_free(&plain);
  mc_buf_free(&packed);
  return err;
}

static uint64_t trouble(const char *kind)
{
  mc_vehicle_campaign *list;
  mc_vehicle_agent agent;
  size_t n;
  if (mc_campaign_of_vehicle(c, 1, car.id, &arena, &list, &n, &agent, &why))
    return 0;
  for (size_t i = 0; i < agent.trouble_count; i++)
    if (mc_slice_eq_str(agent.trouble[i].kind, kind))
      return agent.trouble[i].count;
  return 0;
}

static void test_states_become_samples_in_their_own_types(void)
{
  uint32_t rpm, temp, trim;
  CHECK(ready());
  CHECK_OK(make_template("t"));
  CHECK_OK(mc_template_give(c, 1, car.id, MC_LIT("t"), 0, &why));
  CHECK_OK(checkin(NULL, 0, false));
  const mc_fw_state_templates *delta = last_delta();
  CHECK(delta != NULL);
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Rpm"), &rpm));
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Temp"), &temp));
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.ENGINE.Trim"), &trim));
  mc_fw_state_sample s[4] = {{rpm, {.type = MC_FW_TYPE_FLOAT64, .d = 1234.25}},
                             {trim, {.type = MC_FW_TYPE_INT16, .i = -5}},
                             {temp, {.type = MC_FW_TYPE_UINT8, .u = 90}},
                             {88888, {.type = MC_FW_TYPE_BOOL, .u = 1}}};
  mc_fw_state_of_template of = {delta->add[0].sync_id, s, 1};
  mc_fw_state_data d = {.time_ms = (uint64_t)mc_clock_wall_us() / 1000, .state = &of, .state_count = 1};
  CHECK_OK(state_up(&d, 100));
  CHECK_INT(samples, 1);
  CHECK_INT(raws, 1);
  CHECK_INT(last_raw, 4937); /* 1234.25 at 0.25 a step */
  CHECK_INT(last_time, (int64_t)d.time_ms * 1000);
  CHECK_OK(state_up(&d, 200)); /* again: once */
  CHECK_INT(samples, 1);
  CHECK_INT(trouble("repeated"), 1);
  d.time_ms++;
  of.sample = s + 1;
  CHECK_OK(state_up(&d, 300));
  CHECK_INT(last_raw, -5); /* Trim has no step: the integer itself */
  d.time_ms++;
  of.sample_count = 3;
  CHECK_OK(state_up(&d, 400));
  CHECK_INT(samples, 4); /* the unknown signal is left out */
  CHECK_INT(trouble("signal_unknown"), 1);
  d.time_ms++;
  of.sync_id = MC_LIT("another-0123456789abcdef");
  CHECK_OK(state_up(&d, 500));
  CHECK_INT(samples, 4);
  CHECK_INT(trouble("template_unknown"), 1);
  CHECK_OK(up("cms/fleetwise/vehicles/car-1/last_known_states/data", MC_LIT("no snappy"), 600));
  CHECK_OK(up("cms/fleetwise/vehicles/car-1/last_known_states/data", MC_LIT("\xff\xff\xff\xff\x0f"), 601)); /* says that it expands to 4 GiB */
  d.time_ms = UINT64_MAX;
  CHECK_OK(state_up(&d, 700));
  CHECK_INT(trouble("data_unreadable"), 3);
  mc_state_template t;
  CHECK_OK(mc_template_by_sync(c, 1, delta->add[0].sync_id, &arena, &t));
  CHECK_SLICE(t.name, "t");
  CHECK_INT(mc_template_by_sync(c, 1, MC_LIT("x"), &arena, &t), MC_ERR_NOT_FOUND);
  finish();
}

static mc_err answer_up(const char *id, uint32_t status, uint32_t reason, const char *topic_id)
{
  char topic[200];
  mc_buf payload = {0};
  mc_fw_command_response r = {.status = status, .command_id = mc_slice_str(id), .reason = reason};
  mc_err err = mc_fw_write_command_response(&payload, &r);
  snprintf(topic, sizeof topic, "$aws/commands/things/car-1/executions/%s/response/protobuf", topic_id);
  if (!err)
    err = up(topic, mc_buf_slice(&payload), 1);
  mc_buf_free(&payload);
  return err;
}

static const char *command_status(void)
{
  static char out[200];
  mc_state_command *list;
  size_t n;
  if (mc_template_commands(c, 1, car.id, 10, &arena, &list, &n, &why) || !n)
    return "none";
  snprintf(out, sizeof out, "%.*s %u %.*s", MC_FMT(list[0].status), list[0].reason, MC_FMT(list[0].text));
  return out;
}

static void test_commands_activate_a_template_and_end_by_their_answer(void)
{
  char id[27];
  CHECK(ready());
  CHECK_OK(make_template("t"));
  CHECK_OK(mc_template_give(c, 1, car.id, MC_LIT("t"), 0, &why));
  CHECK_OK(checkin(NULL, 0, false));
  const mc_fw_state_templates *delta = last_delta();
  CHECK(delta != NULL);
  sent_count = 0;
  CHECK_OK(mc_template_command(c, 1, car.id, MC_LIT("t"), MC_STATE_ACTIVATE, 120, 5000, id, &why));
  CHECK_INT(sent_count, 1);
  char topic[200];
  snprintf(topic, sizeof topic, "$aws/commands/things/car-1/executions/%s/request/protobuf", id);
  CHECK_STR(outbox[0].topic, topic);
  mc_fw_command_request r;
  CHECK_OK(mc_fw_read_command_request(mc_buf_slice(&outbox[0].payload), &arena, &r, &why));
  CHECK_SLICE(r.command_id, id);
  CHECK_INT(r.kind, MC_FW_COMMAND_STATE);
  CHECK_INT(r.order_count, 1);
  CHECK(mc_slice_eq(r.order[0].sync_id, delta->add[0].sync_id));
  CHECK_INT(r.order[0].action, MC_FW_STATE_ACTIVATE);
  CHECK_INT(r.order[0].deactivate_after_seconds, 120);
  CHECK_INT(r.timeout_ms, 5000);
  CHECK(r.issued_ms > 0);
  CHECK_STR(command_status(), "sent 0 ");
  CHECK_OK(answer_up(id, MC_FW_COMMAND_IN_PROGRESS, 0, id));
  CHECK_STR(command_status(), "in_progress 0 ");
  CHECK_OK(answer_up(id, MC_FW_COMMAND_FAILED, 6, id));
  CHECK(strncmp(command_status(), "failed 6 ", 9) == 0 && strlen(command_status()) > 12); /* with what 6 means */
  CHECK_OK(answer_up(id, MC_FW_COMMAND_IN_PROGRESS, 0, id)); /* late: takes nothing back */
  CHECK(strncmp(command_status(), "failed 6 ", 9) == 0);
  CHECK_OK(answer_up("other", MC_FW_COMMAND_SUCCEEDED, 0, "other"));
  CHECK_OK(answer_up("", MC_FW_COMMAND_FAILED, 4, "")); /* it could not read the request (5.7) */
  CHECK_OK(answer_up(id, MC_FW_COMMAND_SUCCEEDED, 0, "other"));
  CHECK_INT(trouble("command_unknown"), 3);
  CHECK_OK(mc_campaign_checkpoint(c, 10, &why));
  mc_campaigns_close(&c);
  CHECK(open_module());
  CHECK(strncmp(command_status(), "failed 6 ", 9) == 0);
  CHECK_OK(mc_db_run(db, &why, "UPDATE state_command SET status = 0, issued_us = issued_us - 20000000", ""));
  mc_campaigns_close(&c);
  CHECK(open_module());
  CHECK_STR(command_status(), "no_answer 6 the vehicle does not have the state template"); /* our own timer */
  finish();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  arena = MC_ARENA(0);
  RUN(test_a_template_lives_its_whole_life_by_name_and_by_id);
  RUN(test_templates_that_cannot_be_are_refused);
  RUN(test_a_vehicle_gets_templates_as_deltas_and_confirms_them);
  RUN(test_states_become_samples_in_their_own_types);
  RUN(test_commands_activate_a_template_and_end_by_their_answer);
  mc_arena_free(&arena);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
