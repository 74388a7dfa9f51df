/* State templates and commands of an agent: what comes in, what is kept, what is answered. */
#include "base/clock.h"
#include "base/log.h"
#include "edge/agent_inside.h"

enum { STATE_PRIORITY = UINT32_MAX /* events go first: the next state makes an old one stale */ };

void mc_edge_agent_told(void *ctx, mc_slice payload, uint32_t samples, int64_t time_us)
{
  mc_agent *a = ctx;
  message m = {.topic = a->topic_states, .payload = payload, .priority = STATE_PRIORITY, .samples = samples, .event_time_us = time_us};
  a->stats.states++;
  mc_edge_agent_send(a, &m);
}

void mc_edge_agent_save(mc_agent *a)
{
  state_templates *s = &a->inspector->states;
  mc_buf bytes = {0};
  mc_why why = {0};
  if (!s->unsaved)
    return;
  mc_err err = mc_edge_templates_write(s, &bytes);
  if (err == MC_OK)
    err = mc_document_store_states(&a->store, mc_buf_slice(&bytes), &why);
  mc_buf_free(&bytes);
  if (err && !a->told_unsaved)
    mc_log(MC_LOG_ERROR, "edge", "state templates could not be stored: what changed is lost at a restart; tried again", MC_KZ("agent", a->name), MC_KZ("why", why.text));
  s->unsaved = a->told_unsaved = err != MC_OK;
}

static void give(void *ctx, const mc_fw_command_response *answer)
{
  mc_agent *a = ctx;
  mc_buf topic = {0}, payload = {0};
  a->stats.commands++;
  mc_err err = mc_buf_printf(&topic, "%.*s%.*s/response/protobuf", MC_FMT(a->executions), MC_FMT(answer->command_id));
  if (err == MC_OK)
    err = mc_fw_write_command_response(&payload, answer);
  message m = {.topic = mc_buf_slice(&topic), .payload = mc_buf_slice(&payload), .persist = true};
  if (err == MC_OK && mc_mqtt_topic_valid(m.topic))
    mc_edge_agent_send(a, &m);
  else
    mc_log(MC_LOG_WARN, "edge", "a command cannot be answered: its id is no part of a topic", MC_KZ("agent", a->name), MC_KS("command", mc_slice_sub(answer->command_id, 0, 100)));
  mc_buf_free(&topic);
  mc_buf_free(&payload);
}

/* <executions><id>/request/protobuf */
static bool execution_of(const mc_agent *a, mc_slice topic, mc_slice *id)
{
  static const char end[] = "/request/protobuf";
  size_t n = sizeof end - 1;
  if (!mc_slice_starts(topic, a->executions) || topic.len < a->executions.len + n || !mc_slice_eq_str(mc_slice_sub(topic, topic.len - n, n), end))
    return false;
  *id = mc_slice_sub(topic, a->executions.len, topic.len - n - a->executions.len);
  return true;
}

bool mc_edge_agent_command(mc_agent *a, const mc_mqtt_publish *m)
{
  mc_slice id;
  if (!execution_of(a, m->topic, &id))
    return false;
  mc_edge_command(a->inspector, m->payload, id, mc_clock_wall_us(), give, a);
  mc_edge_agent_save(a); /* before the answer can leave: this call is one turn of the loop */
  return true;
}
