/* The internal error list: 0 is success, negatives come from here. */
#ifndef LEV_BASE_ERR_H
#define LEV_BASE_ERR_H

#define LEV_ERRORS(X)                                                                              \
    X(LEV_ENOMEM, -1, "out of memory")                                                             \
    X(LEV_EPROTO, -2, "malformed data")                                                            \
    X(LEV_EUNKNOWN, -3, "unknown identifier")                                                      \
    X(LEV_EUTF8, -4, "malformed UTF-8")                                                            \
    X(LEV_ETYPE, -5, "unknown field type")                                                         \
    X(LEV_EDEPTH, -6, "nested too deeply")                                                         \
    X(LEV_EIO, -7, "input/output error")                                                           \
    X(LEV_EFULL, -8, "no space left")                                                              \
    X(LEV_EBUSY, -9, "locked by another process")                                                  \
    X(LEV_ECORRUPT, -10, "stored data is damaged")                                                 \
    X(LEV_EVERSION, -11, "stored data has another version")                                        \
    X(LEV_ENOTFOUND, -12, "not found")                                                             \
    X(LEV_EREFUSED, -13, "refused")                                                                \
    X(LEV_EINVAL, -14, "invalid argument")

enum lev_err {
#define X(name, value, text) name = value,
    LEV_ERRORS(X)
#undef X
};

/* Static text of an error code. */
const char *lev_err_text(int err);

#endif
