/* Any bytes as a backup's list, and as the checkpoints that a restore looks into: read, and then written the same again; or refused with a file and a
 * line. Input: a mode byte, then the file. Mode bit 0: the right checksum line is put behind it. */
#include "app/motorcade/backup.h"
#include "base/crc32c.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  backup_manifest m = {0}, again = {0};
  mc_why why = {0};
  if (size < 1)
    return 0;
  const char *dir = scratch_folder("backup");
  mc_buf file = {0};
  mc_buf_append(&file, data + 1, size - 1);
  if (data[0] & 1)
    mc_buf_printf(&file, "crc %08x\n", mc_crc32c(0, file.data, file.len));
  scratch_write("backup", mc_buf_slice(&file));
  if (backup_manifest_read(mc_fs_posix(), dir, &m, &why)) {
    if (!strstr(why.text, dir))
      abort(); /* a refusal that does not say where */
    mc_buf_free(&file);
    return 0;
  }
  for (size_t i = 0; i < m.file.len; i++)
    if (m.file.at[i].path[0] == '/' || strstr(m.file.at[i].path, "..") || !memchr(m.file.at[i].path, 0, sizeof m.file.at[i].path))
      abort(); /* outside of the folder */
  backup_check(mc_fs_posix(), dir, &m, &why);
  if (backup_manifest_write(mc_fs_posix(), dir, &m, &why) || backup_manifest_read(mc_fs_posix(), dir, &again, &why))
    abort();
  bool same = m.time_us == again.time_us && m.first == again.first && m.end == again.end && m.end_time_us == again.end_time_us &&
              memcmp(m.state, again.state, sizeof m.state) == 0 && strcmp(m.since, again.since) == 0 && m.file.len == again.file.len;
  for (size_t i = 0; same && i < m.file.len; i++)
    same = m.file.at[i].bytes == again.file.at[i].bytes && m.file.at[i].crc == again.file.at[i].crc && strcmp(m.file.at[i].path, again.file.at[i].path) == 0;
  if (!same)
    abort();
  backup_manifest_free(&m);
  backup_manifest_free(&again);
  mc_buf_free(&file);
  return 0;
}
