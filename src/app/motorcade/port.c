#include "app/motorcade/port.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

mc_err port_require_free(const char *host, uint16_t port, const char *setting, mc_why *why)
{
  char text[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
  mc_err err = MC_OK;
  snprintf(text, sizeof text, "%u", port);
  if (!port || getaddrinfo(host, text, &hints, &list))
    return MC_OK; /* a name that does not resolve is refused by the listener, with its reason */
  for (struct addrinfo *a = list; a && !err; a = a->ai_next) {
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
      continue;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* connections that linger do not count, listeners do */
    if (bind(fd, a->ai_addr, a->ai_addrlen) && errno == EADDRINUSE)
      err =
          mc_err_set(why, MC_ERR_CONFLICT, "port %u is taken by another program: stop it, or choose another port with --%s", port, setting);
    close(fd);
  }
  freeaddrinfo(list);
  return err;
}
