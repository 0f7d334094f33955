/* The syntax of rabbitmq.conf: `key = value` lines, comments from an unquoted #, values in single
 * quotes,
 * $(NAME) for an environment variable. What keys mean is conf_keys.c's. */
#include "config/config_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static int malformed(char *err, const char *what)
{
    snprintf(err, LEV_CONFIG_ERR_MAX, "%s", what);
    return -1;
}

static char *skip_blanks(char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

static bool is_key_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

/* Cuts the value off in place: to the closing quote, or to a comment or the end, without trailing
 * blanks. */
static int cut_value(char *p, char **value_r, char *err)
{
    if (*p == '\'') {
        char *end = strchr(p + 1, '\'');
        if (!end)
            return malformed(err, "the quote is not closed");
        if (*skip_blanks(end + 1))
            return malformed(err, "something follows the closing quote");
        *end = 0;
        *value_r = p + 1;
        return 0;
    }
    char *end = p + strcspn(p, "#");
    while (end > p && isspace((unsigned char)end[-1]))
        end--;
    *end = 0;
    *value_r = p;
    return *p ? 0 : malformed(err, "a value is missing after '='");
}

/* 1 with *key_r and *value_r (views into line), 0 for an empty line, -1 with what is wrong. */
static int parse_line(char *line, char **key_r, char **value_r, char *err)
{
    char *key = skip_blanks(line);
    if (*key == 0 || *key == '#')
        return 0;
    char *end = key;
    while (is_key_char(*end))
        end++;
    char *equals = skip_blanks(end);
    if (end == key || *equals != '=')
        return malformed(err, "not of the form 'key = value'");
    *key_r = key;
    int rc = cut_value(skip_blanks(equals + 1), value_r, err);
    *end = 0;
    return rc < 0 ? -1 : 1;
}

/* Appends value with $(NAME) replaced, and a NUL. */
static int expand(struct lev_buf *out, const char *value, const struct lev_config_world *w,
                  char *err)
{
    const char *p = value, *open;
    while ((open = strstr(p, "$(")) != NULL) {
        const char *close = strchr(open, ')');
        if (!close)
            return malformed(err, "$( is not closed");
        char name[256];
        snprintf(name, sizeof(name), "%.*s", (int)(close - open - 2), open + 2);
        const char *found = w->env(w->ctx, name);
        if (!found) {
            snprintf(err, LEV_CONFIG_ERR_MAX, "the environment variable '%s' is not set", name);
            return -1;
        }
        lev_buf_put(out, p, (size_t)(open - p));
        lev_buf_put(out, found, strlen(found));
        p = close + 1;
    }
    lev_buf_put(out, p, strlen(p) + 1);
    return out->failed ? malformed(err, "the value is too long") : 0;
}

static int apply_line(struct lev_config *c, char *line, size_t len, struct setting *s,
                      const struct lev_config_world *w, char *err)
{
    char *key, *value;
    if (memchr(line, 0, len))
        return malformed(err, "not a line of text");
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        line[--len] = 0;
    int rc = parse_line(line, &key, &value, err);
    if (rc <= 0)
        return rc;
    struct lev_buf expanded;
    lev_buf_init(&expanded);
    rc = expand(&expanded, value, w, err);
    if (rc == 0) {
        s->key = key;
        s->value = (const char *)expanded.ptr;
        rc = lev_conf_apply_(c, s, w, err);
    }
    lev_buf_deinit(&expanded);
    return rc;
}

static int read_lines(struct lev_config *c, FILE *f, const char *path,
                      const struct lev_config_world *w, char *err)
{
    char *line = NULL, what[LEV_CONFIG_ERR_MAX];
    size_t cap = 0;
    ssize_t len;
    struct setting s = {.file = path};
    int rc = 0;
    while (rc == 0 && (len = getline(&line, &cap, f)) >= 0) {
        s.line++;
        rc = apply_line(c, line, (size_t)len, &s, w, what);
        if (rc < 0)
            snprintf(err, LEV_CONFIG_ERR_MAX, "%.400s:%d: %.500s", path, s.line, what);
    }
    if (rc == 0 && ferror(f)) {
        snprintf(err, LEV_CONFIG_ERR_MAX, "cannot read %.900s: %s", path, strerror(errno));
        rc = -1;
    }
    free(line);
    return rc;
}

int lev_conf_file_read_(struct lev_config *c, const char *path, const struct lev_config_world *w,
                        char err[LEV_CONFIG_ERR_MAX])
{
    FILE *f = fopen(path, "re");
    if (!f) {
        snprintf(err, LEV_CONFIG_ERR_MAX, "cannot read %.900s: %s", path, strerror(errno));
        return -1;
    }
    int rc = read_lines(c, f, path, w, err);
    fclose(f);
    return rc;
}
