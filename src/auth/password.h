/* Password hashes as RabbitMQ stores them: base64(salt || HASH(salt || password)), salt of 4
 * octets. Stateless; any thread. */
#ifndef LEV_AUTH_PASSWORD_H
#define LEV_AUTH_PASSWORD_H

#include "base/bytes.h"

/* The algorithm that lev_password_hash uses. */
#define LEV_PASSWORD_ALGORITHM "rabbit_password_hashing_sha256"

/* Room for the longest hash as text, with its NUL. */
enum { LEV_PASSWORD_HASH_MAX = 96 };

/* Hashes with a fresh random salt. 0, or LEV_EIO when the system has no randomness or no SHA-256.
 */
int lev_password_hash(struct lev_bytes password, char out[LEV_PASSWORD_HASH_MAX])
    __attribute__((warn_unused_result));

/* True when hash was made from password by algorithm (rabbit_password_hashing_sha256, _sha512,
 * _md5; empty means md5). False for a blank password, an empty or malformed hash, an unknown
 * algorithm. Constant time in the comparison. */
bool lev_password_verify(struct lev_bytes hash, struct lev_bytes algorithm,
                         struct lev_bytes password);

#endif
