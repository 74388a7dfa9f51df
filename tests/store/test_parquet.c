/* Parquet files written by DuckDB's library, read back by DuckDB itself: names, types, every value, nulls. Skips, and says so, without the library
 * (tools/duckdb; MOTORCADE_DUCKDB names another). */
#include <dlfcn.h>
#include <unistd.h>

#include "store/store.h"
#include "tap.h"

#define LIBRARY MC_SOURCE_DIR "/tools/duckdb/node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so"
static mc_duckdb *duckdb;
static char path[200];
static mc_why why;

static const char *library(void)
{
  const char *named = getenv("MOTORCADE_DUCKDB");
  return named ? named : LIBRARY;
}

/* A second, independent way in: the test's own connection, and the library's old text interface. */
typedef struct answer { uint64_t unused[3]; void *column; char *error; void *inside; } answer;
static int (*open_db)(const char *, void **);
static int (*connect_db)(void *, void **);
static int (*query)(void *, const char *, answer *);
static char *(*value)(answer *, uint64_t, uint64_t);
static const char *(*error_of)(answer *);
static void (*destroy)(answer *);
static uint64_t (*rows_of)(answer *), (*columns_of)(answer *);
static void *connection;

static void *find(void *so, const char *name)
{
  void *p = dlsym(so, name);
  if (!p)
    abort();
  return p;
}

static void open_reader(void)
{
  static void *database;
  void *so = dlopen(library(), RTLD_NOW);
  if (!so)
    abort();
  void *p;
#define TAKE(function, name) (p = find(so, name), memcpy(&(function), &p, sizeof p))
  TAKE(open_db, "duckdb_open");
  TAKE(connect_db, "duckdb_connect");
  TAKE(query, "duckdb_query");
  TAKE(value, "duckdb_value_varchar");
  TAKE(error_of, "duckdb_result_error");
  TAKE(destroy, "duckdb_destroy_result");
  TAKE(rows_of, "duckdb_row_count");
  TAKE(columns_of, "duckdb_column_count");
  if (open_db(NULL, &database) || connect_db(database, &connection))
    abort();
}

/* The whole answer as text: values with |, rows with newline. */
static const char *ask(const char *question) /* $ stands for the file */
{
  static char out[65536], sql[1000];
  answer a = {0};
  const char *mark = strchr(question, '$');
  snprintf(sql, sizeof sql, "%.*s'%s'%s", (int)(mark - question), question, path, mark + 1);
  if (query(connection, sql, &a)) {
    snprintf(out, sizeof out, "ERROR %s", error_of(&a));
    destroy(&a);
    return out;
  }
  size_t n = 0;
  uint64_t rows = rows_of(&a), columns = columns_of(&a);
  for (uint64_t row = 0; row < rows; row++)
    for (uint64_t column = 0; column < columns; column++) {
      char *text = value(&a, column, row);
      n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", text ? text : "NULL", column + 1 < columns ? "|" : "\n");
      free(text);
    }
  destroy(&a);
  out[n] = 0;
  return out;
}

static void write_all_types(bool gzip)
{
  static const uint8_t flag[] = {1, 0, 1}, there[] = {1, 0, 1}, not_there[] = {0, 1, 0};
  static const int64_t number[] = {INT64_MIN, 0, INT64_MAX}, time[] = {1700000000000001, -1, 0};
  static const double real[] = {0.1, -0.0, 1e308};
  const mc_slice text[] = {MC_LIT("plain"), MC_LIT(""), MC_LIT("a \"quoted\", longer text with ümläuts and '")};
  mc_parquet_column column[] = {{.name = "flag", .type = MC_PARQUET_BOOLEAN, .boolean = flag, .present = there},
                                {.name = "number", .type = MC_PARQUET_BIGINT, .number = number},
                                {.name = "odd \"name\"", .type = MC_PARQUET_DOUBLE, .real = real, .present = not_there},
                                {.name = "text", .type = MC_PARQUET_TEXT, .text = text},
                                {.name = "time", .type = MC_PARQUET_TIME, .number = time}};
  CHECK_OK(mc_parquet_write(duckdb, path, column, 5, 3, gzip, &why));
}

static void test_every_type_reads_back(void)
{
  write_all_types(true);
  CHECK_STR(ask("SELECT name, type, converted_type FROM parquet_schema($)"),
            "duckdb_schema|NULL|NULL\nflag|BOOLEAN|NULL\nnumber|INT64|INT_64\nodd \"name\"|DOUBLE|NULL\ntext|BYTE_ARRAY|UTF8\ntime|INT64|TIMESTAMP_MICROS\n");
  CHECK_STR(ask("SELECT flag, number, \"odd \"\"name\"\"\", text, epoch_us(time) FROM $"),
            "true|-9223372036854775808|NULL|plain|1700000000000001\nNULL|0|-0.0||-1\ntrue|9223372036854775807|NULL|a \"quoted\", longer text with ümläuts and '|0\n");
}

static void test_compression_is_as_asked(void)
{
  write_all_types(true);
  CHECK_STR(ask("SELECT DISTINCT compression FROM parquet_metadata($)"), "GZIP\n");
  write_all_types(false);
  CHECK_STR(ask("SELECT DISTINCT compression FROM parquet_metadata($)"), "UNCOMPRESSED\n");
}

static void test_many_rows_and_none(void)
{
  enum { MANY = 100000 };
  int64_t *number = malloc(MANY * sizeof *number);
  uint8_t *present = malloc(MANY);
  CHECK(number && present);
  for (int i = 0; i < MANY; i++) {
    number[i] = (int64_t)i * 3;
    present[i] = i % 5 != 0;
  }
  mc_parquet_column column = {.name = "n", .type = MC_PARQUET_BIGINT, .number = number, .present = present};
  CHECK_OK(mc_parquet_write(duckdb, path, &column, 1, MANY, true, &why));
  CHECK_STR(ask("SELECT count(*), count(n), sum(n), min(n), max(n) FROM $"), "100000|80000|12000000000|3|299997\n");
  CHECK_OK(mc_parquet_write(duckdb, path, &column, 1, 0, true, &why));
  CHECK_STR(ask("SELECT count(*) FROM $"), "0\n");
  free(number);
  free(present);
}

static void test_what_cannot_be_written_is_told(void)
{
  static const int64_t one[] = {1};
  mc_parquet_column column = {.name = "n", .type = MC_PARQUET_BIGINT, .number = one};
  CHECK_INT(mc_parquet_write(duckdb, "/nonexistent/folder/x.parquet", &column, 1, 1, true, &why), MC_ERR_IO);
  CHECK_WHY(why, "DuckDB");
  CHECK_INT(mc_parquet_write(duckdb, path, &column, 0, 1, true, &why), MC_ERR_INVALID);
  CHECK_INT(mc_parquet_write(duckdb, path, &column, MC_PARQUET_COLUMNS + 1, 1, true, &why), MC_ERR_INVALID);
  static const mc_slice bad = {(const uint8_t *)"\xff\xfe", 2};
  mc_parquet_column text = {.name = "t", .type = MC_PARQUET_TEXT, .text = &bad};
  mc_err err = mc_parquet_write(duckdb, path, &text, 1, 1, true, &why);
  CHECK(err == MC_OK || why.text[0]); /* it may refuse broken UTF-8, and must not fall over it */
  CHECK_OK(mc_parquet_write(duckdb, path, &column, 1, 1, true, &why)); /* and goes on */
}

static void test_other_libraries_are_refused(void)
{
  mc_duckdb *d;
  CHECK_INT(mc_duckdb_load("/nonexistent/libduckdb.so", &d, &why), MC_ERR_NOT_FOUND);
  CHECK(!d);
  CHECK_INT(mc_duckdb_load("libm.so.6", &d, &why), MC_ERR_UNSUPPORTED);
  CHECK_WHY(why, "expected DuckDB");
  CHECK(!d);
}

static void test_reading_back_needs_the_library(void)
{
  SKIP("no DuckDB: run `make duckdb`, or set MOTORCADE_DUCKDB to its library");
}

#ifdef __SANITIZE_THREAD__
static void test_reading_back_is_for_the_address_sanitizer(void)
{
  SKIP("DuckDB's threads were not built with the thread sanitizer, which takes what they do for races");
}
#endif

int main(int argc, char **argv)
{
  snprintf(path, sizeof path, "/tmp/mc-parquet-test-%d.parquet", (int)getpid());
  RUN(test_other_libraries_are_refused);
  if (mc_duckdb_load(library(), &duckdb, &why)) {
    printf("# %s\n", why.text);
    RUN(test_reading_back_needs_the_library);
    return tap_done();
  }
  printf("# DuckDB %s\n", mc_duckdb_version(duckdb));
#ifdef __SANITIZE_THREAD__
  RUN(test_reading_back_is_for_the_address_sanitizer);
  mc_duckdb_unload(&duckdb);
  return tap_done();
#endif
  open_reader();
  RUN(test_every_type_reads_back);
  RUN(test_compression_is_as_asked);
  RUN(test_many_rows_and_none);
  RUN(test_what_cannot_be_written_is_told);
  mc_duckdb_unload(&duckdb);
  unlink(path);
  return tap_done();
}
