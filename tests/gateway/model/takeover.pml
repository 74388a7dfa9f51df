/* A session that moves between two loops while messages are committed: src/gateway README, "A session moves".
 *
 *   loop:    one inbox each, in order of posting. It handles its own commits, groups fanned out by other loops, and claims. Clients connect to
 *            loops 0 and 1; loop 2 only commits, as a third one does.
 *   seen[l][s]: the last offset of source loop s that loop l has handled.
 *   session: on one loop, or on its way. Its client connects CONNECTS times to either loop; every connect claims it.
 *
 * Claims: the session is in one tree at most; at the end every committed message was taken for the session: exactly once.
 * -DDEFECT=n plants a mistake that the model must find:
 *   1 the claiming loop does not read what it saw before the session came      2 a session on its way does not count as a subscription
 *   3 what is read is a range of offsets, whatever loop committed them          4 a group that the old loop had handled is taken again
 *   5 a loop that fans nothing out does not note what it handled itself         6 two loops may claim it at once */
#ifndef DEFECT
#define DEFECT 0
#endif
#define MESSAGES 4
#define CONNECTS 3
#define NOWHERE 2

mtype = { COMMIT, FAN, RELEASE, ARRIVED };

chan inbox0 = [10] of { mtype, byte, byte }; /* what, source loop or claiming loop, offset */
chan inbox1 = [10] of { mtype, byte, byte };

byte source[MESSAGES + 1];  /* who committed the offset */
byte last = 0;              /* offsets 1..last are committed */
byte seen[6];               /* [3 * loop + source] */
byte carried[3];            /* seen of the loop that the session left; what it has had, by source */
bool handled_here[MESSAGES + 1];
byte taken[MESSAGES + 1];   /* times that a message was taken for the session */
byte where = 0;             /* the tree that it is in */
byte owner = 0;             /* directory */
bool moving = false;
byte subscriptions = 1;     /* of all loops */
byte connects = 0;
byte waiting = NOWHERE;     /* a loop whose claim waits for a session that is moving already */

inline post(target, kind, x, y) {
  if
  :: (target) == 0 -> assert(nfull(inbox0)); inbox0 ! kind, x, y
  :: else -> assert(nfull(inbox1)); inbox1 ! kind, x, y
  fi
}

inline take(offset) { taken[offset]++; assert(taken[offset] < 2) }

/* A group of source s, offset n, on loop l. */
inline handle(here, from_loop, at) {
  if
  :: where == here && (at > carried[from_loop] || DEFECT == 4) -> take(at)
  :: else -> skip
  fi
}

#define WANTED(here) (subscriptions > (where == here -> 1 : 0))

inline try_claim(to_loop) {
  if
  :: moving && DEFECT != 6 -> waiting = to_loop
  :: (!moving || DEFECT == 6) && owner != to_loop -> moving = true; post(owner, RELEASE, to_loop, 0)
  :: !moving && owner == to_loop -> skip /* it is here: the old connection is ended, nothing moves */
  fi
}

inline read_gap(on) {
  byte k = 1;
  byte from = MESSAGES + 1, to = 0;
  if
  :: seen[3 * on] > carried[0] -> from = carried[0] + 1; to = seen[3 * on]
  :: else -> skip
  fi;
  if
  :: seen[3 * on + 1] > carried[1] ->
       from = (carried[1] + 1 < from -> carried[1] + 1 : from);
       to = (seen[3 * on + 1] > to -> seen[3 * on + 1] : to)
  :: else -> skip
  fi;
  if
  :: seen[3 * on + 2] > carried[2] ->
       from = (carried[2] + 1 < from -> carried[2] + 1 : from);
       to = (seen[3 * on + 2] > to -> seen[3 * on + 2] : to)
  :: else -> skip
  fi;
  do
  :: k <= to && k >= from && (DEFECT == 3 || (k > carried[source[k]] && k <= seen[3 * on + source[k]])) -> take(k); k++
  :: k <= to && !(k >= from && (DEFECT == 3 || (k > carried[source[k]] && k <= seen[3 * on + source[k]]))) -> k++
  :: k > to -> break
  od;
  /* what it has had so far, by source */
  carried[0] = (seen[3 * on] > carried[0] -> seen[3 * on] : carried[0]);
  carried[1] = (seen[3 * on + 1] > carried[1] -> seen[3 * on + 1] : carried[1]);
  carried[2] = (seen[3 * on + 2] > carried[2] -> seen[3 * on + 2] : carried[2])
}

proctype turn(byte l; chan inbox) {
  byte a, n;
  mtype what;
end_loop:
  do
  :: atomic { inbox ? what, a, n ->
       if
       :: what == COMMIT ->
            handle(l, l, n);
            if
            :: WANTED(l) -> seen[3 * l + l] = n; post(1 - l, FAN, l, n)
            :: !WANTED(l) && DEFECT != 5 -> seen[3 * l + l] = n
            :: !WANTED(l) && DEFECT == 5 -> skip
            fi
       :: what == FAN -> handle(l, a, n); seen[3 * l + a] = n
       :: what == RELEASE ->
            assert(where == l || DEFECT == 6);
            where = NOWHERE;
            if
            :: DEFECT == 2 -> subscriptions--
            :: else -> skip
            fi;
            carried[0] = (seen[3 * l] > carried[0] -> seen[3 * l] : carried[0]);
            carried[1] = (seen[3 * l + 1] > carried[1] -> seen[3 * l + 1] : carried[1]);
            carried[2] = (seen[3 * l + 2] > carried[2] -> seen[3 * l + 2] : carried[2]);
            post(a, ARRIVED, l, 0)
       :: what == ARRIVED ->
            assert(where == NOWHERE);
            where = l; owner = l; moving = false;
            if
            :: DEFECT == 2 -> subscriptions++
            :: else -> skip
            fi;
            if
            :: DEFECT != 1 -> read_gap(l)
            :: else -> skip
            fi
       fi;
       a = 0; n = 0 }
  :: atomic { waiting == l && !moving -> waiting = NOWHERE; try_claim(l) }
  od
}

init {
  byte l;
  atomic { run turn(0, inbox0); run turn(1, inbox1) }
  do
  :: atomic { last < MESSAGES ->
       select(l : 0 .. 2);
       last++; source[last] = l;
       if
       :: l < 2 -> post(l, COMMIT, 0, last)
       :: else -> post(0, FAN, 2, last)
       fi }
     if
     :: source[last] == 2 -> atomic { post(1, FAN, 2, last) }
     :: else -> skip
     fi
  :: atomic { connects < CONNECTS && (waiting == NOWHERE || DEFECT == 6) ->
       select(l : 0 .. 1);
       connects++;
       try_claim(l) }
  :: last == MESSAGES && connects == CONNECTS -> break
  od;
  /* all inboxes run empty */
  (empty(inbox0) && empty(inbox1) && !moving && waiting == NOWHERE);
  assert(taken[1] == 1 && taken[2] == 1 && taken[3] == 1 && taken[4] == 1)
}
