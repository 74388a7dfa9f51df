/* Any bytes as the checkpoint of sessions and retained messages: the gateway starts on it, sets it aside unchanged and holds nothing of it,
 * or refuses with a reason (a later version). Input: a mode byte, then the file. Mode bit 0: magic, version and checksum are made right; the next two: of version 1, 2 or 3. */
#include "base/crc32c.h"
#include "gateway/gateway.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_journal *journal;
static mc_loop *loop;
static char journal_dir[240];

/* The one that was set aside, if any; removed. */
static mc_err take_aside(void *ctx, const char *name)
{
  if (!strncmp(name, "sessions.checkpoint.damaged-", 28) && mc_fs_read(mc_fs_posix(), scratch_path(name), 1 << 20, ctx, NULL))
    abort();
  return strncmp(name, "sessions.checkpoint.damaged-", 28) ? MC_OK : mc_fs_unlink(mc_fs_posix(), scratch_path(name), NULL);
}

static mc_err remove_one(void *ctx, const char *name)
{
  char path[600];
  snprintf(path, sizeof path, "%s/%s", journal_dir, name);
  return mc_fs_unlink(mc_fs_posix(), path, NULL);
}

static void end(void)
{
  mc_journal_close(&journal);
  mc_loop_destroy(&loop);
  mc_fs_list(mc_fs_posix(), journal_dir, remove_one, NULL, NULL);
  rmdir(journal_dir);
}

static void begin(void)
{
  scratch_folder("gateway");
  snprintf(journal_dir, sizeof journal_dir, "%s-journal", scratch_dir);
  mc_journal_config config = {.fs = mc_fs_posix(), .dir = journal_dir, .segment_bytes = 1 << 16};
  mc_record r = {.stream = MC_STREAM_MESSAGE, .tenant = 1, .topic = MC_LIT("a/b"), .payload = MC_LIT("x")};
  uint64_t offset;
  if (mc_journal_open(&config, &journal, NULL) || mc_loop_create(&loop, NULL) || mc_journal_append_sync(journal, &r, &offset, NULL))
    abort();
  atexit(end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 40000)
    return 0;
  if (!journal)
    begin();
  uint8_t *copy = malloc(size);
  if (!copy)
    return 0;
  memcpy(copy, data + 1, size - 1);
  if ((data[0] & 1) && size > 40) {
    memcpy(copy, "MCGW", 4);
    mc_store_le32(copy + 4, 1 + (data[0] >> 1) % 3);
    mc_store_le32(copy + size - 5, mc_crc32c(0, copy, size - 5));
  }
  mc_slice file = mc_slice_of(copy, size - 1);
  scratch_write("sessions.checkpoint", file);
  mc_gateway_config config = {.journal = journal, .loop = &loop, .loop_count = 1, .fs = mc_fs_posix(), .dir = scratch_dir};
  mc_gateway *g = NULL;
  mc_why why = {0};
  mc_buf aside = {0};
  mc_err err = mc_gateway_create(&config, &g, &why);
  if (err && (err != MC_ERR_UNSUPPORTED || !why.text[0]))
    abort();
  if (mc_fs_list(mc_fs_posix(), scratch_dir, take_aside, &aside, NULL))
    abort();
  if (aside.len) {
    mc_gateway_stats stats;
    if (err || !mc_slice_eq(mc_buf_slice(&aside), file))
      abort();
    mc_gateway_stats_get(g, &stats);
    if (stats.sessions || stats.subscriptions || stats.retained)
      abort();
  }
  mc_gateway_destroy(&g);
  mc_buf_free(&aside);
  free(copy);
  return 0;
}
