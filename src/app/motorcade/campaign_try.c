#include "app/motorcade/campaign_try.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/option.h"

campaign_trial campaign_trial_options(int *argc, char **argv)
{
  campaign_trial t = {.from = option_take(argc, argv, "--from", NULL),
                      .to = option_take(argc, argv, "--to", NULL),
                      .vehicles = option_take(argc, argv, "--vehicles", NULL),
                      .most = option_take(argc, argv, "--most", NULL),
                      .seconds = option_take(argc, argv, "--seconds", NULL),
                      .per_mb = option_take(argc, argv, "--per-mb", NULL),
                      .per_message = option_take(argc, argv, "--per-message", NULL)};
  t.any = t.from || t.to || t.vehicles || t.most || t.seconds || t.per_mb || t.per_message;
  return t;
}

/* False: it is no number, and that was said. */
static bool put_number(remote *r, json_t *body, const char *option, const char *key, const char *text, bool whole)
{
  char *end;
  if (!text)
    return true;
  errno = 0;
  double value = strtod(text, &end);
  if (errno || !*text || *end || (whole && value != (double)(long long)value)) {
    fprintf(stderr, "motorcade %s: %s \"%s\": a%s number was expected\n", r->name, option, text, whole ? " whole" : "");
    return false;
  }
  return json_object_set_new(body, key, whole ? json_integer((json_int_t)value) : json_real(value)) == 0;
}

static void put_names(json_t *body, const char *list)
{
  json_t *names = json_array();
  for (const char *at = list; at && *at;) {
    size_t n = strcspn(at, ",");
    if (n)
      json_array_append_new(names, json_stringn(at, n));
    at += n + (at[n] == ',');
  }
  if (json_array_size(names))
    json_object_set(body, "vehicles", names);
  json_decref(names);
}

static void print_money(json_t *o, const char *key)
{
  printf(", %.2f %s", json_number_value(json_object_get(o, key)), json_string_value(json_object_get(o, "currency")));
}

/* Those numbers that say something. */
static void print_totals(const campaign_trial *t, json_t *o)
{
  printf("%s triggers, %s messages, %s rows, %s bytes", remote_text(o, "triggers"), remote_text(o, "messages"), remote_text(o, "rows"), remote_text(o, "bytes"));
  bool priced = t->per_mb || t->per_message || json_number_value(json_object_get(o, "money")) > 0;
  if (priced)
    print_money(o, "money");
  printf(" in %s vehicle days\n", remote_text(o, "days"));
  printf("for all %s vehicles that it names: %s messages", remote_text(o, "targeted"), remote_text(o, "messages_a_day"));
  printf(", %s rows, %s bytes", remote_text(o, "rows_a_day"), remote_text(o, "bytes_a_day"));
  if (priced)
    print_money(o, "money_a_day");
  puts(" a day");
  if (json_is_false(json_object_get(o, "complete")))
    puts("the time was up before everything was looked at: ask for a shorter span, fewer vehicles, or --seconds up to 30");
}

int campaign_try(remote *r, json_int_t campaign, const campaign_trial *t)
{
  static const char *const vehicle[] = {"name", "state", "triggers", "messages", "rows", "bytes", "signals", "with_data", "covered", "text"};
  static const char *const trigger[] = {"time", "vehicle", "messages", "rows", "bytes"};
  char path[100];
  json_t *body = json_object();
  remote_set_text(body, "from", t->from);
  remote_set_text(body, "to", t->to);
  put_names(body, t->vehicles);
  if (!put_number(r, body, "--most", "most", t->most, true) || !put_number(r, body, "--seconds", "seconds", t->seconds, true) ||
      !put_number(r, body, "--per-mb", "per_mb", t->per_mb, false) || !put_number(r, body, "--per-message", "per_message", t->per_message, false)) {
    json_decref(body);
    return 1;
  }
  snprintf(path, sizeof path, "/api/v1/campaigns/%" JSON_INTEGER_FORMAT "/dry-run", campaign);
  json_t *reply = remote_ask(r, "POST", path, body);
  if (!reply || r->json)
    return reply ? remote_show(r, reply) : 1;
  remote_print(r, json_object_get(reply, "trigger_list"), trigger, 5);
  putchar('\n');
  remote_print(r, json_object_get(reply, "vehicles"), vehicle, 10);
  putchar('\n');
  print_totals(t, reply);
  json_decref(reply);
  return 0;
}
