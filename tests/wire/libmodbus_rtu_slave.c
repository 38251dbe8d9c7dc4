/* A slave on libmodbus at a serial port, which shares no code with heliodock: its registers hold a function of their
 * address, and what is written stays. Arguments: port, baud, parity (N, E, O), unit. Says "ready", serves until killed. */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>

#define REGISTERS 2000

int main(int count, char **said) {
    modbus_t *ctx = modbus_new_rtu(said[1], atoi(said[2]), said[3][0], 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);

    if (count < 5 || modbus_set_slave(ctx, atoi(said[4])) || modbus_connect(ctx)) return 1;
    for (int address = 0; address < REGISTERS; address++) {
        map->tab_registers[address] = (uint16_t)(address * 40503);
        map->tab_input_registers[address] = (uint16_t)(address * 977);
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
        int length = modbus_receive(ctx, query);
        if (length > 0) modbus_reply(ctx, query, length, map);
    }
}
