/* Handlers of the operations about fleets (control_vehicle.c lists them). Private to this module. */
#ifndef MC_CAMPAIGN_CONTROL_FLEET_H
#define MC_CAMPAIGN_CONTROL_FLEET_H

#include "campaign/control.h"

control_handler control_associate_vehicle_fleet, control_create_fleet, control_delete_fleet, control_disassociate_vehicle_fleet, control_get_fleet, control_list_fleets,
    control_list_fleets_for_vehicle, control_list_vehicles_in_fleet, control_update_fleet;

#endif
