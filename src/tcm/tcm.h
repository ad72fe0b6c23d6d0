/* The interface between libtcm.so.1, which oneTBB looks for, and corewise, which answers. Facts:
 * oneTBB, src/tbb/tcm.h; a permit request is a structure of 32 bytes, passed by value. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cw_tcm_request {
  int32_t least; /* threads; below 0: the manager decides */
  int32_t most;
  void* constraints;
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

/* 0 is success. `caller` is the code that connects. */
struct cw_tcm {
  int32_t (*connect)(uint64_t* client, const void* caller);
  int32_t (*request)(uint64_t client, const struct cw_tcm_request* request,
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
