#include "signal/signal.h"
#include "tap.h"

static const mc_unit *find(const char *text) { return mc_unit_find(mc_slice_str(text)); }

static void test_knows_at_least_eighty_units_each_once(void)
{
  CHECK(mc_unit_count() >= 80);
  for (size_t i = 0; i < mc_unit_count(); i++) {
    const mc_unit *u = mc_unit_at(i);
    CHECK(find(u->id) == u);
    CHECK(u->to_si_factor != 0);
    CHECK(u->text[0] && u->quantity[0]);
  }
  CHECK(mc_unit_at(mc_unit_count()) == NULL);
}

static void test_every_spelling_leads_to_a_unit_and_hides_no_id(void)
{
  for (size_t i = 0; i < mc_unit_spelling_count(); i++) {
    const mc_unit *u = find(mc_unit_spelling_at(i));
    if (!u || strcmp(u->id, mc_unit_spelling_at(i)) == 0)
      printf("# spelling '%s'\n", mc_unit_spelling_at(i));
    CHECK(u != NULL);
    CHECK(strcmp(u->id, mc_unit_spelling_at(i)) != 0);
  }
}

static void test_spellings_of_one_unit_agree(void)
{
  CHECK_STR(find("\xC2\xB0" "C")->id, "degC");
  CHECK_STR(find("celsius")->id, "degC");
  CHECK_STR(find("deg C")->id, "degC");
  CHECK_STR(find(" kph ")->id, "km/h");
  CHECK_STR(find("[km/h]")->id, "km/h");
  CHECK_STR(find("Unit_DegreCelsi")->id, "degC");
  CHECK_STR(find("percent")->id, "%");
}

static void test_converts_to_si(void)
{
  CHECK_DOUBLE(36 * find("km/h")->to_si_factor, 10, 1e-12);
  CHECK_DOUBLE(100 * find("degC")->to_si_factor + find("degC")->to_si_offset, 373.15, 1e-9);
  CHECK_DOUBLE(212 * find("degF")->to_si_factor + find("degF")->to_si_offset, 373.15, 1e-9);
  CHECK_DOUBLE(60 * find("rpm")->to_si_factor, 6.283185307179586, 1e-12);
  CHECK_DOUBLE(find("PS")->to_si_factor, 735.49875, 1e-9);
}

static void test_unknown_text_has_no_unit(void)
{
  CHECK(find("") == NULL);
  CHECK(find("furlong per fortnight") == NULL);
  CHECK(mc_unit_find((mc_slice){NULL, 0}) == NULL);
}

/* Every unit of the VSS tree is known; of the DBC files all but what is no unit ("ASCII", "mindex", two units in one). */
static void test_knows_the_units_of_the_vss_file(void)
{
  const char *dir = tap_data_dir();
  if (!dir)
    SKIP("the data folder is absent; set MOTORCADE_DATA");
  char path[1200], line[512];
  snprintf(path, sizeof path, "%s/vss/spec/spec/units.yaml", dir);
  FILE *f = fopen(path, "r");
  CHECK(f != NULL);
  int unknown = 0, known = 0;
  while (fgets(line, sizeof line, f)) {
    char *colon = strchr(line, ':');
    if (line[0] == ' ' || line[0] == '#' || !colon)
      continue;
    *colon = 0;
    if (find(line))
      known++;
    else if (++unknown)
      printf("# unknown unit '%s'\n", line);
  }
  fclose(f);
  CHECK_INT(unknown, 0);
  CHECK(known > 50);
}

int main(void)
{
  RUN(test_knows_at_least_eighty_units_each_once);
  RUN(test_every_spelling_leads_to_a_unit_and_hides_no_id);
  RUN(test_spellings_of_one_unit_agree);
  RUN(test_converts_to_si);
  RUN(test_unknown_text_has_no_unit);
  RUN(test_knows_the_units_of_the_vss_file);
  return tap_done();
}
