#include "app/motorcade/local_token.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

static uint32_t token_id;

mc_err local_token_write(server *s, mc_why *why)
{
  char secret[64], path[700];
  mc_token token;
  /* A killed server leaves its token behind: drop those of earlier runs. */
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_token *list;
  size_t count;
  MC_TRY(mc_registry_token_list(s->registry, MC_TENANT_DEFAULT, &arena, &list, &count, why));
  for (size_t i = 0; i < count; i++)
    if (mc_slice_eq_str(mc_slice_str(list[i].name), "local commands"))
      mc_registry_token_revoke(s->registry, MC_TENANT_DEFAULT, list[i].id, NULL);
  MC_TRY(mc_registry_token_create(s->registry, MC_TENANT_DEFAULT, MC_LIT("local commands"), MC_ROLE_ADMIN, 0, secret, &token, why));
  token_id = token.id;
  mc_buf text = {0};
  mc_err err = mc_buf_printf(&text, "{\"port\":%u,\"token\":\"%s\",\"pid\":%d}\n", s->http_port, secret, (int)getpid());
  snprintf(path, sizeof path, "%s/local.json", s->set.data);
  if (!err)
    err = mc_fs_replace(mc_fs_posix(), path, mc_buf_slice(&text), 0600, why);
  mc_buf_free(&text);
  return err;
}

void local_token_remove(server *s)
{
  char path[700];
  snprintf(path, sizeof path, "%s/local.json", s->set.data);
  mc_fs_unlink(mc_fs_posix(), path, NULL);
  if (token_id)
    mc_registry_token_revoke(s->registry, MC_TENANT_DEFAULT, token_id, NULL);
  token_id = 0;
}
