/* vspec files: YAML mappings of dotted names, joined by `#include <file> [<prefix>]` lines (comments to YAML). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "signal/vss_tree.h"

enum { FILE_MAX = 16 << 20, FILES_MAX = 4096, INCLUDE_DEPTH_MAX = 32, PATH_LENGTH_MAX = 4096 };

typedef struct reader {
  mc_vss_tree tree;
  const char *root_dir; /* includes are looked for beside the file, then here */
  uint32_t files, depth;
} reader;

/* One file being read. */
typedef struct vspec {
  reader *r;
  const char *path;
  mc_vss_node *prefix;
  yaml_document_t doc;
} vspec;

static mc_err read_file(reader *r, const char *path, mc_vss_node *prefix);

static mc_err no_memory(reader *r) { return mc_err_set(r->tree.why, MC_ERR_MEMORY, "out of memory for the signal tree"); }

static mc_err fail(const vspec *f, size_t line, const char *what)
{
  return mc_err_set(f->r->tree.why, MC_ERR_MALFORMED, "%s:%zu: %s", f->path, line, what);
}

static mc_err load_text(reader *r, const char *path, mc_buf *out)
{
  FILE *in = fopen(path, "rb");
  if (!in)
    return mc_err_errno(r->tree.why, "%s: cannot be opened", path);
  mc_err err = MC_OK;
  for (size_t n = 1; n && !err;) {
    err = mc_buf_reserve(out, 65536);
    if (err)
      break;
    n = fread(out->data + out->len, 1, 65536, in);
    out->len += n;
    if (out->len > FILE_MAX)
      err = mc_err_set(r->tree.why, MC_ERR_TOO_LARGE, "%s: larger than 16 MiB", path);
    else if (n == 0 && ferror(in))
      err = mc_err_errno(r->tree.why, "%s: cannot be read", path);
  }
  fclose(in);
  return err;
}

/* ---- fields of a node ---- */

static mc_slice scalar(const yaml_node_t *n)
{
  if (!n || n->type != YAML_SCALAR_NODE)
    return (mc_slice){NULL, 0};
  return mc_slice_trim(mc_slice_of(n->data.scalar.value, n->data.scalar.length));
}

static mc_err keep(reader *r, mc_slice text, mc_slice *out) { return mc_arena_copy(r->tree.arena, text, out) ? no_memory(r) : MC_OK; }

static size_t list_length(const yaml_node_t *n)
{
  return n && n->type == YAML_SEQUENCE_NODE ? (size_t)(n->data.sequence.items.top - n->data.sequence.items.start) : 0;
}

static yaml_node_t *list_item(vspec *f, const yaml_node_t *n, size_t i)
{
  return yaml_document_get_node(&f->doc, n->data.sequence.items.start[i]);
}

static mc_err read_names(vspec *f, const yaml_node_t *list, mc_vss_names *out)
{
  size_t count = list_length(list);
  out->count = (uint32_t)count;
  out->at = mc_arena_array(f->r->tree.arena, count, sizeof *out->at);
  if (!out->at)
    return no_memory(f->r);
  for (size_t i = 0; i < count; i++)
    MC_TRY(keep(f->r, scalar(list_item(f, list, i)), &out->at[i]));
  return MC_OK;
}

/* enum: NAME: number */
static mc_err read_enum(vspec *f, const yaml_node_t *map, mc_vss_node *n)
{
  if (map->type != YAML_MAPPING_NODE)
    return fail(f, map->start_mark.line + 1, "enum: expected names with numbers");
  size_t count = (size_t)(map->data.mapping.pairs.top - map->data.mapping.pairs.start);
  n->allowed.at = mc_arena_array(f->r->tree.arena, count, sizeof *n->allowed.at);
  n->allowed_value = mc_arena_array(f->r->tree.arena, count, sizeof *n->allowed_value);
  if (!n->allowed.at || !n->allowed_value)
    return no_memory(f->r);
  for (size_t i = 0; i < count; i++) {
    yaml_node_pair_t pair = map->data.mapping.pairs.start[i];
    const yaml_node_t *key = yaml_document_get_node(&f->doc, pair.key);
    if (mc_slice_to_i64(scalar(yaml_document_get_node(&f->doc, pair.value)), &n->allowed_value[i]))
      return fail(f, key->start_mark.line + 1, "enum: expected a whole number after the name");
    MC_TRY(keep(f->r, scalar(key), &n->allowed.at[i]));
  }
  n->allowed.count = (uint32_t)count;
  return MC_OK;
}

static mc_err join_names(reader *r, mc_vss_names *to, mc_vss_names more)
{
  mc_slice *at = mc_arena_array(r->tree.arena, (size_t)to->count + more.count, sizeof *at);
  if (!at)
    return no_memory(r);
  memcpy(at, to->at ? to->at : at, to->count * sizeof *at);
  memcpy(at + to->count, more.at, more.count * sizeof *at);
  *to = (mc_vss_names){at, to->count + more.count};
  return MC_OK;
}

static bool is_range(mc_slice text) { return mc_slice_find(text, '[', 0) < text.len; }

/* One level of instances: names in a list, or one text with a range. */
static mc_err read_level(vspec *f, const yaml_node_t *v, mc_vss_names *out)
{
  *out = (mc_vss_names){0};
  if (v->type == YAML_SCALAR_NODE)
    return mc_vss_expand_name(&f->r->tree, scalar(v), out);
  for (size_t i = 0; i < list_length(v); i++) {
    mc_vss_names names;
    MC_TRY(mc_vss_expand_name(&f->r->tree, scalar(list_item(f, v, i)), &names));
    MC_TRY(join_names(f->r, out, names));
  }
  return out->count ? MC_OK : fail(f, v->start_mark.line + 1, "instances: expected names");
}

/* ["Left", "Right"] and Row[1,2] are one level; a list that holds ranges or lists has a level an item. */
static mc_err read_instances(vspec *f, const yaml_node_t *v, mc_vss_node *n)
{
  bool flat = true;
  for (size_t i = 0; i < list_length(v); i++) {
    const yaml_node_t *item = list_item(f, v, i);
    flat = flat && item->type == YAML_SCALAR_NODE && !is_range(scalar(item));
  }
  size_t count = flat ? 1 : list_length(v);
  if (v->type == YAML_MAPPING_NODE || count > MC_VSS_DEPTH_MAX)
    return fail(f, v->start_mark.line + 1, "instances: expected a list of names, or of lists of names");
  n->level = mc_arena_array(f->r->tree.arena, count, sizeof *n->level);
  if (!n->level)
    return no_memory(f->r);
  for (size_t i = 0; i < count; i++)
    MC_TRY(read_level(f, flat ? v : list_item(f, v, i), &n->level[i]));
  n->level_count = (uint32_t)count;
  return MC_OK;
}

static mc_err read_default(vspec *f, const yaml_node_t *v, mc_vss_node *n)
{
  if (v->type == YAML_SCALAR_NODE)
    return keep(f->r, scalar(v), &n->initial);
  mc_buf text = {0};
  mc_err err = mc_buf_append_str(&text, "[");
  for (size_t i = 0; i < list_length(v) && !err; i++)
    err = mc_buf_printf(&text, "%s%.*s", i ? ", " : "", MC_FMT(scalar(list_item(f, v, i))));
  if (!err)
    err = mc_buf_append_str(&text, "]");
  err = err ? no_memory(f->r) : keep(f->r, mc_buf_slice(&text), &n->initial);
  mc_buf_free(&text);
  return err;
}

static mc_err read_field(vspec *f, mc_slice key, const yaml_node_t *v, mc_vss_node *n)
{
  size_t line = v->start_mark.line + 1;
  reader *r = f->r;
  if (mc_slice_eq_str(key, "type"))
    return mc_vss_kind_of(scalar(v), &n->kind) ? MC_OK : fail(f, line, "type: expected branch, sensor, actuator or attribute");
  if (mc_slice_eq_str(key, "datatype"))
    return keep(r, scalar(v), &n->datatype);
  if (mc_slice_eq_str(key, "unit"))
    return keep(r, scalar(v), &n->unit);
  if (mc_slice_eq_str(key, "description"))
    return keep(r, scalar(v), &n->description);
  if (mc_slice_eq_str(key, "comment"))
    return keep(r, scalar(v), &n->comment);
  if (mc_slice_eq_str(key, "default"))
    return read_default(f, v, n);
  if (mc_slice_eq_str(key, "min"))
    return (n->has_min = !mc_slice_to_double(scalar(v), &n->min)) ? MC_OK : fail(f, line, "min: expected a number");
  if (mc_slice_eq_str(key, "max"))
    return (n->has_max = !mc_slice_to_double(scalar(v), &n->max)) ? MC_OK : fail(f, line, "max: expected a number");
  if (mc_slice_eq_str(key, "allowed")) {
    n->allowed_value = NULL;
    return v->type == YAML_SEQUENCE_NODE ? read_names(f, v, &n->allowed) : fail(f, line, "allowed: expected a list of values");
  }
  if (mc_slice_eq_str(key, "enum"))
    return read_enum(f, v, n);
  if (mc_slice_eq_str(key, "instances"))
    return read_instances(f, v, n);
  if (mc_slice_eq_str(key, "instantiate"))
    n->not_instantiated = mc_slice_eq_str(scalar(v), "false") || mc_slice_eq_str(scalar(v), "False");
  else if (mc_slice_eq_str(key, "delete"))
    n->deleted = mc_slice_eq_str(scalar(v), "true") || mc_slice_eq_str(scalar(v), "True");
  return MC_OK; /* deprecation, pattern, uuid, ...: not for a catalog */
}

static mc_err read_entry(vspec *f, yaml_node_pair_t pair)
{
  const yaml_node_t *key = yaml_document_get_node(&f->doc, pair.key), *v = yaml_document_get_node(&f->doc, pair.value);
  reader *r = f->r;
  mc_vss_node *n;
  mc_slice path;
  if (key->type != YAML_SCALAR_NODE || v->type != YAML_MAPPING_NODE)
    return fail(f, key->start_mark.line + 1, "expected a name with its fields (type, description, ...) indented below it");
  MC_TRY(keep(r, scalar(key), &path));
  if (mc_vss_path_make(&r->tree, f->prefix, path, &n))
    return mc_err_prefix(r->tree.why, "%s:%zu", f->path, key->start_mark.line + 1);
  n->file = mc_slice_str(f->path);
  n->line = (uint32_t)key->start_mark.line + 1;
  n->deleted = false;
  for (yaml_node_pair_t *p = v->data.mapping.pairs.start; p < v->data.mapping.pairs.top; p++) {
    mc_err err = read_field(f, scalar(yaml_document_get_node(&f->doc, p->key)), yaml_document_get_node(&f->doc, p->value), n);
    if (err)
      return err;
  }
  return MC_OK;
}

/* ---- files ---- */

/* `#include <file> [<prefix>]` at the start of the slice. */
static bool parse_include(mc_slice line, mc_slice *file, mc_slice *prefix)
{
  line = mc_slice_trim(line);
  if (!mc_slice_starts(line, MC_LIT("#include")) || line.len < 10 || (line.data[8] != ' ' && line.data[8] != '\t'))
    return false;
  line = mc_slice_trim(mc_slice_sub(line, 8, line.len));
  size_t end = 0;
  while (end < line.len && line.data[end] != ' ' && line.data[end] != '\t')
    end++;
  *file = mc_slice_sub(line, 0, end);
  mc_slice rest = mc_slice_trim(mc_slice_sub(line, end, line.len));
  end = 0;
  while (end < rest.len && rest.data[end] != ' ' && rest.data[end] != '\t' && rest.data[end] != '#')
    end++;
  *prefix = mc_slice_sub(rest, 0, end);
  return file->len > 0;
}

static bool exists(const char *path)
{
  FILE *in = fopen(path, "rb");
  if (in)
    fclose(in);
  return in != NULL;
}

static char *folder_of(mc_arena *a, const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? mc_arena_str(a, mc_slice_of(path, (size_t)(slash - path))) : mc_arena_str(a, MC_LIT("."));
}

static mc_err include(vspec *f, mc_slice file, mc_slice prefix, size_t line)
{
  reader *r = f->r;
  mc_arena *a = r->tree.arena;
  mc_slice kept;
  mc_vss_node *below = f->prefix;
  if (file.len > 1000 || file.data[0] == '/' || memchr(file.data, 0, file.len))
    return fail(f, line, "#include: expected a path relative to this file");
  char *folder = folder_of(a, f->path);
  char *path = folder ? mc_arena_printf(a, "%s/%.*s", folder, MC_FMT(file)) : NULL;
  if (path && !exists(path))
    path = mc_arena_printf(a, "%s/%.*s", r->root_dir, MC_FMT(file));
  if (!path)
    return no_memory(r);
  if (!exists(path))
    return mc_err_set(r->tree.why, MC_ERR_NOT_FOUND, "%s:%zu: #include: there is no file %.*s beside it or in %s", f->path, line,
                      MC_FMT(file), r->root_dir);
  MC_TRY(keep(r, prefix, &kept));
  if (kept.len && mc_vss_path_make(&r->tree, f->prefix, kept, &below))
    return mc_err_prefix(r->tree.why, "%s:%zu", f->path, line);
  return read_file(r, path, below);
}

/* Entries and includes in the order of their lines: what stands later in the file is laid over what stands before. */
static mc_err read_lines(vspec *f, mc_slice text)
{
  yaml_node_t *root = yaml_document_get_root_node(&f->doc);
  if (root && root->type != YAML_MAPPING_NODE)
    return fail(f, root->start_mark.line + 1, "expected names with their fields");
  yaml_node_pair_t *p = root ? root->data.mapping.pairs.start : NULL, *end = root ? root->data.mapping.pairs.top : NULL;
  size_t line = 0;
  for (size_t at = 0; at < text.len; line++) {
    size_t stop = mc_slice_find(text, '\n', at);
    mc_slice file, prefix;
    if (parse_include(mc_slice_sub(text, at, stop - at), &file, &prefix)) {
      for (; p < end && yaml_document_get_node(&f->doc, p->key)->start_mark.line < line; p++)
        MC_TRY(read_entry(f, *p));
      MC_TRY(include(f, file, prefix, line + 1));
    }
    at = stop + 1;
  }
  for (; p < end; p++)
    MC_TRY(read_entry(f, *p));
  return MC_OK;
}

static mc_err read_text(vspec *f, mc_slice text)
{
  yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser))
    return no_memory(f->r);
  yaml_parser_set_input_string(&parser, text.data ? text.data : (const uint8_t *)"", text.len);
  mc_err err = MC_OK;
  if (!yaml_parser_load(&parser, &f->doc)) {
    err = mc_err_set(f->r->tree.why, MC_ERR_MALFORMED, "%s:%zu: %s%s%s", f->path, parser.problem_mark.line + 1,
                     parser.problem ? parser.problem : "not YAML", parser.context ? ", " : "", parser.context ? parser.context : "");
  } else {
    err = read_lines(f, text);
    yaml_document_delete(&f->doc);
  }
  yaml_parser_delete(&parser);
  return err;
}

static mc_err read_file(reader *r, const char *path, mc_vss_node *prefix)
{
  mc_buf text = {0};
  vspec f = {.r = r, .path = path, .prefix = prefix};
  if (++r->depth > INCLUDE_DEPTH_MAX || ++r->files > FILES_MAX)
    return mc_err_set(r->tree.why, MC_ERR_TOO_LARGE, "%s: the #include lines run in a ring, or are more than %d deep or %d files", path,
                      INCLUDE_DEPTH_MAX, FILES_MAX);
  mc_err err = load_text(r, path, &text);
  if (err == MC_ERR_MEMORY)
    err = no_memory(r);
  if (!err)
    err = read_text(&f, mc_buf_slice(&text));
  mc_buf_free(&text);
  r->depth--;
  return err;
}

/* "file", or as in #include lines "file Prefix". */
static mc_err read_overlay(reader *r, const char *overlay)
{
  mc_vss_node *below = &r->tree.root;
  char *path = mc_arena_str(r->tree.arena, mc_slice_str(overlay));
  if (!path)
    return no_memory(r);
  char *space = strrchr(path, ' ');
  if (space && !exists(path)) {
    *space = 0;
    if (mc_vss_path_make(&r->tree, below, mc_slice_str(space + 1), &below))
      return mc_err_prefix(r->tree.why, "overlay '%s'", overlay);
  }
  return read_file(r, path, below);
}

mc_err mc_catalog_read_vspec(const char *path, const char *const *overlay, size_t overlay_count, mc_catalog *out, mc_why *why)
{
  mc_why own;
  *out = (mc_catalog){.arena = MC_ARENA(0)};
  reader r = {.tree = {.arena = &out->arena, .why = why ? why : &own}};
  char *kept = mc_arena_str(&out->arena, mc_slice_str(path));
  r.root_dir = kept ? folder_of(&out->arena, kept) : NULL;
  mc_err err = r.root_dir ? read_file(&r, kept, &r.tree.root) : no_memory(&r);
  for (size_t i = 0; i < overlay_count && !err; i++)
    err = read_overlay(&r, overlay[i]);
  if (!err)
    err = mc_vss_tree_finish(&r.tree, out);
  if (err && !strstr(r.tree.why->text, path)) /* what belongs to no line, or to a line of an included file */
    mc_err_prefix(r.tree.why, "%s", path);
  if (err)
    mc_catalog_free(out);
  return err;
}
