/* Socket addresses as text. Pure. */
#include "net/net_int.h"

#include <arpa/inet.h>
#include <stdio.h>

void lev_endpoint_from_(struct endpoint *e, const union address *a)
{
    const void *host = NULL;
    int family = a->sa.sa_family;
    e->port = 0;
    if (family == AF_INET) {
        host = &a->v4.sin_addr;
        e->port = ntohs(a->v4.sin_port);
    } else if (family == AF_INET6) {
        host = &a->v6.sin6_addr;
        e->port = ntohs(a->v6.sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
            family = AF_INET;
            host = &a->v6.sin6_addr.s6_addr[12];
        }
    }
    if (!host || !inet_ntop(family, host, e->host, sizeof(e->host)))
        snprintf(e->host, sizeof(e->host), "unknown");
}

bool lev_endpoint_is_loopback_(const struct endpoint *e)
{
    return strncmp(e->host, "127.", 4) == 0 || strcmp(e->host, "::1") == 0;
}

void lev_endpoint_format_(const struct endpoint *e, char *out, size_t outlen)
{
    bool v6 = strchr(e->host, ':') != NULL;
    snprintf(out, outlen, v6 ? "[%s]:%u" : "%s:%u", e->host, e->port);
}
