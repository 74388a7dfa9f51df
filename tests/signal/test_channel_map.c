#include "signal/signal.h"
#include "tap.h"

static void test_reads_entries_with_and_without_offset(void)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_channel_map m;
  mc_why why = {0};
  CHECK_OK(mc_channel_map_parse(MC_LIT("1=can1:j1939_demo.dbc, 9=can9:canmod-gps-2.dbc-100\nvcan0=body:b.dbc+0x10 *=rest"), &a, &m, &why));
  CHECK_INT(m.count, 4);
  CHECK_INT(m.at[0].bus_number, 1);
  CHECK_SLICE(m.at[0].interface_id, "can1");
  CHECK_SLICE(m.at[0].dbc, "j1939_demo.dbc");
  CHECK_INT(m.at[0].id_offset, 0);
  CHECK_SLICE(m.at[1].dbc, "canmod-gps-2.dbc");
  CHECK_INT(m.at[1].id_offset, -100);
  CHECK_SLICE(m.at[2].bus_name, "vcan0");
  CHECK_INT(m.at[2].bus_number, MC_BUS_CHANNEL_NONE);
  CHECK_INT(m.at[2].id_offset, 16);
  CHECK_SLICE(m.at[3].interface_id, "rest");
  CHECK_INT(m.at[3].dbc.len, 0);
  CHECK_OK(mc_channel_map_parse(MC_LIT(""), &a, &m, &why));
  CHECK_INT(m.count, 0);
}

static void test_moves_gps_ids_of_the_logger_to_those_of_the_dbc(void)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_channel_map m;
  CHECK_OK(mc_channel_map_parse(MC_LIT("1=can1:j1939_demo.dbc 9=can9:canmod_gps.dbc-100"), &a, &m, NULL));
  mc_bus_frame f = {.channel = 9, .id = 103, .len = 2, .data = {1, 2}, .time_us = 5};
  mc_can_frame out;
  CHECK(mc_can_frame_from_bus(&f, &m, &out));
  CHECK_INT(out.id, 3);
  CHECK_INT(out.channel, 1);
  CHECK_INT(out.len, 2);
  CHECK_INT(out.data[1], 2);
  CHECK_INT(out.time_us, 5);
  f.id = 99;
  CHECK(!mc_can_frame_from_bus(&f, &m, &out));
  f.id = 103;
  f.rtr = true;
  CHECK(!mc_can_frame_from_bus(&f, &m, &out));
  f.rtr = false;
  f.channel = 2;
  CHECK(!mc_can_frame_from_bus(&f, &m, &out));
}

static void test_first_match_wins_and_star_takes_the_rest(void)
{
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_channel_map m;
  CHECK_OK(mc_channel_map_parse(MC_LIT("can0=a can1=b *=c can2=d"), &a, &m, NULL));
  mc_bus_frame f = {.channel = MC_BUS_CHANNEL_NONE, .channel_name = MC_LIT("can1")};
  CHECK_INT(mc_channel_map_find(&m, &f), 1);
  f.channel_name = MC_LIT("can2");
  CHECK_INT(mc_channel_map_find(&m, &f), 2);
  f.channel = 0; /* a number is not a name */
  CHECK_INT(mc_channel_map_find(&m, &f), 2);
}

static void test_says_what_is_wrong_with_an_entry(void)
{
  static const char *const bad[][2] = {{"9", "no '='"},          {"=can0", "no channel"},      {"9=", "no interface"},
                                       {"9=:x.dbc", "no interface"}, {"9=can9:", "no file name"}, {"9=can9:-100", "no file name before"},
                                       {"70000=can0", "over 65534"}};
  MC_ARENA_AUTO mc_arena a = MC_ARENA(0);
  mc_channel_map m;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    mc_why why = {0};
    CHECK_INT(mc_channel_map_parse(mc_slice_str(bad[i][0]), &a, &m, &why), MC_ERR_MALFORMED);
    CHECK_WHY(why, bad[i][1]);
    CHECK_WHY(why, "expected <channel>=<interface>");
  }
}

int main(void)
{
  RUN(test_reads_entries_with_and_without_offset);
  RUN(test_moves_gps_ids_of_the_logger_to_those_of_the_dbc);
  RUN(test_first_match_wins_and_star_takes_the_rest);
  RUN(test_says_what_is_wrong_with_an_entry);
  return tap_done();
}
