/* Dead letters: the keys they go by and tell of. */
#include "late.h"

#include <check.h>
#include <stdio.h>

#include "amqp/props.h"
#include "amqp/table.h"
#include "broker/dead_letter.h"
#include "broker/death.h"

enum { CC_KEYS = 200 };

static struct late l;

static void setup(void)
{
    late_init(&l);
    late_exchange(&l, "dlx", "direct", "d", "");
    late_queue(&l, "work", "d", "x-dead-letter-exchange=Sdlx");
    late_queue(&l, "fixed", "d",
               "x-dead-letter-exchange=Sdlx x-dead-letter-routing-key=Swork-again");
    late_queue(&l, "again", "d", "x-dead-letter-exchange=Sdlx");
    late_queue(&l, "last", "d", "");
    late_queue(&l, "secret", "d", "");
    late_bind(&l, "dlx", "q:again", "work-again");
    late_bind(&l, "dlx", "q:last", "cc199");
    late_bind(&l, "dlx", "q:secret", "hidden");
}

static void teardown(void)
{
    late_deinit(&l);
}

static struct lev_msg *message(int cc_keys, struct lev_bytes bcc)
{
    struct lev_buf array, headers, props;
    char key[16];
    lev_buf_init(&array);
    lev_buf_init(&headers);
    lev_buf_init(&props);
    for (int i = 0; i < cc_keys; i++) {
        snprintf(key, sizeof(key), "cc%d", i);
        lev_array_put_value(&array, &(struct lev_value){.type = 'S', .b = lev_bytes_str(key)});
    }
    lev_table_put_array(&headers, "CC", lev_buf_view(&array));
    lev_props_encode(
        &props, &(struct lev_props){.flags = LEV_PROP_HEADERS, .headers = lev_buf_view(&headers)});
    struct lev_msg *m = lev_msg_new_bcc(LEV_EMPTY, LEV_LIT("work"), lev_buf_view(&props), bcc, 1);
    ck_assert_ptr_nonnull(m);
    lev_msg_body_mut(m)[0] = 'm';
    m->persistent = 1;
    lev_buf_deinit(&array);
    lev_buf_deinit(&headers);
    lev_buf_deinit(&props);
    return m;
}

/* Takes m. */
static void enqueue(const char *queue, struct lev_msg *m)
{
    lev_vhost_lock(l.v);
    ck_assert_uint_ne(lev_queue_publish_taking(late_find(&l, queue), m), LEV_QUEUE_REJECTED);
    lev_vhost_end_run(l.v);
    lev_vhost_unlock(l.v);
    late_run(&l);
}

/* The first message dies. */
static void reject(const char *queue)
{
    struct late_held h = late_take(&l, queue);
    lev_vhost_lock(l.v);
    lev_dead_letter(h.level, &h.e, LEV_DEATH_REJECTED);
    lev_vhost_end_run(l.v);
    lev_vhost_unlock(l.v);
    lev_msg_unref(&h.e.msg);
    late_run(&l);
}

/* How many routing keys the first element of x-death names. */
static size_t keys_told(const struct lev_msg *m)
{
    struct lev_value deaths, first, keys, v;
    size_t n = 0;
    ck_assert(lev_table_get(lev_msg_headers(m), "x-death", &deaths) && deaths.type == 'A');
    ck_assert_int_gt(lev_array_next(&deaths.b, &first), 0);
    ck_assert(lev_table_get(first.b, "routing-keys", &keys) && keys.type == 'A');
    for (; lev_array_next(&keys.b, &v) > 0; n++)
        ck_assert_int_eq(v.type, 'S');
    return n;
}

START_TEST(all_keys_count)
{
    enqueue("work", message(CC_KEYS, LEV_EMPTY));
    reject("work");
    struct late_held h = late_take(&l, "last");
    ck_assert_uint_eq(keys_told(h.e.msg), CC_KEYS + 1);
    late_settle(&l, &h);
}
END_TEST

START_TEST(bcc_counts_and_is_not_told)
{
    enqueue("work", message(0, LEV_LIT("\3foo\6hidden")));
    reject("work");
    struct late_held h = late_take(&l, "secret");
    ck_assert_uint_eq(keys_told(h.e.msg), 1);
    ck_assert_uint_eq(lev_death_keys(h.e.msg, NULL), 3);
    late_settle(&l, &h);
}
END_TEST

START_TEST(bcc_survives_a_crash)
{
    enqueue("work", message(1, LEV_LIT("\6hidden")));
    late_crash(&l);
    reject("work");
    late_expect(&l, "secret", "m");
}
END_TEST

/* A key of the queue's own takes the place of all. */
START_TEST(fixed_key_forgets)
{
    enqueue("fixed", message(CC_KEYS, LEV_LIT("\6hidden")));
    reject("fixed");
    ck_assert_uint_eq(late_ready(&l, "again"), 1);
    reject("again");
    ck_assert_uint_eq(late_ready(&l, "again"), 1);
    ck_assert_uint_eq(late_ready(&l, "last"), 0);
    ck_assert_uint_eq(late_ready(&l, "secret"), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_death");
    TCase *tc = tcase_create("keys");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, all_keys_count);
    tcase_add_test(tc, bcc_counts_and_is_not_told);
    tcase_add_test(tc, bcc_survives_a_crash);
    tcase_add_test(tc, fixed_key_forgets);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
