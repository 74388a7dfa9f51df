/* A decoder manifest's complex types and a message. Input: length of the manifest (16 bits), the manifest, the message. The first complex signal is read: as JSON, and by
 * paths that the message's own bytes give. */
#include "format/cdr.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 2)
    return 0;
  mc_slice in = mc_slice_of(data + 2, size - 2), manifest = mc_slice_sub(in, 0, mc_load_le16(data)), cdr = mc_slice_sub(in, manifest.len, in.len);
  mc_arena arena = MC_ARENA(16 << 20);
  mc_fw_manifest m;
  mc_cdr_types types;
  mc_buf out = {0};
  mc_why why = {0};
  if (mc_fw_read_manifest(manifest, &arena, &m, NULL) == MC_OK && m.complex_count && mc_cdr_types_of(m.complex_type, m.complex_type_count, &arena, &types, &why) == MC_OK &&
      mc_cdr_check(&types, m.complex[0].root_type, &why) == MC_OK) {
    mc_err whole = mc_cdr_json(&types, m.complex[0].root_type, cdr, 1 << 16, &out, &why);
    if (!whole && !out.len)
      abort();
    uint32_t path[4] = {0};
    for (size_t k = 0; k < 4 && k < cdr.len; k++)
      path[k] = cdr.data[cdr.len - 1 - k] % 5;
    for (uint32_t steps = 0; steps <= 4; steps++) {
      mc_fw_value v;
      mc_buf text = {0};
      if (mc_cdr_find(&types, m.complex[0].root_type, cdr, path, steps, &v, &text, &why) == MC_OK && v.type == MC_FW_TYPE_NULL)
        abort();
      mc_buf_free(&text);
    }
  }
  mc_buf_free(&out);
  mc_arena_free(&arena);
  return 0;
}
