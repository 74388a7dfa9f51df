/* Where campaigns' data goes: the object store, DuckDB's library and the delivery, out of settings. */
#ifndef APP_DATA_OUT_H
#define APP_DATA_OUT_H

#include "app/motorcade/server.h"

mc_err data_out_open(server *s, mc_why *why); /* after the campaigns */
void data_out_close(server *s);               /* stops the delivery first; safe when half-opened */

#endif
