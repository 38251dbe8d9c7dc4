/* Modbus TCP servers on libmodbus in one process, for benchmarks: N ports, any number of connections. Argument: N.
 * Prints the ports in one line, serves until its standard input ends. Register a holds a * 40503
 * until it is written; holding and input registers are the same. */
#include <modbus.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REGISTERS 2000
#define MOST 4096

static struct pollfd polled[MOST];
static int used;

static void add(int fd) {
    polled[used].fd = fd;
    polled[used++].events = POLLIN;
}

int main(int count, char **said) {
    int ports = count > 1 ? atoi(said[1]) : 1, one = 1;
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);

    for (int address = 0; address < REGISTERS; address++)
        map->tab_registers[address] = (uint16_t)(address * 40503);
    map->tab_input_registers = map->tab_registers;
    add(0);
    for (int n = 0; n < ports; n++) {
        struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof self;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(fd, (struct sockaddr *)&self, size) || listen(fd, 64)) return 1;
        getsockname(fd, (struct sockaddr *)&self, &size);
        printf("%d ", ntohs(self.sin_port));
        add(fd);
    }
    printf("\n");
    fflush(stdout);
    for (;;) {
        poll(polled, used, -1);
        if (polled[0].revents) return 0;
        for (int n = used - 1; n > ports; n--) {
            uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
            int length;
            if (!polled[n].revents) continue;
            modbus_set_socket(ctx, polled[n].fd);
            length = modbus_receive(ctx, query);
            if (length > 0) modbus_reply(ctx, query, length, map);
            if (length >= 0) continue;
            close(polled[n].fd);
            polled[n] = polled[--used];
        }
        for (int n = 1; n <= ports; n++) {
            int fd;
            if (!polled[n].revents || used >= MOST) continue;
            fd = accept(polled[n].fd, NULL, NULL);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            add(fd);
        }
    }
}
