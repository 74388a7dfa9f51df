/* FleetWise messages: byte 0 chooses the message. What is taken is written, read and written again: the same bytes. */
#include <stdlib.h>

#include "format/fleetwise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef union any {
  mc_fw_checkin checkin;
  mc_fw_manifest manifest;
  mc_fw_schemes schemes;
  mc_fw_vehicle_data data;
} any;

static mc_err read_one(int kind, mc_slice in, mc_arena *arena, any *out, mc_why *why)
{
  return kind == 0   ? mc_fw_read_checkin(in, arena, &out->checkin, why)
         : kind == 1 ? mc_fw_read_manifest(in, arena, &out->manifest, why)
         : kind == 2 ? mc_fw_read_schemes(in, arena, &out->schemes, why)
                     : mc_fw_read_vehicle_data(in, arena, &out->data, why);
}

static mc_err write_one(int kind, mc_buf *out, const any *m)
{
  return kind == 0   ? mc_fw_write_checkin(out, &m->checkin)
         : kind == 1 ? mc_fw_write_manifest(out, &m->manifest)
         : kind == 2 ? mc_fw_write_schemes(out, &m->schemes)
                     : mc_fw_write_vehicle_data(out, &m->data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1)
    return 0;
  int kind = data[0] & 3;
  any m, again;
  mc_why why = {0};
  MC_ARENA_AUTO mc_arena arena = MC_ARENA(16 << 20);
  mc_err err = read_one(kind, mc_slice_of(data + 1, size - 1), &arena, &m, &why);
  if (err) {
    if (why.err != err || !why.text[0])
      abort();
    return 0;
  }
  mc_buf first = {0}, second = {0};
  MC_ARENA_AUTO mc_arena arena2 = MC_ARENA(16 << 20);
  if (write_one(kind, &first, &m) || read_one(kind, mc_buf_slice(&first), &arena2, &again, &why) || write_one(kind, &second, &again) ||
      !mc_slice_eq(mc_buf_slice(&first), mc_buf_slice(&second)))
    abort();
  mc_buf_free(&first);
  mc_buf_free(&second);
  return 0;
}
