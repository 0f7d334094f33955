# The definitions room: definitions.json, and the policies and limits kept in meta.db.
noinst_LIBRARIES += libdefinitions.a
libdefinitions_a_SOURCES = \
	src/definitions/definitions.c src/definitions/definitions.h \
	src/definitions/definitions_int.h \
	src/definitions/import_meta.c \
	src/definitions/import_vhost.c \
	src/definitions/item.c \
	src/definitions/json.c src/definitions/json.h \
	src/definitions/limits.c \
	src/definitions/policies.c
