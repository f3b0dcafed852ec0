/*
 * The undefined-behaviour sanitizer's run-time: what the compiler calls when an operation has no
 * meaning in C. Each report names the place and the operation and panics: such code may do
 * anything.
 *
 * Only SANITIZE=ubsan builds this file. Source of the records' layout: gcc 12, gcc/ubsan.cc.
 */
#include <lib/assert.h>
#include <lib/types.h>

/* The records that the compiler writes; each begins with the place. */
struct source_location {
    const char *file;
    u32 line;
    u32 column;
};

struct type_descriptor {
    u16 kind;
    /* Integers: bit 0 is set for signed ones; the other bits are log2 of the width. */
    u16 info;
    char name[];
};

struct location_record {
    struct source_location location;
};

struct type_record {
    struct source_location location;
    const struct type_descriptor *type;
};

struct bounds_record {
    struct source_location location;
    const struct type_descriptor *array_type;
    const struct type_descriptor *index_type;
};

struct shift_record {
    struct source_location location;
    const struct type_descriptor *left_type;
    const struct type_descriptor *right_type;
};

struct mismatch_record {
    struct source_location location;
    const struct type_descriptor *type;
    u8 log_alignment;
    u8 access_kind;
};

static NORETURN void report(const struct source_location *place, const char *what, u64 a, u64 b)
{
    panic("ubsan: %s (%#lx, %#lx) at %s:%u", what, a, b, place->file, place->line);
}

/* The names and arguments are fixed by the compiler. */
#define HANDLER(name, ...)                                                                         \
    void __ubsan_handle_##name(__VA_ARGS__);                                                       \
    void __ubsan_handle_##name(__VA_ARGS__)

HANDLER(add_overflow, const struct type_record *record, u64 left, u64 right)
{
    report(&record->location, "overflow of an addition", left, right);
}

HANDLER(sub_overflow, const struct type_record *record, u64 left, u64 right)
{
    report(&record->location, "overflow of a subtraction", left, right);
}

HANDLER(mul_overflow, const struct type_record *record, u64 left, u64 right)
{
    report(&record->location, "overflow of a multiplication", left, right);
}

HANDLER(negate_overflow, const struct type_record *record, u64 value)
{
    report(&record->location, "overflow of a negation", value, 0);
}

HANDLER(divrem_overflow, const struct type_record *record, u64 left, u64 right)
{
    report(&record->location, "division by zero or overflow", left, right);
}

HANDLER(shift_out_of_bounds, const struct shift_record *record, u64 value, u64 count)
{
    report(&record->location, "shift by too many bits", value, count);
}

HANDLER(out_of_bounds, const struct bounds_record *record, u64 index)
{
    report(&record->location, "index beyond the array", index, 0);
}

HANDLER(type_mismatch_v1, const struct mismatch_record *record, u64 addr)
{
    report(&record->location,
           addr == 0 ? "use of a null pointer" : "misaligned pointer or object too small", addr,
           1UL << record->log_alignment);
}

HANDLER(load_invalid_value, const struct type_record *record, u64 value)
{
    report(&record->location, "value that its type does not have", value, 0);
}

HANDLER(vla_bound_not_positive, const struct type_record *record, u64 bound)
{
    report(&record->location, "array of variable length without elements", bound, 0);
}

HANDLER(pointer_overflow, const struct location_record *record, u64 base, u64 result)
{
    report(&record->location, "overflow of pointer arithmetic", base, result);
}

HANDLER(builtin_unreachable, const struct location_record *record)
{
    report(&record->location, "unreachable code was reached", 0, 0);
}

HANDLER(missing_return, const struct location_record *record)
{
    report(&record->location, "function ended without a value", 0, 0);
}

HANDLER(invalid_builtin, const struct location_record *record)
{
    report(&record->location, "zero passed to a bit-counting builtin", 0, 0);
}

HANDLER(nonnull_arg, const struct location_record *record)
{
    report(&record->location, "null argument where none is allowed", 0, 0);
}

HANDLER(nonnull_return_v1, const struct location_record *record,
        const struct source_location *place)
{
    report(place, "null returned where none is allowed", 0, 0);
}
