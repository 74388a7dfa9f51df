#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "bench/bench.h"
#include "format/json.h"

double bench_now_s(void)
{
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

mc_err bench_spawn(const char *const *argv, const char *log_path, bench_process *out, mc_why *why)
{
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0)
    return mc_err_errno(why, "start %s", argv[0]);
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, 1);
    dup2(log, 2);
    execv(argv[0], (char *const *)argv);
    _exit(127);
  }
  out->pid = pid;
  return MC_OK;
}

void bench_kill(bench_process *p)
{
  if (p->pid <= 0)
    return;
  kill(p->pid, SIGTERM);
  for (int i = 0; i < 100; i++) {
    if (waitpid(p->pid, NULL, WNOHANG) == p->pid) {
      p->pid = 0;
      return;
    }
    usleep(50000);
  }
  kill(p->pid, SIGKILL);
  waitpid(p->pid, NULL, 0);
  p->pid = 0;
}

double bench_cpu_s(const bench_process *p)
{
  char path[64], line[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)p->pid);
  FILE *f = fopen(path, "r");
  if (!f)
    return 0;
  size_t n = fread(line, 1, sizeof line - 1, f);
  fclose(f);
  line[n] = 0;
  char *rest = strrchr(line, ')');
  unsigned long user = 0, system = 0;
  if (!rest || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
    return 0;
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

double bench_rss_kib(const bench_process *p)
{
  char path[64], line[256];
  double kib = -1;
  snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "VmRSS: %lf", &kib) == 1)
      break;
  if (f)
    fclose(f);
  return kib;
}

static struct sockaddr_in loopback(uint16_t port)
{
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

mc_err bench_wait_port(uint16_t port, int timeout_ms, mc_why *why)
{
  for (int waited = 0; waited < timeout_ms; waited += 20) {
    struct sockaddr_in at = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ok = connect(fd, (struct sockaddr *)&at, sizeof at);
    close(fd);
    if (ok == 0)
      return MC_OK;
    usleep(20000);
  }
  return mc_err_set(why, MC_ERR_TIMEOUT, "nothing accepts on port %u after %d ms", port, timeout_ms);
}

uint16_t bench_free_port(void)
{
  struct sockaddr_in at = loopback(0);
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) || getsockname(fd, (struct sockaddr *)&at, &len))
    at.sin_port = 0;
  close(fd);
  return ntohs(at.sin_port);
}

mc_err bench_http_get(uint16_t port, const char *token, const char *path, mc_buf *out, mc_why *why)
{
  struct sockaddr_in at = loopback(port);
  char request[400];
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s%s%sConnection: close\r\n\r\n", path,
                   token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "");
  mc_err err = fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) || send(fd, request, (size_t)n, MSG_NOSIGNAL) != n ? mc_err_errno(why, "asking 127.0.0.1:%u for %s", port, path) : MC_OK;
  for (ssize_t got = 1; !err && got > 0;) {
    err = mc_buf_reserve(out, 65536);
    got = err ? 0 : recv(fd, out->data + out->len, 65536, 0);
    out->len += got > 0 ? (size_t)got : 0;
  }
  if (fd >= 0)
    close(fd);
  return err;
}

bool bench_find_program(const char *name, char *path, size_t size)
{
  static const char *const more[] = {"/usr/sbin", "/usr/local/sbin", "/sbin"};
  const char *env = getenv("PATH");
  mc_slice rest = mc_slice_str(env ? env : "");
  while (rest.len) {
    size_t end = mc_slice_find(rest, ':', 0);
    snprintf(path, size, "%.*s/%s", (int)end, (const char *)rest.data, name);
    if (access(path, X_OK) == 0)
      return true;
    rest = mc_slice_sub(rest, end + 1, rest.len);
  }
  for (size_t i = 0; i < 3; i++) {
    snprintf(path, size, "%s/%s", more[i], name);
    if (access(path, X_OK) == 0)
      return true;
  }
  return false;
}

double bench_median(double *values, int count)
{
  for (int i = 1; i < count; i++)
    for (int k = i; k > 0 && values[k] < values[k - 1]; k--) {
      double swap = values[k];
      values[k] = values[k - 1];
      values[k - 1] = swap;
    }
  return count ? values[count / 2] : 0;
}

double bench_fsync_ms(const char *dir)
{
  char path[500];
  static char block[16384];
  double took[64];
  snprintf(path, sizeof path, "%s/fsync-probe", dir);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  for (int i = 0; i < 64; i++)
    if (write(fd, block, sizeof block) < 0)
      return -1;
  fdatasync(fd);
  for (int i = 0; i < 64; i++) {
    double began = bench_now_s();
    if (pwrite(fd, block, sizeof block, (off_t)i * (off_t)sizeof block) < 0 || fdatasync(fd))
      return -1;
    took[i] = (bench_now_s() - began) * 1000;
  }
  close(fd);
  unlink(path);
  return bench_median(took, 64);
}

double bench_disk_mb_s(const char *dir)
{
  enum { CHUNK = 1 << 20, CHUNKS = 256 };
  char path[500];
  char *block = calloc(1, CHUNK);
  snprintf(path, sizeof path, "%s/disk-probe", dir);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  double began = bench_now_s();
  for (int i = 0; i < CHUNKS && block; i++)
    if (write(fd, block, CHUNK) != CHUNK)
      break;
  fdatasync(fd);
  double took = bench_now_s() - began;
  close(fd);
  unlink(path);
  free(block);
  return CHUNKS * 1.048576 / took;
}

static char asked[600];
static bool asked_matched;

bool bench_wanted(const bench_options *o, const char *name)
{
  bool wanted = !o->only || strcmp(o->only, name) == 0;
  size_t used = strlen(asked);
  snprintf(asked + used, sizeof asked - used, "%s%s", used ? ", " : "", name);
  asked_matched = asked_matched || wanted;
  return wanted;
}

const char *bench_asked(bool *matched)
{
  *matched = asked_matched;
  return asked;
}

double bench_self_cpu_s(void)
{
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static mc_err remove_one(void *ctx, const char *name)
{
  char path[1300];
  snprintf(path, sizeof path, "%s/%s", (const char *)ctx, name);
  if (mc_fs_unlink(mc_fs_posix(), path, NULL) != MC_OK)
    bench_remove_dir(path);
  return MC_OK;
}

void bench_remove_dir(const char *dir)
{
  if (!dir[0])
    return;
  mc_fs_list(mc_fs_posix(), dir, remove_one, (void *)dir, NULL);
  rmdir(dir);
}

void bench_print(const bench_options *o, const bench_line *line)
{
  if (!o->json) {
    printf("%-8s %-22s %14.6g %-10s", line->bench, line->name, line->ours, line->unit);
    for (int i = 0; i < line->peers; i++)
      printf("  %s %.6g (%.2fx)", line->peer[i].name, line->peer[i].value,
             line->lower_is_better ? line->peer[i].value / line->ours : line->ours / line->peer[i].value);
    if (line->cpu_us_per_unit >= 0)
      printf("  cpu %.3f us", line->cpu_us_per_unit);
    if (line->rss_kib >= 0)
      printf("  rss %.0f KiB", line->rss_kib);
    printf("\n    %s\n", line->conditions);
    fflush(stdout);
    return;
  }
  mc_buf text = {0};
  mc_json j = mc_json_to(&text);
  mc_json_object(&j);
  mc_json_str_field(&j, "bench", line->bench);
  mc_json_str_field(&j, "case", line->name);
  mc_json_str_field(&j, "unit", line->unit);
  mc_json_str_field(&j, "better", line->lower_is_better ? "lower" : "higher");
  mc_json_double_field(&j, "ours", line->ours);
  mc_json_key(&j, "peers");
  mc_json_object(&j);
  for (int i = 0; i < line->peers; i++)
    mc_json_double_field(&j, line->peer[i].name, line->peer[i].value);
  mc_json_object_end(&j);
  mc_json_key(&j, "cpu_us_per_unit");
  line->cpu_us_per_unit >= 0 ? mc_json_double(&j, line->cpu_us_per_unit) : mc_json_null(&j);
  mc_json_key(&j, "rss_kib");
  line->rss_kib >= 0 ? mc_json_double(&j, line->rss_kib) : mc_json_null(&j);
  mc_json_str_field(&j, "conditions", line->conditions);
  mc_json_object_end(&j);
  if (!mc_json_end(&j))
    printf("%.*s\n", (int)text.len, (const char *)text.data);
  mc_buf_free(&text);
  fflush(stdout);
}
