/* Names the broker makes up. See names.h. */
#include "broker/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct lev_bytes lev_generate_name(char buf[LEV_GENERATED_MAX], const char *prefix)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t r[18] = {0};
    size_t n = (size_t)snprintf(buf, LEV_GENERATED_MAX - 23, "%s", prefix);
    if (getrandom(r, 16, 0) != 16)
        abort(); /* the kernel's random source cannot fail for 16 octets once it is initialised */
    for (size_t i = 0, bit = 0; i < 22; i++, bit += 6) {
        unsigned v = (unsigned)r[bit / 8] << 8 | r[bit / 8 + 1];
        buf[n++] = digits[v >> (10 - bit % 8) & 63];
    }
    buf[n] = 0;
    return lev_bytes(buf, n);
}
