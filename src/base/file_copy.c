#include <stdlib.h>

#include "base/crc32c.h"
#include "base/file_seam.h"

/* Whole files, piece by piece: they may be larger than memory. */

enum { PIECE = 1 << 20 };

/* Reads `in` to its end; writes it to `out` unless that is NULL. */
static mc_err pass(mc_file *in, mc_file *out, uint64_t *bytes, uint32_t *crc, mc_why *why)
{
  uint8_t *piece = malloc(PIECE);
  if (!piece)
    return mc_err_set(why, MC_ERR_MEMORY, "%s: out of memory", in->path);
  size_t got = PIECE;
  mc_err err = MC_OK;
  *bytes = 0;
  *crc = 0;
  while (!err && got == PIECE) {
    err = mc_file_pread(in, piece, PIECE, *bytes, &got, why);
    if (!err && out && got)
      err = mc_file_pwrite(out, piece, got, *bytes, why);
    if (!err) {
      *crc = mc_crc32c(*crc, piece, got);
      *bytes += got;
    }
  }
  free(piece);
  return err;
}

mc_err mc_fs_sum(const mc_fs *fs, const char *path, uint64_t *bytes, uint32_t *crc, mc_why *why)
{
  mc_file *in;
  MC_TRY(mc_file_open(fs, path, MC_FILE_READ, &in, why));
  mc_err err = pass(in, NULL, bytes, crc, why);
  mc_file_close(&in);
  return err;
}

mc_err mc_fs_copy(const mc_fs *fs, const char *from, const char *to, unsigned mode, uint64_t *bytes, uint32_t *crc, mc_why *why)
{
  mc_file *in, *out = NULL;
  MC_TRY(mc_file_open(fs, from, MC_FILE_READ, &in, why));
  mc_err err = fs->ops->open(fs, to, MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, mode, &out, why);
  bool made = !err;
  if (!err)
    err = pass(in, out, bytes, crc, why);
  if (!err)
    err = mc_file_sync(out, why);
  mc_file_close(&in);
  mc_file_close(&out);
  if (err && made)
    mc_fs_unlink(fs, to, NULL);
  return err;
}
