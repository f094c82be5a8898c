"""The only code that meets the kernel: durable files, sockets, processes, privileges, the clock."""
