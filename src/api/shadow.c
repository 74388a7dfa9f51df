/* Device shadows: AWS's documents, with our paths, cursors and problem documents. */
#include <inttypes.h>
#include <stdio.h>

#include "api/inside.h"

static mc_err shadows_of(api_call *c, mc_shadows **out)
{
  *out = c->api->config.shadows;
  return *out ? MC_OK : mc_err_set(&c->why, MC_ERR_UNSUPPORTED, "device shadows do not run here");
}

static mc_err refused(api_call *c, const mc_shadow_answer *a)
{
  mc_err err = a->code == 404 ? MC_ERR_NOT_FOUND : a->code == 409 ? MC_ERR_CONFLICT : a->code == 413 ? MC_ERR_TOO_LARGE : a->code == 429 ? MC_ERR_AGAIN : MC_ERR_INVALID;
  return mc_err_set(&c->why, err, "%s", a->message);
}

/* Takes the answer's text. */
static mc_err answer(api_call *c, mc_err err, mc_shadow_answer *a)
{
  if (!err && a->code != 200)
    err = refused(c, a);
  if (!err)
    mc_json_raw(&c->json, mc_buf_slice(&a->text));
  mc_buf_free(&a->text);
  return err;
}

mc_err api_op_shadow_get(api_call *c)
{
  mc_shadows *s;
  mc_shadow_answer a;
  MC_TRY(shadows_of(c, &s));
  return answer(c, mc_shadow_get(s, c->who.tenant, c->param[0], query_slice(c, "name"), &a, &c->why), &a);
}

mc_err api_op_shadow_update(api_call *c)
{
  mc_shadows *s;
  mc_shadow_answer a;
  MC_TRY(shadows_of(c, &s));
  return answer(c, mc_shadow_update(s, c->who.tenant, c->param[0], query_slice(c, "name"), 0, c->request->body, &a, &c->why), &a);
}

mc_err api_op_shadow_delete(api_call *c)
{
  mc_shadows *s;
  mc_shadow_answer a;
  MC_TRY(shadows_of(c, &s));
  return answer(c, mc_shadow_delete(s, c->who.tenant, c->param[0], query_slice(c, "name"), 0, &a, &c->why), &a);
}

/* The cursor is "n" and the name: the classic shadow has none. */
mc_err api_op_shadow_list(api_call *c)
{
  mc_shadows *s;
  mc_shadow_name *list;
  size_t limit = (size_t)query_int(c, "limit", 100), n;
  mc_slice after = query_slice(c, "after");
  if (after.len && after.data[0] != 'n')
    return call_refuse(c, "after", "not a cursor of this list");
  MC_TRY(shadows_of(c, &s));
  after = after.len ? mc_slice_sub(after, 1, after.len) : (mc_slice){0};
  MC_TRY(mc_shadow_list(s, c->who.tenant, c->param[0], after, limit + 1, &c->arena, &list, &n, &c->why));
  bool more = n > limit;
  n = more ? limit : n;
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++) {
    mc_json_object(&c->json);
    mc_json_text_field(&c->json, "name", list[i].name);
    mc_json_uint_field(&c->json, "version", list[i].version);
    json_time(&c->json, "updated", list[i].updated_us);
    mc_json_object_end(&c->json);
  }
  mc_json_array_end(&c->json);
  if (more) {
    char next[80];
    snprintf(next, sizeof next, "n%.*s", MC_FMT(list[n - 1].name));
    mc_json_str_field(&c->json, "next", next);
  }
  mc_json_object_end(&c->json);
  return MC_OK;
}

static void write_change(api_call *c, const mc_shadow_change *change)
{
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_uint_field(j, "version", change->version);
  json_time(j, "time", change->time_us);
  mc_json_str_field(j, "by", change->principal ? "device" : "platform");
  mc_json_bool_field(j, "deleted", change->deleted);
  if (change->state.len) {
    mc_json_key(j, "state");
    mc_json_raw(j, change->state);
  }
  mc_json_object_end(j);
}

mc_err api_op_shadow_history(api_call *c)
{
  mc_shadows *s;
  mc_shadow_change *list;
  size_t limit = (size_t)query_int(c, "limit", 100), n;
  uint64_t before = 0;
  mc_slice after = query_slice(c, "after");
  if (after.len && (mc_slice_to_u64(after, &before) || !before))
    return call_refuse(c, "after", "not a cursor of this list");
  MC_TRY(shadows_of(c, &s));
  MC_TRY(mc_shadow_history(s, c->who.tenant, c->param[0], query_slice(c, "name"), before, limit + 1, &c->arena, &list, &n, &c->why));
  bool more = n > limit;
  n = more ? limit : n;
  if (more && n > 1 && list[n].version == list[n - 1].version) /* a deletion and the update it ended share a version, and a page */
    n--;
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_change(c, &list[i]);
  mc_json_array_end(&c->json);
  if (more) {
    char next[32];
    snprintf(next, sizeof next, "%" PRIu64, list[n - 1].version);
    mc_json_str_field(&c->json, "next", next);
  }
  mc_json_object_end(&c->json);
  return MC_OK;
}
