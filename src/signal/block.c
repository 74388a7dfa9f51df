/* The growing block of samples. */
#include "signal/signal.h"

/* All arrays or none: a half-added sample would shift the columns against each other. Values come last: what they have room for, all have. */
static mc_err reserve_one(mc_block_builder *b)
{
  MC_TRY(mc_vec_reserve(&b->vehicle, 1));
  MC_TRY(mc_vec_reserve(&b->signal, 1));
  MC_TRY(mc_vec_reserve(&b->encoding, 1));
  MC_TRY(mc_vec_reserve(&b->time_us, 1));
  MC_TRY(mc_vec_reserve(&b->kind, 1));
  MC_TRY(mc_vec_reserve(&b->flags, 1));
  return mc_vec_reserve(&b->value, 1);
}

mc_err mc_block_builder_add(mc_block_builder *b, uint32_t vehicle, uint32_t signal, uint32_t encoding, int64_t time_us,
                            mc_sample_kind kind, uint8_t flags, mc_sample_value value)
{
  if (b->vehicle.len >= UINT32_MAX)
    return MC_ERR_TOO_LARGE; /* mc_block counts in 32 bits */
  if (b->value.len == b->value.cap)
    MC_TRY(reserve_one(b));
  b->vehicle.at[b->vehicle.len++] = vehicle;
  b->signal.at[b->signal.len++] = signal;
  b->encoding.at[b->encoding.len++] = encoding;
  b->time_us.at[b->time_us.len++] = time_us;
  b->kind.at[b->kind.len++] = (uint8_t)kind;
  b->flags.at[b->flags.len++] = flags;
  b->value.at[b->value.len++] = value;
  return MC_OK;
}

mc_err mc_block_builder_add_string(mc_block_builder *b, uint32_t vehicle, uint32_t signal, int64_t time_us, uint8_t flags, mc_slice text)
{
  if (text.len > UINT32_MAX - b->text.len)
    return MC_ERR_TOO_LARGE; /* offsets and lengths are 32 bits */
  size_t before = b->text.len;
  MC_TRY(mc_buf_append_slice(&b->text, text));
  mc_sample_value v = {.str = {(uint32_t)before, (uint32_t)text.len}};
  mc_err err = mc_block_builder_add(b, vehicle, signal, 0, time_us, MC_SAMPLE_STRING, flags, v);
  if (err)
    b->text.len = before;
  return err;
}

mc_block mc_block_builder_view(const mc_block_builder *b)
{
  return (mc_block){
      .count = (uint32_t)b->vehicle.len,
      .vehicle = b->vehicle.at,
      .signal = b->signal.at,
      .encoding = b->encoding.at,
      .time_us = b->time_us.at,
      .kind = b->kind.at,
      .flags = b->flags.at,
      .value = b->value.at,
      .text = mc_buf_slice(&b->text),
  };
}

void mc_block_builder_clear(mc_block_builder *b)
{
  mc_vec_clear(&b->vehicle);
  mc_vec_clear(&b->signal);
  mc_vec_clear(&b->encoding);
  mc_vec_clear(&b->time_us);
  mc_vec_clear(&b->kind);
  mc_vec_clear(&b->flags);
  mc_vec_clear(&b->value);
  mc_buf_clear(&b->text);
}

void mc_block_builder_free(mc_block_builder *b)
{
  if (!b)
    return;
  mc_vec_free(&b->vehicle);
  mc_vec_free(&b->signal);
  mc_vec_free(&b->encoding);
  mc_vec_free(&b->time_us);
  mc_vec_free(&b->kind);
  mc_vec_free(&b->flags);
  mc_vec_free(&b->value);
  mc_buf_free(&b->text);
}
