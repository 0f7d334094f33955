# leveret-perf.
