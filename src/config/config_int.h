/* What the config room's own files share. */
#ifndef LEV_CONFIG_CONFIG_INT_H
#define LEV_CONFIG_CONFIG_INT_H

#include "config/config.h"

/* One setting of a file, as taken from its line. */
struct setting {
    const char *file;
    int line;
    const char *key, *value;
};

/* The command line, read but not yet applied; views into argv. NULL and -1: not given. */
struct options {
    const char *config, *data_dir, *bind, *definitions;
    int port, management_port, loops, busy_wait, log_level;
};

/* conf_file.c: reads the file and applies each setting. 0, or -1 with "FILE:LINE: what" in err. */
int lev_conf_file_read_(struct lev_config *c, const char *path, const struct lev_config_world *w,
                        char err[LEV_CONFIG_ERR_MAX]);

/* conf_keys.c: applies one setting: 0, or -1 with what is wrong in err. Keys not implemented are
 * warned about. */
int lev_conf_apply_(struct lev_config *c, const struct setting *s, const struct lev_config_world *w,
                    char err[LEV_CONFIG_ERR_MAX]);

/* options.c: 0, or -1 with a line in err. */
int lev_options_parse_(struct options *o, int argc, char **argv, enum lev_config_action *action_r,
                       char err[LEV_CONFIG_ERR_MAX]);

/* config.c: values and fields. */

/* True when text is a decimal number from min to max. */
bool lev_config_number_(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* RabbitMQ's level names; -1 when there is none of that name. */
int lev_config_level_(const char *name);
/* Replaces a heap string by a copy of value. */
void lev_config_set_(char **field, const char *value);
/* Adds the listener name, or replaces the one there is; host NULL: all interfaces. False: too many.
 */
bool lev_config_listener_(struct lev_config *c, const char *name, const char *host, int port);
void lev_config_no_listeners_(struct lev_config *c);

#endif
