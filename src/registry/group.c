/* Thing groups: a name for some devices and services, and what is the same for all of them: their MQTT profile. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "registry/mirror.h"

static bool name_ok(mc_slice name)
{
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.data[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ':' || c == '-'))
      return false;
  }
  return name.len >= 1 && name.len <= MC_REGISTRY_NAME;
}

/* What profiles there are the gateway knows; here it is a word. */
static bool profile_ok(mc_slice profile)
{
  for (size_t i = 0; i < profile.len; i++)
    if (!((profile.data[i] >= 'a' && profile.data[i] <= 'z') || profile.data[i] == '-'))
      return false;
  return profile.len < sizeof((mc_thing_group *)0)->profile;
}

mc_err mc_registry_group_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice profile, mc_thing_group *out, mc_why *why)
{
  char shown[48];
  if (!name_ok(name))
    return mc_err_set(why, MC_ERR_INVALID, "\"%s\" cannot name a group: 1 to %d of A-Z, a-z, 0-9, _, : and -", registry_shown(name, shown), MC_REGISTRY_NAME);
  if (!profile_ok(profile))
    return mc_err_set(why, MC_ERR_INVALID, "\"%s\" cannot be a profile: up to 31 of a-z and -", registry_shown(profile, shown));
  mc_thing_group *g = calloc(1, sizeof *g);
  mc_err err = g ? change_begin(r, why) : mc_err_set(why, MC_ERR_MEMORY, "no memory for a group");
  if (err) {
    free(g);
    return err;
  }
  g->tenant = tenant;
  g->created_us = mc_clock_wall_us();
  mc_slice_to_str(name, g->name, sizeof g->name);
  mc_slice_to_str(profile, g->profile, sizeof g->profile);
  err = mc_db_next_id(r->db, "thing_group", &g->id, why);
  if (!err)
    err = mc_db_run(r->db, why, "INSERT INTO thing_group (id, tenant, name, profile, created_us) VALUES ($1, $2, $3, $4, $5)", "iitti", (int64_t)g->id,
                    (int64_t)tenant, name, profile, g->created_us);
  if (err == MC_ERR_EXISTS)
    mc_err_set(why, err, "there is a group \"%s\" already", g->name);
  if (err == MC_ERR_CONFLICT)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no tenant %u", tenant);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"group\":%u,\"name\":\"%s\",\"profile\":\"%s\"}", g->id, g->name, g->profile);
  err = change_commit(r, err, tenant, name, "group.created", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    *out = *g;
    pthread_rwlock_wrlock(&r->lock);
    err = mirror_group(r, g);
    pthread_rwlock_unlock(&r->lock);
  }
  if (err)
    free(g);
  change_end(r);
  return err;
}

mc_err mc_registry_group_get(mc_registry *r, uint32_t tenant, uint32_t group, mc_thing_group *out)
{
  pthread_rwlock_rdlock(&r->lock);
  const mc_thing_group *g = registry_group(r, group);
  bool found = g && g->tenant == tenant;
  if (found)
    *out = *g;
  pthread_rwlock_unlock(&r->lock);
  return found ? MC_OK : MC_ERR_NOT_FOUND;
}

static int by_name(const void *a, const void *b) { return strcmp(((const mc_thing_group *)a)->name, ((const mc_thing_group *)b)->name); }

mc_err mc_registry_group_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_thing_group **out, size_t *count, mc_why *why)
{
  *count = 0;
  pthread_rwlock_rdlock(&r->lock);
  mc_thing_group *list = *out = mc_arena_array(arena, r->group.len, sizeof *list);
  for (size_t i = 0; list && i < r->group.len; i++)
    if (r->group.at[i] && r->group.at[i]->tenant == tenant)
      list[(*count)++] = *r->group.at[i];
  pthread_rwlock_unlock(&r->lock);
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the list of groups");
  qsort(list, *count, sizeof *list, by_name);
  return MC_OK;
}

/* Inside a transaction. The group that gives the thing its profile, 0 none. */
static mc_err profile_group(mc_registry *r, uint32_t thing, uint32_t *out, mc_why *why)
{
  mc_stmt *s;
  *out = 0;
  MC_TRY(mc_db_prepare(r->db,
                       "SELECT g.id FROM thing_group_member m JOIN thing_group g ON g.id = m.thing_group WHERE m.thing = $1 AND g.profile <> '' ORDER BY g.id LIMIT 1",
                       &s, why));
  mc_stmt_bind_int(s, 1, thing);
  mc_err err = mc_stmt_step(s, why);
  if (err == MC_OK)
    *out = (uint32_t)mc_stmt_int(s, 0);
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

/* One thing has one profile: groups that name different ones cannot share it. */
static mc_err check_profile(mc_registry *r, const mc_thing_group *group, const mc_thing *thing, mc_why *why)
{
  uint32_t other;
  mc_thing_group has;
  MC_TRY(profile_group(r, thing->id, &other, why));
  if (!other || !group->profile[0] || mc_registry_group_get(r, thing->tenant, other, &has) || !strcmp(has.profile, group->profile))
    return MC_OK;
  return mc_err_set(why, MC_ERR_CONFLICT, "\"%s\" is in the group \"%s\" with the profile %s; take it out there before it joins \"%s\" with the profile %s", thing->name,
                    has.name, has.profile, group->name, group->profile);
}

static mc_err find_both(mc_registry *r, uint32_t tenant, uint32_t group, mc_slice thing, mc_thing_group *g, mc_thing *t, mc_why *why)
{
  char shown[48];
  if (mc_registry_group_get(r, tenant, group, g))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no group with id %u", group);
  if (mc_registry_thing_find(r, tenant, thing, t))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no device or service \"%s\"", registry_shown(thing, shown));
  return MC_OK;
}

static mc_err set_mirror(mc_registry *r, uint32_t group, uint32_t thing, uint32_t gives_profile, int more)
{
  pthread_rwlock_wrlock(&r->lock);
  mc_thing_group *g = registry_group(r, group);
  thing_entry *t = registry_thing(r, thing);
  if (g)
    g->things = (uint32_t)((int64_t)g->things + more);
  if (t)
    t->profile_group = gives_profile;
  mc_err err = policy_member_changed(r, group, thing, more > 0);
  pthread_rwlock_unlock(&r->lock);
  return err;
}

static mc_err change_member(mc_registry *r, uint32_t tenant, uint32_t group, mc_slice thing, bool in, mc_why *why)
{
  mc_thing_group g;
  mc_thing t;
  uint32_t gives = 0;
  MC_TRY(find_both(r, tenant, group, thing, &g, &t, why));
  MC_TRY(change_begin(r, why));
  mc_err err = in ? check_profile(r, &g, &t, why) : MC_OK;
  if (!err)
    err = mc_db_run(r->db, why, in ? "INSERT INTO thing_group_member (thing_group, thing) VALUES ($1, $2)" : "DELETE FROM thing_group_member WHERE thing_group = $1 AND thing = $2",
                    "ii", (int64_t)group, (int64_t)t.id);
  if (err == MC_ERR_EXISTS)
    mc_err_set(why, err, "\"%s\" is in the group \"%s\" already", t.name, g.name);
  if (!err && !in && mc_db_changes(r->db) == 0)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "\"%s\" is not in the group \"%s\"", t.name, g.name);
  if (!err)
    err = profile_group(r, t.id, &gives, why);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"group\":%u,\"name\":\"%s\",\"thing\":%u,\"thing_name\":\"%s\"}", group, g.name, t.id, t.name);
  err = change_commit(r, err, tenant, mc_slice_str(t.name), in ? "group.joined" : "group.left", &payload, why);
  mc_buf_free(&payload);
  if (!err)
    err = set_mirror(r, group, t.id, gives, in ? 1 : -1);
  change_end(r);
  return err;
}

mc_err mc_registry_group_add(mc_registry *r, uint32_t tenant, uint32_t group, mc_slice thing, mc_why *why)
{
  return change_member(r, tenant, group, thing, true, why);
}

mc_err mc_registry_group_remove(mc_registry *r, uint32_t tenant, uint32_t group, mc_slice thing, mc_why *why)
{
  return change_member(r, tenant, group, thing, false, why);
}

mc_err mc_registry_group_things(mc_registry *r, uint32_t tenant, uint32_t group, mc_slice after, size_t limit, mc_arena *arena, mc_thing **out, size_t *count,
                                mc_why *why)
{
  mc_thing_group g;
  mc_stmt *s;
  *count = 0;
  *out = NULL;
  if (mc_registry_group_get(r, tenant, group, &g))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no group with id %u", group);
  size_t most = limit < g.things + 1 ? limit : g.things + 1;
  mc_thing *list = *out = mc_arena_array(arena, most, sizeof *list);
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the list; ask for fewer");
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = mc_db_prepare(r->db,
                             "SELECT t.name FROM thing_group_member m JOIN thing t ON t.id = m.thing WHERE m.thing_group = $1 AND t.name > $2 ORDER BY t.name LIMIT $3",
                             &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, group);
    mc_stmt_bind_text(s, 2, after);
    mc_stmt_bind_int(s, 3, (int64_t)most);
    while (*count < most && (err = mc_stmt_step(s, why)) == MC_OK)
      *count += mc_registry_thing_find(r, tenant, mc_stmt_text(s, 0), &list[*count]) == MC_OK;
    mc_stmt_release(&s);
  }
  mc_db_end(r->db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err mc_registry_thing_profile(mc_registry *r, uint32_t tenant, uint32_t thing, char out[32])
{
  pthread_rwlock_rdlock(&r->lock);
  const thing_entry *t = registry_thing(r, thing);
  const mc_thing_group *g = t && t->thing.tenant == tenant && t->profile_group ? registry_group(r, t->profile_group) : NULL;
  if (g)
    memcpy(out, g->profile, sizeof g->profile);
  pthread_rwlock_unlock(&r->lock);
  return g ? MC_OK : MC_ERR_NOT_FOUND;
}
