/* Preloaded into a server under test: the syncs of its journal take as long, and its disk has as much room, as the file named by SLOW_DISK says: "<ms of a sync, -1: it does
 * not end> <MiB free, -1: the truth>". The server itself knows nothing of it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int told(int *sync_ms, long *free_mib)
{
  const char *path = getenv("SLOW_DISK");
  FILE *f = path ? fopen(path, "re") : NULL;
  int ok = f && fscanf(f, "%d %ld", sync_ms, free_mib) == 2;
  if (f)
    fclose(f);
  return ok;
}

static int of_journal(int fd)
{
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  path[n > 0 ? n : 0] = 0;
  return strstr(path, ".mcj") != NULL;
}

int fdatasync(int fd)
{
  static int (*real)(int);
  int ms = 0;
  long mib;
  if (!real)
    real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  if (of_journal(fd) && told(&ms, &mib) && ms > 0)
    usleep((unsigned)ms * 1000);
  while (ms < 0 && told(&ms, &mib) && ms < 0)
    usleep(5000);
  return real(fd);
}

int statvfs(const char *path, struct statvfs *st)
{
  static int (*real)(const char *, struct statvfs *);
  int ms, r;
  long mib;
  if (!real)
    real = (int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT, "statvfs");
  r = real(path, st);
  if (!r && told(&ms, &mib) && mib >= 0)
    st->f_bavail = (unsigned long)mib * ((1ul << 20) / st->f_frsize);
  return r;
}
