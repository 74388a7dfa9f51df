#include "gateway/state.h"

/* Response Information (MQTT 5.0, 3.2.2.3.14, 4.10.1): a client that asks for it in CONNECT is told a topic prefix of its own below which it may
 * subscribe, to name its response topics by. The specification leaves the form open: a topic without wildcards. */

/* Asked in this order; the first below which the client's policy lets it subscribe. %: the client id. */
static const char *const prefix[] = {"cmd/%/response", "vehicles/%/response", "dt/%/response", "response/%"};

static mc_err expand(const char *form, mc_slice id, mc_buf *out)
{
  mc_buf_clear(out);
  for (const char *p = form; *p; p++)
    MC_TRY(*p == '%' ? mc_buf_append_slice(out, id) : mc_buf_append_u8(out, (uint8_t)*p));
  return MC_OK;
}

mc_err mc_response_info_put(mc_link *link, mc_buf *props)
{
  mc_session *s = link->session;
  mc_buf *text = &link->home->scratch;
  mc_principal who = {.tenant = s->tenant, .kind = link->kind, .id = s->thing};
  mc_slice_to_str(s->thing_name ? mc_slice_str(s->thing_name) : mc_session_id(s), who.name, sizeof who.name);
  if (!mc_mqtt_topic_valid(mc_session_id(s))) /* an id with a wildcard: nothing can be named after it */
    return MC_OK;
  for (size_t i = 0; i < sizeof prefix / sizeof prefix[0]; i++) {
    MC_TRY(expand(prefix[i], mc_session_id(s), text));
    size_t len = text->len;
    MC_TRY(mc_buf_append_str(text, "/#"));
    if (len < UINT16_MAX && mc_policy_allows(link->policy, &who, MC_ACTION_SUBSCRIBE, mc_buf_slice(text)))
      return mc_mqtt_put_text(props, 0x1A, mc_slice_of(text->data, len));
  }
  return MC_OK;
}
