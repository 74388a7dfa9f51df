#include "app/motorcade/remote.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/motorcade/command.h"

/* motorcade client, motorcade trace: the gateway seen from outside */

int command_client(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade client list [--json]\n"
                              "       motorcade client show CLIENT_ID\n"
                              "       motorcade client events [CLIENT_ID] [--json]\n"
                              "Clients that are connected or have a session; events are connects, ends and refusals with their reasons, newest first.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *id = option_word(&argc, argv);
  bool lists = what && !strcmp(what, "list"), shows = what && !strcmp(what, "show"), events = what && !strcmp(what, "events");
  if (!(lists && !id) && !(shows && id) && !events)
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  char path[1000], safe[800];
  if (lists) {
    static const char *const field[] = {"client_id", "connected", "version", "address", "subscriptions", "queued", "inflight", "received", "delivered", "refused", "last_error"};
    return remote_list(&r, "/api/v1/clients", field, 11);
  }
  static const char *const field[] = {"time", "client_id", "kind", "code", "address", "text"};
  if (events && !id)
    return remote_list_once(&r, "/api/v1/clients/events?limit=500", field, 6);
  snprintf(path, sizeof path, "/api/v1/clients/detail?client_id=%s", remote_escaped(id, safe, sizeof safe));
  json_t *detail = remote_ask(&r, "GET", path, NULL);
  if (shows || !detail)
    return remote_show(&r, detail);
  remote_print(&r, json_object_get(detail, "events"), field, 6);
  json_decref(detail);
  return 0;
}

static volatile sig_atomic_t interrupted;
static void on_interrupt(int signal_number) { interrupted = 1; }

static void print_entry(json_t *e)
{
  const char *text = json_string_value(json_object_get(e, "text")), *hex = json_string_value(json_object_get(e, "hex")), *note = json_string_value(json_object_get(e, "note"));
  printf("%s  ", remote_text(e, "time"));
  remote_print_cell(remote_text(e, "kind"), 7);
  printf("  QoS %s%s  ", remote_text(e, "qos"), json_is_true(json_object_get(e, "retain")) ? " retained" : "");
  remote_print_cell(remote_text(e, "client_id"), 20);
  fputs("  ", stdout);
  remote_print_cell(remote_text(e, "topic"), 0);
  printf("  %s B  ", remote_text(e, "size"));
  remote_print_cell(text ? text : hex ? hex : "", 0);
  if (note) {
    fputs("  ", stdout);
    remote_print_cell(note, 0);
  }
  putchar('\n');
}

/* Until its end, or Ctrl-C. */
static int follow(remote *r, json_int_t id, bool json)
{
  json_int_t after = 0;
  int code = 0;
  char path[120];
  while (!interrupted) {
    snprintf(path, sizeof path, "/api/v1/traces/%" JSON_INTEGER_FORMAT "?after=%" JSON_INTEGER_FORMAT, id, after);
    json_t *page = NULL, *entry;
    size_t i;
    mc_err err = http_call_json(&r->call, "GET", path, NULL, &page, &r->why);
    if (err == MC_ERR_NOT_FOUND) /* its time is over */
      return 0;
    if (err)
      return interrupted ? 0 : remote_fail(r);
    if (json_integer_value(json_object_get(page, "missed")))
      fprintf(stderr, "(%s more passed than could be shown; --sample N shows one of N)\n", remote_text(page, "missed"));
    json_array_foreach (json_object_get(page, "items"), i, entry) {
      after = json_integer_value(json_object_get(entry, "sequence"));
      if (json) {
        char *line = json_dumps(entry, JSON_COMPACT);
        puts(line ? line : "null");
        free(line);
      } else {
        print_entry(entry);
      }
    }
    size_t got = json_array_size(json_object_get(page, "items"));
    json_decref(page);
    fflush(stdout);
    if (got < 100)
      nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  }
  snprintf(path, sizeof path, "/api/v1/traces/%" JSON_INTEGER_FORMAT, id);
  json_decref(remote_ask(r, "DELETE", path, NULL));
  return code;
}

int command_trace(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade trace FILTER [--client CLIENT_ID] [--sample N] [--seconds S] [--json]\n"
                              "Shows messages live: who published what, who got it, what was refused and why. FILTER is a topic filter ('dt/#'), --sample shows one of N\n"
                              "(refused ones always), --seconds is at most 3600 (300 when not given). Ctrl-C ends it.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *client = option_take(&argc, argv, "--client", NULL), *sample = option_take(&argc, argv, "--sample", "1"), *seconds = option_take(&argc, argv, "--seconds", "300");
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *filter = option_word(&argc, argv);
  uint64_t one_of, last;
  if (!filter || mc_slice_to_u64(mc_slice_str(sample), &one_of) || mc_slice_to_u64(mc_slice_str(seconds), &last))
    return remote_unclear(&r, filter ? "trace" : NULL, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  json_t *body = json_pack("{s:s, s:I, s:I}", "filter", filter, "sample", (json_int_t)one_of, "seconds", (json_int_t)last);
  remote_set_text(body, "client_id", client);
  json_t *started = remote_ask(&r, "POST", "/api/v1/traces", body);
  if (!started)
    return 1;
  json_int_t id = json_integer_value(json_object_get(started, "id"));
  json_decref(started);
  sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
  return follow(&r, id, r.json);
}
