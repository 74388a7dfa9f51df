/* A batch as an object: FleetWise's columns (contract fleetwise, 9.6) in Parquet or JSON lines, under FleetWise's own key. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include "campaign/delivery.h"
#include "format/json.h"

/* campaignName, eventId, collectionEventTime, vehicleName, measure_name, time, the measure_value columns that hold something, dimensions */
static const char *const value_names[ROW_KINDS] = {[ROW_BOOLEAN] = "measure_value_BOOLEAN", [ROW_BIGINT] = "measure_value_BIGINT",
                                                [ROW_DOUBLE] = "measure_value_DOUBLE", [ROW_TEXT] = "measure_value_VARCHAR",
                                                [ROW_STRUCT] = "measure_value_STRUCT"};

/* ---- JSON lines ---- */
/* Epoch milliseconds, as FleetWise's files have them; microseconds of our own agent stand behind the point. */
static void time_field(mc_json *j, const char *key, int64_t us)
{
  mc_json_key(j, key);
  if (us % 1000 == 0)
    mc_json_int(j, us / 1000);
  else
    mc_json_double(j, (double)us / 1000);
}

static mc_err json_row(const delivery_batch *b, const delivery_row *row, mc_buf *out)
{
  const delivery_vehicle *v = &b->vehicle.at[row->vehicle];
  char event[16];
  mc_json j = mc_json_to(out);
  snprintf(event, sizeof event, "%u", row->event_id);
  mc_json_object(&j);
  mc_json_text_field(&j, "campaignName", b->target->name);
  mc_json_str_field(&j, "eventId", event);
  time_field(&j, "collectionEventTime", row->event_us);
  mc_json_text_field(&j, "vehicleName", v->name);
  mc_json_text_field(&j, "measure_name", row->measure);
  time_field(&j, "time", row->time_us);
  mc_json_key(&j, value_names[row->kind]);
  if (row->kind == ROW_BOOLEAN)
    mc_json_bool(&j, row->number != 0);
  else if (row->kind == ROW_BIGINT)
    mc_json_int(&j, row->number);
  else if (row->kind == ROW_DOUBLE)
    mc_json_double(&j, row->real);
  else if (row->kind == ROW_STRUCT)
    mc_json_raw(&j, row->text);
  else
    mc_json_text(&j, row->text);
  for (uint32_t i = 0; i < b->target->dimension_count; i++)
    if (v->dimension[i].data) {
      mc_json_key_slice(&j, b->target->dimension[i]);
      mc_json_text(&j, v->dimension[i]);
    }
  mc_json_object_end(&j);
  MC_TRY(mc_json_end(&j));
  return mc_buf_append_u8(out, '\n');
}

/* The whole of `in` as one gzip member, with no time in it: the same rows give the same bytes. */
static mc_err gzip(mc_slice in, mc_buf *out)
{
  z_stream z = {0};
  if (in.len > UINT32_MAX || deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return MC_ERR_MEMORY;
  mc_err err = mc_buf_reserve(out, deflateBound(&z, in.len));
  if (!err) {
    z.next_in = (Bytef *)(uintptr_t)in.data; /* zlib's interface knows no const */
    z.avail_in = (uInt)in.len;
    z.next_out = out->data + out->len;
    z.avail_out = (uInt)(out->cap - out->len);
    err = deflate(&z, Z_FINISH) == Z_STREAM_END ? MC_OK : MC_ERR_MEMORY;
    out->len = out->cap - z.avail_out;
  }
  deflateEnd(&z);
  return err;
}

static mc_err write_json(const delivery_batch *b, bool compressed, const char *path, mc_why *why)
{
  mc_buf text = {0}, packed = {0};
  mc_err err = MC_OK;
  for (size_t i = 0; i < b->row.len && !err; i++)
    err = json_row(b, &b->row.at[i], &text);
  if (!err && compressed)
    err = gzip(mc_buf_slice(&text), &packed);
  if (err)
    mc_err_set(why, err, "rows of campaign %.*s as JSON: %s", MC_FMT(b->target->name), mc_err_text(err));
  else
    err = mc_fs_replace(mc_fs_posix(), path, mc_buf_slice(compressed ? &packed : &text), 0600, why);
  mc_buf_free(&text);
  mc_buf_free(&packed);
  return err;
}

/* ---- Parquet ---- */
typedef struct table {
  mc_arena arena;
  mc_parquet_column column[MC_PARQUET_COLUMNS];
  size_t columns, rows;
} table;

static void *room(table *t, size_t size)
{
  return mc_arena_array(&t->arena, t->rows ? t->rows : 1, size);
}

static mc_err add_texts(table *t, const delivery_batch *b, const char *name, mc_slice (*of)(const delivery_batch *b, const delivery_row *row, table *t))
{
  mc_slice *text = room(t, sizeof *text);
  if (!text)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < t->rows; i++)
    text[i] = of(b, &b->row.at[i], t);
  t->column[t->columns++] = (mc_parquet_column){.name = name, .type = MC_PARQUET_TEXT, .text = text};
  return MC_OK;
}

static mc_slice campaign_of(const delivery_batch *b, const delivery_row *row, table *t) { return b->target->name; }
static mc_slice vehicle_of(const delivery_batch *b, const delivery_row *row, table *t) { return b->vehicle.at[row->vehicle].name; }
static mc_slice measure_of(const delivery_batch *b, const delivery_row *row, table *t) { return row->measure; }
static mc_slice event_of(const delivery_batch *b, const delivery_row *row, table *t) { return mc_slice_str(mc_arena_printf(&t->arena, "%u", row->event_id)); }

static mc_err add_times(table *t, const delivery_batch *b, const char *name, bool of_event)
{
  int64_t *time = room(t, sizeof *time);
  if (!time)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < t->rows; i++)
    time[i] = of_event ? b->row.at[i].event_us : b->row.at[i].time_us;
  t->column[t->columns++] = (mc_parquet_column){.name = name, .type = MC_PARQUET_TIME, .number = time};
  return MC_OK;
}

/* Only the columns that hold something: FleetWise's own readers take a column that is there for a value that is there. */
static mc_err add_values(table *t, const delivery_batch *b, row_kind kind)
{
  static const mc_parquet_type types[] = {[ROW_BOOLEAN] = MC_PARQUET_BOOLEAN, [ROW_BIGINT] = MC_PARQUET_BIGINT, [ROW_DOUBLE] = MC_PARQUET_DOUBLE,
                                          [ROW_TEXT] = MC_PARQUET_TEXT, [ROW_STRUCT] = MC_PARQUET_TEXT};
  bool any = false;
  uint8_t *present = room(t, 1), *boolean = room(t, 1);
  int64_t *number = room(t, sizeof *number);
  double *real = room(t, sizeof *real);
  mc_slice *text = room(t, sizeof *text);
  if (!present || !boolean || !number || !real || !text)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < t->rows; i++) {
    const delivery_row *row = &b->row.at[i];
    if (row->kind != kind)
      continue;
    any = true;
    present[i] = 1;
    if (kind == ROW_BOOLEAN)
      boolean[i] = row->number != 0;
    else if (kind == ROW_BIGINT)
      number[i] = row->number;
    else if (kind == ROW_DOUBLE)
      real[i] = row->real;
    else
      text[i] = row->text;
  }
  if (!any)
    return MC_OK;
  mc_parquet_column c = {.name = value_names[kind], .type = types[kind], .present = present};
  if (kind == ROW_BOOLEAN)
    c.boolean = boolean;
  else if (kind == ROW_BIGINT)
    c.number = number;
  else if (kind == ROW_DOUBLE)
    c.real = real;
  else
    c.text = text;
  t->column[t->columns++] = c;
  return MC_OK;
}

static mc_err add_dimension(table *t, const delivery_batch *b, uint32_t index)
{
  uint8_t *present = room(t, 1);
  mc_slice *text = room(t, sizeof *text);
  char *name = mc_arena_str(&t->arena, b->target->dimension[index]);
  if (!present || !text || !name)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < t->rows; i++) {
    text[i] = b->vehicle.at[b->row.at[i].vehicle].dimension[index];
    present[i] = text[i].data != NULL;
  }
  t->column[t->columns++] = (mc_parquet_column){.name = name, .type = MC_PARQUET_TEXT, .text = text, .present = present};
  return MC_OK;
}

static mc_err make_table(table *t, const delivery_batch *b)
{
  MC_TRY(add_texts(t, b, "campaignName", campaign_of));
  MC_TRY(add_texts(t, b, "eventId", event_of));
  MC_TRY(add_times(t, b, "collectionEventTime", true));
  MC_TRY(add_texts(t, b, "vehicleName", vehicle_of));
  MC_TRY(add_texts(t, b, "measure_name", measure_of));
  MC_TRY(add_times(t, b, "time", false));
  for (row_kind kind = ROW_BOOLEAN; kind < ROW_KINDS; kind++)
    MC_TRY(add_values(t, b, kind));
  for (uint32_t i = 0; i < b->target->dimension_count && t->columns < MC_PARQUET_COLUMNS; i++)
    MC_TRY(add_dimension(t, b, i));
  return MC_OK;
}

static mc_err sync_file(const char *path, mc_why *why)
{
  mc_file *file;
  MC_TRY(mc_file_open(mc_fs_posix(), path, MC_FILE_WRITE, &file, why));
  mc_err err = mc_file_sync(file, why);
  mc_file_close(&file);
  return err;
}

static mc_err write_parquet(const delivery_batch *b, bool compressed, mc_duckdb *duckdb, const char *path, mc_why *why)
{
  table *t = calloc(1, sizeof *t);
  if (!t)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a Parquet file");
  t->rows = b->row.len;
  mc_err err = make_table(t, b);
  if (err)
    mc_err_set(why, err, "rows of campaign %.*s as Parquet: %s", MC_FMT(b->target->name), mc_err_text(err));
  else
    err = mc_parquet_write(duckdb, path, t->column, t->columns, t->rows, compressed, why);
  if (!err)
    err = sync_file(path, why);
  mc_arena_free(&t->arena);
  free(t);
  return err;
}

mc_err delivery_file_write(const delivery_batch *b, const destination *to, mc_duckdb *duckdb, const char *path, bool *parquet, mc_why *why)
{
  *parquet = to->parquet && duckdb;
  return *parquet ? write_parquet(b, to->gzip, duckdb, path, why) : write_json(b, to->gzip, path, why);
}

mc_err delivery_key(const delivery_batch *b, const destination *to, bool parquet, const char *instance, mc_buf *out)
{
  time_t seconds = (time_t)(b->arrival_us / 1000000);
  struct tm tm;
  const char *ending = parquet ? (to->gzip ? "gz.parquet" : "parquet") : (to->gzip ? "json.gz" : "json");
  gmtime_r(&seconds, &tm);
  MC_TRY(mc_buf_printf(out, "%.*s%sprocessed-data/year=%04d/month=%02d/date=%02d/hour=%02d/", MC_FMT(to->prefix), to->prefix.len ? "/" : "", tm.tm_year + 1900, tm.tm_mon + 1,
                       tm.tm_mday, tm.tm_hour));
  return mc_buf_printf(out, "part-0000-%s%016" PRIx64 "%08" PRIx32 ".%s", instance, b->first_offset, b->target->campaign, ending);
}
