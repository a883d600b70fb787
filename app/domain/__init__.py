"""Pure values and rules of Uphaul: standard library only, no I/O, no await, no clock."""
