/* Very large blocks. See huge.h. Each is a mapping of its own, whose size stands at its beginning.
 */
#include "base/huge.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "base/clock.h"

enum {
    PAGE = 2 << 20,
    SLOTS = 16,
    HEAD = 64, /* octets before the block */
};

struct kept {
    void *map; /* NULL: a free slot */
    size_t size;
    uint64_t since_ms;
};

static struct kept slots[SLOTS];
static _Atomic size_t total;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Takes one out that is large enough and not much larger. Mutex held. */
static void *reuse(size_t size)
{
    for (int i = 0; i < SLOTS; i++) {
        struct kept *k = &slots[i];
        if (!k->map || k->size < size || k->size - size > size / 4)
            continue;
        void *map = k->map;
        total -= k->size;
        k->map = NULL;
        return map;
    }
    return NULL;
}

static void *map_new(size_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    (void)madvise(map, size, MADV_HUGEPAGE); /* refused: then it is on small ones */
    *(size_t *)map = size;
    return map;
}

void *lev_huge_alloc(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + HEAD + PAGE - 1) / PAGE * PAGE;
    pthread_mutex_lock(&mutex);
    void *map = reuse(size);
    pthread_mutex_unlock(&mutex);
    if (!map)
        map = map_new(size);
    return map ? (char *)map + HEAD : NULL;
}

/* Mutex held. False when there is no room for it. */
static bool keep(void *map, size_t size)
{
    if (total + size > LEV_HUGE_KEEP)
        return false;
    for (int i = 0; i < SLOTS; i++)
        if (!slots[i].map) {
            slots[i] = (struct kept){map, size, lev_clock_mono_ns() / 1000000};
            total += size;
            return true;
        }
    return false;
}

void lev_huge_free(void *p)
{
    void *map = (char *)p - HEAD;
    size_t size = *(size_t *)map;
    pthread_mutex_lock(&mutex);
    bool kept = keep(map, size);
    pthread_mutex_unlock(&mutex);
    if (!kept)
        (void)munmap(map, size);
}

void lev_huge_trim(uint64_t now_ms)
{
    if (!total)
        return;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < SLOTS; i++) {
        struct kept *k = &slots[i];
        if (!k->map || now_ms - k->since_ms < LEV_HUGE_KEEP_MS)
            continue;
        total -= k->size;
        (void)munmap(k->map, k->size);
        k->map = NULL;
    }
    pthread_mutex_unlock(&mutex);
}

size_t lev_huge_kept(void)
{
    return total;
}
