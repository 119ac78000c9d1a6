public import BonafideCore

/// The service's half of a session (PROTOCOL section 5): signs it by a service key, and seals it to a device.
public struct SessionIssuer: Sendable {
    /// Signs sessions; an app carries its thumbprint.
    public let serviceKey: SoftwareSigningKey
    private let crypto = SoftwareCrypto()

    public init(serviceKey: SoftwareSigningKey = SoftwareSigningKey()) { self.serviceKey = serviceKey }

    /// The thumbprint of the service key: what goes into `Configuration.serviceKeys`.
    public var thumbprint: String { serviceKey.publicKey.thumbprint(crypto) }

    /// Returns the nested JWT that brings a session to the device whose key `agree` is `recipient`.
    ///
    /// It is signed and sealed as given, whether or not a device would take it: tests want both. The same `ephemeral`
    /// and `nonce` (12 octets; nil: random) are for one session alone. Throws `KeyFailure.lost` for a recipient that
    /// is no point of the curve, and `CryptoRefused.sizes`.
    public func issue(
        _ claims: SessionClaims, to recipient: PublicKey, ephemeral: SoftwareAgreementKey = SoftwareAgreementKey(),
        nonce: [UInt8]? = nil
    ) throws -> String {
        try seal(sign(claims.json.octets), to: recipient, ephemeral: ephemeral, nonce: nonce)
    }

    /// Returns the compact JWS of `payload` by the service key, which it brings along (`alg`, `typ`, `jwk`).
    public func sign(_ payload: [UInt8], type: String = "bonafide-session+jwt") throws -> String {
        let header: JSON = ["alg": "ES256", "typ": .string(type), "jwk": serviceKey.publicKey.jwk]
        let signed = "\(Base64.urlEncoded(header.octets)).\(Base64.urlEncoded(payload))"
        return try "\(signed).\(Base64.urlEncoded(serviceKey.signature(of: Array(signed.utf8))))"
    }

    /// Returns the compact JWE of `token` to `recipient`: `ECDH-ES` in direct key agreement, `A256GCM`.
    public func seal(
        _ token: String, to recipient: PublicKey, ephemeral: SoftwareAgreementKey = SoftwareAgreementKey(),
        nonce: [UInt8]? = nil
    ) throws -> String {
        let header: JSON = ["alg": "ECDH-ES", "enc": "A256GCM", "epk": ephemeral.publicKey.jwk, "cty": "JWT"]
        let protected = Base64.urlEncoded(header.octets)
        let nonce = nonce ?? crypto.random(12)
        let secret = try ephemeral.sharedSecret(with: recipient)
        let sealed = try crypto.sealAESGCM(
            key: KeyDerivation.concatKDF(secret: secret, algorithm: "A256GCM", crypto: crypto), nonce: nonce,
            plaintext: Array(token.utf8), additionalData: Array(protected.utf8))
        let parts = [nonce, sealed.ciphertext, sealed.tag].map { Base64.urlEncoded($0) }
        return ([protected, ""] + parts).joined(separator: ".")
    }
}

/// What a session says.
public struct SessionClaims: Hashable, Sendable {
    public var app: String
    public var instance: String
    /// The thumbprint of the device's key `sign`.
    public var jkt: String
    /// The challenge that the device presented.
    public var challenge: String
    /// 16 octets.
    public var id: [UInt8]
    /// 32 octets.
    public var key: [UInt8]
    /// Seconds since 1970.
    public var issuedAt: Int
    /// Seconds since 1970, at most an hour later.
    public var expiresAt: Int

    /// Draws `id` and `key` where they are not given.
    public init(
        app: String, instance: String, jkt: String, challenge: String, id: [UInt8]? = nil, key: [UInt8]? = nil,
        issuedAt: Int, expiresAt: Int
    ) {
        self.app = app
        self.instance = instance
        self.jkt = jkt
        self.challenge = challenge
        self.id = id ?? SoftwareCrypto().random(16)
        self.key = key ?? SoftwareCrypto().random(32)
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    /// The payload, its members in the order in which the service writes them.
    var json: JSON {
        [
            "app": .string(app), "inst": .string(instance), "jkt": .string(jkt), "challenge": .string(challenge),
            "sid": .string(Base64.urlEncoded(id)), "key": .string(Base64.urlEncoded(key)),
            "iat": .integer(issuedAt), "exp": .integer(expiresAt),
        ]
    }
}
