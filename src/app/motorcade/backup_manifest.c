/* The list of what a backup holds. Text, written last: a folder without it is no backup. Its own checksum is the last line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/backup.h"
#include "base/crc32c.h"

enum { MANIFEST_MAX = 64 << 20 };

static const char *const state_name[BACKUP_STATES] = {"gateway", "twin", "store"};

const char *backup_state_path(backup_state s)
{
  static const char *const path[BACKUP_STATES] = {"gateway/sessions.checkpoint", "twin/twin.checkpoint", "store/manifest"};
  return path[s];
}

/* Where each format says which offset it reflects: gateway README (magic, version, floor), twin README (magic, offset), store README (line 2). */
uint64_t backup_state_offset(const mc_fs *fs, const char *dir, backup_state s)
{
  char path[BACKUP_PATH], head[64] = {0};
  mc_file *file;
  size_t got = 0;
  uint64_t offset;
  snprintf(path, sizeof path, "%s/%s", dir, backup_state_path(s));
  if (mc_file_open(fs, path, MC_FILE_READ, &file, NULL))
    return UINT64_MAX;
  mc_err err = mc_file_pread(file, head, sizeof head - 1, 0, &got, NULL);
  mc_file_close(&file);
  if (err || got < 32)
    return UINT64_MAX;
  if (s == BACKUP_GATEWAY)
    return memcmp(head, "MCGW", 4) ? UINT64_MAX : mc_load_le64((const uint8_t *)head + 8);
  if (s == BACKUP_TWIN)
    return memcmp(head, "MCTWIN01", 8) ? UINT64_MAX : mc_load_le64((const uint8_t *)head + 8);
  return sscanf(head, "motorcade-store 1\noffset %" SCNu64, &offset) == 1 ? offset : UINT64_MAX;
}

mc_err backup_manifest_add(backup_manifest *m, const char *path, uint64_t bytes, uint32_t crc)
{
  backup_file f = {.bytes = bytes, .crc = crc};
  if (!mc_slice_to_str(mc_slice_str(path), f.path, sizeof f.path) || strchr(path, '\n'))
    return MC_ERR_TOO_LARGE;
  return mc_vec_push(&m->file, f);
}

void backup_manifest_free(backup_manifest *m)
{
  mc_vec_free(&m->file);
}

static mc_err print(const backup_manifest *m, mc_buf *out)
{
  MC_TRY(mc_buf_printf(out, "motorcade-backup 1\ntime %" PRId64 "\nfirst %" PRIu64 "\nend %" PRIu64 "\nend-time %" PRId64 "\n", m->time_us, m->first, m->end,
                       m->end_time_us));
  for (int s = 0; s < BACKUP_STATES; s++)
    if (m->state[s] != UINT64_MAX)
      MC_TRY(mc_buf_printf(out, "state %s %" PRIu64 "\n", state_name[s], m->state[s]));
  if (m->since[0])
    MC_TRY(mc_buf_printf(out, "since %s\n", m->since));
  for (size_t i = 0; i < m->file.len; i++)
    MC_TRY(mc_buf_printf(out, "file %" PRIu64 " %08x %s\n", m->file.at[i].bytes, m->file.at[i].crc, m->file.at[i].path));
  return mc_buf_printf(out, "crc %08x\n", mc_crc32c(0, out->data, out->len));
}

mc_err backup_manifest_write(const mc_fs *fs, const char *dir, const backup_manifest *m, mc_why *why)
{
  mc_buf text = {0};
  char path[BACKUP_PATH];
  snprintf(path, sizeof path, "%s/backup", dir);
  mc_err err = print(m, &text);
  err = err ? mc_err_set(why, err, "%s: out of memory", path) : mc_fs_replace(fs, path, mc_buf_slice(&text), 0600, why);
  mc_buf_free(&text);
  return err;
}

static mc_err take_line(backup_manifest *m, const char *line)
{
  char name[16];
  uint64_t v;
  uint32_t crc;
  int at = 0;
  if (sscanf(line, "time %" SCNd64, &m->time_us) == 1 || sscanf(line, "first %" SCNu64, &m->first) == 1 || sscanf(line, "end-time %" SCNd64, &m->end_time_us) == 1 ||
      sscanf(line, "end %" SCNu64, &m->end) == 1)
    return MC_OK;
  if (sscanf(line, "state %15s %" SCNu64, name, &v) == 2) {
    for (int s = 0; s < BACKUP_STATES; s++)
      if (!strcmp(name, state_name[s]))
        m->state[s] = v;
    return MC_OK;
  }
  if (!strncmp(line, "since ", 6))
    return mc_slice_to_str(mc_slice_str(line + 6), m->since, sizeof m->since) ? MC_OK : MC_ERR_TOO_LARGE;
  if (sscanf(line, "file %" SCNu64 " %" SCNx32 " %n", &v, &crc, &at) == 2 && at && line[at] && line[at] != '/' && !strstr(line + at, ".."))
    return backup_manifest_add(m, line + at, v, crc);
  return MC_ERR_MALFORMED;
}

static mc_err parse(backup_manifest *m, mc_buf *text, const char *path, mc_why *why)
{
  static const char first[] = "motorcade-backup 1\n";
  size_t tail = text->len > 13 ? text->len - 13 : 0;
  char hex[9] = {0};
  if (text->len < sizeof first + 13 || memcmp(text->data + tail, "crc ", 4) != 0)
    return mc_err_set(why, MC_ERR_TRUNCATED, "%s: its last line is not the checksum; this backup is damaged, use another one", path);
  memcpy(hex, text->data + tail + 4, 8);
  if (strtoul(hex, NULL, 16) != mc_crc32c(0, text->data, tail))
    return mc_err_set(why, MC_ERR_CHECKSUM, "%s: checksum differs; this backup is damaged, use another one", path);
  if (memcmp(text->data, first, sizeof first - 1) != 0)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "%s: made by a later version of motorcade; use that version", path);
  text->data[tail] = 0;
  int number = 2;
  for (char *line = (char *)text->data + sizeof first - 1, *end; *line; line = end + 1, number++) {
    if (!(end = strchr(line, '\n')))
      break;
    *end = 0;
    mc_err err = take_line(m, line);
    if (err)
      return mc_err_set(why, err, "%s: line %d cannot be read; this backup is damaged, use another one", path, number);
  }
  return MC_OK;
}

mc_err backup_manifest_read(const mc_fs *fs, const char *dir, backup_manifest *m, mc_why *why)
{
  mc_buf text = {0};
  char path[BACKUP_PATH];
  *m = (backup_manifest){.state = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
  snprintf(path, sizeof path, "%s/backup", dir);
  mc_err err = mc_fs_read(fs, path, MANIFEST_MAX, &text, why);
  if (err == MC_ERR_NOT_FOUND)
    mc_err_set(why, err, "%s is missing: %s is no backup, or one that was not finished; use another one", path, dir);
  if (!err)
    err = parse(m, &text, path, why);
  mc_buf_free(&text);
  if (err)
    backup_manifest_free(m);
  return err;
}

mc_err backup_check(const mc_fs *fs, const char *dir, const backup_manifest *m, mc_why *why)
{
  char path[BACKUP_PATH];
  for (size_t i = 0; i < m->file.len; i++) {
    const backup_file *f = &m->file.at[i];
    uint64_t bytes;
    uint32_t crc;
    snprintf(path, sizeof path, "%s/%s", dir, f->path);
    mc_err err = mc_fs_sum(fs, path, &bytes, &crc, why);
    if (err == MC_ERR_NOT_FOUND)
      return mc_err_set(why, MC_ERR_CHECKSUM, "%s is missing from the backup; nothing was restored; use another backup", path);
    if (err)
      return err;
    if (bytes != f->bytes || crc != f->crc)
      return mc_err_set(why, MC_ERR_CHECKSUM, "%s is damaged (%" PRIu64 " bytes, checksum %08x; written were %" PRIu64 " and %08x); nothing was restored; use another backup",
                        path, bytes, crc, f->bytes, f->crc);
  }
  return MC_OK;
}
