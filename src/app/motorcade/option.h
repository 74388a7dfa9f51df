/* Arguments of the program's commands. argv[0] is the command's name; what is taken is removed from argv, what is left is a mistake. */
#ifndef APP_OPTION_H
#define APP_OPTION_H

#include <stdbool.h>

/* Value of --name in argv (removed from it), or fallback. */
const char *option_take(int *argc, char **argv, const char *name, const char *fallback);
bool option_flag(int *argc, char **argv, const char *name);
/* The first word (not an option), removed from argv; NULL when there is none. Ask after the options are taken. */
const char *option_word(int *argc, char **argv);
/* True when the command ends here: --help, -h or `help` print usage to stdout (*code 0), no arguments at all to stderr (*code 2). */
bool command_help(int *argc, char **argv, const char *usage, int *code);
/* Complains about the first argument left over; true when there was one. */
bool option_left(int argc, char **argv, const char *usage);

#endif
