/* Every MDF4 log of the data folder against asammdf: all frames, by hash. Golden: tests/oracle/mdf4_golden.py. */
#include <fcntl.h>
#include <jansson.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/vec.h"
#include "format/mdf4.h"
#include "format/sha256.h"
#include "tap.h"

static json_t *golden;

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void line_of(const mc_bus_frame *f, char *out, size_t size)
{
  size_t n = (size_t)snprintf(out, size, "%lld %u %08x %s %s %s %u ", (long long)f->time_us, f->channel, f->id,
                              f->extended ? "x" : "s", f->fd ? "f" : "c", f->rtr ? "r" : "d", f->len);
  for (int i = 0; i < f->len && !f->rtr; i++)
    n += (size_t)snprintf(out + n, size - n, "%02x", f->data[i]);
}

static int compare_log(mc_slice file, const char *name, json_t *want)
{
  MC_VEC(char *) lines = {0};
  mc_mdf4 *m;
  mc_why why = {0};
  mc_bus_frame f;
  mc_err err = mc_mdf4_open(file, name, &m, &why);
  char first[256] = "", last[256] = "", line[256], hex[65];
  int64_t before = INT64_MIN, backwards = 0;
  while (!err && !(err = mc_mdf4_next(m, &f, &why))) {
    line_of(&f, line, sizeof line);
    if (lines.len == 0)
      strcpy(first, line);
    strcpy(last, line);
    backwards += f.time_us < before;
    before = f.time_us;
    mc_vec_push(&lines, strdup(line));
  }
  mc_mdf4_close(&m);
  qsort(lines.at, lines.len, sizeof *lines.at, compare_lines);
  sha256 s = sha256_start();
  for (size_t i = 0; i < lines.len; i++) {
    sha256_add(&s, mc_slice_str(lines.at[i]));
    sha256_add(&s, MC_LIT("\n"));
    free(lines.at[i]);
  }
  sha256_hex(&s, hex);
  int wrong = err != MC_ERR_END || (json_int_t)lines.len != json_integer_value(json_object_get(want, "frames")) ||
              strcmp(hex, json_string_value(json_object_get(want, "sha256"))) != 0 ||
              strcmp(first, json_string_value(json_object_get(want, "first"))) != 0 ||
              strcmp(last, json_string_value(json_object_get(want, "last"))) != 0 || backwards;
  if (wrong)
    printf("# %s: %zu frames, first '%s', last '%s', sha256 %s, error '%s'\n", name, lines.len, first, last, hex, why.text);
  mc_vec_free(&lines);
  return wrong;
}

static void test_reads_every_frame_that_asammdf_reads(void)
{
  const char *dir = tap_data_dir(), *file;
  json_t *want;
  int wrong = 0;
  if (!dir)
    SKIP("the data folder is absent; set MOTORCADE_DATA");
  json_object_foreach(json_object_get(golden, "file"), file, want) {
    char path[2048];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    CHECK(map != MAP_FAILED);
    wrong += compare_log(mc_slice_of(map, (size_t)st.st_size), file, want);
    munmap(map, (size_t)st.st_size);
  }
  CHECK_INT(json_object_size(json_object_get(golden, "file")), 4);
  CHECK_INT(wrong, 0);
}

int main(void)
{
  json_error_t error;
  golden = json_load_file(MC_SOURCE_DIR "/tests/format/golden/mdf4.json", 0, &error);
  if (!golden) {
    printf("not ok 1 - golden file: %s\n1..1\n", error.text);
    return 1;
  }
  RUN(test_reads_every_frame_that_asammdf_reads);
  json_decref(golden);
  return tap_done();
}
