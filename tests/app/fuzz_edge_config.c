/* Any bytes as motorcade-edge's --config file, FleetWise's or our own: options in their ranges, or an error that names the file. */
#include "app/motorcade-edge/options.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char path[400], endpoint[] = "localhost:8883", name[] = "car-1", program[] = "motorcade-edge", config[] = "--config", plain[] = "--plain";
  edge_options o;
  mc_why why = {0};
  scratch_folder("edge-config");
  scratch_write("edge.json", mc_slice_of(data, size));
  snprintf(path, sizeof path, "%s", scratch_path("edge.json"));
  char *argv[] = {program, config, path, (char[]){"--endpoint"}, endpoint, (char[]){"--name"}, name, plain};
  mc_err err = edge_options_read(8, argv, &o, &why);
  if (err && !why.text[0])
    abort(); /* a refusal without a reason */
  if (!err && (!o.host || !o.name || o.port != 8883 || o.speed < 0 || o.keep_alive_s > 65535 || o.checkin_ms > 86400000))
    abort();
  mc_arena_free(&o.arena);
  return 0;
}
