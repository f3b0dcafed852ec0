# The benchmark: one static program for both systems. bench.c holds the tools, main.c the groups.
BENCH_SRCS := $(addprefix tests/bench/,main.c bench.c base.c anon.c thp.c shmem.c cow.c fork.c \
    mmap.c protect.c inspect.c ipc.c message.c yield.c signal.c uffd.c gup.c vma.c memory.c scale.c)
