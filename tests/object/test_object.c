/* One suite for both kinds of store: what object.h promises, in a directory and at an S3 that checks every signature. With MOTORCADE_S3 set to
 * "endpoint region key secret", also at that one. */
#include <pthread.h>

#include "object/object.h"
#include "peer.h"
#include "tap.h"

static mc_object_store *store;
static const char *kind;
static char dir[200];
static mc_why why;
#define BUCKET MC_LIT("motorcade-test")

static mc_err put(const char *key, const char *content)
{
  return mc_object_put(store, BUCKET, mc_slice_str(key), mc_slice_str(content), "text/plain", 0, &why);
}

static void check_content(const char *key, const char *want)
{
  mc_buf got = {0};
  CHECK_OK(mc_object_get(store, BUCKET, mc_slice_str(key), 0, UINT64_MAX, 1 << 20, &got, &why));
  CHECK_SLICE(mc_buf_slice(&got), want);
  mc_buf_free(&got);
}

static void test_put_get_head_and_replace(void)
{
  mc_object_info info;
  CHECK_OK(put("a/first", "one"));
  check_content("a/first", "one");
  CHECK_OK(mc_object_head(store, BUCKET, MC_LIT("a/first"), &info, &why));
  CHECK_INT(info.size, 3);
  CHECK(info.changed_us > INT64_C(1700000000000000));
  CHECK_OK(put("a/first", "another"));
  check_content("a/first", "another");
  CHECK_OK(put("a/empty", ""));
  check_content("a/empty", "");
}

static void test_what_is_not_there_is_told(void)
{
  mc_object_info info;
  mc_buf got = {0};
  CHECK_INT(mc_object_head(store, BUCKET, MC_LIT("a/nothing"), &info, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_object_get(store, BUCKET, MC_LIT("a/nothing"), 0, UINT64_MAX, 100, &got, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_object_get(store, MC_LIT("missing-bucket"), MC_LIT("x"), 0, UINT64_MAX, 100, &got, &why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_object_list(store, MC_LIT("missing-bucket"), (mc_slice){0}, (mc_slice){0}, 10, NULL, NULL, &why), MC_ERR_NOT_FOUND);
  CHECK_OK(mc_object_remove(store, BUCKET, MC_LIT("a/nothing"), &why));
}

static void test_ranges(void)
{
  static const struct {
    uint64_t from, len;
    const char *want;
  } cases[] = {{0, 1, "0"}, {0, 4, "0123"}, {3, 2, "34"}, {8, 100, "89"}, {5, UINT64_MAX, "56789"}, {10, 5, ""}, {100, UINT64_MAX, ""}, {2, 0, ""}};
  CHECK_OK(put("range", "0123456789"));
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    mc_buf got = {0};
    CHECK_OK(mc_object_get(store, BUCKET, MC_LIT("range"), cases[i].from, cases[i].len, 100, &got, &why));
    CHECK_SLICE(mc_buf_slice(&got), cases[i].want);
    mc_buf_free(&got);
  }
  mc_buf got = {0};
  CHECK_INT(mc_object_get(store, BUCKET, MC_LIT("range"), 0, UINT64_MAX, 9, &got, &why), MC_ERR_TOO_LARGE);
  mc_buf_free(&got);
}

static void test_if_absent_lets_one_win(void)
{
  mc_object_remove(store, BUCKET, MC_LIT("once"), &why);
  CHECK_OK(mc_object_put(store, BUCKET, MC_LIT("once"), MC_LIT("first"), NULL, MC_OBJECT_IF_ABSENT, &why));
  CHECK_INT(mc_object_put(store, BUCKET, MC_LIT("once"), MC_LIT("second"), NULL, MC_OBJECT_IF_ABSENT, &why), MC_ERR_EXISTS);
  check_content("once", "first");
}

static void test_keys_with_any_characters(void)
{
  static const char *const keys[] = {"k/with space", "k/plus+and%25", "k/year=2026/month=11/date=30/hour=05/part-0000-x.gz.parquet",
                                      "k/ümläut/日本", "k/a&b<c>\"d'", "k/~tilde_under.score-dash", "k/q?uestion#hash", "k/$(dollar)*!@:,;"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    CHECK_OK(put(keys[i], keys[i]));
    check_content(keys[i], keys[i]);
  }
}

static const char *const bad_keys[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\nb", "\xff"};

static void test_names_are_checked(void)
{
  mc_object_info info;
  static const char *const buckets[] = {"", "ab", "Upper", "under_score", "-x-", "a..b", ".new", "a/b"};
  for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
    CHECK_INT(put(bad_keys[i], "x"), MC_ERR_INVALID);
    CHECK_INT(mc_object_remove(store, BUCKET, mc_slice_str(bad_keys[i]), &why), MC_ERR_INVALID);
  }
  for (size_t i = 0; i < sizeof buckets / sizeof buckets[0]; i++)
    CHECK_INT(mc_object_head(store, mc_slice_str(buckets[i]), MC_LIT("a"), &info, &why), MC_ERR_INVALID);
  char long_key[1100];
  memset(long_key, 'x', sizeof long_key);
  long_key[sizeof long_key - 1] = 0;
  CHECK_INT(put(long_key, "x"), MC_ERR_INVALID);
  long_key[256] = 0;
  CHECK_INT(put(long_key, "x"), MC_ERR_INVALID);
  long_key[255] = 0;
  CHECK_OK(put(long_key, "x"));
}

typedef struct found {
  char text[8192];
  size_t count, stop_at;
} found;

static mc_err note(void *ctx, const mc_object_info *info)
{
  found *f = ctx;
  size_t n = strlen(f->text);
  snprintf(f->text + n, sizeof f->text - n, "%.*s:%d ", MC_FMT(info->key), (int)info->size);
  f->count++;
  return f->stop_at && f->count == f->stop_at ? MC_ERR_CLOSED : MC_OK;
}

static void test_lists_in_byte_order_by_pages(void)
{
  static const char *const keys[] = {"l/a/1", "l/a-b", "l/a.c", "l/a/2/x", "l/b", "l/ab", "l/ü", "l/a!", "l/z1", "l/z2", "l/z3", "l/z4", "l/z5", "l/z6", "l/z7", "l/z8"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    CHECK_OK(put(keys[i], "12345"));
  found f = {0};
  CHECK_OK(mc_object_list(store, BUCKET, MC_LIT("l/"), (mc_slice){0}, 1000, note, &f, &why));
  CHECK_STR(f.text, "l/a!:5 l/a-b:5 l/a.c:5 l/a/1:5 l/a/2/x:5 l/ab:5 l/b:5 l/z1:5 l/z2:5 l/z3:5 l/z4:5 l/z5:5 l/z6:5 l/z7:5 l/z8:5 l/ü:5 ");
  f = (found){0};
  CHECK_OK(mc_object_list(store, BUCKET, MC_LIT("l/a/"), (mc_slice){0}, 1000, note, &f, &why));
  CHECK_STR(f.text, "l/a/1:5 l/a/2/x:5 ");
  f = (found){0};
  CHECK_OK(mc_object_list(store, BUCKET, MC_LIT("l/"), MC_LIT("l/a/1"), 3, note, &f, &why));
  CHECK_STR(f.text, "l/a/2/x:5 l/ab:5 l/b:5 ");
  f = (found){.stop_at = 2};
  CHECK_INT(mc_object_list(store, BUCKET, MC_LIT("l/"), (mc_slice){0}, 1000, note, &f, &why), MC_ERR_CLOSED);
  CHECK_INT(f.count, 2);
  f = (found){0};
  CHECK_OK(mc_object_list(store, BUCKET, MC_LIT("nothing/"), (mc_slice){0}, 1000, note, &f, &why));
  CHECK_INT(f.count, 0);
}

static void test_removed_is_gone(void)
{
  found f = {0};
  CHECK_OK(put("gone/a/b/c", "x"));
  CHECK_OK(mc_object_remove(store, BUCKET, MC_LIT("gone/a/b/c"), &why));
  CHECK_OK(mc_object_list(store, BUCKET, MC_LIT("gone"), (mc_slice){0}, 10, note, &f, &why));
  CHECK_INT(f.count, 0);
  CHECK_OK(put("gone", "a folder before, an object now"));
}

static void put_a_file(size_t bytes)
{
  char path[300];
  snprintf(path, sizeof path, "%s.upload", dir);
  uint8_t *content = malloc(bytes ? bytes : 1);
  CHECK(content);
  for (size_t i = 0; i < bytes; i++)
    content[i] = (uint8_t)(i * 2654435761U >> 24);
  CHECK_OK(mc_fs_replace(mc_fs_posix(), path, mc_slice_of(content, bytes), 0600, &why));
  CHECK_OK(mc_object_put_file(store, BUCKET, MC_LIT("files/big"), path, "application/octet-stream", &why));
  mc_buf got = {0};
  CHECK_OK(mc_object_get(store, BUCKET, MC_LIT("files/big"), 0, UINT64_MAX, 64 << 20, &got, &why));
  CHECK(mc_slice_eq(mc_buf_slice(&got), mc_slice_of(content, bytes)));
  mc_buf_free(&got);
  free(content);
  unlink(path);
}

static void test_files_of_any_size_in_parts(void)
{
  put_a_file(0);
  put_a_file(1000);
  put_a_file(5 << 20);           /* one part: no multipart */
  put_a_file((11 << 20) + 12345); /* three parts */
}

static void test_a_file_that_is_missing_is_told(void)
{
  CHECK_INT(mc_object_put_file(store, BUCKET, MC_LIT("files/x"), "/nonexistent/file", NULL, &why), MC_ERR_NOT_FOUND);
}

static void suite(void)
{
  printf("# %s: %s\n", kind, mc_object_place(store));
  RUN(test_put_get_head_and_replace);
  RUN(test_what_is_not_there_is_told);
  RUN(test_ranges);
  RUN(test_if_absent_lets_one_win);
  RUN(test_keys_with_any_characters);
  RUN(test_names_are_checked);
  RUN(test_lists_in_byte_order_by_pages);
  RUN(test_removed_is_gone);
  RUN(test_files_of_any_size_in_parts);
  RUN(test_a_file_that_is_missing_is_told);
}

static void test_directory_tells_a_key_that_is_a_folder(void)
{
  CHECK_OK(put("tree/leaf", "x"));
  CHECK_INT(put("tree", "x"), MC_ERR_CONFLICT);
  CHECK_INT(put("tree/leaf/below", "x"), MC_ERR_CONFLICT);
  mc_buf url = {0};
  CHECK_INT(mc_object_presign(store, BUCKET, MC_LIT("tree/leaf"), 60, &url, &why), MC_ERR_UNSUPPORTED);
  CHECK_INT(mc_object_presign(store, BUCKET, MC_LIT("tree/leaf"), 604801, &url, &why), MC_ERR_INVALID);
}

static void test_directory_leaves_nothing_half_written(void)
{
  char path[300];
  mc_fs *fs;
  CHECK_OK(mc_fs_fault_open(&fs, &why));
  mc_object_store *before = store;
  uint64_t calls = 0;
  for (uint64_t k = 1; k < 60; k++) { /* every call of one put fails once */
    mc_object_store *weak;
    mc_fs_fault_arm(fs, 0, MC_FAULT_NONE);
    CHECK_OK(mc_object_open_directory(fs, dir, &weak, &why));
    store = weak;
    CHECK_OK(put("fault/x", "old"));
    mc_fs_fault_arm(fs, k, MC_FAULT_ENOSPC);
    calls = mc_fs_fault_calls(fs);
    mc_err err = put("fault/x", "new content");
    calls = mc_fs_fault_calls(fs) - calls;
    mc_fs_fault_arm(fs, 0, MC_FAULT_NONE);
    mc_buf got = {0};
    CHECK_OK(mc_object_get(weak, BUCKET, MC_LIT("fault/x"), 0, UINT64_MAX, 100, &got, &why));
    bool whole = mc_slice_eq(mc_buf_slice(&got), MC_LIT("new content")), old = mc_slice_eq(mc_buf_slice(&got), MC_LIT("old"));
    mc_buf_free(&got);
    CHECK(err ? whole || old : whole);
    store = before;
    mc_object_close(&weak);
    if (k > calls)
      break;
  }
  snprintf(path, sizeof path, "%s/.new", dir);
  found f = {0};
  CHECK_OK(mc_object_list(store, BUCKET, MC_LIT("fault/"), (mc_slice){0}, 10, note, &f, &why));
  CHECK_INT(f.count, 1);
  mc_fs_fault_close(&fs);
}

/* ---- S3 alone ---- */
static peer at;
static mc_object_s3 config;

static void ask(const char *path)
{
  char command[300];
  snprintf(command, sizeof command, "python3 -c \"import urllib.request as u;u.urlopen(u.Request('%s%s',method='PUT',data=b''))\"", at.endpoint, path);
  if (system(command))
    printf("# could not ask for %s\n", path);
}

static void test_s3_tries_again_what_may_help(void)
{
  ask("/_fault?kind=503&count=2");
  CHECK_OK(put("again", "503"));
  ask("/_fault?kind=500&count=2");
  check_content("again", "503");
  ask("/_fault?kind=drop&count=2");
  CHECK_OK(put("again", "dropped"));
  check_content("again", "dropped");
  ask("/_fault?kind=500&count=99");
  CHECK_INT(put("again", "never"), MC_ERR_IO);
  CHECK_WHY(why, "InternalError");
  mc_object_store *patient = store;
  mc_object_s3 c = config;
  c.stall_ms = 1000;
  CHECK_OK(mc_object_open_s3(&c, &store, &why));
  ask("/_fault?kind=slow&count=99");
  mc_err err = put("again", "never");
  mc_object_close(&store);
  store = patient;
  CHECK_INT(err, MC_ERR_TIMEOUT);
  ask("/_fault?kind=500&count=0");
  check_content("again", "dropped");
}

static void *stop_soon(void *arg)
{
  usleep(200000);
  mc_object_stop(arg);
  return NULL;
}

static void test_s3_that_does_not_answer_holds_no_shutdown_up(void)
{
  mc_object_store *s, *before = store;
  pthread_t thread;
  mc_object_s3 c = config;
  c.stall_ms = 60000;
  CHECK_OK(mc_object_open_s3(&c, &s, &why));
  ask("/_fault?kind=slow&count=1");
  store = s;
  CHECK(pthread_create(&thread, NULL, stop_soon, s) == 0);
  mc_err err = put("x", "y"), later = put("x", "y");
  pthread_join(thread, NULL);
  store = before;
  mc_object_close(&s);
  CHECK_INT(err, MC_ERR_CLOSED);
  CHECK_INT(later, MC_ERR_CLOSED);
}

static void test_s3_does_not_repeat_a_refusal(void)
{
  ask("/_fault?kind=denied&count=1");
  CHECK_INT(put("again", "denied"), MC_ERR_DENIED);
  CHECK_WHY(why, "AccessDenied");
  check_content("again", "dropped"); /* the second request was let through: one try was made */
}

static void open_with(const char *region, const char *key, const char *secret, mc_err want, const char *text)
{
  mc_object_store *s, *before = store;
  mc_object_s3 c = config;
  c.region = region;
  c.access_key = key;
  c.secret = secret;
  CHECK_OK(mc_object_open_s3(&c, &s, &why));
  store = s;
  mc_err err = put("x", "y");
  store = before;
  mc_object_close(&s);
  CHECK_INT(err, want);
  CHECK_WHY(why, text);
}

static void test_s3_wrong_keys_are_refused_with_the_servers_words(void)
{
  open_with("test-1", "AKIDTEST", "WrongSecret", MC_ERR_DENIED, "SignatureDoesNotMatch");
  open_with("test-1", "AKIDOTHER", "SecretOfTheTest", MC_ERR_DENIED, "InvalidAccessKeyId");
  open_with("elsewhere", "AKIDTEST", "SecretOfTheTest", MC_ERR_INVALID, "AuthorizationHeaderMalformed");
}

static void test_s3_configurations_are_checked(void)
{
  static const char *const endpoints[] = {"", "ftp://x", "http://", "https:///path", "http://a b", "http://user@host", "host:9000", "http://h?x"};
  mc_object_store *s;
  for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
    mc_object_s3 c = config;
    c.endpoint = endpoints[i];
    CHECK_INT(mc_object_open_s3(&c, &s, &why), MC_ERR_INVALID);
    CHECK(!s);
  }
  mc_object_s3 c = config;
  c.secret = "";
  CHECK_INT(mc_object_open_s3(&c, &s, &why), MC_ERR_INVALID);
  c = config;
  c.endpoint = "http://127.0.0.1:1";
  c.tries = 1;
  CHECK_OK(mc_object_open_s3(&c, &s, &why));
  mc_object_store *before = store;
  store = s;
  CHECK_INT(put("x", "y"), MC_ERR_IO);
  CHECK_WHY(why, "127.0.0.1:1");
  store = before;
  mc_object_close(&s);
}

static void test_s3_signed_url_is_good_for_anyone(void)
{
  mc_buf url = {0};
  char command[1200];
  CHECK_OK(put("k/signed url", "for you"));
  CHECK_OK(mc_object_presign(store, BUCKET, MC_LIT("k/signed url"), 60, &url, &why));
  snprintf(command, sizeof command, "python3 -c \"import urllib.request as u,sys;sys.exit(u.urlopen(sys.argv[1]).read()!=b'for you')\" '%.*s'", MC_FMT(mc_buf_slice(&url)));
  CHECK_INT(system(command), 0);
  snprintf(command, sizeof command, "python3 -c \"import urllib.request as u,sys\n"
           "try: u.urlopen(sys.argv[1].replace('Expires=60','Expires=61'))\nexcept Exception: sys.exit(0)\nsys.exit(1)\" '%.*s'", MC_FMT(mc_buf_slice(&url)));
  CHECK_INT(system(command), 0);
  mc_buf_free(&url);
}

static void test_s3_gives_up_parts_when_the_file_cannot_be_sent(void)
{
  char path[300];
  snprintf(path, sizeof path, "%s.upload", dir);
  uint8_t *content = calloc(1, 6 << 20);
  CHECK(content);
  CHECK_OK(mc_fs_replace(mc_fs_posix(), path, mc_slice_of(content, 6 << 20), 0600, &why));
  free(content);
  ask("/_fault?kind=denied&count=1"); /* the first request: no upload begins */
  CHECK_INT(mc_object_put_file(store, BUCKET, MC_LIT("files/never"), path, NULL, &why), MC_ERR_DENIED);
  mc_object_info info;
  CHECK_INT(mc_object_head(store, BUCKET, MC_LIT("files/never"), &info, &why), MC_ERR_NOT_FOUND);
  unlink(path);
}

static void run_elsewhere(void)
{
  static char endpoint[200], region[60], key[100], secret[100];
  const char *text = getenv("MOTORCADE_S3");
  if (!text || sscanf(text, "%199s %59s %99s %99s", endpoint, region, key, secret) != 4)
    return;
  mc_object_s3 c = {.endpoint = endpoint, .region = region, .access_key = key, .secret = secret, .part_bytes = 5 << 20};
  if (mc_object_open_s3(&c, &store, &why))
    return;
  kind = "S3 of the environment";
  suite();
  mc_object_close(&store);
}

int main(int argc, char **argv)
{
  char command[300];
  snprintf(dir, sizeof dir, "/tmp/mc-object-test-%d", (int)getpid());
  kind = "directory";
  if (mc_object_open_directory(mc_fs_posix(), dir, &store, &why) || peer_start(&at)) {
    printf("not ok 1 - cannot begin: %s\n1..1\n", why.text);
    return 1;
  }
  suite();
  RUN(test_directory_tells_a_key_that_is_a_folder);
  RUN(test_directory_leaves_nothing_half_written);
  mc_object_close(&store);
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  if (system(command))
    printf("# cannot remove %s\n", dir);

  config = (mc_object_s3){.endpoint = at.endpoint, .region = "test-1", .access_key = "AKIDTEST", .secret = "SecretOfTheTest",
                          .part_bytes = 5 << 20, .tries = 3, .pause_ms = 5, .stall_ms = 30000};
  kind = "S3";
  if (mc_object_open_s3(&config, &store, &why)) {
    printf("not ok - %s\n", why.text);
    return 1;
  }
  suite();
  RUN(test_s3_tries_again_what_may_help);
  RUN(test_s3_that_does_not_answer_holds_no_shutdown_up);
  RUN(test_s3_does_not_repeat_a_refusal);
  RUN(test_s3_wrong_keys_are_refused_with_the_servers_words);
  RUN(test_s3_configurations_are_checked);
  RUN(test_s3_signed_url_is_good_for_anyone);
  RUN(test_s3_gives_up_parts_when_the_file_cannot_be_sent);
  mc_object_close(&store);
  run_elsewhere();
  peer_stop(&at);
  return tap_done();
}
