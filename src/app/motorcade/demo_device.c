/* The demo's vehicles in the registry and their credentials on disk, many at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/motorcade/demo_fleet.h"

/* ---- vehicles ---- */

/* Refused because somebody gave it other facts since: it is there, which is all we want. */
static mc_err look_again(server *s, const mc_vehicle_row *row, mc_why *why)
{
  mc_vehicle v;
  if (row->state != MC_ROW_REFUSED || mc_registry_vehicle_find(s->registry, MC_TENANT_DEFAULT, mc_slice_str(row->vehicle.name), &v) == MC_OK)
    return MC_OK;
  return mc_err_set(why, MC_ERR_CONFLICT, "vehicle %s: %s", row->vehicle.name, row->why.text);
}

mc_err demo_vehicles(server *s, const mc_vehicle *vehicle, size_t count, mc_why *why)
{
  mc_vehicle_row *row = calloc(MC_VEHICLE_ROWS, sizeof *row);
  mc_err err = row ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "no memory for the demo's vehicles");
  for (size_t at = 0; at < count && !err; at += MC_VEHICLE_ROWS) {
    size_t n = count - at < MC_VEHICLE_ROWS ? count - at : MC_VEHICLE_ROWS;
    for (size_t i = 0; i < n; i++)
      row[i] = (mc_vehicle_row){.vehicle = vehicle[at + i]};
    err = mc_registry_vehicle_create_many(s->registry, MC_TENANT_DEFAULT, row, n, why);
    for (size_t i = 0; i < n && !err; i++)
      err = look_again(s, &row[i], why);
  }
  free(row);
  return err;
}

/* ---- credentials ---- */

static void folder_of(const server *s, const char *name, char *out, size_t size)
{
  snprintf(out, size, "%s/demo/%s", s->set.data, name);
}

/* Not synced: after a power cut a file may be empty, and the next start issues another certificate. */
static mc_err write_file(const char *dir, const char *name, mc_slice content, mode_t mode, mc_why *why)
{
  char path[900];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0)
    return mc_err_errno(why, "create %s", path);
  ssize_t n = write(fd, content.data, content.len);
  mc_err err = n == (ssize_t)content.len ? MC_OK : mc_err_errno(why, "write %s", path);
  close(fd);
  return err;
}

static bool has_file(const char *dir, const char *name)
{
  char path[900];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return stat(path, &st) == 0 && st.st_size > 0;
}

static bool has_credentials(const server *s, const char *name)
{
  char dir[700];
  folder_of(s, name, dir, sizeof dir);
  return has_file(dir, "cert.pem") && has_file(dir, "key.pem") && has_file(dir, "ca.pem");
}

typedef struct issuing {
  server *s;
  const mc_slice *name;
} issuing;

static mc_err take(void *ctx, size_t index, mc_slice cert_pem, mc_slice key_pem, mc_why *why)
{
  const issuing *i = ctx;
  char name[160], dir[700];
  mc_slice_to_str(i->name[index], name, sizeof name);
  folder_of(i->s, name, dir, sizeof dir);
  if (mkdir(dir, 0755) && errno != EEXIST)
    return mc_err_errno(why, "make folder %s", dir);
  MC_TRY(write_file(dir, "key.pem", key_pem, 0600, why));
  MC_TRY(write_file(dir, "ca.pem", mc_registry_ca_pem(i->s->registry), 0644, why));
  return write_file(dir, "cert.pem", cert_pem, 0644, why);
}

mc_err demo_credentials(server *s, const char *const *name, size_t count, mc_why *why)
{
  char dir[700];
  mc_slice *missing = calloc(MC_VEHICLE_ROWS, sizeof *missing);
  mc_err err = missing ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "no memory for the demo's certificates");
  snprintf(dir, sizeof dir, "%s/demo", s->set.data);
  if (!err)
    err = mc_fs_mkdirs(mc_fs_posix(), dir, why);
  for (size_t at = 0; at < count && !err;) {
    size_t n = 0;
    for (; at < count && n < MC_VEHICLE_ROWS; at++)
      if (!has_credentials(s, name[at]))
        missing[n++] = mc_slice_str(name[at]);
    if (n)
      err = mc_registry_certificate_issue_many(s->registry, MC_TENANT_DEFAULT, missing, n, 825, take, &(issuing){s, missing}, why);
  }
  free(missing);
  return err;
}
