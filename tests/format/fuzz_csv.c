#include "format/csv.h"

enum { FIELDS = 16 };
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes a record with every field quoted. */
static void write_quoted(const mc_slice *field, size_t count, uint8_t separator, mc_buf *out)
{
  for (size_t i = 0; i < count; i++) {
    if (i)
      mc_buf_append_u8(out, separator);
    mc_buf_append_u8(out, '"');
    for (size_t k = 0; k < field[i].len; k++) {
      mc_buf_append_u8(out, field[i].data[k]);
      if (field[i].data[k] == '"')
        mc_buf_append_u8(out, '"');
    }
    mc_buf_append_u8(out, '"');
  }
}

/* What was read can be written and read again. */
static void check_again(const mc_slice *field, size_t count)
{
  mc_buf text = {0};
  mc_slice again[FIELDS];
  size_t n;
  write_quoted(field, count, ',', &text);
  mc_csv_reader r = mc_csv_reader_of(mc_buf_slice(&text));
  r.separator = ','; /* with one field there is none to go by */
  if (mc_csv_next(&r, again, FIELDS, &n, NULL) || n != count)
    __builtin_trap();
  for (size_t i = 0; i < count; i++)
    if (!mc_slice_eq(again[i], field[i]))
      __builtin_trap();
  if (mc_csv_next(&r, again, FIELDS, &n, NULL) != MC_ERR_END)
    __builtin_trap();
  mc_csv_reader_free(&r);
  mc_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_csv_reader r = mc_csv_reader_of(mc_slice_of(data, size));
  mc_slice field[FIELDS];
  mc_why why;
  size_t count;
  mc_err err;
  uint32_t line = 0;
  while ((err = mc_csv_next(&r, field, FIELDS, &count, &why)) != MC_ERR_END) {
    if (r.line <= line || (err && count))
      __builtin_trap(); /* every record, also a broken one, lies behind the one before */
    line = r.line;
    if (!err)
      check_again(field, count);
  }
  mc_csv_reader_free(&r);
  return 0;
}
