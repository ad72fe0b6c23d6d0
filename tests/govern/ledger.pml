/* A model of src/govern/ledger/ledger_protocol.h, checked by tests/govern/run_spin.sh.
 *
 * P processes claim a place, take tokens and give them back, ROUNDS times each. Any of them may be
 * killed (and, the same to the ledger, replaced by exec) before any access to shared memory. A
 * killed one comes back once as another process, so that places are used again while a reaper that
 * stalled still means their former owner. STOPS of them are stopped before an access, and go on at
 * any later time. REAPERS processes reap at any time, stall anywhere, or never go on. Each access to a word is one step, as in the code; memory is sequentially
 * consistent, as the code asks of it.
 *
 * With PUBLIC each process publishes the sum after each change of its word, as
 * src/govern/ledger/public_sums.h does: when nobody is amid a change, the sum is exact, and what is
 * left over names a dead process. Whoever was stopped may have lost tokens, which is no change of
 * its own. MISTAKE leaves one part of that out, so that run_spin.sh sees the model turn red.
 *
 * Left out: the clock, recent callers, the count of used places (a sum reads all places here).
 *
 * Who holds what is kept in `held`, which the processes under test never read: the grants that
 * regions run with, as against what the words say. Who was ever stopped is left out: a reaper may
 * have taken its tokens, also those of a region begun since if the reaper stalled. Then the budget
 * is that of the others.
 */
#ifndef P
#define P 3
#endif
#ifndef BUDGET
#define BUDGET 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef REAPERS
#define REAPERS 1
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef PART
#define PART 1
#endif
#ifndef PUBLIC
#define PUBLIC 0
#endif
#ifndef MISTAKE
#define MISTAKE 0
#endif
#define NO_NUMBER 1
#define NO_RETRY 2
#define SUM_FIRST 3
#define PLACES P
#define IDS (P + DEATHS + 1)
#define NOBODY 0

/* A word: both halves are read and swapped together. */
byte owner[PLACES];
byte token[PLACES];

/* What others read: one word. */
byte said_owner;
byte said_token;
byte said_number;
byte changing; /* processes between a change and its publication */

bool dead[IDS];
bool stopped[IDS];
bool was_stopped[IDS];
byte held[IDS];
byte deaths;
byte stops;
byte running = P;
byte next_id = P + 1;

/* kill -9 here: the region ends with the process, its tokens stay in the word. Or SIGSTOP: this
 * step waits for Waker. */
#define MAY_DIE \
  if \
  :: deaths < DEATHS -> deaths++; dead[me] = true; held[me] = 0; goto killed \
  :: stops < STOPS -> \
     stops++; stopped[me] = true; was_stopped[me] = true; held[me] = 0; \
     !stopped[me] \
  :: true \
  fi

/* add(): never below zero. */
#define RETURN(less) token[place] = (token[place] >= (less) -> token[place] - (less) : 0)

/* total(): one load a step. */
inline look() {
  sum = 0; k = 0;
  do
  :: atomic { k < PLACES -> MAY_DIE; sum = sum + token[k]; k++ }
  :: atomic { k == PLACES -> k = 0; break }
  od
}

/* The sum of all words, and who holds some; the process itself if it does. */
inline add_all() {
  sum = 0; k = 0; by = NOBODY;
  do
  :: atomic {
       k < PLACES ->
       MAY_DIE;
       sum = sum + token[k];
       by = ((token[k] > 0 && by != me) -> owner[k] : by);
       k++
     }
  :: atomic { k == PLACES -> k = 0; break }
  od
}

/* publish() */
inline publish_sum() {
  do
  :: PUBLIC == 0 -> break
  :: PUBLIC == 1 ->
     if
     :: MISTAKE == SUM_FIRST -> add_all()
     :: else
     fi;
     atomic {
       MAY_DIE;
       seen_number = said_number; seen_owner = said_owner; seen_token = said_token
     }
     if
     :: MISTAKE != SUM_FIRST -> add_all()
     :: else
     fi;
     atomic {
       MAY_DIE;
       if
       :: seen_owner == said_owner && seen_token == said_token &&
          (seen_number == said_number || MISTAKE == NO_NUMBER) ->
          said_owner = by; said_token = sum; said_number++;
          by = 0; seen_number = 0; seen_owner = 0; seen_token = 0;
          changing--;
          check_said();
          break
       :: else ->
          if
          :: MISTAKE == NO_RETRY -> changing--; break
          :: else
          fi
       fi
     }
  od
}

inline check_said() {
  sum = 0; k = 0;
  do
  :: k < PLACES -> sum = sum + token[k]; k++
  :: k == PLACES -> break
  od;
  assert(changing > 0 || deaths > 0 || stops > 0 || said_token == sum);
  sum = 0; k = 0
}

/* Grants stay within the budget, but for regions that hold no more than their process's part (one,
 * where ranks do not lend) though nothing was free. */
inline check_budget() {
  sum = 0; k = 1; parts = 0;
  do
  :: k == IDS -> break
  :: k < IDS && held[k] <= PART -> parts = parts + held[k]; k++
  :: k < IDS && held[k] > PART -> sum = sum + held[k]; k++
  od;
  assert(sum <= BUDGET && sum + parts <= BUDGET + (P - 1) * PART);
  sum = 0; k = 0; parts = 0
}

proctype Process(byte me) {
  byte place, grant, k, round, sum, parts, by, seen_owner, seen_token, seen_number;

born:
  place = 0;
  do
  :: atomic {
       place < PLACES ->
       MAY_DIE;
       if
       :: owner[place] == NOBODY -> owner[place] = me; token[place] = 0; break
       :: else -> place++
       fi
     }
  :: atomic { place == PLACES -> place = 0; goto ended }
  od;

  do
  :: round == ROUNDS -> break
  :: round < ROUNDS ->
     look();
     atomic {
       MAY_DIE;
       grant = (sum + PART >= BUDGET -> PART : BUDGET - sum);
       sum = 0;
       /* Some want less than all. */
       if
       :: grant > PART -> grant--
       :: true
       fi;
       assert(owner[place] == me);
       token[place] = token[place] + grant;
       changing++
     }
     do
     :: grant == PART -> break
     :: grant > PART ->
        look();
        if
        :: atomic { sum <= BUDGET -> sum = 0; break }
        :: atomic {
             sum > BUDGET ->
             MAY_DIE;
             assert(owner[place] == me);
             sum = sum - BUDGET;
             sum = (sum >= grant -> 1 : grant - sum);
             sum = (sum > grant / 2 -> sum : grant / 2);
             sum = (sum > PART -> sum : PART);
             RETURN(grant - sum);
             grant = sum;
             sum = 0
           }
        fi
     od;
     publish_sum();
     atomic { held[me] = (was_stopped[me] -> 0 : grant); check_budget() }
     /* Here the region runs. */
     atomic { MAY_DIE; held[me] = 0 }
     atomic {
       MAY_DIE;
       assert(owner[place] == me && (token[place] >= grant || was_stopped[me]));
       RETURN(grant);
       grant = 0;
       changing++;
       round++
     }
     publish_sum()
  od;
  /* give_up() */
  atomic {
    MAY_DIE;
    assert(owner[place] == me && token[place] == 0);
    owner[place] = NOBODY
  }
  goto ended;

killed:
  /* Another process comes in its place. */
  atomic {
    me = next_id; next_id++;
    grant = 0; sum = 0; k = 0; round = 0;
    by = 0; seen_owner = 0; seen_token = 0; seen_number = 0
  }
  goto born;

ended:
  running--
}

/* reap(): a look at a word, a look at its owner, one swap. Between any two of them anything may
 * happen, and the reaper itself may go on no more. */
proctype Reaper() {
  byte place, seen_owner, seen_token;
  do
  :: atomic {
       place = 0;
       do
       :: place < PLACES - 1 -> place++
       :: break
       od;
       owner[place] != NOBODY ->
       seen_owner = owner[place]; seen_token = token[place]
     }
     if
     :: dead[seen_owner] ->
        atomic {
          if
          :: owner[place] == seen_owner && token[place] == seen_token ->
             owner[place] = NOBODY; token[place] = 0
          :: else
          fi;
          place = 0; seen_owner = 0; seen_token = 0
        }
     :: stopped[seen_owner] ->
        atomic {
          if
          :: owner[place] == seen_owner && token[place] == seen_token -> token[place] = 0
          :: else
          fi;
          place = 0; seen_owner = 0; seen_token = 0
        }
     :: atomic {
          !dead[seen_owner] && !stopped[seen_owner] -> place = 0; seen_owner = 0; seen_token = 0
        }
     fi
  :: running == 0 -> break
  :: true -> break
  od
}

/* SIGCONT, at any time. */
proctype Waker() {
  byte i;
  do
  :: atomic {
       i = 1;
       do
       :: i < IDS - 1 && !stopped[i] -> i++
       :: stopped[i] -> stopped[i] = false; break
       :: i == IDS - 1 && !stopped[i] -> break
       od;
       i = 0
     }
  :: running == 0 -> break
  od
}

/* When all have ended, one pass of one reaper leaves nothing behind. */
init {
  byte i;
  atomic {
    for (i : 1 .. P) { run Process(i) }
    if
    :: STOPS > 0 -> run Waker()
    :: else
    fi;
    i = 0;
    do
    :: i < REAPERS -> run Reaper(); i++
    :: else -> break
    od
  }
  running == 0;
  atomic {
    for (i : 0 .. PLACES - 1) {
      assert(owner[i] == NOBODY || dead[owner[i]]);
      assert(owner[i] != NOBODY || token[i] == 0)
    }
    assert(said_token == 0 || dead[said_owner])
  }
}
