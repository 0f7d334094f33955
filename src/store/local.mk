# The store room: SQLite behind broker/store.h, its stand-in for tests, the data directory, meta.db.
noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	src/store/apply.c \
	src/store/datadir.c src/store/datadir.h \
	src/store/dedup.c \
	src/store/delayed.c \
	src/store/failures.c \
	src/store/insert.c \
	src/store/ivset.c src/store/ivset.h \
	src/store/mem_late.c src/store/mem_late.h \
	src/store/meta.c src/store/meta.h src/store/meta_int.h \
	src/store/meta_policy.c \
	src/store/parts.c \
	src/store/purge.c \
	src/store/checkpoint.c \
	src/store/reader.c \
	src/store/recover.c \
	src/store/rows.c \
	src/store/schema.c src/store/schema.h \
	src/store/settle.c \
	src/store/sql.c src/store/sql.h \
	src/store/state.c \
	src/store/store_int.h \
	src/store/store_mem.c src/store/store_mem.h \
	src/store/store_sqlite.c src/store/store_sqlite.h \
	src/store/writer.c
