/* Options and words out of the arguments of a command. */
#include "app/motorcade/option.h"

#include <stdio.h>
#include <string.h>

const char *option_take(int *argc, char **argv, const char *name, const char *fallback)
{
  for (int i = 1; i + 1 < *argc; i++) {
    if (strcmp(argv[i], name) != 0)
      continue;
    const char *value = argv[i + 1];
    memmove(&argv[i], &argv[i + 2], (size_t)(*argc - i - 2) * sizeof *argv);
    *argc -= 2;
    return value;
  }
  return fallback;
}

bool option_flag(int *argc, char **argv, const char *name)
{
  for (int i = 1; i < *argc; i++) {
    if (strcmp(argv[i], name) != 0)
      continue;
    memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i - 1) * sizeof *argv);
    (*argc)--;
    return true;
  }
  return false;
}

const char *option_word(int *argc, char **argv)
{
  if (*argc < 2 || argv[1][0] == '-')
    return NULL;
  const char *word = argv[1];
  memmove(&argv[1], &argv[2], (size_t)(*argc - 2) * sizeof *argv);
  (*argc)--;
  return word;
}

bool command_help(int *argc, char **argv, const char *usage_text, int *code)
{
  bool none = *argc < 2, asked = option_flag(argc, argv, "--help") || option_flag(argc, argv, "-h");
  if (!none && !asked && strcmp(argv[1], "help") != 0)
    return false;
  fputs(usage_text, none ? stderr : stdout);
  *code = none ? 2 : 0;
  return true;
}

bool option_left(int argc, char **argv, const char *usage_text)
{
  if (argc <= 1)
    return false;
  bool option = !strncmp(argv[1], "--", 2);
  fprintf(stderr, "motorcade %s: do not know what to do with \"%s\"%s\n%s", argv[0], argv[1],
          option && argc == 2 ? ", or its value is missing" : "", usage_text);
  return true;
}
