/* libtcm.so.1: the eleven functions that oneTBB wants of a permit manager, passed on to corewise. A
 * library of its own, since oneTBB looks for one of this name while it is loaded itself, and takes
 * one that is loaded already. corewise loads it only in a governed process whose user has chosen no
 * other. */
#include "tcm.h"

#include <stddef.h>
#include <string.h>

#define PUBLIC __attribute__((visibility("default")))

static const struct cw_tcm* serving;

PUBLIC void cw_tcm_serve(const struct cw_tcm* functions) {
  __atomic_store_n(&serving, functions, __ATOMIC_RELEASE);
}

/* Nothing is asked before somebody has connected. */
PUBLIC int32_t tcmConnect(cw_tcm_callback* callback, uint64_t* client) {
  const struct cw_tcm* functions = __atomic_load_n(&serving, __ATOMIC_ACQUIRE);
  if (functions == NULL || client == NULL) return CW_TCM_INVALID_ARGUMENT;
  return functions->connect(client, __builtin_return_address(0), callback);
}

PUBLIC int32_t tcmDisconnect(uint64_t client) {
  (void)client;
  return CW_TCM_SUCCESS;
}

PUBLIC int32_t tcmRequestPermit(uint64_t client, struct cw_tcm_request request, void* argument,
                                struct cw_tcm_permit** permit, struct cw_tcm_granted* granted) {
  return permit != NULL ? serving->request(client, &request, argument, permit, granted)
                        : CW_TCM_INVALID_ARGUMENT;
}

PUBLIC int32_t tcmGetPermitData(struct cw_tcm_permit* permit, struct cw_tcm_granted* granted) {
  return permit != NULL && granted != NULL ? serving->read(permit, granted)
                                           : CW_TCM_INVALID_ARGUMENT;
}

PUBLIC int32_t tcmReleasePermit(struct cw_tcm_permit* permit) {
  return permit != NULL ? serving->release(permit) : CW_TCM_INVALID_ARGUMENT;
}

PUBLIC int32_t tcmDeactivatePermit(struct cw_tcm_permit* permit) {
  return permit != NULL ? serving->deactivate(permit) : CW_TCM_INVALID_ARGUMENT;
}

/* Never called by oneTBB, which deactivates, and requests to activate. */
PUBLIC int32_t tcmIdlePermit(struct cw_tcm_permit* permit) {
  return permit != NULL ? CW_TCM_SUCCESS : CW_TCM_INVALID_ARGUMENT;
}

PUBLIC int32_t tcmActivatePermit(struct cw_tcm_permit* permit) {
  return permit != NULL ? CW_TCM_SUCCESS : CW_TCM_INVALID_ARGUMENT;
}

PUBLIC int32_t tcmRegisterThread(struct cw_tcm_permit* permit) {
  (void)permit;
  return serving->join();
}

PUBLIC int32_t tcmUnregisterThread(void) { return serving->part(); }

PUBLIC int32_t tcmGetVersionInfo(char* buffer, uint32_t size) {
  static const char text[] = "permit manager: corewise\n";
  const size_t length = size < sizeof text ? size : sizeof text;
  if (buffer == NULL || size == 0) return CW_TCM_INVALID_ARGUMENT;
  memcpy(buffer, text, length);
  buffer[length - 1] = '\0';
  return CW_TCM_SUCCESS;
}
