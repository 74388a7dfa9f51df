/* A request's text: method, target, headers and body, one a line ("name: value"; an empty line ends them). No request that was not signed is accepted, and what
 * is read stays inside of it. */
#include <stdlib.h>

#include "aws/sigv4.h"
#include "base/vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_slice line_of(mc_slice *rest)
{
  size_t end = mc_slice_find(*rest, '\n', 0);
  mc_slice line = mc_slice_sub(*rest, 0, end);
  *rest = mc_slice_sub(*rest, end + 1, rest->len);
  return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_slice rest = mc_slice_of(data, size);
  MC_VEC(mc_http_header) header = {0};
  sigv4_request r = {.method = line_of(&rest), .target = line_of(&rest)};
  mc_slice line;
  while ((line = line_of(&rest)).len) {
    size_t colon = mc_slice_find(line, ':', 0);
    mc_http_header h = {mc_slice_sub(line, 0, colon), mc_slice_trim(mc_slice_sub(line, colon + 1, line.len))};
    if (mc_vec_push(&header, h))
      break;
  }
  r.header = header.at;
  r.header_count = header.len;
  r.body = rest;
  sigv4 s;
  mc_why why;
  if (sigv4_read(&r, &s, &why) == SIGV4_OK) {
    if (sigv4_verify(&r, &s, MC_LIT("a secret that no input was signed with"), s.time_us, &why) == SIGV4_OK)
      abort();
    sigv4_free(&s);
  }
  mc_vec_free(&header);
  return 0;
}
