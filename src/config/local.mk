# The config room: rabbitmq.conf, environment, command line.
noinst_LIBRARIES += libconfig.a
libconfig_a_SOURCES = \
	src/config/conf_file.c \
	src/config/conf_keys.c \
	src/config/config.c src/config/config.h \
	src/config/config_int.h \
	src/config/options.c
