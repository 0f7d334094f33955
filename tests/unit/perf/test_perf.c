/* Unit tests of src/perf: runs every suite. */
#include "suites.h"

#include <stdlib.h>

int main(void)
{
    SRunner *runner = srunner_create(histogram_suite());
    int failed;

    srunner_add_suite(runner, decile_suite());
    srunner_add_suite(runner, message_suite());
    srunner_add_suite(runner, confirm_suite());
    srunner_add_suite(runner, options_suite());
    srunner_add_suite(runner, topology_suite());
    srunner_add_suite(runner, modes_suite());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
