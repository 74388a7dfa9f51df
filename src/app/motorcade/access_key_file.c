#include "app/motorcade/access_key_file.h"

#include <stdio.h>

mc_err access_key_file_open(const char *data, mc_master **out, mc_why *why)
{
  char source[700];
  int n = snprintf(source, sizeof source, "file:%s/access.key", data);
  const char *path = source + sizeof "file:" - 1;
  if (n < 0 || (size_t)n >= sizeof source)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "the name of the data folder is too long: %s", data);
  mc_err err = mc_master_create_file(path, why);
  if (err && err != MC_ERR_EXISTS)
    return err;
  return mc_master_open(source, out, why);
}
