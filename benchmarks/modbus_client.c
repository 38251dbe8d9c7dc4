/* A client on libmodbus, for benchmarks: asks the servers at the ports in turn for holding registers. Arguments: rounds,
 * registers, ports. Prints the processor time per request in microseconds. */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define MOST 256

static double cpu_us(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return 1e6 * (used.ru_utime.tv_sec + used.ru_stime.tv_sec) + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

int main(int count, char **said) {
    int rounds = atoi(said[1]), registers = atoi(said[2]), servers = count - 3;
    modbus_t *links[MOST];
    uint16_t held[MODBUS_MAX_READ_REGISTERS];
    double began_us;

    for (int n = 0; n < servers; n++) {
        links[n] = modbus_new_tcp("127.0.0.1", atoi(said[3 + n]));
        if (modbus_connect(links[n])) return 1;
    }
    began_us = cpu_us();
    for (int round = 0; round < rounds; round++)
        for (int n = 0; n < servers; n++)
            if (modbus_read_registers(links[n], round % 1000, registers, held) != registers) return 1;
    printf("%f\n", (cpu_us() - began_us) / rounds / servers);
    return 0;
}
