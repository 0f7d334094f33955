# Fuzz targets: check_PROGRAMS += fuzz_x, FUZZ_TARGETS += fuzz_x, fuzz_x_LDADD = $(FUZZ_MAIN) libamqp.a libbase.a
