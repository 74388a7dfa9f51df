/* Blocks and data streams of an MDF4 file; private to the MDF4 reader. */
#ifndef MC_FORMAT_MDF4_BLOCK_H
#define MC_FORMAT_MDF4_BLOCK_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

enum { MC_MDF4_LIST_MAX = 65536 /* blocks in one list; a longer one is a ring */ };

typedef struct mc_mdf4_file {
  mc_slice in;
  const char *name;
  bool open_end;     /* unfinalised: the last DT block may be longer than it says */
  uint64_t unpacked; /* bytes unpacked so far */
  mc_arena arena;    /* unpacked streams and all tables */
  mc_why *why;
} mc_mdf4_file;

typedef struct mc_mdf4_block {
  uint64_t at; /* byte in the file */
  const uint8_t *link; /* 8 bytes each, little endian */
  uint64_t link_count;
  mc_slice body; /* after the links */
  uint8_t id[2]; /* "DT" */
} mc_mdf4_block;

/* Checks the header at `at`. id NULL: any kind. */
mc_err mc_mdf4_block_read(const mc_mdf4_file *f, uint64_t at, const char *id, mc_mdf4_block *out);
/* 0 when there is no such link. */
uint64_t mc_mdf4_block_link(const mc_mdf4_block *b, uint64_t i);
bool mc_mdf4_block_is(const mc_mdf4_block *b, const char *id);
/* The data behind a link (DT, SD, RD, DZ, DL, HL, or 0) as one slice. kind: "DT" or "SD". */
mc_err mc_mdf4_stream(mc_mdf4_file *f, uint64_t at, const char *kind, mc_slice *out);
/* Text of a TX block; empty when at is 0 or not a text. */
mc_slice mc_mdf4_text(const mc_mdf4_file *f, uint64_t at);

#endif
