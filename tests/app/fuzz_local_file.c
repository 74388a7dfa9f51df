/* Any bytes as <data>/local.json: a port and a token that fits into a header line, or an error that says what to do. */
#include "app/motorcade/local_file.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  uint16_t port = 0;
  char token[64];
  mc_why why = {0};
  const char *dir = scratch_folder("local-file");
  scratch_write("local.json", mc_slice_of(data, size));
  if (local_file_read(dir, &port, token, &why)) {
    if (!strstr(why.text, dir))
      abort(); /* a refusal that does not say where */
    return 0;
  }
  if (!port || !token[0] || !memchr(token, 0, sizeof token) || strpbrk(token, "\r\n \t:"))
    abort();
  return 0;
}
