/* Any bytes, in any two pieces: the parser neither crashes nor reads outside, and splitting changes nothing. */
#include <stdlib.h>

#include "net/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct outcome {
  int requests, status;
  uint64_t hash;
} outcome;

static void take(mc_http_parser *p, outcome *o)
{
  mc_buf path = {0};
  mc_slice query;
  const char *reason;
  mc_slice target = mc_slice_of(p->head.data, p->target.len);
  if (mc_http_target_split(mc_slice_str(llhttp_method_name(p->llhttp.method)), target, &path, &query, &reason))
    o->hash = o->hash * 31 + mc_slice_fnv1a(mc_buf_slice(&path));
  mc_buf_free(&path);
  o->hash = o->hash * 31 + mc_slice_fnv1a(mc_buf_slice(&p->body));
  o->requests++;
  mc_http_parser_next(p);
}

static outcome run(const uint8_t *data, size_t size, size_t cut)
{
  outcome o = {0};
  mc_http_parser p;
  mc_http_parser_init(&p, 4096, 2048);
  for (int part = 0; part < 2 && !p.status; part++) {
    mc_slice in = part ? mc_slice_of(data + cut, size - cut) : mc_slice_of(data, cut);
    for (size_t used = 0; used < in.len && !p.status;) {
      size_t n = mc_http_parser_feed(&p, mc_slice_sub(in, used, in.len));
      used += n;
      if (p.complete)
        take(&p, &o);
      else if (!n && !p.status)
        abort(); /* no progress */
    }
  }
  o.status = p.status;
  mc_http_parser_free(&p);
  return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  outcome whole = run(data, size, size);
  outcome parts = run(data, size, size / 2);
  if (whole.requests != parts.requests || whole.hash != parts.hash || (whole.status != 0) != (parts.status != 0))
    abort();
  return 0;
}
