/* Forms of trouble codes: SAE J2012 text, the three bytes of UDS (ISO 14229-1, ISO 15031-6), and the agent's JSON (contract fleetwise, 7.1). */
#include <jansson.h>
#include <stdio.h>

#include "fleet/fleet.h"

enum { PLAIN = 5, WITH_TYPE = 8, ECUS = 256, CODES = 4096 };

static int hex_digit(uint8_t c)
{
  return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static char upper(uint8_t c)
{
  return (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
}

mc_err mc_dtc_normal(mc_slice text, char out[MC_DTC_TEXT])
{
  if (text.len != PLAIN && text.len != WITH_TYPE)
    return MC_ERR_MALFORMED;
  for (size_t i = 0; i < text.len; i++)
    out[i] = upper(text.data[i]);
  out[text.len] = 0;
  bool good = out[0] && strchr("PCBU", out[0]) && out[1] >= '0' && out[1] <= '3';
  for (size_t i = 2; i < text.len; i++)
    good = good && (i == PLAIN ? out[i] == '-' : hex_digit((uint8_t)out[i]) >= 0);
  return good ? MC_OK : MC_ERR_MALFORMED;
}

mc_err mc_dtc_of_uds(mc_slice hex, char out[MC_DTC_TEXT])
{
  if (hex.len == 8 && hex.data[0] == '0' && (hex.data[1] | 0x20) == 'x')
    hex = mc_slice_sub(hex, 2, 6);
  if (hex.len != 6)
    return MC_ERR_MALFORMED;
  for (size_t i = 0; i < 6; i++)
    if (hex_digit(hex.data[i]) < 0)
      return MC_ERR_MALFORMED;
  int first = hex_digit(hex.data[0]);
  snprintf(out, MC_DTC_TEXT, "%c%d%c%c%c-%c%c", "PCBU"[first >> 2], first & 3, upper(hex.data[1]), upper(hex.data[2]), upper(hex.data[3]), upper(hex.data[4]), upper(hex.data[5]));
  return MC_OK;
}

bool mc_uds_is_report(mc_slice text)
{
  text = mc_slice_trim(text);
  size_t quote = mc_slice_find(text, '"', 0);
  return text.len && text.data[0] == '{' && quote < 16 && mc_slice_starts(mc_slice_sub(text, quote, text.len), MC_LIT("\"DetectedDTCs\""));
}

static mc_err hex_text(json_t *object, const char *key, mc_arena *arena, mc_slice *out)
{
  const char *text = json_string_value(json_object_get(object, key));
  return text ? mc_arena_copy(arena, mc_slice_str(text), out) : MC_OK;
}

static mc_err read_codes(json_t *list, mc_arena *arena, mc_uds_ecu *e, uint32_t *bad)
{
  size_t n = json_array_size(list);
  if (n > CODES)
    return MC_ERR_TOO_LARGE;
  e->code = mc_arena_array(arena, n ? n : 1, sizeof *e->code);
  if (!e->code)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < n; i++) {
    json_t *item = json_array_get(list, i);
    const char *text = json_string_value(json_object_get(item, "DTC"));
    mc_uds_code *code = &e->code[e->count];
    if (mc_dtc_of_uds(mc_slice_str(text), code->code)) {
      ++*bad;
      continue;
    }
    MC_TRY(hex_text(item, "DTCSnapshotRecord", arena, &code->snapshot));
    MC_TRY(hex_text(item, "DTCExtendedData", arena, &code->extended));
    e->count++;
  }
  return MC_OK;
}

static mc_err read_ecus(json_t *list, mc_arena *arena, mc_uds_ecu **out, size_t *count, uint32_t *bad)
{
  size_t n = json_array_size(list);
  if (n > ECUS)
    return MC_ERR_TOO_LARGE;
  mc_uds_ecu *ecu = mc_arena_array(arena, n ? n : 1, sizeof *ecu);
  if (!ecu)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < n; i++) {
    json_t *item = json_array_get(list, i), *inside = json_object_get(item, "DTCAndSnapshot"), *codes = json_object_get(inside, "dtcCodes");
    const char *id = json_string_value(json_object_get(item, "ECUID"));
    if (!id || !*id || strlen(id) > 16 || !json_is_array(codes)) {
      ++*bad;
      continue;
    }
    MC_TRY(mc_arena_copy(arena, mc_slice_str(id), &ecu[*count].ecu));
    MC_TRY(read_codes(codes, arena, &ecu[(*count)++], bad));
  }
  *out = ecu;
  return MC_OK;
}

mc_err mc_uds_read(mc_slice text, mc_arena *arena, mc_uds_ecu **out, size_t *count, uint32_t *bad, mc_why *why)
{
  json_error_t error;
  *out = NULL;
  *count = 0;
  *bad = 0;
  json_t *root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
  if (!root)
    return mc_err_set(why, MC_ERR_MALFORMED, "UDS report: %s, byte %d", error.text, error.position);
  json_t *list = json_object_get(root, "DetectedDTCs");
  mc_err err = json_is_array(list) ? read_ecus(list, arena, out, count, bad) : MC_ERR_MALFORMED;
  json_decref(root);
  return err ? mc_err_set(why, err, "UDS report: expected {\"DetectedDTCs\":[{\"ECUID\":..., \"DTCAndSnapshot\":{\"dtcCodes\":[...]}}]}: %s", mc_err_text(err)) : MC_OK;
}
