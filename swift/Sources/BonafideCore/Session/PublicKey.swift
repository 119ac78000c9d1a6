/// A public key on P-256, as its two coordinates of 32 octets. That it is a point of the curve is for a `Crypto` to say.
public struct PublicKey: Hashable, Sendable {
    public let x: [UInt8]
    public let y: [UInt8]

    /// Takes X9.63 (0x04, x, y: 65 octets); nil for anything else.
    public init?(x963 octets: some Collection<UInt8>) {
        guard octets.count == 65, octets.first == 4 else { return nil }
        x = Array(octets.dropFirst().prefix(32))
        y = Array(octets.suffix(32))
    }

    /// Reads a JWK of exactly `kty`, `crv`, `x` and `y` (RFC 7518 section 6.2.1); nil for anything else.
    package init?(jwk: JSON) {
        guard jwk.names == ["kty", "crv", "x", "y"], jwk["kty"] == "EC", jwk["crv"] == "P-256",
            let x = jwk["x"]?.text.flatMap({ Base64.urlDecoded($0) }), x.count == 32,
            let y = jwk["y"]?.text.flatMap({ Base64.urlDecoded($0) }), y.count == 32
        else { return nil }
        self.x = x
        self.y = y
    }

    /// X9.63: 0x04, x, y.
    public var x963: [UInt8] { [4] + x + y }

    /// The JWK, its members in the order that the wire has them.
    package var jwk: JSON {
        ["kty": "EC", "crv": "P-256", "x": .string(Base64.urlEncoded(x)), "y": .string(Base64.urlEncoded(y))]
    }

    /// The thumbprint, 43 base64url characters (RFC 7638 section 3).
    package func thumbprint(_ crypto: some Crypto) -> String {
        let canonical: JSON = [
            "crv": "P-256", "kty": "EC", "x": .string(Base64.urlEncoded(x)), "y": .string(Base64.urlEncoded(y)),
        ]
        return Base64.urlEncoded(crypto.sha256(canonical.octets))
    }
}
