#include "app/motorcade/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/campaign_steer.h"
#include "app/motorcade/campaign_try.h"
#include "app/motorcade/command.h"

/* motorcade campaign */

static json_int_t campaign_id(remote *r, const char *name)
{
  json_t *page = remote_ask(r, "GET", "/api/v1/campaigns", NULL), *item;
  json_int_t id = 0;
  size_t i;
  json_array_foreach (json_object_get(page, "items"), i, item) {
    if (!strcmp(remote_text(item, "name"), name) || !strcmp(remote_text(item, "id"), name))
      id = json_integer_value(json_object_get(item, "id"));
  }
  if (page && !id)
    fprintf(stderr, "motorcade %s: there is no campaign \"%s\"; `motorcade campaign list` shows all\n", r->name, name);
  json_decref(page);
  return id;
}

/* The campaigns of one vehicle; before them, in words, what is known of its agent. */
static int show_vehicle(remote *r, const char *name)
{
  static const char *const field[] = {"name", "status", "reason", "text"};
  static const char *const trouble[] = {"kind", "count", "last", "text"};
  char path[200];
  json_int_t id = remote_vehicle(r, name);
  if (!id)
    return 1;
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/campaigns", id);
  json_t *reply = remote_ask(r, "GET", path, NULL), *agent = json_object_get(reply, "agent");
  if (!reply || r->json)
    return reply ? remote_show(r, reply) : 1;
  if (agent)
    printf("agent %s, last check-in %s, clock %s ms off, manifest %s, wanted %s\n", remote_text(agent, "kind"), remote_text(agent, "checkin"), remote_text(agent, "clock_skew_ms"),
           remote_text(agent, "manifest"), remote_text(agent, "wanted_manifest"));
  else
    puts("it never checked in");
  remote_print(r, json_object_get(reply, "items"), field, 4);
  if (json_array_size(json_object_get(reply, "troubles")))
    remote_print(r, json_object_get(reply, "troubles"), trouble, 4);
  json_decref(reply);
  return 0;
}

static int show_cost(remote *r, json_t *reply)
{
  static const char *const day[] = {"day", "messages", "bytes", "samples", "money"}, *const vehicle[] = {"vehicle", "name", "messages", "bytes", "samples", "money"};
  if (!reply || r->json)
    return reply ? remote_show(r, reply) : 1;
  remote_print(r, json_object_get(reply, "days"), day, 5);
  putchar('\n');
  remote_print(r, json_object_get(reply, "vehicles"), vehicle, 6);
  printf("\n%s messages, %s bytes, %s samples, %.2f %s\n", remote_text(reply, "messages"), remote_text(reply, "bytes"), remote_text(reply, "samples"),
         json_number_value(json_object_get(reply, "money")), json_string_value(json_object_get(reply, "currency")));
  json_decref(reply);
  return 0;
}

int command_campaign(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade campaign list [--json]\n"
      "       motorcade campaign create --file FILE.json\n"
      "       motorcade campaign show|approve|suspend|resume|end|delete NAME\n"
      "       motorcade campaign vehicles NAME [--status STATUS] [--json]\n"
      "       motorcade campaign of VEHICLE [--json]\n"
      "       motorcade campaign cost NAME [--days N] [--json]\n"
      "       motorcade campaign rollout NAME [--rest|--first] [--json]\n"
      "       motorcade campaign caps NAME [--vehicle-bytes|--vehicle-messages|--vehicle-samples|--bytes|--messages|--samples N]... [--json]\n"
      "       motorcade campaign try NAME --from TIME --to TIME [--vehicles A,B,...|--most N] [--per-mb PRICE] [--per-message PRICE] [--seconds N] [--json]\n"
      "FILE holds {name, target_kind, target, kind: time|condition, period_ms | expression, signals: [{fqn}], start_now, ...};\n"
      "the whole form is the schema CampaignCreate in /api/v1/openapi.json. approve and resume (both also: run) send it to the vehicles.\n"
      "vehicles shows where the campaign stands on each vehicle, of shows the campaigns of one vehicle, both with the reason when it does not\n"
      "get on. STATUS: CREATED, READY, READY_FOR_CHECKIN, HEALTHY, SUSPENDED, DELETING. cost tells what it sent, by day and vehicle. try tells what it\n"
      "would have sent of what is stored: when it would have triggered, messages, rows, bytes, money (prices: settings price_gb, price_million_messages).\n"
      "rollout shows how it does on its first vehicles, and lets it go on to the rest. caps sets what it may send a day (UTC), of one vehicle and of all\n"
      "together; what comes near one is collected slower until midnight; without options it takes the caps away.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *file = option_take(&argc, argv, "--file", NULL), *only = option_take(&argc, argv, "--status", NULL), *days = option_take(&argc, argv, "--days", NULL);
  campaign_trial trial = campaign_trial_options(&argc, argv);
  campaign_steering steering = campaign_steering_options(&argc, argv);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  if (!campaign_steering_fits(&steering, what) || (trial.any && (!what || strcmp(what, "try") != 0)) || (days && (!what || strcmp(what, "cost") != 0)))
    return remote_unclear(&r, what, usage);
  bool whole = what && (!strcmp(what, "list") ? !name : !strcmp(what, "create") ? file && !name : name != NULL);
  if (!whole)
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (!strcmp(what, "list")) {
    static const char *const field[] = {"id", "name", "status", "kind", "vehicles", "healthy", "pending", "refused"};
    return remote_list_once(&r, "/api/v1/campaigns", field, 8);
  }
  if (!strcmp(what, "create") && file) {
    json_error_t error;
    json_t *body = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
    if (!body) {
      if (error.line > 0)
        fprintf(stderr, "motorcade campaign: %s:%d:%d: %s\n", file, error.line, error.column, error.text);
      else
        fprintf(stderr, "motorcade campaign: %s\n", error.text);
      return 1;
    }
    return remote_show(&r, remote_ask(&r, "POST", "/api/v1/campaigns", body));
  }
  if (!name)
    return remote_unclear(&r, what, usage);
  if (!strcmp(what, "of"))
    return show_vehicle(&r, name);
  json_int_t id = campaign_id(&r, name);
  if (!id)
    return 1;
  char path[256], safe[100];
  if (!strcmp(what, "try"))
    return campaign_try(&r, id, &trial);
  if (!strcmp(what, "rollout"))
    return campaign_rollout(&r, id, &steering);
  if (!strcmp(what, "caps"))
    return campaign_caps(&r, id, &steering);
  if (!strcmp(what, "cost")) {
    snprintf(path, sizeof path, "/api/v1/campaigns/%" JSON_INTEGER_FORMAT "/cost?days=%s", id, remote_escaped(days ? days : "7", safe, sizeof safe));
    return show_cost(&r, remote_ask(&r, "GET", path, NULL));
  }
  if (!strcmp(what, "vehicles")) {
    static const char *const field[] = {"name", "status", "reason", "text"};
    snprintf(path, sizeof path, "/api/v1/campaigns/%" JSON_INTEGER_FORMAT "/vehicles?limit=1000%s%s", id, only ? "&status=" : "",
             only ? remote_escaped(only, safe, sizeof safe) : "");
    return remote_list_once(&r, path, field, 4);
  }
  snprintf(path, sizeof path, "/api/v1/campaigns/%" JSON_INTEGER_FORMAT, id);
  if (!strcmp(what, "show"))
    return remote_show(&r, remote_ask(&r, "GET", path, NULL));
  if (!strcmp(what, "delete"))
    return remote_ask(&r, "DELETE", path, NULL) ? 0 : 1;
  bool run = !strcmp(what, "run") || !strcmp(what, "approve") || !strcmp(what, "resume");
  const char *status = run ? "running" : !strcmp(what, "suspend") ? "suspended" : !strcmp(what, "end") ? "ended" : NULL;
  if (!status)
    return remote_unclear(&r, what, usage);
  strcat(path, "/status");
  return remote_show(&r, remote_ask(&r, "POST", path, json_pack("{s:s}", "status", status)));
}
