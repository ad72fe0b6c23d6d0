/* The interface between libtcm.so.1, which oneTBB looks for, and corewise, which answers. Facts:
 * oneTBB, src/tbb/tcm.h; a permit request is a structure of 32 bytes, passed by value; so are the
 * flags of a callback, of 4. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the functions return. */
enum { CW_TCM_SUCCESS = 0, CW_TCM_INVALID_ARGUMENT = 0x78000004 };

/* Where threads may run. */
struct cw_tcm_constraint {
  int32_t least; /* threads there; below 0: the manager decides */
  int32_t most;
  void* mask; /* of hwloc; null: none */
  int32_t numa_node;
  int32_t core_type;
  int32_t threads_per_core;
};

struct cw_tcm_request {
  int32_t least; /* threads; below 0: the manager decides */
  int32_t most;
  const struct cw_tcm_constraint* constraints;
  uint32_t constraint_count;
  int32_t priority;
  uint32_t flags;
  char reserved[4];
};

struct cw_tcm_granted {
  uint32_t* threads; /* of each constraint of the request, or of the request */
  void** masks;
  uint32_t size;
  uint8_t state;
  uint32_t flags;
};

struct cw_tcm_permit;

/* How the client learns that a permit has changed; `argument` is that of its request. It reads the
 * permit, and may start threads. */
typedef int32_t cw_tcm_callback(struct cw_tcm_permit* permit, void* argument, uint32_t changed);

/* `caller` is the code that connects. */
struct cw_tcm {
  int32_t (*connect)(uint64_t* client, const void* caller, cw_tcm_callback* callback);
  int32_t (*request)(uint64_t client, const struct cw_tcm_request* request, void* argument,
                     struct cw_tcm_permit** permit, struct cw_tcm_granted* granted);
  int32_t (*read)(struct cw_tcm_permit* permit, struct cw_tcm_granted* granted);
  int32_t (*deactivate)(struct cw_tcm_permit* permit);
  int32_t (*release)(struct cw_tcm_permit* permit);
  int32_t (*join)(void);
  int32_t (*part)(void);
};

/* No client can connect until this has been called. */
typedef void cw_tcm_serve_function(const struct cw_tcm* functions);

#ifdef __cplusplus
}
#endif
