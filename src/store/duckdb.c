/* DuckDB behind one file: its library is loaded at run time, and what is called of it is declared here (C API, "duckdb.h" of version 1.4.4, which later
 * versions keep). Without the library everything else works. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/store.h"

typedef void *handle;
typedef uint64_t idx;
typedef struct result { /* duckdb_result */
  idx unused[3];
  void *columns;
  char *error;
  void *inside;
} result;
enum { SUCCESS = 0, TYPE_BOOLEAN = 1, TYPE_BIGINT = 5, TYPE_DOUBLE = 11, TYPE_VARCHAR = 17, TYPE_TIMESTAMP_TZ = 31 };

/* name, answer, arguments */
#define CALLS(X)                                                                       \
  X(library_version, const char *, (void))                                             \
  X(create_config, int, (handle * config))                                             \
  X(set_config, int, (handle config, const char *name, const char *value))             \
  X(destroy_config, void, (handle * config))                                           \
  X(open_ext, int, (const char *path, handle *database, handle config, char **error))  \
  X(close, void, (handle * database))                                                  \
  X(connect, int, (handle database, handle *connection))                               \
  X(disconnect, void, (handle * connection))                                           \
  X(query, int, (handle connection, const char *sql, result *out))                     \
  X(result_error, const char *, (result * r))                                          \
  X(destroy_result, void, (result * r))                                                \
  X(free, void, (void *p))                                                             \
  X(appender_create, int, (handle connection, const char *schema, const char *table, handle *appender)) \
  X(append_data_chunk, int, (handle appender, handle chunk))                           \
  X(appender_error, const char *, (handle appender))                                   \
  X(appender_close, int, (handle appender))                                            \
  X(appender_destroy, int, (handle * appender))                                        \
  X(create_logical_type, handle, (int type))                                           \
  X(destroy_logical_type, void, (handle * type))                                       \
  X(create_data_chunk, handle, (handle * types, idx columns))                          \
  X(destroy_data_chunk, void, (handle * chunk))                                        \
  X(data_chunk_reset, void, (handle chunk))                                            \
  X(data_chunk_get_vector, handle, (handle chunk, idx column))                         \
  X(data_chunk_set_size, void, (handle chunk, idx rows))                               \
  X(vector_size, idx, (void))                                                          \
  X(vector_get_data, void *, (handle vector))                                          \
  X(vector_ensure_validity_writable, void, (handle vector))                            \
  X(vector_get_validity, uint64_t *, (handle vector))                                  \
  X(vector_assign_string_element_len, void, (handle vector, idx row, const char *text, idx len))

struct mc_duckdb {
#define DECLARE(name, answer, arguments) answer(*name) arguments;
  CALLS(DECLARE)
#undef DECLARE
  pthread_mutex_t lock; /* of the connection */
  handle database, connection;
};

typedef struct symbol { const char *name; size_t offset; } symbol;
static const symbol symbols[] = {
#define SYMBOL(name, answer, arguments) {"duckdb_" #name, offsetof(struct mc_duckdb, name)},
    CALLS(SYMBOL)
#undef SYMBOL
};

/* Never taken out again: a C++ library with threads of its own does not like it. */
static mc_err load_symbols(mc_duckdb *d, const char *library, mc_why *why)
{
  void *so = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!so)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "DuckDB's library cannot be loaded: %s", dlerror());
  for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
    void *found = dlsym(so, symbols[i].name);
    if (!found)
      return mc_err_set(why, MC_ERR_UNSUPPORTED, "%s has no %s: expected DuckDB 1.4 or later", library, symbols[i].name);
    memcpy((uint8_t *)d + symbols[i].offset, &found, sizeof found);
  }
  return MC_OK;
}

/* It must reach for no network and no file that it was not told of (contract store, 6.3). */
static mc_err open_database(mc_duckdb *d, mc_why *why)
{
  static const char *const settings[][2] = {{"autoinstall_known_extensions", "false"}, {"autoload_known_extensions", "false"}, {"threads", "1"}, {"memory_limit", "512MB"}};
  handle config = NULL;
  char *error = NULL;
  int bad = d->create_config(&config);
  for (size_t i = 0; i < sizeof settings / sizeof settings[0] && bad == SUCCESS; i++)
    bad = d->set_config(config, settings[i][0], settings[i][1]);
  if (bad == SUCCESS)
    bad = d->open_ext(NULL, &d->database, config, &error);
  if (bad == SUCCESS)
    bad = d->connect(d->database, &d->connection);
  mc_err err = bad == SUCCESS ? MC_OK : mc_err_set(why, MC_ERR_UNSUPPORTED, "DuckDB does not start: %s", error ? error : "it does not say why");
  if (error)
    d->free(error);
  d->destroy_config(&config);
  return err;
}

mc_err mc_duckdb_load(const char *library, mc_duckdb **out, mc_why *why)
{
  *out = NULL;
  mc_duckdb *d = calloc(1, sizeof *d);
  if (!d)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for DuckDB");
  pthread_mutex_init(&d->lock, NULL);
  mc_err err = load_symbols(d, library, why);
  if (!err)
    err = open_database(d, why);
  *out = d;
  if (err)
    mc_duckdb_unload(out);
  return err;
}

void mc_duckdb_unload(mc_duckdb **duckdb)
{
  mc_duckdb *d = *duckdb;
  if (!d)
    return;
  if (d->connection)
    d->disconnect(&d->connection);
  if (d->database)
    d->close(&d->database);
  pthread_mutex_destroy(&d->lock);
  free(d);
  *duckdb = NULL;
}

const char *mc_duckdb_version(const mc_duckdb *d)
{
  return d->library_version();
}

static mc_err run(mc_duckdb *d, const mc_buf *sql, mc_why *why)
{
  result r = {0};
  mc_err err = MC_OK;
  if (d->query(d->connection, (const char *)sql->data, &r) != SUCCESS) {
    const char *text = d->result_error(&r);
    err = mc_err_set(why, text && strstr(text, "No space left") ? MC_ERR_FULL : MC_ERR_IO, "DuckDB: %s", text ? text : "it does not say why");
  }
  d->destroy_result(&r);
  return err;
}

static mc_err quote(mc_buf *sql, const char *text, char mark)
{
  MC_TRY(mc_buf_append_u8(sql, (uint8_t)mark));
  for (const char *p = text; *p; p++) {
    if (*p == mark)
      MC_TRY(mc_buf_append_u8(sql, (uint8_t)mark));
    MC_TRY(mc_buf_append_u8(sql, (uint8_t)*p));
  }
  return mc_buf_append_u8(sql, (uint8_t)mark);
}

/* ---- Parquet ---- */
static const struct {
  int type;
  const char *name;
} types[] = {[MC_PARQUET_BOOLEAN] = {TYPE_BOOLEAN, "BOOLEAN"},
             [MC_PARQUET_BIGINT] = {TYPE_BIGINT, "BIGINT"},
             [MC_PARQUET_DOUBLE] = {TYPE_DOUBLE, "DOUBLE"},
             [MC_PARQUET_TEXT] = {TYPE_VARCHAR, "VARCHAR"},
             [MC_PARQUET_TIME] = {TYPE_TIMESTAMP_TZ, "TIMESTAMPTZ"}};

static mc_err create_table(mc_duckdb *d, const mc_parquet_column *column, size_t columns, mc_why *why)
{
  mc_buf sql = {0};
  mc_err err = mc_buf_append_str(&sql, "CREATE OR REPLACE TABLE rows_to_write (");
  for (size_t i = 0; i < columns && !err; i++) {
    err = mc_buf_append_str(&sql, i ? ", " : "");
    if (!err)
      err = quote(&sql, column[i].name, '"');
    if (!err)
      err = mc_buf_printf(&sql, " %s", types[column[i].type].name);
  }
  if (!err)
    err = mc_buf_append(&sql, ")", 2);
  if (!err)
    err = run(d, &sql, why);
  mc_buf_free(&sql);
  return err;
}

static mc_err copy_out(mc_duckdb *d, const char *path, bool gzip, mc_why *why)
{
  mc_buf sql = {0};
  mc_err err = mc_buf_append_str(&sql, "COPY rows_to_write TO ");
  if (!err)
    err = quote(&sql, path, '\'');
  if (!err)
    err = mc_buf_printf(&sql, " (FORMAT parquet, COMPRESSION %s)", gzip ? "gzip" : "uncompressed");
  if (!err)
    err = mc_buf_append_u8(&sql, 0);
  if (!err)
    err = run(d, &sql, why);
  mc_buf_free(&sql);
  return err;
}

static void drop_table(mc_duckdb *d)
{
  mc_buf sql = {0};
  if (!mc_buf_append(&sql, "DROP TABLE IF EXISTS rows_to_write", 35))
    run(d, &sql, NULL);
  mc_buf_free(&sql);
}

static void fill_column(mc_duckdb *d, handle vector, const mc_parquet_column *c, size_t first, size_t rows)
{
  void *data = d->vector_get_data(vector);
  uint64_t *valid = NULL;
  if (c->present) {
    d->vector_ensure_validity_writable(vector);
    valid = d->vector_get_validity(vector);
  }
  for (size_t i = 0; i < rows; i++) {
    size_t row = first + i;
    if (valid && !c->present[row]) {
      valid[i / 64] &= ~(UINT64_C(1) << i % 64);
      continue;
    }
    if (c->type == MC_PARQUET_BOOLEAN)
      ((bool *)data)[i] = c->boolean[row] != 0;
    else if (c->type == MC_PARQUET_DOUBLE)
      ((double *)data)[i] = c->real[row];
    else if (c->type == MC_PARQUET_TEXT)
      d->vector_assign_string_element_len(vector, i, c->text[row].len ? (const char *)c->text[row].data : "", c->text[row].len);
    else
      ((int64_t *)data)[i] = c->number[row];
  }
}

static mc_err append_rows(mc_duckdb *d, handle appender, const mc_parquet_column *column, size_t columns, size_t rows, mc_why *why)
{
  handle type[MC_PARQUET_COLUMNS] = {NULL};
  for (size_t i = 0; i < columns; i++)
    type[i] = d->create_logical_type(types[column[i].type].type);
  handle chunk = d->create_data_chunk(type, columns);
  size_t at_once = (size_t)d->vector_size();
  mc_err err = MC_OK;
  for (size_t first = 0; first < rows && !err; first += at_once) {
    size_t n = rows - first < at_once ? rows - first : at_once;
    d->data_chunk_reset(chunk);
    for (size_t i = 0; i < columns; i++)
      fill_column(d, d->data_chunk_get_vector(chunk, i), &column[i], first, n);
    d->data_chunk_set_size(chunk, n);
    if (d->append_data_chunk(appender, chunk) != SUCCESS)
      err = mc_err_set(why, MC_ERR_INVALID, "DuckDB takes no rows: %s", d->appender_error(appender));
  }
  if (!err && d->appender_close(appender) != SUCCESS)
    err = mc_err_set(why, MC_ERR_INVALID, "DuckDB takes no rows: %s", d->appender_error(appender));
  d->destroy_data_chunk(&chunk);
  for (size_t i = 0; i < columns; i++)
    d->destroy_logical_type(&type[i]);
  return err;
}

mc_err mc_parquet_write(mc_duckdb *d, const char *path, const mc_parquet_column *column, size_t columns, size_t rows, bool gzip, mc_why *why)
{
  handle appender = NULL;
  if (columns == 0 || columns > MC_PARQUET_COLUMNS)
    return mc_err_set(why, MC_ERR_INVALID, "a Parquet file of %zu columns: 1 to %d can be written", columns, MC_PARQUET_COLUMNS);
  pthread_mutex_lock(&d->lock);
  mc_err err = create_table(d, column, columns, why);
  if (!err && d->appender_create(d->connection, NULL, "rows_to_write", &appender) != SUCCESS)
    err = mc_err_set(why, MC_ERR_INVALID, "DuckDB takes no rows: %s", d->appender_error(appender));
  if (!err)
    err = append_rows(d, appender, column, columns, rows, why);
  if (appender)
    d->appender_destroy(&appender);
  if (!err)
    err = copy_out(d, path, gzip, why);
  drop_table(d);
  pthread_mutex_unlock(&d->lock);
  return err;
}
