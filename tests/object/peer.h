/* The S3 that tests talk to: s3_peer.py as a child, which ends when its standard input closes. */
#ifndef TESTS_OBJECT_PEER_H
#define TESTS_OBJECT_PEER_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct peer {
  pid_t pid;
  int in;
  int port;
  char endpoint[64];
} peer;

static inline int peer_start(peer *p)
{
  int to[2], from[2];
  if (pipe(to) || pipe(from))
    return -1;
  p->pid = fork();
  if (p->pid == 0) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    close(to[1]);
    close(from[0]);
    execlp("python3", "python3", MC_SOURCE_DIR "/tests/object/s3_peer.py", "--page", "7", (char *)NULL);
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  p->in = to[1];
  FILE *f = fdopen(from[0], "r");
  char line[64] = "";
  p->port = 0;
  if (f && fgets(line, sizeof line, f))
    p->port = (int)strtol(line + 5, NULL, 10);
  if (f)
    fclose(f);
  snprintf(p->endpoint, sizeof p->endpoint, "http://127.0.0.1:%d", p->port);
  return p->port ? 0 : -1;
}

static inline void peer_stop(peer *p)
{
  close(p->in);
  waitpid(p->pid, NULL, 0);
}

#endif
