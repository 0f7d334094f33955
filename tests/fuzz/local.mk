# Fuzz targets; Makefile.am says what FUZZ_MAIN makes of them. Their corpora: tests/fuzz/corpus/<target>.
CODEC_FUZZ = fuzz_frame fuzz_method fuzz_props fuzz_table
check_PROGRAMS += $(CODEC_FUZZ)
FUZZ_TARGETS += $(CODEC_FUZZ)

fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c tests/fuzz/property.h
fuzz_frame_LDADD = $(FUZZ_MAIN) libamqp.a libbase.a
fuzz_method_SOURCES = tests/fuzz/fuzz_method.c tests/fuzz/property.h
fuzz_method_LDADD = $(FUZZ_MAIN) libamqp.a libbase.a
fuzz_props_SOURCES = tests/fuzz/fuzz_props.c tests/fuzz/property.h
fuzz_props_LDADD = $(FUZZ_MAIN) libamqp.a libbase.a
fuzz_table_SOURCES = tests/fuzz/fuzz_table.c tests/fuzz/property.h
fuzz_table_LDADD = $(FUZZ_MAIN) libamqp.a libbase.a
