/// The curves that keys lie on here: P-256 for devices and services, P-384 for Apple's authorities.
enum Curve {
    case p256
    case p384

    /// The size of a scalar and of a coordinate.
    var octets: Int { self == .p256 ? 32 : 48 }

    /// RFC 5480 section 2.1.1.1.
    var identifier: String { self == .p256 ? "1.2.840.10045.3.1.7" : "1.3.132.0.34" }
}

/// The hashes that signatures are made over here.
enum Hash {
    case sha256
    case sha384
}
