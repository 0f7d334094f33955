# The net room: event loops, listeners, TCP transports.
noinst_LIBRARIES += libnet.a
libnet_a_SOURCES = \
	src/net/address.c \
	src/net/listener.c \
	src/net/loop.c \
	src/net/net.c src/net/net.h \
	src/net/net_int.h \
	src/net/transport.c \
	src/net/vigil.c src/net/vigil.h
