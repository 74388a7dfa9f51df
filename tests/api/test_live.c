/* The live stream, spoken to byte by byte. */
#include "api/live_frame.h"
#include "api_fixture.h"

static world w;
static uint32_t latitude, longitude, speed, driver;
static uint32_t second_vehicle;

/* ---- data ---- */

static void report(uint32_t vehicle, double lat, double lon, double kmh, const char *text)
{
  mc_block_builder b = {0};
  int64_t now = mc_clock_wall_us();
  mc_block_builder_add(&b, vehicle, latitude, 0, now, MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = lat});
  mc_block_builder_add(&b, vehicle, longitude, 0, now, MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = lon});
  mc_block_builder_add(&b, vehicle, speed, 0, now, MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = kmh});
  if (text)
    mc_block_builder_add_string(&b, vehicle, driver, now, 0, mc_slice_str(text));
  mc_block block = mc_block_builder_view(&b);
  static uint64_t offset;
  block.tenant = MC_TENANT_DEFAULT;
  block.arrival_us = now;
  block.journal_offset = offset;
  block.next_offset = offset += 100;
  mc_why why = {0};
  if (mc_twin_apply(w.twin, &block, &why) || mc_store_append(w.store, &block, &why))
    printf("# %s\n", why.text);
  mc_block_builder_free(&b);
}

/* ---- WebSocket client ---- */

typedef struct socket_in {
  int fd;
  mc_buf in;
  int status; /* of the handshake */
} socket_in;

static bool fill(socket_in *s)
{
  char bytes[65536];
  ssize_t n = recv(s->fd, bytes, sizeof bytes, 0);
  return n > 0 && mc_buf_append(&s->in, bytes, (size_t)n) == MC_OK;
}

static socket_in ws_open(const char *headers)
{
  socket_in s = {.fd = world_connect(&w)};
  mc_buf out = {0};
  mc_buf_printf(&out, "GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: motorcade.live.v1\r\n%s\r\n", w.port, headers);
  send_all(s.fd, mc_buf_slice(&out));
  mc_buf_free(&out);
  uint8_t *end = NULL;
  while (!(end = s.in.len ? memmem(s.in.data, s.in.len, "\r\n\r\n", 4) : NULL) && fill(&s))
    continue;
  if (end) {
    s.status = atoi((const char *)s.in.data + 9);
    mc_buf_consume(&s.in, (size_t)(end + 4 - s.in.data));
  }
  return s;
}

static socket_in ws_open_as(const char *token)
{
  char headers[160];
  snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", token);
  return ws_open(headers);
}

static void ws_say(socket_in *s, const char *text)
{
  uint8_t frame[4200] = {0x81};
  size_t n = strlen(text), at = 2;
  frame[1] = (uint8_t)(0x80 | (n < 126 ? n : 126));
  if (n >= 126) {
    mc_store_be16(frame + 2, (uint16_t)n);
    at = 4;
  }
  at += 4; /* mask 0: the text itself */
  memcpy(frame + at, text, n);
  send_all(s->fd, mc_slice_of(frame, at + n));
}

/* Next frame's opcode (-1: gone); payload borrowed until the next call. */
static int ws_hear(socket_in *s, mc_buf *payload)
{
  for (;;) {
    while (s->in.len < 2)
      if (!fill(s))
        return -1;
    size_t len = s->in.data[1] & 127, head = 2;
    if (len == 126) {
      while (s->in.len < 4)
        if (!fill(s))
          return -1;
      len = mc_load_be16(s->in.data + 2);
      head = 4;
    } else if (len == 127) {
      while (s->in.len < 10)
        if (!fill(s))
          return -1;
      len = (size_t)mc_load_be64(s->in.data + 2);
      head = 10;
    }
    while (s->in.len < head + len)
      if (!fill(s))
        return -1;
    int opcode = s->in.data[0] & 15;
    mc_buf_clear(payload);
    mc_buf_append(payload, s->in.data + head, len);
    mc_buf_append_u8(payload, 0);
    payload->len--;
    mc_buf_consume(&s->in, head + len);
    if (opcode != 9)
      return opcode;
  }
}

static void ws_done(socket_in *s)
{
  close(s->fd);
  mc_buf_free(&s->in);
}

/* Waits for a binary frame of one kind that holds records; false after 40 frames. */
static bool hear_kind(socket_in *s, int kind, bool with_records, mc_buf *frame)
{
  for (int i = 0; i < 40; i++) {
    int opcode = ws_hear(s, frame);
    if (opcode < 0)
      return false;
    if (opcode == 2 && frame->len >= LIVE_HEADER && frame->data[1] == kind && (!with_records || mc_load_le16(frame->data + 2)))
      return true;
  }
  return false;
}

/* The record of a vehicle in a fleet frame, or NULL. */
static const uint8_t *record_of(const mc_buf *frame, uint32_t vehicle)
{
  for (size_t at = LIVE_HEADER; at + LIVE_FLEET_RECORD <= frame->len; at += LIVE_FLEET_RECORD)
    if (mc_load_le32(frame->data + at) == vehicle)
      return frame->data + at;
  return NULL;
}

/* ---- tests ---- */

static void test_a_full_frame_first_then_changes(void)
{
  mc_buf frame = {0};
  report(w.vehicle, 52.5, 13.4, 88.4, NULL);
  report(second_vehicle, -33.9, 18.4, 0, NULL);
  socket_in s = ws_open_as(w.token[MC_ROLE_VIEWER]);
  CHECK_INT(s.status, 101);
  ws_say(&s, "{\"type\":\"fleet\",\"since\":0,\"epoch\":0}");
  CHECK(hear_kind(&s, LIVE_FLEET_FULL, true, &frame));
  CHECK_INT(frame.data[0], 1);
  CHECK_INT(frame.len, LIVE_HEADER + (size_t)mc_load_le16(frame.data + 2) * LIVE_FLEET_RECORD);
  const uint8_t *r = record_of(&frame, w.vehicle);
  CHECK(r);
  CHECK_INT((int32_t)mc_load_le32(r + 4), 134000000);
  CHECK_INT((int32_t)mc_load_le32(r + 8), 525000000);
  CHECK_INT(r[12], 88);
  CHECK_INT(r[14] >> 4, MC_MOTION_MOVING);
  CHECK_INT(r[14] & 3, 2); /* position known, heading not */
  CHECK((int32_t)mc_load_le32(record_of(&frame, second_vehicle) + 8) == -339000000);
  report(w.vehicle, 52.6, 13.5, 300, NULL);
  bool told = false;
  for (int i = 0; i < 10 && !told; i++) {
    CHECK(hear_kind(&s, LIVE_FLEET_CHANGES, true, &frame));
    r = record_of(&frame, w.vehicle);
    told = r && mc_load_le32(r + 8) == 526000000;
  }
  CHECK(told);
  CHECK_INT(r[12], 254);
  ws_done(&s);
  mc_buf_free(&frame);
}

static void test_a_stream_resumes_where_it_was(void)
{
  mc_buf frame = {0};
  char say[160];
  socket_in s = ws_open_as(w.token[MC_ROLE_VIEWER]);
  ws_say(&s, "{\"type\":\"fleet\"}");
  CHECK(hear_kind(&s, LIVE_FLEET_FULL, true, &frame));
  uint32_t epoch = mc_load_le32(frame.data + 4);
  uint64_t sequence = mc_load_le64(frame.data + 8);
  ws_done(&s);
  report(second_vehicle, 10, 20, 5, NULL); /* missed while away */
  snprintf(say, sizeof say, "{\"type\":\"fleet\",\"since\":%llu,\"epoch\":%u}", (unsigned long long)sequence, epoch);
  s = ws_open_as(w.token[MC_ROLE_VIEWER]);
  ws_say(&s, say);
  int opcode = ws_hear(&s, &frame);
  CHECK_INT(opcode, 2);
  CHECK_INT(frame.data[1], LIVE_FLEET_CHANGES); /* not everything again */
  CHECK(record_of(&frame, second_vehicle));
  ws_done(&s);
  snprintf(say, sizeof say, "{\"type\":\"fleet\",\"since\":%llu,\"epoch\":%u}", (unsigned long long)sequence, epoch + 2);
  s = ws_open_as(w.token[MC_ROLE_VIEWER]);
  ws_say(&s, say); /* another life of the server: everything */
  CHECK_INT(ws_hear(&s, &frame), 2);
  CHECK_INT(frame.data[1], LIVE_FLEET_FULL);
  ws_done(&s);
  snprintf(say, sizeof say, "{\"type\":\"fleet\",\"since\":%lld,\"epoch\":%u}", (long long)INT64_MAX, epoch);
  s = ws_open_as(w.token[MC_ROLE_VIEWER]);
  ws_say(&s, say); /* a number from the future */
  CHECK_INT(ws_hear(&s, &frame), 2);
  CHECK_INT(frame.data[1], LIVE_FLEET_FULL);
  ws_done(&s);
  mc_buf_free(&frame);
}

static void test_bounds_hold_others_back_and_tell_who_leaves(void)
{
  mc_buf frame = {0};
  report(w.vehicle, 52.5, 13.4, 50, NULL);
  report(second_vehicle, -33.9, 18.4, 0, NULL);
  socket_in s = ws_open_as(w.token[MC_ROLE_VIEWER]);
  ws_say(&s, "{\"type\":\"fleet\",\"bounds\":[13,52,14,53]}");
  CHECK(hear_kind(&s, LIVE_FLEET_FULL, true, &frame));
  CHECK(record_of(&frame, w.vehicle));
  CHECK(!record_of(&frame, second_vehicle));
  report(w.vehicle, 40, 13.4, 50, NULL);
  bool left = false;
  for (int i = 0; i < 10 && !left; i++) {
    CHECK(hear_kind(&s, LIVE_FLEET_CHANGES, true, &frame));
    const uint8_t *r = record_of(&frame, w.vehicle);
    left = r && mc_load_le32(r + 8) == 400000000;
  }
  CHECK(left);
  ws_done(&s);
  mc_buf_free(&frame);
}

static void test_values_of_one_vehicle_follow_with_nan_for_text(void)
{
  mc_buf frame = {0};
  char say[64];
  report(w.vehicle, 52.5, 13.4, 61.25, "Grace");
  socket_in s = ws_open_as(w.token[MC_ROLE_VIEWER]);
  snprintf(say, sizeof say, "{\"type\":\"vehicle\",\"id\":%u}", w.vehicle);
  ws_say(&s, say);
  CHECK(hear_kind(&s, LIVE_VALUES, true, &frame));
  CHECK_INT(mc_load_le32(frame.data + 24), w.vehicle);
  size_t n = mc_load_le16(frame.data + 2);
  CHECK_INT(frame.len, LIVE_HEADER + 4 + n * LIVE_VALUE_RECORD);
  int found = 0;
  for (size_t i = 0; i < n; i++) {
    const uint8_t *r = frame.data + LIVE_HEADER + 4 + i * LIVE_VALUE_RECORD;
    double v;
    memcpy(&v, r + 12, 8);
    found += mc_load_le32(r) == speed && v == 61.25;
    found += mc_load_le32(r) == driver && v != v;
  }
  CHECK_INT(found, 2);
  ws_done(&s);
  s = ws_open_as(w.other); /* a vehicle of another tenant is no vehicle */
  CHECK_INT(s.status, 101);
  ws_say(&s, say);
  CHECK_INT(ws_hear(&s, &frame), 1);
  CHECK(strstr((const char *)frame.data, "no vehicle"));
  ws_say(&s, "{\"type\":\"fleet\"}");
  CHECK(hear_kind(&s, LIVE_FLEET_FULL, false, &frame));
  CHECK_INT(mc_load_le16(frame.data + 2), 0);
  ws_done(&s);
  mc_buf_free(&frame);
}

static void test_nonsense_is_answered_and_does_no_harm(void)
{
  static const char *const nonsense[] = {"", "{", "[]", "7", "{\"type\":7}", "{\"type\":\"other\"}", "{\"type\":\"vehicle\",\"id\":-3}", "{\"type\":\"vehicle\",\"id\":\"1\"}",
                                         "{\"type\":\"fleet\",\"bounds\":[1,2]}", "{\"type\":\"fleet\",\"bounds\":[0,9,1,-9]}", "{\"type\":\"fleet\",\"bounds\":{}}"};
  mc_buf frame = {0};
  socket_in s = ws_open_as(w.token[MC_ROLE_VIEWER]);
  for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
    ws_say(&s, nonsense[i]);
    int opcode;
    while ((opcode = ws_hear(&s, &frame)) == 2)
      continue;
    if (opcode != 1 || !strstr((const char *)frame.data, "\"type\":\"error\""))
      TAP_FAIL("%s: opcode %d", nonsense[i], opcode);
  }
  ws_done(&s);
  mc_buf_free(&frame);
}

static void test_refuses_strangers_and_foreign_pages(void)
{
  char secret[64], csrf[64], headers[256];
  socket_in s = ws_open("");
  CHECK_INT(s.status, 401);
  ws_done(&s);
  mc_principal who = {.tenant = MC_TENANT_DEFAULT, .kind = MC_PRINCIPAL_USER, .id = w.ada.id, .role = MC_ROLE_ADMIN};
  CHECK_OK(mc_registry_session_create(w.registry, &who, secret, csrf, NULL));
  snprintf(headers, sizeof headers, "Cookie: mc_session=%s\r\nOrigin: https://evil.example\r\n", secret);
  s = ws_open(headers);
  CHECK_INT(s.status, 403);
  ws_done(&s);
  snprintf(headers, sizeof headers, "Cookie: mc_session=%s\r\nOrigin: http://127.0.0.1:%u\r\n", secret, w.port);
  s = ws_open(headers);
  CHECK_INT(s.status, 101);
  ws_done(&s);
}

static void test_a_revoked_token_ends_its_stream(void)
{
  char secret[64];
  mc_token token;
  mc_buf frame = {0};
  CHECK_OK(mc_registry_token_create(w.registry, MC_TENANT_DEFAULT, MC_LIT("short-lived"), MC_ROLE_VIEWER, 0, secret, &token, NULL));
  socket_in s = ws_open_as(secret);
  CHECK_INT(s.status, 101);
  ws_say(&s, "{\"type\":\"fleet\"}");
  CHECK(hear_kind(&s, LIVE_FLEET_FULL, false, &frame));
  CHECK_OK(mc_registry_token_revoke(w.registry, MC_TENANT_DEFAULT, token.id, NULL));
  int opcode = 2;
  int64_t until = mc_clock_mono_us() + INT64_C(60000000);
  while (opcode == 2 && mc_clock_mono_us() < until)
    opcode = ws_hear(&s, &frame);
  CHECK_INT(opcode, 8);
  CHECK_INT(mc_load_be16(frame.data), 4001);
  ws_done(&s);
  mc_buf_free(&frame);
}

static void test_latest_history_and_track_tell_what_was_reported(void)
{
  char target[256], from[MC_CLOCK_TEXT], to[MC_CLOCK_TEXT];
  int64_t began = mc_clock_wall_us();
  for (int i = 0; i < 30; i++) {
    report(w.vehicle, 52.5 + i * 0.001, 13.4, i, "Grace");
    usleep(3000);
  }
  snprintf(target, sizeof target, "/api/v1/vehicles/%u/latest", w.vehicle);
  answer a = ask(&w, w.token[MC_ROLE_VIEWER], "GET", target, NULL);
  CHECK_INT(a.status, 200);
  CHECK_INT(json_array_size(json_object_get(a.json, "items")), 4);
  CHECK(strstr((const char *)a.body.data, "\"text\":\"Grace\"") && strstr((const char *)a.body.data, "\"value\":29"));
  answer_free(&a);
  mc_clock_format_us(began - 1000000, from);
  mc_clock_format_us(mc_clock_wall_us() + 1000000, to);
  for (int points = 10; points <= 100; points += 90) {
    snprintf(target, sizeof target, "/api/v1/vehicles/%u/history?signals=%u&from=%s&to=%s&points=%d", w.vehicle, speed, from, to, points);
    a = ask(&w, w.token[MC_ROLE_VIEWER], "GET", target, NULL);
    CHECK_INT(a.status, 200);
    json_t *series = json_array_get(json_object_get(a.json, "series"), 0);
    CHECK_STR(json_string_value(json_object_get(series, "fqn")), "Vehicle.Speed");
    size_t n = json_array_size(json_object_get(series, "time"));
    json_int_t total = 0;
    for (size_t i = 0; i < n; i++)
      total += json_integer_value(json_array_get(json_object_get(series, "count"), i));
    CHECK(total >= 30);
    CHECK(points == 10 ? json_is_true(json_object_get(series, "downsampled")) && n <= 12 : json_is_false(json_object_get(series, "downsampled")) && n == (size_t)total);
    answer_free(&a);
  }
  snprintf(target, sizeof target, "/api/v1/vehicles/%u/track?from=%s&to=%s", w.vehicle, from, to);
  a = ask(&w, w.token[MC_ROLE_VIEWER], "GET", target, NULL);
  CHECK_INT(a.status, 200);
  CHECK(json_array_size(json_object_get(a.json, "points")) >= 30);
  answer_free(&a);
  snprintf(target, sizeof target, "/api/v1/vehicles/%u/latest?offset=%d", w.vehicle, 100000000);
  a = ask(&w, w.token[MC_ROLE_VIEWER], "GET", target, NULL);
  CHECK_INT(a.status, 504);
  CHECK(strstr(text_of(&a, "detail"), "not visible"));
  answer_free(&a);
}

static void test_stopping_closes_the_streams_politely(void)
{
  mc_buf frame = {0};
  socket_in s = ws_open_as(w.token[MC_ROLE_VIEWER]);
  ws_say(&s, "{\"type\":\"fleet\"}");
  CHECK(hear_kind(&s, LIVE_FLEET_FULL, false, &frame));
  mc_api_stop(w.api);
  int opcode;
  while ((opcode = ws_hear(&s, &frame)) == 2)
    continue;
  CHECK_INT(opcode, 8);
  CHECK_INT(mc_load_be16(frame.data), 1001);
  ws_done(&s);
  mc_buf_free(&frame);
}

int main(void)
{
  if (!world_open(&w, &(world_config){.rate_per_s = 100000}))
    return 1;
  mc_vehicle v = {.tenant = MC_TENANT_DEFAULT, .name = "truck-8"};
  const mc_slice names[] = {MC_LIT("Vehicle.CurrentLocation.Latitude"), MC_LIT("Vehicle.CurrentLocation.Longitude"), MC_LIT("Vehicle.Speed"), MC_LIT("Vehicle.Driver.Name")};
  uint32_t id[4];
  if (mc_registry_vehicle_create(w.registry, &v, NULL) || mc_registry_signal_ids(w.registry, MC_TENANT_DEFAULT, names, 4, id, NULL))
    return 1;
  second_vehicle = v.id;
  latitude = id[0];
  longitude = id[1];
  speed = id[2];
  driver = id[3];
  RUN(test_a_full_frame_first_then_changes);
  RUN(test_a_stream_resumes_where_it_was);
  RUN(test_bounds_hold_others_back_and_tell_who_leaves);
  RUN(test_values_of_one_vehicle_follow_with_nan_for_text);
  RUN(test_nonsense_is_answered_and_does_no_harm);
  RUN(test_refuses_strangers_and_foreign_pages);
  RUN(test_latest_history_and_track_tell_what_was_reported);
  RUN(test_a_revoked_token_ends_its_stream);
  RUN(test_stopping_closes_the_streams_politely);
  world_close(&w);
  return tap_done();
}
