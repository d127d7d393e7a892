/* The two ways in which the libraries time a pulse, without a library: the yardstick for theirs. */

#include <stdint.h>
#include <time.h>

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void sleep_ns(int64_t ns, int flags)
{
    struct timespec time = {ns / 1000000000LL, ns % 1000000000LL};
    clock_nanosleep(CLOCK_MONOTONIC, flags, &time, NULL);
}

/* Until points in time, as lgpio. */
void sleep_until(int64_t on_ns, int64_t off_ns, int count, int64_t *widths_ns)
{
    int64_t due_ns = now_ns();
    for (int i = 0; i < count; i++) {
        sleep_ns(due_ns += off_ns, TIMER_ABSTIME);
        int64_t risen_ns = now_ns();
        sleep_ns(due_ns += on_ns, TIMER_ABSTIME);
        widths_ns[i] = now_ns() - risen_ns;
    }
}

/* For a duration, as RPi.GPIO. */
void sleep_for(int64_t on_ns, int64_t off_ns, int count, int64_t *widths_ns)
{
    for (int i = 0; i < count; i++) {
        sleep_ns(off_ns, 0);
        int64_t risen_ns = now_ns();
        sleep_ns(on_ns, 0);
        widths_ns[i] = now_ns() - risen_ns;
    }
}
