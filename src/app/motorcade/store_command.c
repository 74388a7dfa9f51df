/* motorcade store: check history segments. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/motorcade/command.h"
#include "store/store.h"

int command_store(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade store verify|stats [--data DIR] [--json]\nReads every block of every segment that the "
                              "manifest names. Safe beside a running server.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  bool json = option_flag(&argc, argv, "--json");
  settings s;
  if (!command_settings(&argc, argv, &s))
    return 1;
  const char *word = option_word(&argc, argv), *what = word ? word : "";
  if (strcmp(what, "verify") != 0 && strcmp(what, "stats") != 0)
    return fprintf(stderr, "motorcade store: expected verify or stats, found \"%s\"\n%s", what, usage), 2;
  if (option_left(argc, argv, usage))
    return 2;
  char dir[600];
  snprintf(dir, sizeof dir, "%s/store", s.data);
  struct stat st;
  if (stat(dir, &st)) {
    fprintf(stderr, "motorcade store: there is no history in %s: name the data folder with --data; the first start makes its store\n",
            s.data);
    return 1;
  }
  mc_store_stats stats;
  mc_why why = {0};
  if (mc_store_verify(mc_fs_posix(), dir, &stats, &why))
    return command_fail("store", why.text);
  double each = stats.rows_segments ? (double)stats.segment_bytes / (double)stats.rows_segments : 0;
  if (json)
    printf("{\"segments\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"bytes_per_row\":%.3f}\n", stats.segments,
           stats.rows_segments, stats.segment_bytes, each);
  else
    printf("segments  %" PRIu64 "\nrows      %" PRIu64 "\nbytes     %" PRIu64
           " (%.2f a row)\nevery block has the checksum it was written with\n",
           stats.segments, stats.rows_segments, stats.segment_bytes, each);
  return 0;
}
