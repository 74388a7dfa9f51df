/* QoS 2 from a client to the server, with a journal that commits in groups, connections that break and a server that is killed.
 * What is modelled: MQTT 5.0, 4.3.3 (client = sender); src/gateway README, "QoS 2".
 *
 *   client: state survives (it resends from where it was); one packet identifier for all messages, so that reuse is always at once.
 *   server: `held` is what the session knows of the identifier; a record is staged, then committed (or the group fails, or the kill loses it).
 *   log:    what is durable: how often each message is stored, whether the identifier counts as received.
 *
 * Claims: no message is stored twice; a message that the client finished (PUBCOMP) is stored once; when nothing moves any more the client
 * has finished (an end that is not one of those is an invalid end state).
 * -DDEFECT=n plants a mistake that the model must find:
 *   1 PUBCOMP before the release is durable     2 PUBREC before the message is durable
 *   3 message and identifier are two records    4 repeats are compared with durable state only
 *   5 a group's answers go to the connection that staged it, even if the client has come back on another one
 *   6 a repeated PUBREL stages a second release */
#ifndef DEFECT
#define DEFECT 0
#endif
#if DEFECT == 5
#define HEARER on
#else
#define HEARER epoch /* the connection that the session has now */
#endif
#define MESSAGES 3
#define BREAKS 2
#define KILLS 2
#define FAILS 1

mtype = { PUBLISH, PUBREC, PUBREC_FAILED, PUBREL, PUBCOMP, STORE, MARK, RELEASE };
mtype = { NONE, STORING, HELD, RELEASING };
chan up = [2] of { mtype, byte };   /* client to server */
chan down = [6] of { mtype };       /* server to client */
chan staged = [2] of { mtype, byte, byte }; /* kind, message, connection it will be answered on */

/* durable */
byte stored[MESSAGES];
bool log_received = false;
/* server, in memory: the identifier's state; a staged record of it is never joined by a second one */
mtype held = NONE;
byte epoch = 1; /* of the connection */
byte breaks = 0, kills = 0, fails = 0;
/* client */
byte sending = 0;       /* message in hand; MESSAGES: all done */
bool wants_release = false; /* PUBREC came: PUBREL is owed */
bool sent = false;      /* on this connection */

inline lose_connection() {
  do
  :: up ? _, _
  :: empty(up) -> break
  od;
  do
  :: down ? _
  :: empty(down) -> break
  od;
  epoch++;
  sent = false
}

inline answer(what, on) {
  if
  :: on == epoch -> assert(nfull(down)); down ! what
  :: else -> skip
  fi
}

active proctype client() {
  do
  :: atomic { sending < MESSAGES && !sent && nfull(up) ->
       if
       :: !wants_release -> up ! PUBLISH, sending
       :: wants_release -> up ! PUBREL, sending
       fi;
       sent = true }
  :: atomic { sending < MESSAGES && down ? [PUBREC] -> down ? PUBREC;
       if
       :: !wants_release -> wants_release = true; sent = false
       :: else -> skip
       fi }
  :: atomic { sending < MESSAGES && down ? [PUBREC_FAILED] -> down ? PUBREC_FAILED; sent = false } /* tries again */
  :: atomic { sending < MESSAGES && down ? [PUBCOMP] -> down ? PUBCOMP;
       if
       :: wants_release -> assert(stored[sending] == 1); wants_release = false; sent = false; sending++
       :: else -> skip
       fi }
  :: sending == MESSAGES -> break
  od
}

active proctype server() {
  byte m, on;
  mtype kind;
end_server:
  do
  :: atomic { nfull(staged) && up ? [PUBLISH, _] -> up ? PUBLISH, m;
       if
#if DEFECT == 4
       :: log_received -> answer(PUBREC, epoch)
       :: !log_received -> held = STORING; staged ! STORE, m, epoch
#else
       :: held == HELD -> answer(PUBREC, epoch)
       :: held == STORING || held == RELEASING -> skip /* the group answers */
       :: held == NONE ->
            held = STORING;
            staged ! STORE, m, epoch;
#if DEFECT == 3
            staged ! MARK, m, epoch
#elif DEFECT == 2
            answer(PUBREC, epoch)
#else
            skip
#endif
#endif
       fi }
  :: atomic { nfull(staged) && up ? [PUBREL, _] -> up ? PUBREL, m;
       if
       :: held == NONE -> answer(PUBCOMP, epoch) /* 0x92: released long ago */
       :: held == STORING -> skip
       :: held == HELD ->
            held = RELEASING;
            staged ! RELEASE, m, epoch;
#if DEFECT == 1
            answer(PUBCOMP, epoch)
#else
            skip
#endif
#if DEFECT == 6
       :: held == RELEASING -> staged ! RELEASE, m, epoch
#else
       :: held == RELEASING -> skip /* the group answers */
#endif
       fi }
  /* a group reaches the disk: one record at a time is the worst case */
  :: atomic { staged ? kind, m, on ->
       if
       :: kind == STORE -> stored[m]++; assert(stored[m] < 2);
#if DEFECT == 3
            skip
#else
            log_received = true; held = HELD; answer(PUBREC, HEARER)
#endif
       :: kind == MARK -> log_received = true; held = HELD; answer(PUBREC, HEARER)
       :: kind == RELEASE -> log_received = false; held = NONE; answer(PUBCOMP, HEARER)
       fi }
  /* a group fails (disk full): its publisher is told, nothing of it counts */
  :: atomic { fails < FAILS && staged ? [STORE, _, _] -> fails++; staged ? STORE, m, on; held = NONE; answer(PUBREC_FAILED, HEARER) }
  :: atomic { fails < FAILS && staged ? [RELEASE, _, _] -> fails++; staged ? RELEASE, m, on; held = HELD; lose_connection() }
  :: atomic { breaks < BREAKS -> breaks++; lose_connection() }
  :: atomic { kills < KILLS -> kills++;
       do
       :: staged ? _, _, _
       :: empty(staged) -> break
       od;
       held = (log_received -> HELD : NONE);
       lose_connection() }
  od
}
