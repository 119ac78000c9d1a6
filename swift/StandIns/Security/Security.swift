// What the SDK uses of Security, on Linux.
