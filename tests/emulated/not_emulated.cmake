# Unit tests that do not run under the emulator.
cmake_policy(VERSION 3.25)
set(COREWISE_NOT_EMULATED
  # They ask of the kernel what qemu-user answers itself, and wrongly. It makes up /proc/self/stat: a
  # process does not start when others see it start, so that each takes the others for dead. A budget
  # shared between processes is therefore not tested on arm64.
  "the child of a fork has a place of its own and cannot return its parent's grants"
  "a process whose first thread ended lives on in the others"
  "in a pid namespace without a /proc of its own, no living process is taken for a dead one"
  "who holds what: a process that runs, is stopped, has ended"
  "who is heavier gets more of what both want, and all where the other is content"
  # It has no seccomp, and does not pass limits of memory on.
  "limits and filters of the system"
  "a descriptor that cannot be identified is closed"
  "filters: one that the program installs is noticed"
  "filters: so is one that has a listener"
  "filters: so is one by the system call of prctl()"
  # Its programs load their libraries from another root than the one whose files they open.
  "a library that is not there, or is none, is an obstacle"
  "a caller without descriptors does not know, and takes the library for there"
  "a sandbox that forbids to open the library is an obstacle"
  # It has no openat2, without which nobody shares the machine with other users.
  "alone a user has the machine"
  "two users stay within the machine, and each has it back when the other ends"
  "what another user does not want is free, and three divide"
  "a user's own ledgers divide what is the user's"
  "nothing is published when the last region has ended"
  "a ledger whose place went to another one publishes no more"
  "and takes another place when it next looks, since it asks again"
  "a ledger takes an empty place before one that is forgotten"
  "a process that becomes another user's does not divide the machine with itself"
  "another user's page is read"
  "what is not plainly a user's page claims nothing, and nobody waits for it"
  "a file under a lease or another mount is not waited for"
  "a page that its owner truncates all the time kills nobody"
  "claims expire, and those of times to come are none"
  "held threads count while a process of that user lives and runs"
  "a liar gets a fair share"
  "a user's own page in a bad place: a finding, and no sharing"
  "no folder, no space, no file allowed"
  # The schedules: one thread tries every order of steps, of which the processor knows nothing, and
  # under the emulator that takes minutes.
  "two processes, four preemptions anywhere"
  "two processes, two preemptions and a death at any step"
  "three processes, two preemptions anywhere"
  "a reaper that stalls, two processes, two preemptions and a death at any step"
  "two processes, two preemptions and a stop at any step"
  "a reaper that stalls, two processes, a preemption and a stop at any step"
  "a reaper that stalls, a stop and a death at any step"
)
foreach(test IN LISTS COREWISE_NOT_EMULATED)
  if(test IN_LIST corewise_unit_TESTS)
    set_tests_properties("${test}" PROPERTIES DISABLED ON)
  endif()
endforeach()
