/* Compiling what is attached to a principal: see set.h. */
#include "access/set.h"

#include <stdlib.h>

enum { ARENA_MOST = 256 << 20 };

/* Symbols of a resource: letters 0 to 255, then the marks. */
enum { SYMBOL_ANY = 256, SYMBOL_ONE = 257, SYMBOL_VARIABLE = 258 };

typedef struct row {
  const uint16_t *symbol;
  size_t len;
  trie_end end;
  bool deny;
} row;

typedef struct building {
  mc_policy_set *set;
  mc_arena rows; /* until it is built */
  row *row;
  size_t count;
  size_t node_room, end_len, text_len;
} building;

/* ---- variables and statements of all documents ---- */

static bool same_variable(const mc_policy_variable *a, const mc_policy_variable *b)
{
  return a->kind == b->kind && a->index == b->index && a->asked == b->asked && mc_slice_eq(a->name, b->name) && (a->kind != MC_VARIABLE_ASKED || mc_slice_eq(a->text, b->text));
}

static void join_variables(mc_policy_set *s, size_t part)
{
  const mc_policy_document *d = s->part[part].document;
  for (size_t i = 0; i < d->variables; i++) {
    size_t k = 0;
    while (k < s->variables && !same_variable(&s->variable[k], &d->variable[i]))
      k++;
    if (k == s->variables)
      s->variable[s->variables++] = d->variable[i];
    s->map[part][i] = (uint16_t)k;
  }
}

static void join_statements(mc_policy_set *s, size_t part)
{
  const mc_policy_document *d = s->part[part].document;
  for (size_t i = 0; i < d->count; i++) {
    set_statement *to = &s->statement[s->statements++];
    *to = (set_statement){&d->statement[i], (uint32_t)part, (uint32_t)i, UINT32_MAX};
    if (d->statement[i].conditions)
      to->condition = (uint32_t)s->conditional++;
    for (size_t c = 0; c < d->statement[i].conditions; c++)
      s->timed |= (d->variable[d->statement[i].condition[c].variable].asked & MC_ASKED_TIME) != 0;
  }
}

static mc_err join(mc_policy_set *s, const mc_policy_part *part, size_t count)
{
  size_t statements = 0, variables = 0;
  s->part = mc_arena_array(&s->arena, count ? count : 1, sizeof *s->part);
  s->map = mc_arena_array(&s->arena, count ? count : 1, sizeof *s->map);
  if (!s->part || !s->map)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < count; i++) {
    s->part[i] = part[i];
    mc_policy_document_retain(part[i].document);
    s->parts++;
    statements += part[i].document->count;
    variables += part[i].document->variables;
    MC_TRY(mc_arena_copy(&s->arena, part[i].name, &s->part[i].name));
  }
  s->statement = mc_arena_array(&s->arena, statements ? statements : 1, sizeof *s->statement);
  s->variable = mc_arena_array(&s->arena, variables ? variables : 1, sizeof *s->variable);
  if (!s->statement || !s->variable)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < count; i++) {
    join_variables(s, i);
    join_statements(s, i);
  }
  return MC_OK;
}

/* ---- rows: one for each resource of each statement, sorted ---- */

static mc_err row_of(building *b, uint32_t number, uint32_t resource, row *out)
{
  const set_statement *s = &b->set->statement[number];
  const pattern *p = &s->is->resource[resource];
  size_t len = 0, n = 0;
  for (size_t i = 0; i < p->count; i++)
    len += p->part[i].kind == PART_TEXT ? p->part[i].text.len : 1;
  uint16_t *symbol = mc_arena_array(&b->rows, len ? len : 1, sizeof *symbol);
  if (!symbol)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < p->count; i++) {
    const pattern_part *part = &p->part[i];
    for (size_t k = 0; part->kind == PART_TEXT && k < part->text.len; k++)
      symbol[n++] = part->text.data[k];
    if (part->kind != PART_TEXT)
      symbol[n++] = part->kind == PART_ANY ? SYMBOL_ANY : part->kind == PART_ONE ? SYMBOL_ONE : (uint16_t)(SYMBOL_VARIABLE + b->set->map[s->part][part->variable]);
  }
  *out = (row){symbol, len, {number, resource, s->is->actions & p->actions}, s->is->deny};
  return MC_OK;
}

static int compare_rows(const void *a, const void *b)
{
  const row *x = a, *y = b;
  size_t len = x->len < y->len ? x->len : y->len;
  for (size_t i = 0; i < len; i++)
    if (x->symbol[i] != y->symbol[i])
      return x->symbol[i] < y->symbol[i] ? -1 : 1;
  if (x->len != y->len)
    return x->len < y->len ? -1 : 1;
  if (x->deny != y->deny)
    return x->deny ? -1 : 1;
  if (x->end.statement != y->end.statement)
    return x->end.statement < y->end.statement ? -1 : 1;
  return x->end.resource < y->end.resource ? -1 : x->end.resource > y->end.resource;
}

static mc_err make_rows(building *b)
{
  size_t count = 0, symbols = 0, marks = 0;
  mc_policy_set *s = b->set;
  for (size_t i = 0; i < s->statements; i++)
    count += s->statement[i].is->resources;
  b->row = mc_arena_array(&b->rows, count ? count : 1, sizeof *b->row);
  if (!b->row)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < s->statements; i++)
    for (uint32_t k = 0; k < s->statement[i].is->resources; k++) {
      MC_TRY(row_of(b, i, k, &b->row[b->count]));
      const row *r = &b->row[b->count++];
      symbols += r->len;
      for (size_t c = 0; c < r->len; c++)
        marks += r->symbol[c] >= SYMBOL_ANY;
    }
  qsort(b->row, b->count, sizeof *b->row, compare_rows);
  b->node_room = 2 * count + marks + 2; /* a row parts from the others once, and has a node behind each mark */
  s->end = mc_arena_array(&s->arena, count ? count : 1, sizeof *s->end);
  s->text = mc_arena_alloc(&s->arena, symbols + 1);
  return s->end && s->text ? MC_OK : MC_ERR_MEMORY;
}

/* ---- nodes ---- */

/* The letters that all rows of [low, high) have in common from `from` on: they are sorted, so the first and the last tell. */
static size_t common_letters(const building *b, size_t low, size_t high, size_t from)
{
  const row *first = &b->row[low], *last = &b->row[high - 1];
  size_t n = from;
  while (n < first->len && n < last->len && first->symbol[n] == last->symbol[n] && first->symbol[n] < SYMBOL_ANY)
    n++;
  return n - from;
}

/* Behind the rows of [low, high) that have the same symbol at `from`. */
static size_t same_symbol(const building *b, size_t low, size_t high, size_t from)
{
  size_t i = low + 1;
  while (i < high && b->row[i].symbol[from] == b->row[low].symbol[from])
    i++;
  return i;
}

static void enter(trie_node *n, uint16_t symbol)
{
  n->entered = symbol < SYMBOL_ANY ? PART_TEXT : symbol == SYMBOL_ANY ? PART_ANY : symbol == SYMBOL_ONE ? PART_ONE : PART_VARIABLE;
  n->variable = n->entered == PART_VARIABLE ? (uint16_t)(symbol - SYMBOL_VARIABLE) : 0;
  n->star = UINT32_MAX;
}

/* One node more on the list of those to be filled in. */
typedef struct task {
  uint32_t node;
  size_t low, high, from;
} task;

/* Children side by side, by letters first: symbols are sorted that way. */
static void put_children(building *b, task *todo, size_t *todo_len, uint32_t node, size_t low, size_t high, size_t from)
{
  mc_policy_set *s = b->set;
  s->node[node].child = (uint32_t)s->nodes;
  for (size_t i = low, next; i < high; i = next) {
    uint16_t symbol = b->row[i].symbol[from];
    next = same_symbol(b, i, high, from);
    trie_node *child = &s->node[s->nodes];
    enter(child, symbol);
    if (child->entered == PART_TEXT)
      s->node[node].letters++;
    else
      s->node[node].marks++;
    todo[(*todo_len)++] = (task){(uint32_t)s->nodes++, i, next, from + (child->entered != PART_TEXT)};
  }
}

static void fill(building *b, task t, task *todo, size_t *todo_len)
{
  mc_policy_set *s = b->set;
  trie_node *n = &s->node[t.node];
  size_t common = common_letters(b, t.low, t.high, t.from), at = t.from + common;
  n->text = (uint32_t)b->text_len;
  n->text_len = (uint32_t)common;
  for (size_t i = 0; i < common; i++)
    s->text[b->text_len++] = (uint8_t)b->row[t.low].symbol[t.from + i];
  n->first = common ? s->text[n->text] : 0;
  n->end = (uint32_t)b->end_len;
  size_t low = t.low;
  for (; low < t.high && b->row[low].len == at; low++) {
    s->end[b->end_len++] = b->row[low].end;
    n->ends++;
  }
  for (size_t i = t.low; i < t.high; i++)
    n->actions |= b->row[i].end.actions;
  bool behind = common || low < t.high;
  if (n->entered == PART_ANY && behind)
    n->star = (uint32_t)s->stars++;
  if (low < t.high)
    put_children(b, todo, todo_len, t.node, low, t.high, at);
}

static mc_err build(building *b)
{
  mc_policy_set *s = b->set;
  MC_TRY(make_rows(b));
  s->node = mc_arena_array(&s->arena, b->node_room, sizeof *s->node);
  task *todo = mc_arena_array(&b->rows, b->node_room, sizeof *todo);
  if (!s->node || !todo)
    return MC_ERR_MEMORY;
  size_t todo_len = 0;
  s->nodes = 1;
  s->node[0].star = UINT32_MAX;
  if (b->count)
    todo[todo_len++] = (task){0, 0, b->count, 0};
  while (todo_len) {
    task t = todo[--todo_len];
    fill(b, t, todo, &todo_len);
  }
  return MC_OK;
}

mc_err mc_policy_set_compile(const mc_policy_part *part, size_t count, mc_policy_set **out, mc_why *why)
{
  *out = NULL;
  if (count > MC_POLICY_SET)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "%zu policies together: at most %d", count, MC_POLICY_SET);
  mc_policy_set *s = calloc(1, sizeof *s);
  if (!s)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for policies");
  atomic_init(&s->references, 1);
  s->arena = MC_ARENA(ARENA_MOST);
  building b = {.set = s, .rows = MC_ARENA(ARENA_MOST)};
  mc_err err = join(s, part, count);
  if (!err)
    err = build(&b);
  mc_arena_free(&b.rows);
  if (err) {
    mc_err_set(why, err, "no memory for policies of %zu statements together", s->statements);
    mc_policy_set_release(s);
    return err;
  }
  *out = s;
  return MC_OK;
}

void mc_policy_set_retain(const mc_policy_set *s)
{
  if (s)
    atomic_fetch_add_explicit(&((mc_policy_set *)(uintptr_t)s)->references, 1, memory_order_relaxed);
}

void mc_policy_set_release(const mc_policy_set *s)
{
  mc_policy_set *own = (mc_policy_set *)(uintptr_t)s;
  if (!s || atomic_fetch_sub_explicit(&own->references, 1, memory_order_acq_rel) != 1)
    return;
  for (size_t i = 0; i < own->parts; i++)
    mc_policy_document_release(own->part[i].document);
  mc_arena_free(&own->arena);
  free(own);
}

size_t mc_policy_set_statements(const mc_policy_set *s)
{
  return s->statements;
}
