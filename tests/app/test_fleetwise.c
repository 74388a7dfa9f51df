/* An account as AWS's command line tells it, recreated by the platform's own operations. */
#include "app/motorcade/fleetwise_bundle.h"
#include "campaign/control_rig.h"

/* What `aws iotfleetwise` answers, in its words: times as text, ARNs of that account, a template's own id. */
static const char account[] =
    "{'operation':'list-signal-catalogs','answer':{'summaries':[{'name':'cat','arn':'" ARN("signal-catalog", "cat") "'}]}}"
    "{'operation':'get-signal-catalog','name':'cat','answer':{'name':'cat','description':'all of it','nodeCounts':{'totalNodes':4}}}"
    "{'operation':'list-signal-catalog-nodes','name':'cat','answer':{'nodes':["
    "{'sensor':{'fullyQualifiedName':'Vehicle.Engine.Rpm','dataType':'DOUBLE','unit':'rpm'}},{'branch':{'fullyQualifiedName':'Vehicle'}}]}}\n"
    "{'operation':'list-signal-catalog-nodes','name':'cat','answer':{'nodes':["
    "{'branch':{'fullyQualifiedName':'Vehicle.Engine'}},{'sensor':{'fullyQualifiedName':'Vehicle.Engine.Temp','dataType':'DOUBLE'}}]}}"
    "{'operation':'get-model-manifest','name':'model','answer':{'name':'model','signalCatalogArn':'" ARN("signal-catalog", "cat") "','status':'ACTIVE'}}"
    "{'operation':'list-model-manifest-nodes','name':'model','answer':{'nodes':[{'branch':{'fullyQualifiedName':'Vehicle'}},{'branch':{'fullyQualifiedName':'Vehicle.Engine'}},"
    "{'sensor':{'fullyQualifiedName':'Vehicle.Engine.Rpm','dataType':'DOUBLE'}},{'sensor':{'fullyQualifiedName':'Vehicle.Engine.Temp','dataType':'DOUBLE'}}]}}"
    "{'operation':'get-decoder-manifest','name':'decoder','answer':{'name':'decoder','modelManifestArn':'" ARN("model-manifest", "model") "','status':'ACTIVE'}}"
    "{'operation':'list-decoder-manifest-network-interfaces','name':'decoder','answer':{'networkInterfaces':[{'interfaceId':'can0','type':'CAN_INTERFACE','canInterface':{'name':'can0'}}]}}"
    "{'operation':'list-decoder-manifest-signals','name':'decoder','answer':{'signalDecoders':["
    "{'fullyQualifiedName':'Vehicle.Engine.Rpm','type':'CAN_SIGNAL','interfaceId':'can0',"
    "'canSignal':{'messageId':256,'isBigEndian':false,'isSigned':false,'startBit':0,'offset':0.0,'factor':0.25,'length':16}},"
    "{'fullyQualifiedName':'Vehicle.Engine.Temp','type':'CAN_SIGNAL','interfaceId':'can0',"
    "'canSignal':{'messageId':256,'isBigEndian':false,'isSigned':false,'startBit':16,'offset':-40.0,'factor':1.0,'length':8}}]}}"
    "{'operation':'get-state-template','name':'state','answer':{'name':'state','id':'AKEXAMPLEAKEXAMPLEAKEXAMPL','signalCatalogArn':'" ARN("signal-catalog", "cat") "',"
    "'stateTemplateProperties':['Vehicle.Engine.Rpm']}}"
    "{'operation':'get-vehicle','name':'car-1','answer':{'vehicleName':'car-1','modelManifestArn':'" ARN("model-manifest", "model") "','decoderManifestArn':'" ARN("decoder-manifest", "decoder")
    "','attributes':{'color':'red'},'stateTemplates':[{'identifier':'AKEXAMPLEAKEXAMPLEAKEXAMPL','stateTemplateUpdateStrategy':{'onChange':{}}}]}}"
    "{'operation':'list-vehicles','answer':{'vehicleSummaries':[{'vehicleName':'car-1'},{'vehicleName':'car-2','modelManifestArn':'" ARN("model-manifest", "model") "','decoderManifestArn':'"
    ARN("decoder-manifest", "decoder") "','attributes':{}}]}}"
    "{'operation':'get-fleet','name':'north','answer':{'id':'north','signalCatalogArn':'" ARN("signal-catalog", "cat") "'}}"
    "{'operation':'list-vehicles-in-fleet','name':'north','answer':{'vehicles':['car-1','car-2']}}"
    "{'operation':'get-campaign','name':'hot','answer':{'name':'hot','signalCatalogArn':'" ARN("signal-catalog", "cat") "','targetArn':'" ARN("fleet", "north")
    "','status':'RUNNING','startTime':'2024-05-01T10:00:00Z','expiryTime':'2099-12-31T00:00:00Z','compression':'SNAPPY','priority':0,'signalsToCollect':[{'name':'Vehicle.Engine.Rpm'}],"
    "'collectionScheme':{'conditionBasedCollectionScheme':{'expression':'$variable.`Vehicle.Engine.Temp` > 90','minimumTriggerIntervalMs':1000,'triggerMode':'RISING_EDGE',"
    "'conditionLanguageVersion':1}}}}";

static fleetwise_bundle bundle;
static mc_why reason;
static int calls_left; /* the connection ends then; -1: never */
static int calls;

static char *in_json(const char *text)
{
  char *copy = strdup(text);
  for (char *p = copy; p && *p; p++)
    if (*p == '\'')
      *p = '"';
  return copy;
}

static mc_err read_account(const char *text)
{
  char *json = in_json(text);
  reason = (mc_why){0};
  fleetwise_bundle_free(&bundle);
  mc_err err = fleetwise_bundle_begin(&bundle);
  if (!err)
    err = fleetwise_bundle_read_text(&bundle, "account", mc_slice_str(json), &reason);
  free(json);
  return err;
}

/* The account with one place changed. */
static mc_err read_changed(const char *from, const char *to)
{
  static char text[sizeof account + 1000];
  const char *at = strstr(account, from);
  if (!at)
    return MC_ERR_NOT_FOUND;
  snprintf(text, sizeof text, "%.*s%s%s", (int)(at - account), account, to, at + strlen(from));
  return read_account(text);
}

static bool told_of(const fleetwise_texts *list, const char *part)
{
  for (size_t i = 0; i < list->len; i++)
    if (strstr(list->at[i], part))
      return true;
  for (size_t i = 0; i < list->len; i++)
    printf("# %s\n", list->at[i]);
  printf("# nothing told of \"%s\"\n", part);
  return false;
}

static mc_err by_operation(void *ctx, const char *operation, const json_t *input, json_t **out, mc_why *w)
{
  char *text = json_dumps(input, JSON_COMPACT);
  calls++;
  if (calls_left >= 0 && calls_left-- == 0) {
    free(text);
    return mc_err_set(w, MC_ERR_IO, "the line is dead");
  }
  mc_err err = call(operation, text);
  free(text);
  *out = err ? NULL : json_loadb((const char *)answer.data, answer.len, 0, NULL);
  if (err)
    *w = why;
  return err && fault.fault == MC_CONTROL_CONFLICT ? MC_ERR_CONFLICT : err && fault.fault == MC_CONTROL_NOT_FOUND ? MC_ERR_NOT_FOUND : err && fault.fault != MC_CONTROL_INTERNAL ? MC_ERR_INVALID : err;
}

static void print_told(void *ctx, fleetwise_kind kind, const char *name, fleetwise_outcome outcome, const char *text)
{
  if (outcome >= FLEETWISE_DIFFERS)
    printf("# %s %s: %s %s\n", fleetwise_kind_name[kind], name, fleetwise_outcome_name[outcome], text);
}

static fleetwise_import work;
static mc_err import(bool approve)
{
  work = (fleetwise_import){.call = by_operation, .told = print_told, .approve = approve};
  calls = 0;
  return fleetwise_import_run(&work, &bundle, &reason);
}

static uint32_t all(fleetwise_outcome outcome)
{
  uint32_t n = 0;
  for (int k = 0; k < FLEETWISE_KINDS; k++)
    n += work.count[k][outcome];
  return n;
}

static void test_an_account_is_recreated(void)
{
  CHECK(begin());
  calls_left = -1;
  CHECK_OK(read_account(account));
  CHECK(fleetwise_bundle_check(&bundle));
  CHECK(told_of(&bundle.note, "1 vehicle is known by list-vehicles alone"));
  CHECK_OK(import(false));
  CHECK_INT(all(FLEETWISE_MADE), 8);
  CHECK_INT(all(FLEETWISE_REFUSED), 0);
  CHECK_OK(call("GetSignalCatalog", "{'name':'cat'}"));
  CHECK(answers("'totalNodes':4"));
  CHECK_OK(call("GetDecoderManifest", "{'name':'decoder'}"));
  CHECK(answers("'status':'ACTIVE'"));
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers("'color':'red'"));
  CHECK(answers("'stateTemplates'"));
  CHECK_OK(call("ListVehiclesInFleet", "{'fleetId':'north'}"));
  CHECK(answers("'car-2'"));
  CHECK_OK(call("GetCampaign", "{'name':'hot'}"));
  CHECK(answers("'status':'WAITING_FOR_APPROVAL'"));
  CHECK(answers("'startTime':1714557600"));
  CHECK(answers("'triggerMode':'RISING_EDGE'"));
  end();
}

static void test_a_second_time_changes_nothing_but_approves_when_asked(void)
{
  CHECK(begin());
  calls_left = -1;
  CHECK_OK(read_account(account));
  CHECK_OK(import(false));
  CHECK_OK(import(false));
  CHECK_INT(all(FLEETWISE_THERE), 8);
  CHECK_INT(all(FLEETWISE_MADE) + all(FLEETWISE_DIFFERS) + all(FLEETWISE_REFUSED), 0);
  CHECK_OK(import(true));
  CHECK_OK(call("GetCampaign", "{'name':'hot'}"));
  CHECK(answers("'status':'RUNNING'"));
  CHECK_OK(import(true));
  CHECK_INT(all(FLEETWISE_REFUSED), 0);
  end();
}

/* Cut after any number of calls, it goes on where it was. */
static void test_what_was_interrupted_is_finished(void)
{
  CHECK_OK(read_account(account));
  for (int cut = 0; cut < 40; cut++) {
    CHECK(begin());
    calls_left = cut;
    mc_err err = import(true);
    bool whole = err == MC_OK;
    if (!whole) {
      CHECK_INT(err, MC_ERR_IO);
      CHECK_WHY(reason, "the line is dead");
    }
    calls_left = -1;
    CHECK_OK(import(true));
    CHECK_INT(all(FLEETWISE_REFUSED) + all(FLEETWISE_DIFFERS), 0);
    CHECK_INT(all(FLEETWISE_MADE) + all(FLEETWISE_THERE), 8);
    CHECK_OK(call("GetSignalCatalog", "{'name':'cat'}"));
    CHECK(answers("'totalNodes':4"));
    CHECK_OK(call("GetCampaign", "{'name':'hot'}"));
    CHECK(answers("'status':'RUNNING'"));
    end();
    if (whole)
      return;
  }
  CHECK(!"it never came through");
}

static void test_what_is_there_otherwise_stays_and_is_told(void)
{
  CHECK(begin());
  calls_left = -1;
  CHECK_OK(read_account(account));
  CHECK_OK(import(false));
  CHECK_OK(read_changed("'factor':0.25", "'factor':0.5"));
  CHECK_OK(import(false));
  CHECK_INT(work.count[FLEETWISE_DECODER][FLEETWISE_DIFFERS], 1);
  CHECK_OK(read_changed("'color':'red'", "'color':'blue'"));
  CHECK_OK(import(false));
  CHECK_INT(work.count[FLEETWISE_VEHICLE][FLEETWISE_DIFFERS], 1);
  CHECK_INT(work.count[FLEETWISE_VEHICLE][FLEETWISE_THERE], 1);
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers("'color':'red'"));
  end();
}

static void test_everything_is_checked_before_anything_is_sent(void)
{
  static const struct {
    const char *from, *to, *problem;
  } cases[] = {
      {"'targetArn':'" ARN("fleet", "north"), "'targetArn':'" ARN("fleet", "south"), "campaign hot names fleet south, which is not here"},
      {"'vehicles':['car-1','car-2']", "'vehicles':['car-1','car-9']", "fleet north names vehicle car-9"},
      {"'interfaceId':'can0','type':'CAN_INTERFACE','canInterface':{'name':'can0'}", "'interfaceId':'can1','type':'CAN_INTERFACE','canInterface':{'name':'can0'}", "interface can0, which is not here"},
      {"'fullyQualifiedName':'Vehicle.Engine.Temp','dataType':'DOUBLE'}}]}}{'operation':'get-model", "'fullyQualifiedName':'Vehicle.Engine.Other','dataType':'DOUBLE'}}]}}{'operation':'get-model",
       "node Vehicle.Engine.Temp, which its catalog lacks"},
      {"'modelManifestArn':'" ARN("model-manifest", "model") "','status':'ACTIVE'", "'modelManifestArn':'" ARN("model-manifest", "model") "','status':'DRAFT'", "which is not ACTIVE"},
      {"{'vehicles':['car-1','car-2']}", "{'NextToken':'more','vehicles':['car-1','car-2']}", "the list was cut"},
      {"{'vehicles':['car-1','car-2']}", "{'nextToken':'more','vehicles':['car-1','car-2']}", "list-vehicles-in-fleet north: the last page is missing"},
      {"'vehicleSummaries':[{'vehicleName':'car-1'}", "'vehicleSummaries':[{'vehicleName':'car-7'}", "vehicle car-7 names no vehicle model"},
      {"'identifier':'AKEXAMPLE", "'identifier':'ZKEXAMPLE", "names state template ZKEXAMPLE"},
      {"{'summaries':[{'name':'cat'", "{'summaries':[{'name':'cat-2'},{'name':'cat'", "signal catalog cat-2: the answer of get-signal-catalog is missing"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK_OK(read_changed(cases[i].from, cases[i].to));
    CHECK(!fleetwise_bundle_check(&bundle));
    CHECK(told_of(&bundle.problem, cases[i].problem));
  }
}

static void test_refuses_what_is_no_answer(void)
{
  static const struct {
    const char *text, *reason;
  } cases[] = {
      {"", "there is nothing in it"},
      {"{'operation':'get-campaign','answer':{}}", "it has no \"name\""},
      {"{'operation':'get-campaign','name':'a','answer':{'name':'b'}}", "is of \"b\", its name says \"a\""},
      {"{'operation':'list-signal-catalog-nodes','name':'cat','answer':{'summaries':[]}}", "it has no list \"nodes\""},
      {"{'operation':'list-signal-catalog-nodes','answer':{'nodes':[]}}", "does not say whose"},
      {"{'operation':'list-vehicles','answer':{'vehicleSummaries':[3]}}", "item 0"},
      {"{'operation':'get-fleet','answer':[]}", "a JSON object was expected"},
      {"{'name':'x'}", "was expected"},
      {"{'operation':'get-fleet','answer':{'id':'a'}} {", "document 2"},
      {"[1]", "was expected"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK(read_account(cases[i].text) != MC_OK);
    CHECK_WHY(reason, cases[i].reason);
  }
  CHECK_OK(read_account("{'operation':'get-fleet','answer':{'id':'a'}}{'operation':'get-logging-options','answer':{}}"));
  CHECK(told_of(&bundle.note, "\"get-logging-options\" are not needed"));
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_an_account_is_recreated);
  RUN(test_a_second_time_changes_nothing_but_approves_when_asked);
  RUN(test_what_was_interrupted_is_finished);
  RUN(test_what_is_there_otherwise_stays_and_is_told);
  RUN(test_everything_is_checked_before_anything_is_sent);
  RUN(test_refuses_what_is_no_answer);
  fleetwise_bundle_free(&bundle);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
