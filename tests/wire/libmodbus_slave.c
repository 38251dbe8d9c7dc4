/* A slave on libmodbus, which shares no code with heliodock: holding and input registers hold a function of their
 * address, and what is written stays. Prints its port, serves one client after another until killed. */
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define REGISTERS 2000

int main(void) {
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof self;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(listener, (struct sockaddr *)&self, size) || listen(listener, 4)) return 1;
    getsockname(listener, (struct sockaddr *)&self, &size);
    printf("%d\n", ntohs(self.sin_port));
    fflush(stdout);
    for (int address = 0; address < REGISTERS; address++) {
        map->tab_registers[address] = (uint16_t)(address * 40503);
        map->tab_input_registers[address] = (uint16_t)(address * 977);
    }
    for (;;) {
        uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
        int length;
        if (modbus_tcp_accept(ctx, &listener) < 0) return 1;
        while ((length = modbus_receive(ctx, query)) != -1)
            if (length > 0) modbus_reply(ctx, query, length, map);
        modbus_close(ctx);
    }
}
