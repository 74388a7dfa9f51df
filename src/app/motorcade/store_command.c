/* motorcade store: check history segments. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "store/store.h"

int command_store(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade store verify|stats [--data DIR] [--json]\nReads every block of every segment that the "
                              "manifest names. Safe beside a running server.\n";
  if (argc < 2 || option_flag(&argc, argv, "--help"))
    return fputs(usage, stdout), argc < 2 ? 2 : 0;
  bool json = option_flag(&argc, argv, "--json");
  settings s;
  if (!command_settings(&argc, argv, &s))
    return 1;
  if (argc != 2 || (strcmp(argv[1], "verify") != 0 && strcmp(argv[1], "stats") != 0))
    return fputs(usage, stderr), 2;
  char dir[600];
  snprintf(dir, sizeof dir, "%s/store", s.data);
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
