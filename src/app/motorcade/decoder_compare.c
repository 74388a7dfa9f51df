#include <stdio.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/resource_command.h"

static void print_difference(json_t *d)
{
  json_t *field;
  size_t i;
  const char *kind = remote_text(d, "kind");
  bool changed = !strcmp(kind, "changed");
  printf("%c ", changed ? '~' : !strcmp(kind, "added") ? '+' : '-');
  remote_print_cell(remote_text(d, "fqn"), 0);
  printf("  (");
  remote_print_cell(remote_text(d, "place"), 0);
  puts(")");
  if (!changed)
    return;
  json_array_foreach (json_object_get(d, "fields"), i, field) {
    printf("    %s: ", remote_text(field, "name"));
    remote_print_cell(remote_text(field, "before"), 0);
    printf(" -> ");
    remote_print_cell(remote_text(field, "after"), 0);
    putchar('\n');
  }
}

int manifest_compare(int argc, char **argv, const char *usage, const char *kind)
{
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  char path[1600], first[600], second[600];
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *before = option_word(&argc, argv), *after = option_word(&argc, argv);
  if (!after)
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  snprintf(path, sizeof path, "/api/v1/%s/%s/compare?with=%s", kind, remote_escaped(before, first, sizeof first), remote_escaped(after, second, sizeof second));
  json_t *reply = remote_ask(&r, "GET", path, NULL), *item;
  size_t i;
  if (!reply || r.json)
    return reply ? remote_show(&r, reply) : 1;
  json_array_foreach (json_object_get(reply, "items"), i, item)
    print_difference(item);
  printf("%s the same, %s changed, ", remote_text(reply, "same"), remote_text(reply, "changed"));
  printf("%s added, %s removed\n", remote_text(reply, "added"), remote_text(reply, "removed"));
  json_decref(reply);
  return 0;
}
