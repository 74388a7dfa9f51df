/* A campaign's destinations, out of FleetWise's own shapes (contract fleetwise, 9.4 and 9.6). */
#include <jansson.h>
#include <stdlib.h>

#include "campaign/delivery.h"

static mc_slice text_in(json_t *o, const char *key, mc_arena *arena)
{
  const char *s = json_string_value(json_object_get(o, key));
  char *copy = s ? mc_arena_str(arena, mc_slice_str(s)) : NULL;
  return mc_slice_str(copy);
}

/* What stands behind the last `mark` of an ARN: arn:aws:s3:::bucket, arn:aws:iot:region:account:topic/a/b. */
static mc_slice behind(mc_slice arn, const char *mark)
{
  size_t n = strlen(mark);
  for (size_t at = 0; at + n <= arn.len; at++)
    if (mc_slice_eq(mc_slice_sub(arn, at, n), mc_slice_of(mark, n)))
      return mc_slice_sub(arn, at + n, arn.len);
  return (mc_slice){0};
}

static void read_s3(json_t *o, mc_arena *arena, destination *d)
{
  d->kind = DESTINATION_S3;
  d->bucket = behind(text_in(o, "bucketArn", arena), ":::");
  d->bucket.len = mc_slice_find(d->bucket, '/', 0);
  d->prefix = text_in(o, "prefix", arena);
  while (d->prefix.len && d->prefix.data[d->prefix.len - 1] == '/')
    d->prefix.len--;
  while (d->prefix.len && d->prefix.data[0] == '/')
    d->prefix = mc_slice_sub(d->prefix, 1, d->prefix.len);
  d->parquet = !mc_slice_eq_str(text_in(o, "dataFormat", arena), "JSON"); /* 9.3: Parquet and gzip are the defaults */
  d->gzip = !mc_slice_eq_str(text_in(o, "storageCompressionFormat", arena), "NONE");
}

static void read_one(json_t *config, mc_arena *arena, destination *d)
{
  json_t *s3 = json_object_get(config, "s3Config"), *mqtt = json_object_get(config, "mqttTopicConfig");
  if (s3) {
    read_s3(s3, arena, d);
  } else if (mqtt) {
    d->kind = DESTINATION_MQTT;
    d->topic = behind(text_in(mqtt, "mqttTopicArn", arena), ":topic/");
  } else {
    d->kind = DESTINATION_STORE;
  }
}

static json_t *list_of(mc_slice text)
{
  json_t *list = text.len ? json_loadb((const char *)text.data, text.len, 0, NULL) : NULL;
  if (list && !json_is_array(list)) {
    json_decref(list);
    return NULL;
  }
  return list;
}

static mc_err fill(delivery_target *t, const mc_campaign *g)
{
  json_t *to = list_of(g->destinations), *dimensions = list_of(g->dimensions);
  size_t count = json_array_size(to), names = json_array_size(dimensions);
  t->to = mc_arena_array(&t->arena, count ? count : 1, sizeof *t->to);
  t->dimension = mc_arena_array(&t->arena, names ? names : 1, sizeof *t->dimension);
  mc_err err = t->to && t->dimension ? mc_arena_copy(&t->arena, g->name, &t->name) : MC_ERR_MEMORY;
  for (size_t i = 0; i < count && !err; i++) {
    destination *d = &t->to[t->to_count++];
    d->index = (uint32_t)i;
    read_one(json_array_get(to, i), &t->arena, d);
    t->files |= d->kind == DESTINATION_S3;
    t->messages |= d->kind == DESTINATION_MQTT;
  }
  for (size_t i = 0; i < names && !err; i++)
    t->dimension[t->dimension_count++] = mc_slice_str(mc_arena_str(&t->arena, mc_slice_str(json_string_value(json_array_get(dimensions, i)))));
  json_decref(to);
  json_decref(dimensions);
  return err;
}

mc_err delivery_target_read(mc_campaigns *c, uint32_t tenant, uint32_t campaign, delivery_target **out, mc_why *why)
{
  mc_arena scratch MC_ARENA_AUTO = MC_ARENA((size_t)16 << 20);
  mc_campaign g;
  *out = NULL;
  mc_err err = mc_campaign_get(c, tenant, campaign, &scratch, &g);
  if (err)
    return mc_err_set(why, err, "campaign %u: %s", campaign, mc_err_text(err));
  delivery_target *t = calloc(1, sizeof *t);
  if (!t)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the destinations of a campaign");
  t->tenant = tenant;
  t->campaign = campaign;
  err = fill(t, &g);
  if (err) {
    delivery_target_free(t);
    return mc_err_set(why, err, "destinations of campaign %.*s: %s", MC_FMT(g.name), mc_err_text(err));
  }
  *out = t;
  return MC_OK;
}

void delivery_target_free(delivery_target *t)
{
  if (!t)
    return;
  mc_arena_free(&t->arena);
  free(t);
}
