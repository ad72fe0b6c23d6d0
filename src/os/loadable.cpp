#include "loadable.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/symbol_hash.h"
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
#define COREWISE_TRIPLET "x86_64-linux-gnu"
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
#define COREWISE_TRIPLET "aarch64-linux-gnu"
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
  bool is_open() const noexcept { return file_.is_open(); }
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

// Calls visit(entry) for each entry of the dynamic segment.
template <class Visit>
void each_entry(const LoadableFile& file, const Elf64_Phdr& dynamic, Visit visit) noexcept {
  Elf64_Dyn entry;
  for (std::uint64_t at = 0; at + sizeof entry <= dynamic.p_filesz; at += sizeof entry) {
    if (!file.take(dynamic.p_offset + at, entry) || entry.d_tag == DT_NULL) return;
    visit(entry);
  }
}

// Whether the program itself links ASan's library, which insists on being first.
bool needs_sanitizer(const LoadableFile& file, const Elf64_Ehdr& header,
                     const Elf64_Phdr& dynamic) noexcept {
  std::array<std::uint64_t, 64> names{};
  std::size_t count = 0;
  std::uint64_t strings = 0;
  each_entry(file, dynamic, [&](const Elf64_Dyn& entry) {
    if (entry.d_tag == DT_STRTAB) strings = offset_of(file, header, entry.d_un.d_ptr);
    if (entry.d_tag == DT_NEEDED && count < names.size()) names[count++] = entry.d_un.d_val;
  });
  for (std::size_t i = 0; strings != 0 && i < count; ++i) {
    std::array<char, 32> name{};
    file.read(strings + names[i], name.data(), name.size() - 1);
    if (is_sanitizer(name.data())) return true;
  }
  return false;
}

// The linker puts MemorySanitizer into the program itself, so that no library tells of it.
constexpr std::string_view kMemorySanitizer = "__msan_init";

// A damaged table may have a chain without end; real ones have a handful of symbols.
constexpr std::uint32_t kMostInChain = 1024;

// Where a program's file has its dynamic symbols; zeros: nowhere.
struct SymbolTables {
  std::uint64_t strings = 0, symbols = 0, gnu_table = 0, elf_table = 0;
};

bool is_memory_sanitizer(const LoadableFile& file, const SymbolTables& tables,
                         std::uint32_t index) noexcept {
  Elf64_Sym symbol;
  if (!file.take(tables.symbols + std::uint64_t{index} * sizeof symbol, symbol)) return false;
  std::array<char, kMemorySanitizer.size() + 1> name{};
  if (symbol.st_shndx == SHN_UNDEF || !file.take(tables.strings + symbol.st_name, name)) {
    return false;
  }
  return name.back() == '\0' && std::string_view(name.data()) == kMemorySanitizer;
}

bool in_gnu_table(const LoadableFile& file, const SymbolTables& tables) noexcept {
  constexpr std::uint32_t kHash = gnu_hash(kMemorySanitizer);
  struct {
    std::uint32_t buckets, first, bloom_words, bloom_shift;
  } header;
  if (!file.take(tables.gnu_table, header) || header.buckets == 0) return false;
  const std::uint64_t buckets =
      tables.gnu_table + sizeof header + std::uint64_t{header.bloom_words} * sizeof(std::uint64_t);
  const std::uint64_t hashes = buckets + std::uint64_t{header.buckets} * sizeof(std::uint32_t);
  std::uint32_t index = 0;
  if (!file.take(buckets + std::uint64_t{kHash % header.buckets} * sizeof index, index)) {
    return false;
  }
  if (index < header.first) return false;
  for (std::uint32_t i = 0; i < kMostInChain; ++i, ++index) {
    std::uint32_t hash = 0;
    if (!file.take(hashes + std::uint64_t{index - header.first} * sizeof hash, hash)) return false;
    if ((hash | 1) == (kHash | 1) && is_memory_sanitizer(file, tables, index)) return true;
    if ((hash & 1) != 0) return false;
  }
  return false;
}

bool in_elf_table(const LoadableFile& file, const SymbolTables& tables) noexcept {
  struct {
    std::uint32_t buckets, chains;
  } header;
  if (!file.take(tables.elf_table, header) || header.buckets == 0) return false;
  const auto word = [&](std::uint64_t at, std::uint32_t& to) {
    return file.take(tables.elf_table + sizeof header + at * sizeof to, to);
  };
  std::uint32_t index = 0;
  if (!word(sysv_hash(kMemorySanitizer) % header.buckets, index)) return false;
  for (std::uint32_t i = 0; i < kMostInChain && index != 0; ++i) {
    if (is_memory_sanitizer(file, tables, index)) return true;
    if (!word(std::uint64_t{header.buckets} + index, index)) return false;
  }
  return false;
}

bool has_memory_sanitizer(const LoadableFile& file, const Elf64_Ehdr& header,
                          const Elf64_Phdr& dynamic) noexcept {
  SymbolTables found;
  each_entry(file, dynamic, [&](const Elf64_Dyn& entry) {
    const auto take = [&](std::uint64_t& to) { to = offset_of(file, header, entry.d_un.d_ptr); };
    if (entry.d_tag == DT_STRTAB) take(found.strings);
    if (entry.d_tag == DT_SYMTAB) take(found.symbols);
    if (entry.d_tag == DT_GNU_HASH) take(found.gnu_table);
    if (entry.d_tag == DT_HASH) take(found.elf_table);
  });
  if (found.strings == 0 || found.symbols == 0) return false;
  return found.gnu_table != 0 ? in_gnu_table(file, found)
                              : found.elf_table != 0 && in_elf_table(file, found);
}

bool is_for_this_machine(const Elf64_Ehdr& header) noexcept {
  constexpr int kData = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
         header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == kData &&
         header.e_machine == kMachine;
}

Obstacle sanitizer_in(const LoadableFile& file, const Elf64_Ehdr& header,
                      const Elf64_Phdr& dynamic) noexcept {
  if (has_memory_sanitizer(file, header, dynamic)) return Obstacle::msan;
  const bool is_first = needs_sanitizer(file, header, dynamic) && !sanitizer_may_be_second();
  return is_first ? Obstacle::sanitizer : Obstacle::none;
}

Obstacle obstacle_in(const LoadableFile& file, const Elf64_Ehdr& header, Line& loader) noexcept {
  if (!is_for_this_machine(header)) return Obstacle::other_machine;
  Obstacle sanitizer = Obstacle::none;
  any_segment(file, header, [&](const Elf64_Phdr& segment) {
    if (segment.p_type == PT_INTERP) {
      file.read(segment.p_offset, loader.data(),
                std::min<std::size_t>(segment.p_filesz, loader.size() - 1));
    }
    if (segment.p_type == PT_DYNAMIC) sanitizer = sanitizer_in(file, header, segment);
    return false;
  });
  if (loader[0] == '\0') return Obstacle::no_loader;
  if (own_loader[0] != '\0' && file_name(loader.data()) != own_loader.data()) {
    return Obstacle::other_library;
  }
  return sanitizer;
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

// Where a library's file says which versions it needs and has; zeros: nowhere.
struct VersionTables {
  std::uint64_t strings = 0, needed = 0, defined = 0;
};

VersionTables versions_in(const LoadableFile& file) noexcept {
  VersionTables found;
  Elf64_Ehdr header{};
  if (!file.take(0, header) || !is_for_this_machine(header)) return found;
  any_segment(file, header, [&](const Elf64_Phdr& segment) {
    if (segment.p_type != PT_DYNAMIC) return false;
    each_entry(file, segment, [&](const Elf64_Dyn& entry) {
      const auto take = [&](std::uint64_t& to) { to = offset_of(file, header, entry.d_un.d_ptr); };
      if (entry.d_tag == DT_STRTAB) take(found.strings);
      if (entry.d_tag == DT_VERNEED) take(found.needed);
      if (entry.d_tag == DT_VERDEF) take(found.defined);
    });
    return true;
  });
  return found;
}

// Of a linked list in a file; real ones have some 50 entries.
constexpr int kMostVersions = 1024;

// By the hash of its name, which is what the loader compares first.
bool has_version(const LoadableFile& file, const VersionTables& versions,
                 std::uint32_t hash) noexcept {
  Elf64_Verdef version;
  std::uint64_t at = versions.defined;
  for (int i = 0; at != 0 && i < kMostVersions && file.take(at, version); ++i) {
    if (version.vd_hash == hash) return true;
    if (version.vd_next == 0) return false;
    at += version.vd_next;
  }
  return false;
}

// Makes the path that of the folder with the file that it leads to, up to its last slash.
bool keep_folder(Line& path) noexcept {
  constexpr int kMostLinks = 40;  // as in the kernel
  for (int i = 0;; ++i) {
    const std::string_view text = path.data();
    const std::size_t folder = text.size() - file_name(text).size();
    Line link{};
    const ssize_t n = ::readlink(path.data(), link.data(), link.size());
    if (n <= 0) {
      std::fill(path.begin() + folder, path.end(), '\0');
      return true;
    }
    const auto size = static_cast<std::size_t>(n);
    const std::size_t start = link[0] == '/' ? 0 : folder;
    if (i == kMostLinks || start + size >= path.size()) return false;
    std::copy_n(link.begin(), size, path.begin() + start);
    path[start + size] = '\0';
  }
}

// Where loaders look that have no library of that name beside them, as in roots made by hand.
constexpr std::array<std::string_view, 6> kFolders{"/lib/" COREWISE_TRIPLET "/",
                                                   "/usr/lib/" COREWISE_TRIPLET "/",
                                                   "/lib64/",
                                                   "/usr/lib64/",
                                                   "/lib/",
                                                   "/usr/lib/"};

// The versions that a library needs of another one.
struct Needs {
  const LoadableFile& library;
  Elf64_Verneed of{};
  std::uint64_t first = 0;
};

enum class Has { all, not_all, no_file };

Has look_for(const Needs& needs, const char* path) noexcept {
  const LoadableFile file(path);
  const VersionTables versions = versions_in(file);
  if (versions.strings == 0) return Has::no_file;
  Elf64_Vernaux one;
  std::uint64_t at = needs.first;
  for (int i = 0; i < needs.of.vn_cnt && needs.library.take(at, one); ++i) {
    const bool may_lack = (one.vna_flags & VER_FLG_WEAK) != 0;
    if (!may_lack && !has_version(file, versions, one.vna_hash)) return Has::not_all;
    at += one.vna_next;
  }
  return Has::all;
}

// Looks beside the loader, at whose folder the path ends.
Has look_beside(const Needs& needs, std::uint64_t name, Line path) noexcept {
  const std::size_t folder = std::strlen(path.data());
  needs.library.read(name, path.data() + folder, path.size() - 1 - folder);
  const Has beside = look_for(needs, path.data());
  if (beside != Has::no_file) return beside;
  Has found = Has::no_file;
  for (const std::string_view other : kFolders) {
    path = {};
    std::ranges::copy(other, path.begin());
    needs.library.read(name, path.data() + other.size(), path.size() - 1 - other.size());
    const Has there = look_for(needs, path.data());
    // Which of them the loader takes is its list's decision: all must do.
    if (there == Has::not_all) return there;
    if (there == Has::all) found = there;
  }
  return found;
}

// Whether the C library of this loader has all that the library needs of it.
bool finds_what_it_needs(const LoadableFile& library, Line loader) noexcept {
  if (!keep_folder(loader)) return false;
  const VersionTables own = versions_in(library);
  Needs needs{library};
  std::uint64_t at = own.needed;
  for (int i = 0; at != 0 && i < kMostVersions && library.take(at, needs.of); ++i) {
    needs.first = at + needs.of.vn_aux;
    if (look_beside(needs, own.strings + needs.of.vn_file, loader) != Has::all) return false;
    if (needs.of.vn_next == 0) break;
    at += needs.of.vn_next;
  }
  return true;
}

Obstacle obstacle_in_library(const char* path, const Line& its_loader) noexcept {
  // Not open() alone: a process that changes its user may have capabilities until the exec, which
  // access() leaves out. Where its users differ, the loader takes no libraries from a path anyway.
  if (::access(path, R_OK) != 0) return Obstacle::no_library;
  const LoadableFile library(path);
  if (!library.is_open()) {
    // What is started has descriptors and memory of its own. It has the same sandbox.
    const bool is_mine = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    return is_mine ? Obstacle::none : Obstacle::no_library;
  }
  Elf64_Ehdr header{};
  if (!library.take(0, header) || !is_for_this_machine(header)) return Obstacle::no_library;
  if (its_loader[0] == '\0' || own_loader_file == FileId{}) return Obstacle::none;
  const FileId loader = LoadableFile(its_loader.data()).id();
  // Behind ours is our own C library. Without a loader the program does not start at all.
  if (loader == own_loader_file || loader == FileId{}) return Obstacle::none;
  return finds_what_it_needs(library, its_loader) ? Obstacle::none : Obstacle::older_library;
}

void find_in_program(const char* path, const char* const* words, Started& found) noexcept {
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

}  // namespace

void learn_own_loader() {
  const auto base = ::getauxval(AT_BASE);
  Dl_info at{};
  if (base == 0 || ::dladdr(reinterpret_cast<void*>(base), &at) == 0) return;
  const std::string_view name = at.dli_fname != nullptr ? file_name(at.dli_fname) : "";
  if (name.size() < own_loader.size()) std::ranges::copy(name, own_loader.begin());
  if (!name.empty()) own_loader_file = LoadableFile(at.dli_fname).id();
}

void find_obstacle(const char* path, const char* const* words, const char* library,
                   Started& found) noexcept {
  find_in_program(path, words, found);
  const bool loads = found.obstacle == Obstacle::none;
  if (library == nullptr || (!loads && found.obstacle != Obstacle::no_loader)) return;
  const Obstacle in_library = obstacle_in_library(library, found.loader);
  if (in_library != Obstacle::none) found.obstacle = in_library;
}

}  // namespace corewise::os
