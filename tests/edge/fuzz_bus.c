/* Any datagram on the user-space bus: frames that are well-formed, or nothing. Goes through a real socket on the loopback. Input: the
 * datagram; with a zero first byte the rest is a bus URL instead. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/edge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(void *ctx, const mc_can_frame *f)
{
  if (f->len > 64 || f->id > (f->extended ? 0x1FFFFFFFu : 0x7FFu) || !f->time_us)
    abort();
}

static void open_url(mc_loop *loop, const uint8_t *data, size_t size)
{
  char url[200];
  mc_bus *bus = NULL;
  mc_why why = {0};
  mc_slice_to_str(mc_slice_of(data, size), url, sizeof url);
  if (mc_bus_open(loop, url, NULL, NULL, &bus, &why) == MC_OK)
    mc_bus_close(&bus);
  else if (!why.text[0])
    abort(); /* a refusal without a reason */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static mc_loop *loop;
  static mc_bus *bus;
  static struct sockaddr_in to;
  static int fd;
  if (!loop && mc_loop_create(&loop, NULL))
    abort();
  for (int i = 0; !bus && i < 50; i++) {
    char url[64];
    to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)(20000 + (getpid() + i * 97) % 40000)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    snprintf(url, sizeof url, "udp://127.0.0.1:%u/?channel=65000", ntohs(to.sin_port));
    if (mc_bus_open(loop, url, take, NULL, &bus, NULL) == MC_OK)
      fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  }
  if (!bus)
    abort();
  if (size && !data[0]) {
    open_url(loop, data + 1, size - 1);
    return 0;
  }
  if (size > 1472 || sendto(fd, data, size, 0, (struct sockaddr *)&to, sizeof to) < 0)
    return 0;
  mc_loop_turn(loop, 0);
  return 0;
}
