/* A backup's folder: `backup`, the manifest, beside a copy of the data folder (src/app/README.md). */
#ifndef APP_BACKUP_H
#define APP_BACKUP_H

#include "base/file.h"
#include "base/vec.h"
#include "registry/registry.h"

enum { BACKUP_PATH = 1024 };

typedef struct backup_file {
  char path[256]; /* below the folder */
  uint64_t bytes;
  uint32_t crc;
} backup_file;

/* What a checkpoint reflects: everything of the journal below that offset. */
typedef enum backup_state { BACKUP_GATEWAY, BACKUP_TWIN, BACKUP_STORE, BACKUP_STATES } backup_state;

typedef struct backup_manifest {
  int64_t time_us;           /* when it was finished */
  uint64_t first, end;       /* journal offsets */
  int64_t end_time_us;       /* of the last group */
  uint64_t state[BACKUP_STATES]; /* UINT64_MAX: there was none */
  char since[BACKUP_PATH];   /* folder of the backup before; empty: none */
  MC_VEC(backup_file) file;
} backup_manifest;

const char *backup_state_path(backup_state s); /* "gateway/sessions.checkpoint" ... */
/* The offset that a checkpoint in dir reflects; UINT64_MAX when there is no such file, or none that we know. */
uint64_t backup_state_offset(const mc_fs *fs, const char *dir, backup_state s);

mc_err backup_manifest_write(const mc_fs *fs, const char *dir, const backup_manifest *m, mc_why *why);
/* MC_ERR_NOT_FOUND: no backup, or one that was not finished. */
mc_err backup_manifest_read(const mc_fs *fs, const char *dir, backup_manifest *m, mc_why *why);
void backup_manifest_free(backup_manifest *m);
mc_err backup_manifest_add(backup_manifest *m, const char *path, uint64_t bytes, uint32_t crc);
/* Every file that the manifest names is there, whole. */
mc_err backup_check(const mc_fs *fs, const char *dir, const backup_manifest *m, mc_why *why);

/* The whole data folder, beside the running platform. since: an earlier backup's folder, or NULL. */
mc_err backup_make(const mc_fs *fs, const char *data, const char *out, const char *since, backup_manifest *m, uint64_t *reused, mc_why *why);

typedef struct restore_report {
  uint64_t cut;               /* the journal ends here */
  int64_t cut_time_us;        /* when its last group was written */
  bool from_earlier;          /* checkpoints came from an earlier backup */
  bool kept[BACKUP_STATES];   /* came with the backup; else rebuilt from the journal */
  bool history_newer;         /* history holds rows that arrived behind the cut */
  uint64_t records_behind[16]; /* of the backup's journal, per stream, behind the cut */
  mc_taken_away taken;        /* what was taken away since the backup was made, and was taken away again */
  uint64_t subject_keys;      /* vehicles and persons that have a key of their own in the restored folder */
} restore_report;
/* Who knows what was erased and revoked since the backup was made. */
enum { RESTORE_RECEIPTS = 64 };
typedef struct restore_later {
  const char *newer; /* a data folder or a later backup of the same installation; NULL: none */
  const char *receipt[RESTORE_RECEIPTS];
  size_t receipts;
} restore_later;
/* A data folder out of a backup, as it was at an offset (UINT64_MAX: its end) or a time (INT64_MAX: none). data is empty or missing. */
mc_err backup_restore(const mc_fs *fs, const char *from, const char *data, uint64_t at, int64_t at_us, const restore_later *later, restore_report *out, mc_why *why);

#endif
