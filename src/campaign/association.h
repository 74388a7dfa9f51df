/* Which state templates a vehicle has, and how each is to be sent: rows that CreateVehicle and UpdateVehicle write. Private to this module. */
#ifndef MC_CAMPAIGN_ASSOCIATION_H
#define MC_CAMPAIGN_ASSOCIATION_H

#include "campaign/control.h"

/* stateTemplateUpdateStrategy of one vehicle and template. */
typedef struct template_association {
  mc_slice template; /* its name */
  uint64_t period_ms; /* 0: on change */
} template_association;
/* By template; in the arena. Any thread. */
mc_err association_list(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_arena *arena, template_association **out, size_t *count, mc_why *why);
/* Checks the three lists of a vehicle (each may be NULL): templates that are not there, that it has already, that it does not have. path: of the vehicle in the
 * input, "" or "vehicles[3]." */
mc_err association_check(control_call *call, const char *path, uint32_t vehicle, const json_t *vehicle_input, mc_why *why);
/* Writes what was checked. Inside a transaction. */
mc_err association_write(control_call *call, uint32_t vehicle, const json_t *vehicle_input, mc_why *why);
mc_err association_forget(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_why *why);
/* The member stateTemplates of a vehicle's answer. */
mc_err association_answer(control_call *call, uint32_t vehicle, mc_why *why);

#endif
