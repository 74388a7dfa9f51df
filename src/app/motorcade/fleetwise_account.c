#include "app/motorcade/fleetwise_account.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "format/sigv4.h"

enum { ANSWER_MAX = 64 << 20, TRIES = 8, FIRST_PAUSE_MS = 250, CONNECT_S = 15, CALL_S = 120, PAGES_MAX = 100000 };

static const char *variable(const char *name)
{
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

mc_err fleetwise_account_from_environment(const char *region, const char *endpoint, fleetwise_account *out, mc_why *why)
{
  *out = (fleetwise_account){endpoint, region, variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"), variable("AWS_SESSION_TOKEN")};
  if (!out->region)
    out->region = variable("AWS_REGION");
  if (!out->region)
    out->region = variable("AWS_DEFAULT_REGION");
  if (!out->access_key || !out->secret)
    return mc_err_set(why, MC_ERR_INVALID, "credentials are needed: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment (and AWS_SESSION_TOKEN, where they are temporary)");
  if (!out->region)
    return mc_err_set(why, MC_ERR_INVALID, "which region? --region, or AWS_REGION in the environment");
  const char *const secret[] = {out->access_key, out->secret, out->token};
  for (size_t i = 0; i < 3; i++)
    for (const char *c = secret[i] ? secret[i] : ""; *c; c++)
      if ((unsigned char)*c <= ' ' || (unsigned char)*c > '~')
        return mc_err_set(why, MC_ERR_INVALID, "credentials in the environment have a character that none has: a space or a line end?");
  if (strlen(out->access_key) > 128 || (out->token && strlen(out->token) > 2048))
    return mc_err_set(why, MC_ERR_INVALID, "credentials in the environment are longer than any");
  for (const char *c = out->region; *c; c++)
    if (!isalnum((unsigned char)*c) && *c != '-')
      return mc_err_set(why, MC_ERR_INVALID, "region \"%.60s\": letters, digits and - were expected", out->region);
  return MC_OK;
}

/* ---- one request, signed ---- */

typedef struct session {
  const fleetwise_account *a;
  CURL *curl;
  char url[600], host[300], path[300];
  mc_why *why;
} session;

/* The host as it is signed, and the path. */
static mc_err split_endpoint(session *s)
{
  if (s->a->endpoint)
    snprintf(s->url, sizeof s->url, "%s", s->a->endpoint);
  else
    snprintf(s->url, sizeof s->url, "https://iotfleetwise.%s.amazonaws.com/", s->a->region);
  const char *host = strstr(s->url, "://");
  bool known = !strncmp(s->url, "https://", 8) || !strncmp(s->url, "http://", 7);
  size_t n = known && host ? strcspn(host + 3, "/?#@") : 0;
  if (!n || n >= sizeof s->host || host[3 + n] == '@' || strpbrk(s->url, "?# \\%") || strlen(s->url) >= sizeof s->url - 1 || strlen(host + 3 + n) >= sizeof s->path)
    return mc_err_set(s->why, MC_ERR_INVALID, "endpoint \"%.200s\": http(s)://HOST[:PORT][/PATH] was expected", s->url);
  snprintf(s->host, sizeof s->host, "%.*s", (int)n, host + 3);
  snprintf(s->path, sizeof s->path, "%s", host[3 + n] ? host + 3 + n : "/");
  return MC_OK;
}

static void time_of(int64_t us, char out[20])
{
  time_t seconds = (time_t)(us / 1000000);
  struct tm tm;
  gmtime_r(&seconds, &tm);
  strftime(out, 20, "%Y%m%dT%H%M%SZ", &tm);
}

/* Headers by name, as they are signed: content-type, host, x-amz-date, [x-amz-security-token,] x-amz-target. */
static mc_err authorization(const session *s, const char *target, const char *stamp, mc_slice body, char out[1400])
{
  const fleetwise_account *a = s->a;
  char hash[MC_SIGV4_HEX], signature[MC_SIGV4_HEX];
  const char *names = a->token ? "content-type;host;x-amz-date;x-amz-security-token;x-amz-target" : "content-type;host;x-amz-date;x-amz-target";
  mc_buf canonical = {0};
  mc_sigv4_sha256(body, hash);
  mc_err err = mc_buf_printf(&canonical, "POST\n%s\n\ncontent-type:application/x-amz-json-1.0\nhost:%s\nx-amz-date:%s\n", s->path, s->host, stamp);
  if (!err && a->token)
    err = mc_buf_printf(&canonical, "x-amz-security-token:%s\n", a->token);
  if (!err)
    err = mc_buf_printf(&canonical, "x-amz-target:%s\n\n%s\n%s", target, names, hash);
  mc_sigv4_scope scope = {mc_slice_of(stamp, 8), mc_slice_str(a->region), MC_LIT("iotfleetwise")};
  if (!err)
    err = mc_sigv4_sign(mc_buf_slice(&canonical), mc_slice_str(stamp), &scope, mc_slice_str(a->secret), signature);
  mc_buf_free(&canonical);
  if (!err)
    snprintf(out, 1400, "authorization: " MC_SIGV4_ALGORITHM " Credential=%.200s/%.8s/%.100s/iotfleetwise/aws4_request, SignedHeaders=%s, Signature=%s", a->access_key, stamp, a->region,
             names, signature);
  return err;
}

static struct curl_slist *headers(const session *s, const char *target, mc_slice body)
{
  char stamp[20], line[3000], sign[1400];
  struct curl_slist *list = NULL;
  const char *const fixed[] = {"content-type: application/x-amz-json-1.0", "accept:", "expect:"};
  time_of(mc_clock_wall_us(), stamp);
  if (authorization(s, target, stamp, body, sign))
    return NULL;
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
    list = curl_slist_append(list, fixed[i]);
  snprintf(line, sizeof line, "x-amz-date: %s", stamp);
  list = curl_slist_append(list, line);
  snprintf(line, sizeof line, "x-amz-target: %s", target);
  list = curl_slist_append(list, line);
  if (s->a->token) {
    snprintf(line, sizeof line, "x-amz-security-token: %s", s->a->token);
    list = curl_slist_append(list, line);
  }
  return curl_slist_append(list, sign);
}

static size_t take(char *data, size_t size, size_t count, void *ctx)
{
  mc_buf *out = ctx;
  return out->len + size * count > ANSWER_MAX || mc_buf_append(out, data, size * count) ? 0 : size * count;
}

/* One attempt: its HTTP status, 0 when there was none; text says why. */
static long post(session *s, const char *target, mc_slice body, mc_buf *answer, char text[CURL_ERROR_SIZE])
{
  long status = 0;
  struct curl_slist *list = headers(s, target, body);
  mc_buf_clear(answer);
  text[0] = 0;
  if (!list)
    return 0;
  curl_easy_reset(s->curl);
  curl_easy_setopt(s->curl, CURLOPT_URL, s->url);
  curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(s->curl, CURLOPT_FOLLOWLOCATION, 0L); /* what is signed is for this host alone */
  curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(s->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
  curl_easy_setopt(s->curl, CURLOPT_TIMEOUT, (long)CALL_S);
  curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(s->curl, CURLOPT_POST, 1L);
  curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, (const char *)body.data);
  curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
  curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, answer);
  curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, text);
  CURLcode done = curl_easy_perform(s->curl);
  if (done == CURLE_OK)
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
  else if (!text[0])
    snprintf(text, CURL_ERROR_SIZE, "%s", curl_easy_strerror(done));
  curl_slist_free_all(list);
  return status;
}

static const char *exception_of(const json_t *answer)
{
  const char *type = fleetwise_text(answer, "__type"), *hash = strrchr(type, '#');
  return hash ? hash + 1 : type;
}

/* Again may help: the network, a server's own fault, too many calls. */
static bool worth_another(long status, const json_t *answer)
{
  const char *type = exception_of(answer);
  return !status || status >= 500 || status == 429 || !strcmp(type, "ThrottlingException") || !strcmp(type, "TooManyRequestsException") || !strcmp(type, "RequestLimitExceeded");
}

static const char *message_of(const json_t *answer)
{
  const char *text = fleetwise_text(answer, "message");
  return *text ? text : fleetwise_text(answer, "Message");
}

static mc_err call(session *s, const char *operation, const json_t *input, json_t **out)
{
  char target[140], text[CURL_ERROR_SIZE];
  char *body = json_dumps(input, JSON_COMPACT);
  mc_buf answer = {0};
  json_t *o = NULL;
  long status = 0;
  if (!body)
    return mc_err_set(s->why, MC_ERR_MEMORY, "out of memory");
  snprintf(target, sizeof target, "IoTAutobahnControlPlane.%s", operation);
  for (int try = 0; try < TRIES; try++) {
    json_decref(o);
    status = post(s, target, mc_slice_str(body), &answer, text);
    o = answer.len ? json_loadb((const char *)answer.data, answer.len, 0, NULL) : NULL;
    if (status == 200 || !worth_another(status, o) || try + 1 == TRIES)
      break;
    usleep((useconds_t)(FIRST_PAUSE_MS << try) * 1000);
  }
  mc_buf_free(&answer);
  free(body);
  if (status == 200 && json_is_object(o)) {
    *out = o;
    return MC_OK;
  }
  mc_err err = status ? mc_err_set(s->why, status == 401 || status == 403 ? MC_ERR_DENIED : MC_ERR_INVALID, "%s: HTTP %ld %.100s: %.300s", operation, status, exception_of(o), message_of(o))
                      : mc_err_set(s->why, MC_ERR_IO, "%s: %.60s: %s", operation, s->host, text);
  json_decref(o);
  return err;
}

/* ---- everything ---- */

/* "list-signal-catalogs" -> "ListSignalCatalogs" */
static void camel(const char *operation, char out[100])
{
  size_t n = 0;
  bool up = true;
  for (const char *c = operation; *c && n < 99; c++) {
    if (*c != '-')
      out[n++] = up ? (char)toupper((unsigned char)*c) : *c;
    up = *c == '-';
  }
  out[n] = 0;
}

/* All pages of a list, or the one answer of a get. */
static mc_err ask(session *s, fleetwise_bundle *b, const char *operation, const char *key, const char *name, void (*told)(const char *operation, const char *name))
{
  char own[100];
  json_t *input = json_object();
  mc_err err = MC_OK;
  bool more = true;
  camel(operation, own);
  if (told)
    told(operation, name);
  if (key)
    json_object_set_new(input, key, json_string(name));
  if (!strncmp(operation, "list-", 5))
    json_object_set_new(input, "maxResults", json_integer(100));
  for (int page = 0; more && !err; page++) {
    json_t *answer = NULL;
    err = page == PAGES_MAX ? mc_err_set(s->why, MC_ERR_MALFORMED, "%s: the list has no end", own) : call(s, own, input, &answer);
    if (!err)
      err = fleetwise_bundle_add(b, own, operation, name, answer, s->why);
    json_t *token = err ? NULL : json_object_get(answer, "nextToken");
    more = json_is_string(token) && json_string_length(token);
    if (more)
      json_object_set(input, "nextToken", token);
    json_decref(answer);
  }
  json_decref(input);
  return err;
}

static const struct {
  const char *list, *get, *get_key, *part[2];
  const char *part_key;
} wanted[FLEETWISE_KINDS] = {
    [FLEETWISE_CATALOG] = {"list-signal-catalogs", "get-signal-catalog", "name", {"list-signal-catalog-nodes"}, "name"},
    [FLEETWISE_MODEL] = {"list-model-manifests", "get-model-manifest", "name", {"list-model-manifest-nodes"}, "name"},
    [FLEETWISE_DECODER] = {"list-decoder-manifests", "get-decoder-manifest", "name", {"list-decoder-manifest-signals", "list-decoder-manifest-network-interfaces"}, "name"},
    [FLEETWISE_TEMPLATE] = {"list-state-templates", "get-state-template", "identifier", {0}, NULL},
    [FLEETWISE_VEHICLE] = {"list-vehicles", "get-vehicle", "vehicleName", {0}, NULL},
    [FLEETWISE_FLEET] = {"list-fleets", "get-fleet", "fleetId", {"list-vehicles-in-fleet"}, "fleetId"},
    [FLEETWISE_CAMPAIGN] = {"list-campaigns", "get-campaign", "name", {0}, NULL},
};

static mc_err ask_kind(session *s, fleetwise_bundle *b, int kind, void (*told)(const char *operation, const char *name))
{
  json_t *names = json_array(), *item;
  const char *name;
  size_t i;
  mc_err err = ask(s, b, wanted[kind].list, NULL, "", told);
  json_object_foreach (b->of[kind], name, item) /* asking adds to it */
    json_array_append_new(names, json_string(name));
  json_array_foreach (names, i, item) {
    if (!err)
      err = ask(s, b, wanted[kind].get, wanted[kind].get_key, json_string_value(item), told);
    for (int p = 0; p < 2 && wanted[kind].part[p] && !err; p++)
      err = ask(s, b, wanted[kind].part[p], wanted[kind].part_key, json_string_value(item), told);
  }
  json_decref(names);
  return err;
}

mc_err fleetwise_account_read(const fleetwise_account *a, fleetwise_bundle *b, void (*told)(const char *operation, const char *name), mc_why *why)
{
  session s = {.a = a, .why = why};
  MC_TRY(split_endpoint(&s));
  if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(s.curl = curl_easy_init()))
    return mc_err_set(why, MC_ERR_MEMORY, "libcurl cannot be started");
  mc_err err = MC_OK;
  for (int kind = 0; kind < FLEETWISE_KINDS && !err; kind++)
    err = ask_kind(&s, b, kind, told);
  curl_easy_cleanup(s.curl);
  return err;
}
