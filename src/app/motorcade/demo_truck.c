/* The recorded truck of the demo: its log, its two DBC files, and a motorcade-edge of its own. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/motorcade/demo_fleet.h"

static const char name[] = "recorded-truck";
static const char channels[] = "9=gps:canmod_gps.dbc-100,*=can0:j1939_demo.dbc";
static const char engine_map[] =
    "{\"Vehicle.Powertrain.CombustionEngine.Speed\":\"EEC1.EngineSpeed\",\"Vehicle.Speed\":\"CCVS1.WheelBasedVehicleSpeed\"}";
static const char gps_map[] = "{\"Vehicle.CurrentLocation.Latitude\":\"gnss_pos.Latitude\",\"Vehicle.CurrentLocation.Longitude\":\"gnss_"
                              "pos.Longitude\",\"Vehicle.CurrentLocation.Heading\":\"gnss_attitude.Heading\","
                              "\"Vehicle.CurrentLocation.Altitude\":\"gnss_altitude.Altitude\",\"Vehicle.CurrentLocation.GNSSReceiver."
                              "Fix\":\"gnss_pos.PositionValid\","
                              "\"Vehicle.CurrentLocation.GNSSReceiver.Satellites\":\"gnss_status.Satellites\"}";

/* $MOTORCADE_DATA, else shared/data beside the checkout that the program was built in. */
static bool find_data(char *dir, size_t size)
{
  char self[400], probe[1200];
  const char *env = getenv("MOTORCADE_DATA");
  if (env && *env) {
    snprintf(dir, size, "%s", env);
  } else {
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
      return false;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    *slash = 0;
    snprintf(dir, size, "%s/../../shared/data", self);
  }
  snprintf(probe, sizeof probe, "%s/canlog/j1939_truck.mf4", dir);
  return access(probe, R_OK) == 0;
}

static mc_err import_dbc(server *s, const char *data, const char *file, const char *interface, const char *map, mc_why *why)
{
  char path[1200];
  mc_buf text = {0};
  mc_dbc_import_report report;
  snprintf(path, sizeof path, "%s/dbc/%s", data, file);
  MC_TRY(mc_fs_read(mc_fs_posix(), path, 16 << 20, &text, why));
  mc_dbc_import import = {.tenant = MC_TENANT_DEFAULT,
                          .name = mc_slice_str(name),
                          .dbc_text = mc_buf_slice(&text),
                          .dbc_name = file,
                          .interface_id = mc_slice_str(interface),
                          .map_json = mc_slice_str(map)};
  mc_err err = mc_campaign_import_dbc(s->campaigns, &import, &report, why);
  mc_buf_free(&text);
  return err;
}

static mc_err make_campaign(server *s, const char *campaign, const char *expression, uint32_t interval_ms, const char *const *fqn,
                            uint32_t count, mc_why *why)
{
  mc_campaign_collect collect[8];
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  for (uint32_t i = 0; i < count; i++)
    collect[i] = (mc_campaign_collect){.fqn = mc_slice_str(fqn[i]), .max_samples = expression ? 1 : 0, .min_period_ms = expression ? 0 : 100};
  mc_campaign c = {.tenant = MC_TENANT_DEFAULT,
                   .name = mc_slice_str(campaign),
                   .description = MC_LIT("From the recorded log of a real truck"),
                   .target_kind = MC_LIT("vehicle"),
                   .target = mc_slice_str(name),
                   .condition_based = expression != NULL,
                   .period_ms = interval_ms,
                   .expression = mc_slice_str(expression),
                   .min_interval_ms = interval_ms,
                   .compress = true,
                   .persist = true,
                   .signal = collect,
                   .signal_count = count};
  mc_err err = mc_campaign_create(s->campaigns, &c, true, &arena, why);
  return err == MC_ERR_EXISTS ? MC_OK : err;
}

mc_err demo_truck_prepare(server *s, mc_why *why)
{
  static const char *const engine[] = {"Vehicle.Powertrain.CombustionEngine.Speed", "Vehicle.Speed"};
  static const char *const place[] = {"Vehicle.CurrentLocation.Latitude",
                                      "Vehicle.CurrentLocation.Longitude",
                                      "Vehicle.CurrentLocation.Heading",
                                      "Vehicle.CurrentLocation.Altitude",
                                      "Vehicle.CurrentLocation.GNSSReceiver.Satellites",
                                      "Vehicle.gnss_speed.Speed"};
  char data[1000];
  mc_vehicle v = {.tenant = MC_TENANT_DEFAULT};
  if (!find_data(data, sizeof data))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "no recorded log here (MOTORCADE_DATA names its folder)");
  if (mc_registry_vehicle_find(s->registry, MC_TENANT_DEFAULT, mc_slice_str(name), &v)) {
    MC_TRY(import_dbc(s, data, "j1939_demo.dbc", "can0", engine_map, why));
    MC_TRY(import_dbc(s, data, "canmod_gps.dbc", "gps", gps_map, why));
    v = (mc_vehicle){.tenant = MC_TENANT_DEFAULT};
    snprintf(v.name, sizeof v.name, "%s", name);
    snprintf(v.kind, sizeof v.kind, "truck");
    snprintf(v.model, sizeof v.model, "recorded log, replayed");
    snprintf(v.manifest, sizeof v.manifest, "%s", name);
    MC_TRY(mc_registry_vehicle_create(s->registry, &v, why));
  }
  MC_TRY(make_campaign(s, "truck-engine", NULL, 1000, engine, 2, why));
  /* The receiver sends zeros until it has a fix. */
  return make_campaign(s, "truck-position", "$variable.`Vehicle.CurrentLocation.GNSSReceiver.Fix` == 1", 1000, place, 6, why);
}

mc_err demo_truck_start(server *s, demo_truck *t, mc_why *why)
{
  char data[1000], self[400], program[500], log[1200], dir[700], cert[800], key[800], ca[800], spool[800], endpoint[64], out[800];
  if (!find_data(data, sizeof data))
    return MC_ERR_NOT_FOUND;
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0)
    return MC_ERR_NOT_FOUND;
  self[n] = 0;
  char *slash = strrchr(self, '/');
  *slash = 0;
  snprintf(program, sizeof program, "%s/motorcade-edge", self);
  if (access(program, X_OK))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "%s is not there: build it to see the recorded truck", program);
  MC_TRY(demo_credentials(s, (const char *const[]){name}, 1, why));
  snprintf(dir, sizeof dir, "%s/demo/%s", s->set.data, name);
  snprintf(log, sizeof log, "%s/canlog/j1939_truck.mf4", data);
  snprintf(cert, sizeof cert, "%s/cert.pem", dir);
  snprintf(key, sizeof key, "%s/key.pem", dir);
  snprintf(ca, sizeof ca, "%s/ca.pem", dir);
  snprintf(spool, sizeof spool, "%s/agent", dir);
  snprintf(out, sizeof out, "%s/log", dir);
  snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", s->mqtt_port);
  t->pid = fork();
  if (t->pid < 0)
    return mc_err_errno(why, "start %s", program);
  if (t->pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* Ctrl-C is for us; we stop it */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execl(program, program, "--endpoint", endpoint, "--name", name, "--cert", cert, "--key", key, "--ca", ca, "--replay", log,
          "--channel-map", channels, "--loop", "--data", spool, "--checkin-s", "30", (char *)NULL);
    _exit(127);
  }
  return MC_OK;
}

void demo_truck_stop(demo_truck *t)
{
  if (t->pid <= 0)
    return;
  kill(t->pid, SIGTERM);
  for (int i = 0; i < 100 && waitpid(t->pid, NULL, WNOHANG) == 0; i++) {
    usleep(30000);
    if (i == 99)
      kill(t->pid, SIGKILL);
  }
  t->pid = 0;
}
