/* Structured signals in the agent: parts of a message in conditions and in what is collected, all of one as JSON, what is damaged or shorter, and messages in a log. */
#include <math.h>
#include <unistd.h>

#include "documents.h"
#include "edge/decoder.h"
#include "edge/message_line.h"

static mc_why why;
static caught out;
static char texts[8][200];
static int text_count;
static uint32_t last_path[8], last_path_count;

static void on_collected(void *ctx, const mc_collected *e)
{
  mc_arena a = MC_ARENA(16 << 20);
  mc_fw_vehicle_data d;
  catch_event(&out, e);
  if (mc_fw_read_vehicle_data(mc_buf_slice(&out.last), &a, &d, NULL) == MC_OK)
    for (uint32_t k = 0; k < d.sample_count; k++) {
      if (d.sample[k].is_string && text_count < 8)
        mc_slice_to_str(d.sample[k].text, texts[text_count++], sizeof texts[0]);
      last_path_count = d.sample[k].path ? d.path[d.sample[k].path - 1].count : 0;
      for (uint32_t n = 0; n < last_path_count && n < 8; n++)
        last_path[n] = d.path[d.sample[k].path - 1].index[n];
    }
  mc_arena_free(&a);
}

/* Signal 7: {count: u8, name: text, objects: [{distance: f64}]}, as /objects:demo/Objects on ros2. */
static mc_buf manifest(const char *id)
{
  static const mc_fw_complex_member object[] = {{2, {(const uint8_t *)"distance", 8}}},
                                    root[] = {{1, {(const uint8_t *)"count", 5}}, {3, {(const uint8_t *)"name", 4}}, {5, {(const uint8_t *)"objects", 7}}};
  const mc_fw_complex_type type[] = {{.type_id = 1, .kind = MC_FW_COMPLEX_PRIMITIVE, .type = MC_FW_TYPE_UINT8},
                                     {.type_id = 2, .kind = MC_FW_COMPLEX_PRIMITIVE, .type = MC_FW_TYPE_FLOAT64},
                                     {.type_id = 3, .kind = MC_FW_COMPLEX_STRING},
                                     {.type_id = 4, .kind = MC_FW_COMPLEX_STRUCT, .member = object, .member_count = 1},
                                     {.type_id = 5, .kind = MC_FW_COMPLEX_ARRAY, .element_type = 4},
                                     {.type_id = 6, .kind = MC_FW_COMPLEX_STRUCT, .member = root, .member_count = 3}};
  const mc_fw_complex_signal signal[] = {{7, MC_LIT("ros2"), MC_LIT("/objects:demo/Objects"), 6}, {8, MC_LIT("ros2"), MC_LIT("/lost:demo/Lost"), 99}};
  mc_fw_manifest m = {.sync_id = mc_slice_str(id), .complex_type = type, .complex_type_count = 6, .complex = signal, .complex_count = 2};
  mc_buf b = {0};
  mc_fw_write_manifest(&b, &m);
  return b;
}

/* Lists of up to 4 distances. */
static mc_buf message(uint8_t count, const char *name, const double *distance, uint32_t n)
{
  mc_buf b = {0};
  uint8_t raw[8];
  mc_buf_append_slice(&b, mc_slice_of("\0\1\0\0", 4));
  mc_buf_append_u8(&b, count);
  mc_buf_append_slice(&b, mc_slice_of("\0\0\0", 3));
  mc_store_le32(raw, (uint32_t)strlen(name) + 1);
  mc_buf_append_slice(&b, mc_slice_of(raw, 4));
  mc_buf_append_slice(&b, mc_slice_of(name, strlen(name) + 1));
  while ((b.len - 4) % 4)
    mc_buf_append_u8(&b, 0);
  mc_store_le32(raw, n);
  mc_buf_append_slice(&b, mc_slice_of(raw, 4));
  for (uint32_t k = 0; k < n; k++) {
    while ((b.len - 4) % 8)
      mc_buf_append_u8(&b, 0);
    memcpy(raw, &distance[k], 8);
    mc_buf_append_slice(&b, mc_slice_of(raw, 8));
  }
  return b;
}

static mc_inspector *start(const mc_fw_scheme *scheme)
{
  mc_inspector *i = NULL;
  mc_inspector_config config = {.channel_of = channel_can0, .collected = on_collected};
  mc_buf_free(&out.last);
  memset(&out, 0, sizeof out);
  text_count = 0;
  if (mc_inspector_create(&config, &i, &why))
    return NULL;
  mc_inspector_tick(i, t0_us);
  mc_buf m = manifest("dm1"), s = make_schemes(scheme, 1);
  if (mc_inspector_set_manifest(i, mc_buf_slice(&m), &why) || mc_inspector_set_schemes(i, mc_buf_slice(&s), t0_us, &why))
    mc_inspector_destroy(&i);
  mc_buf_free(&m);
  mc_buf_free(&s);
  return i;
}

static mc_err push(mc_inspector *i, mc_buf *cdr, int64_t after_ms, size_t *values)
{
  mc_structured_message m = {MC_LIT("ros2"), MC_LIT("/objects:demo/Objects"), mc_buf_slice(cdr), t0_us + after_ms * 1000};
  mc_err err = mc_inspector_message(i, &m, values, &why);
  mc_buf_free(cdr);
  return err;
}

static mc_fw_node *part(const uint32_t *path, uint32_t count)
{
  static mc_fw_node n[4];
  static mc_buf text[4];
  static int turn;
  int t = turn++ & 3;
  mc_buf_clear(&text[t]);
  mc_fw_path p = {7, path, count};
  mc_fw_write_path(&text[t], &p);
  n[t] = (mc_fw_node){.kind = MC_FW_NODE_PATH, .signal_id = 7, .text = mc_buf_slice(&text[t])};
  return &n[t];
}

static const uint32_t second[] = {2, 1, 0}, name_path[] = {1}, count_path[] = {0};

static void test_parts_in_a_condition_and_in_what_is_collected(void)
{
  mc_fw_node ten = {.kind = MC_FW_NODE_DOUBLE, .number = 10}, car = {.kind = MC_FW_NODE_STRING, .text = MC_LIT("car")};
  mc_fw_node near = {.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_LT, .left = part(second, 3), .right = &ten},
             named = {.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_EQ, .left = part(name_path, 1), .right = &car},
             both = {.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_AND, .left = &near, .right = &named};
  mc_fw_signal_info info[] = {{.signal_id = 7, .sample_buffer_size = 5, .path = second, .path_count = 3}, {.signal_id = 7, .sample_buffer_size = 5, .path = name_path, .path_count = 1}};
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.condition_based = true;
  s.condition = &both;
  s.trigger_mode = 1;
  s.signal = info;
  s.signal_count = 2;
  mc_inspector *i = start(&s);
  CHECK(i);
  size_t values;
  mc_buf m = message(1, "car", (const double[]){1, 50}, 2);
  CHECK_OK(push(i, &m, 10, &values));
  CHECK_INT(values, 2);
  m = message(2, "bicycle", (const double[]){1, 5}, 2);
  CHECK_OK(push(i, &m, 20, &values));
  CHECK_INT(out.events, 0);
  m = message(2, "car", (const double[]){1}, 1); /* the list is shorter: nothing for its second element */
  CHECK_OK(push(i, &m, 30, &values));
  CHECK_INT(values, 1);
  CHECK_INT(out.events, 1); /* the distance is still 5, the name is right now */
  CHECK_INT(out.count, 5);
  CHECK_DOUBLE(out.value[0], 5, 0);
  CHECK_DOUBLE(out.value[1], 50, 0);
  CHECK_INT(out.time_us[0], t0_us + 20000);
  CHECK_INT(text_count, 3);
  CHECK_STR(texts[0], "car");
  CHECK_STR(texts[1], "bicycle");
  CHECK_INT(last_path_count, 1);
  CHECK_INT(last_path[0], 1);
  CHECK_INT(i->sample_bytes, 2 * 5 * (long long)sizeof(sample)); /* the rings stay, the texts are gone */
  mc_inspector_destroy(&i);
}

static void test_a_whole_message_is_collected_as_json(void)
{
  mc_fw_signal_info info[] = {{.signal_id = 7, .sample_buffer_size = 2}};
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 100;
  s.signal = info;
  s.signal_count = 1;
  s.compress = true;
  mc_inspector *i = start(&s);
  size_t values;
  CHECK(i);
  for (int n = 0; n < 3; n++) { /* two fit: the oldest goes */
    mc_buf m = message((uint8_t)n, "x", (const double[]){1.5, 2}, 2);
    CHECK_OK(push(i, &m, 10 + n, &values));
  }
  mc_inspector_tick(i, t0_us + 100000);
  CHECK_INT(out.events, 1);
  CHECK_INT(text_count, 2);
  CHECK_STR(texts[0], "{\"count\":2,\"name\":\"x\",\"objects\":[{\"distance\":1.5},{\"distance\":2}]}");
  mc_inspector_destroy(&i);
}

/* Middleware has NaN and infinity for what was not measured, or lies out of range. */
static void test_a_number_that_is_none_is_no_sample(void)
{
  mc_fw_signal_info info[] = {{.signal_id = 7, .sample_buffer_size = 5, .path = second, .path_count = 3}, {.signal_id = 7, .sample_buffer_size = 5}};
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 100;
  s.signal = info;
  s.signal_count = 2;
  mc_inspector *i = start(&s);
  const double none[] = {NAN, INFINITY, -INFINITY};
  size_t values;
  CHECK(i);
  for (int n = 0; n < 3; n++) {
    mc_buf m = message(1, "x", (const double[]){1, none[n]}, 2);
    CHECK_OK(push(i, &m, 10 + n, &values));
    CHECK_INT(values, 1); /* the whole alone */
  }
  CHECK_INT(i->damaged, 0);
  mc_inspector_tick(i, t0_us + 100000);
  CHECK_INT(out.count, 3);
  CHECK_INT(text_count, 3);
  CHECK_STR(texts[0], "{\"count\":1,\"name\":\"x\",\"objects\":[{\"distance\":1},{\"distance\":null}]}");
  mc_inspector_destroy(&i);
}

static void test_a_text_that_fits_into_no_event_is_not_taken(void)
{
  enum { MOST = 100000 };
  static char name[MOST + 2];
  mc_fw_signal_info info[] = {{.signal_id = 7, .sample_buffer_size = 5, .path = name_path, .path_count = 1}};
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 100;
  s.signal = info;
  s.signal_count = 1;
  mc_inspector *i = start(&s);
  size_t values;
  CHECK(i);
  memset(name, 'x', MOST + 1);
  mc_buf m = message(1, name, NULL, 0);
  CHECK_INT(push(i, &m, 10, &values), MC_ERR_TOO_LARGE);
  CHECK_INT(values, 0);
  CHECK_INT(i->damaged, 1);
  name[MOST] = 0;
  m = message(1, name, NULL, 0);
  CHECK_OK(push(i, &m, 20, &values));
  mc_inspector_tick(i, t0_us + 100000);
  CHECK_INT(out.count, 1);
  CHECK(out.last.len > MOST && out.last.len <= 131072);
  mc_inspector_destroy(&i);
}

static void test_damage_is_counted_and_harms_nothing(void)
{
  mc_fw_signal_info info[] = {{.signal_id = 7, .sample_buffer_size = 5, .path = count_path, .path_count = 1}, {.signal_id = 7, .sample_buffer_size = 5}};
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 100;
  s.signal = info;
  s.signal_count = 2;
  mc_inspector *i = start(&s);
  const mc_slice *error;
  size_t values;
  CHECK(i);
  CHECK_INT(mc_inspector_errors(i, &error), 1); /* the signal whose root type is not there */
  CHECK(strstr((const char *)error[0].data, "signal 8") && strstr((const char *)error[0].data, "99"));
  mc_buf whole = message(3, "car", (const double[]){1, 2, 3}, 3);
  for (size_t n = 0; n < whole.len; n++) {
    mc_buf cut = {0};
    mc_buf_append_slice(&cut, mc_slice_of(whole.data, n));
    CHECK(push(i, &cut, 10, &values) != MC_OK);
  }
  CHECK_INT(i->damaged, whole.len);
  mc_structured_message other = {MC_LIT("ros2"), MC_LIT("/other:demo/Other"), mc_buf_slice(&whole), t0_us};
  CHECK_INT(mc_inspector_message(i, &other, &values, &why), MC_ERR_NOT_FOUND);
  other = (mc_structured_message){MC_LIT("ros3"), MC_LIT("/objects:demo/Objects"), mc_buf_slice(&whole), t0_us};
  CHECK_INT(mc_inspector_message(i, &other, &values, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(i->damaged, whole.len);
  CHECK_OK(push(i, &whole, 20, &values));
  CHECK_INT(values, 2);
  mc_inspector_tick(i, t0_us + 100000);
  CHECK_INT(out.events, 1);
  mc_inspector_destroy(&i);
}

static void test_texts_count_against_the_memory(void)
{
  mc_fw_signal_info info[] = {{.signal_id = 7, .sample_buffer_size = 100000}};
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 3600000;
  s.signal = info;
  s.signal_count = 1;
  mc_inspector *i = start(&s);
  size_t values;
  CHECK(i);
  i->config.sample_memory = 10000;
  for (int n = 0; n < 500; n++) {
    mc_buf m = message((uint8_t)n, "a name", (const double[]){1, 2}, 2);
    CHECK_OK(push(i, &m, 10 + n, &values));
    CHECK(i->sample_bytes <= 10000);
  }
  CHECK(i->ring_refusals > 0);
  mc_inspector_destroy(&i);
}

/* ---- lines of a log ---- */
static void test_lines_of_messages(void)
{
  mc_structured_message m;
  mc_buf cdr = {0};
  CHECK_OK(mc_edge_message_line(MC_LIT("(1700000000.25) ros2 /a#b:c/d.e=0001fF\r"), &m, &cdr, &why));
  CHECK_INT(m.time_us, 1700000000250000LL);
  CHECK_SLICE(m.interface_id, "ros2");
  CHECK_SLICE(m.message_id, "/a#b:c/d.e");
  CHECK(m.cdr.len == 3 && m.cdr.data[2] == 0xFF);
  static const char *const none[] = {"(1.0) can0 123#0011", "# comment = 1", "", "(1.0)", "(1.0) x", "()", "(1.0)x y=00"}, *const bad[] = {"(x) ros2 a=00", "(1.0) ros2 a=0", "(1.0) ros2 a=0g",
                                                                                                                                  "(1.) ros2 a=00", "(1.0) ros2 =00"};
  for (size_t k = 0; k < sizeof none / sizeof none[0]; k++)
    CHECK_INT(mc_edge_message_line(mc_slice_str(none[k]), &m, &cdr, &why), MC_ERR_END);
  for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
    CHECK_INT(mc_edge_message_line(mc_slice_str(bad[k]), &m, &cdr, &why), MC_ERR_MALFORMED);
  mc_buf_free(&cdr);
}

static int frames, messages;
static char order[16];
static bool ended;
static void on_frame(void *ctx, const mc_can_frame *f) { order[frames++ + messages] = 'f'; }
static void on_message(void *ctx, const mc_structured_message *m) { order[frames + messages++] = (char)('0' + m->cdr.len); }
static void on_ended(void *ctx) { ended = true; }

static void test_a_replay_hands_out_both_in_their_order(void)
{
  char path[] = "/tmp/mc-structures-XXXXXX";
  int fd = mkstemp(path);
  static const char log[] = "# a comment\n(1.0) ros2 /a=00\n(1.001) can0 123#0011\nnonsense\n(1.002) ros2 /b=000102\n(1.003) ros2 /b=0001020\n\n; another\n(1.004) ros2 /c=0001\n";
  FILE *f = fdopen(fd, "w");
  CHECK(f && fwrite(log, 1, sizeof log - 1, f) == sizeof log - 1 && fclose(f) == 0);
  mc_loop *loop;
  mc_replay *r;
  CHECK_OK(mc_loop_create(&loop, &why));
  mc_replay_config config = {.path = path, .speed = 0, .frame = on_frame, .message = on_message, .ended = on_ended};
  CHECK_OK(mc_replay_open(loop, &config, &r, &why));
  mc_replay_start(r);
  for (int64_t until = mc_clock_mono_us() + 10000000; !ended && mc_clock_mono_us() < until;)
    mc_loop_turn(loop, 1);
  CHECK(ended);
  CHECK_STR(order, "1f32");
  mc_replay_close(&r);
  mc_loop_destroy(&loop);
  remove(path);
}

int main(void)
{
  RUN(test_parts_in_a_condition_and_in_what_is_collected);
  RUN(test_a_whole_message_is_collected_as_json);
  RUN(test_a_number_that_is_none_is_no_sample);
  RUN(test_a_text_that_fits_into_no_event_is_not_taken);
  RUN(test_damage_is_counted_and_harms_nothing);
  RUN(test_texts_count_against_the_memory);
  RUN(test_lines_of_messages);
  RUN(test_a_replay_hands_out_both_in_their_order);
  mc_buf_free(&out.last);
  return tap_done();
}
