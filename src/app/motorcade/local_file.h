/* <data>/local.json as commands read it; local_token.h writes it. */
#ifndef APP_LOCAL_FILE_H
#define APP_LOCAL_FILE_H

#include <stdint.h>

#include "base/err.h"

/* MC_ERR_NOT_FOUND: no server runs on this folder. token: letters, digits and _, so that it fits into a header. */
mc_err local_file_read(const char *data, uint16_t *port, char token[64], mc_why *why);

#endif
