#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/file.h"
#include "options.h"

/* The configuration file: our own flat keys, or FleetWise Edge's tree as far as it maps (contract fleetwise 8.1). Paths are
 * relative to the file. */

static const char *keep_text(edge_options *o, const char *text) { return mc_arena_str(&o->arena, mc_slice_str(text)); }

static const char *keep_path(edge_options *o, const char *config, const char *path)
{
  const char *slash = strrchr(config, '/');
  if (path[0] == '/' || !slash)
    return keep_text(o, path);
  return mc_arena_printf(&o->arena, "%.*s/%s", (int)(slash - config), config, path);
}

static const char *text_at(const json_t *object, const char *key)
{
  const char *s = json_string_value(json_object_get(object, key));
  return s && *s ? s : NULL;
}

static void take_pem(edge_options *o, const json_t *object, const char *key, mc_slice *to)
{
  const char *s = text_at(object, key);
  if (s)
    *to = mc_slice_str(keep_text(o, s));
}

static void fleetwise_connection(edge_options *o, const char *path, const json_t *mqtt)
{
  const char *s;
  if ((s = text_at(mqtt, "endpointUrl")))
    o->host = keep_text(o, s);
  if (o->host && !o->port) { /* FleetWise Edge has no port key: 443 with ALPN (contract 2) */
    o->port = 443;
    o->alpn = "x-amzn-mqtt-ca";
  }
  if ((s = text_at(mqtt, "clientId")))
    o->name = keep_text(o, s);
  if ((s = text_at(mqtt, "certificateFilename")))
    o->cert = keep_path(o, path, s);
  if ((s = text_at(mqtt, "privateKeyFilename")))
    o->key = keep_path(o, path, s);
  if ((s = text_at(mqtt, "rootCAFilename")))
    o->ca = keep_path(o, path, s);
  take_pem(o, mqtt, "certificate", &o->cert_pem);
  take_pem(o, mqtt, "privateKey", &o->key_pem);
  take_pem(o, mqtt, "rootCA", &o->ca_pem);
  if ((s = text_at(mqtt, "iotFleetWiseTopicPrefix")))
    o->topic_prefix = keep_text(o, s);
  json_int_t n = json_integer_value(json_object_get(mqtt, "keepAliveIntervalSeconds"));
  if (n > 0 && n <= 65535)
    o->keep_alive_s = (uint32_t)n;
}

/* networkInterfaces: each canInterface becomes a channel named as its socket, or as its id. */
static mc_err fleetwise_interfaces(edge_options *o, const json_t *list, mc_why *why)
{
  mc_buf map = {0};
  size_t k;
  json_t *one;
  mc_err err = MC_OK;
  json_array_foreach(list, k, one)
  {
    const char *id = text_at(one, "interfaceId"), *type = text_at(one, "type");
    if (!id || !type)
      err = mc_err_set(why, MC_ERR_INVALID, "networkInterfaces[%zu]: interfaceId and type are needed", k);
    if (err || !strstr(type, "anInterface")) /* canInterface, externalCanInterface */
      continue;
    const char *name = text_at(json_object_get(one, "canInterface"), "interfaceName");
    err = mc_buf_printf(&map, "%s%s=%s", map.len ? "," : "", name ? name : "*", id);
  }
  if (err == MC_OK && map.len && !o->channel_map) {
    o->channel_map = mc_arena_str(&o->arena, mc_buf_slice(&map));
  }
  mc_buf_free(&map);
  return err;
}

static mc_err fleetwise(edge_options *o, const char *path, const json_t *root, mc_why *why)
{
  const json_t *fixed = json_object_get(root, "staticConfig");
  fleetwise_connection(o, path, json_object_get(fixed, "mqttConnection"));
  const json_t *publish = json_object_get(fixed, "publishToCloudParameters");
  json_int_t ms = json_integer_value(json_object_get(publish, "collectionSchemeManagementCheckinIntervalMs"));
  if (publish)
    o->checkin_ms = ms > 0 ? (uint32_t)(ms < 86400000 ? ms : 86400000) : 300000;
  const json_t *keep = json_object_get(fixed, "persistency");
  const char *dir = text_at(keep, "persistencyPath");
  if (dir)
    o->data_dir = keep_path(o, path, dir);
  json_int_t size = json_integer_value(json_object_get(keep, "persistencyPartitionMaxSize"));
  if (size > 0)
    o->spool_mib = (uint64_t)size >> 20 ? (uint64_t)size >> 20 : 1;
  return fleetwise_interfaces(o, json_object_get(root, "networkInterfaces"), why);
}

static mc_err own_text(edge_options *o, const char *path, const char *key, const json_t *value, const char **to, bool is_path, mc_why *why)
{
  const char *s = json_string_value(value);
  if (!s)
    return mc_err_set(why, MC_ERR_INVALID, "\"%s\" must be a text", key);
  *to = is_path ? keep_path(o, path, s) : keep_text(o, s);
  return MC_OK;
}

static mc_err own_number(const char *key, const json_t *value, double min, double max, double *to, mc_why *why)
{
  if (!json_is_number(value) || json_number_value(value) < min || json_number_value(value) > max)
    return mc_err_set(why, MC_ERR_INVALID, "\"%s\" must be a number from %g to %g", key, min, max);
  *to = json_number_value(value);
  return MC_OK;
}

static mc_err own_key(edge_options *o, const char *path, const char *key, const json_t *v, mc_why *why)
{
  struct {
    const char *key;
    const char **to;
    bool is_path;
  } texts[] = {{"host", &o->host, false}, {"name", &o->name, false}, {"cert", &o->cert, true}, {"key", &o->key, true}, {"ca", &o->ca, true},
               {"alpn", &o->alpn, false}, {"topic_prefix", &o->topic_prefix, false}, {"data", &o->data_dir, true}, {"replay", &o->replay, true},
               {"channel_map", &o->channel_map, false}, {"bus", &o->bus, false}};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (strcmp(key, texts[i].key) == 0)
      return own_text(o, path, key, v, texts[i].to, texts[i].is_path, why);
  double n = 0;
  mc_err err = MC_OK;
  if (strcmp(key, "port") == 0 && !(err = own_number(key, v, 1, 65535, &n, why)))
    o->port = (uint16_t)n;
  else if (strcmp(key, "checkin_s") == 0 && !(err = own_number(key, v, 1, 86400, &n, why)))
    o->checkin_s = (uint32_t)n;
  else if (strcmp(key, "keep_alive_s") == 0 && !(err = own_number(key, v, 1, 65535, &n, why)))
    o->keep_alive_s = (uint32_t)n;
  else if (strcmp(key, "spool_mib") == 0 && !(err = own_number(key, v, 1, 1048576, &n, why)))
    o->spool_mib = (uint64_t)n;
  else if (strcmp(key, "speed") == 0 && !(err = own_number(key, v, 0, 10000, &n, why)))
    o->speed = n;
  else if (strcmp(key, "loop") == 0)
    o->loop = json_is_true(v);
  else if (strcmp(key, "plain") == 0)
    o->plain = json_is_true(v);
  else if (strcmp(key, "keep_times") == 0)
    o->keep_times = json_is_true(v);
  else if (!err)
    return mc_err_set(why, MC_ERR_INVALID, "\"%.80s\" is not a key that is known", key);
  return err;
}

mc_err edge_options_read_json(const char *path, edge_options *o, mc_why *why)
{
  mc_buf text = {0};
  mc_err err = mc_fs_read(mc_fs_posix(), path, 4 << 20, &text, why);
  if (err) {
    mc_buf_free(&text);
    return mc_err_prefix(why, "--config");
  }
  json_error_t je;
  json_t *root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &je);
  mc_buf_free(&text);
  if (!root)
    return mc_err_set(why, MC_ERR_MALFORMED, "--config %.200s: line %d, column %d: %s", path, je.line, je.column, je.text);
  if (!json_is_object(root)) {
    err = mc_err_set(why, MC_ERR_INVALID, "an object { } is needed");
  } else if (json_object_get(root, "staticConfig")) {
    err = fleetwise(o, path, root, why);
  } else {
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
      if (!err)
        err = own_key(o, path, key, value, why);
    }
    if (!err && o->host && !o->port)
      o->port = 8883;
  }
  json_decref(root);
  return err ? mc_err_prefix(why, "--config %.200s", path) : MC_OK;
}
