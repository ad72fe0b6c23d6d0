#include "module.h"

#include <elf.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "pools/describe.h"

namespace corewise::outside {
namespace {

// The most that a scan for a string constant reads of one module.
constexpr std::uint64_t kMostScanned = std::uint64_t{64} << 20;
constexpr std::size_t kLongestConstant = 256;

std::string hex(std::uintptr_t number) {
  std::array<char, 16> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, 16).ptr;
  return {text.data(), end};
}

// Opens the file of a mapping, the best source first: map_files leads to the very file even if it
// was deleted or lies in another mount namespace, but only a privileged user may follow it.
Result<elf::File> open_module(const MappedModule& module, const std::string& folder) {
  auto exact = elf::File::open(folder + "/map_files/" + hex(module.begin) + "-" + hex(module.end));
  if (exact || exact.error().status == CW_BAD_ELF) return exact;
  if (module.deleted) {
    return Error{CW_IO_ERROR, module.path + ": deleted or replaced since it was loaded"};
  }
  auto file = elf::File::open(folder + "/root" + module.path);
  if (file) return file;
  return Error{file.error().status,
               module.path + file.error().what.substr(file.error().what.rfind(": "))};
}

// The text in this part of the file that begins so, up to the next NUL; empty if there is none.
std::string find_text(const elf::File& file, const elf::File::Load& load, std::string_view wanted,
                      std::uint64_t& budget) {
  constexpr std::size_t kChunk = std::size_t{256} << 10;
  std::string chunk;
  for (std::uint64_t at = 0; at < load.file_size && budget > 0;) {
    const std::size_t n = static_cast<std::size_t>(
        std::min({std::uint64_t{kChunk} + kLongestConstant, load.file_size - at, budget}));
    chunk.resize(n);
    if (!file.read(load.address + at, chunk.data(), n)) return {};
    const std::size_t found = chunk.find(wanted);
    if (found != chunk.npos && (found < kChunk || n < kChunk)) {
      return chunk.substr(found, std::min(chunk.find('\0', found) - found, kLongestConstant));
    }
    at += std::min(n, kChunk);
    budget -= std::min(n, kChunk);
  }
  return {};
}

class OutsideView final : public ModuleView {
 public:
  OutsideView(const elf::Symbols& symbols, const elf::File* file, std::uintptr_t base,
              const Surroundings& around)
      : symbols_(symbols), file_(file), base_(base), around_(around) {}

  SymbolExtent variable(std::string_view name) const override {
    auto symbol = symbols_.find(name);
    if (!symbol && file_ != nullptr) symbol = file_->find_local(name);
    if (!symbol) return {};
    return {base_ + static_cast<std::uintptr_t>(symbol->value), symbol->size};
  }
  std::optional<std::uint64_t> number(std::uintptr_t address, std::size_t bytes) const override {
    std::uint64_t value = 0;
    if (address == 0 || bytes > sizeof value || !around_.memory.read(address, &value, bytes)) {
      return std::nullopt;
    }
    return value;
  }
  std::string constant(std::string_view beginning) const override {
    if (file_ == nullptr) return {};
    std::uint64_t budget = kMostScanned;
    // Constants have a segment of their own, except with old linkers, which put them with the code.
    for (const bool executable : {false, true}) {
      for (const elf::File::Load& load : file_->loads()) {
        if (load.writable || load.executable != executable) continue;
        std::string text = find_text(*file_, load, beginning, budget);
        if (!text.empty()) return text;
      }
    }
    return {};
  }
  std::string started_with(std::string_view name) const override {
    for (const std::string& entry : around_.environment) {
      if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
        return entry.substr(name.size() + 1);
      }
    }
    return {};
  }

 private:
  const elf::Symbols& symbols_;
  const elf::File* file_;
  std::uintptr_t base_;
  const Surroundings& around_;
};

Result<std::optional<OutsidePool>> see(const MappedModule& module, const elf::Symbols& symbols,
                                       const elf::File* file, std::uintptr_t base,
                                       const Surroundings& around) {
  const ModuleLookup lookup(module.path, base, symbols);
  OutsidePool seen;
  const Runtime* runtime = recognise(lookup, seen.pool.proof);
  if (runtime == nullptr) return std::optional<OutsidePool>();
  seen.pool.runtime = runtime;
  seen.pool.prefix = name_prefix(*runtime, lookup);
  seen.pool.path = seen.pool.loader_path = module.path;
  seen.pool.base = base;
  if (auto count = runtime->read_outside(seen.pool, OutsideView(symbols, file, base, around))) {
    seen.count = *std::move(count);
  }
  if (module.deleted) {
    seen.pool.detail += seen.pool.detail.empty() ? "" : "; ";
    seen.pool.detail += "its file was deleted or replaced since";
  }
  return std::optional<OutsidePool>(std::move(seen));
}

// The addresses in a module begin at its first segment's, which need not be 0.
std::uintptr_t bias_of(const MappedModule& module, std::uint64_t first_segment) {
  constexpr std::uint64_t kPage = 4096;
  return module.begin - static_cast<std::uintptr_t>(first_segment & ~(kPage - 1));
}

// Reads the module's image in memory, if we cannot open its file.
Result<std::optional<OutsidePool>> see_image(const MappedModule& module, const Surroundings& around,
                                             const Error& why_no_file) {
  Elf64_Ehdr header;
  if (!around.memory.read(module.begin, &header, sizeof header)) return why_no_file;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) {
    return why_no_file;
  }
  std::optional<std::uintptr_t> bias;
  std::uint64_t dynamic = 0;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr program;
    if (!around.memory.read(module.begin + header.e_phoff + i * sizeof program, &program,
                            sizeof program)) {
      return why_no_file;
    }
    if (program.p_type == PT_LOAD && !bias) bias = bias_of(module, program.p_vaddr);
    if (program.p_type == PT_DYNAMIC) dynamic = program.p_vaddr;
  }
  if (!bias || dynamic == 0) return why_no_file;
  const auto symbols = elf::Symbols::from_dynamic(around.memory, *bias + dynamic, *bias);
  if (!symbols) return Error{CW_BAD_ELF, module.path + ": " + symbols.error().what};
  return see(module, *symbols, nullptr, *bias, around);
}

}  // namespace

Memory::Memory(const std::string& recording) {
  std::string_view rest = recording;
  while (!rest.empty()) {
    const std::string_view line = cut(rest, '\n');
    std::uint64_t address = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), address, 16);
    if (error != std::errc{} || end == line.data() + line.size() || *end != ' ') continue;
    std::string& bytes = recorded_[address];
    for (const char* at = end + 1; line.data() + line.size() - at >= 2; at += 2) {
      unsigned byte = 0;
      std::from_chars(at, at + 2, byte, 16);
      bytes += static_cast<char>(byte);
    }
  }
}

bool Memory::read(std::uint64_t address, void* out, std::size_t n) const {
  if (pid_ == 0) {
    refused_ = recorded_.empty();
    auto part = recorded_.upper_bound(address);
    if (part == recorded_.begin()) return false;
    --part;
    const std::uint64_t within = address - part->first;
    if (within > part->second.size() || n > part->second.size() - within) return false;
    std::memcpy(out, part->second.data() + within, n);
    return true;
  }
  iovec to{out, n};
  iovec from{reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)), n};
  const ssize_t got = ::process_vm_readv(pid_, &to, 1, &from, 1, 0);
  if (got < 0 && (errno == EPERM || errno == ENOSYS)) refused_ = true;
  return got == static_cast<ssize_t>(n);
}

std::vector<MappedModule> modules_in(const std::vector<os::Mapping>& mappings) {
  struct SeenFile {
    MappedModule module;
    std::uint64_t code = 0;  // file offset of its first mapping with code
    bool listed = false;
  };
  std::map<std::string, SeenFile> files;
  std::vector<MappedModule> modules;
  for (const os::Mapping& mapping : mappings) {
    if (!mapping.path.starts_with('/') || mapping.path.starts_with("/memfd:") ||
        mapping.path.starts_with("/dev/") || mapping.path.starts_with("/SYSV")) {
      continue;
    }
    SeenFile& file = files[mapping.path];
    // A small library has its data in the first page too, so that offset 0 alone proves nothing:
    // a second copy begins where the same code is mapped again.
    if (mapping.offset == 0 && (!file.listed || !mapping.executable)) {
      if (!file.listed || file.module.end <= mapping.begin) {
        file.module = {mapping.path, mapping.begin, mapping.end, mapping.deleted};
      }
    }
    if (!mapping.executable) continue;
    if (mapping.offset == 0)
      file.module = {mapping.path, mapping.begin, mapping.end, mapping.deleted};
    if (file.module.path.empty() || (file.listed && mapping.offset != file.code)) continue;
    file.code = mapping.offset;
    file.listed = true;
    modules.push_back(file.module);
  }
  return modules;
}

Result<std::optional<OutsidePool>> read_module(const MappedModule& module,
                                               const Surroundings& around) {
  const auto file = open_module(module, around.folder);
  if (!file) return see_image(module, around, file.error());
  if (!file->is_dynamic()) return std::optional<OutsidePool>();
  const auto symbols = file->symbols();
  if (!symbols || file->loads().empty()) {
    return Error{CW_BAD_ELF,
                 module.path + ": " + (symbols ? "it has no segments" : symbols.error().what)};
  }
  const std::uintptr_t bias = bias_of(module, file->loads().front().address);
  return see(module, *symbols, &*file, bias, around);
}

}  // namespace corewise::outside
