/* motorcade fleetwise */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/motorcade/command.h"
#include "app/motorcade/fleetwise_account.h"
#include "app/motorcade/fleetwise_bundle.h"
#include "app/motorcade/remote.h"
#include "base/file.h"

enum { STDIN_MAX = 1 << 30 };

typedef struct import {
  remote r;
  fleetwise_bundle bundle;
  json_t *items; /* with --json: each resource */
} import;

/* The platform's rate limit is a wait, not a refusal. */
static mc_err call(void *ctx, const char *operation, const json_t *input, json_t **answer, mc_why *why)
{
  import *m = ctx;
  char path[200];
  mc_err err;
  snprintf(path, sizeof path, "/api/v1/fleetwise/%s", operation);
  do {
    err = http_call_json(&m->r.call, "POST", path, (json_t *)input, answer, why);
  } while (err == MC_ERR_INVALID && strstr(why->text, "HTTP 429") && usleep(500000) == 0);
  return err == MC_ERR_EXISTS ? MC_ERR_CONFLICT : err;
}

static void told(void *ctx, fleetwise_kind kind, const char *name, fleetwise_outcome outcome, const char *text)
{
  import *m = ctx;
  if (m->items)
    json_array_append_new(m->items, json_pack("{s:s, s:s, s:s, s:s}", "kind", fleetwise_kind_name[kind], "name", name, "outcome", fleetwise_outcome_name[outcome], "text", text));
  else if (outcome == FLEETWISE_REFUSED || outcome == FLEETWISE_DIFFERS) {
    printf("%s ", fleetwise_kind_name[kind]);
    remote_print_cell(name, 0);
    printf(": %s%s", fleetwise_outcome_name[outcome], *text ? ": " : "");
    remote_print_cell(text, 0);
    putchar('\n');
  }
}

static void print_texts(const char *what, const fleetwise_texts *list)
{
  for (size_t i = 0; i < list->len; i++) {
    printf("%s: ", what);
    remote_print_cell(list->at[i], 0);
    putchar('\n');
  }
}

static json_t *texts(const fleetwise_texts *list)
{
  json_t *out = json_array();
  for (size_t i = 0; i < list->len; i++)
    json_array_append_new(out, json_string(list->at[i]));
  return out;
}

static mc_err read_stdin(fleetwise_bundle *b, mc_why *why)
{
  mc_buf all = {0};
  mc_err err = MC_OK;
  uint8_t piece[65536];
  ssize_t n;
  while (!err && (n = read(0, piece, sizeof piece)) > 0)
    err = all.len + (size_t)n > STDIN_MAX ? mc_err_set(why, MC_ERR_TOO_LARGE, "standard input: more than %d bytes", STDIN_MAX) : mc_buf_append(&all, piece, (size_t)n);
  if (!err)
    err = fleetwise_bundle_read_text(b, "standard input", mc_buf_slice(&all), why);
  mc_buf_free(&all);
  return err;
}

static void print_found(const fleetwise_bundle *b)
{
  for (int k = 0; k < FLEETWISE_KINDS; k++)
    printf("%s%zu %s%s", k ? ", " : "", json_object_size(b->of[k]), fleetwise_kind_name[k], json_object_size(b->of[k]) == 1 ? "" : "s");
  putchar('\n');
}

static void print_done(const fleetwise_import *m)
{
  for (int k = 0; k < FLEETWISE_KINDS; k++) {
    const uint32_t *n = m->count[k];
    if (n[0] || n[1] || n[2] || n[3])
      printf("%-16s %u made, %u there already, %u different, %u refused\n", fleetwise_kind_name[k], n[FLEETWISE_MADE], n[FLEETWISE_THERE], n[FLEETWISE_DIFFERS], n[FLEETWISE_REFUSED]);
  }
}

static void print_json(import *m, const mc_why *stopped)
{
  json_t *all = json_pack("{s:o, s:o, s:O}", "problems", texts(&m->bundle.problem), "notes", texts(&m->bundle.note), "items", m->items);
  if (stopped->text[0])
    json_object_set_new(all, "stopped", json_string(stopped->text));
  char *text = json_dumps(all, JSON_INDENT(2));
  puts(text ? text : "null");
  free(text);
  json_decref(all);
}

static bool anything_refused(const fleetwise_import *run)
{
  for (int k = 0; k < FLEETWISE_KINDS; k++)
    if (run->count[k][FLEETWISE_REFUSED] || run->count[k][FLEETWISE_DIFFERS])
      return true;
  return false;
}

/* One line that is written over, for people who look at it. Names are the account's: nothing of them may steer the terminal. */
static void tell_progress(const char *operation, const char *name)
{
  char shown[61];
  size_t n = 0;
  for (; name[n] && n < sizeof shown - 1; n++)
    shown[n] = name[n] < ' ' || name[n] > '~' ? '?' : name[n];
  shown[n] = 0;
  fprintf(stderr, "\r\033[K%s %s", operation, shown);
}

static mc_err read_account(import *m, const char *region, const char *endpoint)
{
  fleetwise_account a;
  bool watched = isatty(2);
  MC_TRY(fleetwise_account_from_environment(region, endpoint, &a, &m->r.why));
  mc_err err = fleetwise_account_read(&a, &m->bundle, watched ? tell_progress : NULL, &m->r.why);
  if (watched)
    fprintf(stderr, "\r\033[K");
  return err;
}

/* The whole of it is right, or nothing is sent. */
static int run(import *m, bool check_only, bool approve)
{
  fleetwise_import work = {.call = call, .told = told, .ctx = m, .approve = approve};
  mc_why stopped = {0};
  bool right = fleetwise_bundle_check(&m->bundle);
  if (!m->items) {
    print_found(&m->bundle);
    print_texts("note", &m->bundle.note);
    print_texts("problem", &m->bundle.problem);
  }
  mc_err err = right && !check_only ? fleetwise_import_run(&work, &m->bundle, &stopped) : MC_OK;
  if (m->items)
    print_json(m, &stopped);
  else if (!right)
    puts("nothing was sent");
  else if (!check_only)
    print_done(&work);
  if (err)
    fprintf(stderr, "motorcade fleetwise: stopped: %s; run it again to go on\n", stopped.text);
  return err || !right || anything_refused(&work) ? 1 : 0;
}

int command_fleetwise(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade fleetwise import DIR|-|--account [--region R] [--endpoint URL] [--check] [--approve] [--json]\n"
      "Recreates what an AWS IoT FleetWise account holds: catalogs, models, decoder manifests, state templates, vehicles, fleets, campaigns.\n"
      "DIR has the answers of `aws iotfleetwise get-*` and `list-*`, one a file: get-campaign.<name>.json, list-model-manifest-nodes.<name>.json, ...;\n"
      "--account asks AWS itself, with the credentials of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; it only reads there.\n"
      "- reads {\"operation\": \"get-campaign\", \"name\": \"...\", \"answer\": {...}} one behind the other. The guide \"Move a FleetWise fleet\" has the script.\n"
      "Everything is checked before anything is made; --check ends there. What is there already stays, so that it can be run again.\n"
      "Campaigns wait for approval; with --approve those that ran go on, and those that were suspended are suspended here.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  import m = {0};
  bool check_only = option_flag(&argc, argv, "--check"), approve = option_flag(&argc, argv, "--approve"), from_stdin = option_flag(&argc, argv, "-"), account = option_flag(&argc, argv, "--account");
  const char *region = option_take(&argc, argv, "--region", NULL), *endpoint = option_take(&argc, argv, "--endpoint", NULL);
  if (!remote_begin(&m.r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *from = from_stdin ? "-" : account ? "" : option_word(&argc, argv);
  if (!what || strcmp(what, "import") != 0 || !from || (from_stdin && account) || ((region || endpoint) && !account))
    return remote_unclear(&m.r, what, usage);
  int code = check_only ? option_left(argc, argv, usage) ? 2 : 0 : remote_reach(&m.r, argc, argv, usage);
  if (code)
    return code;
  if (fleetwise_bundle_begin(&m.bundle))
    return command_fail(argv[0], "out of memory");
  m.items = m.r.json ? json_array() : NULL;
  mc_err err = account ? read_account(&m, region, endpoint) : !strcmp(from, "-") ? read_stdin(&m.bundle, &m.r.why) : fleetwise_bundle_read_dir(&m.bundle, from, &m.r.why);
  code = err ? remote_fail(&m.r) : run(&m, check_only, approve);
  fleetwise_bundle_free(&m.bundle);
  json_decref(m.items);
  return code;
}
