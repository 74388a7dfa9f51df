/* What commands that speak to the running server share: the call, and how its answer is shown. One thread. */
#ifndef APP_REMOTE_H
#define APP_REMOTE_H

#include <jansson.h>

#include "app/motorcade/http_call.h"
#include "app/motorcade/settings.h"

typedef struct remote {
  http_call call;
  settings set;
  const char *name;
  bool json;
  const char *file; /* what the server knows as "dbc" */
  mc_why why;
} remote;

/* Takes --json and the settings out of argv. False: said why. */
bool remote_begin(remote *r, int *argc, char **argv);
/* Nothing may be left of argv; then finds the server. 0, or the exit code. */
int remote_reach(remote *r, int argc, char **argv, const char *usage);
/* For people who named no action, or one that is not there. Returns 2. */
int remote_unclear(const remote *r, const char *what, const char *usage);
/* Prints r->why; returns 1. */
int remote_fail(remote *r);
/* text as part of a query (RFC 3986, 2.1). */
const char *remote_escaped(const char *text, char *out, size_t size);
/* One call; takes body. Prints the problem and returns NULL when it fails; an empty answer gives JSON null. */
json_t *remote_ask(remote *r, const char *method, const char *path, json_t *body);
/* A member as text for people; "-" when absent. Valid for the next seven calls. */
const char *remote_text(json_t *object, const char *key);
/* The items of all pages of a list; NULL: said why. */
json_t *remote_all(remote *r, const char *path);
/* Lists as a table of the named fields ("key=heading" where the heading says more), or as JSON; all pages, or the one there is. The exit code. */
int remote_list(remote *r, const char *path, const char *const *field, int fields);
int remote_list_once(remote *r, const char *path, const char *const *field, int fields);
/* A table of items, or JSON. Cells are cleaned: nothing of them steers the terminal. */
void remote_print(remote *r, json_t *items, const char *const *field, int fields);
void remote_print_cell(const char *text, int width);
/* The id of what has this name in a list without pages; 0 when it is not there (and says so). */
json_int_t remote_id(remote *r, const char *path, const char *what, const char *name);
json_int_t remote_vehicle(remote *r, const char *name); /* the same for a vehicle */
/* Prints an answer of remote_ask and frees it. The exit code. */
int remote_show(remote *r, json_t *reply);
bool remote_read_password(remote *r, const char *file, json_t *body); /* user_command.c: the file's text as member "password". False: said why */
void remote_set_text(json_t *body, const char *key, const char *value); /* nothing when value is NULL */
bool remote_read_text(remote *r, const char *path, json_t **out);

#endif
