/* `motorcade vehicle create --file`: sends a list of vehicles, a thousand at a time, and tells what became of each row. */
#ifndef APP_VEHICLE_IMPORT_H
#define APP_VEHICLE_IMPORT_H

#include "app/motorcade/http_call.h"

/* Prints refused rows to stderr as "<file>:<line>: <field>: <text>" and a summary to stdout; json: the whole result as JSON instead. Returns the exit
 * code: 1 when a row was refused. An error of the whole (file or server) is told by why; what was created before stays. */
mc_err vehicle_import(const http_call *call, const char *path, bool json, int *code, mc_why *why);

#endif
