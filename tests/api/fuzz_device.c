/* The head of POST /topics/...: query and headers become a message whose properties are valid MQTT 5, or a reason.
 * Input: lines; the first is the query, each other one "header: value". */
#include "api/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_slice in = mc_slice_of(data, size);
  mc_http_header header[16];
  size_t n = 0, end = mc_slice_find(in, '\n', 0);
  mc_http_request r = {.method = MC_LIT("POST"), .path = MC_LIT("/topics/dt/v/x"), .query = mc_slice_sub(in, 0, end), .header = header};
  for (size_t at = end + 1; at < size && n < 16; at = end + 1) {
    end = mc_slice_find(in, '\n', at);
    size_t colon = mc_slice_find(in, ':', at);
    if (colon < end)
      header[n++] = (mc_http_header){mc_slice_sub(in, at, colon - at), mc_slice_trim(mc_slice_sub(in, colon + 1, end - colon - 1))};
  }
  r.header_count = n;
  mc_gateway_message m;
  mc_buf props = {0};
  const char *wrong = device_message(&r, &m, &props);
  if (wrong ? !*wrong : m.qos > 1)
    __builtin_trap();
  mc_mqtt_property property;
  size_t at = 0;
  while (!wrong && mc_mqtt_property_next(m.props, &at, &property))
    continue;
  if (!wrong && at != m.props.len)
    __builtin_trap(); /* a property that no client could read */
  mc_buf_free(&props);
  return 0;
}
