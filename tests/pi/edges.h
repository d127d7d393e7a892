/* Records edges of pins in the file named by $EDGES, for libraries that are loaded before a program
   (LD_PRELOAD) and see what another library does with the pins.

   The thread that changes a pin takes the time itself, before and after the change: polling from
   outside would miss one of two pins that change at once, and be late on a busy machine. It also
   records for how long the other library asked its timer to leave the pin as it was. That is what
   the program commands, whatever the machine does; the times are what came of it.

   The file is shared memory, so that the records of a killed process are not lost. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LOW = 1, HIGH, INPUT }; /* 0: not recorded yet */

struct edge {
    int64_t before_ns, after_ns, asked_ns; /* asked_ns 0: no timer */
    int32_t pin, level;
};

struct edges {
    int64_t capacity, taken;
    struct edge edge[];
};

static struct edges *edges;

static int64_t to_ns(const struct timespec *time)
{
    return time->tv_sec * 1000000000LL + time->tv_nsec;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return to_ns(&now);
}

__attribute__((constructor)) static void open_edges(void)
{
    const char *name = getenv("EDGES");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    int64_t capacity;
    if (file < 0 || pread(file, &capacity, sizeof capacity, 0) != sizeof capacity)
        return;
    size_t size = sizeof *edges + capacity * sizeof *edges->edge;
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    edges = mapped == MAP_FAILED ? NULL : mapped;
    close(file);
}

static void record(int64_t before_ns, int pin, int level, int64_t asked_ns)
{
    int64_t index = edges ? __atomic_fetch_add(&edges->taken, 1, __ATOMIC_SEQ_CST) : 0;
    if (!edges || index >= edges->capacity)
        return;
    struct edge *edge = &edges->edge[index];
    edge->before_ns = before_ns;
    edge->after_ns = now_ns();
    edge->asked_ns = asked_ns;
    edge->pin = pin;
    __atomic_store_n(&edge->level, level, __ATOMIC_RELEASE);
}
