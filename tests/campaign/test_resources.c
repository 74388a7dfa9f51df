/* What resources owe each other: nothing goes while another uses it, limits are told as limits, two callers do not undo each other, and a kill leaves all of a
 * change or nothing. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control_rig.h"

#define CATALOG_OF(n) "'signalCatalogArn':'" ARN("signal-catalog", n) "'"
#define COLLECTS "'signalsToCollect':[{'name':'Vehicle.ENGINE.Rpm'}],'collectionScheme':{'timeBasedCollectionScheme':{'periodMs':10000}}"

static const char dbc_text[] = "VERSION \"\"\nBU_: ECU\nBO_ 256 ENGINE: 8 ECU\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] \"rpm\" ECU\n";

/* A catalog "default" with one signal, a model and a manifest "one" over it. */
static bool import_one(void)
{
  mc_dbc_import_report report;
  mc_dbc_import in = {.tenant = 1, .name = MC_LIT("one"), .dbc_text = mc_slice_str(dbc_text), .dbc_name = "a.dbc", .interface_id = MC_LIT("can0")};
  return mc_campaign_import_dbc(c, &in, &report, &why) == MC_OK;
}

static bool ready(void) { return begin() && import_one(); }

static mc_err vehicle(const char *name, const char *more)
{
  char input[1500];
  snprintf(input, sizeof input, "{'vehicleName':'%s','modelManifestArn':'" ARN("model-manifest", "one") "','decoderManifestArn':'" ARN("decoder-manifest", "one") "'%s}", name, more);
  return call("CreateVehicle", input);
}

static mc_err campaign_at(const char *name, const char *catalog, const char *target)
{
  char input[1500];
  snprintf(input, sizeof input, "{'name':'%s','signalCatalogArn':'" ARN("signal-catalog", "%s") "','targetArn':'" ARN("%s", "%s") "'," COLLECTS "}", name, catalog,
           strchr(target, '/') ? "fleet" : target, strchr(target, '/') ? strchr(target, '/') + 1 : "one");
  return call("CreateCampaign", input);
}

/* ---- who uses it ---- */

static void test_a_catalog_stays_while_anything_is_made_of_it(void)
{
  CHECK(ready());
  CHECK_OK(call("CreateSignalCatalog", "{'name':'cat','nodes':[{'branch':{'fullyQualifiedName':'V'}},{'sensor':{'fullyQualifiedName':'V.S','dataType':'INT8'}}]}"));
  static const struct {
    const char *make, *input, *take_away, *name, *said;
  } users[] = {
      {"CreateModelManifest", "{'name':'m','nodes':['V.S']," CATALOG_OF("cat") "}", "DeleteModelManifest", "{'name':'m'}", "the model \"m\""},
      {"CreateFleet", "{'fleetId':'f'," CATALOG_OF("cat") "}", "DeleteFleet", "{'fleetId':'f'}", "the fleet \"f\""},
      {"CreateCampaign", "{'name':'g','targetArn':'" ARN("fleet", "*") "'," CATALOG_OF("cat") "," COLLECTS "}", "DeleteCampaign", "{'name':'g'}", "the campaign \"g\""},
      {"CreateStateTemplate", "{'name':'t','stateTemplateProperties':['V.S']," CATALOG_OF("cat") "}", "DeleteStateTemplate", "{'identifier':'t'}", "the state template \"t\""},
  };
  for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
    CHECK_OK(call(users[i].make, users[i].input));
    CHECK(call("DeleteSignalCatalog", "{'name':'cat'}") != MC_OK);
    CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'cat','resourceType':'signal-catalog'"));
    CHECK_WHY(why, users[i].said);
    CHECK_OK(call("GetSignalCatalog", "{'name':'cat'}"));
    CHECK_OK(call(users[i].take_away, users[i].name));
  }
  CHECK_OK(call("DeleteSignalCatalog", "{'name':'cat'}"));
  CHECK(call("GetSignalCatalog", "{'name':'cat'}") != MC_OK);
  end();
}

static void test_models_manifests_and_fleets_stay_while_they_are_used(void)
{
  CHECK(ready());
  CHECK_OK(vehicle("car-1", ""));
  CHECK_OK(call("CreateFleet", "{'fleetId':'f'," CATALOG_OF("default") "}"));
  CHECK_OK(call("AssociateVehicleFleet", "{'vehicleName':'car-1','fleetId':'f'}"));
  CHECK(call("DeleteModelManifest", "{'name':'one'}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'one','resourceType':'model-manifest'"));
  CHECK_WHY(why, "the decoder manifest \"one\"");
  CHECK(call("DeleteDecoderManifest", "{'name':'one'}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'one','resourceType':'decoder-manifest'"));
  CHECK_WHY(why, "1 vehicles use it");
  CHECK(call("DeleteFleet", "{'fleetId':'f'}") != MC_OK); /* the contract names no ConflictException for it */
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'fleetId'"));
  CHECK_OK(call("DisassociateVehicleFleet", "{'vehicleName':'car-1','fleetId':'f'}"));
  CHECK_OK(campaign_at("g", "default", "/f"));
  CHECK(call("DeleteFleet", "{'fleetId':'f'}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'fleetId'"));
  CHECK_WHY(why, "the campaign \"g\" is aimed at it");
  CHECK_OK(call("DeleteCampaign", "{'name':'g'}"));
  CHECK_OK(call("DeleteFleet", "{'fleetId':'f'}"));
  CHECK_OK(call("DeleteVehicle", "{'vehicleName':'car-1'}"));
  CHECK_OK(campaign_at("h", "default", "decoder-manifest"));
  CHECK(call("DeleteDecoderManifest", "{'name':'one'}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'one','resourceType':'decoder-manifest'"));
  CHECK_WHY(why, "the campaign \"h\"");
  CHECK_OK(call("DeleteCampaign", "{'name':'h'}"));
  CHECK_OK(call("DeleteDecoderManifest", "{'name':'one'}"));
  CHECK_OK(call("DeleteModelManifest", "{'name':'one'}"));
  CHECK_OK(call("DeleteSignalCatalog", "{'name':'default'}"));
  end();
}

/* A decoder manifest is made for an ACTIVE model, and what would make it wrong is refused: it is never INVALID. */
static void test_nothing_makes_a_decoder_manifest_wrong_behind_its_back(void)
{
  CHECK(begin());
  CHECK_OK(call("CreateSignalCatalog",
                "{'name':'cat','nodes':[{'branch':{'fullyQualifiedName':'V'}},{'branch':{'fullyQualifiedName':'T'}},{'struct':{'fullyQualifiedName':'T.In'}},"
                "{'property':{'fullyQualifiedName':'T.In.X','dataType':'INT8'}},{'property':{'fullyQualifiedName':'T.In.Y','dataType':'INT8'}},{'struct':{'fullyQualifiedName':'T.Out'}},"
                "{'property':{'fullyQualifiedName':'T.Out.P','dataType':'STRUCT','structFullyQualifiedName':'T.In'}},{'struct':{'fullyQualifiedName':'T.Free'}},"
                "{'property':{'fullyQualifiedName':'T.Free.X','dataType':'INT8'}},{'sensor':{'fullyQualifiedName':'V.S','dataType':'INT8'}},"
                "{'sensor':{'fullyQualifiedName':'V.C','dataType':'STRUCT','structFullyQualifiedName':'T.Out'}}]}"));
  CHECK_OK(call("CreateModelManifest", "{'name':'m','nodes':['V.S','V.C']," CATALOG_OF("cat") "}"));
  static const char *const changes[] = {
      "'nodesToRemove':['V.S']",
      "'nodesToUpdate':[{'sensor':{'fullyQualifiedName':'V.S','dataType':'STRING'}}]",
      "'nodesToUpdate':[{'sensor':{'fullyQualifiedName':'V.C','dataType':'STRUCT','structFullyQualifiedName':'T.In'}}]",
      "'nodesToRemove':['T.In.X']",
      "'nodesToAdd':[{'property':{'fullyQualifiedName':'T.In.Z','dataType':'INT8'}}]",
      "'nodesToUpdate':[{'property':{'fullyQualifiedName':'T.In.X','dataType':'DOUBLE'}}]",
      "'nodesToAdd':[{'property':{'fullyQualifiedName':'T.Out.Q','dataType':'INT8'}}]",
  };
  char input[400];
  CHECK_OK(call("UpdateModelManifest", "{'name':'m','status':'ACTIVE'}"));
  CHECK_OK(call("CreateDecoderManifest", "{'name':'d','modelManifestArn':'" ARN("model-manifest", "m") "'}"));
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    snprintf(input, sizeof input, "{'name':'cat',%s}", changes[i]);
    CHECK(call("UpdateSignalCatalog", input) != MC_OK);
    if (!failed(MC_CONTROL_CONFLICT, "'resource':'cat','resourceType':'signal-catalog'"))
      TAP_FAIL("%s", changes[i]);
  }
  CHECK(call("UpdateModelManifest", "{'name':'m','status':'DRAFT'}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'m'"));
  CHECK(call("DeleteSignalCatalog", "{'name':'cat'}") != MC_OK);
  CHECK_OK(call("GetDecoderManifest", "{'name':'d'}"));
  CHECK(answers("'status':'DRAFT'"));
  /* what no active model holds is free, and so are texts */
  CHECK_OK(call("UpdateSignalCatalog", "{'name':'cat','nodesToRemove':['T.Free.X'],'nodesToAdd':[{'property':{'fullyQualifiedName':'T.Free.Y','dataType':'INT8'}}],"
                                       "'nodesToUpdate':[{'property':{'fullyQualifiedName':'T.In.X','dataType':'INT8','description':'across'}}]}"));
  /* and after the model has let go, everything */
  CHECK_OK(call("DeleteDecoderManifest", "{'name':'d'}"));
  CHECK_OK(call("UpdateModelManifest", "{'name':'m','status':'DRAFT'}"));
  CHECK_OK(call("UpdateSignalCatalog", "{'name':'cat','nodesToRemove':['V.S']}"));
  CHECK_OK(call("GetModelManifest", "{'name':'m'}"));
  CHECK(answers("'status':'INVALID','message':'V.S is not in the catalog any more'"));
  CHECK_OK(call("ListModelManifests", "{}"));
  CHECK(answers("'status':'INVALID','message':'V.S is not in the catalog any more'"));
  CHECK_OK(call("UpdateModelManifest", "{'name':'m','nodesToRemove':['V.S']}"));
  CHECK_OK(call("GetModelManifest", "{'name':'m'}"));
  CHECK(answers("'status':'DRAFT'"));
  CHECK(!memmem(answer.data, answer.len, "message", 7));
  end();
}

/* ---- limits ---- */

static void test_each_limit_of_a_tenant_is_told_as_such(void)
{
  static uint64_t limits[MC_CONTROL_LIMITS];
  static const char *const of_tenant[] = {"campaigns", "templates", "fleets", "fleet_vehicles", "vehicles", "manifests", "models", "catalogs"};
  size_t found = 0;
  for (size_t i = 0; i < MC_CONTROL_LIMITS; i++)
    for (size_t k = 0; k < sizeof of_tenant / sizeof of_tenant[0]; k++)
      if (strcmp(mc_control_limit_at(i).key, of_tenant[k]) == 0) {
        limits[i] = k == 4 ? 2 : k >= 6 ? 2 : 1;
        found++;
      }
  CHECK_INT(found, 8);
  rig_limits = limits;
  bool ok = ready();
  rig_limits = NULL;
  CHECK(ok);
  CHECK_OK(call("CreateSignalCatalog", "{'name':'cat'}"));
  CHECK(call("CreateSignalCatalog", "{'name':'more'}") != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'more','resourceType':'signal-catalog'"));
  CHECK(call("CreateDecoderManifest", "{'name':'more','modelManifestArn':'" ARN("model-manifest", "one") "'}") != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'more','resourceType':'decoder-manifest'"));
  CHECK_OK(call("CreateModelManifest", "{'name':'two','nodes':['Vehicle']," CATALOG_OF("default") "}"));
  CHECK(call("CreateModelManifest", "{'name':'more','nodes':['Vehicle']," CATALOG_OF("default") "}") != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'more','resourceType':'model-manifest'"));
  CHECK_OK(campaign_at("g", "default", "/*"));
  CHECK(campaign_at("more", "default", "/*") != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'more','resourceType':'campaign'"));
  CHECK_WHY(why, "fleetwise_campaigns");
  CHECK_OK(call("CreateStateTemplate", "{'name':'t','stateTemplateProperties':['Vehicle.ENGINE.Rpm']," CATALOG_OF("default") "}"));
  CHECK(call("CreateStateTemplate", "{'name':'more','stateTemplateProperties':['Vehicle.ENGINE.Rpm']," CATALOG_OF("default") "}") != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'more','resourceType':'state-template'"));
  CHECK_WHY(why, "fleetwise_templates");
  CHECK_OK(call("CreateFleet", "{'fleetId':'f'," CATALOG_OF("default") "}"));
  CHECK(call("CreateFleet", "{'fleetId':'more'," CATALOG_OF("default") "}") != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'more','resourceType':'fleet'"));
  CHECK_WHY(why, "fleetwise_fleets");
  CHECK(call("CreateFleet", "{'fleetId':'f'," CATALOG_OF("default") "}") != MC_OK); /* that it is there goes before that there is no room */
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'f'"));
  CHECK_OK(vehicle("car-1", ""));
  CHECK_OK(vehicle("car-2", ""));
  CHECK(vehicle("more", "") != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'more','resourceType':'vehicle'"));
  CHECK_OK(call("BatchCreateVehicle", "{'vehicles':[{'vehicleName':'more','modelManifestArn':'" ARN("model-manifest", "one") "','decoderManifestArn':'" ARN("decoder-manifest", "one") "'}]}"));
  CHECK(answers("'vehicles':[],'errors':[{'vehicleName':'more','code':'LimitExceededException'"));
  CHECK_OK(call("AssociateVehicleFleet", "{'vehicleName':'car-1','fleetId':'f'}"));
  CHECK_OK(call("AssociateVehicleFleet", "{'vehicleName':'car-1','fleetId':'f'}")); /* it is in it already */
  CHECK(call("AssociateVehicleFleet", "{'vehicleName':'car-2','fleetId':'f'}") != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'f','resourceType':'fleet'"));
  CHECK(call_as(2, "AssociateVehicleFleet", "{'vehicleName':'car-2','fleetId':'f'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "")); /* another tenant's fleet is not there, full or not */
  CHECK_OK(call("DeleteCampaign", "{'name':'g'}"));
  CHECK_OK(campaign_at("more", "default", "/*"));
  end();
}

/* ---- two callers ---- */

typedef struct caller {
  const char *operation, *input;
  unsigned times, ok;
} caller;

static void *run_caller(void *ctx)
{
  caller *w = ctx;
  for (unsigned i = 0; i < w->times; i++) {
    char input[1500];
    mc_buf out = {0};
    mc_control_error error = {0};
    mc_why text;
    snprintf(input, sizeof input, "%s", w->input);
    for (char *p = input; *p; p++)
      *p = *p == '\'' ? '"' : *p;
    mc_control_request r = {.tenant = 1, .operation = mc_slice_str(w->operation), .input = mc_slice_str(input)};
    mc_err err = mc_control_call(c, &r, &out, &error, &text);
    w->ok += !err;
    if (error.fault == MC_CONTROL_INTERNAL)
      printf("# %s: %s\n", w->operation, text.text);
    mc_control_error_free(&error);
    mc_buf_free(&out);
  }
  return NULL;
}

static void beside(caller *a, caller *b)
{
  pthread_t other;
  if (pthread_create(&other, NULL, run_caller, b))
    return;
  run_caller(a);
  pthread_join(other, NULL);
}

static size_t campaigns_in_memory(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_campaign *list;
  size_t n = 99;
  mc_campaign_list(c, 1, &arena, &list, &n, NULL);
  return n;
}

static void test_what_is_deleted_does_not_come_back_by_an_update(void)
{
  CHECK(ready());
  CHECK_OK(vehicle("car-1", ""));
  for (int round = 0; round < 30; round++) {
    caller update = {"UpdateCampaign", "{'name':'g','action':'UPDATE','description':'again'}", 10, 0}, gone = {"DeleteCampaign", "{'name':'g'}", 1, 0};
    CHECK_OK(campaign_at("g", "default", "/*"));
    beside(&update, &gone);
    CHECK_INT(gone.ok, 1);
    CHECK_INT(campaigns_in_memory(), 0);
    CHECK_OK(call("ListCampaigns", "{}"));
    CHECK(answers("'campaignSummaries':[]"));
    caller change = {"UpdateStateTemplate", "{'identifier':'t','description':'again'}", 10, 0}, away = {"DeleteStateTemplate", "{'identifier':'t'}", 1, 0};
    CHECK_OK(call("CreateStateTemplate", "{'name':'t','stateTemplateProperties':['Vehicle.ENGINE.Rpm']," CATALOG_OF("default") "}"));
    beside(&change, &away);
    CHECK_OK(call("ListStateTemplates", "{}"));
    CHECK(answers("'summaries':[]"));
  }
  end();
}

static void test_changes_of_one_campaign_do_not_undo_each_other(void)
{
  CHECK(ready());
  CHECK_OK(vehicle("car-1", ""));
  for (int round = 0; round < 30; round++) {
    caller describe = {"UpdateCampaign", "{'name':'g','action':'UPDATE','description':'other'}", 5, 0};
    caller approve = {"UpdateCampaign", "{'name':'g','action':'APPROVE','dataExtraDimensions':['a']}", 2, 0};
    CHECK_OK(campaign_at("g", "default", "/*"));
    beside(&describe, &approve);
    CHECK_INT(describe.ok, 5);
    CHECK_INT(approve.ok, 1); /* of two approvals one comes too late */
    CHECK_OK(call("GetCampaign", "{'name':'g'}"));
    CHECK(answers("'status':'RUNNING'"));
    CHECK(answers("'description':'other'"));
    CHECK(answers("'dataExtraDimensions':['a']"));
    CHECK_OK(call("DeleteCampaign", "{'name':'g'}"));
  }
  end();
}

static void test_of_two_who_make_one_thing_one_is_told_of_the_other(void)
{
  static const struct {
    const char *make, *input, *take_away, *name;
  } things[] = {
      {"CreateCampaign", "{'name':'g','targetArn':'" ARN("fleet", "*") "'," CATALOG_OF("default") "," COLLECTS "}", "DeleteCampaign", "{'name':'g'}"},
      {"CreateStateTemplate", "{'name':'t','stateTemplateProperties':['Vehicle.ENGINE.Rpm']," CATALOG_OF("default") "}", "DeleteStateTemplate", "{'identifier':'t'}"},
      {"CreateFleet", "{'fleetId':'f'," CATALOG_OF("default") "}", "DeleteFleet", "{'fleetId':'f'}"},
      {"CreateVehicle", "{'vehicleName':'v','modelManifestArn':'" ARN("model-manifest", "one") "','decoderManifestArn':'" ARN("decoder-manifest", "one") "'}", "DeleteVehicle",
       "{'vehicleName':'v'}"},
      {"CreateModelManifest", "{'name':'m','nodes':['Vehicle']," CATALOG_OF("default") "}", "DeleteModelManifest", "{'name':'m'}"},
      {"CreateDecoderManifest", "{'name':'d','modelManifestArn':'" ARN("model-manifest", "one") "'}", "DeleteDecoderManifest", "{'name':'d'}"},
      {"CreateSignalCatalog", "{'name':'s'}", "DeleteSignalCatalog", "{'name':'s'}"},
  };
  CHECK(ready());
  for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
    for (int round = 0; round < 10; round++) {
      caller a = {things[i].make, things[i].input, 1, 0}, b = a;
      beside(&a, &b);
      if (a.ok + b.ok != 1)
        TAP_FAIL("%s: %u of 2", things[i].make, a.ok + b.ok);
      CHECK_OK(call(things[i].take_away, things[i].name));
    }
  end();
}

/* Whoever is first: never a campaign or a fleet of a catalog that is gone. */
static void test_a_catalog_does_not_go_while_somebody_names_it(void)
{
  CHECK(ready());
  for (int round = 0; round < 20; round++) {
    caller make = {"CreateFleet", "{'fleetId':'f'," CATALOG_OF("cat") "}", 1, 0}, gone = {"DeleteSignalCatalog", "{'name':'cat'}", 1, 0};
    if (round % 2) {
      make.operation = "CreateStateTemplate";
      make.input = "{'name':'t','stateTemplateProperties':['Vehicle.ENGINE.Rpm']," CATALOG_OF("cat") "}";
    }
    CHECK_OK(call("CreateSignalCatalog", "{'name':'cat'}"));
    beside(&make, &gone);
    CHECK_INT(make.ok + gone.ok, 1);
    if (make.ok) {
      CHECK_OK(call("GetSignalCatalog", "{'name':'cat'}"));
      CHECK_OK(round % 2 ? call("DeleteStateTemplate", "{'identifier':'t'}") : call("DeleteFleet", "{'fleetId':'f'}"));
      CHECK_OK(call("DeleteSignalCatalog", "{'name':'cat'}"));
    }
  }
  end();
}

/* ---- kill -9 ---- */

#define ALL_OF_IT ",'attributes':{'colour':'red'},'tags':[{'Key':'k','Value':'v'}],'stateTemplates':[{'identifier':'t','stateTemplateUpdateStrategy':{'onChange':{}}}]"

static void make_for_ever(int to)
{
  for (int i = 0;; i++) {
    char name[40], input[500];
    snprintf(name, sizeof name, "car-%d", i);
    if (vehicle(name, ALL_OF_IT))
      _exit(1);
    snprintf(input, sizeof input, "{'fleetId':'f-%d','tags':[{'Key':'k','Value':'v'}]," CATALOG_OF("default") "}", i);
    if (call("CreateFleet", input))
      _exit(1);
    snprintf(input, sizeof input, "{'vehicleName':'car-%d','attributes':{'colour':'blue'},'attributeUpdateMode':'Merge','stateTemplatesToRemove':['t']}", i);
    if ((i % 2 && call("UpdateVehicle", input)) || write(to, &i, sizeof i) != sizeof i)
      _exit(1);
  }
}

/* As it was made or as it was changed, nothing in between. */
static bool is_whole(int i)
{
  char input[200];
  snprintf(input, sizeof input, "{'vehicleName':'car-%d'}", i);
  if (call("GetVehicle", input))
    return false;
  bool red = memmem(answer.data, answer.len, "\"red\"", 5), has = memmem(answer.data, answer.len, "\"identifier\":\"t\"", 16);
  bool blue = memmem(answer.data, answer.len, "\"blue\"", 6);
  snprintf(input, sizeof input, "{'ResourceARN':'" ARN("vehicle", "car-%d") "'}", i);
  return red == has && red != blue && call("ListTagsForResource", input) == MC_OK && memmem(answer.data, answer.len, "\"Value\":\"v\"", 11);
}

static void test_a_kill_leaves_all_of_a_vehicle_or_nothing(void)
{
  char path[] = "/tmp/mc-resources-XXXXXX", input[200];
  int pipe_of[2], last = -1, value, vehicles = 0, fleets = 0;
  CHECK(mkstemp(path) >= 0 && pipe(pipe_of) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (!child) {
    if (!begin_at(path) || !import_one() || call("CreateStateTemplate", "{'name':'t','stateTemplateProperties':['Vehicle.ENGINE.Rpm']," CATALOG_OF("default") "}"))
      _exit(1);
    make_for_ever(pipe_of[1]);
  }
  close(pipe_of[1]);
  while (last < 12 && read(pipe_of[0], &value, sizeof value) == sizeof value)
    last = value;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  close(pipe_of[0]);
  CHECK(last >= 12);
  CHECK(begin_at(path));
  for (int i = 0; i < last + 4; i++) {
    snprintf(input, sizeof input, "{'vehicleName':'car-%d'}", i);
    if (call("GetVehicle", input) == MC_OK) {
      vehicles++;
      if (!is_whole(i))
        TAP_FAIL("car-%d is half made", i);
    }
    snprintf(input, sizeof input, "{'ResourceARN':'" ARN("fleet", "f-%d") "'}", i);
    if (call("ListTagsForResource", input) == MC_OK) {
      fleets++;
      CHECK(answers("'Value':'v'"));
    }
  }
  CHECK(vehicles > last && fleets > last); /* what was answered is there */
  end();
  remove(path);
}

/* A part that is refused takes the whole with it: here attributes beyond a thousand, behind a state template that is fine. */
static void test_a_refused_part_leaves_nothing_of_the_rest(void)
{
  static char input[20000];
  CHECK(ready());
  CHECK_OK(call("CreateStateTemplate", "{'name':'t','stateTemplateProperties':['Vehicle.ENGINE.Rpm']," CATALOG_OF("default") "}"));
  CHECK_OK(vehicle("car-1", ""));
  for (int half = 0; half < 2; half++) {
    size_t n = (size_t)snprintf(input, sizeof input, "{'vehicleName':'car-1','attributeUpdateMode':'Merge',%s'attributes':{",
                                half ? "'stateTemplatesToAdd':[{'identifier':'t','stateTemplateUpdateStrategy':{'onChange':{}}}]," : "");
    for (int i = 0; i < 600; i++)
      n += (size_t)snprintf(input + n, sizeof input - n, "%s'%c%d':'x'", i ? "," : "", "ab"[half], i);
    snprintf(input + n, sizeof input - n, "}}");
    if (!half)
      CHECK_OK(call("UpdateVehicle", input));
  }
  CHECK(call("UpdateVehicle", input) != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'car-1','resourceType':'vehicle'"));
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers("'a599':'x'"));
  CHECK(answers("'stateTemplates':[]"));
  CHECK(!memmem(answer.data, answer.len, "\"b1\"", 4));
  end();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_catalog_stays_while_anything_is_made_of_it);
  RUN(test_models_manifests_and_fleets_stay_while_they_are_used);
  RUN(test_nothing_makes_a_decoder_manifest_wrong_behind_its_back);
  RUN(test_each_limit_of_a_tenant_is_told_as_such);
  RUN(test_what_is_deleted_does_not_come_back_by_an_update);
  RUN(test_changes_of_one_campaign_do_not_undo_each_other);
  RUN(test_of_two_who_make_one_thing_one_is_told_of_the_other);
  RUN(test_a_catalog_does_not_go_while_somebody_names_it);
  RUN(test_a_kill_leaves_all_of_a_vehicle_or_nothing);
  RUN(test_a_refused_part_leaves_nothing_of_the_rest);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
