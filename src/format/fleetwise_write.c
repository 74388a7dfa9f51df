/* Writing Checkin, DecoderManifest and CollectionSchemes: proto3 as protobuf itself does it, fields in tag
 * order, values that equal the default left out, except in a oneof. */
#include "format/fleetwise_schema.h"

static mc_err write_node(mc_buf *out, uint32_t tag, const mc_fw_node *n, unsigned depth);

static mc_err write_text(mc_buf *out, uint32_t tag, mc_slice text)
{
  return mc_slice_is_utf8(text) ? mc_proto_put_bytes(out, tag, text) : MC_ERR_INVALID;
}

static mc_err write_operator(mc_buf *out, const mc_fw_node *n, unsigned depth)
{
  if (n->left)
    MC_TRY(write_node(out, 1, n->left, depth + 1));
  if (n->right)
    MC_TRY(write_node(out, 2, n->right, depth + 1));
  return n->op ? mc_proto_put_varint(out, 3, n->op) : MC_OK;
}

static mc_err write_function(mc_buf *out, const mc_fw_node *n, unsigned depth)
{
  size_t mark;
  MC_TRY(mc_proto_open(out, n->function, &mark));
  switch (n->function) {
  case MC_FW_FN_WINDOW:
    if (!n->text.len)
      MC_TRY(mc_proto_put_varint(out, 1, n->signal_id));
    if (n->window)
      MC_TRY(mc_proto_put_varint(out, 2, n->window));
    if (n->text.len)
      MC_TRY(mc_proto_put_bytes(out, 3, n->text));
    break;
  case MC_FW_FN_CUSTOM:
    if (n->text.len)
      MC_TRY(write_text(out, 1, n->text));
    for (uint32_t i = 0; i < n->param_count; i++)
      MC_TRY(write_node(out, 2, n->param[i], depth + 1));
    break;
  case MC_FW_FN_IS_NULL:
    if (n->left)
      MC_TRY(write_node(out, 1, n->left, depth + 1));
    break;
  default:
    return MC_ERR_INVALID;
  }
  return mc_proto_close(out, mark);
}

static mc_err write_node_content(mc_buf *out, const mc_fw_node *n, unsigned depth)
{
  size_t mark;
  switch (n->kind) {
  case MC_FW_NODE_NONE:
    return MC_OK;
  case MC_FW_NODE_OPERATOR:
    MC_TRY(mc_proto_open(out, n->kind, &mark));
    MC_TRY(write_operator(out, n, depth));
    return mc_proto_close(out, mark);
  case MC_FW_NODE_FUNCTION:
    MC_TRY(mc_proto_open(out, n->kind, &mark));
    if (n->function)
      MC_TRY(write_function(out, n, depth));
    return mc_proto_close(out, mark);
  case MC_FW_NODE_DOUBLE:
    return mc_proto_put_double(out, n->kind, n->number);
  case MC_FW_NODE_SIGNAL:
    return mc_proto_put_varint(out, n->kind, n->signal_id);
  case MC_FW_NODE_BOOL:
    return mc_proto_put_varint(out, n->kind, n->boolean);
  case MC_FW_NODE_PATH:
    return mc_proto_put_bytes(out, n->kind, n->text);
  case MC_FW_NODE_STRING:
    return write_text(out, n->kind, n->text);
  }
  return MC_ERR_INVALID;
}

static mc_err write_node(mc_buf *out, uint32_t tag, const mc_fw_node *n, unsigned depth)
{
  size_t mark;
  if (!n)
    return MC_ERR_INVALID;
  if (depth > MC_FW_DEPTH_MAX)
    return MC_ERR_TOO_LARGE;
  MC_TRY(mc_proto_open(out, tag, &mark));
  MC_TRY(write_node_content(out, n, depth));
  return mc_proto_close(out, mark);
}

static mc_err write_numbers(mc_buf *out, uint32_t tag, const uint32_t *number, size_t count)
{
  size_t mark;
  if (count == 0)
    return MC_OK;
  MC_TRY(mc_proto_open(out, tag, &mark));
  for (size_t i = 0; i < count; i++) {
    uint32_t v = number[i];
    for (; v >= 0x80; v >>= 7)
      MC_TRY(mc_buf_append_u8(out, (uint8_t)(v | 0x80)));
    MC_TRY(mc_buf_append_u8(out, (uint8_t)v));
  }
  return mc_proto_close(out, mark);
}

static mc_err write_message(mc_buf *out, const mc_fw_message *m, const void *object);

static mc_err write_messages(mc_buf *out, const mc_fw_field *f, const uint8_t *array, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++) {
    size_t mark;
    MC_TRY(mc_proto_open(out, f->tag, &mark));
    MC_TRY(write_message(out, f->nested, array + (size_t)i * f->nested->size));
    MC_TRY(mc_proto_close(out, mark));
  }
  return MC_OK;
}

static mc_err write_texts(mc_buf *out, uint32_t tag, const mc_slice *text, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++)
    MC_TRY(write_text(out, tag, text[i]));
  return MC_OK;
}

static mc_err write_nodes(mc_buf *out, uint32_t tag, mc_fw_node *const *node, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++)
    MC_TRY(write_node(out, tag, node[i], 1));
  return MC_OK;
}

bool mc_fw_value_fits(const mc_fw_value *v)
{
  static const uint8_t bits[] = {[MC_FW_TYPE_UINT8] = 8, [MC_FW_TYPE_UINT16] = 16, [MC_FW_TYPE_UINT32] = 32, [MC_FW_TYPE_UINT64] = 64,
                                 [MC_FW_TYPE_INT8] = 7,  [MC_FW_TYPE_INT16] = 15,  [MC_FW_TYPE_INT32] = 31,  [MC_FW_TYPE_INT64] = 63};
  if ((size_t)v->type >= sizeof bits || !bits[v->type])
    return true;
  if (v->type <= MC_FW_TYPE_UINT64)
    return bits[v->type] == 64 || v->u >> bits[v->type] == 0;
  int64_t high = v->i >> bits[v->type]; /* all zeros or all ones when it fits */
  return high == 0 || high == -1;
}

/* A member of a oneof: written although it may be 0. */
static mc_err write_value(mc_buf *out, const mc_fw_field *f, const mc_fw_value *v)
{
  if (v->type != (mc_fw_type)f->aside)
    return MC_OK;
  switch (v->type) {
  case MC_FW_TYPE_NULL:
    return MC_OK;
  case MC_FW_TYPE_BOOL:
    return mc_proto_put_varint(out, f->tag, v->u != 0);
  case MC_FW_TYPE_UINT8:
  case MC_FW_TYPE_UINT16:
  case MC_FW_TYPE_UINT32:
  case MC_FW_TYPE_UINT64:
    return mc_fw_value_fits(v) ? mc_proto_put_varint(out, f->tag, v->u) : MC_ERR_INVALID;
  case MC_FW_TYPE_INT8:
  case MC_FW_TYPE_INT16:
  case MC_FW_TYPE_INT32:
  case MC_FW_TYPE_INT64:
    return mc_fw_value_fits(v) ? mc_proto_put_zigzag(out, f->tag, v->i) : MC_ERR_INVALID;
  case MC_FW_TYPE_FLOAT32:
    return mc_proto_put_float(out, f->tag, v->f);
  case MC_FW_TYPE_FLOAT64:
    return mc_proto_put_double(out, f->tag, v->d);
  case MC_FW_TYPE_STRING:
    return write_text(out, f->tag, v->text);
  }
  return MC_ERR_INVALID;
}

static mc_err write_within(mc_buf *out, const mc_fw_field *f, const void *object)
{
  size_t before = out->len, mark;
  MC_TRY(mc_proto_open(out, f->tag, &mark));
  size_t opened = out->len;
  MC_TRY(write_message(out, f->nested, object));
  if (out->len == opened) {
    out->len = before; /* nothing to say */
    return MC_OK;
  }
  return mc_proto_close(out, mark);
}

static bool is_chosen(const mc_fw_field *f, const void *object)
{
  const uint8_t *choice = (const uint8_t *)object + f->aside;
  return f->kind == MC_FW_CHOICE ? mc_load_le32(choice) == f->tag : (*choice != 0) == (f->kind == MC_FW_PART_ON);
}

static mc_err write_part(mc_buf *out, const mc_fw_field *f, const void *object)
{
  size_t mark;
  if (!is_chosen(f, object))
    return MC_OK;
  MC_TRY(mc_proto_open(out, f->tag, &mark));
  MC_TRY(write_message(out, f->nested, object));
  return mc_proto_close(out, mark);
}

static mc_err write_field(mc_buf *out, const mc_fw_field *f, const void *object)
{
  const uint8_t *at = (const uint8_t *)object + f->offset;
  uint32_t count = 0;
  const void *array = NULL;
  if (mc_fw_is_repeated(f)) {
    memcpy(&array, at, sizeof array);
    memcpy(&count, (const uint8_t *)object + f->aside, sizeof count);
  }
  switch ((mc_fw_kind)f->kind) {
  case MC_FW_U32:
    return mc_load_le32(at) ? mc_proto_put_varint(out, f->tag, mc_load_le32(at)) : MC_OK;
  case MC_FW_U64:
    return mc_load_le64(at) ? mc_proto_put_varint(out, f->tag, mc_load_le64(at)) : MC_OK;
  case MC_FW_BOOL:
    return *at ? mc_proto_put_varint(out, f->tag, 1) : MC_OK;
  case MC_FW_F64: /* by its bits: -0.0 is not the default */
    return mc_load_le64(at) ? mc_proto_put_double(out, f->tag, mc_proto_double(mc_load_le64(at))) : MC_OK;
  case MC_FW_TEXT: {
    mc_slice text;
    memcpy(&text, at, sizeof text);
    return text.len ? write_text(out, f->tag, text) : MC_OK;
  }
  case MC_FW_TEXTS:
    return write_texts(out, f->tag, array, count);
  case MC_FW_MESSAGES:
    return write_messages(out, f, array, count);
  case MC_FW_PAIRS:
    return write_numbers(out, f->tag, array, (size_t)count * 2);
  case MC_FW_NUMBERS:
    return write_numbers(out, f->tag, array, count);
  case MC_FW_NODE: {
    const mc_fw_node *node;
    memcpy(&node, at, sizeof node);
    return node ? write_node(out, f->tag, node, 1) : MC_OK;
  }
  case MC_FW_NODES:
    return write_nodes(out, f->tag, array, count);
  case MC_FW_VALUE:
    return write_value(out, f, (const mc_fw_value *)(const void *)at);
  case MC_FW_WITHIN:
    return write_within(out, f, object);
  case MC_FW_PART_OFF:
  case MC_FW_PART_ON:
  case MC_FW_CHOICE:
    return write_part(out, f, object);
  }
  return MC_ERR_INVALID;
}

static mc_err write_message(mc_buf *out, const mc_fw_message *m, const void *object)
{
  for (size_t i = 0; i < m->field_count; i++)
    MC_TRY(write_field(out, &m->field[i], object));
  return MC_OK;
}

mc_err mc_fw_write_root(mc_buf *out, const mc_fw_message *m, const void *object)
{
  return write_message(out, m, object);
}

mc_err mc_fw_write_checkin(mc_buf *out, const mc_fw_checkin *m)
{
  return write_message(out, &mc_fw_schema_checkin, m);
}

mc_err mc_fw_write_manifest(mc_buf *out, const mc_fw_manifest *m)
{
  return write_message(out, &mc_fw_schema_manifest, m);
}

mc_err mc_fw_write_schemes(mc_buf *out, const mc_fw_schemes *m)
{
  return write_message(out, &mc_fw_schema_schemes, m);
}

mc_err mc_fw_write_path(mc_buf *out, const mc_fw_path *m)
{
  return write_message(out, &mc_fw_schema_path, m);
}
