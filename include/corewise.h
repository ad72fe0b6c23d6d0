/** @file
 * corewise: one thread budget for processes x OpenMP x BLAS. The C ABI.
 *
 * This header is the whole binary contract: tests/abi/corewise.ref holds its frozen form and a
 * test fails when the library stops matching it. Structs carry their own size as first member,
 * so that a newer library can serve an older caller; fields are only ever appended.
 *
 * Rules that hold for every function:
 *   - no function throws, prints, aborts or changes errno's meaning for the caller;
 *   - every function may be called from any thread at any time, but not from a signal handler,
 *     nor from inside a callback of dl_iterate_phdr;
 *   - a failing function changes nothing, returns a status other than CW_OK, and leaves one
 *     sentence about it in cw_last_error() of the calling thread;
 *   - strings handed out are NUL-terminated bytes as the system has them (paths need not be
 *     UTF-8) and live as long as the process, unless said otherwise;
 *   - a function with `buffer` and `capacity` writes at most capacity bytes with a final NUL, and
 *     tells how many bytes the whole text takes, NUL included: as its result (0: no memory for the
 *     text), or in `needed` (may be NULL). If capacity is less it writes the beginning, which is
 *     not a failure. The buffer may be NULL when capacity is 0;
 *   - each call makes its document anew; as with getenv, no other thread may change the
 *     environment meanwhile.
 */
#ifndef COREWISE_H
#define COREWISE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CW_API __attribute__((visibility("default")))
#else
#define CW_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** The ABI that this header describes; grows when something is appended. */
#define CW_ABI_VERSION 1

/** The kinds of failure. Values are frozen; new ones are appended. */
typedef enum cw_status {
  CW_OK = 0,              /**< success */
  CW_BAD_ARGUMENT = 1,    /**< a null pointer, a struct of unknown size, an unknown enum value */
  CW_BAD_COUNT = 2,       /**< a thread count below 1 or above CW_MAX_THREADS */
  CW_ABOVE_CEILING = 3,   /**< a thread count above what the pool was built for */
  CW_UNKNOWN_NAME = 4,    /**< no such API, runtime, prefix or library file */
  CW_NO_SUCH_PROCESS = 5, /**< no process has that pid */
  CW_NOT_PERMITTED = 6,   /**< the process belongs to somebody else, or is protected */
  CW_PROCESS_ENDED = 7,   /**< the process ended while it was read */
  CW_BAD_ELF = 8,         /**< not an ELF file, cut short, or inconsistent */
  CW_IO_ERROR = 9,        /**< the system refused a read or an open */
  CW_LIBRARY_LIED = 10,   /**< a runtime's getter or setter failed or answered nonsense */
  CW_NOT_AVAILABLE = 11,  /**< this platform, build or pool has no such function */
  CW_OUT_OF_MEMORY = 12,  /**< no memory for the answer */
  CW_INTERNAL = 13        /**< a defect of corewise; please report it */
} cw_status;

/** What user code asks for; a limit by API reaches every pool of that API. */
typedef enum cw_api {
  CW_API_OPENMP = 0, /**< OpenMP: libgomp, libomp, libiomp5 */
  CW_API_BLAS = 1,   /**< BLAS and LAPACK: OpenBLAS, MKL, BLIS, FlexiBLAS */
  CW_API_TBB = 2,    /**< oneTBB */
  CW_API_ARROW = 3,  /**< Arrow's pool of CPU threads */
  CW_API_NUMBA = 4   /**< numba's threading layers */
} cw_api;

/** Which threads a setter of the pool reaches. */
typedef enum cw_scope {
  CW_SCOPE_PROCESS = 0, /**< every thread of the process */
  CW_SCOPE_THREAD = 1,  /**< regions started by the calling thread */
  CW_SCOPE_NONE = 2     /**< cannot be set from here; shown only */
} cw_scope;

/** Largest count any limit accepts: Linux's default of kernel.pid_max. */
#define CW_MAX_THREADS 32768

/** One runtime found in one loaded module. Strings are never NULL; "" means unknown. */
typedef struct cw_pool {
  size_t size;     /**< set to sizeof(cw_pool) before the call */
  uint32_t id;     /**< index, stable for the life of the process */
  cw_api api;      /**< what user code asks for */
  cw_scope scope;  /**< which threads a setter reaches */
  int32_t threads; /**< now, as the calling thread sees it; 0 when the runtime does not tell, or
                        was not used yet: detail then says so */
  int32_t ceiling; /**< most it can be set to; 0 when there is no fixed ceiling */
  int32_t caller_slots;     /**< calls it can have in flight; 0 when unbounded or unknown */
  const char* api_name;     /**< "openmp", "blas", "tbb", "arrow", "numba" */
  const char* runtime;      /**< "openblas", "mkl", "blis", "flexiblas", "libgomp", "tbb", ... */
  const char* prefix;       /**< the file-name prefix that limits may use, e.g. "libgomp" */
  const char* path;         /**< the library file, links resolved; as loaded if it is gone */
  const char* version;      /**< as the library tells it */
  const char* layer;        /**< threading layer: "pthreads", "openmp", "disabled", "intel", ... */
  const char* architecture; /**< the kernel set chosen, e.g. "SkylakeX" */
  const char* detail;       /**< one clause worth showing, e.g. "MKL_DYNAMIC=1 may use fewer" */
} cw_pool;

/** What a rule's name means. */
typedef enum cw_match {
  CW_MATCH_ALL = 0,     /**< every pool; name is ignored */
  CW_MATCH_API = 1,     /**< "blas" */
  CW_MATCH_RUNTIME = 2, /**< "openblas" */
  CW_MATCH_PREFIX = 3,  /**< "libscipy_openblas" */
  CW_MATCH_PATH = 4,    /**< a library file */
  CW_MATCH_NAME = 5,    /**< any of the four above, or the Python package that brought it */
  CW_MATCH_ID = 6       /**< name is ignored; threads applies to the pool with this id */
} cw_match;

/** A limit for the pools that match. For each pool the most specific rule counts. */
typedef struct cw_rule {
  cw_match match;   /**< what name means */
  const char* name; /**< of an API, runtime, prefix or file; may be NULL where it is ignored */
  uint32_t id;      /**< for CW_MATCH_ID */
  int32_t threads;  /**< 1 .. CW_MAX_THREADS */
} cw_rule;

enum {
  /** Lowers a count above a pool's ceiling to it and says so in the outcome, not refusing it. */
  CW_LIMITS_CLAMP = 1u << 0,
  /** While it is open, this scope replaces older ones of the same owner (an inner
   * threadpool_limits may raise what an outer one lowered). Without it the tightest wins. */
  CW_LIMITS_REPLACE = 1u << 1,
  /** Pools loaded later are left alone. Without it they are limited on arrival. */
  CW_LIMITS_NOT_STICKY = 1u << 2
};

/** How limits are opened. */
typedef struct cw_limits_options {
  size_t size;    /**< sizeof(cw_limits_options) */
  uint32_t flags; /**< CW_LIMITS_..., or 0 */
  uint64_t owner; /**< any number; groups scopes for CW_LIMITS_REPLACE. 0: the calling thread */
} cw_limits_options;

/** What a limit did to one pool. */
typedef struct cw_outcome {
  size_t size;        /**< sizeof(cw_outcome) */
  uint32_t pool;      /**< id */
  int32_t before;     /**< threads before this scope opened */
  int32_t asked;      /**< what the rules of this scope say */
  int32_t effective;  /**< what was read back: the tightest open limit, or what the pool made of it
                       */
  const char* reason; /**< why effective differs from asked; "" when it does not */
} cw_outcome;

/** A handle to a limit. cw_limits_open makes it, cw_limits_free frees it. */
typedef struct cw_limits cw_limits;

/** The CW_ABI_VERSION of the library that was loaded. */
CW_API uint32_t cw_abi_version(void);

/** The version of corewise: "0.1.0". */
CW_API const char* cw_version(void);

/** A short name of a status ("bad count"); never NULL. */
CW_API const char* cw_status_name(cw_status status);

/** The general sentence of a status; never NULL. */
CW_API const char* cw_status_message(cw_status status);

/** The sentence about the last failure in the calling thread; "" if none. Valid until the next
 * corewise call in this thread. */
CW_API const char* cw_last_error(void);

/** Looks for modules loaded since the last look and applies open limits to new pools. Costs
 * nanoseconds if nothing was loaded. changed (may be NULL): 1 if the set of pools grew. */
CW_API cw_status cw_refresh(int* changed);

/** A number that changes whenever a module is loaded or unloaded. Costs some nanoseconds. */
CW_API uint64_t cw_generation(void);

/** The number of known pools; looks first. Pools are never removed: corewise keeps a recognised
 * runtime loaded, so that its functions stay callable. Ids are 0 .. count-1 in load order of
 * discovery. */
CW_API size_t cw_pool_count(void);

/** Fills out for pool id and reads its thread count now. Never makes the first call to a library:
 * until the program has used it, threads is 0, and fields that only a call can tell are empty.
 * CW_UNKNOWN_NAME if there is no such id, CW_BAD_ARGUMENT if size was not set. */
CW_API cw_status cw_pool_get(uint32_t id, cw_pool* out);

/** The same, but also calls a library that the program has not used yet, for a caller that is about
 * to set it. cw_pool_get never does: LLVM's OpenMP runtime, MKL, BLIS, oneTBB and Arrow set
 * themselves up, and read their environment variables, at the first call. */
CW_API cw_status cw_pool_ask(uint32_t id, cw_pool* out);

/** Opens limits: checks every rule, then sets, then reads back. All or nothing: on failure no pool
 * is changed. If several open limits reach a pool, the tightest wins; when the last one closes, the
 * pool gets back what it had before the first. Pools of thread scope are set for the calling
 * thread only. options may be NULL. CW_BAD_COUNT, CW_ABOVE_CEILING or CW_UNKNOWN_NAME for a rule
 * that cannot be applied. */
CW_API cw_status cw_limits_open(const cw_rule* rules, size_t count,
                                const cw_limits_options* options, cw_limits** out);

/** Closes; idempotent. If another thread than the one that opened the limit closes it, pools of
 * thread scope wait: the opening thread restores them at its next corewise call. The result is
 * CW_OK even then; pending (may be NULL) says how many wait. */
CW_API cw_status cw_limits_close(cw_limits* limits, size_t* pending);

/** Writes up to capacity outcomes, as they were at opening or at the arrival of a later pool;
 * returns how many there are, and 0 if it fails. The size of the first tells the size of each. */
CW_API size_t cw_limits_outcomes(const cw_limits* limits, cw_outcome* out, size_t capacity);

/** Frees the handle. A limit that is still open becomes permanent: from now on its pools have what
 * it asked whenever no limit is open. */
CW_API void cw_limits_free(cw_limits* limits);

/** Calls visit for each loaded module in load order with its path and the address it is loaded
 * at, until visit returns non-zero. visit runs outside every lock and may call corewise. */
CW_API cw_status cw_modules(int (*visit)(const char* path, uintptr_t base, void* context),
                            void* context);

/** The address of a dynamic symbol in the module loaded from path; NULL if absent. */
CW_API void* cw_symbol(const char* path, const char* name);

/** All pools as JSON (docs/json.md). Returns the bytes needed. */
CW_API size_t cw_info_json(char* buffer, size_t capacity);

/** The budget: the CPUs that are really the process's own, and where each constraint was read, as
 * JSON (docs/json.md). cap (may be NULL) is an upper bound of your own in CPUs: CW_BAD_ARGUMENT if
 * it is not a number above 0, or is above the machine. */
CW_API cw_status cw_budget_json(const double* cap, char* buffer, size_t capacity, size_t* needed);

/** What a plan should keep to. */
typedef struct cw_plan_options {
  size_t size;       /**< sizeof(cw_plan_options) */
  int32_t processes; /**< how many the program starts; 0: not known, taken as one */
  int32_t openmp;    /**< the most OpenMP threads of each process; 0: the plan decides */
  int32_t blas;      /**< the most threads of each BLAS call; 0: the plan decides */
  uint32_t flags;    /**< 0: no flag is defined yet */
} cw_plan_options;

/** The plan: the budget divided over processes x OpenMP x BLAS, for the pools that are loaded, as
 * JSON (docs/json.md). options may be NULL. CW_BAD_COUNT for numbers below 0 or above
 * CW_MAX_THREADS. */
CW_API cw_status cw_plan_json(const cw_plan_options* options, char* buffer, size_t capacity,
                              size_t* needed);

/** What is wrong with the process's thread pools, as JSON (docs/json.md). Counts are those of the
 * calling thread. */
CW_API cw_status cw_doctor_json(char* buffer, size_t capacity, size_t* needed);

/** From now on corewise leaves a report if this process dies of SIGSEGV, SIGBUS, SIGILL, SIGFPE or
 * SIGABRT: its pools, in whose code it died, how many threads it had (docs/postmortem.md). The
 * program's own handlers run first; corewise writes a report only if the signal will end the
 * process. A report names the pools that corewise has seen: call cw_refresh after loading. Does
 * nothing if the variable COREWISE_POSTMORTEM is "off", or the second time. CW_NOT_PERMITTED if
 * corewise cannot make a folder for reports that only this user may enter. */
CW_API cw_status cw_watch_death(void);

/** The newest report of this user and what it means, as JSON; "death" is null if there is none. */
CW_API cw_status cw_last_death_json(char* buffer, size_t capacity, size_t* needed);

/** Flags of cw_govern. */
typedef enum cw_govern_flag {
  CW_GOVERN_OVERCOMMIT = 1 /**< budget may be above what the machine gives */
} cw_govern_flag;

/** The budget of a governed process, and which processes share it. */
typedef struct cw_govern_options {
  size_t size;       /**< sizeof(cw_govern_options) */
  int32_t budget;    /**< threads; 0: the process's own CPUs (docs/budget.md), rounded down */
  uint32_t flags;    /**< cw_govern_flag, or 0 */
  const char* group; /**< processes with equal groups share a budget; NULL: those of this user that
                        have the same CPUs, quotas, cap and rank */
} cw_govern_options;

/** Governs: keeps the whole process inside one budget, shared with the user's other governed
 * processes, from this call on and for libraries loaded later. A call of OpenBLAS, and an OpenMP
 * region of a library that is proven to give the same results from fewer threads, gets what is free
 * when it begins: at least one thread, never more than the program asks for. Every other OpenMP
 * region gets the team that it asks for, and is counted, so that others get less. Numbers that the
 * program sets stay, and it reads back what it set. Pools that cannot be governed this way are
 * limited to the budget.
 *
 * A budget below 0 or, without CW_GOVERN_OVERCOMMIT, above the machine is CW_BAD_COUNT.
 * Calls are counted: the process is governed until cw_ungovern has been called as often. A second
 * call with another budget or group fails while the first holds. options may be NULL. A hook that
 * cannot be set is not a failure: the report says so. */
CW_API cw_status cw_govern(const cw_govern_options* options);

/** Undoes one cw_govern; the last one restores everything. Does nothing without a cw_govern before
 * it. */
CW_API cw_status cw_ungovern(void);

/** What governing did so far, and what it could not do, as JSON (docs/json.md). Returns the bytes
 * needed. */
CW_API size_t cw_govern_report_json(char* buffer, size_t capacity);

/** Flags of cw_sample_json. */
typedef enum cw_sample_flag {
  CW_SAMPLE_EACH = 1 /**< with a list of all threads */
} cw_sample_flag;

/** What the threads of this process do now, by the pool that they belong to, and what the process
 * has of the machine, as JSON (docs/control.md). flags: cw_sample_flag, or 0. Costs a few
 * microseconds per thread: fit for about once a second. Counts of thread scope are those of the
 * calling thread. */
CW_API cw_status cw_sample_json(uint32_t flags, char* buffer, size_t capacity, size_t* needed);

/** Starts the control socket: corewise's own thread answers requests from this user and root
 * (docs/control.md), even while the program is in a long native call. Programs under `corewise run`
 * have it once they have a thread pool, Python programs that import corewise from then on, and so
 * have their children by fork; in other programs, a child has none. Does nothing if it already
 * runs. CW_NOT_AVAILABLE if COREWISE_CONTROL=off is set; CW_NOT_PERMITTED if the folder for the
 * socket is not private. */
CW_API cw_status cw_control_start(void);

/** Ends and removes the control socket; what a client asked over it stays in force. Does nothing
 * without a start. */
CW_API cw_status cw_control_stop(void);

/** The control socket's path, empty while there is none. Returns the bytes needed. */
CW_API size_t cw_control_path(char* buffer, size_t capacity);

/** Connects to the control socket of a process; fd receives a blocking stream socket that the
 * caller closes. Verifies that the process itself is at the other end. CW_NO_SUCH_PROCESS,
 * CW_NOT_PERMITTED, or CW_NOT_AVAILABLE if the process has no such socket. */
CW_API cw_status cw_control_connect(int32_t pid, int* fd);

#ifdef __cplusplus
}
#endif

#endif
