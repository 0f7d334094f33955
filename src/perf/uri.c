/* AMQP URI parsing. The authority ends at the first '/', the user part at its last '@'. Pure; any
 * thread. */
#include "perf/uri.h"

#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Copies len bytes into out with their percent escapes undone; a decoded NUL is refused. */
static int decode(const char *from, size_t len, char out[LEV_PERF_URI_PART], const char **why_r)
{
    size_t used = 0;

    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)from[i];

        if (c == '%') {
            int high = len - i > 2 ? hex_digit(from[i + 1]) : -1;
            int low = len - i > 2 ? hex_digit(from[i + 2]) : -1;

            c = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (c == 0) {
            *why_r = "bad percent escape";
            return -1;
        }
        if (used + 1 == LEV_PERF_URI_PART) {
            *why_r = "part too long";
            return -1;
        }
        out[used++] = (char)c;
    }
    out[used] = '\0';
    return 0;
}

static int parse_user(const char *from, size_t len, struct lev_perf_uri *uri, const char **why_r)
{
    const char *colon = memchr(from, ':', len);
    size_t user_len = colon ? (size_t)(colon - from) : len;

    if (decode(from, user_len, uri->user, why_r) < 0)
        return -1;
    return colon ? decode(colon + 1, len - user_len - 1, uri->password, why_r) : 0;
}

/* host, host:port or [v6]:port. */
static int parse_host(const char *from, size_t len, struct lev_perf_uri *uri, const char **why_r)
{
    const char *end = from + len;
    const char *close = len && *from == '[' ? memchr(from, ']', len) : NULL;
    const char *host = close ? from + 1 : from;
    const char *host_end = close ? close : memchr(from, ':', len);
    const char *rest;

    if (!host_end)
        host_end = end;
    rest = close ? close + 1 : host_end;
    if (host_end > host && decode(host, (size_t)(host_end - host), uri->host, why_r) < 0)
        return -1;
    if (rest == end)
        return 0;
    if (*rest++ != ':' || rest == end || (size_t)(end - rest) >= sizeof uri->port ||
        strspn(rest, "0123456789") < (size_t)(end - rest)) {
        *why_r = "bad port";
        return -1;
    }
    memcpy(uri->port, rest, (size_t)(end - rest));
    uri->port[end - rest] = '\0';
    return 0;
}

int lev_perf_uri_parse(const char *text, struct lev_perf_uri *uri_r, const char **why_r)
{
    static const char scheme[] = "amqp://";
    struct lev_perf_uri uri = {
        .user = "guest", .password = "guest", .host = "127.0.0.1", .port = "5672", .vhost = "/"};
    const char *authority, *end, *at;

    if (strncmp(text, scheme, sizeof scheme - 1) != 0) {
        *why_r = "only amqp:// is supported";
        return -1;
    }
    authority = text + sizeof scheme - 1;
    end = authority + strcspn(authority, "/?");
    at = memrchr(authority, '@', (size_t)(end - authority));
    if (at && parse_user(authority, (size_t)(at - authority), &uri, why_r) < 0)
        return -1;
    if (at)
        authority = at + 1;
    if (parse_host(authority, (size_t)(end - authority), &uri, why_r) < 0)
        return -1;
    if (*end == '/' && decode(end + 1, strcspn(end + 1, "?"), uri.vhost, why_r) < 0)
        return -1;
    *uri_r = uri;
    return 0;
}
