// A program may end its main thread by pthread_exit() and live on in others, and ends with the last
// of them. A thread of ours would be one more that nobody ends.
#pragma once

namespace corewise::os {

// Calls the handler when the main thread ends so, in that thread; not when the program exits. There
// is one handler. In any other thread this does nothing.
void at_main_thread_exit(void (*handler)());

// Whether a thread lives beside the calling one and the main one. False where /proc does not tell.
bool others_live();

}  // namespace corewise::os
