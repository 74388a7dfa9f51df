#include "format/csv.h"
#include "tap.h"

static mc_slice field[8];
static size_t count;
static mc_why why;

static mc_err next(mc_csv_reader *r)
{
  why = (mc_why){0};
  return mc_csv_next(r, field, 8, &count, &why);
}

static void test_reads_records_with_the_lines_they_begin_in(void)
{
  mc_csv_reader r = mc_csv_reader_of(MC_LIT("name,make\r\n\r\na,Acme\nb,\"two\nlines\"\rc,\n,\nlast"));
  static const struct {
    size_t count;
    uint32_t line;
    const char *first, *second;
  } expected[] = {{2, 1, "name", "make"}, {2, 3, "a", "Acme"}, {2, 4, "b", "two\nlines"}, {2, 6, "c", ""}, {2, 7, "", ""}, {1, 8, "last", ""}};
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    CHECK_OK(next(&r));
    CHECK_INT(count, expected[i].count);
    CHECK_INT(r.line, expected[i].line);
    CHECK_SLICE(field[0], expected[i].first);
    if (count > 1)
      CHECK_SLICE(field[1], expected[i].second);
  }
  CHECK_INT(next(&r), MC_ERR_END);
  CHECK_INT(next(&r), MC_ERR_END);
  mc_csv_reader_free(&r);
}

static void test_quotes_hold_separators_and_quotes(void)
{
  mc_csv_reader r = mc_csv_reader_of(MC_LIT("\"a,b\",\"say \"\"hi\"\"\",\"\",plain \"quote\",\"x\"\n"));
  CHECK_OK(next(&r));
  CHECK_INT(count, 5);
  CHECK_SLICE(field[0], "a,b");
  CHECK_SLICE(field[1], "say \"hi\"");
  CHECK_SLICE(field[2], "");
  CHECK_SLICE(field[3], "plain \"quote\"");
  CHECK_SLICE(field[4], "x");
  CHECK_INT(next(&r), MC_ERR_END);
  mc_csv_reader_free(&r);
}

static void test_the_first_line_tells_the_separator(void)
{
  static const struct {
    const char *text;
    char separator;
  } known[] = {{"a;b;c,d\n", ';'}, {"a\tb\n", '\t'}, {"a,b\n1;2;3\n", ','}, {"\"a;b;c\",d\n", ','}, {"alone\n", ','}, {"", ','}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    mc_csv_reader r = mc_csv_reader_of(mc_slice_str(known[i].text));
    CHECK_INT(r.separator, known[i].separator);
    mc_csv_reader_free(&r);
  }
  mc_csv_reader r = mc_csv_reader_of(MC_LIT("\xEF\xBB\xBFname;make\n"));
  CHECK_OK(next(&r));
  CHECK_INT(count, 2);
  CHECK_SLICE(field[0], "name");
  mc_csv_reader_free(&r);
}

static void test_broken_records_are_told_with_their_line_and_passed_over(void)
{
  mc_csv_reader r = mc_csv_reader_of(MC_LIT("a,b\n\"x\"y,1\nok,1\n1,2,3,4,5,6,7,8,9\nok,2\n\"never\nclosed"));
  CHECK_OK(next(&r));
  CHECK_INT(next(&r), MC_ERR_MALFORMED);
  CHECK_WHY(why, "line 2: expected a separator behind the closing quote, found \"y\"");
  CHECK_OK(next(&r));
  CHECK_SLICE(field[1], "1");
  CHECK_INT(next(&r), MC_ERR_TOO_LARGE);
  CHECK_WHY(why, "line 4: more than 8 fields");
  CHECK_INT(count, 0);
  CHECK_OK(next(&r));
  CHECK_SLICE(field[1], "2");
  CHECK_INT(next(&r), MC_ERR_MALFORMED);
  CHECK_WHY(why, "line 6: a quote is opened here and never closed");
  CHECK_INT(next(&r), MC_ERR_END);
  mc_csv_reader_free(&r);
}

int main(void)
{
  RUN(test_reads_records_with_the_lines_they_begin_in);
  RUN(test_quotes_hold_separators_and_quotes);
  RUN(test_the_first_line_tells_the_separator);
  RUN(test_broken_records_are_told_with_their_line_and_passed_over);
  return tap_done();
}
