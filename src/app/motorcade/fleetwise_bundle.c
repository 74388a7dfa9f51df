#include "app/motorcade/fleetwise_bundle.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { TELL_AT_MOST = 200 };

const char *const fleetwise_kind_name[FLEETWISE_KINDS] = {"signal catalog", "vehicle model", "decoder manifest", "state template", "vehicle", "fleet", "campaign"};

/* What an answer is of: the resource itself, a list that belongs to one, or summaries that say which there are. */
typedef enum answer_form { FORM_GET, FORM_PART, FORM_SUMMARIES } answer_form;
static const struct answer_kind {
  const char *operation;
  answer_form form;
  fleetwise_kind kind;
  const char *member; /* GET, SUMMARIES: that names the resource; PART: the list */
  const char *list;   /* SUMMARIES */
} answer_kinds[] = {
    {"get-signal-catalog", FORM_GET, FLEETWISE_CATALOG, "name", NULL},
    {"list-signal-catalog-nodes", FORM_PART, FLEETWISE_CATALOG, "nodes", NULL},
    {"list-signal-catalogs", FORM_SUMMARIES, FLEETWISE_CATALOG, "name", "summaries"},
    {"get-model-manifest", FORM_GET, FLEETWISE_MODEL, "name", NULL},
    {"list-model-manifest-nodes", FORM_PART, FLEETWISE_MODEL, "nodes", NULL},
    {"list-model-manifests", FORM_SUMMARIES, FLEETWISE_MODEL, "name", "summaries"},
    {"get-decoder-manifest", FORM_GET, FLEETWISE_DECODER, "name", NULL},
    {"list-decoder-manifest-signals", FORM_PART, FLEETWISE_DECODER, "signalDecoders", NULL},
    {"list-decoder-manifest-network-interfaces", FORM_PART, FLEETWISE_DECODER, "networkInterfaces", NULL},
    {"list-decoder-manifests", FORM_SUMMARIES, FLEETWISE_DECODER, "name", "summaries"},
    {"get-state-template", FORM_GET, FLEETWISE_TEMPLATE, "name", NULL},
    {"list-state-templates", FORM_SUMMARIES, FLEETWISE_TEMPLATE, "name", "summaries"},
    {"get-vehicle", FORM_GET, FLEETWISE_VEHICLE, "vehicleName", NULL},
    {"list-vehicles", FORM_SUMMARIES, FLEETWISE_VEHICLE, "vehicleName", "vehicleSummaries"},
    {"get-fleet", FORM_GET, FLEETWISE_FLEET, "id", NULL},
    {"list-fleets", FORM_SUMMARIES, FLEETWISE_FLEET, "id", "fleetSummaries"},
    {"list-vehicles-in-fleet", FORM_PART, FLEETWISE_FLEET, "vehicles", NULL},
    {"get-campaign", FORM_GET, FLEETWISE_CAMPAIGN, "name", NULL},
    {"list-campaigns", FORM_SUMMARIES, FLEETWISE_CAMPAIGN, "name", "campaignSummaries"},
};

/* ---- telling ---- */

__attribute__((format(printf, 2, 0))) static void tell(fleetwise_texts *list, const char *format, va_list args)
{
  char *text = NULL;
  if (list->len < TELL_AT_MOST && vasprintf(&text, format, args) >= 0 && mc_vec_push(list, text))
    free(text);
}

__attribute__((format(printf, 2, 3))) static void problem(fleetwise_bundle *b, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  tell(&b->problem, format, args);
  va_end(args);
}

__attribute__((format(printf, 2, 3))) static void note(fleetwise_bundle *b, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  tell(&b->note, format, args);
  va_end(args);
}

/* ---- reading ---- */

mc_err fleetwise_bundle_begin(fleetwise_bundle *b)
{
  *b = (fleetwise_bundle){.template_name = json_object(), .page = json_object()};
  bool made = b->template_name && b->page;
  for (int k = 0; k < FLEETWISE_KINDS; k++)
    made &= (b->of[k] = json_object()) != NULL;
  if (!made)
    fleetwise_bundle_free(b);
  return made ? MC_OK : MC_ERR_MEMORY;
}

void fleetwise_bundle_free(fleetwise_bundle *b)
{
  for (int k = 0; k < FLEETWISE_KINDS; k++)
    json_decref(b->of[k]);
  json_decref(b->template_name);
  json_decref(b->page);
  for (size_t i = 0; i < b->problem.len; i++)
    free(b->problem.at[i]);
  for (size_t i = 0; i < b->note.len; i++)
    free(b->note.at[i]);
  mc_vec_free(&b->problem);
  mc_vec_free(&b->note);
  *b = (fleetwise_bundle){0};
}

static json_t *entry(fleetwise_bundle *b, fleetwise_kind kind, const char *name)
{
  json_t *e = json_object_get(b->of[kind], name);
  if (!e && !json_object_set_new(b->of[kind], name, json_object()))
    e = json_object_get(b->of[kind], name);
  return e;
}

static const struct answer_kind *kind_of(const char *operation)
{
  for (size_t i = 0; i < sizeof answer_kinds / sizeof answer_kinds[0]; i++)
    if (!strcmp(answer_kinds[i].operation, operation))
      return &answer_kinds[i];
  return NULL;
}

static mc_err add_get(fleetwise_bundle *b, const struct answer_kind *k, const char *source, const char *name, const json_t *answer, mc_why *why)
{
  const char *own = json_string_value(json_object_get(answer, k->member));
  if (!own || !*own)
    return mc_err_set(why, MC_ERR_MALFORMED, "%s: no answer of %s: it has no \"%s\"", source, k->operation, k->member);
  if (*name && strcmp(own, name) != 0)
    return mc_err_set(why, MC_ERR_MALFORMED, "%s: is of \"%.150s\", its name says \"%.150s\"", source, own, name);
  const char *id = json_string_value(json_object_get(answer, "id"));
  if (k->kind == FLEETWISE_TEMPLATE && id)
    json_object_set_new(b->template_name, id, json_string(own));
  return json_object_set(entry(b, k->kind, own), "get", (json_t *)answer) ? mc_err_set(why, MC_ERR_MEMORY, "out of memory") : MC_OK;
}

static mc_err add_part(fleetwise_bundle *b, const struct answer_kind *k, const char *source, const char *name, const json_t *answer, mc_why *why)
{
  json_t *list = json_object_get(answer, k->member);
  if (!json_is_array(list))
    return mc_err_set(why, MC_ERR_MALFORMED, "%s: no answer of %s: it has no list \"%s\"", source, k->operation, k->member);
  if (!*name)
    return mc_err_set(why, MC_ERR_MALFORMED, "%s: the answer does not say whose it is: call the file %s.<name>.json", source, k->operation);
  json_t *e = entry(b, k->kind, name), *all = json_object_get(e, k->member);
  if (!all)
    return json_object_set_new(e, k->member, json_copy(list)) ? mc_err_set(why, MC_ERR_MEMORY, "out of memory") : MC_OK; /* pages are added to the copy */
  return json_array_extend(all, list) ? mc_err_set(why, MC_ERR_MEMORY, "out of memory") : MC_OK;
}

static mc_err add_summaries(fleetwise_bundle *b, const struct answer_kind *k, const char *source, const json_t *answer, mc_why *why)
{
  json_t *list = json_object_get(answer, k->list), *item;
  size_t i;
  if (!json_is_array(list))
    return mc_err_set(why, MC_ERR_MALFORMED, "%s: no answer of %s: it has no list \"%s\"", source, k->operation, k->list);
  json_array_foreach (list, i, item) {
    const char *name = json_string_value(json_object_get(item, k->member));
    if (!name || !*name)
      return mc_err_set(why, MC_ERR_MALFORMED, "%s: item %zu of \"%s\" has no \"%s\"", source, i, k->list, k->member);
    if (json_object_set(entry(b, k->kind, name), "summary", item))
      return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  }
  return MC_OK;
}

/* Pages come in any order: one of them has to be the last. */
static void note_page(fleetwise_bundle *b, const char *operation, const char *name, bool last)
{
  char key[400];
  snprintf(key, sizeof key, "%s%s%.200s", operation, *name ? " " : "", name);
  json_object_set_new(b->page, key, json_boolean(last || json_is_true(json_object_get(b->page, key))));
}

mc_err fleetwise_bundle_add(fleetwise_bundle *b, const char *source, const char *operation, const char *name, const json_t *answer, mc_why *why)
{
  const struct answer_kind *k = kind_of(operation);
  if (!json_is_object(answer))
    return mc_err_set(why, MC_ERR_MALFORMED, "%s: a JSON object was expected", source);
  if (!k) {
    note(b, "%s: answers of \"%.80s\" are not needed", source, operation);
    return MC_OK;
  }
  if (json_string_value(json_object_get(answer, "NextToken"))) /* of --max-items */
    problem(b, "%s: the list was cut (NextToken): ask again without --max-items", source);
  note_page(b, operation, name, json_string_value(json_object_get(answer, "nextToken")) == NULL);
  b->documents++;
  switch (k->form) {
  case FORM_GET:
    return add_get(b, k, source, name, answer, why);
  case FORM_PART:
    return add_part(b, k, source, name, answer, why);
  default:
    return add_summaries(b, k, source, answer, why);
  }
}

/* "list-model-manifest-nodes.car.2.json": operation, name, and a page that nobody needs. */
static mc_err add_file(fleetwise_bundle *b, const char *dir, const char *file, mc_why *why)
{
  char operation[300], path[1400];
  char *name;
  json_error_t error;
  snprintf(operation, sizeof operation, "%s", file);
  operation[strlen(operation) - (sizeof ".json" - 1)] = 0;
  name = strchr(operation, '.');
  if (name) {
    *name++ = 0;
    char *page = strchr(name, '.');
    if (page)
      *page = 0;
  }
  if (!kind_of(operation)) {
    note(b, "%s: its name begins with no operation that is needed", file);
    return MC_OK;
  }
  snprintf(path, sizeof path, "%s/%s", dir, file);
  json_t *answer = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (!answer)
    return mc_err_set(why, MC_ERR_MALFORMED, "%s:%d:%d: %s", path, error.line, error.column, error.text);
  mc_err err = fleetwise_bundle_add(b, file, operation, name ? name : "", answer, why);
  json_decref(answer);
  return err;
}

static int is_json(const struct dirent *e)
{
  size_t n = strlen(e->d_name);
  return n > sizeof ".json" - 1 && n < 290 && e->d_name[0] != '.' && !strcmp(e->d_name + n - (sizeof ".json" - 1), ".json");
}

mc_err fleetwise_bundle_read_dir(fleetwise_bundle *b, const char *dir, mc_why *why)
{
  struct dirent **file;
  int n = scandir(dir, &file, is_json, alphasort);
  mc_err err = MC_OK;
  if (n < 0)
    return mc_err_errno(why, "%s", dir);
  for (int i = 0; i < n; i++) {
    if (!err)
      err = add_file(b, dir, file[i]->d_name, why);
    free(file[i]);
  }
  free(file);
  if (!err && !b->documents)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "%s: no file here is called as an operation of `aws iotfleetwise`, such as get-campaign.<name>.json", dir);
  return err;
}

mc_err fleetwise_bundle_read_text(fleetwise_bundle *b, const char *source, mc_slice text, mc_why *why)
{
  size_t at = 0, line = 0;
  while (mc_slice_trim(mc_slice_sub(text, at, text.len - at)).len) {
    json_error_t error;
    char where[300];
    json_t *o = json_loadb((const char *)text.data + at, text.len - at, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
    if (!o)
      return mc_err_set(why, MC_ERR_MALFORMED, "%s, document %zu: %s", source, line + 1, error.text);
    at += (size_t)error.position; /* bytes read */
    const char *operation = json_string_value(json_object_get(o, "operation")), *name = json_string_value(json_object_get(o, "name"));
    snprintf(where, sizeof where, "%.200s, document %zu", source, ++line);
    mc_err err = operation ? fleetwise_bundle_add(b, where, operation, name ? name : "", json_object_get(o, "answer"), why)
                           : mc_err_set(why, MC_ERR_MALFORMED, "%s: {\"operation\": ..., \"name\": ..., \"answer\": {...}} was expected", where);
    json_decref(o);
    MC_TRY(err);
  }
  return b->documents ? MC_OK : mc_err_set(why, MC_ERR_NOT_FOUND, "%s: there is nothing in it", source);
}

/* ---- checking ---- */

const json_t *fleetwise_known(const json_t *e)
{
  const json_t *get = json_object_get(e, "get");
  return get ? get : json_object_get(e, "summary");
}

const char *fleetwise_text(const json_t *o, const char *key)
{
  const char *s = json_string_value(json_object_get(o, key));
  return s ? s : "";
}

const char *fleetwise_arn_name(const char *arn)
{
  const char *slash = strrchr(arn, '/');
  return slash ? slash + 1 : arn;
}

const char *fleetwise_node_name(const json_t *node)
{
  json_t *inner = json_object_iter_value(json_object_iter((json_t *)node));
  return fleetwise_text(inner, "fullyQualifiedName");
}

/* A resource that another one names. */
static void refers(fleetwise_bundle *b, fleetwise_kind from, const char *name, fleetwise_kind to, const char *other)
{
  if (!*other)
    problem(b, "%s %s names no %s", fleetwise_kind_name[from], name, fleetwise_kind_name[to]);
  else if (!json_object_get(b->of[to], other))
    problem(b, "%s %s names %s %s, which is not here", fleetwise_kind_name[from], name, fleetwise_kind_name[to], other);
}

/* Everything that a list knows of must be here whole. */
static void check_whole(fleetwise_bundle *b)
{
  static const struct {
    fleetwise_kind kind;
    const char *get, *part, *list;
  } needs[] = {
      {FLEETWISE_CATALOG, "get-signal-catalog", "nodes", "list-signal-catalog-nodes"},
      {FLEETWISE_MODEL, "get-model-manifest", "nodes", "list-model-manifest-nodes"},
      {FLEETWISE_DECODER, "get-decoder-manifest", "signalDecoders", "list-decoder-manifest-signals"},
      {FLEETWISE_DECODER, "get-decoder-manifest", "networkInterfaces", "list-decoder-manifest-network-interfaces"},
      {FLEETWISE_TEMPLATE, "get-state-template", NULL, NULL},
      {FLEETWISE_VEHICLE, "get-vehicle", NULL, NULL},
      {FLEETWISE_FLEET, "get-fleet", "vehicles", "list-vehicles-in-fleet"},
      {FLEETWISE_CAMPAIGN, "get-campaign", NULL, NULL},
  };
  const char *name;
  json_t *e;
  for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
    json_object_foreach (b->of[needs[i].kind], name, e) {
      bool summary_does = needs[i].kind == FLEETWISE_VEHICLE || needs[i].kind == FLEETWISE_FLEET;
      if (!(summary_does ? fleetwise_known(e) : json_object_get(e, "get")))
        problem(b, "%s %s: the answer of %s is missing", fleetwise_kind_name[needs[i].kind], name, needs[i].get);
      if (needs[i].part && !json_object_get(e, needs[i].part))
        problem(b, "%s %s: the answer of %s is missing", fleetwise_kind_name[needs[i].kind], name, needs[i].list);
    }
}

static void check_status(fleetwise_bundle *b, fleetwise_kind kind, const char *name, const json_t *get)
{
  const char *status = fleetwise_text(get, "status");
  if (!strcmp(status, "INVALID") || !strcmp(status, "VALIDATING"))
    problem(b, "%s %s is %s: mend it first, or leave its files out", fleetwise_kind_name[kind], name, status);
}

static void check_model(fleetwise_bundle *b, const char *name, json_t *e)
{
  json_t *node, *known = json_object(), *catalog = json_object_get(b->of[FLEETWISE_CATALOG], fleetwise_arn_name(fleetwise_text(fleetwise_known(e), "signalCatalogArn")));
  size_t i;
  refers(b, FLEETWISE_MODEL, name, FLEETWISE_CATALOG, fleetwise_arn_name(fleetwise_text(fleetwise_known(e), "signalCatalogArn")));
  check_status(b, FLEETWISE_MODEL, name, fleetwise_known(e));
  json_array_foreach (json_object_get(catalog, "nodes"), i, node)
    json_object_set_new(known, fleetwise_node_name(node), json_true());
  json_array_foreach (json_object_get(e, "nodes"), i, node)
    if (catalog && !json_object_get(known, fleetwise_node_name(node)))
      problem(b, "vehicle model %s has the node %.150s, which its catalog lacks", name, fleetwise_node_name(node));
  json_decref(known);
}

static void check_decoder(fleetwise_bundle *b, const char *name, json_t *e)
{
  json_t *item, *known = json_object();
  size_t i;
  refers(b, FLEETWISE_DECODER, name, FLEETWISE_MODEL, fleetwise_arn_name(fleetwise_text(fleetwise_known(e), "modelManifestArn")));
  check_status(b, FLEETWISE_DECODER, name, fleetwise_known(e));
  json_array_foreach (json_object_get(e, "networkInterfaces"), i, item)
    json_object_set_new(known, fleetwise_text(item, "interfaceId"), json_true());
  json_array_foreach (json_object_get(e, "signalDecoders"), i, item)
    if (!json_object_get(known, fleetwise_text(item, "interfaceId")))
      problem(b, "decoder manifest %s: %.150s lies on interface %.60s, which is not here", name, fleetwise_text(item, "fullyQualifiedName"), fleetwise_text(item, "interfaceId"));
  json_decref(known);
}

static void check_vehicle(fleetwise_bundle *b, const char *name, json_t *e)
{
  const char *decoder = fleetwise_arn_name(fleetwise_text(fleetwise_known(e), "decoderManifestArn"));
  json_t *item, *manifest = json_object_get(b->of[FLEETWISE_DECODER], decoder);
  size_t i;
  refers(b, FLEETWISE_VEHICLE, name, FLEETWISE_MODEL, fleetwise_arn_name(fleetwise_text(fleetwise_known(e), "modelManifestArn")));
  refers(b, FLEETWISE_VEHICLE, name, FLEETWISE_DECODER, decoder);
  if (manifest && fleetwise_known(manifest) && strcmp(fleetwise_text(fleetwise_known(manifest), "status"), "ACTIVE") != 0)
    problem(b, "vehicle %s has the decoder manifest %s, which is not ACTIVE", name, decoder);
  json_array_foreach (json_object_get(fleetwise_known(e), "stateTemplates"), i, item) {
    const char *id = fleetwise_text(item, "identifier"), *known = json_string_value(json_object_get(b->template_name, id));
    refers(b, FLEETWISE_VEHICLE, name, FLEETWISE_TEMPLATE, known ? known : id);
  }
}

static void check_fleet(fleetwise_bundle *b, const char *name, json_t *e)
{
  json_t *item;
  size_t i;
  refers(b, FLEETWISE_FLEET, name, FLEETWISE_CATALOG, fleetwise_arn_name(fleetwise_text(fleetwise_known(e), "signalCatalogArn")));
  json_array_foreach (json_object_get(e, "vehicles"), i, item)
    refers(b, FLEETWISE_FLEET, name, FLEETWISE_VEHICLE, json_is_string(item) ? json_string_value(item) : "");
}

static void check_campaign(fleetwise_bundle *b, const char *name, json_t *e)
{
  const json_t *get = fleetwise_known(e);
  json_t *item;
  size_t i;
  const char *target = fleetwise_text(get, "targetArn"), *target_name = fleetwise_arn_name(target);
  if (strstr(target, ":vehicle/"))
    refers(b, FLEETWISE_CAMPAIGN, name, FLEETWISE_VEHICLE, target_name);
  else if (strstr(target, ":fleet/"))
    refers(b, FLEETWISE_CAMPAIGN, name, FLEETWISE_FLEET, target_name);
  else
    problem(b, "campaign %s: its targetArn \"%.150s\" names neither a vehicle nor a fleet", name, target);
  if (json_object_get(get, "signalCatalogArn"))
    refers(b, FLEETWISE_CAMPAIGN, name, FLEETWISE_CATALOG, fleetwise_arn_name(fleetwise_text(get, "signalCatalogArn")));
  static const char *const time[] = {"startTime", "expiryTime"};
  int64_t us;
  for (i = 0; i < 2; i++) /* the command line writes them as text */
    if (*fleetwise_text(get, time[i]) && mc_clock_parse_us(mc_slice_str(fleetwise_text(get, time[i])), &us))
      problem(b, "campaign %s: its %s \"%.60s\" is no time like 2026-11-22T10:41:36+01:00", name, time[i], fleetwise_text(get, time[i]));
  json_array_foreach (json_object_get(get, "dataDestinationConfigs"), i, item) {
    if (json_object_get(item, "timestreamConfig"))
      note(b, "campaign %s delivered to Timestream: its rows come into the platform's own history", name);
    if (json_object_get(item, "s3Config"))
      note(b, "campaign %s delivers to %.120s: into the object store that the setting objects names", name, fleetwise_text(json_object_get(item, "s3Config"), "bucketArn"));
  }
}

/* Lists of vehicles say everything of them but that. */
static void check_templates_known(fleetwise_bundle *b)
{
  const char *name;
  json_t *e;
  size_t n = 0;
  json_object_foreach (b->of[FLEETWISE_VEHICLE], name, e)
    n += !json_object_get(e, "get");
  if (n && json_object_size(b->of[FLEETWISE_TEMPLATE]))
    note(b, "%zu vehicle%s known by list-vehicles alone, which does not tell state templates: %s made without any; add the answer of get-vehicle", n, n == 1 ? " is" : "s are",
         n == 1 ? "it is" : "they are");
}

bool fleetwise_bundle_check(fleetwise_bundle *b)
{
  static void (*const check[FLEETWISE_KINDS])(fleetwise_bundle *, const char *, json_t *) = {
      [FLEETWISE_MODEL] = check_model, [FLEETWISE_DECODER] = check_decoder, [FLEETWISE_VEHICLE] = check_vehicle, [FLEETWISE_FLEET] = check_fleet, [FLEETWISE_CAMPAIGN] = check_campaign};
  const char *name;
  json_t *e;
  check_whole(b);
  check_templates_known(b);
  json_object_foreach (b->page, name, e)
    if (!json_is_true(e))
      problem(b, "%s: the last page is missing (nextToken)", name);
  for (int k = 0; k < FLEETWISE_KINDS; k++)
    json_object_foreach (b->of[k], name, e)
      if (check[k] && fleetwise_known(e))
        check[k](b, name, e);
  return !b->problem.len;
}
