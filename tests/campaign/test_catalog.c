/* Signal catalogs and vehicle models by name: what they take, what they refuse, and how they tell it. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control_rig.h"

#define BRANCH(n) "{'branch':{'fullyQualifiedName':'" n "'}}"
#define SENSOR(n, t) "{'sensor':{'fullyQualifiedName':'" n "','dataType':'" t "'}}"
#define STRUCT(n) "{'struct':{'fullyQualifiedName':'" n "'}}"
#define PROPERTY(n, t) "{'property':{'fullyQualifiedName':'" n "','dataType':'" t "'}}"

static mc_err make(const char *name, const char *nodes)
{
  char input[4000];
  snprintf(input, sizeof input, "{'name':'%s','description':'it','nodes':[%s]}", name, nodes);
  return call("CreateSignalCatalog", input);
}

static mc_err make_car(void)
{
  return make("car", BRANCH("Vehicle") "," SENSOR("Vehicle.Speed", "FLOAT") ",{'sensor':{'fullyQualifiedName':'Vehicle.Gear','dataType':'INT8','unit':'none','min':-1,'max':8,'description':'which'}},"
                     "{'actuator':{'fullyQualifiedName':'Vehicle.Horn','dataType':'BOOLEAN'}},{'attribute':{'fullyQualifiedName':'Vehicle.Kind','dataType':'STRING','allowedValues':['car','bus'],"
                     "'defaultValue':'car'}}," BRANCH("Vehicle.Cabin") "," SENSOR("Vehicle.Cabin.Temp", "DOUBLE") "," STRUCT("Types.Pos") "," PROPERTY("Types.Pos.Lat", "DOUBLE") ","
                     PROPERTY("Types.Pos.Lon", "DOUBLE") ",{'sensor':{'fullyQualifiedName':'Vehicle.Pos','dataType':'STRUCT','structFullyQualifiedName':'Types.Pos'}}");
}

static void test_a_catalog_keeps_its_nodes_as_they_came(void)
{
  CHECK(begin());
  CHECK_OK(make_car());
  CHECK(answers("'name':'car','arn':'" ARN("signal-catalog", "car") "'"));
  CHECK_OK(call("GetSignalCatalog", "{'name':'car'}"));
  CHECK(answers("'description':'it'"));
  CHECK(answers("'totalSensors':4"));
  CHECK(answers("'totalBranches':3")); /* Types was made */
  CHECK(answers("'totalActuators':1"));
  CHECK(answers("'totalAttributes':1"));
  CHECK(answers("'totalStructs':1"));
  CHECK(answers("'totalProperties':2"));
  CHECK(answers("'totalNodes':12"));
  CHECK(answers("'creationTime':"));
  CHECK_OK(call("ListSignalCatalogNodes", "{'name':'car'}"));
  CHECK(answers("{'sensor':{'fullyQualifiedName':'Vehicle.Gear','dataType':'INT8','unit':'none','min':-1,'max':8,'description':'which'}}"));
  CHECK(answers("{'property':{'fullyQualifiedName':'Types.Pos.Lat','dataType':'DOUBLE'}}"));
  CHECK_INT(pages("ListSignalCatalogNodes", "'name':'car'", "nodes", 5), 12);
  CHECK_INT(pages("ListSignalCatalogNodes", "'name':'car'", "nodes", 12), 12);
  CHECK_INT(pages("ListSignalCatalogNodes", "'name':'car','signalNodeType':'SENSOR'", "nodes", 3), 4);
  CHECK_INT(pages("ListSignalCatalogNodes", "'name':'car','signalNodeType':'CUSTOM_PROPERTY'", "nodes", 1), 2);
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_signal_info *list;
  size_t n;
  CHECK_OK(mc_campaign_signals(c, 1, (mc_slice){0}, MC_LIT("Gear"), 10, &arena, &list, &n, &why)); /* the same row for portal and samples */
  CHECK_INT(n, 1);
  CHECK_SLICE(list[0].type, "INT8");
  CHECK(list[0].has_max);
  end();
}

static void test_a_catalog_names_the_nodes_that_are_wrong(void)
{
  static const struct {
    const char *nodes, *node, *reason;
  } bad[] = {
      {SENSOR("A.B", "INT8") "," SENSOR("A.B", "INT8"), "'invalidNodes':[{'sensor':{'fullyQualifiedName':'A.B'", "named twice"},
      {SENSOR("A.B", "INT8") "," SENSOR("A.B.C", "INT8"), "{'sensor':{'fullyQualifiedName':'A.B.C'", "cannot stand below the sensor"},
      {PROPERTY("A.P", "INT8"), "'A.P'", "no struct"},
      {BRANCH("A") "," PROPERTY("A.P", "INT8"), "'A.P'", "cannot stand below the branch"},
      {SENSOR("A.B", "STRUCT"), "'A.B'", "needs structFullyQualifiedName"},
      {"{'sensor':{'fullyQualifiedName':'A.B','dataType':'STRUCT','structFullyQualifiedName':'T'}}", "'A.B'", "no struct"},
      {"{'sensor':{'fullyQualifiedName':'A.B','dataType':'INT8','structFullyQualifiedName':'T'}}", "'A.B'", "is for STRUCT"},
      {"{'sensor':{'fullyQualifiedName':'A.B','dataType':'INT8','min':3,'max':1}}", "'A.B'", "min lies above max"},
      {"{'sensor':{'fullyQualifiedName':'A.B','dataType':'STRING','min':3}}", "'A.B'", "for numbers"},
      {"{'sensor':{'fullyQualifiedName':'A.B','dataType':'INT8','allowedValues':['x']}}", "'A.B'", "allowed value"},
      {"{'attribute':{'fullyQualifiedName':'A.B','dataType':'INT8','allowedValues':['1'],'defaultValue':'2'}}", "'A.B'", "not among"},
      {"{'attribute':{'fullyQualifiedName':'A.B','dataType':'INT8','defaultValue':'x'}}", "'A.B'", "not one of its data type"},
      {"{'sensor':{'fullyQualifiedName':'A.B','dataType':'INT8','valueNames':[['0','off']]}}", "'A.B'", "pairs of a whole number"},
      {"{'sensor':{'fullyQualifiedName':'A.B','dataType':'INT8','valueNames':[[0,'off'],[1,{}]]}}", "'A.B'", "pairs of a whole number"},
      {SENSOR("A..B", "INT8"), "'A..B'", "empty"},
  };
  CHECK(begin());
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CHECK(make("x", bad[i].nodes) != MC_OK);
    CHECK(failed(MC_CONTROL_INVALID_NODE, bad[i].node));
    CHECK(holds(&fault.members, "'reason':'"));
    CHECK_WHY(why, bad[i].reason);
  }
  uint32_t id;
  CHECK_INT(mc_registry_signal_lookup(registry, 1, MC_LIT("A.B"), &id), MC_ERR_NOT_FOUND); /* nothing of it became a name */
  CHECK_OK(call("ListSignalCatalogs", "{}"));
  CHECK(answers("'summaries':[]"));
  CHECK_OK(make("x", SENSOR("A.B", "INT8")));
  CHECK(make("x", "") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'x','resourceType':'signal-catalog'"));
  CHECK(call("GetSignalCatalog", "{'name':'y'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'y','resourceType':'signal-catalog'"));
  CHECK(call_as(2, "GetSignalCatalog", "{'name':'x'}") != MC_OK); /* another tenant's */
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'x'"));
  CHECK(call_as(2, "UpdateSignalCatalog", "{'name':'x','description':'mine'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'x'"));
  CHECK(call("ListSignalCatalogNodes", "{'name':'x','nextToken':'!'}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'nextToken'"));
  end();
}

static void test_a_catalog_changes_whole_or_not_at_all(void)
{
  CHECK(begin());
  CHECK_OK(make_car());
  CHECK_OK(call("UpdateSignalCatalog", "{'name':'car','description':'new','nodesToAdd':[" SENSOR("Vehicle.Door.Open", "BOOLEAN") "],'nodesToUpdate':[{'sensor':{'fullyQualifiedName':"
                                       "'Vehicle.Speed','dataType':'FLOAT','unit':'km/h'}}],'nodesToRemove':['Vehicle.Horn']}"));
  CHECK_OK(call("ListSignalCatalogNodes", "{'name':'car'}"));
  CHECK(answers("'Vehicle.Door'"));
  CHECK(answers("'unit':'km/h'"));
  CHECK(!memmem(answer.data, answer.len, "Horn", 4));
  CHECK(call("UpdateSignalCatalog", "{'name':'car','nodesToAdd':[" SENSOR("Vehicle.Speed", "FLOAT") "]}") != MC_OK);
  CHECK(failed(MC_CONTROL_INVALID_NODE, "'Vehicle.Speed'"));
  CHECK(call("UpdateSignalCatalog", "{'name':'car','nodesToUpdate':[" SENSOR("Vehicle.Nothing", "FLOAT") "]}") != MC_OK);
  CHECK(failed(MC_CONTROL_INVALID_NODE, "'Vehicle.Nothing'"));
  CHECK(call("UpdateSignalCatalog", "{'name':'car','nodesToUpdate':[{'actuator':{'fullyQualifiedName':'Vehicle.Speed','dataType':'FLOAT'}}]}") != MC_OK);
  CHECK(failed(MC_CONTROL_INVALID_NODE, "'Vehicle.Speed'"));
  CHECK(call("UpdateSignalCatalog", "{'name':'car','nodesToRemove':['Vehicle.Nothing','Vehicle.Cabin','Types.Pos']}") != MC_OK);
  CHECK(failed(MC_CONTROL_INVALID_SIGNALS, "{'name':'Vehicle.Nothing','reason':'the catalog does not have it'}"));
  CHECK(holds(&fault.members, "'name':'Vehicle.Cabin','reason':'\\'Vehicle.Cabin.Temp\\' needs it"));
  CHECK(holds(&fault.members, "'name':'Types.Pos'"));
  CHECK(call("UpdateSignalCatalog", "{'name':'car','nodesToRemove':['Types.Pos','Types.Pos.Lat','Types.Pos.Lon']}") != MC_OK); /* a sensor is of it */
  CHECK(failed(MC_CONTROL_INVALID_SIGNALS, "Vehicle.Pos"));
  CHECK(call("UpdateSignalCatalog", "{'name':'car','nodesToRemove':['Vehicle.Cabin','Vehicle.Cabin.Temp'],'nodesToAdd':[" SENSOR("Vehicle.Cabin.Noise", "INT8") "]}") != MC_OK);
  CHECK(failed(MC_CONTROL_INVALID_NODE, "'Vehicle.Cabin.Noise'"));
  CHECK_OK(call("UpdateSignalCatalog", "{'name':'car','nodesToRemove':['Vehicle.Cabin','Vehicle.Cabin.Temp']}"));
  CHECK_OK(call("GetSignalCatalog", "{'name':'car'}"));
  CHECK(answers("'description':'new'"));
  CHECK(answers("'totalNodes':11"));
  end();
}

static void test_a_tree_of_vss_comes_in_with_structs(void)
{
  static const char tree[] =
      "{'name':'vss','vss':{'vssJson':'{\\'Vehicle\\':{\\'type\\':\\'branch\\',\\'description\\':\\'all\\',\\'children\\':{\\'Speed\\':{\\'type\\':\\'sensor\\',\\'datatype\\':"
      "\\'float\\',\\'unit\\':\\'km/h\\',\\'min\\':0},\\'Doors\\':{\\'type\\':\\'actuator\\',\\'datatype\\':\\'uint8[]\\'},\\'Kind\\':{\\'type\\':\\'attribute\\',\\'datatype\\':\\'uint8\\',"
      "\\'default\\':4,\\'allowed\\':[2,4]},"
      "\\'Where\\':{\\'type\\':\\'sensor\\',\\'datatype\\':\\'Types.Pos\\'}}},\\'ComplexDataTypes\\':{\\'Types\\':{\\'type\\':\\'branch\\',\\'children\\':"
      "{\\'Pos\\':{\\'type\\':\\'struct\\',\\'children\\':"
      "{\\'Lat\\':{\\'type\\':\\'property\\',\\'datatype\\':\\'double\\'}}}}}}}'}}";
  CHECK(begin());
  CHECK_OK(call("ImportSignalCatalog", tree));
  CHECK_OK(call("ListSignalCatalogNodes", "{'name':'vss'}"));
  CHECK_INT(count_of("fullyQualifiedName\""), 8);
  CHECK(answers("'dataType':'UINT8_ARRAY'"));
  CHECK(answers("'structFullyQualifiedName':'Types.Pos'"));
  CHECK(answers("'allowedValues':['2','4']"));
  CHECK(answers("'defaultValue':'4'"));
  CHECK(call("ImportSignalCatalog", tree) != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'vss'"));
  static const struct {
    const char *vss, *text;
  } bad[] = {{"{", "line 1"},
             {"{}", "no node"},
             {"{\\'A\\':{\\'type\\':\\'tree\\'}}", "A: "},
             {"{\\'A\\':{\\'type\\':\\'sensor\\'}}", "datatype"},
             {"{\\'A\\':{\\'type\\':\\'sensor\\',\\'datatype\\':\\'what\\'}}", "datatype"},
             {"{\\'A b\\':{\\'type\\':\\'branch\\'}}", "the root"},
             {"{\\'A\\':{\\'type\\':\\'sensor\\',\\'datatype\\':\\'int8\\',\\'children\\':{}}}", "children"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char input[400];
    snprintf(input, sizeof input, "{'name':'bad','vss':{'vssJson':'%s'}}", bad[i].vss);
    CHECK(call("ImportSignalCatalog", input) != MC_OK);
    CHECK(failed(MC_CONTROL_VALIDATION, "'name':'vss.vssJson'"));
    CHECK_WHY(why, bad[i].text);
  }
  end();
}

/* ---- models ---- */

static mc_err model(const char *name, const char *nodes)
{
  char input[1000];
  snprintf(input, sizeof input, "{'name':'%s','signalCatalogArn':'" ARN("signal-catalog", "car") "','nodes':[%s]}", name, nodes);
  return call("CreateModelManifest", input);
}

static void test_a_model_takes_branches_with_all_below(void)
{
  CHECK(begin());
  CHECK_OK(make_car());
  CHECK_OK(model("m", "'Vehicle.Cabin','Vehicle.Speed'"));
  CHECK(answers("'arn':'" ARN("model-manifest", "m") "'"));
  CHECK_OK(call("GetModelManifest", "{'name':'m'}"));
  CHECK(answers("'status':'DRAFT'"));
  CHECK(answers("'signalCatalogArn':'" ARN("signal-catalog", "car") "'"));
  CHECK_INT(pages("ListModelManifestNodes", "'name':'m'", "nodes", 2), 3);
  CHECK_OK(call("ListModelManifestNodes", "{'name':'m'}"));
  CHECK(answers("{'sensor':{'fullyQualifiedName':'Vehicle.Cabin.Temp','dataType':'DOUBLE'}}"));
  CHECK(model("n", "'Vehicle.Nothing','Vehicle.Speed'") != MC_OK);
  CHECK(failed(MC_CONTROL_INVALID_SIGNALS, "'invalidSignals':[{'name':'Vehicle.Nothing','reason':"));
  CHECK(model("m", "'Vehicle'") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'m','resourceType':'model-manifest'"));
  CHECK(call("CreateModelManifest", "{'name':'n','signalCatalogArn':'" ARN("signal-catalog", "no") "','nodes':['A']}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'no','resourceType':'signal-catalog'"));
  CHECK(call("CreateModelManifest", "{'name':'n','signalCatalogArn':'arn:aws:iotfleetwise:x:1:fleet/f','nodes':['A']}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'signalCatalogArn'"));
  CHECK_OK(call("UpdateModelManifest", "{'name':'m','nodesToAdd':['Vehicle.Gear'],'nodesToRemove':['Vehicle.Cabin'],'description':'d'}"));
  CHECK_INT(pages("ListModelManifestNodes", "'name':'m'", "nodes", 10), 2);
  CHECK(call("UpdateModelManifest", "{'name':'m','nodesToRemove':['Vehicle.Cabin'],'nodesToAdd':['Vehicle.Horn']}") != MC_OK);
  CHECK(failed(MC_CONTROL_INVALID_SIGNALS, "'Vehicle.Cabin'"));
  CHECK_INT(pages("ListModelManifestNodes", "'name':'m'", "nodes", 10), 2); /* nothing of it happened */
  CHECK(call_as(2, "GetModelManifest", "{'name':'m'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'m'"));
  end();
}

static void test_a_model_goes_from_draft_to_active_and_stays(void)
{
  CHECK(begin());
  CHECK_OK(make_car());
  CHECK_OK(model("m", "'Vehicle.Speed'"));
  CHECK_OK(model("empty", "'Types.Pos'"));
  CHECK(call("UpdateModelManifest", "{'name':'empty','status':'ACTIVE'}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'status'"));
  CHECK(call("UpdateModelManifest", "{'name':'m','status':'INVALID'}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'status'"));
  CHECK_OK(call("UpdateModelManifest", "{'name':'m','status':'ACTIVE','nodesToAdd':['Vehicle.Gear']}"));
  CHECK(call("UpdateModelManifest", "{'name':'m','nodesToAdd':['Vehicle.Horn']}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'m'"));
  CHECK_OK(call("UpdateModelManifest", "{'name':'m','description':'of an active one'}"));
  CHECK(call("UpdateSignalCatalog", "{'name':'car','nodesToRemove':['Vehicle.Gear']}") != MC_OK); /* promised */
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'car','resourceType':'signal-catalog'"));
  CHECK(call("UpdateSignalCatalog", "{'name':'car','nodesToUpdate':[" SENSOR("Vehicle.Gear", "DOUBLE") "]}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'car'"));
  CHECK_OK(call("UpdateSignalCatalog", "{'name':'car','nodesToUpdate':[{'sensor':{'fullyQualifiedName':'Vehicle.Gear','dataType':'INT8','description':'other words'}}]}"));
  CHECK_OK(call("CreateDecoderManifest", "{'name':'d','modelManifestArn':'" ARN("model-manifest", "m") "'}"));
  CHECK(call("UpdateModelManifest", "{'name':'m','status':'DRAFT'}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'m'"));
  CHECK(call("DeleteModelManifest", "{'name':'m'}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'m'"));
  CHECK(call("DeleteSignalCatalog", "{'name':'car'}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'car'"));
  CHECK_OK(call("DeleteDecoderManifest", "{'name':'d'}"));
  CHECK_OK(call("UpdateModelManifest", "{'name':'m','status':'DRAFT','nodesToRemove':['Vehicle.Speed']}"));
  CHECK_OK(call("DeleteModelManifest", "{'name':'m'}"));
  CHECK_OK(call("DeleteModelManifest", "{'name':'m'}")); /* the contract gives it no ResourceNotFound */
  CHECK_OK(call("DeleteModelManifest", "{'name':'empty'}"));
  CHECK_OK(call("DeleteSignalCatalog", "{'name':'car'}"));
  CHECK_OK(call("ListSignalCatalogs", "{}"));
  CHECK(answers("'summaries':[]"));
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_signal_info *list;
  size_t n;
  CHECK_OK(mc_campaign_signals(c, 1, (mc_slice){0}, (mc_slice){0}, 10, &arena, &list, &n, &why));
  CHECK_INT(n, 0);
  end();
}

static void test_a_draft_that_lost_a_node_is_invalid_until_it_lets_go(void)
{
  CHECK(begin());
  CHECK_OK(make_car());
  CHECK_OK(model("m", "'Vehicle.Speed','Vehicle.Gear'"));
  CHECK_OK(call("UpdateSignalCatalog", "{'name':'car','nodesToRemove':['Vehicle.Gear']}"));
  CHECK_OK(call("GetModelManifest", "{'name':'m'}"));
  CHECK(answers("'status':'INVALID'"));
  CHECK(call("UpdateModelManifest", "{'name':'m','status':'ACTIVE'}") != MC_OK);
  CHECK(failed(MC_CONTROL_INVALID_SIGNALS, "'Vehicle.Gear'"));
  CHECK_OK(call("UpdateModelManifest", "{'name':'m','nodesToRemove':['Vehicle.Gear']}"));
  CHECK_OK(call("GetModelManifest", "{'name':'m'}"));
  CHECK(answers("'status':'DRAFT'"));
  end();
}

static void test_lists_go_by_pages_and_filters(void)
{
  char name[40];
  CHECK(begin());
  CHECK_OK(make_car());
  CHECK_OK(make("other", SENSOR("A.B", "INT8")));
  for (int i = 0; i < 7; i++) {
    snprintf(name, sizeof name, "m%d", i);
    CHECK_OK(model(name, "'Vehicle.Speed'"));
  }
  CHECK_INT(pages("ListSignalCatalogs", "", "summaries", 1), 2);
  CHECK_INT(pages("ListModelManifests", "", "summaries", 3), 7);
  CHECK_INT(pages("ListModelManifests", "'signalCatalogArn':'" ARN("signal-catalog", "car") "'", "summaries", 7), 7);
  CHECK_INT(pages("ListModelManifests", "'signalCatalogArn':'" ARN("signal-catalog", "other") "'", "summaries", 3), 0);
  CHECK_OK(call("ListModelManifests", "{'maxResults':1}"));
  CHECK(answers("'status':'DRAFT'"));
  CHECK_OK(call("ListModelManifests", "{'maxResults':1,'listResponseScope':'METADATA_ONLY'}"));
  CHECK(answers("'creationTime':"));
  CHECK(!memmem(answer.data, answer.len, "status", 6));
  CHECK_OK(call_as(2, "ListModelManifests", "{}"));
  CHECK(answers("'summaries':[]"));
  end();
}

static void test_limits_are_told_as_such(void)
{
  static uint64_t limits[MC_CONTROL_LIMITS];
  for (size_t i = 0; i < MC_CONTROL_LIMITS; i++)
    limits[i] = mc_control_limit_at(i).aws;
  for (size_t i = 0; i < MC_CONTROL_LIMITS; i++)
    if (strcmp(mc_control_limit_at(i).key, "catalog_nodes") == 0)
      limits[i] = 3;
    else if (strcmp(mc_control_limit_at(i).key, "models") == 0)
      limits[i] = 1;
  rig_limits = limits;
  bool ok = begin();
  rig_limits = NULL;
  CHECK(ok);
  CHECK(make("car", BRANCH("A") "," BRANCH("B") "," BRANCH("C") "," BRANCH("D")) != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'car','resourceType':'signal-catalog'"));
  CHECK_WHY(why, "fleetwise_catalog_nodes");
  CHECK_OK(make("car", BRANCH("Vehicle") "," SENSOR("Vehicle.Speed", "INT8")));
  CHECK(make("second", BRANCH("A")) != MC_OK); /* AWS has one */
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'second'"));
  CHECK_OK(model("m", "'Vehicle'"));
  CHECK(model("n", "'Vehicle'") != MC_OK);
  CHECK(failed(MC_CONTROL_LIMIT, "'resourceId':'n','resourceType':'model-manifest'"));
  end();
}

/* ---- what was answered is on disk; two writers ---- */

static void grow_for_ever(int to)
{
  for (int i = 0;; i++) {
    char input[200];
    snprintf(input, sizeof input, "{'name':'car','nodesToAdd':[{'sensor':{'fullyQualifiedName':'S.N%d','dataType':'INT8'}}]}", i);
    if (call("UpdateSignalCatalog", input) || write(to, &i, sizeof i) != sizeof i)
      _exit(1);
  }
}

static void test_what_was_answered_is_there_after_a_kill(void)
{
  char path[] = "/tmp/mc-catalog-XXXXXX", expected[60];
  int pipe_of[2], last = -1, value;
  CHECK(mkstemp(path) >= 0 && pipe(pipe_of) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (!child) {
    if (!begin_at(path) || make("car", BRANCH("S")))
      _exit(1);
    grow_for_ever(pipe_of[1]);
  }
  close(pipe_of[1]);
  while (last < 20 && read(pipe_of[0], &value, sizeof value) == sizeof value)
    last = value;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  while (read(pipe_of[0], &value, sizeof value) == sizeof value)
    last = value;
  close(pipe_of[0]);
  CHECK(last >= 20);
  CHECK(begin_at(path));
  CHECK(pages("ListSignalCatalogNodes", "'name':'car','signalNodeType':'SENSOR'", "nodes", 1000) >= last + 1);
  snprintf(expected, sizeof expected, "'S.N%d'", last);
  CHECK(answers(expected));
  end();
  remove(path);
}

typedef struct writer {
  int from, taken, refused;
} writer;

static void *write_nodes(void *ctx)
{
  writer *w = ctx;
  for (int i = 0; i < 40; i++) {
    char input[200];
    mc_buf out = {0};
    mc_control_error error = {0};
    snprintf(input, sizeof input, "{\"name\":\"car\",\"nodesToAdd\":[{\"sensor\":{\"fullyQualifiedName\":\"S.N%d\",\"dataType\":\"INT8\"}}]}", w->from + i);
    mc_control_request r = {.tenant = 1, .operation = MC_LIT("UpdateSignalCatalog"), .input = mc_slice_str(input)};
    mc_err err = mc_control_call(c, &r, &out, &error, NULL);
    w->taken += !err;
    w->refused += error.fault == MC_CONTROL_INVALID_NODE;
    mc_control_error_free(&error);
    mc_buf_free(&out);
  }
  return NULL;
}

static void test_of_two_writers_of_one_node_one_is_refused(void)
{
  pthread_t other;
  writer a = {.from = 0}, b = {.from = 20};
  CHECK(begin());
  CHECK_OK(make("car", BRANCH("S")));
  CHECK(pthread_create(&other, NULL, write_nodes, &b) == 0);
  write_nodes(&a);
  pthread_join(other, NULL);
  CHECK_INT(a.taken + b.taken, 60);
  CHECK_INT(a.refused + b.refused, 20);
  CHECK_INT(pages("ListSignalCatalogNodes", "'name':'car','signalNodeType':'SENSOR'", "nodes", 7), 60);
  end();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_catalog_keeps_its_nodes_as_they_came);
  RUN(test_a_catalog_names_the_nodes_that_are_wrong);
  RUN(test_a_catalog_changes_whole_or_not_at_all);
  RUN(test_a_tree_of_vss_comes_in_with_structs);
  RUN(test_a_model_takes_branches_with_all_below);
  RUN(test_a_model_goes_from_draft_to_active_and_stays);
  RUN(test_a_draft_that_lost_a_node_is_invalid_until_it_lets_go);
  RUN(test_lists_go_by_pages_and_filters);
  RUN(test_limits_are_told_as_such);
  RUN(test_what_was_answered_is_there_after_a_kill);
  RUN(test_of_two_writers_of_one_node_one_is_refused);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
