/* Any UTF-8 text as a list of vehicles: what is read has one row each, and what will be sent has known members of the right type. */
#include <string.h>

#include "app/motorcade/vehicle_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  vehicle_list list;
  mc_why why = {0};
  mc_slice text = mc_slice_of(data, size);
  if (!mc_slice_is_utf8(text) || memchr(data, 0, size)) /* text_file_read sees to both */
    return 0;
  if (vehicle_list_parse(text, &list, &why)) {
    if (!why.text[0] || list.vehicles || list.row.len)
      __builtin_trap();
    return 0;
  }
  if (json_array_size(list.vehicles) != list.row.len)
    __builtin_trap();
  for (size_t i = 0; i < list.row.len; i++) {
    json_t *v = json_array_get(list.vehicles, i), *member;
    const char *name;
    if (json_is_object(v) == (list.row.at[i].problem[0] != 0) || !mc_slice_is_utf8(mc_slice_str(list.row.at[i].problem)))
      __builtin_trap();
    json_object_foreach (v, name, member) {
      if (strcmp(name, "year") ? !json_is_string(member) : !json_is_integer(member))
        __builtin_trap();
    }
  }
  vehicle_list_free(&list);
  return 0;
}
