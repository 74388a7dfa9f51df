/* A list of vehicles in a file, for `motorcade vehicle create --file`. Read and made ready to be sent; what cannot be sent is kept with its reason. */
#ifndef APP_VEHICLE_LIST_H
#define APP_VEHICLE_LIST_H

#include <jansson.h>

#include "base/err.h"
#include "base/vec.h"

typedef struct vehicle_list_row {
  uint32_t line;   /* of the file; of JSON: the position in the array, from 1 */
  char problem[200]; /* why it is not sent; empty: it is */
} vehicle_list_row;

typedef struct vehicle_list {
  json_t *vehicles; /* array of VehicleRow, as long as row; null where there is a problem */
  MC_VEC(vehicle_list_row) row;
  bool lines; /* rows have lines: a CSV file */
} vehicle_list;

/* A file whose first sign is [ or { is JSON: an array of vehicles, or {"vehicles": [...]}. Anything else is CSV: a line of column names (name, vin, make,
 * model, kind, year, manifest, in any order; name is needed), then a vehicle a line. An empty field is left out. Errors name file and line. */
mc_err vehicle_list_read(const char *path, vehicle_list *out, mc_why *why);
mc_err vehicle_list_parse(mc_slice text, vehicle_list *out, mc_why *why); /* the same from UTF-8 text */
void vehicle_list_free(vehicle_list *list);

#endif
