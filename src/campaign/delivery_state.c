/* Last known state for customers (contract fleetwise, 5.6): what a vehicle says of a state template, by name, on P last_known_state/<template>/data. A
 * template's dimensions travel in the message, its metadata dimensions as MQTT 5 user properties. */
#include <jansson.h>
#include <stdlib.h>

#include "campaign/delivery.h"
#include "format/fleetwise_state.h"
#include "format/mqtt.h"

enum { MAX_PLAIN = 16 << 20, NAMES_MAX = 64 };

static const char comes_on[] = "/last_known_states/data";

bool delivery_is_state(mc_slice topic)
{
  size_t n = sizeof comes_on - 1;
  return topic.len > n && mc_slice_eq(mc_slice_sub(topic, topic.len - n, n), mc_slice_of(comes_on, n));
}

/* Attributes of the vehicle that a JSON list names. */
static mc_err attributes_named(mc_slice list, const mc_attribute *has, size_t has_count, mc_fw_dimension out[NAMES_MAX], uint32_t *count, mc_arena *arena)
{
  json_t *names = list.len ? json_loadb((const char *)list.data, list.len, 0, NULL) : NULL;
  mc_err err = MC_OK;
  *count = 0;
  for (size_t i = 0; i < json_array_size(names) && *count < NAMES_MAX && !err; i++)
    for (size_t a = 0; a < has_count && !err; a++)
      if (mc_slice_eq_str(has[a].name, json_string_value(json_array_get(names, i)))) {
        err = mc_arena_copy(arena, has[a].name, &out[*count].name);
        out[(*count)++].value = has[a].value;
      }
  json_decref(names);
  return err;
}

static mc_err names_of(collector *k, uint32_t tenant, const mc_fw_state_of_template *state, mc_fw_named_value *out, uint32_t *count)
{
  *count = 0;
  for (uint32_t i = 0; i < state->sample_count; i++) {
    mc_slice fqn = mc_registry_signal_fqn(k->c->config.registry, tenant, state->sample[i].signal_id);
    if (fqn.len && state->sample[i].value.type != MC_FW_TYPE_NULL)
      out[(*count)++] = (mc_fw_named_value){fqn, state->sample[i].value};
  }
  return MC_OK;
}

static mc_err give_one(collector *k, const mc_record *r, uint32_t vehicle, uint64_t time_ms, const mc_fw_state_of_template *state, delivery_give *give, void *ctx, mc_why *why)
{
  mc_state_template t;
  mc_attribute *has = NULL;
  size_t has_count = 0;
  mc_fw_dimension dimension[NAMES_MAX], metadata[NAMES_MAX];
  uint32_t metadata_count;
  mc_err err = mc_template_by_sync(k->c, r->tenant, state->sync_id, &k->arena, &t);
  if (err)
    return err == MC_ERR_NOT_FOUND ? MC_OK : err; /* counted by the decoder */
  mc_fw_last_known_state m = {.time_ms = time_ms, .dimension = dimension};
  mc_fw_named_value *named = mc_arena_array(&k->arena, state->sample_count ? state->sample_count : 1, sizeof *named);
  if (!named)
    return MC_ERR_MEMORY;
  m.signal = named;
  MC_TRY(names_of(k, r->tenant, state, named, &m.signal_count));
  if (t.dimensions.len || t.metadata.len)
    MC_TRY(mc_registry_vehicle_attributes(k->c->config.registry, r->tenant, vehicle, &k->arena, &has, &has_count, why));
  MC_TRY(attributes_named(t.dimensions, has, has_count, dimension, &m.dimension_count, &k->arena));
  MC_TRY(attributes_named(t.metadata, has, has_count, metadata, &metadata_count, &k->arena));
  mc_buf topic = {0}, props = {0}, payload = {0};
  err = mc_buf_printf(&topic, "%.*s/last_known_state/%.*s/data", MC_FMT(mc_slice_sub(r->topic, 0, r->topic.len - (sizeof comes_on - 1))), MC_FMT(t.name));
  for (uint32_t i = 0; i < metadata_count && !err; i++)
    err = mc_mqtt_put_user(&props, metadata[i].name, metadata[i].value);
  if (!err)
    err = mc_fw_write_last_known_state(&payload, &m);
  if (!err && m.signal_count)
    err = give(ctx, r->tenant, mc_buf_slice(&topic), mc_buf_slice(&props), mc_buf_slice(&payload), why);
  mc_buf_free(&topic);
  mc_buf_free(&props);
  mc_buf_free(&payload);
  return err;
}

/* Read, and no repeat of what the agent sent before; from now on it is one. */
static bool is_new(collector *k, const mc_record *r, mc_fw_state_data *d, uint32_t *vehicle)
{
  mc_slice name;
  mc_arena_reset(&k->arena);
  mc_buf_clear(&k->plain);
  mc_campaign_stream_of_topic(r->topic, &name);
  *vehicle = campaign_vehicle_of(k->c, r, name);
  if (!*vehicle || mc_snappy_expand(r->payload, MAX_PLAIN, &k->plain) || mc_fw_read_state_data(mc_buf_slice(&k->plain), &k->arena, d, NULL))
    return false; /* told by the decoder */
  return !repeat_table_seen(k->repeats, r->tenant, *vehicle, MC_LIT("last known state"), d->time_ms, 0, r->payload, r->offset);
}

void delivery_state_note(collector *k, const mc_record *r)
{
  mc_fw_state_data d;
  uint32_t vehicle;
  is_new(k, r, &d, &vehicle);
}

mc_err delivery_state_give(collector *k, const mc_record *r, delivery_give *give, void *ctx, mc_why *why)
{
  mc_fw_state_data d;
  uint32_t vehicle;
  if (!is_new(k, r, &d, &vehicle))
    return MC_OK;
  for (uint32_t i = 0; i < d.state_count; i++) {
    mc_err err = give_one(k, r, vehicle, d.time_ms, &d.state[i], give, ctx, why);
    if (err)
      return mc_err_set(why, err, "last known state for customers: %s", why->err == err && why->text[0] ? why->text : mc_err_text(err));
  }
  return MC_OK;
}
