// A system that lets no memory become executable: every hook is refused with the reason, nothing
// has changed, and the program goes on. The filter is for good, so this is a program of its own.
#include <dlfcn.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>

#include "govern/openblas_buffers/openblas_buffers.h"
#include "govern/patch/hook.h"

namespace govern = corewise::govern;

namespace {

int failures = 0;

void check(bool fine, const char* what) {
  if (fine) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

// mprotect with any of `bits` in its third argument fails with EPERM.
bool deny_mprotect(unsigned bits) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + 16),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof code / sizeof *code, code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int replaced(int, int, void*) { return -1; }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  void* library = dlopen(argv[1], RTLD_NOW);
  void* openblas = dlopen("libopenblas.so.0", RTLD_NOW);
  auto* function = reinterpret_cast<int (*)(int, int)>(dlsym(library, "stub_parallel"));
  if (function == nullptr) return 2;
  Dl_info info{};
  void* symbol = nullptr;
  dladdr1(reinterpret_cast<void*>(function), &info, &symbol, RTLD_DL_SYMENT);
  int context = 0;
  const govern::EntryRequest request{"stub_parallel",
                                     reinterpret_cast<std::uintptr_t>(function),
                                     static_cast<const ElfW(Sym)*>(symbol)->st_size,
                                     2,
                                     reinterpret_cast<const void*>(&replaced),
                                     &context};
  // Prepared while it was allowed, installed when it no longer is.
  auto early = govern::EntryHook::prepare(request);
  check(static_cast<bool>(early), "prepared before the filter");

  if (!deny_mprotect(PROT_EXEC)) {
    std::printf("no seccomp here\n");
    return 77;
  }
  const auto refused = early->install();
  check(refused && refused->what.find("stub_parallel is left alone: the system does not let its "
                                      "memory be changed (Operation not permitted)") == 0,
        "installing is refused with the reason");
  check(function(1, 2) == 4, "the function is untouched");

  govern::EntryRequest other = request;
  int another = 0;
  other.context = &another;
  const auto late = govern::EntryHook::prepare(other);
  check(!late && late.error().what.find("stub_parallel is left alone: the system does not let a "
                                        "page become executable") == 0,
        "preparing is refused with the reason");
  if (!late) std::printf("%s\n", late.error().what.c_str());

  if (openblas != nullptr) {
    for (const auto& copy : govern::openblas_buffers::install()) {
      std::printf("%s\n", copy.reason.c_str());
      check(!copy.served, "OpenBLAS is not served");
      check(copy.reason.ends_with("; cap its callers instead"), "what to do instead is said");
    }
    auto* gemm = reinterpret_cast<void (*)(int, int, int, int, int, int, double, const double*, int,
                                           const double*, int, double, double*, int)>(
        dlsym(openblas, "cblas_dgemm"));
    const double two[] = {2};
    double product[] = {0};
    gemm(101, 111, 111, 1, 1, 1, 1.0, two, 1, two, 1, 0.0, product, 1);
    check(product[0] == 4, "OpenBLAS goes on");
  }
  check(function(1, 2) == 4, "the program goes on");
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
