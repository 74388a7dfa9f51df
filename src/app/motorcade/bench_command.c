/* motorcade bench: what this machine gives, beside the peers found on it, one JSON line a case. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/motorcade/command.h"
#include "base/file.h"
#include "base/log.h"
#include "bench/bench.h"

static const struct {
  const char *name;
  int (*run)(const bench_options *o);
} benches[] = {{"mqtt", bench_mqtt}, {"ingest", bench_ingest}, {"edge", bench_edge}, {"store", bench_store}, {"fleetwise", bench_fleetwise}, {"device", bench_device}};

int command_bench(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade bench mqtt|ingest|edge|store|fleetwise|device [--json] [--quick] [--case NAME] [--dir DIR]\n"
      "Starts servers of its own on free ports, measures, and prints one line a case. --json: one JSON object a line.\n"
      "--quick: shorter rounds, at most a minute a bench. --dir: scratch folder on the disk to measure, removed afterwards\n"
      "(default ./bench-data-<pid>). mosquitto and FlashMQ are measured in the same run when this machine has them.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  bench_options o = {.json = option_flag(&argc, argv, "--json"),
                     .quick = option_flag(&argc, argv, "--quick"),
                     .only = option_take(&argc, argv, "--case", NULL)};
  const char *dir = option_take(&argc, argv, "--dir", NULL);
  int (*run)(const bench_options *) = NULL;
  for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++)
    if (argc > 1 && !strcmp(argv[1], benches[i].name))
      run = benches[i].run;
  if (!run || argc != 2) {
    fprintf(stderr, "motorcade bench: do not know what to do with \"%s\"\n%s", argc > 2 ? argv[2] : argc > 1 ? argv[1] : "", usage);
    return 2;
  }
  ssize_t n = readlink("/proc/self/exe", o.self, sizeof o.self - 1);
  if (n <= 0)
    return command_fail("bench", "cannot find out where this program is (/proc/self/exe)");
  dir ? (void)snprintf(o.dir, sizeof o.dir, "%s/bench-%d", dir, (int)getpid())
      : (void)snprintf(o.dir, sizeof o.dir, "bench-data-%d", (int)getpid());
  mc_why why = {0};
  if (mc_fs_mkdirs(mc_fs_posix(), o.dir, &why))
    return command_fail("bench", why.text);
  mc_log_configure(MC_LOG_ERROR, MC_LOG_TEXT, 2);
  int code = run(&o);
  if (!getenv("MOTORCADE_BENCH_KEEP"))
    bench_remove_dir(o.dir);
  bool matched;
  const char *cases = bench_asked(&matched);
  if (o.only && !matched) {
    fprintf(stderr, "motorcade bench: %s has no case \"%s\"; it has: %s\n", argv[1], o.only, cases);
    return 2;
  }
  return code;
}
