#include "format/csv.h"

mc_csv_reader mc_csv_reader_of(mc_slice text)
{
  static const uint8_t candidate[] = {',', ';', '\t'};
  mc_csv_reader r = {.in = text, .separator = ',', .next_line = 1};
  if (mc_slice_starts(text, MC_LIT("\xEF\xBB\xBF")))
    r.at = 3;
  size_t most = 0, seen[3] = {0};
  bool quoted = false;
  for (size_t i = r.at; i < text.len; i++) {
    uint8_t c = text.data[i];
    quoted ^= c == '"';
    if (!quoted && (c == '\n' || c == '\r'))
      break;
    for (size_t k = 0; k < 3; k++)
      if (!quoted && c == candidate[k] && ++seen[k] > most) {
        most = seen[k];
        r.separator = c;
      }
  }
  return r;
}

void mc_csv_reader_free(mc_csv_reader *r)
{
  mc_buf_free(&r->text);
}

static bool at_end(const mc_csv_reader *r)
{
  return r->at >= r->in.len;
}

static bool at_line_end(const mc_csv_reader *r)
{
  return !at_end(r) && (r->in.data[r->at] == '\n' || r->in.data[r->at] == '\r');
}

static void skip_line_end(mc_csv_reader *r)
{
  if (r->in.data[r->at++] == '\r' && !at_end(r) && r->in.data[r->at] == '\n')
    r->at++;
  r->next_line++;
}

static mc_slice plain_field(mc_csv_reader *r)
{
  size_t from = r->at;
  while (!at_end(r) && !at_line_end(r) && r->in.data[r->at] != r->separator)
    r->at++;
  return (mc_slice){r->in.data + from, r->at - from};
}

/* What stands between quotes, appended to text; the slice is made when text does not move any more (see fields). */
static mc_err quoted_field(mc_csv_reader *r, mc_why *why)
{
  uint32_t opened = r->next_line;
  r->at++;
  for (;;) {
    if (at_end(r))
      return mc_err_set(why, MC_ERR_MALFORMED, "line %u: a quote is opened here and never closed", opened);
    uint8_t c = r->in.data[r->at];
    if (c == '"' && (r->at + 1 >= r->in.len || r->in.data[r->at + 1] != '"'))
      break;
    if (at_line_end(r)) {
      size_t from = r->at;
      skip_line_end(r);
      MC_TRY(mc_buf_append(&r->text, r->in.data + from, r->at - from));
      continue;
    }
    MC_TRY(mc_buf_append_u8(&r->text, c));
    r->at += c == '"' ? 2 : 1;
  }
  r->at++;
  if (!at_end(r) && !at_line_end(r) && r->in.data[r->at] != r->separator)
    return mc_err_set(why, MC_ERR_MALFORMED, "line %u: expected a separator behind the closing quote, found \"%c\"; a quote inside a field is written twice",
                      r->next_line, r->in.data[r->at] >= 0x20 && r->in.data[r->at] < 0x7f ? r->in.data[r->at] : '?');
  return MC_OK;
}

/* Fields up to the end of the record. A quoted one is noted by its place in text, since text may still move: data NULL and len its end. */
static mc_err fields(mc_csv_reader *r, mc_slice *field, size_t max, size_t *count, mc_why *why)
{
  for (;;) {
    if (*count == max)
      return mc_err_set(why, MC_ERR_TOO_LARGE, "line %u: more than %zu fields", r->line, max);
    mc_slice *f = &field[*count];
    if (!at_end(r) && r->in.data[r->at] == '"') {
      MC_TRY(quoted_field(r, why));
      *f = (mc_slice){NULL, r->text.len};
    } else {
      *f = plain_field(r);
    }
    ++*count;
    if (at_end(r))
      return MC_OK;
    if (at_line_end(r)) {
      skip_line_end(r);
      return MC_OK;
    }
    r->at++; /* the separator */
  }
}

static void settle(const mc_csv_reader *r, mc_slice *field, size_t count)
{
  size_t from = 0;
  for (size_t i = 0; i < count; i++)
    if (!field[i].data) {
      size_t end = field[i].len;
      field[i] = mc_slice_sub(mc_buf_slice(&r->text), from, end - from);
      from = end;
    }
}

static void skip_record(mc_csv_reader *r)
{
  while (!at_end(r) && !at_line_end(r))
    r->at++;
  if (!at_end(r))
    skip_line_end(r);
}

mc_err mc_csv_next(mc_csv_reader *r, mc_slice *field, size_t max, size_t *count, mc_why *why)
{
  *count = 0;
  mc_buf_clear(&r->text);
  while (at_line_end(r))
    skip_line_end(r);
  if (at_end(r))
    return MC_ERR_END;
  r->line = r->next_line;
  mc_err err = fields(r, field, max, count, why);
  if (err) {
    skip_record(r);
    *count = 0;
    return err == MC_ERR_MEMORY ? mc_err_set(why, err, "line %u: out of memory", r->line) : err;
  }
  settle(r, field, *count);
  return MC_OK;
}
