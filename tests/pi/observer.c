/* Tells every edge of the pins 0 to 31 behind a /dev/gpiomem that is a file.

   observer FILE

   RPi.GPIO raises a pin by writing its bit, alone, into the register GPSET0, and lowers it by
   GPCLR0. Both are set back to 0 here as soon as something is found in them, so that the next
   write is seen too; a register is left alone while nothing is in it. An edge is told as a record
   on standard output: two moments on CLOCK_MONOTONIC between which it was, and the pin with its new
   level. The moments are as far apart as this process was away. Ends with standard input. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { GPSET0 = 7, GPCLR0 = 10, PINS = 32, PINS_A_FUNCTION_REGISTER = 10 };
enum { LOW, HIGH, INPUT, READY };

#define SLEEP_NS 50000          /* while nothing is expected */
#define EXPECTED_BEFORE_NS 600000
#define EXPECTED_AFTER_NS 1500000
#define LONGEST_PULSE_NS 3000000
#define LOOKS_AT_INPUT_EVERY 256 /* sleeps */

struct edge {
    int64_t before_ns, after_ns;
    int32_t pin, level;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void tell(int64_t before_ns, int64_t after_ns, int pin, int level)
{
    struct edge edge = {before_ns, after_ns, pin, level};
    if (write(STDOUT_FILENO, &edge, sizeof edge) != sizeof edge)
        _exit(1);
}

int main(int count, char **arguments)
{
    static int64_t rose_ns[PINS], period_ns[PINS];
    static int is_high[PINS], is_output[PINS];
    uint32_t functions[(PINS + PINS_A_FUNCTION_REGISTER - 1) / PINS_A_FUNCTION_REGISTER] = {0};
    int file = count == 2 ? open(arguments[1], O_RDWR) : -1;
    volatile uint32_t *registers =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || registers == MAP_FAILED) {
        perror("observer FILE");
        return 1;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    registers[GPSET0] = registers[GPCLR0] = 0;
    int64_t before_ns = now_ns();
    tell(before_ns, before_ns, -1, READY);
    for (int sleeps = 0;;) {
        int64_t looked_ns = now_ns();
        uint32_t set = registers[GPSET0], cleared = registers[GPCLR0];
        if (set)
            set |= __atomic_exchange_n(&registers[GPSET0], 0, __ATOMIC_SEQ_CST);
        if (cleared)
            cleared |= __atomic_exchange_n(&registers[GPCLR0], 0, __ATOMIC_SEQ_CST);
        int64_t after_ns = set | cleared ? now_ns() : looked_ns;
        int expected = 0;
        for (int pin = 0; pin < PINS; pin++) {
            uint32_t bit = 1u << pin;
            if (cleared & bit && (is_high[pin] || !(set & bit))) {
                tell(before_ns, after_ns, pin, LOW);
                is_high[pin] = 0;
            }
            if (set & bit) { /* both at once: a pulse is longer than a look, so this is the later */
                tell(before_ns, after_ns, pin, HIGH);
                is_high[pin] = 1;
                period_ns[pin] = after_ns - rose_ns[pin];
                rose_ns[pin] = after_ns;
            }
            if (rose_ns[pin]) {
                int64_t since_ns = looked_ns - rose_ns[pin];
                int64_t late_ns = since_ns - period_ns[pin];
                expected |= is_high[pin] && since_ns < LONGEST_PULSE_NS;
                expected |= -EXPECTED_BEFORE_NS < late_ns && late_ns < EXPECTED_AFTER_NS;
            }
        }
        for (int pin = 0; pin < PINS; pin += PINS_A_FUNCTION_REGISTER) {
            uint32_t function = registers[pin / PINS_A_FUNCTION_REGISTER];
            if (function == functions[pin / PINS_A_FUNCTION_REGISTER])
                continue;
            functions[pin / PINS_A_FUNCTION_REGISTER] = function;
            for (int of = 0; of < PINS_A_FUNCTION_REGISTER && pin + of < PINS; of++) {
                int output = (function >> 3 * of & 7) == 1;
                if (is_output[pin + of] && !output)
                    tell(before_ns, after_ns, pin + of, INPUT);
                is_output[pin + of] = output;
            }
        }
        before_ns = looked_ns;
        if (expected)
            continue;
        if (++sleeps % LOOKS_AT_INPUT_EVERY == 0) {
            char byte;
            if (read(STDIN_FILENO, &byte, 1) == 0)
                return 0;
        }
        struct timespec pause = {0, SLEEP_NS};
        nanosleep(&pause, NULL);
    }
}
