// A hook reads files where the program's own call would not. open(), read() and close() are
// cancellation points: a thread with a pending pthread_cancel() would end there, in the middle of a
// call that never ends a thread, and unwind through frames that let nothing pass.
#pragma once

#include <pthread.h>

namespace corewise::os {

// While the object lives nobody can cancel the calling thread; a request waits for the thread's
// next cancellation point.
class Uncancelled {
 public:
  Uncancelled() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~Uncancelled() { pthread_setcancelstate(before_, nullptr); }
  Uncancelled(const Uncancelled&) = delete;
  Uncancelled& operator=(const Uncancelled&) = delete;

  // While the object lives the thread runs the program's own code, which finds the state that it
  // left, and may change it.
  class Program {
   public:
    explicit Program(Uncancelled& outer) : outer_(outer) {
      pthread_setcancelstate(outer_.before_, nullptr);
    }
    ~Program() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &outer_.before_); }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

   private:
    Uncancelled& outer_;
  };

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

}  // namespace corewise::os
