/* A folder of its own for a fuzz target that must go through files: under $TMPDIR (memory, when tools/fuzz.py runs it), emptied
 * when asked, removed at the end. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

static char scratch_dir[200];

static mc_err scratch_remove_one(void *ctx, const char *name)
{
  char path[600];
  snprintf(path, sizeof path, "%s/%s", scratch_dir, name);
  return mc_fs_unlink(mc_fs_posix(), path, NULL);
}

static inline void scratch_empty(void)
{
  if (mc_fs_list(mc_fs_posix(), scratch_dir, scratch_remove_one, NULL, NULL))
    abort();
}

static void scratch_remove(void)
{
  scratch_empty();
  rmdir(scratch_dir);
}

/* Made at the first call; logging is off from then on: what is damaged is told thousands of times. */
static inline const char *scratch_folder(const char *name)
{
  if (scratch_dir[0])
    return scratch_dir;
  const char *base = getenv("TMPDIR");
  snprintf(scratch_dir, sizeof scratch_dir, "%s/mc-fuzz-%s-%d", base && *base ? base : "/tmp", name, (int)getpid());
  if (mc_fs_mkdirs(mc_fs_posix(), scratch_dir, NULL))
    abort();
  scratch_empty();
  atexit(scratch_remove);
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  return scratch_dir;
}

static inline const char *scratch_path(const char *name)
{
  static char path[400];
  snprintf(path, sizeof path, "%s/%s", scratch_dir, name);
  return path;
}

/* Not synced: it need not outlive the process. */
static inline void scratch_write(const char *name, mc_slice content)
{
  mc_file *file;
  if (mc_file_open(mc_fs_posix(), scratch_path(name), MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, &file, NULL))
    abort();
  if (content.len && mc_file_pwrite(file, content.data, content.len, 0, NULL))
    abort();
  mc_file_close(&file);
}

#endif
