/* Where a campaign's data goes: our own form of FleetWise's dataDestinationConfigs, both ways, and how delivery does. */
#include "api/inside.h"

static const char s3_arn[] = "arn:aws:s3:::", topic_mark[] = ":topic/";

static const char *text_of(json_t *o, const char *key)
{
  return json_string_value(json_object_get(o, key));
}

static bool is(json_t *o, const char *key, const char *value)
{
  const char *s = text_of(o, key);
  return s && !strcmp(s, value);
}

/* ---- reading ---- */
static void write_s3_config(mc_json *j, json_t *d)
{
  char arn[128];
  snprintf(arn, sizeof arn, "%s%s", s3_arn, text_of(d, "bucket"));
  mc_json_key(j, "s3Config");
  mc_json_object(j);
  mc_json_str_field(j, "bucketArn", arn);
  mc_json_str_field(j, "dataFormat", is(d, "format", "json") ? "JSON" : "PARQUET");
  mc_json_str_field(j, "storageCompressionFormat", is(d, "compression", "none") ? "NONE" : "GZIP");
  if (text_of(d, "prefix") && *text_of(d, "prefix"))
    mc_json_str_field(j, "prefix", text_of(d, "prefix"));
  mc_json_object_end(j);
}

static void write_topic_config(api_call *c, mc_json *j, json_t *d)
{
  mc_json_key(j, "mqttTopicConfig");
  mc_json_object(j);
  mc_json_str_field(j, "mqttTopicArn", mc_arena_printf(&c->arena, "arn:aws:iot:local:000000000000%s%s", topic_mark, text_of(d, "topic")));
  mc_json_str_field(j, "executionRoleArn", "arn:aws:iam::000000000000:role/motorcade");
  mc_json_object_end(j);
}

static mc_err check(api_call *c, json_t *d, size_t i)
{
  char path[48];
  bool mqtt = is(d, "kind", "mqtt");
  const char *needed = mqtt ? "topic" : "bucket";
  snprintf(path, sizeof path, "/destinations/%zu/%s", i, needed);
  if (!text_of(d, needed) || !*text_of(d, needed))
    return call_refuse(c, path, "a destination of kind %s needs its %s", mqtt ? "mqtt" : "s3", needed);
  return MC_OK;
}

mc_err destinations_read(api_call *c, mc_slice *destinations, mc_slice *dimensions)
{
  json_t *list = json_object_get(c->body, "destinations"), *names = json_object_get(c->body, "dimensions");
  mc_buf out = {0};
  mc_json j = mc_json_to(&out);
  mc_err err = MC_OK;
  mc_json_array(&j);
  for (size_t i = 0; i < json_array_size(list) && !err; i++) {
    json_t *d = json_array_get(list, i);
    err = check(c, d, i);
    mc_json_object(&j);
    if (!err && is(d, "kind", "mqtt"))
      write_topic_config(c, &j, d);
    else if (!err)
      write_s3_config(&j, d);
    mc_json_object_end(&j);
  }
  mc_json_array_end(&j);
  if (!err)
    err = mc_json_end(&j);
  if (!err)
    err = mc_arena_copy(&c->arena, json_array_size(list) ? mc_buf_slice(&out) : (mc_slice){0}, destinations);
  mc_buf_clear(&out);
  j = mc_json_to(&out);
  mc_json_array(&j);
  for (size_t i = 0; i < json_array_size(names); i++)
    mc_json_str(&j, json_string_value(json_array_get(names, i)));
  mc_json_array_end(&j);
  if (!err)
    err = mc_json_end(&j);
  if (!err)
    err = mc_arena_copy(&c->arena, json_array_size(names) ? mc_buf_slice(&out) : (mc_slice){0}, dimensions);
  mc_buf_free(&out);
  return err;
}

/* ---- writing ---- */
static void write_one(mc_json *j, json_t *config)
{
  json_t *s3 = json_object_get(config, "s3Config"), *mqtt = json_object_get(config, "mqttTopicConfig");
  mc_json_object(j);
  mc_json_str_field(j, "kind", s3 ? "s3" : mqtt ? "mqtt" : "timeseries");
  if (s3) {
    const char *arn = text_of(s3, "bucketArn"), *bucket = arn ? strstr(arn, ":::") : NULL;
    mc_json_str_field(j, "bucket", bucket ? bucket + 3 : "");
    mc_json_str_field(j, "prefix", text_of(s3, "prefix") ? text_of(s3, "prefix") : "");
    mc_json_str_field(j, "format", is(s3, "dataFormat", "JSON") ? "json" : "parquet");
    mc_json_str_field(j, "compression", is(s3, "storageCompressionFormat", "NONE") ? "none" : "gzip");
  } else if (mqtt) {
    const char *arn = text_of(mqtt, "mqttTopicArn"), *topic = arn ? strstr(arn, topic_mark) : NULL;
    mc_json_str_field(j, "topic", topic ? topic + sizeof topic_mark - 1 : "");
  }
  mc_json_object_end(j);
}

void destinations_write(mc_json *j, mc_slice destinations, mc_slice dimensions)
{
  json_t *list = destinations.len ? json_loadb((const char *)destinations.data, destinations.len, 0, NULL) : NULL;
  mc_json_key(j, "destinations");
  mc_json_array(j);
  for (size_t i = 0; i < json_array_size(list); i++)
    write_one(j, json_array_get(list, i));
  mc_json_array_end(j);
  json_decref(list);
  mc_json_key(j, "dimensions");
  mc_json_raw(j, dimensions.len ? dimensions : MC_LIT("[]"));
}

/* ---- how delivery does ---- */
mc_err api_op_campaign_destinations(api_call *c)
{
  uint32_t id;
  mc_delivery_status *list;
  mc_campaign campaign;
  size_t n;
  MC_TRY(call_id(c, 0, "campaign", &id));
  if (mc_campaign_get(c->api->config.campaigns, c->who.tenant, id, &c->arena, &campaign))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no campaign with id %u", id);
  if (!c->api->config.delivery)
    return mc_err_set(&c->why, MC_ERR_UNSUPPORTED, "data out does not run here");
  MC_TRY(mc_delivery_status_of(c->api->config.delivery, c->who.tenant, id, &c->arena, &list, &n, &c->why));
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_key(j, "items");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++) {
    mc_json_object(j);
    mc_json_text_field(j, "kind", list[i].kind);
    mc_json_text_field(j, "place", list[i].place);
    mc_json_uint_field(j, "rows", list[i].rows);
    mc_json_uint_field(j, "objects", list[i].objects);
    mc_json_uint_field(j, "messages", list[i].messages);
    mc_json_uint_field(j, "waiting", list[i].waiting);
    json_time_if(j, "last", list[i].last_us);
    mc_json_text_field(j, "error", list[i].error);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}
