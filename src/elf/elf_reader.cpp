#include "elf_reader.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/symbol_hash.h"

namespace corewise::elf {
namespace {

// Longest hash chain, longest symbol name and most relocations worth following. Linkers make chains
// of a few symbols; a hostile file could make each step a read of its own.
constexpr std::uint32_t kMostChain = 1u << 12;
constexpr std::uint64_t kMostRelocations = 1u << 20;

Error bad(std::string what) { return {CW_BAD_ELF, std::move(what)}; }

bool usable(const Elf64_Sym& symbol) {
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  return symbol.st_shndx != SHN_UNDEF && symbol.st_value != 0 &&
         (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE);
}

Symbol to_symbol(const Elf64_Sym& symbol) {
  return {symbol.st_value, symbol.st_size, ELF64_ST_TYPE(symbol.st_info) == STT_FUNC};
}

}  // namespace

Result<Symbols> Symbols::from_dynamic(const Bytes& bytes, std::uint64_t dynamic,
                                      std::uint64_t bias) {
  Symbols s;
  s.bytes_ = &bytes;
  auto tables = read_dynamic(bytes, dynamic, bias);
  if (!tables) return tables.error();
  s.tables_ = *tables;
  if (s.tables_.symbols == 0 || s.tables_.strings.address == 0)
    return bad("it has no dynamic symbols");
  if (s.tables_.gnu_hash != 0) {
    std::uint32_t header[4];
    if (!bytes.read(s.tables_.gnu_hash, header, sizeof header))
      return bad("its hash table is cut short");
    s.buckets_ = header[0];
    s.symoffset_ = header[1];
    s.bloom_words_ = header[2];
    s.bloom_shift_ = header[3];
    const bool power_of_two = s.bloom_words_ != 0 && (s.bloom_words_ & (s.bloom_words_ - 1)) == 0;
    if (!power_of_two || s.bloom_shift_ > 31) return bad("its hash table is inconsistent");
  } else if (s.tables_.sysv_hash != 0) {
    std::uint32_t header[2];
    if (!bytes.read(s.tables_.sysv_hash, header, sizeof header))
      return bad("its hash table is cut short");
    s.buckets_ = header[0];
    s.chains_ = header[1];
  } else {
    return bad("it has no symbol hash table");
  }
  return s;
}

bool Symbols::read_string_equals(std::uint64_t offset, std::string_view name) const {
  if (offset >= tables_.strings.size || name.size() + 1 > tables_.strings.size - offset ||
      name.size() > kLongestName) {
    return false;
  }
  char found[kLongestName + 1];
  return bytes_->read(tables_.strings.address + offset, found, name.size() + 1) &&
         std::memcmp(found, name.data(), name.size()) == 0 && found[name.size()] == '\0';
}

std::optional<Symbol> Symbols::symbol_at(std::uint32_t index, std::string_view name) const {
  Elf64_Sym symbol;
  if (!read(tables_.symbols + std::uint64_t{index} * sizeof symbol, symbol) || !usable(symbol) ||
      !read_string_equals(symbol.st_name, name)) {
    return std::nullopt;
  }
  Symbol found = to_symbol(symbol);
  found.number = index;
  return found;
}

bool Symbols::has_version(const Symbol& symbol) const {
  return is_versioned(*bytes_, tables_, symbol.number);
}

std::optional<Symbol> Symbols::find(std::string_view name) const {
  if (buckets_ == 0) return std::nullopt;
  return tables_.gnu_hash != 0 ? find_gnu(name) : find_sysv(name);
}

std::optional<Symbol> Symbols::find_gnu(std::string_view name) const {
  const std::uint32_t hash = gnu_hash(name);
  const std::uint64_t bloom = tables_.gnu_hash + 16;
  std::uint64_t word;
  if (!read(bloom + 8 * std::uint64_t{(hash / 64) & (bloom_words_ - 1)}, word)) return std::nullopt;
  const std::uint64_t both =
      (std::uint64_t{1} << (hash % 64)) | (std::uint64_t{1} << ((hash >> bloom_shift_) % 64));
  if ((word & both) != both) return std::nullopt;

  const std::uint64_t buckets = bloom + 8 * std::uint64_t{bloom_words_};
  std::uint32_t index;
  if (!read(buckets + 4 * std::uint64_t{hash % buckets_}, index)) return std::nullopt;
  if (index < symoffset_) return std::nullopt;
  const std::uint64_t chains = buckets + 4 * std::uint64_t{buckets_};
  for (std::uint32_t step = 0; step < kMostChain; ++step, ++index) {
    std::uint32_t entry;
    if (!read(chains + 4 * std::uint64_t{index - symoffset_}, entry)) return std::nullopt;
    if ((entry | 1u) == (hash | 1u)) {
      if (auto found = symbol_at(index, name)) return found;
    }
    if ((entry & 1u) != 0) break;
  }
  return std::nullopt;
}

std::optional<Symbol> Symbols::find_sysv(std::string_view name) const {
  std::uint32_t index;
  const std::uint64_t buckets = tables_.sysv_hash + 8;
  if (!read(buckets + 4 * std::uint64_t{sysv_hash(name) % buckets_}, index)) return std::nullopt;
  const std::uint64_t chains = buckets + 4 * std::uint64_t{buckets_};
  for (std::uint32_t step = 0; step < kMostChain && index != 0 && index < chains_; ++step) {
    if (auto found = symbol_at(index, name)) return found;
    if (!read(chains + 4 * std::uint64_t{index}, index)) break;
  }
  return std::nullopt;
}

// Not through the hash table, which holds some imports and lacks others; a program that exports
// nothing has an empty one.
std::optional<Import> Symbols::imported(std::string_view name) const {
  for (const Dynamic::Table& table : {tables_.plt_relocations, tables_.data_relocations}) {
    if (table.address == 0) continue;
    const std::uint64_t count = std::min(table.size / sizeof(Elf64_Rela), kMostRelocations);
    for (std::uint64_t i = 0; i < count; ++i) {
      Elf64_Rela entry;
      if (!read(table.address + i * sizeof entry, entry)) break;
      if (!is_got_entry(ELF64_R_TYPE(entry.r_info))) continue;
      Elf64_Sym symbol;
      const std::uint64_t at = tables_.symbols + ELF64_R_SYM(entry.r_info) * sizeof symbol;
      if (read(at, symbol) && symbol.st_shndx == SHN_UNDEF &&
          read_string_equals(symbol.st_name, name)) {
        return Import{entry.r_offset, needed_version(*bytes_, tables_, ELF64_R_SYM(entry.r_info))};
      }
    }
  }
  return std::nullopt;
}

std::string Symbols::soname() const {
  return tables_.soname ? string_at(*bytes_, tables_.strings, *tables_.soname) : std::string();
}

bool LiveBytes::read(std::uint64_t address, void* out, std::size_t n) const {
  const auto at = static_cast<std::uintptr_t>(address);
  if (!module_.is_readable(at, n)) return false;
  std::memcpy(out, reinterpret_cast<const void*>(at), n);
  return true;
}

bool File::read_at(std::uint64_t offset, void* out, std::size_t n) const {
  if (offset > file_size_ || n > file_size_ - offset) return false;
  auto* to = static_cast<char*>(out);
  while (n > 0) {
    const ssize_t got = ::pread(file_.number(), to, n, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    offset += static_cast<std::uint64_t>(got);
    n -= static_cast<std::size_t>(got);
  }
  return true;
}

Result<File> File::open(const std::string& path) {
  File file;
  // O_NONBLOCK: a FIFO in place of a library must not block us.
  file.file_ = os::Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.file_.is_open()) {
    const int reason = errno;
    return Error{reason == EACCES || reason == EPERM ? CW_NOT_PERMITTED : CW_IO_ERROR,
                 path + ": " + system_says(reason)};
  }
  struct stat status{};
  if (::fstat(file.file_.number(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return bad(path + ": not a regular file");
  }
  file.file_size_ = static_cast<std::uint64_t>(status.st_size);

  Elf64_Ehdr header;
  if (!file.read_at(0, &header, sizeof header)) return bad(path + ": shorter than an ELF header");
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return bad(path + ": not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return bad(path + ": not a 64-bit little-endian ELF file");
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return bad(path + ": odd program header size");
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr program;
    if (header.e_phoff > file.file_size_ ||
        !file.read_at(header.e_phoff + i * sizeof program, &program, sizeof program)) {
      return bad(path + ": its program headers are cut short");
    }
    if (program.p_type == PT_LOAD) {
      file.loads_.push_back({program.p_vaddr, program.p_offset, program.p_filesz, program.p_memsz,
                             (program.p_flags & PF_X) != 0, (program.p_flags & PF_W) != 0});
    } else if (program.p_type == PT_DYNAMIC) {
      file.dynamic_ = program.p_vaddr;
    }
  }
  file.sections_ = header.e_shoff;
  file.section_count_ = header.e_shnum;
  file.section_size_ = header.e_shentsize;
  return file;
}

bool File::read(std::uint64_t address, void* out, std::size_t n) const {
  for (const Load& load : loads_) {
    if (address < load.address || address - load.address >= load.file_size) continue;
    const std::uint64_t within = address - load.address;
    if (n > load.file_size - within || load.offset > file_size_) return false;
    return read_at(load.offset + within, out, n);
  }
  return false;
}

Result<Symbols> File::symbols() const {
  if (dynamic_ == 0) return bad("it has no dynamic section");
  return Symbols::from_dynamic(*this, dynamic_, 0);
}

std::optional<Symbol> File::find_local(std::string_view name) const {
  if (section_size_ != sizeof(Elf64_Shdr) || sections_ > file_size_ || name.size() > kLongestName) {
    return std::nullopt;
  }
  const auto section = [&](std::uint64_t index, Elf64_Shdr& out) {
    return index < section_count_ && read_at(sections_ + index * sizeof out, &out, sizeof out);
  };
  bool section_left = true;
  for (std::uint64_t i = 0; i < section_count_ && section_left; ++i) {
    Elf64_Shdr table, strings;
    if (!section(i, table) || table.sh_type != SHT_SYMTAB || !section(table.sh_link, strings)) {
      continue;
    }
    // There is at most one such section; a hostile file could name the same bytes 65,535 times.
    section_left = false;
    // A sparse file may claim any size.
    constexpr std::uint64_t kMostNames = std::uint64_t{1} << 28;
    if (strings.sh_offset > file_size_ || strings.sh_size > file_size_ - strings.sh_offset ||
        strings.sh_size > kMostNames) {
      return std::nullopt;
    }
    std::string names(strings.sh_size, '\0');
    if (!read_at(strings.sh_offset, names.data(), names.size())) return std::nullopt;
    constexpr std::size_t kBatch = 512;
    std::vector<Elf64_Sym> batch(kBatch);
    const std::uint64_t count = std::min(table.sh_size, file_size_) / sizeof(Elf64_Sym);
    for (std::uint64_t first = 0; first < count; first += kBatch) {
      const std::size_t n =
          static_cast<std::size_t>(std::min<std::uint64_t>(kBatch, count - first));
      if (table.sh_offset > file_size_ || !read_at(table.sh_offset + first * sizeof(Elf64_Sym),
                                                   batch.data(), n * sizeof(Elf64_Sym))) {
        return std::nullopt;
      }
      for (std::size_t k = 0; k < n; ++k) {
        const std::size_t at = batch[k].st_name;
        if (usable(batch[k]) && at < names.size() && name.size() < names.size() - at &&
            names.compare(at, name.size(), name) == 0 && names[at + name.size()] == '\0') {
          return to_symbol(batch[k]);
        }
      }
    }
  }
  return std::nullopt;
}

}  // namespace corewise::elf
