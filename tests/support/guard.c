/* Guard-page bytes. See guard.h. No invariants beyond its contract; any thread. */
#include "guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard_bytes guard_bytes_new(const void *src, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t body = (len + page - 1) / page * page;
    uint8_t *map =
        mmap(NULL, body + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + body, page, PROT_NONE) != 0)
        abort();
    struct guard_bytes g = {map + body - len, len, map, body + page};
    if (len > 0)
        memcpy(g.ptr, src, len);
    return g;
}

void guard_bytes_free(struct guard_bytes *g)
{
    if (g->map != NULL && munmap(g->map, g->map_len) != 0)
        abort();
    *g = (struct guard_bytes){0};
}
