/* A DBC made ready for encoding: every signal tied to the value of the same name. */
#include "sim/inside.h"

#define SIM_NAME(name) #name,
static const char *const value_names[SIM_VALUE_COUNT] = {SIM_VALUES(SIM_NAME)};

bool sim_value_find(mc_slice name, sim_value *out)
{
  for (int i = 0; i < SIM_VALUE_COUNT; i++)
    if (mc_slice_eq_str(name, value_names[i])) {
      *out = (sim_value)i;
      return true;
    }
  return false;
}

/* Ids in a J1939 DBC end in FE (any source); on the wire each control unit has its own address (J1939-81, preferred addresses). */
static uint8_t source_address(mc_slice sender)
{
  static const struct { const char *name; uint8_t address; } units[] = {
      {"Engine", 0x00}, {"Gearbox", 0x03}, {"Brakes", 0x0B}, {"Cluster", 0x17}, {"Telematics", 0x4A}, {"Body", 0x21}, {"Suspension", 0x2F}, {"Gateway", 0x27}};
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    if (mc_slice_eq_str(sender, units[i].name))
      return units[i].address;
  return 0xFE;
}

typedef struct resolving {
  bool unknown;
  mc_slice name;
} resolving;

static bool resolve(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *signal_id, uint32_t *encoding_id)
{
  resolving *r = ctx;
  sim_value v;
  if (!sim_value_find(s->name, &v)) {
    r->unknown = true;
    r->name = s->name;
    return false;
  }
  *signal_id = (uint32_t)v + 1;
  *encoding_id = 0;
  return true;
}

static mc_err add_message(sim_bus *bus, const mc_dbc_message *m, const mc_can_signal_vec *all)
{
  sim_message out = {.id = m->id, .extended = m->extended, .len = (uint8_t)m->size, .cycle_us = m->cycle_ms * 1000, .first = (uint32_t)bus->field.len};
  if (m->j1939) {
    out.id = (m->id & ~0xFFu) | source_address(m->sender);
    out.fill = 0xFF;
  }
  for (size_t i = 0; i < all->len; i++) {
    const mc_can_signal *s = &all->at[i];
    if (s->message_id != m->id || s->extended != m->extended)
      continue;
    sim_field f = {*s, (sim_value)(s->signal_id - 1)};
    bus->has[f.value] = true;
    MC_TRY(mc_vec_push(&bus->field, f));
    out.count++;
  }
  return out.cycle_us ? mc_vec_push(&bus->message, out) : MC_OK;
}

mc_err sim_bus_open(mc_sim_kind kind, sim_bus *bus, mc_why *why)
{
  *bus = (sim_bus){.arena = MC_ARENA(0)};
  mc_can_signal_vec all = {0};
  resolving r = {0};
  mc_err err = mc_dbc_parse(mc_sim_dbc(kind), mc_sim_kind_name(kind), &bus->arena, &bus->dbc, why);
  if (!err)
    err = mc_signals_from_dbc(&bus->dbc, 0, (mc_dbc_resolver){&r, resolve}, &bus->arena, &all, why);
  if (!err && r.unknown)
    err = mc_err_set(why, MC_ERR_INVALID, "%s.dbc: the simulator has no value for signal %.*s", mc_sim_kind_name(kind), MC_FMT(r.name));
  for (uint32_t i = 0; i < bus->dbc.message_count && !err; i++)
    err = add_message(bus, &bus->dbc.message[i], &all);
  mc_vec_free(&all);
  if (err)
    sim_bus_close(bus);
  return err;
}

void sim_bus_close(sim_bus *bus)
{
  mc_arena_free(&bus->arena);
  mc_vec_free(&bus->message);
  mc_vec_free(&bus->field);
}

void sim_bus_encode(const sim_bus *bus, const sim_message *m, const double *value, mc_can_frame *out)
{
  out->id = m->id;
  out->extended = m->extended;
  out->fd = 0;
  out->len = m->len;
  out->channel = 0;
  memset(out->data, 0, sizeof out->data);
  memset(out->data, m->fill, m->len);
  for (uint32_t i = 0; i < m->count; i++) {
    const sim_field *f = &bus->field.at[m->first + i];
    mc_can_signal_encode(&f->signal, value[f->value], out->data);
  }
}
