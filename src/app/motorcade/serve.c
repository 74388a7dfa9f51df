/* motorcade serve: the platform until a signal says stop. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/motorcade/command.h"
#include "app/motorcade/local_token.h"
#include "app/motorcade/server.h"
#include "app/motorcade/serve.h"
#include "base/clock.h"
#include "base/log.h"

bool serve_configure(const settings *s)
{
  static const char *const names[] = {"debug", "info", "warn", "error", "off"};
  int level = -1;
  for (int i = 0; i < 5; i++)
    if (!strcmp(s->log_level, names[i]))
      level = i;
  bool json = !strcmp(s->log_format, "json");
  if (level < 0 || (!json && strcmp(s->log_format, "text") != 0)) {
    command_fail("serve", "log_level must be debug, info, warn, error or off; log_format text or json");
    return false;
  }
  mc_log_configure((mc_log_level)level, json ? MC_LOG_JSON : MC_LOG_TEXT, 2);
  /* As many connections as the machine lets us have. */
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  return true;
}

/* portal/dist beside the program: build/motorcade in a checkout, ../share/motorcade/portal when installed. */
void serve_find_portal(settings *s)
{
  if (s->portal[0])
    return;
  char self[400];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0)
    return;
  self[n] = 0;
  char *slash = strrchr(self, '/');
  *slash = 0;
  static const char *const places[] = {"../portal/dist", "../share/motorcade/portal"};
  for (int i = 0; i < 2; i++) {
    char index[500];
    snprintf(index, sizeof index, "%s/%s/index.html", self, places[i]);
    if (access(index, R_OK) == 0) {
      snprintf(s->portal, sizeof s->portal, "%s/%s", self, places[i]);
      return;
    }
  }
}

void serve_block_signals(sigset_t *set)
{
  sigemptyset(set);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, set, NULL);
}

int command_serve(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade serve [--data DIR] [--<setting> VALUE]...\n`motorcade config` lists the settings. Run "
                              "`motorcade init` once before.\n";
  if (option_flag(&argc, argv, "--help") || option_flag(&argc, argv, "-h"))
    return fputs(usage, stdout), 0;
  static server s;
  if (!command_settings(&argc, argv, &s.set))
    return 1;
  if (option_left(argc, argv, usage))
    return 2;
  if (!serve_configure(&s.set))
    return 1;
  serve_find_portal(&s.set);
  sigset_t signals;
  serve_block_signals(&signals);
  int64_t began = mc_clock_mono_us();
  mc_why why = {0};
  if (server_open(&s, &why) || server_start(&s, &why) || local_token_write(&s, &why)) {
    server_stop(&s);
    return command_fail("serve", why.text);
  }
  mc_log(MC_LOG_INFO, "serve", "ready", MC_KI("ms", (mc_clock_mono_us() - began) / 1000), MC_KU("http", s.http_port),
         MC_KU("mqtt_tls", s.mqtt_port), MC_KU("tls", s.tls_port), MC_KU("mqtt_plain", s.dev_port),
         MC_KU("vehicles", mc_registry_vehicle_count(s.registry, MC_TENANT_DEFAULT)));
  printf("motorcade is ready: http://127.0.0.1:%u\n", s.http_port);
  fflush(stdout);
  int which;
  sigwait(&signals, &which);
  mc_log(MC_LOG_INFO, "serve", "stopping", MC_KZ("signal", strsignal(which)));
  local_token_remove(&s);
  server_stop(&s);
  return 0;
}
