#include "format/mdf4_block.h"

#include <stdlib.h>
#include <zlib.h>

#include "format/mdf4.h"

enum { HEADER = 24, DZ_BODY = 24, INFLATE_MOST = 1100 /* deflate cannot shrink below 1/1032 */ };

static mc_err fail(const mc_mdf4_file *f, mc_err err, uint64_t at, const char *what)
{
  mc_err_set(f->why, err, "%s: byte %llu: %s", f->name, (unsigned long long)at, what);
  return err;
}

mc_err mc_mdf4_block_read(const mc_mdf4_file *f, uint64_t at, const char *id, mc_mdf4_block *out)
{
  if (at > f->in.len || f->in.len - at < HEADER)
    return fail(f, MC_ERR_TRUNCATED, at, "a block should start here, but the file ends; it was cut off or a link is wrong");
  const uint8_t *p = f->in.data + at;
  uint64_t length = mc_load_le64(p + 8), links = mc_load_le64(p + 16);
  if (p[0] != '#' || p[1] != '#' || (id && memcmp(p + 2, id, 2) != 0)) {
    mc_err_set(f->why, MC_ERR_MALFORMED, "%s: byte %llu: expected a block ##%s, got the bytes %02x %02x %02x %02x", f->name,
               (unsigned long long)at, id ? id : "..", p[0], p[1], p[2], p[3]);
    return MC_ERR_MALFORMED;
  }
  bool is_dt = p[2] == 'D' && p[3] == 'T';
  if (is_dt && f->open_end && (length == HEADER || length > f->in.len - at))
    length = f->in.len - at; /* the logger stopped before it could write the length */
  if (length < HEADER || length > f->in.len - at)
    return fail(f, MC_ERR_TRUNCATED, at, "the block's length reaches behind the end of the file");
  if (links > (length - HEADER) / 8)
    return fail(f, MC_ERR_MALFORMED, at, "the block has more links than fit into its length");
  *out = (mc_mdf4_block){.at = at,
                         .link = p + HEADER,
                         .link_count = links,
                         .body = mc_slice_of(p + HEADER + 8 * links, (size_t)(length - HEADER - 8 * links)),
                         .id = {p[2], p[3]}};
  return MC_OK;
}

uint64_t mc_mdf4_block_link(const mc_mdf4_block *b, uint64_t i)
{
  return i < b->link_count ? mc_load_le64(b->link + 8 * i) : 0;
}

bool mc_mdf4_block_is(const mc_mdf4_block *b, const char *id)
{
  return memcmp(b->id, id, 2) == 0;
}

mc_slice mc_mdf4_text(const mc_mdf4_file *f, uint64_t at)
{
  mc_mdf4_block b;
  mc_mdf4_file quiet = *f;
  quiet.why = NULL;
  if (at == 0 || mc_mdf4_block_read(&quiet, at, "TX", &b))
    return (mc_slice){NULL, 0};
  return mc_slice_sub(b.body, 0, mc_slice_find(b.body, 0, 0));
}

static mc_err take_room(mc_mdf4_file *f, uint64_t at, uint64_t size, uint8_t **out)
{
  if (size > MC_MDF4_UNPACKED_MAX - f->unpacked)
    return fail(f, MC_ERR_TOO_LARGE, at, "the file's data unpacks to more than 4 GiB");
  f->unpacked += size;
  *out = mc_arena_alloc(&f->arena, (size_t)size);
  return *out ? MC_OK : fail(f, MC_ERR_MEMORY, at, "out of memory for the unpacked data");
}

/* MDF 4.1.1, 6.26: columns and rows changed places before compression; the tail that fills no row stands behind. */
static void transpose_back(const uint8_t *in, uint8_t *out, size_t size, size_t columns)
{
  size_t rows = columns ? size / columns : 0, whole = rows * columns;
  for (size_t c = 0; c < columns && rows; c++)
    for (size_t r = 0; r < rows; r++)
      out[r * columns + c] = in[c * rows + r];
  memcpy(out + whole, in + whole, size - whole);
}

static mc_err inflate_block(mc_mdf4_file *f, const mc_mdf4_block *b, uint8_t *out, uint64_t size)
{
  uint32_t columns = mc_load_le32(b->body.data + 4);
  bool transposed = b->body.data[2] == 1;
  if (b->body.data[2] > 1)
    return fail(f, MC_ERR_UNSUPPORTED, b->at, "compressed in a way that MDF 4.1 does not know; expected deflate");
  if (transposed && columns == 0)
    return fail(f, MC_ERR_MALFORMED, b->at, "transposed data without a number of columns");
  uint8_t *to = transposed ? malloc(size ? (size_t)size : 1) : out;
  if (!to)
    return fail(f, MC_ERR_MEMORY, b->at, "out of memory for the unpacked data");
  uLongf got = (uLongf)size;
  int z = uncompress(to, &got, b->body.data + DZ_BODY, (uLong)mc_load_le64(b->body.data + 16));
  mc_err err = z == Z_OK && got == size ? MC_OK : fail(f, MC_ERR_MALFORMED, b->at, "the compressed data is damaged");
  if (transposed) {
    if (!err)
      transpose_back(to, out, (size_t)size, columns);
    free(to);
  }
  return err;
}

/* Unpacked size of a data block. */
static mc_err piece_size(const mc_mdf4_file *f, const mc_mdf4_block *b, const char *kind, uint64_t *size)
{
  if (mc_mdf4_block_is(b, kind)) {
    *size = b->body.len;
    return MC_OK;
  }
  if (!mc_mdf4_block_is(b, "DZ")) {
    mc_err_set(f->why, MC_ERR_UNSUPPORTED, "%s: byte %llu: expected a data block ##%s or ##DZ, got ##%c%c", f->name,
               (unsigned long long)b->at, kind, b->id[0], b->id[1]);
    return MC_ERR_UNSUPPORTED;
  }
  if (b->body.len < DZ_BODY || mc_load_le64(b->body.data + 16) > b->body.len - DZ_BODY)
    return fail(f, MC_ERR_TRUNCATED, b->at, "the compressed data reaches behind its block");
  *size = mc_load_le64(b->body.data + 8);
  if (*size / INFLATE_MOST > mc_load_le64(b->body.data + 16))
    return fail(f, MC_ERR_MALFORMED, b->at, "the block claims to unpack to more than deflate can hold");
  return MC_OK;
}

typedef struct piece_walk {
  uint64_t list;  /* DL block being read */
  uint64_t index; /* of its next data link */
  uint32_t lists;
} piece_walk;

/* The next data block of a DL chain; at 0 at the end. */
static mc_err next_piece(const mc_mdf4_file *f, piece_walk *w, uint64_t *at)
{
  for (*at = 0; w->list;) {
    mc_mdf4_block b;
    MC_TRY(mc_mdf4_block_read(f, w->list, "DL", &b));
    while (++w->index < b.link_count) {
      *at = mc_mdf4_block_link(&b, w->index);
      if (*at)
        return MC_OK;
    }
    if (++w->lists > MC_MDF4_LIST_MAX)
      return fail(f, MC_ERR_MALFORMED, w->list, "the list of data blocks does not end");
    w->list = mc_mdf4_block_link(&b, 0);
    w->index = 0;
  }
  return MC_OK;
}

static mc_err join_list(mc_mdf4_file *f, uint64_t list, const char *kind, mc_slice *out)
{
  uint64_t total = 0, size, at;
  uint32_t pieces = 0;
  mc_mdf4_block b;
  for (piece_walk w = {.list = list};;) {
    MC_TRY(next_piece(f, &w, &at));
    if (!at)
      break;
    MC_TRY(mc_mdf4_block_read(f, at, NULL, &b));
    MC_TRY(piece_size(f, &b, kind, &size));
    if (__builtin_add_overflow(total, size, &total) || ++pieces > (1u << 24))
      return fail(f, MC_ERR_TOO_LARGE, list, "the list of data blocks is too long");
  }
  uint8_t *to;
  MC_TRY(take_room(f, list, total, &to));
  *out = mc_slice_of(to, (size_t)total);
  for (piece_walk w = {.list = list};;) {
    MC_TRY(next_piece(f, &w, &at));
    if (!at)
      return MC_OK;
    MC_TRY(mc_mdf4_block_read(f, at, NULL, &b));
    MC_TRY(piece_size(f, &b, kind, &size));
    if (mc_mdf4_block_is(&b, "DZ"))
      MC_TRY(inflate_block(f, &b, to, size));
    else if (size && b.body.data)
      memcpy(to, b.body.data, (size_t)size);
    to += size;
  }
}

mc_err mc_mdf4_stream(mc_mdf4_file *f, uint64_t at, const char *kind, mc_slice *out)
{
  mc_mdf4_block b;
  uint64_t size;
  *out = (mc_slice){NULL, 0};
  if (at == 0)
    return MC_OK;
  MC_TRY(mc_mdf4_block_read(f, at, NULL, &b));
  if (mc_mdf4_block_is(&b, "HL")) {
    at = mc_mdf4_block_link(&b, 0);
    if (at == 0)
      return MC_OK;
    MC_TRY(mc_mdf4_block_read(f, at, "DL", &b));
  }
  if (mc_mdf4_block_is(&b, "DL"))
    return join_list(f, at, kind, out);
  MC_TRY(piece_size(f, &b, kind, &size));
  if (!mc_mdf4_block_is(&b, "DZ")) {
    *out = b.body;
    return MC_OK;
  }
  uint8_t *to;
  MC_TRY(take_room(f, at, size, &to));
  *out = mc_slice_of(to, (size_t)size);
  return inflate_block(f, &b, to, size);
}
