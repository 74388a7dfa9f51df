/* What devices reach over HTTPS: MQTT inside WebSocket at /mqtt, and publishing with POST /topics/<topic>. Who they are comes from the connection's
 * certificate, what they may from their MQTT policy; people's sessions and API tokens count for nothing here. On the loop. Contract: AWS IoT
 * Core's HTTPS data plane (Publish). */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "api/inside.h"

enum { P_FORMAT = 0x01, P_EXPIRY = 0x02, P_CONTENT_TYPE = 0x03, P_RESPONSE_TOPIC = 0x08, P_CORRELATION = 0x09, USER_PROPERTIES_MAX = 64 };
static const char topics_prefix[] = "/topics/";

static void answer_after(mc_http_request *r, int status, const char *message, uint32_t retry_after_s)
{
  mc_buf body = {0};
  char id[24], after[16];
  snprintf(after, sizeof after, "%u", retry_after_s);
  snprintf(id, sizeof id, "%016llx", (unsigned long long)r->id);
  mc_json j = mc_json_to(&body);
  mc_json_object(&j);
  mc_json_str_field(&j, "message", message);
  mc_json_str_field(&j, "traceId", id);
  mc_json_object_end(&j);
  mc_http_header header[] = {{MC_LIT("Cache-Control"), MC_LIT("no-store")},
                             {MC_LIT("X-Content-Type-Options"), MC_LIT("nosniff")},
                             {MC_LIT("Retry-After"), mc_slice_str(after)}};
  bool built = mc_json_end(&j) == MC_OK; /* without memory the status line still tells */
  mc_http_reply reply = {.status = status, .content_type = built ? "application/json" : NULL, .body = built ? mc_buf_slice(&body) : (mc_slice){0},
                         .header = header, .header_count = retry_after_s ? 3 : 2};
  mc_http_answer(r, &reply);
  mc_buf_free(&body);
}

static void answer(mc_http_request *r, int status, const char *message) { answer_after(r, status, message, status == 503); }

/* ---- MQTT over WebSocket ---- */

static void open_mqtt(mc_api *api, mc_http_request *r)
{
  void *loop = mc_gateway_ctx_of_loop(api->config.gateway, mc_conn_loop(r->conn));
  if (!identity_same_origin(r)) { /* a page of another site must not speak with the certificate that its visitor's browser holds */
    answer(r, 403, "MQTT over WebSocket is for devices and for pages of this server: the header Origin names another site");
    return;
  }
  if (!mc_ws_offers(r, "mqtt")) {
    answer(r, 400, "offer the WebSocket subprotocol \"mqtt\" (MQTT 5.0, 6.0.0-3)");
    return;
  }
  if (!loop) {
    answer(r, 503, "this listener takes no MQTT");
    return;
  }
  /* A message may hold many packets; one packet may be as large as the gateway allows. */
  mc_ws_accept_stream(r, "mqtt", mc_gateway_handler(), loop, (size_t)mc_gateway_max_packet(api->config.gateway) + (64 << 10));
}

/* ---- POST /topics/<topic> ---- */

static bool base64(mc_slice in, mc_buf *out)
{
  int pad = 0;
  if (in.len % 4 || in.len > 65536 || mc_buf_reserve(out, in.len))
    return false;
  for (size_t i = in.len; i > 0 && i + 2 > in.len && in.data[i - 1] == '='; i--)
    pad++;
  int n = in.len ? EVP_DecodeBlock(out->data + out->len, in.data, (int)in.len) : 0;
  if (n < 0)
    return false;
  out->len += (size_t)(n - pad);
  return true;
}

/* [{"name":"value"}, ...] in base64, order kept. */
static const char *put_user_properties(mc_slice header, mc_buf *props)
{
  static const char form[] = "x-amz-mqtt5-user-properties must be base64 of a JSON array of at most 64 objects, each with one name and a text";
  mc_buf text = {0};
  json_t *list = base64(header, &text) ? json_loadb(text.data ? (const char *)text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
  bool ok = json_is_array(list) && json_array_size(list) <= USER_PROPERTIES_MAX;
  for (size_t i = 0; ok && i < json_array_size(list); i++) {
    json_t *item = json_array_get(list, i);
    void *at = json_object_iter(item);
    ok = json_object_size(item) == 1 && json_is_string(json_object_iter_value(at)) &&
         mc_mqtt_put_user(props, mc_slice_str(json_object_iter_key(at)), mc_slice_str(json_string_value(json_object_iter_value(at)))) == MC_OK;
  }
  json_decref(list);
  mc_buf_free(&text);
  return ok ? NULL : form;
}

static const char *put_headers(const mc_http_request *r, mc_buf *props)
{
  mc_slice format = mc_http_request_header(r, "x-amz-mqtt5-payload-format-indicator");
  if (format.data && !mc_slice_eq_str(format, "UTF8_DATA") && !mc_slice_eq_str(format, "UNSPECIFIED_BYTES"))
    return "x-amz-mqtt5-payload-format-indicator must be UTF8_DATA or UNSPECIFIED_BYTES";
  if (format.data && mc_mqtt_put_number(props, P_FORMAT, mc_slice_eq_str(format, "UTF8_DATA")))
    return "out of memory";
  mc_slice correlation = mc_http_request_header(r, "x-amz-mqtt5-correlation-data");
  if (correlation.data) {
    mc_buf bytes = {0};
    bool ok = base64(correlation, &bytes) && mc_mqtt_put_text(props, P_CORRELATION, mc_buf_slice(&bytes)) == MC_OK;
    mc_buf_free(&bytes);
    if (!ok)
      return "x-amz-mqtt5-correlation-data must be base64";
  }
  mc_slice user = mc_http_request_header(r, "x-amz-mqtt5-user-properties");
  return user.data ? put_user_properties(user, props) : NULL;
}

/* 0 or 1, false or true: anything else is a mistake that is told. */
static const char *read_flag(const mc_http_request *r, const char *name, mc_buf *text, const char *refusal, bool *out)
{
  *out = false;
  if (!mc_http_query(r, name, text))
    return NULL;
  mc_slice v = mc_buf_slice(text);
  *out = mc_slice_eq_str(v, "1") || mc_slice_eq_str(v, "true");
  return *out || mc_slice_eq_str(v, "0") || mc_slice_eq_str(v, "false") ? NULL : refusal;
}

/* The query's part of the message. NULL, or what is wrong. */
static const char *read_query(const mc_http_request *r, mc_gateway_message *m, mc_buf *text, mc_buf *props)
{
  bool qos1 = false;
  uint64_t expiry;
  const char *wrong = read_flag(r, "qos", text, "qos must be 0 or 1", &qos1);
  if (!wrong)
    wrong = read_flag(r, "retain", text, "retain must be true or false", &m->retain);
  if (wrong)
    return wrong;
  m->qos = qos1;
  if (mc_http_query(r, "messageExpiry", text)) {
    if (mc_slice_to_u64(mc_buf_slice(text), &expiry) || expiry > UINT32_MAX)
      return "messageExpiry must be a number of seconds, at most 4294967295";
    if (mc_mqtt_put_number(props, P_EXPIRY, (uint32_t)expiry))
      return "out of memory";
  }
  if (mc_http_query(r, "contentType", text) && (mc_buf_slice(text).len > UINT16_MAX || !mc_slice_is_utf8(mc_buf_slice(text)) || mc_mqtt_put_text(props, P_CONTENT_TYPE, mc_buf_slice(text))))
    return "contentType must be UTF-8 text";
  if (mc_http_query(r, "responseTopic", text) && (!mc_mqtt_topic_valid(mc_buf_slice(text)) || mc_mqtt_put_text(props, P_RESPONSE_TOPIC, mc_buf_slice(text))))
    return "responseTopic must be a topic without wildcards";
  return NULL;
}

const char *device_message(const mc_http_request *r, mc_gateway_message *m, mc_buf *props)
{
  mc_buf text = {0};
  *m = (mc_gateway_message){.topic = mc_slice_sub(r->path, sizeof topics_prefix - 1, SIZE_MAX), .payload = r->body};
  const char *wrong = read_query(r, m, &text, props);
  if (!wrong)
    wrong = put_headers(r, props);
  m->props = mc_buf_slice(props);
  mc_buf_free(&text);
  return wrong;
}

static void published(void *ctx, mc_err err, const char *text)
{
  if (err)
    answer(ctx, err == MC_ERR_FULL ? 507 : 500, text);
  else
    answer(ctx, 200, "OK");
}

static int status_of(mc_err err)
{
  switch (err) {
  case MC_ERR_UNAUTHENTICATED: return 401;
  case MC_ERR_DENIED: return 403;
  case MC_ERR_INVALID: return 400;
  case MC_ERR_TOO_LARGE: return 413;
  case MC_ERR_AGAIN: return 429;
  case MC_ERR_FULL:
  case MC_ERR_CLOSED:
  case MC_ERR_TIMEOUT:
  case MC_ERR_UNSUPPORTED: return 503;
  default: return 500;
  }
}

static void publish(mc_api *api, mc_http_request *r)
{
  mc_buf props = {0};
  mc_gateway_message m;
  const char *wrong = device_message(r, &m, &props);
  if (wrong) {
    answer(r, 400, wrong);
  } else {
    mc_peer peer;
    mc_why why = {0};
    mc_conn_peer(r->conn, &peer);
    mc_err err = mc_gateway_publish_as(api->config.gateway, mc_conn_loop(r->conn), &peer, &m, published, r, &why);
    if (err)
      answer_after(r, status_of(err), why.text, err == MC_ERR_AGAIN ? m.retry_after_s : status_of(err) == 503);
  }
  mc_buf_free(&props);
}

bool device_answer(mc_api *api, mc_http_request *r)
{
  if (mc_slice_eq_str(r->path, "/mqtt")) {
    open_mqtt(api, r);
    return true;
  }
  if (!mc_slice_starts(r->path, mc_slice_str(topics_prefix)))
    return false;
  if (mc_slice_eq_str(r->method, "POST"))
    publish(api, r);
  else
    answer(r, 405, "publish with POST /topics/<topic>?qos=0 or 1");
  return true;
}
