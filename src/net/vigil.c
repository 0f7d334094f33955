/* When loops keep awake. See vigil.h. */
#include "net/vigil.h"

static void pause_from(struct lev_vigil *v, uint64_t now_ns)
{
    v->next_ns = now_ns + v->pause_ns;
    v->wakes = 0;
}

bool lev_vigil_begin(struct lev_vigil *v, uint64_t now_ns)
{
    if (v->awake)
        return true;
    v->wakes++;
    if (now_ns < v->next_ns)
        return false;
    if (v->pause_ns == 0)
        v->pause_ns = LEV_VIGIL_PAUSE_MIN_NS;
    if (v->wakes < LEV_VIGIL_OFTEN) {
        pause_from(v, now_ns);
        return false;
    }
    v->awake = true;
    v->looks = 0;
    v->mean_ns = 0;
    return true;
}

/* The trial is over: when the next one may be, should this vigil end. */
static void judge(struct lev_vigil *v)
{
    uint64_t next = v->mean_ns <= LEV_VIGIL_SOON_NS ? LEV_VIGIL_PAUSE_MIN_NS : 2 * v->pause_ns;
    v->pause_ns = next < LEV_VIGIL_PAUSE_MAX_NS ? next : LEV_VIGIL_PAUSE_MAX_NS;
}

void lev_vigil_end(struct lev_vigil *v, uint64_t now_ns, uint64_t took_ns)
{
    v->looks += v->looks < LEV_VIGIL_MEMORY;
    v->mean_ns += ((int64_t)took_ns - v->mean_ns) / (int64_t)v->looks;
    if (v->looks == LEV_VIGIL_TRIAL)
        judge(v);
    if (v->looks < LEV_VIGIL_TRIAL || v->mean_ns <= LEV_VIGIL_SOON_NS)
        return;
    v->awake = false;
    pause_from(v, now_ns);
}
