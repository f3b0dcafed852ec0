/*
 * /sys/kernel/mm/transparent_hugepage: there are no huge pages, and what would turn them on is
 * refused. The rest is remembered, so that a program that saves the settings can restore them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fs.h"
#include "generated.h"
#include "sys_setting.h"

#define SETTING_MAX 64u

struct sys_setting {
    const char *folder; /* below transparent_hugepage, or "" */
    const char *name;
    const char *choices;  /* words with blanks between; NULL: a number */
    const char *possible; /* those of them that may be chosen; NULL: read-only */
    unsigned long largest;
    char value[24];
};

static struct sys_setting settings[] = {
    {"", "enabled", "always madvise never", "never", 0, "never"},
    {"", "defrag", "always defer defer+madvise madvise never",
     "always defer defer+madvise madvise never", 0, "madvise"},
    {"", "shmem_enabled", "always within_size advise never deny force", "never deny", 0, "never"},
    {"", "use_zero_page", NULL, "", 0, "0"},
    {"", "hpage_pmd_size", NULL, NULL, 0, "2097152"},
    {"khugepaged", "defrag", NULL, "", 1, "1"},
    {"khugepaged", "pages_to_scan", NULL, "", UINT32_MAX, "4096"},
    {"khugepaged", "alloc_sleep_millisecs", NULL, "", UINT32_MAX, "60000"},
    {"khugepaged", "scan_sleep_millisecs", NULL, "", UINT32_MAX, "10000"},
    {"khugepaged", "max_ptes_none", NULL, "", 511, "511"},
    {"khugepaged", "max_ptes_swap", NULL, "", 511, "64"},
    {"khugepaged", "max_ptes_shared", NULL, "", 511, "256"},
};

/* The next word of a list, or NULL behind the last. */
static const char *next_word(const char **list, size_t *len)
{
    const char *word = *list + strspn(*list, " ");

    *len = strcspn(word, " ");
    *list = word + *len;
    return *len > 0 ? word : NULL;
}

static bool has_word(const char *list, const char *wanted)
{
    const char *word;
    size_t len;

    while ((word = next_word(&list, &len)) != NULL) {
        if (strlen(wanted) == len && memcmp(word, wanted, len) == 0) {
            return true;
        }
    }
    return false;
}

static int setting_generate(struct node *file, const struct caller *caller, struct text *text)
{
    const struct sys_setting *setting = file->setting;
    const char *list = setting->choices;
    const char *separator = "";
    const char *word;
    size_t len;

    (void)caller;
    if (list == NULL) {
        text_printf(text, "%s\n", setting->value);
        return 0;
    }
    while ((word = next_word(&list, &len)) != NULL) {
        bool is_chosen = strlen(setting->value) == len && memcmp(word, setting->value, len) == 0;

        text_printf(text, is_chosen ? "%s[%.*s]" : "%s%.*s", separator, (int)len, word);
        separator = " ";
    }
    text_printf(text, "\n");
    return 0;
}

static bool is_number(const char *line, unsigned long largest)
{
    char *end;
    unsigned long value = strtoul(line, &end, 10);

    return line[0] >= '0' && line[0] <= '9' && *end == '\0' && value <= largest;
}

static long setting_accept(struct node *file, const struct caller *caller, const char *bytes,
                           size_t len)
{
    struct sys_setting *setting = file->setting;
    char line[SETTING_MAX];
    size_t kept = len < SETTING_MAX - 1 ? len : SETTING_MAX - 1;

    (void)caller;
    if (setting->possible == NULL) {
        return -EACCES;
    }
    memcpy(line, bytes, kept);
    line[kept] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (strlen(line) >= sizeof(setting->value) ||
        !(setting->choices == NULL ? is_number(line, setting->largest)
                                   : has_word(setting->possible, line))) {
        return -EINVAL;
    }
    strcpy(setting->value, line);
    return (long)len;
}

static const struct node_ops setting_ops = {
    .generate = setting_generate,
    .accept = setting_accept,
};

static int add_setting(struct node *dir, struct sys_setting *setting)
{
    struct node *node;
    int error = generated_add(dir, setting->name, setting->possible != NULL ? 0644 : 0444,
                              &setting_ops, &node);

    if (error == 0) {
        node->setting = setting;
        node_put(node);
    }
    return error;
}

int sys_setting_populate(struct node *mm)
{
    struct node *top;
    int error = fs_make_directory(mm, "transparent_hugepage", 0755, &top);

    if (error != 0) {
        return error;
    }
    for (size_t i = 0; error == 0 && i < sizeof(settings) / sizeof(settings[0]); i++) {
        struct node *dir = top;

        if (settings[i].folder[0] != '\0') {
            error = fs_make_directory(top, settings[i].folder, 0755, &dir);
        } else {
            node_get(dir);
        }
        if (error == 0) {
            error = add_setting(dir, &settings[i]);
            node_put(dir);
        }
    }
    node_put(top);
    return error;
}
