/* Reading Checkin, DecoderManifest and CollectionSchemes by their tables; ConditionNode trees by hand. */
#include "format/fleetwise_schema.h"

typedef struct context {
  const uint8_t *base; /* of the whole input: bytes in errors count from here */
  mc_arena *arena;
  mc_why *why;
} context;

static mc_err refuse(const context *c, const char *message, const char *field, const uint8_t *at, mc_err err, const char *rule)
{
  return mc_err_set(c->why, err, "%s.%s, byte %zu: %s", message, field, (size_t)(at - c->base), rule);
}

static mc_err no_memory(const context *c, const char *message, const char *field, const uint8_t *at)
{
  return refuse(c, message, field, at, MC_ERR_MEMORY, "needs more memory than this document may have; send a smaller one");
}

/* Next field, with the error told. */
static mc_err next(const context *c, const char *message, mc_slice in, size_t *at, mc_proto_field *f)
{
  mc_err err = mc_proto_next(in, at, f);
  if (err && err != MC_ERR_END)
    return refuse(c, message, "(field)", in.data + *at, err,
                  err == MC_ERR_TRUNCATED ? "field is cut off by the end of its message" : "field has a broken tag, wire type or number");
  return err;
}

static mc_err check_wire(const context *c, const char *message, const char *field, const mc_proto_field *f, mc_wire want, const uint8_t *at)
{
  if (f->wire == want)
    return MC_OK;
  static const char *const texts[] = {[MC_WIRE_VARINT] = "expected a varint, another wire type came",
                                      [MC_WIRE_I64] = "expected 64 bits, another wire type came",
                                      [MC_WIRE_LEN] = "expected a length and bytes, another wire type came",
                                      [MC_WIRE_I32] = "expected 32 bits, another wire type came"};
  return refuse(c, message, field, at, MC_ERR_MALFORMED, texts[want]);
}

static mc_err take_u32(const context *c, const char *message, const char *field, const mc_proto_field *f, const uint8_t *at, uint32_t *out)
{
  MC_TRY(check_wire(c, message, field, f, MC_WIRE_VARINT, at));
  if (f->number > UINT32_MAX)
    return refuse(c, message, field, at, MC_ERR_MALFORMED, "number is beyond 32 bits");
  *out = (uint32_t)f->number;
  return MC_OK;
}

static mc_err take_text(const context *c, const char *message, const char *field, const mc_proto_field *f, const uint8_t *at, mc_slice *out)
{
  MC_TRY(check_wire(c, message, field, f, MC_WIRE_LEN, at));
  if (!mc_slice_is_utf8(f->bytes))
    return refuse(c, message, field, at, MC_ERR_MALFORMED, "string is not UTF-8");
  *out = f->bytes;
  return MC_OK;
}

/* ---- ConditionNode (5.4) ---- */
static mc_err read_node(const context *c, mc_slice in, unsigned depth, mc_fw_node **out);

static mc_err read_child(const context *c, const char *message, const char *field, const mc_proto_field *f, const uint8_t *at,
                         unsigned depth, mc_fw_node **out)
{
  MC_TRY(check_wire(c, message, field, f, MC_WIRE_LEN, at));
  return read_node(c, f->bytes, depth + 1, out);
}

static mc_err read_operator(const context *c, mc_slice in, unsigned depth, mc_fw_node *n)
{
  static const char name[] = "NodeOperator";
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0, start = 0; !(err = next(c, name, in, &at, &f)); start = at) {
    const uint8_t *p = in.data + start;
    if (f.tag == 1)
      MC_TRY(read_child(c, name, "left_child", &f, p, depth, &n->left));
    else if (f.tag == 2)
      MC_TRY(read_child(c, name, "right_child", &f, p, depth, &n->right));
    else if (f.tag == 3)
      MC_TRY(take_u32(c, name, "operator", &f, p, &n->op));
  }
  return err == MC_ERR_END ? MC_OK : err;
}

/* {1 signal_id; 2 signal_path}: the whole message is kept in text, so that writing gives it back. */
static mc_err read_path(const context *c, mc_slice in, mc_fw_node *n)
{
  static const char name[] = "PrimitiveTypeInComplexSignal";
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0, start = 0; !(err = next(c, name, in, &at, &f)); start = at)
    if (f.tag == 1)
      MC_TRY(take_u32(c, name, "signal_id", &f, in.data + start, &n->signal_id));
  n->text = in;
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err read_window(const context *c, mc_slice in, mc_fw_node *n)
{
  static const char name[] = "WindowFunction";
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0, start = 0; !(err = next(c, name, in, &at, &f)); start = at) {
    const uint8_t *p = in.data + start;
    if (f.tag == 1) {
      MC_TRY(take_u32(c, name, "signal_id", &f, p, &n->signal_id));
      n->text = (mc_slice){0};
    } else if (f.tag == 2) {
      MC_TRY(take_u32(c, name, "window_type", &f, p, &n->window));
    } else if (f.tag == 3) {
      MC_TRY(check_wire(c, name, "primitive_type_in_signal", &f, MC_WIRE_LEN, p));
      MC_TRY(read_path(c, f.bytes, n));
    }
  }
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err read_custom(const context *c, mc_slice in, unsigned depth, mc_fw_node *n)
{
  static const char name[] = "CustomFunction";
  mc_proto_field f;
  mc_err err;
  uint32_t count = 0;
  for (size_t at = 0; !(err = next(c, name, in, &at, &f));)
    count += f.tag == 2;
  if (err != MC_ERR_END)
    return err;
  n->param = mc_arena_array(c->arena, count, sizeof *n->param);
  if (!n->param)
    return no_memory(c, name, "params", in.data);
  n->param_count = 0;
  for (size_t at = 0, start = 0; !(err = next(c, name, in, &at, &f)); start = at) {
    const uint8_t *p = in.data + start;
    if (f.tag == 1)
      MC_TRY(take_text(c, name, "function_name", &f, p, &n->text));
    else if (f.tag == 2)
      MC_TRY(read_child(c, name, "params", &f, p, depth, &n->param[n->param_count++]));
  }
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err read_is_null(const context *c, mc_slice in, unsigned depth, mc_fw_node *n)
{
  static const char name[] = "IsNullFunction";
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0, start = 0; !(err = next(c, name, in, &at, &f)); start = at)
    if (f.tag == 1)
      MC_TRY(read_child(c, name, "expression", &f, in.data + start, depth, &n->left));
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err read_function(const context *c, mc_slice in, unsigned depth, mc_fw_node *n)
{
  static const char name[] = "NodeFunction";
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0, start = 0; !(err = next(c, name, in, &at, &f)); start = at) {
    if (f.tag != MC_FW_FN_WINDOW && f.tag != MC_FW_FN_CUSTOM && f.tag != MC_FW_FN_IS_NULL)
      continue;
    MC_TRY(check_wire(c, name, "function", &f, MC_WIRE_LEN, in.data + start));
    *n = (mc_fw_node){.kind = MC_FW_NODE_FUNCTION, .function = (mc_fw_function)f.tag};
    if (f.tag == MC_FW_FN_WINDOW)
      MC_TRY(read_window(c, f.bytes, n));
    else if (f.tag == MC_FW_FN_CUSTOM)
      MC_TRY(read_custom(c, f.bytes, depth, n));
    else
      MC_TRY(read_is_null(c, f.bytes, depth, n));
  }
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err read_node_field(const context *c, const mc_proto_field *f, const uint8_t *p, unsigned depth, mc_fw_node *n)
{
  static const char name[] = "ConditionNode";
  if (f->tag < MC_FW_NODE_OPERATOR || f->tag > MC_FW_NODE_STRING)
    return MC_OK;
  *n = (mc_fw_node){.kind = (mc_fw_node_kind)f->tag}; /* a oneof: the last one counts */
  switch (n->kind) {
  case MC_FW_NODE_OPERATOR:
    MC_TRY(check_wire(c, name, "node_operator", f, MC_WIRE_LEN, p));
    return read_operator(c, f->bytes, depth, n);
  case MC_FW_NODE_FUNCTION:
    MC_TRY(check_wire(c, name, "node_function", f, MC_WIRE_LEN, p));
    return read_function(c, f->bytes, depth, n);
  case MC_FW_NODE_DOUBLE:
    MC_TRY(check_wire(c, name, "node_double_value", f, MC_WIRE_I64, p));
    n->number = mc_proto_double(f->number);
    return MC_OK;
  case MC_FW_NODE_SIGNAL:
    return take_u32(c, name, "node_signal_id", f, p, &n->signal_id);
  case MC_FW_NODE_BOOL:
    MC_TRY(check_wire(c, name, "node_boolean_value", f, MC_WIRE_VARINT, p));
    n->boolean = f->number != 0;
    return MC_OK;
  case MC_FW_NODE_PATH:
    MC_TRY(check_wire(c, name, "node_primitive_type_in_signal", f, MC_WIRE_LEN, p));
    return read_path(c, f->bytes, n);
  case MC_FW_NODE_STRING:
    return take_text(c, name, "node_string_value", f, p, &n->text);
  case MC_FW_NODE_NONE:
    break;
  }
  return MC_OK;
}

static mc_err read_node(const context *c, mc_slice in, unsigned depth, mc_fw_node **out)
{
  static const char name[] = "ConditionNode";
  if (depth > MC_FW_DEPTH_MAX)
    return refuse(c, name, "(tree)", in.data, MC_ERR_TOO_LARGE, "expression is nested deeper than 64 levels");
  mc_fw_node *n = mc_arena_alloc(c->arena, sizeof *n);
  if (!n)
    return no_memory(c, name, "(tree)", in.data);
  *out = n;
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0, start = 0; !(err = next(c, name, in, &at, &f)); start = at)
    MC_TRY(read_node_field(c, &f, in.data + start, depth, n));
  return err == MC_ERR_END ? MC_OK : err;
}

/* ---- tables ---- */
static const mc_fw_field *find_field(const mc_fw_message *m, uint32_t tag)
{
  for (size_t i = 0; i < m->field_count; i++)
    if (m->field[i].tag == tag)
      return &m->field[i];
  return NULL;
}

/* Varints in a packed field; MC_ERR_MALFORMED when the last one is cut. */
static mc_err count_packed(mc_slice in, uint32_t *count)
{
  uint32_t n = 0;
  for (size_t i = 0; i < in.len; i++)
    n += in.data[i] < 0x80;
  *count += n;
  return in.len && in.data[in.len - 1] >= 0x80 ? MC_ERR_MALFORMED : MC_OK;
}

static uint32_t *count_of(void *object, const mc_fw_field *f)
{
  return (uint32_t *)(void *)((uint8_t *)object + f->aside);
}

static size_t element_size(const mc_fw_field *f)
{
  switch ((mc_fw_kind)f->kind) {
  case MC_FW_TEXTS:
    return sizeof(mc_slice);
  case MC_FW_PAIRS:
  case MC_FW_NUMBERS:
    return sizeof(uint32_t);
  case MC_FW_NODES:
    return sizeof(mc_fw_node *);
  default:
    return f->nested->size;
  }
}

/* First pass: the counts of repeated fields, then their arrays; the counts go back to 0 for filling. */
static mc_err make_arrays(const context *c, const mc_fw_message *m, void *object, mc_slice in)
{
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0, start = 0; !(err = next(c, m->name, in, &at, &f)); start = at) {
    const mc_fw_field *field = find_field(m, f.tag);
    if (!field || !mc_fw_is_repeated(field))
      continue;
    if ((field->kind != MC_FW_PAIRS && field->kind != MC_FW_NUMBERS) || f.wire != MC_WIRE_LEN)
      ++*count_of(object, field);
    else if (count_packed(f.bytes, count_of(object, field)))
      return refuse(c, m->name, field->name, in.data + start, MC_ERR_MALFORMED, "packed numbers are cut off");
  }
  if (err != MC_ERR_END)
    return err;
  for (size_t i = 0; i < m->field_count; i++) {
    const mc_fw_field *field = &m->field[i];
    if (!mc_fw_is_repeated(field) || *count_of(object, field) == 0)
      continue;
    void *array = mc_arena_array(c->arena, *count_of(object, field), element_size(field));
    if (!array)
      return no_memory(c, m->name, field->name, in.data);
    memcpy((uint8_t *)object + field->offset, &array, sizeof array);
    *count_of(object, field) = 0;
  }
  return MC_OK;
}

static mc_err take_numbers(const context *c, const mc_fw_message *m, const mc_fw_field *field, const mc_proto_field *f, const uint8_t *p,
                         uint32_t *array, uint32_t *count)
{
  if (f->wire != MC_WIRE_LEN)
    return take_u32(c, m->name, field->name, f, p, &array[(*count)++]);
  for (size_t i = 0; i < f->bytes.len;) {
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
      byte = f->bytes.data[i++]; /* the first pass saw that the last byte ends a number */
      v |= shift < 35 ? (uint64_t)(byte & 0x7F) << shift : 0;
      shift += 7;
    } while (byte >= 0x80 && i < f->bytes.len);
    if (shift > 35 || v > UINT32_MAX)
      return refuse(c, m->name, field->name, p, MC_ERR_MALFORMED, "number is beyond 32 bits");
    array[(*count)++] = (uint32_t)v;
  }
  return MC_OK;
}

/* A member of a oneof of typed values: the last one that came counts. */
static mc_err take_value(const context *c, const mc_fw_message *m, const mc_fw_field *field, const mc_proto_field *f, const uint8_t *p,
                         mc_fw_value *out)
{
  static const struct {
    uint8_t wire;
    bool zigzag;
    uint8_t bits;
  } types[] = {[MC_FW_TYPE_BOOL] = {MC_WIRE_VARINT, false, 64},   [MC_FW_TYPE_UINT8] = {MC_WIRE_VARINT, false, 8},
               [MC_FW_TYPE_UINT16] = {MC_WIRE_VARINT, false, 16}, [MC_FW_TYPE_UINT32] = {MC_WIRE_VARINT, false, 32},
               [MC_FW_TYPE_UINT64] = {MC_WIRE_VARINT, false, 64}, [MC_FW_TYPE_INT8] = {MC_WIRE_VARINT, true, 8},
               [MC_FW_TYPE_INT16] = {MC_WIRE_VARINT, true, 16},   [MC_FW_TYPE_INT32] = {MC_WIRE_VARINT, true, 32},
               [MC_FW_TYPE_INT64] = {MC_WIRE_VARINT, true, 64},   [MC_FW_TYPE_FLOAT32] = {MC_WIRE_I32, false, 64},
               [MC_FW_TYPE_FLOAT64] = {MC_WIRE_I64, false, 64},   [MC_FW_TYPE_STRING] = {MC_WIRE_LEN, false, 64}};
  mc_fw_type type = (mc_fw_type)field->aside;
  *out = (mc_fw_value){.type = type};
  if (type == MC_FW_TYPE_STRING)
    return take_text(c, m->name, field->name, f, p, &out->text);
  MC_TRY(check_wire(c, m->name, field->name, f, (mc_wire)types[type].wire, p));
  if (types[type].bits < 64 && f->number >> types[type].bits) /* zigzag keeps n bits in n bits */
    return refuse(c, m->name, field->name, p, MC_ERR_MALFORMED, "number is beyond its type");
  if (types[type].zigzag)
    out->i = mc_proto_zigzag(f->number);
  else if (type == MC_FW_TYPE_FLOAT32)
    out->f = mc_proto_float(f->number);
  else if (type == MC_FW_TYPE_FLOAT64)
    out->d = mc_proto_double(f->number);
  else
    out->u = type == MC_FW_TYPE_BOOL ? f->number != 0 : f->number;
  return MC_OK;
}

static mc_err read_message(const context *c, const mc_fw_message *m, void *object, mc_slice in);

static mc_err read_field(const context *c, const mc_fw_message *m, const mc_fw_field *field, void *object, const mc_proto_field *f, const uint8_t *p)
{
  uint8_t *at = (uint8_t *)object + field->offset;
  void *array;
  switch ((mc_fw_kind)field->kind) {
  case MC_FW_U32:
    return take_u32(c, m->name, field->name, f, p, (uint32_t *)(void *)at);
  case MC_FW_U64:
    MC_TRY(check_wire(c, m->name, field->name, f, MC_WIRE_VARINT, p));
    memcpy(at, &f->number, sizeof f->number);
    return MC_OK;
  case MC_FW_BOOL:
    MC_TRY(check_wire(c, m->name, field->name, f, MC_WIRE_VARINT, p));
    *(bool *)at = f->number != 0;
    return MC_OK;
  case MC_FW_F64:
    MC_TRY(check_wire(c, m->name, field->name, f, MC_WIRE_I64, p));
    memcpy(at, &f->number, sizeof f->number);
    return MC_OK;
  case MC_FW_TEXT:
    return take_text(c, m->name, field->name, f, p, (mc_slice *)(void *)at);
  case MC_FW_TEXTS:
    memcpy(&array, at, sizeof array);
    return take_text(c, m->name, field->name, f, p, (mc_slice *)array + (*count_of(object, field))++);
  case MC_FW_MESSAGES:
    MC_TRY(check_wire(c, m->name, field->name, f, MC_WIRE_LEN, p));
    memcpy(&array, at, sizeof array);
    return read_message(c, field->nested, (uint8_t *)array + (size_t)field->nested->size * (*count_of(object, field))++, f->bytes);
  case MC_FW_PAIRS:
  case MC_FW_NUMBERS:
    memcpy(&array, at, sizeof array);
    return take_numbers(c, m, field, f, p, array, count_of(object, field));
  case MC_FW_NODE:
    return read_child(c, m->name, field->name, f, p, 0, (mc_fw_node **)(void *)at);
  case MC_FW_NODES:
    memcpy(&array, at, sizeof array);
    return read_child(c, m->name, field->name, f, p, 0, (mc_fw_node **)array + (*count_of(object, field))++);
  case MC_FW_VALUE:
    return take_value(c, m, field, f, p, (mc_fw_value *)(void *)at);
  case MC_FW_WITHIN:
    MC_TRY(check_wire(c, m->name, field->name, f, MC_WIRE_LEN, p));
    return read_message(c, field->nested, object, f->bytes);
  case MC_FW_PART_OFF:
  case MC_FW_PART_ON:
    MC_TRY(check_wire(c, m->name, field->name, f, MC_WIRE_LEN, p));
    *((uint8_t *)object + field->aside) = field->kind == MC_FW_PART_ON;
    return read_message(c, field->nested, object, f->bytes);
  case MC_FW_CHOICE:
    MC_TRY(check_wire(c, m->name, field->name, f, MC_WIRE_LEN, p));
    *count_of(object, field) = field->tag;
    return read_message(c, field->nested, object, f->bytes);
  }
  return MC_OK;
}

static mc_err read_message(const context *c, const mc_fw_message *m, void *object, mc_slice in)
{
  MC_TRY(make_arrays(c, m, object, in));
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0, start = 0; !(err = next(c, m->name, in, &at, &f)); start = at) {
    const mc_fw_field *field = find_field(m, f.tag);
    if (field)
      MC_TRY(read_field(c, m, field, object, &f, in.data + start));
  }
  if (err != MC_ERR_END)
    return err;
  for (size_t i = 0; i < m->field_count; i++) {
    if (m->field[i].kind != MC_FW_PAIRS)
      continue;
    uint32_t *count = count_of(object, &m->field[i]);
    if (*count % 2)
      return refuse(c, m->name, m->field[i].name, in.data, MC_ERR_MALFORMED, "ranges come in pairs, low and high; one number is left over");
    *count /= 2;
  }
  return MC_OK;
}

mc_err mc_fw_read_root(const mc_fw_message *m, mc_slice in, mc_arena *arena, void *out, mc_why *why)
{
  if (in.len == 0)
    in = MC_LIT(""); /* a pointer to count from */
  context c = {in.data, arena, why};
  memset(out, 0, m->size);
  if (in.len > UINT32_MAX)
    return refuse(&c, m->name, "(message)", in.data, MC_ERR_TOO_LARGE, "message is larger than 4 GiB");
  return read_message(&c, m, out, in);
}

mc_err mc_fw_read_checkin(mc_slice in, mc_arena *arena, mc_fw_checkin *out, mc_why *why)
{
  return mc_fw_read_root(&mc_fw_schema_checkin, in, arena, out, why);
}

mc_err mc_fw_read_manifest(mc_slice in, mc_arena *arena, mc_fw_manifest *out, mc_why *why)
{
  return mc_fw_read_root(&mc_fw_schema_manifest, in, arena, out, why);
}

mc_err mc_fw_read_schemes(mc_slice in, mc_arena *arena, mc_fw_schemes *out, mc_why *why)
{
  return mc_fw_read_root(&mc_fw_schema_schemes, in, arena, out, why);
}

mc_err mc_fw_read_path(mc_slice in, mc_arena *arena, mc_fw_path *out, mc_why *why)
{
  return mc_fw_read_root(&mc_fw_schema_path, in, arena, out, why);
}
