/* motorcade journal: look at the durable log without disturbing who writes it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/motorcade/command.h"
#include "base/clock.h"
#include "format/json.h"
#include "journal/journal.h"

static const char *const stream_name[16] = {
    [MC_STREAM_MESSAGE] = "message", [MC_STREAM_TELEMETRY] = "telemetry", [MC_STREAM_CHECKIN] = "checkin",
    [MC_STREAM_SESSION] = "session", [MC_STREAM_REGISTRY] = "registry",   [MC_STREAM_AUDIT] = "audit",
    [MC_STREAM_COMMAND] = "command"};

static const char *name_of(int stream)
{
  return stream > 0 && stream < 16 && stream_name[stream] ? stream_name[stream] : "unknown";
}

static void print_record(const mc_record *r, bool json)
{
  char when[MC_CLOCK_TEXT];
  mc_clock_format_us(r->time_us, when);
  if (!json) {
    printf("%" PRIu64 " %s %-9s p%02u t%u #%u %.*s %zu B\n", r->offset, when, name_of(r->stream), r->partition, r->tenant, r->principal,
           MC_FMT(r->topic), r->payload.len);
    return;
  }
  mc_buf line = {0};
  mc_json j = mc_json_to(&line);
  mc_json_object(&j);
  mc_json_uint_field(&j, "offset", r->offset);
  mc_json_str_field(&j, "time", when);
  mc_json_str_field(&j, "stream", name_of(r->stream));
  mc_json_uint_field(&j, "partition", r->partition);
  mc_json_uint_field(&j, "tenant", r->tenant);
  mc_json_uint_field(&j, "principal", r->principal);
  mc_json_uint_field(&j, "key_id", r->key_id);
  mc_json_uint_field(&j, "flags", r->flags);
  mc_json_text_field(&j, "topic", r->topic);
  mc_json_uint_field(&j, "bytes", r->payload.len);
  mc_json_object_end(&j);
  if (!mc_json_end(&j))
    printf("%.*s\n", (int)line.len, (const char *)line.data);
  mc_buf_free(&line);
}

/* Says which folder holds no journal; verifying a folder that is not there must not look like a good journal. */
static bool is_there(const settings *s, const char *dir)
{
  struct stat st;
  if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
    return true;
  fprintf(stderr, "motorcade journal: there is no journal in %s: name the data folder with --data; the first start makes its journal\n",
          s->data);
  return false;
}

static int tail(const char *dir, uint64_t from, bool follow, bool json, uint32_t streams, uint64_t limit)
{
  mc_why why = {0};
  mc_journal_reader *reader;
  mc_journal_filter filter = {.streams = streams};
  if (mc_journal_open_reader(mc_fs_posix(), dir, from, filter, &reader, &why))
    return command_fail("journal", why.text);
  int code = 0;
  for (uint64_t n = 0; n < limit;) {
    mc_record r;
    mc_err err = mc_journal_reader_next(reader, &r, &why);
    if (err == MC_ERR_END) {
      if (!follow)
        break;
      fflush(stdout);
      usleep(50000);
      continue;
    }
    if (err) {
      code = command_fail("journal", why.text);
      break;
    }
    print_record(&r, json);
    n++;
    if (ferror(stdout)) /* `| head` has seen enough */
      break;
  }
  mc_journal_reader_destroy(&reader);
  return code;
}

static void print_report(const mc_journal_report *r, bool json)
{
  mc_buf text = {0};
  mc_json j = mc_json_to(&text);
  mc_json_object(&j);
  mc_json_uint_field(&j, "first_offset", r->first_offset);
  mc_json_uint_field(&j, "end_offset", r->end_offset);
  mc_json_uint_field(&j, "segments", r->segments);
  mc_json_uint_field(&j, "groups", r->groups);
  mc_json_uint_field(&j, "records", r->records);
  mc_json_uint_field(&j, "bytes", r->bytes);
  mc_json_bool_field(&j, "torn_tail", r->torn_tail);
  mc_json_key(&j, "streams");
  mc_json_object(&j);
  for (int i = 0; i < 16; i++)
    if (r->records_by_stream[i])
      mc_json_uint_field(&j, name_of(i), r->records_by_stream[i]);
  mc_json_object_end(&j);
  if (r->damaged_at != UINT64_MAX)
    mc_json_uint_field(&j, "damaged_at", r->damaged_at);
  mc_json_object_end(&j);
  if (json) {
    printf("%.*s\n", (int)text.len, (const char *)text.data);
  } else {
    printf("offsets   %" PRIu64 " to %" PRIu64 "\nsegments  %" PRIu64 "\ngroups    %" PRIu64 "\nrecords   %" PRIu64 "\nbytes     %" PRIu64
           "\n",
           r->first_offset, r->end_offset, r->segments, r->groups, r->records, r->bytes);
    for (int i = 0; i < 16; i++)
      if (r->records_by_stream[i])
        printf("  %-9s %" PRIu64 "\n", name_of(i), r->records_by_stream[i]);
    if (r->torn_tail)
      puts("torn tail: the last group is not whole; normal after a crash, cut at the next start");
  }
  mc_buf_free(&text);
}

int command_journal(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade journal tail [--data DIR] [--from OFFSET] [--stream NAME] [--limit N] [--follow] [--json]\n"
                              "       motorcade journal verify [--data DIR] [--json]\n"
                              "       motorcade journal stats [--data DIR] [--json]\n"
                              "Streams: message, telemetry, checkin, session, registry, audit, command.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  const char *from = option_take(&argc, argv, "--from", "0"), *stream = option_take(&argc, argv, "--stream", NULL),
             *limit = option_take(&argc, argv, "--limit", NULL);
  bool follow = option_flag(&argc, argv, "--follow"), json = option_flag(&argc, argv, "--json");
  settings s;
  if (!command_settings(&argc, argv, &s))
    return 1;
  const char *word = option_word(&argc, argv), *what = word ? word : "";
  char dir[600];
  snprintf(dir, sizeof dir, "%s/journal", s.data);
  uint32_t streams = 0;
  for (int i = 0; i < 16 && stream; i++)
    if (stream_name[i] && !strcmp(stream, stream_name[i]))
      streams = 1u << i;
  uint64_t offset, most = UINT64_MAX;
  if (stream && !streams)
    return fprintf(stderr, "motorcade journal: there is no stream \"%s\"\n%s", stream, usage), 2;
  if (mc_slice_to_u64(mc_slice_str(from), &offset) || (limit && mc_slice_to_u64(mc_slice_str(limit), &most)))
    return fprintf(stderr, "motorcade journal: --from and --limit expect whole numbers from 0\n%s", usage), 2;
  if (strcmp(what, "tail") != 0 && strcmp(what, "verify") != 0 && strcmp(what, "stats") != 0)
    return fprintf(stderr, "motorcade journal: expected tail, verify or stats, found \"%s\"\n%s", what, usage), 2;
  if (option_left(argc, argv, usage))
    return 2;
  if (!is_there(&s, dir))
    return 1;
  if (!strcmp(what, "tail"))
    return tail(dir, offset, follow, json, streams, most);
  mc_journal_report report;
  mc_why why = {0};
  mc_err err = mc_journal_verify(mc_fs_posix(), dir, &report, &why);
  if (err && report.damaged_at == UINT64_MAX)
    return command_fail("journal", why.text);
  print_report(&report, json);
  if (report.damaged_at != UINT64_MAX) {
    fprintf(stderr, "motorcade journal: damaged at offset %" PRIu64 ": %s\n", report.damaged_at, why.text);
    return 1;
  }
  if (!strcmp(what, "verify") && !json)
    puts("every group and record has the checksum it was written with");
  return 0;
}
