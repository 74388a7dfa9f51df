#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "signal/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The reader takes a path; a file in memory has one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char path[64];
  mc_catalog c;
  mc_why why = {0};
  int fd = memfd_create("fuzz.vspec", 0);
  if (fd < 0)
    return 0;
  if (size && write(fd, data, size) != (ssize_t)size) {
    close(fd);
    return 0;
  }
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (mc_catalog_read_vspec(path, NULL, 0, &c, &why) == MC_OK)
    mc_catalog_free(&c);
  else if (!why.text[0])
    __builtin_trap();
  close(fd);
  return 0;
}
