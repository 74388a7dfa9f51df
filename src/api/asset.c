/* The portal's files: read once into memory, answered from there on the loop. */
#include <dirent.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "api/inside.h"
#include "base/log.h"

enum { DEPTH_MAX = 8 };
#define FILE_MAX ((size_t)32 << 20)

typedef struct asset {
  char *path; /* "/assets/index-4f2a.js" */
  const char *type;
  mc_buf plain, br;
  char etag[24];
  bool immutable;
} asset;

struct api_assets {
  MC_VEC(asset) file;
  mc_strmap by_path; /* -> index */
};

static const char *const types[][2] = {
    {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"}, {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},   {".svg", "image/svg+xml"},                  {".json", "application/json"},
    {".webmanifest", "application/manifest+json"}, {".woff2", "font/woff2"},           {".png", "image/png"},
    {".ico", "image/x-icon"},              {".txt", "text/plain; charset=utf-8"},      {".wasm", "application/wasm"},
};

static const char *type_of(const char *path)
{
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++)
    if (!strcmp(dot, types[i][0]))
      return types[i][1];
  return "application/octet-stream";
}

/* Vite names built files "<name>-<8 characters of a hash>.<ext>" below /assets/: their content never changes. */
static bool is_hashed(const char *path)
{
  const char *dot = strrchr(path, '.');
  return !strncmp(path, "/assets/", 8) && dot && dot - path > 9 && dot[-9] == '-';
}

static mc_err read_file(const char *path, mc_buf *out)
{
  return mc_fs_read(mc_fs_posix(), path, FILE_MAX, out, NULL);
}

static mc_err add_file(api_assets *a, const char *disk, const char *path)
{
  asset f = {.path = strdup(path), .type = type_of(path), .immutable = is_hashed(path)};
  char br[1200];
  snprintf(br, sizeof br, "%s.br", disk);
  mc_err err = f.path ? read_file(disk, &f.plain) : MC_ERR_MEMORY;
  if (!err && read_file(br, &f.br))
    mc_buf_free(&f.br); /* no compressed twin: plain goes out */
  if (!err) {
    uint8_t sha[32];
    SHA256(f.plain.data ? f.plain.data : (const uint8_t *)"", f.plain.len, sha);
    snprintf(f.etag, sizeof f.etag, "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", sha[0], sha[1], sha[2], sha[3], sha[4], sha[5], sha[6], sha[7]);
    err = mc_strmap_put(&a->by_path, mc_slice_str(path), a->file.len);
  }
  if (!err)
    err = mc_vec_push(&a->file, f);
  if (err) {
    mc_buf_free(&f.plain);
    mc_buf_free(&f.br);
    free(f.path);
  }
  return err;
}

static mc_err add_folder(api_assets *a, const char *disk, const char *path, int depth)
{
  DIR *d = opendir(disk);
  if (!d)
    return MC_ERR_NOT_FOUND;
  mc_err err = MC_OK;
  struct dirent *e;
  while (!err && (e = readdir(d))) {
    char below[1100], name[1100];
    size_t len = strlen(e->d_name);
    struct stat st;
    if (e->d_name[0] == '.' || (len > 3 && !strcmp(e->d_name + len - 3, ".br")))
      continue;
    if (snprintf(below, sizeof below, "%s/%s", disk, e->d_name) >= (int)sizeof below || snprintf(name, sizeof name, "%s/%s", path, e->d_name) >= (int)sizeof name)
      continue;
    if (lstat(below, &st))
      continue;
    if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
      err = add_folder(a, below, name, depth + 1);
    else if (S_ISREG(st.st_mode)) /* no links: nothing outside the folder gets served */
      err = add_file(a, below, name);
  }
  closedir(d);
  return err;
}

static const char unbuilt[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>motorcade</title><h1>motorcade is running, its portal is not built</h1>"
    "<p>Run <code>make</code> in the source folder (it builds <code>portal/dist</code>), then start motorcade again. "
    "The API works without it: <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>, <a href=\"/api/v1/health\">/api/v1/health</a>.</p></html>";

mc_err assets_load(const char *dir, api_assets **out, mc_why *why)
{
  api_assets *a = calloc(1, sizeof *a);
  *out = a;
  if (!a)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the portal's files");
  mc_err err = dir && *dir ? add_folder(a, dir, "", 0) : MC_ERR_NOT_FOUND;
  if (err && err != MC_ERR_NOT_FOUND)
    return mc_err_set(why, err, "the portal's files in %s could not be read: %s", dir, mc_err_text(err));
  if (!mc_strmap_get(&a->by_path, MC_LIT("/index.html"), NULL))
    mc_log(MC_LOG_WARN, "api", "the portal is not built; its address shows how to build it", MC_KZ("folder", dir ? dir : ""));
  return MC_OK;
}

void assets_free(api_assets **assets)
{
  api_assets *a = *assets;
  if (!a)
    return;
  for (size_t i = 0; i < a->file.len; i++) {
    free(a->file.at[i].path);
    mc_buf_free(&a->file.at[i].plain);
    mc_buf_free(&a->file.at[i].br);
  }
  mc_vec_free(&a->file);
  mc_strmap_free(&a->by_path);
  free(a);
  *assets = NULL;
}

/* Scripts and styles from here only. Style attributes are allowed (templates and the map library set them); blob: workers belong to the map. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; "
                             "connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static bool takes_brotli(mc_http_request *r)
{
  mc_slice accept = mc_http_request_header(r, "accept-encoding");
  for (size_t at = 0; at < accept.len;) {
    size_t end = mc_slice_find(accept, ',', at);
    mc_slice item = mc_slice_trim(mc_slice_sub(accept, at, end - at));
    if (mc_slice_starts(item, MC_LIT("br")) && (item.len == 2 || item.data[2] == ';') && !memmem(item.data, item.len, "q=0", 3))
      return true;
    if (mc_slice_starts(item, MC_LIT("br;q=0.")))
      return true;
    at = end + 1;
  }
  return false;
}

static void send_page(mc_http_request *r, int status, const char *type, mc_slice body, bool br, const char *etag, bool immutable)
{
  mc_http_header header[11] = {
      {MC_LIT("Content-Security-Policy"), mc_slice_str(policy)},
      {MC_LIT("X-Content-Type-Options"), MC_LIT("nosniff")},
      {MC_LIT("Referrer-Policy"), MC_LIT("same-origin")},
      {MC_LIT("Cross-Origin-Opener-Policy"), MC_LIT("same-origin")},
      {MC_LIT("Cross-Origin-Resource-Policy"), MC_LIT("same-origin")},
      {MC_LIT("Permissions-Policy"), MC_LIT("camera=(), microphone=(), geolocation=()")},
      {MC_LIT("Cache-Control"), immutable ? MC_LIT("public, max-age=31536000, immutable") : MC_LIT("no-cache")},
      {MC_LIT("Vary"), MC_LIT("Accept-Encoding")},
  };
  size_t n = 8;
  if (etag[0])
    header[n++] = (mc_http_header){MC_LIT("ETag"), mc_slice_str(etag)};
  if (host_wants_tls(r))
    header[n++] = (mc_http_header)API_HSTS;
  if (br)
    header[n++] = (mc_http_header){MC_LIT("Content-Encoding"), MC_LIT("br")};
  mc_http_reply reply = {.status = status, .content_type = type, .body = body, .header = header, .header_count = n};
  mc_http_answer_static(r, &reply);
}

static void send_asset(const asset *f, mc_http_request *r)
{
  mc_slice seen = mc_http_request_header(r, "if-none-match");
  if (seen.len && memmem(seen.data, seen.len, f->etag, strlen(f->etag))) {
    send_page(r, 304, NULL, (mc_slice){0}, false, f->etag, f->immutable);
    return;
  }
  bool br = f->br.len && takes_brotli(r);
  send_page(r, 200, f->type, mc_buf_slice(br ? &f->br : &f->plain), br, f->etag, f->immutable);
}

bool assets_answer(api_assets *a, mc_http_request *r, bool *page)
{
  *page = false;
  if (!mc_slice_eq_str(r->method, "GET") && !mc_slice_eq_str(r->method, "HEAD"))
    return false;
  if (mc_slice_starts(r->path, MC_LIT("/api/")) || mc_slice_starts(r->path, MC_LIT("/aws/")))
    return false;
  uint64_t index = 0;
  if (mc_strmap_get(&a->by_path, r->path, &index)) {
    send_asset(&a->file.at[index], r);
    return true;
  }
  /* A page of the portal has no dot in its last part and is asked for by a browser that wants HTML. */
  size_t last = r->path.len;
  while (last && r->path.data[last - 1] != '/')
    last--;
  mc_slice accept = mc_http_request_header(r, "accept");
  bool takes_html = !accept.len || memmem(accept.data, accept.len, "text/html", 9) || memmem(accept.data, accept.len, "*/*", 3);
  bool is_page = mc_slice_find(r->path, '.', last) == r->path.len;
  if (!is_page || (!takes_html && r->path.len > 1))
    return false;
  *page = mc_strmap_get(&a->by_path, MC_LIT("/index.html"), &index);
  if (*page)
    send_asset(&a->file.at[index], r);
  else
    send_page(r, 200, "text/html; charset=utf-8", mc_slice_of(unbuilt, sizeof unbuilt - 1), false, "", false);
  return true;
}
