"""A Raspberry Pi made of namespaces: real libraries, files where the kernel has devices."""
