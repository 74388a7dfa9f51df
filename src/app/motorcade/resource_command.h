/* Commands about FleetWise's resources, as tables: what a verb is called, what it asks of the API, which options become members of its document. */
#ifndef APP_RESOURCE_COMMAND_H
#define APP_RESOURCE_COMMAND_H

#include "app/motorcade/remote.h"

enum { RESOURCE_OPTIONS = 4, RESOURCE_FIELDS = 6 };

typedef struct resource_verb {
  const char *name; /* NULL ends the table */
  int words;        /* names that follow it */
  const char *method, *path; /* {} stands for the next word */
  bool is_list;
  const char *field[RESOURCE_FIELDS]; /* columns; none: plain names */
  const char *name_member;            /* member of the document that the first word becomes */
  bool takes_file;                    /* --file FILE.json: the document's other members */
  const char *option[RESOURCE_OPTIONS], *member[RESOURCE_OPTIONS], *fallback[RESOURCE_OPTIONS];
} resource_verb;

/* The JSON object of a file, {} without one; NULL: said why. */
json_t *resource_document(remote *r, const char *file);
/* Runs the verb that argv names; usage for people who name none. The exit code. */
int resource_command(int argc, char **argv, const char *usage, const resource_verb *verb);
/* decoder_compare.c: what two decoder manifests (kind "decoders") or models ("models") differ in, a line for each field. The exit code. */
int manifest_compare(int argc, char **argv, const char *usage, const char *kind);

#endif
