#include "signal/vss_tree.h"

#include <stdlib.h>

enum { FQN_MAX = 150, INSTANCES_MAX = 1000 };

static mc_err no_memory(mc_vss_tree *t) { return mc_err_set(t->why, MC_ERR_MEMORY, "out of memory for the signal tree"); }

mc_vss_node *mc_vss_child(const mc_vss_node *parent, mc_slice name)
{
  for (mc_vss_node *n = parent->first; n; n = n->next)
    if (mc_slice_eq(n->name, name))
      return n;
  return NULL;
}

static mc_vss_node *add_node(mc_vss_tree *t, mc_vss_node *parent, mc_slice name)
{
  if (t->nodes >= MC_VSS_NODES_MAX) {
    mc_err_set(t->why, MC_ERR_TOO_LARGE, "the signal tree has more than %d nodes", MC_VSS_NODES_MAX);
    return NULL;
  }
  mc_vss_node *n = mc_arena_alloc(t->arena, sizeof *n);
  if (!n) {
    no_memory(t);
    return NULL;
  }
  t->nodes++;
  n->name = name;
  if (parent->last)
    parent->last->next = n;
  else
    parent->first = n;
  parent->last = n;
  return n;
}

mc_vss_node *mc_vss_child_make(mc_vss_tree *t, mc_vss_node *parent, mc_slice name)
{
  mc_vss_node *n = mc_vss_child(parent, name);
  return n ? n : add_node(t, parent, name);
}

mc_err mc_vss_path_make(mc_vss_tree *t, mc_vss_node *from, mc_slice path, mc_vss_node **out)
{
  mc_vss_node *n = from;
  uint32_t depth = 0;
  for (size_t at = 0; at <= path.len;) {
    size_t end = mc_slice_find(path, '.', at);
    mc_slice name = mc_slice_sub(path, at, end - at);
    if (name.len == 0)
      return mc_err_set(t->why, MC_ERR_MALFORMED, "'%.*s' is not a dotted path of names", MC_FMT(mc_slice_sub(path, 0, 100)));
    if (++depth > MC_VSS_DEPTH_MAX)
      return mc_err_set(t->why, MC_ERR_TOO_LARGE, "'%.*s' is deeper than %d levels", MC_FMT(mc_slice_sub(path, 0, 100)), MC_VSS_DEPTH_MAX);
    n = mc_vss_child_make(t, n, name);
    if (!n)
      return t->why ? t->why->err : MC_ERR_MEMORY;
    at = end + 1;
  }
  *out = n;
  return MC_OK;
}

bool mc_vss_kind_of(mc_slice text, mc_vss_kind *out)
{
  static const char *const names[] = {"", "branch", "sensor", "actuator", "attribute", "struct", "property"};
  for (int i = MC_VSS_BRANCH; i <= MC_VSS_PROPERTY; i++)
    if (mc_slice_eq_str(text, names[i])) {
      *out = (mc_vss_kind)i;
      return true;
    }
  return false;
}

/* prefix[low,high]suffix */
static bool split_range(mc_slice text, mc_slice *prefix, uint64_t *low, uint64_t *high, mc_slice *suffix)
{
  size_t open = mc_slice_find(text, '[', 0), comma = mc_slice_find(text, ',', open), close = mc_slice_find(text, ']', comma);
  if (close >= text.len)
    return false;
  *prefix = mc_slice_sub(text, 0, open);
  *suffix = mc_slice_sub(text, close + 1, text.len);
  return mc_slice_to_u64(mc_slice_trim(mc_slice_sub(text, open + 1, comma - open - 1)), low) == MC_OK &&
         mc_slice_to_u64(mc_slice_trim(mc_slice_sub(text, comma + 1, close - comma - 1)), high) == MC_OK;
}

mc_err mc_vss_expand_name(mc_vss_tree *t, mc_slice text, mc_vss_names *out)
{
  mc_slice prefix = text, suffix = {NULL, 0};
  uint64_t low = 0, high = 0;
  bool range = split_range(text, &prefix, &low, &high, &suffix);
  if (range && (low > high || high - low >= INSTANCES_MAX))
    return mc_err_set(t->why, MC_ERR_MALFORMED, "instances '%.*s': expected a range of up to %d, as in Row[1,2]", MC_FMT(text), INSTANCES_MAX);
  uint32_t count = range ? (uint32_t)(high - low + 1) : 1;
  *out = (mc_vss_names){mc_arena_array(t->arena, count, sizeof *out->at), count};
  if (!out->at)
    return no_memory(t);
  for (uint32_t i = 0; i < count; i++) {
    char *name = range ? mc_arena_printf(t->arena, "%.*s%llu%.*s", MC_FMT(prefix), (unsigned long long)low + i, MC_FMT(suffix))
                       : mc_arena_str(t->arena, text);
    if (!name)
      return no_memory(t);
    out->at[i] = mc_slice_str(name);
  }
  return MC_OK;
}

/* What `from` says and `to` does not. */
static void fill_gaps(mc_vss_node *to, const mc_vss_node *from)
{
  mc_slice *texts[][2] = {{&to->datatype, (mc_slice *)&from->datatype},
                          {&to->unit, (mc_slice *)&from->unit},
                          {&to->description, (mc_slice *)&from->description},
                          {&to->comment, (mc_slice *)&from->comment},
                          {&to->initial, (mc_slice *)&from->initial}};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (!texts[i][0]->data)
      *texts[i][0] = *texts[i][1];
  if (to->kind == MC_VSS_UNSAID)
    to->kind = from->kind;
  if (!to->has_min && (to->has_min = from->has_min))
    to->min = from->min;
  if (!to->has_max && (to->has_max = from->has_max))
    to->max = from->max;
  if (!to->allowed.count) {
    to->allowed = from->allowed;
    to->allowed_value = from->allowed_value;
  }
  if (!to->level_count) {
    to->level_count = from->level_count;
    to->level = from->level;
  }
  if (!to->file.data) {
    to->file = from->file;
    to->line = from->line;
  }
}

/* Copies a template below an instance; what was said about that instance alone stays. */
static mc_err copy_below(mc_vss_tree *t, mc_vss_node *parent, const mc_vss_node *from)
{
  mc_vss_node *to = mc_vss_child_make(t, parent, from->name);
  if (!to)
    return t->why ? t->why->err : MC_ERR_MEMORY;
  fill_gaps(to, from);
  for (const mc_vss_node *c = from->first; c; c = c->next)
    MC_TRY(copy_below(t, to, c));
  return MC_OK;
}

static bool is_instance_name(const mc_vss_node *n, mc_slice name)
{
  for (uint32_t i = 0; i < n->level[0].count; i++)
    if (mc_slice_eq(n->level[0].at[i], name))
      return true;
  return false;
}

static mc_err make_instances(mc_vss_tree *t, mc_vss_node *branch, mc_vss_node *at, uint32_t level, const mc_vss_node *templates)
{
  if (level == branch->level_count) {
    for (const mc_vss_node *c = templates; c; c = c->next)
      MC_TRY(copy_below(t, at, c));
    return MC_OK;
  }
  for (uint32_t i = 0; i < branch->level[level].count; i++) {
    mc_vss_node *n = mc_vss_child_make(t, at, branch->level[level].at[i]);
    if (!n)
      return t->why ? t->why->err : MC_ERR_MEMORY;
    if (n->kind == MC_VSS_UNSAID)
      n->kind = MC_VSS_BRANCH;
    if (!n->description.data)
      n->description = branch->description;
    MC_TRY(make_instances(t, branch, n, level + 1, templates));
  }
  return MC_OK;
}

/* Takes the children that are to be repeated off the branch and hangs copies of them under every instance. */
static mc_err expand(mc_vss_tree *t, mc_vss_node *n)
{
  if (n->level_count) {
    mc_vss_node holder = {0}, kept = {0};
    for (mc_vss_node *c = n->first, *next; c; c = next) {
      mc_vss_node *to = c->not_instantiated || is_instance_name(n, c->name) ? &kept : &holder;
      next = c->next;
      c->next = NULL;
      if (to->last)
        to->last->next = c;
      else
        to->first = c;
      to->last = c;
    }
    n->first = kept.first;
    n->last = kept.last;
    MC_TRY(make_instances(t, n, n, 0, holder.first));
    n->level_count = 0;
  }
  for (mc_vss_node *c = n->first; c; c = c->next)
    MC_TRY(expand(t, c));
  return MC_OK;
}

static mc_type type_of(mc_slice datatype)
{
  static const struct { const char *name; mc_type type; } types[] = {
      {"boolean", MC_TYPE_BOOL}, {"uint8", MC_TYPE_UINT8}, {"uint16", MC_TYPE_UINT16}, {"uint32", MC_TYPE_UINT32},
      {"uint64", MC_TYPE_UINT64}, {"int8", MC_TYPE_INT8}, {"int16", MC_TYPE_INT16}, {"int32", MC_TYPE_INT32},
      {"int64", MC_TYPE_INT64}, {"float", MC_TYPE_FLOAT32}, {"double", MC_TYPE_FLOAT64},
  };
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (mc_slice_eq_str(datatype, types[i].name))
      return types[i].type;
  return MC_TYPE_STRING; /* strings, and arrays and structs as their JSON text */
}

static mc_err fail_at(mc_vss_tree *t, const mc_vss_node *n, mc_slice fqn, const char *what)
{
  if (!n->file.len)
    return mc_err_set(t->why, MC_ERR_MALFORMED, "%.*s: %s", MC_FMT(mc_slice_sub(fqn, 0, 200)), what);
  return mc_err_set(t->why, MC_ERR_MALFORMED, "%.*s:%u: %.*s: %s", MC_FMT(n->file), n->line, MC_FMT(mc_slice_sub(fqn, 0, 200)), what);
}

static bool is_fqn(mc_slice fqn)
{
  for (size_t i = 0; i < fqn.len; i++) {
    uint8_t c = fqn.data[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'))
      return false;
  }
  return fqn.len >= 1 && fqn.len <= FQN_MAX;
}

static mc_err emit(mc_vss_tree *t, const mc_vss_node *n, mc_slice prefix, mc_catalog *out)
{
  if (n->deleted || n->kind == MC_VSS_STRUCT || n->kind == MC_VSS_PROPERTY)
    return MC_OK; /* types are not signals */
  char *path = prefix.len ? mc_arena_printf(t->arena, "%.*s.%.*s", MC_FMT(prefix), MC_FMT(n->name)) : mc_arena_str(t->arena, n->name);
  if (!path)
    return no_memory(t);
  mc_slice fqn = mc_slice_str(path);
  mc_vss_kind kind = n->kind == MC_VSS_UNSAID && n->first ? MC_VSS_BRANCH : n->kind;
  if (!is_fqn(fqn))
    return fail_at(t, n, fqn, "a full name has 1 to 150 characters of A-Z a-z 0-9 _ and '.'");
  if (kind == MC_VSS_UNSAID)
    return fail_at(t, n, fqn, "has no type; expected type: branch, sensor, actuator or attribute");
  if (kind != MC_VSS_BRANCH && n->first)
    return fail_at(t, n, fqn, "is no branch, but has something below it");
  if (kind != MC_VSS_BRANCH && !n->datatype.len)
    return fail_at(t, n, fqn, "has no datatype");
  mc_catalog_node node = {.fqn = fqn,
                          .kind = (mc_node_kind)(kind - MC_VSS_BRANCH),
                          .type = kind == MC_VSS_BRANCH ? MC_TYPE_NULL : type_of(n->datatype),
                          .unit = n->unit,
                          .description = n->description,
                          .comment = n->comment,
                          .min = n->min,
                          .max = n->max,
                          .has_min = n->has_min,
                          .has_max = n->has_max,
                          .allowed = n->allowed.at,
                          .allowed_value = n->allowed_value,
                          .allowed_count = n->allowed.count,
                          .initial = n->initial};
  if (mc_vec_push(&out->node, node))
    return no_memory(t);
  for (const mc_vss_node *c = n->first; c; c = c->next)
    MC_TRY(emit(t, c, fqn, out));
  return MC_OK;
}

static int by_fqn(const void *a, const void *b)
{
  return mc_slice_compare(((const mc_catalog_node *)a)->fqn, ((const mc_catalog_node *)b)->fqn);
}

mc_err mc_vss_tree_finish(mc_vss_tree *t, mc_catalog *out)
{
  MC_TRY(expand(t, &t->root));
  for (const mc_vss_node *c = t->root.first; c; c = c->next)
    MC_TRY(emit(t, c, (mc_slice){NULL, 0}, out));
  if (out->node.len == 0)
    return mc_err_set(t->why, MC_ERR_MALFORMED, "there is no signal in it; expected a tree of branches, sensors, actuators and attributes");
  qsort(out->node.at, out->node.len, sizeof *out->node.at, by_fqn);
  return MC_OK;
}
