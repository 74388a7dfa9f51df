#include "bench/telemetry_load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/fleetwise.h"

/* Markers as wide as what replaces them: a 5-byte event id, a 6-byte time in milliseconds. */
enum { STEP_MS = 100, EVENT_MS = STEP_MS * TELEMETRY_TIMES };
static const uint32_t id_marker = 0xFEDCBA98u;
static const uint64_t time_marker = 0x1A5A5A5A5A5ULL;

typedef struct vehicle {
  telemetry_load *load;
  mc_mqtt_client *client;
  mc_tls *tls;
  char topic[96];
  mc_buf payload;
  size_t id_at, time_at;
  uint64_t event_ms;
  uint32_t event_id;
} vehicle;

struct telemetry_load {
  mc_loop *loop;
  vehicle *v;
  uint32_t vehicles, connected;
  uint64_t sent, acked, refused, lost;
  char text[200]; /* the last refusal */
};

static size_t put_varint(uint8_t *out, uint64_t v)
{
  size_t n = 0;
  for (; v > 127; v >>= 7)
    out[n++] = (uint8_t)(v | 128);
  out[n++] = (uint8_t)v;
  return n;
}

static size_t find_marker(const mc_buf *b, uint64_t marker)
{
  uint8_t bytes[10];
  size_t n = put_varint(bytes, marker);
  const uint8_t *at = memmem(b->data, b->len, bytes, n);
  return at ? (size_t)(at - b->data) : SIZE_MAX;
}

/* Values as a car's: integers of the steps 0.01 .. 1 that the manifest names. */
static mc_err make_payload(vehicle *v, uint32_t index, const telemetry_names *names, mc_why *why)
{
  mc_fw_sample sample[TELEMETRY_SAMPLES];
  for (int t = 0; t < TELEMETRY_TIMES; t++)
    for (int s = 0; s < TELEMETRY_SIGNALS; s++) {
      double k = floor(12000 + 3000 * sin(index * 0.7 + s + t * 0.05) + (double)((t * 7 + s * 13) % 11));
      sample[t * TELEMETRY_SIGNALS + s] = (mc_fw_sample){.relative_ms = t * STEP_MS,
                                                         .signal_id = names->signal[s],
                                                         .number = k * 0.25,
                                                         .has_micros = true,
                                                         .relative_us = t * STEP_MS * 1000LL + s % 3};
    }
  mc_fw_vehicle_data m = {.campaign_sync_id = mc_slice_str(names->campaign),
                          .manifest_sync_id = mc_slice_str(names->manifest),
                          .event_id = id_marker,
                          .event_time_ms = time_marker,
                          .sample = sample,
                          .sample_count = TELEMETRY_SAMPLES};
  if (mc_fw_write_vehicle_data(&v->payload, &m))
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a message");
  v->id_at = find_marker(&v->payload, id_marker);
  v->time_at = find_marker(&v->payload, time_marker);
  return v->id_at == SIZE_MAX || v->time_at == SIZE_MAX ? mc_err_set(why, MC_ERR_INVALID, "the message does not hold its markers") : MC_OK;
}

static void on_connected(void *ctx, bool session_present)
{
  ((vehicle *)ctx)->load->connected++;
}

static void on_disconnected(void *ctx, mc_err err, uint8_t code, const char *text)
{
  telemetry_load *l = ((vehicle *)ctx)->load;
  l->lost++;
  snprintf(l->text, sizeof l->text, "%s", text ? text : mc_err_text(err));
}

static void on_acked(void *ctx, uint64_t token, mc_err err, uint8_t code)
{
  telemetry_load *l = ((vehicle *)ctx)->load;
  l->acked += !err;
  l->refused += err != MC_OK;
}

static mc_err read_file(const char *dir, const char *name, mc_buf *out, mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return mc_fs_read(mc_fs_posix(), path, 1 << 20, out, why);
}

static mc_err open_vehicle(telemetry_load *l, const char *dir, uint16_t port, uint32_t index, const telemetry_names *names, mc_why *why)
{
  vehicle *v = &l->v[index];
  char name[64];
  mc_buf ca = {0}, cert = {0}, key = {0};
  v->load = l;
  snprintf(v->topic, sizeof v->topic, "$aws/iotfleetwise/vehicles/bench-%u/signals", index);
  mc_err err = make_payload(v, index, names, why);
  if (!err)
    err = read_file(dir, "ca.pem", &ca, why);
  snprintf(name, sizeof name, "devices/%u.crt", index);
  if (!err)
    err = read_file(dir, name, &cert, why);
  snprintf(name, sizeof name, "devices/%u.key", index);
  if (!err)
    err = read_file(dir, name, &key, why);
  mc_tls_client_config tls = {.ca_pem = mc_buf_slice(&ca), .cert_pem = mc_buf_slice(&cert), .key_pem = mc_buf_slice(&key)};
  if (!err)
    err = mc_tls_client_create(&tls, &v->tls, why);
  snprintf(name, sizeof name, "bench-%u", index);
  mc_mqtt_client_config config = {.host = "127.0.0.1",
                                  .port = port,
                                  .tls = v->tls,
                                  .version = MC_MQTT_5,
                                  .client_id = mc_slice_str(name),
                                  .clean = true,
                                  .keep_alive_s = 60,
                                  .max_inflight = 64,
                                  .ctx = v,
                                  .connected = on_connected,
                                  .disconnected = on_disconnected,
                                  .acked = on_acked};
  if (!err)
    err = mc_mqtt_client_create(l->loop, &config, &v->client, why);
  if (!err)
    mc_mqtt_client_start(v->client);
  mc_buf_free(&ca);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  return err;
}

mc_err telemetry_load_open(const char *dir, uint16_t port, uint32_t vehicles, const telemetry_names *names, int64_t first_event_us,
                           telemetry_load **out, mc_why *why)
{
  telemetry_load *l = calloc(1, sizeof *l);
  *out = l;
  if (!l || !(l->v = calloc(vehicles, sizeof *l->v)))
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for %u vehicles", vehicles);
  l->vehicles = vehicles;
  MC_TRY(mc_loop_create(&l->loop, why));
  for (uint32_t i = 0; i < vehicles; i++) {
    MC_TRY(open_vehicle(l, dir, port, i, names, why));
    l->v[i].event_ms = (uint64_t)first_event_us / 1000;
  }
  double until = bench_now_s() + 20;
  while (l->connected < vehicles && bench_now_s() < until && !l->lost)
    mc_loop_turn(l->loop, 20);
  return l->connected == vehicles ? MC_OK
                                  : mc_err_set(why, MC_ERR_TIMEOUT, "%u of %u vehicles were admitted: %s", l->connected, vehicles, l->text);
}

void telemetry_load_close(telemetry_load **load)
{
  telemetry_load *l = *load;
  *load = NULL;
  if (!l)
    return;
  for (uint32_t i = 0; i < l->vehicles && l->v; i++)
    if (l->v[i].client)
      mc_mqtt_client_stop(l->v[i].client);
  if (l->loop)
    for (int i = 0; i < 20; i++)
      mc_loop_turn(l->loop, 5);
  for (uint32_t i = 0; i < l->vehicles && l->v; i++) {
    mc_mqtt_client_destroy(&l->v[i].client);
    mc_tls_destroy(&l->v[i].tls);
    mc_buf_free(&l->v[i].payload);
  }
  mc_loop_destroy(&l->loop);
  free(l->v);
  free(l);
}

/* The next second of one vehicle; false when its window is full. */
static bool publish(telemetry_load *l, vehicle *v)
{
  put_varint(v->payload.data + v->id_at, 0x10000000u | v->event_id);
  put_varint(v->payload.data + v->time_at, v->event_ms);
  if (mc_mqtt_client_publish(v->client, mc_slice_str(v->topic), mc_buf_slice(&v->payload), 1, false, v->event_id))
    return false;
  v->event_id++;
  v->event_ms += EVENT_MS;
  l->sent++;
  return true;
}

bool telemetry_load_probe(telemetry_load *l, int64_t *event_ms)
{
  *event_ms = (int64_t)l->v[0].event_ms;
  return publish(l, &l->v[0]);
}

mc_err telemetry_load_run(telemetry_load *l, double seconds, double per_s, void (*each)(void *ctx), void *ctx, mc_why *why)
{
  double began = bench_now_s(), now = began;
  uint64_t first = l->sent;
  uint32_t turn = 0;
  for (; now < began + seconds && !l->lost && !l->refused; now = bench_now_s()) {
    uint64_t due = per_s > 0 ? (uint64_t)((now - began) * per_s) : UINT64_MAX;
    for (uint32_t full = 0; full < l->vehicles && l->sent - first < due; turn++)
      full = publish(l, &l->v[turn % l->vehicles]) ? 0 : full + 1;
    mc_loop_turn(l->loop, per_s > 0 ? 1 : 10);
    if (each)
      each(ctx);
  }
  for (now = bench_now_s(); l->acked < l->sent && !l->lost && !l->refused && bench_now_s() < now + 20;)
    mc_loop_turn(l->loop, 10);
  if (l->lost || l->refused || l->acked < l->sent)
    return mc_err_set(why, MC_ERR_CLOSED, "%llu of %llu messages were acknowledged, %llu refused, %llu connections lost: %s",
                      (unsigned long long)l->acked, (unsigned long long)l->sent, (unsigned long long)l->refused,
                      (unsigned long long)l->lost, l->text);
  return MC_OK;
}

uint64_t telemetry_load_acked(const telemetry_load *l)
{
  return l->acked;
}

size_t telemetry_load_bytes(const telemetry_load *l)
{
  return l->v[0].payload.len;
}
