#include "app/motorcade/http_call.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "app/motorcade/local_file.h"

mc_err http_call_open(const char *data_dir, http_call *out, mc_why *why)
{
  return local_file_read(data_dir, &out->port, out->token, why);
}

static mc_err connect_to(uint16_t port, int *out, mc_why *why)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval limit = {.tv_sec = 60};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return mc_err_errno(why, "socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd, (struct sockaddr *)&to, sizeof to)) {
    mc_err err = mc_err_errno(why, "motorcade on 127.0.0.1:%u does not answer; is it still running?", port);
    close(fd);
    return err;
  }
  *out = fd;
  return MC_OK;
}

static mc_err exchange(int fd, const mc_buf *request, mc_buf *answer, mc_why *why)
{
  for (size_t sent = 0; sent < request->len;) {
    ssize_t n = send(fd, request->data + sent, request->len - sent, MSG_NOSIGNAL);
    if (n <= 0)
      return mc_err_errno(why, "sending the request");
    sent += (size_t)n;
  }
  for (;;) { /* Connection: close, so the end is the end of the answer */
    if (mc_buf_reserve(answer, 65536))
      return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the answer");
    ssize_t n = recv(fd, answer->data + answer->len, 65536, 0);
    if (n < 0)
      return mc_err_errno(why, "reading the answer");
    if (n == 0)
      return MC_OK;
    answer->len += (size_t)n;
  }
}

static mc_err fail_with_problem(int status, json_t *root, mc_why *why)
{
  const char *title = json_string_value(json_object_get(root, "title"));
  const char *detail = json_string_value(json_object_get(root, "detail"));
  const char *field = json_string_value(json_object_get(root, "field"));
  mc_err err = status == 404 ? MC_ERR_NOT_FOUND : status == 409 ? MC_ERR_EXISTS : status == 403 ? MC_ERR_DENIED : MC_ERR_INVALID;
  return mc_err_set(why, err, "%s%s%s (%s%s%sHTTP %d)", title ? title : "refused", detail ? ": " : "", detail ? detail : "",
                    field ? "field " : "", field ? field : "", field ? ", " : "", status);
}

/* RFC 9112, 4: "HTTP/1.1 200 OK". 0: it is none. */
static int status_of(mc_slice answer)
{
  int status = 0;
  if (answer.len < 13 || !mc_slice_starts(answer, MC_LIT("HTTP/1.")) || answer.data[8] != ' ')
    return 0;
  for (int i = 9; i < 12; i++) {
    if (answer.data[i] < '0' || answer.data[i] > '9')
      return 0;
    status = 10 * status + (answer.data[i] - '0');
  }
  return answer.data[12] == ' ' || answer.data[12] == '\r' ? status : 0;
}

mc_err http_call_read_answer(mc_slice answer, json_t **reply, mc_why *why)
{
  if (reply)
    *reply = NULL;
  int status = status_of(answer);
  const uint8_t *split = status ? memmem(answer.data, answer.len, "\r\n\r\n", 4) : NULL;
  if (!split)
    return mc_err_set(why, MC_ERR_MALFORMED, "the server's answer is not HTTP");
  mc_slice body = mc_slice_sub(answer, (size_t)(split - answer.data) + 4, answer.len);
  json_t *root = body.len ? json_loadb((const char *)body.data, body.len, JSON_DECODE_ANY, NULL) : NULL;
  bool good = status / 100 == 2;
  if (good && body.len && !root)
    return mc_err_set(why, MC_ERR_MALFORMED, "the server's answer (HTTP %d) is not JSON, or was cut off", status);
  mc_err err = good ? MC_OK : fail_with_problem(status, root, why);
  if (good && reply)
    *reply = root;
  else
    json_decref(root);
  return err;
}

mc_err http_call_json(const http_call *call, const char *method, const char *path, json_t *body, json_t **reply, mc_why *why)
{
  char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
  mc_buf request = {0}, answer = {0};
  int fd = -1;
  mc_err err = mc_buf_printf(&request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\nConnection: close\r\n", method,
                             path, call->port, call->token);
  if (!err)
    err = text ? mc_buf_printf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(text), text)
               : mc_buf_printf(&request, "Content-Length: 0\r\n\r\n");
  if (!err)
    err = connect_to(call->port, &fd, why);
  if (!err)
    err = exchange(fd, &request, &answer, why);
  if (!err)
    err = http_call_read_answer(mc_buf_slice(&answer), reply, why);
  if (fd >= 0)
    close(fd);
  free(text);
  mc_buf_free(&request);
  mc_buf_free(&answer);
  return err;
}
