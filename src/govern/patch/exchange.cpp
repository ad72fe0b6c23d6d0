#include "exchange.h"

#include <atomic>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "os/fork.h"

namespace corewise::govern {
namespace {

// A sealed page with the code for one hook, kept for good.
struct Page {
  std::uintptr_t near = 0;
  std::uintptr_t at = 0;
  code::CodeBytes bytes;
};

std::deque<Page>& pages() {
  // Never destroyed: hooks outlive static destructors.
  static auto* all = new std::deque<Page>;
  return *all;
}

bool exchange_word(const Patch& patch, const code::CodeWord& from, const code::CodeWord& to) {
  if (patch.width == 16) {
    const auto* machine = code::native();
    return machine != nullptr && machine->exchange16 != nullptr &&
           machine->exchange16(patch.at, from, to);
  }
  std::uint64_t expected = 0;
  std::uint64_t desired = 0;
  std::memcpy(&expected, from.bytes.data(), sizeof expected);
  std::memcpy(&desired, to.bytes.data(), sizeof desired);
  return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(patch.at))
      .compare_exchange_strong(expected, desired);
}

std::string refusal(int error) {
  return "the system does not let its memory be changed" + os::refused_by(error);
}

}  // namespace

os::ForkLock& hook_lock() { return os::fork_lock(os::ForkRank::kHooks); }

namespace {
constinit thread_local KeptMappings* kept_mappings = nullptr;
}

KeptMappings::KeptMappings() : outer_(std::exchange(kept_mappings, this)) {
  if (outer_ != nullptr) space_ = outer_->space_;
}

KeptMappings::~KeptMappings() { kept_mappings = outer_; }

Mappings::Mappings() {
  if (kept_mappings != nullptr) space_ = kept_mappings->space_;
  const bool can_ask = static_cast<bool>(os::ask_rights(reinterpret_cast<std::uintptr_t>(this), 1));
  if (space_ == nullptr && !can_ask) reread();
}

void Mappings::reread() {
  fresh_ = true;
  auto space = os::AddressSpace::read();
  if (!space) {
    error_ = space.error();
    return;
  }
  space_ = std::make_shared<const os::AddressSpace>(std::move(*space));
  if (kept_mappings != nullptr) kept_mappings->space_ = space_;
}

std::optional<os::Rights> Mappings::rights(std::uintptr_t at, std::size_t size) {
  if (const auto asked = os::ask_rights(at, size)) return *asked;
  if (space_ == nullptr && !fresh_) reread();
  if (error_) return std::nullopt;
  const auto seen = space_->rights(at, size);
  if (seen || fresh_) return seen;
  reread();
  return error_ ? std::nullopt : space_->rights(at, size);
}

std::optional<os::Rights> Mappings::rights_now(std::uintptr_t at, std::size_t size) {
  if (const auto asked = os::ask_rights(at, size)) return *asked;
  if (!fresh_) reread();
  return error_ ? std::nullopt : space_->rights(at, size);
}

std::optional<Error> exchange_locked(const Patch& patch, Way way, Mappings& mappings) {
  const code::CodeWord& from = way == Way::install ? patch.before : patch.after;
  const code::CodeWord& to = way == Way::install ? patch.after : patch.before;
  auto rights = mappings.rights(patch.at, patch.width);
  // The loader may have closed it since, and then it should not stay open. (It may still do so
  // between this look and the next line.)
  if (rights && rights->writable() && patch.relro) {
    rights = mappings.rights_now(patch.at, patch.width);
  }
  if (mappings.error()) return Error{CW_NOT_PERMITTED, mappings.error()->what};
  if (!rights) return Error{CW_NOT_AVAILABLE, "its module is no longer loaded"};
  // Even if it was writable when we looked: the loader protects it once everything is bound.
  const int error = os::set_rights(patch.at, patch.width, *rights, true);
  if (error != 0 && !rights->writable()) return Error{CW_NOT_PERMITTED, refusal(error)};
  const bool done = exchange_word(patch, from, to);
  if (!rights->writable()) os::set_rights(patch.at, patch.width, *rights, false);
  if (!done) return Error{CW_NOT_AVAILABLE, "it no longer holds what was found there"};
  if (rights->executable()) os::code_changed(patch.at, patch.width);
  return std::nullopt;
}

std::optional<Error> exchange(const Patch& patch, Way way) {
  const std::lock_guard lock(hook_lock());
  Mappings mappings;
  if (mappings.error()) return mappings.error();
  return exchange_locked(patch, way, mappings);
}

Result<std::uintptr_t> place_code(std::uintptr_t near, std::uintptr_t reach,
                                  const CodeAt& code_at) {
  const std::lock_guard lock(hook_lock());
  for (const Page& page : pages()) {
    if (page.near != near) continue;
    const Result<code::CodeBytes> bytes = code_at(page.at);
    if (bytes && *bytes == page.bytes) return page.at;
  }
  std::vector<std::uintptr_t> candidates;
  if (reach != 0) {
    const auto space = os::AddressSpace::read();
    if (!space) return space.error();
    candidates = space->gaps(near, reach, os::page_size());
    if (candidates.empty()) return Error{CW_NOT_AVAILABLE, "no memory is free near it"};
  }
  const Result<std::uintptr_t> page = os::map_page(candidates);
  if (!page) return page.error();
  Result<code::CodeBytes> bytes = code_at(*page);
  if (bytes && bytes->size() > os::page_size()) {
    bytes = Error{CW_INTERNAL, "its code does not fit into a page"};
  }
  if (!bytes) {
    os::unmap_page(*page);
    return bytes.error();
  }
  std::memcpy(reinterpret_cast<void*>(*page), bytes->data(), bytes->size());
  if (auto error = os::seal_page(*page)) {
    os::unmap_page(*page);
    return *error;
  }
  pages().push_back({near, *page, *std::move(bytes)});
  return *page;
}

}  // namespace corewise::govern
