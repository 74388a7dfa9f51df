/* Names that go into a structured signal: Vehicle.Camera.objects[3].distance (contract fleetwise 5.3 and 6.1). On the wire a path is the indices from the root
 * type; fields have theirs by their order in the decoder's structured message, so a path belongs to one decoder manifest. */
#include "campaign/decoder.h"

enum { STEPS_MAX = 32 };

/* The structured message of a signal's decoder in a manifest; of whichever comes first when the manifest has no name. New reference, or NULL. */
static json_t *message_of(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_slice fqn)
{
  mc_stmt *s;
  json_t *decoder = NULL;
  if (mc_db_begin(c->config.db, false, NULL))
    return NULL;
  if (mc_db_prepare(c->config.db, "SELECT document FROM decoder_signal WHERE tenant = $1 AND fqn = $2 AND kind = $3 AND ($4 = '' OR manifest = $4) ORDER BY manifest LIMIT 1", &s,
                    NULL) == MC_OK) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_text(s, 2, fqn);
    mc_stmt_bind_int(s, 3, DECODER_MESSAGE);
    mc_stmt_bind_text(s, 4, manifest);
    if (mc_stmt_step(s, NULL) == MC_OK) {
      mc_slice text = mc_stmt_text(s, 0);
      decoder = json_loadb((const char *)text.data, text.len, 0, NULL);
    }
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  json_t *message = json_incref(json_object_get(json_object_get(decoder, decoder_member[DECODER_MESSAGE]), "structuredMessage"));
  json_decref(decoder);
  return message;
}

/* ".name" or "[3]" of `rest`, cut off. False: it is neither. */
static bool next_step(mc_slice *rest, mc_slice *name, uint64_t *index)
{
  *name = (mc_slice){0};
  if (rest->len && rest->data[0] == '[') {
    size_t end = mc_slice_find(*rest, ']', 1);
    bool good = end < rest->len && mc_slice_to_u64(mc_slice_sub(*rest, 1, end - 1), index) == MC_OK && *index <= UINT32_MAX;
    *rest = mc_slice_sub(*rest, end + 1, rest->len);
    return good;
  }
  if (!rest->len || rest->data[0] != '.')
    return false;
  size_t end = 1;
  while (end < rest->len && rest->data[end] != '.' && rest->data[end] != '[')
    end++;
  *name = mc_slice_sub(*rest, 1, end - 1);
  *rest = mc_slice_sub(*rest, end, rest->len);
  return name->len > 0;
}

static const json_t *member_of(const json_t *fields, mc_slice name, uint32_t *index)
{
  for (size_t i = 0; i < json_array_size(fields); i++)
    if (mc_slice_eq(control_text(json_array_get(fields, i), "fieldName"), name)) {
      *index = (uint32_t)i;
      return json_object_get(json_array_get(fields, i), "dataType");
    }
  return NULL;
}

static mc_err element_of(const json_t *list, uint64_t index, mc_slice base, mc_why *why)
{
  int64_t capacity = control_int(list, "capacity", 0);
  if (capacity > 0 && index >= (uint64_t)capacity)
    return mc_err_set(why, MC_ERR_INVALID, "element %llu of a list in %.*s: it holds at most %lld, counted from 0", (unsigned long long)index, MC_FMT(base), (long long)capacity);
  return MC_OK;
}

static mc_err walk(const json_t *at, mc_slice base, mc_slice rest, mc_arena *arena, mc_expr_name *out, mc_why *why)
{
  uint32_t *step = mc_arena_array(arena, STEPS_MAX, sizeof *step);
  if (!step)
    return MC_ERR_MEMORY;
  while (rest.len) {
    mc_slice name;
    uint64_t index;
    const json_t *list = json_object_get(at, "structuredMessageListDefinition"), *fields = json_object_get(at, "structuredMessageDefinition");
    if (out->path_count == STEPS_MAX)
      return mc_err_set(why, MC_ERR_TOO_LARGE, "a path into %.*s has at most %d steps", MC_FMT(base), STEPS_MAX);
    if (!next_step(&rest, &name, &index))
      return mc_err_set(why, MC_ERR_MALFORMED, "the path into %.*s: expected .field or [index]", MC_FMT(base));
    if (name.len) {
      at = member_of(fields, name, &step[out->path_count]);
      if (!at)
        return mc_err_set(why, MC_ERR_NOT_FOUND, "%.*s has no field \"%.*s\" there", MC_FMT(base), MC_FMT(mc_slice_sub(name, 0, 100)));
    } else {
      if (!list)
        return mc_err_set(why, MC_ERR_INVALID, "%.*s has no list there", MC_FMT(base));
      MC_TRY(element_of(list, index, base, why));
      step[out->path_count] = (uint32_t)index;
      at = json_object_get(list, "memberType");
    }
    out->path_count++;
  }
  mc_slice type = control_text(json_object_get(json_object_get(at, "primitiveMessageDefinition"), "ros2PrimitiveMessageDefinition"), "primitiveType");
  if (!type.len)
    return mc_err_set(why, MC_ERR_INVALID, "the path into %.*s ends at a struct or a list; a condition reads a number or a text", MC_FMT(base));
  out->type = mc_slice_eq_str(type, "STRING") || mc_slice_eq_str(type, "WSTRING") ? MC_TYPE_STRING : MC_TYPE_FLOAT64;
  out->path = step;
  return MC_OK;
}

mc_err campaign_path_find(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_slice name, mc_arena *arena, mc_expr_name *out, mc_why *why)
{
  *out = (mc_expr_name){0};
  for (size_t end = name.len; end-- > 1;) {
    mc_slice base = mc_slice_sub(name, 0, end);
    uint32_t id;
    if ((name.data[end] != '.' && name.data[end] != '[') || mc_registry_signal_lookup(c->config.registry, tenant, base, &id))
      continue;
    json_t *message = message_of(c, tenant, manifest, base);
    if (!message && !manifest.len)
      return MC_ERR_NOT_FOUND; /* a plain signal: the whole name is wrong */
    mc_err err = message ? walk(message, base, mc_slice_sub(name, end, name.len), arena, out, why) : MC_OK; /* not of this manifest: it decodes nothing of it */
    json_decref(message);
    out->signal_id = id;
    return err;
  }
  return MC_ERR_NOT_FOUND;
}
