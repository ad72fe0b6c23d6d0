#include "long_spin.h"

#include <atomic>

namespace corewise::govern::long_spin {
namespace {

constinit std::atomic<const SpinWord*> holder{nullptr};

void shorten(const SpinWord& word) { word.exchange(word.long_spin, word.brief); }

}  // namespace

void allow(const SpinWord& word) {
  if (word.long_spin <= word.brief) return end();
  if (holder.load(std::memory_order_relaxed) != &word) {
    const SpinWord* const before = holder.exchange(&word);
    if (before != nullptr && before != &word) shorten(*before);
  }
  if (word.load() == word.long_spin || !word.exchange(word.brief, word.long_spin)) return;
  // A thread that became the holder meanwhile may have read the word before this.
  if (holder.load() != &word) shorten(word);
}

void end() {
  if (holder.load(std::memory_order_relaxed) == nullptr) return;
  if (const SpinWord* const before = holder.exchange(nullptr)) shorten(*before);
}

}  // namespace corewise::govern::long_spin
