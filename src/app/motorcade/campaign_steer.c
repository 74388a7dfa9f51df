#include "app/motorcade/campaign_steer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/option.h"

static const struct {
  const char *option, *whose, *what;
} caps[CAMPAIGN_CAPS] = {{"--vehicle-messages", "vehicle", "messages"}, {"--vehicle-bytes", "vehicle", "bytes"}, {"--vehicle-samples", "vehicle", "samples"},
                         {"--messages", "all", "messages"},             {"--bytes", "all", "bytes"},             {"--samples", "all", "samples"}};

campaign_steering campaign_steering_options(int *argc, char **argv)
{
  campaign_steering s = {.rest = option_flag(argc, argv, "--rest"), .first = option_flag(argc, argv, "--first")};
  for (int i = 0; i < CAMPAIGN_CAPS; i++)
    s.cap[i] = option_take(argc, argv, caps[i].option, NULL);
  return s;
}

bool campaign_steering_fits(const campaign_steering *s, const char *what)
{
  bool capped = false;
  for (int i = 0; i < CAMPAIGN_CAPS; i++)
    capped |= s->cap[i] != NULL;
  if (s->rest && s->first)
    return false;
  return (!capped || (what && !strcmp(what, "caps"))) && (!(s->rest || s->first) || (what && !strcmp(what, "rollout")));
}

static void path_of(json_int_t campaign, const char *rest, char out[120]) { snprintf(out, 120, "/api/v1/campaigns/%" JSON_INTEGER_FORMAT "/%s", campaign, rest); }

int campaign_rollout(remote *r, json_int_t campaign, const campaign_steering *s)
{
  char path[120];
  path_of(campaign, "rollout", path);
  json_t *reply = s->rest || s->first ? remote_ask(r, "POST", path, json_pack("{s:s}", "phase", s->rest ? "rest" : "first")) : remote_ask(r, "GET", path, NULL);
  if (!reply || r->json)
    return reply ? remote_show(r, reply) : 1;
  if (!json_is_true(json_object_get(reply, "staged"))) {
    puts("it goes to all its vehicles at once");
  } else {
    printf("%s: %s reached, %s sent, %s confirmed, %s refused, %s with errors, %s silent\n",
           !strcmp(remote_text(reply, "phase"), "rest") ? "all vehicles" : "first vehicles", remote_text(reply, "reached"), remote_text(reply, "sent"), remote_text(reply, "confirmed"),
           remote_text(reply, "refused"), remote_text(reply, "errors"), remote_text(reply, "silent"));
    remote_print_cell(json_string_value(json_object_get(reply, "text")), 0);
    puts(json_is_true(json_object_get(reply, "ready")) ? "; --rest lets it go on" : "");
  }
  json_decref(reply);
  return 0;
}

int campaign_caps(remote *r, json_int_t campaign, const campaign_steering *s)
{
  char path[120], *end;
  json_t *body = json_object();
  for (int i = 0; i < CAMPAIGN_CAPS; i++) {
    if (!s->cap[i])
      continue;
    errno = 0;
    long long value = strtoll(s->cap[i], &end, 10);
    if (errno || !*s->cap[i] || *end || value < 1) {
      fprintf(stderr, "motorcade %s: %s \"%s\": a whole number from 1 on was expected\n", r->name, caps[i].option, s->cap[i]);
      json_decref(body);
      return 1;
    }
    json_t *of = json_object_get(body, caps[i].whose);
    if (!of && json_object_set_new(body, caps[i].whose, of = json_object()))
      of = NULL;
    json_object_set_new(of, caps[i].what, json_integer(value));
  }
  path_of(campaign, "caps", path);
  return remote_show(r, remote_ask(r, "PUT", path, body));
}
