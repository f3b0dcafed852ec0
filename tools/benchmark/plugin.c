/*
 * A plugin of QEMU that counts the guest's instructions by kernel function and by the calls that
 * led there. `make profile` loads it; tools/profiler.py reads what it writes.
 *
 * It counts between the two no-operations of tests/bench/bench.h, and follows calls and returns
 * from the start on, so that the stacks of sleeping threads are known. All user code is one
 * function.
 *
 *   -plugin plugin.so,symbols=FILE,output=FILE,switch=NAME
 * symbols: "ADDRESS NAME" a line, ascending, of the kernel; switch: the function that exchanges
 * stacks. output: "COUNT FUNCTION;FUNCTION;…" a line, from the outermost to the innermost.
 *
 * The guest has one CPU, so nothing here is locked. Of the plugin interface (version 1, QEMU 4.2 to
 * 8.2) Debian ships no header; the declarations below are those that are used.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
enum { CB_NO_REGS = 0 };
enum { MEM_READ_WRITE = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t,
                                                            struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            void (*callback)(unsigned, void *), int flags,
                                            void *argument);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                      void (*callback)(unsigned, qemu_plugin_meminfo_t, uint64_t,
                                                       void *),
                                      int flags, int kinds, void *argument);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t, void *),
                                    void *argument);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum kind { KIND_OTHER, KIND_CALL, KIND_RETURN, KIND_JUMP, KIND_TRAP_RETURN, KIND_ON, KIND_OFF };

/** struct site - one translated instruction. Never freed: QEMU may still run it. */
struct site {
    uint64_t address;
    uint64_t next;
    int function; /* index into symbols */
    enum kind kind;
};

struct symbol {
    uint64_t address;
    char *name;
};

/** struct node - a function in the place of the call tree where it was called. */
struct node {
    struct node *parent;
    struct node *first_child;
    struct node *sibling;
    int function;
    uint64_t count;
};

/** struct frame - where a call returns to, and under which node the caller counts. */
struct frame {
    uint64_t return_address;
    struct node *parent;
};

enum { MAX_DEPTH = 256, USER = 0 };

/** struct stack - the calls of one kernel stack; a sleeping one is found by its top address. */
struct stack {
    struct stack *next;
    uint64_t key;
    struct node *parent;
    int depth;
    struct frame frames[MAX_DEPTH];
};

static struct symbol *symbols;
static int nr_symbols;
static int switch_function = -1;
static FILE *output;

static struct node root;
static struct stack *sleeping;
static struct stack *current;
static struct node *leaf = &root; /* where the running function counts */
static const struct site *previous;
static uint64_t pushed_at; /* by the switching function, the last */
static bool is_counting;

static bool is_kernel(uint64_t address)
{
    return address >> 63;
}

static int function_at(uint64_t address)
{
    int low = 1, high = nr_symbols;

    if (!is_kernel(address)) {
        return USER;
    }
    while (high - low > 1) {
        int middle = (low + high) / 2;

        if (symbols[middle].address <= address) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct node *child_of(struct node *parent, int function)
{
    struct node *node = parent->first_child;

    while (node != NULL && node->function != function) {
        node = node->sibling;
    }
    if (node == NULL) {
        node = calloc(1, sizeof(*node));
        node->parent = parent;
        node->function = function;
        node->sibling = parent->first_child;
        parent->first_child = node;
    }
    return node;
}

static void enter(uint64_t return_address)
{
    if (current->depth < MAX_DEPTH) {
        current->frames[current->depth++] = (struct frame){return_address, current->parent};
    }
    current->parent = leaf;
}

/* Leave every call down to the one that returns to @address. Some may have been left by a jump. */
static void leave_to(uint64_t address)
{
    for (int i = current->depth - 1; i >= 0; i--) {
        if (current->frames[i].return_address == address) {
            current->parent = current->frames[i].parent;
            current->depth = i;
            return;
        }
    }
}

static void follow(const struct site *site)
{
    bool was_kernel = previous != NULL && is_kernel(previous->address);

    if (!is_kernel(site->address) || !was_kernel) {
        /* A kernel stack is empty while user code runs. */
        if (is_kernel(site->address) != was_kernel) {
            current->depth = 0;
            current->parent = &root;
        }
        return;
    }
    switch (previous->kind) {
    case KIND_CALL:
        enter(previous->next);
        break;
    case KIND_RETURN:
    case KIND_TRAP_RETURN:
        leave_to(site->address);
        break;
    case KIND_JUMP:
        break;
    default:
        /* Neither the next instruction nor a repetition of this one: a trap from the kernel. */
        if (site->address != previous->next && site->address != previous->address) {
            enter(previous->address);
            current->frames[current->depth - 1].return_address = previous->next;
        }
    }
}

static void on_insn(unsigned cpu, void *argument)
{
    const struct site *site = argument;

    (void)cpu;
    if (site->kind == KIND_ON || site->kind == KIND_OFF) {
        is_counting = site->kind == KIND_ON;
        previous = site;
        return;
    }
    follow(site);
    if (leaf->function != site->function || leaf->parent != current->parent) {
        leaf = child_of(current->parent, site->function);
    }
    leaf->count += is_counting;
    previous = site;
}

/* The first pop that finds another stack than the pushes filled: the threads have changed. */
static void on_pop(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *argument)
{
    struct stack **link = &sleeping;

    (void)cpu;
    (void)info;
    (void)argument;
    if (pushed_at == 0 || address == pushed_at) {
        pushed_at = 0;
        return;
    }
    current->key = pushed_at;
    pushed_at = 0;
    while (*link != NULL && (*link)->key != address) {
        link = &(*link)->next;
    }
    struct stack *found = *link;
    if (found != NULL) {
        *link = found->next;
    } else {
        found = calloc(1, sizeof(*found));
        found->parent = &root;
    }
    current->next = sleeping;
    sleeping = current;
    current = found;
}

static void on_push(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *argument)
{
    (void)cpu;
    (void)info;
    (void)argument;
    pushed_at = address;
}

static bool is_prefix(uint8_t byte)
{
    return byte == 0x66 || byte == 0xf2 || byte == 0xf3 || byte == 0x2e || byte == 0x3e ||
           byte == 0x64 || byte == 0x65 || (byte & 0xf0) == 0x40;
}

/* Intel SDM 2, appendix A: the opcode map. */
static enum kind kind_of(const uint8_t *code, size_t size)
{
    static const uint8_t mark[] = {0x0f, 0x1f, 0x80};
    size_t i = 0;

    if (size == 7 && memcmp(code, mark, sizeof(mark)) == 0 && code[4] == 0x11 && code[5] == 0xbe &&
        code[6] == 0x0c) {
        return code[3] == 0xa0 ? KIND_ON : code[3] == 0xa1 ? KIND_OFF : KIND_OTHER;
    }
    while (i + 1 < size && is_prefix(code[i])) {
        i++;
    }
    switch (code[i]) {
    case 0xe8:
        return KIND_CALL;
    case 0xc2:
    case 0xc3:
        return KIND_RETURN;
    case 0xcf:
        return KIND_TRAP_RETURN;
    case 0xe9:
    case 0xeb:
        return KIND_JUMP;
    case 0xff:
        if (i + 1 < size && (code[i + 1] & 0x38) == 0x10) {
            return KIND_CALL;
        }
        return i + 1 < size && (code[i + 1] & 0x38) == 0x20 ? KIND_JUMP : KIND_OTHER;
    case 0x0f:
        return i + 1 < size && (code[i + 1] & 0xf0) == 0x80 ? KIND_JUMP : KIND_OTHER;
    default:
        return (code[i] & 0xf0) == 0x70 || (code[i] & 0xfc) == 0xe0 ? KIND_JUMP : KIND_OTHER;
    }
}

static void watch_stack(struct qemu_plugin_insn *insn, const uint8_t *code, size_t size)
{
    uint8_t opcode = code[size - 1]; /* push and pop of a register are one byte after a prefix */

    if (size > 2 || (size == 2 && (code[0] & 0xf0) != 0x40)) {
        return;
    }
    if ((opcode & 0xf8) == 0x50) {
        qemu_plugin_register_vcpu_mem_cb(insn, on_push, CB_NO_REGS, MEM_READ_WRITE, NULL);
    } else if ((opcode & 0xf8) == 0x58) {
        qemu_plugin_register_vcpu_mem_cb(insn, on_pop, CB_NO_REGS, MEM_READ_WRITE, NULL);
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t count = qemu_plugin_tb_n_insns(tb);

    (void)id;
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *code = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        struct site *site = calloc(1, sizeof(*site));

        site->address = qemu_plugin_insn_vaddr(insn);
        site->next = site->address + size;
        site->function = function_at(site->address);
        site->kind = kind_of(code, size);
        if (site->function == switch_function) {
            watch_stack(insn, code, size);
        }
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, CB_NO_REGS, site);
    }
}

static void print_path(const struct node *node)
{
    if (node->parent != &root && node->parent != NULL) {
        print_path(node->parent);
        fputc(';', output);
    }
    fputs(symbols[node->function].name, output);
}

static void print_tree(const struct node *node)
{
    if (node->count > 0) {
        fprintf(output, "%" PRIu64 " ", node->count);
        print_path(node);
        fputc('\n', output);
    }
    for (const struct node *child = node->first_child; child != NULL; child = child->sibling) {
        print_tree(child);
    }
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *argument)
{
    (void)id;
    (void)argument;
    print_tree(&root);
    fclose(output);
}

static bool read_symbols(const char *path, const char *switch_name)
{
    FILE *file = fopen(path, "r");
    uint64_t address;
    char name[256];

    symbols = malloc(sizeof(*symbols) * 65536);
    symbols[nr_symbols++] = (struct symbol){0, "[user]"};
    while (file != NULL && nr_symbols < 65536 &&
           fscanf(file, "%" SCNx64 " %255s", &address, name) == 2) {
        if (strcmp(name, switch_name) == 0) {
            switch_function = nr_symbols;
        }
        symbols[nr_symbols++] = (struct symbol){address, strdup(name)};
    }
    if (file != NULL) {
        fclose(file);
    }
    return nr_symbols > 1;
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    const char *symbol_path = "";
    const char *switch_name = "";

    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "symbols=", 8) == 0) {
            symbol_path = argv[i] + 8;
        } else if (strncmp(argv[i], "output=", 7) == 0) {
            output = fopen(argv[i] + 7, "w");
        } else if (strncmp(argv[i], "switch=", 7) == 0) {
            switch_name = argv[i] + 7;
        }
    }
    if (output == NULL || !read_symbols(symbol_path, switch_name)) {
        fprintf(stderr, "plugin: no symbols, or the output cannot be written\n");
        return -1;
    }
    root.function = -1;
    current = calloc(1, sizeof(*current));
    current->parent = &root;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    return 0;
}
