"""A Raspberry Pi made of namespaces: real libraries, and files in place of devices."""
