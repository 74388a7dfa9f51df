#include "app/motorcade/local_file.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

static bool token_ok(const char *token)
{
  size_t n = token ? strlen(token) : 0;
  return n > 0 && n < 64 && strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

mc_err local_file_read(const char *data, uint16_t *port, char token[64], mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/local.json", data);
  mc_buf text = {0};
  mc_err err = mc_fs_read(mc_fs_posix(), path, 4096, &text, NULL);
  json_t *root = err ? NULL : json_loadb(text.len ? (const char *)text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
  const char *secret = json_string_value(json_object_get(root, "token"));
  json_int_t number = json_integer_value(json_object_get(root, "port"));
  bool good = token_ok(secret) && number > 0 && number <= UINT16_MAX;
  if (good) {
    *port = (uint16_t)number;
    memcpy(token, secret, strlen(secret) + 1);
  } else if (err == MC_OK) {
    err = mc_err_set(why, MC_ERR_MALFORMED, "%s is not what a running motorcade writes: start it again", path);
  } else {
    err = mc_err_set(why, MC_ERR_NOT_FOUND,
                     "no motorcade runs on %s: start it with `motorcade serve --data %s`, or name its folder with --data", data, data);
  }
  json_decref(root);
  mc_buf_free(&text);
  return err;
}
