/* motorcade campaign rollout, motorcade campaign caps */
#ifndef APP_CAMPAIGN_STEER_H
#define APP_CAMPAIGN_STEER_H

#include "app/motorcade/remote.h"

enum { CAMPAIGN_CAPS = 6 };
typedef struct campaign_steering {
  bool rest, first;
  const char *cap[CAMPAIGN_CAPS]; /* as on the command line; NULL: not said */
} campaign_steering;

campaign_steering campaign_steering_options(int *argc, char **argv);
bool campaign_steering_fits(const campaign_steering *s, const char *what); /* false: an option of another command */
int campaign_rollout(remote *r, json_int_t campaign, const campaign_steering *s);
int campaign_caps(remote *r, json_int_t campaign, const campaign_steering *s);

#endif
