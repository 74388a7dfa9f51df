/* Ports are shared by our loops (SO_REUSEPORT), which would also let a second motorcade take half of the connections without a word. */
#ifndef APP_PORT_H
#define APP_PORT_H

#include <stdint.h>

#include "base/err.h"

/* MC_ERR_CONFLICT when another socket listens on host:port; port 0 is always fine. setting names the key to change. */
mc_err port_require_free(const char *host, uint16_t port, const char *setting, mc_why *why);

#endif
