/* Any bytes as the spool's files: what is whole is handed out, the rest is cut off, and the spool works on. Input: a mode byte, a cut
 * (16 bits), then one file or, with mode bit 1, two. Mode bit 0: checksums are made right. */
#include "base/crc32c.h"
#include "edge/edge.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
enum { HEAD = 32 };

static void mend(uint8_t *p, size_t len)
{
  for (size_t at = 0; len - at >= HEAD;) {
    size_t n = HEAD + mc_load_le16(p + at + 10) + (size_t)mc_load_le32(p + at + 12);
    if (n > len - at)
      return;
    memcpy(p + at, "MCS1", 4);
    mc_store_le32(p + at + 4, mc_crc32c(0, p + at + 8, n - 8));
    at += n;
  }
}

static mc_spool *open_spool(const char *dir)
{
  mc_spool *s;
  mc_why why;
  if (mc_spool_open(mc_fs_posix(), dir, 1 << 20, &s, &why))
    abort(); /* damage must never keep the agent from starting */
  return s;
}

static void use(const char *dir)
{
  mc_buf topic = {0}, payload = {0};
  uint64_t id, mine, seen = 0;
  mc_why why;
  mc_spool *s = open_spool(dir);
  for (uint64_t count = mc_spool_count(s); mc_spool_peek(s, &id, &topic, &payload, &why) == MC_OK; seen++) {
    if (seen > count)
      abort(); /* more than it says it holds */
    if (id & 1)
      mc_spool_done(s, id);
  }
  if (mc_spool_push(s, 0, MC_LIT("t"), MC_LIT("mine"), &mine, &why) || mc_spool_sync(s, &why))
    abort();
  mc_spool_close(&s);
  s = open_spool(dir);
  bool found = false;
  while (!found && mc_spool_peek(s, &id, &topic, &payload, &why) == MC_OK)
    found = id == mine && mc_slice_eq_str(mc_buf_slice(&payload), "mine");
  if (!found)
    abort(); /* what was synced is there after a restart */
  mc_spool_close(&s);
  mc_buf_free(&topic);
  mc_buf_free(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 3 || size > 40000)
    return 0;
  const char *dir = scratch_folder("spool");
  scratch_empty();
  size_t len = size - 3, cut = data[0] & 2 ? mc_load_le16(data + 1) % (len + 1) : len;
  uint8_t *copy = malloc(len ? len : 1);
  if (!copy)
    return 0;
  memcpy(copy, data + 3, len);
  if (data[0] & 1) {
    mend(copy, cut);
    mend(copy + cut, len - cut);
  }
  scratch_write("spool-0000000000000001.log", mc_slice_of(copy, cut));
  if (cut < len)
    scratch_write("spool-0000000000000002.log", mc_slice_of(copy + cut, len - cut));
  free(copy);
  use(dir);
  return 0;
}
