/* bench: what `motorcade bench` measures, beside peers found on this machine, in one run.
 *
 * Every case prints one JSON line: {"bench","case","unit","better","ours","peers","cpu_us_per_unit","rss_kib","conditions"}. Servers under
 * test are processes of their own; the loader is this process. Numbers are medians of the rounds that fit the time. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct bench_options {
  bool json, quick;
  const char *only;  /* one case, or NULL */
  char dir[400];     /* scratch folder on the disk that is measured */
  char self[400];    /* this program */
} bench_options;

int bench_mqtt(const bench_options *o);
int bench_mqtt_idle(const bench_options *o);  /* its idle-* cases */
int bench_mqtt_storm(const bench_options *o); /* its storm-* cases */
int bench_ingest(const bench_options *o);
int bench_edge(const bench_options *o);
int bench_store(const bench_options *o);
int bench_fleetwise(const bench_options *o);
int bench_fleetwise_fleet(const bench_options *o); /* its checkin-* and rollout-* cases */
int bench_device(const bench_options *o);
int bench_device_policy(const bench_options *o); /* its policy-* cases */

/* ---- one line of result ---- */
enum { BENCH_PEERS_MAX = 4 };
typedef struct bench_peer { const char *name; double value; } bench_peer;
typedef struct bench_line {
  const char *bench, *name, *unit;
  bool lower_is_better;
  double ours;
  bench_peer peer[BENCH_PEERS_MAX];
  int peers;
  double cpu_us_per_unit; /* server, user + system; < 0: not measured */
  double rss_kib;         /* server; < 0: not measured */
  char conditions[1600];
} bench_line;
void bench_print(const bench_options *o, const bench_line *line);
bool bench_wanted(const bench_options *o, const char *name);
/* Names of all cases that were asked about so far, comma-separated; *matched: one of them was wanted. */
const char *bench_asked(bool *matched);

/* ---- processes (process.c) ---- */
typedef struct bench_process { pid_t pid; } bench_process;
mc_err bench_spawn(const char *const *argv, const char *log_path, bench_process *out, mc_why *why);
void bench_kill(bench_process *p); /* SIGTERM, SIGKILL after 5 s, reaped */
double bench_cpu_s(const bench_process *p);   /* user + system so far */
double bench_rss_kib(const bench_process *p);
/* Waits until something accepts on 127.0.0.1:port. */
mc_err bench_wait_port(uint16_t port, int timeout_ms, mc_why *why);
uint16_t bench_free_port(void);
/* Head and body of an answer from this machine's HTTP port; token may be NULL. */
mc_err bench_http_get(uint16_t port, const char *token, const char *path, mc_buf *out, mc_why *why);
/* Path of a program in PATH, sbin included; false when there is none. */
bool bench_find_program(const char *name, char *path, size_t size);
/* Milliseconds of one fdatasync of 16 KiB into a preallocated file in dir: the machine's own floor. */
double bench_fsync_ms(const char *dir);
/* MB/s of a plain write of 256 MiB with one fdatasync. */
double bench_disk_mb_s(const char *dir);
double bench_now_s(void);
double bench_self_cpu_s(void); /* this process, all threads, user + system */
void bench_remove_dir(const char *dir); /* with everything in it */
double bench_median(double *values, int count);

/* ---- servers (server_under_test.c) ---- */
typedef struct bench_server {
  const char *name;      /* "motorcade", or the peer's */
  bench_process process;
  uint16_t plain, tls;   /* ports; tls 0 when not asked for */
  uint16_t http;
  char dir[500];
} bench_server;
/* Starts motorcade with a fresh data folder; vehicles: how many with certificates are made before (vehicle i is "bench-<i>"; files <dir>/devices/<i>.crt|.key). */
mc_err bench_start_motorcade(const bench_options *o, uint32_t vehicles, bench_server *out, mc_why *why);
/* The same with vehicles bench-0 .. that have no certificates and this decoder manifest, which need not exist yet: for the plain port. */
mc_err bench_start_motorcade_fleet(const bench_options *o, uint32_t vehicles, const char *manifest, bench_server *out, mc_why *why);
/* kill -9, then the same folder and ports again. */
mc_err bench_restart_motorcade(const bench_options *o, bench_server *s, mc_why *why);
/* A gauge or counter of a running motorcade; labels as "kind=\"resumed\"" or NULL. -1: it has none of that name. */
double bench_metric(const bench_server *s, const char *name, const char *labels);
typedef enum bench_peer_kind { BENCH_MOSQUITTO, BENCH_FLASHMQ, BENCH_NATS, BENCH_PEERS } bench_peer_kind;
/* Found by environment (MOTORCADE_MOSQUITTO, MOTORCADE_FLASHMQ, MOTORCADE_NATS) or in PATH. MC_ERR_NOT_FOUND: not on this machine. The TLS port uses the CA
 * and server certificate of ca_from (a motorcade folder) when not NULL; plain is 0 where a peer serves only one of both. */
mc_err bench_start_peer(const bench_options *o, bench_peer_kind kind, const char *ca_from, bench_server *out, mc_why *why);
const char *bench_peer_keeps(bench_peer_kind kind); /* where its messages are when it acknowledges */
void bench_stop(bench_server *s); /* and removes its folder */

/* ---- where the time goes (stages.c) ---- */
typedef struct bench_stages bench_stages;
/* From here on motorcade's histograms are looked at. */
mc_err bench_stages_begin(const bench_server *s, bench_stages **out, mc_why *why);
/* Appends "stage p50/p99/p99.9 (times), ..." in ms since bench_stages_begin; frees *begun. Values are upper bounds of buckets that grow by the square root of 2. */
mc_err bench_stages_end(const bench_server *s, bench_stages **begun, mc_buf *out, mc_why *why);
/* Of all processors since the start of the machine, in seconds: nothing to run (waiting for the disk too); taken away by the host of a virtual machine. */
void bench_processors(double *idle_s, double *steal_s);
double bench_run_delay_s(pid_t pid); /* how long its threads were ready and waited for a processor so far, summed */

/* ---- the MQTT loader (mqtt_load.c): one thread, epoll, raw sockets, closed loop ---- */
typedef struct mqtt_load {
  const bench_server *server;
  int publishers, subscribers; /* subscribers: 0, 1 (on dt/veh/#), or as many as publishers (each its own topic) */
  int qos, payload;
  int window; /* messages of a publisher that are not yet acknowledged (QoS 1, 2) and delivered (with subscribers); at most 8,191 */
  double rate; /* messages a second of all publishers together; 0: as many as the windows let through */
  double seconds, warm_up;
} mqtt_load;
typedef struct mqtt_load_result {
  double per_s;          /* acknowledged (no subscriber), else delivered */
  double p50_ms, p99_ms; /* to that event from the sending, or with a rate from when the message was due */
  uint64_t messages;     /* in the measured time */
  uint64_t lost;         /* of the whole run: neither acknowledged nor delivered a second after the last progress, or acknowledged and not delivered */
  uint64_t repeated;     /* delivered more often than sent */
  double cpu_us;         /* the server's user + system for each of them */
  double loader_share;   /* of one core that this process used meanwhile */
  double late_p50_ms, late_p99_ms;  /* with a rate: from when a message was due to when the loader sent it; part of p50_ms, p99_ms */
  double idle, steal;               /* of all processors together, in processors: nothing to run; taken by the host */
  double loader_wait, server_wait;  /* seconds a second that threads of the loader, of the server, were ready and had no processor */
} mqtt_load_result;
mc_err mqtt_load_run(const mqtt_load *load, mqtt_load_result *out, mc_why *why);

#endif
