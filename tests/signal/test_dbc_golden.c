/* Every DBC of the data folder against cantools: what is read, and what is decoded, bit for bit.
 * The golden file is made by tests/oracle/dbc_golden.py. */
#include <jansson.h>

#include "format/sha256.h"
#include "signal/signal.h"
#include "tap.h"

enum { FRAMES = 16 };

static json_t *golden;

static mc_err read_whole(const char *path, mc_buf *out)
{
  FILE *f = fopen(path, "rb");
  if (!f)
    return MC_ERR_NOT_FOUND;
  mc_err err = mc_buf_reserve(out, 1 << 20);
  while (!err) {
    size_t n = fread(out->data + out->len, 1, out->cap - out->len, f);
    if (n == 0)
      break;
    out->len += n;
    err = mc_buf_reserve(out, 1 << 20);
  }
  fclose(f);
  return err;
}

typedef struct line { const char *name; char *text; } line;

static int by_name(const void *a, const void *b) { return strcmp(((const line *)a)->name, ((const line *)b)->name); }
static int by_text(const void *a, const void *b) { return strcmp(((const line *)a)->text, ((const line *)b)->text); }
static int by_value(const void *a, const void *b)
{
  int64_t x = ((const mc_dbc_value *)a)->value, y = ((const mc_dbc_value *)b)->value;
  return x < y ? -1 : x > y;
}

static const char *hash16(mc_slice text)
{
  static char hex[65];
  sha256 s = sha256_start();
  sha256_add(&s, text);
  sha256_hex(&s, hex);
  hex[16] = 0;
  return hex;
}

static uint64_t bits(double d)
{
  uint64_t u;
  memcpy(&u, &d, sizeof u);
  return u;
}

static char *describe_signal(mc_dbc_signal *s)
{
  mc_buf b = {0};
  mc_buf_printf(&b, "%.*s %u|%u@%d%s%s (%016llx,%016llx) \"%.*s\" %.*s", MC_FMT(s->name), s->start_bit, s->length, !s->big_endian,
                s->is_signed && !s->float_bits ? "-" : s->is_signed ? "-" : "+", s->float_bits ? "f" : "",
                (unsigned long long)bits(s->factor), (unsigned long long)bits(s->offset), MC_FMT(s->unit), MC_FMT(s->comment));
  mc_dbc_value *sorted = malloc((s->value_count + 1) * sizeof *sorted);
  memcpy(sorted, s->value ? s->value : sorted, s->value_count * sizeof *sorted);
  qsort(sorted, s->value_count, sizeof *sorted, by_value);
  for (uint32_t i = 0; i < s->value_count; i++)
    mc_buf_printf(&b, "\n%lld=%.*s", (long long)sorted[i].value, MC_FMT(sorted[i].text));
  free(sorted);
  mc_buf_append_u8(&b, 0);
  return (char *)b.data;
}

static char *name_of(mc_arena *a, mc_slice name) { return mc_arena_str(a, name); }

static const char *describe(const mc_dbc_message *m, mc_arena *a)
{
  mc_buf b = {0};
  line *lines = calloc(m->signal_count + 1, sizeof *lines);
  for (uint32_t i = 0; i < m->signal_count; i++)
    lines[i] = (line){name_of(a, m->signal[i].name), describe_signal(&m->signal[i])};
  qsort(lines, m->signal_count, sizeof *lines, by_name);
  mc_buf_printf(&b, "%.*s %u %.*s", MC_FMT(m->name), m->size, MC_FMT(m->comment));
  for (uint32_t i = 0; i < m->signal_count; i++) {
    mc_buf_printf(&b, "\n%s", lines[i].text);
    free(lines[i].text);
  }
  free(lines);
  const char *hex = hash16(mc_buf_slice(&b));
  mc_buf_free(&b);
  return hex;
}

typedef struct numbering { const mc_dbc_signal *at[8192]; uint32_t count; } numbering;

static bool number(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *id, uint32_t *encoding)
{
  numbering *n = ctx;
  if (n->count + 1 >= 8192)
    return false;
  n->at[++n->count] = s;
  *id = *encoding = n->count;
  return true;
}

static void add_frame(mc_buf *b, const mc_decode_plan *plan, const numbering *names, const mc_can_frame *f)
{
  static mc_decoded out[4096];
  static line lines[4096];
  size_t n = mc_decode_plan_run(plan, f, out, 4096);
  for (size_t i = 0; i < n; i++) {
    mc_buf t = {0};
    mc_buf_printf(&t, "%.*s=%016llx", MC_FMT(names->at[out[i].signal_id]->name), (unsigned long long)bits(out[i].value));
    mc_buf_append_u8(&t, 0);
    lines[i].text = (char *)t.data;
  }
  qsort(lines, n, sizeof *lines, by_text);
  for (size_t i = 0; i < n; i++) {
    mc_buf_printf(b, "%s%s", i ? "\n" : "", lines[i].text);
    free(lines[i].text);
  }
}

static uint8_t next_byte(uint64_t *x)
{
  *x = *x * 6364136223846793005ULL + 1442695040888963407ULL;
  return (uint8_t)(*x >> 56);
}

static void from_hex(const char *hex, uint8_t *out)
{
  for (size_t i = 0; hex[2 * i] && i < 64; i++) {
    unsigned byte = 0;
    sscanf(hex + 2 * i, "%2x", &byte);
    out[i] = (uint8_t)byte;
  }
}

static const char *decode(const mc_dbc_message *m, uint32_t key, const mc_decode_plan *plan, const numbering *names, json_t *payloads)
{
  mc_buf b = {0};
  mc_can_frame f = {.id = m->id, .extended = m->extended, .len = (uint8_t)m->size};
  uint64_t x = key;
  size_t frames = payloads ? json_array_size(payloads) : FRAMES;
  for (size_t i = 0; i < frames; i++) {
    for (int k = 0; k < m->size && !payloads; k++)
      f.data[k] = next_byte(&x);
    if (payloads)
      from_hex(json_string_value(json_array_get(payloads, i)), f.data);
    if (i)
      mc_buf_append_str(&b, "\n\n");
    add_frame(&b, plan, names, &f);
  }
  const char *hex = hash16(mc_buf_slice(&b));
  mc_buf_free(&b);
  return hex;
}

static int compare_file(const char *dir, const char *file, json_t *rows)
{
  char path[2048];
  snprintf(path, sizeof path, "%s/%s", dir, file);
  mc_buf text = {0};
  mc_arena arena = MC_ARENA(0);
  mc_dbc dbc;
  mc_why why = {0};
  static numbering names;
  names.count = 0;
  mc_can_signal_vec signals = {0};
  mc_decode_plan *plan = NULL;
  int wrong = 0;
  if (read_whole(path, &text) || mc_dbc_parse(mc_buf_slice(&text), file, &arena, &dbc, &why) ||
      mc_signals_from_dbc(&dbc, 0, (mc_dbc_resolver){&names, number}, &arena, &signals, &why)) {
    printf("# %s: %s\n", path, why.text);
    wrong = 1;
  } else {
    for (size_t i = 0; i < signals.len; i++)
      signals.at[i].match = MC_ID_EXACT; /* cantools knows no "not available" */
    wrong = mc_decode_plan_create(signals.at, signals.len, &plan, &why) != MC_OK;
    size_t compared = 0;
    for (uint32_t i = 0; i < dbc.message_count && !wrong; i++) {
      const mc_dbc_message *m = &dbc.message[i];
      uint32_t key = m->id | (uint32_t)m->extended << 31;
      json_t *row = NULL, *candidate;
      size_t r;
      json_array_foreach(rows, r, candidate)
        if ((uint32_t)json_integer_value(json_array_get(candidate, 0)) == key)
          row = candidate;
      if (!row) {
        printf("# %s: message %.*s is not in the golden file\n", file, MC_FMT(m->name));
        wrong = 1;
        break;
      }
      compared++;
      const char *want = json_string_value(json_array_get(row, 1)), *got = describe(m, &arena);
      if (strcmp(want, got)) {
        printf("# %s: description of %.*s: got %s, want %s\n", file, MC_FMT(m->name), got, want);
        wrong++;
      }
      want = json_string_value(json_array_get(row, 2));
      if (*want && strcmp(want, decode(m, key, plan, &names, json_array_get(row, 3)))) {
        printf("# %s: values of %.*s differ\n", file, MC_FMT(m->name));
        wrong++;
      }
    }
    if (!wrong && compared != json_array_size(rows)) {
      printf("# %s: %zu messages, golden has %zu\n", file, compared, json_array_size(rows));
      wrong = 1;
    }
  }
  mc_decode_plan_destroy(&plan);
  mc_vec_free(&signals);
  mc_arena_free(&arena);
  mc_buf_free(&text);
  return wrong;
}

static void test_reads_and_decodes_every_dbc_as_cantools_does(void)
{
  const char *dir = tap_data_dir(), *file;
  json_t *rows;
  int wrong = 0;
  if (!dir)
    SKIP("the data folder is absent; set MOTORCADE_DATA");
  json_object_foreach(json_object_get(golden, "file"), file, rows)
    wrong += compare_file(dir, file, rows);
  CHECK_INT(json_object_size(json_object_get(golden, "file")), 32);
  CHECK_INT(wrong, 0);
}

int main(void)
{
  json_error_t error;
  golden = json_load_file(MC_SOURCE_DIR "/tests/signal/golden/dbc.json", 0, &error);
  if (!golden) {
    printf("not ok 1 - golden file: %s\n1..1\n", error.text);
    return 1;
  }
  RUN(test_reads_and_decodes_every_dbc_as_cantools_does);
  json_decref(golden);
  return tap_done();
}
