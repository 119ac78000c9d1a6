// What the SDK uses of CryptoKit, on Linux.
