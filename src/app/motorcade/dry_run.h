/* The vehicle agent's evaluation as campaign's dry run takes it: campaign and edge stand on one floor and meet here. */
#ifndef APP_DRY_RUN_H
#define APP_DRY_RUN_H

#include "campaign/campaign.h"

extern const mc_dry_run_engine dry_run_by_agent;

#endif
