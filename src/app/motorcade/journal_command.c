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
    [MC_STREAM_COMMAND] = "command", [MC_STREAM_SHADOW] = "shadow", [MC_STREAM_GAP] = "gap"};

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

static int tail(const char *dir, uint64_t from, bool follow, bool json, mc_journal_filter filter, uint64_t limit)
{
  mc_why why = {0};
  mc_journal_reader *reader;
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

/* ---- stats and verify ---- */

typedef struct consumer {
  char name[80];
  uint64_t offset;
} consumer;

typedef struct consumers {
  consumer at[64];
  size_t len;
} consumers;

static mc_err note_consumer(void *ctx, mc_slice name, uint64_t offset)
{
  consumers *all = ctx;
  if (all->len == sizeof all->at / sizeof all->at[0])
    return MC_OK;
  consumer *c = &all->at[all->len++];
  mc_slice_to_str(name, c->name, sizeof c->name);
  c->offset = offset;
  return MC_OK;
}

/* Bytes that the size bound would remove, were it not for this consumer. */
static uint64_t held_by(const consumer *c, const mc_journal_report *r, uint64_t bound)
{
  uint64_t goes_below = bound && r->end_offset > bound ? r->end_offset - bound : 0;
  uint64_t from = c->offset > r->first_offset ? c->offset : r->first_offset;
  return goes_below > from ? goes_below - from : 0;
}

static void report_json(const mc_journal_report *r, const consumers *all, uint64_t bound)
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
  mc_json_uint_field(&j, "compacted_records", r->compacted_records);
  mc_json_bool_field(&j, "torn_tail", r->torn_tail);
  mc_json_key(&j, "streams");
  mc_json_object(&j);
  for (int i = 0; i < 16; i++)
    if (r->records_by_stream[i])
      mc_json_uint_field(&j, name_of(i), r->records_by_stream[i]);
  mc_json_object_end(&j);
  mc_json_key(&j, "consumers");
  mc_json_array(&j);
  for (size_t i = 0; i < all->len; i++) {
    mc_json_object(&j);
    mc_json_str_field(&j, "name", all->at[i].name);
    mc_json_uint_field(&j, "offset", all->at[i].offset);
    mc_json_uint_field(&j, "behind", r->end_offset > all->at[i].offset ? r->end_offset - all->at[i].offset : 0);
    mc_json_uint_field(&j, "holds", held_by(&all->at[i], r, bound));
    mc_json_object_end(&j);
  }
  mc_json_array_end(&j);
  if (r->damaged_at != UINT64_MAX)
    mc_json_uint_field(&j, "damaged_at", r->damaged_at);
  if (r->compacted_damaged)
    mc_json_bool_field(&j, "compacted_damaged", true);
  mc_json_object_end(&j);
  if (!mc_json_end(&j))
    printf("%.*s\n", (int)text.len, (const char *)text.data);
  mc_buf_free(&text);
}

static void report_text(const mc_journal_report *r, const consumers *all, uint64_t bound)
{
  printf("offsets   %" PRIu64 " to %" PRIu64 "\nsegments  %" PRIu64 "\ngroups    %" PRIu64 "\nrecords   %" PRIu64 "\nbytes     %" PRIu64 "\n",
         r->first_offset, r->end_offset, r->segments, r->groups, r->records, r->bytes);
  for (int i = 0; i < 16; i++)
    if (r->records_by_stream[i])
      printf("  %-9s %" PRIu64 "\n", name_of(i), r->records_by_stream[i]);
  if (r->compacted_records)
    printf("compacted %" PRIu64 " records that outlived their segments\n", r->compacted_records);
  for (size_t i = 0; i < all->len; i++) {
    const consumer *c = &all->at[i];
    printf("consumer  %s at %" PRIu64 ", %" PRIu64 " bytes behind\n", c->name, c->offset, r->end_offset > c->offset ? r->end_offset - c->offset : 0);
    if (held_by(c, r, bound))
      printf("          holds back %" PRIu64 " bytes that journal_retain_mb would remove\n", held_by(c, r, bound));
  }
  if (r->torn_tail)
    puts("torn tail: the last group is not whole; normal after a crash, cut at the next start");
}

static int look(const settings *s, const char *dir, bool verify, bool json)
{
  mc_journal_report report;
  consumers all = {.len = 0};
  mc_why why = {0}, consumers_why = {0};
  mc_err err = mc_journal_verify(mc_fs_posix(), dir, &report, &why);
  if (err && report.damaged_at == UINT64_MAX && !report.compacted_damaged)
    return command_fail("journal", why.text);
  if (mc_journal_consumers_read(mc_fs_posix(), dir, note_consumer, &all, &consumers_why))
    fprintf(stderr, "motorcade journal: %s\n", consumers_why.text);
  if (json)
    report_json(&report, &all, s->journal_retain_mb << 20);
  else
    report_text(&report, &all, s->journal_retain_mb << 20);
  if (report.damaged_at != UINT64_MAX || report.compacted_damaged)
    return command_fail("journal", why.text);
  if (verify && !json)
    puts("every group and record has the checksum it was written with");
  return 0;
}

/* ---- repair ---- */

static void print_loss(void *ctx, const mc_journal_loss *l)
{
  bool json = *(const bool *)ctx;
  if (json) {
    mc_buf text = {0};
    mc_json j = mc_json_to(&text);
    mc_json_object(&j);
    mc_json_uint_field(&j, "from", l->from);
    mc_json_uint_field(&j, "to", l->to);
    mc_json_bool_field(&j, "compacted", l->compacted);
    mc_json_bool_field(&j, "missing", l->missing);
    mc_json_uint_field(&j, "records_saved", l->records_saved);
    mc_json_uint_field(&j, "records_lost", l->records_lost);
    if (l->stream)
      mc_json_str_field(&j, "stream", name_of(l->stream));
    mc_json_str_field(&j, "topic", l->topic);
    mc_json_str_field(&j, "kept_as", l->kept_as);
    mc_json_object_end(&j);
    if (!mc_json_end(&j))
      printf("%.*s\n", (int)text.len, (const char *)text.data);
    mc_buf_free(&text);
    return;
  }
  printf("%s %" PRIu64 " to %" PRIu64 ": ", l->compacted ? "compacted file, bytes" : "offsets", l->from, l->to);
  if (l->missing)
    puts("the file is gone; an empty segment takes its place");
  else if (!l->records_lost)
    printf("a header or seal was damaged; no record is lost; the bytes are kept as %s\n", l->kept_as);
  else
    printf("at least %" PRIu64 " record%s lost%s%s%s%s, %" PRIu64 " saved; the bytes are kept as %s\n", l->records_lost, l->records_lost == 1 ? "" : "s",
           l->stream ? ", the first of stream " : "", l->stream ? name_of(l->stream) : "", l->topic[0] ? " on " : "", l->topic, l->records_saved, l->kept_as);
}

static int repair(const char *dir, bool json)
{
  mc_journal_repair_report r;
  mc_why why = {0};
  if (mc_journal_repair(mc_fs_posix(), dir, print_loss, &json, &r, &why))
    return command_fail("journal", why.text);
  if (json)
    return 0;
  if (r.ranges)
    printf("%" PRIu64 " ranges, %" PRIu64 " bytes set aside; at least %" PRIu64 " records lost, %" PRIu64 " saved inside damaged ranges\n", r.ranges, r.bytes,
           r.records_lost, r.records_saved);
  else
    printf("nothing to repair in %" PRIu64 " segments\n", r.segments);
  if (r.left_alone != UINT64_MAX)
    printf("a running platform writes the segment at offset %" PRIu64 "; it was left alone\n", r.left_alone);
  return 0;
}

int command_journal(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade journal tail [--data DIR] [--from OFFSET] [--stream NAME] [--limit N] [--compacted] [--follow] [--json]\n"
                              "       motorcade journal verify [--data DIR] [--json]\n"
                              "       motorcade journal stats [--data DIR] [--json]\n"
                              "       motorcade journal repair [--data DIR] [--json]\n"
                              "Streams: message, telemetry, checkin, session, registry, audit, command, gap (ranges that a repair set aside).\n"
                              "tail --compacted begins with what outlived its segment (retained messages, audit). stats says who holds retention\n"
                              "back. repair sets damaged ranges aside in DIR/journal/*.mcq and says what was lost; a running platform goes on meanwhile.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  const char *from = option_take(&argc, argv, "--from", "0"), *stream = option_take(&argc, argv, "--stream", NULL),
             *limit = option_take(&argc, argv, "--limit", NULL);
  bool follow = option_flag(&argc, argv, "--follow"), json = option_flag(&argc, argv, "--json");
  mc_journal_filter filter = {.compacted = option_flag(&argc, argv, "--compacted")};
  settings s;
  if (!command_settings(&argc, argv, &s))
    return 1;
  const char *word = option_word(&argc, argv), *what = word ? word : "";
  char dir[600];
  snprintf(dir, sizeof dir, "%s/journal", s.data);
  for (int i = 0; i < 16 && stream; i++)
    if (stream_name[i] && !strcmp(stream, stream_name[i]))
      filter.streams = 1u << i;
  uint64_t offset, most = UINT64_MAX;
  if (stream && !filter.streams)
    return fprintf(stderr, "motorcade journal: there is no stream \"%s\"\n%s", stream, usage), 2;
  if (mc_slice_to_u64(mc_slice_str(from), &offset) || (limit && mc_slice_to_u64(mc_slice_str(limit), &most)))
    return fprintf(stderr, "motorcade journal: --from and --limit expect whole numbers from 0\n%s", usage), 2;
  bool is_tail = !strcmp(what, "tail"), is_verify = !strcmp(what, "verify"), is_repair = !strcmp(what, "repair");
  if (!is_tail && !is_verify && !is_repair && strcmp(what, "stats") != 0)
    return fprintf(stderr, "motorcade journal: expected tail, verify, stats or repair, found \"%s\"\n%s", what, usage), 2;
  if (option_left(argc, argv, usage))
    return 2;
  if (!is_there(&s, dir))
    return 1;
  if (is_tail)
    return tail(dir, offset, follow, json, filter, most);
  return is_repair ? repair(dir, json) : look(&s, dir, is_verify, json);
}
