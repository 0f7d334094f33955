/* What the random tests share. See play.h. */
#include "play.h"

#include <check.h>
#include <stdlib.h>

#include "base/log.h"

/* Sanitizers make them ten times slower. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(SLOW)
enum { OPS = 5000 };
#else
enum { OPS = 20000 };
#endif

enum { LIMIT_S = 240 };

static const struct lev_windows tiny = {.max = 4,
                                        .keep = 2,
                                        .max_bytes = 1000,
                                        .keep_bytes = 300,
                                        .tail_max = 4,
                                        .tail_max_bytes = 1000,
                                        .pressure = 3000};
static const struct lev_windows small = {.max = 32,
                                         .keep = 8,
                                         .max_bytes = 8000,
                                         .keep_bytes = 2000,
                                         .tail_max = 16,
                                         .tail_max_bytes = 4000,
                                         .pressure = 20000};

void dice_seed(struct dice *d, unsigned long seed)
{
    d->state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static uint64_t next(struct dice *d)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return d->state * UINT64_C(2685821657736338717);
}

int dice_below(struct dice *d, int n)
{
    return (int)((next(d) >> 33) % (uint64_t)n);
}

bool dice_chance(struct dice *d, unsigned percent)
{
    return dice_below(d, 100) < (int)percent;
}

const struct play_op *play_pick(struct dice *d, const struct play_op *ops, size_t n)
{
    int total = 0;
    for (size_t i = 0; i < n; i++)
        total += ops[i].weight;
    int r = dice_below(d, total);
    while (r >= ops->weight) {
        r -= ops->weight;
        ops++;
    }
    return ops;
}

const struct lev_windows *play_windows(unsigned long seed)
{
    return seed % 4 == 0 ? NULL : seed % 4 == 3 ? &small : &tiny;
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
    const char *s = getenv(name);
    return s && *s ? strtoul(s, NULL, 10) : otherwise;
}

static play_fn *game;

START_TEST(like_the_model)
{
    game((unsigned long)_i, from_environment("LEV_OPS", OPS));
}
END_TEST

int play_main(const char *name, int n_seeds, play_fn *play)
{
    int first = (int)from_environment("LEV_SEED", 0), end = first + 1;
    if (!first)
        first = 1, end = n_seeds + 1;
    game = play;
    lev_log_set_level(LEV_LOG_NONE); /* stores fail all the time */
    Suite *s = suite_create(name);
    TCase *tc = tcase_create("like the model");
    tcase_set_timeout(tc, LIMIT_S);
    tcase_add_loop_test(tc, like_the_model, first, end);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
