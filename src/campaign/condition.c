/* Conditions: what their names stand for, with types, and the tree that goes on the wire. */
#include "campaign/state.h"

static unsigned distance(mc_slice a, mc_slice b)
{
  unsigned row[160];
  if (a.len > 158 || b.len > 158)
    return 1000;
  for (unsigned j = 0; j <= b.len; j++)
    row[j] = j;
  for (unsigned i = 1; i <= a.len; i++) {
    unsigned diagonal = row[0];
    row[0] = i;
    for (unsigned j = 1; j <= b.len; j++) {
      unsigned above = row[j];
      unsigned best = diagonal + ((a.data[i - 1] | 0x20) != (b.data[j - 1] | 0x20));
      if (above + 1 < best)
        best = above + 1;
      if (row[j - 1] + 1 < best)
        best = row[j - 1] + 1;
      row[j] = best;
      diagonal = above;
    }
  }
  return row[b.len];
}

/* The catalog's nearest name, for "did you mean". */
static mc_slice nearest(mc_campaigns *c, uint32_t tenant, mc_slice fqn, mc_arena *arena)
{
  mc_slice best = {0}, after = {0};
  unsigned least = (unsigned)(fqn.len / 3 + 2);
  mc_signal_info *list;
  size_t count;
  while (mc_campaign_signals(c, tenant, after, (mc_slice){0}, 1000, arena, &list, &count, NULL) == MC_OK && count) {
    for (size_t i = 0; i < count; i++) {
      unsigned d = distance(fqn, list[i].fqn);
      if (d < least) {
        least = d;
        best = list[i].fqn;
      }
    }
    after = list[count - 1].fqn;
  }
  return best;
}

mc_err campaign_unknown_signal(mc_campaigns *c, uint32_t tenant, mc_slice fqn, mc_arena *arena, mc_why *why)
{
  mc_slice near = nearest(c, tenant, fqn, arena);
  fqn = mc_slice_sub(fqn, 0, 200);
  if (near.len)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no signal \"%.*s\"; did you mean \"%.*s\"?", MC_FMT(fqn), MC_FMT(near));
  return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no signal \"%.*s\"; import a DBC that has it, or choose one from the catalog", MC_FMT(fqn));
}

static mc_type type_in_catalog(mc_campaigns *c, uint32_t tenant, uint32_t signal, mc_arena *arena)
{
  mc_signal_info info;
  if (mc_campaign_signal(c, tenant, signal, arena, &info))
    return MC_TYPE_NULL;
  return mc_slice_eq_str(info.type, "STRING") ? MC_TYPE_STRING : MC_TYPE_FLOAT64;
}

static bool same_use(const condition_use *u, const mc_expr_name *n)
{
  return u->id == n->signal_id && u->path_count == n->path_count && (!n->path_count || memcmp(u->path, n->path, n->path_count * sizeof *n->path) == 0);
}

static mc_err find_name(void *ctx, mc_slice name, mc_expr_name *out, mc_why *why)
{
  condition_names *n = ctx;
  uint32_t id;
  /* The path first: a part that somebody collects has an id of its own, which is not what a vehicle knows. */
  mc_err err = campaign_path_find(n->c, n->tenant, n->manifest, name, n->arena, out, why);
  bool is_path = !err && out->path_count;
  if (!is_path && mc_registry_signal_lookup(n->c->config.registry, n->tenant, name, &id) == MC_OK)
    *out = (mc_expr_name){.signal_id = id, .type = type_in_catalog(n->c, n->tenant, id, n->arena)};
  else if (err)
    return why->text[0] ? err : campaign_unknown_signal(n->c, n->tenant, name, n->arena, why);
  for (size_t i = 0; i < n->used.len; i++)
    if (same_use(&n->used.at[i], out))
      return MC_OK;
  return mc_vec_push(&n->used, ((condition_use){out->signal_id, out->path, out->path_count}));
}

mc_err campaign_condition_parse(condition_names *names, mc_slice text, mc_expr **out, mc_why *why)
{
  mc_expr_names finder = {names, find_name};
  MC_TRY(mc_expr_parse_names(text, &finder, names->arena, out, why));
  if (mc_expr_depth(*out) <= CONDITION_DEPTH)
    return MC_OK;
  MC_TRY(mc_expr_balance(*out, names->arena, out));
  if (mc_expr_depth(*out) <= CONDITION_DEPTH)
    return MC_OK;
  return mc_err_set(why, MC_ERR_TOO_LARGE, "expression: its tree has %u levels; %d are all that the wire takes", mc_expr_depth(*out), CONDITION_DEPTH);
}

static bool is_literal(const mc_expr *e) { return e->kind == MC_EXPR_NUMBER || e->kind == MC_EXPR_BOOL || e->kind == MC_EXPR_STRING; }

mc_err campaign_action_parse(condition_names *names, mc_slice text, mc_expr **out, mc_why *why)
{
  MC_TRY(campaign_condition_parse(names, text, out, why));
  const mc_expr *e = *out;
  if (e->kind != MC_EXPR_CUSTOM)
    return mc_err_set(why, MC_ERR_INVALID, "expected one function, as custom_function('DTC_QUERY', -1, 2, -1)");
  for (uint32_t i = 0; i < e->param_count; i++)
    if (!is_literal(e->param[i]))
      return mc_err_set(why, MC_ERR_INVALID, "expression, byte %u: an argument of an action is a number, a text, true or false", e->param[i]->at);
  return MC_OK;
}

/* ---- the wire ---- */

/* A signal, or the message that names a part of a complex one. */
static bool name_to_wire(const mc_expr *e, mc_arena *arena, mc_fw_node *n)
{
  mc_fw_path path = {e->signal_id, e->path, e->path_count};
  mc_buf bytes = {0};
  n->signal_id = e->signal_id;
  if (!e->path_count)
    return true;
  bool ok = mc_fw_write_path(&bytes, &path) == MC_OK && mc_arena_copy(arena, mc_buf_slice(&bytes), &n->text) == MC_OK;
  mc_buf_free(&bytes);
  return ok;
}

static void call_to_wire(const mc_expr *e, mc_arena *arena, mc_fw_node *n)
{
  n->kind = MC_FW_NODE_FUNCTION;
  n->function = MC_FW_FN_CUSTOM;
  n->text = e->text;
  n->param_count = e->param_count;
  n->param = mc_arena_array(arena, e->param_count, sizeof *n->param);
  for (uint32_t i = 0; i < e->param_count && n->param; i++)
    n->param[i] = campaign_condition_to_wire(e->param[i], arena);
}

mc_fw_node *campaign_condition_to_wire(const mc_expr *e, mc_arena *arena)
{
  mc_fw_node *n = e ? mc_arena_alloc(arena, sizeof *n) : NULL;
  if (!n)
    return NULL;
  switch (e->kind) {
  case MC_EXPR_OP:
    n->kind = MC_FW_NODE_OPERATOR;
    n->op = e->op;
    n->left = campaign_condition_to_wire(e->left, arena);
    n->right = campaign_condition_to_wire(e->right, arena);
    break;
  case MC_EXPR_WINDOW:
    n->kind = MC_FW_NODE_FUNCTION;
    n->function = MC_FW_FN_WINDOW;
    n->window = e->window;
    return name_to_wire(e, arena, n) ? n : NULL;
  case MC_EXPR_CUSTOM:
    call_to_wire(e, arena, n);
    break;
  case MC_EXPR_IS_NULL:
    n->kind = MC_FW_NODE_FUNCTION;
    n->function = MC_FW_FN_IS_NULL;
    n->left = campaign_condition_to_wire(e->left, arena);
    break;
  case MC_EXPR_NUMBER:
    n->kind = MC_FW_NODE_DOUBLE;
    n->number = e->number;
    break;
  case MC_EXPR_SIGNAL:
    n->kind = e->path_count ? MC_FW_NODE_PATH : MC_FW_NODE_SIGNAL;
    return name_to_wire(e, arena, n) ? n : NULL;
  case MC_EXPR_BOOL:
    n->kind = MC_FW_NODE_BOOL;
    n->boolean = e->boolean;
    break;
  case MC_EXPR_STRING:
    n->kind = MC_FW_NODE_STRING;
    n->text = e->text;
    break;
  }
  return n;
}

/* ---- names with wildcards ---- */

bool campaign_is_pattern(mc_slice name) { return mc_slice_find(name, '*', 0) < name.len; }

/* One part against one part; * takes any letters of it. */
static bool part_takes(mc_slice p, mc_slice s)
{
  size_t i = 0, k = 0, star = SIZE_MAX, back = 0;
  while (k < s.len) {
    if (i < p.len && p.data[i] == '*') {
      star = i++;
      back = k;
    } else if (i < p.len && p.data[i] == s.data[k]) {
      i++;
      k++;
    } else if (star != SIZE_MAX) {
      i = star + 1;
      k = ++back;
    } else {
      return false;
    }
  }
  while (i < p.len && p.data[i] == '*')
    i++;
  return i == p.len;
}

bool campaign_pattern_takes(mc_slice p, mc_slice s)
{
  for (;;) {
    if (mc_slice_eq_str(p, "*"))
      return s.len > 0;
    size_t pe = mc_slice_find(p, '.', 0), se = mc_slice_find(s, '.', 0);
    if (!part_takes(mc_slice_sub(p, 0, pe), mc_slice_sub(s, 0, se)))
      return false;
    if (pe >= p.len || se >= s.len)
      return pe >= p.len && se >= s.len;
    p = mc_slice_sub(p, pe + 1, p.len);
    s = mc_slice_sub(s, se + 1, s.len);
  }
}
