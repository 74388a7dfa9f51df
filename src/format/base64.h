/* Base64 (RFC 4648, 4) and its URL-safe alphabet without padding (5). Pure; any thread. */
#ifndef MC_FORMAT_BASE64_H
#define MC_FORMAT_BASE64_H

#include "base/slice.h"

mc_err mc_base64_append(mc_buf *out, mc_slice bytes);
mc_err mc_base64url_append(mc_buf *out, mc_slice bytes);
/* Of the bytes that the text stands for. False: it is not base64 (another character, a wrong length, padding that is missing, bits left over). */
bool mc_base64_size(mc_slice text, size_t *out);
/* MC_ERR_MALFORMED: as above, for either alphabet's own form. */
mc_err mc_base64_decode(mc_slice text, mc_buf *out);
mc_err mc_base64url_decode(mc_slice text, mc_buf *out);

#endif
