KERNEL_SRCS += kernel/debug/printk.c
KERNEL_SRCS += kernel/debug/panic.c
KERNEL_SRCS += kernel/debug/backtrace.c
KERNEL_SRCS += kernel/debug/symbols.c
KERNEL_SRCS += kernel/debug/lockdep.c
KERNEL_SRCS += kernel/debug/lockstat.c
KERNEL_SRCS += kernel/debug/watchdog.c

# Sanitizers: only in builds with SANITIZE=kasan and SANITIZE=ubsan. The compiler calls out of line,
# so that the run-time decides which addresses have a shadow.
KASAN_SRCS := kernel/debug/kasan.c
KASAN_CFLAGS := -DKASAN -fsanitize=kernel-address --param asan-instrumentation-with-call-threshold=0 \
    --param asan-stack=0 --param asan-globals=1
UBSAN_SRCS := kernel/debug/ubsan.c
UBSAN_CFLAGS := -fsanitize=undefined -fno-sanitize=object-size
NO_SANITIZE_SRCS += kernel/debug/kasan.c kernel/debug/ubsan.c
