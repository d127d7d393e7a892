/* A long wire between two network namespaces: TUN devices whose packets are held for a while.

   Usage: wire NEAR FAR DELAY_FILE. The file holds the microseconds of one way; it is read again on
   SIGHUP. Both ends see a real round trip, in hand-shakes and windows, unlike behind a TCP proxy.
   Segments are passed on as the kernel batches them, which keeps the processor time small. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_LENGTH 262144
#define MAX_PACKET 70000
#define BURST 64
#define SECOND_NS 1000000000LL

struct packet { long long due_ns; int length; char *data; };
struct way { int from, to; };

static const char *delay_file;
static volatile long delay_us;

static void read_delay(int signal_number) {
    (void)signal_number;
    FILE *file = fopen(delay_file, "r");
    long value;
    if (file && fscanf(file, "%ld", &value) == 1) delay_us = value;
    if (file) fclose(file);
}

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void fail(const char *what) { perror(what); exit(1); }

/* Open a TUN device inside a namespace. */
static int open_end(const char *namespace, const char *device) {
    char path[200];
    snprintf(path, sizeof path, "/var/run/netns/%s", namespace);
    int inside = open(path, O_RDONLY), outside = open("/proc/self/ns/net", O_RDONLY);
    if (inside < 0 || setns(inside, CLONE_NEWNET)) fail(path);
    int end = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    struct ifreq request = {0};
    request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    if (ioctl(end, TUNSETIFF, &request)) fail("TUNSETIFF");
    if (ioctl(end, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)) fail("TUNSETOFFLOAD");
    if (setns(outside, CLONE_NEWNET)) fail("setns");
    close(inside);
    close(outside);
    return end;
}

static void *carry(void *argument) {
    struct way *way = argument;
    struct packet *queue = calloc(QUEUE_LENGTH, sizeof *queue);
    unsigned first = 0, last = 0;
    char *buffer = malloc(MAX_PACKET);
    for (;;) {
        struct pollfd readable = {way->from, POLLIN, 0};
        struct timespec rest, *timeout = NULL;
        if (first != last) {
            long long rest_ns = queue[first % QUEUE_LENGTH].due_ns - now_ns();
            if (rest_ns < 0) rest_ns = 0;
            rest.tv_sec = rest_ns / SECOND_NS;
            rest.tv_nsec = rest_ns % SECOND_NS;
            timeout = &rest;
        }
        ppoll(&readable, 1, timeout, NULL);
        for (int number = 0; number < BURST; number++) {
            int length = read(way->from, buffer, MAX_PACKET);
            if (length <= 0) break;
            if (last - first == QUEUE_LENGTH) continue; /* as a full router does */
            struct packet *packet = &queue[last++ % QUEUE_LENGTH];
            packet->due_ns = now_ns() + delay_us * 1000LL;
            packet->length = length;
            packet->data = malloc(length);
            memcpy(packet->data, buffer, length);
        }
        for (long long now = now_ns(); first != last; first++) {
            struct packet *packet = &queue[first % QUEUE_LENGTH];
            if (packet->due_ns > now) break;
            if (write(way->to, packet->data, packet->length) < 0 && errno != EINVAL) perror("write");
            free(packet->data);
        }
    }
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    delay_file = arguments[3];
    read_delay(0);
    signal(SIGHUP, read_delay);
    int near = open_end(arguments[1], "wire"), far = open_end(arguments[2], "wire");
    puts("ready");
    fflush(stdout);
    struct way there = {near, far}, back = {far, near};
    pthread_t thread;
    if (pthread_create(&thread, NULL, carry, &there)) fail("pthread_create");
    carry(&back);
}
