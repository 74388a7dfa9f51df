/* FleetWise's JSON on an MQTT topic (contract fleetwise, 9.6): seven members, no others. msgId stands first, and says which journal record it came
 * from: what was published already is known by it after a crash. */
#include <inttypes.h>
#include <stdio.h>

#include "campaign/delivery.h"
#include "format/json.h"

static const char begins[] = "{\"msgId\":\"";

void delivery_message_id(const mc_record *record, const destination *to, uint32_t campaign, uint32_t piece, char out[DELIVERY_ID])
{
  snprintf(out, DELIVERY_ID, "%016" PRIx64 "-%" PRIx32 "-%" PRIx32 "-%" PRIx32, record->offset, campaign, to->index, piece);
}

mc_slice delivery_message_id_of(mc_slice payload)
{
  size_t n = sizeof begins - 1;
  if (!mc_slice_starts(payload, mc_slice_of(begins, n)))
    return (mc_slice){0};
  size_t end = mc_slice_find(payload, '"', n);
  return end < payload.len && end - n < DELIVERY_ID ? mc_slice_sub(payload, n, end - n) : (mc_slice){0};
}

static void sample(mc_json *j, const delivery_row *row)
{
  mc_json_object(j);
  mc_json_key(j, "value");
  if (row->kind == ROW_BOOLEAN)
    mc_json_bool(j, row->number != 0);
  else if (row->kind == ROW_BIGINT)
    mc_json_int(j, row->number);
  else if (row->kind == ROW_DOUBLE)
    mc_json_double(j, row->real);
  else if (row->kind == ROW_STRUCT)
    mc_json_raw(j, row->text);
  else
    mc_json_text(j, row->text);
  mc_json_str_field(j, "dataType", row->type);
  mc_json_int_field(j, "time", row->time_us / 1000 - (row->time_us % 1000 < 0));
  mc_json_object_end(j);
}

/* Signals in the order they first come, each with all its samples in order. */
static mc_err signals(mc_json *j, const delivery_batch *b, size_t first, size_t count)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)64 << 20);
  size_t *next = mc_arena_array(&arena, count ? count : 1, sizeof *next); /* the next row of the same signal, + 1 */
  size_t *last = mc_arena_array(&arena, count ? count : 1, sizeof *last); /* of a first row: the last one so far */
  bool *later = mc_arena_array(&arena, count ? count : 1, sizeof *later);
  mc_map seen = {0};
  mc_err err = next && last && later ? MC_OK : MC_ERR_MEMORY;
  for (size_t i = 0; i < count && !err; i++) {
    uint64_t head, key = mc_slice_hash(b->row.at[first + i].measure);
    last[i] = i;
    if (!mc_map_get(&seen, key, &head)) {
      err = mc_map_put(&seen, key, i);
      continue;
    }
    next[last[head]] = i + 1;
    last[head] = i;
    later[i] = true;
  }
  mc_map_free(&seen);
  for (size_t i = 0; i < count && !err; i++) {
    if (later[i])
      continue;
    mc_json_key_slice(j, b->row.at[first + i].measure);
    mc_json_array(j);
    for (size_t k = i + 1; k; k = next[k - 1])
      sample(j, &b->row.at[first + k - 1]);
    mc_json_array_end(j);
  }
  return err;
}

mc_err delivery_message(const delivery_batch *b, size_t first, size_t count, const char *message_id, mc_buf *out)
{
  const delivery_row *row = &b->row.at[first];
  const delivery_vehicle *v = &b->vehicle.at[row->vehicle];
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_str_field(&j, "msgId", message_id);
  mc_json_text_field(&j, "campaignName", b->target->name);
  mc_json_text_field(&j, "vehicleName", v->name);
  mc_json_uint_field(&j, "eventId", row->event_id);
  mc_json_int_field(&j, "collectionEventTime", row->event_us / 1000);
  mc_json_key(&j, "dimensions");
  mc_json_object(&j);
  for (uint32_t i = 0; i < b->target->dimension_count; i++)
    if (v->dimension[i].data) {
      mc_json_key_slice(&j, b->target->dimension[i]);
      mc_json_text(&j, v->dimension[i]);
    }
  mc_json_object_end(&j);
  mc_json_key(&j, "signals");
  mc_json_object(&j);
  MC_TRY(signals(&j, b, first, count));
  mc_json_object_end(&j);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}
