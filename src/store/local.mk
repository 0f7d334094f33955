# The store room: SQLite behind broker/store.h, its stand-in for tests, the data directory, meta.db.
noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	src/store/store_mem.c src/store/store_mem.h
