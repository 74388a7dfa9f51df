/* Any bytes as motorcade.conf: settings in their ranges, or an error with file and line. */
#include "app/motorcade/settings.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static settings s;
  mc_why why = {0};
  const char *dir = scratch_folder("settings");
  settings_default(&s);
  snprintf(s.data, sizeof s.data, "%s", dir);
  scratch_write("motorcade.conf", mc_slice_of(data, size));
  if (settings_read(&s, &why)) {
    if (!strstr(why.text, "motorcade.conf:"))
      abort(); /* where is it? */
    return 0;
  }
  if (s.loops > 64 || s.store_memory_mb < 1 || s.store_memory_mb > 65536 || !s.dev_port || !memchr(s.portal, 0, sizeof s.portal))
    abort();
  return 0;
}
