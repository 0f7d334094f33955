/* The policies of one vhost. See policy.h.
 *
 * Each kind is an array in order of decreasing priority, so that the first match governs. */
#include "broker/policy.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"

enum {
    N_KINDS = 2,
    EXCHANGES = 8,
    QUEUES = LEV_QUEUE_CLASSIC | LEV_QUEUE_QUORUM | LEV_QUEUE_STREAM
};

struct policy {
    struct lev_policy_def def; /* owned strings */
    struct lev_policy_values values;
    unsigned applies_to; /* queue types, EXCHANGES */
    pcre2_code *pattern;
};

struct lev_policy_set {
    struct policies {
        struct policy **list;
        size_t n, cap;
    } of[N_KINDS];
    pcre2_match_data *match;
};

struct lev_policy_set *lev_policy_set_new(void)
{
    struct lev_policy_set *set = lev_xcalloc(1, sizeof(*set));
    set->match = pcre2_match_data_create(1, NULL);
    return set;
}

static void policy_free(struct policy **pp)
{
    struct policy *p = *pp;
    *pp = NULL;
    lev_bytes_free(&p->def.name);
    lev_bytes_free(&p->def.pattern);
    lev_bytes_free(&p->def.apply_to);
    lev_bytes_free(&p->def.definition);
    pcre2_code_free(p->pattern);
    free(p);
}

void lev_policy_set_free(struct lev_policy_set **setp)
{
    struct lev_policy_set *set = *setp;
    *setp = NULL;
    if (!set)
        return;
    for (size_t k = 0; k < N_KINDS; k++) {
        for (size_t i = 0; i < set->of[k].n; i++)
            policy_free(&set->of[k].list[i]);
        free(set->of[k].list);
    }
    pcre2_match_data_free(set->match);
    free(set);
}

/* ---- Adding and removing ---- */

/* 0 when there is no such word. */
static unsigned applies_to(struct lev_bytes word)
{
    static const struct {
        const char *word;
        unsigned to;
    } list[] = {
        {"all", QUEUES | EXCHANGES},           {"queues", QUEUES},
        {"classic_queues", LEV_QUEUE_CLASSIC}, {"quorum_queues", LEV_QUEUE_QUORUM},
        {"streams", LEV_QUEUE_STREAM},         {"exchanges", EXCHANGES},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (lev_bytes_eq(lev_bytes_str(list[i].word), word))
            return list[i].to;
    return 0;
}

/* Unanchored, on bytes. NULL with the error. */
static pcre2_code *compile(struct lev_bytes pattern, char *errbuf)
{
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR text[128];
    pcre2_code *re = pcre2_compile(pattern.len ? pattern.ptr : (const uint8_t *)"", pattern.len, 0,
                                   &code, &at, NULL);
    if (re)
        return re;
    if (pcre2_get_error_message(code, text, sizeof(text)) < 0)
        text[0] = 0;
    snprintf(errbuf, LEV_POLICY_ERR_MAX,
             "pattern should be regular expression but is invalid: {\"%s\",%zu}",
             (const char *)text, at);
    return NULL;
}

static void refuse_applies_to(struct lev_bytes word, char *errbuf)
{
    snprintf(errbuf, LEV_POLICY_ERR_MAX,
             "apply-to '%.*s' unrecognised; should be one of: 'queues', 'classic_queues', "
             "'quorum_queues', 'streams', 'exchanges' or 'all'",
             LEV_FMT(word));
}

static void copy_def(struct lev_policy_def *to, const struct lev_policy_def *from)
{
    to->name = lev_bytes_dup(from->name);
    to->pattern = lev_bytes_dup(from->pattern);
    to->apply_to = lev_bytes_dup(from->apply_to);
    to->definition = lev_bytes_dup(from->definition);
    to->priority = from->priority;
}

/* NULL with the error. */
static struct policy *policy_new(enum lev_policy_kind kind, const struct lev_policy_def *d,
                                 char *errbuf)
{
    struct policy *p = lev_xcalloc(1, sizeof(*p));
    copy_def(&p->def, d);
    p->applies_to = applies_to(d->apply_to);
    p->pattern = compile(d->pattern, errbuf);
    bool good = p->pattern != NULL;
    if (good && !p->applies_to) {
        refuse_applies_to(d->apply_to, errbuf);
        good = false;
    }
    if (good)
        good = lev_policy_values_read(p->def.definition, kind == LEV_OPERATOR_POLICY, &p->values,
                                      errbuf, LEV_POLICY_ERR_MAX) == 0;
    if (!good)
        policy_free(&p);
    return p;
}

static bool before(const struct policy *a, const struct policy *b)
{
    if (a->def.priority != b->def.priority)
        return a->def.priority > b->def.priority;
    return lev_bytes_cmp(a->def.name, b->def.name) < 0;
}

static void insert(struct policies *ps, struct policy *p)
{
    if (ps->n == ps->cap) {
        ps->cap = ps->cap ? ps->cap * 2 : 8;
        ps->list = lev_xrealloc(ps->list, ps->cap * sizeof(struct policy *));
    }
    size_t i = ps->n++;
    for (; i > 0 && before(p, ps->list[i - 1]); i--)
        ps->list[i] = ps->list[i - 1];
    ps->list[i] = p;
}

int lev_policy_set_put(struct lev_policy_set *set, enum lev_policy_kind kind,
                       const struct lev_policy_def *d, char errbuf[LEV_POLICY_ERR_MAX])
{
    struct policy *p = policy_new(kind, d, errbuf);
    if (!p)
        return -1;
    lev_policy_set_remove(set, kind, p->def.name);
    insert(&set->of[kind], p);
    return 0;
}

bool lev_policy_set_remove(struct lev_policy_set *set, enum lev_policy_kind kind,
                           struct lev_bytes name)
{
    struct policies *ps = &set->of[kind];
    size_t i = 0;
    while (i < ps->n && !lev_bytes_eq(ps->list[i]->def.name, name))
        i++;
    if (i == ps->n)
        return false;
    policy_free(&ps->list[i]);
    memmove(&ps->list[i], &ps->list[i + 1], (ps->n - i - 1) * sizeof(struct policy *));
    ps->n--;
    return true;
}

size_t lev_policy_set_count(const struct lev_policy_set *set, enum lev_policy_kind kind)
{
    return set->of[kind].n;
}

/* ---- Matching ---- */

static bool matches(const struct lev_policy_set *set, const struct policy *p, struct lev_bytes name)
{
    const uint8_t *subject = name.len ? name.ptr : (const uint8_t *)"";
    int rc = set->match ? pcre2_match(p->pattern, subject, name.len, 0, 0, set->match, NULL)
                        : PCRE2_ERROR_NOMEMORY;
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
        lev_log_warn("policy '%.*s': matching '%.*s' was given up (PCRE2 error %d)",
                     LEV_FMT(p->def.name), LEV_FMT(name), rc);
    return rc >= 0;
}

static const struct policy *governing(const struct lev_policy_set *set, enum lev_policy_kind kind,
                                      struct lev_bytes name, unsigned what)
{
    const struct policies *ps = &set->of[kind];
    for (size_t i = 0; i < ps->n; i++) {
        const struct policy *p = ps->list[i];
        bool suits =
            what == EXCHANGES || lev_policy_values_suit(&p->values, (enum lev_queue_type)what);
        if ((p->applies_to & what) && suits && matches(set, p, name))
            return p;
    }
    return NULL;
}

static bool effect(const struct lev_policy_set *set, struct lev_bytes name, unsigned what,
                   struct lev_policy_effect *out)
{
    *out = (struct lev_policy_effect){0};
    if (!set)
        return false;
    const struct policy *user = governing(set, LEV_USER_POLICY, name, what);
    const struct policy *op = governing(set, LEV_OPERATOR_POLICY, name, what);
    if (user) {
        out->policy = &user->def;
        out->values = user->values;
    }
    if (op) {
        out->operator_policy = &op->def;
        lev_policy_values_merge(&out->values, &op->values);
    }
    return user || op;
}

bool lev_policy_of_queue(const struct lev_policy_set *set, struct lev_bytes name,
                         enum lev_queue_type type, struct lev_policy_effect *out)
{
    return effect(set, name, type, out);
}

bool lev_policy_of_exchange(const struct lev_policy_set *set, struct lev_bytes name,
                            struct lev_policy_effect *out)
{
    return effect(set, name, EXCHANGES, out);
}
