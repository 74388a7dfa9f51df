/* Any arguments to the three programs: values in their ranges, or an error that says why. Input: a byte that chooses the program, then the
 * arguments, one a line. */
#include <math.h>
#include <stdlib.h>

#include "app/motorcade-edge/options.h"
#include "app/motorcade-sim/options.h"
#include "app/motorcade/option.h"
#include "app/motorcade/settings.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 64 };

static void motorcade(int argc, char **argv)
{
  static settings s;
  mc_why why = {0};
  int before = argc;
  bool flag = option_flag(&argc, argv, "--json");
  const char *value = option_take(&argc, argv, "--filter", NULL);
  if (argc != before - flag - (value ? 2 : 0))
    abort();
  settings_default(&s);
  int left = settings_take_args(&s, argc, argv, &why);
  if (left < 0 ? !why.text[0] : left > argc)
    abort();
  if (left < 0)
    return;
  if (s.loops > 64 || s.store_memory_mb < 1 || s.store_memory_mb > 65536 || !memchr(s.portal, 0, sizeof s.portal) || !memchr(s.data, 0, sizeof s.data))
    abort();
  for (int words = 0; option_word(&left, argv); words++)
    if (words > MOST)
      abort();
  if (left > 1 && argv[1][0] != '-')
    abort(); /* only options stop words */
}

static void edge(int argc, char **argv)
{
  edge_options o;
  mc_why why = {0};
  for (int i = 1; i < argc; i++)
    if (!strncmp(argv[i], "--config", 8)) /* files are another target's */
      return;
  mc_err err = edge_options_read(argc, argv, &o, &why);
  if (err ? !why.text[0] : !o.help && !o.version && (!o.host || !o.name || !o.port || !(o.speed >= 0 && o.speed <= 10000) || o.keep_alive_s > 65535))
    abort();
  mc_arena_free(&o.arena);
}

static void sim(int argc, char **argv)
{
  sim_options o;
  mc_why why = {0};
  mc_err err = sim_options_read(&o, argc, argv, &why);
  if (err ? !why.text[0] : o.vehicles > 100000 || !(o.time_scale >= 0.01 && o.time_scale <= 3600) || !(o.frame_rate >= 0.01 && o.frame_rate <= 10) ||
                               !memchr(o.host, 0, sizeof o.host))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *argv[MOST + 2] = {(char[]){"program"}};
  int argc = 1;
  if (size < 1)
    return 0;
  char *text = malloc(size);
  if (!text)
    return 0;
  memcpy(text, data + 1, size - 1);
  text[size - 1] = 0;
  for (char *at = text, *end; argc <= MOST && at < text + size - 1; at = end + 1) {
    end = at + strcspn(at, "\n");
    *end = 0;
    argv[argc++] = at;
  }
  switch (data[0] % 3) {
  case 0:
    motorcade(argc, argv);
    break;
  case 1:
    edge(argc, argv);
    break;
  default:
    sim(argc, argv);
  }
  free(text);
  return 0;
}
