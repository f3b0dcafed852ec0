# The benchmark: one static program for both systems. bench.c holds the tools, main.c the groups.
BENCH_SRCS := tests/bench/main.c tests/bench/bench.c tests/bench/base.c tests/bench/anon.c \
    tests/bench/cow.c tests/bench/mmap.c tests/bench/ipc.c
