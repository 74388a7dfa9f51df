/* Merge, delta and metadata of device shadows. */
#include <stdio.h>
#include <string.h>

#include "format/json.h"
#include "twin/shadow_document.h"

static const char *const section_name[SECTIONS] = {[DESIRED] = "desired", [REPORTED] = "reported"};

static bool refuse(shadow_fault *fault, int code, const char *message)
{
  fault->code = code;
  snprintf(fault->message, sizeof fault->message, "%s", message);
  return false;
}

static bool no_memory(shadow_fault *fault)
{
  return refuse(fault, 500, "out of memory; try again");
}

void shadow_document_clear(shadow_document *d)
{
  for (int i = 0; i < SECTIONS; i++) {
    json_decref(d->state[i]);
    json_decref(d->metadata[i]);
  }
  *d = (shadow_document){0};
}

/* ---- text ---- */
static int append(const char *text, size_t size, void *out)
{
  return mc_buf_append(out, text, size) ? -1 : 0;
}

static void put_json(mc_json *j, const char *key, const json_t *value)
{
  mc_buf text = {0};
  mc_json_key(j, key);
  if (json_dump_callback(value, append, &text, JSON_COMPACT | JSON_ENCODE_ANY))
    j->err = MC_ERR_MEMORY;
  else
    mc_json_raw(j, mc_buf_slice(&text));
  mc_buf_free(&text);
}

/* "key":{"desired":...,"reported":...}, with what there is of them. */
static void put_sections(mc_json *j, const char *key, json_t *const section[SECTIONS], const json_t *delta)
{
  mc_json_key(j, key);
  mc_json_object(j);
  for (int i = 0; i < SECTIONS; i++)
    if (section[i])
      put_json(j, section_name[i], section[i]);
  if (delta && json_object_size(delta))
    put_json(j, "delta", delta);
  mc_json_object_end(j);
}

static void put_token(mc_json *j, mc_slice token)
{
  if (token.len)
    mc_json_text_field(j, "clientToken", token);
}

mc_err shadow_fault_write(const shadow_fault *fault, mc_slice token, int64_t now_s, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_int_field(&j, "code", fault->code);
  mc_json_str_field(&j, "message", fault->message);
  mc_json_int_field(&j, "timestamp", now_s);
  put_token(&j, token);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

mc_err shadow_document_write(const shadow_document *d, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  put_sections(&j, "state", d->state, NULL);
  put_sections(&j, "metadata", d->metadata, NULL);
  mc_json_uint_field(&j, "version", d->version);
  mc_json_bool_field(&j, "exists", d->exists);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

mc_err shadow_document_read(mc_slice text, shadow_document *out)
{
  *out = (shadow_document){0};
  json_t *root = json_loadb((const char *)text.data, text.len, 0, NULL);
  json_t *version = json_object_get(root, "version"), *exists = json_object_get(root, "exists");
  mc_err err = json_is_integer(version) && json_integer_value(version) >= 0 && json_is_boolean(exists) ? MC_OK : MC_ERR_MALFORMED;
  for (int i = 0; i < SECTIONS && !err; i++) {
    json_t *state = json_object_get(json_object_get(root, "state"), section_name[i]);
    json_t *metadata = json_object_get(json_object_get(root, "metadata"), section_name[i]);
    if (!state != !metadata || (state && (!json_is_object(state) || !json_is_object(metadata))))
      err = MC_ERR_MALFORMED;
    out->state[i] = json_incref(state);
    out->metadata[i] = json_incref(metadata);
  }
  out->version = err ? 0 : (uint64_t)json_integer_value(version);
  out->exists = !err && json_is_true(exists);
  json_decref(root);
  if (err)
    shadow_document_clear(out);
  return err;
}

/* ---- request ---- */
static bool holds_null(const json_t *array)
{
  size_t i;
  const json_t *item;
  json_array_foreach(array, i, item)
  {
    const char *key;
    json_t *member;
    if (json_is_null(item) || (json_is_array(item) && holds_null(item)))
      return true;
    json_object_foreach((json_t *)(uintptr_t)item, key, member) if (json_is_null(member) || (json_is_array(member) && holds_null(member))) return true;
  }
  return false;
}

/* Nothing below `levels`; no array with a null in it. Its recursion is bounded by levels. */
static bool shape_is_good(const json_t *value, uint32_t levels, shadow_fault *fault)
{
  const char *key;
  json_t *member;
  size_t i;
  if (!json_is_object(value) && !json_is_array(value))
    return true;
  if (!levels)
    return refuse(fault, 400, "State is nested too deeply");
  json_object_foreach((json_t *)(uintptr_t)value, key, member) if (!shape_is_good(member, levels - 1, fault)) return false;
  json_array_foreach(value, i, member) if (!shape_is_good(member, levels - 1, fault)) return false;
  return json_is_array(value) && holds_null(value) ? refuse(fault, 400, "State holds an array with a null in it; leave the element out") : true;
}

static bool read_token(const json_t *root, mc_slice *token, shadow_fault *fault)
{
  const json_t *value = json_object_get(root, "clientToken");
  if (!value)
    return true;
  if (!json_is_string(value) || json_string_length(value) > SHADOW_TOKEN)
    return refuse(fault, 400, "clientToken must be a text of at most 64 bytes");
  *token = mc_slice_of(json_string_value(value), json_string_length(value));
  return true;
}

static bool read_sections(const json_t *state, const shadow_limits *limits, shadow_request *out, shadow_fault *fault)
{
  if (!json_is_object(state))
    return refuse(fault, 400, state ? "state must be an object" : "Missing required node: state");
  const char *key;
  json_t *section;
  json_object_foreach((json_t *)(uintptr_t)state, key, section)
  {
    int i = !strcmp(key, "desired") ? DESIRED : !strcmp(key, "reported") ? REPORTED : SECTIONS;
    if (i == SECTIONS)
      return refuse(fault, 400, "state may hold desired and reported, and nothing else");
    if (!json_is_object(section) && !json_is_null(section))
      return refuse(fault, 400, i == DESIRED ? "state.desired must be an object or null" : "state.reported must be an object or null");
    if (!shape_is_good(section, limits->depth + 1, fault))
      return false;
    out->state[i] = section;
  }
  return true;
}

static bool read_version(const json_t *root, shadow_request *out, shadow_fault *fault)
{
  const json_t *version = json_object_get(root, "version");
  if (!version || json_is_null(version))
    return true;
  if (!json_is_integer(version) || json_integer_value(version) < 0)
    return refuse(fault, 400, "version must be a whole number from 0");
  out->has_version = true;
  out->version = (uint64_t)json_integer_value(version);
  return true;
}

bool shadow_request_read(mc_slice payload, bool update, const shadow_limits *limits, shadow_request *out, shadow_fault *fault)
{
  *out = (shadow_request){0};
  if (!payload.len && !update)
    return true;
  if (!mc_slice_is_utf8(payload))
    return refuse(fault, 415, "The request is not UTF-8");
  json_error_t where;
  out->root = json_loadb((const char *)payload.data, payload.len, 0, &where);
  if (!out->root) {
    fault->code = 400;
    snprintf(fault->message, sizeof fault->message, "Invalid JSON at line %d, column %d: %.80s", where.line, where.column, where.text);
    return false;
  }
  if (!json_is_object(out->root))
    return refuse(fault, 400, "The request must be a JSON object");
  return read_token(out->root, &out->token, fault) && read_version(out->root, out, fault) &&
         (!update || read_sections(json_object_get(out->root, "state"), limits, out, fault));
}

void shadow_request_free(shadow_request *r)
{
  json_decref(r->root);
  *r = (shadow_request){0};
}

/* ---- merge ---- */
static json_t *stamp(int64_t now_s)
{
  return json_pack("{s:I}", "timestamp", (json_int_t)now_s);
}

/* The metadata of a value that comes as a whole. NULL: no memory. */
static json_t *stamp_all(const json_t *value, int64_t now_s)
{
  if (!json_is_object(value))
    return stamp(now_s);
  json_t *out = json_object();
  const char *key;
  json_t *member;
  json_object_foreach((json_t *)(uintptr_t)value, key, member) if (!json_is_null(member) && json_object_set_new(out, key, stamp_all(member, now_s)))
  {
    json_decref(out);
    return NULL;
  }
  return out;
}

/* A deep copy without members that are null: they delete, and there is nothing to delete. */
static json_t *copy_without_nulls(const json_t *value)
{
  if (!json_is_object(value))
    return json_deep_copy(value);
  json_t *out = json_object();
  const char *key;
  json_t *member;
  json_object_foreach((json_t *)(uintptr_t)value, key, member) if (!json_is_null(member) && json_object_set_new(out, key, copy_without_nulls(member)))
  {
    json_decref(out);
    return NULL;
  }
  return out;
}

/* state and metadata are objects of the same shape, this change's own copies. False: no memory. */
static bool merge(json_t *state, json_t *metadata, const json_t *change, int64_t now_s)
{
  const char *key;
  json_t *member;
  json_object_foreach((json_t *)(uintptr_t)change, key, member)
  {
    json_t *old = json_object_get(state, key), *old_metadata = json_object_get(metadata, key);
    if (json_is_null(member)) {
      json_object_del(state, key);
      json_object_del(metadata, key);
    } else if (json_is_object(member) && json_is_object(old)) {
      if (!merge(old, old_metadata, member, now_s))
        return false;
    } else if (json_object_set_new(state, key, copy_without_nulls(member)) || json_object_set_new(metadata, key, stamp_all(member, now_s))) {
      return false;
    }
  }
  return true;
}

static bool merge_section(shadow_document *d, int i, const json_t *change, int64_t now_s)
{
  if (!change)
    return true;
  if (!d->state[i] && json_is_object(change)) {
    d->state[i] = json_object();
    d->metadata[i] = json_object();
    if (!d->state[i] || !d->metadata[i])
      return false;
  }
  if (json_is_object(change) && !merge(d->state[i], d->metadata[i], change, now_s))
    return false;
  if (json_is_null(change) || !json_object_size(d->state[i])) { /* an empty section is none */
    json_decref(d->state[i]);
    json_decref(d->metadata[i]);
    d->state[i] = d->metadata[i] = NULL;
  }
  return true;
}

/* ---- delta ---- */
/* Numbers by value: 1 and 1.0 are the same. */
static bool same(const json_t *a, const json_t *b)
{
  if (json_typeof(a) != json_typeof(b))
    return json_is_number(a) && json_is_number(b) && json_number_value(a) == json_number_value(b);
  if (!json_is_array(a) && !json_is_object(a))
    return json_equal(a, b);
  if (json_is_array(a)) {
    if (json_array_size(a) != json_array_size(b))
      return false;
    for (size_t i = 0; i < json_array_size(a); i++)
      if (!same(json_array_get(a, i), json_array_get(b, i)))
        return false;
    return true;
  }
  if (json_object_size(a) != json_object_size(b))
    return false;
  const char *key;
  json_t *member;
  json_object_foreach((json_t *)(uintptr_t)a, key, member)
  {
    const json_t *other = json_object_get(b, key);
    if (!other || !same(member, other))
      return false;
  }
  return true;
}

static bool put_both(json_t *out, json_t *out_metadata, const char *key, json_t *value, json_t *stamps)
{
  return json_object_set(out, key, value) == 0 && json_object_set(out_metadata, key, stamps) == 0;
}

/* What of desired is not so in reported, with desired's metadata. False: no memory. */
static bool differences(const json_t *desired, const json_t *reported, const json_t *metadata, json_t *out, json_t *out_metadata)
{
  const char *key;
  json_t *want;
  json_object_foreach((json_t *)(uintptr_t)desired, key, want)
  {
    const json_t *have = json_object_get(reported, key);
    json_t *stamps = json_object_get(metadata, key);
    if (have && json_is_object(want) && json_is_object(have)) {
      json_t *inner = json_object(), *inner_metadata = json_object();
      bool good = inner && inner_metadata && differences(want, have, stamps, inner, inner_metadata);
      if (good && json_object_size(inner))
        good = put_both(out, out_metadata, key, inner, inner_metadata);
      json_decref(inner);
      json_decref(inner_metadata);
      if (!good)
        return false;
    } else if (!have || !same(want, have)) {
      if (!put_both(out, out_metadata, key, want, stamps))
        return false;
    }
  }
  return true;
}

static bool delta_of(const shadow_document *d, json_t **out, json_t **metadata)
{
  *out = json_object();
  *metadata = json_object();
  return *out && *metadata && (!d->state[DESIRED] || differences(d->state[DESIRED], d->state[REPORTED], d->metadata[DESIRED], *out, *metadata));
}

/* ---- answers ---- */
/* Stamps of what a request sets, in its own shape; what it deletes has none. */
static bool stamps_of_request(const shadow_request *r, int64_t now_s, json_t *out[SECTIONS])
{
  bool good = true;
  for (int i = 0; i < SECTIONS; i++) {
    out[i] = json_is_object(r->state[i]) ? stamp_all(r->state[i], now_s) : NULL;
    good &= !json_is_object(r->state[i]) || out[i];
  }
  return good;
}

static mc_err write_accepted(const shadow_document *d, const shadow_request *r, int64_t now_s, mc_buf *out)
{
  json_t *stamps[SECTIONS];
  bool good = stamps_of_request(r, now_s, stamps);
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  put_sections(&j, "state", r->state, NULL);
  put_sections(&j, "metadata", stamps, NULL);
  mc_json_uint_field(&j, "version", d->version);
  mc_json_int_field(&j, "timestamp", now_s);
  put_token(&j, r->token);
  mc_json_object_end(&j);
  for (int i = 0; i < SECTIONS; i++)
    json_decref(stamps[i]);
  mc_err err = mc_json_end(&j);
  return good ? err : MC_ERR_MEMORY;
}

static void put_side(mc_json *j, const char *key, const shadow_document *d)
{
  mc_json_key(j, key);
  mc_json_object(j);
  put_sections(j, "state", d->state, NULL);
  put_sections(j, "metadata", d->metadata, NULL);
  mc_json_uint_field(j, "version", d->version);
  mc_json_object_end(j);
}

static mc_err write_documents(const shadow_document *before, const shadow_document *after, mc_slice token, int64_t now_s, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  put_side(&j, "previous", before);
  put_side(&j, "current", after);
  mc_json_int_field(&j, "timestamp", now_s);
  put_token(&j, token);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

static mc_err write_delta(const shadow_document *d, mc_slice token, int64_t now_s, mc_buf *out)
{
  json_t *delta, *metadata;
  mc_err err = delta_of(d, &delta, &metadata) ? MC_OK : MC_ERR_MEMORY;
  if (!err && json_object_size(delta)) {
    mc_json j = mc_json_to(out);
    mc_json_object(&j);
    mc_json_uint_field(&j, "version", d->version);
    mc_json_int_field(&j, "timestamp", now_s);
    put_json(&j, "state", delta);
    put_json(&j, "metadata", metadata);
    put_token(&j, token);
    mc_json_object_end(&j);
    err = mc_json_end(&j);
  }
  json_decref(delta);
  json_decref(metadata);
  return err;
}

void shadow_texts_free(shadow_texts *t)
{
  mc_buf_free(&t->accepted);
  mc_buf_free(&t->documents);
  mc_buf_free(&t->delta);
}

static size_t state_bytes(const shadow_document *d)
{
  size_t sum = 0;
  for (int i = 0; i < SECTIONS; i++)
    sum += d->state[i] ? json_dumpb(d->state[i], NULL, 0, JSON_COMPACT) : 0;
  return sum;
}

static bool copy(const shadow_document *d, shadow_document *out)
{
  *out = (shadow_document){.version = d->version, .exists = d->exists};
  bool good = true;
  for (int i = 0; i < SECTIONS; i++) {
    out->state[i] = json_deep_copy(d->state[i]);
    out->metadata[i] = json_deep_copy(d->metadata[i]);
    good &= !d->state[i] || (out->state[i] && out->metadata[i]);
  }
  return good;
}

bool shadow_document_update(shadow_document *d, const shadow_request *r, const shadow_limits *limits, int64_t now_s, shadow_texts *out, shadow_fault *fault)
{
  *out = (shadow_texts){0};
  if (r->has_version && r->version != d->version)
    return refuse(fault, 409, "Version conflict");
  shadow_document after;
  bool good = copy(d, &after);
  for (int i = 0; i < SECTIONS && good; i++)
    good = merge_section(&after, i, r->state[i], now_s);
  if (!good) {
    shadow_document_clear(&after);
    return no_memory(fault);
  }
  if (state_bytes(&after) > limits->bytes) {
    shadow_document_clear(&after);
    fault->code = 413;
    snprintf(fault->message, sizeof fault->message, "The state would be larger than the %u bytes that are allowed", limits->bytes);
    return false;
  }
  after.version++;
  after.exists = true;
  if (write_accepted(&after, r, now_s, &out->accepted) || write_documents(d, &after, r->token, now_s, &out->documents) ||
      write_delta(&after, r->token, now_s, &out->delta)) {
    shadow_document_clear(&after);
    shadow_texts_free(out);
    return no_memory(fault);
  }
  shadow_document_clear(d);
  *d = after;
  return true;
}

bool shadow_document_get(const shadow_document *d, mc_slice token, int64_t now_s, mc_buf *out, shadow_fault *fault)
{
  if (!d->exists)
    return refuse(fault, 404, "No shadow exists with this name");
  json_t *delta, *metadata;
  bool good = delta_of(d, &delta, &metadata);
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  put_sections(&j, "state", d->state, delta);
  put_sections(&j, "metadata", d->metadata, NULL);
  mc_json_uint_field(&j, "version", d->version);
  mc_json_int_field(&j, "timestamp", now_s);
  put_token(&j, token);
  mc_json_object_end(&j);
  json_decref(delta);
  json_decref(metadata);
  return !mc_json_end(&j) && good ? true : no_memory(fault);
}

bool shadow_document_delete(shadow_document *d, const shadow_request *r, int64_t now_s, mc_buf *out, shadow_fault *fault)
{
  if (!d->exists)
    return refuse(fault, 404, "No shadow exists with this name");
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_uint_field(&j, "version", d->version);
  mc_json_int_field(&j, "timestamp", now_s);
  put_token(&j, r->token);
  mc_json_object_end(&j);
  if (mc_json_end(&j))
    return no_memory(fault);
  uint64_t version = d->version;
  shadow_document_clear(d);
  d->version = version;
  return true;
}
