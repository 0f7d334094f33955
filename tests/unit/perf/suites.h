/* The suites of test_perf, one for each file. */
#ifndef TESTS_UNIT_PERF_SUITES_H
#define TESTS_UNIT_PERF_SUITES_H

#include <check.h>

Suite *confirm_suite(void);
Suite *decile_suite(void);
Suite *histogram_suite(void);
Suite *message_suite(void);
Suite *modes_suite(void);
Suite *options_suite(void);
Suite *topology_suite(void);

#endif
