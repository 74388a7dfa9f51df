#include "geo/source.h"

mc_err mc_geo_source_make_town(mc_geo_source *s, uint64_t seed)
{
  return MC_ERR_UNSUPPORTED;
}
