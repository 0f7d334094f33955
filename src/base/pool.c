/* A pool of small blocks. See pool.h.
 *
 * Under AddressSanitizer every block comes from malloc, so that the sanitizer sees each of them. */
#include "base/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/huge.h"
#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define POOL_OFF 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_OFF 1
#endif
#endif

#ifdef POOL_OFF

void *lev_pool_alloc(size_t size)
{
    return malloc(size);
}

void lev_pool_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

#else

enum {
    STEP = 64,              /* classes are multiples of it */
    CLASSES = 24,           /* up to 1536 octets */
    MAGAZINE = 128,         /* blocks that change hands at once */
    FULL = 2 * MAGAZINE,    /* so many free blocks of a class a thread does not keep */
    DEPOT_OCTETS = 8 << 20, /* free memory that the depot keeps per class */
    HUGE_MIN = 4 << 20,     /* blocks from here on are huge.c's */
};

/* A free block. The first of a chain in the depot links to the next chain, too. */
struct block {
    struct block *next;
    struct block *next_chain;
};

struct magazine {
    struct block *free;
    unsigned n;
};

/* A thread's free blocks. */
struct cache {
    struct magazine classes[CLASSES];
};

static struct depot {
    pthread_mutex_t mutex;
    struct block *chains; /* each of MAGAZINE blocks */
    size_t n;
} depots[CLASSES];

static _Thread_local struct cache *mine;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_chain(struct block *b)
{
    while (b) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
}

/* A thread ends: its blocks go back to malloc. */
static void drop_cache(void *p)
{
    struct cache *c = p;
    for (size_t i = 0; i < CLASSES; i++)
        free_chain(c->classes[i].free);
    free(c);
    mine = NULL;
}

static void start(void)
{
    for (size_t i = 0; i < CLASSES; i++)
        pthread_mutex_init(&depots[i].mutex, NULL);
    if (pthread_key_create(&key, drop_cache) != 0)
        abort(); /* the process has used up all its keys before main */
}

static struct cache *cache(void)
{
    if (!mine) {
        pthread_once(&once, start);
        mine = lev_xcalloc(1, sizeof(*mine));
        pthread_setspecific(key, mine);
    }
    return mine;
}

/* Takes a chain of MAGAZINE blocks out of the depot, or NULL. */
static struct block *take_chain(struct depot *d)
{
    pthread_mutex_lock(&d->mutex);
    struct block *b = d->chains;
    if (b) {
        d->chains = b->next_chain;
        d->n--;
    }
    pthread_mutex_unlock(&d->mutex);
    return b;
}

static void give_chain(struct depot *d, struct block *b, size_t size)
{
    pthread_mutex_lock(&d->mutex);
    if (d->n * MAGAZINE * size < DEPOT_OCTETS) {
        b->next_chain = d->chains;
        d->chains = b;
        d->n++;
        b = NULL;
    }
    pthread_mutex_unlock(&d->mutex);
    free_chain(b);
}

static inline struct block *take(struct magazine *m)
{
    struct block *b = m->free;
    m->free = b->next;
    m->n--;
    return b;
}

/* For a block that is too large for a class, or whose class has no free one here. */
static __attribute__((noinline)) void *alloc_slowly(size_t size)
{
    size_t class = (size + STEP - 1) / STEP;
    if (class > CLASSES)
        return size < HUGE_MIN ? malloc(size) : lev_huge_alloc(size);
    struct magazine *m = &cache()->classes[class - 1];
    if (!m->free) {
        m->free = take_chain(&depots[class - 1]);
        m->n = m->free ? MAGAZINE : 0;
    }
    return m->free ? take(m) : malloc(class * STEP);
}

void *lev_pool_alloc(size_t size)
{
    size_t class = (size + STEP - 1) / STEP;
    struct cache *c = mine;
    if (!c || class > CLASSES || !c->classes[class - 1].free)
        return alloc_slowly(size);
    return take(&c->classes[class - 1]);
}

static inline void put(struct magazine *m, struct block *b)
{
    b->next = m->free;
    m->free = b;
    m->n++;
}

/* Splits the newest MAGAZINE blocks off and gives them to the depot. */
static void overflow(struct magazine *m, size_t class)
{
    struct block *chain = m->free, *last = chain;
    for (unsigned i = 1; i < MAGAZINE; i++)
        last = last->next;
    m->free = last->next;
    m->n -= MAGAZINE;
    last->next = NULL;
    give_chain(&depots[class - 1], chain, class * STEP);
}

/* For a block that is too large for a class, or whose class has too many here. */
static __attribute__((noinline)) void free_slowly(void *p, size_t size)
{
    size_t class = (size + STEP - 1) / STEP;
    if (size >= HUGE_MIN) {
        lev_huge_free(p);
    } else if (class > CLASSES) {
        free(p);
    } else {
        struct magazine *m = &cache()->classes[class - 1];
        put(m, p);
        if (m->n == FULL)
            overflow(m, class);
    }
}

void lev_pool_free(void *p, size_t size)
{
    size_t class = (size + STEP - 1) / STEP;
    struct cache *c = mine;
    if (!c || class > CLASSES || c->classes[class - 1].n == FULL - 1)
        free_slowly(p, size);
    else
        put(&c->classes[class - 1], p);
}

#endif
