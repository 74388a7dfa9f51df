/* What differs between two decoder manifests. */
#include "campaign_case.h"

#define HEAD "VERSION \"\"\nBU_: E\n"
static const char first[] = HEAD "BO_ 256 A: 8 E\n SG_ Stays : 0|8@1+ (1,0) [0|255] \"\" E\n SG_ Goes : 8|8@1+ (1,0) [0|255] \"\" E\n SG_ Scales : 16|16@1+ (0.25,0) [0|16000] \"\" E\n"
                                 "BO_ 512 B: 8 E\n SG_ Page M : 0|8@1+ (1,0) [0|3] \"\" E\n SG_ Muxed m1 : 8|8@1+ (1,0) [0|255] \"\" E\n";
static const char second[] = HEAD "BO_ 256 A: 8 E\n SG_ Stays : 0|8@1+ (1,0) [0|255] \"\" E\n SG_ Comes : 8|8@1+ (1,0) [0|255] \"\" E\n SG_ Scales : 16|16@0- (0.1,-40) [-40|1000] \"\" E\n"
                                  "BO_ 513 B: 8 E\n SG_ Page M : 0|8@1+ (1,0) [0|3] \"\" E\n SG_ Muxed m2 : 8|8@1+ (1,0) [0|255] \"\" E\n";

static mc_err make(const char *name, const char *text, const char *interface, char sync_id[160])
{
  mc_why why = {0};
  mc_dbc_import_report report;
  mc_dbc_import in = {.tenant = 1, .name = mc_slice_str(name), .dbc_text = mc_slice_str(text), .dbc_name = "a.dbc", .interface_id = mc_slice_str(interface)};
  mc_err err = mc_campaign_import_dbc(c, &in, &report, &why);
  if (err)
    printf("# %s\n", why.text);
  else if (sync_id)
    memcpy(sync_id, report.manifest_sync_id, 160);
  return err;
}

static const mc_manifest_difference *of(const mc_manifest_comparison *m, const char *fqn)
{
  for (size_t i = 0; i < m->count; i++)
    if (mc_slice_eq_str(m->difference[i].fqn, fqn))
      return &m->difference[i];
  return NULL;
}

static bool tells(const mc_manifest_difference *d, const char *name, const char *before, const char *after)
{
  for (size_t i = 0; d && i < d->field_count; i++)
    if (!strcmp(d->field[i].name, name)) {
      if (!mc_slice_eq_str(d->field[i].before, before) || !mc_slice_eq_str(d->field[i].after, after))
        printf("# %s: %.*s -> %.*s\n", name, MC_FMT(d->field[i].before), MC_FMT(d->field[i].after));
      return mc_slice_eq_str(d->field[i].before, before) && mc_slice_eq_str(d->field[i].after, after);
    }
  printf("# %s is not told\n", name);
  return false;
}

static void test_tells_each_decoder_that_came_went_or_changed(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_manifest_comparison m;
  CHECK(begin());
  CHECK_OK(make("one", first, "can0", NULL));
  CHECK_OK(make("two", second, "can0", NULL));
  CHECK_OK(mc_campaign_manifest_compare(c, 1, MC_LIT("one"), MC_LIT("two"), &arena, &m, NULL));
  CHECK_INT(m.same, 1);
  CHECK_INT(m.added, 1);
  CHECK_INT(m.removed, 1);
  CHECK_INT(m.changed, 3);
  CHECK_INT(m.count, 5);
  CHECK_INT(of(&m, "Vehicle.A.Comes")->kind, MC_DIFFERENCE_ADDED);
  CHECK_INT(of(&m, "Vehicle.A.Goes")->kind, MC_DIFFERENCE_REMOVED);
  const mc_manifest_difference *d = of(&m, "Vehicle.A.Scales");
  CHECK_INT(d->kind, MC_DIFFERENCE_CHANGED);
  CHECK(tells(d, "factor", "0.25", "0.1"));
  CHECK(tells(d, "offset", "0", "-40"));
  CHECK(tells(d, "byte order", "little", "big"));
  CHECK(tells(d, "signed", "no", "yes"));
  d = of(&m, "Vehicle.B.Muxed");
  CHECK(tells(d, "message", "0x200", "0x201"));
  CHECK(tells(d, "multiplex", "0|8 little 1", "0|8 little 2"));
  CHECK_INT(d->field_count, 2);
  end();
}

static void test_the_other_way_round_says_the_opposite(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_manifest_comparison m;
  CHECK(begin());
  CHECK_OK(make("one", first, "can0", NULL));
  CHECK_OK(make("two", second, "can0", NULL));
  CHECK_OK(mc_campaign_manifest_compare(c, 1, MC_LIT("two"), MC_LIT("one"), &arena, &m, NULL));
  CHECK_INT(of(&m, "Vehicle.A.Comes")->kind, MC_DIFFERENCE_REMOVED);
  CHECK(tells(of(&m, "Vehicle.A.Comes"), "start bit", "8", ""));
  CHECK(tells(of(&m, "Vehicle.A.Scales"), "factor", "0.1", "0.25"));
  CHECK_OK(mc_campaign_manifest_compare(c, 1, MC_LIT("two"), MC_LIT("two"), &arena, &m, NULL));
  CHECK_INT(m.count, 0);
  CHECK_INT(m.same, 5);
  end();
}

static void test_versions_are_compared_by_their_ids(void)
{
  char old[160], now[160];
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_manifest_comparison m;
  mc_why why = {0};
  CHECK(begin());
  CHECK_OK(make("one", first, "can0", old));
  CHECK_OK(make("one", first, "can1", now));
  CHECK_OK(mc_campaign_manifest_compare(c, 1, mc_slice_str(old), MC_LIT("one"), &arena, &m, NULL));
  CHECK_SLICE(m.before, old);
  CHECK_SLICE(m.after, now);
  CHECK_INT(m.changed, 5); /* a signal has one decoder: it moves to the interface that was imported last */
  CHECK_INT(m.added + m.removed + m.same, 0);
  for (size_t i = 0; i < m.count; i++) {
    CHECK_INT(m.difference[i].field_count, 1);
    CHECK(tells(&m.difference[i], "interface", "can0", "can1"));
  }
  CHECK_INT(mc_campaign_manifest_compare(c, 1, MC_LIT("none"), MC_LIT("one"), &arena, &m, &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, "\"none\"");
  CHECK_INT(mc_campaign_manifest_compare(c, 2, MC_LIT("one"), MC_LIT("one"), &arena, &m, &why), MC_ERR_NOT_FOUND); /* another tenant's */
  end();
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_tells_each_decoder_that_came_went_or_changed);
  RUN(test_the_other_way_round_says_the_opposite);
  RUN(test_versions_are_compared_by_their_ids);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
