/* Watching a run from the main thread: it looks at the tallies every few milliseconds, samples
 * memory, and takes the figures at both ends. Work is timed to the last event a worker saw, not to
 * when this thread noticed. */
#include "perf/measure.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "perf/clock.h"

#define LOOK_NS (5 * LEV_PERF_MS_NS)
#define SAMPLE_NS (100 * LEV_PERF_MS_NS)
#define STALL_NS (30 * LEV_PERF_SECOND_NS)

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* From here on the first SIGINT or SIGTERM asks for an early end; the second has its usual effect.
 */
static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};

    interrupted = 0;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void sleep_until(uint64_t at_ns)
{
    struct timespec at = lev_perf_timespec(at_ns);

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        ;
}

/* Samples memory until at_ns, or an interrupt, or until the run fails. */
static int watch_until(struct lev_perf_run *run, struct lev_perf_cost *cost, uint64_t at_ns)
{
    for (uint64_t now = lev_perf_now_ns(); now < at_ns && !interrupted; now = lev_perf_now_ns()) {
        sleep_until(at_ns - now < SAMPLE_NS ? at_ns : now + SAMPLE_NS);
        lev_perf_cost_sample(cost);
        if (lev_perf_run_failed(run))
            return -1;
    }
    return 0;
}

static int begin(struct lev_perf_run *run, struct lev_perf_measure *m)
{
    if (lev_perf_cost_begin(&m->cost, run->options->pid) < 0)
        return lev_perf_run_fail(run, "--pid %ld cannot be read", (long)run->options->pid);
    lev_perf_run_totals(run, &m->before);
    return 0;
}

int lev_perf_measure_time(struct lev_perf_run *run, struct lev_perf_measure *m)
{
    uint64_t warmup_ns = (uint64_t)(run->options->warmup_s * 1e9),
             time_ns = (uint64_t)(run->options->time_s * 1e9);
    uint64_t start_ns;

    if (begin(run, m) < 0)
        return -1;
    catch_interrupts();
    lev_perf_run_go(run);
    if (watch_until(run, &m->cost, run->go_ns + warmup_ns) < 0 || begin(run, m) < 0)
        return -1;
    if (interrupted)
        return lev_perf_run_fail(run, "interrupted during the warm-up");
    atomic_store(&run->measuring, true);
    start_ns = lev_perf_now_ns();
    if (watch_until(run, &m->cost, start_ns + time_ns) < 0)
        return -1;
    lev_perf_run_totals(run, &m->after);
    m->elapsed_ns = lev_perf_now_ns() - start_ns;
    lev_perf_cost_end(&m->cost);
    atomic_store(&run->measuring, false);
    return 0;
}

static void note_progress(struct lev_perf_measure *m, const struct lev_perf_work *work,
                          uint64_t now_ns)
{
    uint64_t progress;

    if (!work->total)
        return;
    progress = work->progress(&m->after, work->arg);
    if (lev_perf_deciles_due(&m->deciles, progress))
        lev_perf_cost_sample(&m->cost);
    lev_perf_deciles_note(&m->deciles, progress, now_ns, m->cost.after.rss_bytes);
}

static int await_work(struct lev_perf_run *run, struct lev_perf_measure *m,
                      const struct lev_perf_work *work)
{
    uint64_t sample_ns = run->go_ns;

    for (;;) {
        uint64_t now = lev_perf_now_ns(), moved_ns;

        if (lev_perf_run_failed(run))
            return -1;
        lev_perf_run_totals(run, &m->after);
        note_progress(m, work, now);
        if (work->complete(&m->after, work->arg))
            return 0;
        moved_ns = m->after.last_ns > run->go_ns ? m->after.last_ns : run->go_ns;
        if (now > moved_ns + STALL_NS)
            return lev_perf_run_fail(run, "stalled: %llu published, %llu confirmed, %llu delivered",
                                     (unsigned long long)m->after.published,
                                     (unsigned long long)m->after.confirmed,
                                     (unsigned long long)m->after.delivered);
        if (now >= sample_ns) {
            lev_perf_cost_sample(&m->cost);
            sample_ns = now + SAMPLE_NS;
        }
        sleep_until(now + LOOK_NS);
    }
}

int lev_perf_measure_work(struct lev_perf_run *run, struct lev_perf_measure *m,
                          const struct lev_perf_work *work)
{
    if (begin(run, m) < 0)
        return -1;
    atomic_store(&run->measuring, true);
    lev_perf_run_go(run);
    lev_perf_deciles_begin(&m->deciles, work->total, run->go_ns);
    if (await_work(run, m, work) < 0 || lev_perf_run_stop(run) < 0)
        return -1;
    lev_perf_run_totals(run, &m->after);
    m->elapsed_ns = m->after.last_ns > run->go_ns ? m->after.last_ns - run->go_ns : 1;
    lev_perf_cost_end(&m->cost);
    return 0;
}

void lev_perf_measure_times(const struct lev_perf_run *run, struct lev_perf_times *times_r)
{
    memset(times_r, 0, sizeof *times_r);
    for (unsigned i = 0; i < run->started; i++) {
        lev_perf_histogram_merge(&times_r->latency, &run->workers[i].latency);
        lev_perf_histogram_merge(&times_r->confirm, &run->workers[i].confirm);
        lev_perf_histogram_merge(&times_r->late, &run->workers[i].late);
    }
}
