/* Records every edge of the pins that RPi.GPIO drives, in the file named by $EDGES.

   Loaded before RPi.GPIO (LD_PRELOAD), it intercepts the library's own `output_gpio` and
   `setup_gpio` and then calls them, so that the registers are written as usual. Polling the
   registers from outside would miss one of two pins that change at once, and be late on a busy
   machine. Here the thread that changes the pin takes the time itself, before and after the write.

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
enum { DIRECTION_INPUT = 1 };  /* RPi.GPIO, c_gpio.h */

struct edge {
    int64_t before_ns, after_ns;
    int32_t pin, level;
};

struct edges {
    int64_t capacity, taken;
    struct edge edge[];
};

static struct edges *edges;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
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

static void record(int64_t before_ns, int pin, int level)
{
    int64_t index = edges ? __atomic_fetch_add(&edges->taken, 1, __ATOMIC_SEQ_CST) : 0;
    if (!edges || index >= edges->capacity)
        return;
    struct edge *edge = &edges->edge[index];
    edge->before_ns = before_ns;
    edge->after_ns = now_ns();
    edge->pin = pin;
    __atomic_store_n(&edge->level, level, __ATOMIC_RELEASE);
}

/* Returns the function of that name in the calling library. */
static void *function_of_caller(const char *name, void *caller)
{
    Dl_info library;
    void *handle = NULL;
    if (dladdr(caller, &library))
        handle = dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    void *found = handle ? dlsym(handle, name) : NULL;
    if (!found)
        abort();
    return found;
}

void output_gpio(int pin, int value)
{
    static void (*real)(int, int);
    if (!real)
        real = function_of_caller("output_gpio", __builtin_return_address(0));
    int64_t before_ns = now_ns();
    real(pin, value);
    record(before_ns, pin, value ? HIGH : LOW);
}

void setup_gpio(int pin, int direction, int pull)
{
    static void (*real)(int, int, int);
    if (!real)
        real = function_of_caller("setup_gpio", __builtin_return_address(0));
    int64_t before_ns = now_ns();
    real(pin, direction, pull);
    if (direction == DIRECTION_INPUT)
        record(before_ns, pin, INPUT);
}
