/// A JWS that brings its own public key, which counts only where its thumbprint is pinned (RFC 7515, RFC 7638).
package enum PinnedSignature {
    /// Returns the payload of a compact JWS of this `typ`, proven to be signed by a key among `pins`.
    ///
    /// The header has exactly `alg` `ES256`, `typ` and `jwk`. Not proven: when it was signed, and for whom. Throws
    /// `TokenRefused`.
    package static func verify(
        _ token: some StringProtocol, type: String, pins: Set<String>, crypto: some Crypto, maxOctets: Int
    ) throws -> [UInt8] {
        let parts = token.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard token.utf8.count <= maxOctets, parts.count == 3,
            let header = Base64.urlDecoded(parts[0]).flatMap({ JSONReader.object($0, maxOctets: maxOctets) }),
            let payload = Base64.urlDecoded(parts[1]), let signature = Base64.urlDecoded(parts[2])
        else { throw TokenRefused.malformed }
        guard header.names == ["alg", "typ", "jwk"], header["alg"] == "ES256", header["typ"] == .string(type),
            let jwk = header["jwk"], jwk.names != nil
        else { throw TokenRefused.headerRefused }
        guard let key = PublicKey(jwk: jwk) else { throw TokenRefused.malformed }
        guard pins.contains(key.thumbprint(crypto)) else { throw TokenRefused.serviceKeyNotPinned }
        guard signature.count == 64,
            crypto.isValid(signature: signature, of: Array("\(parts[0]).\(parts[1])".utf8), by: key)
        else { throw TokenRefused.signatureInvalid }
        return payload
    }
}
