/* motorcade campaign try: what a campaign would have sent of what is stored. */
#ifndef APP_CAMPAIGN_TRY_H
#define APP_CAMPAIGN_TRY_H

#include "app/motorcade/remote.h"

typedef struct campaign_trial {
  const char *from, *to, *vehicles, *most, *seconds, *per_mb, *per_message; /* as written; NULL: not given */
  bool any;
} campaign_trial;
/* Takes its options out of argv. */
campaign_trial campaign_trial_options(int *argc, char **argv);
/* The exit code. */
int campaign_try(remote *r, json_int_t campaign, const campaign_trial *t);

#endif
