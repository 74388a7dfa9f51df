/* Policies of devices: AWS IoT policy documents from files, attachments, explanations. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/remote.h"

static const char usage[] =
    "usage: motorcade policy list [POLICY] [--json]\n"
    "       motorcade policy create POLICY DOCUMENT.json\n"
    "       motorcade policy create-vehicle POLICY [--group GROUP]\n"
    "       motorcade policy version POLICY DOCUMENT.json [--default]\n"
    "       motorcade policy default POLICY VERSION\n"
    "       motorcade policy delete POLICY [VERSION]\n"
    "       motorcade policy attach|detach POLICY --group GROUP | --certificate FINGERPRINT\n"
    "       motorcade policy explain --thing THING | --certificate FINGERPRINT --action ACTION --resource RESOURCE\n"
    "                [--client-id ID] [--source-ip ADDRESS] [--domain-name NAME] [--persistent] [--will] [--json]\n"
    "Documents are AWS IoT policies. A device with any attached, to its certificate or a group it is in, is decided by them\n"
    "alone; else by the built-in policy. Changes hold at once, for live connections too. create-vehicle makes the policy that\n"
    "FleetWise's agent needs and no more. list POLICY shows its versions and attachments. explain says which statement decides:\n"
    "motorcade policy explain --thing truck-7 --action iot:Publish --resource topic/dt/truck-7/speed\n";

typedef struct asked {
  const char *group, *certificate, *thing, *action, *resource, *client_id, *source_ip, *domain_name;
  bool make_default, persistent, will;
} asked;

static void path_of(char *out, size_t size, const char *policy, const char *rest)
{
  char safe[500];
  snprintf(out, size, "/api/v1/policies/%s%s", remote_escaped(policy, safe, sizeof safe), rest);
}

static int show_policy(remote *r, const char *policy)
{
  char path[700];
  path_of(path, sizeof path, policy, "");
  json_t *detail = remote_ask(r, "GET", path, NULL);
  static const char *const version[] = {"version", "default", "created"}, *const target[] = {"group", "certificate", "name"};
  if (!detail)
    return 1;
  if (r->json)
    return remote_show(r, detail);
  remote_print(r, json_object_get(detail, "documents"), version, 3);
  if (json_array_size(json_object_get(detail, "targets")))
    remote_print(r, json_object_get(detail, "targets"), target, 3);
  size_t i;
  json_t *item;
  json_array_foreach (json_object_get(detail, "documents"), i, item)
    if (json_is_true(json_object_get(item, "default")))
      printf("%s\n", remote_text(item, "document"));
  json_decref(detail);
  return 0;
}

/* The policy of an answer, without its documents. */
static int show_made(remote *r, json_t *detail)
{
  json_t *policy = detail ? json_incref(json_object_get(detail, "policy")) : NULL;
  json_decref(detail);
  return policy ? remote_show(r, policy) : 1;
}

static int with_document(remote *r, const char *policy, const char *file, bool version, bool make_default)
{
  char path[700] = "/api/v1/policies";
  json_t *text = NULL, *body = json_object();
  if (!remote_read_text(r, file, &text)) {
    json_decref(body);
    return 1;
  }
  json_object_set_new(body, "document", text);
  if (version) {
    path_of(path, sizeof path, policy, "/versions");
    json_object_set_new(body, "default", json_boolean(make_default));
  } else {
    remote_set_text(body, "name", policy);
  }
  return show_made(r, remote_ask(r, "POST", path, body));
}

static int attach(remote *r, const char *policy, const asked *a, bool in)
{
  char path[800], rest[120];
  json_int_t group = a->group ? remote_id(r, "/api/v1/groups", "group", a->group) : 0;
  if (a->group && !group)
    return 1;
  if (in) {
    json_t *body = json_object();
    remote_set_text(body, "certificate", a->certificate);
    if (group)
      json_object_set_new(body, "group", json_integer(group));
    path_of(path, sizeof path, policy, "/attachments");
    return show_made(r, remote_ask(r, "POST", path, body));
  }
  group ? (void)snprintf(rest, sizeof rest, "/attachments/%" JSON_INTEGER_FORMAT, group) : (void)snprintf(rest, sizeof rest, "/attachments/%.80s", a->certificate);
  path_of(path, sizeof path, policy, rest);
  json_t *gone = remote_ask(r, "DELETE", path, NULL);
  json_decref(gone);
  return gone ? 0 : 1;
}

static int make_vehicle(remote *r, const char *policy, const asked *a)
{
  json_int_t group = a->group ? remote_id(r, "/api/v1/groups", "group", a->group) : 0;
  if (a->group && !group)
    return 1;
  json_t *made = remote_ask(r, "POST", "/api/v1/policies", json_pack("{s:s,s:s}", "name", policy, "template", "fleetwise-vehicle"));
  if (!made || !a->group)
    return show_made(r, made);
  json_decref(made);
  return attach(r, policy, a, true);
}

static int take_away(remote *r, const char *policy, const char *version)
{
  char path[800], rest[80] = "";
  if (version)
    snprintf(rest, sizeof rest, "/versions/%.40s", version);
  path_of(path, sizeof path, policy, rest);
  json_t *gone = remote_ask(r, "DELETE", path, NULL);
  json_decref(gone);
  return gone ? 0 : 1;
}

static int use_version(remote *r, const char *policy, const char *version)
{
  char path[700];
  uint64_t number;
  if (mc_slice_to_u64(mc_slice_str(version), &number) || number > UINT32_MAX) {
    mc_err_set(&r->why, MC_ERR_INVALID, "\"%.40s\" is no version: a number", version);
    return remote_fail(r);
  }
  path_of(path, sizeof path, policy, "/default");
  return show_made(r, remote_ask(r, "PUT", path, json_pack("{s:I}", "version", (json_int_t)number)));
}

static void print_finding(json_t *f, const char *head)
{
  bool sid = json_object_get(f, "sid") != NULL;
  printf("%s%s version %s, Statement[%s]%s%s%s: %s %s", head, remote_text(f, "policy"), remote_text(f, "version"), remote_text(f, "statement"), sid ? " (" : "", sid ? remote_text(f, "sid") : "",
         sid ? ")" : "", remote_text(f, "effect"), remote_text(f, "resource"));
  if (json_object_get(f, "condition"))
    printf("; does not hold: %s", remote_text(f, "condition"));
  if (!strcmp(remote_text(f, "reason"), "attributes"))
    printf("; does not name the kept session or the will (iot:ConnectAttributes)");
  printf("\n");
}

static int explain(remote *r, const asked *a)
{
  json_t *body = json_object(), *item;
  remote_set_text(body, "thing", a->thing);
  remote_set_text(body, "certificate", a->certificate);
  remote_set_text(body, "action", a->action);
  remote_set_text(body, "resource", a->resource);
  remote_set_text(body, "clientId", a->client_id);
  remote_set_text(body, "sourceIp", a->source_ip);
  remote_set_text(body, "domainName", a->domain_name);
  json_object_set_new(body, "persistent", json_boolean(a->persistent));
  json_object_set_new(body, "will", json_boolean(a->will));
  json_t *answer = remote_ask(r, "POST", "/api/v1/policy-decisions", body);
  if (!answer)
    return 1;
  if (r->json)
    return remote_show(r, answer);
  const char *by = remote_text(answer, "by");
  bool documents = !strcmp(by, "documents");
  printf("%s: %s\n", remote_text(answer, "thing"), remote_text(answer, "decision"));
  if (json_object_get(answer, "decided"))
    print_finding(json_object_get(answer, "decided"), "decided by ");
  else
    printf("%s\n", documents ? "no statement of the attached policies decides" : !strcmp(by, "service") ? "decided by the service's own policy; no document is attached"
                                                                                                        : "decided by the built-in policy of vehicles; no document is attached");
  size_t i;
  json_array_foreach (json_object_get(answer, "findings"), i, item)
    if (!json_equal(item, json_object_get(answer, "decided")))
      print_finding(item, "also names it: ");
  json_array_foreach (json_object_get(answer, "withoutValue"), i, item)
    printf("without a value: ${%s}\n", json_string_value(item));
  json_decref(answer);
  return 0;
}

int command_policy(int argc, char **argv)
{
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  asked a = {.group = option_take(&argc, argv, "--group", NULL),
             .certificate = option_take(&argc, argv, "--certificate", NULL),
             .thing = option_take(&argc, argv, "--thing", NULL),
             .action = option_take(&argc, argv, "--action", NULL),
             .resource = option_take(&argc, argv, "--resource", NULL),
             .client_id = option_take(&argc, argv, "--client-id", NULL),
             .source_ip = option_take(&argc, argv, "--source-ip", NULL),
             .domain_name = option_take(&argc, argv, "--domain-name", NULL),
             .make_default = option_flag(&argc, argv, "--default"),
             .persistent = option_flag(&argc, argv, "--persistent"),
             .will = option_flag(&argc, argv, "--will")};
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *policy = option_word(&argc, argv), *more = option_word(&argc, argv);
  bool questions = a.thing || a.action || a.resource || a.client_id || a.source_ip || a.domain_name || a.persistent || a.will;
  bool plain = !questions && !a.group && !a.certificate && !a.make_default;
#define IS(word) (what && !strcmp(what, word))
  bool lists = IS("list") && !more && plain, creates = IS("create") && more && plain, vehicle = IS("create-vehicle") && policy && !more && !questions && !a.certificate && !a.make_default;
  bool version = IS("version") && more && !questions && !a.group && !a.certificate, uses = IS("default") && more && plain, deletes = IS("delete") && policy && plain;
  bool attaches = (IS("attach") || IS("detach")) && policy && !more && !questions && !a.make_default && !a.group != !a.certificate;
  bool explains = IS("explain") && !policy && a.action && a.resource && !a.thing != !a.certificate && !a.group && !a.make_default;
  if (!lists && !creates && !vehicle && !version && !uses && !deletes && !attaches && !explains)
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  static const char *const field[] = {"name", "version", "versions", "attachments", "updated"};
  if (lists)
    return policy ? show_policy(&r, policy) : remote_list_once(&r, "/api/v1/policies", field, 5);
  return creates || version ? with_document(&r, policy, more, version, a.make_default)
         : vehicle          ? make_vehicle(&r, policy, &a)
         : uses             ? use_version(&r, policy, more)
         : deletes          ? take_away(&r, policy, more)
         : attaches         ? attach(&r, policy, &a, IS("attach"))
                            : explain(&r, &a);
#undef IS
}
