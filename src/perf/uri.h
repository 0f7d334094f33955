/* An AMQP URI taken apart: amqp://user:password@host:port/vhost, each part optional and
 * percent-decoded. */
#ifndef LEV_PERF_URI_H
#define LEV_PERF_URI_H

#define LEV_PERF_URI_PART 256

struct lev_perf_uri {
    char user[LEV_PERF_URI_PART];
    char password[LEV_PERF_URI_PART];
    char host[LEV_PERF_URI_PART];
    char port[8];
    char vhost[LEV_PERF_URI_PART];
};

/* Fills *uri_r from text. Missing parts become guest, guest, 127.0.0.1, 5672 and "/". Returns 0, or
 * -1 with *why_r a static text when the scheme is not amqp, a part is too long or an escape is
 * wrong. */
int lev_perf_uri_parse(const char *text, struct lev_perf_uri *uri_r, const char **why_r);

#endif
