/* How commands on this machine reach the running server: <data>/local.json (mode 0600) holds its HTTP port and an admin token that
 * lives as long as the server runs. local_file.h reads it. */
#ifndef APP_LOCAL_TOKEN_H
#define APP_LOCAL_TOKEN_H

#include "app/motorcade/server.h"

mc_err local_token_write(server *s, mc_why *why);
void local_token_remove(server *s);

#endif
