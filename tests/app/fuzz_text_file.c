/* Any bytes as a file that a command sends to the server - DBC, map, VSS tree as JSON or vspec: a JSON string, or an error that names the
 * file. Input: a byte that chooses how it is read, then the file. */
#include "app/motorcade/text_file.h"
#include "app/motorcade/vss_text.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const names[] = {"a.dbc", "tree.json", "tree.vspec"};
  if (size < 1)
    return 0;
  mc_slice file = mc_slice_of(data + 1, size - 1);
  const char *name = names[data[0] % 3];
  json_t *out = NULL;
  mc_why why = {0};
  scratch_folder("text-file");
  scratch_write(name, file);
  char path[400];
  snprintf(path, sizeof path, "%s", scratch_path(name));
  mc_err err = data[0] % 3 == 0 ? text_file_read(path, &out, &why) : vss_text_read(path, &out, &why);
  if (err ? out || !strstr(why.text, name) : !json_is_string(out))
    abort();
  if (!err && data[0] % 3 == 0 && mc_slice_is_utf8(file) && !mc_slice_eq(file, mc_slice_of(json_string_value(out), json_string_length(out))))
    abort(); /* UTF-8 goes through as it is */
  json_decref(out);
  return 0;
}
