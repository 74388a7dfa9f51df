/* What tests of policy documents share: a connection with given values, documents as texts, one question. */
#ifndef DOCUMENT_RIG_H
#define DOCUMENT_RIG_H

#include "access/access.h"
#include "tap.h"

/* Names as in a document: "iot:ClientId", "iot:Connection.Thing.Attributes[colour]", "iot:Certificate.Subject.Country"; a name may come more than once. */
typedef struct known_value { const char *name, *value; } known_value;
typedef struct connection_of_test { const known_value *known; size_t count; } connection_of_test;

static void resolve_known(void *ctx, const mc_policy_variable *v, mc_policy_values *out)
{
  const connection_of_test *c = ctx;
  char whole[300];
  snprintf(whole, sizeof whole, "%.*s", MC_FMT(v->text));
  if (v->kind == MC_VARIABLE_CERTIFICATE && mc_slice_starts(v->text, MC_LIT("iot:Certificate."))) /* without .1 or .List */
    snprintf(whole, sizeof whole, "iot:Certificate.%.*s", MC_FMT(v->name));
  for (size_t i = 0; i < c->count && out->count < MC_POLICY_VALUES; i++)
    if (!strcmp(c->known[i].name, whole))
      out->at[out->count++] = mc_slice_str(c->known[i].value);
}

static void must(mc_err err, const mc_why *why)
{
  if (!err)
    return;
  printf("Bail out! %s\n", why->text);
  exit(2);
}

/* Documents p0, p1, ... in versions 1, 2, ... */
static mc_policy *bind_texts(const char *const *text, size_t count, const known_value *known, size_t known_count)
{
  mc_policy_part part[MC_POLICY_SET] = {{0}};
  mc_policy_document *document[MC_POLICY_SET];
  char name[MC_POLICY_SET][24];
  mc_policy_set *set = NULL;
  mc_policy *p = NULL;
  mc_why why = {0};
  for (size_t i = 0; i < count; i++) {
    must(mc_policy_document_parse(mc_slice_str(text[i]), &document[i], &why), &why);
    snprintf(name[i], sizeof name[i], "p%zu", i);
    part[i] = (mc_policy_part){document[i], mc_slice_str(name[i]), (uint32_t)(i + 1)};
  }
  must(mc_policy_set_compile(part, count, &set, &why), &why);
  connection_of_test c = {known, known_count};
  must(mc_policy_bind(set, resolve_known, &c, &p), &why);
  for (size_t i = 0; i < count; i++)
    mc_policy_document_release(document[i]);
  mc_policy_set_release(set);
  return p;
}

static bool may(const mc_policy *p, mc_action action, const char *resource)
{
  mc_principal who = {.tenant = 1, .kind = MC_PRINCIPAL_THING, .id = 1, .name = "veh-1"};
  return mc_policy_allows(p, &who, action, mc_slice_str(resource));
}

#endif
