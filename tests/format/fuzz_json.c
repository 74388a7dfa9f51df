/* Any bytes as texts and keys that we write: the output is JSON by another reader's judgement, well-formed UTF-8 comes back as it was, and
 * nothing in it can steer a terminal. Input: two bytes of a key's length, the key, then a text. */
#include <jansson.h>
#include <stdlib.h>

#include "format/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 2)
    return 0;
  mc_slice rest = mc_slice_of(data + 2, size - 2);
  size_t split = mc_load_le16(data) % (rest.len + 1);
  mc_slice key = mc_slice_sub(rest, 0, split), text = mc_slice_sub(rest, split, rest.len);
  mc_buf out = {0};
  mc_json j = mc_json_to(&out);
  mc_json_object(&j);
  mc_json_key_slice(&j, key);
  mc_json_array(&j);
  mc_json_text(&j, text);
  mc_json_text(&j, (mc_slice){0});
  mc_json_array_end(&j);
  mc_json_object_end(&j);
  if (mc_json_end(&j))
    abort();
  for (size_t i = 0; i < out.len; i++)
    if (out.data[i] < 0x20 || out.data[i] == 0x7F)
      abort();
  json_t *root = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
  /* a key with a NUL is JSON, but jansson does not read it (RFC 8259, 7 allows it) */
  if (!root && !(key.len && memchr(key.data, 0, key.len)))
    abort();
  const char *back = NULL;
  json_t *list = NULL;
  json_object_foreach (root, back, list) {
    json_t *value = json_array_get(list, 0);
    if (mc_slice_is_utf8(text) && !mc_slice_eq(text, mc_slice_of(json_string_value(value), json_string_length(value))))
      abort();
    if (mc_slice_is_utf8(key) && !mc_slice_eq_str(key, back))
      abort();
  }
  json_decref(root);
  mc_buf_free(&out);
  return 0;
}
