/* FleetWise's last known state and commands: byte 0 chooses the message. What is taken is written, read and written again: the same bytes. */
#include <stdlib.h>

#include "format/fleetwise_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef union any {
  mc_fw_state_templates templates;
  mc_fw_state_data data;
  mc_fw_last_known_state known;
  mc_fw_command_request request;
  mc_fw_command_response response;
} any;

static mc_err read_one(int kind, mc_slice in, mc_arena *arena, any *out, mc_why *why)
{
  return kind == 0   ? mc_fw_read_state_templates(in, arena, &out->templates, why)
         : kind == 1 ? mc_fw_read_state_data(in, arena, &out->data, why)
         : kind == 2 ? mc_fw_read_last_known_state(in, arena, &out->known, why)
         : kind == 3 ? mc_fw_read_command_request(in, arena, &out->request, why)
                     : mc_fw_read_command_response(in, arena, &out->response, why);
}

static mc_err write_one(int kind, mc_buf *out, const any *m)
{
  return kind == 0   ? mc_fw_write_state_templates(out, &m->templates)
         : kind == 1 ? mc_fw_write_state_data(out, &m->data)
         : kind == 2 ? mc_fw_write_last_known_state(out, &m->known)
         : kind == 3 ? mc_fw_write_command_request(out, &m->request)
                     : mc_fw_write_command_response(out, &m->response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1)
    return 0;
  int kind = data[0] % 5;
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
