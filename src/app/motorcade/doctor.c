/* motorcade doctor: what is wrong with a data folder and this machine, and what to do about it. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/motorcade/command.h"
#include "base/clock.h"
#include "base/file.h"
#include "journal/journal.h"
#include "net/net.h"
#include "store/store.h"

static int bad;

static void say(bool ok, const char *what, const char *text)
{
  printf("%-5s %-12s %s\n", ok ? "ok" : "WRONG", what, text);
  bad += !ok;
}

static void check_certificate(const settings *s, const char *name)
{
  char path[700], text[1200];
  mc_buf pem = {0};
  mc_why why = {0};
  mc_cert_info info;
  snprintf(path, sizeof path, "%s/%s", s->data, name);
  if (mc_fs_read(mc_fs_posix(), path, 1 << 20, &pem, &why) || mc_cert_read_pem(mc_buf_slice(&pem), &info, &why)) {
    snprintf(text, sizeof text, "%s: run `motorcade init --data %s`", why.text, s->data);
    say(false, name, text);
  } else {
    int64_t days = (info.not_after_us - mc_clock_wall_us()) / 86400000000LL;
    snprintf(text, sizeof text, "%s, valid for %" PRId64 " more days%s", info.common_name, days,
             days < 30 ? "; delete it and run `motorcade init` to make a new one" : "");
    say(days >= 30, name, text);
  }
  mc_buf_free(&pem);
}

static void check_key_mode(const settings *s, const char *name)
{
  char path[700], text[900];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", s->data, name);
  if (stat(path, &st) == 0 && (st.st_mode & 077)) {
    snprintf(text, sizeof text, "others may read it: chmod 600 %s", path);
    say(false, name, text);
  }
}

static void check_port(const char *what, uint16_t port)
{
  if (!port)
    return;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  char text[200];
  bool free_port = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
  snprintf(text, sizeof text, free_port ? "port %u is free" : "port %u is taken (by a running motorcade, or set %s to another)", port,
           what);
  printf("%-5s %-12s %s\n", free_port ? "ok" : "note", what, text);
  close(fd);
}

static void check_journal(const settings *s)
{
  char dir[700], text[700];
  struct stat st;
  snprintf(dir, sizeof dir, "%s/journal", s->data);
  if (stat(dir, &st)) {
    say(true, "journal", "not there yet; made at the first start");
    return;
  }
  mc_journal_report r;
  mc_why why = {0};
  mc_err err = mc_journal_verify(mc_fs_posix(), dir, &r, &why);
  if (err)
    snprintf(text, sizeof text, "%s", why.text);
  else
    snprintf(text, sizeof text, "%" PRIu64 " records in %" PRIu64 " segments, checksums good%s", r.records, r.segments,
             r.torn_tail ? "; torn tail, cut at the next start" : "");
  say(!err, "journal", text);
}

static void check_store(const settings *s)
{
  char dir[700], text[700];
  snprintf(dir, sizeof dir, "%s/store", s->data);
  struct stat st;
  if (stat(dir, &st)) {
    say(true, "store", "not there yet; made at the first start");
    return;
  }
  mc_store_stats stats;
  mc_why why = {0};
  mc_err err = mc_store_verify(mc_fs_posix(), dir, &stats, &why);
  snprintf(text, sizeof text, "%" PRIu64 " rows in %" PRIu64 " segments, checksums good", stats.rows_segments, stats.segments);
  say(!err, "store", err ? why.text : text);
}

int command_doctor(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade doctor [--data DIR]\n";
  if (option_flag(&argc, argv, "--help") || option_flag(&argc, argv, "-h"))
    return fputs(usage, stdout), 0;
  settings s;
  if (!command_settings(&argc, argv, &s))
    return 1;
  if (option_left(argc, argv, usage))
    return 2;
  char text[200];
  check_certificate(&s, "ca.pem");
  check_certificate(&s, "server.pem");
  check_key_mode(&s, "ca.key");
  check_key_mode(&s, "server.key");
  check_key_mode(&s, "access.key");
  uint64_t free_bytes = 0;
  if (mc_fs_free_bytes(mc_fs_posix(), s.data, &free_bytes, NULL) == MC_OK) {
    snprintf(text, sizeof text, "%" PRIu64 " MiB free%s", free_bytes >> 20,
             free_bytes >> 20 < 1024 ? "; below 1 GiB the journal may have to refuse messages" : "");
    say(free_bytes >> 20 >= 1024, "disk", text);
  }
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  snprintf(text, sizeof text, "up to %" PRIu64 " open files, so about as many vehicles at once", (uint64_t)files.rlim_max);
  say(files.rlim_max >= 4096, "files", text);
  check_port("http_port", s.http_port);
  check_port("mqtt_port", s.mqtt_port);
  check_port("tls_port", s.tls_port);
  check_journal(&s);
  check_store(&s);
  return bad ? 1 : 0;
}
