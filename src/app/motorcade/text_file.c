#include "app/motorcade/text_file.h"

#include <string.h>

#include "base/file.h"

/* Not UTF-8: DBC files often are Windows-1252; every byte maps to one character. */
static json_t *latin1(mc_slice text)
{
  mc_buf utf8 = {0};
  mc_err err = MC_OK;
  for (size_t i = 0; i < text.len && !err; i++) {
    uint8_t c = text.data[i];
    if (c >= 0x80)
      err = mc_buf_append_u8(&utf8, (uint8_t)(0xC0 | c >> 6));
    if (!err)
      err = mc_buf_append_u8(&utf8, (uint8_t)(c < 0x80 ? c : 0x80 | (c & 0x3F)));
  }
  json_t *out = err ? NULL : json_stringn((const char *)utf8.data, utf8.len);
  mc_buf_free(&utf8);
  return out;
}

mc_err text_file_read(const char *path, json_t **out, mc_why *why)
{
  mc_buf text = {0};
  *out = NULL;
  MC_TRY(mc_fs_read(mc_fs_posix(), path, 64 << 20, &text, why));
  mc_err err = MC_OK;
  const uint8_t *zero = text.len ? memchr(text.data, 0, text.len) : NULL;
  if (zero) {
    err = mc_err_set(why, MC_ERR_MALFORMED, "%s: not a text file: byte %td is 0", path, zero - text.data);
  } else {
    *out = json_stringn(text.len ? (const char *)text.data : "", text.len);
    if (!*out)
      *out = latin1(mc_buf_slice(&text));
    if (!*out)
      err = mc_err_set(why, MC_ERR_MEMORY, "%s: out of memory", path);
  }
  mc_buf_free(&text);
  return err;
}
