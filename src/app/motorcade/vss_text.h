/* A VSS tree as the JSON text that the API takes: from a vspec file (with its includes), or as it is from a JSON export. */
#ifndef APP_VSS_TEXT_H
#define APP_VSS_TEXT_H

#include <jansson.h>

#include "base/err.h"

/* *out is a JSON string; the caller's reference. Errors name file and line. */
mc_err vss_text_read(const char *path, json_t **out, mc_why *why);

#endif
