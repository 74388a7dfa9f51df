/* What serve and demo share around the server. */
#ifndef APP_SERVE_H
#define APP_SERVE_H

#include <signal.h>

#include "app/motorcade/settings.h"

bool serve_configure(const settings *s); /* log, file limit; prints what is wrong */
void serve_find_portal(settings *s);
void serve_block_signals(sigset_t *set); /* before threads start; wait with sigwait */

#endif
