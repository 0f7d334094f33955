/* Topic patterns: a table of RabbitMQ's answers, a naive matcher as the judge of random cases, the
 * cost of hostile patterns, and nodes that go with their last entry. */
#include "broker/topic.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct lev_topic *topic;

static void setup(void)
{
    topic = lev_topic_new();
}

static void teardown(void)
{
    lev_topic_free(&topic);
    ck_assert_ptr_null(topic);
}

static void count_entries(void *arg, const struct lev_list *entries)
{
    size_t *n = arg;
    ck_assert(!lev_list_empty(entries));
    for (struct lev_list *it = entries->next; it != entries; it = it->next)
        ++*n;
}

static size_t matches(const char *key)
{
    size_t n = 0;
    lev_topic_match(topic, lev_bytes_str(key), count_entries, &n);
    return n;
}

static const struct {
    const char *pattern, *key;
    bool match;
} cases[] = {
    {"", "", true},
    {"", "a", false},
    {"", ".", false},
    {"a", "", false},
    {"a", "a", true},
    {"a", "b", false},
    {"a", "a.a", false},
    {"a", "aa", false},
    {"a.b", "a.b", true},
    {"a.b", "a", false},
    {"a.b", "a.b.c", false},
    {"a.b", "a..b", false},
    {"#", "", true},
    {"#", "a", true},
    {"#", ".", true},
    {"#", "a.b.c", true},
    {"*", "", false},
    {"*", "a", true},
    {"*", "a.b", false},
    {"*", ".", false},
    {"*.*", ".", true},
    {"*.*", "a.b", true},
    {"*.*", "a", false},
    {"*.*", "a.", true},
    {"*.*", ".a", true},
    {"a.*", "a.", true},
    {"a.*", "a", false},
    {"a.*", "a.b", true},
    {"a.*", "a.b.c", false},
    {"*.a", ".a", true},
    {"a.#", "a", true},
    {"a.#", "a.", true},
    {"a.#", "a.b.c", true},
    {"a.#", "b", false},
    {"a.#", "", false},
    {"#.b", "b", true},
    {"#.b", "a.b", true},
    {"#.b", "a.b.b", true},
    {"#.b", "a.b.c", false},
    {"#.b", ".b", true},
    {"#.*", "", false},
    {"#.*", "a", true},
    {"#.*", "a.b", true},
    {"*.#", "", false},
    {"*.#", "a", true},
    {"*.#", ".", true},
    {"#.#", "", true},
    {"#.#", "a.b", true},
    {"#.*.#", "", false},
    {"#.*.#", "a", true},
    {"#.a.#", "b.a.c", true},
    {"#.a.#", "b.c", false},
    {"a.#.b", "a.b", true},
    {"a.#.b", "a.x.y.b", true},
    {"a.#.b", "a.b.c", false},
    {"a.#.*.b", "a.b", false},
    {"a.#.*.b", "a.x.b", true},
    {"a.*.#.b", "a..b", true},
    {"a*", "a*", true},
    {"a*", "ab", false},
    {"**", "**", true},
    {"**", "ab", false},
    {"##", "##", true},
    {"##", "a", false},
    {"#a", "#a", true},
    {"#a", "a", false},
    {"*", "*", true},
    {"*", "#", true},
    {"#", "#", true},
    {"a.b", "*.b", false},
    {"a.b", "a.#", false},
    {".", ".", true},
    {".", "", false},
    {".", "..", false},
    {"..", "..", true},
    {".a", "a", false},
    {"a.", "a.", true},
    {"a.", "a", false},
    {"A", "a", false},
};

START_TEST(test_table)
{
    struct lev_list entry;
    lev_topic_add(topic, lev_bytes_str(cases[_i].pattern), &entry);
    ck_assert_msg((matches(cases[_i].key) == 1) == cases[_i].match, "'%s' on '%s'",
                  cases[_i].pattern, cases[_i].key);
    lev_topic_remove(topic, lev_bytes_str(cases[_i].pattern), &entry);
    ck_assert_uint_eq(matches(cases[_i].key), 0);
    ck_assert_uint_eq(lev_topic_nodes(topic), 1);
}
END_TEST

START_TEST(test_octets)
{
    struct lev_list entry;
    uint8_t pattern[] = {0, '.', 0xFF, '.', '*'}, key[] = {0, '.', 0xFF, '.', 0x80};
    size_t n = 0;
    lev_topic_add(topic, lev_bytes(pattern, sizeof(pattern)), &entry);
    memset(pattern, 'x', sizeof(pattern)); /* the trie has its own copy */
    lev_topic_match(topic, lev_bytes(key, sizeof(key)), count_entries, &n);
    ck_assert_uint_eq(n, 1);
}
END_TEST

START_TEST(test_several_entries)
{
    struct lev_list e[4];
    const char *patterns[] = {"a.b", "a.b", "a.*", "a"};
    for (int i = 0; i < 4; i++)
        lev_topic_add(topic, lev_bytes_str(patterns[i]), &e[i]);
    ck_assert_uint_eq(lev_topic_nodes(topic), 4);
    ck_assert_uint_eq(matches("a.b"), 3);
    ck_assert_uint_eq(matches("a"), 1);
    lev_topic_remove(topic, LEV_LIT("a.b"), &e[0]);
    ck_assert_uint_eq(matches("a.b"), 2);
    lev_topic_remove(topic, LEV_LIT("a"), &e[3]); /* still on the way to the others */
    ck_assert_uint_eq(lev_topic_nodes(topic), 4);
    lev_topic_remove(topic, LEV_LIT("a.b"), &e[1]);
    ck_assert_uint_eq(lev_topic_nodes(topic), 3);
    lev_topic_remove(topic, LEV_LIT("a.*"), &e[2]);
    ck_assert_uint_eq(lev_topic_nodes(topic), 1);
    ck_assert(!lev_list_linked(&e[0]) && !lev_list_linked(&e[2]));
}
END_TEST

START_TEST(test_free_full)
{
    static struct lev_list e[300];
    char pattern[256];
    memset(pattern, '.', 255);
    pattern[255] = '\0';
    lev_topic_add(topic, lev_bytes_str(pattern), &e[0]); /* 256 words deep */
    ck_assert_uint_eq(lev_topic_nodes(topic), 257);
    for (int i = 1; i < 300; i++) {
        snprintf(pattern, sizeof(pattern), "w%d.#.*.x%d", i, i % 7);
        lev_topic_add(topic, lev_bytes_str(pattern), &e[i]);
    }
}
END_TEST

/* ---- Random patterns against a naive matcher ---------------------------------------------------
 */

enum { WORDS_MAX = 6, SET = 24, ROUNDS = 1500, KEYS = 20 };

struct words {
    char text[64];
    const char *v[WORDS_MAX];
    int n;
};

static unsigned long long random_state = 0x9E3779B97F4A7C15ULL;

static unsigned random_below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % n;
}

static void make_words(struct words *w)
{
    static const char *const vocabulary[] = {"*", "#", "a", "b", "", "#", "*", "a*"};
    w->n = (int)random_below(WORDS_MAX + 1);
    w->text[0] = '\0';
    for (int i = 0; i < w->n; i++) {
        w->v[i] = vocabulary[random_below(COUNT(vocabulary))];
        if (i > 0)
            strcat(w->text, ".");
        strcat(w->text, w->v[i]);
    }
    if (w->n == 1 && w->v[0][0] == '\0') /* the empty text has no words */
        w->n = 0;
}

static bool naive(const char *const *p, int np, const char *const *k, int nk)
{
    if (np == 0)
        return nk == 0;
    if (strcmp(p[0], "#") == 0)
        return naive(p + 1, np - 1, k, nk) || (nk > 0 && naive(p, np, k + 1, nk - 1));
    if (nk == 0 || (strcmp(p[0], "*") != 0 && strcmp(p[0], k[0]) != 0))
        return false;
    return naive(p + 1, np - 1, k + 1, nk - 1);
}

struct pattern {
    struct lev_list entry; /* first */
    struct words words;
    bool in;
    int hits;
};

static void count_hits(void *arg, const struct lev_list *entries)
{
    (void)arg;
    for (struct lev_list *it = entries->next; it != entries; it = it->next)
        LEV_LIST_ENTRY(it, struct pattern, entry)->hits++;
}

static void toggle(struct pattern *p)
{
    if (p->in) {
        lev_topic_remove(topic, lev_bytes_str(p->words.text), &p->entry);
    } else {
        make_words(&p->words);
        lev_topic_add(topic, lev_bytes_str(p->words.text), &p->entry);
    }
    p->in = !p->in;
}

static void compare(struct pattern *set, const struct words *key)
{
    for (int i = 0; i < SET; i++)
        set[i].hits = 0;
    lev_topic_match(topic, lev_bytes_str(key->text), count_hits, NULL);
    for (int i = 0; i < SET; i++) {
        int want = set[i].in && naive(set[i].words.v, set[i].words.n, key->v, key->n);
        ck_assert_msg(set[i].hits == want, "'%s' on '%s': %d times, not %d", set[i].words.text,
                      key->text, set[i].hits, want);
    }
}

/* 1500 states of the trie, 20 keys each, 24 patterns compared each time. */
START_TEST(test_random)
{
    static struct pattern set[SET];
    struct words key;
    for (int round = 0; round < ROUNDS; round++) {
        toggle(&set[random_below(SET)]);
        for (int i = 0; i < KEYS; i++) {
            make_words(&key);
            compare(set, &key);
        }
    }
    for (int i = 0; i < SET; i++)
        if (set[i].in)
            toggle(&set[i]);
    ck_assert_uint_eq(lev_topic_nodes(topic), 1);
}
END_TEST

/* ---- Cost ---------------------------------------------------------------------------------------
 */

static void repeat(char *out, const char *word, int n, const char *last)
{
    out[0] = '\0';
    for (int i = 0; i < n; i++)
        strcat(strcat(out, word), ".");
    strcat(out, last);
}

static const struct {
    const char *word, *pattern_last, *key_last;
    bool match;
} hostile[] = {
    {"#", "a", "b", false},  {"#", "a", "a", true},    {"#.*", "b", "a", false},
    {"*.#", "a", "a", true}, {"#.a", "b", "a", false},
};

START_TEST(test_hostile_cost)
{
    struct lev_list entry;
    char pattern[256], key[256];
    int n = 250 / ((int)strlen(hostile[_i].word) + 1);
    repeat(pattern, hostile[_i].word, n, hostile[_i].pattern_last);
    repeat(key, "a", 126, hostile[_i].key_last);
    lev_topic_add(topic, lev_bytes_str(pattern), &entry);
    ck_assert_uint_eq(matches(key), hostile[_i].match);
    ck_assert_uint_le(lev_topic_steps(topic), 128 * lev_topic_nodes(topic));
}
END_TEST

/* Patterns that lead elsewhere cost nothing. */
START_TEST(test_selective_cost)
{
    static struct lev_list e[2000];
    char pattern[64];
    for (int i = 0; i < COUNT(e); i++) {
        snprintf(pattern, sizeof(pattern), "w%d.*.#", i);
        lev_topic_add(topic, lev_bytes_str(pattern), &e[i]);
    }
    ck_assert_uint_eq(matches("w77.x.y"), 1);
    ck_assert_uint_le(lev_topic_steps(topic), 8);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker/topic");
    TCase *tc = tcase_create("topic");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_table, 0, COUNT(cases));
    tcase_add_test(tc, test_octets);
    tcase_add_test(tc, test_several_entries);
    tcase_add_test(tc, test_free_full);
    tcase_add_test(tc, test_random);
    tcase_add_loop_test(tc, test_hostile_cost, 0, COUNT(hostile));
    tcase_add_test(tc, test_selective_cost);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
