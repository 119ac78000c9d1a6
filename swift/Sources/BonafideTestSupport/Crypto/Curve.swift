/// The curves that keys lie on here: P-256 for devices and services, P-384 for Apple's authorities.
enum Curve {
    case p256
    case p384

    /// The size of a scalar and of a coordinate.
    var octets: Int { self == .p256 ? 32 : 48 }

    /// RFC 5480 section 2.1.1.1.
    var identifier: String { self == .p256 ? "1.2.840.10045.3.1.7" : "1.3.132.0.34" }

    /// What every scalar is below (SP 800-186 section 3.2.1), big-endian.
    var order: [UInt8] { self == .p256 ? Self.order256 : Self.order384 }

    private static let order256: [UInt8] = [
        0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
    ]
    private static let order384: [UInt8] =
        [UInt8](repeating: 0xFF, count: 24) + [
            0xC7, 0x63, 0x4D, 0x81, 0xF4, 0x37, 0x2D, 0xDF, 0x58, 0x1A, 0x0D, 0xB2,
            0x48, 0xB0, 0xA7, 0x7A, 0xEC, 0xEC, 0x19, 0x6A, 0xCC, 0xC5, 0x29, 0x73,
        ]
}

/// The hashes that signatures are made over here.
enum Hash {
    case sha256
    case sha384
}
