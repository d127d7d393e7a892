/* A plugin of QEMU that counts the instructions of one process.
 *
 * At its end, the process appends a line to the file that the argument `out` names: its id and the
 * number. The declarations are those of QEMU 4.2 to 10, whose header is not packaged by Debian; the
 * version that QEMU asks for is given by -DVERSION.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct qemu_plugin_tb;
typedef uint64_t plugin_id;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *,
                                          void (*)(unsigned int, void *), int flags, void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = VERSION;

static uint64_t count;
static char file[4096];

static void executed(unsigned int vcpu, void *instructions)
{
    (void)vcpu;
    __atomic_fetch_add(&count, (uint64_t)(uintptr_t)instructions, __ATOMIC_RELAXED);
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    void *instructions = (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, instructions);
}

static void ended(plugin_id id, void *unused)
{
    (void)id;
    (void)unused;
    FILE *out = fopen(file, "a");
    if (out) {
        fprintf(out, "%d %" PRIu64 "\n", (int)getpid(), count);
        fclose(out);
    }
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0)
            snprintf(file, sizeof file, "%s", argv[i] + 4);
    if (!*file)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
