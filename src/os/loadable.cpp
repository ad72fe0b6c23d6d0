#include "loadable.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/text.h"
#include "descriptor.h"

namespace corewise::os {
namespace {

using Line = std::array<char, Started::kLine>;

constexpr int kMostInterpreters = 5;  // as in the kernel

// Zeros: none.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};

#if defined(__x86_64__)
constexpr std::uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
#else
#error "which machine is this?"
#endif

// Only the file name: distributions put the loader into different folders. Empty: not known.
constinit Line own_loader{};
constinit FileId own_loader_file{};

class LoadableFile {
 public:
  explicit LoadableFile(const char* path) noexcept
      : file_(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  FileId id() const noexcept {
    struct stat status{};
    if (!file_.is_open() || ::fstat(file_.number(), &status) != 0) return {};
    return {status.st_dev, status.st_ino};
  }
  // Returns how many bytes it read.
  std::size_t read(std::uint64_t at, void* to, std::size_t size) const noexcept {
    const int fd = file_.number();
    const ssize_t n = fd < 0 ? 0 : ::pread(fd, to, size, static_cast<off_t>(at));
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }
  template <class T>
  bool take(std::uint64_t at, T& to) const noexcept {
    return read(at, &to, sizeof to) == sizeof to;
  }

 private:
  Descriptor file_;
};

// Calls visit(segment) until it returns true. Returns whether one call did.
template <class Visit>
bool any_segment(const LoadableFile& file, const Elf64_Ehdr& header, Visit visit) noexcept {
  constexpr std::uint16_t kMostSegments = 4096;
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return false;
  for (std::uint16_t i = 0; i < std::min(header.e_phnum, kMostSegments); ++i) {
    Elf64_Phdr segment;
    if (!file.take(header.e_phoff + i * sizeof segment, segment)) return false;
    if (visit(segment)) return true;
  }
  return false;
}

// The file offset of an address of the program; 0 if the file does not hold it.
std::uint64_t offset_of(const LoadableFile& file, const Elf64_Ehdr& header,
                        std::uint64_t address) noexcept {
  std::uint64_t offset = 0;
  any_segment(file, header, [&](const Elf64_Phdr& segment) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
        address - segment.p_vaddr >= segment.p_filesz) {
      return false;
    }
    offset = segment.p_offset + (address - segment.p_vaddr);
    return true;
  });
  return offset;
}

bool is_sanitizer(std::string_view library) noexcept {
  return library.starts_with("libasan.so") || library.starts_with("libclang_rt.asan");
}

// ASAN_OPTIONS can allow other libraries before ASan's, so that its checks and the governor work
// together.
bool sanitizer_may_be_second() noexcept {
  const char* const options = std::getenv("ASAN_OPTIONS");  // NOLINT(concurrency-mt-unsafe)
  return options != nullptr &&
         std::string_view(options).find("verify_asan_link_order=0") != std::string_view::npos;
}

// Whether the program itself links ASan's library, which insists on being first.
bool needs_sanitizer(const LoadableFile& file, const Elf64_Ehdr& header,
                     const Elf64_Phdr& dynamic) noexcept {
  std::array<std::uint64_t, 64> names{};
  std::size_t count = 0;
  std::uint64_t strings = 0;
  Elf64_Dyn entry;
  for (std::uint64_t at = 0; at + sizeof entry <= dynamic.p_filesz; at += sizeof entry) {
    if (!file.take(dynamic.p_offset + at, entry) || entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_STRTAB) strings = offset_of(file, header, entry.d_un.d_ptr);
    if (entry.d_tag == DT_NEEDED && count < names.size()) names[count++] = entry.d_un.d_val;
  }
  for (std::size_t i = 0; strings != 0 && i < count; ++i) {
    std::array<char, 32> name{};
    file.read(strings + names[i], name.data(), name.size() - 1);
    if (is_sanitizer(name.data())) return true;
  }
  return false;
}

Obstacle obstacle_in(const LoadableFile& file, const Elf64_Ehdr& header, Line& loader) noexcept {
  constexpr int kData = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != kData ||
      header.e_machine != kMachine) {
    return Obstacle::other_machine;
  }
  bool sanitized = false;
  any_segment(file, header, [&](const Elf64_Phdr& segment) {
    if (segment.p_type == PT_INTERP) {
      file.read(segment.p_offset, loader.data(),
                std::min<std::size_t>(segment.p_filesz, loader.size() - 1));
    }
    if (segment.p_type == PT_DYNAMIC) sanitized = needs_sanitizer(file, header, segment);
    return false;
  });
  if (loader[0] == '\0') return Obstacle::no_loader;
  if (own_loader[0] != '\0' && file_name(loader.data()) != own_loader.data()) {
    return Obstacle::other_library;
  }
  return sanitized && !sanitizer_may_be_second() ? Obstacle::sanitizer : Obstacle::none;
}

// The program that the loader is told to load: the first word that is no option of its own, nor the
// value of one. Null: none.
const char* program_for_loader(const char* const* words) noexcept {
  constexpr std::array<std::string_view, 7> kWithValue{"--library-path",
                                                       "--glibc-hwcaps-prepend",
                                                       "--glibc-hwcaps-mask",
                                                       "--inhibit-rpath",
                                                       "--audit",
                                                       "--preload",
                                                       "--argv0"};
  if (words == nullptr || *words == nullptr) return nullptr;
  for (++words; *words != nullptr && std::string_view(*words).starts_with("--"); ++words) {
    if (std::ranges::find(kWithValue, *words) != kWithValue.end() && words[1] != nullptr) ++words;
  }
  return *words;
}

Obstacle obstacle_to_loading(const char* program) noexcept {
  const LoadableFile file(program);
  Elf64_Ehdr header{};
  Line loader{};
  if (!file.take(0, header)) return Obstacle::none;
  const Obstacle found = obstacle_in(file, header, loader);
  const bool loads = found == Obstacle::no_loader || found == Obstacle::other_library;
  return loads ? Obstacle::none : found;
}

// A file without a loader may be one itself. Ours loads the program into this C library, whatever
// loader that asks for; another brings its own C library.
void search_behind_loader(const char* path, const LoadableFile& file, const char* const* words,
                          Started& found) noexcept {
  const std::string_view name = file_name(path);
  if (own_loader_file != FileId{} && file.id() == own_loader_file) {
    const char* const program = program_for_loader(words);
    found.obstacle = program != nullptr ? obstacle_to_loading(program) : Obstacle::none;
  } else if (name.starts_with("ld-") && name.find(".so") != name.npos) {
    found.obstacle = Obstacle::other_loader;
  }
}

// Reduces a script's first line to its interpreter, in place.
void keep_interpreter(Line& line) noexcept {
  std::string_view text(line.data() + 2);
  text = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  text = text.substr(0, text.find_first_of(" \t\r"));
  const std::size_t size = text.size();
  std::memmove(line.data(), text.data(), size);
  line[size] = '\0';
}

}  // namespace

void learn_own_loader() {
  const auto base = ::getauxval(AT_BASE);
  Dl_info at{};
  if (base == 0 || ::dladdr(reinterpret_cast<void*>(base), &at) == 0) return;
  const std::string_view name = at.dli_fname != nullptr ? file_name(at.dli_fname) : "";
  if (name.size() < own_loader.size()) std::ranges::copy(name, own_loader.begin());
  if (!name.empty()) own_loader_file = LoadableFile(at.dli_fname).id();
}

void find_obstacle(const char* path, const char* const* words, Started& found) noexcept {
  found = {};
  for (int depth = 0; depth <= kMostInterpreters; ++depth) {
    const LoadableFile file(depth == 0 ? path : found.interpreter.data());
    Line line{};
    const std::size_t size = file.read(0, line.data(), line.size() - 1);
    if (size == 0) return;
    if (size >= SELFMAG && std::memcmp(line.data(), ELFMAG, SELFMAG) == 0) {
      found.is_program = depth == 0;
      Elf64_Ehdr header{};
      found.obstacle =
          file.take(0, header) ? obstacle_in(file, header, found.loader) : Obstacle::other_machine;
      if (found.obstacle == Obstacle::no_loader && depth == 0)
        search_behind_loader(path, file, words, found);
      return;
    }
    if (line[0] == '#' && line[1] == '!') {
      keep_interpreter(line);
      found.interpreter = line;
    } else {
      constexpr std::string_view kShell = "/bin/sh";
      found.interpreter = {};
      std::ranges::copy(kShell, found.interpreter.begin());
    }
  }
}

}  // namespace corewise::os
