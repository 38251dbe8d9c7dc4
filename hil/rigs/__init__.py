"""Rigs play a scenario and return its trace: ``sim`` in virtual time, ``emu`` over real sockets."""
