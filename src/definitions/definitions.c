/* Reading definitions files: documents, their objects one by one, the check of all of them. See
 * definitions.h. */
#include "definitions/definitions_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/mem.h"

enum { READ_STEP = 65536 };

static int fail(char *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(char *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err, LEV_DEFINITIONS_ERR_MAX, fmt, ap);
    va_end(ap);
    for (char *c = err; *c; c++) /* one line, whatever was quoted */
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return -1;
}

int lev_def_fail_(const struct item *it, const char *fmt, ...)
{
    char what[LEV_DEFINITIONS_ERR_MAX];
    const char *name = json_string_value(json_object_get(it->json, "name"));
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (name)
        return fail(it->err, "%s: %s[%zu] ('%.100s'): %s", it->doc->source, it->array, it->index,
                    name, what);
    return fail(it->err, "%s: %s[%zu]: %s", it->doc->source, it->array, it->index, what);
}

/* ---- One object after the other ---- */

static int visit(struct item *it, int (*fn)(struct item *it, void *ctx), void *ctx)
{
    lev_buf_init(&it->table);
    lev_buf_init(&it->text);
    lev_buf_init(&it->hash);
    int rc = json_is_object(it->json) ? fn(it, ctx) : lev_def_fail_(it, "is not an object");
    lev_buf_deinit(&it->table);
    lev_buf_deinit(&it->text);
    lev_buf_deinit(&it->hash);
    return rc;
}

static int each_of(const struct document *doc, const char *array,
                   int (*fn)(struct item *it, void *ctx), void *ctx, char *err)
{
    const json_t *list = json_object_get(doc->root, array);
    if (list && !json_is_array(list))
        return fail(err, "%s: '%s' is not an array", doc->source, array);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct item it = {
            .doc = doc, .array = array, .index = i, .json = json_array_get(list, i), .err = err};
        if (visit(&it, fn, ctx) < 0)
            return -1;
    }
    return 0;
}

int lev_def_each_(const struct lev_definitions *d, const char *array,
                  int (*fn)(struct item *it, void *ctx), void *ctx,
                  char err[LEV_DEFINITIONS_ERR_MAX])
{
    for (size_t i = 0; i < d->n; i++)
        if (each_of(&d->docs[i], array, fn, ctx, err) < 0)
            return -1;
    return 0;
}

/* ---- The check: each object is read, and what was read dropped ---- */

static int check_user(struct item *it, void *ctx)
{
    (void)ctx;
    return lev_def_user_(it, &(struct lev_meta_user){0});
}

static int check_vhost(struct item *it, void *ctx)
{
    (void)ctx;
    return lev_def_vhost_(it, &(struct lev_meta_vhost){0});
}

static int check_permission(struct item *it, void *ctx)
{
    (void)ctx;
    return lev_def_permission_(it, &(struct lev_meta_permission){0});
}

static int check_topic_permission(struct item *it, void *ctx)
{
    (void)ctx;
    return lev_def_topic_permission_(it, &(struct lev_meta_topic_permission){0});
}

static int check_policy(struct item *it, void *ctx)
{
    (void)ctx;
    return lev_def_policy_(it, &(struct lev_meta_policy){0});
}

static int check_parameter(struct item *it, void *ctx)
{
    bool is_policy;
    (void)ctx;
    return lev_def_parameter_(it, &(struct lev_meta_parameter){0}, &is_policy,
                              &(struct lev_meta_policy){0});
}

static int check_global_parameter(struct item *it, void *ctx)
{
    (void)ctx;
    return lev_def_global_parameter_(it, &(struct lev_meta_parameter){0});
}

static int check_exchange(struct item *it, void *ctx)
{
    (void)ctx;
    return lev_def_exchange_(it, &(struct lev_exchange_def){0});
}

static int check_queue(struct item *it, void *ctx)
{
    (void)ctx;
    return lev_def_queue_(it, &(struct lev_queue_declare_args){0});
}

static int check_binding(struct item *it, void *ctx)
{
    (void)ctx;
    return lev_def_binding_(it, &(struct lev_binding_def){0});
}

static int check(const struct document *doc, char *err)
{
    static const struct {
        const char *array;
        int (*check)(struct item *it, void *ctx);
    } arrays[] = {
        {"users", check_user},
        {"vhosts", check_vhost},
        {"permissions", check_permission},
        {"topic_permissions", check_topic_permission},
        {"global_parameters", check_global_parameter},
        {"policies", check_policy},
        {"parameters", check_parameter},
        {"exchanges", check_exchange},
        {"queues", check_queue},
        {"bindings", check_binding},
    };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        if (each_of(doc, arrays[i].array, arrays[i].check, NULL, err) < 0)
            return -1;
    return 0;
}

/* ---- Documents ---- */

/* RabbitMQ 3.0 to 3.5. */
static bool hashed_with_md5(const json_t *root)
{
    const char *v = json_string_value(json_object_get(root, "rabbit_version"));
    return v && strncmp(v, "3.", 2) == 0 && v[2] >= '0' && v[2] <= '5' && v[3] == '.';
}

static int add_document(struct lev_definitions *d, const char *source, struct lev_bytes text,
                        char *err)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    json_error_t e;
    if (lev_bytes_starts(text, lev_bytes(mark, sizeof(mark))))
        text = lev_bytes(text.ptr + sizeof(mark), text.len - sizeof(mark));
    json_t *root = json_loadb(text.len ? (const char *)text.ptr : "", text.len, 0, &e);
    if (!root)
        return fail(err, "%s:%d:%d: %s", source, e.line, e.column, e.text);
    d->docs = lev_xrealloc(d->docs, (d->n + 1) * sizeof(*d->docs));
    struct document *doc = &d->docs[d->n++];
    doc->source = (char *)(uintptr_t)lev_bytes_dup(lev_bytes_str(source)).ptr;
    doc->root = root;
    if (!json_is_object(root))
        return fail(err, "%s: definitions are not a JSON object", source);
    doc->md5 = hashed_with_md5(root);
    return check(doc, err);
}

static int read_all(FILE *f, struct lev_buf *out)
{
    size_t n = 1;
    while (n > 0) {
        uint8_t *to = lev_buf_reserve(out, READ_STEP);
        n = to ? fread(to, 1, READ_STEP, f) : 0;
        out->len += n;
    }
    if (out->failed)
        errno = ENOMEM;
    return ferror(f) || out->failed ? -1 : 0;
}

static int read_file(struct lev_definitions *d, const char *path, char *err)
{
    struct lev_buf text;
    FILE *f = fopen(path, "rb");
    if (!f)
        return fail(err, "cannot read %s: %s", path, strerror(errno));
    lev_buf_init(&text);
    int rc = read_all(f, &text);
    if (rc < 0)
        fail(err, "cannot read %s: %s", path, strerror(errno));
    else
        rc = add_document(d, path, lev_buf_view(&text), err);
    lev_buf_deinit(&text);
    (void)fclose(f); /* was only read */
    return rc;
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int read_directory(struct lev_definitions *d, const char *dir, char *err)
{
    struct dirent **names;
    int rc = 0, n = scandir(dir, &names, visible, alphasort);
    if (n < 0)
        return fail(err, "cannot read %s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        size_t len = strlen(dir) + strlen(names[i]->d_name) + 2;
        char *path = lev_xmalloc(len);
        snprintf(path, len, "%s/%s", dir, names[i]->d_name);
        if (rc == 0)
            rc = read_file(d, path, err);
        free(path);
        free(names[i]);
    }
    free(names);
    return rc;
}

/* ---- In and out ---- */

static int finish(struct lev_definitions *d, int rc, struct lev_definitions **d_r)
{
    if (rc < 0)
        lev_definitions_free(&d);
    *d_r = d;
    return rc;
}

int lev_definitions_parse(const char *source, struct lev_bytes text, struct lev_definitions **d_r,
                          char err[LEV_DEFINITIONS_ERR_MAX])
{
    struct lev_definitions *d = lev_xcalloc(1, sizeof(*d));
    return finish(d, add_document(d, source, text, err), d_r);
}

int lev_definitions_read(const char *path, struct lev_definitions **d_r,
                         char err[LEV_DEFINITIONS_ERR_MAX])
{
    struct lev_definitions *d = lev_xcalloc(1, sizeof(*d));
    struct stat st;
    bool directory = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    return finish(d, directory ? read_directory(d, path, err) : read_file(d, path, err), d_r);
}

void lev_definitions_free(struct lev_definitions **dp)
{
    struct lev_definitions *d = *dp;
    *dp = NULL;
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++) {
        json_decref(d->docs[i].root);
        free(d->docs[i].source);
    }
    free(d->docs);
    free(d);
}
