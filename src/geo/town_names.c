/* Names, all written for this town. */
#include "geo/town.h"

const char *const town_name = "Port Merrow";
const char *const town_village_names[] = {"Tidewell", "Ashcombe", "Saltmarsh Green", "Oxley Cross", "Fernhollow", "Kelp Harbour", "Windle",
                                          "Merrow Sands", "Cinder Bay", "Sallow Point"};

static const char *const stems[] = {
    "Abbey",   "Acorn",    "Alder",    "Amber",    "Anchor",  "Anvil",    "Apple",    "Archer",   "Ash",      "Badger",   "Baker",    "Balsam",
    "Barley",  "Beacon",   "Beech",    "Bell",     "Birch",   "Bishop",   "Bracken",  "Bramble",  "Brewer",   "Bridge",   "Briar",    "Brook",
    "Canal",   "Candle",   "Carder",   "Castle",   "Cedar",   "Chandler", "Chapel",   "Cherry",   "Chestnut", "Clover",   "Cobbler",  "Compass",
    "Cooper",  "Copper",   "Coral",    "Cotton",   "Crane",   "Crown",    "Curlew",   "Cypress",  "Dahlia",   "Daisy",    "Dove",     "Dyer",
    "Eagle",   "Elder",    "Elm",      "Ember",    "Falcon",  "Farrier",  "Fennel",   "Fern",     "Ferry",    "Finch",    "Fisher",   "Flint",
    "Forge",   "Foundry",  "Fountain", "Fox",      "Garden",  "Garland",  "Garnet",   "Glover",   "Granary",  "Granite",  "Gull",     "Harbour",
    "Harvest", "Hawthorn", "Hazel",    "Heather",  "Heron",   "Hill",     "Holly",    "Hopper",   "Iris",     "Ivy",      "Jasmine",  "Juniper",
    "Kestrel", "King",     "Kite",     "Lantern",  "Larch",   "Lark",     "Laurel",   "Lavender", "Lighthouse", "Lilac",  "Lime",     "Linden",
    "Linnet",  "Lock",     "Lupin",    "Magnolia", "Maple",   "Market",   "Marsh",    "Mason",    "Meadow",   "Mercer",   "Mill",     "Minster",
    "Mint",    "Mulberry", "Myrtle",   "Nettle",   "Nightingale", "Oak",  "Oat",      "Olive",    "Orchard",  "Osprey",   "Otter",    "Paper",
    "Pasture", "Pear",     "Pepper",   "Pilot",    "Pine",    "Plane",    "Plover",   "Poplar",   "Poppy",    "Potter",   "Prior",    "Quarry",
    "Quay",    "Queen",    "Quince",   "Raven",    "Reed",    "Robin",    "Rope",     "Rose",     "Rowan",    "Rye",      "Sable",    "Saddler",
    "Saffron", "Sage",     "Sailor",   "Salt",     "School",  "Shepherd", "Silver",   "Smith",    "Sorrel",   "Sparrow",  "Spring",   "Station",
    "Stone",   "Swallow",  "Swan",     "Sycamore", "Tanner",  "Teasel",   "Temple",   "Thatcher", "Thistle",  "Thyme",    "Timber",   "Tower",
    "Turner",  "Valley",   "Vine",     "Violet",   "Walnut",  "Warren",   "Water",    "Weaver",   "Wharf",    "Wheat",    "Wheeler",  "Willow",
    "Windmill", "Wool",    "Wren",     "Yarrow",   "Yew"};
static const char *const great[] = {"Avenue", "Road", "Boulevard", "Parade"};
static const char *const plain[] = {"Street", "Street", "Road", "Lane", "Way", "Row", "Terrace"};
static const char *const small[] = {"Close", "Court", "Place", "Mews", "Yard", "Walk", "Gardens", "Rise", "Drive", "Crescent"};

#define COUNT(a) (sizeof(a) / sizeof *(a))

uint32_t town_street_name(town *t, mc_geo_road road, double length_m)
{
  char text[80] = "";
  for (int attempt = 0; attempt < 40; attempt++) {
    const char *stem = stems[town_random(&t->rng) % COUNT(stems)];
    const char *kind = road <= MC_GEO_SECONDARY             ? great[town_random(&t->rng) % COUNT(great)]
                       : length_m < 170 && road >= MC_GEO_MINOR ? small[town_random(&t->rng) % COUNT(small)]
                                                            : plain[town_random(&t->rng) % COUNT(plain)];
    static const char *const before[] = {"", "", "", "", "Old ", "Upper ", "Lower ", "North ", "South ", "Great ", "Little "};
    size_t len = 0;
    for (const char *part[] = {before[town_random(&t->rng) % (attempt < 4 ? 5 : COUNT(before))], stem, " ", kind, NULL}, **p = part; *p; p++)
      for (const char *c = *p; *c && len + 1 < sizeof text; c++)
        text[len++] = *c;
    text[len] = 0;
    if (!mc_strmap_get(&t->used_names, mc_slice_str(text), NULL))
      break;
  }
  town_note(t, mc_strmap_put(&t->used_names, mc_slice_str(text), 1));
  return mc_geo_source_text(t->s, mc_slice_str(text));
}
