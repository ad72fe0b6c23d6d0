// Threads of ours, and handlers that run when a thread ends. Program exit does not call them.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdint>
#include <optional>

namespace corewise::os {

// What we keep of each thread in one byte: on aarch64 each thread-local variable takes eight, and
// libraries that are loaded later share what is left of the static TLS.
struct ThreadFlags {
  bool is_closing : 1 = false;    // it is inside a dlclose() of ours
  bool is_amid_call : 1 = false;  // pools/pool.h, AmidCall
  bool is_ours : 1 = false;       // pools/pool.h, OwnThread
};
[[gnu::tls_model("initial-exec")]] extern constinit thread_local ThreadFlags thread_flags;

// Starts a thread of ours, on a small stack and with all signals blocked: the program's handlers
// run on its own threads. 0, or why the system refuses (an errno).
int start_own_thread(pthread_t& thread, void* (*run)(void*), void* argument) noexcept;

// Calls it in the main thread, before any other is started: on a stack of ours where that of a
// main thread is small. Nothing may be thrown out of it.
void run_with_room(void (*run)()) noexcept;

// Sends the calling thread this signal, with all that is known of it. For signal handlers.
bool queue_to_itself(const siginfo_t& info) noexcept;

// Waits until another thread calls one of the next two, but not longer than `most_ms` (below 0: for
// ever); not at all if the word does not hold `value`. May return for no reason. By a futex alone.
void wait_at(const std::atomic<std::uint32_t>& word, std::uint32_t value, int most_ms) noexcept;
void wake_one(const std::atomic<std::uint32_t>& word) noexcept;
void wake_all(const std::atomic<std::uint32_t>& word) noexcept;

// Calls handler when the calling thread ends, after its thread-local objects are gone. There is one
// handler; setting it again in the same thread changes nothing.
void at_thread_exit(void (*handler)());

// A program may end its main thread with pthread_exit() and run on in other threads until the last
// of them ends. A thread of ours would be one more, and nobody would end it. So this makes the main
// thread call the handler when it ends that way. There is one handler. Does nothing if another
// thread calls it.
void at_main_thread_exit(void (*handler)());

// Whether a thread lives besides the calling one and the main one. False if /proc does not tell.
bool others_live();

// Apart for tests: a key whose value is a handler; none if the process has used up its keys.
std::optional<pthread_key_t> new_exit_key();
// Without a key nothing is called.
void set_handler(std::optional<pthread_key_t> key, void (*handler)());

}  // namespace corewise::os
