/* Any bytes as requests for a shadow, one after the other (split at zero bytes): refused or done, never both, and what is kept reads back as it was.
 * Input: first byte: limits; then requests; one that begins with D deletes. */
#include <stdlib.h>
#include <string.h>

#include "twin/shadow_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
  if (!good)
    abort();
}

static void keep_and_compare(const shadow_document *d)
{
  mc_buf one = {0}, two = {0};
  shadow_document back;
  must(!shadow_document_write(d, &one) && !shadow_document_read(mc_buf_slice(&one), &back) && !shadow_document_write(&back, &two));
  must(mc_slice_eq(mc_buf_slice(&one), mc_buf_slice(&two)) && back.version == d->version && back.exists == d->exists);
  shadow_document_clear(&back);
  mc_buf_free(&one);
  mc_buf_free(&two);
}

static void is_json(const mc_buf *text)
{
  json_t *root = json_loadb((const char *)text->data, text->len, 0, NULL);
  must(json_is_object(root));
  json_decref(root);
}

static void one_request(shadow_document *d, mc_slice payload, const shadow_limits *limits)
{
  shadow_request r;
  shadow_texts t = {0};
  shadow_fault fault = {0};
  mc_buf out = {0};
  uint64_t version = d->version;
  bool deletes = payload.len && payload.data[0] == 'D';
  if (deletes)
    payload = mc_slice_sub(payload, 1, payload.len);
  bool good = shadow_request_read(payload, !deletes, limits, &r, &fault);
  must(r.token.len <= SHADOW_TOKEN);
  if (good)
    good = deletes ? shadow_document_delete(d, &r, 7, &out, &fault) : shadow_document_update(d, &r, limits, 7, &t, &fault);
  must(good == !fault.code && d->version == version + (good && !deletes));
  if (!good)
    must(!shadow_fault_write(&fault, r.token, 7, &out));
  is_json(t.accepted.len ? &t.accepted : &out);
  if (t.documents.len)
    is_json(&t.documents);
  if (t.delta.len)
    is_json(&t.delta);
  mc_buf_clear(&out);
  if (shadow_document_get(d, r.token, 7, &out, &fault))
    is_json(&out);
  shadow_texts_free(&t);
  shadow_request_free(&r);
  mc_buf_free(&out);
  keep_and_compare(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  shadow_document d = {0};
  if (!size)
    return 0;
  shadow_limits limits = {.bytes = 64u << (data[0] & 7), .depth = 1u + (data[0] >> 3 & 7)};
  mc_slice rest = mc_slice_of(data + 1, size - 1);
  while (rest.len) {
    size_t end = mc_slice_find(rest, 0, 0);
    one_request(&d, mc_slice_sub(rest, 0, end), &limits);
    rest = mc_slice_sub(rest, end + 1, rest.len);
  }
  shadow_document stored;
  if (!shadow_document_read(mc_slice_of(data, size), &stored))
    shadow_document_clear(&stored);
  shadow_document_clear(&d);
  return 0;
}
