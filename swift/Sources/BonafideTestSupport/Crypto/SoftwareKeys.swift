public import BonafideCore

/// The key `sign` in software. Its stored form is the scalar, 32 octets.
public struct SoftwareSigningKey: SigningKey {
    public let publicKey: PublicKey
    private let key: EllipticKey
    private let permit: @Sendable () throws -> Void

    /// A new key.
    public init() { self.init(EllipticKey(.p256)) {} }

    /// The key of this scalar, 32 octets, big-endian; nil for what is no private key of P-256.
    public init?(scalar: [UInt8]) {
        guard let key = EllipticKey(.p256, scalar: scalar) else { return nil }
        self.init(key) {}
    }

    init(_ key: EllipticKey, permit: @escaping @Sendable () throws -> Void) {
        self.key = key
        self.permit = permit
        publicKey = key.publicKey
    }

    public var representation: [UInt8] { key.scalar }

    public func signature(of octets: [UInt8]) throws -> [UInt8] {
        try permit()
        return key.signature(of: octets, .sha256)
    }
}

/// The key `agree` in software. Its stored form is the scalar, 32 octets.
public struct SoftwareAgreementKey: AgreementKey {
    public let publicKey: PublicKey
    private let key: EllipticKey
    private let permit: @Sendable () throws -> Void

    /// A new key.
    public init() { self.init(EllipticKey(.p256)) {} }

    /// The key of this scalar, 32 octets, big-endian; nil for what is no private key of P-256.
    public init?(scalar: [UInt8]) {
        guard let key = EllipticKey(.p256, scalar: scalar) else { return nil }
        self.init(key) {}
    }

    init(_ key: EllipticKey, permit: @escaping @Sendable () throws -> Void) {
        self.key = key
        self.permit = permit
        publicKey = key.publicKey
    }

    public var representation: [UInt8] { key.scalar }

    /// Throws `KeyFailure.lost` for a public key that is no point of the curve: there is no better word for it.
    public func sharedSecret(with key: PublicKey) throws -> [UInt8] {
        try permit()
        guard let secret = self.key.sharedSecret(with: key.x963) else { throw KeyFailure.lost }
        return secret
    }
}

extension EllipticKey {
    /// The public key, of a key on P-256.
    var publicKey: PublicKey {
        guard let key = PublicKey(x963: publicPoint) else { preconditionFailure("a key on another curve") }
        return key
    }
}
