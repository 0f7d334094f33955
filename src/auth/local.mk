# The auth room: users, password hashes, permissions, limits, SASL.
noinst_LIBRARIES += libauth.a
libauth_a_SOURCES = \
	src/auth/auth.c src/auth/auth.h \
	src/auth/password.c src/auth/password.h \
	src/auth/sasl.c \
	src/auth/usage.c src/auth/usage.h
