/* Field tables from text, for tests: "a=I1 b=Sfoo c=V" (pairs; after = the wire's letter and the
 * value). Letters: I b B s u i l L T t (number), d f (number), S x (text), V; F and A take raw
 * inner octets as hex. */
#ifndef LEV_TESTS_BROKER_ARGS_H
#define LEV_TESTS_BROKER_ARGS_H

#include "base/bytes.h"

/* A view into one of a few static buffers used in turn: good until eight more calls. */
struct lev_bytes args(const char *text);

#endif
