/* Topic policies: patterns, compiled once, matched without allocating. */
#include <stdio.h>
#include <stdlib.h>

#include "access/access.h"
#include "access/statement.h"

enum { PATTERN_MAX = 1024, PATTERNS_MAX = 256, VARIABLES_MAX = 8, NAME_MAX_BYTES = 128 };
#define VARIABLE "${thing}"

typedef struct topic_pattern {
  char *text;
  size_t len;
  size_t literal; /* bytes before the first wildcard or variable: a cheap first look */
  bool variable;
} topic_pattern;

typedef struct pattern_list {
  topic_pattern *at;
  size_t len;
} pattern_list;

typedef enum policy_kind { KIND_LIST, KIND_ALL, KIND_BOUND /* of documents */ } policy_kind;

struct mc_policy {
  atomic_uint references; /* 0: built in, never freed */
  policy_kind kind;
  bool exact_client; /* CONNECT: the client id is the name itself */
  pattern_list publish, subscribe, connect;
  bound_policy *bound;
};

/* ---- matching (MQTT 5.0, 4.7) ---- */

static bool has_wildcard(mc_slice topic)
{
  return mc_slice_find(topic, '+', 0) < topic.len || mc_slice_find(topic, '#', 0) < topic.len;
}

/* One level of s from *at on; moves *at behind the separator, to s.len + 1 after the last level. */
static mc_slice level(mc_slice s, size_t *at)
{
  size_t end = mc_slice_find(s, '/', *at);
  mc_slice out = mc_slice_sub(s, *at, end - *at);
  *at = end + 1;
  return out;
}

/* Every topic that `filter` (a topic is a filter without wildcards) matches, `outer` matches, too. */
static bool contains(mc_slice outer, mc_slice filter)
{
  /* A leading wildcard does not reach topics that begin with $ (4.7.2). */
  if (filter.len && filter.data[0] == '$' && outer.len && (outer.data[0] == '+' || outer.data[0] == '#'))
    return false;
  size_t o = 0, f = 0;
  for (;;) {
    if (o > outer.len)
      return f > filter.len;
    mc_slice want = level(outer, &o);
    if (mc_slice_eq_str(want, "#"))
      return true; /* also the parent level itself: "a/#" holds "a" */
    if (f > filter.len)
      return false;
    mc_slice have = level(filter, &f);
    if (mc_slice_eq_str(have, "#"))
      return false;
    if (!mc_slice_eq_str(want, "+") && !mc_slice_eq(want, have))
      return false;
  }
}

/* A name that could widen a pattern never gets into one (contract iotcore, trap T12): the pattern then matches nothing. */
static bool is_plain_name(mc_slice name)
{
  if (name.len == 0 || name.len > NAME_MAX_BYTES)
    return false;
  for (size_t i = 0; i < name.len; i++)
    if (name.data[i] < 0x20 || name.data[i] == 0x7f || strchr("+#*?$/", name.data[i]))
      return false;
  return true;
}

static bool pattern_holds(const topic_pattern *p, mc_slice name, mc_slice resource)
{
  size_t literal = p->literal < resource.len ? p->literal : resource.len;
  if (memcmp(p->text, resource.data, literal) != 0)
    return false;
  if (!p->variable)
    return contains(mc_slice_of(p->text, p->len), resource);
  if (!is_plain_name(name))
    return false;
  char expanded[PATTERN_MAX + VARIABLES_MAX * NAME_MAX_BYTES];
  size_t n = 0, from = 0;
  const char *hit;
  while ((hit = strstr(p->text + from, VARIABLE))) {
    size_t run = (size_t)(hit - p->text) - from;
    memcpy(expanded + n, p->text + from, run);
    memcpy(expanded + n + run, name.data, name.len);
    n += run + name.len;
    from += run + sizeof VARIABLE - 1;
  }
  memcpy(expanded + n, p->text + from, p->len - from);
  n += p->len - from;
  return contains(mc_slice_of(expanded, n), resource);
}

static bool list_holds(const pattern_list *list, mc_slice name, mc_slice resource)
{
  for (size_t i = 0; i < list->len; i++)
    if (pattern_holds(&list->at[i], name, resource))
      return true;
  return false;
}

/* ---- built-in policies ---- */

/* Before and behind the vehicle's own name. */
#define OWN(before, after) {before VARIABLE after, sizeof(before VARIABLE after) - 1, sizeof(before) - 1, true}
#define FLEETWISE_UP(prefix) OWN(prefix "vehicles/", "/signals"), OWN(prefix "vehicles/", "/checkins"), OWN(prefix "vehicles/", "/last_known_states/data")
#define SHADOW_UP(part) OWN("$aws/things/", "/shadow/" part "get"), OWN("$aws/things/", "/shadow/" part "update"), OWN("$aws/things/", "/shadow/" part "delete")

/* Upwards only (contracts fleetwise 3 and iotcore, "Reserved topics"): what the platform sends to a vehicle - manifests, schemes, shadow answers
 * and deltas, job notices, command requests - a vehicle can neither send nor retain, not even under its own name. */
static topic_pattern vehicle_up[] = {
    FLEETWISE_UP("$aws/iotfleetwise/"),
    FLEETWISE_UP("cms/fleetwise/"),
    SHADOW_UP(""),
    SHADOW_UP("name/+/"),
    OWN("$aws/things/", "/jobs/get"),
    OWN("$aws/things/", "/jobs/start-next"),
    OWN("$aws/things/", "/jobs/+/get"),
    OWN("$aws/things/", "/jobs/+/update"),
    OWN("$aws/things/", "/jobs/+/namespace-aws-gg-deployment/get"),
    OWN("$aws/things/", "/jobs/+/namespace-aws-gg-deployment/update"),
    OWN("$aws/things/", "/streams/+/describe/+"),
    OWN("$aws/things/", "/streams/+/get/+"),
    OWN("$aws/things/", "/defender/metrics/+"),
    OWN("$aws/things/", "/greengrassv2/health/json"),
    OWN("$aws/things/", "/greengrass/health/json"),
    OWN("$aws/commands/things/", "/executions/+/response/+"),
    OWN("cms/commands/things/", "/executions/+/response/+"),
    OWN("cmd/", "/+/res"),
    OWN("vehicles/", "/#"),
    OWN("dt/", "/#"),
};
static topic_pattern vehicle_down[] = {
    OWN("$aws/iotfleetwise/vehicles/", "/#"),
    OWN("cms/fleetwise/vehicles/", "/#"),
    OWN("$aws/things/", "/#"),
    OWN("$aws/commands/things/", "/#"),
    OWN("cms/commands/things/", "/#"),
    OWN("vehicles/", "/#"),
    OWN("dt/", "/#"),
    OWN("cmd/", "/#"),
    {"$aws/events/job/+/cancellation_in_progress", 42, 16, false},
};

static const mc_policy vehicle_policy = {
    .kind = KIND_LIST,
    .exact_client = true,
    .publish = {vehicle_up, sizeof vehicle_up / sizeof vehicle_up[0]},
    .subscribe = {vehicle_down, sizeof vehicle_down / sizeof vehicle_down[0]},
};
static const mc_policy all_policy = {.kind = KIND_ALL};

const mc_policy *mc_policy_vehicle(void)
{
  return &vehicle_policy;
}

const mc_policy *mc_policy_all(void)
{
  return &all_policy;
}

/* ---- decisions ---- */

/* "$share/<group>/<filter>" (MQTT 5.0, 4.8.2) asks for <filter>. False: malformed. */
static bool unshare(mc_slice *filter)
{
  mc_slice prefix = MC_LIT("$share/");
  if (!mc_slice_starts(*filter, prefix))
    return true;
  size_t cut = mc_slice_find(*filter, '/', prefix.len);
  if (cut >= filter->len || cut == prefix.len || has_wildcard(mc_slice_sub(*filter, prefix.len, cut - prefix.len)))
    return false;
  *filter = mc_slice_sub(*filter, cut + 1, filter->len);
  return filter->len > 0;
}

static bool connect_allowed(const mc_policy *p, mc_slice name, mc_slice client)
{
  if (p->kind == KIND_ALL)
    return true;
  if (!is_plain_name(name))
    return false;
  if (mc_slice_eq(name, client))
    return true;
  if (p->exact_client)
    return false;
  /* A service opens several connections as "<name>/<anything>": no other name can hold a slash. */
  if (client.len > name.len && mc_slice_starts(client, name) && client.data[name.len] == '/' && !has_wildcard(client))
    return true;
  return list_holds(&p->connect, name, client);
}

/* Everything, but as a device never what belongs to other devices under $aws/, and nothing of the broker's own $ topics. */
static bool all_allowed(const mc_principal *who, mc_action action, mc_slice resource)
{
  bool device = who->kind == MC_PRINCIPAL_DEV || who->kind == MC_PRINCIPAL_THING;
  if (!device || resource.data[0] != '$')
    return true;
  mc_slice name = mc_slice_str(who->name);
  if (mc_slice_starts(resource, MC_LIT("$aws/")))
    return list_holds(action == MC_ACTION_PUBLISH ? &vehicle_policy.publish : &vehicle_policy.subscribe, name, resource);
  return action != MC_ACTION_PUBLISH;
}

static bool is_publish(mc_action action) { return action == MC_ACTION_PUBLISH || action == MC_ACTION_RETAIN_PUBLISH; }

/* Beyond topics, without documents: a vehicle's requests about itself over HTTPS ("<thing>", "<thing>/<shadow>"). */
static bool own_thing_allowed(const mc_policy *p, mc_slice name, mc_action action, mc_slice resource)
{
  if (action < MC_ACTION_GET_SHADOW || action > MC_ACTION_UPDATE_JOB || !is_plain_name(name))
    return false;
  mc_slice thing = mc_slice_sub(resource, 0, mc_slice_find(resource, '/', 0));
  return p->kind == KIND_ALL || (p == &vehicle_policy && mc_slice_eq(thing, name));
}

bool mc_policy_permits(const mc_policy *p, const mc_principal *who, const mc_policy_question *q)
{
  mc_policy_question asked = *q;
  if (!p || !who)
    return false;
  mc_slice name = mc_slice_str(who->name);
  bool topics = q->action <= MC_ACTION_RETAIN_PUBLISH && q->action != MC_ACTION_CONNECT;
  if (topics && q->action == MC_ACTION_SUBSCRIBE && !unshare(&asked.resource))
    return false;
  if (topics && (asked.resource.len == 0 || (q->action != MC_ACTION_SUBSCRIBE && has_wildcard(asked.resource))))
    return false;
  if (p->kind == KIND_BOUND)
    return bound_permits(p->bound, &asked);
  if (q->action == MC_ACTION_CONNECT)
    return connect_allowed(p, name, q->resource);
  if (!topics)
    return own_thing_allowed(p, name, q->action, q->resource);
  mc_action action = is_publish(q->action) ? MC_ACTION_PUBLISH : MC_ACTION_SUBSCRIBE; /* what may be subscribed to may be received */
  if (p->kind == KIND_ALL)
    return all_allowed(who, action, asked.resource);
  return list_holds(action == MC_ACTION_PUBLISH ? &p->publish : &p->subscribe, name, asked.resource);
}

bool mc_policy_allows(const mc_policy *p, const mc_principal *who, mc_action action, mc_slice resource)
{
  mc_policy_question q = {.action = action, .resource = resource};
  return mc_policy_permits(p, who, &q);
}

/* ---- of documents ---- */

mc_err mc_policy_bind(const mc_policy_set *set, mc_policy_resolver *resolve, void *ctx, mc_policy **out)
{
  mc_policy *p = *out = calloc(1, sizeof *p);
  if (!p)
    return MC_ERR_MEMORY;
  p->kind = KIND_BOUND;
  atomic_init(&p->references, 1);
  mc_err err = bound_make(set, resolve, ctx, &p->bound);
  if (err) {
    free(p);
    *out = NULL;
  }
  return err;
}

bool mc_policy_is_bound(const mc_policy *p) { return p && p->kind == KIND_BOUND; }
bool mc_policy_is_timed(const mc_policy *p) { return mc_policy_is_bound(p) && bound_timed(p->bound); }
const mc_policy_set *mc_policy_set_of(const mc_policy *p) { return mc_policy_is_bound(p) ? bound_set(p->bound) : NULL; }

mc_err mc_policy_explain(const mc_policy *p, const mc_policy_question *q, mc_arena *arena, mc_policy_explanation *out, mc_why *why)
{
  *out = (mc_policy_explanation){0};
  if (!mc_policy_is_bound(p))
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "no policy document is attached");
  mc_policy_question asked = *q;
  bool topic = q->action == MC_ACTION_PUBLISH || q->action == MC_ACTION_RECEIVE || q->action == MC_ACTION_RETAIN_PUBLISH;
  if ((q->action == MC_ACTION_SUBSCRIBE && !unshare(&asked.resource)) || (topic && has_wildcard(asked.resource)))
    return mc_err_set(why, MC_ERR_INVALID, "the resource is not a topic that can be used: + and # stand in filters only");
  return bound_explain(p->bound, &asked, arena, out, why);
}

/* ---- policies of services ---- */

static void list_free(pattern_list *list)
{
  for (size_t i = 0; i < list->len; i++)
    free(list->at[i].text);
  free(list->at);
}

static void policy_free(mc_policy *p)
{
  list_free(&p->publish);
  list_free(&p->subscribe);
  list_free(&p->connect);
  bound_free(p->bound);
  free(p);
}

void mc_policy_retain(const mc_policy *p)
{
  mc_policy *own = (mc_policy *)(uintptr_t)p;
  if (p && atomic_load_explicit(&own->references, memory_order_relaxed))
    atomic_fetch_add_explicit(&own->references, 1, memory_order_relaxed);
}

void mc_policy_release(const mc_policy *p)
{
  mc_policy *own = (mc_policy *)(uintptr_t)p;
  if (p && atomic_load_explicit(&own->references, memory_order_relaxed) &&
      atomic_fetch_sub_explicit(&own->references, 1, memory_order_acq_rel) == 1)
    policy_free(own);
}

/* Variables out of the way, each level is a wildcard alone or holds none; # only at the end. */
static mc_err check_pattern(const char *key, size_t index, mc_slice text, mc_why *why)
{
  if (text.len == 0 || text.len > PATTERN_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "/%s/%zu: a topic pattern has 1 to %d bytes, this one has %zu", key, index, PATTERN_MAX, text.len);
  if (memchr(text.data, 0, text.len))
    return mc_err_set(why, MC_ERR_INVALID, "/%s/%zu: a topic pattern holds no NUL", key, index);
  size_t variables = 0;
  for (const char *p = (const char *)text.data; (p = strstr(p, "${")); p += 2) {
    if (strncmp(p, VARIABLE, sizeof VARIABLE - 1) != 0)
      return mc_err_set(why, MC_ERR_INVALID, "/%s/%zu: the only variable is %s, at byte %zu stands another", key, index, VARIABLE,
                        (size_t)(p - (const char *)text.data));
    if (++variables > VARIABLES_MAX)
      return mc_err_set(why, MC_ERR_INVALID, "/%s/%zu: %s may stand at most %d times", key, index, VARIABLE, VARIABLES_MAX);
  }
  for (size_t at = 0; at <= text.len;) {
    mc_slice l = level(text, &at);
    if (!has_wildcard(l))
      continue;
    if (l.len != 1)
      return mc_err_set(why, MC_ERR_INVALID, "/%s/%zu: + and # stand alone in their level, not as in \"%.*s\"", key, index, MC_FMT(l));
    if (l.data[0] == '#' && at <= text.len)
      return mc_err_set(why, MC_ERR_INVALID, "/%s/%zu: # may only be the last level", key, index);
  }
  return MC_OK;
}

static mc_err read_list(json_t *array, const char *key, pattern_list *out, mc_why *why)
{
  size_t n = json_array_size(array);
  if (!json_is_array(array) || n > PATTERNS_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "/%s: expected an array of at most %d topic patterns", key, PATTERNS_MAX);
  out->at = calloc(n + 1, sizeof *out->at);
  if (!out->at)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the policy");
  for (size_t i = 0; i < n; i++) {
    json_t *item = json_array_get(array, i);
    if (!json_is_string(item))
      return mc_err_set(why, MC_ERR_INVALID, "/%s/%zu: expected text", key, i);
    mc_slice text = mc_slice_of(json_string_value(item), json_string_length(item));
    MC_TRY(check_pattern(key, i, text, why));
    topic_pattern *p = &out->at[out->len];
    p->text = strdup((const char *)text.data);
    if (!p->text)
      return mc_err_set(why, MC_ERR_MEMORY, "no memory for the policy");
    out->len++;
    p->len = text.len;
    p->variable = strstr(p->text, VARIABLE) != NULL;
    p->literal = strcspn(p->text, "+#$");
    if (p->literal == 0 && p->text[0] == '$' && strncmp(p->text, VARIABLE, 2) != 0)
      p->literal = 1 + strcspn(p->text + 1, "+#$");
    if (p->literal < p->len && p->literal && p->text[p->literal] == '#' && p->text[p->literal - 1] == '/')
      p->literal--; /* "a/#" also holds "a" */
  }
  return MC_OK;
}

mc_err mc_policy_parse(mc_slice json, mc_policy **out, mc_why *why)
{
  *out = NULL;
  json_error_t problem;
  json_t *root = json_loadb(json.len ? (const char *)json.data : "", json.len, JSON_REJECT_DUPLICATES, &problem);
  if (!root)
    return mc_err_set(why, MC_ERR_MALFORMED, "the policy is not valid JSON: line %d, column %d: %s", problem.line, problem.column, problem.text);
  mc_policy *p = calloc(1, sizeof *p);
  mc_err err = p ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "no memory for the policy");
  if (!err && !json_is_object(root))
    err = mc_err_set(why, MC_ERR_INVALID, "a policy is an object like {\"publish\":[\"a/#\"],\"subscribe\":[\"b/+/c\"]}");
  const char *key;
  json_t *value;
  if (!err) {
    atomic_init(&p->references, 1);
    json_object_foreach (root, key, value) {
      pattern_list *list = !strcmp(key, "publish") ? &p->publish : !strcmp(key, "subscribe") ? &p->subscribe : !strcmp(key, "connect") ? &p->connect : NULL;
      err = list ? read_list(value, key, list, why)
                 : mc_err_set(why, MC_ERR_INVALID, "/%.60s: a policy has publish, subscribe and connect only", key);
      if (err)
        break;
    }
  }
  json_decref(root);
  if (err) {
    if (p)
      policy_free(p);
    return err;
  }
  *out = p;
  return MC_OK;
}
