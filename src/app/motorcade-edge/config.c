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
  if ((s = text_at(mqtt, "commandsTopicPrefix")))
    o->commands_prefix = keep_text(o, s);
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

static mc_err own_port(edge_options *o, const json_t *v, mc_why *why)
{
  json_int_t n = json_integer_value(v);
  if (n < 1 || n > 65535)
    return mc_err_set(why, MC_ERR_INVALID, "\"port\" must be a whole number from 1 to 65535");
  o->port = (uint16_t)n;
  return MC_OK;
}

/* The options of the command line, with _ for -; host and port may stand apart. */
static mc_err own_key(edge_options *o, const char *path, const char *key, const json_t *v, mc_why *why)
{
  char name[40], number[40];
  if (strcmp(key, "port") == 0)
    return own_port(o, v, why);
  snprintf(name, sizeof name, "%s", strcmp(key, "host") == 0 ? "endpoint" : key);
  for (char *c = name; *c; c++)
    *c = (char)(*c == '_' ? '-' : *c);
  const char *text = json_string_value(v);
  uint16_t port = o->port;
  switch (edge_options_key(name)) {
  case EDGE_KEY_UNKNOWN:
    return mc_err_set(why, MC_ERR_INVALID, "\"%.80s\" is not a key that is known; motorcade-edge --help lists them", key);
  case EDGE_KEY_TEXT:
  case EDGE_KEY_PATH:
    if (!text)
      return mc_err_set(why, MC_ERR_INVALID, "\"%.80s\" must be a text", key);
    text = edge_options_key(name) == EDGE_KEY_PATH ? keep_path(o, path, text) : text;
    MC_TRY(text ? edge_options_set(o, name, text, why) : MC_ERR_MEMORY);
    if (strcmp(key, "host") == 0 && port) /* "port" came first */
      o->port = port;
    return MC_OK;
  case EDGE_KEY_NUMBER:
    if (!json_is_number(v))
      return mc_err_set(why, MC_ERR_INVALID, "\"%.80s\" must be a number", key);
    snprintf(number, sizeof number, "%.17g", json_number_value(v));
    return edge_options_set(o, name, number, why);
  case EDGE_KEY_FLAG:
    if (!json_is_boolean(v))
      return mc_err_set(why, MC_ERR_INVALID, "\"%.80s\" must be true or false", key);
    return json_is_true(v) ? edge_options_set(o, name, "", why) : MC_OK;
  }
  return MC_OK;
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
