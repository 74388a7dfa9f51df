/* What an S3 answers: listings, and the texts of elements. Byte 0 chooses. */
#include <stdlib.h>

#include "object/s3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_err visit(void *ctx, const mc_object_info *info)
{
  size_t *n = ctx;
  *n += info->key.len;
  return MC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1)
    return 0;
  mc_slice xml = mc_slice_of(data + 1, size - 1), text;
  mc_buf out = {0};
  mc_why why = {0};
  size_t at = 0, seen = 0, left = 1000;
  bool more;
  if (data[0] % 2) {
    while (!s3_xml_next(xml, &at, "Code", &text)) {
      if (at > xml.len || text.len > xml.len)
        abort();
      if (s3_xml_text(text, &out) && out.len > xml.len)
        abort();
    }
  } else if (s3_list_page(xml, visit, &seen, &left, &more, &out, &why)) {
    if (!why.text[0])
      abort();
  } else if (seen > xml.len || (more && !out.len)) {
    abort();
  }
  mc_buf_free(&out);
  return 0;
}
