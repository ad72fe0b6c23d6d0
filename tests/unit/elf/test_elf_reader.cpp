#include <doctest/doctest.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "elf/elf_reader.h"
#include "pools/discover.h"

using namespace corewise;

namespace {

constexpr const char* kStub = COREWISE_STUBS "/libopenblas.so";

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A file in memory, rewritten for each case.
class Scratch {
 public:
  Scratch() : fd_(memfd_create("module", 0)), path_("/proc/self/fd/" + std::to_string(fd_)) {}
  ~Scratch() { close(fd_); }
  const std::string& with(std::string_view bytes) {
    REQUIRE(ftruncate(fd_, 0) == 0);
    REQUIRE(pwrite(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    return path_;
  }
  void cut(std::size_t length) { REQUIRE(ftruncate(fd_, static_cast<off_t>(length)) == 0); }

 private:
  int fd_;
  std::string path_;
};

// Asks everything that can be asked; what is answered does not matter, that it ends does.
bool ask_everything(const std::string& path) {
  const auto file = elf::File::open(path);
  if (!file) return false;
  (void)file->find_local("count");
  const auto symbols = file->symbols();
  if (!symbols) return false;
  (void)symbols->soname();
  (void)symbols->imported("strncpy");
  return symbols->find("openblas_get_num_threads").has_value();
}

}  // namespace

TEST_CASE("a module on disk") {
  const auto file = elf::File::open(kStub);
  REQUIRE(file);
  const auto symbols = file->symbols();
  REQUIRE(symbols);
  CHECK(symbols->soname() == "libopenblas.so");
  const auto found = symbols->find("openblas_get_num_threads");
  REQUIRE(found);
  CHECK(found->function);
  CHECK(found->size > 0);
  CHECK_FALSE(symbols->find("openblas_get_num_thread"));
  CHECK_FALSE(symbols->find("openblas_get_num_threads64_"));
  CHECK_FALSE(symbols->find(""));
  CHECK_FALSE(symbols->find(std::string(5000, 'x')));
  // The local variable, which only .symtab knows.
  CHECK_FALSE(symbols->find("count"));
  const auto local = file->find_local("count");
  REQUIRE(local);
  CHECK_FALSE(local->function);
  CHECK_FALSE(file->find_local("no_such_name"));
}

TEST_CASE("file and memory agree about every exported name") {
  std::size_t modules_read = 0, names_found = 0;
  for (const os::LoadedModule& module : modules()) {
    const auto file = elf::File::open(module.path);
    if (!file) continue;  // the vDSO has no file
    const elf::LiveSymbols live(module);
    const auto disk = file->symbols();
    REQUIRE(live);
    REQUIRE(disk);
    ++modules_read;
    CHECK(live->soname() == disk->soname());
    for (const char* name : {"malloc", "free", "cos", "pthread_create", "__cxa_throw", "dlopen",
                             "_Unwind_Resume", "main", "corewise_no_such"}) {
      const auto a = live->find(name), b = disk->find(name);
      REQUIRE(a.has_value() == b.has_value());
      if (!a) continue;
      ++names_found;
      CHECK(a->value == b->value);
      CHECK(a->size == b->size);
    }
  }
  CHECK(modules_read > 3);
  CHECK(names_found > 4);
}

TEST_CASE("what is no module is refused with its reason") {
  Scratch scratch;
  const auto why = [](const std::string& path) {
    const auto file = elf::File::open(path);
    REQUIRE_FALSE(file);
    return file.error();
  };
  CHECK(why("/no/such/file").status == CW_IO_ERROR);
  CHECK(why("/").status == CW_BAD_ELF);
  CHECK(why("/dev/zero").what.find("not a regular file") != std::string::npos);
  CHECK(why(scratch.with("")).what.find("shorter than") != std::string::npos);
  CHECK(why(scratch.with(std::string(200, 'x'))).what.find("not an ELF") != std::string::npos);
  std::string other = read(kStub);
  other[EI_CLASS] = ELFCLASS32;
  CHECK(why(scratch.with(other)).what.find("64-bit") != std::string::npos);
}

TEST_CASE("a file cut short at every length") {
  const std::string whole = read(kStub);
  REQUIRE(ask_everything(kStub));
  Scratch scratch;
  const std::string& path = scratch.with(whole);
  std::size_t found = 0;
  for (std::size_t length = whole.size(); length-- > 0;) {
    scratch.cut(length);
    found += ask_everything(path);
  }
  // Section headers come last, and finding exported names does not need them.
  CHECK(found > 0);
  CHECK(found < whole.size() * 9 / 10);
}

TEST_CASE("random bytes flipped") {
  const std::string whole = read(kStub);
  std::mt19937 random(7);
  Scratch scratch;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = whole;
    const unsigned flips = 1 + random() % 16;
    for (unsigned i = 0; i < flips; ++i) {
      // Half of them where the headers and tables are.
      const std::size_t reach = random() % 2 != 0 ? bytes.size() : 2048;
      bytes[random() % reach] = static_cast<char>(random());
    }
    (void)ask_everything(scratch.with(bytes));
  }
}

TEST_CASE("a hash chain without end stops") {
  std::string bytes = read(kStub);
  const auto file = elf::File::open(kStub);
  REQUIRE(file);
  // Every chain entry is made to say that another follows.
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    std::memcpy(&section, bytes.data() + header.e_shoff + i * sizeof section, sizeof section);
    if (section.sh_type != SHT_GNU_HASH) continue;
    std::uint32_t counts[3];
    std::memcpy(counts, bytes.data() + section.sh_offset, sizeof counts);
    const std::size_t chains = section.sh_offset + 16 + 8 * counts[2] + 4 * counts[0];
    for (std::size_t at = chains; at < section.sh_offset + section.sh_size; at += 4) {
      bytes[at] = static_cast<char>(bytes[at] & ~1);
    }
  }
  // And the file goes on for long after them.
  bytes.resize(64u << 20, '\2');
  Scratch scratch;
  const auto hostile = elf::File::open(scratch.with(bytes));
  REQUIRE(hostile);
  const auto symbols = hostile->symbols();
  REQUIRE(symbols);
  for (int i = 0; i < 100; ++i) (void)symbols->find("absent" + std::to_string(i));
}

TEST_CASE("a symbol table named by every section header is read once") {
  std::string bytes(64, '\0');
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_shoff = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 0xffff;
  std::memcpy(bytes.data(), &header, sizeof header);
  Elf64_Shdr section{};
  section.sh_type = SHT_SYMTAB;
  section.sh_size = 4u << 20;
  for (int i = 0; i < 0xffff; ++i) {
    bytes.append(reinterpret_cast<const char*>(&section), sizeof section);
  }
  Scratch scratch;
  const auto file = elf::File::open(scratch.with(bytes));
  REQUIRE(file);
  CHECK_FALSE(file->find_local("x"));
}

TEST_CASE("where a call to another module goes") {
  const auto file = elf::File::open(COREWISE_STUBS "/libopenblas-openmp.so");
  REQUIRE(file);
  const auto symbols = file->symbols();
  REQUIRE(symbols);
  CHECK(symbols->imported("omp_get_max_threads"));
  CHECK(symbols->imported("omp_set_num_threads"));
  CHECK_FALSE(symbols->imported("omp_get_thread_limit"));
}

TEST_CASE("the version of a function that a module calls") {
  const auto version = [](const char* path, const char* function) -> std::string {
    const auto file = elf::File::open(path);
    REQUIRE(file);
    const auto symbols = file->symbols();
    REQUIRE(symbols);
    const auto entry = symbols->imported(function);
    REQUIRE(entry);
    return entry->version;
  };
  // std::terminate(): no sanitizer has one of its own.
  CHECK(version("/proc/self/exe", "_ZSt9terminatev").starts_with("GLIBCXX_"));
  // It was linked with a library that has no versions.
  CHECK(version(COREWISE_STUBS "/libopenblas-openmp.so", "omp_get_max_threads").empty());
}

TEST_CASE("a call that goes through the GOT alone") {
  for (const char* path :
       {COREWISE_STUBS "/libopenblas-noplt.so", COREWISE_STUBS "/openmp-program"}) {
    INFO(path);
    const auto file = elf::File::open(path);
    REQUIRE(file);
    const auto symbols = file->symbols();
    REQUIRE(symbols);
    CHECK(symbols->imported("omp_get_max_threads"));
    CHECK_FALSE(symbols->imported("omp_get_thread_limit"));
  }
}
