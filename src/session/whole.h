/* A publish that lies whole in the input, as most clients send them: method, header and at most one
 * body frame, one behind the other. Loop thread, without the lock. */
#ifndef LEV_SESSION_WHOLE_H
#define LEV_SESSION_WHOLE_H

#include "session/loop.h"

/* Makes one that p[0..n) begins with, with properties of the plain kind that its channel sent last
 * time, a command. Returns the octets it takes; 0, with nothing done, when there is no such
 * publish, or anything is wrong with it: taking it frame by frame tells. At 7 in p[0..n) is
 * basic.publish; what is before it was not looked at, but for the channel's number. The channel
 * expects a method. */
size_t lev_whole_publish(struct lev_channel *ch, const uint8_t *p, size_t n);

void lev_repeat_free(struct lev_repeat **r);

#endif
