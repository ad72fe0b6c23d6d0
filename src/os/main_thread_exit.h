// A program may end its main thread with pthread_exit() and run on in other threads until the last
// of them ends. A thread of ours would be one more, and nobody would end it.
#pragma once

namespace corewise::os {

// Makes the main thread call the handler when it ends with pthread_exit(), not when the program
// exits. There is one handler. Does nothing if another thread calls it.
void at_main_thread_exit(void (*handler)());

// Whether a thread lives besides the calling one and the main one. False if /proc does not tell.
bool others_live();

}  // namespace corewise::os
