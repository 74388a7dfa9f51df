/* Starting the peers that this machine has. One row a peer: what it is called, where it is looked for, how it is told what to do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "bench/bench.h"

/* Contract iotcore, T21 to T23. mosquitto forgets its queue limits (its default drops silently beyond 1,000); FlashMQ keeps the limits that its manual
 * states, which a closed loop does not reach, but gets TCP_NODELAY, without which a single pair is bound by Nagle's algorithm. */
static void configure_mosquitto(const bench_server *s, const char *ca, char *out, size_t size)
{
  int n = snprintf(out, size,
                   "user root\npersistence false\nmax_queued_messages 0\nmax_inflight_messages 0\nper_listener_settings false\n"
                   "allow_anonymous true\nset_tcp_nodelay true\nlistener %u 127.0.0.1\n",
                   s->plain);
  if (ca)
    snprintf(out + n, size - (size_t)n, "listener %u 127.0.0.1\ncafile %s/ca.pem\ncertfile %s/server.pem\nkeyfile %s/server.key\nrequire_certificate true\n",
             s->tls, ca, ca, ca);
}

static void configure_flashmq(const bench_server *s, const char *ca, char *out, size_t size)
{
  int n = snprintf(out, size,
                   "allow_anonymous true\nlog_level warning\nmax_qos_msg_pending_per_client 512\nmax_qos_bytes_pending_per_client 65536\n"
                   "listen {\n  protocol mqtt\n  inet4_bind_address 127.0.0.1\n  inet_protocol ip4\n  tcp_nodelay true\n  port %u\n}\n",
                   s->plain);
  if (ca)
    snprintf(out + n, size - (size_t)n,
             "listen {\n  protocol mqtt\n  inet4_bind_address 127.0.0.1\n  inet_protocol ip4\n  tcp_nodelay true\n  port %u\n  fullchain %s/server.pem\n"
             "  privkey %s/server.key\n  client_verification_ca_file %s/ca.pem\n}\n",
             s->tls, ca, ca, ca);
}

/* QoS 1 goes through JetStream's file store, which nats-server syncs every two minutes by default: on file, not durable. */
static void configure_nats(const bench_server *s, const char *ca, char *out, size_t size)
{
  int n = snprintf(out, size,
                   "server_name: bench\nlisten: \"127.0.0.1:-1\"\njetstream { store_dir: \"%s/jetstream\" }\nmqtt {\n  host: \"127.0.0.1\"\n  port: %u\n", s->dir,
                   ca ? s->tls : s->plain);
  if (ca)
    n += snprintf(out + n, size - (size_t)n, "  tls { cert_file: \"%s/server.pem\" key_file: \"%s/server.key\" ca_file: \"%s/ca.pem\" verify: true }\n", ca, ca, ca);
  snprintf(out + n, size - (size_t)n, "}\n");
}

static const struct {
  const char *name, *keeps;
  const char *env, *program[2];
  const char *config_flag;
  void (*configure)(const bench_server *s, const char *ca, char *out, size_t size);
  bool both_ports; /* serves plain and TLS at once */
} peers[BENCH_PEERS] = {
    [BENCH_MOSQUITTO] = {"mosquitto", "in memory", "MOTORCADE_MOSQUITTO", {"mosquitto"}, "-c", configure_mosquitto, true},
    [BENCH_FLASHMQ] = {"flashmq", "in memory", "MOTORCADE_FLASHMQ", {"flashmq", "FlashMQ"}, "--config-file", configure_flashmq, true},
    [BENCH_NATS] = {"nats-server", "on file, not synced", "MOTORCADE_NATS", {"nats-server"}, "-c", configure_nats, false},
};

const char *bench_peer_keeps(bench_peer_kind kind) { return peers[kind].keeps; }

static bool find(bench_peer_kind kind, char *path, size_t size)
{
  const char *env = getenv(peers[kind].env);
  if (env && *env) {
    snprintf(path, size, "%s", env);
    return access(path, X_OK) == 0;
  }
  for (size_t i = 0; i < 2 && peers[kind].program[i]; i++)
    if (bench_find_program(peers[kind].program[i], path, size))
      return true;
  return false;
}

mc_err bench_start_peer(const bench_options *o, bench_peer_kind kind, const char *ca_from, bench_server *s, mc_why *why)
{
  char program[400], config[4000], path[600], log[600];
  *s = (bench_server){.name = peers[kind].name};
  if (!find(kind, program, sizeof program))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "%s is neither in PATH nor named by %s", peers[kind].name, peers[kind].env);
  s->plain = ca_from && !peers[kind].both_ports ? 0 : bench_free_port();
  s->tls = ca_from ? bench_free_port() : 0;
  snprintf(s->dir, sizeof s->dir, "%s/%s-%d", o->dir, s->name, (int)getpid());
  MC_TRY(mc_fs_mkdirs(mc_fs_posix(), s->dir, why));
  snprintf(path, sizeof path, "%s/broker.conf", s->dir);
  snprintf(log, sizeof log, "%s/log", s->dir);
  peers[kind].configure(s, ca_from, config, sizeof config);
  MC_TRY(mc_fs_replace(mc_fs_posix(), path, mc_slice_str(config), 0644, why));
  const char *argv[] = {program, peers[kind].config_flag, path, NULL};
  MC_TRY(bench_spawn(argv, log, &s->process, why));
  mc_err err = bench_wait_port(s->plain ? s->plain : s->tls, 10000, why);
  if (err)
    bench_stop(s);
  return err;
}
