/* Any bytes as the twin's checkpoint: read, or set aside and begun anew; never a refusal to start. What was read is written again and must
 * read the same. Input: a mode byte, then the file. Mode bit 0: magic and checksum are made right. */
#include "base/crc32c.h"
#include "scratch.h"
#include "twin/twin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_role role_of(void *ctx, uint32_t tenant, uint32_t signal) { return (mc_role)(signal % 12); }
static bool encoding_of(void *ctx, uint32_t encoding, mc_encoding *out) { return false; }

static mc_twin *open_twin(const char *dir)
{
  mc_twin_config config = {.fs = mc_fs_posix(), .dir = dir, .role_of = role_of, .encoding_of = encoding_of};
  mc_twin *t;
  mc_why why = {0};
  if (mc_twin_open(&config, &t, &why))
    abort(); /* a damaged checkpoint must never keep the platform from starting */
  return t;
}

static void look(mc_twin *t)
{
  mc_vehicle_now_vec list = {0};
  mc_twin_changed(t, 1, 0, &list);
  for (size_t i = 0; i < list.len; i++) {
    mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
    mc_latest *latest;
    size_t count;
    mc_why why;
    if (mc_twin_latest(t, 1, list.at[i].vehicle, &arena, &latest, &count, &why))
      abort();
    for (size_t k = 1; k < count; k++)
      if (latest[k - 1].signal >= latest[k].signal)
        abort();
    mc_vehicle_now_motion(&list.at[i], 1700000000000000LL);
  }
  mc_vec_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 40000)
    return 0;
  const char *dir = scratch_folder("twin");
  scratch_empty();
  uint8_t *copy = malloc(size);
  if (!copy)
    return 0;
  memcpy(copy, data + 1, size - 1);
  if ((data[0] & 1) && size > 13) {
    memcpy(copy, "MCTWIN01", 8);
    mc_store_le32(copy + size - 5, mc_crc32c(0, copy, size - 5));
  }
  scratch_write("twin.checkpoint", mc_slice_of(copy, size - 1));
  free(copy);
  mc_twin_stats was, is;
  mc_twin *t = open_twin(dir);
  uint64_t offset = mc_twin_offset(t);
  look(t);
  mc_twin_stats_get(t, &was);
  mc_twin_close(&t);
  t = open_twin(dir);
  mc_twin_stats_get(t, &is);
  if (is.vehicles != was.vehicles || is.values != was.values || mc_twin_offset(t) != offset)
    abort();
  mc_twin_close(&t);
  return 0;
}
