// What the SDK uses of DeviceCheck, on Linux.
