/* How commands on this machine reach the running server: <data>/local.json (mode 0600) holds its HTTP port and an admin token that
 * lives as long as the server runs. */
#ifndef APP_LOCAL_TOKEN_H
#define APP_LOCAL_TOKEN_H

#include "app/motorcade/server.h"

mc_err local_token_write(server *s, mc_why *why);
void local_token_remove(server *s);
/* For commands. MC_ERR_NOT_FOUND: no server runs on this folder. */
mc_err local_token_read(const char *data, uint16_t *port, char token[64], mc_why *why);

#endif
