/* motorcade backup, motorcade restore: the whole data folder, while the platform runs, and the way back. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/motorcade/backup.h"
#include "app/motorcade/command.h"
#include "base/clock.h"
#include "journal/journal.h"

int command_backup(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade backup --out DIR [--since DIR] [--data DIR] [--json]\n"
      "Copies journal, history, checkpoints, database, keys and settings of the data folder into a new folder, while the platform runs.\n"
      "With --since, files that an earlier backup holds already are shared with it (hard links, on the same disk); every backup stays whole by itself.\n"
      "A backup holds keys: keep it as you keep the data folder.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  const char *out = option_take(&argc, argv, "--out", NULL), *since = option_take(&argc, argv, "--since", NULL);
  bool json = option_flag(&argc, argv, "--json");
  settings s;
  if (!command_settings(&argc, argv, &s))
    return 1;
  if (option_left(argc, argv, usage))
    return 2;
  if (!out)
    return fprintf(stderr, "motorcade backup: name a new folder with --out\n%s", usage), 2;
  backup_manifest m;
  uint64_t reused = 0, bytes = 0;
  mc_why why = {0};
  mc_err err = backup_make(mc_fs_posix(), s.data, out, since, &m, &reused, &why);
  for (size_t i = 0; i < m.file.len; i++)
    bytes += m.file.at[i].bytes;
  char when[MC_CLOCK_TEXT] = "";
  if (m.end_time_us)
    mc_clock_format_us(m.end_time_us, when);
  if (!err && json)
    printf("{\"files\":%zu,\"bytes\":%" PRIu64 ",\"shared\":%" PRIu64 ",\"first_offset\":%" PRIu64 ",\"end_offset\":%" PRIu64 ",\"end_time\":\"%s\"}\n", m.file.len, bytes,
           reused, m.first, m.end, when);
  else if (!err)
    printf("%zu files, %" PRIu64 " bytes (%" PRIu64 " shared with the backup before) in %s\njournal %" PRIu64 " to %" PRIu64 "%s%s\n", m.file.len, bytes, reused, out,
           m.first, m.end, *when ? ", last group " : "", when);
  backup_manifest_free(&m);
  return err ? command_fail("backup", why.text) : 0;
}

static bool parse_point(const char *text, uint64_t *offset, int64_t *time_us)
{
  *offset = UINT64_MAX;
  *time_us = INT64_MAX;
  return !text || !mc_slice_to_u64(mc_slice_str(text), offset) || !mc_clock_parse_us(mc_slice_str(text), time_us);
}

static uint64_t behind(const restore_report *r, bool registry)
{
  uint64_t sum = 0;
  for (int i = 0; i < 16; i++)
    if ((i == MC_STREAM_REGISTRY) == registry)
      sum += r->records_behind[i];
  return sum;
}

/* What a backup cannot know: what was taken away after it was made. */
static void print_taken(const restore_report *r, bool asked)
{
  const mc_taken_away *t = &r->taken;
  puts("sign-ins of that time have ended; everybody signs in again");
  if (asked)
    printf("taken away again, as it was since the backup: %" PRIu64 " data keys, %" PRIu64 " certificates, %" PRIu64 " devices, %" PRIu64 " tokens and access keys, %" PRIu64
           " users (disabled, or with their newer password)\n",
           t->keys, t->certificates, t->devices, t->tokens, t->accounts);
  if (asked)
    return;
  puts("what was revoked, disabled or given a new password since the backup was made is as it was then: restore with --newer to take it away again");
  if (r->subject_keys)
    printf("%" PRIu64 " vehicles have a data key here: one that was erased since the backup was made is READABLE again; restore with --newer or its --receipt to keep it erased\n",
           r->subject_keys);
}

static void print_text(const restore_report *r, const char *data, const char *when, bool asked)
{
  printf("restored into %s: the journal ends at offset %" PRIu64 "%s%s\n", data, r->cut, *when ? ", written " : "", when);
  printf("sessions and retained messages: %s\n", r->kept[BACKUP_GATEWAY] ? "checkpoint, then the journal up to that point" : "from the whole journal, as no checkpoint is so old");
  printf("latest values: %s\n", r->kept[BACKUP_TWIN] ? "checkpoint, then the journal up to that point" : "from the whole journal, as no checkpoint is so old");
  puts(r->history_newer ? "history: as of the backup; it keeps samples that arrived after that point, as no earlier backup holds a history so old"
                        : "history: up to that point");
  if (behind(r, false) + behind(r, true))
    printf("left out: %" PRIu64 " records of messages, sessions and audit behind that point\n", behind(r, false));
  if (behind(r, true))
    printf("vehicles, users, certificates, campaigns: as of the backup, with %" PRIu64 " changes made after that point (so that no id is given out twice); see them with\n"
           "  motorcade journal tail --stream registry on the backup\n",
           behind(r, true));
  else
    puts("vehicles, users, certificates, campaigns: as of the backup; no change of vehicles was made after that point");
  print_taken(r, asked);
}

int command_restore(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade restore --from DIR --data NEWDIR [--at TIME|OFFSET] [--newer DIR] [--receipt FILE]... [--json]\n"
                              "Makes a data folder out of a backup, as it was at a journal offset or a time (2026-11-30T10:00:00Z): everything up to the last\n"
                              "group written at or before it. Without --at: all that the backup holds. NEWDIR must be empty or missing.\n"
                              "--newer names the data folder as it is now, or a later backup: what was erased, revoked or disabled there, or got a new password, does so here.\n"
                              "--receipt names the receipt of an erasure: what it destroyed is destroyed here, too.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  const char *from = option_take(&argc, argv, "--from", NULL), *at = option_take(&argc, argv, "--at", NULL), *data = option_take(&argc, argv, "--data", NULL);
  restore_later later = {.newer = option_take(&argc, argv, "--newer", NULL)};
  while (later.receipts < RESTORE_RECEIPTS && (later.receipt[later.receipts] = option_take(&argc, argv, "--receipt", NULL)))
    later.receipts++;
  bool json = option_flag(&argc, argv, "--json");
  if (option_left(argc, argv, usage))
    return 2;
  uint64_t offset;
  int64_t time_us;
  if (!from || !data)
    return fprintf(stderr, "motorcade restore: name the backup with --from and a new folder with --data\n%s", usage), 2;
  if (!parse_point(at, &offset, &time_us))
    return fprintf(stderr, "motorcade restore: --at expects an offset or a time as 2026-11-30T10:00:00Z, found \"%s\"\n", at), 2;
  restore_report r;
  mc_why why = {0};
  if (backup_restore(mc_fs_posix(), from, data, offset, time_us, &later, &r, &why))
    return command_fail("restore", why.text);
  char when[MC_CLOCK_TEXT] = "";
  if (r.cut_time_us)
    mc_clock_format_us(r.cut_time_us, when);
  if (json)
    printf("{\"end_offset\":%" PRIu64 ",\"end_time\":\"%s\",\"sessions_checkpoint\":%s,\"twin_checkpoint\":%s,\"history_newer\":%s,\"records_left_out\":%" PRIu64
           ",\"registry_changes_kept\":%" PRIu64 ",\"taken_away\":{\"keys\":%" PRIu64 ",\"certificates\":%" PRIu64 ",\"devices\":%" PRIu64 ",\"tokens\":%" PRIu64
           ",\"users\":%" PRIu64 "},\"subject_keys\":%" PRIu64 "}\n",
           r.cut, when, r.kept[BACKUP_GATEWAY] ? "true" : "false", r.kept[BACKUP_TWIN] ? "true" : "false", r.history_newer ? "true" : "false", behind(&r, false),
           behind(&r, true), r.taken.keys, r.taken.certificates, r.taken.devices, r.taken.tokens, r.taken.accounts, r.subject_keys);
  else
    print_text(&r, data, when, later.newer || later.receipts);
  return 0;
}
