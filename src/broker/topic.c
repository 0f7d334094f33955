/* Topic patterns. See topic.h.
 *
 * A node stands for a prefix of patterns. Every node but the root holds entries or has children.
 * The words * and # have pointers of their own, all others are in a map. A match keeps a set of
 * nodes: those that the words so far can lead to. The set is closed under "# may be no word at
 * all": with a node comes its # child. A # node stays in the set with every word. Stamps keep a
 * node from entering twice. */
#include "broker/topic.h"

#include "base/map.h"

struct node {
    struct node *parent;
    struct lev_map words; /* struct node by word */
    struct node *star, *hash;
    struct lev_list entries;
    uint64_t stamp; /* the last step whose set it was in */
    uint8_t len;
    uint8_t word[];
};

struct node_set {
    struct node **v;
    size_t n, cap;
};

struct lev_topic {
    struct node *root;
    struct node_set now, next;
    uint64_t stamp, steps;
    size_t nodes;
};

static struct node *node_new(struct lev_topic *t, struct node *parent, struct lev_bytes word)
{
    struct node *n = lev_xcalloc(1, sizeof(*n) + word.len);
    n->parent = parent;
    lev_map_init(&n->words);
    lev_list_init(&n->entries);
    n->len = (uint8_t)word.len;
    if (word.len)
        memcpy(n->word, word.ptr, word.len);
    t->nodes++;
    return n;
}

static struct lev_bytes word_of(const struct node *n)
{
    return lev_bytes(n->word, n->len);
}

struct lev_topic *lev_topic_new(void)
{
    struct lev_topic *t = lev_xcalloc(1, sizeof(*t));
    t->root = node_new(t, NULL, LEV_EMPTY);
    return t;
}

static struct node *stack_push(struct node *top, struct node *n)
{
    if (!n)
        return top;
    n->parent = top;
    return n;
}

/* No recursion, a pattern may be 256 words deep: parent links the nodes still to be freed. */
static void free_nodes(struct node *n)
{
    while (n) {
        struct node *top = n->parent;
        top = stack_push(stack_push(top, n->star), n->hash);
        LEV_MAP_EACH(slot, &n->words)
        top = stack_push(top, slot->value);
        lev_map_deinit(&n->words);
        free(n);
        n = top;
    }
}

void lev_topic_free(struct lev_topic **t)
{
    if (!*t)
        return;
    free_nodes((*t)->root);
    free((*t)->now.v);
    free((*t)->next.v);
    free(*t);
    *t = NULL;
}

/* Takes the next word off *rest; *more says whether there is one. Start with *more = text not
 * empty. */
static bool next_word(struct lev_bytes *rest, bool *more, struct lev_bytes *word_r)
{
    if (!*more)
        return false;
    const uint8_t *dot = rest->len ? memchr(rest->ptr, '.', rest->len) : NULL;
    size_t n = dot ? (size_t)(dot - rest->ptr) : rest->len;
    *word_r = lev_bytes(rest->ptr, n);
    *more = dot != NULL;
    *rest = dot ? lev_bytes(dot + 1, rest->len - n - 1) : LEV_EMPTY;
    return true;
}

/* The pointer that leads from n by a pattern's wildcard word, or NULL when the word is none. */
static struct node **wildcard(struct node *n, struct lev_bytes word)
{
    if (word.len == 1 && word.ptr[0] == '*')
        return &n->star;
    if (word.len == 1 && word.ptr[0] == '#')
        return &n->hash;
    return NULL;
}

static struct node *child(struct node *n, struct lev_bytes word)
{
    struct node **w = wildcard(n, word);
    return w ? *w : lev_map_get(&n->words, word);
}

static struct node *child_make(struct lev_topic *t, struct node *n, struct lev_bytes word)
{
    struct node *c = child(n, word);
    if (c)
        return c;
    c = node_new(t, n, word);
    struct node **w = wildcard(n, word);
    if (w)
        *w = c;
    else
        lev_map_put(&n->words, word_of(c), c);
    return c;
}

void lev_topic_add(struct lev_topic *t, struct lev_bytes pattern, struct lev_list *entry)
{
    struct node *n = t->root;
    struct lev_bytes word;
    bool more = pattern.len > 0;
    while (next_word(&pattern, &more, &word))
        n = child_make(t, n, word);
    lev_list_push_back(&n->entries, entry);
}

static bool useless(const struct node *n)
{
    return n->parent && lev_list_empty(&n->entries) && n->words.len == 0 && !n->star && !n->hash;
}

/* Frees n and its parents as far as they hold nothing. */
static void prune(struct lev_topic *t, struct node *n)
{
    while (useless(n)) {
        struct node *parent = n->parent;
        struct node **w = wildcard(parent, word_of(n));
        if (w)
            *w = NULL;
        else
            lev_map_remove(&parent->words, word_of(n));
        if (parent->words.len == 0)
            lev_map_deinit(&parent->words);
        lev_map_deinit(&n->words);
        free(n);
        t->nodes--;
        n = parent;
    }
}

void lev_topic_remove(struct lev_topic *t, struct lev_bytes pattern, struct lev_list *entry)
{
    struct node *n = t->root;
    struct lev_bytes word;
    bool more = pattern.len > 0;
    while (n && next_word(&pattern, &more, &word))
        n = child(n, word);
    lev_list_remove(entry);
    if (n)
        prune(t, n);
}

static void push(struct node_set *s, struct node *n)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->v = lev_xrealloc(s->v, s->cap * sizeof(*s->v));
    }
    s->v[s->n++] = n;
}

/* Puts n, and what # as no word at all leads to, into the set of the step at hand. */
static void enter(struct lev_topic *t, struct node_set *s, struct node *n)
{
    for (; n && n->stamp != t->stamp; n = n->hash) {
        n->stamp = t->stamp;
        push(s, n);
        t->steps++;
    }
}

static void step(struct lev_topic *t, struct lev_bytes word)
{
    t->stamp++;
    t->next.n = 0;
    for (size_t i = 0; i < t->now.n; i++) {
        struct node *n = t->now.v[i];
        if (n->parent && n->parent->hash == n)
            enter(t, &t->next, n);
        enter(t, &t->next, n->star);
        enter(t, &t->next, lev_map_get(&n->words, word));
    }
    struct node_set old = t->now;
    t->now = t->next;
    t->next = old;
}

void lev_topic_match(struct lev_topic *t, struct lev_bytes key,
                     void (*fn)(void *arg, const struct lev_list *entries), void *arg)
{
    struct lev_bytes word;
    bool more = key.len > 0;
    t->stamp++;
    t->now.n = 0;
    enter(t, &t->now, t->root);
    while (t->now.n && next_word(&key, &more, &word))
        step(t, word);
    for (size_t i = 0; i < t->now.n; i++)
        if (!lev_list_empty(&t->now.v[i]->entries))
            fn(arg, &t->now.v[i]->entries);
}

size_t lev_topic_nodes(const struct lev_topic *t)
{
    return t->nodes;
}

uint64_t lev_topic_steps(const struct lev_topic *t)
{
    return t->steps;
}
