/* A text file as the JSON string that the API takes. */
#ifndef APP_TEXT_FILE_H
#define APP_TEXT_FILE_H

#include <jansson.h>

#include "base/err.h"

/* UTF-8, or else Latin-1, as DBC files often are. *out is the caller's reference. MC_ERR_MALFORMED: it holds a zero byte. */
mc_err text_file_read(const char *path, json_t **out, mc_why *why);

#endif
