# The session room: connection and channel state machines, input, commands, output.
noinst_LIBRARIES += libsession.a
libsession_a_SOURCES = \
	src/session/access.c \
	src/session/assembly.c src/session/assembly.h \
	src/session/command.c \
	src/session/conn.h \
	src/session/connection.c \
	src/session/content.c src/session/content.h \
	src/session/dispatch.c \
	src/session/errors.c \
	src/session/handshake.c \
	src/session/input.c \
	src/session/large.c src/session/large.h \
	src/session/loop.h \
	src/session/m_basic.c \
	src/session/m_channel.c \
	src/session/m_exchange.c \
	src/session/m_queue.c \
	src/session/m_tx.c \
	src/session/names.c src/session/names.h \
	src/session/output.c \
	src/session/session.c src/session/session.h \
	src/session/stream.c src/session/stream.h \
	src/session/whole.c src/session/whole.h
