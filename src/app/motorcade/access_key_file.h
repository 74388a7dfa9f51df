/* <data>/access.key: what the secrets of access keys are enciphered under when there is no master_key. */
#ifndef APP_ACCESS_KEY_FILE_H
#define APP_ACCESS_KEY_FILE_H

#include "access/access.h"

/* Made, mode 0600, when it is not there. */
mc_err access_key_file_open(const char *data, mc_master **out, mc_why *why);

#endif
