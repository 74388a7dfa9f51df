/* Live traces of messages. */
#include <stdio.h>

#include "api/inside.h"

enum { ENTRIES = 200 };

mc_err api_op_trace_start(api_call *c)
{
  uint32_t id;
  MC_TRY(mc_gateway_trace_start(c->api->config.gateway, c->who.tenant, body_text(c, "filter"), body_text(c, "client_id"), (uint32_t)body_int(c, "sample", 1),
                                (uint32_t)body_int(c, "seconds", 300), &id, &c->why));
  mc_json_object(&c->json);
  mc_json_uint_field(&c->json, "id", id);
  mc_json_object_end(&c->json);
  return MC_OK;
}

/* Text that a person can read: UTF-8 without control characters but tab and line ends. */
static bool readable(mc_slice s)
{
  for (size_t i = 0; i < s.len; i++)
    if ((s.data[i] < 0x20 && s.data[i] != '\t' && s.data[i] != '\n' && s.data[i] != '\r') || s.data[i] == 0x7f)
      return false;
  return mc_slice_is_utf8(s);
}

/* A cut may have split a character: up to three bytes go. */
static mc_slice whole_characters(mc_slice s, bool cut)
{
  for (int i = 0; cut && i < 3 && s.len && !mc_slice_is_utf8(s); i++)
    s.len--;
  return s;
}

static mc_err write_payload(api_call *c, const mc_trace_entry *e)
{
  mc_slice bytes = mc_slice_of(e->payload, e->payload_len), text = whole_characters(bytes, e->payload_len < e->size);
  if (readable(text)) {
    mc_json_text_field(&c->json, "text", text);
    return MC_OK;
  }
  char *hex = mc_arena_alloc(&c->arena, 2 * bytes.len + 1);
  if (!hex)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for the trace");
  for (size_t i = 0; i < bytes.len; i++)
    snprintf(hex + 2 * i, 3, "%02x", bytes.data[i]);
  mc_json_str_field(&c->json, "hex", hex);
  return MC_OK;
}

static mc_err write_entry(api_call *c, const mc_trace_entry *e)
{
  static const char *const kind[] = {"", "in", "out", "refused"};
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_uint_field(j, "sequence", e->sequence);
  json_time(j, "time", e->time_us);
  mc_json_str_field(j, "kind", kind[e->kind]);
  mc_json_str_field(j, "client_id", e->client_id);
  mc_json_str_field(j, "topic", e->topic);
  mc_json_uint_field(j, "qos", e->qos);
  mc_json_bool_field(j, "retain", e->retain);
  mc_json_uint_field(j, "size", e->size);
  MC_TRY(write_payload(c, e));
  if (e->note[0])
    mc_json_str_field(j, "note", e->note);
  mc_json_object_end(j);
  return MC_OK;
}

mc_err api_op_trace_read(api_call *c)
{
  uint32_t id;
  uint64_t missed;
  size_t n;
  MC_TRY(call_id(c, 0, "trace", &id));
  mc_trace_entry *entry = mc_arena_array(&c->arena, ENTRIES, sizeof *entry);
  if (!entry)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for the trace");
  MC_TRY(mc_gateway_trace_read(c->api->config.gateway, c->who.tenant, id, (uint64_t)query_int(c, "after", 0), entry, ENTRIES, &n, &missed, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    MC_TRY(write_entry(c, &entry[i]));
  mc_json_array_end(&c->json);
  mc_json_uint_field(&c->json, "missed", missed);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_trace_end(api_call *c)
{
  uint32_t id;
  MC_TRY(call_id(c, 0, "trace", &id));
  return mc_gateway_trace_end(c->api->config.gateway, c->who.tenant, id, &c->why);
}
