/* Checks of what must be true, in builds configured with --enable-debug-checks only. */
#ifndef LEV_BROKER_CHECK_H
#define LEV_BROKER_CHECK_H

#ifdef HAVE_CONFIG_H
#include <config.h> /* LEV_DEBUG_CHECKS */
#endif

#ifdef LEV_DEBUG_CHECKS
#include <assert.h>
#define LEV_CHECK(cond) assert(cond)
#else
#define LEV_CHECK(cond) ((void)(0 && (cond)))
#endif

#endif
