#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/sha256.h"
#include "signal/signal.h"
#include "tap.h"

#define FIXTURE MC_SOURCE_DIR "/tests/signal/fixture/"

static const char *const kind_names[] = {"branch", "sensor", "actuator", "attribute"};

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void put_bits(mc_buf *b, bool there, double d)
{
  uint64_t u;
  memcpy(&u, &d, sizeof u);
  mc_buf_printf(b, there ? "|%016llx" : "|", (unsigned long long)u);
}

static void put_allowed(mc_buf *b, const mc_catalog_node *n)
{
  char *names[256], text[200];
  uint32_t count = n->allowed_count < 256 ? n->allowed_count : 256;
  for (uint32_t i = 0; i < count; i++) {
    int len = snprintf(text, sizeof text, "%.*s", MC_FMT(n->allowed[i]));
    if (n->allowed_value)
      snprintf(text + len, sizeof text - (size_t)len, "=%lld", (long long)n->allowed_value[i]);
    names[i] = strdup(text);
  }
  if (n->allowed_value)
    qsort(names, count, sizeof *names, by_text);
  for (uint32_t i = 0; i < count; i++) {
    mc_buf_printf(b, "%s%s", i ? "," : "", names[i]);
    free(names[i]);
  }
}

/* The same line a node as tests/oracle/vss_golden.py writes. */
static void hash_catalog(const mc_catalog *c, char hex[65])
{
  char **lines = calloc(c->node.len, sizeof *lines);
  for (size_t i = 0; i < c->node.len; i++) {
    const mc_catalog_node *n = &c->node.at[i];
    mc_buf b = {0};
    mc_buf_printf(&b, "%.*s|%s|%s|%.*s", MC_FMT(n->fqn), kind_names[n->kind], mc_type_name(n->type), MC_FMT(n->unit));
    put_bits(&b, n->has_min, n->min);
    put_bits(&b, n->has_max, n->max);
    mc_buf_append_str(&b, "|");
    put_allowed(&b, n);
    mc_buf_printf(&b, "|%.*s\n", MC_FMT(n->description));
    mc_buf_append_u8(&b, 0);
    lines[i] = (char *)b.data;
  }
  qsort(lines, c->node.len, sizeof *lines, by_text);
  sha256 s = sha256_start();
  for (size_t i = 0; i < c->node.len; i++) {
    sha256_add(&s, mc_slice_str(lines[i]));
    free(lines[i]);
  }
  free(lines);
  sha256_hex(&s, hex);
}

static int compare(const mc_catalog *c, const char *name)
{
  json_error_t error;
  char hex[65];
  json_t *golden = json_load_file(MC_SOURCE_DIR "/tests/signal/golden/vss.json", 0, &error);
  const json_t *want = json_object_get(golden, name);
  long long counts[4] = {0};
  int wrong = want == NULL || (json_int_t)c->node.len != json_integer_value(json_object_get(want, "nodes"));
  for (size_t i = 0; i < c->node.len; i++)
    counts[c->node.at[i].kind]++;
  for (int k = 0; k < 4; k++)
    wrong |= counts[k] != json_integer_value(json_object_get(json_object_get(want, "kinds"), kind_names[k]));
  hash_catalog(c, hex);
  wrong |= !want || strcmp(hex, json_string_value(json_object_get(want, "sha256"))) != 0;
  if (wrong)
    printf("# %s: %zu nodes, %lld branches, %lld sensors, %lld actuators, %lld attributes, sha256 %s\n", name, c->node.len, counts[0],
           counts[1], counts[2], counts[3], hex);
  json_decref(golden);
  return wrong;
}

static void test_reads_the_vss_tree_as_vss_tools_do(void)
{
  const char *dir = tap_data_dir();
  mc_catalog c;
  mc_why why = {0};
  char path[1200], obd[1200];
  if (!dir)
    SKIP("the data folder is absent; set MOTORCADE_DATA");
  snprintf(path, sizeof path, "%s/vss/spec/spec/VehicleSignalSpecification.vspec", dir);
  snprintf(obd, sizeof obd, "%s/vss/spec/overlays/extensions/OBD/OBD.vspec Vehicle.OBD", dir);
  CHECK_OK(mc_catalog_read_vspec(path, NULL, 0, &c, &why));
  int wrong = compare(&c, "spec");
  mc_catalog_free(&c);
  CHECK_INT(wrong, 0);
  const char *overlays[] = {FIXTURE "obd_branch.vspec", obd};
  CHECK_OK(mc_catalog_read_vspec(path, overlays, 2, &c, &why));
  wrong = compare(&c, "spec+obd");
  mc_catalog_free(&c);
  CHECK_INT(wrong, 0);
}

static void test_reads_a_vss_json_export(void)
{
  const char *dir = tap_data_dir();
  char path[1200];
  static uint8_t text[1 << 20];
  mc_catalog c;
  mc_why why = {0};
  if (!dir)
    SKIP("the data folder is absent; set MOTORCADE_DATA");
  snprintf(path, sizeof path, "%s/vss/vss_4.2_model3can_map.json", dir);
  FILE *f = fopen(path, "rb");
  CHECK(f != NULL);
  size_t n = fread(text, 1, sizeof text, f);
  fclose(f);
  CHECK_OK(mc_catalog_read_vss_json(mc_slice_of(text, n), &c, &why));
  int wrong = compare(&c, "model3");
  mc_catalog_free(&c);
  CHECK_INT(wrong, 0);
}

static const mc_catalog_node *node(const mc_catalog *c, const char *fqn) { return mc_catalog_find(c, mc_slice_str(fqn)); }

static void test_expands_instances_on_two_levels(void)
{
  mc_catalog c;
  mc_why why = {0};
  CHECK_OK(mc_catalog_read_vspec(FIXTURE "root.vspec", NULL, 0, &c, &why));
  CHECK(node(&c, "Vehicle.Cabin.Door.Row1.Left.IsOpen") != NULL);
  CHECK(node(&c, "Vehicle.Cabin.Door.Row2.Right.Window.Position") != NULL);
  CHECK(node(&c, "Vehicle.Cabin.Door.Row1.Right")->kind == MC_NODE_BRANCH);
  CHECK(node(&c, "Vehicle.Cabin.Door.IsOpen") == NULL);
  CHECK(node(&c, "Vehicle.Cabin.Door.Count")->type == MC_TYPE_UINT8);
  CHECK_SLICE(node(&c, "Vehicle.Cabin.Door.Count")->initial, "4");
  CHECK(node(&c, "Vehicle.Cabin.Door.Row1.Left.Count") == NULL);
  CHECK_SLICE(node(&c, "Vehicle.Cabin.Door.Row2.Right.IsOpen")->description, "The sliding door.");
  CHECK_SLICE(node(&c, "Vehicle.Cabin.Door.Row2.Left.IsOpen")->description, "Is it open?");
  CHECK(node(&c, "Vehicle.Cabin.Seat.Driver.Mode") != NULL);
  CHECK(node(&c, "Vehicle.Cabin.Seat.Mode") == NULL);
  mc_catalog_free(&c);
}

static void test_keeps_what_a_leaf_says(void)
{
  mc_catalog c;
  mc_why why = {0};
  CHECK_OK(mc_catalog_read_vspec(FIXTURE "root.vspec", NULL, 0, &c, &why));
  const mc_catalog_node *speed = node(&c, "Vehicle.Speed"), *mode = node(&c, "Vehicle.Cabin.Seat.Passenger.Mode");
  CHECK_INT(speed->type, MC_TYPE_FLOAT32);
  CHECK_SLICE(speed->unit, "km/h");
  CHECK_SLICE(speed->description, "How fast it goes.");
  CHECK(speed->has_min && speed->has_max && speed->min == -250 && speed->max == 250.5);
  CHECK_INT(mode->kind, MC_NODE_ACTUATOR);
  CHECK_INT(mode->allowed_count, 3);
  CHECK_SLICE(mode->allowed[2], "3");
  CHECK(mode->allowed_value == NULL);
  CHECK_INT(node(&c, "Vehicle.Surface")->allowed_value[1], 2);
  CHECK_INT(node(&c, "Vehicle.Codes")->type, MC_TYPE_STRING);
  CHECK_SLICE(node(&c, "Vehicle.Codes")->initial, "[P0100, P0200]");
  CHECK(node(&c, "Types.X") == NULL);
  mc_catalog_free(&c);
}

static void test_overlay_changes_adds_and_deletes(void)
{
  mc_catalog c;
  mc_why why = {0};
  const char *overlay[] = {FIXTURE "overlay.vspec", FIXTURE "part/door.vspec Vehicle.Hatch"};
  CHECK_OK(mc_catalog_read_vspec(FIXTURE "root.vspec", overlay, 2, &c, &why));
  CHECK_INT(node(&c, "Vehicle.Speed")->type, MC_TYPE_FLOAT64);
  CHECK_SLICE(node(&c, "Vehicle.Speed")->unit, "m/s");
  CHECK(node(&c, "Vehicle.Speed")->max == 250.5);
  CHECK(node(&c, "Vehicle.Private.Thing") != NULL);
  CHECK_INT(node(&c, "Vehicle.Private")->kind, MC_NODE_BRANCH);
  CHECK(node(&c, "Vehicle.Codes") == NULL);
  CHECK(node(&c, "Vehicle.Hatch.IsOpen") != NULL);
  mc_catalog_free(&c);
}

/* The reader takes a path; a file in memory has one. */
static mc_err read_text(const char *text, mc_why *why)
{
  char path[64];
  mc_catalog c;
  int fd = memfd_create("test.vspec", 0);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
    return MC_ERR_IO;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  mc_err err = mc_catalog_read_vspec(path, NULL, 0, &c, why);
  if (!err)
    mc_catalog_free(&c);
  close(fd);
  return err;
}

static void test_refuses_broken_files_with_file_and_line(void)
{
  mc_why why = {0};
  mc_catalog c;
  CHECK_INT(mc_catalog_read_vspec("/nonexistent/x.vspec", NULL, 0, &c, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_catalog_read_vspec(FIXTURE "ring.vspec", NULL, 0, &c, &why), MC_ERR_TOO_LARGE);
  CHECK_WHY(why, "ring");
  CHECK_INT(read_text("A:\n  type: sensor\n  description: x\n", &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, ":1: A: has no datatype");
  CHECK_INT(read_text("A:\n  type: branch\nA.B:\n  type: wheel\n", &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, ":4: type: expected branch");
  CHECK_INT(read_text("A:\n  type: sensor\n  datatype: float\n  min: low\n", &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, ":4: min: expected a number");
  CHECK_INT(read_text("A:\n  type: sensor\n datatype: [\n", &why), MC_ERR_MALFORMED);
  CHECK_INT(read_text("A..B:\n  type: branch\n", &why), MC_ERR_MALFORMED);
  CHECK_INT(read_text("A B:\n  type: branch\n", &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "1 to 150 characters");
  CHECK_INT(read_text("A:\n  type: branch\n  instances: Row[1,99999]\n", &why), MC_ERR_MALFORMED);
  CHECK_INT(read_text("A:\n  type: branch\n#include nothere.vspec A\n", &why), MC_ERR_NOT_FOUND);
  CHECK_WHY(why, ":3: #include");
  CHECK_INT(read_text("", &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "/proc/self/fd/");
  CHECK_WHY(why, "no signal in it");
  CHECK_INT(read_text("- 1\n- 2\n", &why), MC_ERR_MALFORMED);
}

static void test_instances_cannot_multiply_without_end(void)
{
  mc_buf b = {0};
  mc_why why = {0};
  mc_buf_append_str(&b, "A:\n  type: branch\n  instances:\n");
  for (int i = 0; i < 8; i++)
    mc_buf_append_str(&b, "    - R[1,100]\n");
  mc_buf_append_str(&b, "A.B:\n  type: sensor\n  datatype: float\n");
  mc_buf_append_u8(&b, 0);
  CHECK_INT(read_text((char *)b.data, &why), MC_ERR_TOO_LARGE);
  mc_buf_free(&b);
}

static void test_refuses_broken_json(void)
{
  mc_why why = {0};
  mc_catalog c;
  CHECK_INT(mc_catalog_read_vss_json(MC_LIT("{"), &c, &why), MC_ERR_MALFORMED);
  CHECK_INT(mc_catalog_read_vss_json(MC_LIT("[]"), &c, &why), MC_ERR_MALFORMED);
  CHECK_INT(mc_catalog_read_vss_json(MC_LIT("{}"), &c, &why), MC_ERR_MALFORMED);
  CHECK_INT(mc_catalog_read_vss_json(MC_LIT("{\"A\":{\"type\":\"sensor\"}}"), &c, &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "datatype");
  CHECK_INT(mc_catalog_read_vss_json(MC_LIT("{\"A\":{\"type\":\"wheel\"}}"), &c, &why), MC_ERR_MALFORMED);
  CHECK_WHY(why, "wheel");
  CHECK_INT(mc_catalog_read_vss_json(MC_LIT("{\"A\":7}"), &c, &why), MC_ERR_MALFORMED);
}

static void test_knows_roles_by_name(void)
{
  CHECK_INT(mc_role_of_fqn(MC_LIT("Vehicle.Speed")), MC_ROLE_SPEED);
  CHECK_INT(mc_role_of_fqn(MC_LIT("Vehicle.CurrentLocation.Latitude")), MC_ROLE_LATITUDE);
  CHECK_INT(mc_role_of_fqn(MC_LIT("Vehicle.Speed.")), MC_ROLE_NONE);
  CHECK_INT(mc_role_of_fqn(MC_LIT("")), MC_ROLE_NONE);
}

int main(void)
{
  RUN(test_reads_the_vss_tree_as_vss_tools_do);
  RUN(test_reads_a_vss_json_export);
  RUN(test_expands_instances_on_two_levels);
  RUN(test_keeps_what_a_leaf_says);
  RUN(test_overlay_changes_adds_and_deletes);
  RUN(test_refuses_broken_files_with_file_and_line);
  RUN(test_instances_cannot_multiply_without_end);
  RUN(test_refuses_broken_json);
  RUN(test_knows_roles_by_name);
  return tap_done();
}
