#include "format/dbc.h"
#include "tap.h"

static mc_arena arena;
static mc_dbc dbc;
static mc_why why;

static mc_err parse(const char *text)
{
  mc_arena_free(&arena);
  arena = MC_ARENA(0);
  why = (mc_why){0};
  return mc_dbc_parse(mc_slice_str(text), "t.dbc", &arena, &dbc, &why);
}

static const mc_dbc_signal *sig(const char *message, const char *signal)
{
  const mc_dbc_message *m = mc_dbc_find(&dbc, mc_slice_str(message));
  return m ? mc_dbc_message_find(m, mc_slice_str(signal)) : NULL;
}

#define S8(name, start) " SG_ " name " : " start "|8@1+ (1,0) [0|0] \"\" X\n"

static void test_reads_a_signal_line(void)
{
  CHECK_OK(parse("VERSION \"1.2\"\n\nBO_ 291 Engine: 8 ECU\n"
                 " SG_ Temp : 15|12@0- (0.5,-40) [-40|215.5] \"degC\" A,B\n"));
  const mc_dbc_signal *s = sig("Engine", "Temp");
  CHECK_SLICE(dbc.version, "1.2");
  CHECK_INT(dbc.message_count, 1);
  CHECK_INT(dbc.message[0].id, 291);
  CHECK(!dbc.message[0].extended && !dbc.message[0].j1939 && !dbc.message[0].fd);
  CHECK_INT(dbc.message[0].size, 8);
  CHECK_SLICE(dbc.message[0].sender, "ECU");
  CHECK(s != NULL);
  CHECK_INT(s->start_bit, 15);
  CHECK_INT(s->lsb, 20);
  CHECK_INT(s->length, 12);
  CHECK(s->big_endian && s->is_signed);
  CHECK(s->factor == 0.5 && s->offset == -40 && s->min == -40 && s->max == 215.5);
  CHECK_SLICE(s->unit, "degC");
  CHECK_INT(s->line, 4);
  CHECK_INT(dbc.warning_count, 0);
}

static void test_takes_odd_spacing_and_line_ends(void)
{
  CHECK_OK(parse("\xEF\xBB\xBF\r\nBO_   1\tM :8  X\r\n\r\n\tSG_\tA  :  0 | 8 @ 1 +( 1 , 0 )[ 0 | 0 ]\"\"X , Y\r\n"
                 "  SG_ B:8|8@1-(1e-1,+2)[-1E+3|.5] \"%\" X\r\nSG_ C m3 :16|8@1+(1,0)[0|0]\"\"\r\n SG_ D M: 24|8@1+ (1,0) [0|0] \"\" X"));
  CHECK_INT(dbc.message[0].signal_count, 4);
  CHECK(sig("M", "B")->factor == 0.1 && sig("M", "B")->offset == 2 && sig("M", "B")->min == -1000 && sig("M", "B")->max == 0.5);
  CHECK(sig("M", "B")->is_signed);
  CHECK_INT(sig("M", "C")->mux, MC_DBC_MUXED);
  CHECK_SLICE(sig("M", "C")->mux_switch, "D");
  CHECK_INT(sig("M", "C")->mux_range[0].low, 3);
}

static void test_passes_over_sections_it_does_not_need(void)
{
  CHECK_OK(parse("NS_ : \n\tCM_\n\tBA_\n\tSIG_VALTYPE_\n\nBS_:\nBU_: A B C\n\nBO_ 1 M: 8 X\n" S8("A", "0") "\n"
                 "EV_ E: 0 [0|1] \"x;y\" 0 1 DUMMY_NODE_VECTOR0 Vector__XXX;\nSIG_GROUP_ 1 G 1 : A;\n"
                 "BA_DEF_REL_ BU_SG_REL_ \"Q\" INT 0 1;\nVAL_ E 0 \"off\" 1 \"on\";\nCAT_ \"z\";\n"));
  CHECK_INT(dbc.message_count, 1);
  CHECK_INT(dbc.warning_count, 0);
  CHECK_OK(parse("BO_ 1 M: 8 X\nFUTURE_ 1 2 \"BO_ 3\" ;\nBO_ 2 N: 8 X\n"));
  CHECK_INT(dbc.message_count, 2);
  CHECK_INT(dbc.warning_count, 1);
  CHECK_INT(dbc.warning[0].line, 2);
}

static void test_reads_extended_ids_and_repairs_a_missing_flag(void)
{
  CHECK_OK(parse("BO_ 2566844926 A: 8 X\nBO_ 419360254 B: 8 X\nBO_ 2147483649 C: 8 X\nBO_ 3221225472 VECTOR__INDEPENDENT_SIG_MSG: 0 X\n" S8("I", "0")
                 "BO_ 3221225473 Bad: 8 X\n" S8("J", "0")));
  CHECK_INT(dbc.message_count, 3);
  CHECK(dbc.message[0].extended);
  CHECK_INT(dbc.message[0].id, 0x18FEF1FE);
  CHECK(dbc.message[1].extended);
  CHECK_INT(dbc.message[2].id, 1);
  CHECK(dbc.message[2].extended);
  CHECK_INT(dbc.warning_count, 2);
}

static void test_reads_comments_over_several_lines_and_quotes(void)
{
  CHECK_OK(parse("BO_ 1 M: 8 X\n" S8("A", "0") "CM_ \"about it all\";\nCM_ BU_ X \"node\";\nCM_ BO_ 1 \"first\r\nsecond; third\";\n"
                 "CM_ SG_ 1 A \"a \\\"word\\\" and BO_ 2\nSG_ x\";\n"));
  CHECK_SLICE(dbc.message[0].comment, "first\r\nsecond; third");
  CHECK_SLICE(sig("M", "A")->comment, "a \"word\" and BO_ 2\nSG_ x");
}

static void test_takes_text_that_is_not_utf8_as_windows_1252(void)
{
  CHECK_OK(parse("BO_ 1 M: 8 X\n SG_ A : 0|8@1+ (1,0) [0|0] \"\xB0" "C\" X\n SG_ B : 8|8@1+ (1,0) [0|0] \"\xC2\xB0" "C\" X\nCM_ SG_ 1 A \"\x80 \x93q\x94 \x81\";\n"));
  CHECK_SLICE(sig("M", "A")->unit, "\xC2\xB0" "C");
  CHECK_SLICE(sig("M", "B")->unit, "\xC2\xB0" "C");
  CHECK_SLICE(sig("M", "A")->comment, "\xE2\x82\xAC \xE2\x80\x9Cq\xE2\x80\x9D \xEF\xBF\xBD");
}

static void test_reads_value_tables(void)
{
  CHECK_OK(parse("VAL_TABLE_ OnOff 0 \"off\" 1 \"on\" ;\nBO_ 1 M: 8 X\n" S8("A", "0") S8("B", "8") S8("C", "16")
                 "VAL_ 1 A -1 \"minus\" 2 \"two\" 18446744073709551615 \"top\" 3.0 \"three\";\nVAL_ 1 B OnOff;\nVAL_ 1 C 5 \"five\"\nVAL_ 9 X 0 \"x\";\n"));
  const mc_dbc_signal *a = sig("M", "A"), *b = sig("M", "B");
  CHECK_INT(a->value_count, 4);
  CHECK_INT(a->value[0].value, -1);
  CHECK_SLICE(a->value[1].text, "two");
  CHECK_INT(a->value[2].value, -1);
  CHECK_INT(a->value[3].value, 3);
  CHECK_INT(b->value_count, 2);
  CHECK_SLICE(b->value[1].text, "on");
  CHECK_INT(sig("M", "C")->value_count, 1);
  CHECK_INT(dbc.warning_count, 2); /* the missing ';' and the unknown message */
}

static void test_takes_long_names_and_finds_by_both(void)
{
  CHECK_OK(parse("BO_ 1 Short: 8 X\n SG_ Sw M : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ Shrt m1 : 8|8@1+ (1,0) [0|0] \"\" X\n"
                 "BA_DEF_ BO_ \"SystemMessageLongSymbol\" STRING ;\nBA_ \"SystemMessageLongSymbol\" BO_ 1 \"TheWholeMessageName\";\n"
                 "BA_ \"SystemSignalLongSymbol\" SG_ 1 Sw \"TheSwitch\";\nBA_ \"SystemSignalLongSymbol\" SG_ 1 Shrt \"TheWholeSignalName\";\n"));
  CHECK_SLICE(dbc.message[0].name, "TheWholeMessageName");
  CHECK_SLICE(dbc.message[0].short_name, "Short");
  CHECK(sig("Short", "Shrt") == sig("TheWholeMessageName", "TheWholeSignalName"));
  CHECK_SLICE(sig("Short", "Shrt")->mux_switch, "TheSwitch");
}

static void test_reads_attributes(void)
{
  CHECK_OK(parse("BO_ 1 M: 8 X\n" S8("A", "0") S8("B", "8") "BO_ 2 N: 8 X\nBO_ 3 F: 64 X\n"
                 "BA_DEF_ BO_ \"VFrameFormat\" ENUM \"StandardCAN\",\"ExtendedCAN\",\"StandardCAN_FD\";\n"
                 "BA_DEF_DEF_ \"GenMsgCycleTime\" 500;\nBA_DEF_DEF_ \"GenSigStartValue\" 7;\n"
                 "BA_ \"GenMsgCycleTime\" BO_ 1 100;\nBA_ \"GenSigStartValue\" SG_ 1 A 3.5;\nBA_ \"VFrameFormat\" BO_ 3 2;\n"
                 "BA_ \"Unknown\" BO_ 1 \"whatever\";\nBA_ \"Gone\" SG_ 1 Z 4;\nBO_TX_BU_ 1 : P,Q;\n"));
  CHECK_INT(dbc.message[0].cycle_ms, 100);
  CHECK_INT(dbc.message[1].cycle_ms, 500);
  CHECK_DOUBLE(sig("M", "A")->initial, 3.5, 0);
  CHECK_DOUBLE(sig("M", "B")->initial, 7, 0);
  CHECK(dbc.message[2].fd && !dbc.message[0].fd);
  CHECK_INT(dbc.warning_count, 1);
}

static bool j1939(const char *tail)
{
  char text[600];
  snprintf(text, sizeof text, "BO_ 2364539904 A: 8 X\n%s", tail); /* 0CF00400 */
  return parse(text) == MC_OK && dbc.message[0].j1939;
}

static void test_tells_parameter_groups_from_plain_extended_frames(void)
{
  CHECK(!j1939(""));
  CHECK(j1939("BA_DEF_ BO_ \"VFrameFormat\" ENUM \"StandardCAN\",\"ExtendedCAN\",\"reserved\",\"J1939PG\";\nBA_ \"VFrameFormat\" BO_ 2364539904 3;\n"));
  CHECK(j1939("BA_DEF_ BO_ \"VFrameFormat\" ENUM \"StandardCAN\",\"ExtendedCAN\",\"StandardCAN_FD\",\"ExtendedCAN_FD\",\"J1939PG\";\nBA_ \"VFrameFormat\" BO_ 2364539904 4;\n"));
  CHECK(!j1939("BA_DEF_ BO_ \"VFrameFormat\" ENUM \"StandardCAN\",\"ExtendedCAN\",\"StandardCAN_FD\",\"ExtendedCAN_FD\",\"J1939PG\";\nBA_ \"VFrameFormat\" BO_ 2364539904 3;\n"));
  CHECK(j1939("BA_DEF_DEF_ \"VFrameFormat\" \"J1939PG\";\n"));
  CHECK(j1939("BA_ \"ProtocolType\" \"J1939\";\n"));
  CHECK(j1939("BA_DEF_DEF_ \"ProtocolType\" \"J1939\";\n"));
  CHECK(!j1939("BA_DEF_DEF_ \"ProtocolType\" \"J1939\";\nBA_ \"ProtocolType\" \"CAN\";\n"));
  CHECK_OK(parse("BO_ 2566844926 A: 8 X\nBO_ 254 B: 8 X\n"));
  CHECK(dbc.message[0].j1939); /* sender FE */
  CHECK(!dbc.message[1].j1939);
}

static void test_reads_float_types(void)
{
  CHECK_OK(parse("BO_ 1 M: 8 X\n SG_ A : 0|32@1- (1,0) [0|0] \"\" X\n SG_ B : 32|32@1- (1,0) [0|0] \"\" X\nSIG_VALTYPE_ 1 A : 1;\nSIG_VALTYPE_ 1 B 0;\n"));
  CHECK_INT(sig("M", "A")->float_bits, 32);
  CHECK_INT(sig("M", "B")->float_bits, 0);
  CHECK_INT(parse("BO_ 1 M: 8 X\n" S8("A", "0") "SIG_VALTYPE_ 1 A : 2;\n"), MC_ERR_MALFORMED);
  CHECK_WHY(why, "t.dbc:3: signal A: value type 2 with a length of 8 bits");
}

static void test_reads_extended_multiplexing(void)
{
  CHECK_OK(parse("BO_ 1 M: 8 X\n SG_ A M : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ B m2M : 8|8@1+ (1,0) [0|0] \"\" X\n SG_ C m0 : 16|8@1+ (1,0) [0|0] \"\" X\n"
                 "SG_MUL_VAL_ 1 B A 2-2;\nSG_MUL_VAL_ 1 C B 0-3, 7-7,9 - 12;\n"));
  const mc_dbc_signal *b = sig("M", "B"), *c = sig("M", "C");
  CHECK_INT(b->mux, MC_DBC_MUXED_SWITCH);
  CHECK_SLICE(b->mux_switch, "A");
  CHECK_SLICE(c->mux_switch, "B");
  CHECK_INT(c->mux_range_count, 3);
  CHECK_INT(c->mux_range[0].high, 3);
  CHECK_INT(c->mux_range[2].low, 9);
  CHECK_INT(c->mux_range[2].high, 12);
}

static void test_leaves_out_multiplexed_signals_without_a_switch(void)
{
  CHECK_OK(parse("BO_ 1 M: 8 X\n SG_ A m1 : 0|8@1+ (1,0) [0|0] \"\" X\n" S8("B", "8")));
  CHECK_INT(dbc.message[0].signal_count, 1);
  CHECK_INT(dbc.warning_count, 1);
  CHECK(strstr((const char *)dbc.warning[0].text.data, "signal A is multiplexed (m1)") != NULL);
  CHECK_OK(parse("BO_ 1 M: 8 X\n SG_ A m1M : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ B m1M : 8|8@1+ (1,0) [0|0] \"\" X\nSG_MUL_VAL_ 1 A B 1-1;\nSG_MUL_VAL_ 1 B A 1-1;\n"));
  CHECK_INT(dbc.message[0].signal_count, 0); /* a ring */
}

static void test_warns_of_twins_and_of_signals_that_do_not_fit(void)
{
  CHECK_OK(parse("BO_ 1 M: 2 X\n" S8("A", "0") S8("A", "8") S8("B", "9") "BO_ 1 N: 8 X\n" S8("C", "0") "BO_ 2 P: 8 X\n SG_ Z : 0|8@1+ (0,5) [0|0] \"\" X\n"));
  CHECK_INT(dbc.message_count, 2);
  CHECK_INT(dbc.message[0].signal_count, 2);
  CHECK_INT(dbc.warning_count, 4);
  CHECK(sig("P", "Z")->factor == 1);
}

static void refused(const char *text, const char *part, int line)
{
  mc_err err = parse(text);
  if (err == MC_OK || !strstr(why.text, part) || dbc.message_count != 0) {
    tap_this_failed = 1;
    printf("# line %d: error %d, '%s' does not hold '%s'\n", line, err, why.text, part);
  }
}
#define REFUSED(text, part) refused(text, part, __LINE__)
#define HEAD "BO_ 1 M: 8 X\n"

static void test_names_file_line_and_what_was_expected(void)
{
  REFUSED("", "t.dbc: no message (BO_) in it");
  REFUSED("hello world", "no message (BO_)");
  REFUSED("BO_ x M: 8 X\n", "t.dbc:1: message (BO_): expected a message id");
  REFUSED("BO_ -1 M: 8 X\n", "expected a message id");
  REFUSED("BO_ 4294967296 M: 8 X\n", "expected a message id");
  REFUSED("BO_ 1 M 8 X\n", "t.dbc:1: message M: expected ':', got '8'");
  REFUSED("BO_ 1 M: X\n", "message M: expected a size in bytes, got 'X'");
  REFUSED("BO_ 1 M: 70000 X\n", "70000 bytes");
  REFUSED("BO_ 1 M: 8\n SG_ A : 0|8@1+ (1,0) [0|0] \"\" X\n", "t.dbc:1: message M: expected the sender's name");
  REFUSED(" SG_ A : 0|8@1+ (1,0) [0|0] \"\" X\n", "t.dbc:1: signal (SG_) before any message");
  REFUSED(HEAD " SG_ : 0|8@1+ (1,0) [0|0] \"\" X\n", "t.dbc:2: signal (SG_): expected a signal name, got ':'");
  REFUSED(HEAD " SG_ A x : 0|8@1+ (1,0) [0|0] \"\" X\n", "t.dbc:2: signal A: expected ':' or a multiplexing mark");
  REFUSED(HEAD " SG_ A mM : 0|8@1+ (1,0) [0|0] \"\" X\n", "multiplexing mark");
  REFUSED(HEAD " SG_ A : |8@1+ (1,0) [0|0] \"\" X\n", "signal A: expected a start bit, got '|'");
  REFUSED(HEAD " SG_ A : 0 8@1+ (1,0) [0|0] \"\" X\n", "expected '|', got '8'");
  REFUSED(HEAD " SG_ A : 0|0@1+ (1,0) [0|0] \"\" X\n", "t.dbc:2: signal A: length 0 bits; expected 1..64");
  REFUSED(HEAD " SG_ A : 0|65@1+ (1,0) [0|0] \"\" X\n", "length 65 bits");
  REFUSED(HEAD " SG_ A : 70000|8@1+ (1,0) [0|0] \"\" X\n", "start bit 70000");
  REFUSED(HEAD " SG_ A : 0|8@2+ (1,0) [0|0] \"\" X\n", "expected a byte order");
  REFUSED(HEAD " SG_ A : 0|8@1 (1,0) [0|0] \"\" X\n", "expected a sign");
  REFUSED(HEAD " SG_ A : 0|8@1+ (x,0) [0|0] \"\" X\n", "expected a factor, got 'x'");
  REFUSED(HEAD " SG_ A : 0|8@1+ (1;0) [0|0] \"\" X\n", "expected ',', got ';'");
  REFUSED(HEAD " SG_ A : 0|8@1+ (1,) [0|0] \"\" X\n", "expected an offset");
  REFUSED(HEAD " SG_ A : 0|8@1+ (1,0) 0|0] \"\" X\n", "expected '['");
  REFUSED(HEAD " SG_ A : 0|8@1+ (1,0) [0|] \"\" X\n", "expected a maximum");
  REFUSED(HEAD " SG_ A : 0|8@1+ (1,0) [0|0] rpm X\n", "expected a unit in quotes");
  REFUSED(HEAD " SG_ A : 0|8@1+ (1,0) [0|0] \"\" X ! Y\n", "expected receivers or the end of the line, got '!'");
  REFUSED(HEAD " SG_ A : 0|8@1+ (1e999,0) [0|0] \"\" X\n", "expected a factor");
}

static void test_blames_a_cut_line_on_itself(void)
{
  REFUSED(HEAD " SG_ A : 0|8@1+ (1,\n" S8("B", "8"), "t.dbc:2: signal A: expected an offset, but the next section (SG_) begins");
  REFUSED(HEAD " SG_ A : 0|8@1+", "t.dbc:2: signal A: expected '(', but the file ends");
  REFUSED(HEAD " SG_ A : 0|8@1+ (1,0) [0|0] \"rpm X\n SG_ B : 8|8@1+ (1,0) [0|0] \"\" X\n", "t.dbc:2: signal A: the unit starts with \" and does not end");
  REFUSED(HEAD "CM_ BO_ 1 \"never ends\n\n", "t.dbc:2: a string starts here and never ends");
  REFUSED(HEAD "CM_ BO_ 1 ;\n", "t.dbc:2: comment (CM_): expected a text in quotes, got ';'");
  REFUSED(HEAD S8("A", "0") "VAL_ 1 A 0 ;\n", "t.dbc:3: value table: expected the value's text");
  REFUSED(HEAD S8("A", "0") "VAL_ 1 A \"x\" 0;\n", "t.dbc:3: value table: expected a number");
  REFUSED(HEAD S8("A", "0") S8("B", "8") "SG_MUL_VAL_ 1 A B 3-1;\n", "range 3-1 runs backwards");
  REFUSED(HEAD S8("A", "0") S8("B", "8") "SG_MUL_VAL_ 1 A B x;\n", "expected a range of switch values");
  REFUSED(HEAD "BA_ \"X\" BO_ 1 ;\n", "attribute (BA_): expected a value");
}

static void test_respects_the_arena_limit(void)
{
  mc_arena small = MC_ARENA(2048);
  mc_buf b = {0};
  mc_buf_append_str(&b, HEAD);
  for (int i = 0; i < 200; i++)
    mc_buf_printf(&b, " SG_ Signal%d : 0|8@1+ (1,0) [0|0] \"unit\" X\n", i);
  CHECK_INT(mc_dbc_parse(mc_buf_slice(&b), "t.dbc", &small, &dbc, &why), MC_ERR_MEMORY);
  mc_buf_free(&b);
  mc_arena_free(&small);
}

static void test_caps_its_warnings(void)
{
  mc_buf b = {0};
  mc_buf_append_str(&b, HEAD);
  for (int i = 0; i < 3000; i++)
    mc_buf_append_str(&b, "CM_ BO_ 77 \"x\";\n");
  mc_buf_append_u8(&b, 0);
  CHECK_OK(parse((char *)b.data));
  mc_buf_free(&b);
  CHECK_INT(dbc.warning_count, 1001);
}

int main(void)
{
  RUN(test_reads_a_signal_line);
  RUN(test_takes_odd_spacing_and_line_ends);
  RUN(test_passes_over_sections_it_does_not_need);
  RUN(test_reads_extended_ids_and_repairs_a_missing_flag);
  RUN(test_reads_comments_over_several_lines_and_quotes);
  RUN(test_takes_text_that_is_not_utf8_as_windows_1252);
  RUN(test_reads_value_tables);
  RUN(test_takes_long_names_and_finds_by_both);
  RUN(test_reads_attributes);
  RUN(test_tells_parameter_groups_from_plain_extended_frames);
  RUN(test_reads_float_types);
  RUN(test_reads_extended_multiplexing);
  RUN(test_leaves_out_multiplexed_signals_without_a_switch);
  RUN(test_warns_of_twins_and_of_signals_that_do_not_fit);
  RUN(test_names_file_line_and_what_was_expected);
  RUN(test_blames_a_cut_line_on_itself);
  RUN(test_respects_the_arena_limit);
  RUN(test_caps_its_warnings);
  mc_arena_free(&arena);
  return tap_done();
}
