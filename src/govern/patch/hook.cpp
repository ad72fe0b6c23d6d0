#include "hook.h"

#include <cstring>
#include <utility>

namespace corewise::govern {

const code::Architecture* code::native() {
#if defined(__x86_64__)
  return &kX86_64;
#elif defined(__aarch64__)
  return &kAarch64;
#else
  return nullptr;
#endif
}

Result<EntryHook> EntryHook::prepare(const EntryRequest& request) {
  const auto refuse = [&](const Error& error) {
    return Error{error.status, request.name + " is left alone: " + error.what};
  };
  const auto* machine = code::native();
  if (machine == nullptr) {
    return refuse({CW_NOT_AVAILABLE, "no machine code is known for this kind of processor"});
  }
  Mappings mappings;
  if (mappings.error()) return refuse(*mappings.error());
  // Every aligned word that the function touches.
  const std::uintptr_t begin = request.address & ~std::uintptr_t{15};
  const std::uintptr_t end = (request.address + request.size + 15) & ~std::uintptr_t{15};
  const auto rights = mappings.rights(begin, end - begin);
  if (request.size == 0 || !rights || !rights->executable() || !rights->readable()) {
    return refuse({CW_NOT_AVAILABLE, "its code is not where its symbol says"});
  }
  const code::Function function{
      request.address,
      {reinterpret_cast<const std::uint8_t*>(request.address), request.size},
      request.arguments};
  const Result<code::JumpSite> site = machine->find_site(function);
  if (!site) return refuse(site.error());
  const int argument = request.context != nullptr ? request.arguments : -1;
  const auto enter = machine->enter(site->undo, argument, request.context, request.replacement);
  if (!enter) return refuse(enter.error());
  // On one page: the code that the jump leads to, and behind it the way into the original function.
  const std::size_t second = (enter->size() + 15) / 16 * 16;
  const auto page = place_code(request.address, machine->reach,
                               [&](std::uintptr_t at) -> Result<code::CodeBytes> {
                                 code::CodeBytes bytes = *enter;
                                 bytes.resize(second);
                                 const auto resume = machine->resume(function, *site, at + second);
                                 if (!resume) return resume.error();
                                 bytes.insert(bytes.end(), resume->begin(), resume->end());
                                 return bytes;
                               });
  if (!page) return refuse(page.error());

  EntryHook entry;
  entry.name_ = request.name;
  entry.original_ = *page + second;
  const std::uintptr_t replaced = request.address + site->offset;
  entry.patch_.at = replaced & ~std::uintptr_t{site->width - 1};
  entry.patch_.width = site->width;
  std::memcpy(entry.patch_.before.bytes.data(), reinterpret_cast<void*>(entry.patch_.at),
              site->width);
  entry.patch_.after = entry.patch_.before;
  const code::CodeBytes jump = machine->jump(replaced, *page);
  std::memcpy(entry.patch_.after.bytes.data() + (replaced - entry.patch_.at), jump.data(),
              jump.size());
  return entry;
}

std::optional<Error> EntryHook::swap(Way way) {
  auto error = exchange(patch_, way);
  if (error) error->what = name_ + " is left alone: " + error->what;
  return error;
}

}  // namespace corewise::govern
