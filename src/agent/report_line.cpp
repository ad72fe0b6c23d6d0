#include "report_line.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>

#include "base/clock.h"
#include "base/fixed_text.h"
#include "os/os.h"

namespace corewise::agent {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

// A line of JSON. A line that is too long is not written.
using Text = FixedText<2048>;

void seconds(Text& line, std::string_view name, std::uint64_t ns) {
  line.field(name, ns / kSecond);
  line.add(".");
  line.digits(ns % kSecond / 1000, 6);
}

Text opening(const char* event, const Writer& writer) {
  Text line;
  line.add("{\"event\":\"");
  line.add(event);
  line.add("\"");
  line.field("pid", static_cast<std::uint64_t>(::getpid()));
  line.field("parent", static_cast<std::uint64_t>(::getppid()));
  line.raw("command", writer.command);
  return line;
}

iovec piece(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

// If the file is gone, nobody wants it any more: do not make it again.
void append(const char* file, const Text& line, std::string_view fields) {
  if (!line.fits()) return;
  const int fd = ::open(file, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
  if (fd < 0) return;
  const std::array<iovec, 4> parts = {piece(line.view()), piece(fields.empty() ? "" : ","),
                                      piece(fields), piece("}\n")};
  std::size_t size = 0;
  for (const iovec& part : parts) size += part.iov_len;
  // The reader skips a line that was cut short.
  if (os::has_room(fd, size)) {
    static_cast<void>(!::writev(fd, parts.data(), static_cast<int>(parts.size())));
  }
  ::close(fd);
}

}  // namespace

std::optional<std::uint64_t> share_tally(const char* file) {
  constexpr std::size_t kPage = govern::gate::kTallyPage;
  static constexpr std::array<char, kPage> kZeros{};
  const auto exchange = [](int kind, int fd, off_t at) {
    return ::mmap(govern::gate::tally_page(), kPage, PROT_READ | PROT_WRITE, MAP_FIXED | kind, fd,
                  at) != MAP_FAILED;
  };
  if (::sysconf(_SC_PAGESIZE) != static_cast<long>(kPage)) return std::nullopt;
  const int fd = ::open(file, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
  // Write it, so that the system has room for it: a page that it cannot keep would kill us later.
  const bool room = fd >= 0 && os::has_room(fd, kPage) &&
                    ::write(fd, kZeros.data(), kPage) == static_cast<ssize_t>(kPage);
  const off_t at = room ? ::lseek(fd, 0, SEEK_CUR) - static_cast<off_t>(kPage) : -1;
  const bool shared = at >= 0 && exchange(MAP_SHARED, fd, at);
  if (fd >= 0) ::close(fd);
  if (shared) return static_cast<std::uint64_t>(at) / kPage;
  exchange(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return std::nullopt;
}

void write_start(const Writer& writer) {
  Text line = opening("start", writer);
  if (writer.page) line.field("page", *writer.page);
  append(writer.file, line, {});
}

void write_end(const Writer& writer, const govern::gate::Tally& tally, std::string_view fields) {
  Text line = opening("end", writer);
  seconds(line, "seconds", now_ns() - writer.since_ns);
  for (const govern::gate::TallyRow& row : govern::gate::kTally) {
    const std::uint64_t count = tally.*row.value;
    if (row.kind == govern::gate::TallyKind::kTime) {
      seconds(line, row.name, count);
    } else {
      line.field(row.name, count);
    }
  }
  append(writer.file, line, fields);
}

}  // namespace corewise::agent
