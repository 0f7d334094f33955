/* A property that fuzzing found broken ends the process, with or without NDEBUG. */
#ifndef LEV_TESTS_FUZZ_PROPERTY_H
#define LEV_TESTS_FUZZ_PROPERTY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(property)                                                                       \
    do {                                                                                           \
        if (!(property)) {                                                                         \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #property);                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
