/* First some vehicles, then the rest; and when it stops by itself. */
#include "campaign/rollout.h"
#include "tap.h"

static mc_arena arena;
static rollout of(const char *json)
{
  rollout r;
  mc_why why = {0};
  char text[1000];
  snprintf(text, sizeof text, "%s", json);
  for (char *p = text; *p; p++)
    if (*p == '\'')
      *p = '"';
  if (rollout_read(mc_slice_str(text), &arena, &r, &why)) {
    printf("# %s\n", why.text);
    r = (rollout){.percent = 255};
  }
  return r;
}

static int first_of(const rollout *r, const char *campaign, int vehicles)
{
  int n = 0;
  char name[40];
  for (int i = 0; i < vehicles; i++) {
    snprintf(name, sizeof name, "truck-%05d", i);
    n += rollout_is_first(r, mc_slice_str(campaign), mc_slice_str(name));
  }
  return n;
}

static void test_a_per_cent_is_about_that_many_and_keeps_them(void)
{
  rollout five = of("{'percent':5}"), twenty = of("{'percent':20}");
  int both = 0, same = 0;
  CHECK(first_of(&five, "brake-wear", 20000) > 900 && first_of(&five, "brake-wear", 20000) < 1100);
  CHECK(first_of(&twenty, "brake-wear", 20000) > 3800 && first_of(&twenty, "brake-wear", 20000) < 4200);
  for (int i = 0; i < 20000; i++) {
    char name[40];
    snprintf(name, sizeof name, "truck-%05d", i);
    bool a = rollout_is_first(&five, MC_LIT("brake-wear"), mc_slice_str(name));
    if (a)
      CHECK(rollout_is_first(&twenty, MC_LIT("brake-wear"), mc_slice_str(name)));
    both += a;
    same += a && rollout_is_first(&five, MC_LIT("tyres"), mc_slice_str(name));
  }
  CHECK(same < both / 5); /* another campaign has others first */
}

static void test_a_list_is_exactly_those(void)
{
  rollout r = of("{'vehicles':['a','b']}");
  CHECK(rollout_reaches(&r, MC_CAMPAIGN_FIRST, MC_LIT("c"), MC_LIT("a")));
  CHECK(!rollout_reaches(&r, MC_CAMPAIGN_FIRST, MC_LIT("c"), MC_LIT("d")));
  CHECK(rollout_reaches(&r, MC_CAMPAIGN_REST, MC_LIT("c"), MC_LIT("d")));
  r = of("{'vehicles':['z','b','a','m','b']}");
  for (const char *v = "abmz"; *v; v++)
    CHECK(rollout_is_first(&r, MC_LIT("c"), mc_slice_of(v, 1)));
  CHECK(!rollout_is_first(&r, MC_LIT("c"), MC_LIT("c")));
  r = of("");
  CHECK(rollout_reaches(&r, MC_CAMPAIGN_FIRST, MC_LIT("c"), MC_LIT("d"))); /* none: to all */
}

#define NOW 1700000000000000LL
static char said[200];
static rollout_verdict judge(const rollout *r, mc_campaign_phase phase, rollout_tally t) { return rollout_judge(r, phase, &t, NOW, said, sizeof said); }

static void test_waits_for_all_of_them_and_for_its_time(void)
{
  rollout r = of("{'percent':5,'hold_s':600,'by_itself':true}");
  CHECK_INT(judge(&r, MC_CAMPAIGN_FIRST, (rollout_tally){0}), ROLLOUT_GO_ON);
  CHECK_INT(judge(&r, MC_CAMPAIGN_FIRST, (rollout_tally){.reached = 10, .sent = 10, .confirmed = 9, .confirmed_us = NOW - 700000000}), ROLLOUT_GO_ON);
  CHECK(strstr(said, "9 of 10") != NULL);
  CHECK_INT(judge(&r, MC_CAMPAIGN_FIRST, (rollout_tally){.reached = 10, .sent = 10, .confirmed = 10, .confirmed_us = NOW - 500000000}), ROLLOUT_GO_ON);
  CHECK(strstr(said, "100 s to go") != NULL);
  CHECK_INT(judge(&r, MC_CAMPAIGN_FIRST, (rollout_tally){.reached = 10, .sent = 10, .confirmed = 10, .confirmed_us = NOW - 600000000}), ROLLOUT_NEXT);
  r.by_itself = false;
  CHECK_INT(judge(&r, MC_CAMPAIGN_FIRST, (rollout_tally){.reached = 10, .sent = 10, .confirmed = 10, .confirmed_us = NOW - 600000000}), ROLLOUT_ASK);
}

static void test_stops_beyond_each_limit_in_both_phases(void)
{
  rollout r = of("{'percent':5,'refused_percent':0,'error_percent':5,'silent_percent':10,'least':20}");
  for (int phase = MC_CAMPAIGN_FIRST; phase <= MC_CAMPAIGN_REST; phase++) {
    CHECK_INT(judge(&r, (mc_campaign_phase)phase, (rollout_tally){.reached = 100, .sent = 100, .refused = 1}), ROLLOUT_STOP);
    CHECK(strstr(said, "1 of 100 vehicles refused its document, more than 0 %") != NULL);
    CHECK_INT(judge(&r, (mc_campaign_phase)phase, (rollout_tally){.reached = 100, .sent = 100, .errors = 5}), ROLLOUT_GO_ON);
    CHECK_INT(judge(&r, (mc_campaign_phase)phase, (rollout_tally){.reached = 100, .sent = 100, .errors = 6}), ROLLOUT_STOP);
    CHECK_INT(judge(&r, (mc_campaign_phase)phase, (rollout_tally){.reached = 100, .sent = 100, .silent = 11}), ROLLOUT_STOP);
    CHECK_INT(judge(&r, (mc_campaign_phase)phase, (rollout_tally){.reached = 100, .sent = 19, .refused = 19}), ROLLOUT_GO_ON); /* too few to tell */
  }
  r = of("{'percent':5,'refused_percent':100}");
  CHECK_INT(judge(&r, MC_CAMPAIGN_REST, (rollout_tally){.reached = 9, .sent = 9, .refused = 9}), ROLLOUT_GO_ON); /* never */
}

static void test_refuses_documents_by_their_field(void)
{
  static const struct {
    const char *json, *reason;
  } cases[] = {
      {"[]", "rollout: an object"}, {"{", "rollout: "}, {"{}", "rollout.percent: say"}, {"{\"percent\":0}", "rollout.percent: a whole number from 1 to 99"},
      {"{\"percent\":100}", "rollout.percent"}, {"{\"percent\":\"5\"}", "rollout.percent"}, {"{\"vehicles\":[1]}", "rollout.vehicles[0]"}, {"{\"vehicles\":7}", "rollout.vehicles"},
      {"{\"percent\":5,\"hold\":3}", "rollout.hold: there is no such member"}, {"{\"percent\":5,\"silent_s\":1}", "rollout.silent_s"},
      {"{\"percent\":5,\"by_itself\":1}", "rollout.by_itself"}, {"{\"percent\":5,\"percent\":6}", "rollout: "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    rollout r;
    mc_why why = {0};
    CHECK_INT(rollout_read(mc_slice_str(cases[i].json), &arena, &r, &why), MC_ERR_INVALID);
    CHECK_WHY(why, cases[i].reason);
  }
}

int main(int argc, char **argv)
{
  RUN(test_a_per_cent_is_about_that_many_and_keeps_them);
  RUN(test_a_list_is_exactly_those);
  RUN(test_waits_for_all_of_them_and_for_its_time);
  RUN(test_stops_beyond_each_limit_in_both_phases);
  RUN(test_refuses_documents_by_their_field);
  mc_arena_free(&arena);
  return tap_done();
}
