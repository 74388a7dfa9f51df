#include "journal/inside.h"

/* Enciphered records: what is sealed, and how it is opened again. The keys are the caller's (mc_journal_cipher). README, "Payload of an enciphered record". */

enum { HEAD = 26, PROPS_LENGTH = 2 };

/* Associated data: what a sealed payload may not be moved away from. */
static void head_of(const mc_record *r, uint8_t out[HEAD])
{
  memset(out, 0, HEAD);
  out[0] = 1;
  out[1] = 'r';
  out[2] = (uint8_t)r->stream;
  out[3] = r->partition;
  out[4] = r->flags | MC_RECORD_ENCIPHERED;
  out[5] = r->source;
  mc_store_le32(out + 6, r->tenant);
  mc_store_le32(out + 10, r->key_id);
  mc_store_le32(out + 14, r->principal);
  mc_store_le64(out + 18, (uint64_t)r->time_us);
}

mc_err mc_journal_encipher(const mc_journal *j, const mc_record *r, mc_buf *bytes, mc_record *out)
{
  const mc_journal_cipher *c = &j->cipher;
  *out = *r;
  if (!c->seal || (r->flags & MC_RECORD_ENCIPHERED) || !r->payload.len) /* an empty payload takes a retained message back: compaction must see it */
    return MC_OK;
  if (!out->key_id)
    out->key_id = c->key_of(c->ctx, r);
  if (!out->key_id)
    return MC_OK;
  uint8_t head[HEAD], props_length[PROPS_LENGTH];
  head_of(out, head);
  mc_store_le16(props_length, (uint16_t)r->props.len);
  size_t len = PROPS_LENGTH + r->props.len + r->payload.len + MC_CIPHER_EXTRA;
  mc_buf_clear(bytes);
  MC_TRY(mc_buf_reserve(bytes, len));
  mc_slice aad[] = {mc_slice_of(head, HEAD), r->topic}, text[] = {mc_slice_of(props_length, PROPS_LENGTH), r->props, r->payload};
  MC_TRY(c->seal(c->ctx, out->key_id, aad, 2, text, 3, bytes->data));
  out->flags |= MC_RECORD_ENCIPHERED;
  out->props = (mc_slice){0};
  out->payload = mc_slice_of(bytes->data, len);
  return MC_OK;
}

mc_err mc_journal_decipher(const mc_journal *j, mc_record *r, mc_buf *bytes)
{
  const mc_journal_cipher *c = &j->cipher;
  if (!(r->flags & MC_RECORD_ENCIPHERED))
    return MC_OK;
  if (!c->open)
    return MC_ERR_NOT_FOUND;
  if (r->payload.len < MC_CIPHER_EXTRA + PROPS_LENGTH)
    return MC_ERR_MALFORMED;
  uint8_t head[HEAD];
  head_of(r, head);
  size_t len = r->payload.len - MC_CIPHER_EXTRA;
  mc_buf_clear(bytes);
  MC_TRY(mc_buf_reserve(bytes, len));
  mc_slice aad[] = {mc_slice_of(head, HEAD), r->topic};
  MC_TRY(c->open(c->ctx, r->key_id, aad, 2, r->payload, bytes->data));
  size_t props = mc_load_le16(bytes->data);
  if (PROPS_LENGTH + props > len)
    return MC_ERR_MALFORMED;
  r->flags &= (uint8_t)~MC_RECORD_ENCIPHERED;
  r->props = mc_slice_of(bytes->data + PROPS_LENGTH, props);
  r->payload = mc_slice_of(bytes->data + PROPS_LENGTH + props, len - PROPS_LENGTH - props);
  return MC_OK;
}
