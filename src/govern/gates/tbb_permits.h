// The permits of oneTBB's arenas: what each may use now.
//
// An arena asks when its demand changes, so one that works for long would keep to its end what was
// free at its beginning. While an arena works, a thread of ours asks again for it every few
// milliseconds, as if its work were a row of short regions: it gets more once threads are free, and
// gives back what others may claim, down to one worker. oneTBB learns of it by the callback of its
// protocol, and workers come and go between two tasks.
//
// Of the arenas of one process those with a higher priority come first: while one of them lacks
// workers, the others keep their minimum.
#pragma once

#include <cstdint>

#include "tcm/tcm.h"

namespace corewise::govern::tbb {

// Who asks for a permit.
struct PermitClient {
  std::uint32_t pool = 0;
  cw_tcm_callback* callback = nullptr;  // null: it does not want to be told
};

// All functions may be called by any thread. The first makes a permit; null if there is no memory.
cw_tcm_permit* make_permit(const PermitClient& client, void* argument, const void* maker);
// Of another number of workers from now on; 0: the arena rests. `again`: as in GrantRequest.
// `nested`: inside a region that has been counted already, it gets the minimum.
void request_permit(cw_tcm_permit& permit, const cw_tcm_request& request, const void* asker,
                    bool nested);
void deactivate_permit(cw_tcm_permit& permit);
// Waits for a callback about it.
void release_permit(cw_tcm_permit* permit);

// The workers that it may have now; 0: it is inactive. Takes no lock: callbacks ask.
std::uint32_t workers_of(const cw_tcm_permit& permit);

// Apart for tests: asks again for every active permit once, on the calling thread; and whether our
// thread does so by itself.
void renew_permits();
void renew_by_itself(bool wanted);

}  // namespace corewise::govern::tbb
