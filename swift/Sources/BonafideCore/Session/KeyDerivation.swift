/// HKDF and the Concat KDF, over a port's SHA-256 and HMAC.
package enum KeyDerivation {
    static let keyOctets = 32

    /// HKDF with SHA-256 (RFC 5869), 32 octets: one block of output, so that the expansion is one HMAC.
    package static func hkdf(_ key: [UInt8], salt: [UInt8], info: [UInt8], crypto: some Crypto) -> [UInt8] {
        // RFC 5869 section 2.2: without a salt, as many zeros as the hash has octets.
        let extracted = crypto.hmacSHA256(key: salt.isEmpty ? [UInt8](repeating: 0, count: 32) : salt, key)
        return crypto.hmacSHA256(key: extracted, info + [1])
    }

    /// The Concat KDF of RFC 7518 section 4.6.2 with SHA-256, 32 octets, without party infos. `algorithm` is the
    /// AlgorithmID: the `enc` value in direct key agreement.
    package static func concatKDF(secret: [UInt8], algorithm: String, crypto: some Crypto) -> [UInt8] {
        let name = Array(algorithm.utf8)
        let none = bigEndian(UInt32(0))
        let otherInfo = bigEndian(UInt32(name.count)) + name + none + none + bigEndian(UInt32(keyOctets * 8))
        return crypto.sha256(bigEndian(UInt32(1)) + secret + otherInfo)
    }

    /// The key under which a session signs requests with `hmac-sha256` (PROTOCOL section 5).
    package static func macKey(session key: [UInt8], crypto: some Crypto) -> [UInt8] {
        hkdf(key, salt: [], info: Array("bonafide mac".utf8), crypto: crypto)
    }

    static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian, Array.init)
    }
}
