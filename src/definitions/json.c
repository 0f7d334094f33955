/* JSON objects as field tables. See json.h. */
#include "definitions/json.h"

#include "amqp/table.h"

enum { NAME_MAX_LEN = 255 };

struct lev_bytes lev_json_text(const json_t *string)
{
    return lev_bytes(json_string_value(string), json_string_length(string));
}

static const char *put_pairs(const json_t *object, struct lev_buf *out, int depth);
static const char *put_items(const json_t *array, struct lev_buf *out, int depth);

/* Fills *v; nested tables and arrays are built in inner. */
static const char *value_of(const json_t *j, struct lev_value *v, struct lev_buf *inner, int depth)
{
    const char *wrong = NULL;
    *v = (struct lev_value){0};
    switch (json_typeof(j)) {
    case JSON_INTEGER:
        v->type = 'l';
        v->i = json_integer_value(j);
        break;
    case JSON_REAL:
        v->type = 'd';
        v->d = json_real_value(j);
        break;
    case JSON_STRING:
        v->type = 'S';
        v->b = lev_json_text(j);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        v->type = 't';
        v->i = json_is_true(j);
        break;
    case JSON_OBJECT:
        v->type = 'F';
        wrong = put_pairs(j, inner, depth + 1);
        v->b = lev_buf_view(inner);
        break;
    case JSON_ARRAY:
        v->type = 'A';
        wrong = put_items(j, inner, depth + 1);
        v->b = lev_buf_view(inner);
        break;
    case JSON_NULL:
        wrong = "null is not a value";
        break;
    }
    return wrong;
}

static const char *put_items(const json_t *array, struct lev_buf *out, int depth)
{
    const char *wrong = depth < LEV_TABLE_DEPTH_MAX ? NULL : "nested too deeply";
    for (size_t i = 0; !wrong && i < json_array_size(array); i++) {
        struct lev_value v;
        struct lev_buf inner;
        lev_buf_init(&inner);
        wrong = value_of(json_array_get(array, i), &v, &inner, depth);
        if (!wrong && inner.failed)
            wrong = "too large";
        if (!wrong)
            lev_array_put_value(out, &v);
        lev_buf_deinit(&inner);
    }
    return wrong;
}

static const char *put_pair(const char *key, const json_t *j, struct lev_buf *out, int depth)
{
    struct lev_value v;
    struct lev_buf inner;
    struct lev_bytes name = lev_bytes_str(key);
    if (name.len > NAME_MAX_LEN)
        return "a key is longer than 255 octets";
    lev_buf_init(&inner);
    const char *wrong = value_of(j, &v, &inner, depth);
    if (!wrong && inner.failed)
        wrong = "too large";
    if (!wrong)
        lev_table_put_value(out, name, &v);
    lev_buf_deinit(&inner);
    return wrong;
}

static const char *put_pairs(const json_t *object, struct lev_buf *out, int depth)
{
    const char *key, *wrong = depth < LEV_TABLE_DEPTH_MAX ? NULL : "nested too deeply";
    json_t *j, *walk = (json_t *)(uintptr_t)object; /* only walked through */
    json_object_foreach(walk, key, j)
    {
        if (!wrong)
            wrong = put_pair(key, j, out, depth);
    }
    return wrong;
}

const char *lev_json_to_table(const json_t *object, struct lev_buf *table)
{
    const char *wrong = put_pairs(object, table, 0);
    return !wrong && table->failed ? "too large" : wrong;
}
