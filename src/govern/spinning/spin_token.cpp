#include "spin_token.h"

#include <atomic>

namespace corewise::govern::spin_token {
namespace {

constinit std::atomic<const SpinWord*> holder{nullptr};

void shorten(const SpinWord& word) { word.exchange(word.patient, word.brief); }

}  // namespace

void take(const SpinWord& word) {
  if (word.patient <= word.brief) return give_up();
  if (holder.load(std::memory_order_relaxed) != &word) {
    const SpinWord* const before = holder.exchange(&word);
    if (before != nullptr && before != &word) shorten(*before);
  }
  if (word.load() == word.patient || !word.exchange(word.brief, word.patient)) return;
  // A thread that took the token meanwhile may have read the word before this.
  if (holder.load() != &word) shorten(word);
}

void give_up() {
  if (holder.load(std::memory_order_relaxed) == nullptr) return;
  if (const SpinWord* const before = holder.exchange(nullptr)) shorten(*before);
}

}  // namespace corewise::govern::spin_token
