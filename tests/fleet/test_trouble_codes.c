/* Trouble codes: forms, texts, and a history that counts every report once. */
#include <unistd.h>

#include "base/log.h"
#include "fleet/fleet.h"
#include "tap.h"

static mc_db *db;
static mc_fleet *fleet;
static mc_why why;
static uint64_t offset;
#define AT(s) (INT64_C(1700000000000000) + (int64_t)(s) * 1000000)

static bool begin(void)
{
  offset = 0;
  return !mc_db_open_sqlite(":memory:", &db, &why) && !mc_fleet_open(db, &fleet, &why);
}

static bool reopen(void)
{
  mc_fleet_close(&fleet);
  return !mc_fleet_open(db, &fleet, &why);
}

static void end(void)
{
  mc_fleet_close(&fleet);
  mc_db_close(&db);
}

static mc_err block_at(uint64_t at, int64_t time_us, const char *text, uint8_t flags)
{
  mc_block_builder b = {0};
  mc_err err = text ? mc_block_builder_add_string(&b, 7, 901, time_us, flags, mc_slice_str(text)) : mc_block_builder_add(&b, 7, 1, 0, time_us, MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = 1});
  mc_block block = mc_block_builder_view(&b);
  block.tenant = 1;
  block.journal_offset = at;
  mc_block_sink sink = mc_fleet_block_sink(fleet);
  if (!err)
    err = sink.take(sink.ctx, &block, &why);
  mc_block_builder_free(&b);
  return err;
}

/* An OBD report of vehicle 7, codes separated by blanks. */
static mc_err obd_at(uint64_t at, int64_t time_us, const char *codes)
{
  mc_slice list[8];
  uint32_t n = 0;
  mc_slice rest = mc_slice_str(codes);
  while (rest.len && n < 8) {
    size_t blank = mc_slice_find(rest, ' ', 0);
    list[n++] = mc_slice_sub(rest, 0, blank);
    rest = mc_slice_sub(rest, blank + 1, rest.len);
  }
  mc_trouble_codes c = {.tenant = 1, .vehicle = 7, .count = n, .journal_offset = at, .time_us = time_us, .code = list};
  mc_trouble_sink sink = mc_fleet_trouble_sink(fleet);
  MC_TRY(sink.take(sink.ctx, &c, &why));
  return block_at(at, time_us, NULL, 0);
}

static mc_err obd(int seconds, const char *codes)
{
  return obd_at(offset += 100, AT(seconds), codes);
}

static mc_err uds(int seconds, const char *text)
{
  return block_at(offset += 100, AT(seconds), text, 0);
}

/* "code/ecu active reports episodes first-last(cleared)" by newest last seen */
static const char *history(const mc_trouble_query *q)
{
  static char out[4000];
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_trouble_query query = q ? *q : (mc_trouble_query){0};
  mc_trouble_code *list;
  size_t count, n = 0;
  int64_t last;
  query.tenant = 1;
  if (!query.limit)
    query.limit = 100;
  if (mc_fleet_trouble_codes(fleet, &query, &arena, &list, &count, &last, &why))
    return why.text;
  out[0] = 0;
  for (size_t i = 0; i < count; i++) {
    n += (size_t)snprintf(out + n, sizeof out - n, "%.*s/%.*s %s %d %d %d-%d", MC_FMT(list[i].code), MC_FMT(list[i].ecu), list[i].active ? "active" : "cleared", (int)list[i].reports,
                          (int)list[i].episodes, (int)((list[i].first_us - AT(0)) / 1000000), (int)((list[i].last_us - AT(0)) / 1000000));
    if (list[i].cleared_us)
      n += (size_t)snprintf(out + n, sizeof out - n, "(%d)", (int)((list[i].cleared_us - AT(0)) / 1000000));
    n += (size_t)snprintf(out + n, sizeof out - n, "; ");
  }
  return out;
}

static void test_codes_have_one_form(void)
{
  static const struct {
    const char *text, *want;
  } obd_cases[] = {{"P0143", "P0143"}, {"p0a1f", "P0A1F"}, {"U3FFF", "U3FFF"}, {"c0035-1c", "C0035-1C"},
                   {"", NULL}, {"P014", NULL}, {"P01434", NULL}, {"X0143", NULL}, {"P4143", NULL}, {"P0G43", NULL}, {"P0143+13", NULL}, {"P0143-1", NULL}},
    uds_cases[] = {{"014313", "P0143-13"}, {"AAA123", "B2AA1-23"}, {"C10087", "U0100-87"}, {"400000", "C0000-00"}, {"0x014313", "P0143-13"},
                 {"ffffff", "U3FFF-FF"}, {"01431", NULL}, {"01431x", NULL}, {"", NULL}, {"0x0143", NULL}};
  char got[MC_DTC_TEXT];
  CHECK_INT(mc_dtc_normal(MC_LIT("\0" "13FA"), got), MC_ERR_MALFORMED); /* a zero is no letter of a system */
  for (size_t i = 0; i < sizeof obd_cases / sizeof obd_cases[0]; i++)
    if (mc_dtc_normal(mc_slice_str(obd_cases[i].text), got) ? obd_cases[i].want != NULL : !obd_cases[i].want || strcmp(got, obd_cases[i].want))
      TAP_FAIL("%s: got %s", obd_cases[i].text, got);
  for (size_t i = 0; i < sizeof uds_cases / sizeof uds_cases[0]; i++)
    if (mc_dtc_of_uds(mc_slice_str(uds_cases[i].text), got) ? uds_cases[i].want != NULL : !uds_cases[i].want || strcmp(got, uds_cases[i].want))
      TAP_FAIL("%s: got %s", uds_cases[i].text, got);
}

static void test_codes_are_described(void)
{
  static const struct {
    const char *code, *text;
    bool generic;
  } cases[] = {{"P0301", "misfire, cylinder 1", true},
               {"P0310", "misfire, cylinder 10", true},
               {"P0312", "misfire, cylinder 12", true},
               {"P0143", "oxygen sensor, bank 1 sensor 3: circuit: low voltage", true},
               {"P0171", "bank 1: mixture too lean", true},
               {"P0353", "ignition coil C: primary or secondary circuit", true},
               {"P0266", "cylinder 2: contribution or balance", true},
               {"P0A80", "hybrid battery pack is to be replaced", true},
               {"P0420-00", "catalyst works too little, bank 1", true},
               {"U0100-87", "no communication with the engine control module A; message missing", true},
               {"P0753-13", "shift solenoid A: electrical; open circuit", true},
               {"P0399", "powertrain: ignition or misfire", true},
               {"P1234", "powertrain: the manufacturer's own code", false},
               {"B1000", "body: the manufacturer's own code", false},
               {"U0FFF", "network: communication between control modules", true}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    mc_buf text = {0};
    CHECK_OK(mc_dtc_describe(cases[i].code, &text));
    bool same = mc_slice_eq_str(mc_buf_slice(&text), cases[i].text);
    if (!same)
      printf("# %s: %.*s\n", cases[i].code, MC_FMT(mc_buf_slice(&text)));
    mc_buf_free(&text);
    CHECK(same);
    CHECK(mc_dtc_generic(cases[i].code) == cases[i].generic);
  }
}

static void test_a_code_comes_stays_goes_and_comes_again(void)
{
  CHECK(begin());
  CHECK_OK(obd(10, "P0143 P0301"));
  CHECK_OK(obd(20, "P0143"));
  CHECK_STR(history(NULL), "P0143/ active 2 1 10-20; P0301/ cleared 1 1 10-10(20); ");
  CHECK_OK(obd(30, "P0143 p0301 nonsense"));
  CHECK_STR(history(NULL), "P0301/ active 2 2 10-30; P0143/ active 3 1 10-30; ");
  mc_fleet_stats stats;
  mc_fleet_stats_get(fleet, &stats);
  CHECK(stats.reports == 3 && stats.codes == 5 && stats.unreadable == 1);
  end();
}

static void test_late_reports_widen_and_change_nothing(void)
{
  CHECK(begin());
  CHECK_OK(obd(100, "P0143"));
  CHECK_OK(obd(50, "P0143 P0420"));
  CHECK_STR(history(NULL), "P0143/ active 2 1 50-100; P0420/ cleared 1 1 50-50(50); ");
  CHECK_OK(obd(60, "P0301"));
  CHECK_STR(history(&(mc_trouble_query){.active_only = true}), "P0143/ active 2 1 50-100; ");
  end();
}

static const char two_ecus[] = "{\"DetectedDTCs\":[{\"ECUID\":\"01\",\"DTCAndSnapshot\":{\"DTCStatusAvailabilityMask\":\"FF\",\"dtcCodes\":[{\"DTC\":\"014313\",\"DTCSnapshotRecord\":\"0102\","
                               "\"DTCExtendedData\":\"AB\"},{\"DTC\":\"C10087\"}]}},{\"ECUID\":\"02\",\"DTCAndSnapshot\":{\"dtcCodes\":[{\"DTC\":\"014313\"}]}}]}";

static void test_uds_reports_keep_ecus_apart(void)
{
  CHECK(begin());
  CHECK_OK(uds(10, two_ecus));
  CHECK_OK(uds(20, "{\"DetectedDTCs\":[{\"ECUID\":\"01\",\"DTCAndSnapshot\":{\"dtcCodes\":[]}}]}"));
  CHECK_STR(history(NULL), "P0143-13/02 active 1 1 10-10; U0100-87/01 cleared 1 1 10-10(20); P0143-13/01 cleared 1 1 10-10(20); ");
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_trouble_code *list;
  size_t count;
  int64_t last;
  CHECK_OK(mc_fleet_trouble_codes(fleet, &(mc_trouble_query){.tenant = 1, .vehicle = 7, .code = MC_LIT("P0143"), .limit = 10}, &arena, &list, &count, &last, &why));
  CHECK_INT(count, 2);
  CHECK_SLICE(list[1].snapshot, "0102");
  CHECK_SLICE(list[1].extended, "AB");
  CHECK_SLICE(list[1].system, "powertrain");
  CHECK_OK(mc_fleet_trouble_codes(fleet, &(mc_trouble_query){.tenant = 2, .limit = 10}, &arena, &list, &count, &last, &why));
  CHECK_INT(count, 0);
  CHECK_OK(mc_fleet_trouble_codes(fleet, &(mc_trouble_query){.tenant = 1, .vehicle = 8, .limit = 10}, &arena, &list, &count, &last, &why));
  CHECK_INT(count, 0);
  end();
}

static void test_broken_reports_are_counted_and_harmless(void)
{
  static const char *const broken[] = {"{\"DetectedDTCs\"", "{\"DetectedDTCs\":7}", "{\"DetectedDTCs\":[{\"ECUID\":\"\",\"DTCAndSnapshot\":{\"dtcCodes\":[]}}]}", "{\"DetectedDTCs\":[{}]}",
                                       "{\"DetectedDTCs\":[{\"ECUID\":\"01\",\"DTCAndSnapshot\":{\"dtcCodes\":[{\"DTC\":\"xyz\"},7]}}]}"};
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  CHECK(begin());
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
    CHECK_OK(uds(10, broken[i]));
  CHECK_OK(uds(10, "{\"door\":\"open\"}")); /* a string of another kind */
  CHECK_OK(block_at(offset += 100, AT(10), two_ecus, MC_SAMPLE_QUARANTINED));
  CHECK_STR(history(NULL), "");
  mc_fleet_stats stats;
  mc_fleet_stats_get(fleet, &stats);
  CHECK_INT(stats.unreadable, 6);
  end();
}

static void test_read_again_counts_once(void)
{
  CHECK(begin());
  CHECK(mc_fleet_offset(fleet) == UINT64_MAX);
  CHECK_OK(obd_at(100, AT(10), "P0143"));
  CHECK_OK(mc_fleet_save(fleet, true, 200, &why));
  CHECK_OK(obd_at(200, AT(20), "P0143"));
  CHECK_STR(history(NULL), "P0143/ active 2 1 10-20; "); /* written, and no checkpoint yet */
  CHECK(reopen());
  CHECK_INT(mc_fleet_offset(fleet), 200);
  CHECK_OK(obd_at(200, AT(20), "P0143")); /* the reader begins there */
  CHECK_OK(obd_at(300, AT(30), "P0143"));
  CHECK_OK(block_at(300, AT(30), two_ecus, 0)); /* the same record, told by its other sink: of one mind */
  CHECK_STR(history(&(mc_trouble_query){.code = MC_LIT("P0143"), .limit = 1}), "P0143-13/02 active 1 1 30-30; ");
  CHECK(reopen()); /* noted, not saved: gone, and read again */
  CHECK_OK(obd_at(300, AT(30), "P0143"));
  mc_fleet_close(&fleet);
  CHECK_OK(mc_fleet_rewind(db, 150, &why));
  CHECK_OK(mc_fleet_open(db, &fleet, &why));
  CHECK_INT(mc_fleet_offset(fleet), 150);
  end();
}

static void test_pages_go_on_behind_the_last_row(void)
{
  CHECK(begin());
  CHECK_OK(obd(10, "P0101 P0102 P0103 P0104 P0105"));
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_trouble_query q = {.tenant = 1, .limit = 2};
  char seen[200] = "";
  for (int page = 0; page < 4; page++) {
    mc_trouble_code *list;
    size_t count;
    int64_t last;
    CHECK_OK(mc_fleet_trouble_codes(fleet, &q, &arena, &list, &count, &last, &why));
    for (size_t i = 0; i < count; i++)
      snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s ", MC_FMT(list[i].code));
    if (!count)
      break;
    q.before_us = list[count - 1].last_us;
    q.before_id = last;
  }
  CHECK_STR(seen, "P0105 P0104 P0103 P0102 P0101 ");
  end();
}

int main(int argc, char **argv)
{
  RUN(test_codes_have_one_form);
  RUN(test_codes_are_described);
  RUN(test_a_code_comes_stays_goes_and_comes_again);
  RUN(test_late_reports_widen_and_change_nothing);
  RUN(test_uds_reports_keep_ecus_apart);
  RUN(test_broken_reports_are_counted_and_harmless);
  RUN(test_read_again_counts_once);
  RUN(test_pages_go_on_behind_the_last_row);
  return tap_done();
}
