#include "app/motorcade/data_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice props, mc_slice payload, mc_why *why)
{
  server *s = ctx;
  return s->gateway ? mc_gateway_publish_with(s->gateway, tenant, topic, props, payload, 1, false, why) : mc_err_set(why, MC_ERR_CLOSED, "the gateway is not there yet");
}

/* file:PATH or env:NAME: a secret stands in no setting itself. */
static mc_err read_secret(const char *source, mc_buf *out, mc_why *why)
{
  if (!strncmp(source, "env:", 4)) {
    const char *value = getenv(source + 4);
    return value && *value ? mc_buf_append(out, value, strlen(value) + 1) : mc_err_set(why, MC_ERR_NOT_FOUND, "objects_secret: the environment has no %s", source + 4);
  }
  if (strncmp(source, "file:", 5) != 0)
    return mc_err_set(why, MC_ERR_INVALID, "objects_secret: expected file:PATH or env:NAME");
  mc_err err = mc_fs_read(mc_fs_posix(), source + 5, 4096, out, why);
  if (err)
    return mc_err_prefix(why, "objects_secret");
  mc_slice text = mc_slice_trim(mc_buf_slice(out));
  memmove(out->data, text.data, text.len);
  out->len = text.len;
  return mc_buf_append_u8(out, 0);
}

static mc_err open_s3(server *s, mc_why *why)
{
  const settings *set = &s->set;
  mc_buf secret = {0};
  mc_err err = read_secret(set->objects_secret, &secret, why);
  mc_object_s3 config = {.endpoint = set->objects,
                         .region = set->objects_region,
                         .access_key = set->objects_key,
                         .secret = (const char *)secret.data,
                         .virtual_host = set->objects_virtual_host,
                         .ca_file = set->objects_ca[0] ? set->objects_ca : NULL,
                         .tries = 2}; /* the outbox tries again anyway */
  if (!err)
    err = mc_object_open_s3(&config, &s->objects, why);
  if (secret.len)
    memset(secret.data, 0, secret.len);
  mc_buf_free(&secret);
  return err;
}

static mc_err open_objects(server *s, mc_why *why)
{
  char path[700];
  if (!strncmp(s->set.objects, "http://", 7) || !strncmp(s->set.objects, "https://", 8))
    return open_s3(s, why);
  snprintf(path, sizeof path, "%s/objects", s->set.data);
  return mc_object_open_directory(mc_fs_posix(), s->set.objects[0] ? s->set.objects : path, &s->objects, why);
}

/* The one named by the setting must be there; one that `make duckdb` or a package put beside the program may be. */
static mc_err find_duckdb(const server *s, char path[600], mc_why *why)
{
  static const char *const places[] = {"../tools/duckdb/node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so", "../lib/motorcade/libduckdb.so"};
  char self[400];
  if (s->set.duckdb[0]) {
    snprintf(path, 600, "%s", s->set.duckdb);
    return access(path, R_OK) ? mc_err_errno(why, "duckdb: %s", path) : MC_OK;
  }
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n > 0) {
    self[n] = 0;
    *strrchr(self, '/') = 0;
    for (int i = 0; i < 2; i++) {
      snprintf(path, 600, "%s/%s", self, places[i]);
      if (access(path, R_OK) == 0)
        return MC_OK;
    }
  }
  path[0] = 0;
  return MC_OK;
}

mc_err data_out_open(server *s, mc_why *why)
{
  char path[700], duckdb[600];
  MC_TRY(open_objects(s, why));
  MC_TRY(find_duckdb(s, duckdb, why));
  snprintf(path, sizeof path, "%s/outbox", s->set.data);
  mc_delivery_config config = {.campaigns = s->campaigns,
                               .journal = s->journal,
                               .objects = s->objects,
                               .duckdb = duckdb[0] ? duckdb : NULL,
                               .dir = path,
                               .every_s = s->set.delivery_s,
                               .outbox_bytes = s->set.delivery_outbox_mb << 20,
                               .publish = publish,
                               .publish_ctx = s};
  return mc_delivery_open(&config, &s->delivery, why);
}

void data_out_close(server *s)
{
  mc_delivery_close(&s->delivery);
  mc_object_close(&s->objects);
}
