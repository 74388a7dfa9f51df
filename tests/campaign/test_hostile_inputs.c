/* Every member of every operation with every kind of value that it does not take, texts that carry more than their letters, and page tokens that no answer gave:
 * each is refused with its path, or passed where it is legal, and none of it is ever our own failure. */
#include "campaign/shape.h"
#include "control_rig.h"

#include "format/base64.h"

enum { DEEPEST = 7 };

/* ---- wrong kinds, member by member ---- */

static const struct kind_of_value {
  const char *json;
  bool is[SHAPE_ANY + 1]; /* which shapes it is right for */
} values[] = {
    {"[]", {[SHAPE_LIST] = true}},
    {"{}", {[SHAPE_STRUCT] = true, [SHAPE_UNION] = true, [SHAPE_MAP] = true}},
    {"\"x\"", {[SHAPE_TEXT] = true, [SHAPE_WORD] = true, [SHAPE_BLOB] = true}},
    {"7", {[SHAPE_INT] = true, [SHAPE_NUMBER] = true, [SHAPE_TIME] = true}},
    {"-1.5e300", {[SHAPE_NUMBER] = true, [SHAPE_TIME] = true}},
    {"true", {[SHAPE_BOOL] = true}},
    {"[[[[]]]]", {[SHAPE_LIST] = true}},
    {"{\"a\":{\"b\":[{}]}}", {[SHAPE_STRUCT] = true, [SHAPE_UNION] = true, [SHAPE_MAP] = true}},
};
enum { VALUES = sizeof values / sizeof values[0] };

typedef struct probe {
  const char *operation;
  char before[2000], after[200], path[600]; /* the input up to the value, and what closes it; the path as a fault names it */
  size_t tried, bad;
} probe;

static void try_value(probe *p, const shape *s, const struct kind_of_value *v)
{
  char input[2600], wanted[700];
  snprintf(input, sizeof input, "%s%s%s", p->before, v->json, p->after);
  mc_control_error_free(&fault);
  mc_buf_clear(&answer);
  why = (mc_why){0};
  mc_control_request r = {.tenant = 1, .operation = mc_slice_str(p->operation), .input = mc_slice_str(input)};
  mc_err err = mc_control_call(c, &r, &answer, &fault, &why);
  snprintf(wanted, sizeof wanted, "\"name\":\"%s\"", p->path);
  bool right_kind = s->kind == SHAPE_ANY || v->is[s->kind];
  bool told = fault.fault == MC_CONTROL_VALIDATION && fault.members.len && memmem(fault.members.data, fault.members.len, wanted, strlen(wanted));
  p->tried++;
  if (fault.fault == MC_CONTROL_INTERNAL || !err != (fault.fault == MC_CONTROL_OK) || (!right_kind && !told)) {
    p->bad++;
    printf("# %s %s: fault %d, %s: %.*s\n", p->operation, input, fault.fault, why.text, MC_FMT(mc_slice_sub(mc_buf_slice(&fault.members), 0, 300)));
  }
}

static void probe_shape(probe *p, const shape *s, int depth);

/* One level further in: text before and behind the value, and how the path goes on. */
static void probe_in(probe *p, const shape *s, int depth, const char *open, const char *close, const char *path)
{
  probe in = *p;
  snprintf(in.before, sizeof in.before, "%.1200s%.700s", p->before, open);
  snprintf(in.after, sizeof in.after, "%s%.150s", close, p->after);
  snprintf(in.path, sizeof in.path, "%.400s%s%.150s", p->path, p->path[0] && path[0] != '[' ? "." : "", path);
  probe_shape(&in, s, depth + 1);
  p->tried = in.tried;
  p->bad = in.bad;
}

static void probe_shape(probe *p, const shape *s, int depth) // NOLINT(misc-no-recursion)
{
  char open[160];
  for (size_t i = 0; i < VALUES && depth; i++)
    try_value(p, s, &values[i]);
  if (depth == DEEPEST)
    return;
  for (const shape_member *m = s->kind == SHAPE_STRUCT || s->kind == SHAPE_UNION ? s->member : NULL; m && m->name; m++) {
    snprintf(open, sizeof open, "{\"%s\":", m->name);
    probe_in(p, m->shape, depth, open, "}", m->name);
  }
  if (s->kind == SHAPE_LIST)
    probe_in(p, s->item, depth, "[", "]", "[0]");
  if (s->kind == SHAPE_MAP)
    probe_in(p, s->item, depth, "{\"k\":", "}", "k");
}

static void test_every_member_refuses_every_wrong_kind_at_its_path(void)
{
  size_t tried = 0, bad = 0, operations = 0;
  CHECK(begin());
  for (size_t i = 0; i < mc_control_count(); i++) {
    probe p = {.operation = mc_control_at(i).operation};
    const shape *s = shape_of_input(mc_slice_str(p.operation));
    if (s)
      probe_shape(&p, s, 0);
    tried += p.tried;
    bad += p.bad;
    operations++;
  }
  printf("# %zu values in %zu operations\n", tried, operations);
  CHECK_INT(operations, 57);
  CHECK(tried > 4000);
  CHECK_INT(bad, 0);
  end();
}

/* ---- whole inputs ---- */

static bool cannot_parse(const char *operation, mc_slice input)
{
  mc_control_error_free(&fault);
  mc_buf_clear(&answer);
  mc_control_request r = {.tenant = 1, .operation = mc_slice_str(operation), .input = input};
  return mc_control_call(c, &r, &answer, &fault, &why) && fault.fault == MC_CONTROL_VALIDATION && memmem(fault.members.data, fault.members.len, "cannotParse", 11);
}

static void test_no_operation_reads_what_is_no_json_object(void)
{
  static const char *const bad[] = {"{", "[]", "7", "\"x\"", "null", "{\"a\":1,\"a\":2}", "{\"name\":\"\\u0000\"}", "{\"name\":\"\\ud800\"}", "{\"name\":\"\xff\"}", "{\"a\":1e999}",
                                    "{\"a\":99999999999999999999}", "{}{}", "{\"a\":NaN}", "{'a':1}", "\xef\xbb\xbf{}"};
  mc_buf deep = {0};
  CHECK(begin());
  for (int i = 0; i < 200000; i++)
    mc_buf_append_str(&deep, "{\"a\":");
  for (size_t i = 0; i < mc_control_count(); i++) {
    const char *operation = mc_control_at(i).operation;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
      if (!cannot_parse(operation, mc_slice_str(bad[k])))
        TAP_FAIL("%s takes %s (%s)", operation, bad[k], why.text);
    if (!cannot_parse(operation, mc_buf_slice(&deep)))
      TAP_FAIL("%s reads a million bytes of brackets", operation);
  }
  mc_buf_free(&deep);
  end();
}

/* ---- names ---- */

static void test_names_carry_nothing_but_their_letters(void)
{
  static const char *const names[] = {"../x", "a/b", "a b", "a'b", "a\\u0022b", "a%", "a;b", "--", "a\\nb", "\\u00e9", "a*", "a#", "+", "$aws", "", ".", "a.b"};
  static const struct {
    const char *operation, *input;
  } takes[] = {
      {"CreateVehicle", "{\"vehicleName\":\"%s\",\"modelManifestArn\":\"" ARN("model-manifest", "m") "\",\"decoderManifestArn\":\"" ARN("decoder-manifest", "d") "\"}"},
      {"CreateFleet", "{\"fleetId\":\"%s\",\"signalCatalogArn\":\"" ARN("signal-catalog", "c") "\"}"},
      {"CreateSignalCatalog", "{\"name\":\"%s\"}"},
      {"CreateModelManifest", "{\"name\":\"%s\",\"nodes\":[\"V\"],\"signalCatalogArn\":\"" ARN("signal-catalog", "c") "\"}"},
      {"CreateDecoderManifest", "{\"name\":\"%s\",\"modelManifestArn\":\"" ARN("model-manifest", "m") "\"}"},
      {"CreateStateTemplate", "{\"name\":\"%s\",\"stateTemplateProperties\":[\"V\"],\"signalCatalogArn\":\"" ARN("signal-catalog", "c") "\"}"},
      {"CreateCampaign", "{\"name\":\"%s\",\"signalCatalogArn\":\"" ARN("signal-catalog", "c") "\",\"targetArn\":\"" ARN("fleet", "*")
                         "\",\"collectionScheme\":{\"timeBasedCollectionScheme\":{\"periodMs\":10000}}}"},
  };
  CHECK(begin());
  for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++)
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
      char input[900], *spot = strstr(strcpy(input, takes[i].input), "%s"), rest[800];
      if (strcmp(names[k], "--") == 0) /* letters that every name may have */
        continue;
      strcpy(rest, spot + 2);
      snprintf(spot, sizeof input - (size_t)(spot - input), "%s%s", names[k], rest);
      mc_control_error_free(&fault);
      mc_buf_clear(&answer);
      mc_control_request r = {.tenant = 1, .operation = mc_slice_str(takes[i].operation), .input = mc_slice_str(input)};
      if (!mc_control_call(c, &r, &answer, &fault, &why) || fault.fault != MC_CONTROL_VALIDATION)
        TAP_FAIL("%s takes \"%s\": %s", takes[i].operation, names[k], why.text);
    }
  end();
}

/* An ARN means its kind and name, whatever account and region it comes from; all else is refused, and none of it is found. */
static void test_arns_mean_their_kind_and_name_only(void)
{
  static const char *const bad[] = {"x", "arn", "arn:aws:iotfleetwise", "arn:aws:iotfleetwise:::", "arn:aws:iotfleetwise:::signal-catalog", "arn:aws:iotfleetwise:::signal-catalog/",
                                    "arn:aws:iot:::signal-catalog/c", "arn:aws:iotfleetwise:::model-manifest/c", "arn:aws:iotfleetwise:::signal-catalog/c/d", "signal-catalog/c",
                                    "arn:aws:iotfleetwise:::signal-catalog/other", "arn:aws:iotfleetwise:::signal-catalog/..", "arn:aws:iotfleetwise:r:1:signal-catalog/c'--"};
  CHECK(begin());
  CHECK_OK(call("CreateSignalCatalog", "{'name':'c','nodes':[{'branch':{'fullyQualifiedName':'V'}}]}"));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char input[300];
    snprintf(input, sizeof input, "{\"fleetId\":\"f\",\"signalCatalogArn\":\"%s\"}", bad[i]);
    mc_control_error_free(&fault);
    mc_buf_clear(&answer);
    mc_control_request r = {.tenant = 1, .operation = MC_LIT("CreateFleet"), .input = mc_slice_str(input)};
    if (!mc_control_call(c, &r, &answer, &fault, &why) || (fault.fault != MC_CONTROL_VALIDATION && fault.fault != MC_CONTROL_NOT_FOUND))
      TAP_FAIL("%s: fault %d", bad[i], fault.fault);
  }
  CHECK(call_as(2, "CreateFleet", "{'fleetId':'f','signalCatalogArn':'" ARN("signal-catalog", "c") "'}") != MC_OK); /* another tenant's */
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'c','resourceType':'signal-catalog'"));
  CHECK_OK(call("CreateFleet", "{'fleetId':'f','signalCatalogArn':'arn:aws-cn:iotfleetwise:elsewhere:999999999999:signal-catalog/c'}"));
  end();
}

/* ---- pages ---- */

static const struct {
  const char *operation, *members;
} paged[] = {{"ListCampaigns", ""},      {"ListDecoderManifestNetworkInterfaces", "\"name\":\"one\","}, {"ListDecoderManifestSignals", "\"name\":\"one\","},
             {"ListDecoderManifests", ""}, {"ListFleets", ""},                                          {"ListFleetsForVehicle", "\"vehicleName\":\"car\","},
             {"ListModelManifestNodes", "\"name\":\"one\","}, {"ListModelManifests", ""},               {"ListSignalCatalogNodes", "\"name\":\"default\","},
             {"ListSignalCatalogs", ""},   {"ListStateTemplates", ""},                                  {"ListVehicles", ""},
             {"ListVehiclesInFleet", "\"fleetId\":\"f\","},   {"GetVehicleStatus", "\"vehicleName\":\"car\","}};
enum { PAGED = sizeof paged / sizeof paged[0] };

static mc_err page(uint32_t tenant, size_t i, mc_slice token)
{
  mc_buf input = {0};
  mc_control_error_free(&fault);
  mc_buf_clear(&answer);
  mc_buf_printf(&input, "{%s\"nextToken\":\"%.*s\"}", paged[i].members, MC_FMT(token));
  mc_control_request r = {.tenant = tenant, .operation = mc_slice_str(paged[i].operation), .input = mc_buf_slice(&input)};
  mc_err err = mc_control_call(c, &r, &answer, &fault, &why);
  mc_buf_free(&input);
  return err;
}

static void test_forged_page_tokens_say_nothing(void)
{
  static const char *const garbage[] = {"", "=", "%%%", "a", "AAAA====", "\\u00e9", "x y", "AA==AA", "_w", "AGE"}; /* the last two: byte 255, a zero byte */
  mc_dbc_import_report report;
  mc_dbc_import in = {.tenant = 1, .name = MC_LIT("one"), .dbc_text = MC_LIT("BO_ 1 M: 8 E\n SG_ S : 0|8@1+ (1,0) [0|1] \"\" E\n"), .dbc_name = "a", .interface_id = MC_LIT("can0")};
  mc_buf long_token = {0};
  CHECK(begin());
  CHECK_OK(mc_campaign_import_dbc(c, &in, &report, &why));
  CHECK_OK(call("CreateVehicle", "{'vehicleName':'car','modelManifestArn':'" ARN("model-manifest", "one") "','decoderManifestArn':'" ARN("decoder-manifest", "one") "'}"));
  CHECK_OK(call("CreateFleet", "{'fleetId':'f','signalCatalogArn':'" ARN("signal-catalog", "default") "'}"));
  CHECK_OK(call("AssociateVehicleFleet", "{'vehicleName':'car','fleetId':'f'}"));
  for (int i = 0; i < 4096; i++)
    mc_buf_append_u8(&long_token, 'A' + i % 26);
  for (size_t i = 0; i < PAGED; i++) {
    for (size_t k = 0; k < sizeof garbage / sizeof garbage[0]; k++)
      if (!page(1, i, mc_slice_str(garbage[k])) || fault.fault != MC_CONTROL_VALIDATION || !memmem(fault.members.data, fault.members.len, "\"nextToken\"", 11))
        TAP_FAIL("%s takes the token %s: fault %d", paged[i].operation, garbage[k], fault.fault);
    page(1, i, mc_buf_slice(&long_token));
    if (fault.fault != MC_CONTROL_OK && fault.fault != MC_CONTROL_VALIDATION)
      TAP_FAIL("%s: fault %d at a long token", paged[i].operation, fault.fault);
    mc_buf_append_u8(&long_token, 'A');
    if (!page(1, i, mc_buf_slice(&long_token)) || fault.fault != MC_CONTROL_VALIDATION)
      TAP_FAIL("%s takes 4097 characters", paged[i].operation);
    long_token.len--;
    /* a place of the caller's own choice shows his own rows behind it and nobody else's */
    mc_buf token = {0};
    mc_base64url_append(&token, MC_LIT("A"));
    mc_err own = page(1, i, mc_buf_slice(&token)), others = page(2, i, mc_buf_slice(&token));
    if (own || (others && fault.fault != MC_CONTROL_NOT_FOUND) || (!others && (memmem(answer.data, answer.len, "one", 3) || memmem(answer.data, answer.len, "car", 3))))
      TAP_FAIL("%s: %.*s", paged[i].operation, MC_FMT(mc_buf_slice(&answer)));
    mc_buf_free(&token);
  }
  mc_buf_free(&long_token);
  end();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_every_member_refuses_every_wrong_kind_at_its_path);
  RUN(test_no_operation_reads_what_is_no_json_object);
  RUN(test_names_carry_nothing_but_their_letters);
  RUN(test_arns_mean_their_kind_and_name_only);
  RUN(test_forged_page_tokens_say_nothing);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
