/* Salted password hashes over libcrypto. See password.h. */
#include "auth/password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/err.h"

enum { SALT = 4 };

static const EVP_MD *algorithm_named(struct lev_bytes name)
{
    if (name.len == 0 || lev_bytes_eq(name, LEV_LIT("rabbit_password_hashing_md5")))
        return EVP_md5();
    if (lev_bytes_eq(name, LEV_LIT("rabbit_password_hashing_sha256")))
        return EVP_sha256();
    if (lev_bytes_eq(name, LEV_LIT("rabbit_password_hashing_sha512")))
        return EVP_sha512();
    return NULL;
}

/* Digest length, or 0 when libcrypto cannot. */
static unsigned digest(const EVP_MD *md, const uint8_t salt[SALT], struct lev_bytes password,
                       uint8_t out[EVP_MAX_MD_SIZE])
{
    unsigned len = 0;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (!c)
        return 0;
    if (EVP_DigestInit_ex(c, md, NULL) != 1 || EVP_DigestUpdate(c, salt, SALT) != 1 ||
        EVP_DigestUpdate(c, password.ptr, password.len) != 1 ||
        EVP_DigestFinal_ex(c, out, &len) != 1)
        len = 0;
    EVP_MD_CTX_free(c);
    return len;
}

int lev_password_hash(struct lev_bytes password, char out[LEV_PASSWORD_HASH_MAX])
{
    uint8_t raw[SALT + EVP_MAX_MD_SIZE];
    if (RAND_bytes(raw, SALT) != 1)
        return LEV_EIO;
    unsigned len = digest(EVP_sha256(), raw, password, raw + SALT);
    if (len == 0)
        return LEV_EIO;
    EVP_EncodeBlock((unsigned char *)out, raw, (int)(SALT + len));
    return 0;
}

/* Octets, or -1 when text is not base64 or too long. */
static int decode(struct lev_bytes text, uint8_t out[LEV_PASSWORD_HASH_MAX])
{
    if (text.len == 0 || text.len % 4 != 0 || text.len > LEV_PASSWORD_HASH_MAX)
        return -1;
    int len = EVP_DecodeBlock(out, text.ptr, (int)text.len);
    for (size_t i = 1; i <= 2 && text.ptr[text.len - i] == '='; i++)
        len--;
    return len;
}

bool lev_password_verify(struct lev_bytes hash, struct lev_bytes algorithm,
                         struct lev_bytes password)
{
    uint8_t stored[LEV_PASSWORD_HASH_MAX], computed[EVP_MAX_MD_SIZE];
    const EVP_MD *md = algorithm_named(algorithm);
    int len = decode(hash, stored);
    if (!md || len <= SALT || password.len == 0)
        return false;
    unsigned n = digest(md, stored, password, computed);
    return n > 0 && (int)n == len - SALT && CRYPTO_memcmp(computed, stored + SALT, n) == 0;
}
