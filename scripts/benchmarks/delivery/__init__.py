"""Delivery, measured from outside: server processes on one core, a load generator of plain sockets on another."""
