/* A field table: what validates can be walked, looked up, rebuilt to the same table, and equals
 * itself in any order of its keys. What does not validate must only do no harm. */
#include "amqp/table.h"

#include "property.h"

static void rebuild(struct lev_bytes table, struct lev_buf *forwards)
{
    struct lev_bytes key;
    struct lev_value v;
    int rc;
    while ((rc = lev_table_next(&table, &key, &v)) > 0) {
        FUZZ_CHECK(lev_value_equal(&v, &v));
        lev_table_put_value(forwards, key, &v);
    }
    FUZZ_CHECK(rc == 0 && !forwards->failed);
}

/* Moves the first pair to the end. With two pairs of one key that may make another table. */
static void rotate(struct lev_bytes table, struct lev_buf *out)
{
    struct lev_bytes key, rest = table;
    struct lev_value v;
    if (lev_table_next(&rest, &key, &v) > 0) {
        lev_buf_put_bytes(out, rest);
        lev_buf_put(out, table.ptr, table.len - rest.len);
    }
}

static bool first_key_is_repeated(struct lev_bytes table)
{
    struct lev_bytes first, key;
    struct lev_value v;
    if (lev_table_next(&table, &first, &v) <= 0)
        return false;
    while (lev_table_next(&table, &key, &v) > 0)
        if (lev_bytes_eq(first, key))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lev_bytes table = lev_bytes(data, size), half = lev_bytes(data, size / 2);
    struct lev_bytes other_half = lev_bytes(data + size / 2, size - size / 2);
    struct lev_buf copy, rotated;
    struct lev_value v;
    FUZZ_CHECK(lev_table_same(half, other_half) == lev_table_same(other_half, half));
    (void)lev_table_get(table, "key", &v);
    if (lev_table_validate(table) != 0)
        return 0;
    lev_buf_init(&copy);
    lev_buf_init(&rotated);
    rebuild(table, &copy);
    FUZZ_CHECK(copy.len == size);
    FUZZ_CHECK(lev_table_validate(lev_buf_view(&copy)) == 0);
    FUZZ_CHECK(lev_table_same(table, lev_buf_view(&copy)));
    rotate(lev_buf_view(&copy), &rotated);
    FUZZ_CHECK(first_key_is_repeated(table) || lev_table_same(table, lev_buf_view(&rotated)));
    lev_buf_deinit(&copy);
    lev_buf_deinit(&rotated);
    return 0;
}
