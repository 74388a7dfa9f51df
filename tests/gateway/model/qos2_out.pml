/* QoS 2 from the server to a client whose session survives, with a journal, broken connections and a killed server.
 * What is modelled: MQTT 5.0, 4.3.3 (server = sender); src/gateway README, "QoS 2".
 *
 *   log:    durable queue state of each message: waiting, assigned (packet identifier), received (PUBREC came), complete.
 *   server: the same in memory, ahead of the log by what is staged.
 *   client: keeps the identifiers that it has received and not seen released (method A: hands a message on when its identifier is new).
 *
 * Claims: the client hands no message on twice; when nothing moves any more, every message was handed on once and is complete.
 * -DDEFECT=n plants a mistake that the model must find:
 *   1 PUBLISH before its identifier is durable       2 PUBREL before "received" is durable
 *   3 after a restart the message goes out under another identifier although it was assigned one
 *   4 an identifier is given to the next message at PUBREC, before PUBCOMP */
#ifndef DEFECT
#define DEFECT 0
#endif
#define MESSAGES 3
#define IDS 2
#define BREAKS 2
#define KILLS 2

mtype = { PUBLISH, PUBREL, PUBREC, PUBCOMP };
mtype = { WAITING, STAGED, ASSIGNED, RECEIVING, RECEIVED, COMPLETE };

chan down = [4] of { mtype, byte, byte }; /* type, identifier, message */
chan up = [4] of { mtype, byte };
chan staged = [3] of { mtype, byte, byte }; /* new state, message, identifier */

mtype log_state[MESSAGES] = WAITING;
byte log_id[MESSAGES];
mtype state[MESSAGES] = WAITING;
byte id[MESSAGES];
bool sent[MESSAGES]; /* on this connection, what the state asks for */
byte breaks = 0, kills = 0;
/* client */
byte holds[IDS + 1]; /* by identifier: 1 received and not released */
byte handed[MESSAGES];

inline lose_connection() {
  do
  :: up ? _, _
  :: empty(up) -> break
  od;
  do
  :: down ? _, _, _
  :: empty(down) -> break
  od;
  sent[0] = false; sent[1] = false; sent[2] = false
}

#define BUSY(m, i) (id[m] == i && (state[m] == STAGED || state[m] == ASSIGNED || (DEFECT != 4 && (state[m] == RECEIVING || state[m] == RECEIVED))))
#define FREE(i) (!BUSY(0, i) && !BUSY(1, i) && !BUSY(2, i))

active proctype client() {
  byte i, m;
end_client:
  do
  :: atomic { down ? [PUBLISH, _, _] && nfull(up) -> down ? PUBLISH, i, m;
       if
       :: holds[i] == 0 -> handed[m]++; assert(handed[m] < 2); holds[i] = 1
       :: else -> skip
       fi;
       up ! PUBREC, i }
  :: atomic { down ? [PUBREL, _, _] && nfull(up) -> down ? PUBREL, i, m; holds[i] = 0; up ! PUBCOMP, i } /* 0x92 when it was not held */
  od
}

inline step(m) {
  /* gives it an identifier and makes that durable */
  if
  :: atomic { state[m] == WAITING && nfull(staged) ->
       if
       :: FREE(1) -> id[m] = 1
       :: FREE(2) -> id[m] = 2
       fi;
       staged ! ASSIGNED, m, id[m];
       state[m] = (DEFECT == 1 -> ASSIGNED : STAGED) }
  :: atomic { state[m] == ASSIGNED && !sent[m] && nfull(down) -> down ! PUBLISH, id[m], m; sent[m] = true }
  :: atomic { state[m] == RECEIVED && !sent[m] && nfull(down) -> down ! PUBREL, id[m], m; sent[m] = true }
  fi
}

#define CAN(m) ((state[m] == WAITING && nfull(staged) && (FREE(1) || FREE(2))) || ((state[m] == ASSIGNED || state[m] == RECEIVED) && !sent[m] && nfull(down)))
#define ALL_DONE (state[0] == COMPLETE && state[1] == COMPLETE && state[2] == COMPLETE)

inline at_received(m, i) {
  if
  :: id[m] == i && state[m] == ASSIGNED ->
       staged ! RECEIVED, m, i;
       sent[m] = false;
       state[m] = (DEFECT == 2 -> RECEIVED : RECEIVING)
  :: else -> skip
  fi
}
inline at_complete(m, i) {
  if
  :: id[m] == i && state[m] == RECEIVED -> state[m] = COMPLETE; staged ! COMPLETE, m, i
  :: else -> skip
  fi
}
inline recover(m) {
  state[m] = log_state[m]; id[m] = log_id[m];
  if
  :: DEFECT == 3 && state[m] == ASSIGNED -> state[m] = WAITING
  :: else -> skip
  fi
}

active proctype server() {
  byte i, m;
  mtype to;
  do
  :: CAN(0) -> step(0)
  :: CAN(1) && state[0] != WAITING -> step(1)
  :: CAN(2) && state[1] != WAITING -> step(2)
  :: atomic { up ? [PUBREC, _] && nfull(staged) -> up ? PUBREC, i; at_received(0, i); at_received(1, i); at_received(2, i) }
  :: atomic { up ? [PUBCOMP, _] && nfull(staged) -> up ? PUBCOMP, i; at_complete(0, i); at_complete(1, i); at_complete(2, i) }
  :: atomic { staged ? to, m, i ->
       log_state[m] = to; log_id[m] = i;
       if
       :: to == ASSIGNED && state[m] == STAGED -> state[m] = ASSIGNED
       :: to == RECEIVED && state[m] == RECEIVING -> state[m] = RECEIVED
       :: else -> skip
       fi;
       /* an identifier that is given again says that the message before is complete */
       if
       :: to == ASSIGNED && m > 0 && log_id[0] == i && log_state[0] == RECEIVED -> log_state[0] = COMPLETE
       :: else -> skip
       fi;
       if
       :: to == ASSIGNED && m > 1 && log_id[1] == i && log_state[1] == RECEIVED -> log_state[1] = COMPLETE
       :: else -> skip
       fi }
  :: atomic { breaks < BREAKS -> breaks++; lose_connection() }
  :: atomic { kills < KILLS -> kills++;
       do
       :: staged ? _, _, _
       :: empty(staged) -> break
       od;
       recover(0); recover(1); recover(2);
       lose_connection() }
  :: ALL_DONE && empty(staged) -> break
  od;
  assert(handed[0] == 1 && handed[1] == 1 && handed[2] == 1)
}
