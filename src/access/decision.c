/* A set of documents with the values of one connection: deciding, and saying why. */
#include <stdio.h>
#include <stdlib.h>

#include "access/set.h"
#include "base/clock.h"

typedef enum condition_state { STATE_HOLDS, STATE_FAILS, STATE_ASK /* holds but for what comes with the question */ } condition_state;

struct bound_policy {
  const mc_policy_set *set;
  mc_policy_values *value; /* by variable of the set */
  mc_slice *plain;         /* what of it may stand in a resource; empty: nothing, and what names it matches nothing */
  uint8_t *state;          /* by statement with conditions: condition_state */
  uint8_t *bytes;
};

/* ---- binding ---- */

static variable_values values_of(const bound_policy *b, size_t part)
{
  return (variable_values){b->value, b->set->map[part]};
}

static uint8_t state_of(const bound_policy *b, const set_statement *s)
{
  const mc_policy_document *d = b->set->part[s->part].document;
  variable_values have = values_of(b, s->part);
  uint8_t state = STATE_HOLDS;
  for (size_t i = 0; i < s->is->conditions; i++) {
    const condition *c = &s->is->condition[i];
    if (variable_is_asked(d, c->variable))
      state = STATE_ASK;
    else if (!condition_holds(c, &have, NULL))
      return STATE_FAILS;
  }
  return state;
}

/* At most MC_POLICY_VALUES of MC_POLICY_VALUE_BYTES together (contract iotcore, "Policy variables"); what is beyond is not there. */
static size_t bounded(const mc_policy_variable *v, mc_policy_values *values)
{
  size_t bytes = 0, count = 0;
  if (values->count > MC_POLICY_VALUES)
    values->count = MC_POLICY_VALUES;
  if (v->index != MC_POLICY_LIST && v->index < values->count) {
    values->at[0] = values->at[v->index];
    values->count = 1;
  } else if (v->index != MC_POLICY_LIST) {
    values->count = 0;
  }
  for (; count < values->count && bytes + values->at[count].len <= MC_POLICY_VALUE_BYTES; count++)
    bytes += values->at[count].len;
  values->count = count;
  return bytes;
}

mc_err bound_make(const mc_policy_set *set, mc_policy_resolver *resolve, void *ctx, bound_policy **out)
{
  bound_policy *b = calloc(1, sizeof *b);
  size_t bytes = 0, used = 0;
  *out = NULL;
  if (!b)
    return MC_ERR_MEMORY;
  b->set = set;
  mc_policy_set_retain(set);
  b->value = calloc(set->variables + 1, sizeof *b->value);
  b->plain = calloc(set->variables + 1, sizeof *b->plain);
  b->state = calloc(set->conditional + 1, 1);
  bool room = b->value && b->plain && b->state;
  for (size_t i = 0; room && i < set->variables; i++)
    if (set->variable[i].kind != MC_VARIABLE_ASKED) {
      resolve(ctx, &set->variable[i], &b->value[i]);
      bytes += bounded(&set->variable[i], &b->value[i]);
    }
  b->bytes = room ? malloc(bytes + 1) : NULL;
  if (!b->bytes) {
    bound_free(b);
    return MC_ERR_MEMORY;
  }
  for (size_t i = 0; i < set->variables; i++)
    for (size_t k = 0; k < b->value[i].count; k++) {
      mc_slice *v = &b->value[i].at[k];
      if (v->len)
        memcpy(b->bytes + used, v->data, v->len);
      *v = mc_slice_of(b->bytes + used, v->len);
      used += v->len;
      if (b->value[i].count == 1 && value_is_plain(*v))
        b->plain[i] = *v;
    }
  for (size_t i = 0; i < set->statements; i++)
    if (set->statement[i].condition != UINT32_MAX)
      b->state[set->statement[i].condition] = state_of(b, &set->statement[i]);
  *out = b;
  return MC_OK;
}

void bound_free(bound_policy *b)
{
  if (!b)
    return;
  mc_policy_set_release(b->set);
  free(b->value);
  free(b->plain);
  free(b->state);
  free(b->bytes);
  free(b);
}

bool bound_timed(const bound_policy *b) { return b->set->timed; }
const mc_policy_set *bound_set(const bound_policy *b) { return b->set; }

/* ---- one question ---- */

enum { STARS_ON_STACK = 4096, TEXT_ON_STACK = 1024 };

typedef struct question {
  const bound_policy *policy;
  const mc_policy_question *asked;
  uint64_t action;
  mc_slice text; /* with its prefix: "topic/a/b" */
  uint64_t *starred; /* bits: this * was entered. Later entries are further right and find nothing new */
  bool allowed, denied;
  bool all; /* explaining: nothing stops it */
  mc_arena *arena;
  mc_policy_explanation *out;
  size_t room;
  mc_err err;
} question;

static void asked_values(const mc_policy_variable *v, const mc_policy_question *q, char text[MC_CLOCK_TEXT], mc_policy_values *out)
{
  out->count = 0;
  if (!(v->asked & MC_ASKED_TIME)) {
    if (q->connect & MC_ASKED_PERSISTENT)
      out->at[out->count++] = MC_LIT("PersistentConnect");
    if (q->connect & MC_ASKED_WILL)
      out->at[out->count++] = MC_LIT("LastWill");
    return;
  }
  int64_t now = mc_clock_wall_us();
  if (mc_slice_eq_str(v->text, "aws:EpochTime"))
    snprintf(text, MC_CLOCK_TEXT, "%lld", (long long)(now / 1000000));
  else
    mc_clock_format_us(now, text);
  out->at[out->count++] = mc_slice_str(text);
}

/* The first condition that does not hold; NULL: all do. */
static const condition *failing(const question *q, const set_statement *s)
{
  const mc_policy_document *d = q->policy->set->part[s->part].document;
  variable_values have = values_of(q->policy, s->part);
  for (size_t i = 0; i < s->is->conditions; i++) {
    const condition *c = &s->is->condition[i];
    mc_policy_values asked;
    char text[MC_CLOCK_TEXT];
    bool comes = variable_is_asked(d, c->variable);
    if (comes)
      asked_values(&d->variable[c->variable], q->asked, text, &asked);
    if (!condition_holds(c, &have, comes ? &asked : NULL))
      return c;
  }
  return NULL;
}

static bool conditions_hold(const question *q, const set_statement *s)
{
  uint8_t state = q->policy->state[s->condition];
  return state == STATE_ASK ? !failing(q, s) : state == STATE_HOLDS;
}

/* AWS's letter: what a connection asks for beyond being connected has to be named by the statement that allows it. */
static bool leaves_unnamed(const question *q, const set_statement *s)
{
  return q->asked->connect && q->asked->connect_named && q->asked->action == MC_ACTION_CONNECT && !s->is->deny && !s->is->names_attributes;
}

static __attribute__((noinline)) void find(question *q, const trie_end *end, const set_statement *s)
{
  mc_policy_explanation *out = q->out;
  const mc_policy_part *part = &q->policy->set->part[s->part];
  for (size_t i = 0; i < out->count; i++)
    if (out->finding[i].statement == s->number && out->finding[i].version == part->version && mc_slice_eq(out->finding[i].policy, part->name))
      return; /* by another of its resources already */
  if (out->count == q->room) {
    size_t room = q->room ? 2 * q->room : 16;
    mc_policy_finding *more = mc_arena_array(q->arena, room, sizeof *more);
    if (!more) {
      q->err = MC_ERR_MEMORY;
      return;
    }
    if (out->count)
      memcpy(more, out->finding, out->count * sizeof *more);
    out->finding = more;
    q->room = room;
  }
  const condition *no = s->is->conditions ? failing(q, s) : NULL;
  mc_policy_reason reason = no ? MC_REASON_CONDITION : leaves_unnamed(q, s) ? MC_REASON_ATTRIBUTES : MC_REASON_MATCHES;
  out->finding[out->count++] = (mc_policy_finding){.policy = part->name, .version = part->version, .statement = s->number, .sid = s->is->sid,
                                                  .resource = s->is->resource[end->resource].source, .deny = s->is->deny, .reason = reason,
                                                  .condition = no ? no->source : (mc_slice){0}};
}

/* What ends where the question ends. True: it is decided, explicitly denied. */
static bool decide(question *q, const trie_node *n)
{
  const mc_policy_set *set = q->policy->set;
  for (const trie_end *end = set->end + n->end, *last = end + n->ends; end < last; end++) {
    if (!(end->actions & q->action))
      continue;
    const set_statement *s = &set->statement[end->statement];
    if (q->all)
      find(q, end, s);
    if ((s->condition != UINT32_MAX && !conditions_hold(q, s)) || leaves_unnamed(q, s))
      continue;
    if (s->is->deny)
      q->denied = true;
    else
      q->allowed = true;
    if (s->is->deny && !q->all)
      return true;
    if (!q->all && s->condition == UINT32_MAX)
      return false; /* denials come first: those behind it could only allow once more */
  }
  return false;
}

static bool visit(question *q, uint32_t index, size_t at);

/* A * and what is behind it, at each place from `at` on. */
static bool visit_any(question *q, const trie_node *n, uint32_t index, size_t at)
{
  if (n->star == UINT32_MAX)
    return decide(q, n);
  uint64_t bit = 1ULL << (n->star % 64);
  if (q->starred[n->star / 64] & bit)
    return false;
  q->starred[n->star / 64] |= bit;
  for (; at <= q->text.len; at++) {
    if (n->text_len) { /* on to the next place where its letters can begin */
      const uint8_t *hit = at < q->text.len ? memchr(q->text.data + at, n->first, q->text.len - at) : NULL;
      if (!hit)
        return false;
      at = (size_t)(hit - q->text.data);
    }
    if (visit(q, index, at))
      return true;
  }
  return false;
}

static bool visit_mark(question *q, uint32_t index, size_t at)
{
  const trie_node *n = &q->policy->set->node[index];
  if (!(n->actions & q->action))
    return false;
  if (n->entered == PART_ANY)
    return visit_any(q, n, index, at);
  if (n->entered == PART_ONE)
    return at < q->text.len && visit(q, index, at + letter_bytes(q->text, at));
  mc_slice value = q->policy->plain[n->variable];
  return value.len && value.len <= q->text.len - at && memcmp(value.data, q->text.data + at, value.len) == 0 && visit(q, index, at + value.len);
}

/* Of the children by letters; 0: none. */
static uint32_t child_by(const mc_policy_set *set, const trie_node *n, uint8_t letter)
{
  uint32_t low = n->child, high = n->child + n->letters;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (set->node[middle].first < letter)
      low = middle + 1;
    else
      high = middle;
  }
  return low < n->child + n->letters && set->node[low].first == letter ? low : 0;
}

/* From a node that was entered, at this place of the question. */
static bool visit(question *q, uint32_t index, size_t at)
{
  const mc_policy_set *set = q->policy->set;
  for (;;) {
    const trie_node *n = &set->node[index];
    if (!(n->actions & q->action) || n->text_len > q->text.len - at || (n->text_len && memcmp(set->text + n->text, q->text.data + at, n->text_len) != 0))
      return false;
    at += n->text_len;
    if (at == q->text.len && n->ends && decide(q, n))
      return true;
    for (uint32_t i = 0, mark = n->child + n->letters; i < n->marks; i++)
      if (visit_mark(q, mark + i, at))
        return true;
    index = at < q->text.len && n->letters ? child_by(set, n, q->text.data[at]) : 0;
    if (!index)
      return false;
  }
}

/* The question as one text, and room for its stars; false: no memory, which denies. */
static bool ask(question *q, uint8_t *text, uint64_t *starred)
{
  const mc_policy_question *asked = q->asked;
  mc_slice prefix = asked->action < MC_ACTIONS ? action_prefix(asked->action) : (mc_slice){0};
  size_t len = prefix.len + asked->resource.len, stars = (q->policy->set->stars + 63) / 64;
  uint8_t *own = len > TEXT_ON_STACK ? malloc(len) : NULL;
  uint64_t *more = stars > STARS_ON_STACK / 64 ? malloc(stars * sizeof *more) : NULL;
  bool room = asked->action < MC_ACTIONS && (own || len <= TEXT_ON_STACK) && (more || stars <= STARS_ON_STACK / 64);
  if (room) {
    uint8_t *to = own ? own : text;
    memcpy(to, prefix.data, prefix.len);
    if (asked->resource.len)
      memcpy(to + prefix.len, asked->resource.data, asked->resource.len);
    q->text = prefix.len ? mc_slice_of(to, len) : MC_LIT("*"); /* only "*" names an action without resources */
    q->starred = more ? more : starred;
    memset(q->starred, 0, stars * sizeof *starred);
    q->action = 1ULL << asked->action;
    visit(q, 0, 0);
  }
  free(own);
  free(more);
  return room;
}

bool bound_permits(const bound_policy *b, const mc_policy_question *asked)
{
  uint8_t text[TEXT_ON_STACK];
  uint64_t starred[STARS_ON_STACK / 64];
  question q = {.policy = b, .asked = asked};
  return ask(&q, text, starred) && q.allowed && !q.denied;
}

/* ---- explaining ---- */

static mc_err without_value(const bound_policy *b, mc_arena *arena, mc_policy_explanation *out)
{
  out->without_value = mc_arena_array(arena, b->set->variables + 1, sizeof *out->without_value);
  if (!out->without_value)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < b->set->variables; i++)
    if (b->set->variable[i].kind != MC_VARIABLE_ASKED && (b->value[i].count == 0 || (b->value[i].count == 1 && !b->plain[i].len)))
      out->without_value[out->without_count++] = b->set->variable[i].text;
  return MC_OK;
}

static int by_place(const void *a, const void *b)
{
  const mc_policy_finding *x = a, *y = b;
  int order = mc_slice_compare(x->policy, y->policy);
  return order ? order : x->statement < y->statement ? -1 : x->statement > y->statement;
}

mc_err bound_explain(const bound_policy *b, const mc_policy_question *asked, mc_arena *arena, mc_policy_explanation *out, mc_why *why)
{
  uint8_t text[TEXT_ON_STACK];
  uint64_t starred[STARS_ON_STACK / 64];
  *out = (mc_policy_explanation){0};
  question q = {.policy = b, .asked = asked, .all = true, .arena = arena, .out = out};
  bool asked_it = ask(&q, text, starred);
  mc_err err = asked_it ? q.err : MC_ERR_MEMORY;
  if (!err)
    err = without_value(b, arena, out);
  if (err)
    return mc_err_set(why, err, "no memory to explain the decision");
  out->denied = q.denied;
  out->allowed = q.allowed && !q.denied;
  if (out->count)
    qsort(out->finding, out->count, sizeof *out->finding, by_place);
  for (size_t i = 0; i < out->count && !out->decided; i++)
    if (out->finding[i].reason == MC_REASON_MATCHES && out->finding[i].deny == out->denied && (out->denied || out->allowed))
      out->decided = &out->finding[i];
  return MC_OK;
}
